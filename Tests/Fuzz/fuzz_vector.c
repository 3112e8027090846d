/* Vectors from arbitrary bytes: all that comes through is finite and fits, and every kernel takes it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nexa_vector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    const size_t capacity = size ? (size_t)copy[size - 1] * 2 : 0;
    float *out = malloc((capacity ? capacity : 1) * sizeof *out);
    size_t count = 0;
    const nexa_vector_status status = size ? nexa_vector_gather(copy, size, out, capacity, &count) : NEXA_VECTOR_MALFORMED;
    if (count > capacity) abort();
    if (status == NEXA_VECTOR_OK) {
        if (count == 0 || nexa_vector_dimensions(copy, size) != count) abort();
        for (size_t i = 0; i < count; i++) {
            if (!isfinite(out[i])) abort();
        }
        for (int kernel = NEXA_KERNEL_PORTABLE; kernel <= NEXA_KERNEL_AVX512; kernel++) {
            float dot, norm;
            nexa_vector_dot_norm(out, out, count, (nexa_kernel)kernel, &dot, &norm);
            if (nexa_vector_l2(out, out, count, (nexa_kernel)kernel) != 0) abort();
            if (!(nexa_vector_dot(out, out, count, (nexa_kernel)kernel) >= 0) || !(norm >= 0)) abort();
        }
    }
    free(copy);
    free(out);
    return 0;
}

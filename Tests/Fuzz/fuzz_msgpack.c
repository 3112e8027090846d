/* The scanner on arbitrary bytes: it must agree with itself. What validates must skip, compare equal to itself and have its keys found;
 * what does not validate must still be handled without reading outside of the input. */
#include <stdlib.h>
#include <string.h>

#include "nexa_msgpack.h"

#define CHECK(condition) \
    do {                 \
        if (!(condition)) abort(); \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* An exact copy on the heap: AddressSanitizer sees the first byte read too many. The input is cut in two values at a place that it
     * names itself. */
    if (size < 2) return 0;
    const size_t cut = 2 + (size_t)(data[0] | data[1] << 8) % (size - 1);
    const size_t a_len = cut - 2, b_len = size - cut;
    uint8_t *a = malloc(a_len ? a_len : 1), *b = malloc(b_len ? b_len : 1);
    memcpy(a, data + 2, a_len);
    memcpy(b, data + cut, b_len);

    size_t at = 0;
    const nexa_mp_status status = nexa_mp_validate(a, a_len, 100, 42, &at);
    const size_t skipped = nexa_mp_skip(a, a_len);
    CHECK(at <= a_len && skipped <= a_len);
    if (status == NEXA_MP_OK) {
        CHECK(skipped == a_len);
        CHECK(nexa_mp_class(a, a_len) != 0);
        CHECK(nexa_mp_compare(a, a_len, a, a_len) == 0);
        CHECK(nexa_mp_equal(a, a_len, a, a_len));
    }
    if (b_len > 0 && a_len > 0) {
        const int order = nexa_mp_compare(a, a_len, b, b_len), back = nexa_mp_compare(b, b_len, a, a_len);
        size_t unused;
        if (status == NEXA_MP_OK && nexa_mp_validate(b, b_len, 100, 7, &unused) == NEXA_MP_OK) {
            CHECK((order > 0) == (back < 0) && (order == 0) == (back == 0));
        }
    }
    const nexa_bytes found = nexa_mp_map_find(a, a_len, b, b_len);
    CHECK(found.ptr == NULL || (found.ptr >= a && found.ptr + found.len <= a + a_len && found.len > 0));

    nexa_segment segments[16];
    const size_t count = nexa_path_split(b, b_len, segments, 16);
    CHECK(count <= 16);
    const nexa_bytes value = nexa_path_find(a, a_len, b, segments, count);
    CHECK(value.ptr == NULL || (value.ptr >= a && value.ptr + value.len <= a + a_len));
    nexa_bytes low, high;
    const nexa_sort_class low_class = nexa_path_sort_value(a, a_len, b, segments, count, false, &low);
    const nexa_sort_class high_class = nexa_path_sort_value(a, a_len, b, segments, count, true, &high);
    if (status == NEXA_MP_OK && low_class == NEXA_SORT_VALUE && high_class == NEXA_SORT_VALUE) {
        CHECK(nexa_mp_compare(low.ptr, low.len, high.ptr, high.len) <= 0);
    }
    free(a);
    free(b);
    return 0;
}

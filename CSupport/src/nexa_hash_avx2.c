/* XXH3-64 compiled for AVX2. Only this unit may use those instructions; `nexa_hash.c` asks the processor first. */
#include "nexa_hash.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#define XXH_INLINE_ALL
#define XXH_VECTOR 2 /* XXH_AVX2: the name is not defined before the header is read */
#include <xxhash.h>

uint64_t nexa_xxh3_avx2(const void *data, size_t len, uint64_t seed) {
    return XXH3_64bits_withSeed(data, len, seed);
}
#pragma clang attribute pop

#else

uint64_t nexa_xxh3_avx2(const void *data, size_t len, uint64_t seed) {
    return nexa_xxh3_baseline(data, len, seed);
}

#endif

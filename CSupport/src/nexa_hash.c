/* XXH3-64 with the vector width that every processor of the platform has, and the choice between the two kernels. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "nexa_hash.h"

/* Up to here XXH3 uses no vectors at all, so the choice would only cost. */
enum { SHORT_INPUT_MAX = 240 };

uint64_t nexa_xxh3_baseline(const void *data, size_t len, uint64_t seed) {
    return XXH3_64bits_withSeed(data, len, seed);
}

int nexa_xxh3_has_avx2(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") != 0;
#else
    return 0;
#endif
}

uint64_t nexa_xxh3(const void *data, size_t len, uint64_t seed) {
    if (len > SHORT_INPUT_MAX && nexa_xxh3_has_avx2()) return nexa_xxh3_avx2(data, len, seed);
    return XXH3_64bits_withSeed(data, len, seed);
}

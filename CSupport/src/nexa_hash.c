#define XXH_INLINE_ALL
#include <xxhash.h>

#include "nexa_hash.h"

uint64_t nexa_xxh3(const void *data, size_t len, uint64_t seed) {
    return XXH3_64bits_withSeed(data, len, seed);
}

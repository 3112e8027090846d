/* Blocked Bloom filter: one 64-byte line a key, so a look-up costs one cache miss; one 64-bit hash a key.
 *
 *   filter = u8 kind (1) | u8 probes | u16 0 | u32 key count | u32 line count | u32 0 | lines of 64 bytes
 *   line   = (high half of the hash * line count) >> 32
 *   probes = the low half times 0x9E3779B9, again and again; its top nine bits are the bit in the line */
#ifndef NEXA_BLOOM_H
#define NEXA_BLOOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nexa_status.h"

#define NEXA_BLOOM_HEADER_BYTE_COUNT 16u
#define NEXA_BLOOM_LINE_BYTE_COUNT 64u

typedef struct nexa_bloom {
    const uint8_t *lines;
    uint32_t line_count;
    uint32_t probe_count;
    uint32_t key_count;
} nexa_bloom;

/* Bytes of a filter for that many distinct keys; 0 where the format does not hold it. */
size_t nexa_bloom_byte_count(size_t key_count, unsigned bits_per_key);

/* Builds the filter in `out`, which has `nexa_bloom_byte_count` bytes. */
nexa_status nexa_bloom_build(const uint64_t *hashes, size_t count, unsigned bits_per_key, uint8_t *out, size_t out_len);

/* Checks a filter; the view borrows its bytes. Fastest where the lines are 64-byte aligned. */
nexa_status nexa_bloom_open(const uint8_t *bytes, size_t len, nexa_bloom *bloom);

/* False: no key with this hash was added. */
static inline bool nexa_bloom_may_contain(const nexa_bloom *bloom, uint64_t hash) {
    uint64_t line = (hash >> 32) * bloom->line_count >> 32;
    const uint8_t *bytes = bloom->lines + line * NEXA_BLOOM_LINE_BYTE_COUNT;
    uint32_t probe = (uint32_t)hash;
    for (uint32_t i = 0; i < bloom->probe_count; i++) {
        probe *= 0x9E3779B9u;
        uint32_t bit = probe >> 23;
        if ((bytes[bit >> 3] >> (bit & 7) & 1) == 0) return false;
    }
    return true;
}

#endif

/* Builds and checks blocked Bloom filters; the layout is drawn in nexa_bloom.h. */
#include "nexa_bloom.h"

#include <string.h>

enum { KIND_BLOCKED = 1, PROBE_COUNT_MAX = 16 };

/* Probes that give the lowest rate of false positives for a line of 512 bits: below ln 2 * bits, since lines fill unevenly. */
static unsigned probes_for(unsigned bits_per_key) {
    unsigned probes = bits_per_key * 6 / 10;
    return probes < 1 ? 1 : probes > PROBE_COUNT_MAX ? PROBE_COUNT_MAX : probes;
}

size_t nexa_bloom_byte_count(size_t key_count, unsigned bits_per_key) {
    if (key_count > UINT32_MAX || bits_per_key == 0 || bits_per_key > 64) return 0;
    size_t lines = (key_count * bits_per_key + 511) / 512;
    return NEXA_BLOOM_HEADER_BYTE_COUNT + (lines == 0 ? 1 : lines) * NEXA_BLOOM_LINE_BYTE_COUNT;
}

nexa_status nexa_bloom_build(const uint64_t *hashes, size_t count, unsigned bits_per_key, uint8_t *out, size_t out_len) {
    size_t needed = nexa_bloom_byte_count(count, bits_per_key);
    if (needed == 0) return NEXA_TOO_LARGE;
    if (out_len != needed) return NEXA_NO_SPACE;
    memset(out, 0, out_len);
    uint32_t key_count = (uint32_t)count;
    uint32_t line_count = (uint32_t)((needed - NEXA_BLOOM_HEADER_BYTE_COUNT) / NEXA_BLOOM_LINE_BYTE_COUNT);
    unsigned probe_count = probes_for(bits_per_key);
    out[0] = KIND_BLOCKED;
    out[1] = (uint8_t)probe_count;
    memcpy(out + 4, &key_count, 4);
    memcpy(out + 8, &line_count, 4);
    uint8_t *lines = out + NEXA_BLOOM_HEADER_BYTE_COUNT;
    for (size_t i = 0; i < count; i++) {
        uint64_t hash = hashes[i];
        uint8_t *line = lines + ((hash >> 32) * line_count >> 32) * NEXA_BLOOM_LINE_BYTE_COUNT;
        uint32_t probe = (uint32_t)hash;
        for (unsigned k = 0; k < probe_count; k++) {
            probe *= 0x9E3779B9u;
            uint32_t bit = probe >> 23;
            line[bit >> 3] |= (uint8_t)(1u << (bit & 7));
        }
    }
    return NEXA_OK;
}

nexa_status nexa_bloom_open(const uint8_t *bytes, size_t len, nexa_bloom *bloom) {
    if (len < NEXA_BLOOM_HEADER_BYTE_COUNT + NEXA_BLOOM_LINE_BYTE_COUNT) return NEXA_CORRUPT;
    uint32_t zero;
    memcpy(&bloom->key_count, bytes + 4, 4);
    memcpy(&bloom->line_count, bytes + 8, 4);
    memcpy(&zero, bytes + 12, 4);
    bloom->probe_count = bytes[1];
    bloom->lines = bytes + NEXA_BLOOM_HEADER_BYTE_COUNT;
    if (bytes[0] != KIND_BLOCKED || bytes[2] != 0 || bytes[3] != 0 || zero != 0) return NEXA_CORRUPT;
    if (bloom->probe_count == 0 || bloom->probe_count > PROBE_COUNT_MAX) return NEXA_CORRUPT;
    uint64_t lines_len = (uint64_t)bloom->line_count * NEXA_BLOOM_LINE_BYTE_COUNT;
    return bloom->line_count > 0 && lines_len == len - NEXA_BLOOM_HEADER_BYTE_COUNT ? NEXA_OK : NEXA_CORRUPT;
}

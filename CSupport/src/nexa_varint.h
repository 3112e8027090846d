/* LEB128 integers inside blocks. */
#ifndef NEXA_VARINT_H
#define NEXA_VARINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NEXA_VARINT_BYTE_COUNT_MAX = 10 };

static inline uint8_t *nexa_varint_put(uint8_t *out, uint64_t value) {
    while (value >= 0x80) {
        *out++ = (uint8_t)value | 0x80;
        value >>= 7;
    }
    *out++ = (uint8_t)value;
    return out;
}

/* From memory that is known to hold a whole value. */
static inline const uint8_t *nexa_varint_get(const uint8_t *in, uint64_t *value) {
    uint64_t byte = *in++;
    uint64_t result = byte & 0x7F;
    for (unsigned shift = 7; byte >= 0x80; shift += 7) {
        byte = *in++;
        result |= (byte & 0x7F) << shift;
    }
    *value = result;
    return in;
}

static inline const uint8_t *nexa_varint_get32(const uint8_t *in, uint32_t *value) {
    uint32_t byte = *in++;
    uint32_t result = byte & 0x7F;
    for (unsigned shift = 7; byte >= 0x80; shift += 7) {
        byte = *in++;
        result |= (byte & 0x7F) << shift;
    }
    *value = result;
    return in;
}

/* From any bytes: false unless a value of at most `limit` ends before `end`. */
static inline bool nexa_varint_check(const uint8_t **in, const uint8_t *end, uint64_t limit, uint64_t *value) {
    uint64_t result = 0;
    const uint8_t *at = *in;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (at >= end) return false;
        uint64_t byte = *at++;
        if (shift == 63 && byte > 1) return false;
        result |= (byte & 0x7F) << shift;
        if (byte < 0x80) {
            if (result > limit) return false;
            *value = result;
            *in = at;
            return true;
        }
    }
    return false;
}

static inline uint64_t nexa_zigzag(int64_t value) { return (uint64_t)value << 1 ^ (uint64_t)(value >> 63); }
static inline int64_t nexa_unzigzag(uint64_t value) { return (int64_t)(value >> 1) ^ -(int64_t)(value & 1); }

#endif

/* What the MessagePack functions share: unaligned big-endian loads and the two tables that classify a tag byte. */
#ifndef NEXA_MP_INLINE_H
#define NEXA_MP_INLINE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nexa_msgpack.h"

static inline uint16_t mp_be16(const uint8_t *p) {
    uint16_t v;
    memcpy(&v, p, 2);
    return __builtin_bswap16(v);
}

static inline uint32_t mp_be32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}

static inline uint64_t mp_be64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}

static inline uint32_t mp_load32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static inline uint64_t mp_load64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

/* What a tag byte begins. */
enum {
    MP_NIL,
    MP_BOOL,
    MP_INT,   /* fixints, int8...int64, uint8...uint64 */
    MP_FLOAT, /* float32, float64 */
    MP_STR,
    MP_BIN,
    MP_ARRAY,
    MP_MAP,
    MP_EXT,
    MP_RESERVED
};

/* Kind of each tag byte. */
extern const uint8_t mp_kind[256];
/* Whole byte count (tag and body) of values whose tag alone fixes it and that hold no other values; 0 for all others. */
extern const uint8_t mp_fixed_size[256];

/* The head of a value. For str, bin and ext: the body is body[0..len) (ext: `ext_type` beside). For arrays and maps: `len` elements or
 * entries follow at `body`. For scalars: body == p and len is the whole size. */
typedef struct {
    const uint8_t *body;
    uint64_t len;
    uint8_t kind;
    int8_t ext_type;
} mp_head;

/* Reads the head of the value at p. False when it is truncated (its own bytes; a container's members are not looked at) or c1. */
static inline bool mp_read_head(const uint8_t *p, const uint8_t *end, mp_head *h) {
    if (p >= end) return false;
    const uint8_t tag = *p;
    const size_t room = (size_t)(end - p);
    h->kind = mp_kind[tag];
    h->ext_type = 0;
    switch (h->kind) {
    case MP_NIL:
    case MP_BOOL:
    case MP_INT:
    case MP_FLOAT:
        h->body = p;
        h->len = mp_fixed_size[tag];
        return room >= h->len;
    case MP_STR:
        if (tag < 0xc0) {
            h->len = tag & 31;
            h->body = p + 1;
        } else if (tag == 0xd9) {
            if (room < 2) return false;
            h->len = p[1];
            h->body = p + 2;
        } else if (tag == 0xda) {
            if (room < 3) return false;
            h->len = mp_be16(p + 1);
            h->body = p + 3;
        } else {
            if (room < 5) return false;
            h->len = mp_be32(p + 1);
            h->body = p + 5;
        }
        return (uint64_t)(end - h->body) >= h->len;
    case MP_BIN: {
        const size_t width = (size_t)1 << (tag - 0xc4);
        if (room < 1 + width) return false;
        h->len = width == 1 ? p[1] : width == 2 ? mp_be16(p + 1) : mp_be32(p + 1);
        h->body = p + 1 + width;
        return (uint64_t)(end - h->body) >= h->len;
    }
    case MP_EXT: {
        if (tag >= 0xd4) {
            h->len = (uint64_t)1 << (tag - 0xd4);
            if (room < 2) return false;
            h->body = p + 2;
        } else {
            const size_t width = (size_t)1 << (tag - 0xc7);
            if (room < 2 + width) return false;
            h->len = width == 1 ? p[1] : width == 2 ? mp_be16(p + 1) : mp_be32(p + 1);
            h->body = p + 2 + width;
        }
        h->ext_type = (int8_t)h->body[-1];
        return (uint64_t)(end - h->body) >= h->len;
    }
    case MP_ARRAY:
    case MP_MAP:
        if (tag < 0xa0) {
            h->len = tag & 15;
            h->body = p + 1;
        } else if ((tag & 1) == 0) { /* dc, de: 16-bit counts */
            if (room < 3) return false;
            h->len = mp_be16(p + 1);
            h->body = p + 3;
        } else {
            if (room < 5) return false;
            h->len = mp_be32(p + 1);
            h->body = p + 5;
        }
        return true;
    default:
        return false;
    }
}

/* The end of the value at p, or NULL. */
static inline const uint8_t *mp_next(const uint8_t *p, const uint8_t *end) {
    if (p >= end) return NULL;
    const uint8_t fixed = mp_fixed_size[*p];
    if (fixed != 0) return (size_t)(end - p) >= fixed ? p + fixed : NULL;
    const size_t size = nexa_mp_skip(p, (size_t)(end - p));
    return size != 0 ? p + size : NULL;
}

#endif

/* The classes of the total order and numbers read from their bytes: shared by comparison, filters and sort keys. */
#ifndef NEXA_MP_ORDER_H
#define NEXA_MP_ORDER_H

#include "nexa_mp_inline.h"

enum {
    MP_CLASS_NONE = 0, /* bytes that are no value */
    MP_CLASS_NULL = 1,
    MP_CLASS_NUMBER = 2,
    MP_CLASS_STRING = 3,
    MP_CLASS_MAP = 4,
    MP_CLASS_ARRAY = 5,
    MP_CLASS_BIN = 6,
    MP_CLASS_BOOL = 7,
    MP_CLASS_TIMESTAMP = 8,
    MP_CLASS_EXT = 9
};

enum { MP_NUMBER_INT, MP_NUMBER_UINT /* above INT64_MAX only */, MP_NUMBER_DOUBLE };

typedef struct {
    uint8_t kind;
    union {
        int64_t i;
        uint64_t u;
        double d;
    };
} mp_number;

/* Exact comparison on one number line. */
int mp_compare_numbers(const mp_number *a, const mp_number *b);

/* Class of the value at p, and its head. */
static inline int mp_class_of(const uint8_t *p, const uint8_t *end, mp_head *h) {
    static const uint8_t classes[] = {
        [MP_NIL] = MP_CLASS_NULL, [MP_BOOL] = MP_CLASS_BOOL,     [MP_INT] = MP_CLASS_NUMBER, [MP_FLOAT] = MP_CLASS_NUMBER,
        [MP_STR] = MP_CLASS_STRING, [MP_BIN] = MP_CLASS_BIN,     [MP_ARRAY] = MP_CLASS_ARRAY, [MP_MAP] = MP_CLASS_MAP,
        [MP_EXT] = MP_CLASS_EXT,  [MP_RESERVED] = MP_CLASS_NONE,
    };
    if (p == NULL || !mp_read_head(p, end, h)) return MP_CLASS_NONE;
    if (h->kind == MP_EXT && h->ext_type == -1 && (h->len == 4 || h->len == 8 || h->len == 12)) return MP_CLASS_TIMESTAMP;
    return classes[h->kind];
}

/* Reads the number at p, whose head was read: all of its bytes are there. */
static inline void mp_read_number(const uint8_t *p, mp_number *n) {
    n->kind = MP_NUMBER_INT;
    switch (*p) {
    case 0xca: {
        const uint32_t bits = mp_be32(p + 1);
        float f;
        memcpy(&f, &bits, 4);
        n->kind = MP_NUMBER_DOUBLE;
        n->d = f;
        return;
    }
    case 0xcb: {
        const uint64_t bits = mp_be64(p + 1);
        n->kind = MP_NUMBER_DOUBLE;
        memcpy(&n->d, &bits, 8);
        return;
    }
    case 0xcc: n->i = p[1]; return;
    case 0xcd: n->i = mp_be16(p + 1); return;
    case 0xce: n->i = mp_be32(p + 1); return;
    case 0xcf:
        n->u = mp_be64(p + 1);
        if (n->u > INT64_MAX) n->kind = MP_NUMBER_UINT; /* below, the bits are those of the int64 */
        return;
    case 0xd0: n->i = (int8_t)p[1]; return;
    case 0xd1: n->i = (int16_t)mp_be16(p + 1); return;
    case 0xd2: n->i = (int32_t)mp_be32(p + 1); return;
    case 0xd3: n->i = (int64_t)mp_be64(p + 1); return;
    default: n->i = (int8_t)*p; return; /* fixints */
    }
}

#endif

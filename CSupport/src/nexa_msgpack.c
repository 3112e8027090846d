#include "nexa_msgpack.h"

#include "nexa_path.h"

const uint8_t mp_kind[256] = {
    [0x00 ... 0x7f] = MP_INT,   [0x80 ... 0x8f] = MP_MAP, [0x90 ... 0x9f] = MP_ARRAY, [0xa0 ... 0xbf] = MP_STR,
    [0xc0] = MP_NIL,            [0xc1] = MP_RESERVED,     [0xc2 ... 0xc3] = MP_BOOL,  [0xc4 ... 0xc6] = MP_BIN,
    [0xc7 ... 0xc9] = MP_EXT,   [0xca ... 0xcb] = MP_FLOAT, [0xcc ... 0xd3] = MP_INT, [0xd4 ... 0xd8] = MP_EXT,
    [0xd9 ... 0xdb] = MP_STR,   [0xdc ... 0xdd] = MP_ARRAY, [0xde ... 0xdf] = MP_MAP, [0xe0 ... 0xff] = MP_INT,
};

const uint8_t mp_fixed_size[256] = {
    [0x00 ... 0x7f] = 1, [0x80] = 1, [0x90] = 1, /* empty map, empty array */
    [0xa0] = 1,  [0xa1] = 2,  [0xa2] = 3,  [0xa3] = 4,  [0xa4] = 5,  [0xa5] = 6,  [0xa6] = 7,  [0xa7] = 8,
    [0xa8] = 9,  [0xa9] = 10, [0xaa] = 11, [0xab] = 12, [0xac] = 13, [0xad] = 14, [0xae] = 15, [0xaf] = 16,
    [0xb0] = 17, [0xb1] = 18, [0xb2] = 19, [0xb3] = 20, [0xb4] = 21, [0xb5] = 22, [0xb6] = 23, [0xb7] = 24,
    [0xb8] = 25, [0xb9] = 26, [0xba] = 27, [0xbb] = 28, [0xbc] = 29, [0xbd] = 30, [0xbe] = 31, [0xbf] = 32,
    [0xc0] = 1,  [0xc2] = 1,  [0xc3] = 1,  [0xca] = 5,  [0xcb] = 9,  [0xcc] = 2,  [0xcd] = 3,  [0xce] = 5,
    [0xcf] = 9,  [0xd0] = 2,  [0xd1] = 3,  [0xd2] = 5,  [0xd3] = 9,  [0xd4] = 3,  [0xd5] = 4,  [0xd6] = 6,
    [0xd7] = 10, [0xd8] = 18, [0xe0 ... 0xff] = 1,
};

size_t nexa_mp_skip(const void *data, size_t len) {
    if (len == 0) return 0;
    const uint8_t *p = data;
    const uint8_t *const end = p + len;
    /* Values still to step over. Each needs at least one byte, so a count above the bytes left is a truncated container: no recursion,
     * no stack, and no overflow (2 * 2^32 + len fits easily). */
    uint64_t values = 1;
    do {
        if (p >= end) return 0;
        const uint8_t fixed = mp_fixed_size[*p];
        if (fixed != 0) {
            if ((size_t)(end - p) < fixed) return 0;
            p += fixed;
        } else {
            mp_head h;
            if (!mp_read_head(p, end, &h)) return 0;
            p = h.body;
            if (h.kind == MP_ARRAY) {
                values += h.len;
            } else if (h.kind == MP_MAP) {
                values += 2 * h.len;
            } else {
                p += h.len;
            }
            if (values - 1 > (uint64_t)(end - p)) return 0;
        }
    } while (--values != 0);
    return (size_t)(p - (const uint8_t *)data);
}

nexa_bytes nexa_mp_map_find(const void *data, size_t len, const void *key, size_t key_len) {
    const uint8_t *const p = data;
    mp_head h;
    if (len == 0 || key_len > UINT32_MAX || !mp_read_head(p, p + len, &h) || h.kind != MP_MAP) return (nexa_bytes){NULL, 0};
    const uint8_t *const value = mp_entry(h.body, p + len, h.len, key, (uint32_t)key_len);
    const uint8_t *const next = value != NULL ? mp_next(value, p + len) : NULL;
    return next != NULL ? (nexa_bytes){value, (size_t)(next - value)} : (nexa_bytes){NULL, 0};
}

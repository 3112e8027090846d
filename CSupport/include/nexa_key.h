/* The order of the engine, and what an iterator stands on.
 *
 * Internal order: user key ascending bytewise (a shorter key before its extensions), then LSN descending.
 *
 * A prefix is 64 bits of a key that order like the key: of two keys the one with the lower prefix is lower; only equal
 * prefixes need the bytes. Engine keys start with a small big-endian number, so up to three leading zero bytes are folded
 * into two bits:   [3 - z : 2][62 bits of the key from byte z on, zero-padded],  z = leading zero bytes, at most 3. */
#ifndef NEXA_KEY_H
#define NEXA_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Longest user key. */
#define NEXA_KEY_BYTE_COUNT_MAX 65535u
/* Highest LSN: differences and a kind fit into 64 bits. */
#define NEXA_LSN_MAX (((uint64_t)1 << 60) - 1)

/* An entry where it lies: the pointers are borrowed from a block, a buffer of its cursor, or an arena. */
typedef struct nexa_entry {
    const uint8_t *key;
    const uint8_t *value;
    uint32_t key_len;
    uint32_t value_len;
    uint64_t lsn;
    uint8_t kind;
    bool valid;
} nexa_entry;

/* Eight bytes from `bytes`, big-endian, zero-padded behind `len`. */
static inline uint64_t nexa_load_be64_padded(const uint8_t *bytes, size_t len) {
    if (len >= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        return __builtin_bswap64(word);
    }
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++) word |= (uint64_t)bytes[i] << (56 - 8 * i);
    return word;
}

static inline uint64_t nexa_key_prefix(const uint8_t *key, size_t len) {
    uint64_t word = nexa_load_be64_padded(key, len);
    unsigned zeros = word == 0 ? 3 : (unsigned)__builtin_clzll(word) / 8;
    if (zeros > 3) zeros = 3;
    if (zeros > 0 && len > zeros) word = nexa_load_be64_padded(key + zeros, len - zeros);
    return word >> 2 | (uint64_t)(3 - zeros) << 62;
}

/* Bytewise order of two keys: negative, zero, positive. */
static inline int nexa_key_compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len) {
    size_t shorter = a_len < b_len ? a_len : b_len;
    int order = shorter == 0 ? 0 : memcmp(a, b, shorter);
    if (order != 0) return order;
    return a_len < b_len ? -1 : a_len > b_len;
}

/* Internal order of two entries. */
static inline int nexa_internal_compare(
    const uint8_t *a, size_t a_len, uint64_t a_lsn, const uint8_t *b, size_t b_len, uint64_t b_lsn) {
    int order = nexa_key_compare(a, a_len, b, b_len);
    if (order != 0) return order;
    return a_lsn > b_lsn ? -1 : a_lsn < b_lsn;
}

/* Length of the common start of two keys. */
static inline size_t nexa_common_prefix(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len) {
    size_t shorter = a_len < b_len ? a_len : b_len, i = 0;
    while (i + 8 <= shorter) {
        uint64_t x, y;
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        if (x != y) return i + (unsigned)__builtin_ctzll(x ^ y) / 8;
        i += 8;
    }
    while (i < shorter && a[i] == b[i]) i++;
    return i;
}

#endif

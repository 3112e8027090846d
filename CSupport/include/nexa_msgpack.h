/* MessagePack as bytes: validate, skip, look up, compare. Nothing here builds a tree; all functions are total: any bytes in, a
 * status out, and no byte outside [p, p + len) is read. */
#ifndef NEXA_MSGPACK_H
#define NEXA_MSGPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A run of bytes. ptr == NULL means "nothing there". */
typedef struct {
    const uint8_t *ptr;
    size_t len;
} nexa_bytes;

typedef enum {
    NEXA_MP_OK = 0,
    NEXA_MP_TRUNCATED,      /* the value ends before its announced length */
    NEXA_MP_TRAILING,       /* bytes after the value */
    NEXA_MP_TOO_DEEP,       /* more containers in each other than allowed */
    NEXA_MP_NOT_UTF8,       /* a string is not UTF-8 */
    NEXA_MP_KEY_NOT_STRING, /* a map key is not a string */
    NEXA_MP_DUPLICATE_KEY,  /* a map has a key twice */
    NEXA_MP_RESERVED,       /* byte c1 */
    NEXA_MP_BAD_TIMESTAMP,  /* ext -1 that is not a timestamp */
    NEXA_MP_NO_MEMORY       /* no memory to tell apart the keys of a large map */
} nexa_mp_status;

/* Checks that [p, p + len) is exactly one MessagePack value: lengths, depth (scalars have depth 0), UTF-8, string map keys, no
 * duplicate keys, timestamps. On failure *error_offset is the offset of the value or byte at fault. `seed` (random, per process)
 * spreads the keys of maps with more than 32 entries over a hash table of at most 16 bytes per key that is freed before return;
 * nothing is allocated for smaller maps. */
nexa_mp_status nexa_mp_validate(const void *p, size_t len, uint32_t depth_max, uint64_t seed, size_t *error_offset);

/* Byte count of the first value in [p, p + len); 0 when it is truncated or has byte c1. Lengths only: see nexa_mp_validate. */
size_t nexa_mp_skip(const void *p, size_t len);

/* The value under `key` of the map at p; {NULL, 0} when p is no map, is malformed or has no such key. */
nexa_bytes nexa_mp_map_find(const void *p, size_t len, const void *key, size_t key_len);

#endif

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
 * spreads the keys of maps with more than 32 entries over a hash table of at most 24 bytes per key that is freed before return;
 * nothing is allocated for smaller maps. */
nexa_mp_status nexa_mp_validate(const void *p, size_t len, uint32_t depth_max, uint64_t seed, size_t *error_offset);

/* Byte count of the first value in [p, p + len); 0 when it is truncated or has byte c1. Lengths only: see nexa_mp_validate. */
size_t nexa_mp_skip(const void *p, size_t len);

/* The value under `key` of the map at p; {NULL, 0} when p is no map, is malformed or has no such key. */
nexa_bytes nexa_mp_map_find(const void *p, size_t len, const void *key, size_t key_len);

/* Total order over all values, for sorting, range conditions and $in:
 *
 *   null < numbers < strings < maps < arrays < bin < false < true < timestamps < other ext
 *
 * Numbers stand on one line whatever their encoding, exactly (2^53 + 1 as int is above 2^53 as double); NaN equals itself and lies
 * below all others; -0.0 equals 0. Strings and bins compare by their bytes, arrays element by element, maps entry by entry in stored
 * order (class of the value, then key, then value), timestamps by their instant, other ext by type and bytes. Bytes that are no
 * value sort below null. Returns < 0, 0, > 0. */
int nexa_mp_compare(const void *a, size_t a_len, const void *b, size_t b_len);

/* nexa_mp_compare() == 0, faster for values that are equal byte for byte. */
bool nexa_mp_equal(const void *a, size_t a_len, const void *b, size_t b_len);

/* The place of the value at p in the order above, by class: 0 no value, 1 null, 2 number, 3 string, 4 map, 5 array, 6 bin, 7 bool,
 * 8 timestamp, 9 other ext. */
int nexa_mp_class(const void *p, size_t len);

/* One segment of a dotted path. */
typedef struct {
    uint32_t offset; /* of its text in the path's bytes */
    uint32_t len;
    uint32_t index; /* the array index that the text spells (no leading zeros), else NEXA_NO_INDEX */
} nexa_segment;

#define NEXA_NO_INDEX UINT32_MAX

/* Array indexes in one path. Each may be taken as a name and as an index, so the walk may branch at each: a document made for it would
 * cost exponential time without this limit. */
#define NEXA_PATH_INDEXES_MAX 8

/* Cuts a dotted path into segments: their number, or 0 when it is empty, has an empty segment, more segments than `capacity` or more
 * than NEXA_PATH_INDEXES_MAX array indexes. */
size_t nexa_path_split(const void *path, size_t len, nexa_segment *segments, size_t capacity);

/* The first value at a path of the map at p: through maps by name, through arrays by index and through arrays of maps. {NULL, 0} when
 * there is none. */
nexa_bytes nexa_path_find(const void *p, size_t len, const void *path, const nexa_segment *segments, size_t count);

typedef enum {
    NEXA_SORT_EMPTY_ARRAY = 0, /* sorts below everything */
    NEXA_SORT_MISSING = 1,     /* sorts as null */
    NEXA_SORT_VALUE = 2
} nexa_sort_class;

/* What a document sorts by: the smallest (descending: largest) of all values at the path, the elements of arrays counting one by one. */
nexa_sort_class nexa_path_sort_value(
    const void *p, size_t len, const void *path, const nexa_segment *segments, size_t count, bool descending, nexa_bytes *value);

#endif

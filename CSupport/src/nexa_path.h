/* Walking a dotted path through a document, with the array rules that filters and sort keys share:
 *
 *   - a map is entered by the segment's name; a name that is not there, or a scalar in the way, gives "missing";
 *   - an array in the way is entered twice: every map in it with the segment as a name, and the element at the index that the segment
 *     spells, if it does; other elements give nothing;
 *   - a path that ends at a value gives that value; what an array at the end stands for is the visitor's matter, except that an array
 *     reached by its index stands for itself only. */
#ifndef NEXA_PATH_H
#define NEXA_PATH_H

#include "nexa_mp_inline.h"

typedef struct {
    const uint8_t *text; /* the bytes that segment offsets count from */
    const uint8_t *end;  /* of the document */
    /* Called for each value (NULL: missing); true stops the walk. `by_index`: reached as an array element by index. */
    bool (*visit)(void *context, const uint8_t *value, bool by_index);
    void *context;
} mp_walk;

/* The value under the segment's name in the map whose first key is at p; NULL when it is not there. */
static inline const uint8_t *mp_entry(const uint8_t *p, const uint8_t *end, uint64_t count, const uint8_t *key, uint32_t len) {
    const uint8_t tag = len < 32 ? (uint8_t)(0xa0 | len) : 0;
    while (count-- != 0) {
        if (p >= end) return NULL;
        if (*p == tag && (size_t)(end - p) > len && memcmp(p + 1, key, len) == 0) {
            return p + 1 + len < end ? p + 1 + len : NULL;
        }
        if (*p >= 0xd9 && *p <= 0xdb) { /* a long key, or a short one in a long form */
            mp_head h;
            if (!mp_read_head(p, end, &h)) return NULL;
            if (h.len == len && memcmp(h.body, key, len) == 0) return h.body + len < end ? h.body + len : NULL;
        }
        p = mp_next(p, end);
        if (p == NULL) return NULL;
        p = mp_next(p, end);
        if (p == NULL) return NULL;
    }
    return NULL;
}

bool mp_walk_map(const mp_walk *w, const uint8_t *map, const nexa_segment *segment, size_t count);

#endif

/* Validation of one MessagePack value in a single pass, without recursion.
 *
 * Open containers stand on a stack of at most 100 frames. Keys of maps with up to SMALL_KEYS entries stand, as 64-bit fingerprints,
 * on a second stack; a 64-bit mask per map says whether a new key can be among them at all, so most keys cost one multiplication.
 * Larger maps use an open-addressing table of offsets that grows with the keys really seen, never with the count that the header
 * claims. */
#include <stdlib.h>

#include "nexa_hash.h"
#include "nexa_mp_inline.h"

#define DEPTH_LIMIT 100
#define SMALL_KEYS 32

typedef struct {
    uint32_t *slots; /* offset of a key's value head + 1; 0 is free */
    uint32_t mask;
    uint32_t used;
} key_table;

typedef struct {
    uint64_t left;      /* elements or entries not yet begun */
    uint64_t key_mask;  /* small maps: one bit per key fingerprint seen */
    key_table table;    /* large maps */
    uint32_t key_base;  /* small maps: first of its keys on the key stack */
    uint8_t is_map;
    uint8_t is_large;
} frame;

typedef struct {
    frame frames[DEPTH_LIMIT];
    uint64_t prints[DEPTH_LIMIT * SMALL_KEYS];
    uint32_t keys[DEPTH_LIMIT * SMALL_KEYS]; /* offset of the key's text */
    uint32_t key_lens[DEPTH_LIMIT * SMALL_KEYS];
} state;

static inline bool is_ascii(const uint8_t *p, size_t n) {
    if (n >= 8) {
        uint64_t any = mp_load64(p + n - 8);
        for (size_t i = 0; i + 8 <= n; i += 8) any |= mp_load64(p + i);
        return (any & 0x8080808080808080u) == 0;
    }
    if (n >= 4) return ((mp_load32(p) | mp_load32(p + n - 4)) & 0x80808080u) == 0;
    return n == 0 || ((p[0] | p[n / 2] | p[n - 1]) & 0x80) == 0;
}

/* Index of the first byte that is not part of well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF), or n. */
static size_t utf8_prefix(const uint8_t *p, size_t n) {
    size_t i = 0;
    while (i < n) {
        if (n - i >= 8 && (mp_load64(p + i) & 0x8080808080808080u) == 0) {
            i += 8;
            continue;
        }
        const uint8_t b = p[i];
        if (b < 0x80) {
            i += 1;
        } else if (b < 0xc2) {
            return i;
        } else if (b < 0xe0) {
            if (n - i < 2 || (p[i + 1] & 0xc0) != 0x80) return i;
            i += 2;
        } else if (b < 0xf0) {
            if (n - i < 3 || (p[i + 1] & 0xc0) != 0x80 || (p[i + 2] & 0xc0) != 0x80) return i;
            if ((b == 0xe0 && p[i + 1] < 0xa0) || (b == 0xed && p[i + 1] > 0x9f)) return i;
            i += 3;
        } else if (b < 0xf5) {
            if (n - i < 4 || (p[i + 1] & 0xc0) != 0x80 || (p[i + 2] & 0xc0) != 0x80 || (p[i + 3] & 0xc0) != 0x80) return i;
            if ((b == 0xf0 && p[i + 1] < 0x90) || (b == 0xf4 && p[i + 1] > 0x8f)) return i;
            i += 4;
        } else {
            return i;
        }
    }
    return n;
}

/* A key's text in 64 bits, and whether it is ASCII, from the same two loads (keys of up to 16 bytes). Equal texts give equal prints. */
static inline uint64_t fingerprint(const uint8_t *p, size_t n, bool *ascii) {
    uint64_t a, b;
    if (n >= 8) {
        a = mp_load64(p);
        b = mp_load64(p + n - 8);
        *ascii = ((a | b) & 0x8080808080808080u) == 0 && (n <= 16 || is_ascii(p + 8, n - 16));
    } else if (n >= 4) {
        a = mp_load32(p);
        b = mp_load32(p + n - 4);
        *ascii = ((a | b) & 0x80808080u) == 0;
    } else {
        a = n == 0 ? 0 : (uint64_t)p[0] | (uint64_t)p[n / 2] << 8 | (uint64_t)p[n - 1] << 16;
        b = 0;
        *ascii = (a & 0x808080u) == 0;
    }
    return (a ^ (b << 23 | b >> 41) ^ (uint64_t)n << 56) * 0x9e3779b97f4a7c15u;
}

static inline bool text_at(const uint8_t *data, uint32_t offset, const uint8_t *end, const uint8_t *key, size_t len) {
    mp_head h;
    return mp_read_head(data + offset, end, &h) && h.len == len && memcmp(h.body, key, len) == 0;
}

/* 1: added, 0: it is there already, -1: no memory. `head` is the offset of the key's tag byte. */
static int table_add(
    key_table *t, const uint8_t *data, const uint8_t *end, uint32_t head, const uint8_t *key, size_t len, uint64_t seed) {
    if (t->slots == NULL || (t->used + 1) * 2 > t->mask + 1) {
        const uint32_t capacity = t->slots == NULL ? 128 : (t->mask + 1) * 2;
        uint32_t *slots = capacity == 0 ? NULL : calloc(capacity, sizeof *slots);
        if (slots == NULL) return -1;
        for (uint32_t i = 0; t->slots != NULL && i <= t->mask; i++) {
            if (t->slots[i] == 0) continue;
            mp_head h;
            mp_read_head(data + t->slots[i] - 1, end, &h);
            uint32_t at = (uint32_t)nexa_xxh3(h.body, h.len, seed) & (capacity - 1);
            while (slots[at] != 0) at = (at + 1) & (capacity - 1);
            slots[at] = t->slots[i];
        }
        free(t->slots);
        t->slots = slots;
        t->mask = capacity - 1;
    }
    uint32_t at = (uint32_t)nexa_xxh3(key, len, seed) & t->mask;
    while (t->slots[at] != 0) {
        if (text_at(data, t->slots[at] - 1, end, key, len)) return 0;
        at = (at + 1) & t->mask;
    }
    t->slots[at] = head + 1;
    t->used += 1;
    return 1;
}

static inline bool timestamp_is_valid(const uint8_t *body, uint64_t len) {
    switch (len) {
    case 4:
        return true;
    case 8:
        return mp_be64(body) >> 34 <= 999999999u;
    case 12:
        return mp_be32(body) <= 999999999u;
    default:
        return false;
    }
}

static nexa_mp_status run(state *s, const uint8_t *data, size_t len, uint32_t depth_max, uint64_t seed, size_t *at, uint32_t *open) {
    const uint8_t *p = data;
    const uint8_t *const end = data + len;
    uint32_t depth = 0;    /* frames in use */
    uint32_t key_count = 0; /* keys on the key stack */
    *open = 0;
#define FAIL(status, where)                  \
    do {                                     \
        *at = (size_t)((where) - data);      \
        return status;                       \
    } while (0)

    for (;;) {
        /* One value at p. Short strings and scalars, nearly all there is, take the first two branches. */
        if (p >= end) FAIL(NEXA_MP_TRUNCATED, p);
        const uint8_t tag = *p;
        const uint8_t size = mp_fixed_size[tag];
        const uint8_t kind = mp_kind[tag];
        if ((tag & 0xe0) == 0xa0) {
            if ((size_t)(end - p) < size) FAIL(NEXA_MP_TRUNCATED, p);
            if (!is_ascii(p + 1, size - 1u)) {
                const size_t good = utf8_prefix(p + 1, size - 1u);
                if (good < size - 1u) FAIL(NEXA_MP_NOT_UTF8, p + 1 + good);
            }
            p += size;
        } else if (kind <= MP_FLOAT) {
            if ((size_t)(end - p) < size) FAIL(NEXA_MP_TRUNCATED, p);
            p += size;
        } else {
            mp_head h;
            if (!mp_read_head(p, end, &h)) FAIL(kind == MP_RESERVED ? NEXA_MP_RESERVED : NEXA_MP_TRUNCATED, p);
            switch (kind) {
            case MP_STR:
                if (!is_ascii(h.body, h.len)) {
                    const size_t good = utf8_prefix(h.body, h.len);
                    if (good < h.len) FAIL(NEXA_MP_NOT_UTF8, h.body + good);
                }
                p = h.body + h.len;
                break;
            case MP_EXT:
                if (h.ext_type == -1 && !timestamp_is_valid(h.body, h.len)) FAIL(NEXA_MP_BAD_TIMESTAMP, p);
                p = h.body + h.len;
                break;
            case MP_BIN:
                p = h.body + h.len;
                break;
            default: { /* array or map */
                const bool is_map = kind == MP_MAP;
                if (depth >= depth_max) FAIL(NEXA_MP_TOO_DEEP, p);
                if ((is_map ? 2 * h.len : h.len) > (uint64_t)(end - h.body)) FAIL(NEXA_MP_TRUNCATED, p);
                p = h.body;
                frame *f = &s->frames[depth++];
                f->left = h.len;
                f->is_map = is_map;
                f->is_large = is_map && h.len > SMALL_KEYS;
                f->key_mask = 0;
                f->key_base = key_count;
                f->table = (key_table){NULL, 0, 0};
                *open = depth;
                break;
            }
            }
        }

        /* Close what is complete. */
        frame *f;
        for (;;) {
            if (depth == 0) {
                if (p != end) FAIL(NEXA_MP_TRAILING, p);
                return NEXA_MP_OK;
            }
            f = &s->frames[depth - 1];
            if (f->left != 0) break;
            if (f->is_large) free(f->table.slots);
            key_count = f->key_base;
            *open = --depth;
        }
        f->left -= 1;
        if (!f->is_map) continue;

        /* The next entry's key. */
        const uint8_t *const key_head = p;
        if (p >= end) FAIL(NEXA_MP_TRUNCATED, p);
        const uint8_t *key;
        size_t key_len;
        if ((*p & 0xe0) == 0xa0) {
            key_len = *p & 31;
            key = p + 1;
            if ((size_t)(end - key) < key_len) FAIL(NEXA_MP_TRUNCATED, p);
        } else {
            if (mp_kind[*p] == MP_RESERVED) FAIL(NEXA_MP_RESERVED, p);
            if (mp_kind[*p] != MP_STR) FAIL(NEXA_MP_KEY_NOT_STRING, p);
            mp_head h;
            if (!mp_read_head(p, end, &h)) FAIL(NEXA_MP_TRUNCATED, p);
            key = h.body;
            key_len = h.len;
        }
        bool ascii;
        const uint64_t print = fingerprint(key, key_len, &ascii);
        if (!ascii) {
            const size_t good = utf8_prefix(key, key_len);
            if (good < key_len) FAIL(NEXA_MP_NOT_UTF8, key + good);
        }
        p = key + key_len;
        if (f->is_large) {
            const int added = table_add(&f->table, data, end, (uint32_t)(key_head - data), key, key_len, seed);
            if (added <= 0) FAIL(added == 0 ? NEXA_MP_DUPLICATE_KEY : NEXA_MP_NO_MEMORY, key_head);
        } else {
            const uint64_t bit = (uint64_t)1 << (print >> 58);
            if (f->key_mask & bit) {
                for (uint32_t i = f->key_base; i < key_count; i++) {
                    if (s->prints[i] == print && s->key_lens[i] == key_len && memcmp(data + s->keys[i], key, key_len) == 0) {
                        FAIL(NEXA_MP_DUPLICATE_KEY, key_head);
                    }
                }
            }
            f->key_mask |= bit;
            s->prints[key_count] = print;
            s->keys[key_count] = (uint32_t)(key - data);
            s->key_lens[key_count] = (uint32_t)key_len;
            key_count += 1;
        }
    }
#undef FAIL
}

nexa_mp_status nexa_mp_validate(const void *data, size_t len, uint32_t depth_max, uint64_t seed, size_t *error_offset) {
    state s; /* not cleared: about 60 KiB of stack, of which a document touches the first lines */
    uint32_t open = 0;
    *error_offset = 0;
    if (len == 0) return NEXA_MP_TRUNCATED;
    if (len > UINT32_MAX) return NEXA_MP_NO_MEMORY;
    if (depth_max > DEPTH_LIMIT) depth_max = DEPTH_LIMIT;
    const nexa_mp_status status = run(&s, data, len, depth_max, seed, error_offset, &open);
    for (uint32_t i = 0; i < open; i++) {
        if (s.frames[i].is_large) free(s.frames[i].table.slots);
    }
    return status;
}

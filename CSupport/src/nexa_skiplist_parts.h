/* What the files of the arena skiplist share: the shapes in memory (drawn in nexa_skiplist.h) and how a leaf is read and held. */
#ifndef NEXA_SKIPLIST_PARTS_H
#define NEXA_SKIPLIST_PARTS_H

#include "nexa_skiplist.h"

#include <sched.h>
#include <stdatomic.h>

/* Offset 0 holds the list itself, so it can mean "nothing". */
enum { NIL = 0, LEAF_ENTRY_COUNT = 64, LEAF_HEIGHT_MAX = 8, COMMON_BYTE_COUNT_MAX = 64 };

typedef struct node {
    uint64_t lsn;
    uint32_t value_len;
    uint16_t key_len;
    uint8_t kind;
    uint8_t unused;
    /* The next older entry of the key, where the hash table knows the key. */
    _Atomic uint32_t older;
    uint8_t bytes[];
} node;

typedef struct leaf {
    /* Odd while somebody changes the leaf. */
    _Atomic uint32_t version;
    _Atomic uint32_t count;
    /* An entry that none of the leaf's comes before; NIL in the head, which begins before everything. */
    uint32_t low;
    uint32_t height;
    uint64_t low_prefix;
    _Atomic uint32_t next[LEAF_HEIGHT_MAX];
    uint8_t unused[8];
    _Atomic uint64_t prefix[LEAF_ENTRY_COUNT];
    _Atomic uint32_t entry[LEAF_ENTRY_COUNT];
} leaf;

_Static_assert(offsetof(leaf, prefix) == 64, "a search reads one cache line of a leaf");
_Static_assert(sizeof(leaf) == 832 && sizeof(leaf) % 64 == 0, "leaves lie on cache lines");

struct nexa_skiplist {
    size_t capacity;
    /* The hash table: in memory of its own, filled to three quarters at most. */
    _Atomic uint64_t *slots;
    uint64_t slot_mask;
    uint64_t seed;
    uint32_t head;
    _Atomic uint32_t height;
    /* What most keys begin with: fixed, and announced by `has_common`, when the first leaf is full. */
    _Atomic uint32_t has_common;
    uint32_t common_len;
    uint8_t common[COMMON_BYTE_COUNT_MAX];
    /* Written by every insert: on a line of their own, away from what readers load.
     * `used`: high 32 bits: end of the entries in units of 8 bytes; low 32 bits: number of leaves. */
    _Alignas(64) _Atomic uint64_t used;
    _Atomic uint64_t entry_count;
    _Atomic uint64_t slots_taken;
    /* A key was left out of the hash table, once and for all. */
    _Atomic bool has_unindexed;
};

/* An entry to search for; its prefix is that of a list whose `has_common` was as noted here. */
typedef struct target {
    const uint8_t *key;
    size_t key_len;
    uint64_t prefix;
    uint64_t lsn;
    uint32_t has_common;
} target;

static inline node *node_at(const nexa_skiplist *list, uint32_t offset) { return (node *)((uint8_t *)list + offset); }
static inline leaf *leaf_at(const nexa_skiplist *list, uint32_t offset) { return (leaf *)((uint8_t *)list + offset); }

static inline bool has_key(const node *node, const uint8_t *key, size_t key_len) {
    return node->key_len == key_len && (key_len == 0 || memcmp(node->bytes, key, key_len) == 0);
}

static inline void describe(const node *node, nexa_entry *entry) {
    entry->key = node->bytes;
    entry->key_len = node->key_len;
    entry->value = node->bytes + node->key_len;
    entry->value_len = node->value_len;
    entry->lsn = node->lsn;
    entry->kind = node->kind;
    entry->valid = true;
}

/* 64 bits that order like the keys: two that say whether the key comes before, begins with or comes behind the common bytes, and 62 of
 * what follows. */
static inline uint64_t list_prefix(const nexa_skiplist *list, uint32_t has_common, const uint8_t *key, size_t key_len) {
    size_t common_len = has_common ? list->common_len : 0;
    int order = 0;
    if (common_len > 0) {
        order = memcmp(key, list->common, key_len < common_len ? key_len : common_len);
        if (order == 0 && key_len < common_len) order = -1;
    }
    if (order != 0) return (uint64_t)(order < 0 ? 0 : 2) << 62 | nexa_load_be64_padded(key, key_len) >> 2;
    return (uint64_t)1 << 62 | nexa_load_be64_padded(key + common_len, key_len - common_len) >> 2;
}

static inline target make_target(const nexa_skiplist *list, const uint8_t *key, size_t key_len, uint64_t lsn) {
    if (!key) key = (const uint8_t *)"";
    uint32_t has_common = atomic_load_explicit(&list->has_common, memory_order_acquire);
    return (target){.key = key, .key_len = key_len, .lsn = lsn, .has_common = has_common,
                    .prefix = list_prefix(list, has_common, key, key_len)};
}

/* The target was made before the common bytes were known: make it again. */
static inline bool is_outdated(const nexa_skiplist *list, const target *target) {
    return atomic_load_explicit(&list->has_common, memory_order_acquire) != target->has_common;
}

static inline bool is_node_below(const node *node, const target *target) {
    return nexa_internal_compare(node->bytes, node->key_len, node->lsn, target->key, target->key_len, target->lsn) < 0;
}

/* The leaf begins before the target. */
static inline bool begins_below(const nexa_skiplist *list, const leaf *leaf, const target *target) {
    if (leaf->low == NIL) return true;
    if (leaf->low_prefix != target->prefix) return leaf->low_prefix < target->prefix;
    return is_node_below(node_at(list, leaf->low), target);
}

static inline uint32_t next_leaf(const leaf *leaf, unsigned level) {
    return atomic_load_explicit(&leaf->next[level], memory_order_acquire);
}

/* MARK: a leaf's sequence lock */

static inline void pause_briefly(unsigned *spins) {
    if (++*spins % 64 == 0) {
        sched_yield();
    } else {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ __volatile__("yield");
#endif
    }
}

/* The version to read the leaf under; waits for a writer, which is done within a few dozen nanoseconds unless it lost its processor. */
static inline uint32_t leaf_begin_read(const leaf *leaf) {
    unsigned spins = 0;
    uint32_t version = atomic_load_explicit(&leaf->version, memory_order_acquire);
    while (version & 1) {
        pause_briefly(&spins);
        version = atomic_load_explicit(&leaf->version, memory_order_acquire);
    }
    return version;
}

/* What was read since `leaf_begin_read` belongs together. The loads before are of atomics, with acquire for entries. */
static inline bool leaf_end_read(const leaf *leaf, uint32_t version) {
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&leaf->version, memory_order_relaxed) == version;
}

static inline void leaf_lock(leaf *leaf) {
    unsigned spins = 0;
    for (;;) {
        uint32_t version = atomic_load_explicit(&leaf->version, memory_order_relaxed);
        if (!(version & 1) && atomic_compare_exchange_weak_explicit(&leaf->version, &version, version + 1,
                                                                     memory_order_acquire, memory_order_relaxed))
            break;
        pause_briefly(&spins);
    }
    /* The odd version is seen before any change that follows. */
    atomic_thread_fence(memory_order_release);
}

static inline void leaf_unlock(leaf *leaf) {
    uint32_t version = atomic_load_explicit(&leaf->version, memory_order_relaxed);
    atomic_store_explicit(&leaf->version, version + 1, memory_order_release);
}

/* MARK: between the files */

/* The last leaf that begins before the target, by the towers: a newer one to its right may be meant. */
uint32_t nexa_skiplist_find_leaf(const nexa_skiplist *list, const target *target);
/* The first entry at or behind (key, lsn), NIL if there is none. */
uint32_t nexa_skiplist_search(const nexa_skiplist *list, const uint8_t *key, size_t key_len, uint64_t lsn);
/* Makes the hash table point to the entry, or a newer one of its key to it. */
void nexa_skiplist_index(nexa_skiplist *list, uint32_t offset, const uint8_t *key, size_t key_len, uint64_t hash);

#endif

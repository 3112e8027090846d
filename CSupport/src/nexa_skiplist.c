/* The arena skiplist of nexa_skiplist.h. */
#include "nexa_skiplist.h"

#include "nexa_hash.h"

#include <stdatomic.h>
#include <sys/mman.h>

/* Offset 0 holds the list itself, so it can mean "no node". */
enum { NIL = 0, HUGE_PAGES_FROM = 4 << 20, VERSIONS_BEFORE_SEARCH = 8 };

typedef struct node {
    uint64_t prefix;
    uint64_t lsn;
    uint32_t value_len;
    uint16_t key_len;
    uint8_t height;
    uint8_t kind;
    _Atomic uint32_t prev;
    _Atomic uint32_t next[];
} node;

struct nexa_skiplist {
    size_t capacity;
    /* The hash table: in memory of its own, filled to three quarters at most. */
    _Atomic uint64_t *slots;
    uint64_t slot_mask;
    uint64_t seed;
    uint32_t head;
    _Atomic uint32_t height;
    /* Written by every insert: on a line of their own, away from what readers load. */
    _Alignas(64) _Atomic uint64_t used;
    _Atomic uint64_t entry_count;
    _Atomic uint64_t slots_taken;
    /* A key was left out of the hash table, once and for all. */
    _Atomic bool has_unindexed;
};

typedef struct target {
    const uint8_t *key;
    size_t key_len;
    uint64_t prefix;
    uint64_t lsn;
} target;

static inline node *node_at(const nexa_skiplist *list, uint32_t offset) { return (node *)((uint8_t *)list + offset); }

static inline uint32_t next_of(const nexa_skiplist *list, uint32_t offset, unsigned level) {
    return atomic_load_explicit(&node_at(list, offset)->next[level], memory_order_acquire);
}

static inline const uint8_t *key_of(const node *node) { return (const uint8_t *)&node->next[node->height]; }

static inline target make_target(const uint8_t *key, size_t key_len, uint64_t lsn) {
    if (!key) key = (const uint8_t *)"";
    return (target){.key = key, .key_len = key_len, .prefix = nexa_key_prefix(key, key_len), .lsn = lsn};
}

/* The node comes before the target. */
static inline bool is_below(const node *node, const target *target) {
    if (node->prefix != target->prefix) return node->prefix < target->prefix;
    return nexa_internal_compare(key_of(node), node->key_len, node->lsn, target->key, target->key_len, target->lsn) < 0;
}

static inline size_t node_byte_count(unsigned height, size_t key_len, size_t value_len) {
    return (sizeof(node) + height * sizeof(uint32_t) + key_len + value_len + 7) & ~(size_t)7;
}

/* A slot for each 128 bytes of arena: enough for entries of about that size and more, and 1/16 of the arena's memory. */
static uint64_t slot_count_for(size_t capacity) {
    uint64_t count = 1024;
    while (count < capacity / 128) count *= 2;
    return count;
}

/* MARK: life */

nexa_status nexa_skiplist_create(size_t capacity, nexa_skiplist **result) {
    size_t first = (sizeof(nexa_skiplist) + 7) & ~(size_t)7;
    size_t needed = first + node_byte_count(NEXA_SKIPLIST_HEIGHT_MAX, 0, 0);
    if (capacity < needed || capacity > UINT32_MAX) return NEXA_TOO_LARGE;
    void *memory = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return NEXA_NO_MEMORY;
    if (capacity >= HUGE_PAGES_FROM) madvise(memory, capacity, MADV_HUGEPAGE);
    uint64_t slot_count = slot_count_for(capacity);
    void *slots = mmap(NULL, slot_count * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                       -1, 0);
    if (slots == MAP_FAILED) {
        munmap(memory, capacity);
        return NEXA_NO_MEMORY;
    }
    nexa_skiplist *list = memory;
    list->capacity = capacity;
    list->slots = slots;
    list->slot_mask = slot_count - 1;
    list->seed = (uint64_t)(uintptr_t)memory;
    list->head = (uint32_t)first;
    node_at(list, list->head)->height = NEXA_SKIPLIST_HEIGHT_MAX;
    atomic_store_explicit(&list->height, 1, memory_order_relaxed);
    atomic_store_explicit(&list->used, needed, memory_order_relaxed);
    *result = list;
    return NEXA_OK;
}

void nexa_skiplist_destroy(nexa_skiplist *list) {
    if (!list) return;
    munmap((void *)list->slots, (list->slot_mask + 1) * sizeof(uint64_t));
    munmap(list, list->capacity);
}

size_t nexa_skiplist_capacity(const nexa_skiplist *list) { return list->capacity; }

size_t nexa_skiplist_byte_count(const nexa_skiplist *list) {
    return atomic_load_explicit(&list->used, memory_order_relaxed);
}

uint64_t nexa_skiplist_entry_count(const nexa_skiplist *list) {
    return atomic_load_explicit(&list->entry_count, memory_order_relaxed);
}

size_t nexa_skiplist_insert_max(size_t key_len, size_t value_len) {
    return node_byte_count(NEXA_SKIPLIST_HEIGHT_MAX, key_len, value_len);
}

/* MARK: searching */

/* From `*prev`, which is below the target, along one level: to the last node below the target and the one behind it. `bound`
 * is known not to be below: the node that ended the level above. */
static void search_level(
    const nexa_skiplist *list, const target *target, unsigned level, uint32_t bound, uint32_t *prev, uint32_t *next) {
    uint32_t before = *prev;
    uint32_t after = next_of(list, before, level);
    while (after != bound && after != NIL) {
        const node *candidate = node_at(list, after);
        __builtin_prefetch(candidate);
        /* While this one is on its way, ask for the one that is looked at next if it is too far. */
        if (level > 0) __builtin_prefetch(node_at(list, next_of(list, before, level - 1)));
        if (!is_below(candidate, target)) break;
        before = after;
        after = next_of(list, before, level);
    }
    *prev = before;
    *next = after;
}

/* The first node at or behind the target. */
static uint32_t search(const nexa_skiplist *list, const target *target) {
    uint32_t prev = list->head, next = NIL;
    for (unsigned level = atomic_load_explicit(&list->height, memory_order_acquire); level-- > 0;)
        search_level(list, target, level, next, &prev, &next);
    return next;
}

static inline bool has_key(const node *node, const uint8_t *key, size_t key_len) {
    return node->key_len == key_len && (key_len == 0 || memcmp(key_of(node), key, key_len) == 0);
}

/* MARK: the hash table */

/* The newest node of the key; NIL when the table does not have it. `*is_complete`: then the list does not have it either. */
static uint32_t find_indexed(const nexa_skiplist *list, const uint8_t *key, size_t key_len, uint64_t hash, bool *is_complete) {
    for (uint64_t at = hash & list->slot_mask;; at = (at + 1) & list->slot_mask) {
        uint64_t slot = atomic_load_explicit(&list->slots[at], memory_order_acquire);
        if (slot == 0) break;
        if (slot >> 32 == hash >> 32 && has_key(node_at(list, (uint32_t)slot), key, key_len)) return (uint32_t)slot;
    }
    *is_complete = !atomic_load_explicit(&list->has_unindexed, memory_order_acquire);
    return NIL;
}

/* Makes the table point to the node, unless it knows a newer one of the key. A key that has to be left out is announced before its
 * insert returns. */
static void index_node(nexa_skiplist *list, uint32_t offset, const uint8_t *key, size_t key_len, uint64_t hash) {
    uint64_t added = (hash >> 32 << 32) | offset;
    uint64_t lsn = node_at(list, offset)->lsn;
    for (uint64_t at = hash & list->slot_mask;; at = (at + 1) & list->slot_mask) {
        uint64_t slot = atomic_load_explicit(&list->slots[at], memory_order_acquire);
        if (slot == 0) {
            uint64_t limit = (list->slot_mask + 1) / 4 * 3;
            if (atomic_fetch_add_explicit(&list->slots_taken, 1, memory_order_relaxed) >= limit) {
                atomic_fetch_sub_explicit(&list->slots_taken, 1, memory_order_relaxed);
                atomic_store_explicit(&list->has_unindexed, true, memory_order_release);
                return;
            }
            if (atomic_compare_exchange_strong_explicit(&list->slots[at], &slot, added, memory_order_acq_rel,
                                                        memory_order_acquire))
                return;
            atomic_fetch_sub_explicit(&list->slots_taken, 1, memory_order_relaxed);
        }
        if (slot >> 32 != hash >> 32 || !has_key(node_at(list, (uint32_t)slot), key, key_len)) continue;
        while (node_at(list, (uint32_t)slot)->lsn <= lsn)
            if (atomic_compare_exchange_weak_explicit(&list->slots[at], &slot, added, memory_order_acq_rel,
                                                      memory_order_acquire))
                return;
        return;
    }
}

bool nexa_skiplist_get(const nexa_skiplist *list, const uint8_t *key, size_t key_len, uint64_t hash, uint64_t lsn,
                       nexa_entry *entry) {
    bool is_complete = true;
    uint32_t offset = find_indexed(list, key, key_len, hash, &is_complete);
    entry->valid = false;
    if (offset == NIL) {
        if (is_complete) return false;
        target target = make_target(key, key_len, lsn);
        offset = search(list, &target);
        if (offset == NIL || !has_key(node_at(list, offset), key, key_len)) return false;
    }
    /* The versions of a key stand side by side, the newest first: an old reader of a busy key searches for its own. */
    for (unsigned steps = 0; node_at(list, offset)->lsn > lsn; steps++) {
        if (steps < VERSIONS_BEFORE_SEARCH) {
            offset = next_of(list, offset, 0);
        } else {
            target target = make_target(key, key_len, lsn);
            offset = search(list, &target);
        }
        if (offset == NIL || !has_key(node_at(list, offset), key, key_len)) return false;
    }
    const node *found = node_at(list, offset);
    entry->key = key_of(found);
    entry->key_len = found->key_len;
    entry->value = entry->key + found->key_len;
    entry->value_len = found->value_len;
    entry->lsn = found->lsn;
    entry->kind = found->kind;
    entry->valid = true;
    return true;
}

/* MARK: inserting */

/* Heights with probability 1/4 each, from the node's own place: no shared state, no two nodes alike. */
static unsigned random_height(const nexa_skiplist *list, uint64_t place) {
    uint64_t x = (list->seed ^ place) + 0x9E3779B97F4A7C15u * (place + 1);
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    x ^= x >> 31;
    unsigned height = 1 + (unsigned)__builtin_ctzll(x | (uint64_t)1 << 62) / 2;
    return height < NEXA_SKIPLIST_HEIGHT_MAX ? height : NEXA_SKIPLIST_HEIGHT_MAX;
}

/* Takes arena bytes, or NIL. */
static uint32_t allocate(nexa_skiplist *list, size_t byte_count) {
    uint64_t used = atomic_load_explicit(&list->used, memory_order_relaxed);
    do {
        if (byte_count > list->capacity - used) return NIL;
    } while (!atomic_compare_exchange_weak_explicit(&list->used, &used, used + byte_count, memory_order_relaxed,
                                                    memory_order_relaxed));
    return (uint32_t)used;
}

/* The lowest level of the hint whose gap holds the target; the hint's height where none does. */
static unsigned usable_level(const nexa_skiplist *list, const nexa_skiplist_hint *hint, const target *target) {
    unsigned level = 0;
    for (; level < hint->height; level++) {
        uint32_t prev = hint->prev[level], next = hint->next[level];
        if (next_of(list, prev, level) != next) continue;
        if (prev != list->head && !is_below(node_at(list, prev), target)) continue;
        if (next != NIL && is_below(node_at(list, next), target)) continue;
        break;
    }
    return level;
}

/* Fills the hint with the gap of the target on every level below `height`. */
static void find_gap(const nexa_skiplist *list, nexa_skiplist_hint *hint, const target *target, unsigned height) {
    unsigned level = hint->height < height ? hint->height : usable_level(list, hint, target);
    uint32_t prev = list->head, next = NIL;
    if (level < hint->height) {
        prev = hint->prev[level];
        next = hint->next[level];
    } else {
        level = hint->height = height;
    }
    while (level-- > 0) {
        search_level(list, target, level, next, &prev, &next);
        hint->prev[level] = prev;
        hint->next[level] = next;
    }
}

/* Puts the node into its gap on level 0, with both links. False when the gap has been filled by somebody else. */
static bool link_bottom(nexa_skiplist *list, uint32_t offset, uint32_t prev, uint32_t next) {
    node *added = node_at(list, offset);
    atomic_store_explicit(&added->prev, prev, memory_order_relaxed);
    atomic_store_explicit(&added->next[0], next, memory_order_relaxed);
    if (next != NIL) {
        /* `next` may not point back to `prev` yet: whoever put `prev` there is between its two steps. Help it, but only where
         * the two are still neighbours; otherwise our own CAS below fails. */
        uint32_t back = atomic_load_explicit(&node_at(list, next)->prev, memory_order_acquire);
        if (back != prev && next_of(list, prev, 0) == next)
            atomic_compare_exchange_strong_explicit(&node_at(list, next)->prev, &back, prev, memory_order_acq_rel,
                                                    memory_order_relaxed);
    }
    uint32_t expected = next;
    if (!atomic_compare_exchange_strong_explicit(&node_at(list, prev)->next[0], &expected, offset, memory_order_acq_rel,
                                                 memory_order_relaxed))
        return false;
    if (next != NIL) {
        uint32_t back = prev;
        atomic_compare_exchange_strong_explicit(&node_at(list, next)->prev, &back, offset, memory_order_acq_rel,
                                                memory_order_relaxed);
    }
    return true;
}

static bool link_above(nexa_skiplist *list, uint32_t offset, unsigned level, uint32_t prev, uint32_t next) {
    atomic_store_explicit(&node_at(list, offset)->next[level], next, memory_order_relaxed);
    return atomic_compare_exchange_strong_explicit(&node_at(list, prev)->next[level], &next, offset, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

nexa_status nexa_skiplist_insert(nexa_skiplist *list, nexa_skiplist_hint *hint, const uint8_t *key, size_t key_len,
                                 uint64_t lsn, uint8_t kind, const uint8_t *value, size_t value_len) {
    if (key_len > NEXA_KEY_BYTE_COUNT_MAX || value_len > UINT32_MAX || lsn > NEXA_LSN_MAX) return NEXA_TOO_LARGE;
    target target = make_target(key, key_len, lsn);
    unsigned height = random_height(list, atomic_load_explicit(&list->used, memory_order_relaxed));
    uint32_t offset = allocate(list, node_byte_count(height, key_len, value_len));
    if (offset == NIL) return NEXA_FULL;
    node *added = node_at(list, offset);
    added->prefix = target.prefix;
    added->lsn = lsn;
    added->value_len = (uint32_t)value_len;
    added->key_len = (uint16_t)key_len;
    added->height = (uint8_t)height;
    added->kind = kind;
    uint8_t *bytes = (uint8_t *)&added->next[height];
    if (key_len > 0) memcpy(bytes, key, key_len);
    if (value_len > 0) memcpy(bytes + key_len, value, value_len);

    uint32_t tallest = atomic_load_explicit(&list->height, memory_order_relaxed);
    while (height > tallest && !atomic_compare_exchange_weak_explicit(&list->height, &tallest, height, memory_order_acq_rel,
                                                                      memory_order_relaxed)) {
    }
    nexa_skiplist_hint own = {0};
    if (!hint) hint = &own;
    find_gap(list, hint, &target, height > tallest ? height : tallest);
    for (unsigned level = 0; level < height; level++) {
        uint32_t prev = hint->prev[level], next = hint->next[level];
        while (!(level == 0 ? link_bottom(list, offset, prev, next) : link_above(list, offset, level, prev, next)))
            search_level(list, &target, level, NIL, &prev, &next);
        hint->prev[level] = offset;
        hint->next[level] = next;
    }
    index_node(list, offset, key, key_len, nexa_xxh3(key, key_len, 0));
    atomic_fetch_add_explicit(&list->entry_count, 1, memory_order_relaxed);
    return NEXA_OK;
}

/* MARK: walking */

static inline void stand_on(nexa_skiplist_cursor *cursor, uint32_t offset) {
    cursor->node = offset;
    cursor->entry.valid = offset != NIL && offset != cursor->list->head;
    if (!cursor->entry.valid) return;
    const node *found = node_at(cursor->list, offset);
    cursor->entry.key = key_of(found);
    cursor->entry.key_len = found->key_len;
    cursor->entry.value = cursor->entry.key + found->key_len;
    cursor->entry.value_len = found->value_len;
    cursor->entry.lsn = found->lsn;
    cursor->entry.kind = found->kind;
}

void nexa_skiplist_cursor_first(nexa_skiplist_cursor *cursor) {
    stand_on(cursor, next_of(cursor->list, cursor->list->head, 0));
}

void nexa_skiplist_cursor_last(nexa_skiplist_cursor *cursor) {
    const nexa_skiplist *list = cursor->list;
    uint32_t last = list->head;
    for (unsigned level = atomic_load_explicit(&list->height, memory_order_acquire); level-- > 0;)
        for (uint32_t next = next_of(list, last, level); next != NIL; next = next_of(list, last, level)) last = next;
    stand_on(cursor, last);
}

void nexa_skiplist_cursor_seek(nexa_skiplist_cursor *cursor, const uint8_t *key, size_t key_len, uint64_t lsn) {
    target target = make_target(key, key_len, lsn);
    stand_on(cursor, search(cursor->list, &target));
}

void nexa_skiplist_cursor_next(nexa_skiplist_cursor *cursor) {
    uint32_t next = next_of(cursor->list, cursor->node, 0);
    if (next != NIL) __builtin_prefetch(node_at(cursor->list, next_of(cursor->list, next, 0)));
    stand_on(cursor, next);
}

void nexa_skiplist_cursor_prev(nexa_skiplist_cursor *cursor) {
    stand_on(cursor, atomic_load_explicit(&node_at(cursor->list, cursor->node)->prev, memory_order_acquire));
}

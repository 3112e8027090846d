/* The arena skiplist of nexa_skiplist.h: its life, the search, inserts and cursors. */
#include "nexa_skiplist_parts.h"

#include "nexa_hash.h"

#include <sys/mman.h>

enum { HUGE_PAGES_FROM = 4 << 20, NODE_HEADER_BYTE_COUNT = offsetof(node, bytes), COMMON_MARGIN_BYTE_COUNT = 2 };

/* An entry's share of the leaves: all but the last hold half of what they can. */
enum { LEAF_SHARE_BYTE_COUNT = sizeof(leaf) / (LEAF_ENTRY_COUNT / 2) };

static inline size_t node_byte_count(size_t key_len, size_t value_len) {
    return (NODE_HEADER_BYTE_COUNT + key_len + value_len + 7) & ~(size_t)7;
}

/* A slot for each 128 bytes of arena: enough for entries of about that size and more, and 1/16 of the arena's memory. */
static uint64_t slot_count_for(size_t capacity) {
    uint64_t count = 1024;
    while (count < capacity / 128) count *= 2;
    return count;
}

/* MARK: memory */

/* Entries and leaves share one counter, so that neither can run into the other. */
static inline size_t nodes_end(uint64_t used) { return (size_t)(used >> 32) * 8; }
static inline size_t leaves_start(const nexa_skiplist *list, uint64_t used) {
    return list->capacity - (size_t)(uint32_t)used * sizeof(leaf);
}

static bool take(nexa_skiplist *list, size_t node_bytes, unsigned leaf_count, uint64_t *before) {
    uint64_t added = (uint64_t)(node_bytes / 8) << 32 | leaf_count;
    uint64_t used = atomic_load_explicit(&list->used, memory_order_relaxed);
    do {
        if (node_bytes + leaf_count * sizeof(leaf) > leaves_start(list, used) - nodes_end(used)) return false;
    } while (!atomic_compare_exchange_weak_explicit(&list->used, &used, used + added, memory_order_relaxed,
                                                    memory_order_relaxed));
    *before = used;
    return true;
}

static uint32_t take_node(nexa_skiplist *list, size_t byte_count) {
    uint64_t before;
    return take(list, byte_count, 0, &before) ? (uint32_t)nodes_end(before) : NIL;
}

/* An empty leaf, or NIL. */
static uint32_t take_leaf(nexa_skiplist *list) {
    uint64_t before;
    if (!take(list, 0, 1, &before)) return NIL;
    uint32_t offset = (uint32_t)(leaves_start(list, before) - sizeof(leaf));
    memset((void *)leaf_at(list, offset), 0, sizeof(leaf));
    return offset;
}

nexa_status nexa_skiplist_create(size_t capacity, nexa_skiplist **result) {
    capacity &= ~(size_t)63;
    if (capacity < sizeof(nexa_skiplist) + sizeof(leaf) || capacity > UINT32_MAX) return NEXA_TOO_LARGE;
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
    nexa_skiplist_reset(list);
    *result = list;
    return NEXA_OK;
}

void nexa_skiplist_reset(nexa_skiplist *list) {
    if (atomic_load_explicit(&list->slots_taken, memory_order_relaxed) > 0)
        memset((void *)list->slots, 0, (list->slot_mask + 1) * sizeof(uint64_t));
    atomic_store_explicit(&list->slots_taken, 0, memory_order_relaxed);
    atomic_store_explicit(&list->has_unindexed, false, memory_order_relaxed);
    atomic_store_explicit(&list->entry_count, 0, memory_order_relaxed);
    atomic_store_explicit(&list->has_common, 0, memory_order_relaxed);
    list->common_len = 0;
    uint64_t first = (sizeof(nexa_skiplist) + 7) / 8;
    atomic_store_explicit(&list->used, first << 32, memory_order_relaxed);
    list->head = take_leaf(list);
    leaf_at(list, list->head)->height = LEAF_HEIGHT_MAX;
    atomic_store_explicit(&list->height, 1, memory_order_release);
}

void nexa_skiplist_destroy(nexa_skiplist *list) {
    if (!list) return;
    munmap((void *)list->slots, (list->slot_mask + 1) * sizeof(uint64_t));
    munmap(list, list->capacity);
}

size_t nexa_skiplist_capacity(const nexa_skiplist *list) { return list->capacity; }

size_t nexa_skiplist_byte_count(const nexa_skiplist *list) {
    uint64_t entry_count = atomic_load_explicit(&list->entry_count, memory_order_relaxed);
    uint64_t used = atomic_load_explicit(&list->used, memory_order_relaxed);
    return nodes_end(used) + sizeof(leaf) + entry_count * LEAF_SHARE_BYTE_COUNT;
}

uint64_t nexa_skiplist_entry_count(const nexa_skiplist *list) {
    return atomic_load_explicit(&list->entry_count, memory_order_relaxed);
}

size_t nexa_skiplist_insert_max(size_t key_len, size_t value_len) {
    return node_byte_count(key_len, value_len) + LEAF_SHARE_BYTE_COUNT;
}

/* MARK: searching */

uint32_t nexa_skiplist_find_leaf(const nexa_skiplist *list, const target *target) {
    uint32_t at = list->head, bound = NIL;
    for (unsigned level = atomic_load_explicit(&list->height, memory_order_acquire); level-- > 0;) {
        uint32_t next = next_leaf(leaf_at(list, at), level);
        while (next != bound && next != NIL && begins_below(list, leaf_at(list, next), target)) {
            at = next;
            next = next_leaf(leaf_at(list, at), level);
        }
        bound = next;
    }
    return at;
}

/* The place of the first of the leaf's `count` entries that is not below the target. Under the lock, or between begin and end of a
 * read: then what it says may be wrong, but every entry it looks at is one. */
static uint32_t lower_bound(const nexa_skiplist *list, const leaf *leaf, uint32_t count, const target *target) {
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        uint64_t prefix = atomic_load_explicit(&leaf->prefix[middle], memory_order_relaxed);
        bool is_below = prefix < target->prefix;
        if (prefix == target->prefix) {
            uint32_t entry = atomic_load_explicit(&leaf->entry[middle], memory_order_acquire);
            is_below = entry != NIL && is_node_below(node_at(list, entry), target);
        }
        if (is_below) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* A place in a leaf, as it was at one moment. */
typedef struct place {
    uint32_t leaf;
    uint32_t version;
    uint32_t index;
    uint32_t count;
    /* The entry there; NIL behind the leaf's last. */
    uint32_t entry;
} place;

/* Reads where the target belongs in this leaf and nowhere else. False: the target is outdated. */
static bool read_leaf(const nexa_skiplist *list, uint32_t offset, const target *target, place *place) {
    const leaf *leaf = leaf_at(list, offset);
    do {
        place->leaf = offset;
        place->version = leaf_begin_read(leaf);
        if (is_outdated(list, target)) return false;
        place->count = atomic_load_explicit(&leaf->count, memory_order_relaxed);
        place->index = lower_bound(list, leaf, place->count, target);
        place->entry = place->index < place->count
                           ? atomic_load_explicit(&leaf->entry[place->index], memory_order_acquire)
                           : NIL;
    } while (!leaf_end_read(leaf, place->version));
    return true;
}

/* To the first entry at or behind the target, from this leaf on, which begins below it. False: the target is outdated. */
static bool read_rightwards(const nexa_skiplist *list, uint32_t offset, const target *target, place *place) {
    while (offset != NIL) {
        if (!read_leaf(list, offset, target, place)) return false;
        if (place->entry != NIL) return true;
        offset = next_leaf(leaf_at(list, offset), 0);
    }
    return true;
}

static void locate(const nexa_skiplist *list, const uint8_t *key, size_t key_len, uint64_t lsn, place *place) {
    for (;;) {
        target target = make_target(list, key, key_len, lsn);
        if (read_rightwards(list, nexa_skiplist_find_leaf(list, &target), &target, place)) return;
    }
}

uint32_t nexa_skiplist_search(const nexa_skiplist *list, const uint8_t *key, size_t key_len, uint64_t lsn) {
    place place;
    locate(list, key, key_len, lsn, &place);
    return place.entry;
}

/* MARK: inserting */

/* Heights with probability 1/4 each, from the leaf's own place: no shared state, no two leaves alike. */
static unsigned random_height(const nexa_skiplist *list, uint64_t place) {
    uint64_t x = (list->seed ^ place) + 0x9E3779B97F4A7C15u * (place + 1);
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    x ^= x >> 31;
    unsigned height = 1 + (unsigned)__builtin_ctzll(x | (uint64_t)1 << 62) / 2;
    return height < LEAF_HEIGHT_MAX ? height : LEAF_HEIGHT_MAX;
}

/* Locks the leaf that the target belongs to and finds its place there; false: the target is outdated, nothing is locked. */
static bool lock_place(nexa_skiplist *list, const target *target, place *place) {
    place->leaf = nexa_skiplist_find_leaf(list, target);
    for (;;) {
        leaf *leaf = leaf_at(list, place->leaf);
        leaf_lock(leaf);
        if (is_outdated(list, target)) {
            leaf_unlock(leaf);
            return false;
        }
        place->count = atomic_load_explicit(&leaf->count, memory_order_relaxed);
        place->index = lower_bound(list, leaf, place->count, target);
        uint32_t right = next_leaf(leaf, 0);
        if (place->index < place->count || right == NIL || !begins_below(list, leaf_at(list, right), target)) return true;
        leaf_unlock(leaf);
        place->leaf = right;
    }
}

static inline void set_entry(leaf *leaf, uint32_t index, uint64_t prefix, uint32_t entry) {
    atomic_store_explicit(&leaf->prefix[index], prefix, memory_order_relaxed);
    /* Whoever reads the offset may read the entry, whichever thread wrote that. */
    atomic_store_explicit(&leaf->entry[index], entry, memory_order_release);
}

/* Fixes the common bytes by the keys of the first full leaf, the only one there is. A little less than these have in common: so the
 * prefixes of ids that grow with time tell more than the present moment apart. */
static void fix_common(nexa_skiplist *list, leaf *leaf) {
    const node *first = node_at(list, atomic_load_explicit(&leaf->entry[0], memory_order_relaxed));
    const node *last = node_at(list, atomic_load_explicit(&leaf->entry[LEAF_ENTRY_COUNT - 1], memory_order_relaxed));
    size_t len = nexa_common_prefix(first->bytes, first->key_len, last->bytes, last->key_len);
    len = len > COMMON_MARGIN_BYTE_COUNT ? len - COMMON_MARGIN_BYTE_COUNT : 0;
    if (len > COMMON_BYTE_COUNT_MAX) len = COMMON_BYTE_COUNT_MAX;
    list->common_len = (uint32_t)len;
    memcpy(list->common, first->bytes, len);
    atomic_store_explicit(&list->has_common, 1, memory_order_release);
    for (uint32_t i = 0; i < LEAF_ENTRY_COUNT; i++) {
        uint32_t entry = atomic_load_explicit(&leaf->entry[i], memory_order_relaxed);
        set_entry(leaf, i, list_prefix(list, 1, node_at(list, entry)->bytes, node_at(list, entry)->key_len), entry);
    }
}

/* Gives the upper entries of a full, locked leaf to a new right neighbour, none of them when the target goes behind the last entry of
 * the list. The target's place is then in one of the two; the new leaf, if the place is there, is locked in the old one's stead.
 * Answers the new leaf, whose upper links are still to be made; NIL when the arena is full: nothing has changed. */
static uint32_t split(nexa_skiplist *list, place *place, target *target, uint32_t added) {
    uint32_t right = take_leaf(list);
    if (right == NIL) return NIL;
    leaf *old = leaf_at(list, place->leaf), *new = leaf_at(list, right);
    if (!target->has_common) {
        fix_common(list, old);
        *target = make_target(list, target->key, target->key_len, target->lsn);
    }
    bool is_append = next_leaf(old, 0) == NIL && place->index == LEAF_ENTRY_COUNT;
    uint32_t kept = is_append ? LEAF_ENTRY_COUNT : LEAF_ENTRY_COUNT / 2;
    for (uint32_t i = kept; i < LEAF_ENTRY_COUNT; i++)
        set_entry(new, i - kept, atomic_load_explicit(&old->prefix[i], memory_order_relaxed),
                  atomic_load_explicit(&old->entry[i], memory_order_relaxed));
    new->low = is_append ? added : atomic_load_explicit(&old->entry[kept], memory_order_relaxed);
    new->low_prefix = is_append ? target->prefix : atomic_load_explicit(&old->prefix[kept], memory_order_relaxed);
    new->height = random_height(list, right);
    atomic_store_explicit(&new->count, LEAF_ENTRY_COUNT - kept, memory_order_relaxed);
    atomic_store_explicit(&new->next[0], next_leaf(old, 0), memory_order_relaxed);
    bool goes_right = is_append || place->index > kept;
    if (goes_right) leaf_lock(new);
    atomic_store_explicit(&old->next[0], right, memory_order_release);
    atomic_store_explicit(&old->count, kept, memory_order_relaxed);
    place->count = kept;
    if (goes_right) {
        leaf_unlock(old);
        place->leaf = right;
        place->index -= kept;
        place->count = LEAF_ENTRY_COUNT - kept;
    }
    return right;
}

/* Links a new leaf on the levels above the lowest; until then searches find it from its left neighbour. */
static void link_towers(nexa_skiplist *list, uint32_t offset) {
    leaf *added = leaf_at(list, offset);
    const node *low = node_at(list, added->low);
    target target = make_target(list, low->bytes, low->key_len, low->lsn);
    uint32_t tallest = atomic_load_explicit(&list->height, memory_order_relaxed);
    while (added->height > tallest && !atomic_compare_exchange_weak_explicit(&list->height, &tallest, added->height,
                                                                             memory_order_acq_rel, memory_order_relaxed)) {
    }
    uint32_t at = list->head;
    for (unsigned level = LEAF_HEIGHT_MAX; level-- > 1;) {
        for (;;) {
            uint32_t next = next_leaf(leaf_at(list, at), level);
            if (next != NIL && begins_below(list, leaf_at(list, next), &target)) {
                at = next;
                continue;
            }
            if (level >= added->height) break;
            atomic_store_explicit(&added->next[level], next, memory_order_relaxed);
            if (atomic_compare_exchange_strong_explicit(&leaf_at(list, at)->next[level], &next, offset, memory_order_acq_rel,
                                                        memory_order_relaxed))
                break;
        }
    }
}

/* Puts the entry into its leaf. False: no room for another leaf. */
static bool link_entry(nexa_skiplist *list, uint32_t offset, target target) {
    place place;
    while (!lock_place(list, &target, &place)) target = make_target(list, target.key, target.key_len, target.lsn);
    uint32_t fresh = NIL;
    if (place.count == LEAF_ENTRY_COUNT) {
        fresh = split(list, &place, &target, offset);
        if (fresh == NIL) {
            leaf_unlock(leaf_at(list, place.leaf));
            return false;
        }
    }
    leaf *leaf = leaf_at(list, place.leaf);
    for (uint32_t i = place.count; i > place.index; i--)
        set_entry(leaf, i, atomic_load_explicit(&leaf->prefix[i - 1], memory_order_relaxed),
                  atomic_load_explicit(&leaf->entry[i - 1], memory_order_relaxed));
    set_entry(leaf, place.index, target.prefix, offset);
    atomic_store_explicit(&leaf->count, place.count + 1, memory_order_relaxed);
    leaf_unlock(leaf);
    if (fresh != NIL && leaf_at(list, fresh)->height > 1) link_towers(list, fresh);
    return true;
}

nexa_status nexa_skiplist_insert(nexa_skiplist *list, const uint8_t *key, size_t key_len, uint64_t lsn, uint8_t kind,
                                 const uint8_t *value, size_t value_len) {
    if (key_len > NEXA_KEY_BYTE_COUNT_MAX || value_len > UINT32_MAX || lsn > NEXA_LSN_MAX) return NEXA_TOO_LARGE;
    /* Room for the entry's share of leaves that will be needed later, so that `byte_count` never passes the capacity. */
    if (nexa_skiplist_byte_count(list) + nexa_skiplist_insert_max(key_len, value_len) > list->capacity) return NEXA_FULL;
    uint64_t hash = nexa_xxh3(key, key_len, 0);
    __builtin_prefetch((const void *)&list->slots[hash & list->slot_mask], 1);
    size_t byte_count = node_byte_count(key_len, value_len);
    uint32_t offset = take_node(list, byte_count);
    if (offset == NIL) return NEXA_FULL;
    node *added = node_at(list, offset);
    added->lsn = lsn;
    added->value_len = (uint32_t)value_len;
    added->key_len = (uint16_t)key_len;
    added->kind = kind;
    added->unused = 0;
    atomic_store_explicit(&added->older, NIL, memory_order_relaxed);
    if (key_len > 0) memcpy(added->bytes, key, key_len);
    if (value_len > 0) memcpy(added->bytes + key_len, value, value_len);
    if (!link_entry(list, offset, make_target(list, key, key_len, lsn))) return NEXA_FULL;
    nexa_skiplist_index(list, offset, key, key_len, hash);
    atomic_fetch_add_explicit(&list->entry_count, 1, memory_order_relaxed);
    return NEXA_OK;
}

/* MARK: walking */

static void stand_on(nexa_skiplist_cursor *cursor, const place *place) {
    cursor->leaf = place->leaf;
    cursor->version = place->version;
    cursor->index = place->index;
    cursor->node = place->entry;
    cursor->entry.valid = place->entry != NIL;
    if (place->entry != NIL) describe(node_at(cursor->list, place->entry), &cursor->entry);
}

/* The entry at `index` of a leaf; behind its end the first of the leaves to its right. */
static void stand_at(nexa_skiplist_cursor *cursor, uint32_t offset, uint32_t index) {
    place place = {.entry = NIL};
    for (; offset != NIL; index = 0, offset = next_leaf(leaf_at(cursor->list, offset), 0)) {
        const leaf *leaf = leaf_at(cursor->list, offset);
        place.leaf = offset;
        place.index = index;
        do {
            place.version = leaf_begin_read(leaf);
            place.count = atomic_load_explicit(&leaf->count, memory_order_relaxed);
            place.entry = index < place.count ? atomic_load_explicit(&leaf->entry[index], memory_order_acquire) : NIL;
        } while (!leaf_end_read(leaf, place.version));
        if (place.entry != NIL) break;
    }
    stand_on(cursor, &place);
}

/* Finds the cursor's entry again after its leaf has changed: further right, in this leaf or a newer one. */
static void find_again(nexa_skiplist_cursor *cursor) {
    for (;;) {
        const leaf *leaf = leaf_at(cursor->list, cursor->leaf);
        uint32_t version = leaf_begin_read(leaf);
        uint32_t count = atomic_load_explicit(&leaf->count, memory_order_relaxed), index = 0;
        while (index < count && atomic_load_explicit(&leaf->entry[index], memory_order_acquire) != cursor->node) index++;
        if (!leaf_end_read(leaf, version)) continue;
        cursor->version = version;
        cursor->index = index;
        if (index < count) return;
        cursor->leaf = next_leaf(leaf, 0);
    }
}

void nexa_skiplist_cursor_first(nexa_skiplist_cursor *cursor) { stand_at(cursor, cursor->list->head, 0); }

void nexa_skiplist_cursor_seek(nexa_skiplist_cursor *cursor, const uint8_t *key, size_t key_len, uint64_t lsn) {
    place place;
    locate(cursor->list, key, key_len, lsn, &place);
    stand_on(cursor, &place);
}

void nexa_skiplist_cursor_next(nexa_skiplist_cursor *cursor) {
    for (;;) {
        const leaf *leaf = leaf_at(cursor->list, cursor->leaf);
        if (atomic_load_explicit(&leaf->version, memory_order_acquire) != cursor->version) {
            find_again(cursor);
            leaf = leaf_at(cursor->list, cursor->leaf);
        }
        place place = {.leaf = cursor->leaf, .version = cursor->version, .index = cursor->index + 1, .entry = NIL};
        uint32_t count = atomic_load_explicit(&leaf->count, memory_order_relaxed);
        uint32_t right = next_leaf(leaf, 0);
        if (place.index < count) place.entry = atomic_load_explicit(&leaf->entry[place.index], memory_order_acquire);
        /* Entries lie where they were inserted, not in order: ask for one that is to come. */
        if (place.index + 3 < LEAF_ENTRY_COUNT)
            __builtin_prefetch(node_at(cursor->list, atomic_load_explicit(&leaf->entry[place.index + 3], memory_order_relaxed)));
        if (!leaf_end_read(leaf, cursor->version)) continue;
        if (place.entry != NIL) {
            stand_on(cursor, &place);
        } else {
            stand_at(cursor, right, 0);
        }
        return;
    }
}

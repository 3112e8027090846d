/* Point look-ups in the arena skiplist: the hash table from key to the newest entry, and the links from there to older ones. */
#include "nexa_skiplist_parts.h"

/* Older versions of a key that a look-up steps over before it searches the leaves. */
enum { VERSIONS_BEFORE_SEARCH = 8 };

/* The newest entry of the key; NIL when the table does not have it. `*is_complete`: then the list does not have it either. */
static uint32_t find_indexed(const nexa_skiplist *list, const uint8_t *key, size_t key_len, uint64_t hash, bool *is_complete) {
    for (uint64_t at = hash & list->slot_mask;; at = (at + 1) & list->slot_mask) {
        uint64_t slot = atomic_load_explicit(&list->slots[at], memory_order_acquire);
        if (slot == 0) break;
        if (slot >> 32 == hash >> 32 && has_key(node_at(list, (uint32_t)slot), key, key_len)) return (uint32_t)slot;
    }
    *is_complete = !atomic_load_explicit(&list->has_unindexed, memory_order_acquire);
    return NIL;
}

/* Puts the entry into the chain behind `newer`, in descending order of LSNs; equal ones in front. */
static void chain_behind(const nexa_skiplist *list, uint32_t newer, uint32_t offset) {
    node *added = node_at(list, offset);
    for (;;) {
        uint32_t older = atomic_load_explicit(&node_at(list, newer)->older, memory_order_acquire);
        if (older != NIL && node_at(list, older)->lsn > added->lsn) {
            newer = older;
            continue;
        }
        atomic_store_explicit(&added->older, older, memory_order_relaxed);
        if (atomic_compare_exchange_strong_explicit(&node_at(list, newer)->older, &older, offset, memory_order_acq_rel,
                                                    memory_order_acquire))
            return;
    }
}

/* A key that has to be left out is announced before its insert returns. */
void nexa_skiplist_index(nexa_skiplist *list, uint32_t offset, const uint8_t *key, size_t key_len, uint64_t hash) {
    uint64_t added = (hash >> 32 << 32) | offset;
    node *node = node_at(list, offset);
    for (uint64_t at = hash & list->slot_mask;; at = (at + 1) & list->slot_mask) {
        uint64_t slot = atomic_load_explicit(&list->slots[at], memory_order_acquire);
        if (slot == 0) {
            /* Never falls again, so a key that was left out stays out. A few more than the limit may get in at once. */
            if (atomic_load_explicit(&list->slots_taken, memory_order_relaxed) >= (list->slot_mask + 1) / 4 * 3) {
                atomic_store_explicit(&list->has_unindexed, true, memory_order_release);
                return;
            }
            if (atomic_compare_exchange_strong_explicit(&list->slots[at], &slot, added, memory_order_acq_rel,
                                                        memory_order_acquire)) {
                atomic_fetch_add_explicit(&list->slots_taken, 1, memory_order_relaxed);
                return;
            }
        }
        if (slot >> 32 != hash >> 32 || !has_key(node_at(list, (uint32_t)slot), key, key_len)) continue;
        while (node_at(list, (uint32_t)slot)->lsn <= node->lsn) {
            atomic_store_explicit(&node->older, (uint32_t)slot, memory_order_relaxed);
            if (atomic_compare_exchange_weak_explicit(&list->slots[at], &slot, added, memory_order_acq_rel,
                                                      memory_order_acquire))
                return;
        }
        chain_behind(list, (uint32_t)slot, offset);
        return;
    }
}

bool nexa_skiplist_get(const nexa_skiplist *list, const uint8_t *key, size_t key_len, uint64_t hash, uint64_t lsn,
                       nexa_entry *entry) {
    bool is_complete = true;
    uint32_t offset = find_indexed(list, key, key_len, hash, &is_complete);
    entry->valid = false;
    for (unsigned steps = 0; offset != NIL && node_at(list, offset)->lsn > lsn; steps++) {
        /* An old reader of a busy key searches for its own version. */
        is_complete = steps < VERSIONS_BEFORE_SEARCH;
        offset = is_complete ? atomic_load_explicit(&node_at(list, offset)->older, memory_order_acquire) : NIL;
    }
    if (offset == NIL) {
        if (is_complete) return false;
        offset = nexa_skiplist_search(list, key, key_len, lsn);
        if (offset == NIL || !has_key(node_at(list, offset), key, key_len)) return false;
    }
    describe(node_at(list, offset), entry);
    return true;
}

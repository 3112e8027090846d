/* Arena skiplist whose towers stand on leaves: entries in internal order (nexa_key.h) in one block of memory of fixed size.
 *
 * Any number of threads insert at once, readers take no lock, nothing is removed. A new entry with the key and LSN of an older one
 * goes in front of it. Offsets of 32 bits stand in for pointers:
 *
 *   entry = u64 lsn | u32 value length | u16 key length | u8 kind | u8 0 | u32 older | key bytes | value bytes | padding to 8
 *   leaf  = u32 version | u32 count | u32 low | u32 height | u64 prefix of low | u32 next[8] | u64 prefix[64] | u32 entry[64]
 *
 *   towers   head ───────────────────────► leaf ─────────────► leaf          a leaf's first cache line is all that a search reads
 *              └──────────► leaf ──────────► └──────► leaf ─────►┘
 *   leaves   [a b c ...]    [k l m ...]     [p q ...] [s t ...] [x y ...]     sorted arrays of prefixes and of entry offsets
 *
 * Searching a list of single entries costs a cache miss a step; here the steps are in few lines, and only equal prefixes need the
 * bytes of a key ("unrolled" lists: Shao, Reppy, Appel 1994). Entries grow from the bottom of the arena, leaves from its top.
 *
 * Invariants: a leaf's entries lie between its `low`, which never changes, and the `low` of its right neighbour; a full leaf gives its
 * upper half to a new right neighbour, so every leaf but the last is at least half full; whoever changes a leaf holds its version odd
 * meanwhile, and whoever reads one looks at the version before and after (a sequence lock, and Lehman and Yao's right links, 1981).
 * Keys of one collection share their first bytes: what the keys of the first full leaf have in common is cut off all prefixes.
 *
 * Beside the leaves stands an open hash table from key to the newest entry of that key, from which older ones are linked: a point
 * look-up costs two cache misses, and one when the key is not there. It is an accelerator only: when it is full, keys that it does
 * not know are searched for in the leaves.
 *
 *   slot = high 32 bits: of the key's hash | low 32 bits: offset of the entry;  0 = empty */
#ifndef NEXA_SKIPLIST_H
#define NEXA_SKIPLIST_H

#include "nexa_key.h"
#include "nexa_status.h"

typedef struct nexa_skiplist nexa_skiplist;

/* A list in `capacity` bytes of fresh memory from the system; pages that are never touched cost nothing. */
nexa_status nexa_skiplist_create(size_t capacity, nexa_skiplist **list);
/* Empties the list for its next use; its memory stays, and is not zeroed but where it must be. Nobody may use the list, its entries or
 * its iterators any more. */
void nexa_skiplist_reset(nexa_skiplist *list);
/* Gives the memory back. Nobody may use the list, its entries or its iterators any more. */
void nexa_skiplist_destroy(nexa_skiplist *list);

/* Copies the entry into the arena. NEXA_FULL changes nothing. */
nexa_status nexa_skiplist_insert(nexa_skiplist *list, const uint8_t *key, size_t key_len, uint64_t lsn, uint8_t kind,
                                 const uint8_t *value, size_t value_len);
/* What an insert adds to `nexa_skiplist_byte_count` at most. */
size_t nexa_skiplist_insert_max(size_t key_len, size_t value_len);

/* The newest entry of exactly `key` with an LSN of at most `lsn`; it stays valid as long as the list. `hash` is
 * nexa_xxh3(key, key_len, 0). */
bool nexa_skiplist_get(const nexa_skiplist *list, const uint8_t *key, size_t key_len, uint64_t hash, uint64_t lsn,
                       nexa_entry *entry);

/* Arena bytes in use, each entry with its share of half full leaves: while it stays below the capacity, inserts find room. */
size_t nexa_skiplist_byte_count(const nexa_skiplist *list);
size_t nexa_skiplist_capacity(const nexa_skiplist *list);
uint64_t nexa_skiplist_entry_count(const nexa_skiplist *list);

/* Walks the list while others insert; an entry inserted meanwhile may or may not be met. Zero all but `list`. */
typedef struct nexa_skiplist_cursor {
    nexa_entry entry;
    const nexa_skiplist *list;
    /* Where the entry lies, and the place that it had in the leaf of that version. */
    uint32_t node;
    uint32_t leaf;
    uint32_t version;
    uint32_t index;
} nexa_skiplist_cursor;

void nexa_skiplist_cursor_first(nexa_skiplist_cursor *cursor);
/* To the first entry at or behind (key, lsn). */
void nexa_skiplist_cursor_seek(nexa_skiplist_cursor *cursor, const uint8_t *key, size_t key_len, uint64_t lsn);
/* The cursor must be valid; behind the end it becomes invalid. */
void nexa_skiplist_cursor_next(nexa_skiplist_cursor *cursor);

#endif

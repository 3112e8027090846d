/* Arena skiplist: entries in internal order (nexa_key.h) in one block of memory of fixed size.
 *
 * Many threads insert at once, readers take no lock and never wait, nothing is removed. A new entry with the key and LSN of an
 * older one goes in front of it. Offsets of 32 bits stand in for pointers; a node carries the prefix of its key, so that most
 * steps of a search touch one cache line:
 *
 *   node = u64 prefix | u64 lsn | u32 value length | u16 key length | u8 height | u8 kind | u32 prev | u32 next[height]
 *          | key bytes | value bytes | padding to 8
 *
 * An insert has happened when its CAS on level 0 has; the links above it are only short cuts, and `prev` is helped along by the
 * next insert at the same place.
 *
 * Beside the list stands an open hash table from key to the newest entry of that key: a point look-up costs two cache misses, and
 * one when the key is not there, where a search from the top costs one per level. It is an accelerator only: when it is full, keys
 * that it does not know are searched for in the list.
 *
 *   slot = high 32 bits: of the key's hash | low 32 bits: offset of the node;  0 = empty */
#ifndef NEXA_SKIPLIST_H
#define NEXA_SKIPLIST_H

#include "nexa_key.h"
#include "nexa_status.h"

#define NEXA_SKIPLIST_HEIGHT_MAX 14

typedef struct nexa_skiplist nexa_skiplist;

/* Where the last insert of one thread went: inserts that come in order start there. Zero it first, and for another list. */
typedef struct nexa_skiplist_hint {
    uint32_t height;
    uint32_t prev[NEXA_SKIPLIST_HEIGHT_MAX];
    uint32_t next[NEXA_SKIPLIST_HEIGHT_MAX];
} nexa_skiplist_hint;

/* A list in `capacity` bytes of fresh memory from the system; pages that are never touched cost nothing. */
nexa_status nexa_skiplist_create(size_t capacity, nexa_skiplist **list);
/* Nobody may use the list, its entries or its iterators any more. */
void nexa_skiplist_destroy(nexa_skiplist *list);

/* Copies the entry into the arena. NEXA_FULL changes nothing. `hint` may be NULL. */
nexa_status nexa_skiplist_insert(nexa_skiplist *list, nexa_skiplist_hint *hint, const uint8_t *key, size_t key_len,
                                 uint64_t lsn, uint8_t kind, const uint8_t *value, size_t value_len);
/* Arena bytes that an insert takes at most. */
size_t nexa_skiplist_insert_max(size_t key_len, size_t value_len);

/* The newest entry of exactly `key` with an LSN of at most `lsn`; it stays valid as long as the list. `hash` is
 * nexa_xxh3(key, key_len, 0). */
bool nexa_skiplist_get(const nexa_skiplist *list, const uint8_t *key, size_t key_len, uint64_t hash, uint64_t lsn,
                       nexa_entry *entry);

size_t nexa_skiplist_byte_count(const nexa_skiplist *list);
size_t nexa_skiplist_capacity(const nexa_skiplist *list);
uint64_t nexa_skiplist_entry_count(const nexa_skiplist *list);

/* Walks the list while others insert; an entry inserted meanwhile may or may not be met. */
typedef struct nexa_skiplist_cursor {
    nexa_entry entry;
    const nexa_skiplist *list;
    uint32_t node;
} nexa_skiplist_cursor;

void nexa_skiplist_cursor_first(nexa_skiplist_cursor *cursor);
void nexa_skiplist_cursor_last(nexa_skiplist_cursor *cursor);
/* To the first entry at or behind (key, lsn). */
void nexa_skiplist_cursor_seek(nexa_skiplist_cursor *cursor, const uint8_t *key, size_t key_len, uint64_t lsn);
/* The cursor must be valid; behind an end it becomes invalid. */
void nexa_skiplist_cursor_next(nexa_skiplist_cursor *cursor);
void nexa_skiplist_cursor_prev(nexa_skiplist_cursor *cursor);

#endif

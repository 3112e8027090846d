/* Raw blocks: sorted entries with shared key prefixes, values apart from keys.
 *
 *   raw block = keys | values | restarts | tail
 *   keys      entries: varint shared | varint unshared | varint value length | varint tag | unshared key bytes
 *             tag = zigzag(lsn - base lsn) << 2 | kind;  shared is as long as it can be, and 0 at a restart
 *   values    the value bytes in the same order: a search touches only keys, and LZ4 sees like with like
 *   restarts  one for every restart interval of entries, from the first: u32 offset in keys | u32 offset in values
 *   tail      0 4 entry count    4 4 offset of values    8 4 offset of restarts    12 4 restart count
 *            16 1 restart interval   17 1 flags, 0   18 2 longest key   20 4 0   24 8 base lsn
 *
 * Entries are in strict internal order (nexa_key.h). `nexa_block_open` checks all of it once, on any bytes; everything behind
 * it relies on that and runs unchecked. Data, index, meta-index and range-tombstone blocks share the layout. */
#ifndef NEXA_BLOCK_H
#define NEXA_BLOCK_H

#include "nexa_key.h"
#include "nexa_status.h"

#define NEXA_BLOCK_TAIL_BYTE_COUNT 32u
/* A cursor's key buffer, and the scratch of `nexa_block_open`, hold the longest key and this much. */
#define NEXA_KEY_BUFFER_SLACK 16u

/* A checked block. A view: raw bytes and prefixes belong to the caller. */
typedef struct nexa_block {
    const uint8_t *raw;
    uint32_t raw_len;
    uint32_t entry_count;
    uint32_t values_offset;
    uint32_t restarts_offset;
    uint32_t restart_count;
    uint32_t restart_interval;
    uint32_t key_len_max;
    /* Every key of the block starts with the first `common_len` bytes of its first key. */
    uint32_t common_len;
    uint64_t base_lsn;
    /* For each restart the eight key bytes behind the common ones; NULL where the caller had no room for them. */
    const uint64_t *prefixes;
} nexa_block;

/* What the tail says, before anything is checked. */
typedef struct nexa_block_shape {
    uint32_t entry_count;
    uint32_t restart_count;
    uint32_t key_len_max;
} nexa_block_shape;

/* Reads the tail and checks that the sections lie in the block, no more. */
nexa_status nexa_block_read_shape(const uint8_t *raw, size_t raw_len, nexa_block_shape *shape);

/* Checks every entry of a raw block, whatever the bytes. `scratch` has `key_len_max + NEXA_KEY_BUFFER_SLACK` bytes.
 * `prefixes` may hold fewer than `restart_count` words: then searches compare whole keys. */
nexa_status nexa_block_open(const uint8_t *raw, size_t raw_len, uint8_t *scratch, size_t scratch_len, uint64_t *prefixes,
                            size_t prefix_capacity, nexa_block *block);

/* The newest entry of exactly `key` with an LSN of at most `lsn`. The entry's key is the caller's `key`. */
bool nexa_block_get(const nexa_block *block, const uint8_t *key, size_t key_len, uint64_t lsn, nexa_entry *entry);

/* Ordinal of the first entry at or behind (key, lsn); `entry_count` where there is none. For blocks of restart interval 1. */
uint32_t nexa_block_ordinal(const nexa_block *block, const uint8_t *key, size_t key_len, uint64_t lsn);

/* The entry at an ordinal of a block of restart interval 1: key and value lie in the block. */
void nexa_block_entry_at(const nexa_block *block, uint32_t ordinal, nexa_entry *entry);

/* Walks a checked block. `entry.key` lies in the key buffer, `entry.value` in the block. */
typedef struct nexa_block_cursor {
    nexa_entry entry;
    const nexa_block *block;
    uint8_t *key_buffer;
    size_t key_capacity;
    uint32_t ordinal;
    /* Of the entry behind the current one, in the keys section, and of the current value. */
    uint32_t next_offset;
    uint32_t value_offset;
} nexa_block_cursor;

/* Puts a cursor on a block, invalid until it is moved. The buffer has `key_len_max + NEXA_KEY_BUFFER_SLACK` bytes. */
nexa_status nexa_block_cursor_attach(nexa_block_cursor *cursor, const nexa_block *block);
void nexa_block_cursor_first(nexa_block_cursor *cursor);
/* To the first entry at or behind (key, lsn). */
void nexa_block_cursor_seek(nexa_block_cursor *cursor, const uint8_t *key, size_t key_len, uint64_t lsn);
/* The cursor must be valid; behind the end it becomes invalid. */
void nexa_block_cursor_next(nexa_block_cursor *cursor);

/* Builds one block after another. Memory grows with the blocks, up to `byte_count_max` a block. */
typedef struct nexa_block_builder nexa_block_builder;

nexa_block_builder *nexa_block_builder_create(uint32_t restart_interval, size_t byte_count_max);
void nexa_block_builder_destroy(nexa_block_builder *builder);
/* Entries must come in strict internal order, also across blocks of one builder. A failed add changes nothing. */
nexa_status nexa_block_builder_add(nexa_block_builder *builder, const uint8_t *key, size_t key_len, uint64_t lsn, uint8_t kind,
                                   const uint8_t *value, size_t value_len);
/* Raw bytes if the block were finished now; 0 when it has no entries. */
size_t nexa_block_builder_byte_count(const nexa_block_builder *builder);
uint32_t nexa_block_builder_entry_count(const nexa_block_builder *builder);
/* Key and LSN of the entry added last, also after `finish`; the key is valid until the next add. */
const uint8_t *nexa_block_builder_last_key(const nexa_block_builder *builder, size_t *key_len, uint64_t *lsn);
/* The raw block, valid until the builder is used again, which starts the next block. NULL when it has no entries, or no memory. */
const uint8_t *nexa_block_builder_finish(nexa_block_builder *builder, size_t *raw_len);

#endif

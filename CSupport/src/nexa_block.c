/* Checks, searches and walks raw blocks; the layout is drawn in nexa_block.h. */
#include "nexa_block.h"

#include "nexa_varint.h"

/* One decoded entry header. `unshared_bytes` lies in the keys section. */
typedef struct header {
    const uint8_t *unshared_bytes;
    uint32_t shared;
    uint32_t unshared;
    uint32_t value_len;
    uint64_t tag;
} header;

static inline uint32_t load32(const uint8_t *bytes) {
    uint32_t word;
    memcpy(&word, bytes, 4);
    return word;
}

/* The header at `offset` of a checked block. The tail behind the keys makes the four-byte load safe. */
static inline header read_header(const nexa_block *block, uint32_t offset) {
    const uint8_t *at = block->raw + offset;
    header header;
    uint32_t word = load32(at);
    if ((word & 0x80808080u) == 0) {
        header.shared = word & 0xFF;
        header.unshared = word >> 8 & 0xFF;
        header.value_len = word >> 16 & 0xFF;
        header.tag = word >> 24;
        header.unshared_bytes = at + 4;
        return header;
    }
    at = nexa_varint_get32(at, &header.shared);
    at = nexa_varint_get32(at, &header.unshared);
    at = nexa_varint_get32(at, &header.value_len);
    header.unshared_bytes = nexa_varint_get(at, &header.tag);
    return header;
}

static inline uint64_t header_lsn(const nexa_block *block, const header *header) {
    return block->base_lsn + (uint64_t)nexa_unzigzag(header->tag >> 2);
}

static inline uint32_t header_end(const nexa_block *block, const header *header) {
    return (uint32_t)(header->unshared_bytes + header->unshared - block->raw);
}

static inline uint32_t restart_offset(const nexa_block *block, uint32_t restart) {
    return load32(block->raw + block->restarts_offset + (size_t)restart * 8);
}

static inline uint32_t restart_value_offset(const nexa_block *block, uint32_t restart) {
    return load32(block->raw + block->restarts_offset + (size_t)restart * 8 + 4);
}

/* MARK: checking */

static nexa_status read_tail(const uint8_t *raw, size_t raw_len, nexa_block *block) {
    if (raw_len < NEXA_BLOCK_TAIL_BYTE_COUNT || raw_len > UINT32_MAX) return NEXA_CORRUPT;
    const uint8_t *tail = raw + raw_len - NEXA_BLOCK_TAIL_BYTE_COUNT;
    uint16_t key_len_max;
    memcpy(&key_len_max, tail + 18, 2);
    block->raw = raw;
    block->raw_len = (uint32_t)raw_len;
    block->entry_count = load32(tail);
    block->values_offset = load32(tail + 4);
    block->restarts_offset = load32(tail + 8);
    block->restart_count = load32(tail + 12);
    block->restart_interval = tail[16];
    block->key_len_max = key_len_max;
    memcpy(&block->base_lsn, tail + 24, 8);
    if (tail[17] != 0 || load32(tail + 20) != 0) return NEXA_CORRUPT;
    if (block->entry_count == 0 || block->restart_interval == 0 || block->base_lsn > NEXA_LSN_MAX) return NEXA_CORRUPT;
    uint64_t interval = block->restart_interval;
    if (block->restart_count != (block->entry_count + interval - 1) / interval) return NEXA_CORRUPT;
    if (block->values_offset > block->restarts_offset) return NEXA_CORRUPT;
    uint64_t end = (uint64_t)block->restarts_offset + (uint64_t)block->restart_count * 8 + NEXA_BLOCK_TAIL_BYTE_COUNT;
    return end == raw_len ? NEXA_OK : NEXA_CORRUPT;
}

nexa_status nexa_block_read_shape(const uint8_t *raw, size_t raw_len, nexa_block_shape *shape) {
    nexa_block block;
    nexa_status status = read_tail(raw, raw_len, &block);
    if (status != NEXA_OK) return status;
    shape->entry_count = block.entry_count;
    shape->restart_count = block.restart_count;
    shape->key_len_max = block.key_len_max;
    return NEXA_OK;
}

/* Where the check stands: behind `ordinal` entries, the last of which has its key in `key`. */
typedef struct walk {
    const uint8_t *at;
    const uint8_t *keys_end;
    uint8_t *key;
    size_t key_len;
    size_t key_len_max;
    uint64_t lsn;
    uint64_t value_offset;
} walk;

static bool check_entry(const nexa_block *block, walk *walk, uint32_t ordinal) {
    uint64_t shared, unshared, value_len, tag;
    bool is_restart = ordinal % block->restart_interval == 0;
    if (is_restart) {
        uint32_t restart = ordinal / block->restart_interval;
        if (restart_offset(block, restart) != (size_t)(walk->at - block->raw)) return false;
        if (restart_value_offset(block, restart) != walk->value_offset) return false;
    }
    if (!nexa_varint_check(&walk->at, walk->keys_end, block->key_len_max, &shared) ||
        !nexa_varint_check(&walk->at, walk->keys_end, block->key_len_max, &unshared) ||
        !nexa_varint_check(&walk->at, walk->keys_end, block->raw_len, &value_len) ||
        !nexa_varint_check(&walk->at, walk->keys_end, UINT64_MAX, &tag))
        return false;
    if (shared > walk->key_len || shared + unshared > block->key_len_max) return false;
    if (unshared > (size_t)(walk->keys_end - walk->at)) return false;
    if ((tag & 3) == 0 || (is_restart && shared != 0)) return false;
    uint64_t lsn = block->base_lsn + (uint64_t)nexa_unzigzag(tag >> 2);
    if (lsn > NEXA_LSN_MAX) return false;

    if (ordinal > 0) {
        size_t same = shared;
        if (is_restart) same = nexa_common_prefix(walk->key, walk->key_len, walk->at, unshared);
        /* How much of the key lies behind what it has in common with the one before. */
        size_t rest = shared + unshared - same;
        bool same_key = same == walk->key_len && rest == 0;
        bool ascends = rest > 0 && (same == walk->key_len || walk->at[same - shared] > walk->key[same]);
        if (!ascends && !(same_key && lsn < walk->lsn)) return false;
    }
    if (unshared > 0) memcpy(walk->key + shared, walk->at, unshared);
    walk->key_len = shared + unshared;
    if (walk->key_len > walk->key_len_max) walk->key_len_max = walk->key_len;
    walk->at += unshared;
    walk->lsn = lsn;
    walk->value_offset += value_len;
    return walk->value_offset <= block->restarts_offset - block->values_offset;
}

nexa_status nexa_block_open(const uint8_t *raw, size_t raw_len, uint8_t *scratch, size_t scratch_len, uint64_t *prefixes,
                            size_t prefix_capacity, nexa_block *block) {
    nexa_status status = read_tail(raw, raw_len, block);
    if (status != NEXA_OK) return status;
    if (scratch_len < block->key_len_max + NEXA_KEY_BUFFER_SLACK) return NEXA_NO_SPACE;
    walk walk = {.at = raw, .keys_end = raw + block->values_offset, .key = scratch};
    for (uint32_t ordinal = 0; ordinal < block->entry_count; ordinal++)
        if (!check_entry(block, &walk, ordinal)) return NEXA_CORRUPT;
    if (walk.at != walk.keys_end || walk.value_offset != block->restarts_offset - block->values_offset ||
        walk.key_len_max != block->key_len_max)
        return NEXA_CORRUPT;

    header first = read_header(block, 0);
    block->common_len = (uint32_t)nexa_common_prefix(first.unshared_bytes, first.unshared, walk.key, walk.key_len);
    block->prefixes = NULL;
    if (prefix_capacity >= block->restart_count) {
        for (uint32_t i = 0; i < block->restart_count; i++) {
            header header = read_header(block, restart_offset(block, i));
            size_t common = block->common_len;
            prefixes[i] = nexa_load_be64_padded(header.unshared_bytes + common, header.unshared - common);
        }
        block->prefixes = prefixes;
    }
    return NEXA_OK;
}

/* MARK: searching */

static bool restart_is_below(const nexa_block *block, uint32_t restart, const uint8_t *key, size_t key_len, uint64_t lsn) {
    header header = read_header(block, restart_offset(block, restart));
    return nexa_internal_compare(header.unshared_bytes, header.unshared, header_lsn(block, &header), key, key_len, lsn) < 0;
}

/* How many of the restarts in [low, high) are below the target, by comparing whole keys. Answers low + that. */
static uint32_t bisect_restarts(
    const nexa_block *block, uint32_t low, uint32_t high, const uint8_t *key, size_t key_len, uint64_t lsn) {
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (restart_is_below(block, middle, key, key_len, lsn)) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* The number of words in a sorted array that are below `word`. */
static uint32_t count_below(const uint64_t *words, uint32_t count, uint64_t word) {
    const uint64_t *base = words;
    while (count > 1) {
        uint32_t half = count / 2;
        base += base[half - 1] < word ? half : 0;
        count -= half;
    }
    return (uint32_t)(base - words) + (base[0] < word);
}

/* How many restarts are below the target. */
static uint32_t restarts_below(const nexa_block *block, const uint8_t *key, size_t key_len, uint64_t lsn) {
    if (!block->prefixes) return bisect_restarts(block, 0, block->restart_count, key, key_len, lsn);
    header first = read_header(block, 0);
    size_t common = nexa_common_prefix(first.unshared_bytes, block->common_len, key, key_len);
    if (common < block->common_len) {
        bool is_above = common < key_len && key[common] > first.unshared_bytes[common];
        return is_above ? block->restart_count : 0;
    }
    uint64_t word = nexa_load_be64_padded(key + common, key_len - common);
    uint32_t low = count_below(block->prefixes, block->restart_count, word);
    if (low == block->restart_count || block->prefixes[low] != word) return low;
    uint32_t high = word == UINT64_MAX ? block->restart_count : count_below(block->prefixes, block->restart_count, word + 1);
    return bisect_restarts(block, low, high, key, key_len, lsn);
}

/* A place in a block: an entry's header, and whether its key is the target's. */
typedef struct place {
    header header;
    uint32_t ordinal;
    uint32_t value_offset;
    bool is_exact;
} place;

/* The first entry at or behind (key, lsn); its ordinal is `entry_count` where there is none. The first `header.shared` bytes
 * of the entry's key are those of the target.
 *
 * No key is put together on the way: `match` counts the leading bytes that the entry before has in common with the target.
 * An entry that shares more than that with its predecessor differs from the target where the predecessor did and is below it
 * as well; one that shares less is above it; only one that shares exactly `match` bytes has to be compared. */
static place locate(const nexa_block *block, const uint8_t *key, size_t key_len, uint64_t lsn) {
    if (!key) key = (const uint8_t *)"";
    __builtin_prefetch(block->raw + block->restarts_offset);
    uint32_t below = restarts_below(block, key, key_len, lsn);
    uint32_t restart = below == 0 ? 0 : below - 1;
    place place = {.ordinal = restart * block->restart_interval, .value_offset = restart_value_offset(block, restart)};
    uint32_t offset = restart_offset(block, restart);
    size_t match = 0;
    for (; place.ordinal < block->entry_count; place.ordinal++) {
        header header = read_header(block, offset);
        /* At a restart behind the first nothing is shared: it is compared from the start. */
        size_t shared = header.shared;
        const uint8_t *bytes = header.unshared_bytes;
        size_t len = header.unshared;
        if (shared == 0 && match > 0) {
            size_t skip = nexa_common_prefix(bytes, len, key, match);
            shared = skip;
            bytes += skip;
            len -= skip;
        }
        if (shared == match) {
            size_t same = nexa_common_prefix(bytes, len, key + match, key_len - match);
            match += same;
            bool stops;
            if (same == len) {
                place.is_exact = match == key_len;
                stops = place.is_exact && header_lsn(block, &header) <= lsn;
            } else {
                place.is_exact = false;
                stops = match == key_len || bytes[same] > key[match];
            }
            if (stops) {
                place.header = header;
                return place;
            }
        } else if (shared < match) {
            place.is_exact = false;
            place.header = header;
            return place;
        }
        offset = header_end(block, &header);
        place.value_offset += header.value_len;
    }
    place.is_exact = false;
    return place;
}

bool nexa_block_get(const nexa_block *block, const uint8_t *key, size_t key_len, uint64_t lsn, nexa_entry *entry) {
    place place = locate(block, key, key_len, lsn);
    entry->valid = place.is_exact;
    if (!place.is_exact) return false;
    entry->key = key;
    entry->key_len = (uint32_t)key_len;
    entry->value = block->raw + block->values_offset + place.value_offset;
    entry->value_len = place.header.value_len;
    entry->lsn = header_lsn(block, &place.header);
    entry->kind = place.header.tag & 3;
    return true;
}

uint32_t nexa_block_ordinal(const nexa_block *block, const uint8_t *key, size_t key_len, uint64_t lsn) {
    /* Every entry is a restart: how many are below the target is the answer, and the entries themselves are hardly touched. */
    return restarts_below(block, key ? key : (const uint8_t *)"", key_len, lsn);
}

void nexa_block_entry_at(const nexa_block *block, uint32_t ordinal, nexa_entry *entry) {
    header header = read_header(block, restart_offset(block, ordinal));
    entry->key = header.unshared_bytes;
    entry->key_len = header.unshared;
    entry->value = block->raw + block->values_offset + restart_value_offset(block, ordinal);
    entry->value_len = header.value_len;
    entry->lsn = header_lsn(block, &header);
    entry->kind = header.tag & 3;
    entry->valid = true;
}

/* MARK: walking */

nexa_status nexa_block_cursor_attach(nexa_block_cursor *cursor, const nexa_block *block) {
    cursor->entry.valid = false;
    if (cursor->key_capacity < block->key_len_max + NEXA_KEY_BUFFER_SLACK) return NEXA_NO_SPACE;
    cursor->block = block;
    return NEXA_OK;
}

/* Copies a few bytes, mostly as one move: source and destination have slack behind them. */
static inline void copy_key_bytes(uint8_t *to, const uint8_t *from, size_t len) {
    if (len <= 16) memcpy(to, from, 16);
    else memcpy(to, from, len);
}

/* The cursor stands on the entry of `header`; the buffer holds the bytes that it shares. */
static inline void stand_on(nexa_block_cursor *cursor, const header *header) {
    const nexa_block *block = cursor->block;
    copy_key_bytes(cursor->key_buffer + header->shared, header->unshared_bytes, header->unshared);
    cursor->entry.key = cursor->key_buffer;
    cursor->entry.key_len = header->shared + header->unshared;
    cursor->entry.value = block->raw + block->values_offset + cursor->value_offset;
    cursor->entry.value_len = header->value_len;
    cursor->entry.lsn = header_lsn(block, header);
    cursor->entry.kind = header->tag & 3;
    cursor->entry.valid = true;
    cursor->next_offset = header_end(block, header);
}

void nexa_block_cursor_first(nexa_block_cursor *cursor) {
    cursor->ordinal = 0;
    cursor->value_offset = restart_value_offset(cursor->block, 0);
    header header = read_header(cursor->block, restart_offset(cursor->block, 0));
    stand_on(cursor, &header);
}

void nexa_block_cursor_next(nexa_block_cursor *cursor) {
    if (++cursor->ordinal >= cursor->block->entry_count) {
        cursor->entry.valid = false;
        return;
    }
    cursor->value_offset += cursor->entry.value_len;
    header header = read_header(cursor->block, cursor->next_offset);
    stand_on(cursor, &header);
}

void nexa_block_cursor_seek(nexa_block_cursor *cursor, const uint8_t *key, size_t key_len, uint64_t lsn) {
    place place = locate(cursor->block, key, key_len, lsn);
    cursor->ordinal = place.ordinal;
    if (place.ordinal >= cursor->block->entry_count) {
        cursor->entry.valid = false;
        return;
    }
    cursor->value_offset = place.value_offset;
    if (place.header.shared > 0) memcpy(cursor->key_buffer, key, place.header.shared);
    stand_on(cursor, &place.header);
}

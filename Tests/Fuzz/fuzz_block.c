/* Raw and stored blocks and filters from arbitrary bytes: whatever passes the check is walked, and each of its entries found again. */
#include <stdlib.h>
#include <string.h>

#include "CSupport.h"

enum { RAW_MAX = 1 << 16, PREFIX_MAX = 64 };

static void require(bool condition) {
    if (!condition) abort();
}

/* Every entry in order, and found again by its own key and LSN. */
static void walk(const nexa_block *block) {
    size_t capacity = block->key_len_max + NEXA_KEY_BUFFER_SLACK;
    uint8_t *key = malloc(capacity), *other_key = malloc(capacity);
    nexa_block_cursor cursor = {.key_buffer = key, .key_capacity = capacity};
    nexa_block_cursor other = {.key_buffer = other_key, .key_capacity = capacity};
    require(nexa_block_cursor_attach(&cursor, block) == NEXA_OK && nexa_block_cursor_attach(&other, block) == NEXA_OK);
    uint32_t count = 0;
    for (nexa_block_cursor_first(&cursor); cursor.entry.valid; nexa_block_cursor_next(&cursor), count++) {
        nexa_block_cursor_seek(&other, cursor.entry.key, cursor.entry.key_len, cursor.entry.lsn);
        require(other.entry.valid && other.ordinal == cursor.ordinal && other.entry.lsn == cursor.entry.lsn);
        nexa_entry found;
        require(nexa_block_get(block, cursor.entry.key, cursor.entry.key_len, cursor.entry.lsn, &found));
        require(found.value == cursor.entry.value && found.value_len == cursor.entry.value_len);
    }
    require(count == block->entry_count);
    free(key);
    free(other_key);
}

static void search(const nexa_block *block, const uint8_t *data, size_t size) {
    size_t key_len = size < 24 ? size : 24;
    nexa_entry entry;
    nexa_block_get(block, data, key_len, size, &entry);
    size_t capacity = block->key_len_max + NEXA_KEY_BUFFER_SLACK;
    uint8_t *key = malloc(capacity);
    nexa_block_cursor cursor = {.key_buffer = key, .key_capacity = capacity};
    require(nexa_block_cursor_attach(&cursor, block) == NEXA_OK);
    nexa_block_cursor_seek(&cursor, data, key_len, size);
    require(!cursor.entry.valid ||
            nexa_internal_compare(cursor.entry.key, cursor.entry.key_len, cursor.entry.lsn, data, key_len, size) >= 0);
    free(key);
}

static void try_raw(const uint8_t *raw, size_t len, const uint8_t *data, size_t size, size_t prefix_capacity) {
    nexa_block_shape shape;
    if (nexa_block_read_shape(raw, len, &shape) != NEXA_OK) return;
    size_t scratch_len = shape.key_len_max + NEXA_KEY_BUFFER_SLACK;
    uint8_t *scratch = malloc(scratch_len);
    uint64_t prefixes[PREFIX_MAX];
    nexa_block block;
    if (nexa_block_open(raw, len, scratch, scratch_len, prefixes, prefix_capacity, &block) == NEXA_OK) {
        walk(&block);
        search(&block, data, size);
    }
    free(scratch);
}

/* A block that is well formed but for what the input changes, so that the deeper checks are reached. */
static void try_damaged(const uint8_t *data, size_t size) {
    if (size < 4) return;
    nexa_block_builder *builder = nexa_block_builder_create(1 + data[0] % 8, RAW_MAX);
    uint8_t key[8] = {0};
    for (size_t i = 1; i + 2 < size && i < 120; i += 2) {
        key[3] = (uint8_t)(i / 2);
        nexa_block_builder_add(builder, key, 1 + data[i] % 8, data[i + 1], 1 + data[i] % 3, data, data[i + 1] % size);
    }
    size_t len;
    const uint8_t *built = nexa_block_builder_finish(builder, &len);
    if (built) {
        try_raw(built, len, data, size, PREFIX_MAX);
        uint8_t *raw = malloc(len);
        memcpy(raw, built, len);
        uint16_t at;
        memcpy(&at, data + size - 3, 2);
        raw[at % len] ^= data[size - 1];
        try_raw(raw, len, data, size, data[0] % PREFIX_MAX);
        free(raw);
    }
    nexa_block_builder_destroy(builder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    try_raw(data, size, data, size, PREFIX_MAX);
    try_raw(data, size, data, size, 0);
    try_damaged(data, size);

    nexa_trailer trailer;
    if (nexa_block_check_stored(data, size, 1, 0, 0, &trailer) == NEXA_OK && trailer.raw_len <= RAW_MAX) {
        uint8_t *raw = malloc(trailer.raw_len + 1);
        if (nexa_block_expand(data, size, &trailer, raw) == NEXA_OK) try_raw(raw, trailer.raw_len, data, size, PREFIX_MAX);
        free(raw);
    }
    if (size > 2) {
        size_t raw_len = ((size_t)data[0] << 8 | data[1]) % RAW_MAX;
        uint8_t *raw = malloc(raw_len + 1);
        nexa_codec_decompress(data + 2, size - 2, raw, raw_len);
        free(raw);
    }
    nexa_bloom bloom;
    if (nexa_bloom_open(data, size, &bloom) == NEXA_OK)
        for (uint64_t i = 0; i < 16; i++) nexa_bloom_may_contain(&bloom, i * 0x9E3779B97F4A7C15u);
    return 0;
}

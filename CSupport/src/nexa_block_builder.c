/* Builds raw blocks; the layout is drawn in nexa_block.h. Keys and values grow in two buffers and are joined at the end. */
#include <stdlib.h>
#include <string.h>

#include "nexa_block.h"
#include "nexa_varint.h"

typedef struct buffer {
    uint8_t *bytes;
    size_t len;
    size_t capacity;
} buffer;

struct nexa_block_builder {
    buffer keys;
    buffer values;
    buffer restarts;
    buffer last_key;
    uint64_t last_lsn;
    uint64_t base_lsn;
    size_t byte_count_max;
    uint32_t restart_interval;
    uint32_t entry_count;
    uint32_t key_len_max;
    bool has_last_key;
    /* The keys buffer holds a finished block: the next add starts over. */
    bool is_finished;
};

static bool reserve(buffer *buffer, size_t more) {
    size_t needed = buffer->len + more;
    if (needed <= buffer->capacity) return true;
    size_t capacity = buffer->capacity < 1024 ? 1024 : buffer->capacity;
    while (capacity < needed) capacity += capacity / 2;
    uint8_t *bytes = realloc(buffer->bytes, capacity);
    if (!bytes) return false;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

static void append(buffer *buffer, const void *bytes, size_t len) {
    if (len > 0) memcpy(buffer->bytes + buffer->len, bytes, len);
    buffer->len += len;
}

nexa_block_builder *nexa_block_builder_create(uint32_t restart_interval, size_t byte_count_max) {
    if (restart_interval == 0 || restart_interval > UINT8_MAX || byte_count_max > UINT32_MAX) return NULL;
    nexa_block_builder *builder = calloc(1, sizeof(nexa_block_builder));
    if (!builder) return NULL;
    builder->restart_interval = restart_interval;
    builder->byte_count_max = byte_count_max;
    return builder;
}

void nexa_block_builder_destroy(nexa_block_builder *builder) {
    if (!builder) return;
    free(builder->keys.bytes);
    free(builder->values.bytes);
    free(builder->restarts.bytes);
    free(builder->last_key.bytes);
    free(builder);
}

static void start_block(nexa_block_builder *builder) {
    builder->keys.len = builder->values.len = builder->restarts.len = 0;
    builder->entry_count = 0;
    builder->key_len_max = 0;
    builder->is_finished = false;
}

uint32_t nexa_block_builder_entry_count(const nexa_block_builder *builder) {
    return builder->is_finished ? 0 : builder->entry_count;
}

size_t nexa_block_builder_byte_count(const nexa_block_builder *builder) {
    if (nexa_block_builder_entry_count(builder) == 0) return 0;
    return builder->keys.len + builder->values.len + builder->restarts.len + NEXA_BLOCK_TAIL_BYTE_COUNT;
}

const uint8_t *nexa_block_builder_last_key(const nexa_block_builder *builder, size_t *key_len, uint64_t *lsn) {
    *key_len = builder->last_key.len;
    *lsn = builder->last_lsn;
    return builder->last_key.bytes;
}

/* What one entry adds at most, apart from its bytes. */
enum { ENTRY_OVERHEAD_MAX = 3 * 5 + NEXA_VARINT_BYTE_COUNT_MAX + 8 };

nexa_status nexa_block_builder_add(nexa_block_builder *builder, const uint8_t *key, size_t key_len, uint64_t lsn, uint8_t kind,
                                   const uint8_t *value, size_t value_len) {
    if (!key) key = (const uint8_t *)"";
    if (key_len > NEXA_KEY_BYTE_COUNT_MAX || lsn > NEXA_LSN_MAX || kind == 0 || kind > 3) return NEXA_TOO_LARGE;
    if (builder->is_finished) start_block(builder);
    size_t used = builder->keys.len + builder->values.len + builder->restarts.len + NEXA_BLOCK_TAIL_BYTE_COUNT;
    size_t limit = builder->byte_count_max;
    if (value_len > limit || used + key_len + value_len + ENTRY_OVERHEAD_MAX > limit) return NEXA_TOO_LARGE;

    size_t shared = nexa_common_prefix(builder->last_key.bytes, builder->last_key.len, key, key_len);
    if (builder->has_last_key) {
        bool same_key = shared == key_len && shared == builder->last_key.len;
        bool ascends = shared < key_len && (shared == builder->last_key.len || key[shared] > builder->last_key.bytes[shared]);
        if (!ascends && !(same_key && lsn < builder->last_lsn)) return NEXA_OUT_OF_ORDER;
    }
    bool is_restart = builder->entry_count % builder->restart_interval == 0;
    size_t unshared_from = is_restart ? 0 : shared;
    size_t key_growth = key_len > builder->last_key.len ? key_len - builder->last_key.len : 0;
    if (!reserve(&builder->keys, key_len + ENTRY_OVERHEAD_MAX) || !reserve(&builder->values, value_len) ||
        !reserve(&builder->restarts, 8) || !reserve(&builder->last_key, key_growth))
        return NEXA_NO_MEMORY;

    if (builder->entry_count == 0) builder->base_lsn = lsn;
    if (is_restart) {
        uint32_t offsets[2] = {(uint32_t)builder->keys.len, (uint32_t)builder->values.len};
        append(&builder->restarts, offsets, sizeof offsets);
    }
    uint8_t *out = builder->keys.bytes + builder->keys.len;
    out = nexa_varint_put(out, unshared_from);
    out = nexa_varint_put(out, key_len - unshared_from);
    out = nexa_varint_put(out, value_len);
    out = nexa_varint_put(out, nexa_zigzag((int64_t)(lsn - builder->base_lsn)) << 2 | kind);
    builder->keys.len = (size_t)(out - builder->keys.bytes);
    append(&builder->keys, key + unshared_from, key_len - unshared_from);
    append(&builder->values, value, value_len);

    builder->last_key.len = shared;
    append(&builder->last_key, key + shared, key_len - shared);
    builder->last_lsn = lsn;
    builder->has_last_key = true;
    builder->entry_count++;
    if (key_len > builder->key_len_max) builder->key_len_max = (uint32_t)key_len;
    return NEXA_OK;
}

const uint8_t *nexa_block_builder_finish(nexa_block_builder *builder, size_t *raw_len) {
    *raw_len = 0;
    size_t total = nexa_block_builder_byte_count(builder);
    if (total == 0 || !reserve(&builder->keys, total - builder->keys.len)) return NULL;
    uint32_t values_offset = (uint32_t)builder->keys.len;
    append(&builder->keys, builder->values.bytes, builder->values.len);
    uint32_t restarts_offset = (uint32_t)builder->keys.len;
    append(&builder->keys, builder->restarts.bytes, builder->restarts.len);

    uint8_t tail[NEXA_BLOCK_TAIL_BYTE_COUNT] = {0};
    uint32_t restart_count = (uint32_t)(builder->restarts.len / 8);
    uint16_t key_len_max = (uint16_t)builder->key_len_max;
    memcpy(tail, &builder->entry_count, 4);
    memcpy(tail + 4, &values_offset, 4);
    memcpy(tail + 8, &restarts_offset, 4);
    memcpy(tail + 12, &restart_count, 4);
    tail[16] = (uint8_t)builder->restart_interval;
    memcpy(tail + 18, &key_len_max, 2);
    memcpy(tail + 24, &builder->base_lsn, 8);
    append(&builder->keys, tail, sizeof tail);
    *raw_len = builder->keys.len;
    builder->is_finished = true;
    return builder->keys.bytes;
}

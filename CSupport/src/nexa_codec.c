/* LZ4 and the block trailer; the layout is drawn in nexa_codec.h. */
#include "nexa_codec.h"

#include <lz4.h>
#include <string.h>

#include "nexa_hash.h"

size_t nexa_codec_state_size(void) { return (size_t)LZ4_sizeofState(); }

size_t nexa_codec_stored_max(size_t raw_len) { return raw_len + NEXA_TRAILER_BYTE_COUNT; }

size_t nexa_codec_compress(void *state, const uint8_t *raw, size_t raw_len, uint8_t *out, size_t out_capacity) {
    if (raw_len == 0 || raw_len > NEXA_BLOCK_BYTE_COUNT_MAX) return 0;
    /* LZ4 gives up by itself when the result would not fit: the limit is the saving that pays for decoding. */
    size_t worth = raw_len * 22 / 25;
    if (worth > out_capacity) worth = out_capacity;
    if (worth == 0) return 0;
    int len = LZ4_compress_fast_extState(state, (const char *)raw, (char *)out, (int)raw_len, (int)worth, 1);
    return len > 0 ? (size_t)len : 0;
}

nexa_status nexa_codec_decompress(const uint8_t *payload, size_t payload_len, uint8_t *raw, size_t raw_len) {
    if (payload_len > NEXA_BLOCK_BYTE_COUNT_MAX || raw_len > NEXA_BLOCK_BYTE_COUNT_MAX) return NEXA_CORRUPT;
    int len = LZ4_decompress_safe((const char *)payload, (char *)raw, (int)payload_len, (int)raw_len);
    return len >= 0 && (size_t)len == raw_len ? NEXA_OK : NEXA_CORRUPT;
}

nexa_status nexa_block_store(void *state, uint8_t type, const uint8_t *raw, size_t raw_len, uint64_t file_context,
                             uint64_t offset, uint8_t *out, size_t out_capacity, size_t *stored_len) {
    if (raw_len > NEXA_BLOCK_BYTE_COUNT_MAX) return NEXA_TOO_LARGE;
    if (out_capacity < nexa_codec_stored_max(raw_len)) return NEXA_NO_SPACE;
    uint8_t codec = NEXA_CODEC_LZ4;
    size_t len = state ? nexa_codec_compress(state, raw, raw_len, out, out_capacity - NEXA_TRAILER_BYTE_COUNT) : 0;
    if (len == 0) {
        codec = NEXA_CODEC_RAW;
        len = raw_len;
        if (raw_len > 0) memcpy(out, raw, raw_len);
    }
    uint8_t *trailer = out + len;
    uint32_t raw32 = (uint32_t)raw_len;
    trailer[0] = type;
    trailer[1] = codec;
    trailer[2] = trailer[3] = 0;
    memcpy(trailer + 4, &raw32, 4);
    uint64_t checksum = nexa_xxh3(out, len + 8, file_context ^ offset);
    memcpy(trailer + 8, &checksum, 8);
    *stored_len = len + NEXA_TRAILER_BYTE_COUNT;
    return NEXA_OK;
}

nexa_status nexa_block_check_stored(const uint8_t *stored, size_t stored_len, uint8_t type, uint64_t file_context,
                                    uint64_t offset, nexa_trailer *trailer) {
    if (stored_len < NEXA_TRAILER_BYTE_COUNT) return NEXA_CORRUPT;
    size_t payload_len = stored_len - NEXA_TRAILER_BYTE_COUNT;
    const uint8_t *bytes = stored + payload_len;
    trailer->type = bytes[0];
    trailer->codec = bytes[1];
    memcpy(&trailer->flags, bytes + 2, 2);
    memcpy(&trailer->raw_len, bytes + 4, 4);
    memcpy(&trailer->checksum, bytes + 8, 8);
    if (nexa_xxh3(stored, payload_len + 8, file_context ^ offset) != trailer->checksum) return NEXA_CORRUPT;
    if (trailer->type != type || trailer->flags != 0 || trailer->raw_len > NEXA_BLOCK_BYTE_COUNT_MAX) return NEXA_CORRUPT;
    if (trailer->codec == NEXA_CODEC_RAW) return trailer->raw_len == payload_len ? NEXA_OK : NEXA_CORRUPT;
    return trailer->codec == NEXA_CODEC_LZ4 ? NEXA_OK : NEXA_CORRUPT;
}

nexa_status nexa_block_expand(const uint8_t *stored, size_t stored_len, const nexa_trailer *trailer, uint8_t *raw) {
    if (stored_len < NEXA_TRAILER_BYTE_COUNT) return NEXA_CORRUPT;
    size_t payload_len = stored_len - NEXA_TRAILER_BYTE_COUNT;
    if (trailer->codec == NEXA_CODEC_LZ4) return nexa_codec_decompress(stored, payload_len, raw, trailer->raw_len);
    if (trailer->raw_len != payload_len) return NEXA_CORRUPT;
    if (payload_len > 0) memcpy(raw, stored, payload_len);
    return NEXA_OK;
}

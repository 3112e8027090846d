/* Block codec: LZ4 where it pays, and the 16-byte trailer that every block of a table carries.
 *
 *   stored block = payload | trailer
 *   trailer   0  1  block type
 *             1  1  codec: 0 raw, 1 LZ4
 *             2  2  flags, 0
 *             4  4  raw length
 *             8  8  XXH3-64(payload | trailer[0..8)), seed = file context XOR offset of the block in the file
 *
 * The seed makes a whole, valid block fail in any other place of the file and in any other file. */
#ifndef NEXA_CODEC_H
#define NEXA_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "nexa_status.h"

#define NEXA_TRAILER_BYTE_COUNT 16u
/* Raw bytes of one block, at most. */
#define NEXA_BLOCK_BYTE_COUNT_MAX ((uint32_t)128 << 20)

enum { NEXA_CODEC_RAW = 0, NEXA_CODEC_LZ4 = 1 };

typedef struct nexa_trailer {
    uint8_t type;
    uint8_t codec;
    uint16_t flags;
    uint32_t raw_len;
    uint64_t checksum;
} nexa_trailer;

/* Bytes of scratch memory that compression needs, and bytes that a block of `raw_len` takes at most when stored. */
size_t nexa_codec_state_size(void);
size_t nexa_codec_stored_max(size_t raw_len);

/* Compresses `raw` into `out`. Answers the length, or 0 where it does not save at least 12 % (then store it raw). `state` is
 * `nexa_codec_state_size` bytes, aligned to 8. */
size_t nexa_codec_compress(void *state, const uint8_t *raw, size_t raw_len, uint8_t *out, size_t out_capacity);

/* Decompresses to exactly `raw_len` bytes, or NEXA_CORRUPT. */
nexa_status nexa_codec_decompress(const uint8_t *payload, size_t payload_len, uint8_t *raw, size_t raw_len);

/* Writes payload and trailer of a block to `out`; `*stored_len` becomes their length. With `state` NULL nothing is compressed. */
nexa_status nexa_block_store(void *state, uint8_t type, const uint8_t *raw, size_t raw_len, uint64_t file_context,
                             uint64_t offset, uint8_t *out, size_t out_capacity, size_t *stored_len);

/* Checks a stored block as it was read at `offset`: checksum, type, codec, lengths. */
nexa_status nexa_block_check_stored(const uint8_t *stored, size_t stored_len, uint8_t type, uint64_t file_context,
                                    uint64_t offset, nexa_trailer *trailer);

/* The payload of a checked block as its raw bytes; `raw` holds `trailer->raw_len`. */
nexa_status nexa_block_expand(const uint8_t *stored, size_t stored_len, const nexa_trailer *trailer, uint8_t *raw);

#endif

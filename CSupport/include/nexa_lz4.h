/* LZ4 blocks for compressed frames: thin, bounded wrappers over liblz4. */
#ifndef NEXA_LZ4_H
#define NEXA_LZ4_H

#include <stddef.h>
#include <stdint.h>

/* Largest output of nexa_lz4_compress for `len` input bytes; 0 when the input is too large for one block (2 GiB). */
size_t nexa_lz4_bound(size_t len);

/* Compresses [src, src + len) into dst; the byte count written, or 0 when it does not fit. */
size_t nexa_lz4_compress(const void *src, size_t len, void *dst, size_t capacity);

/* Decompresses into dst; true only when the block is well formed and yields exactly `raw_len` bytes. */
_Bool nexa_lz4_decompress(const void *src, size_t len, void *dst, size_t raw_len);

#endif

#include "nexa_lz4.h"

#include <lz4.h>

size_t nexa_lz4_bound(size_t len) {
    return len > LZ4_MAX_INPUT_SIZE ? 0 : (size_t)LZ4_compressBound((int)len);
}

size_t nexa_lz4_compress(const void *src, size_t len, void *dst, size_t capacity) {
    if (len > LZ4_MAX_INPUT_SIZE) return 0;
    const int room = capacity > LZ4_MAX_INPUT_SIZE ? LZ4_MAX_INPUT_SIZE : (int)capacity;
    const int written = LZ4_compress_default(src, dst, (int)len, room);
    return written > 0 ? (size_t)written : 0;
}

_Bool nexa_lz4_decompress(const void *src, size_t len, void *dst, size_t raw_len) {
    if (len > LZ4_MAX_INPUT_SIZE || raw_len > LZ4_MAX_INPUT_SIZE) return 0;
    return LZ4_decompress_safe(src, dst, (int)len, (int)raw_len) == (int)raw_len;
}

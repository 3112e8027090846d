/* XXH3-64, inlined into its own translation units; long inputs take the AVX2 kernel where the processor has it. */
#ifndef NEXA_HASH_H
#define NEXA_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH3-64 of `len` bytes with `seed`. Never fails; `data` may be NULL when `len` is 0. */
uint64_t nexa_xxh3(const void *data, size_t len, uint64_t seed);

/* The kernels behind `nexa_xxh3`, for tests: they agree on every input. The AVX2 one must only be called where
 * `nexa_xxh3_has_avx2` says so. */
uint64_t nexa_xxh3_baseline(const void *data, size_t len, uint64_t seed);
uint64_t nexa_xxh3_avx2(const void *data, size_t len, uint64_t seed);
int nexa_xxh3_has_avx2(void);

#endif

/* XXH3-64, inlined and with run-time choice of the vector width for long inputs. */
#ifndef NEXA_HASH_H
#define NEXA_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH3-64 of `len` bytes with `seed`. Never fails; `data` may be NULL when `len` is 0. */
uint64_t nexa_xxh3(const void *data, size_t len, uint64_t seed);

#endif

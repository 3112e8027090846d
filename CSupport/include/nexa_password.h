/* Argon2id (RFC 9106) over libargon2, and a comparison whose time does not tell where two byte strings differ. */
#ifndef NEXA_PASSWORD_H
#define NEXA_PASSWORD_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t memory_kib;
    uint32_t passes;
    uint32_t lanes;
} nexa_argon2_cost;

/* Hashes a password with a salt and, unless secret_len is 0, a key into out. Takes memory_kib KiB while it runs; wipes them.
 * False when a length or cost is outside of what Argon2 allows, or the memory is not to be had; out is then all zeroes. */
_Bool nexa_argon2id(nexa_argon2_cost cost, const void *password, size_t password_len, const void *salt, size_t salt_len,
                    const void *secret, size_t secret_len, void *out, size_t out_len);

/* Whether two byte strings of the same length are equal; always looks at all bytes. */
_Bool nexa_equal_in_constant_time(const void *a, const void *b, size_t len);

#endif

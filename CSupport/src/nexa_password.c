#include "nexa_password.h"

#include <argon2.h>
#include <string.h>

_Bool nexa_argon2id(nexa_argon2_cost cost, const void *password, size_t password_len, const void *salt, size_t salt_len,
                    const void *secret, size_t secret_len, void *out, size_t out_len) {
    if (password_len > UINT32_MAX || salt_len > UINT32_MAX || secret_len > UINT32_MAX || out_len > UINT32_MAX) return 0;
    memset(out, 0, out_len);
    /* libargon2 takes pointers to bytes that it does not change: no flag asks it to clear its input. */
    argon2_context context = {
        .out = out,
        .outlen = (uint32_t)out_len,
        .pwd = (uint8_t *)password,
        .pwdlen = (uint32_t)password_len,
        .salt = (uint8_t *)salt,
        .saltlen = (uint32_t)salt_len,
        .secret = secret_len ? (uint8_t *)secret : NULL,
        .secretlen = (uint32_t)secret_len,
        .t_cost = cost.passes,
        .m_cost = cost.memory_kib,
        .lanes = cost.lanes,
        .threads = 1,
        .version = ARGON2_VERSION_13,
        .flags = ARGON2_DEFAULT_FLAGS,
    };
    if (argon2id_ctx(&context) == ARGON2_OK) return 1;
    memset(out, 0, out_len);
    return 0;
}

_Bool nexa_equal_in_constant_time(const void *a, const void *b, size_t len) {
    const volatile uint8_t *left = a, *right = b;
    uint8_t difference = 0;
    for (size_t i = 0; i < len; i++) difference |= left[i] ^ right[i];
    return difference == 0;
}

/* The total order over MessagePack values (see nexa_msgpack.h). Recursion follows the nesting of both values and stops at 128 levels,
 * beyond which values count as equal: validated documents nest at most 100 deep. */
#include <math.h>

#include "nexa_mp_inline.h"
#include "nexa_mp_order.h"

#define NESTING_MAX 128

static int sign(int64_t x) {
    return (x > 0) - (x < 0);
}

static int compare_bytes(const uint8_t *a, uint64_t a_len, const uint8_t *b, uint64_t b_len) {
    const int c = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return c != 0 ? (c > 0) - (c < 0) : (a_len > b_len) - (a_len < b_len);
}

/* Exact comparison of an integer with a double that is not NaN. */
static int compare_int_double(int64_t i, double d) {
    if (d >= 9223372036854775808.0) return -1;
    if (d < -9223372036854775808.0) return 1;
    const int64_t whole = (int64_t)d; /* toward zero, in range */
    if (i != whole) return i < whole ? -1 : 1;
    const double rest = d - (double)whole;
    return rest > 0 ? -1 : rest < 0 ? 1 : 0;
}

static int compare_uint_double(uint64_t u, double d) { /* u > INT64_MAX */
    if (d >= 18446744073709551616.0) return -1;
    if (d < 9223372036854775808.0) return 1;
    const uint64_t whole = (uint64_t)d; /* doubles this large are whole */
    return (u > whole) - (u < whole);
}

int mp_compare_numbers(const mp_number *a, const mp_number *b) {
    if (a->kind == b->kind) {
        switch (a->kind) {
        case MP_NUMBER_INT:
            return (a->i > b->i) - (a->i < b->i);
        case MP_NUMBER_UINT:
            return (a->u > b->u) - (a->u < b->u);
        default:
            if (isnan(a->d) || isnan(b->d)) return isnan(b->d) - isnan(a->d);
            return (a->d > b->d) - (a->d < b->d);
        }
    }
    if (a->kind == MP_NUMBER_DOUBLE) return -mp_compare_numbers(b, a);
    if (b->kind == MP_NUMBER_DOUBLE) {
        if (isnan(b->d)) return 1;
        return a->kind == MP_NUMBER_INT ? compare_int_double(a->i, b->d) : compare_uint_double(a->u, b->d);
    }
    return a->kind == MP_NUMBER_UINT ? 1 : -1; /* above INT64_MAX against at most INT64_MAX */
}

static void read_timestamp(const mp_head *h, int64_t *seconds, uint32_t *nanoseconds) {
    if (h->len == 4) {
        *seconds = mp_be32(h->body);
        *nanoseconds = 0;
    } else if (h->len == 8) {
        const uint64_t v = mp_be64(h->body);
        *seconds = (int64_t)(v & 0x3ffffffffu);
        *nanoseconds = (uint32_t)(v >> 34);
    } else {
        *seconds = (int64_t)mp_be64(h->body + 4);
        *nanoseconds = mp_be32(h->body);
    }
}

static int compare_timestamps(const mp_head *a, const mp_head *b) {
    int64_t s, t;
    uint32_t m, n;
    read_timestamp(a, &s, &m);
    read_timestamp(b, &t, &n);
    if (s != t) return s < t ? -1 : 1;
    return (m > n) - (m < n);
}

/* Compares the values at *a and *b. When they are equal it moves both past them, or sets them to NULL where that cannot be done
 * (malformed bytes, nesting): the comparison of what holds them ends there. */
static int compare(const uint8_t **a, const uint8_t *a_end, const uint8_t **b, const uint8_t *b_end, int nesting) {
    mp_head x, y;
    const int class_a = mp_class_of(*a, a_end, &x), class_b = mp_class_of(*b, b_end, &y);
    if (class_a != class_b) return class_a < class_b ? -1 : 1;
    int result = 0;
    switch (class_a) {
    case MP_CLASS_NONE:
    case MP_CLASS_NULL:
        break;
    case MP_CLASS_NUMBER: {
        mp_number m, n;
        mp_read_number(*a, &m);
        mp_read_number(*b, &n);
        result = mp_compare_numbers(&m, &n);
        break;
    }
    case MP_CLASS_STRING:
    case MP_CLASS_BIN:
        result = compare_bytes(x.body, x.len, y.body, y.len);
        break;
    case MP_CLASS_BOOL:
        result = sign((int64_t)**a - (int64_t)**b);
        break;
    case MP_CLASS_TIMESTAMP:
        result = compare_timestamps(&x, &y);
        break;
    case MP_CLASS_EXT:
        result = x.ext_type != y.ext_type ? sign(x.ext_type - y.ext_type) : compare_bytes(x.body, x.len, y.body, y.len);
        break;
    default: { /* arrays and maps: members stand behind the heads */
        const uint64_t common = x.len < y.len ? x.len : y.len;
        const uint8_t *p = x.body, *q = y.body;
        if (nesting >= NESTING_MAX) {
            *a = *b = NULL;
            return 0;
        }
        for (uint64_t i = 0; i < common; i++) {
            if (class_a == MP_CLASS_MAP) {
                const uint8_t *v = mp_next(p, a_end), *w = mp_next(q, b_end);
                if (v == NULL || w == NULL) {
                    p = v;
                    q = w;
                    break;
                }
                mp_head unused;
                const int c = mp_class_of(v, a_end, &unused), d = mp_class_of(w, b_end, &unused);
                if (c != d) return c < d ? -1 : 1;
                const int keys = compare(&p, a_end, &q, b_end, nesting + 1);
                if (keys != 0) return keys;
            }
            if (p == NULL || q == NULL) break;
            const int members = compare(&p, a_end, &q, b_end, nesting + 1);
            if (members != 0) return members;
            if (p == NULL || q == NULL) break;
        }
        if (p == NULL || q == NULL) {
            result = (p != NULL) - (q != NULL);
            *a = *b = NULL;
            return result;
        }
        if (x.len != y.len) return x.len < y.len ? -1 : 1;
        *a = p;
        *b = q;
        return 0;
    }
    }
    if (result == 0) {
        *a = mp_next(*a, a_end);
        *b = mp_next(*b, b_end);
    }
    return result;
}

int nexa_mp_compare(const void *a, size_t a_len, const void *b, size_t b_len) {
    const uint8_t *p = a, *q = b;
    return compare(&p, p + a_len, &q, q + b_len, 0);
}

bool nexa_mp_equal(const void *a, size_t a_len, const void *b, size_t b_len) {
    if (a_len == b_len && memcmp(a, b, a_len) == 0) return true;
    return nexa_mp_compare(a, a_len, b, b_len) == 0;
}

int nexa_mp_class(const void *p, size_t len) {
    mp_head h;
    return mp_class_of(p, (const uint8_t *)p + len, &h);
}

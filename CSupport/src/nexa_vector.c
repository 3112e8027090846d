/* Float32 kernels in three widths. Loads past n never happen: the tails are masked (AVX-512) or summed one by one. Four independent
 * sums hide the latency of the fused multiply-add. */
#include "nexa_vector.h"

#include <math.h>

#include "nexa_mp_inline.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_X86 1
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512dq,fma")))
#endif

/* Eight partial sums, added pairwise, so that the portable kernel keeps the precision of the wide ones and the compiler may use
 * whatever the base instruction set has. */
#define LANES 8

static float sum_lanes(const float *s) {
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

static float dot_portable(const float *a, const float *b, size_t n) {
    float s[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) s[j] += a[i + j] * b[i + j];
    }
    for (size_t j = 0; i < n; i++, j++) s[j] += a[i] * b[i];
    return sum_lanes(s);
}

static float l2_portable(const float *a, const float *b, size_t n) {
    float s[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            const float d = a[i + j] - b[i + j];
            s[j] += d * d;
        }
    }
    for (size_t j = 0; i < n; i++, j++) {
        const float d = a[i] - b[i];
        s[j] += d * d;
    }
    return sum_lanes(s);
}

static void dot_norm_portable(const float *a, const float *b, size_t n, float *dot, float *norm) {
    float s[LANES] = {0}, t[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            s[j] += a[i + j] * b[i + j];
            t[j] += b[i + j] * b[i + j];
        }
    }
    for (size_t j = 0; i < n; i++, j++) {
        s[j] += a[i] * b[i];
        t[j] += b[i] * b[i];
    }
    *dot = sum_lanes(s);
    *norm = sum_lanes(t);
}

#if HAVE_X86
AVX2 static inline float sum256(__m256 v) {
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}

AVX2 static float dot_avx2(const float *a, const float *b, size_t n) {
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
        s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), s1);
        s2 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16), s2);
        s3 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24), s3);
    }
    for (; i + 8 <= n; i += 8) s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
    float sum = sum256(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
    for (; i < n; i++) sum += a[i] * b[i];
    return sum;
}

AVX2 static float l2_avx2(const float *a, const float *b, size_t n) {
    __m256 s0 = _mm256_setzero_ps(), s1 = s0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const __m256 d0 = _mm256_sub_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i));
        const __m256 d1 = _mm256_sub_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8));
        s0 = _mm256_fmadd_ps(d0, d0, s0);
        s1 = _mm256_fmadd_ps(d1, d1, s1);
    }
    float sum = sum256(_mm256_add_ps(s0, s1));
    for (; i < n; i++) {
        const float d = a[i] - b[i];
        sum += d * d;
    }
    return sum;
}

AVX2 static void dot_norm_avx2(const float *a, const float *b, size_t n, float *dot, float *norm) {
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, t0 = s0, t1 = s0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const __m256 b0 = _mm256_loadu_ps(b + i), b1 = _mm256_loadu_ps(b + i + 8);
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), b0, s0);
        s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), b1, s1);
        t0 = _mm256_fmadd_ps(b0, b0, t0);
        t1 = _mm256_fmadd_ps(b1, b1, t1);
    }
    float s = sum256(_mm256_add_ps(s0, s1)), t = sum256(_mm256_add_ps(t0, t1));
    for (; i < n; i++) {
        s += a[i] * b[i];
        t += b[i] * b[i];
    }
    *dot = s;
    *norm = t;
}

AVX512 static inline __mmask16 tail_mask(size_t left) {
    return (__mmask16)((1u << left) - 1);
}

AVX512 static float dot_avx512(const float *a, const float *b, size_t n) {
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
        s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16), s1);
        s2 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 32), _mm512_loadu_ps(b + i + 32), s2);
        s3 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 48), _mm512_loadu_ps(b + i + 48), s3);
    }
    for (; i + 16 <= n; i += 16) s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
    if (i < n) {
        const __mmask16 m = tail_mask(n - i);
        s1 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(m, a + i), _mm512_maskz_loadu_ps(m, b + i), s1);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
}

AVX512 static float l2_avx512(const float *a, const float *b, size_t n) {
    __m512 s0 = _mm512_setzero_ps(), s1 = s0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        const __m512 d0 = _mm512_sub_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i));
        const __m512 d1 = _mm512_sub_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16));
        s0 = _mm512_fmadd_ps(d0, d0, s0);
        s1 = _mm512_fmadd_ps(d1, d1, s1);
    }
    for (; i < n; i += 16) {
        const __mmask16 m = n - i >= 16 ? 0xffff : tail_mask(n - i);
        const __m512 d = _mm512_sub_ps(_mm512_maskz_loadu_ps(m, a + i), _mm512_maskz_loadu_ps(m, b + i));
        s0 = _mm512_fmadd_ps(d, d, s0);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
}

AVX512 static void dot_norm_avx512(const float *a, const float *b, size_t n, float *dot, float *norm) {
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, t0 = s0, t1 = s0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        const __m512 b0 = _mm512_loadu_ps(b + i), b1 = _mm512_loadu_ps(b + i + 16);
        s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), b0, s0);
        s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), b1, s1);
        t0 = _mm512_fmadd_ps(b0, b0, t0);
        t1 = _mm512_fmadd_ps(b1, b1, t1);
    }
    for (; i < n; i += 16) {
        const __mmask16 m = n - i >= 16 ? 0xffff : tail_mask(n - i);
        const __m512 v = _mm512_maskz_loadu_ps(m, b + i);
        s0 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(m, a + i), v, s0);
        t0 = _mm512_fmadd_ps(v, v, t0);
    }
    *dot = _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
    *norm = _mm512_reduce_add_ps(_mm512_add_ps(t0, t1));
}
#endif

nexa_kernel nexa_vector_best_kernel(void) {
#if HAVE_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) return NEXA_KERNEL_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return NEXA_KERNEL_AVX2;
#endif
    return NEXA_KERNEL_PORTABLE;
}

static inline nexa_kernel runnable(nexa_kernel wanted) {
    const nexa_kernel best = nexa_vector_best_kernel();
    return wanted > best ? best : wanted;
}

float nexa_vector_dot(const float *a, const float *b, size_t n, nexa_kernel kernel) {
    switch (runnable(kernel)) {
#if HAVE_X86
    case NEXA_KERNEL_AVX512:
        return dot_avx512(a, b, n);
    case NEXA_KERNEL_AVX2:
        return dot_avx2(a, b, n);
#endif
    default:
        return dot_portable(a, b, n);
    }
}

float nexa_vector_l2(const float *a, const float *b, size_t n, nexa_kernel kernel) {
    switch (runnable(kernel)) {
#if HAVE_X86
    case NEXA_KERNEL_AVX512:
        return l2_avx512(a, b, n);
    case NEXA_KERNEL_AVX2:
        return l2_avx2(a, b, n);
#endif
    default:
        return l2_portable(a, b, n);
    }
}

void nexa_vector_dot_norm(const float *a, const float *b, size_t n, nexa_kernel kernel, float *dot, float *b_squared) {
    switch (runnable(kernel)) {
#if HAVE_X86
    case NEXA_KERNEL_AVX512:
        dot_norm_avx512(a, b, n, dot, b_squared);
        break;
    case NEXA_KERNEL_AVX2:
        dot_norm_avx2(a, b, n, dot, b_squared);
        break;
#endif
    default:
        dot_norm_portable(a, b, n, dot, b_squared);
    }
}

size_t nexa_vector_dimensions(const void *data, size_t len) {
    const uint8_t *p = data;
    mp_head h;
    if (!mp_read_head(p, p + len, &h)) return 0;
    if (h.kind == MP_ARRAY) return h.len;
    return h.kind == MP_BIN && h.len % 4 == 0 ? h.len / 4 : 0;
}

static inline bool exponent_is_finite(uint32_t bits) {
    return (bits & 0x7f800000u) != 0x7f800000u;
}

static nexa_vector_status gather_bin(const mp_head *h, float *out, size_t capacity, size_t *count) {
    if (h->len % 4 != 0 || h->len == 0) return NEXA_VECTOR_BAD_LENGTH;
    const size_t n = h->len / 4;
    if (n > capacity) return NEXA_VECTOR_TOO_LONG;
    memcpy(out, h->body, h->len); /* little-endian, as are all machines that we build for */
    bool finite = true;
    for (size_t i = 0; i < n; i++) finite &= exponent_is_finite(mp_load32(h->body + 4 * i));
    *count = n;
    if (finite) return NEXA_VECTOR_OK;
    for (*count = 0; exponent_is_finite(mp_load32(h->body + 4 * *count));) *count += 1;
    return NEXA_VECTOR_NOT_FINITE;
}

nexa_vector_status nexa_vector_gather(const void *data, size_t len, float *out, size_t capacity, size_t *count) {
    const uint8_t *p = data;
    const uint8_t *const end = p + len;
    mp_head h;
    *count = 0;
    if (capacity > NEXA_VECTOR_DIMENSIONS_MAX) capacity = NEXA_VECTOR_DIMENSIONS_MAX;
    if (!mp_read_head(p, end, &h)) return NEXA_VECTOR_MALFORMED;
    if (h.kind == MP_BIN) return gather_bin(&h, out, capacity, count);
    if (h.kind != MP_ARRAY) return NEXA_VECTOR_NOT_A_VECTOR;
    if (h.len == 0) return NEXA_VECTOR_BAD_LENGTH;
    if (h.len > capacity) return NEXA_VECTOR_TOO_LONG;
    p = h.body;
    const size_t n = h.len;
    for (size_t i = 0; i < n; i++) {
        /* Nearly all vectors are runs of float64. */
        while (i < n && (size_t)(end - p) >= 9 && *p == 0xcb) {
            const uint64_t bits = mp_be64(p + 1);
            double d;
            memcpy(&d, &bits, 8);
            const float f = (float)d;
            if (!isfinite(f)) break;
            out[i++] = f;
            p += 9;
        }
        if (i == n) break;
        *count = i;
        if (p >= end) return NEXA_VECTOR_MALFORMED;
        const uint8_t tag = *p;
        const size_t size = mp_fixed_size[tag];
        if (mp_kind[tag] != MP_INT && mp_kind[tag] != MP_FLOAT) return NEXA_VECTOR_NOT_A_NUMBER;
        if ((size_t)(end - p) < size) return NEXA_VECTOR_MALFORMED;
        float f;
        switch (tag) {
        case 0xcb: {
            const uint64_t bits = mp_be64(p + 1);
            double d;
            memcpy(&d, &bits, 8);
            f = (float)d;
            break;
        }
        case 0xca: {
            const uint32_t bits = mp_be32(p + 1);
            memcpy(&f, &bits, 4);
            break;
        }
        case 0xcc: f = (float)p[1]; break;
        case 0xcd: f = (float)mp_be16(p + 1); break;
        case 0xce: f = (float)mp_be32(p + 1); break;
        case 0xcf: f = (float)mp_be64(p + 1); break;
        case 0xd0: f = (float)(int8_t)p[1]; break;
        case 0xd1: f = (float)(int16_t)mp_be16(p + 1); break;
        case 0xd2: f = (float)(int32_t)mp_be32(p + 1); break;
        case 0xd3: f = (float)(int64_t)mp_be64(p + 1); break;
        default: f = (float)(int8_t)tag; break; /* fixints */
        }
        if (!isfinite(f)) return NEXA_VECTOR_NOT_FINITE;
        out[i] = f;
        p += size;
    }
    *count = n;
    return NEXA_VECTOR_OK;
}

/* Vector kernels over float32, and the way from MessagePack numbers to float32.
 *
 * The kernels are chosen at run time: AVX-512, AVX2 with FMA, or portable C. Their sums differ in the last bits because they add in
 * another order; tests hold them to 1e-5 relative to the sum of absolute products. */
#ifndef NEXA_VECTOR_H
#define NEXA_VECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEXA_VECTOR_DIMENSIONS_MAX 65535

typedef enum {
    NEXA_KERNEL_PORTABLE = 0,
    NEXA_KERNEL_AVX2 = 1,
    NEXA_KERNEL_AVX512 = 2
} nexa_kernel;

/* The widest kernel that this processor runs. */
nexa_kernel nexa_vector_best_kernel(void);

/* Sum of a[i] * b[i]. The kernel named must run on this processor; kernels above nexa_vector_best_kernel() are lowered to it. */
float nexa_vector_dot(const float *a, const float *b, size_t n, nexa_kernel kernel);

/* Sum of (a[i] - b[i])^2: the squared Euclidean distance. */
float nexa_vector_l2(const float *a, const float *b, size_t n, nexa_kernel kernel);

/* dot(a, b) and dot(b, b) in one pass over both: with the query's norm known, cosine needs no second look at b. */
void nexa_vector_dot_norm(const float *a, const float *b, size_t n, nexa_kernel kernel, float *dot, float *b_squared);

typedef enum {
    NEXA_VECTOR_OK = 0,
    NEXA_VECTOR_NOT_A_VECTOR, /* neither an array nor a bin */
    NEXA_VECTOR_NOT_A_NUMBER, /* an element of the array is not a number */
    NEXA_VECTOR_NOT_FINITE,   /* NaN, infinity, or beyond the range of float32 */
    NEXA_VECTOR_TOO_LONG,     /* more than `capacity` dimensions */
    NEXA_VECTOR_BAD_LENGTH,   /* a bin whose length is not a multiple of 4, or nothing at all */
    NEXA_VECTOR_MALFORMED     /* not MessagePack */
} nexa_vector_status;

/* Writes the vector that the MessagePack value at p holds to out: an array of numbers (int, float32 and float64 mixed) or a bin of
 * little-endian float32. *count is the number of dimensions, on failure the index of the element at fault. */
nexa_vector_status nexa_vector_gather(const void *p, size_t len, float *out, size_t capacity, size_t *count);

/* The number of dimensions of the value at p without reading them; 0 when it is no vector by its head. */
size_t nexa_vector_dimensions(const void *p, size_t len);

#endif

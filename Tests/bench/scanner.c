/* What the C scanner costs per document: validation, filters, lookups, vectors. One thread, documents of about 150 bytes.
 *
 *   clang -O2 -D_GNU_SOURCE -ICSupport/include Tests/bench/scanner.c CSupport/src/nexa_{mp_validate,mp_compare,msgpack,path,filter,vector,hash*}.c \
 *      -lm -o .bench/scanner && .bench/scanner
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nexa_filter.h"
#include "nexa_vector.h"

enum { DOCUMENTS = 5000, ROUNDS = 400 };

static uint8_t *memory;
static size_t used;
static size_t offsets[DOCUMENTS + 1];

static void put(const void *bytes, size_t len) {
    memcpy(memory + used, bytes, len);
    used += len;
}

static void put_u8(uint8_t byte) {
    put(&byte, 1);
}

static void put_text(const char *text) {
    const size_t len = strlen(text);
    if (len < 32) {
        put_u8((uint8_t)(0xa0 | len));
    } else {
        put_u8(0xd9);
        put_u8((uint8_t)len);
    }
    put(text, len);
}

static void put_field(const char *key, const char *text) {
    put_text(key);
    put_text(text);
}

static void put_u32(const char *key, uint32_t value) {
    put_text(key);
    put_u8(0xce);
    value = __builtin_bswap32(value);
    put(&value, 4);
}

/* {_id, _created_at, _updated_at, name, email, city, age, score} */
static void put_document(uint32_t i) {
    char text[64];
    put_u8(0x88);
    snprintf(text, sizeof text, "%016x", i);
    put_field("_id", text);
    put_field("_created_at", "2026-11-22T14:22:46.595872Z");
    put_field("_updated_at", "2026-11-22T14:22:46.595872Z");
    snprintf(text, sizeof text, "user %u", i);
    put_field("name", text);
    snprintf(text, sizeof text, "user%u@example.org", i);
    put_field("email", text);
    put_field("city", i % 3 ? "Rome" : "Oslo");
    put_u32("age", i * 2654435761u % 100 + 70000);
    put_u32("score", i);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void report(const char *what, double seconds, double documents, double bytes) {
    printf("%-46s %7.2f M/s  %6.2f GB/s\n", what, documents / seconds * 1e-6, bytes / seconds * 1e-9);
}

int main(void) {
    memory = malloc((size_t)DOCUMENTS * 256);
    for (uint32_t i = 0; i < DOCUMENTS; i++) {
        offsets[i] = used;
        put_document(i);
    }
    offsets[DOCUMENTS] = used;
    printf("%d documents of %zu bytes on average\n", DOCUMENTS, used / DOCUMENTS);

    size_t sum = 0;
    double best[5] = {1e9, 1e9, 1e9, 1e9, 1e9};
    /* {"age": {"$gte": 70050}, "city": "Rome"} */
    uint8_t pool[] = "agecity\xce\x00\x01\x11\xa2\xa4Rome";
    nexa_segment segments[] = {{0, 3, NEXA_NO_INDEX}, {3, 4, NEXA_NO_INDEX}};
    nexa_filter_node nodes[] = {
        {NEXA_FILTER_AND, 3, 0, 0, 0, 0}, {NEXA_FILTER_GTE, 2, 0, 1, 7, 5}, {NEXA_FILTER_EQ, 3, 1, 1, 12, 5}};
    const nexa_filter filter = {nodes, segments, NULL, pool, 3, 2, 0, sizeof pool - 1};
    if (!nexa_filter_check(&filter)) return 1;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now(), t;
        for (int i = 0; i < DOCUMENTS; i++) {
            size_t at;
            sum += (size_t)nexa_mp_validate(memory + offsets[i], offsets[i + 1] - offsets[i], 100, 1, &at);
        }
        t = now() - start, best[0] = t < best[0] ? t : best[0], start = now();
        for (int i = 0; i < DOCUMENTS; i++) sum += nexa_mp_skip(memory + offsets[i], offsets[i + 1] - offsets[i]);
        t = now() - start, best[1] = t < best[1] ? t : best[1], start = now();
        for (int i = 0; i < DOCUMENTS; i++) sum += nexa_mp_map_find(memory + offsets[i], offsets[i + 1] - offsets[i], "score", 5).len;
        t = now() - start, best[2] = t < best[2] ? t : best[2], start = now();
        for (int i = 0; i < DOCUMENTS; i++) sum += nexa_filter_matches(&filter, memory + offsets[i], offsets[i + 1] - offsets[i]);
        t = now() - start, best[3] = t < best[3] ? t : best[3];
    }
    report("validate", best[0], DOCUMENTS, (double)used);
    report("skip", best[1], DOCUMENTS, (double)used);
    report("find the last field", best[2], DOCUMENTS, (double)used);
    report("filter {age: {$gte}, city: =}", best[3], DOCUMENTS, (double)used);

    /* One document with a long text. */
    uint8_t *text = malloc(1 << 20);
    memset(text, 'x', 1 << 20);
    memcpy(text, "\x81\xa1t\xdb\x00\x0f\xff\xf8", 8);
    for (int round = 0; round < ROUNDS; round++) {
        size_t at;
        const double start = now();
        sum += (size_t)nexa_mp_validate(text, 1 << 20, 100, 1, &at);
        const double t = now() - start;
        best[4] = t < best[4] ? t : best[4];
    }
    report("validate 1 MiB of text", best[4], 1, 1 << 20);

    enum { DIMENSIONS = 384, VECTORS = 2000 };
    float *a = malloc(sizeof(float) * DIMENSIONS * VECTORS);
    for (int i = 0; i < DIMENSIONS * VECTORS; i++) a[i] = (float)(i % 97) / 97;
    uint8_t *packed = malloc(3 + 9 * DIMENSIONS);
    memcpy(packed, "\xdc\x01\x80", 3);
    for (int i = 0; i < DIMENSIONS; i++) {
        const double d = a[i];
        uint64_t bits;
        memcpy(&bits, &d, 8);
        bits = __builtin_bswap64(bits);
        packed[3 + 9 * i] = 0xcb;
        memcpy(packed + 4 + 9 * i, &bits, 8);
    }
    float result = 0;
    static const char *const names[] = {"portable", "AVX2", "AVX-512"};
    for (int kernel = 0; kernel <= (int)nexa_vector_best_kernel(); kernel++) {
        double fastest = 1e9;
        for (int round = 0; round < ROUNDS; round++) {
            const double start = now();
            for (int i = 0; i < VECTORS; i++) result += nexa_vector_dot(a, a + (size_t)i * DIMENSIONS, DIMENSIONS, (nexa_kernel)kernel);
            const double t = now() - start;
            fastest = t < fastest ? t : fastest;
        }
        printf("dot of 384 dimensions, %-24s %7.1f ns\n", names[kernel], fastest / VECTORS * 1e9);
    }
    double fastest = 1e9;
    float *out = malloc(sizeof(float) * DIMENSIONS);
    for (int round = 0; round < ROUNDS; round++) {
        const double start = now();
        size_t count;
        for (int i = 0; i < 1000; i++) sum += (size_t)nexa_vector_gather(packed, 3 + 9 * DIMENSIONS, out, DIMENSIONS, &count);
        const double t = now() - start;
        fastest = t < fastest ? t : fastest;
    }
    printf("gather 384 float64                             %7.1f ns\n", fastest / 1000 * 1e9);
    return sum == 0 && result == 0;
}

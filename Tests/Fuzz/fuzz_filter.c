/* Filter programs made of arbitrary bytes: what nexa_filter_check lets through can be evaluated on any bytes. */
#include <stdlib.h>
#include <string.h>

#include "nexa_filter.h"

enum { NODES = 8, SEGMENTS = 6, MEMBERS = 4 };

typedef struct {
    const uint8_t *p, *end;
} input;

static uint8_t next(input *in) {
    return in->p < in->end ? *in->p++ : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, data + size};
    nexa_filter f = {0};
    nexa_filter_node *nodes = calloc(NODES, sizeof *nodes);
    nexa_segment *segments = calloc(SEGMENTS, sizeof *segments);
    nexa_filter_member *members = calloc(MEMBERS, sizeof *members);
    f.node_count = next(&in) % (NODES + 1);
    f.segment_count = next(&in) % (SEGMENTS + 1);
    f.member_count = next(&in) % (MEMBERS + 1);
    for (uint32_t i = 0; i < f.node_count; i++) {
        nodes[i].op = next(&in) % 12;
        nodes[i].end = next(&in) % (NODES + 2);
        nodes[i].segment = next(&in) % (SEGMENTS + 2);
        nodes[i].segment_count = next(&in) % (SEGMENTS + 2);
        nodes[i].operand = next(&in);
        nodes[i].operand_len = next(&in) % 40;
    }
    for (uint32_t i = 0; i < f.segment_count; i++) {
        segments[i] = (nexa_segment){next(&in), next(&in) % 16, next(&in) % 4};
    }
    for (uint32_t i = 0; i < f.member_count; i++) members[i] = (nexa_filter_member){next(&in), next(&in) % 16};
    size_t left = (size_t)(in.end - in.p);
    const size_t pool_len = left < 128 ? left / 2 : 64;
    uint8_t *pool = malloc(pool_len ? pool_len : 1);
    memcpy(pool, in.p, pool_len);
    left -= pool_len;
    uint8_t *doc = malloc(left ? left : 1);
    memcpy(doc, in.p + pool_len, left);

    f.nodes = nodes;
    f.segments = segments;
    f.members = members;
    f.pool = pool;
    f.pool_len = (uint32_t)pool_len;
    if (nexa_filter_check(&f)) {
        const bool once = nexa_filter_matches(&f, doc, left);
        if (once != nexa_filter_matches(&f, doc, left)) abort();
        uint32_t at = 0, calls = 1;
        nexa_filter_verdict verdict;
        while ((verdict = nexa_filter_resume(&f, doc, left, 1, &at)) == NEXA_FILTER_UNFINISHED) {
            if (calls++ == f.node_count) abort();
        }
        if ((verdict == NEXA_FILTER_YES) != once) abort();
    }
    free(nodes);
    free(segments);
    free(members);
    free(pool);
    free(doc);
    return 0;
}

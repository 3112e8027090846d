/* A filter as a compact program, evaluated over the bytes of documents. Sources/NexaDocuments/Filter compiles filters to programs.
 *
 * Nodes stand in prefix order; `end` is the index behind a node's last descendant, so the children of node i are i + 1, then the end of
 * that one, and so on up to nodes[i].end:
 *
 *     {"age": {"$gte": 18}, "$or": [{"city": "Rome"}, {"vip": true}]}
 *
 *     0 AND   end 5
 *     1   GTE "age" 18      end 2
 *     2   OR                end 5
 *     3     EQ "city" "Rome"  end 4
 *     4     EQ "vip" true     end 5
 *
 * Operands and path texts are runs of one pool of bytes. Evaluation allocates nothing and looks only at the paths that it needs. */
#ifndef NEXA_FILTER_H
#define NEXA_FILTER_H

#include "nexa_msgpack.h"

typedef enum {
    NEXA_FILTER_AND = 0, /* all children; true without children */
    NEXA_FILTER_OR,      /* one of the children */
    NEXA_FILTER_NOR,     /* none of the children */
    NEXA_FILTER_NOT,     /* not all of the children */
    NEXA_FILTER_EQ,      /* the leaves below have a path and an operand */
    NEXA_FILTER_GT,
    NEXA_FILTER_GTE,
    NEXA_FILTER_LT,
    NEXA_FILTER_LTE,
    NEXA_FILTER_IN,    /* operand: members, sorted by nexa_mp_compare */
    NEXA_FILTER_EXISTS /* no operand */
} nexa_filter_op;

typedef struct {
    uint32_t op;
    uint32_t end;
    uint32_t segment;       /* first of the path's segments */
    uint32_t segment_count; /* leaves: at least 1 */
    uint32_t operand;       /* offset in the pool; IN: index of the first member */
    uint32_t operand_len;   /* bytes; IN: number of members */
} nexa_filter_node;

/* A member of $in: a value in the pool. */
typedef struct {
    uint32_t offset;
    uint32_t len;
} nexa_filter_member;

typedef struct {
    const nexa_filter_node *nodes;
    const nexa_segment *segments; /* offsets count from the pool */
    const nexa_filter_member *members;
    const uint8_t *pool;
    uint32_t node_count;
    uint32_t segment_count;
    uint32_t member_count;
    uint32_t pool_len;
} nexa_filter;

/* Whether the program is well formed: every index in bounds, children nested, at most 256 levels, operands whole values, members in
 * order. Only such programs may be evaluated. */
bool nexa_filter_check(const nexa_filter *filter);

/* Whether the map [doc, doc + len) matches. Bytes that are no map match as the empty map does. */
bool nexa_filter_matches(const nexa_filter *filter, const void *doc, size_t len);

typedef enum {
    NEXA_FILTER_NO = 0,
    NEXA_FILTER_YES,
    NEXA_FILTER_UNFINISHED
} nexa_filter_verdict;

/* As nexa_filter_matches, in pieces: goes on at the leaf *at (0: from the start) until the verdict stands, or until the leaves that it
 * evaluated may have walked over `work` bytes. Then *at is the leaf to go on at, with the same document. Every call evaluates one leaf at
 * least: a leaf walks over the document about once, so what a call takes is bounded by the size of the document, not by the filter's. */
nexa_filter_verdict nexa_filter_resume(const nexa_filter *filter, const void *doc, size_t len, size_t work, uint32_t *at);

#endif

/* Evaluation of filter programs, with MongoDB's rules for arrays: a condition holds when one of the values at its path satisfies it,
 * where an array at the end of the path offers each of its elements and then itself. */
#include "nexa_filter.h"

#include <math.h>

#include "nexa_mp_order.h"
#include "nexa_path.h"

#define LEVELS_MAX 256

typedef struct {
    const nexa_filter *filter;
    const nexa_filter_node *node;
    const uint8_t *end; /* of the document */
} leaf;

static inline bool is_nan(const mp_number *n) {
    return n->kind == MP_NUMBER_DOUBLE && isnan(n->d);
}

static inline bool holds(uint32_t op, int order) {
    switch (op) {
    case NEXA_FILTER_GT: return order > 0;
    case NEXA_FILTER_GTE: return order >= 0;
    case NEXA_FILTER_LT: return order < 0;
    case NEXA_FILTER_LTE: return order <= 0;
    default: return order == 0;
    }
}

/* One value against an operand of the same class. Values of other classes never satisfy a comparison. */
static bool compare_leaf(const leaf *l, const uint8_t *value) {
    const uint8_t *const operand = l->filter->pool + l->node->operand;
    const uint8_t *const operand_end = operand + l->node->operand_len;
    const uint32_t op = l->node->op;
    mp_head v, o;
    const int class = mp_class_of(value, l->end, &v);
    if (class != mp_class_of(operand, operand_end, &o)) return false;
    switch (class) {
    case MP_CLASS_NULL:
        return op != NEXA_FILTER_GT && op != NEXA_FILTER_LT;
    case MP_CLASS_NUMBER: {
        mp_number a, b;
        mp_read_number(value, &a);
        mp_read_number(operand, &b);
        /* NaN is equal to itself and neither above nor below anything. */
        if (is_nan(&a) || is_nan(&b)) return is_nan(&a) && is_nan(&b) && op != NEXA_FILTER_GT && op != NEXA_FILTER_LT;
        return holds(op, mp_compare_numbers(&a, &b));
    }
    case MP_CLASS_STRING: {
        if (op == NEXA_FILTER_EQ) return v.len == o.len && memcmp(v.body, o.body, v.len) == 0;
        const int c = memcmp(v.body, o.body, v.len < o.len ? v.len : o.len);
        return holds(op, c != 0 ? c : (v.len > o.len) - (v.len < o.len));
    }
    default: {
        const uint8_t *next = mp_next(value, l->end);
        return next != NULL && holds(op, nexa_mp_compare(value, (size_t)(next - value), operand, l->node->operand_len));
    }
    }
}

static bool is_member(const leaf *l, const uint8_t *value, size_t len) {
    const nexa_filter_member *const members = l->filter->members + l->node->operand;
    uint32_t low = 0, high = l->node->operand_len;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = nexa_mp_compare(value, len, l->filter->pool + members[middle].offset, members[middle].len);
        if (order == 0) return true;
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return false;
}

static bool test(const leaf *l, const uint8_t *value) {
    if (l->node->op == NEXA_FILTER_EXISTS) return true;
    if (l->node->op != NEXA_FILTER_IN) return compare_leaf(l, value);
    const uint8_t *next = mp_next(value, l->end);
    return next != NULL && is_member(l, value, (size_t)(next - value));
}

/* A missing value satisfies what null satisfies, except $exists. */
static bool test_missing(const leaf *l) {
    static const uint8_t null_value = 0xc0;
    switch (l->node->op) {
    case NEXA_FILTER_EXISTS:
        return false;
    case NEXA_FILTER_IN:
        return is_member(l, &null_value, 1);
    case NEXA_FILTER_GT:
    case NEXA_FILTER_LT:
        return false;
    default:
        return l->filter->pool[l->node->operand] == null_value;
    }
}

static bool visit(void *context, const uint8_t *value, bool by_index) {
    const leaf *const l = context;
    if (value == NULL) return test_missing(l);
    if (mp_kind[*value] != MP_ARRAY || by_index) return test(l, value);
    mp_head h;
    if (!mp_read_head(value, l->end, &h)) return false;
    const uint8_t *e = h.body;
    for (uint64_t i = 0; i < h.len; i++) {
        if (e == NULL || e >= l->end) return false;
        if (test(l, e)) return true;
        e = mp_next(e, l->end);
    }
    return test(l, value);
}

/* One evaluation. Of the nodes that are open when it stops, the children so far have decided nothing (another would have closed its
 * parent), so the leaf to go on at is all that has to be kept. */
typedef struct {
    const nexa_filter *filter;
    const uint8_t *doc;
    const uint8_t *end;
    uint64_t work; /* bytes that leaves may still walk over */
    uint32_t at;   /* the leaf to go on at */
} evaluation;

static bool leaf_holds(const evaluation *e, const nexa_filter_node *node) {
    leaf l = {e->filter, node, e->end};
    const mp_walk w = {e->filter->pool, e->end, visit, &l};
    mp_head h;
    /* A document is a map: an array in its place has no fields. */
    if (!mp_read_head(e->doc, e->end, &h) || h.kind != MP_MAP) return test_missing(&l);
    return mp_walk_map(&w, e->doc, e->filter->segments + node->segment, node->segment_count);
}

static nexa_filter_verdict evaluate(evaluation *e, uint32_t index) {
    const nexa_filter *const f = e->filter;
    const nexa_filter_node *const node = &f->nodes[index];
    if (node->op > NEXA_FILTER_NOT) {
        if (e->work == 0) {
            e->at = index;
            return NEXA_FILTER_UNFINISHED;
        }
        const uint64_t len = (uint64_t)(e->end - e->doc);
        e->work = e->work > len ? e->work - len : 0;
        return leaf_holds(e, node) ? NEXA_FILTER_YES : NEXA_FILTER_NO;
    }
    /* The verdict of a child that decides, and whether the node turns it round. */
    const nexa_filter_verdict decisive =
        node->op == NEXA_FILTER_OR || node->op == NEXA_FILTER_NOR ? NEXA_FILTER_YES : NEXA_FILTER_NO;
    const bool negates = node->op == NEXA_FILTER_NOR || node->op == NEXA_FILTER_NOT;
    bool decided = false;
    for (uint32_t child = index + 1; child < node->end && !decided; child = f->nodes[child].end) {
        if (f->nodes[child].end <= e->at) continue;
        const nexa_filter_verdict verdict = evaluate(e, child);
        if (verdict == NEXA_FILTER_UNFINISHED) return verdict;
        decided = verdict == decisive;
    }
    const bool holds = decided == (decisive == NEXA_FILTER_YES);
    return holds != negates ? NEXA_FILTER_YES : NEXA_FILTER_NO;
}

static nexa_filter_verdict run(const nexa_filter *f, const void *doc, size_t len, uint64_t work, uint32_t *at) {
    static const uint8_t empty_map = 0x80;
    evaluation e = {f, &empty_map, &empty_map + 1, work, *at};
    if (len != 0) {
        e.doc = doc;
        e.end = (const uint8_t *)doc + len;
    }
    const nexa_filter_verdict verdict = evaluate(&e, 0);
    *at = e.at;
    return verdict;
}

bool nexa_filter_matches(const nexa_filter *filter, const void *doc, size_t len) {
    uint32_t at = 0;
    return run(filter, doc, len, UINT64_MAX, &at) == NEXA_FILTER_YES;
}

nexa_filter_verdict nexa_filter_resume(const nexa_filter *filter, const void *doc, size_t len, size_t work, uint32_t *at) {
    return run(filter, doc, len, work != 0 ? work : 1, at);
}

static bool value_is_whole(const nexa_filter *f, uint32_t offset, uint32_t len) {
    return offset <= f->pool_len && len <= f->pool_len - offset && len != 0 && nexa_mp_skip(f->pool + offset, len) == len;
}

static bool leaf_is_sound(const nexa_filter *f, const nexa_filter_node *n) {
    if (n->segment_count == 0 || n->segment > f->segment_count || n->segment_count > f->segment_count - n->segment) return false;
    uint32_t indexes = 0;
    for (uint32_t i = 0; i < n->segment_count; i++) {
        const nexa_segment *s = &f->segments[n->segment + i];
        if (s->offset > f->pool_len || s->len > f->pool_len - s->offset) return false;
        if (s->index != NEXA_NO_INDEX && ++indexes > NEXA_PATH_INDEXES_MAX) return false;
    }
    if (n->op == NEXA_FILTER_EXISTS) return true;
    if (n->op != NEXA_FILTER_IN) return value_is_whole(f, n->operand, n->operand_len);
    if (n->operand > f->member_count || n->operand_len > f->member_count - n->operand) return false;
    for (uint32_t i = 0; i < n->operand_len; i++) {
        const nexa_filter_member *m = &f->members[n->operand + i];
        if (!value_is_whole(f, m->offset, m->len)) return false;
        if (i != 0 && nexa_mp_compare(f->pool + m[-1].offset, m[-1].len, f->pool + m->offset, m->len) > 0) return false;
    }
    return true;
}

bool nexa_filter_check(const nexa_filter *f) {
    uint32_t ends[LEVELS_MAX]; /* of the open nodes */
    uint32_t level = 0;
    if (f->node_count == 0 || f->nodes[0].end != f->node_count) return false;
    for (uint32_t i = 0; i < f->node_count; i++) {
        const nexa_filter_node *n = &f->nodes[i];
        while (level > 0 && ends[level - 1] == i) level -= 1;
        if (n->end <= i || n->end > (level > 0 ? ends[level - 1] : f->node_count)) return false;
        if (n->op > NEXA_FILTER_EXISTS) return false;
        if (n->op >= NEXA_FILTER_EQ && (n->end != i + 1 || !leaf_is_sound(f, n))) return false;
        if (i > 0 && level == 0) return false; /* one root */
        if (level == LEVELS_MAX) return false;
        ends[level++] = n->end;
    }
    return true;
}

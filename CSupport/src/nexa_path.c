#include "nexa_path.h"

#include "nexa_mp_order.h"

static bool walk_array(const mp_walk *w, const uint8_t *body, uint64_t len, const nexa_segment *segment, size_t count) {
    const uint8_t *e = body;
    for (uint64_t i = 0; i < len && e < w->end; i++) {
        const uint8_t kind = mp_kind[*e];
        if (kind == MP_MAP && mp_walk_map(w, e, segment, count)) return true;
        if (segment->index == i) {
            if (count == 1) {
                if (w->visit(w->context, e, true)) return true;
            } else if (kind == MP_MAP) {
                if (mp_walk_map(w, e, segment + 1, count - 1)) return true;
            } else if (kind == MP_ARRAY) {
                mp_head h;
                if (!mp_read_head(e, w->end, &h)) return false;
                if (walk_array(w, h.body, h.len, segment + 1, count - 1)) return true;
            }
        }
        e = mp_next(e, w->end);
        if (e == NULL) return false;
    }
    return false;
}

bool mp_walk_map(const mp_walk *w, const uint8_t *value, const nexa_segment *segment, size_t count) {
    for (;;) {
        mp_head h;
        if (!mp_read_head(value, w->end, &h)) return w->visit(w->context, NULL, false);
        if (h.kind == MP_ARRAY) return walk_array(w, h.body, h.len, segment, count);
        if (h.kind != MP_MAP) return w->visit(w->context, NULL, false);
        value = mp_entry(h.body, w->end, h.len, w->text + segment->offset, segment->len);
        if (value == NULL) return w->visit(w->context, NULL, false);
        if (count == 1) return w->visit(w->context, value, false);
        segment += 1;
        count -= 1;
    }
}

static uint32_t array_index(const uint8_t *p, size_t len) {
    if (len == 0 || len > 9 || (p[0] == '0' && len > 1)) return NEXA_NO_INDEX;
    uint32_t index = 0;
    for (size_t i = 0; i < len; i++) {
        if (p[i] < '0' || p[i] > '9') return NEXA_NO_INDEX;
        index = index * 10 + (uint32_t)(p[i] - '0');
    }
    return index;
}

size_t nexa_path_split(const void *path, size_t len, nexa_segment *segments, size_t capacity) {
    const uint8_t *const p = path;
    size_t count = 0, start = 0, indexes = 0;
    if (len > UINT32_MAX) return 0;
    for (size_t i = 0; i <= len; i++) {
        if (i < len && p[i] != '.') continue;
        if (i == start || count == capacity) return 0;
        const uint32_t index = array_index(p + start, i - start);
        if (index != NEXA_NO_INDEX && ++indexes > NEXA_PATH_INDEXES_MAX) return 0;
        segments[count++] = (nexa_segment){(uint32_t)start, (uint32_t)(i - start), index};
        start = i + 1;
    }
    return count;
}

static bool take_first(void *context, const uint8_t *value, bool by_index) {
    if (value == NULL) return false;
    *(const uint8_t **)context = value;
    return true;
}

nexa_bytes nexa_path_find(const void *doc, size_t len, const void *path, const nexa_segment *segments, size_t count) {
    const uint8_t *found = NULL;
    const mp_walk w = {path, (const uint8_t *)doc + len, take_first, &found};
    if (count != 0) mp_walk_map(&w, doc, segments, count);
    const uint8_t *next = found != NULL ? mp_next(found, w.end) : NULL;
    return next != NULL ? (nexa_bytes){found, (size_t)(next - found)} : (nexa_bytes){NULL, 0};
}

typedef struct {
    const uint8_t *end;
    nexa_bytes best;
    int best_class;
    bool any;
    bool descending;
} sort_choice;

/* Takes the candidate when it comes before the best so far. A missing value stands in as null, which is the same in the order. */
static void consider(sort_choice *s, nexa_sort_class class, const uint8_t *value) {
    static const uint8_t null_value = 0xc0;
    nexa_bytes v = {&null_value, 1};
    if (class == NEXA_SORT_VALUE) {
        const uint8_t *next = mp_next(value, s->end);
        if (next == NULL) return;
        v = (nexa_bytes){value, (size_t)(next - value)};
    }
    if (s->any) {
        int order;
        if (class == NEXA_SORT_EMPTY_ARRAY || s->best_class == NEXA_SORT_EMPTY_ARRAY) {
            order = (class != NEXA_SORT_EMPTY_ARRAY) - (s->best_class != NEXA_SORT_EMPTY_ARRAY);
        } else {
            order = nexa_mp_compare(v.ptr, v.len, s->best.ptr, s->best.len);
        }
        if (s->descending ? order <= 0 : order >= 0) return;
    }
    s->any = true;
    s->best_class = class;
    s->best = v;
}

static bool weigh(void *context, const uint8_t *value, bool by_index) {
    sort_choice *s = context;
    if (value == NULL) {
        consider(s, NEXA_SORT_MISSING, NULL);
        return false;
    }
    mp_head h;
    if (by_index || !mp_read_head(value, s->end, &h) || h.kind != MP_ARRAY) {
        consider(s, NEXA_SORT_VALUE, value);
        return false;
    }
    if (h.len == 0) consider(s, NEXA_SORT_EMPTY_ARRAY, NULL);
    const uint8_t *e = h.body;
    for (uint64_t i = 0; i < h.len && e != NULL && e < s->end; i++) {
        consider(s, NEXA_SORT_VALUE, e);
        e = mp_next(e, s->end);
    }
    return false;
}

nexa_sort_class nexa_path_sort_value(
    const void *doc, size_t len, const void *path, const nexa_segment *segments, size_t count, bool descending, nexa_bytes *value) {
    sort_choice s = {.end = (const uint8_t *)doc + len, .descending = descending, .best_class = NEXA_SORT_MISSING};
    const mp_walk w = {path, s.end, weigh, &s};
    *value = (nexa_bytes){NULL, 0};
    if (count != 0) mp_walk_map(&w, doc, segments, count);
    if (!s.any) return NEXA_SORT_MISSING;
    if (s.best_class == NEXA_SORT_VALUE) *value = s.best;
    return s.best_class;
}

/* groups.c -- an index from grams to songs, a count for each pair that shares one, union-find; see groups.h. */
#include "train/groups.h"

#include "core/log.h"

#include <stdlib.h>
#include <string.h>

enum { PARTS = 64, COMMON_LEAST = 1000, COMMON_PART = 20, STOP_EVERY = 256 };

typedef struct ct_index {
    const ct_sketch *sketches;
    size_t           count;
    size_t          *first;  /* of each song in `number`, and the end */
    uint32_t        *number; /* of each gram of each song: its place in `begin` + 1, 0: no other song has it */
    size_t          *begin;  /* of each gram that several songs have, in `songs` */
    uint32_t        *songs;  /* rising, for each such gram */
    size_t           grams, postings;
    size_t           grams_room, postings_room;
    ct_arena         grams_own, postings_own;
} ct_index;

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* A list that can be large lies in an arena of its own, which goes when it has moved to a larger one. */
static ct_status grow(ct_arena *own, void **list, size_t *room, size_t needed, size_t size) {
    if (needed <= *room) return CT_OK;
    size_t   wanted = needed + needed / 2 + 1024;
    ct_arena larger = {0};
    void    *more = ct_arena_alloc(&larger, wanted, size);
    if (!more) return ct_context(CT_ENOMEM, "the index of near-duplicates");
    if (*room) memcpy(more, *list, *room * size);
    ct_arena_free(own);
    *own = larger;
    *list = more;
    *room = wanted;
    return CT_OK;
}

/* Sorted postings (gram in the high half, song in the low one) to the lists of songs; `next` is where each song's
 * grams have got to, so that each posting finds its place in `number`. */
static ct_status add_postings(ct_index *x, const uint64_t *postings, size_t count, size_t *next) {
    size_t most = x->count / COMMON_PART;
    if (most < COMMON_LEAST) most = COMMON_LEAST;
    for (size_t i = 0, end; i < count; i = end) {
        end = i + 1;
        while (end < count && postings[end] >> 32 == postings[i] >> 32) end++;
        bool several = end - i > 1 && end - i <= most;
        if (several) {
            CT_TRY(grow(&x->grams_own, (void **)&x->begin, &x->grams_room, x->grams + 1, sizeof *x->begin));
            CT_TRY(grow(&x->postings_own, (void **)&x->songs, &x->postings_room, x->postings + (end - i),
                        sizeof *x->songs));
            x->begin[x->grams++] = x->postings;
        }
        for (size_t k = i; k < end; k++) {
            uint32_t song = (uint32_t)postings[k];
            x->number[next[song]++] = several ? (uint32_t)x->grams : 0;
            if (several) x->songs[x->postings++] = song;
        }
    }
    return CT_OK;
}

/* A part of the range of hashes at a time, so that little is sorted at once. */
static ct_status build(ct_index *x, ct_arena *arena) {
    size_t    total = 0, most = 0;
    size_t    sizes[PARTS] = {0};
    size_t   *next = CT_NEW(arena, size_t, x->count);
    uint64_t *postings;
    x->first = CT_NEW(arena, size_t, x->count + 1);
    if (!next || !x->first) return CT_ENOMEM;
    for (size_t i = 0; i < x->count; i++) {
        next[i] = x->first[i] = total;
        total += x->sketches[i].count;
        for (uint32_t k = 0; k < x->sketches[i].count; k++) sizes[x->sketches[i].at[k] / (UINT32_MAX / PARTS + 1)]++;
    }
    x->first[x->count] = total;
    for (int p = 0; p < PARTS; p++) most = sizes[p] > most ? sizes[p] : most;
    x->number = CT_NEW(arena, uint32_t, total);
    postings = CT_NEW(arena, uint64_t, most);
    if (!x->number || !postings) return CT_ENOMEM;
    for (uint32_t p = 0; p < PARTS; p++) {
        size_t n = 0;
        CT_TRY(ct_stop_check());
        for (size_t i = 0; i < x->count; i++) {
            const ct_sketch *s = &x->sketches[i];
            for (size_t k = next[i] - x->first[i]; k < s->count && s->at[k] / (UINT32_MAX / PARTS + 1) == p; k++)
                postings[n++] = (uint64_t)s->at[k] << 32 | i;
        }
        if (n) qsort(postings, n, sizeof *postings, by_value);
        CT_TRY(add_postings(x, postings, n, next));
    }
    return CT_OK;
}

static uint32_t root(uint32_t *parents, uint32_t song) {
    while (parents[song] != song) song = parents[song] = parents[parents[song]];
    return song;
}

static void note_share(ct_groups *g, uint32_t song, uint32_t other, double share) {
    if (share < g->share[song] || (share == g->share[song] && other > g->like[song])) return;
    g->share[song] = share;
    g->like[song] = other;
}

/* Each song against those before it that share a gram. */
static ct_status join(const ct_index *x, double bound, ct_arena *arena, ct_groups *g) {
    uint32_t *shared = CT_NEW(arena, uint32_t, x->count), *met = CT_NEW(arena, uint32_t, x->count);
    if (!shared || !met) return CT_ENOMEM;
    for (uint32_t a = 0; a < x->count; a++) {
        size_t n = 0;
        if (a % STOP_EVERY == 0) CT_TRY(ct_stop_check());
        for (size_t k = x->first[a]; k < x->first[a + 1]; k++) {
            if (!x->number[k]) continue;
            for (size_t p = x->begin[x->number[k] - 1]; x->songs[p] < a; p++)
                if (!shared[x->songs[p]]++) met[n++] = x->songs[p];
        }
        for (size_t i = 0; i < n; i++) {
            uint32_t b = met[i];
            double   share = ct_sketch_share(&x->sketches[a], &x->sketches[b], shared[b]);
            shared[b] = 0;
            if (share <= bound) continue;
            uint32_t one = root(g->first, a), other = root(g->first, b);
            g->first[one > other ? one : other] = one > other ? other : one;
            note_share(g, a, b, share);
            note_share(g, b, a, share);
            if (g->kept[b] == b && (g->kept[a] == a || b < g->kept[a])) g->kept[a] = b;
        }
    }
    return CT_OK;
}

ct_status ct_groups_find(const ct_sketch *sketches, size_t count, double bound, ct_arena *arena, ct_groups *out) {
    ct_arena scratch = {0};
    ct_index index = {.sketches = sketches, .count = count};
    CT_ASSERT(count < UINT32_MAX);
    *out = (ct_groups){.first = CT_NEW(arena, uint32_t, count),
                       .like = CT_NEW(arena, uint32_t, count),
                       .share = CT_NEW(arena, double, count),
                       .kept = CT_NEW(arena, uint32_t, count)};
    if (!out->first || !out->like || !out->share || !out->kept) return CT_ENOMEM;
    for (uint32_t i = 0; i < count; i++) out->first[i] = out->like[i] = out->kept[i] = i;
    ct_status status = build(&index, &scratch);
    if (status == CT_OK) status = join(&index, bound, &scratch, out);
    for (uint32_t i = 0; i < count && status == CT_OK; i++) {
        out->first[i] = root(out->first, i);
        out->songs += out->like[i] != i;
    }
    for (uint32_t i = 0; i < count && status == CT_OK; i++) out->count += out->first[i] == i && out->like[i] != i;
    ct_arena_free(&index.grams_own);
    ct_arena_free(&index.postings_own);
    ct_arena_free(&scratch);
    return status;
}

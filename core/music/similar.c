/* similar.c -- see similar.h. */
#include "core/music/similar.h"

#include "core/rng.h"

#include <stdlib.h>

enum { KINDS_MIN = 3 };

static int by_hash(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Do eight intervals have enough different ones among them to mean something? */
static bool telling(const int *intervals) {
    int kinds = 0;
    for (int i = 0; i < CT_GRAM; i++) {
        int k = 0;
        while (k < i && intervals[k] != intervals[i]) k++;
        kinds += k == i;
    }
    return kinds >= KINDS_MIN;
}

/* Eight intervals of -127..127 are the eight bytes of the counter; the key spells "gram". */
static uint32_t hash(const int *intervals) {
    uint64_t packed = 0;
    for (int i = 0; i < CT_GRAM; i++) packed = packed << 8 | (uint8_t)(intervals[i] + 128);
    return ct_philox_at(0x6772616d, 0, packed).word[0];
}

ct_status ct_sketch_make(const ct_note *melody, int32_t count, ct_arena *arena, ct_sketch *out) {
    int32_t  most = count > CT_GRAM ? count - CT_GRAM : 0;
    uint32_t found = 0, kept = 0;
    *out = (ct_sketch){.at = CT_NEW(arena, uint32_t, (size_t)most)};
    if (!out->at) return CT_ENOMEM;
    for (int32_t i = 0; i < most; i++) {
        int intervals[CT_GRAM];
        for (int k = 0; k < CT_GRAM; k++) intervals[k] = melody[i + k + 1].pitch - melody[i + k].pitch;
        if (telling(intervals)) out->at[found++] = hash(intervals);
    }
    if (found) qsort(out->at, found, sizeof *out->at, by_hash);
    for (uint32_t i = 0; i < found; i++)
        if (!i || out->at[i] != out->at[i - 1]) out->at[kept++] = out->at[i];
    out->whole = kept <= CT_SKETCH_MOST;
    out->count = out->whole ? kept : CT_SKETCH_MOST;
    return CT_OK;
}

/* How many hashes of `a` lie no higher than where `b` ends. */
static uint32_t comparable(const ct_sketch *a, const ct_sketch *b) {
    uint32_t low = 0, high = a->count;
    if (b->whole) return a->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (a->at[middle] <= b->at[b->count - 1])
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

double ct_sketch_share(const ct_sketch *a, const ct_sketch *b, uint32_t shared) {
    if (shared < CT_GRAMS_SHARED) return 0;
    uint32_t x = comparable(a, b), y = comparable(b, a);
    return (double)shared / (x < y ? x : y);
}

uint32_t ct_sketch_shared(const ct_sketch *a, const ct_sketch *b) {
    uint32_t shared = 0;
    for (uint32_t i = 0, k = 0; i < a->count && k < b->count;) {
        shared += a->at[i] == b->at[k];
        uint32_t x = a->at[i], y = b->at[k];
        i += x <= y;
        k += y <= x;
    }
    return shared;
}

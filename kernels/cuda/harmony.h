/* harmony.h -- cuda: how a pair of harmonic segments picks its entries in the tables of H-RPE (ops.def), and segments
 * sorted by what they are, so that gradients are sums over runs of neighbours.
 * Owns nothing; nothing can fail but launches.
 */
#ifndef CT_CUDA_HARMONY_H
#define CT_CUDA_HARMONY_H

#include "kernels/cuda/platform.h"

/* Roots 0..11, 12: no chord; functions 0..23, 24: no chord or key. */
enum { ROOTS = 12, NO_CHORD = 12, FUNCTIONS = 25 };

/* What of a segment matters, in one number that sorts by quality, root, function. */
typedef struct segment {
    int root, quality, function;
} segment;
__device__ __forceinline__ segment segment_at(const int32_t *columns) {
    const int root = min(columns[0], (int)NO_CHORD), key = columns[2];
    int       function = FUNCTIONS - 1;
    if (root < NO_CHORD && key < 24) function = 2 * ((root - key % 12 + 12) % 12) + key / 12;
    return {root, columns[1], function};
}
__device__ __forceinline__ int pack_segment(segment s) {
    return (s.quality * (ROOTS + 1) + s.root) * FUNCTIONS + s.function;
}
__device__ __forceinline__ segment unpack_segment(int packed) {
    const int place = packed / FUNCTIONS;
    return {place % (ROOTS + 1), place / (ROOTS + 1), packed % FUNCTIONS};
}
/* (root_a - root_b) mod 12, 0 when either has no chord */
__device__ __forceinline__ int root_step(segment a, segment b) {
    if (a.root == NO_CHORD || b.root == NO_CHORD) return 0;
    return a.root - b.root + (a.root < b.root ? ROOTS : 0);
}

/* One batch row's segments in order; equal ones in the order they came. In a workspace of CT_HARMONY_ORDER numbers. */
typedef struct segment_order {
    int32_t *by_place, *by_function; /* [keys]: keys by (quality, root), and by function */
    int32_t *query, *run;            /* [queries]: queries by all three; how many are equal to the one there */
    int32_t *place_begin;            /* [13 qualities + 1]: where keys of quality * 13 + root begin in by_place */
    int32_t *function_begin;         /* [26] */
} segment_order;
typedef struct segment_sizes {
    int64_t        queries, keys, qualities;
    const int32_t *query, *key, *query_count, *key_count;
} segment_sizes;
template <class P> segment_sizes sizes_of(const P *p) { /* of any of the four ops' parameters */
    return {p->queries, p->keys, p->qualities, p->query, p->key, p->query_count, p->key_count};
}
__device__ __forceinline__ segment_order order_of(segment_sizes s, int64_t batch_row, int32_t *work) {
    const int64_t places = (ROOTS + 1) * s.qualities + 1;
    work += batch_row * (2 * s.keys + 2 * s.queries + places + FUNCTIONS + 1);
    segment_order o;
    o.by_place = work;
    o.by_function = o.by_place + s.keys;
    o.query = o.by_function + s.keys;
    o.run = o.query + s.queries;
    o.place_begin = o.run + s.queries;
    o.function_begin = o.place_begin + places;
    return o;
}

/* to[k] = sum of dg over the queries that are equal: places from .. end - 1 of the order. All threads of the block. */
__device__ __forceinline__ void sum_run(const float *dg, const segment_order &order, segment_sizes s, int from, int end,
                                        int keys, float *to) {
    for (int k = (int)threadIdx.x; k < keys; k += (int)blockDim.x) {
        float sum = 0;
#pragma unroll 4
        for (int i = from; i < end; i++) sum += dg[order.query[i] * s.keys + k];
        to[k] = sum;
    }
}

/* Sorts the segments of each batch row into the workspace. */
ct_status sort_segments(segment_sizes sizes, int64_t batch, int32_t *work, CUstream_st *stream);

#endif

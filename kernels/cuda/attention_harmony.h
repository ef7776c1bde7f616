/* attention_harmony.h -- cuda: the gradient of G: dlogit summed over each pair of harmonic segments.
 *
 * Query segments rise along a batch row (ops.def), so the queries of one are a run of neighbours. A warp has a strip of
 * queries and goes over the tiles of keys in order; for each run of its strip it sums dlogit over the run's queries,
 * column by column, then over columns of the same key segment, and adds that to the run's row of sums. Runs within the
 * strip are whole segments: their row is dg's own. The first and the last run may go on in the strips beside: their
 * rows lie in the workspace, partial [batch][heads][strips][first, last][keys] (one run alone is the first), and the
 * join kernel adds them up, strip by strip. It also writes zeros for segments that no query has. No number is added to
 * by two warps: the same bytes always.
 *
 * Owner: dg and partial are the op's. Fails: nothing on the device.
 */
#ifndef CT_CUDA_ATTENTION_HARMONY_H
#define CT_CUDA_ATTENTION_HARMONY_H

#include "kernels/cuda/attention.h"
#include "kernels/cuda/four.h"

typedef struct harmony_sums {
    float *dg, *partial; /* dg NULL: not wanted */
} harmony_sums;

/* Runs of equal key segments in a tile of 32 keys; a lane for each key. */
struct key_runs {
    unsigned begins;  /* bit l: a run begins at lane l */
    int      segment; /* INT32_MAX past the last key */
    bool     rises;   /* no segment has two runs */

    __device__ __forceinline__ key_runs(const int *segments, int first, int end) {
        const int lane = (int)threadIdx.x % WARP;
        segment = first + lane < end ? segments[lane] : INT32_MAX;
        const int before = __shfl_up_sync(ALL_LANES, segment, 1);
        begins = __ballot_sync(ALL_LANES, lane == 0 || before != segment);
        rises = __all_sync(ALL_LANES, lane == 0 || before <= segment);
    }
    /* to[segment] += the sum of x over its keys */
    __device__ __forceinline__ void add(float x, float *to) const {
        const int  lane = (int)threadIdx.x % WARP, head = WARP - 1 - __clz((int)(begins & ((2u << lane) - 1)));
        const bool last = (lane == WARP - 1 || (begins >> (lane + 1) & 1)) && segment < INT32_MAX;
        for (int by = 1; by < WARP; by *= 2) {
            const float before = __shfl_up_sync(ALL_LANES, x, (unsigned)by);
            if (lane - by >= head) x += before;
        }
        if (rises) {
            if (last) to[segment] += x;
            return;
        }
        for (int turn = 0; turn < WARP; turn++) {
            if (turn == lane && last) to[segment] += x;
            __syncwarp();
        }
    }
};

/* What a warp sums for its strip of queries. All of its functions are warp-wide. */
struct strip_sums {
    harmony_sums to;
    int          keys, row, partial_row; /* the rows of to.dg and to.partial where the slice's and the strip's begin */
    int          count, segment;         /* queries that there are; segment of number `lane`, -1: there is none */

    /* what(first, end, row): a run of queries and where it is summed */
    template <class F> __device__ __forceinline__ void each_run(F &&what) const {
        if (!to.dg) return;
        for (int first = 0, end; first < count; first = end) {
            const int here = __shfl_sync(ALL_LANES, segment, first);
            end = first + __popc(__ballot_sync(ALL_LANES, segment == here));
            const bool inside = first > 0 && end < count;
            what(first, end,
                 (inside ? to.dg : to.partial) + (int64_t)(inside ? row + here : partial_row + (first > 0)) * keys);
        }
    }
    __device__ __forceinline__ void begin() const {
        const int lane = (int)threadIdx.x % WARP;
        each_run([&](int, int, float *sums) {
            for (int k = lane; k < keys; k += WARP) sums[k] = 0;
        });
        __syncwarp();
    }

    /* A tile of dlogit, as attention_backward.cu's lanes hold it, and its keys' segments; keys from `end` on are none.
     */
    __device__ __forceinline__ void add_bf16(const float dlogit[4][4], const int *segments, int first, int end) const {
        if (!to.dg) return;
        const int      lane = (int)threadIdx.x % WARP, own = lane / 4;
        const key_runs runs(segments, first, end);
        each_run([&](int from, int past, float *sums) {
            const bool low = from <= own && own < past, high = from <= own + 8 && own + 8 < past;
            float      x[8];
#pragma unroll
            for (int i = 0; i < 8; i++) x[i] = (low ? dlogit[i / 2][i % 2] : 0) + (high ? dlogit[i / 2][i % 2 + 2] : 0);
            sum_rows<8>(x); /* x[0]: of column l / 8 * 8 + l % 4 * 2 + l / 4 % 2 */
            runs.add(__shfl_sync(ALL_LANES, x[0], lane / 8 * 8 + lane % 2 * 4 + lane % 8 / 2), sums);
        });
        __syncwarp();
    }
    template <int LANE_ROWS>
    __device__ __forceinline__ void add_f32(const float dlogit[LANE_ROWS][4], const int *segments, int first,
                                            int end) const {
        if (!to.dg) return;
        const int      lane = (int)threadIdx.x % WARP;
        const key_runs runs(segments, first, end);
        each_run([&](int from, int past, float *sums) {
            float x[4] = {0, 0, 0, 0};
#pragma unroll
            for (int r = 0; r < LANE_ROWS; r++)
#pragma unroll
                for (int c = 0; c < 4; c++)
                    if (from <= lane / 8 + 4 * r && lane / 8 + 4 * r < past) x[c] += dlogit[r][c];
            sum_rows<4>(x); /* x[0]: of column 4 (l % 8) + l / 8 */
            runs.add(__shfl_sync(ALL_LANES, x[0], lane % 4 * 8 + lane / 4), sums);
        });
        __syncwarp();
    }

  private:
    /* N sums over the WARP / N... lanes that hold other rows of the same columns: x[0] is sum number l / (32 / N) */
    template <int N> static __device__ __forceinline__ void sum_rows(float x[N]) {
        const int lane = (int)threadIdx.x % WARP;
#pragma unroll
        for (int half = N / 2; half > 0; half /= 2) {
            const int  by = half * (WARP / N);
            const bool upper = lane & by; /* keeps the upper half of its sums, gives the lower one away */
#pragma unroll
            for (int i = 0; i < half; i++) {
                const float given = __shfl_xor_sync(ALL_LANES, upper ? x[i] : x[i + half], by);
                x[i] = (upper ? x[i + half] : x[i]) + given;
            }
        }
    }
};

/* The strip of STRIP queries from `first` on. */
template <int STRIP, class T>
__device__ __forceinline__ strip_sums strip_sums_of(const attention_sizes<T> &p, harmony_sums to, slice s, int first) {
    const int  number = s.b * p.heads + s.h, strips = (p.tokens + STRIP - 1) / STRIP;
    const int  lane = (int)threadIdx.x % WARP, count = min((int)STRIP, p.tokens - first);
    strip_sums sums = {to, p.keys, number * p.queries, (number * strips + first / STRIP) * 2, count, -1};
    if (to.dg && lane < count) sums.segment = p.segment_query[s.b * p.tokens + first + lane];
    return sums;
}

/* The first query of a batch row whose segment is `segment` or a later one. */
static __device__ int first_query(const int32_t *segments, int tokens, int segment) {
    int low = 0, high = tokens;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (segments[middle] < segment)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A block for each row of dg. */
static __global__ void __launch_bounds__(ATTENTION_THREADS)
    harmony_join_kernel(int tokens, int heads, int queries, int keys, int strip, const int32_t *segment_query,
                        harmony_sums sums) {
    const int64_t  number = blockIdx.x / (unsigned)queries, strips = (tokens + strip - 1) / strip;
    const int      segment = (int)(blockIdx.x % (unsigned)queries);
    const int32_t *segments = segment_query + number / heads * tokens;
    const int      first = first_query(segments, tokens, segment), end = first_query(segments, tokens, segment + 1);
    const int      from = first / strip, last = first == end ? from - 1 : (end - 1) / strip;
    if (from == last && first > from * strip && end < min((from + 1) * strip, tokens)) return; /* summed in place */
    for (int k = (int)threadIdx.x; k < keys; k += ATTENTION_THREADS) {
        float sum = 0;
        for (int i = from; i <= last; i++)
            sum += sums.partial[((number * strips + i) * 2 + (first > i * strip)) * keys + k];
        sums.dg[(int64_t)blockIdx.x * keys + k] = sum;
    }
}

#endif

/* harmony.cu -- cuda: the H-RPE table G on pairs of harmonic segments, and its gradients (reference/harmony.c).
 *
 *   g[b][h][a][k] = e[h][delta][qa][qk] + d[h][fa][fk] + sum_t w[h][t] phi[t][delta][qa][qk]
 * for segments that are there, 0 elsewhere; g [batch][heads][queries][keys].
 *
 * Forward: e and theory are added up once per head into one table of pairs. Then a thread for each (b, a, k) finds the
 * two places in the tables and writes G for all heads, 128 bytes a warp. Bytes: 4 batch heads queries keys; the tables,
 * some 20 KB a head, stay in the caches. Flops: 1 an element, and 2 theory an entry.
 *
 * Backward: a histogram of dg over the tables. A block per (head, batch row) takes the queries sorted by what they are
 * (harmony.h): sums dg over the rows of equal queries, column by column, into shared memory; then each entry of the
 * tables that these can meet has a thread, which adds up its keys. So nothing is added to by two threads, and dg is
 * read once, 4 bytes an element, 1 flop; entries are as many times summed as there are different queries. Entries of
 * all batch rows are added up in their order, and their products with phi by a block for each weight. Sums are in the
 * segments' order, then the batch rows': the same bytes always. Shared memory: 4 bytes a key.
 */
#include "kernels/cuda/harmony.h"

#include "kernels/cuda/four.h"
#include "kernels/cuda/reduce.h"

enum { THREADS = 256, FUNCTION_ENTRIES = FUNCTIONS * FUNCTIONS };

template <class T>
static __global__ void __launch_bounds__(THREADS)
    pair_kernel(int64_t count, int64_t pairs, int64_t theory, const T *e, const T *w, const float *phi, float *pair) {
    const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= count) return;
    const int64_t h = at / pairs, i = at % pairs;
    float         sum = e ? load(e + at) : 0;
    for (int64_t t = 0; t < theory; t++) sum += load(w + h * theory + t) * phi[t * pairs + i];
    pair[at] = sum;
}

template <class T>
static __global__ void __launch_bounds__(THREADS)
    harmony_kernel(int64_t heads, segment_sizes s, const float *pair, const T *d, float *g) {
    const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x, b = blockIdx.y;
    if (at >= s.queries * s.keys) return;
    const int64_t a = at / s.keys, k = at % s.keys, pairs = ROOTS * s.qualities * s.qualities;
    const bool    there = a < s.query_count[b] && k < s.key_count[b];
    int64_t       of_pair = 0, of_function = 0;
    if (there) {
        const segment query = segment_at(s.query + (b * s.queries + a) * 3);
        const segment key = segment_at(s.key + (b * s.keys + k) * 3);
        of_pair = (root_step(query, key) * s.qualities + query.quality) * s.qualities + key.quality;
        of_function = query.function * FUNCTIONS + key.function;
    }
    for (int64_t h = 0; h < heads; h++) {
        float value = 0;
        if (there) value = pair[h * pairs + of_pair] + (d ? load(d + h * FUNCTION_ENTRIES + of_function) : 0);
        g[(b * heads + h) * s.queries * s.keys + at] = value;
    }
}

CT_CUDA_REAL(harmony) {
    const segment_sizes s = sizes_of(p);
    const int64_t       pairs = ROOTS * p->qualities * p->qualities, count = p->queries * p->keys;
    const T            *w = (const T *)p->w;
    float              *pair = (float *)p->pair;
    if (p->batch * p->heads * count == 0) return CT_OK;
    CT_TRY(LAUNCH(pair_kernel<T>, blocks_for(p->heads * pairs, THREADS), THREADS, 0, stream, p->heads * pairs, pairs,
                  w ? p->theory : 0, (const T *)p->e, w, (const float *)p->phi, pair));
    return LAUNCH(harmony_kernel<T>, dim3(blocks_for(count, THREADS), (unsigned)p->batch), THREADS, 0, stream, p->heads,
                  s, pair, (const T *)p->d, (float *)p->g);
}

/* the sum over a run of sorted keys */
static __device__ float sum_of_keys(const float *of_key, const int32_t *order, int from, int end) {
    float sum = 0;
    for (int i = from; i < end; i++) sum += of_key[order[i]];
    return sum;
}

/* partial [batch][heads][pairs, then functions] */
static __global__ void __launch_bounds__(THREADS)
    histogram_kernel(segment_sizes s, int32_t *work, const float *dg, float *partial) {
    DYNAMIC_SHARED(memory);
    const int64_t       h = blockIdx.x, b = blockIdx.y, pairs = ROOTS * s.qualities * s.qualities;
    const int64_t       row = b * gridDim.x + h;
    const int           qualities = (int)s.qualities, queries = s.query_count[b], keys = s.key_count[b];
    const segment_order order = order_of(s, b, work);
    float              *of_key = reinterpret_cast<float *>(memory);
    partial += row * (pairs + FUNCTION_ENTRIES);
    dg += row * s.queries * s.keys;
    for (int64_t i = threadIdx.x; i < pairs + FUNCTION_ENTRIES; i += THREADS) partial[i] = 0;
    for (int from = 0, end; from < queries; from = end) {
        end = from + order.run[from];
        __syncthreads(); /* partial is zero; of_key has been read */
        sum_run(dg, order, s, from, end, keys, of_key);
        __syncthreads();
        const segment query = segment_at(s.query + (b * s.queries + order.query[from]) * 3);
        for (int i = (int)threadIdx.x; i < ROOTS * qualities + FUNCTIONS; i += THREADS) {
            if (i >= ROOTS * qualities) {
                const int function = i - ROOTS * qualities;
                partial[pairs + query.function * FUNCTIONS + function] += sum_of_keys(
                    of_key, order.by_function, order.function_begin[function], order.function_begin[function + 1]);
                continue;
            }
            const int  step = i / qualities, quality = i % qualities;
            const int *begin = order.place_begin + quality * (ROOTS + 1);
            float      sum = 0;
            if (query.root < NO_CHORD) {
                const int root = query.root - step + (query.root < step ? ROOTS : 0);
                sum = sum_of_keys(of_key, order.by_place, begin[root], begin[root + 1]);
            }
            if (step == 0) /* keys without a chord too; to a query without one, all */
                sum += sum_of_keys(of_key, order.by_place, begin[query.root < NO_CHORD ? NO_CHORD : 0],
                                   begin[NO_CHORD + 1]);
            partial[(step * qualities + query.quality) * qualities + quality] += sum;
        }
    }
}

/* adds up the batch rows: pair [heads][pairs], and de and dd where they are wanted */
static __global__ void __launch_bounds__(THREADS)
    entries_kernel(int64_t batch, int64_t heads, int64_t pairs, const float *partial, float *pair, float *de,
                   float *dd) {
    const int64_t entries = pairs + FUNCTION_ENTRIES, at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= heads * entries) return;
    const int64_t h = at / entries, i = at % entries;
    float         sum = 0;
#pragma unroll 4
    for (int64_t b = 0; b < batch; b++) sum += partial[b * heads * entries + at];
    if (i < pairs) pair[h * pairs + i] = sum;
    if (i < pairs && de) de[h * pairs + i] += sum;
    if (i >= pairs && dd) dd[h * FUNCTION_ENTRIES + i - pairs] += sum;
}

/* dw[h][t] += sum over pairs of pair[h] phi[t] */
static __global__ void __launch_bounds__(THREADS)
    theory_kernel(int64_t pairs, const float *pair, const float *phi, float *dw) {
    const int64_t t = blockIdx.x, h = blockIdx.y;
    float         sum = 0;
    for (int64_t i = threadIdx.x; i < pairs; i += THREADS) sum += pair[h * pairs + i] * phi[t * pairs + i];
    sum = sum_of_block(sum);
    if (threadIdx.x == 0) dw[h * gridDim.x + t] += sum;
}

CT_CUDA(harmony_backward) {
    const ct_harmony_backward *p = &params->harmony_backward;
    const segment_sizes        s = sizes_of(p);
    const int64_t              pairs = ROOTS * p->qualities * p->qualities;
    float                     *pair = (float *)p->pair, *partial = (float *)p->partial, *dw = (float *)p->dw;
    if (p->batch * p->heads == 0) return CT_OK;
    CT_TRY(sort_segments(s, p->batch, p->order, stream));
    CT_TRY(LAUNCH(histogram_kernel, dim3((unsigned)p->heads, (unsigned)p->batch), THREADS,
                  (size_t)p->keys * sizeof(float), stream, s, p->order, (const float *)p->dg, partial));
    CT_TRY(LAUNCH(entries_kernel, blocks_for(p->heads * (pairs + FUNCTION_ENTRIES), THREADS), THREADS, 0, stream,
                  p->batch, p->heads, pairs, partial, pair, (float *)p->de, (float *)p->dd));
    if (!dw || p->theory == 0) return CT_OK;
    return LAUNCH(theory_kernel, dim3((unsigned)p->theory, (unsigned)p->heads), THREADS, 0, stream, pairs, pair,
                  (const float *)p->phi, dw);
}

/* harmony_mlp.cu -- cuda: the published form of H-RPE, an MLP on three embeddings of the pair
 * (reference/harmony_mlp.c).
 *
 *   g[b][h][a][k] = b2 + sum_j w2[j] max(0, hidden[j]), hidden = b1 + w1 [root[delta]; quality[qa][qk];
 * function[fa][fk]] for two segments with chords, 0 elsewhere; g [batch][heads][queries][keys].
 *
 * The first layer is linear in three table rows, so each entry's share of it is made once: [heads][entries][hidden],
 * entries: 12 root steps, qualities^2, 25^2. A thread for each (b, h, a, k) adds three of them. Bytes: 4 an element of
 * g written; shares come from the caches. Flops: 5 hidden an element.
 *
 * Backward: a block per (head, batch row) takes the queries sorted by what they are (harmony.h) and sums dg over the
 * rows of equal ones, column by column. Then each entry that these meet has a warp, a lane for each hidden unit: it
 * goes through the entry's keys and adds up the unit's gradient. So no number is added to by two threads. Batch rows
 * are added up in their order, and the tables, w1, b1, w2, b2 get their gradients from the entries'. Bytes: 4 an
 * element of dg. Sums are in the segments' order, then the batch rows', then heads and entries: the same bytes always.
 * Shared memory: 8 bytes a key.
 */
#include "kernels/cuda/four.h"
#include "kernels/cuda/harmony.h"
#include "kernels/cuda/reduce.h"

enum { THREADS = 256, PARTS = 3 };

/* The MLP's sizes and inputs. A table row of an entry: [heads][size]. */
template <class T> struct mlp {
    int      heads, qualities, size, hidden, entries;
    const T *root, *quality, *function, *w1, *b1, *w2;
};
template <class T, class P> static mlp<T> mlp_of(const P *p) { /* of both ops' parameters */
    return {(int)p->heads,
            (int)p->qualities,
            (int)p->size,
            (int)p->hidden,
            (int)CT_HARMONY_MLP_ENTRIES(p),
            (const T *)p->root,
            (const T *)p->quality,
            (const T *)p->function,
            (const T *)p->w1,
            (const T *)p->b1,
            (const T *)p->w2};
}
template <class T> static __device__ const T *table_of(const mlp<T> &m, int part) {
    return part == 0 ? m.root : part == 1 ? m.quality : m.function;
}
/* what blocks leave, [heads][sums]: the hidden layer's gradient [entries][hidden]; dw2 [12][hidden], db2 [12] */
template <class T> static __host__ __device__ int sums_of(const mlp<T> &m) {
    return (m.entries + ROOTS) * m.hidden + ROOTS;
}

typedef struct table_row {
    int part, row;
} table_row;
template <class T> static __device__ table_row row_of_entry(const mlp<T> &m, int entry) {
    const int qualities = m.qualities * m.qualities;
    if (entry < ROOTS) return {0, entry};
    if (entry < ROOTS + qualities) return {1, entry - ROOTS};
    return {2, entry - ROOTS - qualities};
}

/* shares [heads][entries][hidden]; b1 joins the root steps */
template <class T> static __global__ void __launch_bounds__(THREADS) shares_kernel(mlp<T> m, float *shares) {
    const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= (int64_t)m.heads * m.entries * m.hidden) return;
    const int       j = (int)(at % m.hidden), row = (int)(at / m.hidden), entry = row % m.entries, h = row / m.entries;
    const table_row from = row_of_entry(m, entry);
    const T        *x = table_of(m, from.part) + (from.row * m.heads + h) * m.size;
    const T        *w = m.w1 + (j * PARTS + from.part) * m.size;
    float           sum = from.part == 0 ? load(m.b1 + j) : 0;
    for (int i = 0; i < m.size; i++) sum += load(w + i) * load(x + i);
    shares[at] = sum;
}

/* the hidden layer's unit j for a pair of segments, of one head's shares */
template <class T>
static __device__ float unit_of(const mlp<T> &m, const float *shares, segment query, segment key, int j) {
    const int qualities = m.qualities * m.qualities;
    const int quality = ROOTS + query.quality * m.qualities + key.quality;
    const int function = ROOTS + qualities + query.function * FUNCTIONS + key.function;
    shares += j;
    return shares[root_step(query, key) * m.hidden] + shares[quality * m.hidden] + shares[function * m.hidden];
}

template <class T>
static __global__ void __launch_bounds__(THREADS)
    harmony_mlp_kernel(mlp<T> m, segment_sizes s, const float *shares, const T *b2, float *g) {
    const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x, h = blockIdx.y, b = blockIdx.z;
    if (at >= s.queries * s.keys) return;
    const int64_t a = at / s.keys, k = at % s.keys;
    float         value = 0;
    if (a < s.query_count[b] && k < s.key_count[b]) {
        const segment query = segment_at(s.query + (b * s.queries + a) * 3);
        const segment key = segment_at(s.key + (b * s.keys + k) * 3);
        if (query.root < NO_CHORD && key.root < NO_CHORD) {
            const float *of_head = shares + h * m.entries * m.hidden;
            value = load(b2);
            for (int j = 0; j < m.hidden; j++) value += load(m.w2 + j) * fmaxf(unit_of(m, of_head, query, key, j), 0);
        }
    }
    g[(b * m.heads + h) * s.queries * s.keys + at] = value;
}

CT_CUDA_REAL(harmony_mlp) {
    const segment_sizes s = sizes_of(p);
    const mlp<T>        m = mlp_of<T>(p);
    const int64_t       count = p->queries * p->keys, shares = (int64_t)m.heads * m.entries * m.hidden;
    if (p->batch * p->heads * count == 0) return CT_OK;
    CT_TRY(LAUNCH(shares_kernel<T>, blocks_for(shares, THREADS), THREADS, 0, stream, m, (float *)p->work));
    return LAUNCH(harmony_mlp_kernel<T>, dim3(blocks_for(count, THREADS), (unsigned)p->heads, (unsigned)p->batch),
                  THREADS, 0, stream, m, s, (const float *)p->work, (const T *)p->b2, (float *)p->g);
}

/* What one lane adds up of hidden unit j over an entry's keys. */
typedef struct unit_sums {
    float hidden, w2, b2;
} unit_sums;
template <class T>
static __device__ void add_keys(const mlp<T> &m, const float *shares, segment query, const int *key,
                                const float *of_key, const int32_t *order, int from, int end, int j, unit_sums *to) {
    for (int i = from; i < end; i++) {
        const segment at = unpack_segment(key[order[i]]);
        if (at.root == NO_CHORD) continue;
        const float value = of_key[order[i]], sum = unit_of(m, shares, query, at, j);
        to->b2 += value;
        if (!(sum > 0)) continue;
        to->w2 += value * sum;
        to->hidden += value * load(m.w2 + j);
    }
}

/* partial [batch][heads][sums]. Blocks are few: registers rather than more of them at once. */
template <class T>
static __global__ void __launch_bounds__(THREADS, 2)
    unit_kernel(mlp<T> m, segment_sizes s, int32_t *work, const float *all_shares, const float *dg, float *partial) {
    DYNAMIC_SHARED(memory);
    const int64_t       h = blockIdx.x, b = blockIdx.y, row = b * m.heads + h;
    const int           qualities = m.qualities, queries = s.query_count[b], keys = s.key_count[b];
    const int           warp = (int)threadIdx.x / WARP, lane = (int)threadIdx.x % WARP;
    const segment_order order = order_of(s, b, work);
    const float        *shares = all_shares + h * m.entries * m.hidden;
    int                *key = reinterpret_cast<int *>(memory);
    float              *of_key = reinterpret_cast<float *>(key + s.keys);
    partial += row * sums_of(m);
    dg += row * s.queries * s.keys;
    float *of_w2 = partial + m.entries * m.hidden, *of_b2 = of_w2 + ROOTS * m.hidden;
    for (int i = (int)threadIdx.x; i < sums_of(m); i += THREADS) partial[i] = 0;
    for (int k = (int)threadIdx.x; k < keys; k += THREADS)
        key[k] = pack_segment(segment_at(s.key + (b * s.keys + k) * 3));
    for (int from = 0, end; from < queries; from = end) {
        const segment query = segment_at(s.query + (b * s.queries + order.query[from]) * 3);
        end = from + order.run[from];
        if (query.root == NO_CHORD) continue; /* the whole block */
        __syncthreads();                      /* partial is zero; of_key has been read */
        sum_run(dg, order, s, from, end, keys, of_key);
        __syncthreads();
        for (int i = warp; i < ROOTS + qualities + FUNCTIONS; i += THREADS / WARP) {
            /* the entry, and its keys: of a root step, in each quality's */
            const int32_t *list = i < ROOTS + qualities ? order.by_place : order.by_function, *begin;
            int            entry = i, ranges = 1, span = 1;
            if (i < ROOTS) {
                begin = order.place_begin + query.root - i + (query.root < i ? ROOTS : 0);
                ranges = qualities;
            } else if (i < ROOTS + qualities) {
                begin = order.place_begin + (i - ROOTS) * (ROOTS + 1);
                span = ROOTS;
                entry = i + query.quality * qualities;
            } else {
                begin = order.function_begin + i - ROOTS - qualities;
                entry = i - qualities + qualities * qualities + query.function * FUNCTIONS;
            }
            for (int j = lane; j < m.hidden; j += WARP) {
                unit_sums sums = {0, 0, 0};
                for (int range = 0; range < ranges; range++)
                    add_keys(m, shares, query, key, of_key, list, begin[range * (ROOTS + 1)],
                             begin[range * (ROOTS + 1) + span], j, &sums);
                partial[entry * m.hidden + j] += sums.hidden;
                if (i < ROOTS) of_w2[i * m.hidden + j] += sums.w2;
                if (i < ROOTS && j == 0) of_b2[i] += sums.b2;
            }
        }
    }
}

/* sums [heads][sums]: the batch rows added up */
static __global__ void __launch_bounds__(THREADS)
    batch_kernel(int64_t batch, int64_t count, const float *partial, float *sums) {
    const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    float         sum = 0;
    if (at >= count) return;
#pragma unroll 4
    for (int64_t b = 0; b < batch; b++) sum += partial[b * count + at];
    sums[at] = sum;
}

/* the tables' gradients: w1' times the hidden layer's; a thread for each of [heads][entries][size] */
template <class T>
static __global__ void __launch_bounds__(THREADS)
    tables_kernel(mlp<T> m, const float *sums, float *droot, float *dquality, float *dfunction) {
    const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= (int64_t)m.heads * m.entries * m.size) return;
    const int       i = (int)(at % m.size), row = (int)(at / m.size), entry = row % m.entries, h = row / m.entries;
    const table_row from = row_of_entry(m, entry);
    const T        *w = m.w1 + from.part * m.size + i;
    const float    *d = sums + (int64_t)h * sums_of(m) + entry * m.hidden;
    float           sum = 0;
    for (int j = 0; j < m.hidden; j++) sum += load(w + j * PARTS * m.size) * d[j];
    float *to = from.part == 0 ? droot : from.part == 1 ? dquality : dfunction;
    to[(from.row * m.heads + h) * m.size + i] += sum;
}

/* dw1 [hidden][3 size]: a warp for each, its lanes share heads and entries */
template <class T>
static __global__ void __launch_bounds__(THREADS) w1_kernel(mlp<T> m, const float *sums, float *dw1) {
    const int at = (int)(blockIdx.x * (THREADS / WARP) + threadIdx.x / WARP), lane = (int)threadIdx.x % WARP;
    if (at >= m.hidden * PARTS * m.size) return; /* the whole warp */
    const int j = at / (PARTS * m.size), i = at % m.size, part = at / m.size % PARTS;
    const int qualities = m.qualities * m.qualities, first = part == 0 ? 0 : ROOTS + (part == 1 ? 0 : qualities);
    const int count = part == 0 ? (int)ROOTS : part == 1 ? qualities : m.entries - first;
    float     sum = 0;
    for (int k = lane; k < m.heads * count; k += WARP) {
        const int h = k / count, row = k % count;
        sum += sums[(int64_t)h * sums_of(m) + (first + row) * m.hidden + j] *
               load(table_of(m, part) + (row * m.heads + h) * m.size + i);
    }
    sum = warp_sum(sum);
    if (lane == 0) dw1[at] += sum;
}

/* db1, dw2 and db2: a thread for each unit, and one */
template <class T>
static __global__ void __launch_bounds__(THREADS)
    units_kernel(mlp<T> m, const float *sums, float *db1, float *dw2, float *db2) {
    const int j = (int)(blockIdx.x * THREADS + threadIdx.x);
    if (j > m.hidden) return;
    float first = 0, second = 0;
    for (int h = 0; h < m.heads; h++) {
        const float *of_hidden = sums + (int64_t)h * sums_of(m), *of_w2 = of_hidden + m.entries * m.hidden;
        for (int root = 0; root < ROOTS; root++) {
            if (j < m.hidden) first += of_hidden[root * m.hidden + j];
            second += j < m.hidden ? of_w2[root * m.hidden + j] : of_w2[ROOTS * m.hidden + root];
        }
    }
    if (j == m.hidden) {
        db2[0] += second;
        return;
    }
    db1[j] += first;
    dw2[j] += second;
}

CT_CUDA_REAL(harmony_mlp_backward) {
    const segment_sizes s = sizes_of(p);
    const mlp<T>        m = mlp_of<T>(p);
    const int64_t       count = p->heads * sums_of(m), hidden = p->heads * m.entries * m.hidden;
    float              *shares = (float *)p->work, *sums = (float *)p->partial, *partial = sums + count;
    if (p->batch * p->heads * p->hidden == 0) return CT_OK;
    CT_TRY(sort_segments(s, p->batch, p->order, stream));
    CT_TRY(LAUNCH(shares_kernel<T>, blocks_for(hidden, THREADS), THREADS, 0, stream, m, shares));
    CT_TRY(LAUNCH(unit_kernel<T>, dim3((unsigned)p->heads, (unsigned)p->batch), THREADS,
                  (size_t)p->keys * (sizeof(int) + sizeof(float)), stream, m, s, p->order, shares, (const float *)p->dg,
                  partial));
    CT_TRY(LAUNCH(batch_kernel, blocks_for(count, THREADS), THREADS, 0, stream, p->batch, count, partial, sums));
    CT_TRY(LAUNCH(tables_kernel<T>, blocks_for(p->heads * m.entries * m.size, THREADS), THREADS, 0, stream, m, sums,
                  (float *)p->droot, (float *)p->dquality, (float *)p->dfunction));
    CT_TRY(LAUNCH(w1_kernel<T>, blocks_for(m.hidden * PARTS * m.size, THREADS / WARP), THREADS, 0, stream, m, sums,
                  (float *)p->dw1));
    return LAUNCH(units_kernel<T>, blocks_for(m.hidden + 1, THREADS), THREADS, 0, stream, m, sums, (float *)p->db1,
                  (float *)p->dw2, (float *)p->db2);
}

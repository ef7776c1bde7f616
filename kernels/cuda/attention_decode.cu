/* attention_decode.cu -- cuda: attention of one new token of each sequence to its cache (reference/attention.c).
 *
 *   logit_j = <Rot(q), k_j> scale + g[segment of j],   y = sum over rows first .. length of softmax_j v_j
 * qkv [batch][3][heads][head], caches [batch][capacity][heads][head] with turned keys, g [batch][heads][keys],
 * y [batch][heads][head]. The new key, turned, and the new value become row `length` of the caches.
 *
 * A block for each (sequence, head, part): a part is CT_DECODE_PART rows that begin at a multiple of it, so that where
 * a sequence is cut depends on nothing but first and length. It leaves its largest logit, the sum of its shares and its
 * sum of values in the workspace, and a second kernel puts a sequence's parts together in their order. Four
 * neighbouring numbers a lane; a row's lanes add up across. Bytes: 2 head a row of the cache, 4 or 2 each. Flops: 4
 * head a row. Batch-invariant, the same bytes always. Sequences that rest (length < 0) are not touched. Heads up to
 * 128.
 */
#include "kernels/cuda/attention.h"
#include "kernels/cuda/four.h"

enum { THREADS = 128, PART = CT_DECODE_PART };
static_assert(PART == THREADS, "a thread for each row's share");

template <class T> struct decode {
    int            capacity, heads, head, keys;
    bool           fours;
    float          scale;
    const T       *qkv;
    const float   *cosine, *sine, *g;
    const int32_t *length, *first, *segment;
    T             *key_cache, *value_cache, *y;
    float         *partial; /* [batch][heads][parts][largest, total, y: head] */
};

/* elements i and i + half of a part of qkv, turned */
template <class T>
static __device__ __forceinline__ float2 turned(const decode<T> &p, int64_t b, const T *from, int i) {
    const int   half = p.head / 2;
    const float x = load(from + i), y = load(from + half + i);
    const float cosine = p.cosine[b * half + i], sine = p.sine[b * half + i];
    return make_float2(fmaf(x, cosine, -y * sine), fmaf(x, sine, y * cosine));
}

/* LANES: of a row, four columns each */
template <class T, int LANES> static __global__ void __launch_bounds__(THREADS) decode_part_kernel(const decode<T> p) {
    enum { GROUPS = THREADS / LANES };
    SHARED_ARRAY(float, query, [4 * LANES]);
    SHARED_ARRAY(float, share, [PART]);
    SHARED_ARRAY(float4, of_group, [GROUPS][LANES]);
    const int     part = (int)blockIdx.x, h = (int)blockIdx.y, me = (int)threadIdx.x;
    const int64_t b = blockIdx.z, width = (int64_t)p.heads * p.head;
    const int     last = p.length[b], from = max(part * PART, p.first[b]), end = min((part + 1) * PART, last + 1);
    if (from >= end) return; /* the whole block; with last < 0 too */
    const int lane = me % LANES, group = me / LANES, column = 4 * lane, half = p.head / 2;
    const T  *own = p.qkv + b * 3 * width + (int64_t)h * p.head;
    T        *keys = p.key_cache + b * p.capacity * width + (int64_t)h * p.head;
    T        *values = p.value_cache + b * p.capacity * width + (int64_t)h * p.head;
    if (me < half) {
        const float2 q = turned(p, b, own, me);
        query[me] = q.x;
        query[half + me] = q.y;
        if (end == last + 1) {
            const float2 k = turned(p, b, own + width, me);
            store(keys + last * width + me, k.x);
            store(keys + last * width + half + me, k.y);
            values[last * width + me] = own[2 * width + me];
            values[last * width + half + me] = own[2 * width + half + me];
        }
    }
    if (me >= p.head && me < 4 * LANES) query[me] = 0;
    share[me] = -INFINITY;
    __syncthreads();
    const float4 q = load_whole_four(query + column);
    const float *of_query = p.g ? p.g + (b * p.heads + h) * p.keys : nullptr;
#pragma unroll 4
    for (int at = from; at < end; at += GROUPS) { /* all lanes: they add up across */
        const int    j = at + group;
        const float4 k =
            j < end && column < p.head ? load_four(keys + j * width, column, p.head, p.fours) : make_float4(0, 0, 0, 0);
        float dot = add_products(q, k, 0);
        for (int by = LANES / 2; by > 0; by /= 2) dot += __shfl_xor_sync(ALL_LANES, dot, by);
        if (lane == 0 && j < end)
            share[j - from] = dot * p.scale + (of_query ? of_query[p.segment[b * p.capacity + j]] : 0);
    }
    __syncthreads();
    const float logit = share[me], largest = largest_of_block(logit);
    const float own_share = me < end - from ? expf(logit - largest) : 0;
    const float total = sum_of_block(own_share); /* all have read */
    share[me] = own_share;
    __syncthreads();
    float4 sum = make_float4(0, 0, 0, 0);
#pragma unroll 4
    for (int j = from + group; j < end; j += GROUPS)
        if (column < p.head) sum = sum + load_four(values + j * width, column, p.head, p.fours) * share[j - from];
    of_group[group][lane] = sum;
    __syncthreads();
    if (group > 0) return;
    for (int i = 1; i < GROUPS; i++) sum = sum + of_group[i][lane];
    float *to = p.partial + ((b * p.heads + h) * gridDim.x + part) * (p.head + 2);
    if (lane == 0) {
        to[0] = largest;
        to[1] = total;
    }
    if (column < p.head) store_four(to + 2, column, p.head, false, sum);
}

/* A block for each (head, sequence), a thread for each column. */
template <class T>
static __global__ void __launch_bounds__(MOST_HEAD) decode_join_kernel(int parts, const decode<T> p) {
    const int64_t b = blockIdx.y, row = b * p.heads + blockIdx.x;
    const int     i = (int)threadIdx.x;
    if (i >= p.head || p.length[b] < 0) return;
    const float *partial = p.partial + row * parts * (p.head + 2);
    float        largest = -INFINITY, total = 0, sum = 0;
    for (int part = p.first[b] / PART; part <= p.length[b] / PART; part++) {
        const float *of_part = partial + part * (p.head + 2);
        const float  most = fmaxf(largest, of_part[0]), shrink = expf(largest - most), weight = expf(of_part[0] - most);
        largest = most;
        total = total * shrink + of_part[1] * weight;
        sum = sum * shrink + of_part[2 + i] * weight;
    }
    store(p.y + row * p.head + i, sum / total);
}

CT_CUDA_REAL(attention_decode) {
    CT_TRY(attention_check(p->head));
    T        *keys = (T *)p->key_cache, *values = (T *)p->value_cache;
    decode<T> d = {(int)p->capacity,
                   (int)p->heads,
                   (int)p->head,
                   (int)p->keys,
                   by_fours(p->head, keys, values),
                   (float)p->scale,
                   (const T *)p->qkv,
                   (const float *)p->cosine,
                   (const float *)p->sine,
                   (const float *)p->g,
                   p->length,
                   p->first,
                   p->segment,
                   keys,
                   values,
                   (T *)p->y,
                   (float *)p->partial};
    if (p->batch * p->heads * p->capacity == 0) return CT_OK;
    const unsigned parts = blocks_for(p->capacity, PART);
    const dim3     grid(parts, (unsigned)p->heads, (unsigned)p->batch);
    if (p->head <= 32)
        CT_TRY(launch("decode_part_kernel", decode_part_kernel<T, 8>, grid, THREADS, 0, stream, d));
    else if (p->head <= 64)
        CT_TRY(launch("decode_part_kernel", decode_part_kernel<T, 16>, grid, THREADS, 0, stream, d));
    else
        CT_TRY(launch("decode_part_kernel", decode_part_kernel<T, 32>, grid, THREADS, 0, stream, d));
    return LAUNCH(decode_join_kernel<T>, dim3((unsigned)p->heads, (unsigned)p->batch), MOST_HEAD, 0, stream, (int)parts,
                  d);
}

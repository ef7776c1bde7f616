/* bugs.cu -- see bugs.h: the kernels, right where BUG is NO_BUG. */
#include "bugs.h"

#include "kernels/cuda/platform.h"

enum { TILE = 32, THREADS = 128, PADDED = HEAD + 8 /* a row of bf16: 144 bytes, for ldmatrix without conflicts */ };
#define HIDDEN (-1e30f)
#define ALL_LANES 0xffffffffu

/* ---- attention in fp32: a block has 32 queries, four threads a query; 32 keys at a time */
template <int BUG>
static __device__ void load_keys(float key[TILE][HEAD + 4], float value[TILE][HEAD + 4], const float *k, const float *v,
                                 int first, int tokens) {
    for (int i = (int)threadIdx.x; i < TILE * HEAD; i += THREADS) {
        int row = i / HEAD, column = i % HEAD, token = first + row;
        if (BUG == READ_PAST_END || token < tokens) {
            key[row][column] = k[token * HEAD + column];
            value[row][column] = v[token * HEAD + column];
        } else if (BUG != TAIL_NOT_WRITTEN) {
            key[row][column] = 0;
            value[row][column] = 0;
        }
    }
}

static __device__ float dot_four(const float *a, const float *b) {
    float4 x = *reinterpret_cast<const float4 *>(a), y = *reinterpret_cast<const float4 *>(b);
    return x.x * y.x + x.y * y.y + x.z * y.z + x.w * y.w;
}

static __device__ float of_four_lanes(float x, bool largest) {
    for (int by = 1; by <= 2; by *= 2) {
        float other = __shfl_xor_sync(ALL_LANES, x, by);
        x = largest ? fmaxf(x, other) : x + other;
    }
    return x;
}

template <int BUG>
static __global__ void __launch_bounds__(THREADS) attention(float *o, const float *q, const float *k, const float *v,
                                                            const float *bias, int tokens, int reach, float scale) {
    SHARED_ARRAY(float, query, [TILE][HEAD + 4]);
    SHARED_ARRAY_ALIGNED(float, key, [TILE][HEAD + 4], BUG == MISALIGNED_SHARED_FLOAT4 ? 4 : 16);
    SHARED_ARRAY(float, value, [TILE][HEAD + 4]);
    SHARED_ARRAY(float, weight, [TILE][TILE + 1]);
    int t = (int)threadIdx.x, row = t / 4, part = t % 4, first = (int)blockIdx.x * TILE, head = (int)blockIdx.y;
    q += head * tokens * HEAD;
    k += head * tokens * HEAD;
    v += head * tokens * HEAD;
    o += head * tokens * HEAD;
    bias += head * (reach + 1);
    for (int i = t; i < TILE * HEAD; i += THREADS)
        query[i / HEAD][i % HEAD] = first + i / HEAD < tokens ? q[first * HEAD + i] * scale : 0;
    float most = HIDDEN, total = 0, sum[HEAD / 4] = {};
    for (int at = 0; at < min(tokens, first + TILE); at += TILE) {
        if (BUG != REUSED_BEFORE_BARRIER) __syncthreads();
        load_keys<BUG>(key, value, k, v, at, tokens);
        if (BUG != USED_BEFORE_BARRIER) __syncthreads();
        float logit[TILE / 4], largest = HIDDEN;
        for (int j = 0; j < TILE / 4; j++) {
            float x = 0;
            for (int i = 0; i < HEAD; i += 4) x += dot_four(&query[row][i], &key[part + 4 * j][i]);
            int distance = first + row - (at + part + 4 * j);
            if (BUG == NEGATIVE_INDEX || distance >= 0) x += bias[min(distance, reach)];
            logit[j] = fminf(x, distance < 0 ? HIDDEN : INFINITY);
            largest = fmaxf(largest, logit[j]);
        }
        float now = fmaxf(most, of_four_lanes(largest, true)), shrink = __expf(most - now), added = 0;
        most = now;
        for (int j = 0; j < TILE / 4; j++) {
            float p = logit[j] <= HIDDEN ? 0 : __expf(logit[j] - most);
            weight[row][part + 4 * j] = p;
            added += p;
        }
        total = total * shrink + of_four_lanes(added, false);
        if (BUG != NO_WARP_SYNC) __syncwarp();
        for (int i = 0; i < HEAD / 4; i++) sum[i] *= shrink;
        for (int j = 0; j < TILE; j++) {
            float p = weight[row][j];
            for (int i = 0; i < HEAD / 4; i++) sum[i] += p * value[j][part + 4 * i];
        }
        __syncwarp();
    }
    if (first + row < tokens)
        for (int i = 0; i < HEAD / 4; i++) o[(first + row) * HEAD + part + 4 * i] = sum[i] / total;
}

/* ---- attention in bf16: four warps with 16 queries each, 32 keys at a time, the next ones on their way */
enum { QUERIES = 64 };

template <int BUG> static __device__ void copy_rows(bf16 *to, const bf16 *from, int first, int rows, int tokens) {
    for (int i = (int)threadIdx.x; i < rows * HEAD / 8; i += THREADS) {
        int row = i / (HEAD / 8), column = i % (HEAD / 8) * 8, token = first + row;
        cp_async_16(to + row * PADDED + column + (BUG == MISALIGNED_COPY),
                    from + (token < tokens ? token : 0) * HEAD + column, token < tokens);
    }
}

template <int BUG>
static __global__ void __launch_bounds__(THREADS)
    attention_bf16(bf16 *o, const bf16 *q, const bf16 *k, const bf16 *v, const float *bias, int tokens, int reach,
                   float scale) {
    DYNAMIC_SHARED(memory);
    bf16 *query = reinterpret_cast<bf16 *>(memory), *keys = query + QUERIES * PADDED,
         *values = keys + 2 * TILE * PADDED;
    int t = (int)threadIdx.x, warp = t / 32, lane = t % 32, group = lane / 4, pair = lane % 4 * 2;
    int first = (int)blockIdx.x * QUERIES, head = (int)blockIdx.y;
    q += head * tokens * HEAD;
    k += head * tokens * HEAD;
    v += head * tokens * HEAD;
    o += head * tokens * HEAD;
    bias += head * (reach + 1);
    copy_rows<BUG>(query, q, first, QUERIES, tokens);
    copy_rows<BUG>(keys, k, 0, TILE, tokens);
    copy_rows<BUG>(values, v, 0, TILE, tokens);
    cp_async_commit();
    float    most[2] = {HIDDEN, HIDDEN}, total[2] = {0, 0}, sum[HEAD / 8][4] = {};
    unsigned of_query[HEAD / 16][4];
    int      tiles = (min(tokens, first + QUERIES) + TILE - 1) / TILE;
    for (int tile = 0; tile < tiles; tile++) {
        int   at = tile * TILE, other = (tile + 1) % 2 * TILE * PADDED;
        bf16 *key = keys + tile % 2 * TILE * PADDED, *value = values + tile % 2 * TILE * PADDED;
        if (tile + 1 < tiles) {
            copy_rows<BUG>(keys + other, k, at + TILE, TILE, tokens);
            copy_rows<BUG>(values + other, v, at + TILE, TILE, tokens);
        }
        cp_async_commit();
        cp_async_wait<BUG == WAIT_TOO_SHORT ? 2 : 1>();
        __syncthreads();
        for (int i = 0; tile == 0 && i < HEAD / 16; i++)
            ldmatrix_x4(of_query[i], query + (warp * 16 + lane % 16) * PADDED + i * 16 + lane / 16 * 8);
        float logit[TILE / 8][4] = {}, largest[2] = {HIDDEN, HIDDEN};
        for (int n = 0; n < TILE / 8; n++)
            for (int i = 0; i < HEAD / 16; i++) {
                unsigned of_key[2];
                ldmatrix_x2(of_key, key + (n * 8 + lane % 8) * PADDED + i * 16 + lane / 8 % 2 * 8);
                mma_bf16(logit[n], of_query[i], of_key);
            }
        for (int n = 0; n < TILE / 8; n++)
            for (int e = 0; e < 4; e++) {
                int distance = first + warp * 16 + group + e / 2 * 8 - (at + n * 8 + pair + e % 2);
                logit[n][e] = distance < 0 ? HIDDEN : logit[n][e] * scale + bias[min(distance, reach)];
                largest[e / 2] = fmaxf(largest[e / 2], logit[n][e]);
            }
        for (int half = 0; half < 2; half++) {
            float now = fmaxf(most[half], of_four_lanes(largest[half], true)), shrink = __expf(most[half] - now),
                  added = 0;
            most[half] = now;
            for (int n = 0; n < TILE / 8; n++)
                for (int e = 2 * half; e < 2 * half + 2; e++) {
                    logit[n][e] = logit[n][e] <= HIDDEN ? 0 : __expf(logit[n][e] - now);
                    added += logit[n][e];
                }
            total[half] = total[half] * shrink + of_four_lanes(added, false);
            for (int n = 0; n < HEAD / 8; n++)
                for (int e = 2 * half; e < 2 * half + 2; e++) sum[n][e] *= shrink;
        }
        for (int i = 0; i < TILE / 16; i++) {
            unsigned of_weight[4];
            for (int r = 0; r < 4; r++)
                of_weight[r] = pack_bf16(logit[2 * i + r / 2][r % 2 * 2], logit[2 * i + r / 2][r % 2 * 2 + 1]);
            for (int n = 0; n < HEAD / 8; n++) {
                unsigned of_value[2];
                ldmatrix_x2_trans(of_value, value + (i * 16 + lane % 16) * PADDED + n * 8);
                if (BUG != DIVERGENT_MMA || first + warp * 16 + group < tokens) mma_bf16(sum[n], of_weight, of_value);
            }
        }
        if (BUG != COPY_OVER_READ) __syncthreads();
    }
    for (int half = 0; half < 2; half++) {
        int token = first + warp * 16 + group + half * 8;
        for (int n = 0; token < tokens && n < HEAD / 8; n++)
            *reinterpret_cast<unsigned *>(o + token * HEAD + n * 8 + pair) =
                pack_bf16(sum[n][2 * half] / total[half], sum[n][2 * half + 1] / total[half]);
    }
}

/* ---- a row a block: sums of warps meet in shared memory */
static __device__ float sum_of_warps(float x, float sums[THREADS / 32]) {
    for (int by = 16; by > 0; by /= 2) x += __shfl_xor_sync(ALL_LANES, x, by);
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = x;
    return x;
}

template <int BUG> static __global__ void normalise(float *y, const float *x, int width) {
    SHARED_ARRAY(float, sums, [THREADS / 32]);
    DYNAMIC_SHARED(memory);
    float *row = reinterpret_cast<float *>(memory), total = 0, squares = 0, mean = 0, variance = 0;
    x += (int)blockIdx.x * width;
    y += (int)blockIdx.x * width;
    for (int i = (int)threadIdx.x; i < width; i += THREADS) {
        row[i] = x[i];
        total += x[i];
    }
    sum_of_warps(total, sums);
    __syncthreads();
    for (int i = 0; i < THREADS / 32; i++) mean += sums[i] / (float)width;
    if (BUG != SUMS_REUSED_EARLY) __syncthreads();
    for (int i = (int)threadIdx.x; i < width; i += THREADS) squares += (row[i] - mean) * (row[i] - mean);
    sum_of_warps(squares, sums);
    if (BUG != DIVERGENT_BARRIER || threadIdx.x < 32) __syncthreads();
    for (int i = 0; i < THREADS / 32; i++) variance += sums[i] / (float)width;
    if (BUG == PAST_DYNAMIC_SHARED && (int)threadIdx.x == 5) row[width] = variance;
    if (BUG == PAST_SHARED_ARRAY && (int)threadIdx.x == 5) sums[THREADS / 32 + width % 3] = variance;
    for (int i = (int)threadIdx.x; i < width; i += THREADS) y[i] = (row[i] - mean) / sqrtf(variance + 1e-5f);
}

/* ---- small ones */
template <int BUG> static __global__ void sum_distances(float *sums, const float *x, int tokens, int reach) {
    int i = (int)blockIdx.x, j = (int)threadIdx.x;
    if (j > i) return;
    float *sum = &sums[min(i - j, reach)];
    if (BUG == ADD_WITHOUT_ATOMIC)
        *sum += x[i * tokens + j];
    else
        atomicAdd(sum, x[i * tokens + j]);
}

template <int BUG> static __global__ void copy_fours(float *y, const float *x, int count) {
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < count / 4 + (BUG == ONE_PAST_END))
        reinterpret_cast<float4 *>(y)[i] = reinterpret_cast<const float4 *>(x)[i];
}

template <int BUG> static __global__ void sum_64(float *y, const float *x) {
    SHARED_ARRAY(float, all, [64]);
    if (BUG == EXIT_BEFORE_BARRIER && threadIdx.x >= 48) return;
    all[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    if (threadIdx.x >= 48) return;
    float sum = 0;
    for (int i = 0; i < (BUG == EXIT_BEFORE_BARRIER ? 48 : 64); i++) sum += all[i];
    y[threadIdx.x] = sum;
}

/* ---- launches: the instance of the bug */
#define INSTANCE(kernel, number, ...)                                                                                  \
    case number:                                                                                                       \
        return launch(#kernel "<" #number ">", kernel<number>, __VA_ARGS__);

ct_status bugs_attention(bug b, float *o, const float *q, const float *k, const float *v, const float *bias, int tokens,
                         int heads, int reach, float scale, CUstream_st *stream) {
    dim3 grid((unsigned)(tokens + TILE - 1) / TILE, (unsigned)heads);
    switch ((int)b) {
#define ATTENTION(number) INSTANCE(attention, number, grid, THREADS, 0, stream, o, q, k, v, bias, tokens, reach, scale)
        ATTENTION(0)
        ATTENTION(1)
        ATTENTION(2)
        ATTENTION(3)
        ATTENTION(4)
        ATTENTION(5)
        ATTENTION(6)
        ATTENTION(19)
    }
    return ct_fail(CT_EFAIL, "bug %d is none of attention's", (int)b);
}

ct_status bugs_attention_bf16(bug b, void *o, const void *q, const void *k, const void *v, const float *bias,
                              int tokens, int heads, int reach, float scale, CUstream_st *stream) {
    dim3   grid((unsigned)(tokens + QUERIES - 1) / QUERIES, (unsigned)heads);
    size_t shared = (QUERIES + 4 * TILE) * PADDED * sizeof(bf16);
    switch ((int)b) {
#define ATTENTION_BF16(number)                                                                                         \
    INSTANCE(attention_bf16, number, grid, THREADS, shared, stream, (bf16 *)o, (const bf16 *)q, (const bf16 *)k,       \
             (const bf16 *)v, bias, tokens, reach, scale)
        ATTENTION_BF16(0)
        ATTENTION_BF16(7)
        ATTENTION_BF16(8)
        ATTENTION_BF16(9)
        ATTENTION_BF16(10)
    }
    return ct_fail(CT_EFAIL, "bug %d is none of attention_bf16's", (int)b);
}

ct_status bugs_normalise(bug b, float *y, const float *x, int rows, int width, CUstream_st *stream) {
    switch ((int)b) {
#define NORMALISE(number)                                                                                              \
    INSTANCE(normalise, number, (unsigned)rows, THREADS, (size_t)width * sizeof(float), stream, y, x, width)
        NORMALISE(0)
        NORMALISE(11)
        NORMALISE(12)
        NORMALISE(13)
        NORMALISE(18)
    }
    return ct_fail(CT_EFAIL, "bug %d is none of normalise's", (int)b);
}

ct_status bugs_sum_distances(bug b, float *sums, const float *x, int tokens, int reach, CUstream_st *stream) {
    switch ((int)b) {
#define SUM_DISTANCES(number)                                                                                          \
    INSTANCE(sum_distances, number, (unsigned)tokens, (unsigned)tokens, 0, stream, sums, x, tokens, reach)
        SUM_DISTANCES(0)
        SUM_DISTANCES(14)
    }
    return ct_fail(CT_EFAIL, "bug %d is none of sum_distances'", (int)b);
}

ct_status bugs_copy(bug b, float *y, const float *x, int count, int offset, CUstream_st *stream) {
    unsigned blocks = (unsigned)(count / 4 + 1 + 63) / 64;
    switch ((int)b) {
#define COPY(number) INSTANCE(copy_fours, number, blocks, 64, 0, stream, y, x + offset, count)
        COPY(0)
        COPY(15)
        COPY(16)
    }
    return ct_fail(CT_EFAIL, "bug %d is none of copy_fours'", (int)b);
}

ct_status bugs_sum_64(bug b, float *y, const float *x, CUstream_st *stream) {
    switch ((int)b) {
#define SUM_64(number) INSTANCE(sum_64, number, 1, 64, 0, stream, y, x)
        SUM_64(0)
        SUM_64(17)
    }
    return ct_fail(CT_EFAIL, "bug %d is none of sum_64's", (int)b);
}

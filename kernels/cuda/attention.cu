/* attention.cu -- cuda: attention forward, tile by tile with a running softmax (FlashAttention-2: Dao 2023;
 * reference/attention.c).
 *
 *   logit = <Rot(q_i), Rot(k_j)> scale + g[segment of i][segment of j], where i sees j (ops.def)
 *   y_i = sum_j dropout(softmax_j) v_j,   lse_i = log sum_j exp(logit)
 * qkv [batch][tokens][3][heads][head], kv_memory [batch][memory][2][heads][head], g [batch][heads][queries][keys],
 * y [batch][tokens][heads][head], lse [batch][heads][tokens].
 *
 * A block of four warps has 64 queries of one (batch row, head), a warp 16 of them; it goes over the tiles of keys up
 * to the diagonal, but those whose songs none of its queries has. Rows belong to one warp from logits to output, so
 * that maxima and sums need shuffles alone. Blocks with most keys begin first. Queries and keys were turned before, by
 * a kernel of its own (attention_turn.h). Per tile: keys and values by cp.async, logits, G by segment numbers, mask,
 * running softmax in powers of two, dropout, product with the values. Tiles that are seen whole skip the mask (bf16).
 *
 * bf16: both products by mma m16n8k16; turned queries stay in registers, logits and output too; probabilities are
 * rounded to bf16 for the second product, nothing else. The next tile, and what of G it needs (staged_table), is copied
 * while one is worked on, and a tile has one barrier. 64 keys a tile for heads up to 64: 20 and 36 KB for two tiles of
 * keys and values, 13 for G; 32 keys for 128: 34 KB, 7 for G, and 16 registers less of logits beside 32 of queries and
 * 64 of output. Three blocks, 12 warps a multiprocessor (128: two). On an H100, at 16 x 8
 * heads of 64, 1,024 tokens, G: 176 us, turning included; tried: 128 queries a block in strips of two a warp with half
 * as many warps, 174 us without the turning. fp32:
 * fmaf on tiles of 4 x 4 logits a lane, 32 keys; the probabilities cross lanes through shared memory, within the warp.
 * 27, 44 and 76 KB: 3, 3 and 2 blocks.
 *
 * Bytes: qkv, kv_memory and y once from device memory; each tile of queries reads the keys before it anew from the L2
 * cache: 2 head sizeof(real) for key and value, and G once for each segment of the tile and key. Flops: (4 head + 10) a
 * pair. Every sum has one order, that of the tiles and lanes: the same bytes always.
 */
#include "kernels/cuda/attention_turn.h"

#define LN_2 0.6931471805599453f

/* Where a block works: the last tiles of queries, which see most keys, begin first. */
struct place {
    slice s;
    int   first, tiles; /* query; tiles of keys that it or later ones of the block may see */
};
template <int QUERIES, int KEYS, class T>
static __device__ __forceinline__ place place_of(const attention_sizes<T> &p, int slices) {
    const int first = ((p.tokens - 1) / QUERIES - (int)blockIdx.x / slices) * QUERIES;
    const int end = p.memory + min(first + QUERIES, p.tokens);
    return {slice_of(p, (int)blockIdx.x % slices), first, (end + KEYS - 1) / KEYS};
}

struct softmax_row { /* of a query; total: this lane's part */
    float most, total;
};
/* Takes the largest of a row's new logits in (the same in all lanes of the row): what the sums so far shrink by. */
static __device__ __forceinline__ float shrink_to(softmax_row &r, float largest) {
    const float most = fmaxf(r.most, largest), shrink = r.most == -INFINITY ? 0 : exp2_approx(r.most - most);
    r.most = most;
    r.total *= shrink;
    return shrink;
}
/* What logits are taken relative to: while a query has seen nothing, any number makes its shares 0. */
static __device__ __forceinline__ float zero_of(softmax_row r) {
    return r.most == -INFINITY ? 0 : r.most;
}

/* y and lse of the warp's queries: `tile` holds its rows */
template <class T, int HEAD, int QUERIES>
static __device__ __forceinline__ void store_rows(const attention_sizes<T> &p, place at, const T *tile, T *y) {
    typedef tile_of<T, HEAD, QUERIES> rows;
    constexpr int                     OF_ROW = HEAD / rows::SIZE, QUERIES_OF_WARP = QUERIES / ATTENTION_WARPS;
    const int                         lane = (int)threadIdx.x % WARP, warp = (int)threadIdx.x / WARP;
#pragma unroll
    for (int n = lane; n < QUERIES_OF_WARP * OF_ROW; n += WARP) {
        const int row = warp * QUERIES_OF_WARP + n / OF_ROW, column = n % OF_ROW * rows::SIZE;
        const int part = column / (HEAD / 2), in_half = column % (HEAD / 2), token = at.first + row;
        if (token >= p.tokens) continue;
        T *to = y + (((int64_t)at.s.b * p.tokens + token) * p.heads + at.s.h) * p.head + part * p.half + in_half;
        store_piece(to, tile + row * rows::STRIDE + column, p.half - in_half, p.by_pieces);
    }
}
template <class T>
static __device__ __forceinline__ void store_log_sum(const attention_sizes<T> &p, place at, int row, softmax_row r,
                                                     float *lse) {
    if (at.first + row >= p.tokens) return;
    lse[((int64_t)at.s.b * p.heads + at.s.h) * p.tokens + at.first + row] =
        r.total > 0 ? (r.most + log2f(r.total)) * LN_2 : -INFINITY;
}

/* ---- fp32: lane l of a warp has queries l / 8 + 4 r and keys 4 (l % 8) + c of a tile, and of the output the columns
 * 4 (l % 8) + c + 32 n of its queries */
template <int HEAD> struct of_f32 {
    static constexpr int                     QUERIES = 64, KEYS = 32, ROWS = 4, SHARE_STRIDE = KEYS + 4;
    typedef tile_of<float, HEAD, QUERIES>    query_tile;
    typedef tile_of<float, HEAD, KEYS, true> key_tile;
    typedef tile_of<float, HEAD, KEYS>       value_tile;
    static constexpr int                     ELEMENTS =
        query_tile::ELEMENTS + key_tile::ELEMENTS + value_tile::ELEMENTS + QUERIES * SHARE_STRIDE;
};

template <int HEAD>
static __global__ void __launch_bounds__(ATTENTION_THREADS, HEAD <= 64 ? 3 : 2)
    attention_f32_kernel(const attention_sizes<float> p, int slices, float *y, float *lse) {
    typedef of_f32<HEAD> of;
    constexpr int        QUERIES = of::QUERIES, KEYS = of::KEYS, ROWS = of::ROWS, STRIDE = of::query_tile::STRIDE;
    constexpr int        COLUMNS_OF_LANE = HEAD / 32, QUERIES_OF_WARP = QUERIES / ATTENTION_WARPS;
    DYNAMIC_SHARED(memory);
    SHARED_ARRAY(int, song, [KEYS]);
    SHARED_ARRAY(int, segment, [KEYS]);
    SHARED_ARRAY(int2, sights, [QUERIES]);
    SHARED_ARRAY(unsigned char, kinds, [MOST_GROUPS]);
    float      *query = reinterpret_cast<float *>(memory), *key = query + of::query_tile::ELEMENTS;
    float      *value = key + of::key_tile::ELEMENTS, *share = value + of::value_tile::ELEMENTS;
    const int   lane = (int)threadIdx.x % WARP, own = (int)threadIdx.x / WARP * QUERIES_OF_WARP + lane / 8;
    const place at = place_of<QUERIES, KEYS>(p, slices);
    const bool  drops = dropout_on(p);
    const float scale = (float)(p.scale * LOG2_E), *const table = table_of(p, at.s);
    softmax_row row[ROWS];
    float4      sum[ROWS][COLUMNS_OF_LANE];
    of::query_tile::copy_queries(p, at.s, query, at.first);
    cp_async_commit();
    load_sights<QUERIES>(p, at.s, at.first, sights);
    sort_out_keys<QUERIES>(p, at.s, at.first, at.tiles * (KEYS / GROUP), kinds);
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        row[r] = {-INFINITY, 0};
        for (int n = 0; n < COLUMNS_OF_LANE; n++) sum[r][n] = make_float4(0, 0, 0, 0);
    }
    cp_async_wait<0>();
    __syncthreads();
    query += own * STRIDE;
    share += own * of::SHARE_STRIDE;
    for (int tile = next_seen<KEYS>(kinds, 0, at.tiles); tile < at.tiles;
         tile = next_seen<KEYS>(kinds, tile + 1, at.tiles)) {
        const int first = tile * KEYS;
        of::key_tile::copy_keys(p, at.s, key, first);
        of::value_tile::copy(p, at.s, value, first, PART_VALUE);
        copy_songs<KEYS>(p, at.s, first, song, segment);
        cp_async_commit();
        cp_async_wait<0>();
        __syncthreads();
        float logit[ROWS][4] = {};
#pragma unroll 4
        for (int i = 0; i < HEAD; i += 4) {
            float4 q[ROWS], k[4];
#pragma unroll
            for (int r = 0; r < ROWS; r++) q[r] = *reinterpret_cast<const float4 *>(query + 4 * r * STRIDE + i);
#pragma unroll
            for (int c = 0; c < 4; c++) k[c] = *reinterpret_cast<const float4 *>(key + (lane % 8 + 8 * c) * STRIDE + i);
#pragma unroll
            for (int r = 0; r < ROWS; r++)
#pragma unroll
                for (int c = 0; c < 4; c++) logit[r][c] = add_products(q[r], k[c], logit[r][c]);
        }
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            const int2   sight = sights[own + 4 * r];
            const float *of_query = table ? table + sight.y * p.keys : nullptr;
            float        largest = -INFINITY;
#pragma unroll
            for (int c = 0; c < 4; c++) {
                const int j = 4 * (lane % 8) + c;
                logit[r][c] = sees(sight, song[j], first + j, p.memory + at.first + own + 4 * r)
                                  ? logit_of(logit[r][c], scale, of_query, segment[j])
                                  : -INFINITY;
                largest = fmaxf(largest, logit[r][c]);
            }
            for (int by = 1; by < 8; by *= 2) largest = fmaxf(largest, __shfl_xor_sync(ALL_LANES, largest, by));
            const float shrink = shrink_to(row[r], largest), zero = zero_of(row[r]);
#pragma unroll
            for (int n = 0; n < COLUMNS_OF_LANE; n++) sum[r][n] = sum[r][n] * shrink;
#pragma unroll
            for (int c = 0; c < 4; c++) {
                logit[r][c] = exp2_approx(logit[r][c] - zero);
                row[r].total += logit[r][c];
            }
            if (drops) {
                const unsigned kept = kept_of_four(dropout_of(p, at.s), at.first + own + 4 * r, first / 4 + lane % 8);
#pragma unroll
                for (int c = 0; c < 4; c++) logit[r][c] = kept >> c & 1 ? logit[r][c] : 0;
            }
            write_piece(share + 4 * r * of::SHARE_STRIDE + 4 * (lane % 8), logit[r]);
        }
        __syncwarp();
#pragma unroll 2
        for (int j = 0; j < KEYS; j += 4) {
            float p4[ROWS][4];
#pragma unroll
            for (int r = 0; r < ROWS; r++) read_piece(share + 4 * r * of::SHARE_STRIDE + j, p4[r]);
#pragma unroll
            for (int c = 0; c < 4; c++)
#pragma unroll
                for (int n = 0; n < COLUMNS_OF_LANE; n++) {
                    const float4 v =
                        *reinterpret_cast<const float4 *>(value + (j + c) * STRIDE + 4 * (lane % 8) + 32 * n);
#pragma unroll
                    for (int r = 0; r < ROWS; r++)
                        sum[r][n] = make_float4(fmaf(p4[r][c], v.x, sum[r][n].x), fmaf(p4[r][c], v.y, sum[r][n].y),
                                                fmaf(p4[r][c], v.z, sum[r][n].z), fmaf(p4[r][c], v.w, sum[r][n].w));
                }
        }
        __syncthreads();
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        for (int by = 1; by < 8; by *= 2) row[r].total += __shfl_xor_sync(ALL_LANES, row[r].total, by);
        const float part = row[r].total > 0 ? (drops ? 1 / (1 - p.dropout) : 1) / row[r].total : 0;
#pragma unroll
        for (int n = 0; n < COLUMNS_OF_LANE; n++)
            *reinterpret_cast<float4 *>(query + 4 * r * STRIDE + 4 * (lane % 8) + 32 * n) = sum[r][n] * part;
        if (lane % 8 == 0) store_log_sum(p, at, own + 4 * r, row[r], lse);
    }
    __syncwarp();
    store_rows<float, HEAD, QUERIES>(p, at, reinterpret_cast<const float *>(memory), y);
}

/* ---- bf16 on tensor cores: lane l of a warp has queries l / 4 and l / 4 + 8, and of each 8 keys, or columns of the
 * output, 2 (l % 4) and the next */
template <int HEAD> struct of_bf16 {
    static constexpr int                        QUERIES = 64, KEYS = HEAD <= 64 ? 64 : 32, BLOCKS = HEAD <= 64 ? 3 : 2;
    typedef tile_of<bf16, HEAD, QUERIES>        query_tile;
    typedef tile_of<bf16, HEAD, KEYS>           key_tile;
    typedef staged_table<QUERIES * 3 / 8, KEYS> staged;
    static constexpr int                        STAGE = 2 * key_tile::ELEMENTS; /* keys and values */
    static constexpr int ELEMENTS = 2 * STAGE + 2 * staged::ELEMENTS * (int)(sizeof(float) / sizeof(bf16));
};

template <int HEAD>
static __global__ void __launch_bounds__(ATTENTION_THREADS, of_bf16<HEAD>::BLOCKS)
    attention_bf16_kernel(const attention_sizes<bf16> p, int slices, bf16 *y, float *lse) {
    typedef of_bf16<HEAD>       of;
    typedef typename of::staged staged;
    constexpr int               QUERIES = of::QUERIES, QUERIES_OF_WARP = QUERIES / ATTENTION_WARPS;
    constexpr int               KEYS = of::KEYS, STRIDE = of::key_tile::STRIDE;
    static_assert(of::query_tile::ELEMENTS <= 2 * of::STAGE, "queries, and later y, have room where keys are");
    DYNAMIC_SHARED(memory);
    SHARED_ARRAY(int, songs, [2][KEYS]);
    SHARED_ARRAY(int, segments, [2][KEYS]);
    SHARED_ARRAY(int2, sights, [QUERIES]);
    SHARED_ARRAY(unsigned char, kinds, [MOST_GROUPS]);
    bf16       *stages = reinterpret_cast<bf16 *>(memory);
    float      *biases = reinterpret_cast<float *>(stages + 2 * of::STAGE);
    const int   lane = (int)threadIdx.x % WARP, warp = (int)threadIdx.x / WARP;
    const int   own = warp * QUERIES_OF_WARP + lane / 4, pair = lane % 4 * 2;
    const place at = place_of<QUERIES, KEYS>(p, slices);
    const bool  drops = dropout_on(p);
    const float scale = (float)(p.scale * LOG2_E), *const table = table_of(p, at.s);
    softmax_row row[2] = {{-INFINITY, 0}, {-INFINITY, 0}};
    float       sum[HEAD / 8][4] = {};
    unsigned    query[HEAD / 16][4];
    of::query_tile::copy_queries(p, at.s, stages, at.first);
    cp_async_commit();
    load_sights<QUERIES>(p, at.s, at.first, sights);
    sort_out_keys<QUERIES>(p, at.s, at.first, at.tiles * (KEYS / GROUP), kinds);
    cp_async_wait<0>();
    __syncthreads();
    const staged g = staged::of(table, p.keys, sights[0].y, sights[QUERIES - 1].y);
#pragma unroll
    for (int i = 0; i < HEAD / 16; i++) load_a<STRIDE>(query[i], stages, warp * QUERIES_OF_WARP, 16 * i);
    __syncthreads(); /* the first keys go where these were */
    /* The segment of the thread's key: it is loaded a tile before G is copied by it. */
    const int  column = (int)threadIdx.x % KEYS, end = p.memory + p.tokens;
    const auto segment_in = [&](int tile) {
        const int j = tile * KEYS + column;
        return g.table && tile < at.tiles && j < end ? *of_row(p, at.s, j, p.segment_memory, p.segment_key) : 0;
    };
    int        tile = next_seen<KEYS>(kinds, 0, at.tiles), stage = 0, segment_of_next = segment_in(tile);
    const auto copy_tile = [&](int next, int to) {
        if (next < at.tiles) {
            bf16 *key = stages + to * of::STAGE;
            of::key_tile::copy_keys(p, at.s, key, next * KEYS);
            of::key_tile::copy(p, at.s, key + of::key_tile::ELEMENTS, next * KEYS, PART_VALUE);
            copy_songs<KEYS>(p, at.s, next * KEYS, songs[to], segments[to]);
            g.copy(biases + to * staged::ELEMENTS, segment_of_next, next * KEYS + column < end);
        }
        cp_async_commit();
    };
    copy_tile(tile, stage);
    int next = next_seen<KEYS>(kinds, tile + 1, at.tiles);
    segment_of_next = segment_in(next);
    while (tile < at.tiles) {
        const int   first = tile * KEYS;
        const bool  whole = kind_of<KEYS>(kinds, tile) == TILE_WHOLE && first + KEYS - 1 <= p.memory + at.first;
        const bf16 *key = stages + stage * of::STAGE, *value = key + of::key_tile::ELEMENTS;
        const int  *song = songs[stage], *segment = segments[stage];
        cp_async_wait<0>();
        __syncthreads(); /* the tile is there, and nobody reads the one before */
        copy_tile(next, 1 - stage);
        const int after = next_seen<KEYS>(kinds, next + 1, at.tiles);
        segment_of_next = segment_in(after);

        float logit[KEYS / 8][4] = {};
#pragma unroll
        for (int n = 0; n < KEYS / 8; n += 2)
#pragma unroll
            for (int i = 0; i < HEAD / 16; i++) {
                unsigned b[4];
                load_b_rows<STRIDE>(b, key, 8 * n, 16 * i);
                mma_bf16(logit[n], query[i], b);
                mma_bf16(logit[n + 1], query[i], b + 2);
            }
        float largest[2] = {-INFINITY, -INFINITY};
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int    at_query = own + 8 * half, last = p.memory + at.first + at_query;
            const int2   sight = sights[at_query];
            const float *of_query = table ? table + (int64_t)sight.y * p.keys : nullptr;
            const float *of_staged = biases + stage * staged::ELEMENTS + (sight.y - g.first) * staged::STRIDE + pair;
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++) {
                float *x = logit[n] + 2 * half;
                if (g.table) {
                    const float2 of_pair = *reinterpret_cast<const float2 *>(of_staged + 8 * n);
                    x[0] = fmaf(of_pair.x, (float)LOG2_E, x[0] * scale);
                    x[1] = fmaf(of_pair.y, (float)LOG2_E, x[1] * scale);
                } else {
                    const int2 to = *reinterpret_cast<const int2 *>(segment + 8 * n + pair);
                    x[0] = logit_of(x[0], scale, of_query, to.x);
                    x[1] = logit_of(x[1], scale, of_query, to.y);
                }
                if (!whole) {
                    const int2 of_song = *reinterpret_cast<const int2 *>(song + 8 * n + pair);
                    const int  j = first + 8 * n + pair;
                    x[0] = sees(sight, of_song.x, j, last) ? x[0] : -INFINITY;
                    x[1] = sees(sight, of_song.y, j + 1, last) ? x[1] : -INFINITY;
                }
                largest[half] = fmaxf(largest[half], fmaxf(x[0], x[1]));
            }
        }
#pragma unroll
        for (int half = 0; half < 2; half++) {
            for (int by = 1; by < 4; by *= 2)
                largest[half] = fmaxf(largest[half], __shfl_xor_sync(ALL_LANES, largest[half], by));
            const float shrink = shrink_to(row[half], largest[half]), zero = zero_of(row[half]);
#pragma unroll
            for (int n = 0; n < HEAD / 8; n++) {
                sum[n][2 * half] *= shrink;
                sum[n][2 * half + 1] *= shrink;
            }
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
                for (int e = 2 * half; e < 2 * half + 2; e++) {
                    logit[n][e] = exp2_approx(logit[n][e] - zero);
                    row[half].total += logit[n][e];
                }
        }
        if (drops) {
            const int      i = at.first + warp * QUERIES_OF_WARP;
            const unsigned kept = kept_of_fragments<KEYS / 8>(dropout_of(p, at.s), i, first);
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
                for (int e = 0; e < 4; e++) logit[n][e] = kept >> (4 * n + e) & 1 ? logit[n][e] : 0;
        }
#pragma unroll
        for (int i = 0; i < KEYS / 16; i++) {
            unsigned share[4];
#pragma unroll
            for (int r = 0; r < 4; r++)
                share[r] = pack_bf16(logit[2 * i + r / 2][r % 2 * 2], logit[2 * i + r / 2][r % 2 * 2 + 1]);
#pragma unroll
            for (int n = 0; n < HEAD / 8; n += 2) {
                unsigned b[4];
                load_b_columns<STRIDE>(b, value, 16 * i, 8 * n);
                mma_bf16(sum[n], share, b);
                mma_bf16(sum[n + 1], share, b + 2);
            }
        }
        tile = next;
        next = after;
        stage = 1 - stage;
    }
    cp_async_wait<0>();
    __syncthreads(); /* y goes where keys were */
#pragma unroll
    for (int half = 0; half < 2; half++) {
        softmax_row &r = row[half];
        const int    at_query = own + 8 * half;
        for (int by = 1; by < 4; by *= 2) r.total += __shfl_xor_sync(ALL_LANES, r.total, by);
        const float part = r.total > 0 ? (drops ? 1 / (1 - p.dropout) : 1) / r.total : 0;
#pragma unroll
        for (int n = 0; n < HEAD / 8; n++)
            *reinterpret_cast<unsigned *>(stages + at_query * STRIDE + 8 * n + pair) =
                pack_bf16(sum[n][2 * half] * part, sum[n][2 * half + 1] * part);
        if (lane % 4 == 0) store_log_sum(p, at, at_query, r, lse);
    }
    __syncwarp();
    store_rows<bf16, HEAD, QUERIES>(p, at, stages, y);
}

/* The instance for a head. */
template <class T, int HEAD> static ct_status run_head(const ct_attention *p, CUstream_st *stream) {
    constexpr bool     narrow = sizeof(T) == 2;
    constexpr int      queries = narrow ? of_bf16<HEAD>::QUERIES : of_f32<HEAD>::QUERIES;
    constexpr int      elements = narrow ? of_bf16<HEAD>::ELEMENTS : of_f32<HEAD>::ELEMENTS;
    attention_sizes<T> sizes = attention_sizes_of<T>(p);
    const int          slices = (int)(p->batch * p->heads);
    const unsigned     blocks = blocks_for(p->tokens, queries) * (unsigned)slices;
    CT_TRY(turn_rows<HEAD>(&sizes, p->batch, (float *)p->work, stream));
    if constexpr (narrow)
        return launch("attention_bf16_kernel", attention_bf16_kernel<HEAD>, blocks, ATTENTION_THREADS,
                      elements * sizeof(T), stream, sizes, slices, (T *)p->y, (float *)p->lse);
    else
        return launch("attention_f32_kernel", attention_f32_kernel<HEAD>, blocks, ATTENTION_THREADS,
                      elements * sizeof(T), stream, sizes, slices, (T *)p->y, (float *)p->lse);
}

CT_CUDA_REAL(attention) {
    CT_TRY(attention_check(p->head));
    if (p->batch * p->heads * p->tokens == 0) return CT_OK;
    if (p->head <= 32) return run_head<T, 32>(p, stream);
    if (p->head <= 64) return run_head<T, 64>(p, stream);
    return run_head<T, 128>(p, stream);
}

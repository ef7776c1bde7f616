/* attention_backward.cu -- cuda: attention backward, tile by tile, shares made anew from the rows' log sums (Dao et al.
 * 2022, Dao 2023; reference/attention.c).
 *
 *   with P = softmax, P' = dropout(P), dP' = dy v':   dv = P'^T dy,   dlogit = P (dropout dP' - <dy, y>)
 *   dq = scale dlogit k,   dk = scale dlogit^T q, each turned back;   dg[a][k] sums dlogit over a pair of segments
 * shapes as forward's; dqkv, dkv_memory and dg are written whole.
 *
 * Two kernels, of queries and of keys, which walk alike: a block owns 64 rows (fp32 heads above 64: 32) of one side,
 * turned and kept in shared memory, and goes over the other side's in tiles of 32, the next of which is under way
 * (bf16). Of queries: logits = q k', dP' = dy v', dq += dlogit k. Of keys, with all of it transposed: k q', v dy',
 * dk += dlogit' q, dv += P' dy. So nothing is added to by two blocks, at the price of seven products instead of five.
 *
 * dg is summed by the kernel of queries (attention_harmony.h). Bytes: each tile reads the other side once, 2 x 2 head
 * bytes a row and 8 besides (fp32: 4 x 2 head). Flops: 14 head a pair that is seen, and some 25.
 * Sums: tile after tile; dg's tile after tile, then strip after strip. The same bytes in any order of blocks.
 */
#include "kernels/cuda/attention_harmony.h"
#include "kernels/cuda/attention_turn.h"

enum { OTHERS = GROUP }; /* rows of a tile of the other side */

/* What backward has besides forward's parameters. */
template <class T> struct backward_arrays {
    const T     *dy;
    const float *lse, *row_sum;
    T           *dqkv, *dkv_memory;
    harmony_sums dg;
};

/* ---- row_sum[batch][heads][tokens] = <dy, y>; a warp for each */
template <class T>
static __global__ void __launch_bounds__(ATTENTION_THREADS)
    row_sum_kernel(int64_t rows, int tokens, int heads, int head, const T *y, const T *dy, float *row_sum) {
    const int64_t row = (int64_t)blockIdx.x * ATTENTION_WARPS + threadIdx.x / WARP; /* [batch][tokens][heads] */
    const int     lane = (int)threadIdx.x % WARP;
    float         sum = 0;
    if (row >= rows) return;
    for (int i = lane; i < head; i += WARP) sum = fmaf(load(y + row * head + i), load(dy + row * head + i), sum);
    sum = warp_sum(sum);
    const int64_t h = row % heads, t = row / heads % tokens, b = row / heads / tokens;
    if (lane == 0) row_sum[(b * heads + h) * tokens + t] = sum;
}

/* ---- one pair */
struct query_side {
    int   song, last; /* the last row it may see, by time; -1: no such query */
    int   segment;
    float log_sum, row_sum;
};
struct key_side {
    int song, segment, row;
};
struct pair_gradient {
    float share, logit; /* P', dlogit */
};
/* From <q, k> and <dy, v>. g: G of their segments, or 0; factor: what dropout multiplies the share with. */
static __device__ __forceinline__ pair_gradient gradient_of(float g, query_side q, key_side k, bool seen, float scale,
                                                            float dot, float dshare, float factor) {
    if (!seen && (q.song != k.song || k.row > q.last)) return {0, 0};
    const float share = exp2_approx(fmaf(g, (float)LOG2_E, dot * scale) - q.log_sum);
    return {share * factor, share * (factor * dshare - q.row_sum)};
}
/* G where it lies; table: the slice's, or NULL */
static __device__ __forceinline__ float g_of(const float *table, int keys, query_side q, key_side k) {
    return table ? table[(int64_t)q.segment * keys + k.segment] : 0;
}

/* Query i of a slice. One without a song sees nothing. */
template <class T>
static __device__ __forceinline__ query_side query_of(const attention_sizes<T> &p, const backward_arrays<T> &o, slice s,
                                                      int i) {
    const int token = s.b * p.tokens + min(i, p.tokens - 1), at = (s.b * p.heads + s.h) * p.tokens + i;
    const int segment = p.g ? p.segment_query[token] : 0;
    if (i >= p.tokens || p.song[token] < 0) return {NO_SONG, -1, segment, 0, 0};
    return {p.song[token], p.memory + i, segment, o.lse[at] * (float)LOG2_E, o.row_sum[at]};
}
template <class T> static __device__ __forceinline__ key_side key_of(const attention_sizes<T> &p, slice s, int j) {
    key_side k = {NO_SONG, 0, j};
    if (j >= p.memory + p.tokens) return k;
    k.song = *of_row(p, s, j, p.song_memory, p.song);
    if (k.song < 0) k.song = NO_SONG;
    if (p.g) k.segment = *of_row(p, s, j, p.segment_memory, p.segment_key);
    return k;
}

/* The other side's numbers of a tile, in shared memory. */
template <bool OF_KEYS> struct other_rows;
template <> struct other_rows<false> { /* keys */
    int song[OTHERS], segment[OTHERS];

    template <class T>
    __device__ __forceinline__ void copy(const attention_sizes<T> &p, const backward_arrays<T> &, slice s, int first) {
        copy_songs<OTHERS>(p, s, first, song, segment);
    }
    __device__ __forceinline__ key_side at(int i, int first) const {
        return {song[i], segment[i], first + i};
    }
};
template <> struct other_rows<true> { /* queries */
    int   song[OTHERS], segment[OTHERS];
    float log_sum[OTHERS], row_sum[OTHERS];

    template <class T>
    __device__ __forceinline__ void copy(const attention_sizes<T> &p, const backward_arrays<T> &o, slice s, int first) {
        static_assert(4 * OTHERS == ATTENTION_THREADS, "a thread for each");
        const int     i = (int)threadIdx.x % OTHERS, array = (int)threadIdx.x / OTHERS;
        const bool    there = first + i < p.tokens;
        const int64_t token = (int64_t)s.b * p.tokens + first + i;
        const int64_t row = ((int64_t)s.b * p.heads + s.h) * p.tokens + first + i;
        if (array == 0) cp_async_4(song + i, p.song + token, there);
        if (array == 1) cp_async_4(segment + i, p.segment_query + token, there && p.g);
        if (array == 2) cp_async_4(log_sum + i, o.lse + row, there);
        if (array == 3) cp_async_4(row_sum + i, o.row_sum + row, there);
    }
    template <class T> __device__ __forceinline__ query_side at(const attention_sizes<T> &p, int i, int first) const {
        return {song[i], first + i < p.tokens ? p.memory + first + i : -1, segment[i], log_sum[i] * (float)LOG2_E,
                row_sum[i]};
    }
};

/* ---- where a block works */
struct walk {
    slice s;
    int   first;       /* own row: query, or row of [memory; tokens] */
    int   tile, tiles; /* of the other side: the first that may be seen, the end */
};
template <bool OF_KEYS, int ROWS, class T>
static __device__ __forceinline__ walk walk_of(const attention_sizes<T> &p, int slices) {
    const int i = (int)blockIdx.x % slices, tile = (int)blockIdx.x / slices;
    walk      w = {slice_of(p, i), tile * ROWS, 0, 0};
    if (OF_KEYS) {
        w.tile = max(w.first - p.memory, 0) / OTHERS;
        w.tiles = (p.tokens + OTHERS - 1) / OTHERS;
    } else { /* the last queries see most keys and begin first */
        w.first = ((p.tokens - 1) / ROWS - tile) * ROWS;
        w.tiles = (p.memory + min(w.first + ROWS, p.tokens) + OTHERS - 1) / OTHERS;
    }
    return w;
}
/* Do the queries of a tile all see its keys by time, and do all of both exist? */
template <bool OF_KEYS, int ROWS, class T>
static __device__ __forceinline__ bool all_before(const attention_sizes<T> &p, const walk &w, int other) {
    if (OF_KEYS) return w.first + ROWS - 1 <= p.memory + other && other + OTHERS <= p.tokens;
    return other + OTHERS - 1 <= p.memory + w.first && w.first + ROWS <= p.tokens;
}
template <bool OF_KEYS, int ROWS, class T>
static __device__ __forceinline__ void sort_out(const attention_sizes<T> &p, const walk &w, unsigned char *kinds) {
    const auto of_query = [&](int i) { return i < p.tokens ? p.song[(int64_t)w.s.b * p.tokens + i] : -1; };
    const auto of_key = [&](int j) { return j < p.memory + p.tokens ? *of_row(p, w.s, j, p.song_memory, p.song) : -1; };
    if (OF_KEYS)
        sort_out_songs(
            min(ROWS, p.memory + p.tokens - w.first), [&](int i) { return of_key(w.first + i); }, w.tile, w.tiles,
            of_query, kinds);
    else
        sort_out_songs(
            min(ROWS, p.tokens - w.first), [&](int i) { return of_query(w.first + i); }, w.tile, w.tiles, of_key,
            kinds);
}

/* ---- tiles of a side: its rotary rows (queries, keys) and its plain ones (dy, values) */
template <class T, int HEAD, int ROWS, bool SPREAD> struct side {
    typedef tile_of<T, HEAD, ROWS, SPREAD> tile;
    static constexpr int                   ELEMENTS = 2 * tile::ELEMENTS;

    static __device__ __forceinline__ void copy(const attention_sizes<T> &p, const backward_arrays<T> &o, slice s,
                                                bool keys, T *to, int first) {
        if (keys) {
            tile::copy_keys(p, s, to, first);
            tile::copy(p, s, to + tile::ELEMENTS, first, PART_VALUE);
            return;
        }
        tile::copy_queries(p, s, to, first);
        tile::each([&](int at, int row, int column) {
            const int64_t token = (int64_t)s.b * p.tokens + first + row;
            const T      *from = o.dy + (token * p.heads + s.h) * p.head + column;
            const int     left = first + row < p.tokens ? p.half - column : 0;
            copy_piece(to + tile::ELEMENTS + at, from, left, p.by_pieces);
            copy_piece(to + tile::ELEMENTS + at + HEAD / 2, from + p.half, left, p.by_pieces);
        });
    }
    /* (x, y) -> (x cos + y sin, -x sin + y cos): the gradient of turned rows becomes that of the rows. */
    static __device__ __forceinline__ void turn_back(const attention_sizes<T> &p, slice s, bool keys, T *to,
                                                     int first) {
        constexpr int SIZE = tile::SIZE;
        tile::each([&](int at, int row, int column) {
            const int j = (keys ? 0 : p.memory) + first + row;
            if (j >= p.memory + p.tokens || column >= p.half) return;
            const int64_t angle = (int64_t)(j < p.memory ? s.memory_row + j : s.token_row + j) * p.half + column;
            float         x[SIZE], y[SIZE], cosine[SIZE], sine[SIZE];
            read_rotary<SIZE>((j < p.memory ? p.cosine_memory : p.cosine) + angle, p.half - column, p.by_pieces,
                              cosine);
            read_rotary<SIZE>((j < p.memory ? p.sine_memory : p.sine) + angle, p.half - column, p.by_pieces, sine);
            read_piece(to + at, x);
            read_piece(to + at + HEAD / 2, y);
#pragma unroll
            for (int i = 0; i < SIZE; i++) {
                const float before = x[i];
                x[i] = fmaf(before, cosine[i], y[i] * sine[i]);
                y[i] = fmaf(-before, sine[i], y[i] * cosine[i]);
            }
            write_piece(to + at, x);
            write_piece(to + at + HEAD / 2, y);
        });
    }
    /* The gradients of the rows, which lie where the rows did (dy has none). */
    static __device__ __forceinline__ void store(const attention_sizes<T> &p, const backward_arrays<T> &o, slice s,
                                                 bool keys, const T *from, int first) {
        const int64_t width = (int64_t)p.heads * p.head;
        tile::each([&](int at, int row, int column) {
            const int j = keys ? first + row : p.memory + first + row, left = p.half - column;
            if (j >= p.memory + p.tokens) return;
            T *to = j < p.memory ? o.dkv_memory + ((int64_t)s.b * p.memory + j) * 2 * width
                                 : o.dqkv + (((int64_t)s.b * p.tokens + j - p.memory) * 3 + keys) * width;
            to += s.h * p.head + column;
            for (int part = 0; part < (keys ? 2 : 1); part++) {
                store_piece(to + part * width, from + part * tile::ELEMENTS + at, left, p.by_pieces);
                store_piece(to + part * width + p.half, from + part * tile::ELEMENTS + at + HEAD / 2, left,
                            p.by_pieces);
            }
        });
    }
};

/* ---- dropout: of a lane's elements, one bit each. A Philox call serves four neighbouring keys of a query; lanes that
 * hold elements of the same four draw in turns and hand them on. */
/* fp32, own queries: bit 4 r + c for query `row` + 4 r and key first + 4 (l % 8) + c */
template <int LANE_ROWS>
static __device__ __forceinline__ unsigned kept_of_own_queries(dropout_draw d, int row, int first) {
    unsigned kept = 0;
#pragma unroll 1
    for (int r = 0; r < LANE_ROWS; r++)
        kept |= kept_of_four(d, row + 4 * r, first / 4 + (int)threadIdx.x % 8) << (4 * r);
    return kept;
}
/* fp32, own keys: the same for key row + l / 8 + 4 r and query first + 4 (l % 8) + c */
template <int LANE_ROWS>
static __device__ __forceinline__ unsigned kept_of_own_keys(dropout_draw d, int first, int row) {
    const int lane = (int)threadIdx.x % WARP;
    unsigned  drawn = 0, kept = 0;
#pragma unroll 1
    for (int r = 0; r < LANE_ROWS; r++)
        drawn |= kept_of_four(d, first + 4 * (lane % 8) + lane / 8, row / 4 + r) << (4 * r);
#pragma unroll
    for (int c = 0; c < 4; c++) {
        const unsigned of_query = __shfl_sync(ALL_LANES, drawn, 8 * c + lane % 8) >> (lane / 8);
        for (int r = 0; r < LANE_ROWS; r++) kept |= (of_query >> (4 * r) & 1) << (4 * r + c);
    }
    return kept;
}
/* bf16, own keys: bit 4 n + e for element e of tile n of mma's results, 16 keys from `row` on x 8 N queries from
 * `first` on */
template <int N> static __device__ __forceinline__ unsigned kept_of_turned(dropout_draw d, int first, int row) {
    const int lane = (int)threadIdx.x % WARP;
    unsigned  drawn = 0, kept = 0;
#pragma unroll 1
    for (int n = 0; n < N; n++) drawn |= kept_of_four(d, first + 8 * n + lane % 8, row / 4 + lane / 8) << (4 * n);
#pragma unroll
    for (int e = 0; e < 4; e++) {
        const int      of_four = lane / 16 + e / 2 * 2, of_query = lane % 4 * 2 + e % 2;
        const unsigned of_lane = __shfl_sync(ALL_LANES, drawn, 8 * of_four + of_query) >> (lane / 4 % 4);
#pragma unroll
        for (int n = 0; n < N; n++) kept |= (of_lane >> (4 * n) & 1) << (4 * n + e);
    }
    return kept;
}

/* ---- fp32: lane l of a warp has own rows l / 8 + 4 r and rows 4 (l % 8) + c of the other side's tile; of a gradient
 * the columns 4 (l % 8) + c + 32 n of its rows */
template <int HEAD> struct backward_f32 {
    static constexpr int                    LANE_ROWS = HEAD <= 64 ? 4 : 2, STRIP = 4 * LANE_ROWS;
    static constexpr int                    ROWS = ATTENTION_WARPS * STRIP, SHARE_STRIDE = OTHERS + 4;
    typedef side<float, HEAD, ROWS, false>  own_side;
    typedef side<float, HEAD, OTHERS, true> other_side;
    static constexpr int ELEMENTS = own_side::ELEMENTS + other_side::ELEMENTS + 2 * ROWS * SHARE_STRIDE;
};

/* dot[r][c]: a row of the own side, four apart, times one of the other, eight apart */
template <int LANE_ROWS, int HEAD, int STRIDE>
static __device__ __forceinline__ void dots(const float *own, const float *other, float dot[LANE_ROWS][4]) {
#pragma unroll
    for (int r = 0; r < LANE_ROWS; r++)
#pragma unroll
        for (int c = 0; c < 4; c++) dot[r][c] = 0;
#pragma unroll 4
    for (int i = 0; i < HEAD; i += 4) {
        float4 a[LANE_ROWS], b[4];
#pragma unroll
        for (int r = 0; r < LANE_ROWS; r++) a[r] = load_whole_four(own + 4 * r * STRIDE + i);
#pragma unroll
        for (int c = 0; c < 4; c++) b[c] = load_whole_four(other + 8 * c * STRIDE + i);
#pragma unroll
        for (int r = 0; r < LANE_ROWS; r++)
#pragma unroll
            for (int c = 0; c < 4; c++) dot[r][c] = add_products(a[r], b[c], dot[r][c]);
    }
}
/* sum += the lane's rows of share [rows][OTHERS] times the other side's tile */
template <int LANE_ROWS, int COLUMNS_OF_LANE, int STRIDE, int SHARE_STRIDE>
static __device__ __forceinline__ void add_shares(const float *share, const float *other,
                                                  float4 sum[LANE_ROWS][COLUMNS_OF_LANE]) {
    const int lane = (int)threadIdx.x % WARP;
#pragma unroll 2
    for (int j = 0; j < OTHERS; j += 4) {
        float of_row[LANE_ROWS][4];
#pragma unroll
        for (int r = 0; r < LANE_ROWS; r++) read_piece(share + 4 * r * SHARE_STRIDE + j, of_row[r]);
#pragma unroll
        for (int c = 0; c < 4; c++)
#pragma unroll
            for (int n = 0; n < COLUMNS_OF_LANE; n++) {
                const float4 x = load_whole_four(other + (8 * c + j / 4) * STRIDE + 4 * (lane % 8) + 32 * n);
#pragma unroll
                for (int r = 0; r < LANE_ROWS; r++)
                    sum[r][n] = make_float4(fmaf(of_row[r][c], x.x, sum[r][n].x), fmaf(of_row[r][c], x.y, sum[r][n].y),
                                            fmaf(of_row[r][c], x.z, sum[r][n].z), fmaf(of_row[r][c], x.w, sum[r][n].w));
            }
    }
}

template <int HEAD, bool OF_KEYS>
static __global__ void __launch_bounds__(ATTENTION_THREADS, HEAD <= 64 ? 2 : 3)
    attention_backward_f32_kernel(const attention_sizes<float> p, const backward_arrays<float> o, int slices) {
    typedef backward_f32<HEAD> of;
    constexpr int STRIDE = of::own_side::tile::STRIDE, LANE_ROWS = of::LANE_ROWS, COLUMNS_OF_LANE = HEAD / 32;
    constexpr int SHARE_STRIDE = of::SHARE_STRIDE, GRADIENTS = OF_KEYS ? 2 : 1;
    typedef other_rows<OF_KEYS> numbers_of_tile;
    DYNAMIC_SHARED(memory);
    SHARED_ARRAY(numbers_of_tile, numbers, [1]);
    SHARED_ARRAY(unsigned char, kinds, [MOST_GROUPS]);
    float             *own = reinterpret_cast<float *>(memory), *other = own + of::own_side::ELEMENTS;
    float             *dlogit = other + of::other_side::ELEMENTS, *share = dlogit + of::ROWS * SHARE_STRIDE;
    const int          lane = (int)threadIdx.x % WARP, warp = (int)threadIdx.x / WARP;
    const int          strip = warp * of::STRIP, row = strip + lane / 8;
    const walk         w = walk_of<OF_KEYS, of::ROWS>(p, slices);
    const bool         drops = dropout_on(p);
    const dropout_draw draw = drops ? dropout_of(p, w.s) : dropout_draw();
    const float        scale = (float)(p.scale * LOG2_E), factor = drops ? 1 / (1 - p.dropout) : 1;
    const float       *table = table_of(p, w.s);
    const strip_sums   sums = OF_KEYS ? strip_sums() : strip_sums_of<of::STRIP>(p, o.dg, w.s, w.first + strip);
    query_side         query[LANE_ROWS];
    key_side           key[LANE_ROWS];
    float4             sum[GRADIENTS][LANE_ROWS][COLUMNS_OF_LANE];
    of::own_side::copy(p, o, w.s, OF_KEYS, own, w.first);
    cp_async_commit();
    sort_out<OF_KEYS, of::ROWS>(p, w, kinds);
    sums.begin();
#pragma unroll
    for (int r = 0; r < LANE_ROWS; r++) {
        if (OF_KEYS)
            key[r] = key_of(p, w.s, w.first + row + 4 * r);
        else
            query[r] = query_of(p, o, w.s, w.first + row + 4 * r);
#pragma unroll
        for (int n = 0; n < COLUMNS_OF_LANE; n++)
#pragma unroll
            for (int k = 0; k < GRADIENTS; k++) sum[k][r][n] = make_float4(0, 0, 0, 0);
    }
    cp_async_wait<0>();
    __syncthreads();
    for (int tile = next_seen<OTHERS>(kinds, w.tile, w.tiles); tile < w.tiles;
         tile = next_seen<OTHERS>(kinds, tile + 1, w.tiles)) {
        const int  first = tile * OTHERS;
        const bool seen = kind_of<OTHERS>(kinds, tile) == TILE_WHOLE && all_before<OF_KEYS, of::ROWS>(p, w, first);
        float      dot[LANE_ROWS][4], dshare[LANE_ROWS][4];
        of::other_side::copy(p, o, w.s, !OF_KEYS, other, first);
        numbers->copy(p, o, w.s, first);
        cp_async_commit();
        cp_async_wait<0>();
        __syncthreads();
        dots<LANE_ROWS, HEAD, STRIDE>(own + row * STRIDE, other + lane % 8 * STRIDE, dot);
        dots<LANE_ROWS, HEAD, STRIDE>(own + of::own_side::tile::ELEMENTS + row * STRIDE,
                                      other + of::other_side::tile::ELEMENTS + lane % 8 * STRIDE, dshare);
        const unsigned kept = !drops    ? 0xffffu
                              : OF_KEYS ? kept_of_own_keys<LANE_ROWS>(draw, first, w.first + strip)
                                        : kept_of_own_queries<LANE_ROWS>(draw, w.first + row, first);
#pragma unroll
        for (int c = 0; c < 4; c++) {
            const int  i = 4 * (lane % 8) + c;
            query_side q = {};
            key_side   k = {};
            if constexpr (OF_KEYS)
                q = numbers->at(p, i, first);
            else
                k = numbers->at(i, first);
#pragma unroll
            for (int r = 0; r < LANE_ROWS; r++) {
                const query_side    of_query = OF_KEYS ? q : query[r];
                const key_side      of_key = OF_KEYS ? key[r] : k;
                const pair_gradient d =
                    gradient_of(g_of(table, p.keys, of_query, of_key), of_query, of_key, seen, scale, dot[r][c],
                                dshare[r][c], kept >> (4 * r + c) & 1 ? factor : 0);
                dot[r][c] = d.logit;
                dshare[r][c] = d.share;
            }
        }
        if constexpr (!OF_KEYS) sums.add_f32<LANE_ROWS>(dot, numbers->segment, first, p.memory + p.tokens);
#pragma unroll
        for (int r = 0; r < LANE_ROWS; r++) {
            write_piece(dlogit + (row + 4 * r) * SHARE_STRIDE + 4 * (lane % 8), dot[r]);
            if (OF_KEYS) write_piece(share + (row + 4 * r) * SHARE_STRIDE + 4 * (lane % 8), dshare[r]);
        }
        __syncwarp();
        add_shares<LANE_ROWS, COLUMNS_OF_LANE, STRIDE, SHARE_STRIDE>(dlogit + row * SHARE_STRIDE, other, sum[0]);
        if constexpr (OF_KEYS)
            add_shares<LANE_ROWS, COLUMNS_OF_LANE, STRIDE, SHARE_STRIDE>(
                share + row * SHARE_STRIDE, other + of::other_side::tile::ELEMENTS, sum[1]);
        __syncthreads();
    }
#pragma unroll
    for (int r = 0; r < LANE_ROWS; r++)
#pragma unroll
        for (int n = 0; n < COLUMNS_OF_LANE; n++) {
            float *to = own + (row + 4 * r) * STRIDE + 4 * (lane % 8) + 32 * n;
            store_whole_four(to, sum[0][r][n] * p.scale);
            if constexpr (OF_KEYS) store_whole_four(to + of::own_side::tile::ELEMENTS, sum[1][r][n]);
        }
    __syncthreads();
    of::own_side::turn_back(p, w.s, OF_KEYS, own, w.first);
    of::own_side::store(p, o, w.s, OF_KEYS, own, w.first);
}

/* ---- bf16 on tensor cores: lane l of a warp has own rows l / 4 and l / 4 + 8; of each 8 rows of the other side, or
 * columns of a gradient, 2 (l % 4) and the next */
template <int HEAD> struct backward_bf16 {
    static constexpr int                    STRIP = 16, ROWS = ATTENTION_WARPS * STRIP;
    typedef side<bf16, HEAD, ROWS, false>   own_side;
    typedef side<bf16, HEAD, OTHERS, false> other_side;
    static constexpr int                    TILES = own_side::ELEMENTS + 2 * other_side::ELEMENTS;
};
/* G of a tile: of the own queries' segments, a column for each of the tile's keys; or of the tile's queries' segments,
 * a column for each of the own keys */
template <int HEAD, bool OF_KEYS>
using backward_table = staged_table<OF_KEYS ? OTHERS / 2 : backward_bf16<HEAD>::ROWS * 3 / 8,
                                    OF_KEYS ? backward_bf16<HEAD>::ROWS : OTHERS>;
template <int HEAD, bool OF_KEYS>
static constexpr int backward_elements = backward_bf16<HEAD>::TILES +
                                         2 * backward_table<HEAD, OF_KEYS>::ELEMENTS *(int)(sizeof(float) /
                                                                                            sizeof(bf16));

/* What of G a tile needs. Segments are loaded a tile before G is copied by them. */
template <int HEAD, bool OF_KEYS> struct tile_table {
    typedef backward_table<HEAD, OF_KEYS> staged;
    const float                          *table; /* the slice's, or NULL */
    staged                                g;     /* of the tile to be copied next */
    int                                   segment;
    bool                                  there;

    __device__ __forceinline__ void prepare(const attention_sizes<bf16> &p, const walk &w, int tile) {
        constexpr int ROWS = backward_bf16<HEAD>::ROWS;
        if (!table || tile >= w.tiles) return;
        const int  column = (int)threadIdx.x % (OF_KEYS ? ROWS : OTHERS);
        const int  j = (OF_KEYS ? w.first : tile * OTHERS) + column, i = OF_KEYS ? tile * OTHERS : w.first;
        const auto of_query = [&](int query) { return p.segment_query[w.s.b * p.tokens + min(query, p.tokens - 1)]; };
        g = staged::of(table, p.keys, of_query(i), of_query(i + (OF_KEYS ? OTHERS : ROWS) - 1));
        there = j < p.memory + p.tokens;
        segment = there ? *of_row(p, w.s, j, p.segment_memory, p.segment_key) : 0;
    }
};

/* dot = the warp's rows of `own` times the rows of `other` */
template <int HEAD, int STRIDE>
static __device__ __forceinline__ void products(const bf16 *own, int strip, const bf16 *other,
                                                float dot[OTHERS / 8][4]) {
#pragma unroll
    for (int n = 0; n < OTHERS / 8; n++)
#pragma unroll
        for (int e = 0; e < 4; e++) dot[n][e] = 0;
#pragma unroll
    for (int i = 0; i < HEAD; i += 16) {
        unsigned a[4], b[4];
        load_a<STRIDE>(a, own, strip, i);
#pragma unroll
        for (int n = 0; n < OTHERS / 8; n += 2) {
            load_b_rows<STRIDE>(b, other, 8 * n, i);
            mma_bf16(dot[n], a, b);
            mma_bf16(dot[n + 1], a, b + 2);
        }
    }
}
/* sum += x, rounded, times the other side's tile */
template <int HEAD, int STRIDE>
static __device__ __forceinline__ void add_product(const float x[OTHERS / 8][4], const bf16 *other,
                                                   float sum[HEAD / 8][4]) {
#pragma unroll
    for (int i = 0; i < OTHERS / 16; i++) {
        unsigned a[4], b[4];
#pragma unroll
        for (int r = 0; r < 4; r++) a[r] = pack_bf16(x[2 * i + r / 2][r % 2 * 2], x[2 * i + r / 2][r % 2 * 2 + 1]);
#pragma unroll
        for (int n = 0; n < HEAD / 8; n += 2) {
            load_b_columns<STRIDE>(b, other, 16 * i, 8 * n);
            mma_bf16(sum[n], a, b);
            mma_bf16(sum[n + 1], a, b + 2);
        }
    }
}
/* The gradient of turned rows, turned back: columns i and i + HEAD / 2 of a lane's rows are in its own sums. */
template <int HEAD>
static __device__ __forceinline__ void turn_back(const attention_sizes<bf16> &p, slice s, int row,
                                                 float sum[HEAD / 8][4]) {
    const int pair = (int)threadIdx.x % 4 * 2;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int j = row + 8 * half;
        if (j >= p.memory + p.tokens) continue;
        const int64_t angle = (int64_t)(j < p.memory ? s.memory_row + j : s.token_row + j) * p.half;
        const float  *cosine = (j < p.memory ? p.cosine_memory : p.cosine) + angle;
        const float  *sine = (j < p.memory ? p.sine_memory : p.sine) + angle;
#pragma unroll
        for (int n = 0; n < HEAD / 16; n++)
#pragma unroll
            for (int e = 2 * half; e < 2 * half + 2; e++) {
                const int column = 8 * n + pair + e % 2;
                if (column >= p.half) continue;
                const float x = sum[n][e], y = sum[n + HEAD / 16][e];
                sum[n][e] = fmaf(x, cosine[column], y * sine[column]);
                sum[n + HEAD / 16][e] = fmaf(-x, sine[column], y * cosine[column]);
            }
    }
}
template <int HEAD, int STRIDE>
static __device__ __forceinline__ void write_sums(bf16 *tile, int row, const float sum[HEAD / 8][4]) {
    const int pair = (int)threadIdx.x % 4 * 2;
#pragma unroll
    for (int n = 0; n < HEAD / 8; n++)
#pragma unroll
        for (int half = 0; half < 2; half++)
            *reinterpret_cast<unsigned *>(tile + (row + 8 * half) * STRIDE + 8 * n + pair) =
                pack_bf16(sum[n][2 * half], sum[n][2 * half + 1]);
}

template <int HEAD, bool OF_KEYS>
static __global__ void __launch_bounds__(ATTENTION_THREADS, HEAD <= (OF_KEYS ? 32 : 64) ? 3 : 2)
    attention_backward_bf16_kernel(const attention_sizes<bf16> p, const backward_arrays<bf16> o, int slices) {
    typedef backward_bf16<HEAD> of;
    constexpr int               STRIDE = of::own_side::tile::STRIDE;
    constexpr int               OWN_TILE = of::own_side::tile::ELEMENTS, OTHER_TILE = of::other_side::tile::ELEMENTS;
    typedef other_rows<OF_KEYS> numbers_of_tile;
    DYNAMIC_SHARED(memory);
    SHARED_ARRAY(numbers_of_tile, numbers, [2]);
    SHARED_ARRAY(unsigned char, kinds, [MOST_GROUPS]);
    typedef tile_table<HEAD, OF_KEYS> tables;
    typedef typename tables::staged   staged;
    bf16                             *own = reinterpret_cast<bf16 *>(memory), *stages = own + of::own_side::ELEMENTS;
    float                            *biases = reinterpret_cast<float *>(own + of::TILES);
    const int          lane = (int)threadIdx.x % WARP, warp = (int)threadIdx.x / WARP, pair = lane % 4 * 2;
    const int          strip = warp * of::STRIP, row = strip + lane / 4;
    const walk         w = walk_of<OF_KEYS, of::ROWS>(p, slices);
    const bool         drops = dropout_on(p);
    const dropout_draw draw = drops ? dropout_of(p, w.s) : dropout_draw();
    const float        scale = (float)(p.scale * LOG2_E), factor = drops ? 1 / (1 - p.dropout) : 1;
    const strip_sums   sums = OF_KEYS ? strip_sums() : strip_sums_of<of::STRIP>(p, o.dg, w.s, w.first + strip);
    query_side         query[2];
    key_side           key[2];
    float              sum[OF_KEYS ? 2 : 1][HEAD / 8][4] = {};
    of::own_side::copy(p, o, w.s, OF_KEYS, own, w.first);
    cp_async_commit();
    sort_out<OF_KEYS, of::ROWS>(p, w, kinds);
    sums.begin();
#pragma unroll
    for (int half = 0; half < 2; half++)
        if (OF_KEYS)
            key[half] = key_of(p, w.s, w.first + row + 8 * half);
        else
            query[half] = query_of(p, o, w.s, w.first + row + 8 * half);
    __syncthreads();
    tables     next_table = {table_of(p, w.s), {nullptr, 0, 0, 0}, 0, false};
    int        tile = next_seen<OTHERS>(kinds, w.tile, w.tiles), stage = 0;
    const auto copy_tile = [&](int next, int to) {
        if (next < w.tiles) {
            of::other_side::copy(p, o, w.s, !OF_KEYS, stages + to * of::other_side::ELEMENTS, next * OTHERS);
            numbers[to].copy(p, o, w.s, next * OTHERS);
            next_table.g.copy(biases + to * staged::ELEMENTS, next_table.segment, next_table.there);
        }
        cp_async_commit();
    };
    next_table.prepare(p, w, tile);
    staged g = next_table.g; /* of the tile at hand */
    copy_tile(tile, stage);
    int next = next_seen<OTHERS>(kinds, tile + 1, w.tiles);
    next_table.prepare(p, w, next);
    while (tile < w.tiles) {
        const int  first = tile * OTHERS;
        const bool seen = kind_of<OTHERS>(kinds, tile) == TILE_WHOLE && all_before<OF_KEYS, of::ROWS>(p, w, first);
        bf16      *other = stages + stage * of::other_side::ELEMENTS;
        float      dot[OTHERS / 8][4], dshare[OTHERS / 8][4];
        cp_async_wait<0>();
        __syncthreads(); /* the tile is there, and nobody reads the one before */
        const staged g_of_next = next_table.g;
        copy_tile(next, 1 - stage);
        const int after = next_seen<OTHERS>(kinds, next + 1, w.tiles);
        next_table.prepare(p, w, after);
        products<HEAD, STRIDE>(own, strip, other, dot);
        products<HEAD, STRIDE>(own + OWN_TILE, strip, other + OTHER_TILE, dshare);
        const unsigned kept = !drops    ? 0xffffffffu
                              : OF_KEYS ? kept_of_turned<OTHERS / 8>(draw, first, w.first + strip)
                                        : kept_of_fragments<OTHERS / 8>(draw, w.first + strip, first);
        const float   *staged_g = biases + stage * staged::ELEMENTS;
#pragma unroll
        for (int n = 0; n < OTHERS / 8; n++)
#pragma unroll
            for (int side = 0; side < 2; side++) {
                const int  i = 8 * n + pair + side;
                query_side q = {};
                key_side   k = {};
                if constexpr (OF_KEYS)
                    q = numbers[stage].at(p, i, first);
                else
                    k = numbers[stage].at(i, first);
#pragma unroll
                for (int e = side; e < 4; e += 2) {
                    const query_side of_query = OF_KEYS ? q : query[e / 2];
                    const key_side   of_key = OF_KEYS ? key[e / 2] : k;
                    const int        column = OF_KEYS ? row + e / 2 * 8 : i;
                    const float bias = g.table ? staged_g[max(of_query.segment - g.first, 0) * staged::STRIDE + column]
                                               : g_of(next_table.table, p.keys, of_query, of_key);
                    const pair_gradient d = gradient_of(bias, of_query, of_key, seen, scale, dot[n][e], dshare[n][e],
                                                        kept >> (4 * n + e) & 1 ? factor : 0);
                    dot[n][e] = d.logit;
                    dshare[n][e] = d.share;
                }
            }
        if constexpr (!OF_KEYS) sums.add_bf16(dot, numbers[stage].segment, first, p.memory + p.tokens);
        add_product<HEAD, STRIDE>(dot, other, sum[0]);
        if constexpr (OF_KEYS) add_product<HEAD, STRIDE>(dshare, other + OTHER_TILE, sum[1]);
        tile = next;
        next = after;
        g = g_of_next;
        stage = 1 - stage;
    }
    cp_async_wait<0>();
    __syncthreads(); /* gradients go where rows were */
#pragma unroll
    for (int n = 0; n < HEAD / 8; n++)
#pragma unroll
        for (int e = 0; e < 4; e++) sum[0][n][e] *= p.scale;
    turn_back<HEAD>(p, w.s, (OF_KEYS ? 0 : p.memory) + w.first + row, sum[0]);
    write_sums<HEAD, STRIDE>(own, row, sum[0]);
    if constexpr (OF_KEYS) write_sums<HEAD, STRIDE>(own + OWN_TILE, row, sum[1]);
    __syncthreads();
    of::own_side::store(p, o, w.s, OF_KEYS, own, w.first);
}

/* One side's gradients, by the instance for a head. */
template <class T, int HEAD, bool OF_KEYS>
static ct_status run_side(const attention_sizes<T> &p, const backward_arrays<T> &o, int slices, CUstream_st *stream) {
    constexpr bool narrow = sizeof(T) == 2;
    constexpr int  rows = narrow ? backward_bf16<HEAD>::ROWS : backward_f32<HEAD>::ROWS;
    const unsigned blocks = blocks_for(OF_KEYS ? p.memory + p.tokens : p.tokens, rows) * (unsigned)slices;
    if (blocks == 0) return CT_OK;
    if constexpr (narrow)
        return launch(OF_KEYS ? "attention_backward_bf16_kernel of keys" : "attention_backward_bf16_kernel of queries",
                      attention_backward_bf16_kernel<HEAD, OF_KEYS>, blocks, ATTENTION_THREADS,
                      backward_elements<HEAD, OF_KEYS> * sizeof(T), stream, p, o, slices);
    else
        return launch(OF_KEYS ? "attention_backward_f32_kernel of keys" : "attention_backward_f32_kernel of queries",
                      attention_backward_f32_kernel<HEAD, OF_KEYS>, blocks, ATTENTION_THREADS,
                      backward_f32<HEAD>::ELEMENTS * sizeof(T), stream, p, o, slices);
}
template <class T, int HEAD>
static ct_status run_head(attention_sizes<T> p, const backward_arrays<T> &o, int slices, float *work,
                          CUstream_st *stream) {
    constexpr int strip = sizeof(T) == 2 ? backward_bf16<HEAD>::STRIP : backward_f32<HEAD>::STRIP;
    static_assert(strip >= CT_ATTENTION_STRIP(HEAD), "the workspace has room");
    CT_TRY(turn_rows<HEAD>(&p, slices / p.heads, work, stream));
    CT_TRY((run_side<T, HEAD, false>(p, o, slices, stream)));
    CT_TRY((run_side<T, HEAD, true>(p, o, slices, stream)));
    if (!o.dg.dg || p.queries * p.keys == 0) return CT_OK;
    return LAUNCH(harmony_join_kernel, (unsigned)(slices * p.queries), ATTENTION_THREADS, 0, stream, p.tokens, p.heads,
                  p.queries, p.keys, strip, p.segment_query, o.dg);
}

CT_CUDA_REAL(attention_backward) {
    CT_TRY(attention_check(p->head));
    const int64_t rows = p->batch * p->tokens * p->heads;
    const int     slices = (int)(p->batch * p->heads);
    float        *row_sum = (float *)p->work, *rest = row_sum + rows;
    const T      *y = (const T *)p->y, *dy = (const T *)p->dy;
    if (slices == 0 || p->tokens + p->memory == 0) return CT_OK;
    const attention_sizes<T> sizes = attention_sizes_of<T>(p, p->dy, p->dqkv, p->dkv_memory);
    const backward_arrays<T> arrays = {dy,           (const float *)p->lse, row_sum,
                                       (T *)p->dqkv, (T *)p->dkv_memory,    {(float *)p->dg, (float *)p->partial}};
    if (rows > 0)
        CT_TRY(LAUNCH(row_sum_kernel<T>, blocks_for(rows, ATTENTION_WARPS), ATTENTION_THREADS, 0, stream, rows,
                      (int)p->tokens, (int)p->heads, (int)p->head, y, dy, row_sum));
    if (p->head <= 32) return run_head<T, 32>(sizes, arrays, slices, rest, stream);
    if (p->head <= 64) return run_head<T, 64>(sizes, arrays, slices, rest, stream);
    return run_head<T, 128>(sizes, arrays, slices, rest, stream);
}

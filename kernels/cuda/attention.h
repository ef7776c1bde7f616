/* attention.h -- cuda: what the kernels of attention share (ops.def says what attention is): tiles of rows in shared
 * memory, turned by their rotary rows; which tiles of keys are seen at all; who sees whom; dropout; the operands of
 * mma.
 *
 * A block works on one (batch row, head), its slice, with four warps. The slice's keys stand in one sequence, memory
 * rows first and tokens after them. Queries and keys are turned by a kernel before (attention_turn.h), which leaves
 * that sequence in the workspace; a row of values or of gradients is found in kv_memory or in qkv. A tile is [rows]
 * [HEAD + a piece of padding]: a piece is 16 bytes, and rows shifted by one against each other let eight lanes read or
 * write a piece of eight rows each without meeting in a bank. HEAD is 32, 64 or 128, the next that holds the head; the
 * two halves of a head, whose elements rotary pairs join, begin at 0 and HEAD / 2, with zeros after each when it is
 * shorter.
 *
 * Owner: nothing; all arrays are the op's. Fails: nothing on the device; attention_check says which heads are taken.
 */
#ifndef CT_CUDA_ATTENTION_H
#define CT_CUDA_ATTENTION_H

#include "kernels/cuda/reduce.h"

enum { ATTENTION_THREADS = 128, ATTENTION_WARPS = ATTENTION_THREADS / WARP, MOST_HEAD = 128 };
enum { PART_QUERY, PART_KEY, PART_VALUE }; /* of a row of qkv; a row of kv_memory lacks the first */

/* The parameters of attention or its gradient, as kernels take them. */
template <class T> struct attention_sizes {
    int            tokens, memory, heads, head, half, queries, keys;
    bool           by_pieces; /* may rows be accessed by 16 bytes? */
    float          scale, dropout;
    uint32_t       stream;
    const ct_step *step;
    const T       *qkv, *kv_memory;
    const T       *query, *key; /* turned: [batch][heads][tokens][HEAD], [batch][heads][memory + tokens][HEAD] */
    const float   *cosine, *sine, *cosine_memory, *sine_memory, *g;
    const int32_t *song, *song_memory, *segment_query, *segment_key, *segment_memory;
};
/* more: arrays besides that are accessed as rows are */
template <class T, class P, class... More> attention_sizes<T> attention_sizes_of(const P *p, const More *...more) {
    const void *const arrays[] = {p->qkv,           p->kv_memory,   p->cosine, p->sine,
                                  p->cosine_memory, p->sine_memory, p->y,      more...};
    bool              by_pieces = (size_t)p->head / 2 * sizeof(T) % 16 == 0;
    for (const void *array : arrays) by_pieces = by_pieces && reinterpret_cast<uintptr_t>(array) % 16 == 0;
    return {(int)p->tokens,
            (int)p->memory,
            (int)p->heads,
            (int)p->head,
            (int)p->head / 2,
            (int)p->queries,
            (int)p->keys,
            by_pieces,
            (float)p->scale,
            p->dropout,
            p->stream,
            p->step,
            (const T *)p->qkv,
            (const T *)p->kv_memory,
            nullptr,
            nullptr,
            (const float *)p->cosine,
            (const float *)p->sine,
            (const float *)p->cosine_memory,
            (const float *)p->sine_memory,
            (const float *)p->g,
            p->song,
            p->song_memory,
            p->segment_query,
            p->segment_key,
            p->segment_memory};
}
inline ct_status attention_check(int64_t head) {
    if (head > 0 && head % 2 == 0 && head <= MOST_HEAD) return CT_OK;
    return ct_fail(CT_EFAIL, "head size %lld: the cuda backend takes even ones up to %d", (long long)head, MOST_HEAD);
}

/* ---- a slice's rows: row j of its keys is row memory_row + j of the arrays of memory, or token_row + j of the tokens'
 */
struct slice {
    int b, h, memory_row, token_row;
};
template <class T> __device__ __forceinline__ slice slice_of(const attention_sizes<T> &p, int number) {
    const int b = number / p.heads;
    return {b, number % p.heads, b * p.memory, b * p.tokens - p.memory};
}
/* A part of row j, for this head. */
template <class T>
__device__ __forceinline__ const T *part_of_row(const attention_sizes<T> &p, slice s, int j, int part) {
    const int width = p.heads * p.head, head = s.h * p.head;
    if (j < p.memory) return p.kv_memory + (int64_t)(s.memory_row + j) * (2 * width) + ((part - 1) * width + head);
    return p.qkv + (int64_t)(s.token_row + j) * (3 * width) + (part * width + head);
}
/* An element a row: of arrays that hold one for each memory row, and one for each token. */
template <class T, class E>
__device__ __forceinline__ const E *of_row(const attention_sizes<T> &p, slice s, int j, const E *of_memory,
                                           const E *of_tokens) {
    return j < p.memory ? of_memory + (s.memory_row + j) : of_tokens + (s.token_row + j);
}

/* ---- pieces: 16 bytes of a row as floats */
template <class T> struct piece { static constexpr int SIZE = 16 / (int)sizeof(T); };
__device__ __forceinline__ void read_piece(const float *from, float x[4]) {
    const float4 four = *reinterpret_cast<const float4 *>(from);
    x[0] = four.x, x[1] = four.y, x[2] = four.z, x[3] = four.w;
}
__device__ __forceinline__ void write_piece(float *to, const float x[4]) {
    *reinterpret_cast<float4 *>(to) = make_float4(x[0], x[1], x[2], x[3]);
}
__device__ __forceinline__ void read_piece(const bf16 *from, float x[8]) {
    const uint4    four = *reinterpret_cast<const uint4 *>(from);
    const unsigned pair[] = {four.x, four.y, four.z, four.w};
#pragma unroll
    for (int i = 0; i < 8; i++) x[i] = __uint_as_float(i % 2 ? pair[i / 2] & 0xffff0000u : pair[i / 2] << 16);
}
__device__ __forceinline__ void write_piece(bf16 *to, const float x[8]) {
    *reinterpret_cast<uint4 *>(to) =
        make_uint4(pack_bf16(x[0], x[1]), pack_bf16(x[2], x[3]), pack_bf16(x[4], x[5]), pack_bf16(x[6], x[7]));
}
__device__ __forceinline__ void set_zero(float *to) {
    *to = 0;
}
__device__ __forceinline__ void set_zero(bf16 *to) {
    *to = __float2bfloat16_rn(0.0f);
}

/* A piece in the background; `left`: elements that there are, zeros after them. */
template <class T> __device__ __forceinline__ void copy_piece(T *to, const T *from, int left, bool whole) {
    if (whole) {
        cp_async_16(to, from, left > 0);
        return;
    }
    for (int i = 0; i < piece<T>::SIZE; i++)
        if (i < left)
            to[i] = from[i];
        else
            set_zero(to + i);
}
template <class T> __device__ __forceinline__ void store_piece(T *to, const T *from, int left, bool whole) {
    if (whole) {
        if (left > 0) *reinterpret_cast<uint4 *>(to) = *reinterpret_cast<const uint4 *>(from);
        return;
    }
    for (int i = 0; i < piece<T>::SIZE && i < left; i++) to[i] = from[i];
}
/* ---- tiles
 *
 * A thread has the same pieces whatever is done with a tile: each() calls back with a place in the tile (row, column in
 * the first half). Eight lanes take eight rows, a warp 8 rows x 4 pieces: no conflicts in shared memory, whole sectors
 * in device memory. SPREAD: row r of the tile holds row r % 8 * (ROWS / 8) + r / 8 of what is loaded, so that a lane
 * that works on ROWS / 8 neighbours reads rows that stand 8 apart, and eight lanes eight neighbouring rows. */
template <class T, int HEAD, int ROWS, bool SPREAD = false> struct tile_of {
    static constexpr int SIZE = piece<T>::SIZE, STRIDE = HEAD + SIZE, PIECES = HEAD / 2 / SIZE,
                         ELEMENTS = ROWS * STRIDE;
    static constexpr int ALL = ROWS * PIECES;
    static_assert(ALL % ATTENTION_THREADS == 0 || ALL < ATTENTION_THREADS,
                  "threads have as many pieces, or one or none");

    template <class F> static __device__ __forceinline__ void each(F &&what) {
#pragma unroll(HEAD <= 64 ? 8 : 1)
        for (int n = 0; n < (ALL + ATTENTION_THREADS - 1) / ATTENTION_THREADS; n++) {
            const int i = (int)threadIdx.x + n * ATTENTION_THREADS, row = i % 8 + i / (8 * PIECES) * 8;
            if (ALL >= ATTENTION_THREADS || i < ALL)
                what(row * STRIDE + i / 8 % PIECES * SIZE, SPREAD ? row % 8 * (ROWS / 8) + row / 8 : row,
                     i / 8 % PIECES * SIZE);
        }
    }

    /* A part of the rows from `first` on; those from memory + tokens on are zeros. */
    static __device__ __forceinline__ void copy(const attention_sizes<T> &p, slice s, T *tile, int first, int part) {
        each([&](int at, int row, int column) {
            const T  *from = part_of_row(p, s, first + row, part) + column;
            const int left = first + row < p.memory + p.tokens ? p.half - column : 0;
            copy_piece(tile + at, from, left, p.by_pieces);
            copy_piece(tile + at + HEAD / 2, from + p.half, left, p.by_pieces);
        });
    }

    /* The rows from `first` to `end` of turned ones, [rows][HEAD], whose slice's begin at `rows`; zeros after them. */
    static __device__ __forceinline__ void copy_turned(const T *rows, T *tile, int first, int end) {
        each([&](int at, int row, int column) {
            const T   *from = rows + (int64_t)(first + row) * HEAD + column;
            const bool there = first + row < end;
            cp_async_16(tile + at, from, there);
            cp_async_16(tile + at + HEAD / 2, from + HEAD / 2, there);
        });
    }
    static __device__ __forceinline__ void copy_queries(const attention_sizes<T> &p, slice s, T *tile, int first) {
        copy_turned(p.query + (int64_t)(s.b * p.heads + s.h) * p.tokens * HEAD, tile, first, p.tokens);
    }
    static __device__ __forceinline__ void copy_keys(const attention_sizes<T> &p, slice s, T *tile, int first) {
        const int rows = p.memory + p.tokens;
        copy_turned(p.key + (int64_t)(s.b * p.heads + s.h) * rows * HEAD, tile, first, rows);
    }
};

/* ---- who sees whom */
/* Songs and segments of KEYS rows from `first` on, in the background; zeros after the last, and segments without G. */
template <int KEYS, class T>
__device__ __forceinline__ void copy_songs(const attention_sizes<T> &p, slice s, int first, int *song, int *segment) {
    static_assert(2 * KEYS <= ATTENTION_THREADS, "a thread for each");
    const int  i = (int)threadIdx.x % KEYS, array = (int)threadIdx.x / KEYS, j = first + i;
    const bool there = j < p.memory + p.tokens;
    if (array == 0) cp_async_4(song + i, of_row(p, s, j, p.song_memory, p.song), there);
    if (array == 1) cp_async_4(segment + i, of_row(p, s, j, p.segment_memory, p.segment_key), there && p.g);
}

/* Of a tile's queries: song and segment, where they wait in shared memory. A query that sees nothing has a song that no
 * key has; one past the last has the last's segment. */
enum { NO_SONG = -2 };
template <int QUERIES, class T>
__device__ __forceinline__ void load_sights(const attention_sizes<T> &p, slice s, int first, int2 sights[QUERIES]) {
    for (int i = (int)threadIdx.x; i < QUERIES; i += ATTENTION_THREADS) {
        const int token = s.b * p.tokens + min(first + i, p.tokens - 1),
                  song = first + i < p.tokens ? p.song[token] : -1;
        sights[i].x = song < 0 ? (int)NO_SONG : song;
        sights[i].y = p.g ? p.segment_query[token] : 0;
    }
}
/* G of this slice: [queries][keys]; NULL without */
template <class T> __device__ __forceinline__ const float *table_of(const attention_sizes<T> &p, slice s) {
    return p.g ? p.g + (int64_t)(s.b * p.heads + s.h) * p.queries * p.keys : nullptr;
}
/* May the query see a key of this song in row j? last: the row of the query itself */
__device__ __forceinline__ bool sees(int2 sight, int song, int j, int last) {
    return sight.x == song && j <= last;
}
/* A logit in bits (log2 of what the softmax adds up): of_query is the query's row of G, or NULL; scale in bits too. */
#define LOG2_E 1.4426950408889634
__device__ __forceinline__ float logit_of(float dot, float scale, const float *of_query, int segment) {
    return of_query ? fmaf(of_query[segment], (float)LOG2_E, dot * scale) : dot * scale;
}

/* ---- G of a tile, waiting in shared memory: a row for each query segment of the tile, from the first on, in it a
 * number for each of COLUMNS keys. So lanes find what they need side by side, and none of it is loaded twice. Where a
 * tile has more than ROWS segments, G is read where it lies. */
template <int ROWS, int COLUMNS> struct staged_table {
    static constexpr int STRIDE = COLUMNS + 8, ELEMENTS = ROWS * STRIDE; /* 8: four rows lie in different banks */
    static_assert(ATTENTION_THREADS % COLUMNS == 0, "a thread has one column");

    const float *table; /* the slice's; NULL: nothing is staged */
    int          keys, first, rows;

    /* Of the segments from `low` to `high`. */
    static __device__ __forceinline__ staged_table of(const float *table, int keys, int low, int high) {
        return {high - low < ROWS ? table : nullptr, keys, low, high - low + 1};
    }
    /* In the background; segment: of the thread's key, column threadIdx.x % COLUMNS. */
    __device__ __forceinline__ void copy(float *to, int segment, bool there) const {
        const int column = (int)threadIdx.x % COLUMNS;
        if (!table) return;
        for (int r = (int)threadIdx.x / COLUMNS; r < rows; r += ATTENTION_THREADS / COLUMNS)
            cp_async_4(to + r * STRIDE + column, table + (int64_t)(first + r) * keys + segment, there);
    }
};

/* What a tile of queries sees of the keys, GROUP by GROUP, as far as songs decide it: of up to MOST_GROUPS of them;
 * what is beyond counts as partly seen. */
enum { GROUP = WARP, MOST_GROUPS = 1024 };
enum tile_kind { TILE_HIDDEN, TILE_PARTLY, TILE_WHOLE }; /* no pair is seen; some may be; all are */

/* Own rows and, from group `begin` to `groups`, those of the other side, by the songs that own_song(i) and
 * other_song(row) tell; -1: none. Who reads `kinds` needs a barrier before. */
template <class Own, class Other>
__device__ __forceinline__ void sort_out_songs(int count, Own own_song, int begin, int groups, Other other_song,
                                               unsigned char *kinds) {
    const int lane = (int)threadIdx.x % WARP, warp = (int)threadIdx.x / WARP;
    int       lowest = INT32_MAX, highest = -1;
    bool      one = true; /* song, of all own rows */
    for (int i = lane; i < count; i += WARP) {
        const int song = own_song(i);
        one = one && song >= 0;
        if (song < 0) continue;
        lowest = min(lowest, song);
        highest = max(highest, song);
    }
    lowest = -warp_largest(-lowest);
    highest = warp_largest(highest);
    one = __all_sync(ALL_LANES, one) && lowest == highest;
    for (int i = begin + warp; i < min(groups, (int)MOST_GROUPS); i += ATTENTION_WARPS) {
        const int  song = other_song(i * GROUP + lane);
        const bool some = __any_sync(ALL_LANES, lowest <= song && song <= highest);
        const bool all = __all_sync(ALL_LANES, one && song == lowest);
        if (lane == 0) kinds[i] = (unsigned char)(all ? TILE_WHOLE : some ? TILE_PARTLY : TILE_HIDDEN);
    }
}
/* For queries first .. first + QUERIES - 1; groups of keys up to `groups`. */
template <int QUERIES, class T>
__device__ __forceinline__ void sort_out_keys(const attention_sizes<T> &p, slice s, int first, int groups,
                                              unsigned char *kinds) {
    sort_out_songs(
        min(QUERIES, p.tokens - first), [&](int i) { return p.song[s.b * p.tokens + first + i]; }, 0, groups,
        [&](int j) { return j < p.memory + p.tokens ? *of_row(p, s, j, p.song_memory, p.song) : -1; }, kinds);
}
template <int KEYS> __device__ __forceinline__ tile_kind kind_of(const unsigned char *kinds, int tile) {
    const int first = tile * (KEYS / GROUP), end = first + KEYS / GROUP;
    if (end > MOST_GROUPS) return TILE_PARTLY;
    int kind = kinds[first];
    for (int i = first + 1; i < end; i++)
        if (kinds[i] != kind) kind = TILE_PARTLY;
    return (tile_kind)kind;
}
/* the first tile from `tile` on that is not hidden, or `tiles` */
template <int KEYS> __device__ __forceinline__ int next_seen(const unsigned char *kinds, int tile, int tiles) {
    while (tile < tiles && kind_of<KEYS>(kinds, tile) == TILE_HIDDEN) tile++;
    return tile;
}

/* ---- dropout of probabilities: one Philox call for four neighbouring keys */
struct dropout_draw {
    const ct_step *step;
    uint32_t       stream;
    float          share;
    int64_t        first; /* the random numbers' row of the slice's first query */
};
template <class T> __device__ __forceinline__ bool dropout_on(const attention_sizes<T> &p) {
    return p.dropout > 0 && p.step->train;
}
template <class T> __device__ __forceinline__ dropout_draw dropout_of(const attention_sizes<T> &p, slice s) {
    const int64_t row = p.step->first_row * p.heads;
    return {p.step, p.stream, p.dropout, row + (int64_t)(s.b * p.heads + s.h) * p.tokens};
}
/* bit c: does query i keep row 4 four + c? */
__device__ __forceinline__ unsigned kept_of_four(dropout_draw d, int i, int four) {
    const ct_philox drawn = ct_dropout_draw(d.step, d.stream, d.first + i, four);
    unsigned        kept = 0;
#pragma unroll
    for (unsigned c = 0; c < 4; c++) kept |= (unsigned)(ct_philox_float(drawn.word[c]) >= d.share) << c;
    return kept;
}
/* Of a lane's elements of N tiles of mma's results, 16 queries from i on x 8 N rows from `first` on: bit 4 n + e for
 * element e of tile n. Of two neighbouring lanes, which have the same rows of queries, each draws for one of these. Not
 * inlined: Philox's keys would take the registers that tiles need. */
template <int N>
static __device__ __attribute__((noinline)) unsigned kept_of_fragments(dropout_draw d, int i, int first) {
    static_assert(N <= 8, "four bits each");
    const int lane = (int)threadIdx.x % WARP, odd = lane % 2;
    unsigned  own = 0;
#pragma unroll 1
    for (int n = 0; n < N; n++)
        own |= kept_of_four(d, i + lane / 4 + 8 * odd, first / 4 + 2 * n + lane % 4 / 2) << 4 * n;
    const unsigned other = __shfl_xor_sync(ALL_LANES, own, 1);
    return odd ? (other >> 2 & 0x33333333u) | (own & 0xccccccccu) : (own & 0x33333333u) | (other & 0x33333333u) << 2;
}

/* ---- operands of mma m16n8k16 from tiles in shared memory; warp-wide */
/* a: 16 x 16 from (row, column) on */
template <int STRIDE> __device__ __forceinline__ void load_a(unsigned a[4], const bf16 *tile, int row, int column) {
    const int lane = (int)threadIdx.x % WARP;
    ldmatrix_x4(a, tile + (row + lane % 16) * STRIDE + column + lane / 16 * 8);
}
/* b of two products, side by side: column n of b is row n of the tile. k: columns from `column` on, n: rows from `row`
 * on (b[0], b[1]) and from row + 8 on (b[2], b[3]). */
template <int STRIDE>
__device__ __forceinline__ void load_b_rows(unsigned b[4], const bf16 *tile, int row, int column) {
    const int lane = (int)threadIdx.x % WARP;
    ldmatrix_x4(b, tile + (row + lane % 8 + lane / 16 * 8) * STRIDE + column + lane / 8 % 2 * 8);
}
/* The same where row k of b is row k of the tile. k: rows from `row` on, n: columns from `column` and column + 8 on. */
template <int STRIDE>
__device__ __forceinline__ void load_b_columns(unsigned b[4], const bf16 *tile, int row, int column) {
    const int lane = (int)threadIdx.x % WARP;
    ldmatrix_x4_trans(b, tile + (row + lane % 16) * STRIDE + column + lane / 16 * 8);
}

#endif

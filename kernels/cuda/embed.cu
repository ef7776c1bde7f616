/* embed.cu -- cuda: sums of embedding rows, and their gradient by sorted segments (reference/embed.c).
 *
 *   y[n] = sum over columns c with offset[c] >= 0 of table[offset[c] + values[n][c]]
 *   dtable[offset[c] + values[n][c]] += dy[n], rows in rising order
 * values [rows][columns], table [table_rows][width], y and dy [rows][width].
 *
 * Forward: a warp per row and 128 columns of the width; a block's rows are neighbours, whose values are mostly the
 * same, so that its cache holds their table rows. Bytes: 4 rows width written, columns times that read, from the
 * caches.
 *
 * Backward: entry n columns + c belongs to table row offset[c] + values[n][c]. Sort the entries by it, keeping their
 * order, by counting:
 *   count    each of at most CT_EMBED_CHUNKS chunks of entries counts its table rows
 *   start    for each table row: where each chunk's entries begin among the row's; how many in all
 *   begin    running sums of that: where each table row's entries begin
 *   place    each chunk puts (n, table row) where it belongs
 * then sum dy over equal table rows, the entries cut into tiles of CT_EMBED_TILE, however long a segment is:
 *   sum      what begins and ends in a tile goes to dtable; the rest of a tile, at most two sums, to the workspace
 *   join     the tile in which a longer segment begins adds up its parts and the tiles' that follow
 * Each dy row is read `columns` times, mostly from L2: 4 rows columns width bytes. Flops: rows columns width. The only
 * atomics are whole numbers (counts); sums are in the order of entries within tiles, then of tiles: the same bytes
 * always. At most 2^31 - 1 entries.
 */
#include "kernels/cuda/four.h"
#include "kernels/cuda/reduce.h"

enum { WARPS = 4, ROWS = 16, SORTERS = 256, CHUNK = 4 * SORTERS, SCANNERS = 1024, SUMMERS = 128, AT_ONCE = 4 };

template <class T>
static __global__ void __launch_bounds__(WARPS *WARP)
    rows_embed_kernel(int64_t rows, int columns, int width, bool fours, const uint16_t *values, const int32_t *offset,
                      const T *table, float *y) {
    const int     column = (int)(4 * (blockIdx.y * WARP + threadIdx.x % WARP));
    const int64_t first = (int64_t)blockIdx.x * ROWS, end = min(first + ROWS, rows);
    if (column >= width) return;
    for (int64_t n = first + threadIdx.x / WARP; n < end; n += WARPS) {
        float4 sum = make_float4(0, 0, 0, 0);
#pragma unroll 4
        for (int c = 0; c < columns; c++) {
            const int64_t at = offset[c];
            if (at >= 0) sum = sum + load_four(table + (at + values[n * columns + c]) * width, column, width, fours);
        }
        store_four(y + n * width, column, width, fours, sum);
    }
}

CT_CUDA_REAL(rows_embed) {
    const T *table = (const T *)p->table;
    float   *y = (float *)p->y;
    if (p->rows == 0 || p->width == 0) return CT_OK;
    return LAUNCH(rows_embed_kernel<T>, dim3(blocks_for(p->rows, ROWS), blocks_for(p->width, 4 * WARP)), WARPS * WARP,
                  0, stream, p->rows, (int)p->columns, (int)p->width, by_fours(p->width, table, y), p->values,
                  p->offset, table, y);
}

/* The entries to sort. Those of columns that are not embedded belong to no row: table_rows. */
typedef struct entries {
    int64_t         count, columns, table_rows, chunk;
    const uint16_t *values;
    const int32_t  *offset;
} entries;

static __device__ int row_of_entry(entries e, int64_t at) {
    const int from = e.offset[at % e.columns];
    return from < 0 ? (int)e.table_rows : from + e.values[at];
}

/* counts [chunk][table row] */
static __global__ void __launch_bounds__(SORTERS) count_kernel(entries e, int32_t *counts) {
    int32_t      *own = counts + blockIdx.x * (e.table_rows + 1);
    const int64_t first = blockIdx.x * e.chunk, end = min(first + e.chunk, e.count);
    for (int64_t row = threadIdx.x; row <= e.table_rows; row += SORTERS) own[row] = 0;
    __syncthreads();
    for (int64_t at = first + threadIdx.x; at < end; at += SORTERS) atomicAdd(own + row_of_entry(e, at), 1);
}

/* counts become places within the table row; begin[row]: how many it has in all */
static __global__ void __launch_bounds__(SORTERS)
    start_kernel(int64_t table_rows, int64_t chunks, int32_t *counts, int32_t *begin) {
    const int64_t row = (int64_t)blockIdx.x * SORTERS + threadIdx.x;
    int32_t       sum = 0;
    if (row > table_rows) return;
#pragma unroll 8
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        const int32_t count = counts[chunk * (table_rows + 1) + row];
        counts[chunk * (table_rows + 1) + row] = sum;
        sum += count;
    }
    begin[row] = sum;
}

/* begin[row] becomes the number of entries of the rows before; one block */
static __global__ void __launch_bounds__(SCANNERS) begin_kernel(int64_t table_rows, int32_t *begin) {
    const int64_t each = (table_rows + 1 + SCANNERS - 1) / SCANNERS;
    const int64_t first = threadIdx.x * each, end = min(first + each, table_rows + 1);
    int32_t       own = 0, total;
    for (int64_t row = first; row < end; row++) own += begin[row];
    int32_t sum = sum_before_in_block(own, &total);
    for (int64_t row = first; row < end; row++) {
        const int32_t count = begin[row];
        begin[row] = sum;
        sum += count;
    }
}

/* order[place] = (row of dy, table row). Within SORTERS entries, an entry stands behind the earlier ones of its row. */
static __global__ void __launch_bounds__(SORTERS)
    place_kernel(entries e, int32_t *counts, const int32_t *begin, uint2 *order) {
    SHARED_ARRAY(int, row_of, [SORTERS]);
    int32_t      *own = counts + blockIdx.x * (e.table_rows + 1);
    const int64_t first = blockIdx.x * e.chunk, end = min(first + e.chunk, e.count);
    const int     me = (int)threadIdx.x;
    for (int64_t from = first; from < end; from += SORTERS) {
        const int64_t at = from + me;
        const int     row = at < end ? row_of_entry(e, at) : -1;
        int           before = 0, after = 0;
        row_of[me] = row;
        __syncthreads();
        for (int i = 0; i < SORTERS; i++) {
            const int32_t other = row_of[i];
            before += other == row && i < me;
            after += other == row && i > me;
        }
        const int32_t place = row < 0 ? 0 : begin[row] + own[row] + before;
        if (row >= 0) order[place] = {(unsigned)(at / e.columns), (unsigned)row};
        __syncthreads();
        if (row >= 0 && after == 0) own[row] += before + 1;
    }
}

/* partial [tile][0: of a segment that begins in a tile before, 1: of one that begins here and goes on][width] */
static __global__ void __launch_bounds__(SUMMERS)
    sum_kernel(int64_t table_rows, int width, bool fours, const int32_t *begin, const uint2 *order, const float *dy,
               float *dtable, float *partial) {
    SHARED_ARRAY(uint2, own, [CT_EMBED_TILE]);
    const int64_t first = (int64_t)blockIdx.x * CT_EMBED_TILE;
    const int     count = (int)min((int64_t)CT_EMBED_TILE, begin[table_rows] - first);
    for (int i = (int)threadIdx.x; i < count; i += SUMMERS) own[i] = order[first + i];
    __syncthreads();
    const int column = (int)(4 * (blockIdx.y * SUMMERS + threadIdx.x));
    if (column >= width) return;
    float4 sum = make_float4(0, 0, 0, 0), read[AT_ONCE];
    for (int at = 0; at < count; at += AT_ONCE) {
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++)
            if (at + i < count) read[i] = load_four(dy + (int64_t)own[at + i].x * width, column, width, fours);
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            if (at + i >= count) continue;
            const unsigned row = own[at + i].y;
            sum = sum + read[i];
            if (at + i + 1 < count && own[at + i + 1].y == row) continue;
            const bool begins = begin[row] >= first, ends = begin[row + 1] <= first + CT_EMBED_TILE;
            float     *to = dtable + (int64_t)row * width;
            if (begins && ends)
                store_four(to, column, width, fours, load_four(to, column, width, fours) + sum);
            else
                store_four(partial + (2 * (int64_t)blockIdx.x + begins) * width, column, width, fours, sum);
            sum = make_float4(0, 0, 0, 0);
        }
    }
}

static __global__ void __launch_bounds__(SUMMERS)
    join_kernel(int64_t table_rows, int width, bool fours, const int32_t *begin, const uint2 *order, float *dtable,
                const float *partial) {
    const int64_t tile = blockIdx.x, end = (tile + 1) * CT_EMBED_TILE;
    const int     column = (int)(4 * (blockIdx.y * SUMMERS + threadIdx.x));
    if (column >= width || end >= begin[table_rows]) return; /* nothing goes on after this tile */
    const unsigned row = order[end - 1].y;
    if (begin[row] < tile * CT_EMBED_TILE || begin[row + 1] <= end) return;
    const int64_t last = (begin[row + 1] - 1) / CT_EMBED_TILE;
    float4        sum = load_four(partial + (2 * tile + 1) * width, column, width, fours);
#pragma unroll 4
    for (int64_t i = tile + 1; i <= last; i++) sum = sum + load_four(partial + 2 * i * width, column, width, fours);
    float *to = dtable + (int64_t)row * width;
    store_four(to, column, width, fours, load_four(to, column, width, fours) + sum);
}

CT_CUDA(rows_embed_backward) {
    const ct_rows_embed_backward *p = &params->rows_embed_backward;
    const int64_t                 count = p->rows * p->columns;
    if (count == 0 || p->width == 0) return CT_OK;
    const int64_t chunk = (int64_t)blocks_for(blocks_for(count, CT_EMBED_CHUNKS), CHUNK) * CHUNK;
    const entries e = {count, p->columns, p->table_rows, chunk, p->values, p->offset};
    const float  *dy = (const float *)p->dy;
    float        *dtable = (float *)p->dtable, *partial = (float *)p->partial;
    const bool    fours = by_fours(p->width, dy, dtable, partial);
    uint2        *order = (uint2 *)p->order;
    int32_t      *begin = p->counts, *counts = begin + p->table_rows + 1;
    const dim3    tiles(blocks_for(count, CT_EMBED_TILE), blocks_for(p->width, 4 * SUMMERS));
    const auto    chunks = blocks_for(count, chunk);
    CT_TRY(LAUNCH(count_kernel, chunks, SORTERS, 0, stream, e, counts));
    CT_TRY(LAUNCH(start_kernel, blocks_for(p->table_rows + 1, SORTERS), SORTERS, 0, stream, p->table_rows,
                  (int64_t)chunks, counts, begin));
    CT_TRY(LAUNCH(begin_kernel, 1, SCANNERS, 0, stream, p->table_rows, begin));
    CT_TRY(LAUNCH(place_kernel, chunks, SORTERS, 0, stream, e, counts, begin, order));
    CT_TRY(LAUNCH(sum_kernel, tiles, SUMMERS, 0, stream, p->table_rows, (int)p->width, fours, begin, order, dy, dtable,
                  partial));
    return LAUNCH(join_kernel, tiles, SUMMERS, 0, stream, p->table_rows, (int)p->width, fours, begin, order, dtable,
                  partial);
}

/* linear.c -- cpu: y = x w' + bias and its gradients, cut into blocks that depend on the shape only; each block is one
 * single-threaded product, so that every sum has one order whatever the number of threads. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/tile.h"
#include "kernels/gemm.h"

enum { DEPTH_BLOCK = 128, COLUMN_BLOCK = 64 };

/* The product without a library: columns of op(b) packed into a padded panel on the stack, rows of op(a) read in place.
 */
static void own_product(const ct_gemm *m) {
    float   panel[DEPTH_BLOCK * COLUMN_BLOCK], edge[TILE_ROWS * COLUMN_BLOCK];
    int64_t a_row = m->transpose_a ? 1 : m->lda, a_column = m->transpose_a ? m->lda : 1;
    int64_t b_row = m->transpose_b ? 1 : m->ldb, b_column = m->transpose_b ? m->ldb : 1;
    for (int64_t j = 0; j < m->n; j += COLUMN_BLOCK) {
        int64_t columns = m->n - j < COLUMN_BLOCK ? m->n - j : COLUMN_BLOCK;
        for (int64_t k = 0; k < m->k || k == 0; k += DEPTH_BLOCK) {
            int64_t depth = m->k - k < DEPTH_BLOCK ? m->k - k : DEPTH_BLOCK;
            bool    add = m->accumulate || k > 0;
            memset(panel, 0, sizeof panel);
            for (int64_t r = 0; r < depth; r++)
                for (int64_t c = 0; c < columns; c++)
                    panel[r * COLUMN_BLOCK + c] = m->b[(k + r) * b_row + (j + c) * b_column];
            const float *a = m->a + k * a_column;
            if (columns == COLUMN_BLOCK) {
                tile_product(m->m, COLUMN_BLOCK, depth, a, a_row, a_column, panel, COLUMN_BLOCK, m->c + j, m->ldc, add);
                continue;
            }
            for (int64_t i = 0; i < m->m; i += TILE_ROWS) {
                int64_t rows = m->m - i < TILE_ROWS ? m->m - i : TILE_ROWS;
                tile_product(rows, COLUMN_BLOCK, depth, a + i * a_row, a_row, a_column, panel, COLUMN_BLOCK, edge,
                             COLUMN_BLOCK, false);
                for (int64_t r = 0; r < rows; r++)
                    for (int64_t c = 0; c < columns; c++) {
                        float *to = &m->c[(i + r) * m->ldc + j + c];
                        *to = (add ? *to : 0) + edge[r * COLUMN_BLOCK + c];
                    }
            }
        }
    }
}

/* Small products are done by the calling thread, outside of a parallel region: where oneDNN would use threads itself.
 */
static bool small(int64_t rows, int64_t in, int64_t out) {
    return rows * in * out < 16 * CT_SMALL;
}
static void product(const ct_gemm *m, bool is_small) {
    if (is_small || !ct_gemm_library(m)) own_product(m);
}

/* Blocks of rows; few rows are cut along the columns as well, so that threads have work. */
enum { ROW_BLOCK = 256 };
static int64_t column_block(int64_t rows, int64_t columns) {
    return rows >= 8 * ROW_BLOCK ? columns : 128;
}

CT_CPU(linear) {
    const ct_linear *p = &params->linear;
    const float     *x = p->x, *w = p->w, *bias = p->bias;
    float           *y = p->y;
    int64_t          rows = ROW_BLOCK, columns = column_block(p->rows, p->out);
    bool             alone = small(p->rows, p->in, p->out);
#pragma omp parallel for collapse(2) schedule(static) if (!alone)
    for (int64_t n = 0; n < p->rows; n += rows)
        for (int64_t o = 0; o < p->out; o += columns) {
            int64_t height = p->rows - n < rows ? p->rows - n : rows,
                    width = p->out - o < columns ? p->out - o : columns;
            float *to = y + n * p->out + o;
            for (int64_t i = 0; bias && i < height; i++)
                memcpy(to + i * p->out, bias + o, (size_t)width * sizeof *bias);
            product(&(ct_gemm){.m = height,
                               .n = width,
                               .k = p->in,
                               .a = x + n * p->in,
                               .lda = p->in,
                               .transpose_b = true,
                               .b = w + o * p->in,
                               .ldb = p->in,
                               .accumulate = bias,
                               .c = to,
                               .ldc = p->out},
                    alone);
        }
    return CT_OK;
}

CT_CPU(linear_backward) {
    enum { OUT_BLOCK = 64, IN_BLOCK = 256, BAND = 32 };
    const ct_linear_backward *p = &params->linear_backward;
    const float              *x = p->x, *w = p->w, *dy = p->dy;
    float                    *dx = p->dx, *dw = p->dw, *dbias = p->dbias;
    int64_t                   rows = ROW_BLOCK, columns = column_block(p->rows, p->in);
    bool                      alone = small(p->rows, p->in, p->out);
#pragma omp parallel if (!alone)
    {
        if (dx) {
#pragma omp for collapse(2) schedule(static) nowait
            for (int64_t n = 0; n < p->rows; n += rows)
                for (int64_t i = 0; i < p->in; i += columns)
                    product(&(ct_gemm){.m = p->rows - n < rows ? p->rows - n : rows,
                                       .n = p->in - i < columns ? p->in - i : columns,
                                       .k = p->out,
                                       .a = dy + n * p->out,
                                       .lda = p->out,
                                       .b = w + i,
                                       .ldb = p->in,
                                       .c = dx + n * p->in + i,
                                       .ldc = p->in},
                            alone);
        }
#pragma omp for collapse(2) schedule(static) nowait
        for (int64_t o = 0; o < p->out; o += OUT_BLOCK)
            for (int64_t i = 0; i < p->in; i += IN_BLOCK)
                product(&(ct_gemm){.m = p->out - o < OUT_BLOCK ? p->out - o : OUT_BLOCK,
                                   .n = p->in - i < IN_BLOCK ? p->in - i : IN_BLOCK,
                                   .k = p->rows,
                                   .transpose_a = true,
                                   .a = dy + o,
                                   .lda = p->out,
                                   .b = x + i,
                                   .ldb = p->in,
                                   .accumulate = true,
                                   .c = dw + o * p->in + i,
                                   .ldc = p->in},
                        alone);
        if (dbias) {
#pragma omp for schedule(static)
            for (int64_t band = 0; band < p->out; band += BAND) {
                int64_t count = p->out - band < BAND ? p->out - band : BAND;
                float   sum[BAND] = {0};
                for (int64_t n = 0; n < p->rows; n++) {
                    const float *from = dy + n * p->out + band;
#pragma omp simd
                    for (int64_t i = 0; i < count; i++) sum[i] += from[i];
                }
                for (int64_t i = 0; i < count; i++) dbias[band + i] += sum[i];
            }
        }
    }
    return CT_OK;
}

/* rows x outs dot products of x[.][in] and w[.][in]: each output has one vector of partial sums over `in` in steps of
 * LANES, summed by halves, then the rest of `in` in order. So its value depends on its own row and weights alone. */
CT_INLINE void dot_block(int rows, int outs, int64_t in, const float *x, const float *w, const float *bias, float *y,
                         int64_t y_row) {
    enum { MOST = 8 };
    vec     sum[MOST][MOST];
    int64_t whole = in / LANES * LANES;
    for (int r = 0; r < rows; r++)
        for (int o = 0; o < outs; o++) sum[r][o] = (vec){0};
    for (int64_t i = 0; i < whole; i += LANES) {
        vec from_x[MOST];
        for (int r = 0; r < rows; r++) from_x[r] = vec_load(x + r * in + i);
        for (int o = 0; o < outs; o++) {
            vec from_w = vec_load(w + o * in + i);
            for (int r = 0; r < rows; r++) sum[r][o] += from_x[r] * from_w;
        }
    }
    for (int r = 0; r < rows; r++)
        for (int o = 0; o < outs; o++) {
            float total = vec_sum(sum[r][o]);
            for (int64_t i = whole; i < in; i++) total += x[r * in + i] * w[o * in + i];
            y[r * y_row + o] = total + (bias ? bias[o] : 0);
        }
}

CT_CPU(linear_rows) {
    enum { OUTS = 8, CHUNK = 32 };
    const ct_linear_rows *p = &params->linear_rows;
    const float          *x = p->x, *w = p->w, *bias = p->bias;
    float                *y = p->y;
    int64_t               in = p->in, out = p->out;
#pragma omp parallel for schedule(static) if (!small(p->rows, in, out / 4))
    for (int64_t chunk = 0; chunk < out; chunk += CHUNK) {
        int64_t end = chunk + CHUNK < out ? chunk + CHUNK : out, o = chunk;
        for (; o < end; o += end - o >= OUTS ? OUTS : 1) {
            const float *of_w = w + o * in, *of_bias = bias ? bias + o : NULL;
            int64_t      n = 0;
            if (end - o >= OUTS) {
                for (; n + 2 <= p->rows; n += 2)
                    dot_block(2, OUTS, in, x + n * in, of_w, of_bias, y + n * out + o, out);
                for (; n < p->rows; n++) dot_block(1, OUTS, in, x + n * in, of_w, of_bias, y + n * out + o, out);
            } else {
                for (; n < p->rows; n++) dot_block(1, 1, in, x + n * in, of_w, of_bias, y + n * out + o, out);
            }
        }
    }
    return CT_OK;
}

/* tile.c -- cpu: products of small tiles, sums kept in registers. With AVX-512 a block of 8 rows x 2 vectors keeps 16
 * of them: ten loads for sixteen multiply-adds. */
#include "kernels/cpu/tile.h"

/* rows x vecs vectors of C; rows and vecs are constants where this is inlined */
CT_INLINE void tile_block(int rows, int vecs, int64_t depth, const float *a, int64_t a_row, int64_t a_column,
                          const float *b, int64_t b_row, float *c, int64_t c_row, bool accumulate) {
    vec sum[TILE_ROWS][TILE_VECS];
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vecs; v++) sum[i][v] = accumulate ? vec_load(c + i * c_row + v * LANES) : (vec){0};
    for (int64_t k = 0; k < depth; k++) {
        vec from_b[TILE_VECS];
        for (int v = 0; v < vecs; v++) from_b[v] = vec_load(b + k * b_row + v * LANES);
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < vecs; v++) sum[i][v] += a[i * a_row + k * a_column] * from_b[v];
    }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vecs; v++) vec_store(c + i * c_row + v * LANES, sum[i][v]);
}

void tile_product(int64_t rows, int64_t columns, int64_t depth, const float *a, int64_t a_row, int64_t a_column,
                  const float *b, int64_t b_row, float *c, int64_t c_row, bool accumulate) {
    for (int64_t j = 0; j < columns;) {
        int     vecs = columns - j >= TILE_VECS * LANES ? TILE_VECS : 1;
        int64_t i = 0;
        for (; i + TILE_ROWS <= rows; i += TILE_ROWS) {
            if (vecs == TILE_VECS)
                tile_block(TILE_ROWS, TILE_VECS, depth, a + i * a_row, a_row, a_column, b + j, b_row, c + i * c_row + j,
                           c_row, accumulate);
            else
                tile_block(TILE_ROWS, 1, depth, a + i * a_row, a_row, a_column, b + j, b_row, c + i * c_row + j, c_row,
                           accumulate);
        }
        for (; i < rows; i++)
            for (int v = 0; v < vecs; v++)
                tile_block(1, 1, depth, a + i * a_row, a_row, a_column, b + j + v * LANES, b_row,
                           c + i * c_row + j + v * LANES, c_row, accumulate);
        j += vecs * LANES;
    }
}

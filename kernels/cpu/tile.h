/* tile.h -- C = A B or C += A B on small tiles: what attention, and linear without a library, stand on. */
#ifndef CT_CPU_TILE_H
#define CT_CPU_TILE_H

#include "kernels/cpu/cpu.h"

enum { TILE_ROWS = LANES == 16 ? 8 : 4, TILE_VECS = 2 };

#define tile_product CT_NAME(tile_product)

/* C[rows][columns] (+)= A[rows][depth] B[depth][columns]; columns is a multiple of LANES. A is read by single elements
 * (any strides, so it may be transposed), B and C by vectors. */
void tile_product(int64_t rows, int64_t columns, int64_t depth, const float *a, int64_t a_row, int64_t a_column,
                  const float *b, int64_t b_row, float *c, int64_t c_row, bool accumulate);

#endif

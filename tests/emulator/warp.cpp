/* warp.cpp -- see warp.h. Chapters are those of NVIDIA's PTX manual. */
#include "warp.h"

#include <string.h>

#include "kernels/bf16.h"

/* shfl.sync: the manual's pseudo-code, for one lane: where its value comes from */
static uint32_t source_lane(uint32_t lane, shuffle_operands &s) {
    uint32_t by = s.lane & 0x1f, clamp = s.clamp & 0x1f, segment = s.clamp >> 8 & 0x1f;
    uint32_t highest = (lane & segment) | (clamp & ~segment), lowest = lane & segment, from = lane;
    switch (s.kind) {
    case SHUFFLE_UP:
        s.in_range = (int)(lane - by) >= (int)highest;
        from = lane - by;
        break;
    case SHUFFLE_DOWN:
        from = lane + by;
        s.in_range = from <= highest;
        break;
    case SHUFFLE_XOR:
        from = lane ^ by;
        s.in_range = from <= highest;
        break;
    case SHUFFLE_INDEX:
        from = lowest | (by & ~segment);
        s.in_range = from <= highest;
        break;
    }
    return s.in_range ? from : lane;
}

static uint32_t shuffle(uint32_t present, void *const operands[LANES]) {
    uint32_t undefined = 0;
    for (uint32_t lane = 0; lane < LANES; lane++) {
        if (!(present >> lane & 1)) continue;
        shuffle_operands &s = *static_cast<shuffle_operands *>(operands[lane]);
        uint32_t          from = source_lane(lane, s);
        if (present >> from & 1)
            s.result = static_cast<const shuffle_operands *>(operands[from])->value;
        else
            undefined |= 1u << lane;
    }
    return undefined;
}

static void vote(uint32_t present, void *const operands[LANES]) {
    uint32_t ballot = 0;
    for (int lane = 0; lane < LANES; lane++)
        if (present >> lane & 1) ballot |= (uint32_t) static_cast<vote_operands *>(operands[lane])->predicate << lane;
    for (int lane = 0; lane < LANES; lane++) {
        if (!(present >> lane & 1)) continue;
        vote_operands &v = *static_cast<vote_operands *>(operands[lane]);
        v.result = v.kind == VOTE_BALLOT ? ballot : v.kind == VOTE_ANY ? ballot != 0 : ballot == present;
    }
}

/* ldmatrix: lane l receives of each matrix row l / 4, elements 2 (l % 4) and the next; transposed: column l / 4 */
static void ldmatrix(void *const operands[LANES]) {
    const ldmatrix_operands &first = *static_cast<ldmatrix_operands *>(operands[0]);
    for (unsigned m = 0; m < first.matrices; m++) {
        uint16_t matrix[8][8];
        for (unsigned row = 0; row < 8; row++)
            memcpy(matrix[row], static_cast<ldmatrix_operands *>(operands[8 * m + row])->row, sizeof matrix[row]);
        for (unsigned lane = 0; lane < LANES; lane++) {
            unsigned i = lane / 4, k = 2 * (lane % 4);
            uint32_t low = first.transposed ? matrix[k][i] : matrix[i][k];
            uint32_t high = first.transposed ? matrix[k + 1][i] : matrix[i][k + 1];
            static_cast<ldmatrix_operands *>(operands[lane])->result[m] = low | high << 16;
        }
    }
}

/* mma.m16n8k16, "Matrix Fragments for mma.m16n8k16 with floating point type": with group = lane / 4, in = lane % 4
 *   a[r] low, high: row group + 8 (r odd), columns 2 in + 8 (r >= 2), and the next
 *   b[r] low, high: rows 2 in + 8 r, and the next; column group
 *   c[r], d[r]:     row group + 8 (r >= 2), column 2 in + (r odd) */
static float half_of(uint32_t pair, unsigned upper) {
    return ct_bf16_float((uint16_t)(pair >> (16 * upper)));
}
static void mma(void *const operands[LANES]) {
    float a[16][16], b[16][8], d[16][8];
    for (unsigned lane = 0; lane < LANES; lane++) {
        const mma_operands &o = *static_cast<mma_operands *>(operands[lane]);
        unsigned            group = lane / 4, in = lane % 4;
        for (unsigned r = 0; r < 4; r++) {
            for (unsigned upper = 0; upper < 2; upper++)
                a[group + 8 * (r % 2)][2 * in + 8 * (r / 2) + upper] = half_of(o.a[r], upper);
            d[group + 8 * (r / 2)][2 * in + r % 2] = o.c[r];
        }
        for (unsigned r = 0; r < 2; r++)
            for (unsigned upper = 0; upper < 2; upper++) b[2 * in + 8 * r + upper][group] = half_of(o.b[r], upper);
    }
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < 16; k++)
            for (int j = 0; j < 8; j++) d[i][j] += a[i][k] * b[k][j];
    for (unsigned lane = 0; lane < LANES; lane++) {
        const mma_operands &o = *static_cast<mma_operands *>(operands[lane]);
        for (unsigned r = 0; r < 4; r++) o.d[r] = d[lane / 4 + 8 * (r / 2)][2 * (lane % 4) + r % 2];
    }
}

uint32_t warp_compute(warp_operation operation, uint32_t present, void *const operands[LANES]) {
    switch (operation) {
    case WARP_SYNC:
        break;
    case WARP_SHUFFLE:
        return shuffle(present, operands);
    case WARP_VOTE:
        vote(present, operands);
        break;
    case WARP_LDMATRIX:
        ldmatrix(operands);
        break;
    case WARP_MMA:
        mma(operands);
        break;
    }
    return 0;
}

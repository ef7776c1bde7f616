/* test_instructions.cpp -- warp-wide instructions and conversions against the tables of NVIDIA's PTX manual, written
 * out: which lane holds which element of a matrix, in which of its registers; from which lane a shuffle reads; what
 * becomes of a float in bf16. The emulator computes with formulas (warp.cpp); here stands what they must come to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

extern "C" {
#include <cmocka.h>
}

#include "kernels/cuda/platform.h"
#include "warp.h"

#include <stdio.h>
#include <string.h>

/* "lane:element" at each row and column; element 2 r + h is half h of register r (of c and d: register r) */
// clang-format off
/* "MMA .m16n8k16 fragment layout for matrix A with .bf16 type": rows 0 to 15, columns 0 to 15 */
static const char *const table_a[16] = {
    "0:0   0:1   1:0   1:1   2:0   2:1   3:0   3:1   0:4   0:5   1:4   1:5   2:4   2:5   3:4   3:5",
    "4:0   4:1   5:0   5:1   6:0   6:1   7:0   7:1   4:4   4:5   5:4   5:5   6:4   6:5   7:4   7:5",
    "8:0   8:1   9:0   9:1   10:0  10:1  11:0  11:1  8:4   8:5   9:4   9:5   10:4  10:5  11:4  11:5",
    "12:0  12:1  13:0  13:1  14:0  14:1  15:0  15:1  12:4  12:5  13:4  13:5  14:4  14:5  15:4  15:5",
    "16:0  16:1  17:0  17:1  18:0  18:1  19:0  19:1  16:4  16:5  17:4  17:5  18:4  18:5  19:4  19:5",
    "20:0  20:1  21:0  21:1  22:0  22:1  23:0  23:1  20:4  20:5  21:4  21:5  22:4  22:5  23:4  23:5",
    "24:0  24:1  25:0  25:1  26:0  26:1  27:0  27:1  24:4  24:5  25:4  25:5  26:4  26:5  27:4  27:5",
    "28:0  28:1  29:0  29:1  30:0  30:1  31:0  31:1  28:4  28:5  29:4  29:5  30:4  30:5  31:4  31:5",
    "0:2   0:3   1:2   1:3   2:2   2:3   3:2   3:3   0:6   0:7   1:6   1:7   2:6   2:7   3:6   3:7",
    "4:2   4:3   5:2   5:3   6:2   6:3   7:2   7:3   4:6   4:7   5:6   5:7   6:6   6:7   7:6   7:7",
    "8:2   8:3   9:2   9:3   10:2  10:3  11:2  11:3  8:6   8:7   9:6   9:7   10:6  10:7  11:6  11:7",
    "12:2  12:3  13:2  13:3  14:2  14:3  15:2  15:3  12:6  12:7  13:6  13:7  14:6  14:7  15:6  15:7",
    "16:2  16:3  17:2  17:3  18:2  18:3  19:2  19:3  16:6  16:7  17:6  17:7  18:6  18:7  19:6  19:7",
    "20:2  20:3  21:2  21:3  22:2  22:3  23:2  23:3  20:6  20:7  21:6  21:7  22:6  22:7  23:6  23:7",
    "24:2  24:3  25:2  25:3  26:2  26:3  27:2  27:3  24:6  24:7  25:6  25:7  26:6  26:7  27:6  27:7",
    "28:2  28:3  29:2  29:3  30:2  30:3  31:2  31:3  28:6  28:7  29:6  29:7  30:6  30:7  31:6  31:7",
};
/* "... for matrix B": rows (k) 0 to 15, columns (n) 0 to 7 */
static const char *const table_b[16] = {
    "0:0   4:0   8:0   12:0  16:0  20:0  24:0  28:0",
    "0:1   4:1   8:1   12:1  16:1  20:1  24:1  28:1",
    "1:0   5:0   9:0   13:0  17:0  21:0  25:0  29:0",
    "1:1   5:1   9:1   13:1  17:1  21:1  25:1  29:1",
    "2:0   6:0   10:0  14:0  18:0  22:0  26:0  30:0",
    "2:1   6:1   10:1  14:1  18:1  22:1  26:1  30:1",
    "3:0   7:0   11:0  15:0  19:0  23:0  27:0  31:0",
    "3:1   7:1   11:1  15:1  19:1  23:1  27:1  31:1",
    "0:2   4:2   8:2   12:2  16:2  20:2  24:2  28:2",
    "0:3   4:3   8:3   12:3  16:3  20:3  24:3  28:3",
    "1:2   5:2   9:2   13:2  17:2  21:2  25:2  29:2",
    "1:3   5:3   9:3   13:3  17:3  21:3  25:3  29:3",
    "2:2   6:2   10:2  14:2  18:2  22:2  26:2  30:2",
    "2:3   6:3   10:3  14:3  18:3  22:3  26:3  30:3",
    "3:2   7:2   11:2  15:2  19:2  23:2  27:2  31:2",
    "3:3   7:3   11:3  15:3  19:3  23:3  27:3  31:3",
};
/* "... for accumulator matrix C or D" */
static const char *const table_c[16] = {
    "0:0   0:1   1:0   1:1   2:0   2:1   3:0   3:1",
    "4:0   4:1   5:0   5:1   6:0   6:1   7:0   7:1",
    "8:0   8:1   9:0   9:1   10:0  10:1  11:0  11:1",
    "12:0  12:1  13:0  13:1  14:0  14:1  15:0  15:1",
    "16:0  16:1  17:0  17:1  18:0  18:1  19:0  19:1",
    "20:0  20:1  21:0  21:1  22:0  22:1  23:0  23:1",
    "24:0  24:1  25:0  25:1  26:0  26:1  27:0  27:1",
    "28:0  28:1  29:0  29:1  30:0  30:1  31:0  31:1",
    "0:2   0:3   1:2   1:3   2:2   2:3   3:2   3:3",
    "4:2   4:3   5:2   5:3   6:2   6:3   7:2   7:3",
    "8:2   8:3   9:2   9:3   10:2  10:3  11:2  11:3",
    "12:2  12:3  13:2  13:3  14:2  14:3  15:2  15:3",
    "16:2  16:3  17:2  17:3  18:2  18:3  19:2  19:3",
    "20:2  20:3  21:2  21:3  22:2  22:3  23:2  23:3",
    "24:2  24:3  25:2  25:3  26:2  26:3  27:2  27:3",
    "28:2  28:3  29:2  29:3  30:2  30:3  31:2  31:3",
};
/* "ldmatrix fragment layout for one 8x8 matrix with 16-bit elements" */
static const char *const table_matrix[8] = {
    "0:0   0:1   1:0   1:1   2:0   2:1   3:0   3:1",
    "4:0   4:1   5:0   5:1   6:0   6:1   7:0   7:1",
    "8:0   8:1   9:0   9:1   10:0  10:1  11:0  11:1",
    "12:0  12:1  13:0  13:1  14:0  14:1  15:0  15:1",
    "16:0  16:1  17:0  17:1  18:0  18:1  19:0  19:1",
    "20:0  20:1  21:0  21:1  22:0  22:1  23:0  23:1",
    "24:0  24:1  25:0  25:1  26:0  26:1  27:0  27:1",
    "28:0  28:1  29:0  29:1  30:0  30:1  31:0  31:1",
};
/* Source lanes of shuffles, by width as CUDA's functions take it. */
static const struct {
    machine_shuffle_kind kind;
    uint32_t lane, clamp; /* as PTX has them: c = (32 - width) << 8 | (0 for up, else 31) */
    uint8_t from[32];
} table_shuffle[] = {
    {SHUFFLE_INDEX, 5, 0x001f, {5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5}},
    {SHUFFLE_INDEX, 11, 0x181f, {3,3,3,3,3,3,3,3,11,11,11,11,11,11,11,11,19,19,19,19,19,19,19,19,27,27,27,27,27,27,27,27}},
    {SHUFFLE_UP, 1, 0x0000, {0,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30}},
    {SHUFFLE_UP, 3, 0x1800, {0,1,2,0,1,2,3,4,8,9,10,8,9,10,11,12,16,17,18,16,17,18,19,20,24,25,26,24,25,26,27,28}},
    {SHUFFLE_DOWN, 16, 0x001f, {16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31}},
    {SHUFFLE_DOWN, 1, 0x1c1f, {1,2,3,3,5,6,7,7,9,10,11,11,13,14,15,15,17,18,19,19,21,22,23,23,25,26,27,27,29,30,31,31}},
    {SHUFFLE_XOR, 1, 0x001f, {1,0,3,2,5,4,7,6,9,8,11,10,13,12,15,14,17,16,19,18,21,20,23,22,25,24,27,26,29,28,31,30}},
    {SHUFFLE_XOR, 16, 0x001f, {16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15}},
    /* a segment of 16: lanes of the upper half may read those of the lower, not the other way round */
    {SHUFFLE_XOR, 16, 0x101f, {0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15}},
};
/* cvt.rn.bf16.f32 */
static const struct {
    uint32_t of_float;
    uint16_t of_bf16;
} table_bf16[] = {
    {0x00000000, 0x0000}, {0x80000000, 0x8000}, {0x3f800000, 0x3f80}, {0xc0490fdb, 0xc049},
    {0x3f807fff, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f808001, 0x3f81}, {0x3f818000, 0x3f82}, /* ties to even */
    {0xbf818000, 0xbf82}, {0x3fff8000, 0x4000}, {0x3fffffff, 0x4000}, /* up to the next power of two */
    {0x7f7f7fff, 0x7f7f}, {0x7f7f8000, 0x7f80}, {0x7f7fffff, 0x7f80}, {0xff7fffff, 0xff80}, /* beyond the largest */
    {0x7f800000, 0x7f80}, {0xff800000, 0xff80}, /* infinity */
    {0x7f800001, 0x7fff}, {0xff800001, 0x7fff}, {0x7fc00000, 0x7fff}, {0xffffffff, 0x7fff}, /* NaN */
    {0x00008000, 0x0000}, {0x00008001, 0x0001}, {0x00018000, 0x0002}, {0x807fffff, 0x8080}, /* subnormal */
};
// clang-format on

struct position {
    unsigned lane, element;
};
static position at(const char *const *table, int row, int column) {
    position p = {99, 99};
    int      used = 0;
    /* NOLINTNEXTLINE(cert-err34-c): numbers typed above */
    for (const char *text = table[row]; column >= 0 && sscanf(text, "%u:%u%n", &p.lane, &p.element, &used) == 2;
         text += used)
        column--;
    return p;
}

static uint16_t bits_of(float x) {
    return __float2bfloat16_rn(x).bits;
}
static uint32_t with_half(uint32_t pair, unsigned half, uint16_t bits) {
    return (pair & ~(0xffffu << 16 * half)) | (uint32_t)bits << 16 * half;
}

/* whole numbers, so that every product and sum is exact */
static void mma_multiplies_what_the_tables_say(void **) {
    float        a[16][16], b[16][8], c[16][8], fragment_c[32][4], fragment_d[32][4] = {};
    uint32_t     fragment_a[32][4] = {}, fragment_b[32][2] = {};
    mma_operands operands[32];
    void        *of_lanes[32];
    for (int i = 0; i < 16; i++) {
        for (int k = 0; k < 16; k++) {
            a[i][k] = (float)((i * 7 + k * 3) % 11 - 5);
            position p = at(table_a, i, k);
            fragment_a[p.lane][p.element / 2] =
                with_half(fragment_a[p.lane][p.element / 2], p.element % 2, bits_of(a[i][k]));
        }
        for (int j = 0; j < 8; j++) {
            b[i][j] = (float)((i * 5 + j * 9) % 13 - 6);
            c[i][j] = (float)(i * 8 + j);
            position p = at(table_b, i, j), q = at(table_c, i, j);
            fragment_b[p.lane][p.element / 2] =
                with_half(fragment_b[p.lane][p.element / 2], p.element % 2, bits_of(b[i][j]));
            fragment_c[q.lane][q.element] = c[i][j];
        }
    }
    for (int lane = 0; lane < 32; lane++) {
        operands[lane] = {fragment_d[lane], fragment_a[lane], fragment_b[lane], fragment_c[lane]};
        of_lanes[lane] = &operands[lane];
    }
    assert_int_equal(warp_compute(WARP_MMA, ~0u, of_lanes), 0);
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 8; j++) {
            float sum = c[i][j];
            for (int k = 0; k < 16; k++) sum += a[i][k] * b[k][j];
            position p = at(table_c, i, j);
            if (fragment_d[p.lane][p.element] != sum) fail_msg("d[%d][%d]", i, j);
        }
}

static void ldmatrix_loads_as_the_table_says(void **) {
    for (unsigned matrices = 1; matrices <= 4; matrices *= 2)
        for (int transposed = 0; transposed < 2; transposed++) {
            alignas(16) uint16_t rows[32][8];
            uint32_t             result[32][4] = {};
            ldmatrix_operands    operands[32];
            void                *of_lanes[32];
            for (unsigned lane = 0; lane < 32; lane++) {
                for (unsigned k = 0; k < 8; k++) rows[lane][k] = (uint16_t)(100 * lane + k);
                operands[lane] = {matrices, transposed != 0, rows[lane], result[lane]};
                of_lanes[lane] = &operands[lane];
            }
            warp_compute(WARP_LDMATRIX, ~0u, of_lanes);
            for (unsigned m = 0; m < matrices; m++)
                for (int i = 0; i < 8; i++)
                    for (int k = 0; k < 8; k++) {
                        position p = transposed ? at(table_matrix, k, i) : at(table_matrix, i, k);
                        assert_int_equal(result[p.lane][m] >> 16 * p.element & 0xffff,
                                         100 * (8 * m + (unsigned)i) + (unsigned)k);
                    }
            for (unsigned lane = 0; lane < 32; lane++)
                for (unsigned m = matrices; m < 4; m++) assert_int_equal(result[lane][m], 0);
        }
}

static void shuffles_read_the_lane_of_the_table(void **) {
    for (const auto &row : table_shuffle) {
        shuffle_operands operands[32];
        void            *of_lanes[32];
        for (uint32_t lane = 0; lane < 32; lane++) {
            operands[lane] = {row.kind, 1000 + lane, row.lane, row.clamp, 0, false};
            of_lanes[lane] = &operands[lane];
        }
        assert_int_equal(warp_compute(WARP_SHUFFLE, ~0u, of_lanes), 0);
        for (uint32_t lane = 0; lane < 32; lane++)
            if (operands[lane].result != 1000u + row.from[lane])
                fail_msg("row %d, lane %u reads %d, not %d", (int)(&row - table_shuffle), lane,
                         (int)operands[lane].result - 1000, row.from[lane]);
    }
}

static void lanes_that_take_no_part(void **) {
    shuffle_operands operands[32];
    vote_operands    votes[32];
    void            *of_lanes[32] = {}, *of_voters[32] = {};
    for (uint32_t lane = 0; lane < 16; lane++) {
        operands[lane] = {SHUFFLE_DOWN, lane, 8, 0x1f, 0, false};
        votes[lane] = {VOTE_ALL, true, 0};
        of_lanes[lane] = &operands[lane];
        of_voters[lane] = &votes[lane];
    }
    assert_int_equal(warp_compute(WARP_SHUFFLE, 0xffff, of_lanes), 0xff00); /* lanes 8 to 15 read 16 to 23 */
    warp_compute(WARP_VOTE, 0xffff, of_voters);
    assert_int_equal(votes[3].result, 1); /* all of those that are there */
}

static void floats_become_bf16_as_the_table_says(void **) {
    for (const auto &row : table_bf16) {
        float value = __uint_as_float(row.of_float);
        if (bits_of(value) != row.of_bf16)
            fail_msg("%08x becomes %04x, not %04x", row.of_float, bits_of(value), row.of_bf16);
        assert_int_equal(pack_bf16(value, 1), 0x3f800000u | row.of_bf16); /* the first in the lower half */
    }
    for (uint32_t bits = 0; bits < 0x10000; bits++) { /* every bf16 is a float, and comes back */
        float value = __bfloat162float({(uint16_t)bits});
        if (value == value) assert_int_equal(bits_of(value), bits);
        assert_int_equal(__float_as_uint(value), bits << 16);
    }
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(mma_multiplies_what_the_tables_say),   cmocka_unit_test(ldmatrix_loads_as_the_table_says),
        cmocka_unit_test(shuffles_read_the_lane_of_the_table),  cmocka_unit_test(lanes_that_take_no_part),
        cmocka_unit_test(floats_become_bf16_as_the_table_says),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}

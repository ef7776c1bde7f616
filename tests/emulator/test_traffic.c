/* test_traffic.c -- what the emulator counts of requests to memory, on accesses whose cost the programming guide tells:
 * a warp's 32 neighbouring floats are 4 sectors, every second float 8, one in eight 32; a column of a tile of 32 x 32
 * floats takes 32 passes over the banks, of one with a row of 33 one; and of instructions, on attention of one tile.
 * PTX only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/status.h"
#include "device_arrays.h"

ct_status traffic_strided(float *y, const float *x, int stride);
ct_status traffic_fours(float *y, const float *x);
ct_status traffic_columns(float *y, const float *x, bool padded);

enum { FLOATS = 1024 };
static float *x, *y;

static int make(void **state) {
    static const float zeros[FLOATS];
    (void)state;
    emulator_use_front_end(0);
    x = emulator_alloc(sizeof zeros);
    y = emulator_alloc(sizeof zeros);
    emulator_write(x, zeros, sizeof zeros);
    return 0;
}
static int unmake(void **state) {
    (void)state;
    emulator_free(x);
    emulator_free(y);
    return emulator_report_count();
}

static emulator_kernel counted(void) {
    emulator_kernel k, more;
    assert_true(emulator_kernel_at(0, &k));
    assert_false(emulator_kernel_at(1, &more));
    assert_int_equal(k.launches, 1);
    assert_int_equal(k.threads, 32);
    return k;
}

static void sectors_of_device_memory(void **state) {
    static const uint64_t sectors[][2] = {{1, 4}, {2, 8}, {8, 32}, {0, 1}};
    (void)state;
    for (size_t i = 0; i < CT_COUNT(sectors); i++) {
        emulator_count_kernels();
        assert_int_equal(traffic_strided(y, x, (int)sectors[i][0]), CT_OK);
        emulator_kernel k = counted();
        assert_int_equal(k.requests, 2); /* the load, and a store of neighbours */
        assert_int_equal(k.sectors, sectors[i][1] + 4);
        assert_int_equal(k.fewest_sectors, sectors[i][0] ? 8 : 5);
        assert_int_equal(k.shared_requests, 0);
    }
    emulator_count_kernels();
    assert_int_equal(traffic_fours(y, x), CT_OK);
    emulator_kernel k = counted();
    assert_int_equal(k.requests, 2);
    assert_int_equal(k.sectors, 32);
    assert_int_equal(k.fewest_sectors, 32);
}

static void passes_over_banks(void **state) {
    (void)state;
    for (int padded = 0; padded < 2; padded++) {
        emulator_count_kernels();
        assert_int_equal(traffic_columns(y, x, padded), CT_OK);
        emulator_kernel k = counted();
        assert_int_equal(k.shared_requests, 64);
        assert_int_equal(k.passes, padded ? 64 : 32 + 32 * 32);
        assert_int_equal(k.fewest_passes, 64);
        assert_int_equal(k.requests, 64);
        assert_int_equal(k.sectors, 64 * 4);
    }
}

/* attention of one slice of 64 tokens, head 32, in bf16: a product of 64 x 64 pairs is 64 x 64 x 32 / (16 x 8 x 16) =
 * 64 mma, with the whole tile that the diagonal cuts */
static void run_attention(ct_op op, ct_params params, const char *name) {
    op_case   c = {.op = op, .name = name, .params = params};
    op_arrays arrays = op_arrays_make(&c, CT_BF16);
    emulator_count_kernels();
    assert_int_equal(run_on_device(op, &arrays), CT_OK);
    op_arrays_free(&arrays);
}

static void instructions_of_attention(void **state) {
    emulator_kernel    k, queries, keys;
    const ct_attention one_tile = {
        .batch = 1, .tokens = 64, .heads = 1, .head = 32, .queries = 8, .keys = 8, .scale = 0.125};
    (void)state;
    run_attention(CT_OP_attention, (ct_params){.attention = one_tile}, "attention");
    assert_true(emulator_kernel_at(1, &k)); /* after queries and keys are turned */
    assert_false(emulator_kernel_at(2, &queries));
    assert_int_equal(k.mma, 2 * 64);
    /* each of four warps: 2 for its queries; one for two mma of each product */
    assert_int_equal(k.ldmatrix, 4 * 2 + 64);
    /* 16 bytes a lane: 64 rows of 64 bytes of q, k, v; 4 bytes: 64 songs, 64 segments, G of 8 segments for 64 keys */
    assert_int_equal(k.copies, 3 * 64 * 64 / 16 / 32 + 2 * 64 / 32 + 8 * 64 / 32);

    const ct_attention_backward backward = {
        .batch = 1, .tokens = 64, .heads = 1, .head = 32, .queries = 8, .keys = 8, .scale = 0.125};
    run_attention(CT_OP_attention_backward, (ct_params){.attention_backward = backward}, "attention_backward");
    assert_true(emulator_kernel_at(2, &queries)); /* after <dy, y>, and after queries and keys are turned */
    assert_true(emulator_kernel_at(3, &keys));
    assert_int_equal(queries.mma, 3 * 64);
    assert_int_equal(keys.mma, 4 * 64);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sectors_of_device_memory),
        cmocka_unit_test(passes_over_banks),
        cmocka_unit_test(instructions_of_attention),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}

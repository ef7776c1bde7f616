/* test_traffic.c -- what the emulator counts of requests to memory, on accesses whose cost the programming guide tells:
 * a warp's 32 neighbouring floats are 4 sectors, every second float 8, one in eight 32; a column of a tile of 32 x 32
 * floats takes 32 passes over the banks, of one with a row of 33 one. PTX only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/status.h"
#include "emulator.h"

#include <stdlib.h>
#include <string.h>

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sectors_of_device_memory),
        cmocka_unit_test(passes_over_banks),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}

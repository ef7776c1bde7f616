/* test_bias.c -- the kernels beside the products of matrices (kernels/cuda/bias.h) on the emulator, in every order of
 * threads and blocks: a bias in all rows, to the byte; its gradient within the rounding of its sums, the same bytes in
 * every order; shapes and alignments of one number and of four. Built in both flavours, and run as PTX.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rng.h"
#include "core/status.h"
#include "kernels/bf16.h"
#include "kernels/cuda/bias.h"
#include "tests/emulator/emulator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t shapes[][2] = {{1, 1}, {3, 8}, {37, 131}, {259, 132}, {1031, 5}, {70, 1100}};

/* `count` numbers of a dtype, as host memory */
static void *numbers(ct_dtype dtype, int64_t count) {
    const size_t element = ct_dtype_size(dtype);
    char        *to = malloc((size_t)count * element);
    for (int64_t i = 0; i < count; i++) {
        const float    x = 2 * ct_philox_float(ct_philox_at(3, 5, (uint64_t)i).word[0]) - 1;
        const uint16_t half = ct_bf16_round(x);
        memcpy(to + (size_t)i * element, dtype == CT_BF16 ? (const void *)&half : (const void *)&x, element);
    }
    return to;
}
static double number_at(ct_dtype dtype, const void *array, int64_t i) {
    return dtype == CT_BF16 ? (double)ct_bf16_float(((const uint16_t *)array)[i]) : (double)((const float *)array)[i];
}

/* device memory that begins `shift` elements after an address for four of them */
static char *device_array(size_t bytes, size_t shift, const void *host) {
    char *device = (char *)emulator_alloc(bytes + shift) + shift;
    if (host) emulator_write(device, host, bytes);
    return device;
}

static void spread(ct_dtype dtype, int64_t rows, int64_t width, size_t shift) {
    const size_t row = (size_t)width * ct_dtype_size(dtype);
    char        *bias = numbers(dtype, width), *got = malloc(row * (size_t)rows);
    char        *d_bias = device_array(row, shift, bias), *d_y = device_array(row * (size_t)rows, shift, NULL);
    assert_int_equal(ct_cuda_bias_spread(dtype, rows, width, d_bias, d_y, NULL), CT_OK);
    emulator_read(got, d_y, row * (size_t)rows);
    for (int64_t n = 0; n < rows; n++) assert_memory_equal(got + (size_t)n * row, bias, row);
    emulator_free(d_bias - shift);
    emulator_free(d_y - shift);
    free(bias);
    free(got);
}

/* Sums of `rows` numbers up to 1 in floats: each addition rounds by half an ulp of what it has so far. */
static uint64_t gradient(ct_dtype dtype, int64_t rows, int64_t width, int64_t slices, size_t shift) {
    const size_t bytes = (size_t)(rows * width) * ct_dtype_size(dtype), row = (size_t)width * sizeof(float);
    char        *dy = numbers(dtype, rows * width);
    float       *before = numbers(CT_F32, width), *got = malloc(row);
    char        *d_dy = device_array(bytes, shift, dy), *d_bias = device_array(row, 0, before);
    float       *partial = emulator_alloc((size_t)slices * row);
    uint64_t     hash = 1469598103934665603u; /* FNV-1a */
    assert_int_equal(ct_cuda_bias_gradient(dtype, rows, width, d_dy, (float *)(void *)d_bias, slices, partial, NULL),
                     CT_OK);
    emulator_read(got, d_bias, row);
    for (int64_t i = 0; i < width; i++) {
        double sum = (double)before[i], size = fabs(sum);
        for (int64_t n = 0; n < rows; n++) {
            sum += number_at(dtype, dy, n * width + i);
            size += fabs(number_at(dtype, dy, n * width + i));
        }
        if (!(fabs((double)got[i] - sum) <= 0x1p-24 * size * 16))
            fail_msg("[%ld][%ld]: dbias[%ld] is %g, not %g", (long)rows, (long)width, (long)i, (double)got[i], sum);
    }
    for (size_t i = 0; i < row; i++) hash = (hash ^ ((unsigned char *)got)[i]) * 1099511628211u;
    emulator_free(d_dy - shift);
    emulator_free(d_bias);
    emulator_free(partial);
    free(dy);
    free(before);
    free(got);
    return hash;
}

static void no_reports(void) {
    for (int i = 0; emulator_report(i); i++) print_error("%s\n", emulator_report(i));
    assert_int_equal(emulator_report_count(), 0);
}

static void bias(void **state) {
    (void)state;
    static const ct_dtype dtypes[] = {CT_F32, CT_BF16};
    for (int front_end = 0; front_end < emulator_front_ends(); front_end++) {
        emulator_use_front_end(front_end);
        for (size_t i = 0; i < CT_COUNT(shapes) * CT_COUNT(dtypes); i++) {
            const int64_t  rows = shapes[i / 2][0], width = shapes[i / 2][1], slices = rows % 7 + 1;
            const ct_dtype dtype = dtypes[i % 2];
            uint64_t       first = 0;
            for (int order = 0; order < EMULATOR_ORDERS; order++) {
                emulator_set_schedule((emulator_schedule){.order = (emulator_order)order, .seed = 7});
                spread(dtype, rows, width, 0);
                uint64_t hash = gradient(dtype, rows, width, slices, 0);
                if (order == 0) first = hash;
                assert_int_equal(hash, first);
            }
            spread(dtype, rows, width, ct_dtype_size(dtype));
            gradient(dtype, rows, width, 1, ct_dtype_size(dtype));
            no_reports();
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(bias)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_runtime.cpp -- what the doubled runtime promises, each by what goes wrong without it. */
#include "standin.h"
#include "steps.h"

#include <cuda_runtime_api.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

extern "C" {
#include <cmocka.h>
}

enum { N = 200, BYTES = N * sizeof(float), SEEDS = 20 };
#define OK(call) assert_int_equal(call, cudaSuccess)

static cudaStream_t stream_new(void) {
    cudaStream_t s;
    OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    return s;
}
static float *device_new(void) {
    void *p;
    OK(cudaMalloc(&p, BYTES));
    return static_cast<float *>(p);
}
static float *pinned_new(float value) {
    void *p;
    OK(cudaMallocHost(&p, BYTES));
    float *f = static_cast<float *>(p);
    for (int i = 0; i < N; i++) f[i] = value;
    return f;
}

/* ---- nothing runs before something waits */
static void works_run_late(void **) {
    standin_begin(1);
    cudaStream_t s = stream_new();
    float       *d = device_new(), *in = pinned_new(2), *out = pinned_new(0);
    OK(cudaMemcpyAsync(d, in, BYTES, cudaMemcpyHostToDevice, s));
    assert_int_equal(step_linear(d, d, N, 3, 1, s), CT_OK);
    OK(cudaMemcpyAsync(out, d, BYTES, cudaMemcpyDeviceToHost, s));
    assert_true(out[0] == 0);
    OK(cudaStreamSynchronize(s));
    for (int i = 0; i < N; i++) assert_true(out[i] == 7);
    assert_int_equal(emulator_report_count(), 0);
    OK(cudaFree(d));
    OK(cudaFreeHost(in));
    OK(cudaFreeHost(out));
    OK(cudaStreamDestroy(s));
    assert_int_equal(standin_leaks(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(works_run_late),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}

/* gemm_fixture.h -- for the tests of products: a device of the stand-in's with cuBLASLt open on it, and arrays there.
 *
 * Include cmocka.h before. Owner: device_free takes what device_new gave. Fails: with cmocka's failures.
 */
#ifndef CT_STANDIN_GEMM_FIXTURE_H
#define CT_STANDIN_GEMM_FIXTURE_H

#include "core/rng.h"
#include "kernels/bf16.h"
#include "kernels/cuda/gemm.h"
#include "tests/standin/blas.h"
#include "tests/standin/clean.h"

#include <cuda_runtime_api.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURE static inline __attribute__((unused))
enum { WORKSPACE = 1 << 20 };
#define CUDA(call) assert_int_equal(call, cudaSuccess)

static struct {
    void        *workspace;
    cudaStream_t stream;
} device;

FIXTURE void device_begin_with(unsigned seed, blas_answer answer, size_t bytes, bool tf32) {
    standin_begin(seed + 1);
    blas_begin(seed, answer);
    CUDA(cudaMalloc(&device.workspace, bytes ? bytes : 1));
    CUDA(cudaStreamCreateWithFlags(&device.stream, cudaStreamNonBlocking));
    assert_int_equal(ct_cuda_gemm_open(&(ct_cuda_gemm_options){
                         .gpu = "stand-in", .tf32 = tf32, .workspace = device.workspace, .bytes = bytes}),
                     CT_OK);
}
FIXTURE void device_begin(unsigned seed, blas_answer answer) {
    device_begin_with(seed, answer, WORKSPACE, false);
}
FIXTURE void device_end(void) {
    CUDA(cudaStreamSynchronize(device.stream));
    ct_cuda_gemm_close();
    CUDA(cudaStreamDestroy(device.stream));
    CUDA(cudaFree(device.workspace));
    assert_int_equal(standin_leaks(), 0);
    assert_int_equal(blas_count().handles, 0);
    assert_no_reports();
}

/* ---- arrays: `shift` bytes after an address of 256. Without `host` as uninitialised as on a GPU. */
FIXTURE void *device_new(const void *host, size_t bytes, size_t shift) {
    void *p;
    CUDA(cudaMalloc(&p, bytes + shift + 1));
    if (host && bytes) {
        CUDA(cudaMemcpy((char *)p + shift, host, bytes, cudaMemcpyHostToDevice));
        CUDA(cudaStreamSynchronize(NULL));
    }
    return (char *)p + shift;
}
FIXTURE void device_free(void *array, size_t shift) {
    if (array) CUDA(cudaFree((char *)array - shift));
}
FIXTURE void device_read(void *host, const void *array, size_t bytes) {
    CUDA(cudaStreamSynchronize(device.stream));
    if (bytes) CUDA(cudaMemcpy(host, array, bytes, cudaMemcpyDeviceToHost));
}

/* `count` numbers between -1 and 1 */
FIXTURE void *numbers_new(ct_dtype dtype, int64_t count, uint64_t seed) {
    char *to = malloc((size_t)count * 4 + 1);
    for (int64_t i = 0; i < count; i++) {
        const float    x = 2 * ct_philox_float(ct_philox_at(seed, 11, (uint64_t)i).word[0]) - 1;
        const uint16_t half_of = ct_bf16_round(x);
        if (dtype == CT_BF16)
            memcpy(to + 2 * i, &half_of, 2);
        else
            memcpy(to + 4 * i, &x, 4);
    }
    return to;
}
FIXTURE double number_at(ct_dtype dtype, const void *array, int64_t i) {
    return dtype == CT_BF16 ? (double)ct_bf16_float(((const uint16_t *)array)[i]) : (double)((const float *)array)[i];
}

#endif

/* test_cudnn.c -- log-softmax by the double of cuDNN: against sums in double, for odd sizes and in place; on the stream
 * that it is given; what it says where cuDNN is missing, of another version, or fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/cuda/cudnn.h"
#include "kernels/cuda/sdpa.h"
#include "tests/standin/dnn.h"
#include "tests/standin/gemm_fixture.h"

#include <cudnn.h>
#include <math.h>

static void begin(unsigned seed) {
    device_begin(seed, BLAS_LISTS);
    dnn_begin(0, 0);
}
static void end(void) {
    ct_cuda_cudnn_close();
    assert_int_equal(dnn_count().handles, 0);
    assert_int_equal(dnn_count().tensors, 0);
    device_end();
}

/* The double rounds once; the difference of two floats and the logarithm of a sum are allowed as much each. */
static void parity_of(int64_t rows, int64_t vocabulary, bool in_place) {
    const size_t bytes = (size_t)(rows * vocabulary) * sizeof(float);
    float       *logits = numbers_new(CT_F32, rows * vocabulary, (uint64_t)vocabulary), *got = malloc(bytes + 1);
    for (int64_t i = 0; i < rows * vocabulary; i++) logits[i] = 8 * logits[i] - (i < vocabulary ? 200 : 0);
    float *from = device_new(logits, bytes, 0), *to = in_place ? from : device_new(NULL, bytes, 0);
    assert_int_equal(ct_cuda_log_softmax(from, to, rows, vocabulary, device.stream), CT_OK);
    device_read(got, to, bytes);
    for (int64_t n = 0; n < rows; n++) {
        const float *x = logits + n * vocabulary;
        double       most = -INFINITY, sum = 0;
        for (int64_t v = 0; v < vocabulary; v++) most = fmax(most, (double)x[v]);
        for (int64_t v = 0; v < vocabulary; v++) sum += exp((double)x[v] - most);
        for (int64_t v = 0; v < vocabulary; v++) {
            const double wanted = (double)x[v] - most - log(sum);
            assert_true(fabs((double)got[n * vocabulary + v] - wanted) <= 0x1p-22 * (1 + fabs(wanted)));
        }
    }
    device_free(from, 0);
    if (!in_place) device_free(to, 0);
    free(logits);
    free(got);
}

static void parity(void **state) {
    (void)state;
    static const int64_t shapes[][2] = {{1, 1}, {3, 1}, {1, 7}, {37, 331}, {130, 64}, {5, 1025}};
    for (unsigned seed = 0; seed < 4; seed++) {
        begin(seed);
        for (size_t i = 0; i < CT_COUNT(shapes); i++) parity_of(shapes[i][0], shapes[i][1], seed % 2);
        assert_int_equal(dnn_count().softmaxes, (long)CT_COUNT(shapes));
        end();
    }
}

/* What was on the stream before is there, and what comes after waits. */
static void on_its_stream(void **state) {
    (void)state;
    for (unsigned seed = 0; seed < 8; seed++) {
        begin(seed);
        const float host[4] = {1, 2, 3, 4};
        float       got[4];
        void       *pinned;
        CUDA(cudaMallocHost(&pinned, sizeof host));
        memcpy(pinned, host, sizeof host);
        float *from = device_new(NULL, sizeof host, 0);
        CUDA(cudaMemcpyAsync(from, pinned, sizeof host, cudaMemcpyHostToDevice, device.stream));
        assert_int_equal(ct_cuda_log_softmax(from, from, 1, 4, device.stream), CT_OK);
        CUDA(cudaMemcpyAsync(pinned, from, sizeof host, cudaMemcpyDeviceToHost, device.stream));
        CUDA(cudaStreamSynchronize(device.stream));
        memcpy(got, pinned, sizeof got);
        assert_true(fabs((double)got[3] + 0.4401896985611953) < 1e-6);
        CUDA(cudaFreeHost(pinned));
        device_free(from, 0);
        end();
    }
}

static void sizes(void **state) {
    (void)state;
    begin(1);
    float x = 0;
    assert_int_equal(ct_cuda_log_softmax(&x, &x, 0, 331, device.stream), CT_OK);
    assert_int_equal(ct_cuda_log_softmax(&x, &x, 65536, 32768, device.stream), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "65536 rows of 32768 are more numbers than cuDNN takes"));
    assert_int_equal(dnn_count().softmaxes, 0);
    end();
}

static void says_what_is_wrong(void **state) {
    (void)state;
    begin(1);
    float *host = numbers_new(CT_F32, 8, 1); /* no device memory */
    assert_int_equal(ct_cuda_log_softmax(host, host, 2, 4, device.stream), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "cudnnSoftmaxForward: CUDNN_STATUS_BAD_PARAM: no device memory"));
    assert_int_equal(emulator_report_count(), 1);
    emulator_forget_reports();
    free(host);
    const ct_sdpa_shape shape = {1, 1, 64, 64, 1};
    assert_int_equal(ct_cuda_sdpa_support(&shape), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "it has no graphs, which attention is made of"));
    end();
}

/* The double, called as nobody should. */
static void strictness(void **state) {
    (void)state;
    begin(1);
    const float             one = 1, none = 0;
    float                  *x = device_new(NULL, 64, 0);
    cudnnHandle_t           handle;
    cudnnTensorDescriptor_t a, b, unset;
    assert_int_equal(cudnnCreate(&handle), CUDNN_STATUS_SUCCESS);
    assert_int_equal(cudnnCreateTensorDescriptor(&a), CUDNN_STATUS_SUCCESS);
    assert_int_equal(cudnnCreateTensorDescriptor(&b), CUDNN_STATUS_SUCCESS);
    assert_int_equal(cudnnCreateTensorDescriptor(&unset), CUDNN_STATUS_SUCCESS);
    cudnnSetTensor4dDescriptor(a, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 2, 4, 1, 1);
    const cudnnSoftmaxMode_t rows = CUDNN_SOFTMAX_MODE_INSTANCE;
#define WRONG(...) assert_int_equal(cudnnSoftmaxForward(__VA_ARGS__), CUDNN_STATUS_BAD_PARAM)
    cudnnSetTensor4dDescriptor(b, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 4, 2, 1, 1);
    WRONG(handle, CUDNN_SOFTMAX_LOG, rows, &one, a, x, &none, b, x);
    cudnnSetTensor4dDescriptor(b, CUDNN_TENSOR_NCHW, CUDNN_DATA_BFLOAT16, 2, 4, 1, 1);
    WRONG(handle, CUDNN_SOFTMAX_LOG, rows, &one, a, x, &none, b, x);
    WRONG(handle, CUDNN_SOFTMAX_LOG, rows, &one, a, x, &none, unset, x);
    WRONG(handle, (cudnnSoftmaxAlgorithm_t)7, rows, &one, a, x, &none, a, x);
    WRONG(handle, CUDNN_SOFTMAX_LOG, (cudnnSoftmaxMode_t)7, &one, a, x, &none, a, x);
    WRONG(handle, CUDNN_SOFTMAX_LOG, rows, NULL, a, x, &none, a, x);
    WRONG(handle, CUDNN_SOFTMAX_LOG, rows, &one, a, NULL, &none, a, x);
    WRONG(NULL, CUDNN_SOFTMAX_LOG, rows, &one, a, x, &none, a, x);
#undef WRONG
    assert_int_equal(emulator_report_count(), 8);
    emulator_forget_reports();
    cudnnDestroyTensorDescriptor(a);
    cudnnDestroyTensorDescriptor(b);
    cudnnDestroyTensorDescriptor(unset);
    cudnnDestroy(handle);
    device_free(x, 0);
    end();
}

/* softmax of bf16, over channels of several pixels, added to what is there */
static void other_softmaxes(void **state) {
    (void)state;
    begin(1);
    const float             half_of = 0.5f, two = 2;
    const uint16_t          host[6] = {ct_bf16_round(1), ct_bf16_round(2), ct_bf16_round(3),
                                       ct_bf16_round(4), ct_bf16_round(1), ct_bf16_round(-2)};
    uint16_t                got[6];
    cudnnHandle_t           handle;
    cudnnTensorDescriptor_t t;
    void                   *x = device_new(host, sizeof host, 0);
    assert_int_equal(cudnnCreate(&handle), CUDNN_STATUS_SUCCESS);
    assert_int_equal(cudnnCreateTensorDescriptor(&t), CUDNN_STATUS_SUCCESS);
    assert_int_equal(cudnnSetTensor4dDescriptor(t, CUDNN_TENSOR_NCHW, CUDNN_DATA_BFLOAT16, 1, 2, 1, 3),
                     CUDNN_STATUS_SUCCESS);
    assert_int_equal(
        cudnnSoftmaxForward(handle, CUDNN_SOFTMAX_ACCURATE, CUDNN_SOFTMAX_MODE_CHANNEL, &half_of, t, x, &two, t, x),
        CUDNN_STATUS_SUCCESS);
    CUDA(cudaDeviceSynchronize());
    device_read(got, x, sizeof got);
    for (int i = 0; i < 6; i++) {
        const double a = number_at(CT_BF16, host, i), b = number_at(CT_BF16, host, (i + 3) % 6);
        const double wanted = 0.5 / (1 + exp(b - a)) + 2 * a;
        assert_true(fabs(number_at(CT_BF16, got, i) - wanted) <= 0x1p-8 * fabs(wanted));
    }
    cudnnDestroyTensorDescriptor(t);
    cudnnDestroy(handle);
    device_free(x, 0);
    end();
}

static void missing(void **state) {
    (void)state;
    begin(1);
    dnn_begin(80907, 0);
    assert_int_equal(ct_cuda_cudnn_open(), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "cuDNN 8.9.7: version 9 is needed"));
    dnn_begin(0, 0);
    setenv("CANTUS_CUDNN_LIBRARY", "/nowhere/libcudnn.so.9", 1);
    assert_int_equal(ct_cuda_cudnn_open(), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "cuDNN can't be loaded: /nowhere/libcudnn.so.9"));
    setenv("CANTUS_CUDNN_LIBRARY", "libm.so.6", 1);
    assert_int_equal(ct_cuda_cudnn_open(), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "cuDNN lacks a call"));
    unsetenv("CANTUS_CUDNN_LIBRARY");
    device_end();
    setenv("CANTUS_STANDIN_DEVICES", "0", 1);
    standin_begin(1);
    assert_int_equal(ct_cuda_cudnn_open(), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "cudnnCreate: CUDNN_STATUS_NOT_INITIALIZED: cudaGetDeviceCount(&count)"));
    unsetenv("CANTUS_STANDIN_DEVICES");
    standin_begin(1);
    assert_int_equal(ct_cuda_cudnn_open(), CT_OK);
    assert_non_null(strstr(ct_cuda_cudnn_name(), "cuDNN 9."));
    ct_cuda_cudnn_close();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing), /* first: once it is loaded, it stays so */
        cmocka_unit_test(parity),     cmocka_unit_test(on_its_stream),
        cmocka_unit_test(sizes),      cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(strictness), cmocka_unit_test(other_softmaxes),
    };
    return cmocka_run_group_tests_name("cuDNN's softmax", tests, NULL, NULL);
}

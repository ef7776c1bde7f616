/* fixture.h -- what the tests of the stand-in share: streams, arrays of the device and pinned ones, a graph of what was
 * captured. Owner: the caller destroys, or begins afresh. Fails: with the test.
 */
#ifndef CT_STANDIN_FIXTURE_H
#define CT_STANDIN_FIXTURE_H

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

enum { N = 200, BYTES = N * sizeof(float), SEEDS = 40 };
#define OK(call) assert_string_equal(cudaGetErrorName(call), "cudaSuccess")
#define GIVES(error, call) assert_string_equal(cudaGetErrorName(call), cudaGetErrorName(error))
#define RUNS(call) assert_int_equal(call, CT_OK)

inline cudaStream_t stream_new(unsigned flags = cudaStreamNonBlocking) {
    cudaStream_t s;
    OK(cudaStreamCreateWithFlags(&s, flags));
    return s;
}
inline cudaEvent_t event_new(void) {
    cudaEvent_t e;
    OK(cudaEventCreateWithFlags(&e, cudaEventDisableTiming));
    return e;
}
inline void fill(float *values, float value) {
    for (int i = 0; i < N; i++) values[i] = value;
}
inline float *pinned_new(float value) {
    void *p;
    OK(cudaMallocHost(&p, BYTES));
    fill(static_cast<float *>(p), value);
    return static_cast<float *>(p);
}
inline float *device_new(void) {
    void *p;
    OK(cudaMalloc(&p, BYTES));
    return static_cast<float *>(p);
}
inline void upload(float *device, const float *host, cudaStream_t s) {
    OK(cudaMemcpyAsync(device, host, BYTES, cudaMemcpyHostToDevice, s));
}
inline void download(float *host, const float *device, cudaStream_t s) {
    OK(cudaMemcpyAsync(host, device, BYTES, cudaMemcpyDeviceToHost, s));
}
/* An array of the device that is full of this value: nothing is pending afterwards. */
inline float *device_full(float value) {
    float *device = device_new(), host[N];
    fill(host, value);
    OK(cudaMemcpy(device, host, BYTES, cudaMemcpyHostToDevice));
    OK(cudaStreamSynchronize(nullptr));
    return device;
}
inline float first_of(const float *device) {
    float host[N];
    OK(cudaMemcpy(host, device, BYTES, cudaMemcpyDeviceToHost));
    for (int i = 1; i < N; i++) assert_memory_equal(&host[i], &host[0], sizeof host[0]);
    return host[0];
}
/* `wait` waits for `other` as far as it is now. */
inline void wait_for(cudaStream_t wait, cudaStream_t other) {
    cudaEvent_t e = event_new();
    OK(cudaEventRecord(e, other));
    OK(cudaStreamWaitEvent(wait, e, 0));
    OK(cudaEventDestroy(e));
}
#define NO_REPORT assert_string_equal(emulator_report(0) ? emulator_report(0) : "", "")
/* One report at least, the first of which holds this. */
#define REPORTED(text)                                                                                                 \
    do {                                                                                                               \
        assert_non_null(emulator_report(0));                                                                           \
        if (!strstr(emulator_report(0), text)) assert_string_equal(emulator_report(0), text);                          \
        emulator_forget_reports();                                                                                     \
    } while (0)

#endif

/* errors.cpp -- what a call returns, and what it leaves behind for cudaGetLastError; reports; planted faults. */
#include "runtime.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

std::recursive_mutex the_lock;
standin_counters     the_counters;

static thread_local cudaError_t last_error;
static const char              *name_now = "";
static site                     site_now;
static long                     faults[STANDIN_FAULTS]; /* calls until it comes */
static bool                     begun;

/* ---- beginning and end */
static void check_at_end(void) {
    standin_leaks();
    for (int i = 0; emulator_report(i); i++) fprintf(stderr, "%s\n", emulator_report(i));
    if (emulator_report_count() == 0) return;
    fprintf(stderr, "stand-in: %d reports\n", emulator_report_count());
    fflush(stdout);
    _Exit(99);
}
static void begin(uint64_t seed) {
    const char *asked = getenv("CANTUS_STANDIN_SEED"), *check = getenv("CANTUS_STANDIN_CHECK");
    if (!begun && check && *check == '1') {
        site_text(site_of_place({"", 1})); /* what it remembers has to outlive check_at_end */
        atexit(check_at_end);
    }
    begun = true;
    queue_forget(seed ? seed : asked && *asked ? strtoull(asked, nullptr, 10) : 1);
    device_begin();
    kernels_begin();
}

void standin_begin(uint64_t seed) {
    std::lock_guard<std::recursive_mutex> held(the_lock);
    begin(seed);
    if (nccl_begin) nccl_begin();
    graphs_begin();
    streams_begin();
    events_begin();
    memory_begin();
    the_counters = {};
    for (long &fault : faults) fault = 0;
    last_error = cudaSuccess;
    emulator_forget_reports();
}
int standin_leaks(void) {
    std::lock_guard<std::recursive_mutex> held(the_lock);
    return memory_leaks() + streams_leaks() + events_leaks() + graphs_leaks() + (nccl_leaks ? nccl_leaks() : 0);
}
standin_counters standin_count(void) {
    std::lock_guard<std::recursive_mutex> held(the_lock);
    return the_counters;
}

/* Kernels come here from the program's start on. */
__attribute__((constructor)) static void first(void) {
    kernels_begin();
}

/* ---- calls */
call::call(const char *name, const void *return_address) : held(the_lock), broken(cudaSuccess) {
    if (!begun) begin(0);
    if (queue_running()) {
        report("order", site_of_code(return_address), "%s: called by work that runs on the device", name);
        broken = fail(cudaErrorNotPermitted);
        return;
    }
    name_now = name;
    site_now = site_of_code(return_address);
    if (device_missing() != cudaSuccess) broken = fail(device_missing());
    if (fault_now(STANDIN_DEVICE_LOST)) standin_device_fails(cudaErrorECCUncorrectable);
    if (queue_device_error()) broken = waited();
}
const char *call_name(void) {
    return name_now;
}
site call_site(void) {
    return site_now;
}
void report_call(const char *kind, const char *format, ...) {
    char    text[900];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    report(kind, site_now, "%s: %s", name_now, text);
}

cudaError_t fail(cudaError_t error) {
    return last_error = error;
}
cudaError_t waited(void) {
    return queue_device_error() ? fail(static_cast<cudaError_t>(queue_device_error())) : cudaSuccess;
}

void standin_plant(standin_fault fault, long at) {
    std::lock_guard<std::recursive_mutex> held(the_lock);
    faults[fault] = at;
}
bool fault_now(standin_fault fault) {
    return faults[fault] > 0 && --faults[fault] == 0;
}

/* ---- what the program asks about errors */
cudaError_t cudaGetLastError(void) {
    std::lock_guard<std::recursive_mutex> held(the_lock);
    cudaError_t                           error = last_error;
    if (error != queue_device_error()) last_error = cudaSuccess;
    return error;
}
cudaError_t cudaPeekAtLastError(void) {
    return last_error;
}

#define ERRORS(E)                                                                                                      \
    E(cudaSuccess, "no error")                                                                                         \
    E(cudaErrorInvalidValue, "invalid argument")                                                                       \
    E(cudaErrorMemoryAllocation, "out of memory")                                                                      \
    E(cudaErrorInitializationError, "initialization error")                                                            \
    E(cudaErrorInvalidConfiguration, "invalid configuration argument")                                                 \
    E(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy")                                            \
    E(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version")                     \
    E(cudaErrorInvalidDeviceFunction, "invalid device function")                                                       \
    E(cudaErrorNoDevice, "no CUDA-capable device is detected")                                                         \
    E(cudaErrorInvalidDevice, "invalid device ordinal")                                                                \
    E(cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device")                     \
    E(cudaErrorECCUncorrectable, "uncorrectable ECC error encountered")                                                \
    E(cudaErrorInvalidResourceHandle, "invalid resource handle")                                                       \
    E(cudaErrorIllegalState, "the operation cannot be performed in the present state")                                 \
    E(cudaErrorNotReady, "device not ready")                                                                           \
    E(cudaErrorIllegalAddress, "an illegal memory access was encountered")                                             \
    E(cudaErrorLaunchOutOfResources, "too many resources requested for launch")                                        \
    E(cudaErrorHostMemoryAlreadyRegistered, "part or all of the requested memory range is already mapped")             \
    E(cudaErrorHostMemoryNotRegistered, "pointer does not correspond to a registered memory region")                   \
    E(cudaErrorMisalignedAddress, "misaligned address")                                                                \
    E(cudaErrorLaunchFailure, "unspecified launch failure")                                                            \
    E(cudaErrorNotPermitted, "operation not permitted")                                                                \
    E(cudaErrorNotSupported, "operation not supported")                                                                \
    E(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing")                           \
    E(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture")                    \
    E(cudaErrorStreamCaptureUnmatched, "capture was not initiated in this stream")                                     \
    E(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work")                                            \
    E(cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work in another stream")                      \
    E(cudaErrorStreamCaptureImplicit, "operation would make the legacy stream depend on a capturing blocking stream")  \
    E(cudaErrorCapturedEvent, "operation not permitted on an event last recorded in a capturing stream")               \
    E(cudaErrorStreamCaptureWrongThread, "attempt to terminate a thread-local capture sequence from another thread")   \
    E(cudaErrorUnknown, "unknown error")

const char *cudaGetErrorName(cudaError_t error) {
#define NAME(name, text)                                                                                               \
    if (error == (name)) return #name;
    ERRORS(NAME)
    return "unrecognized error code";
}
const char *cudaGetErrorString(cudaError_t error) {
#define TEXT(name, text)                                                                                               \
    if (error == (name)) return text;
    ERRORS(TEXT)
    return "unrecognized error code";
}

/* test_runtime.cpp -- what the doubled runtime promises of memory, errors and the device: each by what goes wrong
 * without it. Streams and graphs: test_runtime_streams.cpp, test_runtime_graphs.cpp.
 */
#include "fixture.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>

/* ---- calls */
static void handles_are_known(void **) {
    standin_begin(1);
    cudaStream_t s = stream_new();
    cudaEvent_t  e = event_new();
    OK(cudaStreamDestroy(s));
    OK(cudaEventDestroy(e));
    GIVES(cudaErrorInvalidResourceHandle, cudaStreamSynchronize(s));
    REPORTED("handle: cudaStreamSynchronize: ");
    GIVES(cudaErrorInvalidResourceHandle, cudaEventRecord(e, nullptr));
    REPORTED("handle: cudaEventRecord: ");
    assert_int_equal(step_shared(0, s), CT_EFAIL);
    REPORTED("handle: nothing");
    GIVES(cudaErrorInvalidResourceHandle, cudaStreamDestroy(nullptr));
}

static void work_may_not_call(void **) {
    standin_begin(1);
    cudaStream_t s = stream_new();
    OK(cudaLaunchHostFunc(
        s, [](void *stream) { GIVES(cudaErrorNotPermitted, cudaStreamSynchronize(static_cast<cudaStream_t>(stream))); },
        s));
    OK(cudaStreamSynchronize(s));
    REPORTED("order: cudaStreamSynchronize: called by work");
}

/* ---- memory */
static void memory_is_poisoned(void **) {
    standin_begin(1);
    float *d = device_new(), host[N];
    void  *p;
    fill(host, 0);
    OK(cudaMallocHost(&p, BYTES));
    assert_true(isnan(static_cast<float *>(p)[N - 1]));
    OK(cudaMemcpy(host, d, BYTES, cudaMemcpyDeviceToHost));
    assert_true(isnan(host[0]) && isnan(host[N - 1]));
    if (emulator_checks_accesses()) REPORTED("uninitialised: copy to the host");
    OK(cudaMemset(d, 0, BYTES));
    assert_true(first_of(d) == 0);
    NO_REPORT;
}

static void a_buffer_used_again_too_early(void **) {
    standin_begin(1);
    cudaStream_t s = stream_new();
    float       *d = device_new(), *p = pinned_new(1), *q = pinned_new(0);
    upload(d, p, s);
    fill(p, 2);
    OK(cudaStreamSynchronize(s));
    REPORTED("pinned: cudaMemcpyAsync of 800 bytes, pinned to device memory: the pinned buffer changed");
    assert_true(first_of(d) == 2); /* the wrong bytes */
    download(q, d, s);
    q[3] = 5;
    OK(cudaStreamSynchronize(s));
    REPORTED("device to pinned memory: the pinned buffer changed");
    fill(q, 9);
    download(q, d, s); /* what the device itself writes in between is in order */
    upload(d, q, s);
    RUNS(step_linear(d, d, N, 2, 0, s));
    download(q, d, s);
    OK(cudaStreamSynchronize(s));
    assert_true(q[0] == 4);
    NO_REPORT;
    download(q, d, s);
    OK(cudaFreeHost(q));
    REPORTED("pinned: cudaFreeHost: freed while this is pending: cudaMemcpyAsync of 800 bytes");
}

static void copies_are_checked(void **) {
    standin_begin(1);
    cudaStream_t s = stream_new();
    float       *d = device_full(1), *p = pinned_new(1), host[N];
    fill(host, 0);
    GIVES(cudaErrorInvalidValue, cudaMemcpyAsync(d, p, BYTES + 1, cudaMemcpyHostToDevice, s));
    REPORTED("out-of-bounds: cudaMemcpyAsync: 801 bytes; of the destination's allocation 800 are left");
    GIVES(cudaErrorInvalidValue, cudaMemcpyAsync(d, p + 1, BYTES, cudaMemcpyHostToDevice, s));
    REPORTED("of the source's allocation 796 are left [tests/standin/test_runtime.cpp:");
    GIVES(cudaErrorInvalidValue, cudaMemcpyAsync(d + 1, d, BYTES, cudaMemcpyDeviceToDevice, s));
    REPORTED("out-of-bounds: ");
    GIVES(cudaErrorInvalidValue, cudaMemcpy(p, p, BYTES, cudaMemcpyHostToDevice));
    REPORTED("memory: cudaMemcpy: the destination ");
    GIVES(cudaErrorInvalidValue, cudaMemcpy(d, p, BYTES, cudaMemcpyDeviceToHost));
    REPORTED("memory: cudaMemcpy: the destination ");
    GIVES(cudaErrorInvalidValue, cudaMemsetAsync(p, 0, BYTES, s));
    REPORTED("memory: cudaMemsetAsync: the destination ");
    GIVES(cudaErrorInvalidValue, cudaMemsetAsync(d + N / 2, 0, BYTES, s));
    REPORTED("out-of-bounds: cudaMemsetAsync: ");
    GIVES(cudaErrorInvalidMemcpyDirection, cudaMemcpy(d, p, BYTES, static_cast<cudaMemcpyKind>(5)));
    GIVES(cudaErrorInvalidValue, cudaMemcpy(d, nullptr, BYTES, cudaMemcpyHostToDevice));
    OK(cudaMemcpyAsync(nullptr, nullptr, 0, cudaMemcpyDefault, s));
    OK(cudaMemcpy(host, d, BYTES, cudaMemcpyDefault));
    assert_true(host[0] == 1);
    assert_int_equal(standin_count().copies, 2);
    NO_REPORT;
}

static void pageable_copies_are_reported(void **) {
    standin_begin(1);
    cudaStream_t s = stream_new();
    float       *d = device_new(), host[N];
    fill(host, 3);
    long before = standin_count().synchronising;
    upload(d, host, s);
    fill(host, 0);
    REPORTED("pageable: cudaMemcpyAsync: 800 bytes from pageable memory");
    download(host, d, s);
    REPORTED("pageable: cudaMemcpyAsync: 800 bytes to pageable memory");
    assert_true(host[0] == 3); /* both have waited */
    assert_int_equal(standin_count().synchronising, before + 2);
    OK(cudaHostRegister(host, BYTES, cudaHostRegisterDefault));
    GIVES(cudaErrorHostMemoryAlreadyRegistered, cudaHostRegister(host, 8, cudaHostRegisterDefault));
    upload(d, host, s);
    OK(cudaStreamSynchronize(s));
    OK(cudaHostUnregister(host));
    NO_REPORT;
    GIVES(cudaErrorHostMemoryNotRegistered, cudaHostUnregister(host));
}

static void freed_memory_is_gone(void **) {
    standin_begin(1);
    cudaStream_t s = stream_new();
    float       *d = device_full(1), *e = device_full(1), *p = pinned_new(0);
    RUNS(step_linear(d, e, N, 2, 0, s));
    download(p, d, s);
    OK(cudaFree(d)); /* waits */
    assert_true(p[0] == 2);
    GIVES(cudaErrorInvalidValue, cudaMemcpyAsync(p, d, BYTES, cudaMemcpyDeviceToHost, s));
    REPORTED("memory: cudaMemcpyAsync: the source ");
    GIVES(cudaErrorInvalidValue, cudaFree(d));
    REPORTED("memory: cudaFree: ");
    GIVES(cudaErrorInvalidValue, cudaFree(e + 1));
    emulator_forget_reports();
    OK(cudaFree(nullptr));
    RUNS(step_linear(d, e, N, 2, 0, s));
    GIVES(cudaErrorIllegalAddress, cudaStreamSynchronize(s));
    assert_true(emulator_report_count() > 0);
}

/* A program of its own that does this: how it ended, and what it said. */
static int in_child(void (*does)(void), std::string *said) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(nullptr);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(SIGSEGV, SIG_DFL);
        does();
        exit(0);
    }
    close(ends[1]);
    char    text[4096];
    ssize_t n;
    while ((n = read(ends[0], text, sizeof text)) > 0) said->append(text, (size_t)n);
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    return status;
}
static void the_host_cannot_touch_it(void **) {
    std::string said;
    int         status = in_child(
        [] {
            standin_begin(1);
            volatile float *d = device_full(1);
            fprintf(stderr, "touched: %g\n", (double)d[1]);
        },
        &said);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    assert_non_null(strstr(said.c_str(), "stand-in: the host touches device memory, byte 4 of an allocation of 800 "
                                         "[tests/standin/test_runtime.cpp:"));
    assert_null(strstr(said.c_str(), "touched"));
}
static void a_program_can_be_checked(void **) {
    setenv("CANTUS_STANDIN_CHECK", "1", 1);
    std::string said;
    int         status =
        in_child([] { execl("/proc/self/exe", "test_runtime", "leaks", static_cast<char *>(nullptr)); }, &said);
    unsetenv("CANTUS_STANDIN_CHECK");
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 99);
    assert_non_null(strstr(said.c_str(), "leak: 800 bytes of the device were not freed [tests/standin/fixture.h:"));
    assert_non_null(strstr(said.c_str(), "leak: 2 bytes of pinned memory were not freed"));
}

static void leaks_are_found(void **) {
    standin_begin(1);
    stream_new(), event_new(), device_new(), pinned_new(0);
    assert_int_equal(standin_leaks(), 4);
    assert_int_equal(emulator_report_count(), 4);
    for (int i = 0; i < 4; i++) assert_int_equal(strncmp(emulator_report(i), "leak: ", 6), 0);
    standin_begin(1);
    assert_int_equal(standin_leaks(), 0);
}

static void there_is_only_so_much(void **) {
    setenv("CANTUS_STANDIN_MEMORY", "10000", 1);
    standin_begin(1);
    unsetenv("CANTUS_STANDIN_MEMORY");
    size_t left = 0, total = 0;
    void  *a, *b;
    OK(cudaMalloc(&a, 6000));
    OK(cudaMemGetInfo(&left, &total));
    assert_int_equal(left, 4000);
    assert_int_equal(total, 10000);
    GIVES(cudaErrorMemoryAllocation, cudaMalloc(&b, 4001));
    OK(cudaFree(a));
    OK(cudaMalloc(&b, 10000));
    GIVES(cudaErrorMemoryAllocation, cudaGetLastError()); /* which another call's success does not take away */
    OK(cudaGetLastError());
}

/* ---- errors */
static void errors_come_late_and_stay(void **) {
    for (uint64_t seed = 1; seed <= 10; seed++) {
        standin_begin(seed);
        cudaStream_t s = stream_new();
        float       *d = device_full(1), *p = pinned_new(0);
        cudaEvent_t  e = event_new();
        RUNS(step_past_end(d, N, 2000, s)); /* launches still work, and so does everything that does not wait */
        RUNS(step_linear(d, d, N, 2, 0, s));
        download(p, d, s);
        OK(cudaEventRecord(e, s));
        OK(cudaGetLastError());
        GIVES(cudaErrorIllegalAddress, cudaEventSynchronize(e));
        assert_true(emulator_reported(emulator_checks_accesses() ? "out-of-bounds" : "fault"));
        assert_true(p[0] == 0); /* nothing ran any more */
        void *another;
        GIVES(cudaErrorIllegalAddress, cudaMalloc(&another, 8));
        GIVES(cudaErrorIllegalAddress, cudaStreamSynchronize(s));
        GIVES(cudaErrorIllegalAddress, cudaGetLastError());
        GIVES(cudaErrorIllegalAddress, cudaGetLastError());
        assert_int_equal(step_linear(d, d, N, 2, 0, s), CT_EFAIL);
        GIVES(cudaErrorIllegalAddress, cudaFree(d));
        GIVES(cudaErrorIllegalAddress, cudaFreeHost(p));
        GIVES(cudaErrorIllegalAddress, cudaEventDestroy(e));
        GIVES(cudaErrorIllegalAddress, cudaStreamDestroy(s));
        emulator_forget_reports();
        assert_int_equal(standin_leaks(), 0); /* they are gone all the same */
        NO_REPORT;
    }
}

static void a_report_is_an_error(void **) { /* a write into the guard behind an array */
    standin_begin(1);
    cudaStream_t s = stream_new();
    float       *d = device_full(1);
    RUNS(step_past_end(d, N, 0, s));
    GIVES(cudaErrorIllegalAddress, cudaStreamSynchronize(s));
    REPORTED("out-of-bounds");
}

static void some_errors_pass(void **) {
    standin_begin(1);
    GIVES(cudaErrorInvalidDevice, cudaSetDevice(1));
    GIVES(cudaErrorInvalidDevice, cudaPeekAtLastError());
    std::thread([] { OK(cudaGetLastError()); }).join(); /* each thread has its own */
    GIVES(cudaErrorInvalidDevice, cudaGetLastError());
    OK(cudaGetLastError());
    OK(cudaSetDevice(0));
    assert_string_equal(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
    assert_string_equal(cudaGetErrorString(static_cast<cudaError_t>(9998)), "unrecognized error code");
    assert_int_equal(standin_enqueue(nullptr, "work", [] {}), true);
    standin_plant(STANDIN_DEVICE_LOST, 1);
    assert_int_equal(standin_enqueue(nullptr, "work", [] {}), false);
}

static void planted_faults(void **) {
    standin_begin(1);
    void        *p;
    cudaStream_t s = stream_new();
    float       *d = device_full(1);
    standin_plant(STANDIN_NO_DEVICE_MEMORY, 2);
    OK(cudaMalloc(&p, 8));
    GIVES(cudaErrorMemoryAllocation, cudaMalloc(&p, 8));
    assert_null(p);
    OK(cudaMalloc(&p, 8));
    standin_plant(STANDIN_NO_PINNED_MEMORY, 1);
    GIVES(cudaErrorMemoryAllocation, cudaMallocHost(&p, 8));
    OK(cudaHostAlloc(&p, 8, cudaHostAllocDefault));
    standin_plant(STANDIN_LAUNCH_REFUSED, 2);
    RUNS(step_linear(d, d, N, 1, 1, s));
    assert_int_equal(step_linear(d, d, N, 1, 1, s), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "kernel linear: too many resources requested for launch"));
    GIVES(cudaErrorLaunchOutOfResources, cudaGetLastError());
    RUNS(step_linear(d, d, N, 1, 1, s));
    OK(cudaStreamSynchronize(s));
    assert_true(first_of(d) == 3);

    standin_plant(STANDIN_LAUNCH_FAILS, 2);
    RUNS(step_linear(d, d, N, 1, 1, s));
    RUNS(step_linear(d, d, N, 1, 1, s));
    RUNS(step_linear(d, d, N, 1, 1, s));
    OK(cudaGetLastError());
    GIVES(cudaErrorLaunchFailure, cudaStreamSynchronize(s));
    GIVES(cudaErrorLaunchFailure, cudaDeviceSynchronize());

    standin_begin(1);
    standin_plant(STANDIN_DEVICE_LOST, 3);
    s = stream_new();
    OK(cudaStreamSynchronize(s));
    GIVES(cudaErrorECCUncorrectable, cudaStreamSynchronize(s));
    GIVES(cudaErrorECCUncorrectable, cudaStreamDestroy(s));
    standin_plant(STANDIN_DEVICE_LOST, 1);
    standin_plant(STANDIN_DEVICE_LOST, 0);
    standin_begin(1);
    OK(cudaDeviceSynchronize());
}

/* ---- what a test counts */
static void calls_are_counted(void **) {
    standin_begin(1);
    cudaStream_t     s = stream_new();
    cudaEvent_t      e = event_new();
    float           *d = device_new(), *p = pinned_new(1);
    standin_counters a = standin_count();
    assert_int_equal(a.device_allocations, 1);
    assert_int_equal(a.pinned_allocations, 1);
    assert_int_equal(a.synchronising, 2);
    assert_int_equal(a.streams, 1);
    assert_int_equal(a.events, 1);
    for (int step = 0; step < 3; step++) { /* as a training step: nothing that waits but for an event */
        upload(d, p, s);
        RUNS(step_linear(d, d, N, 2, 1, s));
        OK(cudaMemsetAsync(d, 0, BYTES, s));
        OK(cudaEventRecord(e, s));
        OK(cudaStreamWaitEvent(s, e, 0));
        OK(cudaEventSynchronize(e));
    }
    standin_counters b = standin_count();
    assert_int_equal(b.synchronising, a.synchronising);
    assert_int_equal(b.event_synchronising, 3);
    assert_int_equal(b.kernels, 3);
    assert_int_equal(b.copies, 3);
    OK(cudaStreamSynchronize(s));
    OK(cudaDeviceSynchronize());
    OK(cudaMemcpy(p, d, BYTES, cudaMemcpyDeviceToHost));
    OK(cudaFree(d));
    OK(cudaFreeHost(p));
    assert_int_equal(standin_count().synchronising, b.synchronising + 5);
}

/* ---- the device */
static void devices(void **) {
    int count = -1, major = 0, most = 0, version = 0;
    setenv("CANTUS_STANDIN_DEVICES", "0", 1);
    standin_begin(1);
    GIVES(cudaErrorNoDevice, cudaGetDeviceCount(&count));
    assert_int_equal(count, 0);
    void *p;
    GIVES(cudaErrorNoDevice, cudaMalloc(&p, 8));
    setenv("CANTUS_STANDIN_DEVICES", "-1", 1);
    standin_begin(1);
    GIVES(cudaErrorInsufficientDriver, cudaGetDeviceCount(&count));
    assert_int_equal(cudaDriverGetVersion(&version), cudaSuccess);
    assert_true(version < CUDART_VERSION);
    setenv("CANTUS_STANDIN_DEVICES", "3", 1);
    standin_begin(1);
    char bus[3][32];
    for (int i = 0; i < 3; i++) OK(cudaDeviceGetPCIBusId(bus[i], sizeof bus[i], i));
    assert_string_equal(bus[2], "0000:02:00.0");
    OK(cudaSetDevice(2));
    OK(cudaGetDevice(&count));
    assert_int_equal(count, 2);
    GIVES(cudaErrorInvalidDevice, cudaSetDevice(3));
    OK(cudaMalloc(&p, 8));
    OK(cudaSetDevice(1)); /* which the double takes no memory along to */
    REPORTED("not doubled");
    unsetenv("CANTUS_STANDIN_DEVICES");
    for (const char *capability : {"8.0", "9.0", "12.0"}) {
        setenv("CANTUS_STANDIN_CAPABILITY", capability, 1);
        standin_begin(1);
        OK(cudaGetDeviceCount(&count));
        assert_int_equal(count, 1);
        cudaDeviceProp properties;
        OK(cudaGetDeviceProperties(&properties, 0));
        assert_string_equal(properties.name, "Emulated GPU");
        OK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
        assert_int_equal(major, strtol(capability, nullptr, 10));
        assert_int_equal(major, properties.major);
        OK(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0));
        assert_int_equal(most, properties.sharedMemPerBlockOptin);
        RUNS(step_shared((size_t)most, nullptr)); /* a block may have so much, and no more */
        if (major != 9) assert_int_equal(step_shared((size_t)most + 1, nullptr), CT_EFAIL);
        OK(cudaDeviceSynchronize());
    }
    unsetenv("CANTUS_STANDIN_CAPABILITY");
    standin_begin(1);
    char id[32];
    OK(cudaDeviceGetPCIBusId(id, sizeof id, 0));
    assert_string_equal(id, "0000:00:00.0");
    GIVES(cudaErrorInvalidValue, cudaDeviceGetAttribute(&most, cudaDevAttrHostNativeAtomicSupported, 0));
    REPORTED("not doubled: cudaDeviceGetAttribute: attribute ");
}

/* ---- other doubles */
static void doubles_enqueue(void **) {
    standin_begin(1);
    cudaStream_t s = stream_new();
    float       *d = device_full(1);
    assert_false(standin_check_device(d + 1, BYTES, "product: A"));
    REPORTED("out-of-bounds: product: A: 800 bytes, 796 are left of the allocation");
    float host[N];
    assert_false(standin_check_device(host, BYTES, "product: B"));
    REPORTED("memory: product: B: ");
    assert_true(standin_check_device(d, BYTES, "product: A"));
    RUNS(step_linear(d, d, N, 1, 1, s));
    standin_enqueue(s, "product", [d] {
        standin_reads(d, BYTES);
        for (int i = 0; i < N; i++) d[i] *= 10;
        standin_writes(d, BYTES);
    });
    RUNS(step_linear(d, d, N, 1, 1, s));
    OK(cudaStreamSynchronize(s));
    assert_true(first_of(d) == 21);
    NO_REPORT;
    float *fresh = device_new();
    standin_enqueue(s, "product", [fresh] { standin_reads(fresh, BYTES); });
    OK(cudaStreamSynchronize(s));
    if (emulator_checks_accesses()) REPORTED("uninitialised: ");
    standin_enqueue(s, "product", [] { standin_device_fails(cudaErrorLaunchFailure); });
    GIVES(cudaErrorLaunchFailure, cudaStreamSynchronize(s));
    standin_plant(STANDIN_DEVICE_LOST, 1);
    GIVES(cudaErrorLaunchFailure, cudaStreamSynchronize(s)); /* the first stays */
}

int main(int argc, char **) {
    if (argc > 1) { /* a program that leaves something behind */
        void *p;
        device_new();
        return cudaMallocHost(&p, 2) == cudaSuccess ? 0 : 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handles_are_known),
        cmocka_unit_test(work_may_not_call),
        cmocka_unit_test(memory_is_poisoned),
        cmocka_unit_test(a_buffer_used_again_too_early),
        cmocka_unit_test(copies_are_checked),
        cmocka_unit_test(pageable_copies_are_reported),
        cmocka_unit_test(freed_memory_is_gone),
        cmocka_unit_test(the_host_cannot_touch_it),
        cmocka_unit_test(a_program_can_be_checked),
        cmocka_unit_test(leaks_are_found),
        cmocka_unit_test(there_is_only_so_much),
        cmocka_unit_test(errors_come_late_and_stay),
        cmocka_unit_test(a_report_is_an_error),
        cmocka_unit_test(some_errors_pass),
        cmocka_unit_test(planted_faults),
        cmocka_unit_test(calls_are_counted),
        cmocka_unit_test(devices),
        cmocka_unit_test(doubles_enqueue),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}

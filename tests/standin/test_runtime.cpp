/* test_runtime.cpp -- what the doubled runtime promises of streams, events, memory and errors: each by what goes wrong
 * without it. Graphs: test_runtime_graphs.cpp.
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

/* ---- streams */
static void works_run_late(void **) {
    standin_begin(1);
    cudaStream_t s = stream_new();
    float       *d = device_new(), *in = pinned_new(2), *out = pinned_new(0);
    upload(d, in, s);
    RUNS(step_linear(d, d, N, 3, 1, s));
    download(out, d, s);
    assert_true(out[0] == 0);
    OK(cudaStreamSynchronize(s));
    for (int i = 0; i < N; i++) assert_true(out[i] == 7);
    NO_REPORT;
    OK(cudaFree(d));
    OK(cudaFreeHost(in));
    OK(cudaFreeHost(out));
    OK(cudaStreamDestroy(s));
    assert_int_equal(standin_leaks(), 0);
}

static void a_stream_keeps_its_order(void **) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        standin_begin(seed);
        cudaStream_t s[3] = {stream_new(), stream_new(), stream_new()};
        float       *d[3] = {device_full(1), device_full(1), device_full(1)};
        for (int k = 0; k < 6; k++)
            for (int i = 0; i < 3; i++) RUNS(step_linear(d[i], d[i], N, 2, (float)(k + i), s[i]));
        OK(cudaDeviceSynchronize());
        for (int i = 0; i < 3; i++) {
            float expected = 1;
            for (int k = 0; k < 6; k++) expected = 2 * expected + (float)(k + i);
            assert_true(first_of(d[i]) == expected);
        }
        NO_REPORT;
    }
}

static float other_stream_reads(uint64_t seed, bool waits) {
    standin_begin(seed);
    cudaStream_t a = stream_new(), b = stream_new();
    float       *d = device_full(1), *e = device_full(0);
    RUNS(step_linear(d, d, N, 1, 1, a));
    if (waits) wait_for(b, a);
    RUNS(step_linear(e, d, N, 1, 0, b));
    OK(cudaStreamSynchronize(b));
    OK(cudaDeviceSynchronize());
    return first_of(e);
}
static void a_missing_wait_shows(void **) {
    int wrong = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        wrong += other_stream_reads(seed, false) != 2;
        assert_true(other_stream_reads(seed, true) == 2);
    }
    assert_in_range(wrong, SEEDS / 5, SEEDS - 2); /* nor always */
}

static void
an_event_is_a_place(void **) { /* what comes after it is not waited for, recording it anew changes no wait */
    int further = 0, not_further = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        standin_begin(seed);
        cudaStream_t a = stream_new();
        cudaEvent_t  e = event_new();
        int          ran = 0;
        OK(cudaEventQuery(e)); /* never recorded: done */
        OK(cudaEventSynchronize(e));
        standin_enqueue(a, "first", [&] { ran |= 1; });
        OK(cudaEventRecord(e, a));
        standin_enqueue(a, "second", [&] { ran |= 2; });
        OK(cudaEventSynchronize(e));
        assert_true(ran & 1);
        OK(cudaEventQuery(e));
        further += ran == 3, not_further += ran == 1;

        cudaStream_t b = stream_new(), c = stream_new();
        bool         seen = false, late = false, early = false;
        OK(cudaStreamSynchronize(a));
        standin_enqueue(a, "awaited", [&] { seen = true; });
        OK(cudaEventRecord(e, a));
        OK(cudaStreamWaitEvent(b, e, 0));
        standin_enqueue(b, "waits", [&] { early = !seen; });
        standin_enqueue(c, "another", [&] { late = true; });
        OK(cudaEventRecord(e, c));
        OK(cudaStreamSynchronize(b));
        assert_true(seen && !early);
        OK(cudaEventSynchronize(e));
        assert_true(late);
    }
    assert_true(further > 0 && not_further > 0);
}

static void a_wait_goes_as_far_as_it_must(void **) {
    int none = 0, some = 0, all = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        standin_begin(seed);
        cudaStream_t a = stream_new(), b = stream_new();
        int          ran = 0;
        standin_enqueue(a, "wanted", [] {});
        for (int i = 0; i < 5; i++) standin_enqueue(b, "another", [&] { ran++; });
        OK(cudaStreamSynchronize(a));
        none += ran == 0, some += ran > 0 && ran < 5, all += ran == 5;
        OK(cudaDeviceSynchronize());
        assert_int_equal(ran, 5);
    }
    assert_true(none > 0 && some > 0 && all > 0);
}

static std::string order_of(uint64_t seed) {
    standin_begin(seed);
    std::string  order;
    cudaStream_t s[3] = {stream_new(), stream_new(), stream_new()};
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 3; i++) standin_enqueue(s[i], "letter", [&order, i] { order += (char)('a' + i); });
    OK(cudaDeviceSynchronize());
    return order;
}
static void the_seed_is_the_order(void **) {
    int same = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        assert_string_equal(order_of(seed).c_str(), order_of(seed).c_str());
        same += order_of(seed) == order_of(seed + 1);
    }
    assert_in_range(same, 0, SEEDS / 4);
    setenv("CANTUS_STANDIN_SEED", "5", 1);
    assert_string_equal(order_of(0).c_str(), order_of(5).c_str());
    unsetenv("CANTUS_STANDIN_SEED");
}

static void queries_get_on(void **) {
    int first = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        standin_begin(seed);
        cudaStream_t s = stream_new();
        cudaEvent_t  e = event_new();
        for (int i = 0; i < 5; i++) standin_enqueue(s, "work", [] {});
        OK(cudaEventRecord(e, s));
        int asked = 1;
        while (cudaEventQuery(e) == cudaErrorNotReady) assert_in_range(asked++, 1, 100);
        GIVES(asked > 1 ? cudaErrorNotReady : cudaSuccess, cudaGetLastError());
        first += asked == 1;
        OK(cudaStreamQuery(s));
        assert_int_equal(standin_count().queries, asked + 1);
    }
    assert_in_range(first, 0, SEEDS / 2);
}

static void the_default_stream_waits(void **) {
    int overtaken = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        standin_begin(seed);
        cudaStream_t blocking = stream_new(cudaStreamDefault), other = stream_new();
        std::string  order;
        standin_enqueue(blocking, "1", [&] { order += '1'; });
        standin_enqueue(other, "x", [&] { order += 'x'; });
        standin_enqueue(nullptr, "2", [&] { order += '2'; });
        standin_enqueue(blocking, "3", [&] { order += '3'; });
        OK(cudaStreamDestroy(blocking)); /* which stops nothing */
        standin_enqueue(nullptr, "4", [&] { order += '4'; });
        OK(cudaDeviceSynchronize());
        overtaken += order[0] != 'x';
        order.erase(order.find('x'), 1);
        assert_string_equal(order.c_str(), "1234");
        OK(cudaStreamDestroy(other));
    }
    assert_in_range(overtaken, SEEDS / 5, SEEDS - 1);
}

static void times_go_on(void **) {
    standin_begin(3);
    cudaStream_t s = stream_new();
    cudaEvent_t  e[2], untimed = event_new();
    float        ms = -1;
    for (cudaEvent_t &event : e) OK(cudaEventCreate(&event));
    GIVES(cudaErrorInvalidResourceHandle, cudaEventElapsedTime(&ms, e[0], e[1])); /* not recorded */
    standin_enqueue(s, "before", [] {});
    OK(cudaEventRecord(e[0], s));
    standin_enqueue(s, "between", [] {});
    OK(cudaEventRecord(e[1], s));
    GIVES(cudaErrorNotReady, cudaEventElapsedTime(&ms, e[0], e[1]));
    OK(cudaEventSynchronize(e[1]));
    OK(cudaEventElapsedTime(&ms, e[0], e[1]));
    assert_true(ms > 0);
    OK(cudaEventRecord(untimed, s));
    GIVES(cudaErrorInvalidResourceHandle, cudaEventElapsedTime(&ms, e[0], untimed));
}

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
}

int main(int argc, char **) {
    if (argc > 1) { /* a program that leaves something behind */
        void *p;
        device_new();
        return cudaMallocHost(&p, 2) == cudaSuccess ? 0 : 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(works_run_late),
        cmocka_unit_test(a_stream_keeps_its_order),
        cmocka_unit_test(a_missing_wait_shows),
        cmocka_unit_test(an_event_is_a_place),
        cmocka_unit_test(a_wait_goes_as_far_as_it_must),
        cmocka_unit_test(the_seed_is_the_order),
        cmocka_unit_test(queries_get_on),
        cmocka_unit_test(the_default_stream_waits),
        cmocka_unit_test(times_go_on),
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

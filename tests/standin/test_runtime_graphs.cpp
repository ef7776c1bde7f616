/* test_runtime_graphs.cpp -- what the doubled runtime promises of capture and graphs: each by what goes wrong without
 * it. */
#include "fixture.h"

#include <stdlib.h>

#include <string>
#include <thread>

static void capture(cudaStream_t s, cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal) {
    OK(cudaStreamBeginCapture(s, mode));
}
static cudaGraph_t captured(cudaStream_t s) {
    cudaGraph_t graph;
    OK(cudaStreamEndCapture(s, &graph));
    return graph;
}
static cudaGraphExec_t executable(cudaStream_t s) { /* of what is captured */
    cudaGraph_t     graph = captured(s);
    cudaGraphExec_t e;
    OK(cudaGraphInstantiate(&e, graph, 0));
    OK(cudaGraphDestroy(graph));
    return e;
}

/* ---- a graph does what the stream would have done */
struct arrays {
    float *a, *b, *c, *in, *out;
};
static arrays arrays_new(void) {
    return {device_full(0), device_full(0), device_full(0), pinned_new(1), pinned_new(0)};
}
/* Two streams beside each other, and together again */
static void work_of(const arrays &x, cudaStream_t s, cudaStream_t t) {
    upload(x.a, x.in, s);
    wait_for(t, s);
    RUNS(step_linear(x.b, x.a, N, 2, 1, s));
    RUNS(step_linear(x.c, x.a, N, 3, 0, t));
    RUNS(step_linear(x.c, x.c, N, 5, 1, t));
    wait_for(s, t);
    OK(cudaMemsetAsync(x.a, 0, BYTES, s));
    RUNS(step_linear(x.b, x.b, N, 10, 0, s));
    download(x.out, x.b, s);
    RUNS(step_linear(x.b, x.c, N, 1, 0, s));
}
static void a_graph_equals_the_stream(void **) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        float out[2], b[2], a[2];
        for (int with_graph = 0; with_graph < 2; with_graph++) {
            standin_begin(seed);
            arrays       x = arrays_new();
            cudaStream_t s = stream_new(), t = stream_new();
            if (with_graph) {
                capture(s);
                work_of(x, s, t);
                cudaGraphExec_t e = executable(s);
                OK(cudaDeviceSynchronize());
                assert_true(x.out[0] == 0); /* captured, not run */
                assert_int_equal(standin_count().kernels, 5);
                for (int step = 0; step < 3; step++) {
                    fill(x.in, (float)step - 1);
                    OK(cudaGraphUpload(e, s));
                    OK(cudaGraphLaunch(e, s));
                    OK(cudaStreamSynchronize(s));
                }
                assert_int_equal(standin_count().kernels, 5);
                assert_int_equal(standin_count().graph_launches, 3);
                OK(cudaGraphExecDestroy(e));
            } else {
                work_of(x, s, t);
                OK(cudaStreamSynchronize(s));
            }
            OK(cudaDeviceSynchronize());
            out[with_graph] = x.out[0], b[with_graph] = first_of(x.b), a[with_graph] = first_of(x.a);
            NO_REPORT;
        }
        assert_true(out[0] == 30 && out[1] == 30);
        assert_true(b[0] == 16 && b[1] == 16);
        assert_true(a[0] == a[1]);
    }
}

static void a_forgotten_join_shows(void **) {
    standin_begin(1);
    cudaStream_t s = stream_new(), t = stream_new();
    cudaGraph_t  graph;
    capture(s);
    standin_enqueue(s, "1", [] {});
    wait_for(t, s);
    standin_enqueue(t, "2", [] {});
    GIVES(cudaErrorStreamCaptureUnjoined, cudaStreamEndCapture(s, &graph));
    assert_null(graph);
    OK(cudaStreamSynchronize(t)); /* and all is as before */
}

static std::string order_of(uint64_t seed, int launches) {
    standin_begin(seed);
    std::string order;
    auto letter = [&order](cudaStream_t to, char c) { standin_enqueue(to, "letter", [&order, c] { order += c; }); };
    cudaStream_t s = stream_new(), t = stream_new();
    letter(s, 'a');
    capture(s);
    letter(s, 'b');
    wait_for(t, s);
    letter(s, 'c');
    letter(t, 'd');
    letter(t, 'e');
    wait_for(s, t);
    letter(s, 'f');
    cudaGraphExec_t e = executable(s);
    for (int i = 0; i < launches; i++) OK(cudaGraphLaunch(e, i % 2 ? t : s)); /* one after another, wherever */
    wait_for(s, t);
    letter(s, 'g');
    OK(cudaGraphExecDestroy(e)); /* which stops nothing */
    OK(cudaStreamSynchronize(s));
    return order;
}
static void a_graph_runs_in_any_order(void **) {
    int seen[3] = {0, 0, 0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        std::string order = order_of(seed, 1);
        const char *legal[] = {"abcdefg", "abdcefg", "abdecfg"};
        int         which = 0;
        while (which < 2 && order != legal[which]) which++;
        assert_string_equal(order.c_str(), legal[which]);
        seen[which]++;
        order = order_of(seed, 3);
        for (int i = 0; i < 3; i++) { /* a launch comes after the one before it */
            assert_int_equal(order[(size_t)(1 + 5 * i)], 'b');
            assert_int_equal(order[(size_t)(5 + 5 * i)], 'f');
        }
    }
    assert_true(seen[0] > 0 && seen[1] > 0 && seen[2] > 0);
}

static void arguments_are_kept(void **) {
    standin_begin(1);
    cudaStream_t   s = stream_new();
    float         *d = device_full(1);
    volatile float factor = 2;
    capture(s);
    RUNS(step_linear(d, d, N, factor, 0, s));
    factor = 7;
    cudaGraphExec_t e = executable(s);
    for (int i = 0; i < 3; i++) OK(cudaGraphLaunch(e, s));
    OK(cudaStreamSynchronize(s));
    assert_true(first_of(d) == 8);
    NO_REPORT;
}

static void a_graph_within_another(void **) {
    standin_begin(1);
    cudaStream_t s = stream_new();
    float       *d = device_full(1);
    capture(s);
    RUNS(step_linear(d, d, N, 2, 0, s));
    cudaGraphExec_t inner = executable(s);
    capture(s);
    RUNS(step_linear(d, d, N, 1, 1, s));
    OK(cudaGraphLaunch(inner, s));
    RUNS(step_linear(d, d, N, 1, 1, s));
    cudaGraph_t graph = captured(s);
    size_t      nodes;
    OK(cudaGraphGetNodes(graph, nullptr, &nodes));
    assert_int_equal(nodes, 3);
    cudaGraphExec_t outer;
    OK(cudaGraphInstantiateWithFlags(&outer, graph, 0));
    OK(cudaGraphLaunch(outer, s));
    OK(cudaStreamSynchronize(s));
    assert_true(first_of(d) == 5);
    int leaks = standin_leaks(); /* two executables, a graph, a stream, an array */
    assert_int_equal(leaks, 5);
}

/* ---- memory that a graph has in hand */
static void memory_of_a_graph(void **) {
    standin_begin(1);
    cudaStream_t s = stream_new();
    float       *d = device_new(), *p = pinned_new(1);
    capture(s);
    upload(d, p, s);
    cudaGraphExec_t e = executable(s);
    fill(p, 2); /* before the launch it may change */
    OK(cudaGraphLaunch(e, s));
    OK(cudaStreamSynchronize(s));
    assert_true(first_of(d) == 2);
    NO_REPORT;
    OK(cudaGraphLaunch(e, s));
    fill(p, 3); /* while it is pending it may not */
    OK(cudaStreamSynchronize(s));
    REPORTED("pinned: cudaMemcpyAsync of 800 bytes");
    OK(cudaFreeHost(p));
    GIVES(cudaErrorInvalidValue, cudaGraphLaunch(e, s));
    REPORTED(
        "memory: cudaGraphLaunch: cudaMemcpyAsync of 800 bytes, pinned to device memory: its memory has been freed");
}

static void a_failure_in_a_graph(void **) {
    standin_begin(1);
    cudaStream_t s = stream_new();
    float       *d = device_full(1);
    capture(s);
    RUNS(step_past_end(d, N, 2000, s));
    cudaGraphExec_t e = executable(s);
    OK(cudaGraphLaunch(e, s));
    OK(cudaGetLastError());
    GIVES(cudaErrorIllegalAddress, cudaStreamSynchronize(s));
    emulator_forget_reports();
}

/* ---- what a capture forbids: the call's error; afterwards the capture is no good, and the device is as it was */
struct forbidden {
    cudaStream_t s, other;
    cudaEvent_t  inside, outside; /* recorded in the capture, before it */
    float       *d, *p;
};
static cudaError_t forbid(const char *what, const forbidden &f) {
    void       *memory;
    std::string call(what);
    if (call == "cudaStreamSynchronize") return cudaStreamSynchronize(f.s);
    if (call == "cudaStreamSynchronize of another") return cudaStreamSynchronize(f.other);
    if (call == "cudaStreamQuery") return cudaStreamQuery(f.s);
    if (call == "cudaDeviceSynchronize") return cudaDeviceSynchronize();
    if (call == "cudaEventSynchronize") return cudaEventSynchronize(f.inside);
    if (call == "cudaEventQuery") return cudaEventQuery(f.inside);
    if (call == "cudaEventQuery of another") return cudaEventQuery(f.outside);
    if (call == "cudaMalloc") return cudaMalloc(&memory, 8);
    if (call == "cudaFree") return cudaFree(f.d);
    if (call == "cudaMallocHost") return cudaMallocHost(&memory, 8);
    if (call == "cudaFreeHost") return cudaFreeHost(f.p);
    if (call == "cudaMemcpy") return cudaMemcpy(f.d, f.p, BYTES, cudaMemcpyHostToDevice);
    if (call == "cudaStreamWaitEvent") return cudaStreamWaitEvent(f.s, f.outside, 0);
    return cudaErrorUnknown;
}
static void some_calls_are_forbidden(void **) {
    const struct {
        const char *call;
        cudaError_t error;
        bool        relaxed; /* even then */
    } calls[] = {
        {"cudaStreamSynchronize", cudaErrorStreamCaptureUnsupported, true},
        {"cudaStreamSynchronize of another", cudaErrorStreamCaptureUnsupported, false},
        {"cudaStreamQuery", cudaErrorStreamCaptureUnsupported, true},
        {"cudaDeviceSynchronize", cudaErrorStreamCaptureUnsupported, true},
        {"cudaEventSynchronize", cudaErrorCapturedEvent, true},
        {"cudaEventQuery", cudaErrorCapturedEvent, true},
        {"cudaEventQuery of another", cudaErrorStreamCaptureUnsupported, false},
        {"cudaMalloc", cudaErrorStreamCaptureUnsupported, false},
        {"cudaFree", cudaErrorStreamCaptureUnsupported, false},
        {"cudaMallocHost", cudaErrorStreamCaptureUnsupported, false},
        {"cudaFreeHost", cudaErrorStreamCaptureUnsupported, false},
        {"cudaMemcpy", cudaErrorStreamCaptureUnsupported, false},
        {"cudaStreamWaitEvent", cudaErrorStreamCaptureIsolation, true},
    };
    for (cudaStreamCaptureMode mode :
         {cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal, cudaStreamCaptureModeRelaxed})
        for (const auto &c : calls) {
            standin_begin(1);
            forbidden   f = {stream_new(), stream_new(), event_new(), event_new(), device_full(1), pinned_new(1)};
            cudaGraph_t graph;
            OK(cudaEventRecord(f.outside, f.other));
            capture(f.s, mode);
            RUNS(step_linear(f.d, f.d, N, 2, 0, f.s));
            OK(cudaEventRecord(f.inside, f.s));
            cudaStreamCaptureStatus status;
            OK(cudaStreamIsCapturing(f.s, &status));
            assert_int_equal(status, cudaStreamCaptureStatusActive);
            bool refused = c.relaxed || mode != cudaStreamCaptureModeRelaxed;
            GIVES(refused ? c.error : cudaSuccess, forbid(c.call, f));
            OK(cudaStreamIsCapturing(f.s, &status));
            assert_int_equal(status, refused ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive);
            assert_int_equal(step_linear(f.d, f.d, N, 2, 0, f.s), refused ? CT_EFAIL : CT_OK);
            GIVES(refused ? cudaErrorStreamCaptureInvalidated : cudaSuccess, cudaStreamEndCapture(f.s, &graph));
            assert_true(refused == (graph == nullptr));
            OK(cudaStreamIsCapturing(f.s, &status));
            assert_int_equal(status, cudaStreamCaptureStatusNone);
            OK(cudaStreamSynchronize(f.s));
            if (!strcmp(c.call, "cudaFree") && !refused) continue;
            assert_true(first_of(f.d) == 1);
            NO_REPORT;
        }
}

static void other_threads_may_call(void **) {
    standin_begin(1);
    cudaStream_t s = stream_new();
    cudaGraph_t  graph;
    capture(s, cudaStreamCaptureModeThreadLocal);
    std::thread([] { OK(cudaFree(device_new())); }).join();
    std::thread([&] { GIVES(cudaErrorStreamCaptureWrongThread, cudaStreamEndCapture(s, &graph)); }).join();
    GIVES(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(s, &graph));
    capture(s, cudaStreamCaptureModeGlobal);
    std::thread([] {
        void *p;
        GIVES(cudaErrorStreamCaptureUnsupported, cudaMalloc(&p, 8));
    }).join();
    GIVES(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(s, &graph));
}

static void captures_begin_and_end(void **) {
    standin_begin(1);
    cudaStream_t s = stream_new(), t = stream_new(), blocking = stream_new(cudaStreamDefault);
    cudaGraph_t  graph;
    GIVES(cudaErrorStreamCaptureUnsupported, cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal));
    GIVES(cudaErrorIllegalState, cudaStreamEndCapture(s, &graph));
    capture(s);
    GIVES(cudaErrorIllegalState, cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    assert_true(standin_enqueue(s, "1", [] {}));
    wait_for(t, s);
    GIVES(cudaErrorStreamCaptureUnmatched, cudaStreamEndCapture(t, &graph));
    GIVES(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(s, &graph));
    capture(s);
    OK(cudaGraphDestroy(captured(s))); /* nothing was */

    cudaEvent_t e = event_new();
    capture(s);
    OK(cudaEventRecord(e, s));
    OK(cudaGraphDestroy(captured(s)));
    GIVES(cudaErrorCapturedEvent, cudaStreamWaitEvent(t, e, 0)); /* of a capture that is over */
    GIVES(cudaErrorCapturedEvent, cudaEventSynchronize(e));
    OK(cudaEventRecord(e, s));
    OK(cudaStreamWaitEvent(t, e, 0));

    capture(blocking);
    assert_true(standin_enqueue(s, "beside", [] {}));
    assert_false(standin_enqueue(nullptr, "the default stream", [] {}));
    GIVES(cudaErrorStreamCaptureImplicit, cudaGetLastError());
    GIVES(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(blocking, &graph));
    capture(s); /* one that the default stream does not wait for is no obstacle */
    assert_true(standin_enqueue(nullptr, "the default stream", [] {}));
    OK(cudaGraphDestroy(captured(s)));

    capture(s);
    NO_REPORT;
    OK(cudaStreamDestroy(s));
    REPORTED("capture: cudaStreamDestroy: the stream is being captured");
    OK(cudaDeviceSynchronize());
    cudaGraphExec_t none = nullptr;
    GIVES(cudaErrorInvalidResourceHandle, cudaGraphLaunch(none, t));
    REPORTED("handle: cudaGraphLaunch: ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_graph_equals_the_stream), cmocka_unit_test(a_forgotten_join_shows),
        cmocka_unit_test(a_graph_runs_in_any_order), cmocka_unit_test(arguments_are_kept),
        cmocka_unit_test(a_graph_within_another),    cmocka_unit_test(memory_of_a_graph),
        cmocka_unit_test(a_failure_in_a_graph),      cmocka_unit_test(some_calls_are_forbidden),
        cmocka_unit_test(other_threads_may_call),    cmocka_unit_test(captures_begin_and_end),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}

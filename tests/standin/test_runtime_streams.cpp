/* test_runtime_streams.cpp -- what the doubled runtime promises of streams and events: each by what goes wrong without
 * it. */
#include "fixture.h"

#include <stdlib.h>

#include <string>

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
    cudaDeviceSynchronize(); /* an error, where the checker saw it */
    if (emulator_checks_accesses()) return emulator_reported("race") ? -1 : 2;
    return first_of(e);
}
static void a_missing_wait_shows(void **) {
    int wrong = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        wrong += other_stream_reads(seed, false) != 2;
        assert_true(other_stream_reads(seed, true) == 2);
    }
    if (emulator_checks_accesses())
        assert_int_equal(wrong, SEEDS);
    else
        assert_in_range(wrong, SEEDS / 5, SEEDS - 2); /* nor always */
}

/* cudaMemcpy of pageable memory returns once it has been read; who is not ordered with the default stream may be early.
 */
static float kernel_after_copy(uint64_t seed, bool waits) {
    standin_begin(seed);
    cudaStream_t a = stream_new();
    float       *d = device_full(1), host[N];
    fill(host, 5);
    OK(cudaMemcpy(d, host, BYTES, cudaMemcpyHostToDevice));
    fill(host, 9); /* too late to matter */
    if (waits) OK(cudaStreamSynchronize(nullptr));
    RUNS(step_linear(d, d, N, 2, 0, a));
    cudaDeviceSynchronize(); /* an error, where the checker saw it */
    if (emulator_checks_accesses()) return emulator_reported("race") ? -1 : 10;
    return first_of(d);
}
static void a_copy_of_pageable_memory_may_be_late(void **) {
    int wrong = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        wrong += kernel_after_copy(seed, false) != 10;
        assert_true(kernel_after_copy(seed, true) == 10);
    }
    if (emulator_checks_accesses())
        assert_int_equal(wrong, SEEDS);
    else
        assert_in_range(wrong, SEEDS / 5, SEEDS - 2); /* nor always */
}

/* What the checker says of two pieces of work in two streams, the first of which is begun and perhaps waited for in
 * some way before the second is put on its stream. */
enum work { WRITES, READS, COPIES_IN, COPIES_OUT, SETS };
enum way { NOTHING, BY_EVENT, BY_THE_HOST, BY_QUERY, TOO_LATE, THROUGH_ANOTHER };
static void put(work what, float *d, float *e, float *p, cudaStream_t s) {
    if (what == WRITES) RUNS(step_linear(d, d, N, 2, 0, s));
    if (what == READS) RUNS(step_linear(e, d, N, 2, 0, s));
    if (what == COPIES_IN) upload(d, p, s);
    if (what == COPIES_OUT) download(p, d, s);
    if (what == SETS) OK(cudaMemsetAsync(d, 0, BYTES, s));
}
static bool is_race(uint64_t seed, work first, work second, way by) {
    standin_begin(seed);
    cudaStream_t a = stream_new(), b = stream_new(), c = stream_new();
    float       *d = device_full(1), *e = device_full(1), *g = device_full(1), *p = pinned_new(1), *q = pinned_new(1);
    put(first, d, e, p, a);
    if (by == BY_EVENT) wait_for(b, a);
    if (by == BY_THE_HOST) OK(cudaStreamSynchronize(a));
    while (by == BY_QUERY && cudaStreamQuery(a) == cudaErrorNotReady) {
    }
    if (by ==
        THROUGH_ANOTHER) { /* which the host has waited for before the second runs, but not when it was put there */
        wait_for(c, a);
        standin_enqueue(c, "between", [] {});
        wait_for(b, c);
    }
    put(second, d, g, q, b);
    if (by == TOO_LATE) cudaStreamSynchronize(a);
    if (by == THROUGH_ANOTHER) OK(cudaStreamSynchronize(c));
    cudaDeviceSynchronize();
    return emulator_reported("race");
}
static void races_of_streams_are_reported(void **) {
    const bool checks = emulator_checks_accesses(); /* else nothing sees them but wrong numbers */
    const work pairs[][2] = {{WRITES, READS},      {READS, WRITES},    {WRITES, COPIES_OUT},
                             {COPIES_OUT, WRITES}, {COPIES_IN, READS}, {READS, SETS},
                             {SETS, COPIES_OUT},   {COPIES_IN, SETS},  {COPIES_OUT, COPIES_IN}};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        for (const auto &pair : pairs)
            for (way by : {NOTHING, BY_EVENT, BY_THE_HOST, BY_QUERY, TOO_LATE, THROUGH_ANOTHER})
                assert_int_equal(is_race(seed, pair[0], pair[1], by), checks && (by == NOTHING || by == TOO_LATE));
        assert_false(is_race(seed, READS, COPIES_OUT, NOTHING));
    }
    if (!is_race(1, SETS, COPIES_OUT, NOTHING)) return;
    assert_non_null(strstr(emulator_report(0), " of device memory, which cudaM"));
    assert_non_null(strstr(emulator_report(0), "; nothing orders the two [tests/standin/"));
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(works_run_late),
        cmocka_unit_test(a_stream_keeps_its_order),
        cmocka_unit_test(a_missing_wait_shows),
        cmocka_unit_test(a_copy_of_pageable_memory_may_be_late),
        cmocka_unit_test(races_of_streams_are_reported),
        cmocka_unit_test(an_event_is_a_place),
        cmocka_unit_test(a_wait_goes_as_far_as_it_must),
        cmocka_unit_test(the_seed_is_the_order),
        cmocka_unit_test(queries_get_on),
        cmocka_unit_test(the_default_stream_waits),
        cmocka_unit_test(times_go_on),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}

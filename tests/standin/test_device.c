/* test_device.c -- what kernels/device.h promises, of the GPU on the double of the CUDA runtime, in many orders of its
 * queues: batches arrive whole and in turn, results are read when they are there, graphs do what their calls did,
 * copies and zeros keep their place, each call tells of a device that failed, and everything is given back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/cuda/gemm.h"
#include "kernels/device.h"
#include "tests/standin/blas.h"
#include "tests/standin/clean.h"

#include <stdlib.h>
#include <string.h>

enum { N = 300, BYTES = N * sizeof(uint32_t), ROUNDS = 9 };

static const ct_device *gpu;

/* Where races are found whatever the order, two orders will do. */
static uint64_t seeds(void) {
    return emulator_checks_accesses() ? 2 : 12;
}

static void ok(ct_status status) {
    if (status != CT_OK) fail_msg("%s", ct_message());
}
static void begin_with(uint64_t seed, ct_precision precision) {
    standin_begin(seed);
    blas_begin(1, BLAS_LISTS);
    ok(ct_device_open(&(ct_device_choice){.kind = CT_ON_CUDA, .precision = (int)precision}, NULL, &gpu));
}
static void begin(uint64_t seed) {
    begin_with(seed, CT_PRECISION_FP32);
}
static void end(void) {
    ct_device_close(gpu);
    assert_int_equal(blas_count().handles, 0);
    assert_clean();
}

/* ---- arrays of N numbers, which tell of their round and place */
static uint32_t *arrays_new(size_t count) {
    void *p;
    ok(gpu->alloc(count * BYTES, &p));
    return p;
}
static uint32_t *pinned_new(void) {
    void *p;
    ok(gpu->alloc_host(BYTES, &p));
    return p;
}
static void fill(uint32_t *array, uint32_t round) {
    for (uint32_t i = 0; i < N; i++) array[i] = round << 16 | i;
}
static void assert_filled(const uint32_t *array, uint32_t round) {
    for (uint32_t i = 0; i < N; i++)
        if (array[i] != (round << 16 | i)) fail_msg("round %u, number %u: %08x", round, i, array[i]);
}
static void assert_device_filled(const uint32_t *array, uint32_t round) {
    uint32_t host[N];
    ok(ct_device_copy(gpu, host, array, BYTES));
    assert_filled(host, round);
}
static ct_status then_copy(uint32_t *to, const uint32_t *from) {
    return gpu->copy(CT_QUEUE_COMPUTE, to, from, BYTES);
}

/* ---- the way in */
static void the_way_in(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        ct_inlet inlet;
        void    *slot, *before = NULL;
        begin(seed);
        uint32_t *to = arrays_new(1), *staged = arrays_new(CT_SLOTS), *seen = arrays_new(ROUNDS);
        ok(ct_inlet_open(gpu, to, staged, BYTES, &inlet));
        const standin_counters at_first = standin_count();
        for (uint32_t k = 0; k < ROUNDS; k++) {
            ok(ct_inlet_slot(&inlet, &slot));
            assert_ptr_not_equal(slot, before); /* that one may be on its way */
            before = slot;
            fill(slot, k);
            ok(ct_inlet_send(&inlet));
            ok(then_copy(seen + k * N, to));
        }
        assert_int_equal(standin_count().synchronising, at_first.synchronising);
        assert_int_equal(standin_count().event_synchronising - at_first.event_synchronising, ROUNDS - CT_SLOTS);
        for (uint32_t k = 0; k < ROUNDS; k++) assert_device_filled(seen + k * N, k);
        ok(ct_inlet_slot(&inlet, &slot)); /* closed while something is on its way */
        fill(slot, ROUNDS);
        ok(ct_inlet_send(&inlet));
        ct_inlet_close(&inlet);
        gpu->release(seen);
        gpu->release(staged);
        gpu->release(to);
        end();
    }
}

/* ---- the way out */
static void the_way_out(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        ct_inlet    inlet;
        ct_outlet   outlet;
        void       *slot;
        const void *result = NULL;
        begin(seed);
        uint32_t *from = arrays_new(1), *staged = arrays_new(CT_SLOTS);
        ok(ct_inlet_open(gpu, from, staged, BYTES, &inlet));
        ok(ct_outlet_open(gpu, from, BYTES, &outlet));
        const long synchronising = standin_count().synchronising;
        for (uint32_t k = 0; k < ROUNDS; k++) {
            ok(ct_inlet_slot(&inlet, &slot));
            fill(slot, k);
            ok(ct_inlet_send(&inlet));
            if (outlet.sent - outlet.taken == CT_SLOTS) {
                ok(ct_outlet_take(&outlet, &result));
                assert_filled(result, k - CT_SLOTS);
            }
            ok(ct_outlet_send(&outlet));
        }
        for (uint32_t left = CT_SLOTS; left > 0; left--) {
            ok(ct_outlet_take(&outlet, &result));
            assert_filled(result, ROUNDS - left);
        }
        assert_int_equal(standin_count().synchronising, synchronising);
        ok(ct_outlet_send(&outlet)); /* closed while something is on its way */
        ct_outlet_close(&outlet);
        ct_inlet_close(&inlet);
        gpu->release(staged);
        gpu->release(from);
        end();
    }
}

/* On the CPU the device's array is the only slot, and nothing is late. */
static void on_the_cpu(void **state) {
    uint32_t    array[N];
    ct_inlet    inlet;
    ct_outlet   outlet;
    void       *slot;
    const void *result;
    (void)state;
    ok(ct_inlet_open(ct_device_cpu(), array, NULL, BYTES, &inlet));
    ok(ct_outlet_open(ct_device_cpu(), array, BYTES, &outlet));
    for (uint32_t k = 0; k < ROUNDS; k++) {
        ok(ct_inlet_slot(&inlet, &slot));
        assert_ptr_equal(slot, array);
        fill(slot, k);
        ok(ct_inlet_send(&inlet));
        ok(ct_outlet_send(&outlet));
        ok(ct_outlet_take(&outlet, &result));
        assert_filled(result, k);
    }
    ct_outlet_close(&outlet);
    ct_inlet_close(&inlet);
}

/* ---- graphs */
typedef struct job {
    const uint32_t *from;
    uint32_t       *to;
    int             calls;
    bool            fails;
} job;
static ct_status enqueue(void *context) {
    job *j = context;
    j->calls++;
    CT_TRY(then_copy(j->to, j->from));
    return j->fails ? ct_fail(CT_EFAIL, "the third op fails") : CT_OK;
}

static void graphs(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        ct_inlet  inlet;
        ct_graph *graph = NULL;
        void     *slot;
        begin(seed);
        uint32_t *from = arrays_new(1), *to = arrays_new(1), *staged = arrays_new(CT_SLOTS), *seen = arrays_new(ROUNDS);
        job       j = {from, to, 0, true};
        ok(ct_inlet_open(gpu, from, staged, BYTES, &inlet));
        assert_int_equal(ct_device_replay(gpu, &graph, enqueue, &j), CT_EFAIL); /* nothing is left of it */
        assert_string_equal(ct_message(), "the third op fails");
        assert_null(graph);
        j = (job){from, to, 0, false};
        const standin_counters before = standin_count();
        for (uint32_t k = 0; k < ROUNDS; k++) {
            ok(ct_inlet_slot(&inlet, &slot));
            fill(slot, k);
            ok(ct_inlet_send(&inlet));
            ok(ct_device_replay(gpu, &graph, enqueue, &j));
            ok(then_copy(seen + k * N, to));
            if (k == ROUNDS / 2) {
                ct_device_forget(gpu, &graph);
                assert_null(graph);
            }
        }
        assert_int_equal(j.calls, 2); /* recorded, and once more when it had been forgotten */
        assert_int_equal(standin_count().captures - before.captures, 2);
        assert_int_equal(standin_count().graph_launches - before.graph_launches, ROUNDS);
        for (uint32_t k = 0; k < ROUNDS; k++) assert_device_filled(seen + k * N, k);
        ct_device_forget(gpu, &graph);
        ct_inlet_close(&inlet);
        gpu->release(seen);
        gpu->release(staged);
        gpu->release(to);
        gpu->release(from);
        end();
    }
}

/* ---- memory, copies, zeros */
static void fresh_memory_is_zero(void **state) {
    static const uint32_t zeros[N];
    (void)state;
    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        uint32_t host[N];
        begin(seed);
        uint32_t *x = arrays_new(1), *y = arrays_new(1), *pinned = pinned_new();
        assert_memory_equal(pinned, zeros, BYTES);
        ok(ct_device_copy(gpu, host, y, BYTES));
        assert_memory_equal(host, zeros, BYTES);
        gpu->release(y);
        y = arrays_new(1);
        fill(pinned, 1);
        ok(gpu->copy(CT_QUEUE_COPY, y, pinned, BYTES)); /* no zeros come after it */
        assert_device_filled(y, 1);
        gpu->release_host(pinned);
        gpu->release(y);
        gpu->release(x);
        end();
    }
}

static void copies_keep_their_place(void **state) {
    static const uint32_t zeros[N];
    (void)state;
    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        uint32_t host[N];
        begin(seed);
        uint32_t *x = arrays_new(1), *y = arrays_new(1), *z = arrays_new(1), *pinned = pinned_new();
        for (int queue = 0; queue < CT_QUEUES; queue++) {
            fill(pinned, 1);
            ok(gpu->copy((ct_queue)queue, x, pinned, BYTES)); /* after all that is queued */
            fill(host, 2);
            ok(ct_device_copy(gpu, x, host, BYTES));
            fill(host, 3);                               /* its bytes have left when it returns */
            ok(gpu->copy((ct_queue)queue, y, x, BYTES)); /* and have arrived */
            assert_device_filled(y, 2);
        }
        ok(then_copy(z, x)); /* zeros between two on the queue */
        ok(ct_device_zero(gpu, z, BYTES));
        ok(then_copy(y, z));
        ok(then_copy(z, x));
        ok(ct_device_copy(gpu, host, y, BYTES));
        assert_memory_equal(host, zeros, BYTES);
        assert_device_filled(z, 2);
        gpu->release_host(pinned);
        gpu->release(z);
        gpu->release(y);
        gpu->release(x);
        end();
    }
}

/* ---- failures */
enum { CALLS = 12 };
static ct_status call(int which, uint32_t *x, uint32_t *pinned, ct_event *event, ct_graph **recorded) {
    ct_graph *none = NULL;
    ct_event *another;
    void     *memory;
    uint32_t  host[N] = {0};
    job       j = {x, x + N, 0, false};
    switch (which) {
    case 0:
        return gpu->alloc(BYTES, &memory);
    case 1:
        return gpu->alloc_host(BYTES, &memory);
    case 2:
        return gpu->copy(CT_QUEUE_COPY, x, pinned, BYTES);
    case 3:
        return ct_device_copy(gpu, x, host, BYTES);
    case 4:
        return ct_device_zero(gpu, x, BYTES);
    case 5:
        return gpu->wait();
    case 6:
        return gpu->event_new(&another);
    case 7:
        return gpu->event_record(event, CT_QUEUE_COPY);
    case 8:
        return gpu->event_wait(event);
    case 9:
        return gpu->queue_wait(CT_QUEUE_COMPUTE, event);
    case 10:
        return ct_device_replay(gpu, &none, enqueue, &j);
    default:
        return ct_device_replay(gpu, recorded, enqueue, &j);
    }
}

static void each_call_tells(void **state) {
    (void)state;
    for (int which = 0; which < CALLS; which++) {
        ct_event *event;
        ct_graph *recorded = NULL;
        begin(1);
        uint32_t *x = arrays_new(2), *pinned = pinned_new();
        job       j = {x, x + N, 0, false};
        ok(ct_device_replay(gpu, &recorded, enqueue, &j));
        ok(gpu->event_new(&event));
        ok(gpu->event_record(event, CT_QUEUE_COPY));
        standin_plant(STANDIN_DEVICE_LOST, 1);
        assert_int_equal(call(which, x, pinned, event, &recorded), CT_EFAIL);
        assert_non_null(strstr(ct_message(), "at this call or before it"));
        ct_device_close(gpu);
    }
    standin_begin(1);
}

/* What was there already is given back when a thing that has parts can't be had. */
static void half_made(void **state) {
    (void)state;
    for (long at = 1; at <= CT_SLOTS; at++) {
        ct_inlet  inlet;
        ct_outlet outlet;
        begin(1);
        uint32_t *x = arrays_new(1 + CT_SLOTS);
        standin_plant(STANDIN_NO_PINNED_MEMORY, at);
        assert_int_equal(ct_inlet_open(gpu, x, x + N, BYTES, &inlet), CT_ENOMEM);
        standin_plant(STANDIN_NO_PINNED_MEMORY, at);
        assert_int_equal(ct_outlet_open(gpu, x, BYTES, &outlet), CT_ENOMEM);
        gpu->release(x);
        end();
    }
    const ct_device *none;
    standin_begin(1);
    standin_plant(STANDIN_NO_DEVICE_MEMORY, 1);
    assert_int_equal(ct_device_open(&(ct_device_choice){.kind = CT_ON_CUDA}, NULL, &none), CT_ENOMEM);
    assert_null(none);
    assert_int_equal(standin_leaks(), 0);
}

/* ---- what the environment and a config ask of it */
static void each_op_is_waited_for(void **state) {
    (void)state;
    for (int each = 0; each < 2; each++) {
        setenv("CANTUS_CUDA_SYNC", each ? "1" : "0", 1);
        begin(1);
        uint32_t       *x = arrays_new(2);
        const ct_params p = {.gelu = {.rows = 1, .width = N, .x = x, .y = x + N}};
        job             j = {x, x + N, 0, false};
        ct_graph       *graph = NULL;
        const long      before = standin_count().synchronising;
        ok(ct_op_run(gpu->backend, CT_OP_gelu, &p));
        assert_int_equal(standin_count().synchronising - before, each);
        for (int k = 0; k < 3; k++) ok(ct_device_replay(gpu, &graph, enqueue, &j));
        assert_int_equal(j.calls, each ? 3 : 1); /* nothing can be waited for while it is recorded */
        ct_device_forget(gpu, &graph);
        standin_plant(STANDIN_LAUNCH_FAILS, 1);
        const ct_status status = ct_op_run(gpu->backend, CT_OP_gelu, &p);
        assert_int_equal(status, each ? CT_EFAIL : CT_OK);
        if (each) assert_non_null(strstr(ct_message(), "op gelu: "));
        assert_int_equal(gpu->wait(), CT_EFAIL);
        ct_device_close(gpu);
    }
    unsetenv("CANTUS_CUDA_SYNC");
    standin_begin(1);
}

static void precisions(void **state) {
    (void)state;
    for (int tf32 = 0; tf32 < 2; tf32++) {
        begin_with(1, tf32 ? CT_PRECISION_TF32 : CT_PRECISION_BF16);
        assert_int_equal(ct_gemm_machine_here().tf32, tf32);
        assert_int_equal(ct_gemm_machine_here().workspace, CT_CUDA_WORKSPACE);
        end();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_way_in),
        cmocka_unit_test(the_way_out),
        cmocka_unit_test(on_the_cpu),
        cmocka_unit_test(graphs),
        cmocka_unit_test(fresh_memory_is_zero),
        cmocka_unit_test(copies_keep_their_place),
        cmocka_unit_test(each_call_tells),
        cmocka_unit_test(half_made),
        cmocka_unit_test(each_op_is_waited_for),
        cmocka_unit_test(precisions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

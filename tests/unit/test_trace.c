/* The trace: nothing while it is off, all that threads say while it is on, what there is no room for counted, a clock
 * of a row's own. What a run writes: tests/e2e/trace.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/log.h"
#include "core/trace.h"

#include <pthread.h>

enum { THREADS = 4, EACH = 500 };

static size_t events(const ct_trace_event **at) {
    int64_t dropped;
    return ct_trace_events(at, &dropped);
}

static void say(ct_trace_row row, const char *name, int64_t number) {
    const int64_t since = ct_trace_begin(row);
    ct_trace_end(since, &(ct_trace_event){.row = row, .name = name, .number = number});
}

static void off_is_nothing(void **state) {
    const ct_trace_event *at;
    (void)state;
    assert_int_equal(ct_trace_begin(CT_TRACE_HOST), 0);
    say(CT_TRACE_HOST, "before", 1);
    ct_trace_switch(true); /* no buffer: it stays off */
    assert_false(ct_trace_is_on());
    assert_int_equal(ct_trace_open(10), CT_OK);
    say(CT_TRACE_HOST, "not yet", 1);
    assert_int_equal(events(&at), 0);
    const int64_t early = ct_trace_begin(CT_TRACE_HOST);
    ct_trace_switch(true);
    ct_trace_end(early, &(ct_trace_event){.row = CT_TRACE_HOST, .name = "begun before"});
    say(CT_TRACE_HOST, "on", 1);
    const int64_t late = ct_trace_begin(CT_TRACE_HOST);
    ct_trace_switch(false);
    ct_trace_end(late, &(ct_trace_event){.row = CT_TRACE_HOST, .name = "ended after"});
    say(CT_TRACE_HOST, "after", 1);
    assert_int_equal(events(&at), 2);
    assert_string_equal(at[0].name, "on");
    assert_string_equal(at[1].name, "ended after");
    ct_trace_close();
    assert_int_equal(events(&at), 0);
}

static void *talk(void *number) {
    for (int64_t i = 0; i < EACH; i++) say(CT_TRACE_TALK, "said", *(int64_t *)number * EACH + i + 1);
    return NULL;
}

static void threads_lose_nothing(void **state) {
    pthread_t             threads[THREADS];
    int64_t               numbers[THREADS];
    bool                  seen[THREADS * EACH] = {false};
    const ct_trace_event *at;
    (void)state;
    assert_int_equal(ct_trace_open(THREADS * EACH), CT_OK);
    ct_trace_switch(true);
    const double before = ct_seconds();
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, talk, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    const double after = ct_seconds();
    assert_int_equal(events(&at), THREADS * EACH);
    for (int i = 0; i < THREADS * EACH; i++) {
        const double began = ct_trace_seconds(at[i].row, at[i].began), ended = ct_trace_seconds(at[i].row, at[i].ended);
        assert_true(began >= before - 1e-6 && ended >= began && ended <= after + 1e-6);
        assert_true(at[i].number >= 1 && at[i].number <= THREADS * EACH && !seen[at[i].number - 1]);
        seen[at[i].number - 1] = true;
    }
    ct_trace_close();
}

static void no_room_is_counted(void **state) {
    const ct_trace_event *at;
    int64_t               dropped;
    (void)state;
    assert_int_equal(ct_trace_open(3), CT_OK);
    ct_trace_switch(true);
    for (int i = 1; i <= 8; i++) say(CT_TRACE_WRITER, "written", i);
    assert_int_equal(ct_trace_events(&at, &dropped), 3);
    assert_int_equal(dropped, 5);
    assert_int_equal(at[2].number, 3);
    ct_trace_close();
}

/* ---- a clock that has three moments, and no more */
static int64_t mark(void *context, ct_trace_row row) {
    int64_t *used = context;
    assert_int_equal(row, CT_TRACE_COMPUTE);
    return *used < 3 ? ++*used : 0;
}
static double seconds(void *context, int64_t at) {
    (void)context;
    return 100 * (double)at;
}

static void rows_may_have_a_clock(void **state) {
    int64_t               used = 0;
    const ct_trace_event *at;
    (void)state;
    assert_int_equal(ct_trace_open(9), CT_OK);
    ct_trace_use(CT_TRACE_COMPUTE, &(ct_trace_clock){mark, seconds, &used});
    ct_trace_switch(true);
    say(CT_TRACE_COMPUTE, "an op", 1);
    say(CT_TRACE_HOST, "beside", 1);
    say(CT_TRACE_COMPUTE, "has no end", 1);
    say(CT_TRACE_COMPUTE, "nor a beginning", 1);
    const size_t count = events(&at);
    assert_int_equal(count, 3);
    assert_true(ct_trace_seconds(CT_TRACE_COMPUTE, at[0].began) == 100);
    assert_true(ct_trace_seconds(CT_TRACE_COMPUTE, at[0].ended) == 200);
    assert_true(ct_trace_seconds(CT_TRACE_HOST, at[1].began) <= ct_seconds());
    assert_int_equal(at[2].ended, 0);
    ct_trace_close();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(off_is_nothing),
        cmocka_unit_test(threads_lose_nothing),
        cmocka_unit_test(no_room_is_counted),
        cmocka_unit_test(rows_may_have_a_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

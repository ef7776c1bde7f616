/* clean.h -- what a test on the stand-ins asks in the end: nothing is reported, nothing is left; what steps did.
 * Include after cmocka.h. Fails: with the test, which prints the reports. */
#ifndef CT_STANDIN_CLEAN_H
#define CT_STANDIN_CLEAN_H

#include "tests/standin/standin.h"

static inline void assert_no_reports(void) {
    for (int i = 0; emulator_report(i); i++) print_error("%s\n", emulator_report(i));
    assert_int_equal(emulator_report_count(), 0);
}
static inline void assert_clean(void) {
    assert_int_equal(standin_leaks(), 0);
    assert_no_reports();
}

/* Between these two the host has waited for nothing but events, made nothing, and launched kernels in graphs alone. */
static inline void assert_graphs_alone(const standin_counters *before, const standin_counters *after) {
    assert_int_equal(after->synchronising, before->synchronising);
    assert_int_equal(after->device_allocations, before->device_allocations);
    assert_int_equal(after->pinned_allocations, before->pinned_allocations);
    assert_int_equal(after->events, before->events);
    assert_int_equal(after->kernels, before->kernels);
}

#endif

/* clean.h -- what a test on the stand-ins asks in the end: nothing is reported, nothing is left. Include after
 * cmocka.h. Fails: with the test, which prints the reports. */
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

#endif

/* unit.h -- the part of cmocka that the programs here and the fixtures of tests/ use, by the same names and with the
 * same lines of output, so that a machine with a GPU needs no cmocka.
 *
 * Tests run one after the other; the first assertion that fails ends its test, a failing set-up or tear-down the group.
 * Owner: nothing is kept; what a test that failed had allocated stays.
 * Fails: outside a test an assertion ends the program with exit code 1.
 */
#ifndef CT_GPU_UNIT_H
#define CT_GPU_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNIT static inline __attribute__((unused))

struct CMUnitTest {
    const char *name;
    void (*test_func)(void **state);
    int (*setup_func)(void **state);
    int (*teardown_func)(void **state);
    void *initial_state;
};
#define cmocka_unit_test(f)                                                                                            \
    { #f, f, NULL, NULL, NULL }

static jmp_buf unit_end;     /* of the test that runs */
static bool    unit_running; /* one does */

UNIT __attribute__((format(printf, 1, 2))) void print_error(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
}

UNIT __attribute__((noreturn, format(printf, 3, 4))) void unit_fail(const char *file, int line, const char *format,
                                                                    ...) {
    va_list arguments;
    fprintf(stderr, "[  ERROR   ] --- ");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n[   LINE   ] --- %s:%d: error: Failure!\n", file, line);
    if (!unit_running) exit(1);
    longjmp(unit_end, 1);
}

#define fail_msg(...) unit_fail(__FILE__, __LINE__, __VA_ARGS__)
#define assert_true(c) ((c) ? (void)0 : fail_msg("%s", #c))
#define assert_non_null(p) ((p) ? (void)0 : fail_msg("%s is NULL", #p))
#define assert_int_equal(a, b) unit_equal((long long)(a), (long long)(b), __FILE__, __LINE__)
#define assert_memory_equal(a, b, bytes) unit_memory_equal((a), (b), (bytes), __FILE__, __LINE__)

UNIT void unit_equal(long long a, long long b, const char *file, int line) {
    if (a != b) unit_fail(file, line, "%lld != %lld", a, b);
}
UNIT void unit_memory_equal(const void *a, const void *b, size_t bytes, const char *file, int line) {
    const unsigned char *x = a, *y = b;
    for (size_t i = 0; i < bytes; i++)
        if (x[i] != y[i]) unit_fail(file, line, "byte %zu of %zu is 0x%02x, not 0x%02x", i, bytes, x[i], y[i]);
}

/* Did it pass? */
UNIT bool unit_run(const struct CMUnitTest *test) {
    void *state = test->initial_state;
    unit_running = true;
    if (setjmp(unit_end) == 0)
        test->test_func(&state);
    else /* an assertion has failed */
        unit_running = false;
    const bool passed = unit_running;
    unit_running = false;
    return passed;
}

/* How many failed. */
UNIT int unit_run_tests(const char *group, const struct CMUnitTest *tests, size_t count, int (*setup)(void **state),
                        int (*teardown)(void **state)) {
    void *state = NULL;
    int   failed = 0;
    printf("[==========] %s: Running %zu test(s).\n", group, count);
    if (setup && setup(&state) != 0) unit_fail(__FILE__, __LINE__, "%s: its set-up fails", group);
    for (size_t i = 0; i < count; i++) {
        printf("[ RUN      ] %s\n", tests[i].name);
        fflush(stdout);
        const bool passed = unit_run(&tests[i]);
        printf("%s %s\n", passed ? "[       OK ]" : "[  FAILED  ]", tests[i].name);
        failed += !passed;
    }
    if (teardown && teardown(&state) != 0) unit_fail(__FILE__, __LINE__, "%s: its tear-down fails", group);
    printf("[==========] %s: %zu test(s) run.\n[  PASSED  ] %zu test(s).\n", group, count, count - (size_t)failed);
    return failed;
}
#define cmocka_run_group_tests_name(group, tests, setup, teardown)                                                     \
    unit_run_tests(group, tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)
#define cmocka_run_group_tests(tests, setup, teardown) cmocka_run_group_tests_name(#tests, tests, setup, teardown)

#endif

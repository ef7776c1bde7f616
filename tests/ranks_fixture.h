/* ranks_fixture.h -- for programs whose processes are the ranks of a test, started by tests/mpi.sh.
 *
 * Include after training_fixture.h. Owner: `ranks` is open while tests run. Fails: with the test; then all ranks end.
 */
#ifndef CT_TESTS_RANKS_FIXTURE_H
#define CT_TESTS_RANKS_FIXTURE_H

#include "kernels/comm.h"

static ct_comm *ranks;

/* The same bytes on each rank. */
TRAINING void assert_same_everywhere(const void *bytes, size_t count) {
    char *first = CT_NEW(&arena, char, count);
    assert_non_null(first);
    memcpy(first, bytes, count);
    ok(ct_comm_broadcast(ranks, first, count));
    assert_memory_equal(bytes, first, count);
}

/* Run `tests` among all ranks: main's exit code. */
#define RUN_AMONG_RANKS(tests)                                                                                         \
    ranks_end(ranks_begin() ? cmocka_run_group_tests(tests, training_begin, training_end) : 1)
TRAINING bool ranks_begin(void) {
    if (ct_comm_open(&(ct_dist_choice){.timeout = 60}, &ranks) == CT_OK) return true;
    fprintf(stderr, "%s\n", ct_message());
    return false;
}
TRAINING int ranks_end(int failed) {
    if (!ranks) return 1;
    if (failed) ct_comm_abort(ranks, "a test has failed");
    return ct_comm_close(ranks) == CT_OK ? failed : 1;
}

#endif

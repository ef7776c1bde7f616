/* stopwatch.h -- what the programs here time with: a clock, and the median of a few rounds. Owns nothing; nothing can
 * fail.
 */
#ifndef CT_GPU_STOPWATCH_H
#define CT_GPU_STOPWATCH_H

#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 7 };

static inline double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
/* The rounds are in order of time afterwards. */
static inline double median(double taken[ROUNDS]) {
    qsort(taken, ROUNDS, sizeof *taken, by_size);
    return taken[ROUNDS / 2];
}

#endif

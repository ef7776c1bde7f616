/* timing.c -- see timing.h. */
#include "kernels/timing.h"

#include "core/log.h"

#include <math.h>
#include <stdlib.h>

enum { ROUNDS = 7, FEW_ROUNDS = 3, MOST_CALLS = 1000, REPEATED = 20, REPEATED_LONG = 2 };
static const double LONG = 2e-3, VERY_LONG = 0.25; /* seconds of a call */

typedef struct repeated {
    ct_enqueue call;
    void      *context;
    int        times;
} repeated;

static ct_status repeat(void *context) {
    const repeated *r = context;
    for (int i = 0; i < r->times; i++) CT_TRY(r->call(r->context));
    return CT_OK;
}

static ct_status wait_for(const ct_device *d) {
    return ct_device_apart(d) ? d->wait() : CT_OK;
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Seconds of all of it, waited for. graph NULL: without one. */
static ct_status run_round(const ct_device *d, ct_graph **graph, repeated *r, int launches, double *taken) {
    const double began = ct_seconds();
    for (int i = 0; i < launches; i++) CT_TRY(graph ? ct_device_replay(d, graph, repeat, r) : repeat(r));
    CT_TRY(wait_for(d));
    *taken = ct_seconds() - began;
    return CT_OK;
}

static ct_status run_rounds(const ct_device *d, ct_graph **graph, repeated *r, double round, double once,
                            ct_timing *out) {
    double    taken[ROUNDS] = {0};
    const int rounds = once > VERY_LONG ? FEW_ROUNDS : ROUNDS;
    const int launches = (int)fmin(MOST_CALLS, fmax(1, round / (once * r->times)));
    for (int i = 0; i < rounds; i++) {
        CT_TRY(ct_stop_check());
        CT_TRY(run_round(d, graph, r, launches, &taken[i]));
        taken[i] /= (double)launches * r->times;
    }
    qsort(taken, (size_t)rounds, sizeof *taken, by_size);
    *out = (ct_timing){taken[rounds / 2], taken[0], taken[rounds - 1], (int64_t)rounds * launches * r->times};
    return CT_OK;
}

ct_status ct_time_call(const ct_device *d, double round, bool graph, ct_enqueue call, void *context, ct_timing *out) {
    repeated  r = {call, context, 1};
    ct_graph *recorded = NULL;
    double    once = 0;
    *out = (ct_timing){0};
    for (int i = 0; i < 2; i++) { /* the first may still prepare something */
        CT_TRY(ct_stop_check());
        CT_TRY(run_round(d, NULL, &r, 1, &once));
    }
    once = fmax(once, 1e-9);
    graph = graph && ct_device_apart(d) && d->replay;
    if (graph) r.times = once > LONG ? REPEATED_LONG : REPEATED;
    double    first;
    ct_status status = run_round(d, graph ? &recorded : NULL, &r, 1, &first);
    if (status == CT_OK) status = run_rounds(d, graph ? &recorded : NULL, &r, round, once, out);
    ct_device_forget(d, &recorded);
    return status;
}

/* trace.c -- see trace.h. */
#include "core/trace.h"

#include "core/log.h"

#include <stdlib.h>

static struct {
    bool            on; /* atomic */
    ct_trace_event *at;
    size_t          room, asked; /* the latter atomic: events, with those that there was no room for */
    ct_trace_clock  clock[CT_TRACE_ROWS];
} trace;

ct_status ct_trace_open(size_t events) {
    ct_trace_close();
    trace.at = calloc(events, sizeof *trace.at);
    if (!trace.at) return ct_fail(CT_ENOMEM, "out of memory: %zu events of a trace", events);
    trace.room = events;
    return CT_OK;
}

void ct_trace_close(void) {
    ct_trace_switch(false);
    free(trace.at);
    trace.at = NULL;
    trace.room = trace.asked = 0;
    for (int row = 0; row < CT_TRACE_ROWS; row++) trace.clock[row] = (ct_trace_clock){0};
}

void ct_trace_use(ct_trace_row row, const ct_trace_clock *clock) {
    trace.clock[row] = clock ? *clock : (ct_trace_clock){0};
}

void ct_trace_switch(bool on) {
    __atomic_store_n(&trace.on, on && trace.at, __ATOMIC_RELEASE);
}

bool ct_trace_is_on(void) {
    return __atomic_load_n(&trace.on, __ATOMIC_ACQUIRE);
}

/* By the row's clock; that of the host in nanoseconds. */
static int64_t moment(ct_trace_row row) {
    const ct_trace_clock *c = &trace.clock[row];
    return c->mark ? c->mark(c->context, row) : (int64_t)(ct_seconds() * 1e9);
}

double ct_trace_seconds(ct_trace_row row, int64_t at) {
    const ct_trace_clock *c = &trace.clock[row];
    return c->seconds ? c->seconds(c->context, at) : (double)at * 1e-9;
}

int64_t ct_trace_begin(ct_trace_row row) {
    return ct_trace_is_on() ? moment(row) : 0;
}

void ct_trace_end(int64_t since, const ct_trace_event *event) {
    if (!since) return;
    const int64_t ended = moment(event->row);
    const size_t  place = __atomic_fetch_add(&trace.asked, 1, __ATOMIC_RELAXED);
    if (place >= trace.room || !ended) return;
    trace.at[place] = *event;
    trace.at[place].began = since;
    trace.at[place].ended = ended;
}

size_t ct_trace_events(const ct_trace_event **events, int64_t *dropped) {
    const size_t asked = __atomic_load_n(&trace.asked, __ATOMIC_ACQUIRE),
                 count = asked < trace.room ? asked : trace.room;
    *events = trace.at;
    *dropped = (int64_t)(asked - count);
    return count;
}

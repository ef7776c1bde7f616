/* trace.h -- what ran when, to be looked at: events of one stretch of a run, for chrome://tracing or Perfetto.
 *
 * Whatever takes time says when it began and ended: at few places, which ask one flag where nothing is traced.
 *   const int64_t since = ct_trace_begin(CT_TRACE_HOST);
 *   ...
 *   ct_trace_end(since, &(ct_trace_event){.row = CT_TRACE_HOST, .name = "fill"});
 * Any thread may do so. Events lie in a buffer of fixed size that is there from the beginning; those that it has no
 * room for are counted. A row has the host's clock, or one of its own: that of a device's queue
 * (kernels/queue_clock.h).
 *
 * Owner: the buffer is the process's, from ct_trace_open to ct_trace_close; texts of events are whoever's made them,
 * and stay until then. Fails: opening: CT_ENOMEM.
 */
#ifndef CT_CORE_TRACE_H
#define CT_CORE_TRACE_H

#include "core/status.h"

typedef enum ct_trace_row {
    CT_TRACE_HOST,    /* the training thread: batches, filling, waiting */
    CT_TRACE_COMPUTE, /* ops */
    CT_TRACE_TALK,    /* what ranks say to each other, by the communicator's thread */
    CT_TRACE_LINK,    /* what their devices do */
    CT_TRACE_WRITER,  /* checkpoints */
    CT_TRACE_ROWS
} ct_trace_row;

typedef struct ct_trace_event {
    ct_trace_row row;
    const char  *name, *op, *with; /* op, with (the label of the second of a pair): NULL: none */
    int64_t      layer;            /* counted from 1; 0: none */
    int64_t      number;           /* of a call or step, counted from 1; 0: none */
    double       flops, bytes;     /* 0: not told */
    int64_t      began, ended;     /* set by ct_trace_end */
} ct_trace_event;

typedef struct ct_trace_clock {
    int64_t (*mark)(void *context, ct_trace_row row); /* a moment, 1 ...; 0: it can't be had */
    double (*seconds)(void *context, int64_t mark);   /* when it was, as ct_seconds counts */
    void *context;
} ct_trace_clock;

CT_NODISCARD ct_status ct_trace_open(size_t events);
void                   ct_trace_close(void);
/* From here on a row's times are those of this clock; NULL: the host's. */
void                   ct_trace_use(ct_trace_row row, const ct_trace_clock *clock);
/* On: what begins from now on is traced. Off at first. */
void                   ct_trace_switch(bool on);
bool                   ct_trace_is_on(void);

/* Now; 0: nothing is traced. */
int64_t ct_trace_begin(ct_trace_row row);
/* The event has ended. since 0: nothing. */
void    ct_trace_end(int64_t since, const ct_trace_event *event);

/* What there is, for a thread that knows of none that is about to end an event: how many, of which those with `ended` 0
 * could not be told the time; *dropped: how many more there was no room for. */
size_t ct_trace_events(const ct_trace_event **events, int64_t *dropped);
/* A time of an event of the row, as ct_seconds counts. */
double ct_trace_seconds(ct_trace_row row, int64_t at);

#endif

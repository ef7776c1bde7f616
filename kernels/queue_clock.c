/* queue_clock.c -- see queue_clock.h. */
#include "kernels/queue_clock.h"

#include "core/log.h"

#include <stdlib.h>

ct_status ct_queue_clock_open(const ct_device *d, int64_t moments, ct_queue_clock *out) {
    ct_status status = CT_OK;
    *out = (ct_queue_clock){.device = d};
    if (!ct_device_apart(d)) return CT_OK;
    out->events = calloc((size_t)moments + 1, sizeof(ct_event *));
    if (!out->events) return ct_fail(CT_ENOMEM, "out of memory: %lld moments of a trace", (long long)moments);
    while (status == CT_OK && out->count <= moments) {
        status = d->event_new_timed(&out->events[out->count]);
        if (status == CT_OK) out->count++;
    }
    if (status != CT_OK) ct_queue_clock_close(out);
    return status;
}

static int64_t mark(void *context, ct_trace_row row) {
    ct_queue_clock *c = context;
    const ct_queue  queue = row == CT_TRACE_LINK ? CT_QUEUE_TALK : CT_QUEUE_COMPUTE;
    if (c->used >= c->count || c->device->event_record(c->events[c->used], queue) != CT_OK) return 0;
    return c->used++;
}

static double seconds(void *context, int64_t at) {
    const ct_queue_clock *c = context;
    double                since = 0;
    if (c->device->event_wait(c->events[at]) != CT_OK ||
        c->device->event_seconds(c->events[0], c->events[at], &since) != CT_OK)
        return c->begun;
    return c->begun + since;
}

ct_status ct_queue_clock_start(ct_queue_clock *c) {
    const ct_trace_clock clock = {mark, seconds, c};
    if (!c->events) return CT_OK;
    c->used = 1;
    CT_TRY(c->device->wait());
    CT_TRY(c->device->event_record(c->events[0], CT_QUEUE_COMPUTE));
    CT_TRY(c->device->event_wait(c->events[0]));
    c->begun = ct_seconds();
    ct_trace_use(CT_TRACE_COMPUTE, &clock);
    ct_trace_use(CT_TRACE_LINK, &clock);
    return CT_OK;
}

void ct_queue_clock_close(ct_queue_clock *c) {
    for (int64_t i = 0; i < c->count; i++) c->device->event_free(c->events[i]);
    free(c->events);
    *c = (ct_queue_clock){0};
}

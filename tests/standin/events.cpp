/* events.cpp -- events: a place in a stream that others can wait for. See streams.h. */
#include "streams.h"

#include <algorithm>

static std::vector<cudaEvent_t> events;
static double                   latest; /* time of any event so far */

static cudaError_t unknown(cudaEvent_t event) {
    if (std::find(events.begin(), events.end(), event) != events.end()) return cudaSuccess;
    report_call("handle", "%p is no event", static_cast<void *>(event));
    return fail(cudaErrorInvalidResourceHandle);
}

static cudaError_t create(cudaEvent_t *event, unsigned flags) {
    const unsigned known = cudaEventBlockingSync | cudaEventDisableTiming | cudaEventInterprocess;
    if (!event || flags & ~known) return fail(cudaErrorInvalidValue);
    *event = new CUevent_st{!(flags & cudaEventDisableTiming), false, {}, 0, nullptr, {}, call_site()};
    events.push_back(*event);
    the_counters.events++;
    return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
    ENTER;
    return create(event, flags);
}
cudaError_t cudaEventCreate(cudaEvent_t *event) {
    ENTER;
    return create(event, cudaEventDefault);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    ENTER_ANYWAY;
    if (unknown(event) != cudaSuccess) return cudaErrorInvalidResourceHandle;
    events.erase(std::find(events.begin(), events.end(), event));
    delete event;
    return entered.broken;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    ENTER;
    if (unknown(event) != cudaSuccess) return cudaErrorInvalidResourceHandle;
    cudaStream_t s = stream_of(stream);
    if (!s) return cudaErrorInvalidResourceHandle;
    if (s == the_streams[0] && capture_refuses_default_stream() != cudaSuccess) return cudaErrorStreamCaptureImplicit;
    if (s->capturing && s->capturing->invalid) return fail(cudaErrorStreamCaptureInvalidated);
    event->recorded = true;
    event->capturing = s->capturing;
    event->captured_end = s->captured_end;
    event->end = s->capturing ? std::vector<work_ref>() : stream_end(s);
    event->time = latest;
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
    ENTER;
    if (flags > cudaEventWaitExternal) return fail(cudaErrorInvalidValue);
    if (unknown(event) != cudaSuccess) return cudaErrorInvalidResourceHandle;
    cudaStream_t s = stream_of(stream);
    if (!s) return cudaErrorInvalidResourceHandle;
    if (s->capturing && s->capturing->invalid) return fail(cudaErrorStreamCaptureInvalidated);
    if (s->capturing && event->capturing != s->capturing)
        return capture_invalidate(s->capturing, cudaErrorStreamCaptureIsolation);
    if (event->capturing) {
        if (!event->capturing->graph || s == the_streams[0]) return fail(cudaErrorCapturedEvent);
        if (event->capturing->invalid) return fail(cudaErrorStreamCaptureInvalidated);
        s->capturing = event->capturing; /* which it joins here, if it has not yet */
        s->captured_end.insert(s->captured_end.end(), event->captured_end.begin(), event->captured_end.end());
        std::sort(s->captured_end.begin(), s->captured_end.end());
        s->captured_end.erase(std::unique(s->captured_end.begin(), s->captured_end.end()), s->captured_end.end());
        return cudaSuccess;
    }
    if (s == the_streams[0] && capture_refuses_default_stream() != cudaSuccess) return cudaErrorStreamCaptureImplicit;
    std::vector<work_ref> end;
    for (const std::vector<work_ref> *some : {&s->end, &event->end})
        for (const work_ref &piece : *some)
            if (!piece->known) end.push_back(piece);
    s->end = end;
    return cudaSuccess;
}

/* For those who wait or ask: not while it belongs to a capture. */
static cudaError_t refused(cudaEvent_t event) {
    if (unknown(event) != cudaSuccess) return cudaErrorInvalidResourceHandle;
    if (event->capturing && event->capturing->graph)
        return capture_invalidate(event->capturing, cudaErrorCapturedEvent);
    if (event->capturing) return fail(cudaErrorCapturedEvent);
    return capture_refuses();
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    ENTER;
    the_counters.event_synchronising++;
    cudaError_t error = refused(event);
    if (error != cudaSuccess) return error;
    queue_wait_for(event->end);
    return waited();
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
    ENTER;
    the_counters.queries++;
    cudaError_t error = refused(event);
    if (error != cudaSuccess) return error;
    queue_nudge(event->end);
    if (waited() != cudaSuccess) return waited();
    if (!all_done(event->end)) return fail(cudaErrorNotReady);
    queue_known(event->end);
    return cudaSuccess;
}

static double time_of(cudaEvent_t event) {
    for (const work_ref &piece : event->end) event->time = std::max(event->time, piece->time);
    latest = std::max(latest, event->time);
    return event->time;
}
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end) {
    ENTER;
    for (cudaEvent_t event : {start, end}) {
        if (unknown(event) != cudaSuccess) return cudaErrorInvalidResourceHandle;
        if (event->capturing) return fail(cudaErrorCapturedEvent);
        if (!event->timed || !event->recorded) return fail(cudaErrorInvalidResourceHandle);
    }
    if (!ms) return fail(cudaErrorInvalidValue);
    if (!all_done(start->end) || !all_done(end->end)) return fail(cudaErrorNotReady);
    *ms = (float)(time_of(end) - time_of(start));
    return cudaSuccess;
}

/* ---- afresh */
void events_begin(void) {
    for (cudaEvent_t event : events) delete event;
    events.clear();
    latest = 0;
}
int events_leaks(void) {
    for (cudaEvent_t event : events) report("leak", event->where, "an event was not destroyed");
    return (int)events.size();
}

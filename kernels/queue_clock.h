/* queue_clock.h -- a device's queues as clocks of a trace (core/trace.h): when the queue came to a place, not when the
 * host put it there.
 *
 * Moments are events on the queue; the host's time of one of them is known, from when it waited for it.
 *
 * Owner: the clock, until closed, with all of its events. Fails: opening: what the device says. A moment that the
 * device refuses, or for which no event is left, is 0, and its event is left out of the trace.
 */
#ifndef CT_KERNELS_QUEUE_CLOCK_H
#define CT_KERNELS_QUEUE_CLOCK_H

#include "core/trace.h"
#include "kernels/device.h"

typedef struct ct_queue_clock {
    const ct_device *device;
    ct_event       **events; /* the first is that of `begun` */
    int64_t          count, used;
    double           begun; /* seconds, of the host */
} ct_queue_clock;

/* So many moments. On the CPU: nothing to be done, and nothing to be closed. */
CT_NODISCARD ct_status ct_queue_clock_open(const ct_device *device, int64_t moments, ct_queue_clock *out);
/* From here on the rows of ops and of what devices say have it, for the calling thread alone; waits for all that is
 * queued. */
CT_NODISCARD ct_status ct_queue_clock_start(ct_queue_clock *clock);
/* The device's, so long as that is open. */
void                   ct_queue_clock_close(ct_queue_clock *clock);

#endif

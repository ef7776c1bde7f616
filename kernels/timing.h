/* timing.h -- how long a call on a device takes: it is repeated until a round lasts, and the median of some rounds
 * counts.
 *
 * On a device apart calls are put on the queue, and the clock is read when all of a round are done. As a graph that
 * repeats the call, what it costs the host to launch it is left out, and the device alone is timed; without one a short
 * call takes as long as the host needs for it. The call has been made three times before the first round begins; in a
 * round nothing is allocated.
 *
 * Owner: nothing. Fails: with what the call returns; CT_ESTOP between two rounds once a stop was asked for.
 */
#ifndef CT_KERNELS_TIMING_H
#define CT_KERNELS_TIMING_H

#include "kernels/device.h"

typedef struct ct_timing { /* seconds of a call */
    double  median, least, most;
    int64_t calls; /* that were timed */
} ct_timing;

/* round: seconds that one should last. graph: as one, where the device has them. */
CT_NODISCARD ct_status ct_time_call(const ct_device *device, double round, bool graph, ct_enqueue call, void *context,
                                    ct_timing *out);

#endif

/* flight.h -- the flight record: what a rank did last, left behind when its job fails.
 *
 * The process notes its last collectives, ops and where training was, in rings of fixed size. Where several ranks train
 * into a run folder, ct_flight_open says so; when the job fails, each rank that is still there leaves
 * RUN/flight-RANK.json: the message, the time of day (seconds since 1970), and the last collectives, whose times are
 * seconds relative to that. A job that goes well, or stops because it was asked to, writes nothing.
 *
 * Collectives are noted by the threads of the communicator; the rest is one thread's, which also writes. On a GPU an op
 * was put on the queue, or into the graph that is launched since; what GPUs tell each other is among the ops.
 * Owner: flight.c, for the process; labels and names are kept, not copied: texts that stay. Fails: nothing does. A
 * record that can't be written is left out.
 */
#ifndef CT_KERNELS_FLIGHT_H
#define CT_KERNELS_FLIGHT_H

#include "core/status.h"

enum { CT_FLIGHT_CALLS = 64, CT_FLIGHT_OPS = 32 };

/* ---- notes; cheap, and without effect on anything */
void ct_flight_op(const char *op, int layer, const char *label);
/* doing: "training", "validation" ... */
void ct_flight_at(const char *doing, int64_t step, int64_t micro);
/* Collective `number` (0, 1, 2 ...) was put on the queue; was begun; has ended. */
void ct_flight_call(int64_t number, const char *name, int64_t bytes);
void ct_flight_call_begun(int64_t number);
void ct_flight_call_ended(int64_t number, bool well);

/* ---- the record */
/* Removes what an earlier job left in that folder. */
void      ct_flight_clear(const char *folder);
/* From here on a failure is recorded there. */
void      ct_flight_open(const char *folder, int rank, int size, const char *host);
/* CT_OK and CT_ESTOP: nothing is left in the folder. Another failure: writes the record and names it at the end of the
 * message. Returns the status. */
ct_status ct_flight_close(ct_status status);
/* To be asked all the time by who waits for other ranks. A process that is told to end (SIGTERM: mpirun does so when a
 * rank has died) and that still waits a moment later leaves its record now: it won't be asked again. */
void      ct_flight_waits(void);

#endif

/* bench_peer.h -- our attention beside that of a library that has no line of ours: times, and whether the results are
 * the same.
 *
 * Both compute what the library can: causal, one song, no G, no memory, no dropout, in bf16, forward and backward, over
 * the same random numbers. Ours turns queries and keys as plain RoPE does, by angles of 0: so its time is that of
 * attention with RoPE, and the results can be compared. They may be apart by CT_PEER_APART units of bf16 in the last
 * place of the largest value; a wrong mask, scale or layout differs by most of it. Each way is timed without a graph.
 *
 * Owner: nothing is left. Fails: CT_EFAIL in a sentence where the library is missing or takes no such shape;
 * CT_ENOMEM, CT_EFAIL with the device; CT_ESTOP.
 */
#ifndef CT_TRAIN_BENCH_PEER_H
#define CT_TRAIN_BENCH_PEER_H

#include "kernels/timing.h"

enum { CT_PEER_APART = 8, CT_PEER_WAYS = 2 };

typedef struct ct_peer_shape {
    int64_t batch, tokens, heads, head;
} ct_peer_shape;

typedef struct ct_bench_peer {
    const char   *by; /* "cuDNN 9.14.0" */
    ct_peer_shape shape;
    struct {
        ct_timing ours, theirs;
        double    flops, apart;
    } way[CT_PEER_WAYS]; /* forward, backward */
} ct_bench_peer;

/* Is it there, for such a shape? */
CT_NODISCARD ct_status ct_bench_peer_support(const ct_device *device, const ct_peer_shape *shape, const char **by);
CT_NODISCARD ct_status ct_bench_peer_run(const ct_device *device, const ct_peer_shape *shape, ct_bench_peer *out);
/* Are the results of both ways the same, but for rounding? */
bool                   ct_bench_peer_alike(const ct_bench_peer *peer);

#endif

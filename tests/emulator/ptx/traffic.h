/* traffic.h -- what the loads and stores of warps would cost a GPU: sectors of device memory, passes over the banks of
 * shared memory, each beside the fewest that the same bytes could have cost.
 *
 * The lanes of a warp execute one instruction together on a GPU; here they come one after another. The n-th time that a
 * lane comes to an instruction belongs with the n-th time of the others: so loops that lanes leave at different times
 * are counted as if they stayed together. Caches are not modelled.
 *
 * Owner: counts belong to the kernel (traffic_of) until traffic_begin. One OS thread. Fails: never.
 */
#ifndef CT_PTX_TRAFFIC_H
#define CT_PTX_TRAFFIC_H

#include "program.h"

struct traffic {
    uint64_t requests = 0, sectors = 0, fewest_sectors = 0;      /* of warps to device memory; sectors of 32 bytes */
    uint64_t shared_requests = 0, passes = 0, fewest_passes = 0; /* over 32 banks of 4 bytes */
};

/* From here on requests are counted, anew. */
void traffic_begin(void);
/* One lane's part of a request, in the order in which it comes to instructions. */
void traffic_add(const ptx_function *kernel, const ptx_instruction *i, bool shared, const void *address, size_t bytes);
/* The block that ran is over: what is left of requests that not all lanes took part in. */
void traffic_end_block(void);
traffic traffic_of(const ptx_function *kernel);

#endif

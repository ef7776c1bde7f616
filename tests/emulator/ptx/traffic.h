/* traffic.h -- what warps execute, and what their loads and stores would cost a GPU: sectors of device memory, passes
 * over the banks of shared memory, each beside the fewest that the same bytes could have cost.
 *
 * The lanes of a warp execute one instruction together on a GPU; here they come one after another. The n-th time that a
 * lane comes to an instruction belongs with the n-th time of the others: so loops that lanes leave at different times
 * are counted as if they stayed together. Likewise a warp has executed an instruction as often as the lane that did it
 * most. cp.async is a load of device memory and a store to shared memory; atomics are not counted as requests. Caches
 * are not modelled.
 *
 * Owner: counts belong to the kernel (traffic_of) until traffic_begin. One OS thread. Fails: never.
 */
#ifndef CT_PTX_TRAFFIC_H
#define CT_PTX_TRAFFIC_H

#include "program.h"

struct traffic {
    uint64_t requests = 0, sectors = 0, fewest_sectors = 0;      /* of warps to device memory; sectors of 32 bytes */
    uint64_t shared_requests = 0, passes = 0, fewest_passes = 0; /* over 32 banks of 4 bytes */
    uint64_t instructions = 0, executed[OPCODES] = {0};          /* by warps; branches too; PTX's, not the machine's */
};

/* From here on all is counted, anew. */
void      traffic_begin(void);
/* A thread enters a function: where it counts how often it executes each instruction; NULL: nothing is counted. */
uint32_t *traffic_enter(const ptx_function *kernel, const ptx_function *function);
/* One lane's part of a request, when it executes the instruction for the nth time. */
void      traffic_add(const ptx_instruction *i, uint32_t nth, bool shared, const void *address, size_t bytes);
traffic   traffic_of(const ptx_function *kernel);

#endif

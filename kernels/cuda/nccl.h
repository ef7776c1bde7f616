/* nccl.h -- what NCCL does here, where it is installed: sums and gathers between the GPUs of several ranks.
 *
 * NCCL is optional: libcantus_cuda.so is not linked with it. It is loaded when it is first asked for: the file that
 * CANTUS_NCCL_LIBRARY names, else libnccl.so.2 where the system, or CUDA's toolkit, keeps libraries. Where the program
 * was built without its header (nccl_none.c) it is never there.
 *
 * Nothing here waits for longer than dist.timeout: NCCL is asked not to block, and is polled. One communicator a
 * process, on the current device. Owner: nccl.c's, until closed; the library stays loaded. Fails: CT_EFAIL with call,
 * error and hint; the communicator is then aborted, so that nothing hangs on the device, and all calls fail with that
 * message.
 */
#ifndef CT_CUDA_NCCL_H
#define CT_CUDA_NCCL_H

#include "kernels/comm.h"

struct CUstream_st; /* what CUDA's cudaStream_t points to */

/* Is it there? It needs no GPU for that. *by: "NCCL 2.28.9". */
CT_NODISCARD ct_status ct_cuda_nccl_find(const char **by);
/* Meets the other ranks, which call it too. comm: of two ranks or more, until closed. */
CT_NODISCARD ct_status ct_cuda_nccl_open(ct_comm *comm);
/* Has it met others? */
bool                   ct_cuda_nccl_is_open(void);
/* Put on the stream, which may be captured: kernels/comm.h says what it does to the array. */
CT_NODISCARD ct_status ct_cuda_nccl_put(ct_collective what, const ct_shared *array, struct CUstream_st *stream);
/* For a host that has polled the device for so many seconds in this call: CT_EFAIL when NCCL or the communicator of
 * the host has found that a rank is gone, or the time is over. */
CT_NODISCARD ct_status ct_cuda_nccl_alive(const char *call, double seconds);
/* After all that was put has been waited for, or after a failure. */
void                   ct_cuda_nccl_close(void);

#endif

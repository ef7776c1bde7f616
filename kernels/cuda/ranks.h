/* ranks.h -- the GPUs of several ranks: which one is whose, that no two share one, and that they understand each other.
 *
 * A rank whose driver shows one GPU takes that one; one that sees several takes the GPU with the number of its place on
 * the host. NCCL itself may hang where two ranks share a GPU, or a connection is broken; here that is a message.
 *
 * Nothing is owned. Fails: CT_EFAIL with ranks, host and GPU, on all ranks that the same is true of.
 */
#ifndef CT_CUDA_RANKS_H
#define CT_CUDA_RANKS_H

#include "kernels/device.h"

/* *number: of this rank's GPU, of so many that the driver shows. comm NULL: one rank. */
CT_NODISCARD ct_status ct_cuda_rank_gpu(const ct_comm *comm, int visible, int *number);
/* Has each rank of a host another GPU? bus: the PCI bus id of this rank's. All ranks call it. */
CT_NODISCARD ct_status ct_cuda_ranks_apart(ct_comm *comm, const char *bus);
/* Sums and gathers of small arrays, by the device's queues, and whether they are right. All ranks call it. */
CT_NODISCARD ct_status ct_cuda_ranks_try(const ct_comm *comm, const ct_device *device);

#endif

/* peer.h -- cuDNN's attention with the parameters of our op, for kernels/device.h: to be compared and timed with.
 *
 * The op is attention or attention_backward as sdpa.h says: bf16, causal, one song; of its parameters the shape, the
 * scale and qkv, y, lse, dy, dqkv are read, and all others are left alone.
 *
 * Owner: a peer, with its workspace on the device, is its opener's until closed. Fails: CT_EFAIL in a sentence where
 * there is no cuDNN, or none for this shape; CT_ENOMEM.
 */
#ifndef CT_CUDA_PEER_H
#define CT_CUDA_PEER_H

#include "kernels/device.h"

/* out NULL: only ask. by: the library's name. */
CT_NODISCARD ct_status ct_cuda_peer_open(const ct_device *device, ct_op op, const ct_params *params, ct_peer **out,
                                         const char **by);
/* On the stream that ops go to. */
CT_NODISCARD ct_status ct_cuda_peer_run(void *peer);
void                   ct_cuda_peer_close(ct_peer *peer); /* NULL: nothing */

#endif

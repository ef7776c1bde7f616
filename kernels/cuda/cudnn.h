/* cudnn.h -- what cuDNN does here, where it is installed: logarithms of probabilities, as a second opinion on the loss.
 *
 * cuDNN is optional: libcantus_cuda.so is not linked with it. It is loaded when it is first asked for: the file that
 * CANTUS_CUDNN_LIBRARY names, else libcudnn.so.9 where the system, or CUDA's toolkit, keeps libraries. Where the
 * program was built without its headers (cudnn_none.c) it is never there.
 *
 * One GPU, one handle, one thread a process. Owner: the handle is cudnn.c's until closed; the library stays loaded.
 * Fails: CT_EFAIL in a sentence that says what is missing; CT_EFAIL with call, status and the library's own words.
 */
#ifndef CT_CUDA_CUDNN_H
#define CT_CUDA_CUDNN_H

#include "kernels/ops.h"

struct CUstream_st; /* what CUDA's cudaStream_t points to */

/* Is it there, and does it work with this GPU? */
CT_NODISCARD ct_status ct_cuda_cudnn_open(void);
void                   ct_cuda_cudnn_close(void);
/* "cuDNN 9.19.1"; after it was opened, or for the version of a failure: "cuDNN" */
const char            *ct_cuda_cudnn_name(void);

/* to[rows][vocabulary] = log softmax of each row of logits; on the stream. Both may be the same array. Floats: cuDNN
 * rounds logarithms of bf16 logits to bf16, which is too coarse for a loss. */
CT_NODISCARD ct_status ct_cuda_log_softmax(const float *logits, float *to, int64_t rows, int64_t vocabulary,
                                           struct CUstream_st *stream);

#endif

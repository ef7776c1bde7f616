/* steps.h -- the smallest kernels that show in which order things ran, for tests of the stand-in.
 *
 * Owner: pointers are device memory of the caller. Fails: CT_EFAIL when a launch is refused.
 */
#ifndef CT_STANDIN_STEPS_H
#define CT_STANDIN_STEPS_H

#ifdef __cplusplus
extern "C" {
#endif
#include "core/status.h"

struct CUstream_st;
/* to[i] = factor * from[i] + term; to may be from */
ct_status step_linear(float *to, const float *from, int n, float factor, float term, struct CUstream_st *stream);
/* Writes one number so many behind the end: 0 is in the guard, 2000 in the page behind it, where a kernel faults. */
ct_status step_past_end(float *to, int n, long past, struct CUstream_st *stream);
/* Does nothing, with so many bytes of shared memory. */
ct_status step_shared(size_t bytes, struct CUstream_st *stream);

#ifdef __cplusplus
}
#endif
#endif

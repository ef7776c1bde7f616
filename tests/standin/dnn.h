/* dnn.h -- the double of cuDNN (cudnn.cpp), as a test sees it: handles, tensors of four sizes, softmax forward of
 * floats and bf16. It has no graphs, and so no attention.
 *
 * Statuses and what the library says of them are the real one's, asked of it (test_cudnn_descriptors_real) where it
 * answers without a GPU, else its manual's. What the manual forbids is also a report (emulator.h) of the kind "call".
 *
 * Owner: nothing is handed out. Fails: as the library does; a device that is missing (standin.h) gives no handle.
 */
#ifndef CT_STANDIN_DNN_H
#define CT_STANDIN_DNN_H

#include "standin.h"

#ifdef __cplusplus
extern "C" {
#endif

/* From now on it is of this version (0: of its header), and the softmax numbered `wrong` from here (1: the next, 0:
 * none) gives another result. Counters are 0 again. */
void dnn_begin(size_t version, long wrong);

typedef struct dnn_counters {
    int  handles, tensors; /* there are, whenever they were made */
    long softmaxes;
} dnn_counters;
dnn_counters dnn_count(void);

#ifdef __cplusplus
}
#endif
#endif

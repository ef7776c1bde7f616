/* talks.h -- the double of NCCL (nccl.cpp), as a test sees it: communicators that do not block, and the sums and
 * gathers that kernels/cuda/nccl.c makes, between processes of one machine (hall.h).
 *
 * A call outside of a group, or the end of one, is in progress for a drawn number of questions; only then is it put on
 * its stream, as the library's own thread would at a time of its own. What it puts there sends when the stream gets
 * there, and ends when all others have sent; a call that is another one than theirs never ends. Sums begin with another
 * rank for each stretch of elements, and bf16 is rounded after each addition: the same bits on all ranks, and others
 * than in the order of ranks. What the manual forbids is also a report (emulator.h) of the kind "call".
 *
 * Environment: CANTUS_STANDIN_NCCL: deaf (a rank that dies is not noticed), broken (what comes from rank 1 is wrong).
 * Owner: nothing is handed out. Fails: as the library does: later, by ncclCommGetAsyncError.
 */
#ifndef CT_STANDIN_TALKS_H
#define CT_STANDIN_TALKS_H

#include "standin.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct talk_counters {
    int  communicators; /* there are */
    long in_progress;   /* answers so, since the device is fresh */
    long put, done;     /* on a stream or captured; run */
} talk_counters;
talk_counters talk_count(void);

#ifdef __cplusplus
}
#endif
#endif

/* runtime.h -- what the functions of the doubled runtime share: the lock, the error that a call returns, who called.
 *
 *   cudaError_t cudaX(...) {
 *       ENTER;                            holds the lock; returns the device's error if it has failed
 *       if (wrong) return fail(cudaErrorInvalidValue);
 *       ...
 *       return cudaSuccess;
 *   }
 *
 * Owner: nothing is handed out. Fails: fail() keeps the error for cudaGetLastError.
 */
#ifndef CT_STANDIN_RUNTIME_H
#define CT_STANDIN_RUNTIME_H

#include "queue.h"
#include "standin.h"

#include <cuda_runtime_api.h>

#include <mutex>

extern std::recursive_mutex the_lock;
extern standin_counters     the_counters;

/* A call of the program's, while it lasts. `broken`: why nothing can be done any more. */
struct call {
    std::lock_guard<std::recursive_mutex> held;
    cudaError_t                           broken;
    call(const char *name, const void *return_address);
};
#define ENTER_ANYWAY call entered(__func__, __builtin_return_address(0))
#define ENTER                                                                                                          \
    ENTER_ANYWAY;                                                                                                      \
    if (entered.broken != cudaSuccess) return entered.broken
const char *call_name(void);
site        call_site(void);
/* A report on the call that goes on: "cudaMemcpyAsync: ..." */
void        report_call(const char *kind, const char *format, ...) __attribute__((format(printf, 2, 3)));

cudaError_t fail(cudaError_t error);
/* After a wait: the device's error, if it has failed meanwhile. */
cudaError_t waited(void);
/* Does the fault come here? */
bool        fault_now(standin_fault fault);

/* Each part afresh, and what the program has left of it as reports: how many. */
void device_begin(void);
void kernels_begin(void);
void memory_begin(void);
void streams_begin(void);
void events_begin(void);
void graphs_begin(void);
int  memory_leaks(void);
int  streams_leaks(void);
int  events_leaks(void);
int  graphs_leaks(void);
/* nccl.cpp, where NCCL's header is */
void nccl_begin(void) __attribute__((weak));
int  nccl_leaks(void) __attribute__((weak));

/* device.cpp */
cudaError_t device_missing(void);     /* why there is none; cudaSuccess: there is one */
size_t      device_memory(void);      /* bytes */
size_t      device_shared_most(void); /* of a block, bytes */

/* memory.cpp: is the memory that this touches still there? What is not is reported. */
bool memory_there(const order &what);
/* Is there memory of the device that was not freed? */
bool memory_in_use(void);

#endif

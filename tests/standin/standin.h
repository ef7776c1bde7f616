/* standin.h -- the CUDA runtime where there is no GPU, as a test sees it: a double of NVIDIA's library, behind NVIDIA's
 * own header. Host code is linked with it instead of the library; its kernels run on tests/emulator, on a device that
 * is made up.
 *
 *   standin_begin(7);                            a fresh device; 7 draws the order in which streams run
 *   ... host code: cudaMalloc, cudaMemcpyAsync, kernels, cudaStreamSynchronize ...
 *   assert_int_equal(emulator_report_count(), 0);    what the emulator and the stand-in have to report
 *   assert_int_equal(standin_leaks(), 0);
 *
 * Nothing runs before something waits for it; then streams run in any order that events allow, as far as is needed and
 * some way on. Device memory can't be touched by the host.
 *
 * Environment: CANTUS_STANDIN_SEED (of the order, 1), CANTUS_STANDIN_DEVICES (1; up to 8, of which a process uses one;
 * 0: none; -1: the driver is too old),
 * CANTUS_STANDIN_CAPABILITY (8.0; or 9.0, 10.0, 12.0), CANTUS_STANDIN_MEMORY (bytes of the device, 1 GiB),
 * CANTUS_STANDIN_CHECK=1: when the program ends it prints reports and leaks, and fails where there are some (99).
 *
 * Owner: what cudaMalloc and others gave is the caller's, as with the library; texts of reports belong to the emulator.
 * Fails: as the runtime does, by cudaError_t, late where the runtime is late. What the runtime lets pass, or makes
 * slow, and is wrong is a report (emulator.h). Functions that are not doubled are missing when a program is linked.
 */
#ifndef CT_STANDIN_STANDIN_H
#define CT_STANDIN_STANDIN_H

#include "tests/emulator/emulator.h"

struct CUstream_st; /* what cudaStream_t points to */

#ifdef __cplusplus
extern "C" {
#endif

/* A fresh device: what was queued is dropped, what was allocated and created is gone, counters are 0, no fault is
 * planted, reports are forgotten, and the environment is read again. seed 0: the environment's. */
void standin_begin(uint64_t seed);

/* ---- since the device is fresh */
typedef struct standin_counters {
    long device_allocations, pinned_allocations; /* asked for, also in vain */
    long synchronising;       /* calls that wait for the device, or may: cudaDeviceSynchronize, cudaStreamSynchronize,
                                 cudaMemcpy, cudaMalloc, cudaFree, those of pinned memory, copies of pageable memory */
    long event_synchronising; /* cudaEventSynchronize */
    long queries;             /* cudaStreamQuery, cudaEventQuery */
    long streams, events;     /* created */
    long kernels, copies;     /* put on a stream or captured; a graph's not again with each launch */
    long captures, graph_launches;
} standin_counters;
standin_counters standin_count(void);

/* What is still there that the program allocated or created: each becomes a report of kind "leak"; how many they are.
 */
int standin_leaks(void);

/* ---- faults: the at-th time from now on (1: the next); 0: never */
typedef enum standin_fault {
    STANDIN_NO_DEVICE_MEMORY, /* cudaMalloc returns cudaErrorMemoryAllocation */
    STANDIN_NO_PINNED_MEMORY, /* cudaMallocHost, cudaHostAlloc */
    STANDIN_LAUNCH_REFUSED,   /* a launch returns cudaErrorLaunchOutOfResources */
    STANDIN_LAUNCH_FAILS, /* a kernel fails when it runs: cudaErrorLaunchFailure, of all calls from the next wait on */
    STANDIN_DEVICE_LOST,  /* a call returns cudaErrorECCUncorrectable, and so do all others from then on */
    STANDIN_FAULTS
} standin_fault;
void standin_plant(standin_fault fault, long at);

/* ---- for other doubles */
/* Does an array lie within one allocation of the device? If not, that is reported: "cublasLtMatmul: A ...". */
bool standin_check_device(const void *array, size_t bytes, const char *what);
/* When work runs, before it reads an array and after it has written one: out of bounds and never written are reported.
 */
void standin_reads(const void *array, size_t bytes);
void standin_writes(void *array, size_t bytes);
/* The device fails, with a cudaError_t, which all calls return from the next wait on. */
void standin_device_fails(int error);

#ifdef __cplusplus
}
#include <functional>
/* Runs `work` when the stream gets there, with device memory open; while the stream is captured, at each launch of the
 * graph. What the work needs it copies. False: the stream takes no work now (the next call of cudaGetLastError says
 * why). */
bool standin_enqueue(CUstream_st *stream, const char *what, std::function<void()> work);
#endif
#endif

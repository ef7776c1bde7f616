/* device.c -- a GPU as kernels/device.h wants one, by the CUDA runtime (cuda_runtime_api.h is included here alone).
 *
 * One GPU a process (ranks.h says which), opened once. Ops go to the compute stream, copies of inputs to one beside it,
 * what ranks say to each other to a third; none waits for the default stream. Errors of the device are late: a call
 * tells of something that failed at it or before. With CANTUS_CUDA_SYNC=1 each op is waited for, and the op that failed
 * is named. One rank of several polls where it waits: what it waits for may never come.
 *
 * Owner: streams and the products' workspace are the process's. Fails: as device.h says, with call, error, file and
 * line.
 */
#include "kernels/cuda/device.h"

#include "core/log.h"
#include "core/trace.h"
#include "kernels/cuda/algorithms.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/cudnn.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/linear.h"
#include "kernels/cuda/nccl.h"
#include "kernels/cuda/peer.h"
#include "kernels/cuda/ranks.h"
#include "kernels/flight.h"

#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OLDEST = 80 }; /* compute capability 8.0: bf16 on tensor cores, cp.async */

static cudaStream_t streams[CT_QUEUES];
static ct_device    device;
static void        *workspace; /* of products */
static bool         each;      /* op is waited for: CANTUS_CUDA_SYNC=1 */

static ct_status check(cudaError_t error, const char *call, const char *file, int line) {
    if (error == cudaSuccess) return CT_OK;
    (void)cudaGetLastError(); /* it has been told of */
    const char *what = cudaGetErrorString(error);
    int         name = (int)strcspn(call, "(");
    if (error == cudaErrorMemoryAllocation)
        return ct_fail(CT_ENOMEM,
                       "%.*s: %s (%s:%d; hint: a smaller batch; cantus plan CONFIG gpu= tells what training needs)",
                       name, call, what, file, line);
    return ct_fail(CT_EFAIL, "%.*s: %s, at this call or before it (%s:%d; hint: CANTUS_CUDA_SYNC=1 names the op)", name,
                   call, what, file, line);
}
#define TRY_CUDA(call) CT_TRY(check((call), #call, __FILE__, __LINE__))

/* ---- waiting */
static cudaError_t query_stream(void *stream) {
    return cudaStreamQuery(stream);
}
static cudaError_t query_event(void *event) {
    return cudaEventQuery(event);
}
static ct_status poll_for(cudaError_t (*query)(void *of), void *of, const char *call) {
    const double          since = ct_seconds();
    const struct timespec moment = {.tv_nsec = 20000};
    for (;;) {
        const cudaError_t error = query(of);
        const bool        done = error != cudaErrorNotReady;
        if (done) CT_TRY(check(error, call, __FILE__, __LINE__));
        (void)cudaGetLastError();                                          /* not ready is no error */
        CT_TRY(ct_cuda_nccl_alive(call, done ? 0 : ct_seconds() - since)); /* what was aborted is done, too */
        if (done) return CT_OK;
        nanosleep(&moment, NULL);
    }
}
static ct_status wait_stream(ct_queue queue) {
    if (ct_cuda_nccl_is_open()) return poll_for(query_stream, streams[queue], "cudaStreamQuery");
    TRY_CUDA(cudaStreamSynchronize(streams[queue]));
    return CT_OK;
}

/* ---- memory */
static ct_status device_alloc(size_t bytes, void **out) {
    ct_status status = check(cudaMalloc(out, bytes), "cudaMalloc", __FILE__, __LINE__);
    if (status != CT_OK) return ct_context(status, "%.1f MiB of GPU memory", (double)bytes / (1 << 20));
    TRY_CUDA(cudaMemsetAsync(*out, 0, bytes, streams[CT_QUEUE_COMPUTE]));
    return wait_stream(CT_QUEUE_COMPUTE); /* another stream may write there next */
}
static ct_status alloc_host(size_t bytes, void **out) {
    ct_status status = check(cudaMallocHost(out, bytes), "cudaMallocHost", __FILE__, __LINE__);
    if (status != CT_OK) return ct_context(status, "%.1f MiB of pinned memory", (double)bytes / (1 << 20));
    memset(*out, 0, bytes);
    return CT_OK;
}
/* What fails in giving back has failed before, and been told of. */
static void release(void *memory) {
    (void)cudaFree(memory);
}
static void release_host(void *memory) {
    (void)cudaFreeHost(memory);
}

static ct_status copy(ct_queue queue, void *to, const void *from, size_t bytes) {
    TRY_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, streams[queue]));
    return CT_OK;
}
static ct_status zero(void *to, size_t bytes) {
    TRY_CUDA(cudaMemsetAsync(to, 0, bytes, streams[CT_QUEUE_COMPUTE]));
    return CT_OK;
}

static ct_status wait_all(void) {
    for (int q = 0; q < CT_QUEUES; q++) CT_TRY(wait_stream((ct_queue)q));
    return CT_OK;
}
static ct_status transfer(void *to, const void *from, size_t bytes) {
    CT_TRY(wait_all());
    TRY_CUDA(cudaMemcpy(to, from, bytes, cudaMemcpyDefault));
    TRY_CUDA(cudaStreamSynchronize(NULL)); /* it may return before the bytes have arrived, and our streams don't wait */
    return CT_OK;
}

/* ---- events */
static ct_status event_new(ct_event **out) {
    cudaEvent_t event;
    TRY_CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    *out = (ct_event *)event;
    return CT_OK;
}
static ct_status event_new_timed(ct_event **out) {
    cudaEvent_t event;
    TRY_CUDA(cudaEventCreateWithFlags(&event, cudaEventDefault));
    *out = (ct_event *)event;
    return CT_OK;
}
static ct_status event_seconds(ct_event *from, ct_event *to, double *seconds) {
    float milliseconds;
    TRY_CUDA(cudaEventElapsedTime(&milliseconds, (cudaEvent_t)from, (cudaEvent_t)to));
    *seconds = (double)milliseconds * 1e-3;
    return CT_OK;
}
static void event_free(ct_event *event) {
    (void)cudaEventDestroy((cudaEvent_t)event);
}
static ct_status event_record(ct_event *event, ct_queue queue) {
    TRY_CUDA(cudaEventRecord((cudaEvent_t)event, streams[queue]));
    return CT_OK;
}
static ct_status event_wait(ct_event *event) {
    if (ct_cuda_nccl_is_open()) return poll_for(query_event, event, "cudaEventQuery");
    TRY_CUDA(cudaEventSynchronize((cudaEvent_t)event));
    return CT_OK;
}
static ct_status queue_wait(ct_queue queue, ct_event *event) {
    TRY_CUDA(cudaStreamWaitEvent(streams[queue], (cudaEvent_t)event, 0));
    return CT_OK;
}

/* ---- graphs */
static ct_status record(ct_graph **graph, ct_enqueue enqueue, void *context) {
    cudaStream_t    stream = streams[CT_QUEUE_COMPUTE];
    cudaGraph_t     recorded = NULL;
    cudaGraphExec_t ready;
    TRY_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    ct_status   status = enqueue(context);
    cudaError_t error = cudaStreamEndCapture(stream, &recorded); /* also after a failure: the stream is in use again */
    if (status == CT_OK) status = check(error, "cudaStreamEndCapture", __FILE__, __LINE__);
    if (status == CT_OK)
        status = check(cudaGraphInstantiate(&ready, recorded, 0), "cudaGraphInstantiate", __FILE__, __LINE__);
    if (recorded) (void)cudaGraphDestroy(recorded);
    if (status == CT_OK) *graph = (ct_graph *)ready;
    return status;
}
static ct_status replay(ct_graph **graph, ct_enqueue enqueue, void *context) {
    if (!*graph) CT_TRY(record(graph, enqueue, context));
    TRY_CUDA(cudaGraphLaunch((cudaGraphExec_t)*graph, streams[CT_QUEUE_COMPUTE]));
    return CT_OK;
}
static void graph_free(ct_graph *graph) {
    (void)cudaGraphExecDestroy((cudaGraphExec_t)graph);
}

/* ---- ops */
static ct_status plan(ct_op op, const ct_params *params, ct_op next, const ct_params *next_params) {
    if (next_params && ct_cuda_is_linear_gelu(op, params, next, next_params))
        return ct_cuda_linear_gelu_plan(params, next_params);
    if (next_params && ct_cuda_is_linear_gelu_backward(op, params, next, next_params))
        return ct_cuda_linear_gelu_backward_plan(params, next_params);
    if (op == CT_OP_linear) return ct_cuda_linear_plan(params);
    return op == CT_OP_linear_backward ? ct_cuda_linear_backward_plan(params) : CT_OK;
}

static ct_status log_softmax(const float *logits, float *to, int64_t rows, int64_t vocabulary, const char **by) {
    CT_TRY(ct_cuda_cudnn_open());
    *by = ct_cuda_cudnn_name();
    return ct_cuda_log_softmax(logits, to, rows, vocabulary, streams[CT_QUEUE_COMPUTE]);
}

static ct_status peer_open(ct_op op, const ct_params *params, ct_peer **out, const char **by) {
    return ct_cuda_peer_open(&device, op, params, out, by);
}

/* ---- ranks */
static ct_status collective(ct_collective what, const ct_shared *array) {
    static const char *const names[] = {"all_reduce", "reduce_scatter", "all_gather"};
    const int64_t            since = ct_trace_begin(CT_TRACE_LINK);
    ct_flight_op(names[what], -1, "between GPUs");
    CT_TRY(ct_cuda_nccl_put(what, array, streams[CT_QUEUE_TALK]));
    ct_trace_end(since, &(ct_trace_event){.row = CT_TRACE_LINK,
                                          .name = names[what],
                                          .bytes = (double)array->count * (double)ct_dtype_size(array->dtype)});
    return each ? wait_stream(CT_QUEUE_TALK) : CT_OK;
}

static void close_gpu(void) {
    ct_cuda_nccl_close();
    ct_cuda_gemm_close();
    ct_cuda_cudnn_close();
    ct_cuda_use_stream(NULL);
    if (workspace) (void)cudaFree(workspace);
    workspace = NULL;
    for (int q = 0; q < CT_QUEUES; q++) {
        if (streams[q]) (void)cudaStreamDestroy(streams[q]);
        streams[q] = NULL;
    }
}

static ct_status wait_for_op(void) {
    return wait_stream(CT_QUEUE_COMPUTE);
}

/* ---- opening */
static ct_status find_gpu(const ct_comm *comm, struct cudaDeviceProp *found, int *number) {
    int         count = 0, driver = 0, runtime = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaErrorInsufficientDriver)
        return ct_fail(CT_EFAIL, "no NVIDIA driver that CUDA %d can work with (hint: nvidia-smi tells; device: cpu)",
                       CUDART_VERSION / 1000);
    if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0))
        return ct_fail(CT_EFAIL, "the driver shows no GPU (hint: nvidia-smi, CUDA_VISIBLE_DEVICES; device: cpu)");
    TRY_CUDA(error);
    CT_TRY(ct_cuda_rank_gpu(comm, count, number));
    TRY_CUDA(cudaSetDevice(*number));
    TRY_CUDA(cudaGetDeviceProperties(found, *number));
    TRY_CUDA(cudaDriverGetVersion(&driver));
    TRY_CUDA(cudaRuntimeGetVersion(&runtime));
    snprintf(device.description, sizeof device.description,
             "%.64s, compute capability %d.%d, %.1f GiB; driver for CUDA %d.%d, runtime %d.%d", found->name,
             found->major, found->minor, (double)found->totalGlobalMem / (1 << 30), driver / 1000, driver % 1000 / 10,
             runtime / 1000, runtime % 1000 / 10);
    if (found->major * 10 + found->minor >= OLDEST) return CT_OK;
    return ct_fail(CT_EFAIL, "%s: compute capability 8.0 or later is needed (hint: device: cpu)", device.description);
}

/* Each rank has another, and the description names it. */
static ct_status find_place(ct_comm *comm, int number) {
    char         bus[32];
    const size_t used = strlen(device.description);
    TRY_CUDA(cudaDeviceGetPCIBusId(bus, sizeof bus, number));
    snprintf(device.description + used, sizeof device.description - used, "; GPU %d at %s", number, bus);
    return ct_cuda_ranks_apart(comm, bus);
}

static ct_status meet_others(ct_comm *comm) {
    CT_TRY(ct_cuda_nccl_open(comm));
    device.collective = collective;
    return ct_cuda_ranks_try(comm, &device);
}

static ct_status open_gpu(const ct_device_choice *choice, ct_comm *comm) {
    static char           name[256];
    struct cudaDeviceProp found;
    int                   number = 0;
    CT_TRY(find_gpu(comm, &found, &number));
    if (comm) CT_TRY(find_place(comm, number));
    snprintf(name, sizeof name, "%s", found.name);
    for (int q = 0; q < CT_QUEUES; q++) TRY_CUDA(cudaStreamCreateWithFlags(&streams[q], cudaStreamNonBlocking));
    ct_cuda_use_stream(streams[CT_QUEUE_COMPUTE]);
    if (comm) CT_TRY(meet_others(comm));
    CT_TRY(device_alloc(CT_CUDA_WORKSPACE, &workspace));
    CT_TRY(ct_cuda_gemm_open(&(ct_cuda_gemm_options){.gpu = name,
                                                     .tf32 = choice->precision == CT_PRECISION_TF32,
                                                     .workspace = workspace,
                                                     .bytes = CT_CUDA_WORKSPACE}));
    return ct_cuda_algorithms_open(choice->algorithms);
}

ct_status ct_cuda_device_open(const ct_device_choice *choice, ct_comm *comm, const ct_device **out) {
    const char *sync = getenv("CANTUS_CUDA_SYNC");
    each = sync && !strcmp(sync, "1");
    device = (ct_device){.name = "cuda",
                         .backend = ct_backend_cuda(),
                         .alloc = device_alloc,
                         .alloc_host = alloc_host,
                         .release = release,
                         .release_host = release_host,
                         .copy = copy,
                         .transfer = transfer,
                         .zero = zero,
                         .wait = wait_all,
                         .event_new = event_new,
                         .event_new_timed = event_new_timed,
                         .event_seconds = event_seconds,
                         .event_free = event_free,
                         .event_record = event_record,
                         .event_wait = event_wait,
                         .queue_wait = queue_wait,
                         .peer_open = peer_open,
                         .peer_run = ct_cuda_peer_run,
                         .peer_close = ct_cuda_peer_close,
                         .plan = plan,
                         .planned = ct_cuda_algorithms_planned,
                         .log_softmax = log_softmax,
                         .meets_by = ct_cuda_nccl_find,
                         .replay = each ? NULL : replay, /* nothing can be waited for while it is recorded */
                         .graph_free = graph_free,
                         .close = close_gpu};
    ct_cuda_after_each(each ? wait_for_op : NULL);
    ct_status status = open_gpu(choice, comm);
    if (status == CT_OK)
        *out = &device;
    else
        close_gpu();
    return status;
}

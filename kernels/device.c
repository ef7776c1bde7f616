/* device.c -- see device.h. */
#include "kernels/device.h"

#include "core/trace.h"
#include "kernels/library.h"

#include <string.h>

const ct_device *ct_device_cpu(void) {
    static ct_device cpu = {.name = "cpu"};
    cpu.backend = ct_backend_cpu();
    return &cpu;
}

/* ---- a GPU's library */
typedef ct_status (*ct_opener)(const ct_device_choice *choice, ct_comm *comm, const ct_device **out);

static ct_status open_cuda(const ct_device_choice *choice, ct_comm *comm, const ct_device **out) {
    static const ct_library library = {"CANTUS_CUDA_LIBRARY", "libcantus_cuda.so", "ct_cuda_device_open",
                                       "make CUDA=1 builds it; device: cpu", false};
    ct_opener               open = NULL;
    CT_TRY(ct_library_find(&library, (void *)&open));
    CT_ASSERT(open);
    return open(choice, comm && comm->size > 1 ? comm : NULL, out);
}

ct_status ct_device_open(const ct_device_choice *choice, ct_comm *comm, const ct_device **out) {
    *out = NULL;
    if (choice->kind == CT_ON_CUDA) return ct_context(open_cuda(choice, comm, out), "device cuda");
    if (choice->precision != CT_PRECISION_FP32)
        return ct_fail(CT_EUSAGE, "%s: the CPU computes in fp32 (hint: device: cuda)", ct_config_where("precision"));
    *out = ct_device_cpu();
    return CT_OK;
}

void ct_device_close(const ct_device *d) {
    if (ct_device_apart(d)) d->close();
}

ct_status ct_device_planned(const ct_device *d) {
    return ct_device_apart(d) && d->planned ? d->planned() : CT_OK;
}

/* ---- memory */
ct_status ct_device_copy(const ct_device *d, void *to, const void *from, size_t bytes) {
    if (!bytes) return CT_OK;
    if (!ct_device_apart(d)) {
        memcpy(to, from, bytes);
        return CT_OK;
    }
    return d->transfer(to, from, bytes);
}

ct_status ct_device_enqueue_copy(const ct_device *d, void *to, const void *from, size_t bytes) {
    if (!bytes) return CT_OK;
    if (ct_device_apart(d)) return d->copy(CT_QUEUE_COMPUTE, to, from, bytes);
    memcpy(to, from, bytes);
    return CT_OK;
}

void ct_device_finish(const ct_device *d) {
    if (ct_device_apart(d)) (void)!d->wait();
}

ct_status ct_device_zero(const ct_device *d, void *to, size_t bytes) {
    if (!bytes) return CT_OK;
    if (ct_device_apart(d)) return d->zero(to, bytes);
    memset(to, 0, bytes);
    return CT_OK;
}

ct_status ct_device_replay(const ct_device *d, ct_graph **graph, ct_enqueue enqueue, void *context) {
    if (ct_trace_is_on()) return enqueue(context); /* a graph has no places to take the time at */
    return ct_device_apart(d) && d->replay ? d->replay(graph, enqueue, context) : enqueue(context);
}

void ct_device_forget(const ct_device *d, ct_graph **graph) {
    if (*graph) d->graph_free(*graph);
    *graph = NULL;
}

/* ---- the way in. The copy to the device goes on beside the compute queue; a short one there puts it in its place. */
ct_status ct_inlet_open(const ct_device *d, void *to, void *staged, size_t bytes, ct_inlet *out) {
    *out = (ct_inlet){.device = d, .to = to, .bytes = bytes};
    ct_status status = CT_OK;
    for (int i = 0; i < CT_SLOTS && ct_device_apart(d); i++) {
        if (status == CT_OK) status = d->alloc_host(bytes, &out->host[i]);
        out->staged[i] = (char *)staged + (size_t)i * bytes;
        if (status == CT_OK) status = d->event_new(&out->arrived[i]);
        if (status == CT_OK) status = d->event_new(&out->taken[i]);
    }
    if (status != CT_OK) ct_inlet_close(out);
    return status;
}

void ct_inlet_close(ct_inlet *inlet) {
    const ct_device *d = inlet->device;
    ct_device_finish(d);
    for (int i = 0; i < CT_SLOTS && ct_device_apart(d); i++) {
        if (inlet->host[i]) d->release_host(inlet->host[i]);
        if (inlet->arrived[i]) d->event_free(inlet->arrived[i]);
        if (inlet->taken[i]) d->event_free(inlet->taken[i]);
    }
    *inlet = (ct_inlet){0};
}

ct_status ct_inlet_slot(ct_inlet *inlet, void **slot) {
    const int i = inlet->next;
    *slot = ct_device_apart(inlet->device) ? inlet->host[i] : inlet->to;
    return inlet->used[i] ? inlet->device->event_wait(inlet->arrived[i]) : CT_OK;
}

ct_status ct_inlet_send(ct_inlet *inlet) {
    const ct_device *d = inlet->device;
    const int        i = inlet->next;
    if (!ct_device_apart(d)) return CT_OK;
    if (inlet->used[i]) CT_TRY(d->queue_wait(CT_QUEUE_COPY, inlet->taken[i]));
    CT_TRY(d->copy(CT_QUEUE_COPY, inlet->staged[i], inlet->host[i], inlet->bytes));
    CT_TRY(d->event_record(inlet->arrived[i], CT_QUEUE_COPY));
    inlet->used[i] = true;
    inlet->next = (i + 1) % CT_SLOTS;
    CT_TRY(d->queue_wait(CT_QUEUE_COMPUTE, inlet->arrived[i]));
    CT_TRY(d->copy(CT_QUEUE_COMPUTE, inlet->to, inlet->staged[i], inlet->bytes));
    return d->event_record(inlet->taken[i], CT_QUEUE_COMPUTE);
}

/* ---- the way out */
ct_status ct_outlet_open(const ct_device *d, const void *from, size_t bytes, ct_outlet *out) {
    *out = (ct_outlet){.device = d, .from = from, .bytes = bytes};
    ct_status status = CT_OK;
    for (int i = 0; i < CT_SLOTS && ct_device_apart(d); i++) {
        if (status == CT_OK) status = d->alloc_host(bytes, &out->host[i]);
        if (status == CT_OK) status = d->event_new(&out->arrived[i]);
    }
    if (status != CT_OK) ct_outlet_close(out);
    return status;
}

void ct_outlet_close(ct_outlet *outlet) {
    const ct_device *d = outlet->device;
    ct_device_finish(d);
    for (int i = 0; i < CT_SLOTS && ct_device_apart(d); i++) {
        if (outlet->host[i]) d->release_host(outlet->host[i]);
        if (outlet->arrived[i]) d->event_free(outlet->arrived[i]);
    }
    *outlet = (ct_outlet){0};
}

ct_status ct_outlet_send(ct_outlet *outlet) {
    const ct_device *d = outlet->device;
    const int        i = (int)(outlet->sent++ % CT_SLOTS);
    CT_ASSERT(outlet->sent - outlet->taken <= CT_SLOTS);
    if (!ct_device_apart(d)) return CT_OK;
    CT_TRY(d->copy(CT_QUEUE_COMPUTE, outlet->host[i], outlet->from, outlet->bytes));
    return d->event_record(outlet->arrived[i], CT_QUEUE_COMPUTE);
}

ct_status ct_outlet_take(ct_outlet *outlet, const void **slot) {
    CT_ASSERT(outlet->taken < outlet->sent);
    const int i = (int)(outlet->taken++ % CT_SLOTS);
    *slot = ct_device_apart(outlet->device) ? outlet->host[i] : outlet->from;
    return ct_device_apart(outlet->device) ? outlet->device->event_wait(outlet->arrived[i]) : CT_OK;
}

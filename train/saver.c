/* saver.c -- see saver.h. */
#include "train/saver.h"

#include "core/log.h"
#include "core/trace.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static size_t parameter_bytes(const ct_network *n) {
    return (size_t)n->model->parameter_count * ct_dtype_size(n->model->dtype);
}

/* ---- memory of the copy */
static bool lay(ct_saver *s, ct_arena *arena) {
    bool fine = true;
    ct_snapshot_of(s->network, &(ct_counters){0}, &s->copy);
    if (s->leads) {
        s->copy.model.parameters = ct_arena_alloc(arena, parameter_bytes(s->network), 1);
        fine = s->copy.model.parameters != NULL;
    }
    for (int i = CT_COUNTERS; i < CT_STATE_TENSORS; i++) {
        if (!s->copy.state[i].name) continue;
        s->copy.state[i].data = ct_arena_alloc(arena, s->copy.state[i].bytes, 1);
        fine = fine && s->copy.state[i].data;
    }
    return fine;
}

static ct_status pin(ct_saver *s) {
    const ct_device *d = s->network->device;
    ct_arena         paper = {.paper = true};
    (void)!lay(s, &paper);
    s->arena.cap = paper.used;
    ct_arena_free(&paper);
    CT_TRY(d->alloc_host(s->arena.cap, &s->block));
    s->arena.base = s->block;
    return d->event_new(&s->arrived);
}

static void unpin(ct_saver *s) {
    const ct_device *d = s->block ? s->network->device : NULL;
    if (!d) return;
    ct_device_finish(d);
    if (s->arrived) d->event_free(s->arrived);
    d->release_host(s->block);
    s->arrived = NULL;
    s->block = NULL;
}

/* Who has something that nobody else has? */
static ct_status ask_ranks(ct_saver *s, ct_comm *comm) {
    ct_snapshot own;
    ct_snapshot_of(s->network, &(ct_counters){0}, &own);
    s->writes = !ct_snapshot_is_empty(&own);
    s->ranks = (ct_checkpoint_ranks){
        .rank = comm->rank, .size = comm->size, .timeout = s->place.timeout, .ending = &s->ending};
    s->ranks.parts = CT_NEW(&s->table, bool, (size_t)comm->size);
    if (!s->ranks.parts) return CT_ENOMEM;
    s->place.ranks = &s->ranks;
    return ct_comm_all_gather(comm, &s->writes, sizeof s->writes, s->ranks.parts);
}

ct_status ct_saver_open(const ct_checkpoint_place *place, ct_network *n, bool background, bool paper, ct_saver *out) {
    ct_comm   *comm = n->reducer.o.comm;
    const bool apart = ct_device_apart(n->device);
    *out = (ct_saver){.place = *place, .network = n, .background = background, .arena.paper = paper};
    out->leads = !comm || comm->rank == 0;
    out->writes = true;
    ct_status status = comm && !paper ? ask_ranks(out, comm) : CT_OK;
    out->copies = out->writes && (background || apart);
    if (status == CT_OK && out->copies) {
        if (apart && !paper) status = pin(out);
        if (status == CT_OK && !lay(out, &out->arena)) status = CT_ENOMEM;
    }
    if (status != CT_OK) ct_saver_close(out);
    return status;
}

/* ---- saving */
static void *place(const ct_tensor_entry *e) {
    return (char *)(uintptr_t)e->data;
}

static ct_status copy_state(ct_saver *s) {
    const ct_network *n = s->network;
    const ct_device  *d = n->device;
    if (s->leads)
        CT_TRY(ct_device_enqueue_copy(d, s->copy.model.parameters, n->weights.parameters, parameter_bytes(n)));
    s->copy.counters = s->live.counters;
    for (int i = CT_COUNTERS; s->kind == CT_LAST && i < CT_STATE_TENSORS; i++)
        if (s->live.state[i].name)
            CT_TRY(ct_device_enqueue_copy(ct_snapshot_is_of_device(i) ? d : ct_device_cpu(), place(&s->copy.state[i]),
                                          s->live.state[i].data, s->live.state[i].bytes));
    return s->arrived ? d->event_record(s->arrived, CT_QUEUE_COMPUTE) : CT_OK;
}

static ct_status write_checkpoint(const ct_saver *s, const ct_snapshot *from) {
    const int64_t   since = ct_trace_begin(CT_TRACE_WRITER);
    const ct_status status = ct_checkpoint_write(from, s->kind, &s->place);
    ct_trace_end(since, &(ct_trace_event){.row = CT_TRACE_WRITER, .name = "write checkpoint"});
    return status;
}

static ct_status write_when_it_is_there(ct_saver *s) {
    if (s->arrived) CT_TRY(s->network->device->event_wait(s->arrived));
    return write_checkpoint(s, &s->copy);
}

static void *write_copy(void *saver) {
    ct_saver *s = saver;
    s->status = write_when_it_is_there(s);
    if (s->status != CT_OK) snprintf(s->message, sizeof s->message, "%s", ct_message());
    return NULL;
}

/* A thread that no signal is delivered to. */
static bool start(ct_saver *s) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    s->writing = pthread_create(&s->thread, NULL, write_copy, s) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return s->writing;
}

/* Of several ranks: the first has made the folder before any of them writes. */
static ct_status begin_together(ct_saver *s) {
    ct_comm *comm = s->network->reducer.o.comm;
    if (!comm) return CT_OK;
    CT_TRY(ct_network_gather(s->network));
    if (s->kind != CT_LAST) return CT_OK;
    if (s->leads) CT_TRY(ct_checkpoint_begin(&s->place, s->kind, s->live.counters.step));
    return ct_comm_barrier(comm);
}

ct_status ct_saver_save(ct_saver *s, ct_checkpoint_kind kind, const ct_counters *counters) {
    CT_TRY(ct_saver_wait(s));
    s->kind = kind;
    ct_snapshot_of(s->network, counters, &s->live);
    CT_TRY(begin_together(s));
    if (!s->leads && (kind != CT_LAST || !s->writes)) return CT_OK;
    if (!s->copies) return write_checkpoint(s, &s->live);
    const int64_t since = ct_trace_begin(CT_TRACE_HOST);
    CT_TRY(copy_state(s));
    ct_trace_end(since, &(ct_trace_event){.row = CT_TRACE_HOST, .name = "copy for a checkpoint"});
    return s->background && start(s) ? CT_OK : write_when_it_is_there(s); /* no thread to be had: then here */
}

ct_status ct_saver_wait(ct_saver *s) {
    if (s->writing) pthread_join(s->thread, NULL);
    s->writing = false;
    ct_status status = s->status;
    s->status = CT_OK;
    return status == CT_OK ? CT_OK : ct_fail(status, "%s", s->message);
}

void ct_saver_close(ct_saver *s) {
    __atomic_store_n(&s->ending, true, __ATOMIC_RELAXED);
    if (s->writing) pthread_join(s->thread, NULL);
    if (s->status != CT_OK) ct_warn("%s", s->message); /* the message that stands is of what happened first */
    s->writing = false;
    s->status = CT_OK;
    ct_arena_free(&s->arena);
    ct_arena_free(&s->table);
    unpin(s);
}

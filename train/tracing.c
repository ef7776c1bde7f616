/* tracing.c -- see tracing.h. */
#include "train/tracing.h"

#include "core/json.h"
#include "core/log.h"
#include "core/trace.h"

#include <stdio.h>
#include <string.h>

/* Events beside the ops: of a batch, of the step. */
enum { OF_BATCH = 16, OF_STEP = 256 };

ct_status ct_tracing_open(const ct_train_config *c, const ct_stepper *s, ct_tracing *out) {
    const ct_network *n = &s->network;
    *out = (ct_tracing){.config = c, .stepper = s};
    if (!c->trace) return CT_OK;
    if (c->trace > c->steps)
        return ct_fail(CT_EUSAGE, "%s: step %lld will not be made (hint: train.steps is %lld)",
                       ct_config_where("train.trace"), (long long)c->trace, (long long)c->steps);
    const int64_t ops = (int64_t)(n->forward.count + n->backward.count + n->after.count),
                  sent = n->reducer.count * (c->shard ? 2 : 1) + c->shard, /* summed, and handed round */
        calls =
            c->accumulate * ops + (int64_t)(n->update.count + n->reducer.narrow.count + n->reducer.widen.count) + sent;
    CT_TRY(ct_trace_open((size_t)(calls + sent + OF_BATCH * c->accumulate + OF_STEP)));
    const ct_status status = ct_queue_clock_open(n->device, 2 * calls + OF_STEP, &out->clock);
    if (status != CT_OK) ct_trace_close();
    return status;
}

ct_status ct_tracing_begin(ct_tracing *t) {
    if (!t->config->trace || t->stepper->at.step + 1 != t->config->trace) return CT_OK;
    CT_TRY(ct_queue_clock_start(&t->clock));
    if (t->stepper->comm) CT_TRY(ct_comm_barrier(t->stepper->comm));
    t->on = true;
    t->origin = ct_seconds();
    ct_trace_switch(true);
    return CT_OK;
}

void ct_tracing_close(ct_tracing *t) {
    if (!t->config || !t->config->trace) return;
    ct_trace_close();
    ct_queue_clock_close(&t->clock);
    *t = (ct_tracing){0};
}

/* ---- Chrome's format */
static ct_json *new_event(const char *phase, int process, int row, const char *name, ct_json *arguments) {
    ct_json *o = ct_json_new_object();
    ct_json_set(o, "name", ct_json_new_text(name));
    ct_json_set(o, "ph", ct_json_new_text(phase));
    ct_json_set(o, "pid", ct_json_new_integer(process));
    ct_json_set(o, "tid", ct_json_new_integer(row));
    ct_json_set(o, "args", arguments);
    return o;
}

static void add_name(ct_json *to, const char *what, int process, int row, const char *name) {
    ct_json *arguments = ct_json_new_object();
    ct_json_set(arguments, "name", ct_json_new_text(name));
    ct_json_add(to, new_event("M", process, row, what, arguments));
}

static ct_json *arguments_of(const ct_trace_event *e) {
    ct_json *o = ct_json_new_object();
    if (e->op) ct_json_set(o, "op", ct_json_new_text(e->op));
    if (e->with) ct_json_set(o, "with", ct_json_new_text(e->with));
    if (e->layer) ct_json_set(o, "layer", ct_json_new_integer(e->layer - 1));
    if (e->number) ct_json_set(o, "number", ct_json_new_integer(e->number - 1));
    if (e->flops > 0) ct_json_set(o, "flops", ct_json_new_real(e->flops));
    if (e->bytes > 0) ct_json_set(o, "bytes", ct_json_new_real(e->bytes));
    return o;
}

/* What this rank has, as a list. */
static ct_json *own_events(const ct_tracing *t, int64_t *dropped) {
    static const char *const rows[CT_TRACE_ROWS] = {"training thread", "ops", "communicator", "GPUs' communicator",
                                                    "checkpoint writer"};
    const ct_comm           *comm = t->stepper->comm;
    const int                rank = comm ? comm->rank : 0;
    const ct_trace_event    *events;
    const size_t             count = ct_trace_events(&events, dropped);
    bool                     used[CT_TRACE_ROWS] = {false};
    char                     name[100];
    ct_json                 *list = ct_json_new_array();
    snprintf(name, sizeof name, "rank %d%s%s", rank, comm ? " on " : "", comm ? comm->host : "");
    add_name(list, "process_name", rank, 0, name);
    for (size_t i = 0; i < count; i++) {
        const ct_trace_event *e = &events[i];
        if (!e->ended) continue;
        const double began = ct_trace_seconds(e->row, e->began), ended = ct_trace_seconds(e->row, e->ended);
        ct_json     *o = new_event("X", rank, (int)e->row, e->name, arguments_of(e));
        ct_json_set(o, "ts", ct_json_new_real((began - t->origin) * 1e6));
        ct_json_set(o, "dur", ct_json_new_real((ended - began) * 1e6));
        ct_json_add(list, o);
        used[e->row] = true;
    }
    for (int row = 0; row < CT_TRACE_ROWS; row++)
        if (used[row]) add_name(list, "thread_name", rank, row, rows[row]);
    return list;
}

/* Add what other ranks have to the first one's list. */
static ct_status gather(ct_comm *comm, ct_json *list) {
    ct_arena      arena = {0};
    const bool    told = comm->rank > 0 && comm->rank < CT_TRACED_RANKS;
    const char   *text = told ? ct_json_print(list, 0, &arena) : "";
    ct_comm_part *parts = CT_NEW(&arena, ct_comm_part, (size_t)comm->size);
    ct_status     status = text && parts ? ct_comm_gather_parts(comm, text, strlen(text), &arena, parts)
                                         : ct_fail(CT_ENOMEM, "out of memory");
    for (int rank = 1; rank < comm->size && comm->rank == 0 && status == CT_OK; rank++) {
        ct_json *theirs = NULL;
        if (!parts[rank].bytes) continue;
        status = ct_json_parse(parts[rank].data, parts[rank].bytes, "the trace of another rank", &theirs);
        for (size_t i = 0; status == CT_OK && i < ct_json_count(theirs); i++)
            ct_json_add(list, ct_json_copy(ct_json_at(theirs, i)));
        ct_json_free(theirs);
    }
    ct_arena_free(&arena);
    return status;
}

static ct_status write(const ct_tracing *t, ct_json *list, int64_t dropped) {
    char     path[4200];
    ct_json *root = ct_json_new_object(), *other = ct_json_new_object();
    ct_json_set(other, "step", ct_json_new_integer(t->config->trace));
    ct_json_set(other, "ranks", ct_json_new_integer(t->stepper->comm ? t->stepper->comm->size : 1));
    ct_json_set(other, "device", ct_json_new_text(ct_device_describe(t->stepper->device)));
    ct_json_set(other, "dropped", ct_json_new_integer(dropped));
    ct_json_set(root, "displayTimeUnit", ct_json_new_text("ms"));
    ct_json_set(root, "otherData", other);
    ct_json_set(root, "traceEvents", list);
    snprintf(path, sizeof path, "%s/trace.json", t->config->out);
    CT_TRY(ct_json_write(path, root));
    ct_log("step %lld is traced in %s (chrome://tracing, or ui.perfetto.dev)", (long long)t->config->trace, path);
    return CT_OK;
}

ct_status ct_tracing_end(ct_tracing *t, ct_saver *saver) {
    ct_comm *comm = t->stepper->comm;
    int64_t  dropped;
    if (!t->on) return CT_OK;
    t->on = false;
    const int64_t since = ct_trace_begin(CT_TRACE_HOST);
    CT_TRY(ct_saver_wait(saver));
    ct_trace_end(since, &(ct_trace_event){.row = CT_TRACE_HOST, .name = "wait for the checkpoint"});
    ct_trace_switch(false);
    ct_json  *list = own_events(t, &dropped);
    ct_status status = comm ? gather(comm, list) : CT_OK;
    if (status == CT_OK && (!comm || comm->rank == 0)) return write(t, list, dropped);
    ct_json_free(list);
    return status;
}

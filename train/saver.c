/* saver.c -- see saver.h. */
#include "train/saver.h"

#include "core/log.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

ct_status ct_saver_open(const ct_checkpoint_place *place, const ct_network *n, bool background, bool paper,
                        ct_saver *out) {
    *out = (ct_saver){.place = *place, .network = n, .background = background, .arena.paper = paper};
    out->copies = background || ct_device_apart(n->device);
    if (!out->copies) return CT_OK;
    ct_snapshot_of(n, &(ct_counters){0}, &out->copy);
    out->copy.model.parameters =
        ct_arena_alloc(&out->arena, (size_t)n->model->parameter_count, ct_dtype_size(n->model->dtype));
    bool fine = out->copy.model.parameters != NULL;
    for (int i = CT_COUNTERS; i < CT_STATE_TENSORS; i++) {
        out->copy.state[i].data = ct_arena_alloc(&out->arena, out->copy.state[i].bytes, 1);
        fine = fine && out->copy.state[i].data;
    }
    if (!fine) ct_saver_close(out);
    return fine ? CT_OK : CT_ENOMEM;
}

static ct_status copy_state(ct_saver *s) {
    CT_TRY(ct_weights_fetch(&s->network->weights, s->copy.model.parameters));
    s->copy.counters = s->live.counters;
    for (int i = CT_COUNTERS; s->kind == CT_LAST && i < CT_STATE_TENSORS; i++)
        CT_TRY(ct_network_copy(s->network, (void *)(uintptr_t)s->copy.state[i].data, s->live.state[i].data,
                               s->copy.state[i].bytes));
    return CT_OK;
}

static void *write_copy(void *saver) {
    ct_saver *s = saver;
    s->status = ct_checkpoint_write(&s->copy, s->kind, &s->place);
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

ct_status ct_saver_save(ct_saver *s, ct_checkpoint_kind kind, const ct_counters *counters) {
    CT_TRY(ct_saver_wait(s));
    s->kind = kind;
    ct_snapshot_of(s->network, counters, &s->live);
    if (!s->copies) return ct_checkpoint_write(&s->live, kind, &s->place);
    CT_TRY(copy_state(s));
    return s->background && start(s)
               ? CT_OK
               : ct_checkpoint_write(&s->copy, kind, &s->place); /* no thread to be had: then here */
}

ct_status ct_saver_wait(ct_saver *s) {
    if (s->writing) pthread_join(s->thread, NULL);
    s->writing = false;
    ct_status status = s->status;
    s->status = CT_OK;
    return status == CT_OK ? CT_OK : ct_fail(status, "%s", s->message);
}

void ct_saver_close(ct_saver *s) {
    if (s->writing) pthread_join(s->thread, NULL);
    if (s->status != CT_OK) ct_warn("%s", s->message); /* the message that stands is of what happened first */
    s->writing = false;
    s->status = CT_OK;
    ct_arena_free(&s->arena);
}

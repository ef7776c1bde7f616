/* checkpoint.c -- see checkpoint.h. */
#include "train/checkpoint.h"

#include "core/file.h"
#include "core/log.h"
#include "core/safetensors.h"
#include "models/checkpoints.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ct_status write_state(const ct_network *n, const ct_counters *counters, const char *path) {
    const int64_t P = n->model->parameter_count;
    const size_t  bytes = (size_t)P * ct_dtype_size(n->model->dtype), memory = ct_network_memory_bytes(n);
    const char   *dtype = n->model->dtype == CT_F64 ? "F64" : "F32";
    ct_arena      arena = {0};
    void         *copy = ct_arena_alloc(&arena, memory, 1);
    if (!copy) return CT_ENOMEM;
    ct_network_memory_save(n, copy);
    ct_tensor_entry parts[] = {
        {.name = "moment", .dtype = dtype, .dimensions = 1, .shape = {P}, .data = n->moment, .bytes = bytes},
        {.name = "variance", .dtype = dtype, .dimensions = 1, .shape = {P}, .data = n->variance, .bytes = bytes},
        {.name = "memory", .dtype = "U8", .dimensions = 1, .shape = {(int64_t)memory}, .data = copy, .bytes = memory},
        {.name = "counters",
         .dtype = "U8",
         .dimensions = 1,
         .shape = {sizeof *counters},
         .data = counters,
         .bytes = sizeof *counters},
    };
    ct_status status = ct_safetensors_write(path, parts, CT_COUNT(parts), NULL, 0);
    ct_arena_free(&arena);
    return status;
}

static ct_status write_files(const char *aside, const ct_network *network, const ct_counters *counters, bool state) {
    char    file[3500], number[32];
    ct_pair more = {"step", number};
    snprintf(number, sizeof number, "%lld", (long long)counters->step);
    snprintf(file, sizeof file, "%s/model.safetensors", aside);
    CT_TRY(ct_model_save(network->model, file, &more, 1));
    snprintf(file, sizeof file, "%s/state.safetensors", aside);
    if (state) CT_TRY(write_state(network, counters, file));
    return ct_folder_sync(aside);
}

/* What was begun and can't be finished goes: a full disk would stay full of it. The message stays that of the cause. */
static ct_status give_up(const char *aside, ct_status status) {
    ct_arena arena = {0};
    char    *said = ct_arena_printf(&arena, "%s", ct_message());
    if (ct_folder_remove(aside) != CT_OK) ct_warn("%s", ct_message());
    if (said) status = ct_fail(status, "%s", said);
    ct_arena_free(&arena);
    return status;
}

static ct_status save(const char *run, const char *kind, const ct_network *network, const ct_counters *counters,
                      bool state) {
    char     folder[3200], whole[3400], aside[3420], file[3500];
    ct_arena arena = {0};
    char   **names;
    size_t   count;
    snprintf(folder, sizeof folder, "%s/checkpoints", run);
    snprintf(whole, sizeof whole, "%s/%s-%010lld", folder, kind, (long long)counters->step);
    snprintf(aside, sizeof aside, "%s.tmp", whole);
    if (ct_folder_exists(whole)) return CT_OK; /* this very step is there already */
    if (ct_folder_exists(aside)) CT_TRY(ct_folder_remove(aside));
    CT_TRY(ct_folder_make(aside));
    ct_status written = write_files(aside, network, counters, state);
    if (written == CT_OK && rename(aside, whole) != 0)
        written = ct_fail(CT_EFAIL, "%s: can't rename the finished checkpoint: %s", aside, strerror(errno));
    if (written != CT_OK) return give_up(aside, written);
    CT_TRY(ct_folder_sync(folder));
    ct_status status = ct_checkpoint_list(folder, kind, &arena, &names, &count);
    for (size_t i = 0; status == CT_OK && i < count; i++) {
        snprintf(file, sizeof file, "%s/%s", folder, names[i]);
        if (strcmp(file, whole) != 0) status = ct_folder_remove(file);
    }
    ct_arena_free(&arena);
    return status;
}

ct_status ct_checkpoint_save(const char *run, const ct_network *network, const ct_counters *counters) {
    return save(run, "last", network, counters, true);
}

ct_status ct_checkpoint_save_best(const char *run, const ct_network *network, const ct_counters *counters) {
    return save(run, "best", network, counters, false);
}

static ct_status take(const ct_safetensors *file, const char *path, const char *name, void *to, size_t bytes) {
    const ct_tensor_entry *e = ct_safetensors_find(file, name);
    if (!e || e->bytes != bytes)
        return ct_fail(CT_EFAIL, "%s: %s: %zu bytes expected, %zu found; the run's config or data has changed since",
                       path, name, bytes, e ? e->bytes : 0);
    if (bytes) memcpy(to, e->data, bytes);
    return CT_OK;
}

/* Bytes of a file are not taken for what they should be: indices are made of them. */
static ct_status check_state(const char *path, const ct_network *n, const ct_counters *c) {
    bool            fine = c->step >= 0 && c->update >= 0 && c->micro >= 0 && c->skipped >= 0 && c->waited >= 0;
    const ct_model *m = n->model;
    fine = fine && n->step->ring >= 0 && n->step->ring <= (n->memory ? n->memory - 1 : 0);
    for (int64_t i = 0; fine && i < n->batch * n->memory; i++) {
        const uint16_t *row = n->memory_rows + i * m->column_count;
        for (int k = 0; k < m->column_count; k++) fine = fine && (!m->columns[k].size || row[k] < m->columns[k].size);
    }
    return fine ? CT_OK : ct_fail(CT_EFAIL, "%s: counters or memory hold values that can't be", path);
}

ct_status ct_checkpoint_load(const char *checkpoint, ct_network *n, ct_counters *counters) {
    char     path[4096];
    ct_model model;
    snprintf(path, sizeof path, "%s/model.safetensors", checkpoint);
    CT_TRY(ct_model_load(path, n->model->dtype, &model));
    ct_status status = ct_context(ct_model_copy_weights(&model, n->model), "%s", path);
    ct_model_free(&model);
    CT_TRY(status);
    ct_safetensors file;
    snprintf(path, sizeof path, "%s/state.safetensors", checkpoint);
    CT_TRY(ct_safetensors_open(path, &file));
    const size_t bytes = (size_t)n->model->parameter_count * ct_dtype_size(n->model->dtype),
                 memory = ct_network_memory_bytes(n);
    ct_arena arena = {0};
    void    *copy = ct_arena_alloc(&arena, memory, 1);
    status = copy ? take(&file, path, "moment", n->moment, bytes) : CT_ENOMEM;
    if (status == CT_OK) status = take(&file, path, "variance", n->variance, bytes);
    if (status == CT_OK) status = take(&file, path, "memory", copy, memory);
    if (status == CT_OK) status = take(&file, path, "counters", counters, sizeof *counters);
    if (status == CT_OK) {
        ct_network_memory_load(n, copy);
        status = check_state(path, n, counters);
    }
    ct_arena_free(&arena);
    ct_safetensors_close(&file);
    return status;
}

/* checkpoint.c -- see checkpoint.h. */
#include "train/checkpoint.h"

#include "core/file.h"
#include "core/log.h"
#include "models/checkpoints.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {"last", "best"};
static const char        model_file[] = "model.safetensors", state_file[] = "state.safetensors";

/* Places in a snapshot's state. In this order each tensor is aligned to its numbers, which PyTorch asks for. */
enum { MOMENT = CT_COUNTERS, VARIANCE, MEMORY };

static void state_tensors(const ct_network *n, const ct_counters *counters, ct_tensor_entry out[CT_STATE_TENSORS]) {
    const int64_t P = n->model->parameter_count;
    const size_t  bytes = (size_t)P * ct_dtype_wide_size(n->dtype);
    const char   *dtype = ct_tensor_dtype(n->model->dtype);
    ct_counters_tensors(counters, out);
    out[MOMENT] = (ct_tensor_entry){"moment", dtype, 1, {P}, n->moment, bytes};
    out[VARIANCE] = (ct_tensor_entry){"variance", dtype, 1, {P}, n->variance, bytes};
    ct_network_memory(n, out + MEMORY);
}

void ct_snapshot_of(const ct_network *network, const ct_counters *counters, ct_snapshot *out) {
    out->model = *network->model;
    out->counters = *counters;
    state_tensors(network, &out->counters, out->state);
}

/* The dimension that is of the batch's lines, -1: none. */
static int dimension_of_lines(int tensor) {
    if (tensor == MEMORY + CT_MEMORY_LAYERS) return 1;
    return tensor == MEMORY + CT_MEMORY_SONGS || tensor == MEMORY + CT_MEMORY_ROWS ? 0 : -1;
}

static void widen(const ct_network *n, ct_tensor_entry state[CT_STATE_TENSORS]) {
    for (int i = MEMORY; i < CT_STATE_TENSORS && n->all_lines > n->batch; i++) {
        if (dimension_of_lines(i) < 0) continue;
        state[i].shape[dimension_of_lines(i)] = n->all_lines;
        state[i].bytes = state[i].bytes / (size_t)n->batch * (size_t)n->all_lines;
        state[i].data = NULL;
    }
}

void ct_snapshot_of_all(const ct_network *network, const ct_counters *counters, ct_snapshot *out) {
    ct_snapshot_of(network, counters, out);
    widen(network, out->state);
}

ct_share ct_snapshot_share(const ct_network *n, int tensor, size_t bytes) {
    const int     dimension = dimension_of_lines(tensor);
    const int64_t pieces = dimension == 1 ? n->model->config.layers : 1;
    const size_t  all = bytes / (size_t)pieces, line = dimension < 0 ? 0 : all / (size_t)n->all_lines;
    return dimension < 0 ? (ct_share){1, bytes, bytes, 0}
                         : (ct_share){pieces, all, line * (size_t)n->batch, line * (size_t)n->first_line};
}

bool ct_snapshot_is_of_device(int tensor) {
    return tensor == MOMENT || tensor == VARIANCE || tensor == MEMORY + CT_MEMORY_LAYERS;
}

/* ---- writing */
static ct_status write_files(const char *aside, const ct_snapshot *s, ct_checkpoint_kind kind, const ct_json *facts) {
    char                     file[3500], step[32], format[8];
    const ct_pair            more[] = {{"step", step}, {CT_CHECKPOINT_MARK, format}};
    ct_manifest_file         files[] = {{.name = model_file}, {.name = state_file}};
    static const char *const copied[] = {"dataset_sha256", "config_sha256", "config"};
    snprintf(step, sizeof step, "%lld", (long long)s->counters.step);
    snprintf(format, sizeof format, "%d", CT_CHECKPOINT_FORMAT);
    snprintf(file, sizeof file, "%s/%s", aside, model_file);
    CT_TRY(ct_model_save(&s->model, file, more, CT_COUNT(more), &files[0].digest));
    snprintf(file, sizeof file, "%s/%s", aside, state_file);
    if (kind == CT_LAST)
        CT_TRY(ct_safetensors_write(file, s->state, CT_STATE_TENSORS, more, CT_COUNT(more), &files[1].digest));
    ct_json *manifest = ct_json_new_object();
    ct_json_set(manifest, "format", ct_json_new_integer(CT_CHECKPOINT_FORMAT));
    ct_json_set(manifest, "kind", ct_json_new_text(kind_names[kind]));
    ct_json_set(manifest, "step", ct_json_new_integer(s->counters.step));
    for (size_t i = 0; facts && i < CT_COUNT(copied); i++)
        ct_json_set(manifest, copied[i], ct_json_copy(ct_json_get(facts, copied[i])));
    CT_TRY(ct_manifest_write(aside, manifest, files, kind == CT_LAST ? 2 : 1));
    return ct_folder_sync(aside);
}

/* What was begun and can't be finished goes: a full disk would stay full of it. The message stays that of the cause. */
static ct_status give_up(const char *aside, ct_status status) {
    ct_arena arena = {0};
    char    *said = ct_arena_printf(&arena, "%s", ct_message());
    if (ct_folder_remove(aside) != CT_OK && said)
        ct_fail(status, "%s (and %s)", said, ct_message());
    else if (said)
        ct_fail(status, "%s", said);
    ct_arena_free(&arena);
    return status;
}

/* No part of a checkpoint may pass for one while it is removed. */
static ct_status remove_checkpoint(const char *folder, const char *name) {
    char path[3500], aside[3520];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(aside, sizeof aside, "%s.tmp", path);
    if (ct_folder_exists(aside)) CT_TRY(ct_folder_remove(aside));
    CT_TRY(ct_rename(path, aside));
    return ct_folder_remove(aside);
}

/* Remove what a dead process or an undone future has left: NAME.tmp, NAME.undone. */
static ct_status remove_remains(const char *folder, ct_arena *arena) {
    static const char *const ends[] = {".tmp", ".undone"};
    char                     path[3500], **names;
    size_t                   count;
    CT_TRY(ct_folder_folders(folder, arena, &names, &count));
    for (size_t i = 0; i < count; i++)
        for (size_t e = 0; e < CT_COUNT(ends); e++) {
            size_t n = strlen(names[i]), m = strlen(ends[e]);
            if (n <= m || strcmp(names[i] + n - m, ends[e]) != 0) continue;
            snprintf(path, sizeof path, "%s/%s", folder, names[i]);
            CT_TRY(ct_folder_remove(path));
        }
    return CT_OK;
}

static ct_status remove_old(const char *folder, const ct_checkpoint_place *place, ct_arena *arena) {
    char **last, **best;
    size_t lasts, bests, kept = 0;
    CT_TRY(remove_remains(folder, arena));
    CT_TRY(ct_checkpoint_list(folder, "last", arena, &last, &lasts));
    CT_TRY(ct_checkpoint_list(folder, "best", arena, &best, &bests));
    for (size_t i = 0; i < lasts; i++) {
        int64_t step = ct_checkpoint_step(last[i]);
        if (lasts - i <= (size_t)place->keep || (place->keep_every && step % place->keep_every == 0))
            last[kept++] = last[i];
        else
            CT_TRY(remove_checkpoint(folder, last[i]));
    }
    for (size_t b = 0; b + 1 < bests; b++) { /* the newest stays; others where a kept one comes before the next best */
        int64_t step = ct_checkpoint_step(best[b]), next = ct_checkpoint_step(best[b + 1]);
        bool    known = false;
        for (size_t i = 0; i < kept; i++)
            known |= step < ct_checkpoint_step(last[i]) && ct_checkpoint_step(last[i]) <= next;
        if (!known) CT_TRY(remove_checkpoint(folder, best[b]));
    }
    return CT_OK;
}

ct_status ct_checkpoint_write(const ct_snapshot *s, ct_checkpoint_kind kind, const ct_checkpoint_place *place) {
    char     folder[3200], whole[3400], aside[3420];
    ct_arena arena = {0};
    snprintf(folder, sizeof folder, "%s/checkpoints", place->run);
    snprintf(whole, sizeof whole, "%s/%s-%010lld", folder, kind_names[kind], (long long)s->counters.step);
    snprintf(aside, sizeof aside, "%s.tmp", whole);
    if (ct_folder_exists(aside)) CT_TRY(ct_folder_remove(aside));
    CT_TRY(ct_folder_make(aside));
    ct_status written = write_files(aside, s, kind, place->facts);
    if (written == CT_OK) written = ct_rename(aside, whole);
    if (written != CT_OK) return give_up(aside, written);
    CT_TRY(ct_folder_sync(folder));
    ct_status status = remove_old(folder, place, &arena);
    ct_arena_free(&arena);
    return status;
}

ct_status ct_checkpoint_undo(const char *run, ct_checkpoint_kind kind, int64_t step) {
    char     folder[3200], path[3400], aside[3420];
    ct_arena arena = {0};
    char   **names;
    size_t   count;
    snprintf(folder, sizeof folder, "%s/checkpoints", run);
    if (!ct_folder_exists(folder)) return CT_OK;
    ct_status status = ct_checkpoint_list(folder, kind_names[kind], &arena, &names, &count);
    for (size_t i = 0; status == CT_OK && i < count; i++) {
        if (ct_checkpoint_step(names[i]) < step) continue;
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        snprintf(aside, sizeof aside, "%s.undone", path);
        if (ct_folder_exists(aside)) status = ct_folder_remove(aside);
        if (status == CT_OK) status = ct_rename(path, aside);
    }
    ct_arena_free(&arena);
    return status;
}

/* ---- loading */
/* The tensor that `want` describes. */
static ct_status find(const ct_safetensors *file, const char *path, const ct_tensor_entry *want,
                      const ct_tensor_entry **out) {
    const ct_tensor_entry *e = ct_safetensors_find(file, want->name);
    bool same = e && !strcmp(e->dtype, want->dtype) && e->dimensions == want->dimensions && e->bytes == want->bytes;
    for (int d = 0; same && d < e->dimensions; d++) same = e->shape[d] == want->shape[d];
    *out = e;
    return same ? CT_OK
                : ct_fail(CT_EFAIL, "%s: %s: %zu bytes of %s expected, %zu found; the run's config or data has changed",
                          path, want->name, want->bytes, want->dtype, e ? e->bytes : 0);
}

static ct_status find_bytes(const ct_safetensors *file, const char *path, const char *name, size_t bytes,
                            const char **out) {
    const ct_tensor_entry *found, want = {name, "U8", 1, {(int64_t)bytes}, NULL, bytes};
    CT_TRY(find(file, path, &want, &found));
    *out = found->data;
    return CT_OK;
}

/* Format 1: counters and memory as bytes, one part after the other; they become the tensors of today. */
static ct_status find_format_1(const ct_safetensors *file, const char *path, ct_counters *counters,
                               ct_tensor_entry *state) {
    static const int       order[] = {CT_MEMORY_NEXT, CT_MEMORY_SONGS, CT_MEMORY_ROWS, CT_MEMORY_LAYERS};
    const ct_tensor_entry *found;
    const char            *bytes;
    CT_TRY(find_bytes(file, path, "counters", 8 * CT_COUNTERS_FORMAT_1, &bytes));
    ct_counters_read_format_1(bytes, counters);
    size_t memory = 0;
    for (int p = 0; p < CT_MEMORY_PARTS; p++) memory += state[MEMORY + p].bytes;
    CT_TRY(find_bytes(file, path, "memory", memory, &bytes));
    for (int p = 0; p < CT_MEMORY_PARTS; bytes += state[MEMORY + order[p++]].bytes)
        state[MEMORY + order[p]].data = bytes;
    for (int i = MOMENT; i <= VARIANCE; i++) {
        CT_TRY(find(file, path, &state[i], &found));
        state[i].data = found->data;
    }
    return CT_OK;
}

/* Bytes of a file are not taken for what they should be: indices are made of them. */
static ct_status check_memory(const char *path, const ct_network *n, const ct_tensor_entry *state) {
    const ct_model *m = n->model;
    int64_t         next;
    const char     *row = state[MEMORY + CT_MEMORY_ROWS].data; /* unaligned, perhaps */
    memcpy(&next, state[MEMORY + CT_MEMORY_NEXT].data, sizeof next);
    bool fine = next >= 0 && next <= (n->memory ? n->memory - 1 : 0);
    for (int64_t r = 0; r < n->all_lines * n->memory; r++)
        for (int k = 0; k < m->column_count; k++, row += sizeof(uint16_t)) {
            uint16_t value;
            memcpy(&value, row, sizeof value);
            fine = fine && (!m->columns[k].size || value < m->columns[k].size);
        }
    return fine ? CT_OK : ct_fail(CT_EFAIL, "%s: the memory holds values that can't be", path);
}

/* This network's share of a tensor. */
static ct_status take(const ct_network *n, int tensor, const ct_tensor_entry *from, const void *to) {
    const ct_share share = ct_snapshot_share(n, tensor, from->bytes);
    for (int64_t p = 0; p < share.pieces; p++)
        CT_TRY(ct_network_copy(n, (char *)(uintptr_t)to + (size_t)p * share.own,
                               (const char *)from->data + (size_t)p * share.all + share.at, share.own));
    return CT_OK;
}

static ct_status load_state(const char *path, const ct_model *model, ct_network *n, ct_counters *counters) {
    ct_safetensors  file;
    ct_counters     found = {0};
    ct_tensor_entry state[CT_STATE_TENSORS], to[CT_STATE_TENSORS];
    state_tensors(n, &found, state);
    memcpy(to, state, sizeof to);
    widen(n, state);
    CT_TRY(ct_safetensors_open(path, &file));
    ct_status status = CT_OK;
    if (!ct_safetensors_metadata(&file, CT_CHECKPOINT_MARK, NULL)) {
        ct_log("%s: format 1, not verified", path);
        status = find_format_1(&file, path, &found, state);
    } else {
        for (int i = 0; status == CT_OK && i < CT_STATE_TENSORS; i++) {
            const ct_tensor_entry *e;
            status = find(&file, path, &state[i], &e);
            if (status == CT_OK) state[i].data = e->data;
            if (status == CT_OK && i < CT_COUNTERS) memcpy((void *)(uintptr_t)to[i].data, e->data, e->bytes);
        }
    }
    if (status == CT_OK) status = ct_counters_check(&found, path);
    if (status == CT_OK) status = check_memory(path, n, state);
    if (status == CT_OK) status = ct_model_copy_weights(model, n->model);
    if (status == CT_OK) status = ct_weights_send(&n->weights);
    for (int i = MOMENT; status == CT_OK && i < CT_STATE_TENSORS; i++) status = take(n, i, &state[i], to[i].data);
    const double updates = (double)found.update;
    if (status == CT_OK) status = ct_network_copy(n, n->norm + 2, &updates, sizeof updates);
    if (status == CT_OK) *counters = found;
    ct_safetensors_close(&file);
    return status;
}

ct_status ct_checkpoint_load(const char *checkpoint, ct_network *n, ct_counters *counters) {
    char     path[4096];
    ct_model model;
    snprintf(path, sizeof path, "%s/%s", checkpoint, model_file);
    CT_TRY(ct_model_load(path, n->model->dtype, &model));
    ct_status status = ct_context(ct_model_check_same(&model, n->model), "%s", path);
    snprintf(path, sizeof path, "%s/%s", checkpoint, state_file);
    if (status == CT_OK) status = load_state(path, &model, n, counters);
    ct_model_free(&model);
    return status;
}

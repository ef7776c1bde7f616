/* checkpoint.c -- see checkpoint.h. */
#include "train/checkpoint.h"

#include "core/file.h"
#include "core/log.h"
#include "models/checkpoints.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const kind_names[] = {"last", "best"};
static const char        model_file[] = "model.safetensors";

/* ---- what is saved */
static void of_moments(const ct_network *n, ct_tensor_entry out[CT_STATE_TENSORS]) {
    const size_t bytes = (size_t)n->kept * ct_dtype_wide_size(n->dtype);
    const char  *dtype = ct_tensor_dtype(n->model->dtype);
    out[CT_STATE_MOMENT] = (ct_tensor_entry){"moment", dtype, 1, {n->kept}, n->moment, bytes};
    out[CT_STATE_VARIANCE] = (ct_tensor_entry){"variance", dtype, 1, {n->kept}, n->variance, bytes};
}

/* In this order each tensor is aligned to its numbers, which PyTorch asks for. */
static void state_tensors(const ct_network *n, const ct_snapshot *s, ct_tensor_entry out[CT_STATE_TENSORS]) {
    const ct_comm *comm = n->reducer.o.comm;
    const bool     leads = !comm || comm->rank == 0, sharded = n->reducer.o.shard;
    if (leads) ct_counters_tensors(&s->counters, out);
    if (sharded && (leads || n->kept))
        out[CT_STATE_STRETCHES] =
            (ct_tensor_entry){"stretches", "I64", 2, {n->own_count, 3}, n->own, (size_t)n->own_count * sizeof *n->own};
    if (comm && (leads || n->memory))
        out[CT_STATE_LINES] = (ct_tensor_entry){"lines", "I64", 1, {2}, s->lines, sizeof s->lines};
    if (leads || (sharded && n->kept)) of_moments(n, out);
    if (leads || n->memory) ct_network_memory(n, out + CT_STATE_MEMORY);
    if (!leads) out[CT_STATE_MEMORY + CT_MEMORY_NEXT] = (ct_tensor_entry){.name = NULL};
}

void ct_snapshot_of(const ct_network *network, const ct_counters *counters, ct_snapshot *out) {
    *out = (ct_snapshot){.model = *network->model, .counters = *counters};
    out->lines[0] = network->first_line;
    out->lines[1] = network->batch;
    state_tensors(network, out, out->state);
}

bool ct_snapshot_is_empty(const ct_snapshot *s) {
    for (int i = 0; i < CT_STATE_TENSORS; i++)
        if (s->state[i].name) return false;
    return true;
}

bool ct_snapshot_is_of_device(int tensor) {
    return tensor == CT_STATE_MOMENT || tensor == CT_STATE_VARIANCE || tensor == CT_STATE_MEMORY + CT_MEMORY_LAYERS;
}

/* ---- writing */
typedef struct marks { /* metadata of a file */
    char    step[32], format[8], ranks[16];
    ct_pair pairs[3];
    size_t  count;
} marks;

static void mark(const ct_snapshot *s, const ct_checkpoint_ranks *ranks, marks *out) {
    snprintf(out->step, sizeof out->step, "%lld", (long long)s->counters.step);
    snprintf(out->format, sizeof out->format, "%d", ranks ? CT_CHECKPOINT_OF_RANKS : CT_CHECKPOINT_FORMAT);
    out->pairs[0] = (ct_pair){"step", out->step};
    out->pairs[1] = (ct_pair){CT_CHECKPOINT_MARK, out->format};
    out->count = 2;
    if (!ranks) return;
    snprintf(out->ranks, sizeof out->ranks, "%d", ranks->size);
    out->pairs[out->count++] = (ct_pair){CT_CHECKPOINT_RANKS, out->ranks};
}

void ct_checkpoint_state_file(int rank, char name[CT_STATE_FILE]) {
    snprintf(name, CT_STATE_FILE, rank ? "state-%05d.safetensors" : "state.safetensors", rank);
}

static ct_status write_state(const char *aside, const ct_snapshot *s, int rank, const marks *m, ct_digest *digest) {
    char            file[3500], name[CT_STATE_FILE];
    ct_tensor_entry there[CT_STATE_TENSORS];
    size_t          count = 0;
    for (int i = 0; i < CT_STATE_TENSORS; i++)
        if (s->state[i].name) there[count++] = s->state[i];
    ct_checkpoint_state_file(rank, name);
    snprintf(file, sizeof file, "%s/%s", aside, name);
    return ct_safetensors_write(file, there, count, m->pairs, m->count, digest);
}

/* The note with which another rank says that its file is whole. */
static void note_path(const char *aside, int rank, char *path, size_t room) {
    snprintf(path, room, "%s/state-%05d.json", aside, rank);
}

static ct_status write_part(const char *aside, const ct_snapshot *s, const ct_checkpoint_ranks *ranks) {
    char      path[3500];
    ct_digest digest;
    marks     m;
    mark(s, ranks, &m);
    CT_TRY(write_state(aside, s, ranks->rank, &m, &digest));
    ct_json *note = ct_json_new_object();
    ct_json_set(note, "bytes", ct_json_new_integer((int64_t)digest.bytes));
    ct_json_set(note, "sha256", ct_json_new_text(digest.sha256));
    note_path(aside, ranks->rank, path, sizeof path);
    return ct_json_write(path, note);
}

static ct_status read_note(const char *path, ct_digest *out) {
    ct_arena  arena = {0};
    ct_bytes  bytes;
    ct_json  *note = NULL;
    ct_status status = ct_file_read(path, 4096, &arena, &bytes);
    if (status == CT_OK) status = ct_json_parse((const char *)bytes.at, bytes.count, path, &note);
    if (status == CT_OK) {
        out->bytes = (size_t)ct_json_integer(ct_json_get(note, "bytes"), 0);
        snprintf(out->sha256, sizeof out->sha256, "%s", ct_json_text(ct_json_get(note, "sha256"), ""));
    }
    ct_json_free(note);
    ct_arena_free(&arena);
    if (status == CT_OK && remove(path) != 0) status = ct_fail(CT_EFAIL, "%s: can't be removed", path);
    return status;
}

/* Until a rank's file is whole. */
static ct_status wait_for(const char *path, int rank, const ct_checkpoint_ranks *ranks) {
    const struct timespec pause = {0, 5000000};
    for (const double since = ct_seconds(); !ct_file_exists(path); nanosleep(&pause, NULL)) {
        if (__atomic_load_n(ranks->ending, __ATOMIC_RELAXED))
            return ct_fail(CT_EFAIL, "%s: given up: the run ends, and rank %d has not written its part", path, rank);
        if (ct_seconds() - since > ranks->timeout)
            return ct_fail(CT_EFAIL,
                           "%s: rank %d has not written its part within %g s (dist.timeout; hint: is it dead or "
                           "hung? is train.out on a file system that all ranks share?)",
                           path, rank, ranks->timeout);
    }
    return CT_OK;
}

typedef struct file_list {
    ct_manifest_file *at;
    size_t            count;
} file_list;

static ct_status add_parts(const char *aside, const ct_checkpoint_ranks *ranks, ct_arena *arena, file_list *files) {
    char path[3500];
    for (int rank = 1; rank < ranks->size; rank++) {
        if (!ranks->parts[rank]) continue;
        ct_manifest_file *f = &files->at[files->count++];
        char             *name = ct_arena_alloc(arena, CT_STATE_FILE, 1);
        if (!name) return CT_ENOMEM;
        ct_checkpoint_state_file(rank, name);
        f->name = name;
        note_path(aside, rank, path, sizeof path);
        CT_TRY(wait_for(path, rank, ranks));
        CT_TRY(read_note(path, &f->digest));
    }
    return CT_OK;
}

static ct_status write_manifest(const char *aside, const ct_snapshot *s, ct_checkpoint_kind kind, bool of_ranks,
                                const ct_json *facts, const file_list *files) {
    static const char *const copied[] = {"dataset_sha256", "config_sha256", "config"};
    ct_json                 *manifest = ct_json_new_object();
    ct_json_set(manifest, "format", ct_json_new_integer(of_ranks ? CT_CHECKPOINT_OF_RANKS : CT_CHECKPOINT_FORMAT));
    ct_json_set(manifest, "kind", ct_json_new_text(kind_names[kind]));
    ct_json_set(manifest, "step", ct_json_new_integer(s->counters.step));
    for (size_t i = 0; facts && i < CT_COUNT(copied); i++)
        ct_json_set(manifest, copied[i], ct_json_copy(ct_json_get(facts, copied[i])));
    CT_TRY(ct_manifest_write(aside, manifest, files->at, files->count));
    return ct_folder_sync(aside);
}

static ct_status write_files(const char *aside, const ct_snapshot *s, ct_checkpoint_kind kind,
                             const ct_checkpoint_place *place, ct_arena *arena) {
    const ct_checkpoint_ranks *ranks = kind == CT_LAST ? place->ranks : NULL;
    char                       file[3500];
    marks                      m;
    file_list files = {.at = CT_NEW(arena, ct_manifest_file, (size_t)(ranks ? ranks->size : 1) + 1), .count = 1};
    if (!files.at) return CT_ENOMEM;
    mark(s, ranks, &m);
    files.at[0].name = model_file;
    snprintf(file, sizeof file, "%s/%s", aside, model_file);
    CT_TRY(ct_model_save(&s->model, file, m.pairs, 2, &files.at[0].digest));
    if (kind == CT_LAST) {
        files.at[files.count].name = "state.safetensors";
        CT_TRY(write_state(aside, s, 0, &m, &files.at[files.count++].digest));
    }
    if (ranks) CT_TRY(add_parts(aside, ranks, arena, &files));
    return write_manifest(aside, s, kind, ranks, place->facts, &files);
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

typedef struct places {
    char folder[3200], whole[3400], aside[3420];
} places;

static void name(const ct_checkpoint_place *place, ct_checkpoint_kind kind, int64_t step, places *out) {
    snprintf(out->folder, sizeof out->folder, "%s/checkpoints", place->run);
    snprintf(out->whole, sizeof out->whole, "%s/%s-%010lld", out->folder, kind_names[kind], (long long)step);
    snprintf(out->aside, sizeof out->aside, "%s.tmp", out->whole);
}

ct_status ct_checkpoint_begin(const ct_checkpoint_place *place, ct_checkpoint_kind kind, int64_t step) {
    places n;
    name(place, kind, step, &n);
    if (ct_folder_exists(n.aside)) CT_TRY(ct_folder_remove(n.aside));
    return ct_folder_make(n.aside);
}

static ct_status write_whole(const places *n, const ct_snapshot *s, ct_checkpoint_kind kind,
                             const ct_checkpoint_place *place, ct_arena *arena) {
    ct_status written = write_files(n->aside, s, kind, place, arena);
    if (written == CT_OK) written = ct_rename(n->aside, n->whole);
    if (written != CT_OK) return give_up(n->aside, written);
    CT_TRY(ct_folder_sync(n->folder));
    return remove_old(n->folder, place, arena);
}

ct_status ct_checkpoint_write(const ct_snapshot *s, ct_checkpoint_kind kind, const ct_checkpoint_place *place) {
    places   n;
    ct_arena arena = {0};
    name(place, kind, s->counters.step, &n);
    if (place->ranks && place->ranks->rank > 0) return write_part(n.aside, s, place->ranks);
    if (!place->ranks || kind != CT_LAST) CT_TRY(ct_checkpoint_begin(place, kind, s->counters.step));
    ct_status status = write_whole(&n, s, kind, place, &arena);
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

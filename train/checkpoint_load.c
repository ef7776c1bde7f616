/* checkpoint_load.c -- what a checkpoint's files hold, taken into a network; see checkpoint.h.
 *
 * A file of the state holds stretches of the moments and lines of the memory: all of them, or those of one rank.
 * A network takes the numbers and lines that are its own from whichever files have them. Everything is looked at before
 * anything is taken.
 */
#include "core/log.h"
#include "models/checkpoints.h"
#include "train/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RANKS = 1 << 20 };

typedef struct part { /* a file of the state */
    ct_safetensors  file;
    char            path[3600];
    ct_stretch     *stretches;
    int64_t         stretch_count, first_line, lines;
    ct_tensor_entry moment[2], memory[CT_MEMORY_PARTS]; /* name NULL: it has none */
} part;

typedef struct loading {
    const char *checkpoint;
    ct_network *n;
    ct_arena    arena;
    part       *parts;
    int         count; /* of parts that are open */
    ct_counters counters;
} loading;

/* ---- one file */
/* The tensor that `want` describes. */
static ct_status find(const part *p, const ct_tensor_entry *want, ct_tensor_entry *out) {
    const ct_tensor_entry *e = ct_safetensors_find(&p->file, want->name);
    bool same = e && !strcmp(e->dtype, want->dtype) && e->dimensions == want->dimensions && e->bytes == want->bytes;
    for (int d = 0; same && d < e->dimensions; d++) same = e->shape[d] == want->shape[d];
    if (same) {
        *out = *e;
        return CT_OK;
    }
    return ct_fail(CT_EFAIL, "%s: %s: %zu bytes of %s expected, %zu found; the run's config or data has changed",
                   p->path, want->name, want->bytes, want->dtype, e ? e->bytes : 0);
}

static ct_status find_bytes(const part *p, const char *name, size_t bytes, const char **out) {
    const ct_tensor_entry want = {name, "U8", 1, {(int64_t)bytes}, NULL, bytes};
    ct_tensor_entry       found;
    CT_TRY(find(p, &want, &found));
    *out = found.data;
    return CT_OK;
}

static void want_moments(const ct_network *n, int64_t count, ct_tensor_entry out[2]) {
    const char  *dtype = ct_tensor_dtype(n->model->dtype);
    const size_t bytes = (size_t)count * ct_dtype_wide_size(n->dtype);
    out[0] = (ct_tensor_entry){"moment", dtype, 1, {count}, NULL, bytes};
    out[1] = (ct_tensor_entry){"variance", dtype, 1, {count}, NULL, bytes};
}

/* The dimension of a part of the memory that is of lines, -1: none. */
static int of_lines(int memory) {
    return memory == CT_MEMORY_LAYERS ? 1 : memory == CT_MEMORY_NEXT ? -1 : 0;
}

static void want_memory(const ct_network *n, int64_t lines, ct_tensor_entry out[CT_MEMORY_PARTS]) {
    ct_network_memory(n, out);
    for (int i = 0; i < CT_MEMORY_PARTS; i++) {
        out[i].data = NULL;
        if (of_lines(i) < 0) continue;
        out[i].shape[of_lines(i)] = lines;
        out[i].bytes = out[i].bytes / (size_t)n->batch * (size_t)lines;
    }
}

/* Which numbers its moments are of; none are said: of all. */
static ct_status read_stretches(loading *l, part *p, int64_t *numbers) {
    const int64_t          all = l->n->model->parameter_count;
    const ct_tensor_entry *e = ct_safetensors_find(&p->file, "stretches");
    if (e && (strcmp(e->dtype, "I64") != 0 || e->dimensions != 2 || e->shape[1] != 3))
        return ct_fail(CT_EFAIL, "%s: stretches: a table of three whole numbers expected", p->path);
    p->stretch_count = e ? e->shape[0] : 1;
    p->stretches = CT_NEW(&l->arena, ct_stretch, (size_t)p->stretch_count + 1);
    if (!p->stretches) return CT_ENOMEM;
    *numbers = all;
    p->stretches[0] = (ct_stretch){0, all, 0};
    if (!e) return CT_OK;
    memcpy(p->stretches, e->data, e->bytes);
    *numbers = 0;
    for (int64_t i = 0; i < p->stretch_count; i++) {
        const ct_stretch *s = &p->stretches[i];
        if (s->first < 0 || s->count < 0 || s->count > all || s->first > all - s->count || s->kept != *numbers)
            return ct_fail(CT_EFAIL, "%s: stretches: %lld numbers from %lld on, at %lld, can't be", p->path,
                           (long long)s->count, (long long)s->first, (long long)s->kept);
        *numbers += s->count;
    }
    return CT_OK;
}

static ct_status read_lines(const loading *l, part *p) {
    const ct_tensor_entry *e = ct_safetensors_find(&p->file, "lines");
    int64_t                lines[2] = {0, l->n->all_lines};
    if (e && e->bytes == sizeof lines) memcpy(lines, e->data, sizeof lines);
    p->first_line = lines[0];
    p->lines = lines[1];
    if (lines[0] >= 0 && lines[1] > 0 && lines[1] <= l->n->all_lines && lines[0] <= l->n->all_lines - lines[1])
        return CT_OK;
    return ct_fail(CT_EFAIL, "%s: lines: %lld from %lld on, of a batch of %lld", p->path, (long long)lines[1],
                   (long long)lines[0], (long long)l->n->all_lines);
}

/* Bytes of a file are not taken for what they should be: indices are made of them. */
static ct_status check_rows(const part *p, const ct_network *n) {
    const ct_model *m = n->model;
    const char     *row = p->memory[CT_MEMORY_ROWS].data; /* unaligned, perhaps */
    bool            fine = true;
    for (int64_t r = 0; r < p->lines * n->memory; r++)
        for (int k = 0; k < m->column_count; k++, row += sizeof(uint16_t)) {
            uint16_t value;
            memcpy(&value, row, sizeof value);
            fine = fine && (!m->columns[k].size || value < m->columns[k].size);
        }
    return fine ? CT_OK : ct_fail(CT_EFAIL, "%s: the memory holds values that can't be", p->path);
}

static ct_status find_memory(const loading *l, part *p, bool first) {
    ct_tensor_entry want[CT_MEMORY_PARTS];
    want_memory(l->n, p->lines, want);
    for (int i = 0; i < CT_MEMORY_PARTS; i++)
        if (first || (of_lines(i) >= 0 && l->n->memory)) CT_TRY(find(p, &want[i], &p->memory[i]));
    return check_rows(p, l->n);
}

static ct_status find_moments(loading *l, part *p, bool first) {
    ct_tensor_entry want[2];
    int64_t         numbers = 0;
    CT_TRY(read_stretches(l, p, &numbers));
    if (!first && !ct_safetensors_find(&p->file, "moment")) {
        p->stretch_count = 0;
        return CT_OK;
    }
    want_moments(l->n, numbers, want);
    for (int i = 0; i < 2; i++) CT_TRY(find(p, &want[i], &p->moment[i]));
    return CT_OK;
}

/* ---- the first file */
static ct_status read_counters(loading *l) {
    const part     *p = &l->parts[0];
    ct_tensor_entry want[CT_COUNTERS], found = {0};
    ct_counters_tensors(&l->counters, want);
    for (int i = 0; i < CT_COUNTERS; i++) {
        CT_TRY(find(p, &want[i], &found));
        if (found.data) memcpy((void *)(uintptr_t)want[i].data, found.data, found.bytes);
    }
    return CT_OK;
}

/* Format 1: counters and memory as bytes, one part after the other; they become the tensors of today. */
static ct_status find_format_1(loading *l) {
    static const int order[] = {CT_MEMORY_NEXT, CT_MEMORY_SONGS, CT_MEMORY_ROWS, CT_MEMORY_LAYERS};
    part            *p = &l->parts[0];
    const char      *bytes;
    size_t           memory = 0;
    ct_log("%s: format 1, not verified", p->path);
    CT_TRY(find_bytes(p, "counters", 8 * CT_COUNTERS_FORMAT_1, &bytes));
    ct_counters_read_format_1(bytes, &l->counters);
    p->lines = l->n->all_lines;
    want_memory(l->n, p->lines, p->memory);
    for (int i = 0; i < CT_MEMORY_PARTS; i++) memory += p->memory[i].bytes;
    CT_TRY(find_bytes(p, "memory", memory, &bytes));
    for (int i = 0; i < CT_MEMORY_PARTS; bytes += p->memory[order[i++]].bytes) p->memory[order[i]].data = bytes;
    CT_TRY(check_rows(p, l->n));
    return find_moments(l, p, true);
}

static ct_status check_next(const loading *l) {
    int64_t next;
    memcpy(&next, l->parts[0].memory[CT_MEMORY_NEXT].data, sizeof next);
    if (next >= 0 && next <= (l->n->memory ? l->n->memory - 1 : 0)) return CT_OK;
    return ct_fail(CT_EFAIL, "%s: the memory holds values that can't be", l->parts[0].path);
}

/* ---- all of them */
static ct_status open_part(loading *l, int rank, bool *there) {
    part *p = &l->parts[l->count];
    char  file[CT_STATE_FILE];
    ct_checkpoint_state_file(rank, file);
    snprintf(p->path, sizeof p->path, "%s/%s", l->checkpoint, file);
    *there = rank == 0 || ct_file_exists(p->path);
    if (!*there) return CT_OK;
    CT_TRY(ct_safetensors_open(p->path, &p->file));
    l->count++;
    return CT_OK;
}

static ct_status open_first(loading *l, int *ranks) {
    bool there;
    l->parts = CT_NEW(&l->arena, part, 1);
    if (!l->parts) return CT_ENOMEM;
    CT_TRY(open_part(l, 0, &there));
    const long long said = strtoll(ct_safetensors_metadata(&l->parts[0].file, CT_CHECKPOINT_RANKS, "1"), NULL, 10);
    if (said < 1 || said > MOST_RANKS)
        return ct_fail(CT_EFAIL, "%s: of %lld ranks, which can't be", l->parts[0].path, said);
    *ranks = (int)said;
    part *all = CT_NEW(&l->arena, part, (size_t)*ranks);
    if (!all) return CT_ENOMEM;
    all[0] = l->parts[0];
    l->parts = all;
    return CT_OK;
}

static ct_status look_at(loading *l, part *p, bool first) {
    CT_TRY(read_lines(l, p));
    CT_TRY(find_moments(l, p, first));
    return find_memory(l, p, first);
}

static ct_status open_all(loading *l) {
    int ranks;
    CT_TRY(open_first(l, &ranks));
    if (!ct_safetensors_metadata(&l->parts[0].file, CT_CHECKPOINT_MARK, NULL)) return find_format_1(l);
    CT_TRY(read_counters(l));
    CT_TRY(look_at(l, &l->parts[0], true));
    for (int rank = 1; rank < ranks; rank++) {
        bool there;
        CT_TRY(open_part(l, rank, &there));
        if (there) CT_TRY(look_at(l, &l->parts[l->count - 1], false));
    }
    return CT_OK;
}

/* ---- taking what is this network's; dry: only count */
static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}
static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static ct_status take_stretch(const ct_network *n, const part *p, const ct_stretch *from, const ct_stretch *to,
                              bool dry, int64_t *taken) {
    const size_t  size = ct_dtype_wide_size(n->dtype);
    const int64_t first = larger(from->first, to->first),
                  end = smaller(from->first + from->count, to->first + to->count);
    void *const own[2] = {n->moment, n->variance};
    if (end <= first) return CT_OK;
    *taken += end - first;
    for (int i = 0; i < 2 && !dry; i++)
        CT_TRY(ct_network_copy(n, (char *)own[i] + (size_t)(to->kept + first - to->first) * size,
                               (const char *)p->moment[i].data + (size_t)(from->kept + first - from->first) * size,
                               (size_t)(end - first) * size));
    return CT_OK;
}

static ct_status take_moments(const loading *l, bool dry, int64_t *taken) {
    for (const part *p = l->parts; p < l->parts + l->count; p++)
        for (int64_t i = 0; i < p->stretch_count; i++)
            for (int k = 0; k < l->n->own_count; k++)
                CT_TRY(take_stretch(l->n, p, &p->stretches[i], &l->n->own[k], dry, taken));
    return CT_OK;
}

/* Lines [first, first + count) of the batch, of one part of the memory. */
static ct_status take_tensor(const ct_network *n, const part *p, int memory, int64_t first, int64_t count) {
    ct_tensor_entry own[CT_MEMORY_PARTS];
    ct_network_memory(n, own);
    const int64_t pieces = memory == CT_MEMORY_LAYERS ? n->model->config.layers : 1;
    const size_t  line = own[memory].bytes / (size_t)(pieces * n->batch);
    for (int64_t i = 0; i < pieces; i++)
        CT_TRY(ct_network_copy(
            n, (char *)(uintptr_t)own[memory].data + (size_t)(i * n->batch + first - n->first_line) * line,
            (const char *)p->memory[memory].data + (size_t)(i * p->lines + first - p->first_line) * line,
            (size_t)count * line));
    return CT_OK;
}

static ct_status take_lines(const loading *l, bool dry, int64_t *taken) {
    const ct_network *n = l->n;
    for (const part *p = l->parts; p < l->parts + l->count; p++) {
        const int64_t first = larger(p->first_line, n->first_line),
                      end = smaller(p->first_line + p->lines, n->first_line + n->batch);
        if (end <= first) continue;
        *taken += end - first;
        for (int i = 0; i < CT_MEMORY_PARTS && !dry; i++)
            if (of_lines(i) >= 0) CT_TRY(take_tensor(n, p, i, first, end - first));
    }
    return CT_OK;
}

/* Do the files hold all that is this network's? */
static ct_status check_whole(const loading *l) {
    const ct_network *n = l->n;
    int64_t           numbers = 0, lines = 0;
    CT_TRY(take_moments(l, true, &numbers));
    CT_TRY(take_lines(l, true, &lines));
    if (numbers != n->kept)
        return ct_fail(CT_EFAIL, "%s: its files hold moments of %lld of %lld numbers", l->checkpoint,
                       (long long)numbers, (long long)n->kept);
    if (n->memory && lines != n->batch)
        return ct_fail(CT_EFAIL, "%s: its files hold %lld of %lld lines of the memory", l->checkpoint, (long long)lines,
                       (long long)n->batch);
    return CT_OK;
}

static ct_status take(const loading *l, const ct_model *model, ct_counters *counters) {
    ct_network  *n = l->n;
    const double updates = (double)l->counters.update;
    int64_t      ignored = 0;
    CT_TRY(ct_model_copy_weights(model, n->model));
    CT_TRY(ct_weights_send(&n->weights));
    CT_TRY(take_moments(l, false, &ignored));
    if (n->memory) CT_TRY(take_lines(l, false, &ignored));
    memcpy(&n->step->ring, l->parts[0].memory[CT_MEMORY_NEXT].data, sizeof n->step->ring);
    CT_TRY(ct_network_copy(n, n->norm + 2, &updates, sizeof updates));
    *counters = l->counters;
    return CT_OK;
}

static ct_status load_state(const char *checkpoint, const ct_model *model, ct_network *n, ct_counters *counters) {
    loading   l = {.checkpoint = checkpoint, .n = n};
    ct_status status = open_all(&l);
    if (status == CT_OK) status = ct_counters_check(&l.counters, l.parts[0].path);
    if (status == CT_OK) status = check_next(&l);
    if (status == CT_OK) status = check_whole(&l);
    if (status == CT_OK) status = take(&l, model, counters);
    for (int i = 0; i < l.count; i++) ct_safetensors_close(&l.parts[i].file);
    ct_arena_free(&l.arena);
    return status;
}

ct_status ct_checkpoint_load(const char *checkpoint, ct_network *n, ct_counters *counters) {
    char     path[4096];
    ct_model model;
    snprintf(path, sizeof path, "%s/model.safetensors", checkpoint);
    CT_TRY(ct_model_load(path, n->model->dtype, &model));
    ct_status status = ct_context(ct_model_check_same(&model, n->model), "%s", path);
    if (status == CT_OK) status = load_state(checkpoint, &model, n, counters);
    ct_model_free(&model);
    return status;
}

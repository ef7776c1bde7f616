/* held_out.c -- see held_out.h. */
#include "models/held_out.h"

#include "core/log.h"

#include <string.h>

typedef struct ct_reader { /* which song and row a line of the batch reads next */
    int64_t song, row;     /* index into the split's songs, -1: none left */
} ct_reader;

static double loss_at(const ct_network *n, int64_t i) {
    return n->model->dtype == CT_F64 ? ((const double *)n->loss)[i] : (double)((const float *)n->loss)[i];
}

static ct_kind_loss *kind_of(ct_validation *v, const char *token) {
    size_t length = strcspn(token, "_");
    if (length >= sizeof v->kinds[0].name) length = sizeof v->kinds[0].name - 1;
    for (int k = 0; k < v->kind_count; k++)
        if (strlen(v->kinds[k].name) == length && !strncmp(v->kinds[k].name, token, length)) return &v->kinds[k];
    ct_kind_loss *kind = &v->kinds[v->kind_count < CT_KINDS_MOST ? v->kind_count++ : CT_KINDS_MOST - 1];
    memcpy(kind->name, token, length);
    kind->name[length] = 0;
    return kind;
}

static void add(const ct_network *n, const ct_batch *b, ct_validation *v) {
    for (int64_t line = 0; line < b->batch; line++)
        for (int64_t t = 0; t < b->tokens; t++) {
            int64_t i = line * b->tokens + t;
            int32_t target = b->target[i];
            if (target < 0) continue;
            double        nats = loss_at(n, line * n->tokens + t);
            ct_kind_loss *kind = kind_of(v, n->model->vocabulary[target]);
            kind->sum += nats, kind->count++;
            v->all += nats, v->targets++;
            if (!b->open[i]) continue;
            kind->open_sum += nats, kind->open_count++;
            v->open += nats, v->open_targets++;
        }
}

/* Lay the next window of a line. Streams take songs one after the other; without memory a window holds one song. */
static void lay(const ct_network *n, const ct_dataset *d, int stage, const int64_t *songs, int64_t count, int64_t *next,
                ct_reader *r, int64_t line, ct_batch *b) {
    const int64_t T = b->tokens;
    ct_batch_clear(b, line);
    for (int64_t at = 0; at < T;) {
        if (r->song < 0) {
            if (*next == count) return;
            *r = (ct_reader){(*next)++, 0};
        }
        int64_t rows = d->songs[songs[r->song]].rows[stage], left = rows - r->row, laid = left < T - at ? left : T - at;
        if (rows < 2) { /* nothing to predict in it */
            r->song = -1;
            continue;
        }
        ct_batch_lay(b, d, stage, songs[r->song], r->row, laid, line, at, (int32_t)r->song);
        if (n->memory) {
            r->row += laid;
            at += laid;
            if (r->row == rows) r->song = -1;
            continue;
        }
        int64_t known = r->row ? T - T / 2 : 0; /* targets that the window before has counted */
        for (int64_t t = 0; t < known && t < laid; t++) b->target[line * T + t] = -1;
        if (r->row + laid == rows)
            r->song = -1;
        else
            r->row += T / 2;
        return;
    }
}

static ct_status read_all(ct_network *n, const ct_dataset *d, int stage, const int64_t *songs, int64_t count,
                          ct_reader *readers, ct_batch *b, ct_validation *v) {
    int64_t     next = 0;
    ct_progress progress;
    ct_progress_begin(&progress, "validating", count);
    for (;;) {
        int64_t targets = 0;
        for (int64_t line = 0; line < b->batch; line++) lay(n, d, stage, songs, count, &next, &readers[line], line, b);
        for (int64_t i = 0; i < b->batch * b->tokens; i++) targets += b->song[i] >= 0;
        if (!targets) break;
        CT_TRY(ct_network_fill(n, b));
        CT_TRY(ct_network_forward(n));
        CT_TRY(ct_network_remember(n));
        add(n, b, v);
        ct_progress_at(&progress, next, "");
    }
    ct_progress_end(&progress);
    return CT_OK;
}

ct_status ct_validate(ct_network *n, const ct_dataset *d, int stage, ct_split split, int64_t most, ct_validation *out) {
    ct_arena   arena = {0};
    int64_t   *songs, count;
    ct_batch   batch;
    ct_step    step = *n->step;
    size_t     bytes = ct_network_memory_bytes(n);
    void      *memory = ct_arena_alloc(&arena, bytes, 1);
    ct_reader *readers = CT_NEW(&arena, ct_reader, (size_t)n->batch);
    ct_status  status = memory && readers ? ct_dataset_split(d, split, &arena, &songs, &count) : CT_ENOMEM;
    *out = (ct_validation){0};
    if (status == CT_OK) status = ct_batch_make(&arena, n->batch, n->tokens, n->model->column_count, &batch);
    if (status == CT_OK) {
        for (int64_t i = 0; i < n->batch; i++) readers[i].song = -1;
        ct_network_memory_save(n, memory);
        ct_network_forget(n);
        n->step->train = false;
        if (most && count > most) count = most;
        status = read_all(n, d, stage, songs, count, readers, &batch, out);
        *n->step = step;
        ct_network_memory_load(n, memory);
    }
    ct_arena_free(&arena);
    if (out->targets) out->all /= (double)out->targets;
    if (out->open_targets) out->open /= (double)out->open_targets;
    return status;
}

/* held_out.c -- see held_out.h. */
#include "models/held_out.h"

#include "core/log.h"

#include <math.h>
#include <string.h>

typedef struct ct_reader { /* which song and row a line of the batch reads next */
    int64_t song, row;     /* index into the split's songs, -1: none left */
} ct_reader;

typedef struct ct_place { /* one row of logits, and the log of their summed exponentials */
    const void *logits;
    bool        wide;
    double      log_sum;
} ct_place;

static double logit(const ct_place *p, int token) {
    return p->wide ? ((const double *)p->logits)[token] : (double)((const float *)p->logits)[token];
}

static double log_p(const void *context, int token) {
    return logit(context, token) - ((const ct_place *)context)->log_sum;
}

/* ---- a second opinion */
/* Two losses of the same logits. Each sums V exponentials in float, in an order of its own: wrong by V 2^-24 of the sum
 * at most; rounds them by 2^-23 each, and the logits' difference, the logarithm and the result by 2^-24 of the loss. */
static bool alike(double loss, double other, int64_t vocabulary) {
    const double allowed = 0x1p-23 * (double)vocabulary + 0x1p-21 * (1 + fabs(other));
    return loss == other || fabs(loss - other) <= allowed || (isnan(loss) && isnan(other));
}

static double given_log_p(const void *context, int token) {
    return (double)((const float *)context)[token];
}

static ct_status add_by_other(ct_network *n, const ct_batch *b, ct_scores *scores) {
    const int64_t V = n->model->vocabulary_size;
    const float  *log_p_of_all, *loss;
    CT_TRY(ct_network_see_log_p(n, &log_p_of_all, &loss));
    for (int64_t line = 0; line < b->batch; line++)
        for (int64_t t = 0; t < b->tokens; t++) {
            const int64_t i = line * b->tokens + t, row = line * n->tokens + t;
            const int32_t target = b->target[i];
            if (target < 0) continue;
            const float *of_row = log_p_of_all + row * V;
            const double own = (double)loss[row], other = -(double)of_row[target];
            if (!alike(own, other, V))
                return ct_fail(CT_EFAIL,
                               "the loss of a token is %.9g by %s and %.9g by the %s backend: more than rounding "
                               "(hint: please report it)",
                               other, scores->by, own, n->device->name);
            scores->apart = fmax(scores->apart, fabs(own - other));
            ct_scores_add(scores, b->song[i], target, b->open[i], given_log_p, of_row);
        }
    return CT_OK;
}

/* Its name; NULL: there is none, or it was not asked for. */
static const char *second_opinion(const ct_held_out *what, const ct_network *n) {
    const char *by = NULL;
    if (!what->second || !ct_device_apart(n->device)) return NULL;
    return n->device->log_softmax(NULL, NULL, 0, 0, &by) == CT_OK ? by : NULL;
}

static ct_status add(ct_network *n, const ct_batch *b, ct_scores *scores) {
    const int64_t V = n->model->vocabulary_size;
    const bool    wide = n->model->dtype == CT_F64;
    const void   *logits, *loss;
    CT_TRY(ct_network_see(n, &logits, &loss));
    for (int64_t line = 0; line < b->batch; line++)
        for (int64_t t = 0; t < b->tokens; t++) {
            int64_t i = line * b->tokens + t, row = line * n->tokens + t;
            int32_t target = b->target[i];
            if (target < 0) continue;
            ct_place place = {.logits = (const char *)logits + (size_t)(row * V) * ct_dtype_size(n->model->dtype),
                              .wide = wide};
            double   of_row = wide ? ((const double *)loss)[row] : (double)((const float *)loss)[row];
            place.log_sum = of_row + logit(&place, target);
            ct_scores_add(scores, b->song[i], target, b->open[i], log_p, &place);
        }
    return CT_OK;
}

/* Lay the next window of a line. Streams take songs one after the other; without memory a window holds one song. */
static void lay(const ct_network *n, const ct_dataset *d, int stage, const int64_t *songs, int64_t count, int64_t *next,
                ct_reader *r, int64_t line, ct_batch *b) {
    const int64_t T = b->tokens;
    ct_batch_clear(b, line);
    for (int64_t at = 0; at < T;) {
        if (r->song < 0) {
            if (*next >= count) return;
            *r = (ct_reader){*next, 0};
            *next += n->reducer.o.comm ? n->reducer.o.comm->size : 1;
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

static ct_status read_all(ct_network *n, const ct_held_out *what, const int64_t *songs, int64_t count,
                          ct_reader *readers, ct_batch *b, ct_scores *scores) {
    const ct_column *columns = what->dataset->stage[what->stage].columns;
    ct_comm         *comm = n->reducer.o.comm;
    int64_t          next = comm ? comm->rank : 0;
    ct_progress      progress;
    ct_progress_begin(&progress, "validating", count);
    for (;;) {
        if (!comm) CT_TRY(ct_stop_check());
        int64_t rows = 0;
        for (int64_t line = 0; line < b->batch; line++) {
            lay(n, what->dataset, what->stage, songs, count, &next, &readers[line], line, b);
            for (int group = 1; group < CT_GROUP_COUNT; group++)
                if (what->unknown >> group & 1) ct_batch_hide(b, columns, group, line);
        }
        for (int64_t i = 0; i < b->batch * b->tokens; i++) rows += b->song[i] >= 0;
        if (!rows) break;
        CT_TRY(ct_network_fill(n, b));
        CT_TRY(ct_network_forward(n));
        CT_TRY(ct_network_remember(n));
        CT_TRY((scores->by ? add_by_other : add)(n, b, scores));
        ct_progress_at(&progress, next, "");
    }
    ct_progress_end(&progress);
    return comm
               ? ct_comm_reduce(comm, CT_REDUCE_SUM, (double *)(void *)scores->at, 2 * scores->songs * scores->measures)
               : CT_OK;
}

ct_status ct_held_out_songs(const ct_held_out *what, ct_arena *arena, int64_t **songs, int64_t *count) {
    CT_TRY(ct_dataset_split(what->dataset, what->split, arena, songs, count));
    if (what->songs && *count > what->songs) *count = what->songs;
    return CT_OK;
}

ct_status ct_held_out_network(const ct_held_out *what, ct_network *n, ct_arena *arena, ct_scores *out) {
    ct_arena   own = {0};
    int64_t   *songs, count;
    ct_batch   batch;
    ct_step    step = *n->step;
    size_t     bytes = ct_network_memory_bytes(n);
    void      *memory = ct_arena_alloc(&own, bytes, 1);
    ct_reader *readers = CT_NEW(&own, ct_reader, (size_t)n->batch);
    ct_status  status = memory && readers ? ct_held_out_songs(what, &own, &songs, &count) : CT_ENOMEM;
    if (status == CT_OK) status = ct_batch_make(&own, n->batch, n->tokens, n->model->column_count, &batch);
    if (status == CT_OK)
        status =
            ct_scores_make((const char *const *)n->model->vocabulary, n->model->vocabulary_size, count, arena, out);
    if (status == CT_OK) out->by = second_opinion(what, n);
    if (status == CT_OK) status = ct_network_memory_save(n, memory);
    if (status == CT_OK) {
        for (int64_t i = 0; i < n->batch; i++) readers[i].song = -1;
        status = ct_network_forget(n);
        n->step->train = false;
        if (status == CT_OK) status = read_all(n, what, songs, count, readers, &batch, out);
        *n->step = step;
        ct_status restored = ct_network_memory_load(n, memory);
        if (status == CT_OK) status = restored;
    }
    ct_arena_free(&own);
    return status;
}

/* compose.c -- see compose.h. */
#include "infer/compose.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Tokens a piece has room for, besides those of a primer. A bar rarely takes more than a third of this; a piece that
 * runs out of room is ended plainly (frugal below), which the grammar always can. One of open length ends with the
 * section after which another might not fit. */
enum { ROOM_PER_BAR = 72, ROOM_ENDS = 96, ROOM_OPEN = 4096, ROOM_SECTION = CT_SECTION_BARS_MAX * ROOM_PER_BAR };

typedef union ct_state {
    ct_backbone_state backbone;
    ct_melody_state   melody;
} ct_state;

static ct_status check_native(const ct_model *m, int stage) {
    if (m->config.stage == stage && m->native) return CT_OK;
    return ct_fail(CT_EFAIL,
                   "models.%s: this is no %s model of this program's own tokens; it can't be sampled under the grammar",
                   ct_stage_names[stage], ct_stage_names[stage]);
}

ct_status ct_composer_make(const ct_composer_options *o, ct_composer *out) {
    *out = (ct_composer){
        .model = {o->model[0], o->model[1]}, .sampling = {o->sampling[0], o->sampling[1]}, .batch = o->batch};
    ct_arena                *a = &out->arena;
    ct_status                status = CT_OK;
    size_t                   n = (size_t)o->batch, vocabulary = CT_M_COUNT; /* the larger of the two */
    int64_t                  room = (o->bars ? (int64_t)o->bars * ROOM_PER_BAR + ROOM_ENDS : ROOM_OPEN) + o->given;
    const ct_decoder_options decoder = {
        .batch = o->batch, .capacity = room, .bf16 = o->bf16, .check = o->check, .device = o->device};
    for (int s = o->model[CT_BACKBONE] ? 0 : CT_MELODY; s < CT_STAGES && status == CT_OK; s++) {
        status = check_native(out->model[s], s);
        if (status == CT_OK) status = ct_decoder_make(out->model[s], &decoder, &out->decoder[s]);
    }
    out->active = CT_NEW(a, bool, n);
    out->allowed = CT_NEW(a, uint8_t, n * vocabulary);
    out->seed = CT_NEW(a, uint64_t, n);
    out->position = CT_NEW(a, int64_t, n);
    out->token = CT_NEW(a, int32_t, n);
    out->logprob = CT_NEW(a, double, n);
    out->weight = CT_NEW(a, double, n *vocabulary);
    out->order = CT_NEW(a, int32_t, n * vocabulary);
    out->rows = CT_NEW(a, uint16_t, n * (size_t)room * CT_COLUMNS_MAX);
    if (status == CT_OK && !(out->active && out->allowed && out->seed && out->position && out->token && out->logprob &&
                             out->weight && out->order && out->rows))
        status = CT_ENOMEM;
    if (status != CT_OK) ct_composer_free(out);
    return status;
}

void ct_composer_free(ct_composer *composer) {
    for (int s = 0; s < CT_STAGES; s++) ct_decoder_free(&composer->decoder[s]);
    ct_arena_free(&composer->arena);
    *composer = (ct_composer){0};
}

static void keep_only(uint8_t *allowed, int count, const int *ranges, size_t range_count) {
    uint8_t kept[CT_M_COUNT] = {0};
    bool    any = false;
    for (size_t r = 0; r < range_count; r += 2)
        for (int t = ranges[r]; t < ranges[r + 1]; t++) any |= kept[t] = allowed[t];
    if (any) memcpy(allowed, kept, (size_t)count);
}

/* With little room left, allow only what leads to the end: no new chords, changes or notes. */
static void frugal(int stage, const ct_state *s, int64_t room, uint8_t *allowed) {
    static const int backbone[] = {CT_B_EOS, CT_B_BAR + 1, CT_B_RHYTHM, CT_B_POS};
    if (stage == CT_BACKBONE) {
        const ct_backbone_state *b = &s->backbone;
        int64_t                  left = (b->total ? b->total - b->bar - 1 : b->section_left) + 1;
        if (room < left * 10 + ROOM_ENDS / 2) keep_only(allowed, CT_B_COUNT, backbone, CT_COUNT(backbone));
        if (!b->total && room < ROOM_SECTION && allowed[CT_B_EOS]) keep_only(allowed, CT_B_COUNT, backbone, 2);
    } else {
        int64_t left = s->melody.piece->bar_count - s->melody.bars_done + 1;
        int     rest = CT_M_COUNT; /* the longest that may come: to the bar line */
        while (rest > CT_M_REST && !allowed[rest - 1]) rest--;
        if (room < left * 2 + ROOM_ENDS / 2 && rest > CT_M_REST)
            keep_only(allowed, CT_M_COUNT, (const int[]){rest - 1, rest}, 2);
    }
}

static void fill_allowed(ct_composer *c, int stage, const ct_state *s, const ct_guide *guide, int64_t line) {
    const ct_decoder *d = &c->decoder[stage];
    int               size = stage == CT_BACKBONE ? CT_B_COUNT : CT_M_COUNT;
    uint8_t          *allowed = c->allowed + line * size;
    int64_t           written = d->length[line];
    if (stage == CT_BACKBONE) {
        ct_backbone_allowed(&s->backbone, allowed);
        ct_guide_backbone(guide, &s->backbone, written, allowed);
    } else {
        ct_melody_allowed(&s->melody, allowed);
        ct_guide_melody(guide, &s->melody, written, allowed);
    }
    frugal(stage, s, d->capacity - written, allowed);
}

static ct_status sample(ct_composer *c, int stage) {
    const ct_sampling *how = &c->sampling[stage];
    const ct_model    *m = c->model[stage];
    ct_params          p = {.sample = {.dtype = m->dtype,
                                       .batch = c->batch,
                                       .vocabulary = m->vocabulary_size,
                                       .top_k = how->top_k,
                                       .temperature = how->temperature,
                                       .top_p = how->top_p,
                                       .logits = c->decoder[stage].logits,
                                       .allowed = c->allowed,
                                       .seed = c->seed,
                                       .position = c->position,
                                       .token = c->token,
                                       .logprob = c->logprob,
                                       .weight = c->weight,
                                       .order = c->order}};
    return ct_op_run(ct_backend_cpu(), CT_OP_sample, &p); /* logits and masks are the host's */
}

static void hide(const ct_model *m, unsigned groups, uint16_t *row) {
    for (int k = 0; groups && k < m->column_count; k++)
        if (groups >> m->columns[k].group & 1) row[k] = (uint16_t)(m->columns[k].size - 1);
}

/* Write the tokens of one stage for all lines; the rows of line i are rows[i], until the next stage is written. */
static ct_status write_stage(ct_composer *c, int stage, const ct_request *requests, ct_state *states, int64_t count,
                             ct_rows *rows) {
    ct_decoder *d = &c->decoder[stage];
    const int   columns = c->model[stage]->column_count, end = stage == CT_BACKBONE ? CT_B_EOS : CT_M_EOS;
    int64_t     running = count;
    for (int64_t i = 0; i < c->batch; i++) {
        ct_decoder_begin(d, i);
        c->active[i] = i < count;
        c->token[i] = stage == CT_BACKBONE ? CT_B_BOS : CT_M_BOS; /* given, not sampled */
        if (i >= count) continue;
        ct_philox x = ct_philox_at(requests[i].seed, (uint64_t)stage, 0);
        c->seed[i] = (uint64_t)x.word[0] << 32 | x.word[1];
        rows[i] = (ct_rows){.at = c->rows + i * d->capacity * columns, .columns = columns};
    }
    while (running > 0) {
        CT_TRY(ct_stop_check());
        for (int64_t i = 0; i < count; i++) {
            if (!c->active[i]) continue;
            uint16_t *row = rows[i].at + rows[i].count++ * columns;
            if (stage == CT_BACKBONE) {
                CT_TRY(ct_backbone_push(&states[i].backbone, c->token[i]));
                ct_backbone_row(&states[i].backbone, c->token[i], true, row);
            } else {
                CT_TRY(ct_melody_push(&states[i].melody, c->token[i]));
                ct_melody_row(&states[i].melody, c->token[i], true, row);
                hide(c->model[stage], requests[i].unknown, row);
            }
            memcpy(d->now.rows + i * columns, row, (size_t)columns * sizeof *row);
            c->tokens++;
            if (c->token[i] == end) {
                c->active[i] = false;
                running--;
            }
        }
        if (c->progress) {
            char detail[64];
            snprintf(detail, sizeof detail, "%s, %lld tokens", stage == CT_BACKBONE ? "backbones" : "melodies",
                     (long long)c->tokens);
            ct_progress_at(c->progress, c->pieces, detail);
        }
        if (!running) break;
        CT_TRY(ct_decoder_step(d, c->active));
        for (int64_t i = 0; i < c->batch; i++) {
            c->position[i] = c->active[i] ? d->length[i] : -1;
            if (c->active[i]) fill_allowed(c, stage, &states[i], &requests[i].guide, i);
        }
        CT_TRY(sample(c, stage));
    }
    return CT_OK;
}

/* The whole number of beats a minute that lies in a bin, if one does, else its centre. */
static double plain_tempo(double tempo) {
    double whole = floor(tempo + 0.5);
    return ct_tempo_bin(whole) == ct_tempo_bin(tempo) ? whole : tempo;
}

/* The sheet as a piece of its own: bars change when tempos are set. */
static ct_status copy_sheet(const ct_piece *sheet, ct_arena *arena, ct_piece *out) {
    CT_ASSERT(sheet);
    *out = *sheet;
    out->bars = CT_NEW(arena, ct_bar, (size_t)sheet->bar_count);
    if (!out->bars) return CT_ENOMEM;
    memcpy(out->bars, sheet->bars, (size_t)sheet->bar_count * sizeof *out->bars);
    return CT_OK;
}

ct_status ct_compose(ct_composer *c, const ct_request *requests, int64_t count, ct_arena *arena, ct_piece *pieces) {
    CT_ASSERT(count <= c->batch);
    ct_state *states = CT_NEW(arena, ct_state, (size_t)c->batch);
    ct_rows  *rows = CT_NEW(arena, ct_rows, (size_t)c->batch);
    if (!states || !rows) return CT_ENOMEM;
    for (int64_t i = 0; i < count; i++) ct_backbone_begin(&states[i].backbone, requests[i].bars);
    if (c->model[CT_BACKBONE]) CT_TRY(write_stage(c, CT_BACKBONE, requests, states, count, rows));
    for (int64_t i = 0; i < count; i++) {
        if (c->model[CT_BACKBONE])
            CT_TRY(ct_backbone_decode(&rows[i], arena, &pieces[i]));
        else
            CT_TRY(copy_sheet(requests[i].guide.sheet, arena, &pieces[i]));
        ct_melody_begin(&states[i].melody, &pieces[i]);
    }
    CT_TRY(write_stage(c, CT_MELODY, requests, states, count, rows));
    for (int64_t i = 0; i < count; i++) {
        CT_TRY(ct_melody_decode(&rows[i], arena, &pieces[i]));
        for (int32_t b = 0; b < pieces[i].bar_count; b++)
            pieces[i].bars[b].tempo = plain_tempo(pieces[i].bars[b].tempo);
    }
    return CT_OK;
}

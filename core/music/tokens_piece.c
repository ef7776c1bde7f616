/* Whole pieces as rows and back: what the grammars' states make of them. */
#include <string.h>

#include "core/music/tokens.h"

/* ---- encoding: choose a token, push it, keep the row it leaves */

typedef struct writer {
    ct_arena *arena;
    ct_rows   rows;
    size_t    capacity; /* in rows */
    union {
        ct_backbone_state backbone;
        ct_melody_state   melody;
    } state;
} writer;

/* Room for one more row, zeroed; NULL when out of memory. */
static uint16_t *next_row(writer *w) {
    size_t width = (size_t)w->rows.columns, count = (size_t)w->rows.count;
    if (count == w->capacity) {
        size_t    wanted = w->capacity ? 2 * w->capacity : 256;
        uint16_t *at = ct_arena_alloc(w->arena, wanted, width * sizeof *at);
        if (!at) return NULL;
        if (count) memcpy(at, w->rows.at, count * width * sizeof *at);
        w->rows.at = at;
        w->capacity = wanted;
    }
    w->rows.count++;
    return w->rows.at + count * width;
}

static ct_status put_backbone(writer *w, int token) {
    uint8_t allowed[CT_B_COUNT];
    bool    open = ct_backbone_allowed(&w->state.backbone, allowed) > 1;
    CT_TRY(ct_backbone_push(&w->state.backbone, token));
    uint16_t *row = next_row(w);
    if (!row) return CT_ENOMEM;
    ct_backbone_row(&w->state.backbone, token, open, row);
    return CT_OK;
}

static ct_status put_melody(writer *w, int token) {
    uint8_t allowed[CT_M_COUNT];
    bool    open = ct_melody_allowed(&w->state.melody, allowed) > 1;
    CT_TRY(ct_melody_push(&w->state.melody, token));
    uint16_t *row = next_row(w);
    if (!row) return CT_ENOMEM;
    ct_melody_row(&w->state.melody, token, open, row);
    return CT_OK;
}

static ct_status put_chord(writer *w, ct_chord chord) {
    if (chord.root == CT_NO_CHORD) return put_backbone(w, CT_B_ROOT_NONE);
    CT_TRY(put_backbone(w, CT_B_ROOT + chord.root));
    CT_TRY(put_backbone(w, CT_B_QUAL + chord.quality));
    return put_backbone(w, CT_B_BASS + chord.bass);
}

static ct_status put_bar(writer *w, const ct_piece *piece, int32_t number, int32_t *change) {
    const ct_bar *bar = &piece->bars[number];
    CT_TRY(put_backbone(w, CT_B_BAR));
    if (bar->key != w->state.backbone.key) CT_TRY(put_backbone(w, CT_B_KEY + bar->key));
    if (bar->metre != w->state.backbone.metre) CT_TRY(put_backbone(w, CT_B_METER + bar->metre));
    int tempo = ct_tempo_bin(bar->tempo);
    if (tempo != w->state.backbone.tempo) CT_TRY(put_backbone(w, CT_B_TEMPO + tempo));
    for (int32_t at = bar->start; at < bar->start + ct_metre_steps(bar->metre); at += CT_STEPS_PER_BEAT) {
        for (; *change < piece->change_count && piece->changes[*change].step < at + CT_STEPS_PER_BEAT; ++*change) {
            int32_t inside = piece->changes[*change].step - at;
            if (inside > 0) CT_TRY(put_backbone(w, CT_B_POS + inside - 1));
            CT_TRY(put_chord(w, piece->changes[*change].chord));
        }
        CT_TRY(put_backbone(w, CT_B_RHYTHM + piece->rhythm[at / CT_STEPS_PER_BEAT]));
    }
    return CT_OK;
}

ct_status ct_backbone_encode(const ct_piece *piece, ct_arena *arena, ct_rows *out) {
    writer  w = {.arena = arena, .rows = {.columns = CT_BC_COUNT}};
    int32_t change = 0;
    CT_ASSERT(piece->bar_count > 0);
    ct_backbone_begin(&w.state.backbone, piece->bar_count);
    CT_TRY(put_backbone(&w, CT_B_BOS));
    CT_TRY(put_backbone(&w, CT_B_KEY + piece->bars[0].key));
    CT_TRY(put_backbone(&w, CT_B_METER + piece->bars[0].metre));
    CT_TRY(put_backbone(&w, CT_B_TEMPO + ct_tempo_bin(piece->bars[0].tempo)));
    for (int32_t s = 0; s < piece->section_count; s++) {
        const ct_section *section = &piece->sections[s];
        CT_TRY(put_backbone(&w, CT_B_SECTION + section->label));
        CT_TRY(put_backbone(&w, CT_B_LENGTH + section->bars - 1));
        for (int32_t b = 0; b < section->bars; b++) CT_TRY(put_bar(&w, piece, section->first + b, &change));
    }
    CT_TRY(put_backbone(&w, CT_B_EOS));
    *out = w.rows;
    return CT_OK;
}

/* Move on to `step`: the bar lines up to it, and rests that end at each. */
static ct_status put_silence(writer *w, int32_t step) {
    const ct_melody_state *s = &w->state.melody;
    for (;;) {
        int32_t lines = s->piece->bar_count;
        if (s->bars_done < lines && s->piece->bars[s->bars_done].start <= s->position) {
            CT_TRY(put_melody(w, CT_M_BAR));
            continue;
        }
        if (s->position >= step) return CT_OK;
        int32_t line = s->bars_done < lines ? s->piece->bars[s->bars_done].start : s->end;
        int32_t to = step < line ? step : line;
        CT_TRY(put_melody(w, CT_M_REST + to - s->position - 1));
    }
}

ct_status ct_melody_encode(const ct_piece *piece, ct_arena *arena, ct_rows *out) {
    writer w = {.arena = arena, .rows = {.columns = CT_MC_COUNT}};
    ct_melody_begin(&w.state.melody, piece);
    CT_TRY(put_melody(&w, CT_M_BOS));
    for (int32_t i = 0; i < piece->melody_count; i++) {
        const ct_note *note = &piece->melody[i];
        int32_t        steps = note->end - note->start;
        if (note->start < w.state.melody.position || steps < 1 || steps > CT_DURATION_MAX)
            return ct_fail(CT_EFAIL, "note %d at step %d lasts %d steps from %d on (hint: quantise the piece first)", i,
                           note->start, steps, w.state.melody.position);
        CT_TRY(put_silence(&w, note->start));
        CT_TRY(put_melody(&w, CT_M_PITCH + note->pitch));
        CT_TRY(put_melody(&w, CT_M_VEL + note->velocity / 8));
        CT_TRY(put_melody(&w, CT_M_DUR + steps - 1));
    }
    CT_TRY(put_silence(&w, w.state.melody.end));
    CT_TRY(put_melody(&w, CT_M_EOS));
    *out = w.rows;
    return CT_OK;
}

/* ---- decoding: push every token, note what the state says */

typedef struct builder {
    ct_arena *arena;
    ct_piece  piece;
    size_t    bars, sections, changes, beats, notes; /* room in the arrays */
} builder;

static ct_status take_backbone(builder *b, const ct_backbone_state *s, int token) {
    ct_piece *p = &b->piece;
    if (token >= CT_B_SECTION && token < CT_B_SECTION + CT_SECTION_COUNT) {
        if (!CT_PUSH(b->arena, p->sections, p->section_count, b->sections)) return CT_ENOMEM;
        p->sections[p->section_count++] = (ct_section){s->section, p->bar_count, 0};
    } else if (token >= CT_B_LENGTH && token < CT_B_LENGTH + CT_SECTION_BARS_MAX) {
        CT_ASSERT(p->sections); /* SECTION comes before LENGTH */
        p->sections[p->section_count - 1].bars = s->section_bars;
    } else if (token == CT_B_BAR) {
        if (!CT_PUSH(b->arena, p->bars, p->bar_count, b->bars)) return CT_ENOMEM;
        p->bars[p->bar_count++] = (ct_bar){.start = p->beat_count * CT_STEPS_PER_BEAT};
    } else if (token == CT_B_ROOT_NONE || (token >= CT_B_BASS && token < CT_B_BASS + 12)) {
        if (!CT_PUSH(b->arena, p->changes, p->change_count, b->changes)) return CT_ENOMEM;
        p->changes[p->change_count++] = (ct_change){p->beat_count * CT_STEPS_PER_BEAT + s->pos, s->chord};
    } else if (token >= CT_B_RHYTHM && token < CT_B_RHYTHM + CT_RHYTHM_COUNT) {
        if (!CT_PUSH(b->arena, p->rhythm, p->beat_count, b->beats)) return CT_ENOMEM;
        p->rhythm[p->beat_count++] = (uint8_t)(token - CT_B_RHYTHM);
    }
    if (s->bar >= 0) { /* KEY, METER and TEMPO come after BAR; what is in force at the end of the bar holds for it */
        CT_ASSERT(p->bars);
        ct_bar *bar = &p->bars[p->bar_count - 1];
        bar->key = s->key;
        bar->metre = s->metre;
        bar->tempo = ct_tempo_of_bin(s->tempo);
    }
    return CT_OK;
}

ct_status ct_backbone_decode(const ct_rows *rows, ct_arena *arena, ct_piece *out) {
    /* A bar is at least two rows long and one beat, so rows bound steps: 12 steps a row fit 31 bits. */
    if (rows->count > INT32_MAX / CT_STEPS_PER_BEAT)
        return ct_fail(CT_EFAIL, "%lld rows in one piece, at most %d", (long long)rows->count,
                       INT32_MAX / CT_STEPS_PER_BEAT);
    builder           b = {.arena = arena, .piece = {.title = ""}};
    ct_backbone_state state;
    ct_backbone_begin(&state, 0);
    int token = -1;
    for (int64_t i = 0; i < rows->count; i++) {
        token = rows->at[i * rows->columns];
        ct_status status = ct_backbone_push(&state, token);
        if (status != CT_OK) return ct_context(status, "row %lld", (long long)i);
        CT_TRY(take_backbone(&b, &state, token));
    }
    if (token != CT_B_EOS) return ct_fail(CT_EFAIL, "row %lld: the piece ends without EOS", (long long)rows->count);
    *out = b.piece;
    return CT_OK;
}

ct_status ct_melody_decode(const ct_rows *rows, ct_arena *arena, ct_piece *out) {
    builder         b = {.arena = arena, .piece = *out};
    ct_melody_state state;
    b.piece.melody = NULL;
    b.piece.melody_count = 0;
    ct_melody_begin(&state, out);
    int token = -1;
    for (int64_t i = 0; i < rows->count; i++) {
        token = rows->at[i * rows->columns];
        int32_t   start = state.position;
        ct_status status = ct_melody_push(&state, token);
        if (status != CT_OK) return ct_context(status, "row %lld", (long long)i);
        if (token < CT_M_DUR || token >= CT_M_DUR + CT_DURATION_MAX) continue;
        ct_piece *p = &b.piece;
        if (!CT_PUSH(arena, p->melody, p->melody_count, b.notes)) return CT_ENOMEM;
        p->melody[p->melody_count++] = (ct_note){start, state.position, state.pitch, state.velocity};
    }
    if (token != CT_M_EOS) return ct_fail(CT_EFAIL, "row %lld: the melody ends without EOS", (long long)rows->count);
    *out = b.piece;
    return CT_OK;
}

/* made_up.c -- see made_up.h. */
#include "train/made_up.h"

#include "core/rng.h"

#include <string.h>

enum { CHORD = 4, SHORT_CHORD = 2, DENSE = 16, BAR = 16, SEED = 1 }; /* rows; parts of a song */

ct_status ct_made_up_stage(int stage, ct_arena *arena, ct_stage_data *out) {
    int              count, size = ct_vocabulary_size((ct_stage)stage);
    const ct_column *columns = ct_columns((ct_stage)stage, &count);
    *out = (ct_stage_data){.present = true, .column_count = count, .vocabulary_size = size, .native = true};
    out->columns = CT_NEW(arena, ct_column, (size_t)count);
    out->vocabulary = CT_NEW(arena, const char *, (size_t)size);
    if (!out->columns || !out->vocabulary) return CT_ENOMEM;
    memcpy(out->columns, columns, (size_t)count * sizeof *columns);
    for (int i = 0; i < size; i++) {
        char text[32];
        out->vocabulary[i] = ct_arena_printf(arena, "%s", ct_token_name((ct_stage)stage, i, text, sizeof text));
        if (!out->vocabulary[i]) return CT_ENOMEM;
    }
    return CT_OK;
}

static bool is(const ct_column *column, const char *name) {
    return strcmp(column->name, name) == 0;
}

/* Value of column c in row i of `rows`. */
static uint16_t value(const ct_column *columns, int c, ct_chord_columns chord, int64_t i, int64_t rows) {
    const ct_column *column = &columns[c];
    const int64_t    lasts = i >= rows - rows / DENSE ? SHORT_CHORD : CHORD;
    if (is(column, "bar")) return (uint16_t)(i / BAR % 4096);
    if (is(column, "phase")) return (uint16_t)(i % BAR * (CT_PHASES_PER_BAR / BAR));
    if (is(column, "place")) return (uint16_t)(i / BAR % 8);
    if (column->size == 0 || c == chord.key) return column->size == 0; /* open; one key for all of it */
    const int64_t  of = c == chord.root || c == chord.quality ? i / lasts : i;
    const uint32_t word = ct_philox_at(SEED, (uint64_t)c, (uint64_t)of).word[0];
    if (c == 0) return (uint16_t)ct_philox_below(word, column->size); /* the token */
    /* two chords that follow one another differ; none and unknown, the last two values, are left out */
    if (c == chord.root) return (uint16_t)((of % 2 * 6 + ct_philox_below(word, 6)) % (column->size - 2));
    return (uint16_t)ct_philox_below(word, (uint32_t)column->size - 2);
}

static ct_status make(int stage, int64_t rows, ct_dataset *d) {
    ct_stage_data *s = &d->stage[stage];
    CT_TRY(ct_made_up_stage(stage, &d->arena, s));
    const int              width = s->column_count;
    const ct_chord_columns chord = ct_chord_columns_of(s->columns, width);
    uint16_t              *data = CT_NEW(&d->arena, uint16_t, (size_t)(rows * width));
    d->songs = CT_NEW(&d->arena, ct_song, 1);
    if (!data || !d->songs) return CT_ENOMEM;
    for (int64_t i = 0; i < rows; i++)
        for (int c = 0; c < width; c++) data[i * width + c] = value(s->columns, c, chord, i, rows);
    s->npy = (ct_npy){.type = CT_NPY_U16, .rows = rows, .columns = width, .data = data};
    d->songs[0] = (ct_song){.source = "made up", .split = CT_TRAIN};
    d->songs[0].rows[stage] = rows;
    d->song_count = 1;
    return CT_OK;
}

ct_status ct_made_up_song(int stage, int64_t rows, ct_dataset *out) {
    *out = (ct_dataset){.path = "made-up songs", .hash = "none"};
    ct_status status = make(stage, rows, out);
    if (status != CT_OK) ct_arena_free(&out->arena);
    return status;
}

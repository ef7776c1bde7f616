/* loader.c -- see loader.h. */
#include "core/data/loader.h"

#include "core/music/tokens.h"
#include "core/rng.h"

#include <string.h>

/* What a draw is for: the high half of the Philox counter. */
enum { DRAW_SHUFFLE = 1, DRAW_TRANSPOSE, DRAW_FILL, DRAW_PLACE, DRAW_UNKNOWN };

static ct_philox draw(const ct_loader *l, uint64_t what, uint64_t a, uint64_t b) {
    return ct_philox_at(l->options.seed, what << 56 | (a & 0xffffffffffffff), b);
}

ct_status ct_batch_make(ct_arena *arena, int64_t batch, int64_t tokens, int columns, ct_batch *out) {
    size_t n = (size_t)(batch * tokens);
    *out = (ct_batch){.batch = batch, .tokens = tokens, .columns = columns};
    out->rows = CT_NEW(arena, uint16_t, n * (size_t)columns);
    out->target = CT_NEW(arena, int32_t, n);
    out->song = CT_NEW(arena, int32_t, n);
    out->open = CT_NEW(arena, uint8_t, n);
    return out->rows && out->target && out->song && out->open ? CT_OK : CT_ENOMEM;
}

void ct_batch_clear(ct_batch *b, int64_t line) {
    size_t at = (size_t)(line * b->tokens), n = (size_t)b->tokens;
    memset(b->rows + at * (size_t)b->columns, 0, n * (size_t)b->columns * sizeof *b->rows);
    memset(b->open + at, 0, n);
    for (size_t i = 0; i < n; i++) b->target[at + i] = b->song[at + i] = -1;
}

void ct_batch_lay(ct_batch *b, const ct_dataset *d, int stage, int64_t song, int64_t first, int64_t count, int64_t line,
                  int64_t at, int32_t number) {
    const ct_song *s = &d->songs[song];
    int            columns = b->columns, open = ct_column_find(d->stage[stage].columns, columns, "open");
    int64_t        n = line * b->tokens + at;
    memcpy(b->rows + n * columns, ct_dataset_row(d, stage, s->first[stage] + first),
           (size_t)(count * columns) * sizeof *b->rows);
    for (int64_t i = 0; i < count; i++) {
        bool            last = first + i + 1 == s->rows[stage];
        const uint16_t *next = last ? NULL : ct_dataset_row(d, stage, s->first[stage] + first + i + 1);
        b->target[n + i] = last ? -1 : next[0];
        b->open[n + i] = !last && (open < 0 || next[open]);
        b->song[n + i] = number;
    }
}

ct_status ct_loader_open(const ct_dataset *dataset, const ct_loader_options *options, ct_loader *out) {
    *out = (ct_loader){.options = *options, .dataset = dataset, .order_epoch = {-1, -1}};
    if (!options->lines) out->options.lines = options->batch;
    CT_ASSERT(out->options.first >= 0 && out->options.first + out->options.lines <= options->batch);
    const ct_stage_data *s = &dataset->stage[options->stage];
    ct_arena            *arena = &out->arena;
    if (!s->present) return ct_fail(CT_EFAIL, "%s: has no %s rows", dataset->path, ct_stage_names[options->stage]);
    CT_TRY(ct_dataset_split(dataset, options->split, arena, &out->songs, &out->song_count));
    int64_t kept = 0;
    for (int64_t i = 0; i < out->song_count; i++)
        if (dataset->songs[out->songs[i]].rows[options->stage] > 1) out->songs[kept++] = out->songs[i];
    out->song_count = kept;
    if (!kept) {
        ct_loader_close(out);
        return ct_fail(CT_EFAIL, "%s: no song with %s rows in the split %s", dataset->path,
                       ct_stage_names[options->stage], ct_split_names[options->split]);
    }
    for (int i = 0; i < 2; i++) out->order[i] = CT_NEW(arena, int64_t, (size_t)kept);
    out->lanes = CT_NEW(arena, ct_lane, (size_t)options->batch);
    ct_status status = out->order[0] && out->order[1] && out->lanes
                           ? ct_batch_make(arena, out->options.lines, options->tokens, s->column_count, &out->batch)
                           : CT_ENOMEM;
    if (status != CT_OK) ct_loader_close(out);
    return status;
}

void ct_loader_close(ct_loader *loader) {
    ct_arena_free(&loader->arena);
    *loader = (ct_loader){0};
}

/* The song of visit number g of the whole run: epoch after epoch, each shuffled (Fisher-Yates). */
static int64_t song_of_visit(ct_loader *l, int64_t g) {
    int64_t  epoch = g / l->song_count;
    int      slot = (int)(epoch & 1);
    int64_t *order = l->order[slot];
    if (l->order_epoch[slot] != epoch) {
        for (int64_t i = 0; i < l->song_count; i++) order[i] = l->songs[i];
        for (int64_t i = l->song_count - 1; i > 0; i--) {
            int64_t j = ct_philox_below(draw(l, DRAW_SHUFFLE, (uint64_t)epoch, (uint64_t)i).word[0], (uint32_t)i + 1);
            int64_t t = order[i];
            order[i] = order[j];
            order[j] = t;
        }
        l->order_epoch[slot] = epoch;
    }
    return order[g % l->song_count];
}

/* Lay rows of a visit and transpose them. `key` is unique to the visit. */
static void lay(ct_loader *l, int64_t song, uint64_t key, int64_t first, int64_t count, int64_t line, int64_t at,
                int32_t number) {
    ct_batch *b = &l->batch;
    int       stage = l->options.stage;
    ct_batch_lay(b, l->dataset, stage, song, first, count, line, at, number);
    if (!l->options.transpose || !l->dataset->stage[stage].native) return;
    int       shift = (int)ct_philox_below(draw(l, DRAW_TRANSPOSE, key, 0).word[0], 12) - 5;
    int64_t   n = line * b->tokens + at;
    uint16_t *rows = b->rows + n * b->columns;
    int32_t   last = b->target[n + count - 1];
    ct_rows_transpose((ct_stage)stage, rows, count, shift);
    for (int64_t i = 0; i + 1 < count; i++) b->target[n + i] = rows[(i + 1) * b->columns];
    if (last >= 0) {
        uint16_t next[CT_COLUMNS_MAX];
        memcpy(next, ct_dataset_row(l->dataset, stage, l->dataset->songs[song].first[stage] + first + count),
               (size_t)b->columns * sizeof *next);
        ct_rows_transpose((ct_stage)stage, next, 1, shift);
        b->target[n + count - 1] = next[0];
    }
}

/* Is this line of the batch given? */
static bool is_given(const ct_loader *l, int64_t line) {
    return line >= l->options.first && line < l->options.first + l->options.lines;
}

/* How many targets the line has. */
static int64_t fill_whole(ct_loader *l, int64_t number, int64_t line) {
    ct_batch *b = &l->batch;
    int       stage = l->options.stage;
    int64_t   g = number * l->options.batch + line, targets = 0;
    for (int64_t at = 0, part = 0; at < b->tokens; part++) {
        uint64_t key = (uint64_t)g << 12 | ((uint64_t)part & 4095);
        int64_t  song = part == 0
                            ? song_of_visit(l, g)
                            : l->songs[ct_philox_below(draw(l, DRAW_FILL, key, 0).word[0], (uint32_t)l->song_count)];
        int64_t  rows = l->dataset->songs[song].rows[stage], room = b->tokens - at, first = 0;
        if (part == 0 && rows > room) { /* half of the visits begin at the beginning all the same */
            ct_philox x = draw(l, DRAW_PLACE, key, 0);
            if (x.word[0] & 1) first = ct_philox_below(x.word[1], (uint32_t)(rows - room) + 1);
        }
        int64_t count = rows - first < room ? rows - first : room;
        if (is_given(l, line)) lay(l, song, key, first, count, line - l->options.first, at, (int32_t)part);
        if (part == 0 && line == l->options.first) b->first_song = song;
        at += count;
        targets += count - (first + count == rows);
    }
    return targets;
}

/* Read on in a lane; how many targets there are. */
static int64_t advance(ct_loader *l, ct_lane *lane, int64_t line, bool write) {
    ct_batch *b = &l->batch;
    int64_t   targets = 0;
    for (int64_t at = 0; at < b->tokens;) {
        int64_t g = lane->visit * l->options.batch + line, song = song_of_visit(l, g);
        int64_t rows = l->dataset->songs[song].rows[l->options.stage], left = rows - lane->offset;
        int64_t count = left < b->tokens - at ? left : b->tokens - at;
        if (write)
            lay(l, song, (uint64_t)g, lane->offset, count, line - l->options.first, at,
                (int32_t)(lane->visit & 0x3fffffff));
        if (write && at == 0 && line == l->options.first) b->first_song = song;
        at += count;
        lane->offset += count;
        targets += count - (lane->offset == rows);
        if (lane->offset == rows) *lane = (ct_lane){lane->visit + 1, 0};
    }
    return targets;
}

void ct_batch_hide(ct_batch *b, const ct_column *columns, int group, int64_t line) {
    for (int c = 0; c < b->columns; c++) {
        if (columns[c].group != group) continue;
        uint16_t *value = b->rows + line * b->tokens * b->columns + c;
        for (int64_t t = 0; t < b->tokens; t++) value[t * b->columns] = (uint16_t)(columns[c].size - 1);
    }
}

static void make_unknown(ct_loader *l, int64_t number, int64_t line) {
    for (int group = 1; group < CT_GROUP_COUNT; group++) {
        ct_philox x = draw(l, DRAW_UNKNOWN, (uint64_t)number, (uint64_t)line << 8 | (uint64_t)group);
        if (ct_philox_float(x.word[0]) < (float)l->options.unknown)
            ct_batch_hide(&l->batch, l->dataset->stage[l->options.stage].columns, group, line - l->options.first);
    }
}

void ct_loader_seek(ct_loader *l, int64_t number) {
    if (!l->options.stream) return;
    if (number < l->next) {
        memset(l->lanes, 0, (size_t)l->options.batch * sizeof *l->lanes);
        l->next = 0;
    }
    for (int64_t line = 0; line < l->options.batch; line++)
        for (int64_t skipped = l->next; skipped < number; skipped++) advance(l, &l->lanes[line], line, false);
    l->next = number;
}

const ct_batch *ct_loader_batch(ct_loader *l, int64_t number) {
    ct_batch *b = &l->batch;
    ct_loader_seek(l, number);
    b->all_targets = 0;
    for (int64_t line = 0; line < l->options.batch; line++) {
        const bool given = is_given(l, line);
        b->all_targets += l->options.stream ? advance(l, &l->lanes[line], line, given) : fill_whole(l, number, line);
        if (given && l->options.unknown > 0) make_unknown(l, number, line);
    }
    l->next = number + 1;
    b->targets = b->open_targets = 0;
    for (int64_t i = 0; i < b->batch * b->tokens; i++) {
        b->targets += b->target[i] >= 0;
        b->open_targets += b->open[i];
    }
    return b;
}

double ct_loader_epochs(const ct_loader *l, int64_t number) {
    if (!l->options.stream) return (double)(number * l->options.batch) / (double)l->song_count;
    double visits = 0;
    for (int64_t i = 0; i < l->options.batch; i++) visits += (double)l->lanes[i].visit;
    return visits / (double)l->song_count;
}

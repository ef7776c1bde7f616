/* Prepared datasets: opening and refusing them; the loader's batches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/data/loader.h"
#include "models/network.h"
#include "small_dataset.h"

#include <math.h>
#include <unistd.h>

enum { SONGS = 12 };
static char       folder[TEMP_PATH];
static ct_dataset data;

static int make_dataset(void **state) {
    (void)state;
    temp_folder(folder);
    small_dataset(folder, SONGS);
    assert_int_equal(ct_dataset_open(folder, &data), CT_OK);
    return 0;
}
static int remove_dataset(void **state) {
    (void)state;
    ct_dataset_close(&data);
    temp_remove(folder);
    return 0;
}

/* ---- opening */
static void datasets_open(void **state) {
    (void)state;
    ct_arena arena = {0};
    int64_t *songs, count, rows[CT_STAGES] = {0, 0};
    assert_int_equal(data.song_count, SONGS);
    assert_int_equal(strlen(data.hash), 64);
    for (int64_t i = 0; i < SONGS; i++) {
        ct_piece piece;
        ct_rows  own = fixture_backbone((uint64_t)i + 1, (int32_t)(2 + i * 5 % 8), &arena);
        assert_int_equal(ct_backbone_decode(&own, &arena, &piece), CT_OK);
        const ct_rows  both[CT_STAGES] = {own, fixture_melody((uint64_t)i + 1, &piece, &arena)};
        const ct_song *song = &data.songs[i];
        assert_int_equal(song->split, i % 4 == 3 ? CT_VALID : CT_TRAIN);
        for (int s = 0; s < CT_STAGES; s++) {
            assert_int_equal(song->first[s], rows[s]);
            assert_int_equal(song->rows[s], both[s].count);
            assert_memory_equal(ct_dataset_row(&data, s, song->first[s]), both[s].at,
                                (size_t)both[s].count * (size_t)both[s].columns * sizeof(uint16_t));
            rows[s] += both[s].count;
        }
    }
    for (int s = 0; s < CT_STAGES; s++) {
        assert_true(data.stage[s].present && data.stage[s].native);
        assert_int_equal(data.stage[s].npy.rows, rows[s]);
    }
    assert_int_equal(ct_dataset_split(&data, CT_VALID, &arena, &songs, &count), CT_OK);
    assert_int_equal(count, 3);
    for (int64_t i = 0; i < count; i++) assert_int_equal(songs[i], 4 * i + 3);
    assert_int_equal(ct_dataset_split(&data, CT_TEST, &arena, &songs, &count), CT_OK);
    assert_int_equal(count, 0);
    ct_arena_free(&arena);
}

/* One change to a good dataset, and what is said of it. `to` NULL: the file is removed. */
static void wrong_datasets_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *file, *from, *to, *message;
    } cases[] = {
        {"dataset.json", NULL, NULL, "no dataset here: dataset.json is missing"},
        {"songs.tsv", NULL, NULL, "songs.tsv: can't open"},
        {"backbone.npy", NULL, NULL, "backbone.npy: can't open"},
        {"melody.npy", NULL, NULL, "melody.npy: can't open"},
        {"dataset.json", "\"format\": 1", "\"format\": 2", "dataset format 2, this program reads format 1"},
        {"dataset.json", "\"format\": 1", "\"form\": 1", "dataset format -1"},
        {"dataset.json", "{", "[", "not valid JSON"},
        {"dataset.json", "\"stages\"", "\"steps\"", "names no stage"},
        {"dataset.json", "\"columns\"", "\"colums\"", "columns: expected a list of 1 to 32"},
        {"dataset.json", "\"name\": \"root\"", "\"name\": 5", "column 1: name, size"},
        {"dataset.json", "\"size\": 256", "\"size\": 257", "the vocabulary has 256 words, column token has 257 values"},
        {"dataset.json", "\"size\": 256", "\"size\": 0", "column 0: name, size"},
        {"dataset.json", "\"size\": 14", "\"size\": -1", "column 1: name, size"},
        {"dataset.json", "\"size\": 14", "\"size\": 70000", "column 1: name, size"},
        {"dataset.json", "\"group\": \"left\"", "\"group\": \"right\"", "column 11: name, size"},
        {"dataset.json", "\"size\": 66", "\"size\": 0", "column 11: name, size"}, /* a plain number can't be unknown */
        {"dataset.json", "\"transpose\": \"token\"", "\"transpose\": \"up\"", "column 0: name, size"},
        {"dataset.json", "\"vocabulary\"", "\"words\"", "the vocabulary has 0 words"},
        {"dataset.json", "\"size\": 14", "\"size\": 2", "backbone.npy: row "}, /* values outside their column */
        {"backbone.npy", "'<u2'", "'<i4'", "truncated"},
        {"backbone.npy", ", 17)", ", 16)", "expected uint16 rows of 17 columns"},
        {"melody.npy", "NUMPY", "NUMBY", "melody.npy: is no .npy file"},
        {"songs.tsv", "\ttrain\t", "\tdev\t", "songs.tsv:2: expected source, sha256, split"},
        {"songs.tsv", "\ttrain\t0\t", "\ttrain\tx\t", "songs.tsv:2: expected"},
        {"songs.tsv", "\ttrain\t0\t", "\ttrain\t\t", "songs.tsv:2: expected"},
        {"songs.tsv", "\ttrain\t0\t", "\ttrain\t", "songs.tsv:2: expected"},
        {"songs.tsv", "song-01\t", "song-01", "songs.tsv:3: expected"},
        {"songs.tsv", "\ttrain\t0\t", "\ttrain\t-1\t", "songs.tsv:2: song-00: backbone rows -1 + "},
        {"songs.tsv", "\ttrain\t0\t", "\ttrain\t9223372036854775807\t", "songs.tsv:2: song-00: backbone rows"},
        {"songs.tsv", "\ttrain\t0\t", "\ttrain\t0\t9999999", "songs.tsv:2: song-00: backbone rows 0 + 9999999"},
        {"songs.tsv", "\nsong", "\n\0", "songs.tsv: no songs"},
    };
    for (size_t i = 0; i < CT_COUNT(cases); i++) {
        char       here[TEMP_PATH];
        ct_arena   arena = {0};
        ct_dataset d;
        temp_folder(here);
        small_dataset(here, 4);
        const char *path = temp_path(&arena, here, cases[i].file);
        if (!cases[i].to)
            assert_int_equal(unlink(path), 0);
        else {
            ct_bytes old = temp_read(path, &arena);
            size_t   length = strlen(cases[i].from), at = 0, added = cases[i].to[1] ? strlen(cases[i].to) : 1;
            while (at + length <= old.count && memcmp(old.at + at, cases[i].from, length) != 0) at++;
            assert_true(at + length <= old.count);
            char *new = ct_arena_alloc(&arena, old.count + added, 1);
            assert_non_null(new);
            memcpy(new, old.at, at);
            memcpy(new + at, cases[i].to, added);
            memcpy(new + at + added, old.at + at + length, old.count - at - length);
            size_t count = old.count - length + added;
            if (!strcmp(cases[i].message, "songs.tsv: no songs")) count = at + 1; /* the heading alone */
            temp_write(path, new, count);
        }
        if (ct_dataset_open(here, &d) != CT_EFAIL) fail_msg("case %zu: accepted", i);
        assert_message_has(here);
        assert_message_has(cases[i].message);
        assert_null(d.songs);
        ct_arena_free(&arena);
        temp_remove(here);
    }
}

static void values_are_checked(void **state) {
    (void)state;
    char           here[TEMP_PATH];
    ct_arena       arena = {0};
    ct_dataset     d;
    const uint16_t wild = CT_V_ROOT_SIZE;
    temp_folder(here);
    small_dataset(here, 4);
    const char *path = temp_path(&arena, here, "backbone.npy");
    ct_bytes    bytes = temp_read(path, &arena);
    memcpy(bytes.at + CT_NPY_HEADER + (5 * CT_BC_COUNT + CT_BC_ROOT) * sizeof wild, &wild, sizeof wild);
    temp_write(path, bytes.at, bytes.count);
    assert_int_equal(ct_dataset_open(here, &d), CT_EFAIL);
    assert_message_has("backbone.npy: row 5, column root: 14, but it has 14 values");
    ct_arena_free(&arena);
    temp_remove(here);
}

/* Somebody else's data: own vocabulary, two columns, no chords. It opens, loads, and a model of it learns. */
static void foreign_datasets_train(void **state) {
    (void)state;
    char       here[TEMP_PATH];
    ct_dataset d;
    ct_loader  loader;
    ct_model   model;
    ct_network network;
    temp_folder(here);
    foreign_dataset(here);
    assert_int_equal(ct_dataset_open(here, &d), CT_OK);
    assert_true(d.stage[0].present && !d.stage[0].native && !d.stage[1].present);
    assert_int_equal(ct_dataset_segments(&d, CT_BACKBONE, 16), 1);
    ct_loader_options options = {
        .split = CT_TRAIN, .batch = 2, .tokens = 16, .seed = 3, .transpose = true, .unknown = 0.25};
    options.stage = CT_MELODY;
    assert_int_equal(ct_loader_open(&d, &options, &loader), CT_EFAIL);
    assert_message_has("has no melody rows");
    options.stage = CT_BACKBONE;
    options.split = CT_TEST;
    assert_int_equal(ct_loader_open(&d, &options, &loader), CT_EFAIL);
    assert_message_has("in the split test");
    options.split = CT_TRAIN;
    assert_int_equal(ct_loader_open(&d, &options, &loader), CT_OK);
    ct_model_config config = {.stage = CT_BACKBONE,
                              .layers = 1,
                              .width = 16,
                              .heads = 2,
                              .feed_forward = 16,
                              .tokens = 16,
                              .rotary_base = 10000,
                              .rotary_count = 1,
                              .rotary = {{CT_BY_INDEX, 1}},
                              .form = CT_FORM_TABLE,
                              .roots = true};
    assert_int_equal(ct_model_create(&config, &d.stage[0], 1, CT_F32, &model), CT_OK);
    assert_false(model.native);
    assert_int_equal(model.config.form, CT_FORM_OFF); /* no chords, no H-RPE */
    ct_network_options plan = {.batch = 2, .tokens = 16, .train = true, .backend = ct_backend_cpu()};
    plan.adam = (ct_adam){.beta1 = 0.9, .beta2 = 0.98, .epsilon = 1e-8};
    assert_int_equal(ct_network_make(&model, &plan, &network), CT_OK);
    double losses[2] = {0, 0};
    for (int step = 0; step < 200; step++) {
        const ct_batch *batch = ct_loader_batch(&loader, step);
        assert_int_equal(ct_network_zero_gradients(&network), CT_OK);
        network.step->train = true;
        network.step->loss_scale = 1.0 / (double)batch->targets;
        network.step->learning_rate = 0.03;
        network.step->clip = 1;
        assert_int_equal(ct_network_fill(&network, batch), CT_OK);
        assert_int_equal(ct_network_forward(&network), CT_OK);
        double sum = 0;
        for (int i = 0; i < 32; i++) sum += (double)((const float *)network.loss)[i];
        if (step < 10 || step >= 190) losses[step >= 190] += sum / (double)batch->targets / 10;
        assert_int_equal(ct_network_backward(&network), CT_OK);
        assert_int_equal(ct_network_norm(&network), CT_OK);
        assert_int_equal(ct_network_update(&network), CT_OK);
    }
    if (!(losses[1] < 0.5 * losses[0])) fail_msg("loss %g, then %g", losses[0], losses[1]);
    ct_network_free(&network);
    ct_model_free(&model);
    ct_loader_close(&loader);
    ct_dataset_close(&d);
    temp_remove(here);
}

/* ---- the loader */
static ct_loader open_loader(int stage, bool stream, bool transpose, double unknown, int64_t tokens) {
    ct_loader         loader;
    ct_loader_options options = {.stage = stage,
                                 .split = CT_TRAIN,
                                 .stream = stream,
                                 .batch = 3,
                                 .tokens = tokens,
                                 .seed = 11,
                                 .transpose = transpose,
                                 .unknown = unknown};
    assert_int_equal(ct_loader_open(&data, &options, &loader), CT_OK);
    return loader;
}

/* A copy of batch `number` that outlives the next. */
static ct_batch copy_batch(ct_loader *loader, int64_t number, ct_arena *arena) {
    const ct_batch *b = ct_loader_batch(loader, number);
    size_t          n = (size_t)(b->batch * b->tokens);
    ct_batch        copy;
    assert_int_equal(ct_batch_make(arena, b->batch, b->tokens, b->columns, &copy), CT_OK);
    memcpy(copy.rows, b->rows, n * (size_t)b->columns * sizeof *b->rows);
    memcpy(copy.target, b->target, n * sizeof *b->target);
    memcpy(copy.open, b->open, n);
    memcpy(copy.song, b->song, n * sizeof *b->song);
    copy.targets = b->targets;
    copy.open_targets = b->open_targets;
    return copy;
}

static void assert_same(const ct_batch *a, const ct_batch *b) {
    size_t n = (size_t)(a->batch * a->tokens);
    assert_memory_equal(a->rows, b->rows, n * (size_t)a->columns * sizeof *a->rows);
    assert_memory_equal(a->target, b->target, n * sizeof *a->target);
    assert_memory_equal(a->open, b->open, n);
    assert_memory_equal(a->song, b->song, n * sizeof *a->song);
    assert_int_equal(a->targets, b->targets);
    assert_int_equal(a->open_targets, b->open_targets);
}

static void batches_depend_on_seed_and_number_alone(void **state) {
    (void)state;
    static const int order[] = {7, 2, 29, 0, 29, 3, 8, 28, 1, 7};
    for (int stream = 0; stream < 2; stream++) {
        ct_arena  arena = {0};
        ct_loader first = open_loader(CT_MELODY, stream, true, 0.25, 50);
        ct_batch  batches[30];
        for (int i = 0; i < 30; i++) batches[i] = copy_batch(&first, i, &arena);
        for (size_t k = 0; k < CT_COUNT(order); k++) assert_same(ct_loader_batch(&first, order[k]), &batches[order[k]]);
        ct_loader second = open_loader(CT_MELODY, stream, true, 0.25, 50);
        for (size_t k = 0; k < CT_COUNT(order); k++)
            assert_same(ct_loader_batch(&second, order[k]), &batches[order[k]]);
        ct_loader_close(&second);
        second = open_loader(CT_MELODY, stream, true, 0.25, 50);
        second.options.seed = 12; /* another seed, other batches */
        ct_batch other = copy_batch(&second, 0, &arena);
        assert_memory_not_equal(other.rows, batches[0].rows, (size_t)(3 * 50 * other.columns) * sizeof *other.rows);
        ct_loader_close(&first);
        ct_loader_close(&second);
        ct_arena_free(&arena);
    }
}

/* Three lines are given to three readers, or two and one: each gets what it would have of the whole batch. */
static void assert_lines(ct_loader *part, const ct_batch *whole, int64_t number) {
    const ct_batch *b = ct_loader_batch(part, number);
    const size_t    from = (size_t)(part->options.first * whole->tokens), n = (size_t)(b->batch * b->tokens);
    int64_t         targets = 0, open = 0;
    assert_int_equal(b->batch, part->options.lines);
    assert_memory_equal(b->rows, whole->rows + from * (size_t)b->columns, n * (size_t)b->columns * sizeof *b->rows);
    assert_memory_equal(b->target, whole->target + from, n * sizeof *b->target);
    assert_memory_equal(b->open, whole->open + from, n);
    assert_memory_equal(b->song, whole->song + from, n * sizeof *b->song);
    for (size_t i = 0; i < n; i++) targets += b->target[i] >= 0, open += b->open[i];
    assert_int_equal(b->targets, targets);
    assert_int_equal(b->open_targets, open);
    assert_int_equal(b->all_targets, whole->targets);
    assert_int_equal(whole->all_targets, whole->targets);
}
static void lines_are_those_of_the_whole_batch(void **state) {
    (void)state;
    static const struct { int64_t first, lines; } readers[] = {{0, 1}, {1, 1}, {2, 1}, {0, 2}, {1, 2}};
    for (int stage = 0; stage < CT_STAGES; stage++)
        for (size_t r = 0; r < CT_COUNT(readers); r++) {
            ct_loader         whole = open_loader(stage, stage == CT_MELODY, true, 0.25, 50), part;
            ct_loader_options options = whole.options;
            options.first = readers[r].first;
            options.lines = readers[r].lines;
            assert_int_equal(ct_loader_open(&data, &options, &part), CT_OK);
            for (int64_t number = 0; number < 30; number++)
                assert_lines(&part, ct_loader_batch(&whole, number), number);
            assert_lines(&part, ct_loader_batch(&whole, 4), 4); /* and back */
            assert_true(ct_loader_epochs(&part, 5) == ct_loader_epochs(&whole, 5));
            ct_loader_close(&part);
            ct_loader_close(&whole);
        }
}

/* The training song, and the row in it, that `count` rows of a batch were cut from: by what they hold and by what comes
 * next. Row 0 when from_start. */
static int64_t find_song(int stage, const ct_batch *b, int64_t at, int64_t count, bool from_start, int64_t *row) {
    int    open = ct_column_find(data.stage[stage].columns, b->columns, "open");
    size_t bytes = (size_t)(count * b->columns) * sizeof *b->rows;
    for (int64_t i = 0; i < data.song_count; i++) {
        const ct_song *song = &data.songs[i];
        if (song->split != CT_TRAIN) continue;
        for (int64_t r = 0; r + count <= song->rows[stage] && (r == 0 || !from_start); r++) {
            const uint16_t *rows = ct_dataset_row(&data, stage, song->first[stage] + r),
                           *next = rows + count * b->columns;
            bool last = r + count == song->rows[stage];
            if (memcmp(rows, b->rows + at * b->columns, bytes) != 0) continue;
            if (b->target[at + count - 1] != (last ? -1 : next[0])) continue;
            if (b->open[at + count - 1] != (!last && next[open])) continue;
            *row = r;
            return i;
        }
    }
    return -1;
}

/* Targets and open flags of a run follow from the song it was cut from. */
static void assert_targets(int stage, const ct_batch *b, int64_t at, int64_t song, int64_t row, int64_t count) {
    int open = ct_column_find(data.stage[stage].columns, b->columns, "open");
    for (int64_t i = 0; i < count; i++) {
        bool            last = row + i + 1 == data.songs[song].rows[stage];
        const uint16_t *next = last ? NULL : ct_dataset_row(&data, stage, data.songs[song].first[stage] + row + i + 1);
        assert_int_equal(b->target[at + i], last ? -1 : next[0]);
        assert_int_equal(b->open[at + i], !last && next[open]);
    }
}

static void streams_go_on_without_gap(void **state) {
    (void)state;
    enum { BATCHES = 60, TOKENS = 37 };
    ct_loader loader = open_loader(CT_MELODY, true, false, 0, TOKENS);
    int64_t   song[3] = {-1, -1, -1}, row[3] = {0, 0, 0}, visits[3] = {0, 0, 0};
    int32_t   number[3] = {-1, -1, -1};
    int       seen[9] = {0}; /* how often each of the nine training songs began in the first epoch */
    for (int64_t n = 0; n < BATCHES; n++) {
        const ct_batch *b = ct_loader_batch(&loader, n);
        int64_t         targets = 0, open = 0;
        for (int64_t line = 0; line < 3; line++)
            for (int64_t t = 0; t < TOKENS; t++) {
                int64_t         i = line * TOKENS + t;
                const uint16_t *r = b->rows + i * b->columns;
                if (song[line] < 0) { /* the last song is at its end: this row begins another */
                    int64_t count = 0, from;
                    while (t + count < TOKENS && b->song[i + count] == b->song[i]) count++;
                    song[line] = find_song(CT_MELODY, b, i, count, true, &from);
                    if (song[line] < 0) fail_msg("batch %d, line %d: no song begins so", (int)n, (int)line);
                    assert_int_not_equal(b->song[i], number[line]);
                    number[line] = b->song[i];
                    row[line] = 0;
                    if (visits[line]++ * 3 + line < 9) seen[song[line] - song[line] / 4]++;
                }
                assert_int_equal(b->song[i], number[line]);
                const ct_song *s = &data.songs[song[line]];
                if (memcmp(ct_dataset_row(&data, CT_MELODY, s->first[CT_MELODY] + row[line]), r,
                           (size_t)b->columns * sizeof *r) != 0)
                    fail_msg("batch %d, line %d, row %d: not the next row", (int)n, (int)line, (int)t);
                assert_targets(CT_MELODY, b, i, song[line], row[line], 1);
                targets += b->target[i] >= 0;
                open += b->open[i];
                if (++row[line] == s->rows[CT_MELODY]) song[line] = -1;
            }
        assert_int_equal(b->targets, targets);
        assert_int_equal(b->open_targets, open);
    }
    for (int line = 0; line < 3; line++) assert_true(visits[line] > 4); /* more than one epoch went by */
    for (int i = 0; i < 9; i++) assert_int_equal(seen[i], 1);
    ct_loader_close(&loader);
}

static void whole_lines_begin_with_songs(void **state) {
    (void)state;
    for (int64_t tokens = 20; tokens <= 400; tokens += 380) {
        ct_loader loader = open_loader(CT_BACKBONE, false, false, 0, tokens);
        int       starts = 0, places = 0;
        for (int64_t n = 0; n < 40; n++) {
            const ct_batch *b = ct_loader_batch(&loader, n);
            for (int64_t line = 0; line < 3; line++)
                for (int64_t t = 0, part = 0, count; t < tokens; t += count, part++) {
                    int64_t i = line * tokens + t, row = 0;
                    assert_true(b->song[i] >= 0); /* lines are full */
                    for (count = 0; t + count < tokens && b->song[i + count] == b->song[i];) count++;
                    int64_t song = find_song(CT_BACKBONE, b, i, count, part > 0, &row);
                    if (song < 0) fail_msg("batch %d, line %d, part %d: no such rows", (int)n, (int)line, (int)part);
                    int64_t left = data.songs[song].rows[CT_BACKBONE] - row - count;
                    if (t + count < tokens) assert_int_equal(left, 0); /* only the end of the line cuts */
                    if (data.songs[song].rows[CT_BACKBONE] <= tokens) assert_int_equal(row, 0);
                    assert_targets(CT_BACKBONE, b, i, song, row, count);
                    starts += part == 0 && row == 0;
                    places += part == 0 && row > 0;
                }
        }
        assert_int_equal(starts + places, 120);
        if (tokens == 20) assert_true(starts > 30 && places > 30); /* every song is longer than a line */
        if (tokens == 400) assert_true(starts > 60);
        ct_loader_close(&loader);
    }
}

static void transposition_is_that_of_rows(void **state) {
    (void)state;
    enum { TOKENS = 61 };
    for (int stage = 0; stage < CT_STAGES; stage++) {
        ct_loader plain = open_loader(stage, stage == CT_MELODY, false, 0, TOKENS),
                  turned = open_loader(stage, stage == CT_MELODY, true, 0, TOKENS);
        int    seen[12] = {0}, before[3] = {99, 99, 99};
        size_t columns = (size_t)data.stage[stage].column_count;
        for (int64_t n = 0; n < 40; n++) {
            const ct_batch *a = ct_loader_batch(&plain, n), *b = ct_loader_batch(&turned, n);
            assert_memory_equal(a->song, b->song, sizeof(int32_t) * 3 * TOKENS);
            assert_memory_equal(a->open, b->open, (size_t)3 * TOKENS);
            for (int64_t line = 0; line < 3; line++)
                for (int64_t t = 0, count; t < TOKENS; t += count) {
                    int64_t  i = line * TOKENS + t;
                    uint16_t rows[TOKENS][CT_COLUMNS_MAX];
                    int      shift, found = 99, matches = 0;
                    for (count = 0; t + count < TOKENS && a->song[i + count] == a->song[i];) count++;
                    for (shift = -5; shift <= 6; shift++) {
                        uint16_t *flat = &rows[0][0], next[CT_COLUMNS_MAX] = {0};
                        bool      same = true;
                        memcpy(flat, a->rows + (size_t)i * columns, (size_t)count * columns * sizeof *flat);
                        ct_rows_transpose((ct_stage)stage, flat, count, shift);
                        same = !memcmp(flat, b->rows + (size_t)i * columns, (size_t)count * columns * sizeof *flat);
                        for (int64_t k = 0; k < count && same; k++) {
                            if (a->target[i + k] < 0)
                                same = b->target[i + k] < 0;
                            else if (k + 1 < count)
                                same = b->target[i + k] == flat[(size_t)(k + 1) * columns];
                            else { /* beyond the line */
                                next[0] = (uint16_t)a->target[i + k];
                                ct_rows_transpose((ct_stage)stage, next, 1, shift);
                                same = b->target[i + k] == next[0];
                            }
                        }
                        if (same) found = shift, matches++;
                    }
                    if (found == 99) fail_msg("batch %d, line %d, row %d: no transposition", (int)n, (int)line, (int)t);
                    if (count > 20) { /* long enough to tell */
                        assert_int_equal(matches, 1);
                        seen[found + 5]++;
                        if (stage == CT_MELODY && t == 0 && before[line] != 99) assert_int_equal(found, before[line]);
                    }
                    /* a song that goes on in the next batch of a stream goes on in the same key */
                    before[line] = count > 20 && a->target[i + count - 1] >= 0 ? found : 99;
                }
        }
        for (int k = 0; k < 12; k++) assert_true(seen[k] > 0);
        ct_loader_close(&plain);
        ct_loader_close(&turned);
    }
}

static void groups_are_unknown_throughout_a_line(void **state) {
    (void)state;
    enum { TOKENS = 40, BATCHES = 200 };
    const ct_column *columns = data.stage[CT_MELODY].columns;
    ct_loader        plain = open_loader(CT_MELODY, true, false, 0, TOKENS),
              hidden = open_loader(CT_MELODY, true, false, 0.25, TOKENS);
    int unknown[CT_GROUP_COUNT] = {0};
    for (int64_t n = 0; n < BATCHES; n++) {
        const ct_batch *a = ct_loader_batch(&plain, n), *b = ct_loader_batch(&hidden, n);
        assert_memory_equal(a->target, b->target, sizeof(int32_t) * 3 * TOKENS);
        for (int64_t line = 0; line < 3; line++) {
            int all[CT_GROUP_COUNT] = {0}, same[CT_GROUP_COUNT] = {0}, cells[CT_GROUP_COUNT] = {0};
            for (int64_t t = 0; t < TOKENS; t++)
                for (int c = 0; c < b->columns; c++) {
                    int64_t i = (line * TOKENS + t) * b->columns + c;
                    int     g = columns[c].group;
                    cells[g]++;
                    all[g] += columns[c].size && b->rows[i] == columns[c].size - 1;
                    same[g] += a->rows[i] == b->rows[i];
                }
            assert_int_equal(same[CT_GROUP_NONE], cells[CT_GROUP_NONE]);
            for (int g = 1; g < CT_GROUP_COUNT; g++) {
                assert_true(cells[g] > 0);
                assert_true(all[g] == cells[g] || same[g] == cells[g]);
                unknown[g] += all[g] == cells[g];
            }
        }
    }
    for (int g = 1; g < CT_GROUP_COUNT; g++) assert_in_range(unknown[g], 108, 192); /* 150 of 600, within 4 sigma */
    ct_loader_close(&plain);
    ct_loader_close(&hidden);
}

static void segments_are_counted(void **state) {
    (void)state;
    static const int64_t windows[] = {1, 2, 3, 10, 64, 100000};
    for (int stage = 0; stage < CT_STAGES; stage++)
        for (size_t w = 0; w < CT_COUNT(windows); w++) {
            ct_chord_columns c = ct_chord_columns_of(data.stage[stage].columns, data.stage[stage].column_count);
            int64_t          most = 0;
            for (int64_t s = 0; s < data.song_count; s++)
                for (int64_t first = 0; first < data.songs[s].rows[stage]; first++) {
                    int64_t count = 1;
                    for (int64_t r = first + 1; r < first + windows[w] && r < data.songs[s].rows[stage]; r++) {
                        const uint16_t *row = ct_dataset_row(&data, stage, data.songs[s].first[stage] + r);
                        const uint16_t *old = row - data.stage[stage].column_count;
                        count +=
                            row[c.root] != old[c.root] || row[c.quality] != old[c.quality] || row[c.key] != old[c.key];
                    }
                    if (count > most) most = count;
                }
            assert_int_equal(ct_dataset_segments(&data, stage, windows[w]), most);
            assert_true(windows[w] == 1 || most > 1);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datasets_open),
        cmocka_unit_test(wrong_datasets_are_refused),
        cmocka_unit_test(values_are_checked),
        cmocka_unit_test(foreign_datasets_train),
        cmocka_unit_test(batches_depend_on_seed_and_number_alone),
        cmocka_unit_test(lines_are_those_of_the_whole_batch),
        cmocka_unit_test(streams_go_on_without_gap),
        cmocka_unit_test(whole_lines_begin_with_songs),
        cmocka_unit_test(transposition_is_that_of_rows),
        cmocka_unit_test(groups_are_unknown_throughout_a_line),
        cmocka_unit_test(segments_are_counted),
    };
    return cmocka_run_group_tests(tests, make_dataset, remove_dataset);
}

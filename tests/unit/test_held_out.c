/* Held-out scores: count models by hand and as probabilities, the cache of a song, measures and their intervals,
 * networks against a direct sum and with columns unknown, the table of all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/rng.h"
#include "models/comparison.h"
#include "models/song_cache.h"
#include "small_dataset.h"

#include <math.h>

static char          folder[TEMP_PATH];
static ct_arena      arena; /* until the end */
static const int64_t train[] = {0, 1, 2, 4, 5, 6};

static int make_dataset(void **state) {
    (void)state;
    temp_folder(folder);
    small_dataset(folder, 8);
    return 0;
}
static int remove_dataset(void **state) {
    (void)state;
    temp_remove(folder);
    ct_arena_free(&arena);
    return 0;
}
static ct_dataset open_dataset(void) {
    ct_dataset d;
    assert_int_equal(ct_dataset_open(folder, &d), CT_OK);
    return d;
}

/* ---- the count model */
/* Songs a b a b a c and b b over three words. Bigrams ab 2, ba 2, ac 1, bb 1: discount 2 / (2 + 2 * 2) = 1/3. Kinds
 * before b: 2, before a: 1, before c: 1: discount 2 / (2 + 2) = 1/2, so p(b) = 1.5/4 + 1/2 * 3/4 * 1/3 = 1/2 and
 * p(a) = p(c) = 1/4. After a (3 times, 2 kinds) 1/3 * 2/3 = 2/9 goes to these. */
static void kneser_ney_by_hand(void **state) {
    (void)state;
    static const uint16_t rows[] = {0, 1, 0, 1, 0, 2, 1, 1, 1, 0};
    static ct_column      column = {"token", 3, CT_GROUP_NONE, CT_TURN_NONE};
    ct_song               songs[] = {
                      {"x", CT_TRAIN, {0, 0}, {6, 0}}, {"y", CT_TRAIN, {6, 0}, {2, 0}}, {"z", CT_VALID, {8, 0}, {2, 0}}};
    ct_dataset d = {.path = "hand", .songs = songs, .song_count = 3};
    d.stage[0] = (ct_stage_data){.present = true, .columns = &column, .column_count = 1, .vocabulary_size = 3};
    d.stage[0].npy = (ct_npy){.type = CT_NPY_U16, .rows = 10, .columns = 1, .data = rows};
    static const double expected[3][3] = {
        {1.0 / 18, 2.0 / 3, 5.0 / 18}, {11.0 / 18, 1.0 / 3, 1.0 / 18}, {0.25, 0.5, 0.25}};
    const int64_t all[] = {0, 1};
    ct_ngram     *m;
    assert_int_equal(ct_ngram_train(&d, 0, all, 2, 2, &m), CT_OK);
    for (uint16_t before = 0; before < 3; before++)
        for (uint16_t next = 0; next < 3; next++) {
            const uint16_t tokens[] = {before};
            double         p = ct_ngram_p(m, tokens, 1, next);
            if (!(fabs(p - expected[before][next]) < 1e-12)) fail_msg("p(%d | %d) = %.15g", next, before, p);
        }
    ct_ngram_free(m);
    assert_int_equal(ct_ngram_train(&d, 0, all, 0, 2, &m), CT_EFAIL);
    assert_message_has("nothing to count in 0 songs");
    d.stage[0].vocabulary_size = 4096;
    assert_int_equal(ct_ngram_train(&d, 0, all, 2, 2, &m), CT_EFAIL);
    assert_message_has("4096");
}

static void probabilities_sum_to_one(void **state) {
    (void)state;
    ct_dataset d = open_dataset();
    for (int stage = 0; stage < CT_STAGES; stage++)
        for (int order = 1; order <= CT_NGRAM_MOST; order++) {
            ct_ngram *m;
            assert_int_equal(ct_ngram_train(&d, stage, train, CT_COUNT(train), order, &m), CT_OK);
            int size = d.stage[stage].vocabulary_size;
            for (int k = 0; k < 40; k++) { /* contexts: of training songs, of held-out ones, and noise */
                uint16_t       tokens[32];
                const ct_song *song = &d.songs[k % 2 ? 0 : 3];
                int64_t        at = 1 + k / 2;
                for (int64_t i = 0; i < at; i++)
                    tokens[i] = k % 4 == 3 ? (uint16_t)ct_philox_below(
                                                 ct_philox_at(5, (uint64_t)k, (uint64_t)i).word[0], (uint32_t)size)
                                           : ct_dataset_row(&d, stage, song->first[stage] + i)[0];
                double sum = 0;
                for (int v = 0; v < size; v++) {
                    double p = ct_ngram_p(m, tokens, at, v);
                    assert_true(p > 0 && p < 1);
                    sum += p;
                }
                if (!(fabs(sum - 1) < 1e-9)) fail_msg("order %d, context %d: %.12g", order, k, sum);
            }
            ct_ngram_free(m);
        }
    ct_dataset_close(&d);
}

/* Training songs are counted in all twelve keys, so a transposed song is no surprise. */
static void counts_know_all_keys(void **state) {
    (void)state;
    ct_dataset d = open_dataset();
    ct_ngram  *m;
    assert_int_equal(ct_ngram_train(&d, CT_BACKBONE, train, CT_COUNT(train), 4, &m), CT_OK);
    const ct_song *song = &d.songs[0];
    double         sums[12];
    for (int shift = 0; shift < 12; shift++) {
        uint16_t *tokens = CT_NEW(&arena, uint16_t, (size_t)song->rows[0]);
        assert_non_null(tokens);
        sums[shift] = 0;
        for (int64_t i = 0; i < song->rows[0]; i++) {
            uint16_t row[CT_COLUMNS_MAX];
            memcpy(row, ct_dataset_row(&d, 0, song->first[0] + i), CT_BC_COUNT * sizeof *row);
            ct_rows_transpose(CT_BACKBONE, row, 1, shift < 7 ? shift : shift - 12);
            tokens[i] = row[0];
            if (i) sums[shift] += log(ct_ngram_p(m, tokens, i, tokens[i]));
        }
        assert_true(fabs(sums[shift] - sums[0]) < 1e-6);
    }
    ct_ngram_free(m);
    ct_dataset_close(&d);
}

/* ---- the cache of a song */
/* Heard: a b a b a. Before the next token: nothing (5 followers of 2 kinds), a (b b), ba (b), aba (b); baba is new.
 * p0(b) = (2 + 2/3) / 7 = 8/21, p1 = (2 + 8/21) / 3 = 50/63, p2 = (1 + 50/63) / 2 = 113/126, p3 = (1 + 113/126) / 2. */
static void cache_by_hand(void **state) {
    (void)state;
    static const uint16_t rows[] = {0, 1, 0, 1, 0, 2};
    static ct_column      column = {"token", 3, CT_GROUP_NONE, CT_TURN_NONE};
    ct_song               song = {"x", CT_TRAIN, {0, 0}, {6, 0}};
    ct_dataset            d = {.path = "hand", .songs = &song, .song_count = 1};
    const int64_t         zero = 0;
    ct_ngram             *m;
    ct_song_cache         c;
    d.stage[0] = (ct_stage_data){.present = true, .columns = &column, .column_count = 1, .vocabulary_size = 3};
    d.stage[0].npy = (ct_npy){.type = CT_NPY_U16, .rows = 6, .columns = 1, .data = rows};
    assert_int_equal(ct_ngram_train(&d, 0, &zero, 1, 3, &m), CT_OK);
    assert_int_equal(ct_song_cache_make(m, 3, 6, &arena, &c), CT_OK);
    for (int round = 0; round < 2; round++) { /* a cleared cache knows nothing of the song before */
        ct_song_cache_clear(&c);
        c.weight[3] = 1;
        assert_true(ct_song_cache_p(&c, rows, 0, 1) == ct_ngram_p(m, rows, 0, 1)); /* nothing heard: the counts alone */
        for (int64_t t = 0; t < 5; t++) ct_song_cache_hear(&c, rows, t);
        assert_true(fabs(ct_song_cache_p(&c, rows, 5, 1) - 239.0 / 252) < 1e-12);
        c.weight[3] = 0.25;
        double mixed = 0.75 * ct_ngram_p(m, rows, 5, 1) + 0.25 * 239.0 / 252;
        assert_true(fabs(ct_song_cache_p(&c, rows, 5, 1) - mixed) < 1e-12);
        for (int i = 0; i <= CT_CACHE_CONTEXT; i++) c.weight[i] = i == 3 ? 0 : 1; /* only the longest counts */
        assert_true(ct_song_cache_p(&c, rows, 5, 1) == ct_ngram_p(m, rows, 5, 1));
    }
    ct_ngram_free(m);
}

/* Songs that are a loop of their own: the next token is certain once the loop has come round, whoever counts. */
enum { LOOPS = 24, LOOP = 8, TURNS = 6, WORDS = 40 };
static ct_dataset loops(uint16_t rows[LOOPS * LOOP * TURNS], ct_song songs[LOOPS]) {
    static ct_column   column = {"token", WORDS, CT_GROUP_NONE, CT_TURN_NONE};
    static const char *words[WORDS];
    ct_dataset         d = {.path = "loops", .songs = songs, .song_count = LOOPS};
    for (int i = 0; i < WORDS; i++) words[i] = i % 2 ? "ODD_x" : "EVEN_x";
    for (int s = 0; s < LOOPS; s++) {
        songs[s] = (ct_song){"x", s < 20 ? CT_TRAIN : CT_VALID, {s * LOOP * TURNS, 0}, {LOOP * TURNS, 0}};
        for (int t = 0; t < LOOP * TURNS; t++)
            rows[s * LOOP * TURNS + t] =
                (uint16_t)ct_philox_below(ct_philox_at(3, (uint64_t)s, (uint64_t)(t % LOOP)).word[0], WORDS);
    }
    d.stage[0] = (ct_stage_data){
        .present = true, .columns = &column, .column_count = 1, .vocabulary = words, .vocabulary_size = WORDS};
    d.stage[0].npy = (ct_npy){.type = CT_NPY_U16, .rows = LOOPS * LOOP * TURNS, .columns = 1, .data = rows};
    return d;
}

static void copying_is_learnt(void **state) {
    (void)state;
    uint16_t         rows[LOOPS * LOOP * TURNS];
    ct_song          songs[LOOPS];
    ct_dataset       d = loops(rows, songs);
    ct_held_out      what = {.dataset = &d, .stage = 0, .split = CT_VALID};
    ct_comparison    c;
    ct_count_options o = {.least = 3, .most = 5, .cache = true};
    ct_comparison_begin(&c, &what, 100, 1);
    assert_int_equal(ct_comparison_counts(&c, &o), CT_OK);
    assert_int_equal(c.count, 4);
    assert_int_equal(c.counted, 20);
    assert_string_equal(c.rival[0].name, "Kneser-Ney 3");
    assert_string_equal(c.rival[2].name, "Kneser-Ney 5");
    const ct_rival *best = ct_comparison_best_counts(&c);
    assert_string_equal(best->name, "Kneser-Ney 4 + song");
    double without = ct_scores_mean(&c.rival[1].scores, CT_MEASURE_ALL),
           with = ct_scores_mean(&best->scores, CT_MEASURE_ALL);
    if (!(with < 0.45 * without)) fail_msg("with the cache %.4f, without %.4f", with, without);
    assert_true(best->interval[0].low < with && with < best->interval[0].high);

    ct_json *json = ct_comparison_json(&c), *rivals = ct_json_get(json, "rivals");
    assert_int_equal(ct_json_count(rivals), 4);
    ct_json *all = ct_json_get(ct_json_get(ct_json_at(rivals, 3), "measures"), "all");
    assert_true(ct_json_real(ct_json_get(all, "nats"), 0) == with);
    assert_true(ct_json_real(ct_json_get(all, "tokens"), 0) == 4 * (LOOP * TURNS - 1));
    assert_non_null(ct_json_get(ct_json_get(ct_json_at(rivals, 0), "measures"), "ODD"));
    ct_json_free(json);
    ct_comparison_free(&c);

    o = (ct_count_options){.least = 3, .most = 3, .songs = 5};
    ct_comparison_begin(&c, &what, 100, 1);
    assert_int_equal(ct_comparison_counts(&c, &o), CT_OK);
    assert_int_equal(c.count, 1);
    assert_int_equal(c.counted, 5);
    ct_comparison_free(&c);
}

static void what_cannot_be_counted_is_left_out(void **state) {
    (void)state;
    uint16_t         rows[LOOPS * LOOP * TURNS];
    ct_song          songs[LOOPS];
    ct_dataset       d = loops(rows, songs);
    ct_held_out      what = {.dataset = &d, .stage = 0, .split = CT_VALID};
    ct_comparison    c;
    ct_count_options o = {.least = 3, .most = 5, .cache = true};
    for (int s = 1; s < LOOPS; s++) songs[s].split = CT_VALID; /* one song to count */
    ct_comparison_begin(&c, &what, 100, 1);
    assert_int_equal(ct_comparison_counts(&c, &o), CT_OK);
    assert_int_equal(c.count, 0);
    assert_null(ct_comparison_best_counts(&c));
    songs[1].split = CT_TRAIN; /* two are enough */
    assert_int_equal(ct_comparison_counts(&c, &o), CT_OK);
    assert_int_equal(c.count, 4);
    ct_comparison_free(&c);
}

/* ---- measures */
static double fixed_log_p(const void *context, int token) {
    return log(((const double *)context)[token]);
}

static void chord_changes_by_hand(void **state) {
    (void)state;
    static const char *const words[] = {"BAR",      "ROOT_none", "ROOT_C",   "ROOT_D",
                                        "QUAL_maj", "QUAL_maj6", "QUAL_min", "BASS_0"};
    static const double      p[] = {0.05, 0.05, 0.2, 0.1, 0.25, 0.15, 0.1, 0.1};
    ct_scores                s;
    char                     name[32];
    assert_int_equal(ct_scores_make(words, CT_COUNT(words), 2, &arena, &s), CT_OK);
    ct_scores_add(&s, 0, 0, false, fixed_log_p, p);
    ct_scores_add(&s, 0, 2, true, fixed_log_p, p);
    ct_scores_add(&s, 0, 4, true, fixed_log_p, p);
    ct_scores_add(&s, 1, 1, true, fixed_log_p, p); /* to no chord: not counted as a change */
    assert_true(fabs(ct_scores_mean(&s, CT_MEASURE_CHANGE) + log(0.2) + log(0.25 + 0.15)) < 1e-12);
    assert_true(fabs(ct_scores_mean(&s, CT_MEASURE_CHOICE) + log(0.2 / 0.3) + log(0.25 + 0.15)) < 1e-12);
    assert_true(fabs(ct_scores_mean(&s, CT_MEASURE_OPEN) + (log(0.2) + log(0.25) + log(0.05)) / 3) < 1e-12);
    assert_true(fabs(ct_scores_mean(&s, CT_MEASURE_FORCED) + log(0.05)) < 1e-12);
    assert_int_equal(s.kind_count, 4);
    assert_string_equal(ct_measure_name(&s, CT_MEASURE_KINDS + 1, name, sizeof name), "ROOT");
    assert_string_equal(ct_measure_name(&s, CT_MEASURE_KINDS + 4, name, sizeof name), "BAR forced");
    assert_true(fabs(ct_scores_mean(&s, CT_MEASURE_KINDS + 1) + (log(0.2) + log(0.05)) / 2) < 1e-12);
    assert_true(isnan(ct_scores_mean(&s, CT_MEASURE_KINDS + 3))); /* BASS: none came */
}

static double given_log_p(const void *context, int token) {
    return ((const double *)context)[token];
}

/* so unlikely that no double holds the probability: its logarithm still counts */
static void what_is_all_but_impossible_counts(void **state) {
    (void)state;
    static const char *const words[] = {"BAR", "ROOT_C", "ROOT_D", "QUAL_maj", "QUAL_min"};
    static const double      log_p[] = {0, -800, -830, -900, -850};
    ct_scores                s;
    assert_int_equal(ct_scores_make(words, CT_COUNT(words), 1, &arena, &s), CT_OK);
    ct_scores_add(&s, 0, 2, true, given_log_p, log_p);
    ct_scores_add(&s, 0, 3, true, given_log_p, log_p);
    assert_true(ct_scores_mean(&s, CT_MEASURE_CHANGE) == 830 + 900);
    assert_true(ct_scores_mean(&s, CT_MEASURE_CHOICE) == 30 + 900);
}

static void every_quality_has_a_class(void **state) {
    (void)state;
    ct_scores   s;
    const char *words[CT_B_COUNT];
    bool        seen[7] = {false};
    for (int i = 0; i < CT_B_COUNT; i++) {
        char text[32];
        words[i] = ct_arena_printf(&arena, "%s", ct_token_name(CT_BACKBONE, i, text, sizeof text));
    }
    assert_int_equal(ct_scores_make(words, CT_B_COUNT, 1, &arena, &s), CT_OK);
    for (int i = 0; i < CT_B_COUNT; i++) {
        bool quality = i >= CT_B_QUAL && i < CT_B_BASS;
        assert_true(quality ? s.quality[i] >= 0 && s.quality[i] < 7 : s.quality[i] == -1);
        assert_int_equal(s.root[i], i >= CT_B_ROOT && i < CT_B_QUAL);
        if (quality) seen[s.quality[i]] = true;
    }
    for (int i = 0; i < 7; i++) assert_true(seen[i]);
}

/* The mean of 400 songs with one token each: the interval is that of the normal distribution, 1.96 sd / 20. */
static void intervals_are_those_of_the_mean(void **state) {
    (void)state;
    enum { SONGS = 400 };
    static const char *const words[] = {"x"};
    ct_scores                a, b;
    double                   sum = 0, squares = 0;
    assert_int_equal(ct_scores_make(words, 1, SONGS, &arena, &a), CT_OK);
    assert_int_equal(ct_scores_make(words, 1, SONGS, &arena, &b), CT_OK);
    for (int i = 0; i < SONGS; i++) {
        double p = 0.05 + 0.9 * ct_philox_double(ct_philox_at(1, 1, (uint64_t)i).word[0], 0), q = p / 2;
        ct_scores_add(&a, i, 0, true, fixed_log_p, &p);
        ct_scores_add(&b, i, 0, true, fixed_log_p, &q);
        sum -= log(p), squares += log(p) * log(p);
    }
    double      mean = sum / SONGS, half = 1.96 * sqrt((squares / SONGS - mean * mean) / SONGS);
    ct_interval v[CT_MEASURES_MOST], again[CT_MEASURES_MOST], none[CT_MEASURES_MOST];
    assert_int_equal(ct_scores_intervals(&a, NULL, 2000, 7, v), CT_OK);
    assert_int_equal(ct_scores_intervals(&a, NULL, 2000, 7, again), CT_OK);
    assert_true(fabs(v[0].mean - mean) < 1e-12 && v[0].low == again[0].low && v[0].high == again[0].high);
    if (!(fabs((mean - v[0].low) / half - 1) < 0.1 && fabs((v[0].high - mean) / half - 1) < 0.1))
        fail_msg("%.4f (%.4f, %.4f), expected half width %.4f", mean, v[0].low, v[0].high, half);
    /* on the same songs: b is log 2 above a everywhere, so there is no doubt about the difference */
    assert_int_equal(ct_scores_intervals(&b, &a, 500, 7, v), CT_OK);
    assert_true(fabs(v[0].mean - log(2)) < 1e-9 && fabs(v[0].low - log(2)) < 1e-9 && fabs(v[0].high - log(2)) < 1e-9);
    assert_int_equal(ct_scores_intervals(&a, NULL, 0, 7, none), CT_OK);
    assert_true(isnan(none[0].low) && fabs(none[0].mean - mean) < 1e-12);
    a.songs = 1; /* one song has no interval */
    assert_int_equal(ct_scores_intervals(&a, NULL, 100, 7, none), CT_OK);
    assert_true(isnan(none[0].low) && isfinite(none[0].mean));
}

/* ---- networks */
static void assert_same_scores(const ct_scores *a, const ct_scores *b) {
    assert_true(a->songs == b->songs && a->measures == b->measures);
    assert_memory_equal(a->at, b->at, (size_t)(a->songs * a->measures) * sizeof *a->at);
}

static void held_out_loss_is_a_direct_sum(void **state) {
    (void)state;
    ct_dataset d = open_dataset();
    for (int form = 0; form < 3; form++) { /* even window; odd window; memory that holds every song */
        const bool      memory = form == 2;
        ct_model_config config = {.stage = CT_BACKBONE,
                                  .layers = 2,
                                  .width = 16,
                                  .heads = 2,
                                  .feed_forward = 16,
                                  .tokens = form == 0   ? 24
                                            : form == 1 ? 25
                                                        : 10,
                                  .memory = memory ? 1000 : 0,
                                  .dropout = 0.5, /* off in validation */
                                  .rotary_base = 10000,
                                  .rotary_count = 1,
                                  .rotary = {{CT_BY_INDEX, 1}},
                                  .form = CT_FORM_TABLE,
                                  .roots = true,
                                  .function = true,
                                  .theory = true};
        ct_model        m;
        ct_network      n[2];
        ct_scores       v, again;
        int             stage = config.stage = memory ? CT_MELODY : CT_BACKBONE;
        ct_held_out     what = {.dataset = &d, .stage = stage, .split = CT_VALID};
        assert_int_equal(ct_model_create(&config, &d.stage[stage], 7, CT_F32, &m), CT_OK);
        for (int64_t i = 0; i < m.parameter_count; i++)
            ((float *)m.parameters)[i] += 0.2F * (ct_philox_float(ct_philox_at(99, 0, (uint64_t)i).word[0]) - 0.5F);
        for (int k = 0; k < 2; k++) {
            ct_network_options o = {
                .batch = k ? 1 : 3, .tokens = config.tokens, .memory = config.memory, .backend = ct_backend_cpu()};
            assert_int_equal(ct_network_make(&m, &o, &n[k]), CT_OK);
        }
        /* something in the memory and the step, to be found there afterwards */
        size_t bytes = ct_network_memory_bytes(&n[0]);
        void  *before = ct_arena_alloc(&arena, 2 * bytes + 1, 1), *after = (char *)before + bytes;
        assert_non_null(before);
        assert_int_equal(ct_held_out_network(&what, &n[0], &arena, &v), CT_OK);
        ct_loader         loader;
        ct_loader_options lo = {
            .stage = stage, .split = CT_TRAIN, .stream = true, .batch = 3, .tokens = config.tokens, .seed = 1};
        assert_int_equal(ct_loader_open(&d, &lo, &loader), CT_OK);
        assert_int_equal(ct_network_fill(&n[0], ct_loader_batch(&loader, 0)), CT_OK);
        n[0].step->train = true;
        n[0].step->number = 5;
        assert_int_equal(ct_network_forward(&n[0]), CT_OK);
        assert_int_equal(ct_network_remember(&n[0]), CT_OK);
        ct_loader_close(&loader);
        assert_int_equal(ct_network_memory_save(&n[0], before), CT_OK);
        assert_int_equal(ct_held_out_network(&what, &n[0], &arena, &again), CT_OK);
        assert_int_equal(ct_network_memory_save(&n[0], after), CT_OK);
        assert_memory_equal(before, after, bytes);
        assert_true(n[0].step->train && n[0].step->number == 5);
        assert_same_scores(&v, &again);

        double    sum = 0, open_sum = 0;
        int64_t   targets = 0, open_targets = 0;
        const int open = ct_column_find(d.stage[stage].columns, d.stage[stage].column_count, "open");
        ct_batch  batch;
        assert_int_equal(ct_batch_make(&arena, 1, config.tokens, m.column_count, &batch), CT_OK);
        for (int64_t s = 0; s < d.song_count; s++) {
            if (d.songs[s].split != CT_VALID) continue;
            int64_t rows = d.songs[s].rows[stage], counted = 0;
            assert_true(rows > config.tokens + 1); /* more than one window */
            assert_int_equal(ct_network_forget(&n[1]), CT_OK);
            for (int64_t first = 0; counted < rows - 1; first += memory ? config.tokens : config.tokens / 2) {
                int64_t count = rows - first < config.tokens ? rows - first : config.tokens;
                ct_batch_clear(&batch, 0);
                ct_batch_lay(&batch, &d, stage, s, first, count, 0, 0, 0);
                assert_int_equal(ct_network_fill(&n[1], &batch), CT_OK);
                assert_int_equal(ct_network_forward(&n[1]), CT_OK);
                assert_int_equal(ct_network_remember(&n[1]), CT_OK);
                for (int64_t t = counted - first; t < count && first + t < rows - 1; t++, counted++) {
                    double nats = (double)((const float *)n[1].loss)[t];
                    sum += nats, targets++;
                    if (ct_dataset_row(&d, stage, d.songs[s].first[stage] + first + t + 1)[open])
                        open_sum += nats, open_targets++;
                }
            }
        }
        const ct_tally all = ct_scores_total(&v, CT_MEASURE_ALL), opened = ct_scores_total(&v, CT_MEASURE_OPEN),
                       forced = ct_scores_total(&v, CT_MEASURE_FORCED);
        assert_true(all.count == (double)targets && opened.count == (double)open_targets);
        assert_true(open_targets > 0 && open_targets < targets);
        if (!(fabs(all.nats - sum) < 1e-5 * sum)) fail_msg("form %d: %.9g, directly %.9g", form, all.nats, sum);
        assert_true(fabs(opened.nats - open_sum) < 1e-5 * open_sum);
        assert_true(fabs(opened.nats + forced.nats - all.nats) < 1e-9 * sum);
        double kinds = 0, count = 0;
        for (int k = CT_MEASURE_KINDS; k < v.measures; k++) {
            kinds += ct_scores_total(&v, k).nats;
            count += ct_scores_total(&v, k).count;
        }
        assert_true(count == all.count && fabs(kinds - all.nats) < 1e-9 * sum);
        what.songs = 1;
        assert_int_equal(ct_held_out_network(&what, &n[0], &arena, &again), CT_OK);
        assert_int_equal(again.songs, 1);
        assert_true(ct_scores_total(&again, CT_MEASURE_ALL).count == (double)(d.songs[3].rows[stage] - 1));
        for (int k = 0; k < 2; k++) ct_network_free(&n[k]);
        ct_model_free(&m);
    }
    ct_dataset_close(&d);
}

/* A group made unknown while reading is the same as a dataset in which its columns say so; the others are read. */
static void unknown_groups_are_hidden(void **state) {
    (void)state;
    ct_dataset               d = open_dataset(), changed = d;
    const ct_stage_data     *s = &d.stage[CT_MELODY];
    const ct_model_config    config = {.stage = CT_MELODY,
                                       .layers = 1,
                                       .width = 16,
                                       .heads = 2,
                                       .feed_forward = 16,
                                       .tokens = 16,
                                       .memory = 16,
                                       .rotary_base = 10000,
                                       .form = CT_FORM_OFF};
    const ct_network_options o = {.batch = 2, .tokens = 16, .memory = 16, .backend = ct_backend_cpu()};
    ct_model                 m;
    ct_network               n;
    ct_scores                known, hidden, direct;
    const size_t             values = (size_t)(s->npy.rows * s->column_count);
    uint16_t                *copy = CT_NEW(&arena, uint16_t, values);
    assert_non_null(copy);
    assert_int_equal(ct_model_create(&config, s, 3, CT_F32, &m), CT_OK);
    for (int64_t i = 0; i < m.parameter_count; i++)
        ((float *)m.parameters)[i] += 0.2F * (ct_philox_float(ct_philox_at(99, 0, (uint64_t)i).word[0]) - 0.5F);
    assert_int_equal(ct_network_make(&m, &o, &n), CT_OK);
    for (int group = 1; group < CT_GROUP_COUNT; group++) {
        ct_held_out what = {.dataset = &d, .stage = CT_MELODY, .split = CT_VALID};
        memcpy(copy, s->npy.data, values * sizeof *copy);
        for (size_t i = 0; i < values; i++) {
            const ct_column *column = &s->columns[i % (size_t)s->column_count];
            if (column->group == group) copy[i] = (uint16_t)(column->size - 1);
        }
        changed.stage[CT_MELODY].npy.data = copy;
        assert_int_equal(ct_held_out_network(&what, &n, &arena, &known), CT_OK);
        what.unknown = 1u << group;
        assert_int_equal(ct_held_out_network(&what, &n, &arena, &hidden), CT_OK);
        what = (ct_held_out){.dataset = &changed, .stage = CT_MELODY, .split = CT_VALID};
        assert_int_equal(ct_held_out_network(&what, &n, &arena, &direct), CT_OK);
        assert_same_scores(&hidden, &direct);
        assert_true(ct_scores_mean(&hidden, CT_MEASURE_ALL) != ct_scores_mean(&known, CT_MEASURE_ALL));
    }
    ct_network_free(&n);
    ct_model_free(&m);
    ct_dataset_close(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kneser_ney_by_hand),
        cmocka_unit_test(probabilities_sum_to_one),
        cmocka_unit_test(counts_know_all_keys),
        cmocka_unit_test(cache_by_hand),
        cmocka_unit_test(copying_is_learnt),
        cmocka_unit_test(what_cannot_be_counted_is_left_out),
        cmocka_unit_test(chord_changes_by_hand),
        cmocka_unit_test(what_is_all_but_impossible_counts),
        cmocka_unit_test(every_quality_has_a_class),
        cmocka_unit_test(intervals_are_those_of_the_mean),
        cmocka_unit_test(held_out_loss_is_a_direct_sum),
        cmocka_unit_test(unknown_groups_are_hidden),
    };
    return cmocka_run_group_tests(tests, make_dataset, remove_dataset);
}

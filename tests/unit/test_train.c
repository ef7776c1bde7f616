/* Training: the count model, the schedule, validation against a direct sum, and whole runs: same seed same bytes, stops
 * and resumes, what is not finite, early stopping, fine-tuning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/log.h"
#include "core/run.h"
#include "models/checkpoints.h"
#include "models/held_out.h"
#include "models/ngram.h"
#include "small_dataset.h"
#include "train/checkpoint.h"
#include "train/train.h"

#include <math.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static char     folder[TEMP_PATH];
static ct_arena arena; /* of configs and paths, until the end */

static int make_dataset(void **state) {
    (void)state;
    temp_folder(folder);
    assert_int_equal(ct_folder_make(temp_path(&arena, folder, "data")), CT_OK);
    small_dataset(temp_path(&arena, folder, "data"), 8);
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
    assert_int_equal(ct_dataset_open(temp_path(&arena, folder, "data"), &d), CT_OK);
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
    ct_ngram *m;
    assert_int_equal(ct_ngram_train(&d, 0, CT_TRAIN, 2, &m), CT_OK);
    for (uint16_t before = 0; before < 3; before++)
        for (uint16_t next = 0; next < 3; next++) {
            const uint16_t tokens[] = {before, next};
            double         p = exp(ct_ngram_log(m, tokens, 1));
            if (!(fabs(p - expected[before][next]) < 1e-12)) fail_msg("p(%d | %d) = %.15g", next, before, p);
        }
    double all, open;
    assert_int_equal(ct_ngram_evaluate(m, &d, 0, CT_VALID, &all, &open), CT_OK);
    assert_true(fabs(all + log(11.0 / 18)) < 1e-12 && open == all); /* b a; without an open column all are open */
    assert_int_equal(ct_ngram_evaluate(m, &d, 0, CT_TRAIN, &all, &open), CT_OK);
    assert_true(fabs(all + (2 * log(2.0 / 3) + 2 * log(11.0 / 18) + log(5.0 / 18) + log(1.0 / 3)) / 6) < 1e-12);
    ct_ngram_free(m);
    assert_int_equal(ct_ngram_train(&d, 0, CT_TEST, 2, &m), CT_EFAIL);
    assert_message_has("nothing to count in the split test");
    d.stage[0].vocabulary_size = 4096;
    assert_int_equal(ct_ngram_train(&d, 0, CT_TRAIN, 2, &m), CT_EFAIL);
    assert_message_has("4096");
}

static void probabilities_sum_to_one(void **state) {
    (void)state;
    ct_dataset d = open_dataset();
    for (int stage = 0; stage < CT_STAGES; stage++)
        for (int order = 1; order <= CT_NGRAM_MOST; order++) {
            ct_ngram *m;
            assert_int_equal(ct_ngram_train(&d, stage, CT_TRAIN, order, &m), CT_OK);
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
                    tokens[at] = (uint16_t)v;
                    double p = exp(ct_ngram_log(m, tokens, at));
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
    assert_int_equal(ct_ngram_train(&d, CT_BACKBONE, CT_TRAIN, 4, &m), CT_OK);
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
            if (i) sums[shift] += ct_ngram_log(m, tokens, i);
        }
        assert_true(fabs(sums[shift] - sums[0]) < 1e-6);
    }
    ct_ngram_free(m);
    ct_dataset_close(&d);
}

/* ---- the schedule */
static void learning_rate_rises_and_falls(void **state) {
    (void)state;
    ct_train_config c = {.learning_rate = 2, .final_share = 0.1, .warmup = 10, .steps = 110};
    assert_true(ct_learning_rate(&c, 1) == 0.2 && ct_learning_rate(&c, 5) == 1 && ct_learning_rate(&c, 10) == 2);
    assert_true(fabs(ct_learning_rate(&c, 60) - 1.1) < 1e-12); /* half way down */
    assert_true(fabs(ct_learning_rate(&c, 110) - 0.2) < 1e-12 &&
                ct_learning_rate(&c, 999) == ct_learning_rate(&c, 110));
    for (int64_t i = 11; i <= 110; i++) assert_true(ct_learning_rate(&c, i) < ct_learning_rate(&c, i - 1));
    c.warmup = 0;
    assert_true(ct_learning_rate(&c, 1) < 2 && ct_learning_rate(&c, 1) > 1.99);
    c.warmup = 500; /* longer than the run */
    assert_true(ct_learning_rate(&c, 110) == 2 * 110 / 500.0);
}

/* ---- validation */
static void validation_is_a_direct_sum(void **state) {
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
        ct_validation   v;
        int             stage = config.stage = memory ? CT_MELODY : CT_BACKBONE;
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
        assert_int_equal(ct_validate(&n[0], &d, stage, CT_VALID, 0, &v), CT_OK);
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
        ct_network_memory_save(&n[0], before);
        ct_validation again;
        assert_int_equal(ct_validate(&n[0], &d, stage, CT_VALID, 0, &again), CT_OK);
        ct_network_memory_save(&n[0], after);
        assert_memory_equal(before, after, bytes);
        assert_true(n[0].step->train && n[0].step->number == 5);
        assert_true(v.all == again.all && v.open == again.open);

        double    sum = 0, open_sum = 0;
        int64_t   targets = 0, open_targets = 0;
        const int open = ct_column_find(d.stage[stage].columns, d.stage[stage].column_count, "open");
        ct_batch  batch;
        assert_int_equal(ct_batch_make(&arena, 1, config.tokens, m.column_count, &batch), CT_OK);
        for (int64_t s = 0; s < d.song_count; s++) {
            if (d.songs[s].split != CT_VALID) continue;
            int64_t rows = d.songs[s].rows[stage], counted = 0;
            assert_true(rows > config.tokens + 1); /* more than one window */
            ct_network_forget(&n[1]);
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
        assert_int_equal(v.targets, targets);
        assert_int_equal(v.open_targets, open_targets);
        assert_true(open_targets > 0 && open_targets < targets);
        if (!(fabs(v.all - sum / (double)targets) < 1e-5))
            fail_msg("form %d: %.9g, directly %.9g", form, v.all, sum / (double)targets);
        assert_true(fabs(v.open - open_sum / (double)open_targets) < 1e-5);
        double kinds = 0, count = 0;
        for (int k = 0; k < v.kind_count; k++) kinds += v.kinds[k].sum, count += v.kinds[k].count;
        assert_true(count == (double)targets && fabs(kinds - v.all * count) < 1e-6 * kinds);
        assert_int_equal(ct_validate(&n[0], &d, stage, CT_VALID, 1, &again), CT_OK);
        assert_int_equal(again.targets, d.songs[3].rows[stage] - 1); /* the first of the split alone */
        for (int k = 0; k < 2; k++) ct_network_free(&n[k]);
        ct_model_free(&m);
    }
    ct_dataset_close(&d);
}

/* ---- whole runs */
/* The smallest run with everything in it: memory, dropout, accumulation, unknown columns, transposition. */
static ct_train_config tiny(const char *name, const char *more, const char *again) {
    const char     *words[] = {ct_arena_printf(&arena, "data.path=%s/data", folder),
                               ct_arena_printf(&arena, "train.out=%s/%s", folder, name),
                               "model.stage=melody",
                               "model.layers=1",
                               "model.width=16",
                               "model.heads=2",
                               "model.feed_forward=16",
                               "model.tokens=24",
                               "model.memory=24",
                               "optimizer.warmup=5",
                               "optimizer.learning_rate=0.01",
                               "train.steps=24",
                               "train.batch=2",
                               "train.accumulate=2",
                               "train.log_every=5",
                               "train.valid_every=8",
                               "train.save_every=8",
                               "train.patience=0",
                               "train.count_model=0",
                           more ? more : "train.valid_songs=0",
                           again ? again : "train.valid_songs=0"};
    ct_train_config c;
    if (ct_config_read(&ct_train_schema, NULL, words, CT_COUNT(words), &arena, &c) != CT_OK)
        fail_msg("%s", ct_message());
    return c;
}

static void assert_trains(const ct_train_config *c) {
    if (ct_train(c, NULL, 0) != CT_OK) fail_msg("%s", ct_message());
}

/* File of the newest checkpoint of a run. */
static const char *checkpoint(const char *run, const char *kind, const char *file) {
    char path[4096];
    assert_true(ct_checkpoint_find(temp_path(&arena, folder, run), kind, path, sizeof path));
    return temp_path(&arena, path, file);
}

static void assert_same_file(const char *a, const char *b) {
    ct_bytes x = temp_read(a, &arena), y = temp_read(b, &arena);
    if (x.count != y.count || memcmp(x.at, y.at, x.count)) fail_msg("%s and %s differ", a, b);
}

static void assert_same_runs(const char *a, const char *b) {
    static const char *const files[] = {"metrics.jsonl", "metrics.csv"};
    for (size_t i = 0; i < CT_COUNT(files); i++)
        assert_same_file(temp_path(&arena, temp_path(&arena, folder, a), files[i]),
                         temp_path(&arena, temp_path(&arena, folder, b), files[i]));
    assert_same_file(checkpoint(a, "last", "model.safetensors"), checkpoint(b, "last", "model.safetensors"));
    assert_same_file(checkpoint(a, "last", "state.safetensors"), checkpoint(b, "last", "state.safetensors"));
    assert_same_file(checkpoint(a, "best", "model.safetensors"), checkpoint(b, "best", "model.safetensors"));
}

/* Threads that compute never run a signal's handler (core/log.c says why): they keep the signals blocked. */
static void computing_threads_block_signals(void **state) {
    (void)state;
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int free_threads = 0;
        ct_stop_install();
#pragma omp parallel reduction(+ : free_threads)
        {
            sigset_t set;
            pthread_sigmask(SIG_SETMASK, NULL, &set);
            free_threads += !(sigismember(&set, SIGINT) && sigismember(&set, SIGTERM) && sigismember(&set, SIGUSR1));
        }
        kill(getpid(), SIGUSR1);
        while (!ct_stop_asked()) usleep(1000);
        _exit(free_threads);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
}

/* In a child process, which a signal may mark: train, with a stop asked for from the start or not. Its exit code: 75
 * for a stop on request, else the status. */
static int train_in_child(const ct_train_config *c, int signal_number) {
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        ct_stop_install();
        if (signal_number) kill(getpid(), signal_number);
        while (signal_number && !ct_stop_asked()) usleep(1000);
        ct_status status = ct_train(c, NULL, 0);
        fflush(stdout);
        _exit(status == CT_ESTOP ? 75 : (int)status);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    return WEXITSTATUS(how);
}

/* Stopped three times in the middle of everything, resumed each time: the same bytes as the undisturbed run. This test
 * comes first: a process that has begun OpenMP threads can't fork. */
static void stopped_runs_go_on_as_if_undisturbed(void **state) {
    (void)state;
    static const int signals[] = {SIGTERM, SIGUSR1, SIGINT};
    ct_train_config  whole = tiny("whole", NULL, NULL), parts = tiny("parts", "train.resume=auto", NULL);
    assert_int_equal(train_in_child(&whole, 0), CT_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(train_in_child(&parts, signals[i]), 75);
        assert_string_equal(strrchr(checkpoint("parts", "last", "x"), '-'),
                            ct_arena_printf(&arena, "-%010d/x", i + 1)); /* each stop came after one step */
    }
    assert_int_equal(train_in_child(&parts, 0), CT_OK);
    assert_same_runs("whole", "parts");
    ct_train_config often = tiny("often", "train.valid_every=1", NULL), /* and where each step is validated */
        steps = tiny("steps", "train.valid_every=1", "train.resume=auto");
    assert_int_equal(train_in_child(&often, 0), CT_OK);
    for (int i = 0; i < 3; i++) assert_int_equal(train_in_child(&steps, signals[i]), 75);
    assert_int_equal(train_in_child(&steps, 0), CT_OK);
    assert_same_runs("often", "steps");
    assert_int_equal(train_in_child(&whole, 0), CT_EFAIL); /* resume=never: refused, nothing changed */
    assert_same_runs("whole", "parts");
    assert_int_equal(train_in_child(&parts, 0), CT_OK); /* finished already: nothing to do */
    assert_same_runs("whole", "parts");
}

/* Ended before the first checkpoint, by whatever can't be caught: resume=auto begins again. */
static void runs_without_checkpoint_begin_again(void **state) {
    (void)state;
    ct_train_config c = tiny("early", "train.resume=auto", NULL);
    ct_json        *facts = ct_provenance();
    ct_run          run;
    ct_metric       metrics[] = {{"loss", 9}};
    assert_int_equal(ct_run_create(c.out, "a: 1\n", facts, &run), CT_OK);
    assert_int_equal(ct_run_metrics(&run, 5, metrics, 1), CT_OK);
    ct_run_close(&run);
    ct_json_free(facts);
    assert_trains(&c);
    assert_same_file(temp_path(&arena, folder, "early/metrics.jsonl"),
                     temp_path(&arena, folder, "whole/metrics.jsonl"));
    ct_train_config other = tiny("data", "train.resume=auto", NULL); /* a folder that is no run is left alone */
    assert_int_equal(ct_train(&other, NULL, 0), CT_EFAIL);
    assert_message_has("is there already");
    assert_false(ct_file_exists(temp_path(&arena, folder, "data/metrics.jsonl")));
}

static void one_seed_one_run(void **state) {
    (void)state;
    ct_train_config again = tiny("again", NULL, NULL), other = tiny("other", "train.seed=2", NULL);
    assert_trains(&again);
    assert_same_runs("whole", "again");
    assert_trains(&other);
    ct_bytes a = temp_read(checkpoint("again", "last", "model.safetensors"), &arena),
             b = temp_read(checkpoint("other", "last", "model.safetensors"), &arena);
    assert_true(a.count != b.count || memcmp(a.at, b.at, a.count));
}

static double metric(const char *run, int64_t step, const char *name) {
    ct_bytes bytes = temp_read(temp_path(&arena, temp_path(&arena, folder, run), "metrics.jsonl"), &arena);
    double   value = NAN;
    for (char *line = (char *)bytes.at, *end; (end = strchr(line, '\n')); line = end + 1) {
        ct_json *json;
        assert_int_equal(ct_json_parse(line, (size_t)(end - line), "metrics", &json), CT_OK);
        if (ct_json_integer(ct_json_get(json, "step"), -1) == step) value = ct_json_real(ct_json_get(json, name), NAN);
        ct_json_free(json);
    }
    return value;
}

static void loss_falls(void **state) {
    (void)state;
    for (int stage = 0; stage < CT_STAGES; stage++) {
        const char     *name = stage ? "falls-melody" : "falls-backbone";
        ct_train_config c = tiny(name, "train.steps=120", NULL);
        c.model.stage = stage;
        if (stage == CT_BACKBONE) c.model.memory = 0;
        assert_trains(&c);
        double first = metric(name, 5, "loss"), last = metric(name, 120, "loss");
        if (!(last < 0.8 * first)) fail_msg("%s: loss %g, then %g", name, first, last);
        double lowest = INFINITY; /* random songs can be learnt by heart: later on the held-out loss rises again */
        for (int64_t step = 8; step <= 120; step += 8) lowest = fmin(lowest, metric(name, step, "valid_loss"));
        if (!(lowest < 0.95 * metric(name, 8, "valid_loss"))) fail_msg("%s: held out %g", name, lowest);
        assert_true(isnan(metric(name, 5, "valid_loss"))); /* none at that step: the key is left out */
        assert_true(metric(name, 120, "skipped") == 0);
        assert_true(fabs(metric(name, 120, "learning_rate") - 0.001) < 1e-9);
    }
}

/* From another run's weights: with a learning rate of 0 they stay as they were. */
static void runs_begin_from_others(void **state) {
    (void)state;
    ct_train_config c = tiny("tuned", ct_arena_printf(&arena, "train.init=%s/whole", folder), "train.steps=1");
    ct_model        from, to;
    c.learning_rate = 0;
    assert_trains(&c);
    assert_int_equal(ct_model_load(checkpoint("whole", "best", "model.safetensors"), CT_F32, &from), CT_OK);
    assert_int_equal(ct_model_load(checkpoint("tuned", "last", "model.safetensors"), CT_F32, &to), CT_OK);
    assert_memory_equal(from.parameters, to.parameters, (size_t)from.parameter_count * sizeof(float));
    ct_model_free(&from);
    ct_model_free(&to);
    c = tiny("misfit", ct_arena_printf(&arena, "train.init=%s/whole", folder), "model.width=32");
    assert_int_equal(ct_train(&c, NULL, 0), CT_EFAIL);
    assert_message_has("the two models differ");
    assert_false(ct_run_exists(c.out));
    c = tiny("misfit", "train.init=/nowhere", NULL);
    assert_int_equal(ct_train(&c, NULL, 0), CT_EFAIL);
    assert_message_has("train.init");
    c = tiny("whole", "train.resume=auto", "model.width=32"); /* nor can a run go on in another shape */
    assert_int_equal(ct_train(&c, NULL, 0), CT_EFAIL);
    assert_message_has("the two models differ");
    assert_same_file(temp_path(&arena, folder, "whole/metrics.jsonl"),
                     temp_path(&arena, folder, "again/metrics.jsonl"));
}

/* A learning rate beyond reason: the loss overflows, steps are skipped and counted, the run ends, the checkpoint loads
 * and holds what was there before the first skipped step. */
static void what_is_not_finite_changes_nothing(void **state) {
    (void)state;
    ct_train_config one = tiny("one", "train.steps=1", "train.save_every=1"),
                    wild = tiny("wild", "train.save_every=1", "train.most_skipped=3");
    one.warmup = wild.warmup = 0;
    one.final_share = wild.final_share = 1;
    one.learning_rate = wild.learning_rate = 1e30;
    wild.log_every = 1;
    wild.valid_every = one.valid_every = 1000;
    assert_int_equal(ct_train(&wild, NULL, 0), CT_EFAIL);
    assert_message_has("step 4: loss or gradient not finite 3 times in a row");
    assert_message_has("learning_rate");
    assert_true(metric("wild", 1, "skipped") == 0 && metric("wild", 2, "skipped") == 1 &&
                metric("wild", 3, "skipped") == 2);
    ct_model    m[2];
    ct_status   ended = ct_train(&one, NULL, 0); /* its held-out loss is not finite either */
    const char *paths[] = {checkpoint("one", "last", "model.safetensors"),
                           checkpoint("wild", "last", "model.safetensors")};
    assert_int_equal(ended, CT_OK);
    for (int k = 0; k < 2; k++) assert_int_equal(ct_model_load(paths[k], CT_F32, &m[k]), CT_OK);
    assert_memory_equal(m[0].parameters, m[1].parameters, (size_t)m[0].parameter_count * sizeof(float));
    for (int64_t i = 0; i < m[1].parameter_count; i++) assert_true(isfinite(((const float *)m[1].parameters)[i]));
    for (int k = 0; k < 2; k++) ct_model_free(&m[k]);
}

static void patience_ends(void **state) {
    (void)state;
    ct_train_config c = tiny("patient", "train.patience=2", "train.valid_every=3");
    c.learning_rate = 0; /* nothing changes: no validation is better than the first */
    assert_trains(&c);
    assert_string_equal(strrchr(checkpoint("patient", "last", "x"), '-'), "-0000000009/x");
    assert_string_equal(strrchr(checkpoint("patient", "best", "x"), '-'), "-0000000003/x");
    assert_true(isnan(metric("patient", 12, "loss")) && !isnan(metric("patient", 9, "loss")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(computing_threads_block_signals),
        cmocka_unit_test(stopped_runs_go_on_as_if_undisturbed),
        cmocka_unit_test(runs_without_checkpoint_begin_again),
        cmocka_unit_test(one_seed_one_run),
        cmocka_unit_test(loss_falls),
        cmocka_unit_test(runs_begin_from_others),
        cmocka_unit_test(what_is_not_finite_changes_nothing),
        cmocka_unit_test(patience_ends),
        cmocka_unit_test(kneser_ney_by_hand),
        cmocka_unit_test(probabilities_sum_to_one),
        cmocka_unit_test(counts_know_all_keys),
        cmocka_unit_test(learning_rate_rises_and_falls),
        cmocka_unit_test(validation_is_a_direct_sum),
    };
    return cmocka_run_group_tests(tests, make_dataset, remove_dataset);
}

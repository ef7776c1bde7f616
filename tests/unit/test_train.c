/* Training: the schedule and whole runs: same seed same bytes, stops
 * and resumes, what is not finite, early stopping, fine-tuning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/log.h"
#include "core/run.h"
#include "models/checkpoints.h"
#include "small_dataset.h"
#include "train/checkpoint.h"
#include "train/step.h"

#include <math.h>
#include <pthread.h>
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
    assert_int_equal(ct_checkpoint_newest(temp_path(&arena, folder, run), kind, path, sizeof path, NULL), CT_OK);
    assert_true(*path);
    return temp_path(&arena, path, file);
}

static void assert_same_file(const char *a, const char *b) {
    ct_bytes x = temp_read(a, &arena), y = temp_read(b, &arena);
    if (x.count != y.count || memcmp(x.at, y.at, x.count) != 0) fail_msg("%s and %s differ", a, b);
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

/* Ask the own process to stop once metrics of `step` are there. */
typedef struct ct_asker {
    const char *metrics;
    int64_t     step;
    int         signal_number;
} ct_asker;

static void *ask_later(void *context) {
    const ct_asker *a = context;
    char            line[64], text[1 << 16] = "";
    snprintf(line, sizeof line, "{\"step\": %lld,", (long long)a->step);
    while (!strstr(text, line)) {
        usleep(200);
        FILE  *file = fopen(a->metrics, "rb");
        size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
        if (file) fclose(file);
        text[n] = 0;
    }
    kill(getpid(), a->signal_number);
    return NULL;
}

/* In a child process, which a signal may mark: train, with a stop asked for once metrics of step `after` are there,
 * from the start (0), or not at all (no signal). Its exit code: 75 for a stop on request, else the status. */
static int train_in_child_after(const ct_train_config *c, int signal_number, int64_t after) {
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        ct_asker  asker = {temp_path(&arena, c->out, "metrics.jsonl"), after, signal_number};
        pthread_t thread;
        ct_stop_install();
        if (after) {
            pthread_create(&thread, NULL, ask_later, &asker);
            pthread_detach(thread);
        } else if (signal_number)
            kill(getpid(), signal_number);
        while (signal_number && !after && !ct_stop_asked()) usleep(1000);
        ct_status status = ct_train(c, NULL, 0);
        fflush(stdout);
        _exit(status == CT_ESTOP ? 75 : (int)status);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    return WEXITSTATUS(how);
}

static int train_in_child(const ct_train_config *c, int signal_number) {
    return train_in_child_after(c, signal_number, 0);
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
    for (int i = 0; i < 3; i++) { /* a wish to stop is heard in the validation, which is made again */
        assert_int_equal(train_in_child(&steps, signals[i]), 75);
        assert_string_equal(strrchr(checkpoint("steps", "last", "x"), '-'), "-0000000001/x");
    }
    int stops = 0;
    for (int64_t after = 1; after < 24 && train_in_child_after(&steps, SIGUSR1, after) == 75; stops++)
        after = ct_checkpoint_step(checkpoint("steps", "last", "x"));
    assert_true(stops >= 3);
    assert_int_equal(train_in_child(&steps, 0), CT_OK);
    assert_same_runs("often", "steps");
    assert_int_equal(train_in_child(&whole, 0), CT_EFAIL); /* resume=never: refused, nothing changed */
    assert_same_runs("whole", "parts");
    assert_int_equal(train_in_child(&parts, 0), CT_OK); /* finished already: nothing to do */
    assert_same_runs("whole", "parts");
}

/* One step a process, each of the two stages: every step is a place to stop and go on from, in the middle of a pass
 * over the data, of an interval of metrics, between validations. A stop at the beginning does not wait for the
 * validation that is made again; to come beyond it, the stop is asked for after it. */
static void every_step_is_a_place_to_resume(void **state) {
    (void)state;
    static const int         signals[] = {SIGTERM, SIGUSR1, SIGINT};
    static const char *const stages[] = {"backbone", "melody"};
    for (int stage = 0; stage < 2; stage++) {
        ct_train_config c[2];
        for (int k = 0; k < 2; k++) {
            c[k] = tiny(ct_arena_printf(&arena, "%s-%s", stages[stage], k ? "steps" : "whole"),
                        k ? "train.resume=auto" : NULL, "train.log_every=3");
            c[k].model.stage = stage;
            c[k].model.memory = stage ? 24 : 0;
            c[k].steps = 13;
            c[k].valid_every = 4;
        }
        assert_int_equal(train_in_child(&c[0], 0), CT_OK);
        int stops = 0, ended = 75;
        for (int64_t at = 0; at < 13 && ended == 75; stops++) {
            ended = train_in_child_after(&c[1], signals[stops % 3], at % 4 == 0 ? at : 0);
            int64_t now = ct_checkpoint_step(checkpoint(strrchr(c[1].out, '/') + 1, "last", "x"));
            if (now <= at) fail_msg("%s: still at step %lld, exit %d", stages[stage], (long long)at, ended);
            at = now;
        }
        assert_true(ended == 75 || ended == CT_OK);
        assert_true(stops >= 6);
        assert_int_equal(train_in_child(&c[1], 0), CT_OK);
        assert_same_runs(ct_arena_printf(&arena, "%s-whole", stages[stage]),
                         ct_arena_printf(&arena, "%s-steps", stages[stage]));
    }
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
    assert_true(a.count != b.count || memcmp(a.at, b.at, a.count) != 0);
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
    assert_message_has("model.width: 32, but");
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
        cmocka_unit_test(every_step_is_a_place_to_resume),
        cmocka_unit_test(runs_without_checkpoint_begin_again),
        cmocka_unit_test(one_seed_one_run),
        cmocka_unit_test(loss_falls),
        cmocka_unit_test(runs_begin_from_others),
        cmocka_unit_test(what_is_not_finite_changes_nothing),
        cmocka_unit_test(patience_ends),
        cmocka_unit_test(learning_rate_rises_and_falls),
    };
    return cmocka_run_group_tests(tests, make_dataset, remove_dataset);
}

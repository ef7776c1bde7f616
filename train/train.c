/* train.c -- see train.h. */
#include "train/train.h"

#include "core/fault.h"
#include "core/file.h"
#include "core/log.h"
#include "core/run.h"
#include "kernels/flight.h"
#include "models/checkpoints.h"
#include "models/comparison.h"
#include "train/plan.h"
#include "train/resume.h"
#include "train/tracing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { RESUME_NEVER, RESUME_AUTO };
enum { BOOTSTRAP = 1000 }; /* samples of the final report */

typedef struct ct_trainer {
    const ct_train_config *config;
    ct_comm               *comm;  /* NULL: there is one rank */
    bool                   leads; /* the rank that makes the run folder and tells */
    bool          stop, late;     /* what all ranks know after a step: one was asked to stop; train.minutes is over */
    ct_dataset    dataset;
    ct_stepper    s;
    ct_saver      saver;
    ct_tracing    tracing;
    ct_json      *facts; /* for manifests */
    ct_run        run;
    double        begun, peak; /* seconds; measured flop/s of sgemm */
    double        interval_begun;
    int64_t       interval_tokens; /* of the window that another process has read */
    bool          enough;          /* ends before train.steps */
    ct_comparison comparison;      /* count models, and at the end the best checkpoint */
} ct_trainer;

/* ---- opening */
static ct_status init_weights(ct_trainer *t) {
    char path[4200];
    if (!*t->config->init) return CT_OK;
    CT_TRY(ct_context(ct_model_find(t->config->init, path, sizeof path), "%s", ct_config_where("train.init")));
    ct_model from;
    CT_TRY(ct_model_load(path, t->s.model.dtype, &from));
    ct_status status = ct_context(ct_model_copy_weights(&from, &t->s.model), "%s", path);
    ct_model_free(&from);
    return status == CT_OK ? ct_weights_send(&t->s.network.weights) : status;
}

static ct_status check_out_is_free(const ct_train_config *c) {
    return c->resume == RESUME_NEVER && ct_run_exists(c->out)
               ? ct_fail(CT_EFAIL,
                         "%s: %s is there already; nothing was changed (hint: another train.out, or train.resume=auto)",
                         ct_config_where("train.out"), c->out)
               : CT_OK;
}

static ct_status open_all(ct_trainer *t) {
    const ct_train_config *c = t->config;
    CT_TRY(ct_dataset_open(c->data, &t->dataset));
    CT_TRY(ct_resume_facts(c, &t->dataset, &t->facts));
    CT_TRY(ct_stepper_open_among(c, &t->dataset, t->comm, &t->s));
    CT_TRY(ct_tracing_open(c, &t->s, &t->tracing));
    const ct_checkpoint_place place = {
        .run = c->out, .keep = c->keep, .keep_every = c->keep_every, .facts = t->facts, .timeout = c->dist.timeout};
    return ct_saver_open(&place, &t->s.network, c->background, false, &t->saver);
}

static ct_status record_run(ct_trainer *t, const char *const *words, size_t word_count, bool again) {
    const ct_train_config *c = t->config;
    ct_arena               arena = {0};
    ct_json               *facts = ct_provenance(), *line = ct_json_new_array();
    char                  *yaml = ct_config_print(&ct_train_schema, c, &arena);
    for (size_t i = 0; i < word_count; i++) ct_json_add(line, ct_json_new_text(words[i]));
    ct_json_set(facts, "words", line);
    ct_json_set(facts, "dataset_sha256", ct_json_new_text(t->dataset.hash));
    ct_json_set(facts, "seed", ct_json_new_integer(c->seed));
    ct_json_set(facts, "device", ct_json_new_text(ct_device_describe(t->s.device)));
    ct_json_set(facts, "isa", ct_json_new_text(ct_cpu_isa()));
    ct_json_set(facts, "gemm", ct_json_new_text(ct_cpu_gemm()));
    ct_json_set(facts, "threads", ct_json_new_integer(ct_cpu_threads()));
    ct_json_set(facts, "parameters", ct_json_new_integer(t->s.model.parameter_count));
    ct_status status = !yaml   ? CT_ENOMEM
                       : again ? ct_run_record(&t->run, yaml, facts)
                               : ct_run_create(c->out, yaml, facts, &t->run);
    ct_json_free(facts);
    ct_arena_free(&arena);
    return status;
}

typedef struct ct_start { /* the first rank looks for it */
    bool begun;           /* the run folder is there */
    char path[4096];      /* its newest checkpoint, if it has one */
} ct_start;

static ct_status find_start(ct_trainer *t, ct_start *out) {
    const ct_train_config *c = t->config;
    ct_json               *manifest = NULL;
    out->begun = c->resume != RESUME_NEVER && ct_run_begun(c->out);
    if (!out->begun) return CT_OK;
    CT_TRY(ct_run_open(c->out, &t->run));
    CT_TRY(ct_checkpoint_newest(c->out, "last", out->path, sizeof out->path, &manifest));
    ct_status status = *out->path ? ct_resume_check_run(c, &t->dataset) : CT_OK;
    if (status == CT_OK && manifest) status = ct_resume_check(c, &t->dataset, manifest);
    ct_json_free(manifest);
    return status;
}

static ct_status take_start(ct_trainer *t, const ct_start *from) {
    ct_counters *at = &t->s.at;
    if (!*from->path) return init_weights(t);
    CT_TRY(ct_checkpoint_load(from->path, &t->s.network, at));
    t->interval_tokens = at->window_tokens;
    ct_loader_seek(&t->s.loader, at->micro);
    ct_log("resuming from %s", from->path);
    return CT_OK;
}

/* What comes after the checkpoint is undone: metrics, and checkpoints from a future that will be another. */
static ct_status open_run(ct_trainer *t, const ct_start *from, const char *const *words, size_t word_count) {
    const ct_train_config *c = t->config;
    const ct_counters     *at = &t->s.at;
    const int64_t          after = at->settled ? at->step : at->step - 1; /* reported */
    if (!from->begun) return record_run(t, words, word_count, false);
    if (*from->path) {
        CT_TRY(ct_checkpoint_undo(c->out, CT_LAST, at->step + 1));
        CT_TRY(ct_checkpoint_undo(c->out, CT_BEST, after + 1));
        return ct_run_resume(&t->run, after);
    }
    ct_log("%s has no checkpoint yet: from the beginning", c->out);
    CT_TRY(record_run(t, words, word_count, true));
    CT_TRY(ct_checkpoint_undo(c->out, CT_BEST, 0));
    return ct_run_resume(&t->run, 0);
}

static ct_status begin(ct_trainer *t, const char *const *words, size_t word_count) {
    ct_start start = {.begun = false};
    if (t->leads) CT_TRY(find_start(t, &start));
    if (start.begun) ct_flight_clear(t->config->out);
    if (t->comm) CT_TRY(ct_comm_broadcast(t->comm, &start, sizeof start));
    if (t->comm) ct_flight_open(t->config->out, t->comm->rank, t->comm->size, t->comm->host);
    CT_TRY(take_start(t, &start));
    if (t->leads) CT_TRY(open_run(t, &start, words, word_count));
    if (!t->comm) return CT_OK;
    CT_TRY(ct_comm_barrier(t->comm));
    if (ct_folder_exists(t->config->out)) return CT_OK;
    return ct_fail(CT_EFAIL, "%s: %s, which rank 0 has made, is not there on %s (hint: a file system that all share)",
                   ct_config_where("train.out"), t->config->out, t->comm->host);
}

static void close_all(ct_trainer *t) {
    ct_comparison_free(&t->comparison);
    ct_saver_close(&t->saver);
    ct_tracing_close(&t->tracing);
    ct_run_close(&t->run);
    ct_stepper_close(&t->s);
    ct_json_free(t->facts);
    ct_dataset_close(&t->dataset);
}

/* ---- metrics */
typedef struct ct_validation { /* nats a token of held-out songs, NAN: there are none */
    double all, open;
} ct_validation;

static ct_status report(ct_trainer *t, const ct_validation *v) {
    ct_counters *a = &t->s.at;
    double       seconds = ct_seconds() - t->interval_begun,
           tokens = (double)(a->window_tokens - t->interval_tokens) / seconds;
    double flops = t->s.network.flops * tokens / (double)(t->s.network.batch * t->s.network.tokens),
           ranks = t->comm ? t->comm->size : 1;
    double loss = a->window_targets > 0 ? a->window_loss / a->window_targets : NAN,
           open = a->window_open_targets > 0 ? a->window_open / a->window_open_targets : NAN;
    double    lr = ct_learning_rate(t->config, a->step);
    ct_metric metrics[] = {
        {"epoch", ct_loader_epochs(&t->s.loader, a->micro)},
        {"loss", loss},
        {"open_loss", open},
        {"valid_loss", v ? v->all : NAN},
        {"valid_open_loss", v ? v->open : NAN},
        {"learning_rate", lr},
        {"gradient_norm", a->norm},
        {"skipped", (double)a->skipped},
    };
    const bool here = !ct_device_apart(t->s.device); /* on the CPU, whose peak is known */
    if (here && flops > ranks * t->peak)
        t->peak = fmax(t->peak, ct_cpu_measure_gemm()); /* measured while the machine was busy */
    char left[32], held[96] = "", rate[48];
    if (here)
        snprintf(rate, sizeof rate, "%.0f %% of sgemm peak", t->peak > 0 ? 100 * flops / (ranks * t->peak) : 0);
    else
        snprintf(rate, sizeof rate, "%.3g TFLOP/s", flops / 1e12);
    if (v) snprintf(held, sizeof held, "  held out %.4f (open %.4f)", v->all, v->open);
    double done = (double)a->step / (double)t->config->steps, elapsed = ct_seconds() - t->begun,
           remaining = elapsed / (done > 0 ? done : 1) * (1 - done);
    if (t->config->minutes > 0 && t->config->minutes * 60 - elapsed < remaining)
        remaining = t->config->minutes * 60 - elapsed;
    ct_log("step %lld/%lld  loss %.4f (open %.4f)%s  lr %.2e  norm %.2f  %.0f tokens/s  %s  %s left%s",
           (long long)a->step, (long long)t->config->steps, loss, open, held, lr, a->norm, tokens, rate,
           ct_duration(remaining, left, sizeof left), a->skipped ? "  (steps skipped)" : "");
    if (t->leads) CT_TRY(ct_run_metrics(&t->run, a->step, metrics, CT_COUNT(metrics)));
    a->window_loss = a->window_open = a->window_targets = a->window_open_targets = 0;
    a->window_tokens = t->interval_tokens = 0;
    t->interval_begun = ct_seconds();
    return CT_OK;
}

/* Is there anything to validate with? */
static bool holds_out(const ct_trainer *t) {
    bool any = false;
    for (int64_t i = 0; i < t->dataset.song_count; i++)
        any |= t->dataset.songs[i].split == CT_VALID && t->dataset.songs[i].rows[t->config->model.stage] > 1;
    return any;
}

static ct_status count_models(ct_trainer *t) {
    const ct_train_config *c = t->config;
    const ct_held_out      what = {
             .dataset = &t->dataset, .stage = c->model.stage, .split = CT_VALID, .songs = c->valid_songs};
    ct_comparison_begin(&t->comparison, &what, BOOTSTRAP, (uint64_t)c->seed);
    if (!c->order || !holds_out(t) || !t->leads) return CT_OK;
    CT_TRY(ct_comparison_counts(
        &t->comparison,
        &(ct_count_options){.least = 3, .most = (int)c->order, .cache = true, .songs = c->count_songs}));
    const ct_rival *best = ct_comparison_best_counts(&t->comparison);
    if (best)
        ct_log("to compare with: %s on the same songs and keys: held out %.4f (open %.4f) nats a token", best->name,
               ct_scores_mean(&best->scores, CT_MEASURE_ALL), ct_scores_mean(&best->scores, CT_MEASURE_OPEN));
    return CT_OK;
}

/* The final word is about the checkpoint that others will use: the best. */
static ct_status take_best(ct_trainer *t) {
    char     path[4200];
    ct_model best;
    CT_TRY(ct_model_find(t->config->out, path, sizeof path));
    CT_TRY(ct_model_load(path, t->s.model.dtype, &best));
    ct_status status = ct_model_copy_weights(&best, &t->s.model);
    ct_model_free(&best);
    return status == CT_OK ? ct_weights_send(&t->s.network.weights) : status;
}

static ct_status write_comparison(const ct_trainer *t) {
    char path[4200];
    snprintf(path, sizeof path, "%s/held-out.json", t->config->out);
    return ct_json_write(path, ct_comparison_json(&t->comparison));
}

static ct_status summary(ct_trainer *t) {
    const bool any = holds_out(t);
    char       took[32];
    if (t->leads)
        printf("%s: %lld steps in %s; %s\n", t->config->out, (long long)t->s.at.step,
               ct_duration(ct_seconds() - t->begun, took, sizeof took),
               any ? "the best checkpoint:" : "no song is held out to measure the model with");
    if (!any) return CT_OK;
    ct_flight_at("the final comparison", t->s.at.step, t->s.at.micro);
    if (t->comm) CT_TRY(ct_comm_barrier(t->comm)); /* it is on disk */
    CT_TRY(take_best(t));
    CT_TRY(ct_comparison_network(&t->comparison, &t->s.network, "model", 0));
    if (!t->leads) return CT_OK;
    ct_comparison_print(&t->comparison);
    return write_comparison(t);
}

static ct_status validate(ct_trainer *t, ct_validation *out) {
    ct_arena  arena = {0};
    ct_scores scores;
    ct_status status = ct_held_out_network(&t->comparison.what, &t->s.network, &arena, &scores);
    if (status == CT_OK)
        *out = (ct_validation){ct_scores_mean(&scores, CT_MEASURE_ALL), ct_scores_mean(&scores, CT_MEASURE_OPEN)};
    ct_arena_free(&arena);
    return status;
}

/* ---- the loop */
/* What follows a step: validation, report, the best so far. A wish to stop ends it before anything of it is done. */
static ct_status settle(ct_trainer *t, bool last) {
    const ct_train_config *c = t->config;
    ct_counters           *a = &t->s.at;
    ct_validation          v = {NAN, NAN};
    const bool             measure = last || a->step % c->valid_every == 0;
    if (measure) {
        double before = ct_seconds();
        ct_flight_at("validation", a->step, a->micro);
        CT_TRY(validate(t, &v));
        t->interval_begun += ct_seconds() - before;
    }
    if (measure || a->step % c->log_every == 0) CT_TRY(report(t, isfinite(v.all) ? &v : NULL));
    if (!isfinite(v.all)) return CT_OK;
    if (v.all < a->best) {
        a->best = v.all;
        a->waited = 0;
        CT_TRY(ct_saver_save(&t->saver, CT_BEST, a));
    } else
        a->waited++;
    if (c->patience && a->waited >= c->patience) {
        ct_log("no better validation for %lld in a row: stopping early (best %.4f)", (long long)a->waited, a->best);
        t->enough = true;
    }
    return CT_OK;
}

/* ---- the wish to stop. Of several ranks none stops alone: after each step they tell each other. */
static ct_status ask_all(ct_trainer *t) {
    const double minutes = t->config->minutes;
    int64_t      wish[] = {ct_stop_asked() != 0, minutes > 0 && ct_seconds() - t->begun > minutes * 60};
    if (t->comm) CT_TRY(ct_comm_reduce_int(t->comm, CT_REDUCE_MAX, wish, CT_COUNT(wish)));
    t->stop = wish[0];
    t->late = wish[1];
    return CT_OK;
}

static bool stop_asked(const ct_trainer *t) {
    return t->comm ? t->stop : ct_stop_asked() != 0;
}

static ct_status stop_check(const ct_trainer *t) {
    if (!t->comm || (t->stop && ct_stop_asked())) return ct_stop_check();
    return t->stop ? ct_fail(CT_ESTOP, "stopped: another rank was asked to") : CT_OK;
}

static ct_status stop(ct_trainer *t) {
    CT_TRY(ct_saver_wait(&t->saver));
    ct_log("saved at step %lld; train.resume=auto goes on from here", (long long)t->s.at.step);
    return stop_check(t);
}

/* Does something that reads the counters follow the step? */
static bool is_due(const ct_trainer *t, bool last) {
    const ct_train_config *c = t->config;
    const int64_t          step = t->s.at.step;
    return last || stop_asked(t) || step % c->save_every == 0 || (c->keep_every && step % c->keep_every == 0) ||
           step % c->valid_every == 0 || step % c->log_every == 0;
}

static ct_status loop(ct_trainer *t) {
    const ct_train_config *c = t->config;
    ct_counters           *a = &t->s.at;
    bool                   again = a->step > 0 && !a->settled; /* what follows the step that was loaded */
    for (; again || (a->step < c->steps && !t->enough); again = false) {
        if (!again) CT_TRY(ct_tracing_begin(&t->tracing));
        if (!again) CT_TRY(ct_stepper_step(&t->s));
        CT_TRY(ask_all(t));
        const bool last = a->step >= c->steps || t->late, due = is_due(t, last);
        if (due) CT_TRY(ct_stepper_settle(&t->s));
        ct_counters left = *a; /* as the step left them: that is what is saved */
        bool        saved = again;
        if (!saved && (stop_asked(t) || last || a->step % c->save_every == 0 ||
                       (c->keep_every && a->step % c->keep_every == 0))) {
            ct_flight_at("saving", a->step, a->micro);
            CT_TRY(ct_saver_save(&t->saver, CT_LAST, &left));
            saved = true;
        }
        CT_TRY(ct_tracing_end(&t->tracing, &t->saver));
        ct_fault_step(CT_FAULT_KILL, a->step);
        ct_status status = again ? CT_OK : stop_check(t);
        if (status == CT_OK) status = settle(t, last);
        if (t->late && a->step < c->steps) {
            ct_log("train.minutes is over at step %lld", (long long)a->step);
            t->enough = true;
        }
        if (!saved && (status == CT_ESTOP || (status == CT_OK && t->enough))) {
            if (!due) {
                CT_TRY(ct_stepper_settle(&t->s));
                left = *a;
            }
            CT_TRY(ct_saver_save(&t->saver, CT_LAST, &left));
        }
        if (status == CT_ESTOP) return stop(t);
        CT_TRY(status);
    }
    return ct_saver_wait(&t->saver);
}

static void tell(const ct_trainer *t) {
    const ct_train_config *c = t->config;
    ct_log("%s: %lld parameters, %lld layers of %lld, windows of %lld%s%.0lld; %d threads, %s, %s, sgemm peak %.0f "
           "GFLOP/s",
           ct_stage_names[c->model.stage], (long long)t->s.model.parameter_count, (long long)c->model.layers,
           (long long)c->model.width, (long long)c->model.tokens, c->model.memory ? " + memory " : "",
           (long long)c->model.memory, ct_cpu_threads(), ct_cpu_isa(), ct_cpu_gemm(), t->peak / 1e9);
    if (ct_device_apart(t->s.device)) ct_log("on %s", t->s.device->description);
    ct_check_tell(&t->s.network.check);
}

static ct_status train(ct_trainer *t, const char *const *words, size_t word_count) {
    if (t->leads) CT_TRY(check_out_is_free(t->config));
    CT_TRY(open_all(t));
    CT_TRY(begin(t, words, word_count));
    t->peak = ct_cpu_measure_gemm();
    tell(t);
    if (t->comm) CT_TRY(ct_comm_tell(t->comm, ct_device_describe(t->s.device)));
    CT_TRY(count_models(t));
    t->interval_begun = ct_seconds();
    CT_TRY(loop(t));
    CT_TRY(summary(t));
    ct_check_tell(&t->s.network.check);
    return CT_OK;
}

ct_status ct_train(const ct_train_config *config, const char *const *words, size_t word_count) {
    ct_trainer trainer = {.config = config, .begun = ct_seconds()}, *t = &trainer;
    ct_comm   *comm;
    CT_TRY(ct_comm_open(&config->dist, &comm));
    t->comm = comm->size > 1 ? comm : NULL;
    t->leads = comm->rank == 0;
    if (!t->leads) ct_log_warnings_only();
    ct_status status = ct_flight_close(train(t, words, word_count));
    if (status != CT_OK && status != CT_ESTOP) ct_comm_abort(comm, ct_message());
    close_all(t);
    const ct_status closed = ct_comm_close(comm);
    return status == CT_OK ? ct_flight_close(closed) : status;
}

/* ---- without doing it */
static ct_status check_model_file(const char *path, const ct_model *m) {
    ct_model from;
    CT_TRY(ct_model_load(path, m->dtype, &from));
    ct_status status = ct_context(ct_model_check_same(&from, m), "%s", path);
    ct_model_free(&from);
    return status;
}

static ct_status check_start(const ct_trainer *t, const ct_model *m) {
    const ct_train_config *c = t->config;
    char                   path[4096], file[4200];
    ct_json               *manifest = NULL;
    *path = 0;
    if (c->resume == RESUME_AUTO) CT_TRY(ct_checkpoint_newest(c->out, "last", path, sizeof path, &manifest));
    if (*path) {
        ct_status status = ct_resume_check_run(c, &t->dataset);
        if (status == CT_OK && manifest) status = ct_resume_check(c, &t->dataset, manifest);
        ct_json_free(manifest);
        CT_TRY(status);
        snprintf(file, sizeof file, "%s/model.safetensors", path);
        CT_TRY(check_model_file(file, m));
        printf("%s: would go on from %s\n", c->out, path);
    } else if (*c->init) {
        CT_TRY(ct_context(ct_model_find(c->init, file, sizeof file), "%s", ct_config_where("train.init")));
        CT_TRY(check_model_file(file, m));
        printf("%s: would be made, with the weights of %s\n", c->out, file);
    } else
        printf("%s: would be made\n", c->out);
    return CT_OK;
}

ct_status ct_train_dry_run(const ct_train_config *config) {
    ct_trainer trainer = {.config = config};
    ct_plan    plan;
    CT_TRY(check_out_is_free(config));
    CT_TRY(ct_plan_make(config, true, &plan));
    trainer.dataset = plan.dataset;
    ct_status status = check_start(&trainer, &plan.stepper.model);
    if (status == CT_OK) ct_plan_print(&plan, false, ct_cpu_measure_gemm());
    ct_plan_free(&plan);
    return status;
}

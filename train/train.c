/* train.c -- see train.h. */
#include "train/train.h"

#include "core/log.h"
#include "core/run.h"
#include "models/checkpoints.h"
#include "models/comparison.h"
#include "train/checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { RESUME_NEVER, RESUME_AUTO };
enum { BOOTSTRAP = 1000 }; /* samples of the final report */

typedef struct ct_trainer {
    const ct_train_config *config;
    ct_dataset             dataset;
    ct_loader              loader;
    ct_model               model;
    ct_network             network;
    ct_run                 run;
    ct_counters            at;
    double                 begun, peak; /* seconds; measured flop/s of sgemm */
    double                 interval_begun;
    double                 norm; /* of the last step's gradient */
    bool                   last_finite;
    ct_comparison          comparison; /* count models, and at the end the best checkpoint */
} ct_trainer;

double ct_learning_rate(const ct_train_config *c, int64_t step) {
    if (step <= c->warmup) return c->learning_rate * (double)step / (double)c->warmup;
    double done = (double)(step - c->warmup) / (double)(c->steps > c->warmup ? c->steps - c->warmup : 1);
    double cosine = 0.5 * (1 + cos(3.141592653589793 * (done < 1 ? done : 1)));
    return c->learning_rate * (c->final_share + (1 - c->final_share) * cosine);
}

/* ---- opening */
static ct_status init_weights(ct_trainer *t) {
    char path[4200];
    if (!*t->config->init) return CT_OK;
    CT_TRY(ct_context(ct_model_find(t->config->init, path, sizeof path), "%s", ct_config_where("train.init")));
    ct_model from;
    CT_TRY(ct_model_load(path, t->model.dtype, &from));
    ct_status status = ct_context(ct_model_copy_weights(&from, &t->model), "%s", path);
    ct_model_free(&from);
    return status;
}

/* Room for harmonic segments: what the songs can hold, and a few for where the memory begins and where a group of
 * columns becomes unknown. */
static ct_status segment_room(const ct_trainer *t, int64_t rows, int64_t *room) {
    int64_t most;
    CT_TRY(ct_dataset_stream_segments(&t->dataset, t->config->model.stage, rows, &most));
    most += 2 + rows / t->config->model.tokens;
    *room = most < rows ? most : rows;
    return CT_OK;
}

static ct_status open_all(ct_trainer *t) {
    const ct_train_config *c = t->config;
    int                    stage = c->model.stage;
    CT_TRY(ct_dataset_open(c->data, &t->dataset));
    if (!t->dataset.stage[stage].present)
        return ct_fail(CT_EFAIL, "%s: has no %s rows", c->data, ct_stage_names[stage]);
    ct_loader_options loader = {.stage = stage,
                                .split = CT_TRAIN,
                                .stream = c->model.memory > 0,
                                .batch = c->batch,
                                .tokens = c->model.tokens,
                                .seed = (uint64_t)c->seed,
                                .transpose = c->transpose,
                                .unknown = c->unknown};
    CT_TRY(ct_loader_open(&t->dataset, &loader, &t->loader));
    CT_TRY(ct_model_create(&c->model, &t->dataset.stage[stage], (uint64_t)c->seed, CT_F32, &t->model));
    ct_network_options network = {.batch = c->batch,
                                  .tokens = c->model.tokens,
                                  .memory = c->model.memory,
                                  .train = true,
                                  .backend = ct_backend_cpu()};
    CT_TRY(segment_room(t, network.tokens, &network.queries));
    CT_TRY(segment_room(t, network.tokens + network.memory, &network.keys));
    CT_TRY(ct_network_make(&t->model, &network, &t->network));
    t->network.step->seed = (uint64_t)c->seed;
    return CT_OK;
}

/* A run goes on with the data it began with. */
static ct_status check_same_data(const ct_trainer *t) {
    char     path[4096];
    ct_arena arena = {0};
    ct_bytes bytes;
    ct_json *facts = NULL;
    snprintf(path, sizeof path, "%s/provenance.json", t->config->out);
    ct_status status = ct_file_read(path, 1 << 20, &arena, &bytes);
    if (status == CT_OK) status = ct_json_parse((const char *)bytes.at, bytes.count, path, &facts);
    if (status == CT_OK && strcmp(ct_json_text(ct_json_get(facts, "dataset_sha256"), ""), t->dataset.hash))
        status = ct_fail(
            CT_EFAIL,
            "%s: %s is not the dataset that %s was begun with (hint: train.init=%s starts a new run from its weights)",
            ct_config_where("data.path"), t->config->data, t->config->out, t->config->out);
    ct_json_free(facts);
    ct_arena_free(&arena);
    return status;
}

static ct_status open_run(ct_trainer *t, const char *const *words, size_t word_count) {
    const ct_train_config *c = t->config;
    char                   path[4096];
    if (c->resume == RESUME_AUTO && ct_checkpoint_find(c->out, "last", path, sizeof path)) {
        CT_TRY(check_same_data(t));
        CT_TRY(ct_checkpoint_load(path, &t->network, &t->at));
        ct_log("resuming from %s", path);
        return ct_run_resume(c->out, t->at.step, &t->run);
    }
    t->at.best = INFINITY;
    CT_TRY(init_weights(t));
    snprintf(path, sizeof path, "%s/config.resolved.yaml", c->out);
    if (c->resume == RESUME_AUTO && ct_file_exists(path)) {
        ct_log("%s has no checkpoint yet: from the beginning", c->out);
        return ct_run_resume(c->out, 0, &t->run);
    }
    ct_arena arena = {0};
    ct_json *facts = ct_provenance(), *line = ct_json_new_array();
    char    *yaml = ct_config_print(&ct_train_schema, c, &arena);
    for (size_t i = 0; i < word_count; i++) ct_json_add(line, ct_json_new_text(words[i]));
    ct_json_set(facts, "words", line);
    ct_json_set(facts, "dataset_sha256", ct_json_new_text(t->dataset.hash));
    ct_json_set(facts, "seed", ct_json_new_integer(c->seed));
    ct_json_set(facts, "isa", ct_json_new_text(ct_cpu_isa()));
    ct_json_set(facts, "gemm", ct_json_new_text(ct_cpu_gemm()));
    ct_json_set(facts, "threads", ct_json_new_integer(ct_cpu_threads()));
    ct_json_set(facts, "parameters", ct_json_new_integer(t->model.parameter_count));
    ct_status status = yaml ? ct_run_create(c->out, yaml, facts, &t->run) : CT_ENOMEM;
    ct_json_free(facts);
    ct_arena_free(&arena);
    return status;
}

static void close_all(ct_trainer *t) {
    ct_comparison_free(&t->comparison);
    ct_run_close(&t->run);
    ct_network_free(&t->network);
    ct_model_free(&t->model);
    ct_loader_close(&t->loader);
    ct_dataset_close(&t->dataset);
}

/* ---- a step */
static void add_losses(ct_trainer *t, const ct_batch *b) {
    const float *loss = t->network.loss;
    double       sum = 0, open = 0;
    for (int64_t i = 0; i < b->batch * b->tokens; i++) {
        sum += (double)loss[i];
        if (b->open[i]) open += (double)loss[i];
    }
    t->last_finite = t->last_finite && isfinite(sum);
    if (!isfinite(sum)) return;
    t->at.window_loss += sum;
    t->at.window_open += open;
    t->at.window_targets += (double)b->targets;
    t->at.window_open_targets += (double)b->open_targets;
    t->at.window_tokens += b->batch * b->tokens;
}

static ct_status step(ct_trainer *t) {
    const ct_train_config *c = t->config;
    ct_network            *n = &t->network;
    ct_network_zero_gradients(n);
    t->last_finite = true;
    for (int64_t k = 0; k < c->accumulate; k++) {
        const ct_batch *batch = ct_loader_batch(&t->loader, t->at.micro);
        n->step->number = t->at.micro++;
        n->step->train = true;
        n->step->loss_scale = batch->targets ? 1.0 / (double)(batch->targets * c->accumulate) : 0;
        CT_TRY(ct_context(ct_network_fill(n, batch), "batch %lld (song %s)", (long long)t->at.micro - 1,
                          t->dataset.songs[batch->first_song].source));
        CT_TRY(ct_network_forward(n));
        add_losses(t, batch);
        CT_TRY(ct_network_backward(n));
        if (t->last_finite) CT_TRY(ct_network_remember(n)); /* a memory with NaN in it would spoil all that follows */
    }
    t->at.step++;
    n->step->update = t->at.update + 1;
    n->step->learning_rate = ct_learning_rate(c, t->at.step);
    n->step->clip = c->clip;
    CT_TRY(ct_network_norm(n));
    t->norm = n->norm[0];
    if (!t->last_finite) n->norm[1] = 0;
    CT_TRY(ct_network_update(n, &c->adam));
    if (n->norm[1] > 0) {
        t->at.update++;
        t->at.skipped_in_a_row = 0;
        return CT_OK;
    }
    t->at.skipped++;
    if (++t->at.skipped_in_a_row < c->most_skipped) return CT_OK;
    return ct_fail(CT_EFAIL,
                   "step %lld: loss or gradient not finite %lld times in a row; the last good checkpoint stands (hint: "
                   "a lower optimizer.learning_rate)",
                   (long long)t->at.step, (long long)t->at.skipped_in_a_row);
}

/* ---- metrics */
typedef struct ct_validation { /* nats a token of held-out songs, NAN: there are none */
    double all, open;
} ct_validation;

static ct_status report(ct_trainer *t, const ct_validation *v) {
    ct_counters *a = &t->at;
    double       seconds = ct_seconds() - t->interval_begun, tokens = (double)a->window_tokens / seconds;
    double       flops =
        t->network.flops * (double)a->window_tokens / (double)(t->network.batch * t->network.tokens) / seconds;
    double loss = a->window_targets > 0 ? a->window_loss / a->window_targets : NAN,
           open = a->window_open_targets > 0 ? a->window_open / a->window_open_targets : NAN;
    double    lr = t->network.step->learning_rate;
    ct_metric metrics[] = {
        {"epoch", ct_loader_epochs(&t->loader, a->micro)},
        {"loss", loss},
        {"open_loss", open},
        {"valid_loss", v ? v->all : NAN},
        {"valid_open_loss", v ? v->open : NAN},
        {"learning_rate", lr},
        {"gradient_norm", t->norm},
        {"skipped", (double)a->skipped},
    };
    if (flops > t->peak) t->peak = fmax(t->peak, ct_cpu_measure_gemm()); /* measured while the machine was busy */
    char left[32], held[96] = "";
    if (v) snprintf(held, sizeof held, "  held out %.4f (open %.4f)", v->all, v->open);
    double done = (double)a->step / (double)t->config->steps, elapsed = ct_seconds() - t->begun,
           remaining = elapsed / (done > 0 ? done : 1) * (1 - done);
    if (t->config->minutes > 0 && t->config->minutes * 60 - elapsed < remaining)
        remaining = t->config->minutes * 60 - elapsed;
    ct_log(
        "step %lld/%lld  loss %.4f (open %.4f)%s  lr %.2e  norm %.2f  %.0f tokens/s  %.0f %% of sgemm peak  %s left%s",
        (long long)a->step, (long long)t->config->steps, loss, open, held, lr, t->norm, tokens,
        t->peak > 0 ? 100 * flops / t->peak : 0, ct_duration(remaining, left, sizeof left),
        a->skipped ? "  (steps skipped)" : "");
    CT_TRY(ct_run_metrics(&t->run, a->step, metrics, CT_COUNT(metrics)));
    a->window_loss = a->window_open = a->window_targets = a->window_open_targets = 0;
    a->window_tokens = 0;
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
    if (!c->order || !holds_out(t)) return CT_OK;
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
    char path[4200];
    if (ct_model_find(t->config->out, path, sizeof path) != CT_OK) return CT_OK;
    ct_model best;
    CT_TRY(ct_model_load(path, t->model.dtype, &best));
    ct_status status = ct_model_copy_weights(&best, &t->model);
    ct_model_free(&best);
    return status;
}

static ct_status write_comparison(ct_trainer *t) {
    char     path[4200];
    ct_arena arena = {0};
    ct_json *json = ct_comparison_json(&t->comparison);
    char    *text = ct_json_print(json, 1, &arena);
    ct_json_free(json);
    snprintf(path, sizeof path, "%s/held-out.json", t->config->out);
    ct_status status = text ? ct_file_write(path, text, strlen(text)) : CT_ENOMEM;
    ct_arena_free(&arena);
    return status;
}

static ct_status summary(ct_trainer *t) {
    char took[32];
    printf("%s: %lld steps in %s", t->config->out, (long long)t->at.step,
           ct_duration(ct_seconds() - t->begun, took, sizeof took));
    if (!holds_out(t)) {
        printf("; no song is held out to measure the model with\n");
        return CT_OK;
    }
    printf("; the best checkpoint:\n");
    CT_TRY(take_best(t));
    CT_TRY(ct_comparison_network(&t->comparison, &t->network, "model", 0));
    ct_comparison_print(&t->comparison);
    return write_comparison(t);
}

static ct_status validate(ct_trainer *t, ct_validation *out) {
    ct_arena  arena = {0};
    ct_scores scores;
    ct_status status = ct_held_out_network(&t->comparison.what, &t->network, &arena, &scores);
    if (status == CT_OK)
        *out = (ct_validation){ct_scores_mean(&scores, CT_MEASURE_ALL), ct_scores_mean(&scores, CT_MEASURE_OPEN)};
    ct_arena_free(&arena);
    return status;
}

/* ---- the loop */
static ct_status loop(ct_trainer *t, bool *enough) {
    const ct_train_config *c = t->config;
    while (t->at.step < c->steps && !*enough) {
        CT_TRY(step(t));
        bool          late = c->minutes > 0 && ct_seconds() - t->begun > c->minutes * 60;
        bool          last = t->at.step == c->steps || late, measure = last || t->at.step % c->valid_every == 0;
        ct_validation v;
        if (measure) {
            double before = ct_seconds();
            CT_TRY(validate(t, &v));
            t->interval_begun += ct_seconds() - before;
        }
        if (measure || t->at.step % c->log_every == 0) CT_TRY(report(t, measure && isfinite(v.all) ? &v : NULL));
        if (measure && isfinite(v.all)) {
            if (v.all < t->at.best) {
                t->at.best = v.all;
                t->at.waited = 0;
                CT_TRY(ct_checkpoint_save_best(c->out, &t->network, &t->at));
            } else
                t->at.waited++;
            if (c->patience && t->at.waited >= c->patience) {
                ct_log("no better validation for %lld in a row: stopping early (best %.4f)", (long long)t->at.waited,
                       t->at.best);
                *enough = true;
            }
        }
        bool stop = ct_stop_asked() != 0;
        if (stop || last || *enough || t->at.step % c->save_every == 0)
            CT_TRY(ct_checkpoint_save(c->out, &t->network, &t->at));
        if (stop) {
            ct_log("saved at step %lld; train.resume=auto goes on from here", (long long)t->at.step);
            return ct_stop_check();
        }
        if (late && t->at.step < c->steps) {
            ct_log("train.minutes is over at step %lld", (long long)t->at.step);
            *enough = true;
        }
    }
    return CT_OK;
}

ct_status ct_train(const ct_train_config *config, const char *const *words, size_t word_count) {
    ct_trainer trainer = {.config = config, .begun = ct_seconds()}, *t = &trainer;
    if (config->resume == RESUME_NEVER && ct_run_exists(config->out))
        return ct_fail(CT_EFAIL,
                       "%s: %s is there already; nothing was changed (hint: another train.out, or train.resume=auto)",
                       ct_config_where("train.out"), config->out);
    ct_status status = open_all(t);
    if (status == CT_OK) status = open_run(t, words, word_count);
    if (status == CT_OK) {
        t->peak = ct_cpu_measure_gemm();
        ct_log("%s: %lld parameters, %lld layers of %lld, windows of %lld%s%.0lld; %d threads, %s, %s, sgemm peak %.0f "
               "GFLOP/s",
               ct_stage_names[config->model.stage], (long long)t->model.parameter_count,
               (long long)config->model.layers, (long long)config->model.width, (long long)config->model.tokens,
               config->model.memory ? " + memory " : "", (long long)config->model.memory, ct_cpu_threads(),
               ct_cpu_isa(), ct_cpu_gemm(), t->peak / 1e9);
        status = count_models(t);
    }
    bool enough = false;
    t->interval_begun = ct_seconds();
    if (status == CT_OK) status = loop(t, &enough);
    if (status == CT_OK) status = summary(t);
    close_all(t);
    return status;
}

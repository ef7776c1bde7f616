/* step.c -- see step.h. */
#include "train/step.h"

#include "core/fault.h"

#include <math.h>

double ct_learning_rate(const ct_train_config *c, int64_t step) {
    if (step <= c->warmup) return c->learning_rate * (double)step / (double)c->warmup;
    double done = (double)(step - c->warmup) / (double)(c->steps > c->warmup ? c->steps - c->warmup : 1);
    double cosine = 0.5 * (1 + cos(3.141592653589793 * (done < 1 ? done : 1)));
    return c->learning_rate * (c->final_share + (1 - c->final_share) * cosine);
}

ct_status ct_stepper_open(const ct_train_config *c, const ct_dataset *d, bool paper, ct_stepper *out) {
    const ct_stage_data    *stage = &d->stage[c->model.stage];
    const ct_loader_options loader = {.stage = c->model.stage,
                                      .split = CT_TRAIN,
                                      .stream = c->model.memory > 0,
                                      .batch = c->batch,
                                      .tokens = c->model.tokens,
                                      .seed = (uint64_t)c->seed,
                                      .transpose = c->transpose,
                                      .unknown = c->unknown};
    ct_network_options      network = {.batch = c->batch,
                                       .tokens = c->model.tokens,
                                       .memory = c->model.memory,
                                       .train = true,
                                       .paper = paper,
                                       .backend = ct_backend_cpu()};
    *out = (ct_stepper){.config = c, .dataset = d};
    out->at.best = INFINITY;
    if (!stage->present) return ct_fail(CT_EFAIL, "%s: has no %s rows", d->path, ct_stage_names[c->model.stage]);
    ct_status status = paper && !d->song_count ? CT_OK : ct_loader_open(d, &loader, &out->loader);
    if (status == CT_OK)
        status = paper ? ct_model_plan(&c->model, stage, CT_F32, &out->model)
                       : ct_model_create(&c->model, stage, (uint64_t)c->seed, CT_F32, &out->model);
    if (status == CT_OK && d->song_count) status = ct_network_room(d, c->model.stage, &network);
    if (!d->song_count) {
        network.queries = network.tokens / CT_ROWS_A_SEGMENT + 3;
        network.keys = (network.tokens + network.memory) / CT_ROWS_A_SEGMENT + 3;
    }
    if (status == CT_OK) status = ct_network_make(&out->model, &network, &out->network);
    if (status == CT_OK)
        out->network.step->seed = (uint64_t)c->seed;
    else
        ct_stepper_close(out);
    return status;
}

void ct_stepper_close(ct_stepper *s) {
    ct_network_free(&s->network);
    ct_model_free(&s->model);
    ct_loader_close(&s->loader);
}

static void add_losses(ct_stepper *s, const ct_batch *b) {
    const float *loss = s->network.loss;
    double       sum = 0, open = 0;
    for (int64_t i = 0; i < b->batch * b->tokens; i++) {
        sum += (double)loss[i];
        if (b->open[i]) open += (double)loss[i];
    }
    if (!isfinite(sum)) return;
    s->at.window_loss += sum;
    s->at.window_open += open;
    s->at.window_targets += (double)b->targets;
    s->at.window_open_targets += (double)b->open_targets;
    s->at.window_tokens += b->batch * b->tokens;
}

ct_status ct_stepper_step(ct_stepper *s) {
    const ct_train_config *c = s->config;
    ct_network            *n = &s->network;
    ct_network_zero_gradients(n);
    for (int64_t k = 0; k < c->accumulate; k++) {
        const ct_batch *batch = ct_loader_batch(&s->loader, s->at.micro);
        n->step->number = s->at.micro++;
        n->step->train = true;
        n->step->loss_scale = batch->targets ? 1.0 / (double)(batch->targets * c->accumulate) : 0;
        CT_TRY(ct_context(ct_network_fill(n, batch), "batch %lld (song %s)", (long long)s->at.micro - 1,
                          s->dataset->songs[batch->first_song].source));
        CT_TRY(ct_network_forward(n));
        add_losses(s, batch);
        CT_TRY(ct_network_backward(n));
        CT_TRY(ct_network_remember(n));
    }
    s->at.step++;
    if (ct_fault_step(CT_FAULT_NAN, s->at.step)) *(float *)n->gradients = NAN;
    n->step->learning_rate = ct_learning_rate(c, s->at.step);
    n->step->clip = c->clip;
    CT_TRY(ct_network_norm(n));
    s->at.norm = n->norm[0];
    CT_TRY(ct_network_update(n, &c->adam));
    s->at.update = (int64_t)n->norm[2];
    if (n->norm[1] > 0) {
        s->at.skipped_in_a_row = 0;
        return CT_OK;
    }
    s->at.skipped++;
    if (++s->at.skipped_in_a_row < c->most_skipped) return CT_OK;
    return ct_fail(CT_EFAIL,
                   "step %lld: loss or gradient not finite %lld times in a row; the last good checkpoint stands (hint: "
                   "a lower optimizer.learning_rate)",
                   (long long)s->at.step, (long long)s->at.skipped_in_a_row);
}

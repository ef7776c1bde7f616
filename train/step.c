/* step.c -- see step.h. */
#include "train/step.h"

#include "core/fault.h"
#include "core/trace.h"
#include "kernels/flight.h"

#include <math.h>
#include <string.h>

double ct_learning_rate(const ct_train_config *c, int64_t step) {
    if (step <= c->warmup) return c->learning_rate * (double)step / (double)c->warmup;
    double done = (double)(step - c->warmup) / (double)(c->steps > c->warmup ? c->steps - c->warmup : 1);
    double cosine = 0.5 * (1 + cos(3.141592653589793 * (done < 1 ? done : 1)));
    return c->learning_rate * (c->final_share + (1 - c->final_share) * cosine);
}

static ct_status check_ranks(const ct_train_config *c, const ct_comm *comm) {
    if (c->batch % comm->size)
        return ct_fail(CT_EUSAGE, "%s: %lld windows can't be shared evenly by %d ranks (hint: a multiple of %d)",
                       ct_config_where("train.batch"), (long long)c->batch, comm->size, comm->size);
    return CT_OK;
}

static ct_status open_stepper(const ct_train_config *c, const ct_dataset *d, ct_comm *comm, bool paper,
                              ct_stepper *out) {
    const int64_t           lines = comm ? c->batch / comm->size : c->batch;
    const ct_stage_data    *stage = &d->stage[c->model.stage];
    const ct_loader_options loader = {.stage = c->model.stage,
                                      .split = CT_TRAIN,
                                      .stream = c->model.memory > 0,
                                      .batch = c->batch,
                                      .tokens = c->model.tokens,
                                      .first = comm ? lines * comm->rank : 0,
                                      .lines = lines,
                                      .seed = (uint64_t)c->seed,
                                      .transpose = c->transpose,
                                      .unknown = c->unknown};
    ct_network_options      network = {
             .batch = lines,
             .tokens = c->model.tokens,
             .memory = c->model.memory,
             .train = true,
             .paper = paper,
             .bf16 = !paper && c->on.precision == CT_PRECISION_BF16, /* the CPU's plan: train/gpu.h has the GPU's */
             .eager = c->on.graph != 0,
             .comm = comm,
             .bucket = (size_t)c->bucket << 10,
             .adam = c->adam,
             .shard = comm && c->shard,
             .narrow = comm && c->sent_as == CT_SENT_BF16,
             .check = ct_check_asked(&c->on, (uint64_t)c->seed),
             .device = ct_device_cpu()};
    *out = (ct_stepper){.config = c, .dataset = d, .comm = comm};
    out->at.best = INFINITY;
    if (!stage->present) return ct_fail(CT_EFAIL, "%s: has no %s rows", d->path, ct_stage_names[c->model.stage]);
    ct_status status = paper && !d->song_count ? CT_OK : ct_loader_open(d, &loader, &out->loader);
    if (status == CT_OK)
        status = paper ? ct_model_plan(&c->model, stage, CT_F32, &out->model)
                       : ct_model_create(&c->model, stage, (uint64_t)c->seed, CT_F32, &out->model);
    if (status == CT_OK && !paper) status = ct_device_open(&c->on, comm, &out->device);
    if (!paper) network.device = out->device;
    if (status == CT_OK && d->song_count) status = ct_network_room(d, c->model.stage, &network);
    if (!d->song_count) {
        network.queries = network.tokens / CT_ROWS_A_SEGMENT + 3;
        network.keys = (network.tokens + network.memory) / CT_ROWS_A_SEGMENT + 3;
    }
    if (status == CT_OK) status = ct_network_make(&out->model, &network, &out->network);
    if (status == CT_OK && !paper)
        status = ct_outlet_open(network.device, out->network.norm, out->network.results, &out->outlet);
    for (int i = 0; i < CT_SLOTS && status == CT_OK; i++) {
        out->pending[i].open = CT_NEW(&out->arena, uint8_t, (size_t)(lines * c->model.tokens));
        if (!out->pending[i].open) status = CT_ENOMEM;
    }
    if (status == CT_OK)
        out->network.step->seed = (uint64_t)c->seed;
    else
        ct_stepper_close(out);
    return status;
}

ct_status ct_stepper_open(const ct_train_config *c, const ct_dataset *d, bool paper, ct_stepper *out) {
    return open_stepper(c, d, NULL, paper, out);
}

ct_status ct_stepper_open_among(const ct_train_config *c, const ct_dataset *d, ct_comm *comm, ct_stepper *out) {
    *out = (ct_stepper){.config = c};
    if (comm) CT_TRY(check_ranks(c, comm));
    return open_stepper(c, d, comm, false, out);
}

void ct_stepper_close(ct_stepper *s) {
    ct_outlet_close(&s->outlet);
    ct_arena_free(&s->arena);
    ct_network_free(&s->network);
    ct_device_close(s->device);
    ct_model_free(&s->model);
    ct_loader_close(&s->loader);
}

/* Something that this thread did for a step, or a batch. */
static void end(int64_t since, const char *what, int64_t number) {
    ct_trace_end(since, &(ct_trace_event){.row = CT_TRACE_HOST, .name = what, .number = number + 1});
}

static void add_part(ct_counters *to, const ct_part *p) {
    if (!isfinite(p->loss)) return;
    to->window_loss += p->loss;
    to->window_open += p->open;
    to->window_targets += p->targets;
    to->window_open_targets += p->open_targets;
    to->window_tokens += (int64_t)p->tokens;
}

/* Sums of all ranks' lines, batch by batch: so what is left out of them is the same for all. */
static ct_status add_parts(ct_stepper *s) {
    const int count = s->part_count;
    s->part_count = 0;
    CT_TRY(ct_comm_reduce(s->comm, CT_REDUCE_SUM, &s->parts[0].loss, (int64_t)(sizeof *s->parts / 8) * count));
    for (int i = 0; i < count; i++) add_part(&s->at, &s->parts[i]);
    return CT_OK;
}

static ct_status add_losses(ct_stepper *s, const ct_pending *p, const float *loss) {
    ct_part part = {0, 0, (double)p->targets, (double)p->open_targets, (double)p->tokens};
    for (int64_t i = 0; i < p->tokens; i++) {
        part.loss += (double)loss[i];
        if (p->open[i]) part.open += (double)loss[i];
    }
    if (!s->comm) {
        add_part(&s->at, &part);
        return CT_OK;
    }
    s->parts[s->part_count++] = part;
    return s->part_count == CT_PARTS ? add_parts(s) : CT_OK;
}

/* norm: its value, 1 when finite, updates made */
static ct_status count_step(ct_stepper *s, int64_t step, const double norm[3]) {
    s->at.norm = norm[0];
    s->at.update = (int64_t)norm[2];
    if (norm[1] > 0) {
        s->at.skipped_in_a_row = 0;
        return CT_OK;
    }
    s->at.skipped++;
    if (++s->at.skipped_in_a_row < s->config->most_skipped) return CT_OK;
    return ct_fail(CT_EFAIL,
                   "step %lld: loss or gradient not finite %lld times in a row; the last good checkpoint stands (hint: "
                   "a lower optimizer.learning_rate)",
                   (long long)step, (long long)s->at.skipped_in_a_row);
}

/* What came of the oldest batch on the way. */
static ct_status collect(ct_stepper *s) {
    const ct_pending *p = &s->pending[s->outlet.taken % CT_SLOTS];
    const ptrdiff_t   loss = (const char *)s->network.loss - (const char *)s->network.norm;
    const int64_t     since = ct_trace_begin(CT_TRACE_HOST);
    const void       *results;
    CT_TRY(ct_outlet_take(&s->outlet, &results));
    end(since, "wait for losses", p->step);
    CT_TRY(add_losses(s, p, (const float *)(const void *)((const char *)results + loss)));
    return p->last ? count_step(s, p->step, results) : CT_OK;
}

ct_status ct_stepper_settle(ct_stepper *s) {
    while (s->outlet.taken < s->outlet.sent) CT_TRY(collect(s));
    return s->part_count ? add_parts(s) : CT_OK;
}

/* Note what collect will ask of the batch. */
static void note(ct_stepper *s, const ct_batch *b, bool last) {
    ct_pending *p = &s->pending[s->outlet.sent % CT_SLOTS];
    p->step = s->at.step;
    p->targets = b->targets;
    p->open_targets = b->open_targets;
    p->tokens = b->batch * b->tokens;
    p->last = last;
    memcpy(p->open, b->open, (size_t)p->tokens * sizeof *p->open);
}

static ct_status fill(ct_stepper *s, const ct_batch *batch) {
    const int64_t since = ct_trace_begin(CT_TRACE_HOST), number = s->at.micro - 1;
    CT_TRY(ct_context(ct_network_fill(&s->network, batch), "batch %lld (song %s)", (long long)number,
                      s->dataset->songs[batch->first_song].source));
    end(since, "fill", number);
    return CT_OK;
}

ct_status ct_stepper_step(ct_stepper *s) {
    const ct_train_config *c = s->config;
    ct_network            *n = &s->network;
    const int64_t          since = ct_trace_begin(CT_TRACE_HOST);
    s->at.step++;
    const bool spoilt = ct_fault_step(CT_FAULT_NAN, s->at.step);
    n->step->train = true;
    n->step->learning_rate = ct_learning_rate(c, s->at.step);
    n->step->clip = c->clip;
    for (int64_t k = 0; k < c->accumulate; k++) {
        const bool      last = k + 1 == c->accumulate;
        const int64_t   asked = ct_trace_begin(CT_TRACE_HOST);
        const ct_batch *batch = ct_loader_batch(&s->loader, s->at.micro);
        end(asked, "batch", s->at.micro);
        n->step->number = s->at.micro++;
        ct_flight_at("training", s->at.step, n->step->number);
        n->step->loss_scale = batch->all_targets ? 1.0 / (double)(batch->all_targets * c->accumulate) : 0;
        if (spoilt) n->step->loss_scale = NAN;
        CT_TRY(fill(s, batch));
        CT_TRY(ct_context(ct_network_step(n, k == 0, last), "step %lld", (long long)s->at.step));
        if (s->outlet.sent - s->outlet.taken == CT_SLOTS) CT_TRY(collect(s));
        note(s, batch, last);
        CT_TRY(ct_outlet_send(&s->outlet));
        if (!ct_device_apart(n->device)) CT_TRY(collect(s));
    }
    end(since, "step", s->at.step);
    return CT_OK;
}

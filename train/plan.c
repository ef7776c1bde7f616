/* plan.c -- see plan.h. */
#include "train/plan.h"

#include "core/file.h"
#include "core/log.h"
#include "train/made_up.h"

#include <stdio.h>
#include <string.h>

/* Of this machine's measured sgemm rate, over a whole step; two cores, oneDNN: 0.6 to 0.75 (README, Results). */
static const double SHARE_OF_PEAK = 0.65;

static ct_status assume(ct_plan *p) {
    const int stage = p->config->model.stage;
    p->dataset.path = p->config->data;
    p->assumed = true;
    return ct_made_up_stage(stage, &p->arena, &p->dataset.stage[stage]);
}

static ct_status open_loader_on_paper(ct_plan *p) {
    ct_arena  paper = {.paper = true};
    ct_batch  batch;
    ct_status status = ct_batch_make(&paper, p->config->batch, p->config->model.tokens,
                                     p->dataset.stage[p->config->model.stage].column_count, &batch);
    p->loader = paper.used;
    ct_arena_free(&paper);
    return status;
}

static ct_status make(ct_plan *p, bool need_data) {
    const ct_train_config *c = p->config;
    const int              stage = c->model.stage;
    ct_saver               saver;
    if (need_data || ct_folder_exists(c->data))
        CT_TRY(ct_dataset_open(c->data, &p->dataset));
    else
        CT_TRY(assume(p));
    CT_TRY(ct_stepper_open(c, &p->dataset, true, &p->stepper));
    ct_network *n = &p->stepper.network;
    p->loader = p->stepper.loader.arena.used;
    if (p->assumed) CT_TRY(open_loader_on_paper(p));
    p->parameters = p->stepper.model.weights.used;
    p->tables = p->stepper.model.arena.used + n->arena.used;
    p->validating = ct_network_memory_bytes(n);
    CT_TRY(ct_saver_open(&(ct_checkpoint_place){0}, n, c->background, true, &saver));
    p->staging = saver.arena.used;
    p->checking = n->check.arena.used;
    ct_saver_close(&saver);
    p->bytes = p->parameters + p->tables + p->loader + p->staging + p->checking + n->arrays.used;
    p->forward = ct_records_flops(&n->forward) + ct_records_flops(&n->after);
    p->backward = ct_records_flops(&n->backward);
    p->tokens = c->batch * c->model.tokens * c->accumulate;
    for (int64_t i = 0; i < p->dataset.song_count; i++)
        if (p->dataset.songs[i].split == CT_TRAIN) p->pass += (double)p->dataset.songs[i].rows[stage];
    p->pass /= (double)p->tokens;
    if (c->gpu) CT_TRY(ct_gpu_plan_make(c, &p->stepper.model, n->queries, n->keys, &p->on_gpu));
    return c->gpus ? ct_scaling_make(c, &p->stepper.model, n->queries, n->keys, p->on_gpu.largest, &p->on_gpus) : CT_OK;
}

ct_status ct_plan_make(const ct_train_config *config, bool need_data, ct_plan *out) {
    *out = (ct_plan){.config = config};
    ct_status status = make(out, need_data);
    if (status != CT_OK) ct_plan_free(out);
    return status;
}

void ct_plan_free(ct_plan *p) {
    ct_stepper_close(&p->stepper);
    if (!p->assumed) ct_dataset_close(&p->dataset);
    ct_arena_free(&p->arena);
    *p = (ct_plan){0};
}

/* ---- sums by op */
typedef struct ct_op_sum {
    int64_t calls;
    double  flops, bytes;
} ct_op_sum;

static void add_records(const ct_record_list *list, ct_op_sum sum[CT_OP_COUNT]) {
    for (size_t i = 0; i < list->count; i++) {
        const ct_record *r = &list->at[i];
        sum[r->op].calls++;
        sum[r->op].flops += ct_op_about(r->op)->flops(&r->params);
        sum[r->op].bytes += ct_op_bytes(r->op, &r->params);
    }
}

static void sum_ops(const ct_plan *p, ct_op_sum sum[CT_OP_COUNT]) {
    const ct_network *n = &p->stepper.network;
    memset(sum, 0, CT_OP_COUNT * sizeof *sum);
    add_records(&n->forward, sum);
    add_records(&n->backward, sum);
    add_records(&n->after, sum);
}

/* Seconds a step would take; 0: unknown. */
static double step_seconds(const ct_plan *p, double peak) {
    return peak > 0 ? (p->forward + p->backward) * (double)p->config->accumulate / (SHARE_OF_PEAK * peak) : 0;
}

/* ---- for people */
static void print_bytes(const char *name, size_t bytes) {
    if (bytes) printf("  %-22s %12.2f MiB\n", name, (double)bytes / (1 << 20));
}

static void print_list(const char *name, const ct_record_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        const ct_record *r = &list->at[i];
        char             layer[16] = "";
        if (r->layer >= 0) snprintf(layer, sizeof layer, "%d", r->layer);
        printf("  %-8s %5s  %-22s %-22s %12.3f MFLOP %10.3f MB\n", name, layer, r->label, ct_op_about(r->op)->name,
               ct_op_about(r->op)->flops(&r->params) / 1e6, ct_op_bytes(r->op, &r->params) / 1e6);
    }
}

static void print_gpu(const ct_plan *p) {
    static const char *const precisions[] = {"fp32", "tf32", "bf16"};
    const ct_gpu_plan       *g = &p->on_gpu;
    const double             rows = (double)p->tokens;
    printf("on an %s (%.0f GB), device: cuda, precision: %s\n", g->gpu->name, g->gpu->memory / 1e9,
           precisions[p->config->on.precision]);
    for (int k = 0; k < CT_MEMORY_KINDS; k++) print_bytes(ct_memory_names[k], g->bytes[k]);
    print_bytes("products' workspace", g->products);
    print_bytes("together, of the GPU", g->plan);
    print_bytes("pinned, of the host", g->pinned);
    printf("  %-22s %12s\n", "CUDA and its libraries", "unknown");
    printf("the largest train.batch that fits, those apart: %lld\n", (long long)g->largest);
    printf("time by roofline, a lower bound from data sheets%s: %.3g ms a step, %.3g rows/s\n",
           g->gpu->assumed ? " (attention's rate there is assumed to be Hopper's)" : "", 1e3 * g->seconds,
           rows / g->seconds);
}

void ct_plan_print(const ct_plan *p, bool records, double peak) {
    const ct_train_config *c = p->config;
    const ct_network      *n = &p->stepper.network;
    const ct_model        *m = &p->stepper.model;
    ct_op_sum              sum[CT_OP_COUNT];
    char                   text[2][32];
    printf("%s: %lld parameters in %lld tensors; %lld layers of %lld, %lld heads, feed-forward %lld\n",
           ct_stage_names[c->model.stage], (long long)m->parameter_count, (long long)m->tensor_count,
           (long long)c->model.layers, (long long)c->model.width, (long long)c->model.heads,
           (long long)c->model.feed_forward);
    printf("a batch: %lld windows of %lld rows%s%.0lld; harmonic segments: room for %lld of a window, %lld of what it "
           "sees\n",
           (long long)c->batch, (long long)c->model.tokens, c->model.memory ? ", memory of " : "",
           (long long)c->model.memory, (long long)n->queries, (long long)n->keys);
    if (p->assumed)
        printf("%s is not there: this program's own columns, segments estimated at one in %d rows\n", c->data,
               CT_ROWS_A_SEGMENT);
    printf("memory\n");
    print_bytes("parameters", p->parameters);
    for (int k = 0; k < CT_MEMORY_KINDS; k++) print_bytes(ct_memory_names[k], n->bytes[k]);
    print_bytes("tables and records", p->tables);
    print_bytes("loader", p->loader);
    print_bytes("copy for checkpoints", p->staging);
    print_bytes("copies of checked ops", p->checking);
    print_bytes("together", p->bytes);
    print_bytes("more, while validating", p->validating);
    sum_ops(p, sum);
    printf("work of a batch: %.3f GFLOP forward, %.3f backward; %zu records\n", p->forward / 1e9, p->backward / 1e9,
           n->forward.count + n->backward.count + n->after.count);
    printf("  %-22s %6s %12s %7s %12s\n", "op", "calls", "GFLOP", "share", "GB moved");
    for (int op = 0; op < CT_OP_COUNT; op++)
        if (sum[op].calls)
            printf("  %-22s %6lld %12.3f %6.1f%% %12.3f\n", ct_op_about((ct_op)op)->name, (long long)sum[op].calls,
                   sum[op].flops / 1e9, 100 * sum[op].flops / (p->forward + p->backward), sum[op].bytes / 1e9);
    if (records) {
        print_list("forward", &n->forward);
        print_list("backward", &n->backward);
        print_list("after", &n->after);
    }
    printf("a step: %lld rows; %lld steps: %.3g rows", (long long)p->tokens, (long long)c->steps,
           (double)p->tokens * (double)c->steps);
    if (p->pass > 0) printf("; a pass over the training songs: %.1f steps", p->pass);
    printf("\n");
    double seconds = step_seconds(p, peak);
    if (seconds > 0)
        printf(
            "time here, an estimate at %.0f %% of this machine's sgemm rate (%.0f GFLOP/s): %.3g s a step, %s for all, "
            "validation apart\n",
            100 * SHARE_OF_PEAK, peak / 1e9, seconds, ct_duration(seconds * (double)c->steps, text[0], sizeof text[0]));
    if (c->gpu) print_gpu(p);
    if (c->gpus) ct_scaling_print(&p->on_gpus);
}

/* ---- for programs */
static void add_list(ct_json *to, const char *name, const ct_record_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        const ct_record *r = &list->at[i];
        ct_json         *o = ct_json_new_object();
        ct_json_set(o, "list", ct_json_new_text(name));
        ct_json_set(o, "layer", ct_json_new_integer(r->layer));
        ct_json_set(o, "label", ct_json_new_text(r->label));
        ct_json_set(o, "op", ct_json_new_text(ct_op_about(r->op)->name));
        ct_json_set(o, "flops", ct_json_new_real(ct_op_about(r->op)->flops(&r->params)));
        ct_json_set(o, "bytes", ct_json_new_real(ct_op_bytes(r->op, &r->params)));
        ct_json_add(to, o);
    }
}

static ct_json *memory_json(const ct_plan *p) {
    const ct_network *n = &p->stepper.network;
    ct_json          *o = ct_json_new_object();
    ct_json_set(o, "parameters", ct_json_new_integer((int64_t)p->parameters));
    for (int k = 0; k < CT_MEMORY_KINDS; k++)
        ct_json_set(o, ct_memory_names[k], ct_json_new_integer((int64_t)n->bytes[k]));
    ct_json_set(o, "tables and records", ct_json_new_integer((int64_t)p->tables));
    ct_json_set(o, "loader", ct_json_new_integer((int64_t)p->loader));
    ct_json_set(o, "copy for checkpoints", ct_json_new_integer((int64_t)p->staging));
    ct_json_set(o, "copies of checked ops", ct_json_new_integer((int64_t)p->checking));
    ct_json_set(o, "together", ct_json_new_integer((int64_t)p->bytes));
    ct_json_set(o, "while validating", ct_json_new_integer((int64_t)p->validating));
    return o;
}

static ct_json *gpu_json(const ct_gpu_plan *g) {
    ct_json *o = ct_json_new_object(), *memory = ct_json_new_object();
    for (int k = 0; k < CT_MEMORY_KINDS; k++)
        ct_json_set(memory, ct_memory_names[k], ct_json_new_integer((int64_t)g->bytes[k]));
    ct_json_set(memory, "products' workspace", ct_json_new_integer((int64_t)g->products));
    ct_json_set(memory, "together", ct_json_new_integer((int64_t)g->plan));
    ct_json_set(memory, "pinned", ct_json_new_integer((int64_t)g->pinned));
    ct_json_set(o, "name", ct_json_new_text(g->gpu->name));
    ct_json_set(o, "memory_bytes", memory);
    ct_json_set(o, "largest_batch", ct_json_new_integer(g->largest));
    ct_json_set(o, "least_seconds_a_step", ct_json_new_real(g->seconds));
    return o;
}

ct_json *ct_plan_json(const ct_plan *p, bool records, double peak) {
    const ct_train_config *c = p->config;
    const ct_network      *n = &p->stepper.network;
    ct_json               *root = ct_json_new_object(), *ops = ct_json_new_object(), *list = ct_json_new_array();
    ct_op_sum              sum[CT_OP_COUNT];
    sum_ops(p, sum);
    for (int op = 0; op < CT_OP_COUNT; op++) {
        if (!sum[op].calls) continue;
        ct_json *o = ct_json_new_object();
        ct_json_set(o, "calls", ct_json_new_integer(sum[op].calls));
        ct_json_set(o, "flops", ct_json_new_real(sum[op].flops));
        ct_json_set(o, "bytes", ct_json_new_real(sum[op].bytes));
        ct_json_set(ops, ct_op_about((ct_op)op)->name, o);
    }
    ct_json_set(root, "stage", ct_json_new_text(ct_stage_names[c->model.stage]));
    ct_json_set(root, "parameters", ct_json_new_integer(p->stepper.model.parameter_count));
    ct_json_set(root, "tensors", ct_json_new_integer(p->stepper.model.tensor_count));
    ct_json_set(root, "dataset_assumed", ct_json_new_bool(p->assumed));
    ct_json_set(root, "segments_of_window", ct_json_new_integer(n->queries));
    ct_json_set(root, "segments_seen", ct_json_new_integer(n->keys));
    ct_json_set(root, "memory_bytes", memory_json(p));
    ct_json_set(root, "flops_forward", ct_json_new_real(p->forward));
    ct_json_set(root, "flops_backward", ct_json_new_real(p->backward));
    ct_json_set(root, "ops", ops);
    ct_json_set(root, "rows_a_step", ct_json_new_integer(p->tokens));
    ct_json_set(root, "steps", ct_json_new_integer(c->steps));
    if (p->pass > 0) ct_json_set(root, "steps_a_pass", ct_json_new_real(p->pass));
    if (peak > 0) {
        ct_json_set(root, "sgemm_flops_per_second", ct_json_new_real(peak));
        ct_json_set(root, "estimated_seconds_a_step", ct_json_new_real(step_seconds(p, peak)));
    }
    if (c->gpu) ct_json_set(root, "gpu", gpu_json(&p->on_gpu));
    if (c->gpus) ct_json_set(root, "scaling", ct_scaling_json(&p->on_gpus));
    if (records) {
        add_list(list, "forward", &n->forward);
        add_list(list, "backward", &n->backward);
        add_list(list, "after", &n->after);
        ct_json_set(root, "records", list);
    } else
        ct_json_free(list);
    return root;
}

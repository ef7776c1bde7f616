/* bench_tell.c -- what a bench found, for people and for programs; see bench.h. */
#include "train/bench.h"

#include <stdio.h>
#include <string.h>

static const char *const precisions[] = {"fp32", "tf32", "bf16"};
static const char *const ways[CT_BENCH_WAYS] = {"eager", "graph"};
static const char *const peer_ways[CT_PEER_WAYS] = {"forward", "backward"};

/* Size number `i` of the record's op, counted from 0; false: there are no more. */
static bool size_at(const ct_record *r, int i, const char **name, int64_t *size) {
    const ct_op_info *about = ct_op_about(r->op);
    for (int k = 0; k < about->field_count; k++) {
        if (about->fields[k].role != CT_ROLE_SIZE || i-- > 0) continue;
        *name = about->fields[k].name;
        memcpy(size, (const char *)&r->params + about->fields[k].offset, sizeof *size);
        return true;
    }
    return false;
}

/* ---- for people */
/* "rows 8192, in 128, out 384"; what is 0 is left out. */
static const char *sizes(const ct_record *r, char *text, size_t room) {
    const char *name;
    int64_t     size;
    size_t      used = 0;
    *text = 0;
    for (int i = 0; size_at(r, i, &name, &size); i++)
        if (size && used < room)
            used += (size_t)snprintf(text + used, room - used, "%s%s %lld", used ? ", " : "", name, (long long)size);
    return text;
}

/* Rates of so much work in so many seconds, and what share of them it takes at least. */
static void print_rates(double flops, double bytes, double least, double seconds, bool shares) {
    printf(" %9.1f %8.1f", flops / seconds / 1e9, bytes / seconds / 1e9);
    if (shares) printf(" %8.0f%%", 100 * least / seconds);
}

static void print_ops(const ct_bench *b) {
    char text[200];
    printf("ops, each by itself\n  %-32s %-26s %5s %11s %11s %9s %8s%s  sizes\n", "op", "of", "calls", "ms a call",
           "ms a step", "GFLOP/s", "GB/s", b->card ? "  of bound" : "");
    for (size_t i = 0; i < b->row_count; i++) {
        const ct_bench_row *r = &b->rows[i];
        const double        t = r->taken.median;
        printf("  %-32s %-26s %5lld %11.4f %11.3f", r->kind, r->record.label, (long long)r->calls, t * 1e3,
               t * 1e3 * (double)r->calls);
        print_rates(r->flops, r->bytes, r->least, t, b->card);
        printf("  %s\n", sizes(&r->record, text, sizeof text));
    }
}

static void print_sum(const ct_bench *b, const ct_bench_sum *s) {
    printf("  %-32s %5lld %11.3f %6.1f%%", s->kind, (long long)s->calls, s->seconds * 1e3,
           100 * s->seconds / b->all.seconds);
    print_rates(s->flops, s->bytes, s->least, s->seconds, b->card);
    printf("\n");
}

static void print_sums(const ct_bench *b) {
    printf("by kind\n  %-32s %5s %11s %7s %9s %8s%s\n", "op", "calls", "ms a step", "share", "GFLOP/s", "GB/s",
           b->card ? "  of bound" : "");
    for (size_t i = 0; i < b->kind_count; i++) print_sum(b, &b->kinds[i]);
    if (b->kind_count > 1) print_sum(b, &b->all);
}

static void print_steps(const ct_bench *b) {
    const bool        apart = ct_device_apart(b->stepper.device);
    const char *const names[CT_BENCH_WAYS] = {apart ? ", op by op" : "", ", as a graph"};
    for (int way = 0; way < CT_BENCH_WAYS; way++) {
        const ct_timing *t = &b->step[way];
        if (!t->calls) continue;
        printf("the whole step%s: %.3f ms (%.3f to %.3f), %.0f tokens/s, %.1f GFLOP/s", names[way], t->median * 1e3,
               t->least * 1e3, t->most * 1e3, (double)b->tokens / t->median, b->flops / t->median / 1e9);
        if (b->card) printf(", %.0f %% of its bound", 100 * b->least / t->median);
        printf("\n");
    }
}

static void print_peer(const ct_bench_peer *p) {
    printf("attention with plain RoPE beside %s, which has no rotation: %lld x %lld tokens, %lld heads of %lld, bf16, "
           "each call launched\n  %-9s %11s %9s %11s %9s %10s %18s\n",
           p->by, (long long)p->shape.batch, (long long)p->shape.tokens, (long long)p->shape.heads,
           (long long)p->shape.head, "", "ours, us", "TFLOP/s", "theirs, us", "TFLOP/s", "ours/theirs",
           "apart, bf16 units");
    for (int way = 0; way < CT_PEER_WAYS; way++) {
        const double ours = p->way[way].ours.median, theirs = p->way[way].theirs.median, flops = p->way[way].flops;
        printf("  %-9s %11.1f %9.1f %11.1f %9.1f %11.2f %18.2f\n", peer_ways[way], ours * 1e6, flops / ours / 1e12,
               theirs * 1e6, flops / theirs / 1e12, ours / theirs, p->way[way].apart);
    }
}

void ct_bench_print(const ct_bench *b) {
    const ct_train_config *c = &b->config;
    const ct_device       *d = b->stepper.device;
    printf("%s: %lld layers of %lld, %lld heads, feed-forward %lld; a step: %lld tokens\n",
           ct_stage_names[c->model.stage], (long long)c->model.layers, (long long)c->model.width,
           (long long)c->model.heads, (long long)c->model.feed_forward, (long long)b->tokens);
    if (ct_device_apart(d))
        printf("on %s; %s\n", ct_device_describe(d), precisions[c->on.precision]);
    else
        printf("on the CPU: %s, %s, %d threads; %s\n", ct_cpu_isa(), ct_cpu_gemm(), ct_cpu_threads(),
               precisions[c->on.precision]);
    if (b->card)
        printf("shares are of what the data sheet of %s lets it take at least%s\n", b->card->name,
               b->card->assumed ? " (attention's rate there is assumed to be Hopper's)" : "");
    else if (ct_device_apart(d))
        printf("no data sheet of this card is known here, so there are no shares of a bound (hint: gpu= names one)\n");
    if (b->row_count) {
        print_ops(b);
        print_sums(b);
    }
    print_steps(b);
    if (b->peer.by) print_peer(&b->peer);
}

/* ---- for programs */
static void set_rates(ct_json *o, double flops, double bytes, double least, double seconds) {
    ct_json_set(o, "flops", ct_json_new_real(flops));
    ct_json_set(o, "bytes", ct_json_new_real(bytes));
    ct_json_set(o, "flops_per_second", ct_json_new_real(flops / seconds));
    ct_json_set(o, "bytes_per_second", ct_json_new_real(bytes / seconds));
    if (least > 0) ct_json_set(o, "share_of_bound", ct_json_new_real(least / seconds));
}

static void set_timing(ct_json *o, const ct_timing *t) {
    ct_json_set(o, "seconds", ct_json_new_real(t->median));
    ct_json_set(o, "fastest_seconds", ct_json_new_real(t->least));
    ct_json_set(o, "slowest_seconds", ct_json_new_real(t->most));
}

static ct_json *row_json(const ct_bench_row *r) {
    ct_json    *o = ct_json_new_object(), *shape = ct_json_new_object();
    const char *name;
    int64_t     size;
    for (int i = 0; size_at(&r->record, i, &name, &size); i++) ct_json_set(shape, name, ct_json_new_integer(size));
    ct_json_set(o, "list", ct_json_new_text(r->list));
    ct_json_set(o, "label", ct_json_new_text(r->record.label));
    ct_json_set(o, "op", ct_json_new_text(r->kind));
    ct_json_set(o, "shape", shape);
    ct_json_set(o, "calls", ct_json_new_integer(r->calls));
    set_timing(o, &r->taken);
    set_rates(o, r->flops, r->bytes, r->least, r->taken.median);
    return o;
}

static ct_json *sum_json(const ct_bench_sum *s) {
    ct_json *o = ct_json_new_object();
    ct_json_set(o, "calls", ct_json_new_integer(s->calls));
    ct_json_set(o, "seconds", ct_json_new_real(s->seconds));
    set_rates(o, s->flops, s->bytes, s->least, s->seconds);
    return o;
}

static ct_json *step_json(const ct_bench *b, const ct_timing *t) {
    ct_json *o = ct_json_new_object();
    set_timing(o, t);
    ct_json_set(o, "tokens_per_second", ct_json_new_real((double)b->tokens / t->median));
    ct_json_set(o, "flops_per_second", ct_json_new_real(b->flops / t->median));
    if (b->card) ct_json_set(o, "share_of_bound", ct_json_new_real(b->least / t->median));
    return o;
}

static ct_json *peer_json(const ct_bench_peer *p) {
    ct_json *o = ct_json_new_object();
    ct_json_set(o, "library", ct_json_new_text(p->by));
    for (int way = 0; way < CT_PEER_WAYS; way++) {
        ct_json *w = ct_json_new_object();
        ct_json_set(w, "flops", ct_json_new_real(p->way[way].flops));
        ct_json_set(w, "seconds", ct_json_new_real(p->way[way].ours.median));
        ct_json_set(w, "peer_seconds", ct_json_new_real(p->way[way].theirs.median));
        ct_json_set(w, "apart", ct_json_new_real(p->way[way].apart));
        ct_json_set(o, peer_ways[way], w);
    }
    return o;
}

ct_json *ct_bench_json(const ct_bench *b) {
    ct_json *root = ct_json_new_object(), *records = ct_json_new_array(), *ops = ct_json_new_object(),
            *step = ct_json_new_object();
    bool stepped = false;
    ct_json_set(root, "stage", ct_json_new_text(ct_stage_names[b->config.model.stage]));
    ct_json_set(root, "device", ct_json_new_text(ct_device_describe(b->stepper.device)));
    ct_json_set(root, "precision", ct_json_new_text(precisions[b->config.on.precision]));
    if (b->card) ct_json_set(root, "gpu", ct_json_new_text(b->card->name));
    ct_json_set(root, "tokens_a_step", ct_json_new_integer(b->tokens));
    ct_json_set(root, "flops_a_step", ct_json_new_real(b->flops));
    for (size_t i = 0; i < b->row_count; i++) ct_json_add(records, row_json(&b->rows[i]));
    for (size_t i = 0; i < b->kind_count; i++) ct_json_set(ops, b->kinds[i].kind, sum_json(&b->kinds[i]));
    ct_json_set(root, "records", records);
    ct_json_set(root, "ops", ops);
    for (int way = 0; way < CT_BENCH_WAYS; way++) {
        if (!b->step[way].calls) continue;
        ct_json_set(step, ways[way], step_json(b, &b->step[way]));
        stepped = true;
    }
    if (stepped)
        ct_json_set(root, "step", step);
    else
        ct_json_free(step);
    if (b->peer.by) ct_json_set(root, "peer", peer_json(&b->peer));
    return root;
}

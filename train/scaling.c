/* scaling.c -- see scaling.h. */
#include "train/scaling.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double      nets[] = {25e9, 50e9, 100e9, 200e9, 400e9, 800e9}; /* bits a second, as CT_NET_WORDS */
static const double      FULL = 8;                                          /* bits a byte */
static const char *const net_words[] = {"25", "50", "100", "200", "400", "800"};

/* ---- links. Latencies in seconds as NCCL's own model has them for its protocol LL128 (src/graph/tuning.cc: baseLat,
 * hwLat), to choose between rings and trees: once a call, and for each hop. */
static const double BASE = 14e-6;
typedef struct hop {
    double ring, tree;
} hop;
static const hop by_nvlink = {1.9e-6, 1.25e-6}, by_pci = {2.5e-6, 1.9e-6}, by_net = {4.0e-6, 8.5e-6};

ct_links ct_scaling_links(const ct_gpu *gpu, int net, int64_t gpus) {
    const int64_t within = gpus < CT_NODE_GPUS ? gpus : CT_NODE_GPUS, nodes = (gpus + within - 1) / within;
    const hop     inside = gpu->nvlink ? by_nvlink : by_pci;
    const double  far = nodes > 1 ? (double)nodes : 0, near = (double)(gpus - 1) - far;
    ct_links      links = {.rate = gpu->link};
    links.ring = (near > 0 ? near : 0) * inside.ring + far * by_net.ring;
    links.tree = 2 * ((double)(within - 1) * inside.tree + (nodes > 1 ? floor(log2((double)nodes)) : 0) * by_net.tree);
    /* a ring for each adapter: every link within a node carries what all adapters do together */
    if (nodes > 1) links.rate = fmin(links.rate, (double)within * nets[net] / FULL);
    return links;
}

double ct_scaling_seconds(const ct_links *l, ct_collective what, double bytes, int64_t gpus) {
    const double times = what == CT_ALL_REDUCE ? 2 : 1, n = (double)gpus;
    const double latency = what == CT_ALL_REDUCE ? fmin(times * l->ring, l->tree) : l->ring;
    return gpus == 1 ? 0 : BASE + latency + times * (n - 1) / n * bytes / l->rate;
}

/* ---- a step. Seconds since the last backward pass began. */
typedef struct clock {
    double compute, link; /* when it is done with what it was given */
    double busy;          /* seconds of the link */
} clock;

static void send(clock *c, double seconds) {
    c->link = fmax(c->link, c->compute) + seconds;
    c->busy += seconds;
}

/* The backward pass of an update's last batch, buckets leaving as they become whole. */
static clock go_back(const ct_gpu *g, const ct_network *n, const ct_reducer *r, const ct_links *l, int precision,
                     int64_t gpus, bool shard) {
    const size_t element = ct_dtype_size(r->sent);
    clock        c = {0};
    size_t       done = 0;
    for (int i = 0; i < r->count; i++) {
        for (; done < r->at[i].after; done++) c.compute += ct_gpu_least(g, &n->backward.at[done], NULL, precision);
        send(&c, ct_scaling_seconds(l, shard ? CT_REDUCE_SCATTER : CT_ALL_REDUCE,
                                    (double)r->at[i].count * (double)element, gpus));
    }
    for (; done < n->backward.count; done++) c.compute += ct_gpu_least(g, &n->backward.at[done], NULL, precision);
    c.compute += ct_gpu_least_of(g, &n->after, precision);
    return c;
}

/* Each rank's new numbers to all others, after the update. */
static double gather_seconds(const ct_reducer *r, const ct_links *l, ct_dtype parameters, int64_t gpus) {
    double seconds = 0;
    for (int i = 0; i < r->count; i++)
        seconds +=
            ct_scaling_seconds(l, CT_ALL_GATHER, (double)r->at[i].count * (double)ct_dtype_size(parameters), gpus);
    return seconds;
}

typedef struct shape { /* what all rows have in common */
    const ct_train_config *config;
    ct_model              *model;
    int64_t                queries, keys;
    bool                   shard;
} shape;

static void fill_row(const shape *s, const ct_network *n, const ct_reducer *r, ct_scaling_row *row) {
    const ct_train_config *c = s->config;
    const ct_gpu          *g = ct_gpu_at(c->gpu);
    const int              precision = c->on.precision;
    const ct_links         l = ct_scaling_links(g, c->net, row->gpus);
    const double batch = ct_gpu_least_of(g, &n->forward, precision) + ct_gpu_least_of(g, &n->backward, precision) +
                         ct_gpu_least_of(g, &n->after, precision);
    const double update = ct_gpu_least_of(g, &n->update, precision) / (s->shard ? (double)row->gpus : 1);
    const clock  last = go_back(g, n, r, &l, precision, row->gpus, s->shard);
    const double gather = s->shard ? gather_seconds(r, &l, n->dtype, row->gpus) : 0;
    const double waits = fmax(0, last.link - last.compute) + gather;
    row->sent = ct_reducer_bytes(r, n->dtype, 0);
    row->compute = (double)c->accumulate * batch + update;
    row->talk = last.busy + gather;
    row->hidden = row->talk > 0 ? fmax(0, 1 - waits / row->talk) : 1;
    row->step = row->compute + waits;
    row->rows = (double)(row->gpus * row->lines * c->model.tokens * c->accumulate) / row->step;
}

/* row->gpus and row->lines are set. */
static ct_status make_row(const shape *s, ct_scaling *out, ct_scaling_row *row) {
    ct_network n;
    ct_reducer r;
    CT_TRY(ct_gpu_network(s->config, s->model, row->lines, s->queries, s->keys, &n));
    const ct_reducer_options o = {.ranks = (int)row->gpus,
                                  .model = s->model,
                                  .gradients = n.gradients,
                                  .dtype = n.dtype,
                                  .bytes = (size_t)s->config->bucket << 10,
                                  .shard = s->shard,
                                  .bf16 = s->config->sent_as == CT_SENT_BF16};
    ct_status                status = ct_reducer_make(&o, &n.backward, false, &n.arena, &r);
    if (status == CT_OK) {
        fill_row(s, &n, &r, row);
        out->buckets = r.count;
        out->gradients = (double)s->model->parameter_count * (double)ct_dtype_size(r.sent);
    }
    ct_network_free(&n);
    return status;
}

/* One, whole nodes in powers of two, and what was asked for. */
static int counts(int64_t gpus, int64_t out[CT_SCALING_ROWS]) {
    int rows = 0;
    out[rows++] = 1;
    for (int64_t n = CT_NODE_GPUS; n < gpus; n *= 2) out[rows++] = n;
    if (gpus > 1) out[rows++] = gpus;
    return rows;
}

ct_status ct_scaling_make(const ct_train_config *c, ct_model *m, int64_t queries, int64_t keys, int64_t largest,
                          ct_scaling *out) {
    const shape s = {c, m, queries, keys, c->shard};
    int64_t     gpus[CT_SCALING_ROWS];
    *out = (ct_scaling){.gpu = ct_gpu_at(c->gpu), .net = c->net, .gpus = c->gpus, .batch = c->batch};
    out->largest = largest;
    if (!out->gpu) return ct_fail(CT_EUSAGE, "%s: of which? (hint: gpu=H100)", ct_config_where("gpus"));
    out->rows = counts(c->gpus, gpus);
    for (int i = 0; i < out->rows; i++) {
        ct_scaling_row *each = &out->each[i], *together = &out->together[i];
        *each = (ct_scaling_row){.gpus = gpus[i], .lines = c->batch};
        *together = (ct_scaling_row){.gpus = gpus[i], .lines = c->batch % gpus[i] ? 0 : c->batch / gpus[i]};
        CT_TRY(make_row(&s, out, each));
        if (together->lines) CT_TRY(make_row(&s, out, together));
        each->efficiency = out->each[0].step / each->step;
        if (together->lines) together->efficiency = out->together[0].step / (double)gpus[i] / together->step;
    }
    return CT_OK;
}

/* ---- for people */
static void print_rows(const ct_scaling *s, const ct_scaling_row *rows) {
    printf("  %7s %8s %9s %12s %12s %10s %8s %10s %12s %11s\n", "GPUs", "windows", "of each", "sent, MiB",
           "compute, ms", "talk, ms", "hidden", "step, ms", "rows/s", "efficiency");
    for (int i = 0; i < s->rows; i++) {
        const ct_scaling_row *r = &rows[i];
        if (!r->lines) {
            printf("  %7lld %8lld   can't be shared evenly\n", (long long)r->gpus, (long long)s->batch);
            continue;
        }
        const long long gpus = r->gpus, lines = r->lines;
        printf("  %7lld %8lld %9lld %12.2f %12.3f %10.3f %7.0f%% %10.3f %12.3g %10.0f%%%s\n", gpus, lines * gpus, lines,
               (double)r->sent / (1 << 20), r->compute * 1e3, r->talk * 1e3, 100 * r->hidden, r->step * 1e3, r->rows,
               100 * r->efficiency, r->lines > s->largest ? "  does not fit" : "");
    }
}

void ct_scaling_print(const ct_scaling *s) {
    const double rate = ct_scaling_links(s->gpu, s->net, 2 * CT_NODE_GPUS).rate;
    printf("on up to %lld of them: an estimate, nothing of it was measured\n", (long long)s->gpus);
    printf(
        "  assumed: nodes of %d GPUs joined by %s, %.0f GB/s a GPU one way; between nodes net=%sG for each GPU's own\n"
        "  adapter, rings through all %d at once: %.0f GB/s; latency as NCCL's model has it (LL128): %.0f us a call, a "
        "hop %.1f us\n"
        "  in a node, %.0f us between them, rings or trees; compute as long as above, a lower bound, so that more may "
        "hide\n",
        CT_NODE_GPUS, s->gpu->nvlink ? "NVLink" : "PCI Express", s->gpu->link / 1e9, net_words[s->net], CT_NODE_GPUS,
        rate / 1e9, BASE * 1e6, (s->gpu->nvlink ? by_nvlink : by_pci).ring * 1e6, by_net.ring * 1e6);
    printf("  a step adds up %.2f MiB of gradients in %d bucket%s (dist.bucket), of which a GPU sends 2 (n - 1) / n;\n"
           "  hidden: share of the talk during the backward pass; efficiency: of n times as fast as one\n",
           s->gradients / (1 << 20), s->buckets, s->buckets == 1 ? "" : "s");
    printf("each with %lld windows (train.batch of the run: that times GPUs)\n", (long long)s->batch);
    print_rows(s, s->each);
    printf("all together with %lld windows (train.batch as it is)\n", (long long)s->batch);
    print_rows(s, s->together);
}

/* ---- for programs */
static ct_json *rows_json(const ct_scaling *s, const ct_scaling_row *rows) {
    ct_json *list = ct_json_new_array();
    for (int i = 0; i < s->rows; i++) {
        const ct_scaling_row *r = &rows[i];
        ct_json              *o = ct_json_new_object();
        ct_json_set(o, "gpus", ct_json_new_integer(r->gpus));
        ct_json_set(o, "windows_each", ct_json_new_integer(r->lines));
        ct_json_add(list, o);
        if (!r->lines) continue;
        ct_json_set(o, "fits", ct_json_new_bool(r->lines <= s->largest));
        ct_json_set(o, "sent_bytes", ct_json_new_integer(r->sent));
        ct_json_set(o, "compute_seconds", ct_json_new_real(r->compute));
        ct_json_set(o, "talk_seconds", ct_json_new_real(r->talk));
        ct_json_set(o, "hidden_share", ct_json_new_real(r->hidden));
        ct_json_set(o, "estimated_seconds_a_step", ct_json_new_real(r->step));
        ct_json_set(o, "rows_per_second", ct_json_new_real(r->rows));
        ct_json_set(o, "efficiency", ct_json_new_real(r->efficiency));
    }
    return list;
}

ct_json *ct_scaling_json(const ct_scaling *s) {
    ct_json *o = ct_json_new_object();
    ct_json_set(o, "node_gpus", ct_json_new_integer(CT_NODE_GPUS));
    ct_json_set(o, "link_bytes_per_second", ct_json_new_real(s->gpu->link));
    ct_json_set(o, "net_bits_per_second", ct_json_new_real(nets[s->net]));
    ct_json_set(o, "gradient_bytes", ct_json_new_real(s->gradients));
    ct_json_set(o, "buckets", ct_json_new_integer(s->buckets));
    ct_json_set(o, "batch_of_each", rows_json(s, s->each));
    ct_json_set(o, "batch_of_all", rows_json(s, s->together));
    return o;
}

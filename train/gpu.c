/* gpu.c -- see gpu.h. Rates by NVIDIA's data sheets, dense, at boost clocks. mma.sync is the tensor cores' own
 * instruction on sm_80 and sm_89; from sm_90 on there are faster ones (wgmma, tcgen05) that this program does not use:
 * there its ceiling is about two thirds of Hopper's peak. Links are half of what data sheets call their bandwidth,
 * which counts both ways: NVLink of 600, 900 and 1,800 GB/s, PCI Express 4.0 x16 of 64. */
#include "train/gpu.h"

#include <math.h>
#include <string.h>

static const ct_gpu gpus[CT_GPUS] = {
    {"A100 SXM 80 GB", "NVIDIA A100-SXM4-80GB", 80e9, 2.039e12, 312e12, 156e12, 19.5e12, 312e12, false, 300e9, true},
    {"H100 SXM", "NVIDIA H100 80GB HBM3", 80e9, 3.35e12, 989e12, 494e12, 67e12, 660e12, false, 450e9, true},
    {"H200 SXM", "NVIDIA H200", 141e9, 4.8e12, 989e12, 494e12, 67e12, 660e12, false, 450e9, true},
    {"B200", "NVIDIA B200", 180e9, 8e12, 2250e12, 1125e12, 80e12, 660e12, true, 900e9, true},
    {"RTX 4090", "NVIDIA GeForce RTX 4090", 24e9, 1.008e12, 165e12, 82.6e12, 82.6e12, 165e12, false, 32e9, false},
};

const ct_gpu *ct_gpu_at(int place) {
    return place > 0 ? &gpus[place - 1] : NULL;
}

const ct_gpu *ct_gpu_named(const char *description) {
    for (int i = 0; i < CT_GPUS; i++) {
        const size_t length = strlen(gpus[i].driver);
        if (!strncmp(description, gpus[i].driver, length) && description[length] == ',') return &gpus[i];
    }
    return NULL;
}

/* What lies on a GPU, planned: nothing of it may be called. */
static ct_status nothing(size_t bytes, void **out) {
    (void)bytes;
    (void)out;
    return CT_EFAIL;
}
static const ct_device on_paper = {.name = "on paper", .alloc = nothing};

ct_status ct_gpu_network(const ct_train_config *c, ct_model *m, int64_t batch, int64_t queries, int64_t keys,
                         ct_network *out) {
    const ct_network_options o = {.batch = batch,
                                  .tokens = c->model.tokens,
                                  .memory = c->model.memory,
                                  .queries = queries,
                                  .keys = keys,
                                  .train = true,
                                  .paper = true,
                                  .bf16 = c->on.precision == CT_PRECISION_BF16,
                                  .device = &on_paper,
                                  .backend = ct_backend_reference()};
    return ct_network_make(m, &o, out);
}

double ct_gpu_rate(const ct_gpu *g, ct_op op, int precision) {
    const bool product = op == CT_OP_linear || op == CT_OP_linear_backward;
    const bool attention = op == CT_OP_attention || op == CT_OP_attention_backward;
    if (precision == CT_PRECISION_BF16) return product ? g->bf16 : attention ? g->bf16_by_mma : g->fp32;
    return product && precision == CT_PRECISION_TF32 ? g->tf32 : g->fp32;
}

double ct_gpu_least(const ct_gpu *g, const ct_record *r, const ct_record *next, int precision) {
    const double flops = ct_op_about(r->op)->flops(&r->params) / ct_gpu_rate(g, r->op, precision);
    if (!next) return fmax(flops, ct_op_bytes(r->op, &r->params) / g->bytes);
    const double more = ct_op_about(next->op)->flops(&next->params) / ct_gpu_rate(g, next->op, precision);
    return fmax(fmax(flops, more), ct_record_pair_bytes(r, next) / g->bytes);
}

double ct_gpu_least_of(const ct_gpu *g, const ct_record_list *list, int precision) {
    double sum = 0;
    for (size_t i = 0; i < list->count; i++) sum += ct_gpu_least(g, &list->at[i], NULL, precision);
    return sum;
}

static ct_status fits(const ct_train_config *c, ct_model *m, const ct_gpu_plan *p, int64_t batch, int64_t queries,
                      int64_t keys, bool *out) {
    ct_network n;
    CT_TRY(ct_gpu_network(c, m, batch, queries, keys, &n));
    *out = (double)(n.arrays.used + p->products) <= p->gpu->memory;
    ct_network_free(&n);
    return CT_OK;
}

static ct_status find_largest(const ct_train_config *c, ct_model *m, ct_gpu_plan *p, int64_t queries, int64_t keys) {
    enum { MOST = 65536 };
    int64_t low = 0, high = MOST + 1; /* fits; does not */
    while (high - low > 1) {
        const int64_t middle = low == 0 && high > MOST ? 1 : high > MOST && low * 2 < high ? low * 2 : (low + high) / 2;
        bool          fit;
        CT_TRY(fits(c, m, p, middle, queries, keys, &fit));
        if (fit)
            low = middle;
        else
            high = middle;
    }
    p->largest = low;
    return CT_OK;
}

ct_status ct_gpu_plan_make(const ct_train_config *c, ct_model *m, int64_t queries, int64_t keys, ct_gpu_plan *out) {
    ct_network n;
    *out = (ct_gpu_plan){.gpu = ct_gpu_at(c->gpu), .products = CT_CUDA_WORKSPACE};
    CT_TRY(ct_gpu_network(c, m, c->batch, queries, keys, &n));
    memcpy(out->bytes, n.bytes, sizeof out->bytes);
    out->plan = n.arrays.used + out->products;
    out->pinned = CT_SLOTS * (n.input_bytes + n.results);
    const int precision = c->on.precision;
    out->seconds = (double)c->accumulate * (ct_gpu_least_of(out->gpu, &n.forward, precision) +
                                            ct_gpu_least_of(out->gpu, &n.backward, precision) +
                                            ct_gpu_least_of(out->gpu, &n.after, precision)) +
                   ct_gpu_least_of(out->gpu, &n.update, precision);
    ct_network_free(&n);
    return find_largest(c, m, out, queries, keys);
}

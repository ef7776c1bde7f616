/* sample.c -- cpu: draw a token from each row of logits. The same double-precision steps as the reference, so that both
 * draw the same tokens; the allowed tokens are sorted by a heap. */
#include "kernels/cpu/cpu.h"

/* does token a come before token b: more probable, or equal and of lower number? */
static inline bool before(const float *logits, int32_t a, int32_t b) {
    return logits[a] > logits[b] || (!(logits[b] > logits[a]) && a < b);
}

/* heap[at] sinks: every parent comes after its children, so the last token in order is on top */
static void sink(const float *logits, int32_t *heap, int64_t count, int64_t at) {
    for (int64_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && before(logits, heap[child], heap[child + 1])) child++;
        if (!before(logits, heap[at], heap[child])) return;
        int32_t swapped = heap[at];
        heap[at] = heap[child];
        heap[child] = swapped;
    }
}

static void sort(const float *logits, int32_t *order, int64_t count) {
    for (int64_t at = count / 2; at-- > 0;) sink(logits, order, count, at);
    for (int64_t left = count; left-- > 1;) {
        int32_t last = order[0];
        order[0] = order[left];
        order[left] = last;
        sink(logits, order, left, 0);
    }
}

static void sample_row(const ct_sample *p, int64_t b) {
    const float   *logits = (const float *)p->logits + b * p->vocabulary;
    const uint8_t *allowed = p->allowed + b * p->vocabulary;
    double        *weight = p->weight + b * p->vocabulary, total = 0, kept_total = 0, largest = -INFINITY, sum = 0;
    int32_t       *order = p->order + b * p->vocabulary;
    int64_t        found = 0, kept = 0, chosen = 0;
    p->token[b] = -1;
    p->logprob[b] = 0;
    if (p->position[b] < 0) return;

    for (int32_t v = 0; v < p->vocabulary; v++)
        if (allowed[v]) order[found++] = v;
    if (found == 0) return;
    if (p->temperature <= 0) {
        for (int64_t i = 1; i < found; i++)
            if (before(logits, order[i], order[0])) order[0] = order[i];
        found = 1;
    } else {
        sort(logits, order, found);
    }
    if (p->top_k > 0 && found > p->top_k) found = p->top_k;
    for (int64_t i = 0; i < found; i++) {
        weight[i] = found == 1 ? 1 : exp(((double)logits[order[i]] - (double)logits[order[0]]) / p->temperature);
        total += weight[i];
    }
    while (kept == 0 || (kept < found && (p->top_p >= 1 || kept_total < p->top_p * total)))
        kept_total += weight[kept++];

    ct_philox random = ct_philox_at(p->seed[b], 0, (uint64_t)p->position[b]);
    double    at = ct_philox_double(random.word[0], random.word[1]) * kept_total, passed = 0;
    for (int64_t i = 0; i < kept && weight[i] > 0; i++) {
        chosen = i;
        passed += weight[i];
        if (at < passed) break;
    }
    p->token[b] = order[chosen];

    for (int64_t v = 0; v < p->vocabulary; v++) largest = fmax(largest, (double)logits[v]);
    for (int64_t v = 0; v < p->vocabulary; v++) sum += exp((double)logits[v] - largest);
    p->logprob[b] = (double)logits[order[chosen]] - largest - log(sum);
}

CT_CPU(sample) {
    const ct_sample *p = &params->sample;
#pragma omp parallel for schedule(static) if (p->batch * p->vocabulary > CT_SMALL / 8)
    for (int64_t b = 0; b < p->batch; b++) sample_row(p, b);
    return CT_OK;
}

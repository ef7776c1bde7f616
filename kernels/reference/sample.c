/* sample.c -- reference: draw a token from each row of logits (grammar mask, temperature, top-k, top-p). All arithmetic
 * is in double; the most probable tokens are found by looking for the largest that is left, again and again. */
#include "kernels/reference/reference.h"

/* the most probable token (lowest number of equals) among the allowed ones not yet in order[0..found), or -1 */
static int32_t next_best(const real *logits, const uint8_t *allowed, int64_t vocabulary, const int32_t *order,
                         int64_t found) {
    int32_t best = -1;
    for (int32_t v = 0; v < vocabulary; v++) {
        bool taken = !allowed[v];
        for (int64_t i = 0; i < found && !taken; i++) taken = order[i] == v;
        if (!taken && (best < 0 || logits[v] > logits[best])) best = v;
    }
    return best;
}

CT_REFERENCE(sample) {
    const ct_sample *p = &params->sample;
    for (int64_t b = 0; b < p->batch; b++) {
        const real    *logits = (const real *)p->logits + b * p->vocabulary;
        const uint8_t *allowed = p->allowed + b * p->vocabulary;
        double        *weight = p->weight + b * p->vocabulary, total = 0, kept_total = 0, largest = -INFINITY;
        int32_t       *order = p->order + b * p->vocabulary;
        int64_t        found = 0, kept = 0;
        p->token[b] = -1;
        p->logprob[b] = 0;
        if (p->position[b] < 0) continue;

        for (int32_t v; (v = next_best(logits, allowed, p->vocabulary, order, found)) >= 0; found++) order[found] = v;
        if (found == 0) continue;
        if (p->temperature <= 0) found = 1;
        if (p->top_k > 0 && found > p->top_k) found = p->top_k;
        for (int64_t i = 0; i < found; i++) {
            weight[i] = found == 1 ? 1 : exp(((double)logits[order[i]] - (double)logits[order[0]]) / p->temperature);
            total += weight[i];
        }
        while (kept == 0 || (kept < found && (p->top_p >= 1 || kept_total < p->top_p * total)))
            kept_total += weight[kept++];

        ct_philox random = ct_philox_at(p->seed[b], 0, (uint64_t)p->position[b]);
        double    at = ct_philox_double(random.word[0], random.word[1]) * kept_total, passed = 0;
        int64_t   chosen = 0;
        for (int64_t i = 0; i < kept && weight[i] > 0; i++) {
            chosen = i;
            passed += weight[i];
            if (at < passed) break;
        }
        p->token[b] = order[chosen];

        double sum = 0;
        for (int64_t v = 0; v < p->vocabulary; v++) largest = fmax(largest, (double)logits[v]);
        for (int64_t v = 0; v < p->vocabulary; v++) sum += exp((double)logits[v] - largest);
        /* cppcheck-suppress invalidFunctionArg ; the largest alone gives 1 */
        p->logprob[b] = (double)logits[order[chosen]] - largest - log(sum);
    }
    return CT_OK;
}

/* test_ops_sample.c -- sampling: the distribution, the exact sets that top-k and top-p leave, ties, masks, rest. Both
 * backends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "kernels/ops.h"

enum { TOKENS = 8, DRAWS = 20000 };

/* of DRAWS sequences with the same logits: how often each token is drawn; [TOKENS] counts token -1 */
static void count_draws(const ct_backend *backend, const float *logits, const uint8_t *allowed, double temperature,
                        int64_t top_k, double top_p, int *count) {
    static float    all_logits[DRAWS * TOKENS];
    static uint8_t  all_allowed[DRAWS * TOKENS];
    static uint64_t seed[DRAWS];
    static int64_t  position[DRAWS];
    static int32_t  token[DRAWS], order[DRAWS * TOKENS];
    static double   logprob[DRAWS], weight[DRAWS * TOKENS];
    for (int b = 0; b < DRAWS; b++) {
        memcpy(all_logits + b * TOKENS, logits, TOKENS * sizeof *logits);
        memcpy(all_allowed + b * TOKENS, allowed, TOKENS);
        seed[b] = (uint64_t)b / 100;
        position[b] = b % 100;
    }
    ct_params params = {.sample = {.batch = DRAWS,
                                   .vocabulary = TOKENS,
                                   .top_k = top_k,
                                   .temperature = temperature,
                                   .top_p = top_p,
                                   .logits = all_logits,
                                   .allowed = all_allowed,
                                   .seed = seed,
                                   .position = position,
                                   .token = token,
                                   .logprob = logprob,
                                   .weight = weight,
                                   .order = order}};
    assert_int_equal(ct_op_run(backend, CT_OP_sample, &params), CT_OK);
    memset(count, 0, (TOKENS + 1) * sizeof *count);
    double total = 0;
    for (int v = 0; v < TOKENS; v++) total += exp((double)logits[v]);
    for (int b = 0; b < DRAWS; b++) {
        count[token[b] < 0 ? TOKENS : token[b]]++;
        double wanted = token[b] < 0 ? 0 : (double)logits[token[b]] - log(total);
        assert_true(fabs(logprob[b] - wanted) < 1e-12);
    }
}

static const ct_backend *backend_of(void **state) {
    return *state ? ct_backend_cpu() : ct_backend_reference();
}

static const float   logits[TOKENS] = {0.5f, 1.5f, -2, 1.5f, 0, -1, 2.5f, 0.25f};
static const uint8_t everything[TOKENS] = {1, 1, 1, 1, 1, 1, 1, 1};

/* chi-square with `seen` - 1 degrees of freedom stays below its 99.9 % point (for 7, 5, 3) */
static void check_distribution(const int *count, const uint8_t *set, double temperature) {
    double total = 0, chi = 0;
    int    seen = 0;
    for (int v = 0; v < TOKENS; v++)
        if (set[v]) total += exp((double)logits[v] / temperature);
    for (int v = 0; v < TOKENS; v++) {
        if (!set[v]) {
            assert_int_equal(count[v], 0);
            continue;
        }
        double wanted = DRAWS * exp((double)logits[v] / temperature) / total;
        chi += (count[v] - wanted) * (count[v] - wanted) / wanted;
        assert_true(count[v] > 0);
        seen++;
    }
    static const double limit[TOKENS + 1] = {0, 0, 10.83, 13.82, 16.27, 18.47, 20.52, 22.46, 24.32};
    assert_true(chi < limit[seen]);
}

static void distribution(void **state) {
    int           count[TOKENS + 1];
    const uint8_t some[TOKENS] = {1, 0, 1, 1, 1, 1, 0, 1};
    count_draws(backend_of(state), logits, everything, 1, 0, 1, count);
    check_distribution(count, everything, 1);
    count_draws(backend_of(state), logits, everything, 2.5, 0, 1, count);
    check_distribution(count, everything, 2.5);
    count_draws(backend_of(state), logits, some, 0.8, 0, 1, count);
    check_distribution(count, some, 0.8);
}

static void exact_sets(void **state) {
    int count[TOKENS + 1];
    count_draws(backend_of(state), logits, everything, 1, 2, 1, count); /* of the two 1.5 the lower number stays */
    check_distribution(count, (const uint8_t[]){0, 1, 0, 0, 0, 0, 1, 0}, 1);
    count_draws(backend_of(state), logits, everything, 1, 3, 1, count);
    check_distribution(count, (const uint8_t[]){0, 1, 0, 1, 0, 0, 1, 0}, 1);
    /* shares in order: 0.452 (6), 0.166 (1), 0.166 (3), 0.061 (0), ... */
    count_draws(backend_of(state), logits, everything, 1, 0, 0.6, count);
    check_distribution(count, (const uint8_t[]){0, 1, 0, 0, 0, 0, 1, 0}, 1);
    count_draws(backend_of(state), logits, everything, 1, 0, 0.7, count);
    check_distribution(count, (const uint8_t[]){0, 1, 0, 1, 0, 0, 1, 0}, 1);
    count_draws(backend_of(state), logits, everything, 1, 0, 0.01, count);
    assert_int_equal(count[6], DRAWS);
    /* top-p counts what top-k left: of 6, 1, 3 the first two are 0.79 */
    count_draws(backend_of(state), logits, everything, 1, 3, 0.75, count);
    check_distribution(count, (const uint8_t[]){0, 1, 0, 0, 0, 0, 1, 0}, 1);
}

static void most_probable(void **state) {
    int           count[TOKENS + 1];
    const uint8_t no_best[TOKENS] = {1, 1, 1, 1, 1, 1, 0, 1}, none[TOKENS] = {0};
    count_draws(backend_of(state), logits, everything, 0, 0, 1, count);
    assert_int_equal(count[6], DRAWS);
    count_draws(backend_of(state), logits, no_best, 0, 0, 1, count);
    assert_int_equal(count[1], DRAWS);
    count_draws(backend_of(state), logits, none, 1, 0, 1, count);
    assert_int_equal(count[TOKENS], DRAWS);
}

int main(void) {
#define BOTH(test)                                                                                                     \
    {#test ", reference", test, NULL, NULL, NULL}, {                                                                   \
#test ", cpu", test, NULL, NULL, (void *)"cpu"                                                                 \
    }
    const struct CMUnitTest tests[] = {BOTH(distribution), BOTH(exact_sets), BOTH(most_probable)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

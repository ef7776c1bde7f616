/* test_bugs.c -- nineteen planted mistakes (bugs.h): the checked flavour reports each in every order of threads, and
 * nothing of the kernels as they should be. The fast flavour, which sees numbers, meetings and guards, shows most in
 * some order.
 *
 * CANTUS_TEST_VERBOSE=1 prints, for each mistake and order, the first report and whether the numbers were wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bugs.h"
#include "core/rng.h"
#include "emulator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADS = 2, REACH = 40, MOST_TOKENS = 128, MOST = HEADS * MOST_TOKENS * HEAD };

static float uniform(uint64_t what, int i) { /* in [-1, 1) */
    return 2 * ct_philox_float(ct_philox_at(what, 0, (uint64_t)i).word[0]) - 1;
}
static uint16_t to_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
static float from_bf16(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float    value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void *to_device(const void *host, size_t bytes) {
    void *device = emulator_alloc(bytes);
    emulator_write(device, host, bytes);
    return device;
}

/* the largest error as a share of what rounding allows; infinite when something is not a number */
static double share_of(double allowed, const float *got, const double *wanted, int count) {
    double most = 0;
    for (int i = 0; i < count; i++) {
        double error = fabs((double)got[i] - wanted[i]);
        if (!(error <= most)) most = isnan(error) ? INFINITY : error;
    }
    return most / allowed;
}

/* ---- each kernel on its data. What it returns is wrong above 1; a launch that is given up is wrong, too. */
static double wanted[MOST];
static float  got[MOST];

static void attention_in_double(const float *q, const float *k, const float *v, const float *bias, int tokens,
                                double scale) {
    for (int h = 0; h < HEADS; h++)
        for (int i = 0; i < tokens; i++) {
            double  weight[MOST_TOKENS] = {0}, total = 0, *o = wanted + (h * tokens + i) * HEAD;
            int64_t base = (int64_t)h * tokens * HEAD;
            for (int j = 0; j <= i; j++) {
                double x = 0;
                for (int c = 0; c < HEAD; c++) x += (double)q[base + i * HEAD + c] * (double)k[base + j * HEAD + c];
                weight[j] = exp(x * scale + (double)bias[h * (REACH + 1) + (i - j < REACH ? i - j : REACH)]);
                total += weight[j];
            }
            for (int c = 0; c < HEAD; c++) {
                o[c] = 0;
                for (int j = 0; j <= i; j++) o[c] += weight[j] / total * (double)v[base + j * HEAD + c];
            }
        }
}

/* Inputs are at most 1, so logits at most 8 + 1. fp32: a sum of 64 products is wrong by 64 x 2^-24 x 8 at most, a
 * weight by that share, and the sum over keys by 2^-24 each. bf16: weights and results are rounded to 8 bits besides.
 */
static double run_attention(bug b, int tokens) {
    static float    q[MOST], k[MOST], v[MOST], bias[HEADS * (REACH + 1)];
    static uint16_t packed[3][MOST];
    bool            half = b >= MISALIGNED_COPY && b <= COPY_OVER_READ;
    if (b == NO_BUG && tokens < 0) {
        half = true;
        tokens = -tokens;
    }
    int count = HEADS * tokens * HEAD;
    for (int i = 0; i < count; i++) {
        float *of[] = {q, k, v};
        for (int a = 0; a < 3; a++) {
            packed[a][i] = to_bf16(uniform((uint64_t)a + 1, i));
            of[a][i] = half ? from_bf16(packed[a][i]) : uniform((uint64_t)a + 1, i);
        }
    }
    for (int i = 0; i < HEADS * (REACH + 1); i++) bias[i] = uniform(4, i);
    attention_in_double(q, k, v, bias, tokens, 0.125);
    size_t    bytes = (size_t)count * (half ? sizeof *packed[0] : sizeof *q);
    void     *dq = to_device(half ? (void *)packed[0] : q, bytes), *dk = to_device(half ? (void *)packed[1] : k, bytes);
    void     *dv = to_device(half ? (void *)packed[2] : v, bytes), *db = to_device(bias, sizeof bias);
    void     *o = emulator_alloc(bytes);
    ct_status status = half ? bugs_attention_bf16(b, o, dq, dk, dv, db, tokens, HEADS, REACH, 0.125f, NULL)
                            : bugs_attention(b, o, dq, dk, dv, db, tokens, HEADS, REACH, 0.125f, NULL);
    if (status == CT_OK) emulator_read(half ? (void *)packed[0] : got, o, bytes);
    for (int i = 0; half && i < count; i++) got[i] = from_bf16(packed[0][i]);
    void *all[] = {dq, dk, dv, db, o};
    for (size_t i = 0; i < CT_COUNT(all); i++) emulator_free(all[i]);
    double allowed = 2 * 64 * 0x1p-24 * 8 + tokens * 0x1p-24 + (half ? 0x1p-8 : 0);
    return status == CT_OK ? share_of(allowed, got, wanted, count) : INFINITY;
}

/* A row of width numbers at most 1: the mean is wrong by width x 2^-24, what is divided by a deviation of about 0.58 by
 * twice that and a few roundings. */
static double run_normalise(bug b, int width) {
    enum { ROWS = 5 };
    static float x[MOST];
    for (int r = 0; r < ROWS; r++) {
        double mean = 0, variance = 0;
        for (int i = 0; i < width; i++) mean += (double)(x[r * width + i] = uniform(5, r * width + i)) / width;
        for (int i = 0; i < width; i++) variance += pow((double)x[r * width + i] - mean, 2) / width;
        for (int i = 0; i < width; i++)
            wanted[r * width + i] = ((double)x[r * width + i] - mean) / sqrt(variance + 1e-5);
    }
    size_t    bytes = (size_t)(ROWS * width) * sizeof *x;
    float    *dx = to_device(x, bytes), *dy = emulator_alloc(bytes);
    ct_status status = bugs_normalise(b, dy, dx, ROWS, width, NULL);
    if (status == CT_OK) emulator_read(got, dy, bytes);
    emulator_free(dx);
    emulator_free(dy);
    return status == CT_OK ? share_of(4 * width * 0x1p-24, got, wanted, ROWS * width) : INFINITY;
}

static double run_sum_distances(bug b, int tokens) {
    static float x[MOST];
    float        zero[REACH + 1] = {0};
    double       sums[REACH + 1] = {0};
    for (int i = 0; i < tokens; i++)
        for (int j = 0; j < tokens; j++) {
            x[i * tokens + j] = uniform(6, i * tokens + j);
            if (j <= i) sums[i - j < REACH ? i - j : REACH] += (double)x[i * tokens + j];
        }
    float    *dx = to_device(x, (size_t)(tokens * tokens) * sizeof *x), *ds = to_device(zero, sizeof zero);
    ct_status status = bugs_sum_distances(b, ds, dx, tokens, REACH, NULL);
    if (status == CT_OK) emulator_read(got, ds, sizeof zero);
    emulator_free(dx);
    emulator_free(ds);
    return status == CT_OK ? share_of(tokens * tokens * 0x1p-24, got, sums, REACH + 1) : INFINITY;
}

static double run_copy(bug b, int count) {
    static float x[MOST];
    int          offset = b == MISALIGNED_FLOAT4;
    for (int i = 0; i < count + offset; i++) x[i] = uniform(7, i);
    for (int i = 0; i < count; i++) wanted[i] = (double)x[i + offset];
    float    *dx = to_device(x, (size_t)(count + offset) * sizeof *x), *dy = emulator_alloc((size_t)count * sizeof *x);
    ct_status status = bugs_copy(b, dy, dx, count, offset, NULL);
    if (status == CT_OK) emulator_read(got, dy, (size_t)count * sizeof *x);
    emulator_free(dx);
    emulator_free(dy);
    return status == CT_OK ? share_of(1e-30, got, wanted, count) : INFINITY;
}

static double run_sum_64(bug b, int count) {
    float  x[64];
    double sum = 0;
    for (int i = 0; i < 64; i++) x[i] = uniform(8, i);
    for (int i = 0; i < (b == NO_BUG ? 64 : 48); i++) sum += (double)x[i];
    for (int i = 0; i < count; i++) wanted[i] = sum;
    float    *dx = to_device(x, sizeof x), *dy = emulator_alloc((size_t)count * sizeof *x);
    ct_status status = bugs_sum_64(b, dy, dx, NULL);
    if (status == CT_OK) emulator_read(got, dy, (size_t)count * sizeof *x);
    emulator_free(dx);
    emulator_free(dy);
    return status == CT_OK ? share_of(64 * 0x1p-24 * 64, got, wanted, count) : INFINITY;
}

/* ---- the mistakes */
typedef struct planted {
    bug         number;
    const char *name;
    double (*run)(bug b, int size);
    int         size;
    const char *kinds[2]; /* of the report: one of these */
    bool        hidden;   /* from the fast flavour: right numbers by luck, in every order */
} planted;
static const planted mistakes[] = {
    {USED_BEFORE_BARRIER, "used_before_barrier", run_attention, 40, {"uninitialised", "race"}, false},
    {REUSED_BEFORE_BARRIER, "reused_before_barrier", run_attention, 40, {"race"}, false},
    {READ_PAST_END, "read_past_end", run_attention, 40, {"out-of-bounds"}, false},
    {NO_WARP_SYNC, "no_warp_sync", run_attention, 40, {"race"}, true},
    {TAIL_NOT_WRITTEN, "tail_not_written", run_attention, 20, {"uninitialised"}, false},
    {NEGATIVE_INDEX, "negative_index", run_attention, 40, {"out-of-bounds"}, true},
    {MISALIGNED_COPY, "misaligned_copy", run_attention, 70, {"misaligned"}, false},
    {WAIT_TOO_SHORT, "wait_too_short", run_attention, 70, {"async-copy"}, false},
    {DIVERGENT_MMA, "divergent_mma", run_attention, 70, {"divergent-warp"}, false},
    {COPY_OVER_READ, "copy_over_read", run_attention, 70, {"race"}, false},
    {SUMS_REUSED_EARLY, "sums_reused_early", run_normalise, 200, {"race"}, false},
    {DIVERGENT_BARRIER, "divergent_barrier", run_normalise, 200, {"race", "barrier-after-exit"}, false},
    {PAST_DYNAMIC_SHARED, "past_dynamic_shared", run_normalise, 200, {"out-of-bounds"}, false},
    {ADD_WITHOUT_ATOMIC, "add_without_atomic", run_sum_distances, 96, {"race"}, true},
    {MISALIGNED_FLOAT4, "misaligned_float4", run_copy, 256, {"misaligned"}, true},
    {ONE_PAST_END, "one_past_end", run_copy, 256, {"out-of-bounds"}, false},
    {EXIT_BEFORE_BARRIER, "exit_before_barrier", run_sum_64, 48, {"barrier-after-exit"}, false},
    {PAST_SHARED_ARRAY, "past_shared_array", run_normalise, 200, {"out-of-bounds"}, false},
    {MISALIGNED_SHARED_FLOAT4, "misaligned_shared_float4", run_attention, 40, {"misaligned"}, true},
};

enum { SCHEDULES = EMULATOR_ORDERS + 1 }; /* two seeds of random */
static void set_schedule(int n) {
    int order = n < EMULATOR_RANDOM ? n : EMULATOR_RANDOM;
    emulator_set_schedule((emulator_schedule){.order = (emulator_order)order, .seed = (uint64_t)n, .workers = 1});
}

/* Does a report say it, or a wrong number? */
static bool shows(const planted *p, int schedule) {
    set_schedule(schedule);
    emulator_forget_reports();
    double wrong = p->run(p->number, p->size);
    bool   reported = emulator_report_count() > 0;
    if (getenv("CANTUS_TEST_VERBOSE"))
        printf("    %2d %-24s schedule %d: numbers %s; %s\n", (int)p->number, p->name, schedule,
               wrong <= 1 ? "right" : "wrong", reported ? emulator_report(0) : "no report");
    bool named = emulator_reported(p->kinds[0]) || (p->kinds[1] && emulator_reported(p->kinds[1]));
    if (emulator_checks_accesses() && !named)
        fail_msg("%s, schedule %d: not reported; first report: %s", p->name, schedule,
                 reported ? emulator_report(0) : "none");
    emulator_forget_reports();
    return reported || !(wrong <= 1);
}

static void is_found(void **state) {
    const planted *p = *state;
    for (int front_end = 0; front_end < emulator_front_ends(); front_end++) {
        bool shown = false;
        emulator_use_front_end(front_end);
        for (int schedule = 0; schedule < SCHEDULES; schedule++) shown = shows(p, schedule) || shown;
        if (!shown && !p->hidden) fail_msg("%s: shown in no order", p->name);
    }
}

/* ---- and no report where nothing is wrong: sizes around tiles, one, primes */
static void clean_in_order(int schedule) {
    static const int tokens[] = {1, 19, 31, 32, 33, 64, 65, 97}, widths[] = {1, 31, 127, 128, 129, 200};
    set_schedule(schedule);
    for (size_t i = 0; i < CT_COUNT(tokens); i++) {
        double fp32 = run_attention(NO_BUG, tokens[i]), half = run_attention(NO_BUG, -tokens[i]);
        if (!(fp32 <= 1 && half <= 1))
            fail_msg("attention of %d tokens, schedule %d: error %g, bf16 %g of what is allowed", tokens[i], schedule,
                     fp32, half);
        if (!(run_sum_distances(NO_BUG, tokens[i]) <= 1))
            fail_msg("sums of %d tokens, schedule %d", tokens[i], schedule);
    }
    for (size_t i = 0; i < CT_COUNT(widths); i++)
        if (!(run_normalise(NO_BUG, widths[i]) <= 1)) fail_msg("normalise of %d, schedule %d", widths[i], schedule);
    if (!(run_copy(NO_BUG, 256) <= 1) || !(run_sum_64(NO_BUG, 48) <= 1))
        fail_msg("copy or sum_64, schedule %d", schedule);
    if (emulator_report_count() > 0) fail_msg("schedule %d: %s", schedule, emulator_report(0));
}

static void right_kernels_are_clean(void **state) {
    (void)state;
    emulator_forget_reports();
    for (int front_end = 0; front_end < emulator_front_ends(); front_end++) {
        emulator_use_front_end(front_end);
        for (int order = 0; order < EMULATOR_ORDERS; order++) clean_in_order(order);
    }
}

int main(void) {
    struct CMUnitTest tests[CT_COUNT(mistakes) + 1];
    for (size_t i = 0; i < CT_COUNT(mistakes); i++)
        tests[i] = (struct CMUnitTest){mistakes[i].name, is_found, NULL, NULL, (void *)(uintptr_t)&mistakes[i]};
    tests[CT_COUNT(mistakes)] = (struct CMUnitTest)cmocka_unit_test(right_kernels_are_clean);
    emulator_use_front_end(0);
    printf("%s%s\n", emulator_front_end(0), emulator_checks_accesses() ? ", every load and store checked" : "");
    return cmocka_run_group_tests(tests, NULL, NULL);
}

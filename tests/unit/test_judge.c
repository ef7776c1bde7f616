/* test_judge.c -- what the judge of a card's instructions (tests/gpu/instructions) accepts: sums of mma in another
 * order, cut as tensor cores cut them, without subnormal numbers; 2^x two ulp away. And what it does not: a lane's
 * result in another lane, a product left out, one bit of an exact result, a third ulp; files that are none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "temp_folder.h"

/* NOLINTBEGIN(bugprone-suspicious-include): they belong to no library */
#include "tests/gpu/instructions/answers.c"
#include "tests/gpu/instructions/judge.c"
#include "tests/gpu/instructions/operands.c"
/* NOLINTEND(bugprone-suspicious-include) */

static uint32_t *words(size_t of_thread) {
    uint32_t *array = calloc(of_thread * INSTRUCTION_ALL, sizeof *array);
    assert_non_null(array);
    return array;
}
static uint32_t *operands_of(instruction which, uint64_t seed) {
    uint32_t *in = words(instruction_table[which].in);
    instruction_operands(which, seed, in);
    return in;
}

/* ---- mma, by several ways to add the 17 terms */
typedef float (*adder)(const double *t);

static float forward(const double *t) {
    float sum = (float)t[0];
    for (int k = 1; k < 17; k++) sum += (float)t[k];
    return sum;
}
static float backward(const double *t) {
    float sum = 0;
    for (int k = 16; k >= 0; k--) sum += (float)t[k];
    return sum;
}
/* Towards zero, to a multiple of the 24th binary digit of `largest`. */
static double cut(double x, double largest) {
    int exponent;
    if (!isfinite(x) || largest == 0) return x;
    frexp(largest, &exponent);
    return ldexp(trunc(ldexp(x, 24 - exponent)), exponent - 24);
}
/* Eight products at a time with what there is, all cut to the last digit of the largest, the sum cut too. */
static float by_tensor_core(const double *t) {
    double sum = t[0];
    for (int half = 0; half < 2; half++) {
        const double *products = t + 1 + 8 * half;
        double        largest = fabs(sum), all;
        for (int k = 0; k < 8; k++) largest = isfinite(products[k]) ? fmax(largest, fabs(products[k])) : largest;
        all = cut(sum, largest);
        for (int k = 0; k < 8; k++) all += cut(products[k], largest);
        sum = cut(all, all);
    }
    return (float)sum;
}
static float without_last(const double *t) {
    double fewer[17];
    memcpy(fewer, t, sizeof fewer);
    fewer[16] = 0;
    return forward(fewer);
}

static double flushed(double x, bool flushes) {
    return flushes && subnormal(x) ? 0 : x;
}
static void multiply(const uint32_t *in, adder add, bool flushes, uint32_t *out) {
    for (size_t warp = 0; warp < INSTRUCTION_ALL / INSTRUCTION_LANES; warp++) {
        const matrices m = gather(in + warp * INSTRUCTION_LANES * 10);
        for (size_t i = 0; i < (size_t)INSTRUCTION_LANES * 4; i++) {
            const size_t lane = i / 4, word = i % 4;
            const size_t row = lane / 4 + word / 2 * 8, column = 2 * (lane % 4) + word % 2;
            double       t[17] = {flushed((double)m.c[row][column], flushes)};
            for (int k = 0; k < 16; k++)
                t[1 + k] = flushed((double)m.a[row][k], flushes) * flushed((double)m.b[k][column], flushes);
            out[warp * INSTRUCTION_LANES * 4 + i] = as_bits((float)flushed((double)add(t), flushes));
        }
    }
}

static void sums_in_any_order(void **state) {
    (void)state;
    static const adder adders[] = {forward, backward, by_tensor_core};
    uint32_t          *own = words(4), *card = words(4);
    for (uint64_t seed = 1; seed <= 8; seed++) {
        uint32_t *in = operands_of(INSTRUCTION_mma_bf16, seed);
        multiply(in, forward, false, own);
        for (size_t i = 0; i < CT_COUNT(adders); i++)
            for (int flushes = 0; flushes < 2; flushes++) {
                multiply(in, adders[i], flushes, card);
                const verdict v = instruction_judge(INSTRUCTION_mma_bf16, in, card, own);
                if (v.wrong) fail_msg("seed %d, adder %zu, %lld: %s", (int)seed, i, (long long)v.wrong, v.first);
                assert_int_equal(v.results, 4 * INSTRUCTION_ALL);
                if (adders[i] == by_tensor_core) assert_true(v.worst > 0.05); /* the bound is one */
            }
        free(in);
    }
    free(own);
    free(card);
}

static void other_matrices(void **state) {
    (void)state;
    uint32_t *in = operands_of(INSTRUCTION_mma_bf16, 3), *own = words(4), *card = words(4);
    multiply(in, forward, false, own);
    const struct {
        const char *name;
        int         least; /* per cent of results that are refused; the tiny ones, a sixth, may as well be zeros */
    } mistakes[] = {{"lanes", 80}, {"words", 80}, {"a product less", 50}, {"an ulp of what is exact", 15}};
    for (size_t i = 0; i < CT_COUNT(mistakes); i++) {
        if (i == 2) multiply(in, without_last, false, card);
        for (size_t k = 0; k < (size_t)4 * INSTRUCTION_ALL && i != 2; k++)
            card[k] = i == 0 ? own[k ^ 4] : i == 1 ? own[k ^ 1] : own[k] + 1;
        const verdict v = instruction_judge(INSTRUCTION_mma_bf16, in, card, own);
        print_message("  %s: %lld of %lld refused\n", mistakes[i].name, (long long)v.wrong, (long long)v.results);
        assert_true(100 * v.wrong >= mistakes[i].least * v.results);
        assert_non_null(strstr(v.first, "mma_bf16: thread "));
    }
    free(in);
    free(own);
    free(card);
}

/* ---- 2^x */
static uint32_t exp2_of(uint32_t bits, int ulps, bool flushes) {
    const float nearest = (float)exp2((double)as_float(bits));
    if (isnan(nearest) || isinf(nearest) || as_float(bits) == 0) return as_bits(nearest);
    const double result = fmax((double)nearest + ulps * ulp((double)nearest), 0);
    return as_bits((float)flushed(result, flushes));
}
static void powers_of_two(void **state) {
    (void)state;
    static const struct {
        int  ulps;
        bool flushes, accepted;
    } cards[] = {{0, true, true},  {2, true, true},   {-2, true, true},
                 {3, true, false}, {-3, true, false}, {0, false, false}};
    const size_t count = instruction_table[INSTRUCTION_exp2_approx].out * INSTRUCTION_ALL;
    uint32_t    *in = operands_of(INSTRUCTION_exp2_approx, 5), *own = words(16), *card = words(16);
    for (size_t k = 0; k < count; k++) own[k] = exp2_of(in[k], 0, false);
    for (size_t i = 0; i < CT_COUNT(cards); i++) {
        for (size_t k = 0; k < count; k++) card[k] = exp2_of(in[k], cards[i].ulps, cards[i].flushes);
        const verdict v = instruction_judge(INSTRUCTION_exp2_approx, in, card, own);
        if ((v.wrong == 0) != cards[i].accepted)
            fail_msg("%d ulp: %lld, %s", cards[i].ulps, (long long)v.wrong, v.first);
        if (cards[i].accepted) assert_true(v.worst == abs(cards[i].ulps) / 2.0);
    }
    free(in);
    free(own);
    free(card);
}

/* ---- the others: any bit of any word */
static void exact_results(void **state) {
    (void)state;
    for (int which = 0; which < INSTRUCTION_COUNT; which++) {
        if (which == INSTRUCTION_mma_bf16 || which == INSTRUCTION_exp2_approx) continue;
        const size_t per_thread = instruction_table[which].out;
        uint32_t    *in = operands_of((instruction)which, 6), *own = words(per_thread), *card = words(per_thread);
        for (size_t k = 0; k < per_thread * INSTRUCTION_ALL; k++) own[k] = (uint32_t)k; /* no NaN */
        for (size_t k = 0; k < per_thread * INSTRUCTION_ALL; k++)
            card[k] =
                wanted((instruction)which, in + k / per_thread * instruction_table[which].in, k % per_thread, own[k]);
        assert_int_equal(instruction_judge((instruction)which, in, card, own).wrong, 0);
        for (size_t word = 0; word < per_thread; word++) {
            const size_t at = (size_t)77 * per_thread + word;
            if (isnan(as_float(card[at]))) continue; /* any is as good */
            for (int bit = 0; bit < 32; bit++) {
                card[at] ^= 1u << bit;
                const verdict v = instruction_judge((instruction)which, in, card, own);
                assert_int_equal(v.wrong, 1);
                assert_non_null(strstr(v.first, instruction_table[which].name));
                card[at] ^= 1u << bit;
            }
        }
        free(in);
        free(own);
        free(card);
    }
}

/* ---- operands: what they are there for is among them */
static bool any_of(const uint32_t *in, size_t count, bool (*is)(float)) {
    for (size_t i = 0; i < count; i++)
        if (is(as_float(in[i]))) return true;
    return false;
}
static bool is_nan(float x) {
    return isnan(x);
}
static bool is_minus_infinity(float x) {
    return isinf(x) && x < 0;
}
static bool is_minus_zero(float x) {
    return x == 0 && signbit(x);
}
static bool is_subnormal(float x) {
    return subnormal((double)x);
}
static void odd_operands(void **state) {
    (void)state;
    static const instruction of_floats[] = {INSTRUCTION_exp2_approx, INSTRUCTION_pack_bf16, INSTRUCTION_floats};
    for (size_t i = 0; i < CT_COUNT(of_floats); i++) {
        const size_t count = instruction_table[of_floats[i]].in * INSTRUCTION_ALL;
        uint32_t    *in = operands_of(of_floats[i], 1), *again = operands_of(of_floats[i], 1),
                 *other = operands_of(of_floats[i], 2);
        assert_memory_equal(in, again, count * sizeof *in);
        assert_memory_not_equal(in, other, count * sizeof *in);
        assert_true(any_of(in, count, is_nan) && any_of(in, count, is_minus_infinity));
        assert_true(any_of(in, count, is_minus_zero) && any_of(in, count, is_subnormal));
        free(in);
        free(again);
        free(other);
    }
}

/* ---- the file */
static ct_status sevens(instruction which, const uint32_t *in, uint32_t *out) {
    for (size_t i = 0; i < instruction_table[which].out * INSTRUCTION_ALL; i++) out[i] = 7 + in[0];
    return CT_OK;
}
static void files(void **state) {
    (void)state;
    char     folder[TEMP_PATH];
    ct_arena arena = {0};
    answers  a, b;
    temp_folder(folder);
    const char *path = temp_path(&arena, folder, "answers");
    assert_int_equal(answers_make(123, "a card", sevens, &a), CT_OK);
    assert_int_equal(answers_write(path, &a), CT_OK);
    assert_int_equal(answers_read(path, &b), CT_OK);
    assert_int_equal(b.seed, 123);
    assert_string_equal(b.card, "a card");
    for (int i = 0; i < INSTRUCTION_COUNT; i++) assert_memory_equal(a.of[i], b.of[i], words_of(i) * sizeof *a.of[i]);
    answers_free(&a);
    answers_free(&b);

    const ct_bytes whole = temp_read(path, &arena);
    static const struct {
        size_t      cut; /* bytes that are left; 0: all */
        const char *head, *message;
    } bad[] = {
        {10, NULL, "no file of gpu/test_instructions"},
        {28, NULL, "expected a seed"},
        {40, NULL, "expected the line \"mma_bf16"},
        {5000, NULL, "ends within mma_bf16"},
        {0, "cantus instructions 2\n", "no file of gpu/test_instructions"},
        {0, "cantus instructions 1\nseed x\n", "expected a seed"},
    };
    for (size_t i = 0; i < CT_COUNT(bad); i++) {
        if (bad[i].head)
            temp_write(path, bad[i].head, strlen(bad[i].head));
        else
            temp_write(path, whole.at, bad[i].cut);
        assert_int_equal(answers_read(path, &b), CT_EFAIL);
        if (!strstr(ct_message(), bad[i].message)) fail_msg("%zu: %s", i, ct_message());
        answers_free(&b);
    }
    temp_remove(folder);
    ct_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_in_any_order), cmocka_unit_test(other_matrices), cmocka_unit_test(powers_of_two),
        cmocka_unit_test(exact_results),     cmocka_unit_test(odd_operands),   cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

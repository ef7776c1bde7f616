/* judge.c -- see instructions.h: may a card answer so? PTX manual: "Parallel Thread Execution ISA", 8.x.
 *
 * Words without a float: the same bits as the emulator's. Floats that are rounded to nearest (add, mul, fma, div, sqrt,
 * cvt): the same bits; any NaN is as good as another, but cvt to bf16 gives 0x7fff.
 *
 * ex2.approx.ftz.f32: "The maximum ulp error is 2 ulp from correctly rounded result across the full range of inputs";
 * ftz "flushes subnormal inputs and results to sign-preserving zero". Special values as the manual's table says. The
 * emulator's is the C library's, within 1 ulp.
 *
 * mma, .bf16 with .f32: products "with specified precision", sums "with at least single precision. The accumulation
 * order, rounding and handling of subnormal inputs are unspecified." With T the sum of the sizes of c and the 16
 * products, which are exact in float, a card adds 16 times, each time wrong by at most an ulp of what it has, 2^-23 T,
 * and rounds the end as much: 17 2^-23 T. (Cards cut all terms to the largest one's ulp instead, which is no worse:
 * Fasi et al., Numerical behavior of NVIDIA tensor cores, 2021.) The emulator adds 16 times to nearest: 16 2^-24 T. In
 * all 25 2^-23 T. Subnormal factors and sums may be zeros: besides, what these contribute, and 2^-126 for each of 17
 * terms and the end. Where all terms are whole and T is below 2^24, nothing is rounded in any order: the same number. A
 * NaN, infinity times zero or both infinities among the terms give NaN, one infinity alone itself; where T is beyond
 * the largest float it depends on the order.
 */
#include "instructions.h"
#include "kernels/bf16.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static float as_float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static uint32_t as_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
static bool subnormal(double x) {
    return x != 0 && fabs(x) < 0x1p-126;
}

static void tell(verdict *v, instruction which, size_t thread, size_t word, uint32_t card, uint32_t emulator,
                 const char *why) {
    if (v->wrong++) return;
    snprintf(v->first, sizeof v->first,
             "%s: thread %zu, result %zu: the card's is 0x%08x (%g), the emulator's 0x%08x "
             "(%g): %s",
             instruction_table[which].name, thread, word, card, (double)as_float(card), emulator,
             (double)as_float(emulator), why);
}

/* ---- results that are the same bits */
static bool same_float(uint32_t a, uint32_t b) {
    return a == b || (isnan(as_float(a)) && isnan(as_float(b)));
}
static bool is_float(instruction which, size_t word) {
    return which == INSTRUCTION_floats || (which == INSTRUCTION_pack_bf16 && word == 2);
}
/* max, min: "if isNaN(a) d = b", "+0.0 > -0.0"; the C library makes a NaN of a signalling one, and either of zeros. */
static uint32_t wanted(instruction which, const uint32_t *in, size_t word, uint32_t emulator) {
    if (which != INSTRUCTION_floats || word < 3) return emulator;
    if (isnan(as_float(in[0])) || isnan(as_float(in[1]))) return isnan(as_float(in[0])) ? in[1] : in[0];
    if (as_float(in[0]) == 0 && as_float(in[1]) == 0) return word == 3 ? in[0] & in[1] : in[0] | in[1];
    return emulator;
}
static verdict judge_exact(instruction which, const uint32_t *in, const uint32_t *card, const uint32_t *emulator) {
    const instruction_about *about = &instruction_table[which];
    verdict                  v = {0};
    for (size_t i = 0; i < about->out * INSTRUCTION_ALL; i++, v.results++) {
        const size_t   thread = i / about->out, word = i % about->out;
        const uint32_t own = wanted(which, in + thread * about->in, word, emulator[i]);
        if (is_float(which, word) ? !same_float(card[i], own) : card[i] != own)
            tell(&v, which, thread, word, card[i], own, "other bits");
    }
    return v;
}

/* ---- 2^x */
/* Of a float of this size; infinity counts as 2^128. */
static double ulp(double x) {
    int exponent;
    frexp(fmax(fabs(x), 0x1p-126), &exponent);
    return ldexp(1, exponent - FLT_MANT_DIG);
}
static double ulps_apart(float got, float wanted) {
    const double a = isinf(got) ? 0x1p128 : (double)got, b = isinf(wanted) ? 0x1p128 : (double)wanted;
    return a == b ? 0 : fabs(a - b) / ulp(fmin(b, (double)FLT_MAX));
}
static verdict judge_exp2(const uint32_t *in, const uint32_t *card, const uint32_t *emulator) {
    static const double card_ulps = 2, emulator_ulps = 1;
    verdict             v = {0};
    for (size_t i = 0; i < instruction_table[INSTRUCTION_exp2_approx].out * INSTRUCTION_ALL; i++, v.results++) {
        const float x = as_float(in[i]), got = as_float(card[i]), own = as_float(emulator[i]);
        const float nearest = (float)exp2((double)x);
        const char *why = NULL;
        if (isnan(x) || isinf(x) || x == 0) {
            if (!same_float(card[i], as_bits(isnan(x) ? NAN : isinf(x) ? (x > 0 ? INFINITY : 0) : 1)))
                why = "not what the manual's table says";
        } else if (signbit(got) || isnan(got) || subnormal((double)got))
            why = "negative, subnormal or no number";
        else if (got == 0) { /* flushed: the nearest may be a little above */
            if ((double)nearest >= 0x1p-126 + card_ulps * 0x1p-149) why = "zero";
        } else {
            const double apart = ulps_apart(got, nearest);
            v.worst = fmax(v.worst, apart / card_ulps);
            if (apart > card_ulps) why = "more than 2 ulp from the nearest";
        }
        if (!why && (isnan(x) ? !isnan(own) : ulps_apart(own, nearest) > emulator_ulps))
            why = "the emulator is more than 1 ulp from the nearest";
        if (why) tell(&v, INSTRUCTION_exp2_approx, i / 16, i % 16, card[i], emulator[i], why);
    }
    return v;
}

/* ---- mma */
typedef struct matrices {
    float a[16][16], b[16][8], c[16][8];
} matrices;

static float half_of(uint32_t pair, int upper) {
    return ct_bf16_float((uint16_t)(pair >> 16 * upper));
}
/* "Matrix Fragments for mma.m16n8k16": row and column of a lane's word (and half of it) */
static matrices gather(const uint32_t *in) {
    matrices m;
    for (int lane = 0; lane < INSTRUCTION_LANES; lane++, in += 10) {
        const int group = lane / 4, place = 2 * (lane % 4);
        for (int i = 0; i < 8; i++) m.a[group + i / 2 % 2 * 8][place + i / 4 * 8 + i % 2] = half_of(in[i / 2], i % 2);
        for (int i = 0; i < 4; i++) m.b[place + i / 2 * 8 + i % 2][group] = half_of(in[4 + i / 2], i % 2);
        for (int i = 0; i < 4; i++) m.c[group + i / 2 * 8][place + i % 2] = as_float(in[6 + i]);
    }
    return m;
}

/* What the terms of one sum come to. */
typedef struct terms {
    double sizes, unsure; /* of all; of those that are made of subnormal numbers */
    bool   whole, nan, plus, minus, subnormal_infinity;
} terms;
static void add_term(terms *t, double term, bool of_subnormal) {
    t->nan = t->nan || isnan(term);
    t->plus = t->plus || (isinf(term) && term > 0);
    t->minus = t->minus || (isinf(term) && term < 0);
    t->subnormal_infinity = t->subnormal_infinity || (isinf(term) && of_subnormal);
    if (!isfinite(term)) return;
    t->whole = t->whole && term == floor(term);
    t->sizes += fabs(term);
    if (of_subnormal) t->unsure += fabs(term);
}
static terms terms_of(const matrices *m, int i, int j) {
    terms t = {.whole = true};
    add_term(&t, (double)m->c[i][j], subnormal((double)m->c[i][j]));
    for (int k = 0; k < 16; k++) {
        const double a = (double)m->a[i][k], b = (double)m->b[k][j];
        add_term(&t, a * b, subnormal(a) || subnormal(b));
    }
    return t;
}

static const char *judge_sum(const terms *t, float got, float own, double *worst) {
    if (t->subnormal_infinity) return isfinite(got) ? "finite, of an infinity" : NULL; /* or zero times it */
    if (t->nan || (t->plus && t->minus)) return isnan(got) ? NULL : "a number, of none";
    const bool overflows = t->sizes > (double)FLT_MAX * (1 - 0x1p-20); /* in some order */
    if (overflows && (!isfinite(got) || !isfinite(own))) return NULL;
    if (t->plus || t->minus) return got == (t->plus ? INFINITY : -INFINITY) ? NULL : "not the infinity among the terms";
    const double bound = 25 * 0x1p-23 * t->sizes + t->unsure + 18 * 0x1p-126;
    if (!isfinite(got)) return "not finite, of finite terms";
    if (t->whole && t->sizes < 0x1p24) return got == own ? NULL : "differs, where nothing is rounded";
    const double apart = fabs((double)got - (double)own);
    *worst = fmax(*worst, apart / bound);
    return apart <= bound ? NULL : "further apart than any order of sums";
}
static verdict judge_mma(const uint32_t *in, const uint32_t *card, const uint32_t *emulator) {
    verdict v = {0};
    for (size_t warp = 0; warp < INSTRUCTION_ALL / INSTRUCTION_LANES; warp++) {
        const matrices m = gather(in + warp * INSTRUCTION_LANES * 10);
        for (size_t i = 0; i < (size_t)INSTRUCTION_LANES * 4; i++, v.results++) {
            const size_t at = warp * INSTRUCTION_LANES * 4 + i, lane = i / 4, word = i % 4;
            const terms  t = terms_of(&m, (int)(lane / 4 + word / 2 * 8), (int)(2 * (lane % 4) + word % 2));
            const char  *why = judge_sum(&t, as_float(card[at]), as_float(emulator[at]), &v.worst);
            if (why) tell(&v, INSTRUCTION_mma_bf16, at / 4, word, card[at], emulator[at], why);
        }
    }
    return v;
}

verdict instruction_judge(instruction which, const uint32_t *in, const uint32_t *card, const uint32_t *emulator) {
    if (which == INSTRUCTION_mma_bf16) return judge_mma(in, card, emulator);
    if (which == INSTRUCTION_exp2_approx) return judge_exp2(in, card, emulator);
    return judge_exact(which, in, card, emulator);
}

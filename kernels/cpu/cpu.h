/* cpu.h -- shared by the cpu backend's files: each is compiled once per instruction set (CT_ISA = base, avx2, avx512)
 * and picks nothing else by it than the width of a vector.
 *
 *   CT_CPU(gelu) {                           defines ct_cpu_gelu_avx512 or ...
 *       const ct_gelu *p = &params->gelu; ...
 *
 * Rules of the folder: float only; OpenMP over a partition that does not depend on the number of threads, sums in one
 * fixed order: the same bytes whatever the threads.
 */
#ifndef CT_KERNELS_CPU_H
#define CT_KERNELS_CPU_H

#include "kernels/ops.h"

#include <math.h>
#include <string.h>

#define CT_PASTE_(a, b) a##b
#define CT_PASTE(a, b) CT_PASTE_(a, b)
#define CT_NAME(x) CT_PASTE(ct_cpu_##x##_, CT_ISA)
#define CT_CPU(op)                                                                                                     \
    ct_status CT_NAME(op)(const ct_params *params);                                                                    \
    ct_status CT_NAME(op)(const ct_params *params)
#define CT_INLINE static inline __attribute__((always_inline, unused))

/* ---- vectors: LANES floats, loaded and stored at any address */
#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX2__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif
typedef float   vec __attribute__((vector_size(LANES * 4)));
typedef int32_t ivec __attribute__((vector_size(LANES * 4)));

CT_INLINE vec vec_load(const float *from) {
    vec v;
    memcpy(&v, from, sizeof v);
    return v;
}
CT_INLINE void vec_store(float *to, vec v) {
    memcpy(to, &v, sizeof v);
}
CT_INLINE vec vec_all(float x) {
    return x - (vec){0};
}
CT_INLINE vec vec_select(ivec mask, vec yes, vec no) {
    return (vec)((mask & (ivec)yes) | (~mask & (ivec)no));
}
CT_INLINE vec vec_max(vec a, vec b) {
    return vec_select(a > b, a, b);
}
/* always the same order: halves added to halves */
CT_INLINE float vec_sum(vec v) {
    float x[LANES];
    memcpy(x, &v, sizeof x);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) x[i] += x[i + half];
    return x[0];
}
CT_INLINE float vec_largest(vec v) {
    float x[LANES];
    memcpy(x, &v, sizeof x);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) x[i] = x[i] > x[i + half] ? x[i] : x[i + half];
    return x[0];
}

/* largest of count numbers, -inf of none */
static inline __attribute__((unused)) float largest_of(const float *x, int64_t count) {
    vec     most = vec_all(-INFINITY);
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) most = vec_max(vec_load(x + i), most);
    float largest = vec_largest(most);
    for (; i < count; i++) largest = x[i] > largest ? x[i] : largest;
    return largest;
}

/* e^x: 2^n e^r with n whole, |r| <= ln(2)/2 and a polynomial of degree 7 (Cephes); relative error below 1.2 ulp where
 * the result is normal; 0 below -87.3, e^88 above 88; NaN stays NaN. Written twice: for a vector, and for loops that
 * the compiler vectorises. */
#define CT_EXP_LOW (-87.33654f)
#define CT_EXP_HIGH 88.0f
#define CT_EXP_POLYNOMIAL(r)                                                                                           \
    (((((((1.9875691500e-4f * (r) + 1.3981999507e-3f) * (r) + 8.3334519073e-3f) * (r) + 4.1665795894e-2f) * (r) +      \
        1.6666665459e-1f) *                                                                                            \
           (r) +                                                                                                       \
       5.0000001201e-1f) *                                                                                             \
          ((r) * (r)) +                                                                                                \
      (r)) +                                                                                                           \
     1.0f)
CT_INLINE vec vec_exp(vec x) {
    vec  y = vec_select(x > CT_EXP_HIGH, vec_all(CT_EXP_HIGH), x);
    vec  shifted = y * 1.44269504f + 0x1.8p23f, n = shifted - 0x1.8p23f;
    vec  r = (y - n * 0.693359375f) + n * 2.12194440e-4f;
    ivec scale = ((ivec)shifted << 23) + 0x3f800000;
    return (vec)((ivec)(CT_EXP_POLYNOMIAL(r) * (vec)scale) & ~(ivec)(x < CT_EXP_LOW));
}
CT_INLINE float one_exp(float x) {
    float   y = x > CT_EXP_HIGH ? CT_EXP_HIGH : x;
    float   shifted = y * 1.44269504f + 0x1.8p23f, n = shifted - 0x1.8p23f, factor;
    float   r = (y - n * 0.693359375f) + n * 2.12194440e-4f;
    int32_t scale;
    memcpy(&scale, &shifted, 4);
    scale = (int32_t)((uint32_t)scale << 23) + 0x3f800000;
    memcpy(&factor, &scale, 4);
    return x < CT_EXP_LOW ? 0.0f : CT_EXP_POLYNOMIAL(r) * factor;
}

/* What dropout multiplies the elements first..first+count-1 of a row with (ops.h, ct_dropout_keep); first and count are
 * multiples of four. Philox on many quads at once. */
enum { CT_DROPOUT_QUADS = 16 };
CT_INLINE void dropout_factors(const ct_step *step, uint32_t stream, int64_t row, int64_t first, int64_t count, float p,
                               float *factor) {
    float scale = 1 / (1 - p);
    for (int64_t at = 0; at < count; at += 4 * CT_DROPOUT_QUADS) {
        int     quads = (int)(count - at < 4 * CT_DROPOUT_QUADS ? (count - at) / 4 : CT_DROPOUT_QUADS);
        float  *to = factor + at;
        int64_t quad = (first + at) / 4;
#pragma omp simd
        for (int i = 0; i < quads; i++) {
            ct_philox x = ct_philox_at(step->seed, (uint64_t)step->number << 32 | stream,
                                       (uint64_t)row << 32 | (uint64_t)(uint32_t)(quad + i));
            for (int w = 0; w < 4; w++) to[4 * i + w] = ct_philox_float(x.word[w]) >= p ? scale : 0.0f;
        }
    }
}
static inline bool dropout_on(const ct_step *step, float p) {
    return p > 0 && step->train;
}

#endif

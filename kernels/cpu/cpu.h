/* cpu.h -- shared by the cpu backend's files: each is compiled once per instruction set (CT_ISA = base, avx2, avx512)
 * and picks nothing else by it than the width of a vector.
 *
 *   CT_CPU(gelu) {                           defines ct_cpu_gelu_avx512 or ...
 *       const ct_gelu *p = &params->gelu; ...
 *
 * Rules of the folder: float only; OpenMP over a partition that does not depend on the number of threads, sums in one
 * fixed order: the same bytes whatever the threads.
 */
#ifndef CT_CPU_CPU_H
#define CT_CPU_CPU_H

#include "kernels/ops.h"

#include <math.h>
#include <string.h>
#ifdef __SSE2__
#include <immintrin.h>
#endif

#define CT_PASTE_(a, b) a##b
#define CT_PASTE(a, b) CT_PASTE_(a, b)
#define CT_NAME(x) CT_PASTE(ct_cpu_##x##_, CT_ISA)
#define CT_CPU(op)                                                                                                     \
    ct_status CT_NAME(op)(const ct_params *params);                                                                    \
    ct_status CT_NAME(op)(const ct_params *params)
#define CT_INLINE static inline __attribute__((always_inline, unused))

/* Fewer elements than this are not worth waking threads for (about 10 us of work). */
enum { CT_SMALL = 1 << 15 };

/* ---- vectors: LANES floats, loaded and stored at any address */
#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX2__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif
typedef float    vec __attribute__((vector_size(LANES * 4)));
typedef int32_t  ivec __attribute__((vector_size(LANES * 4)));
typedef uint32_t uvec __attribute__((vector_size(LANES * 4)));

CT_INLINE vec vec_load(const float *from) {
    vec v;
    memcpy(&v, from, sizeof v);
    return v;
}
CT_INLINE void vec_store(float *to, vec v) {
    memcpy(to, &v, sizeof v);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion" /* in the gather, a macro at -O0 */

/* from[index[0]], from[index[1]], ... */
CT_INLINE vec vec_gather(const float *from, const int32_t *index) {
#if defined(__AVX512F__)
    return _mm512_i32gather_ps(_mm512_loadu_si512(index), from, 4);
#elif defined(__AVX2__)
    return _mm256_i32gather_ps(from, _mm256_loadu_si256((const __m256i *)(const void *)index), 4);
#else
    return (vec){from[index[0]], from[index[1]], from[index[2]], from[index[3]]};
#endif
}
#pragma GCC diagnostic pop

CT_INLINE vec vec_all(float x) {
    return x - (vec){0};
}
CT_INLINE vec vec_select(ivec mask, vec yes, vec no) {
    return (vec)((mask & (ivec)yes) | (~mask & (ivec)no));
}
/* a > b ? a : b, lane by lane (b where either is NaN) */
#define CT_LARGER(type, integers, a, b)                                                                                \
    ((type)(((integers)((a) > (b)) & (integers)(a)) | (~(integers)((a) > (b)) & (integers)(b))))
CT_INLINE vec vec_max(vec a, vec b) {
    return CT_LARGER(vec, ivec, a, b);
}
/* Sum and largest of a vector's lanes, in registers: halves onto halves, always in the same order. */
typedef float vec4 __attribute__((vector_size(16)));
typedef float vec8 __attribute__((vector_size(32)));

CT_INLINE float vec_sum(vec v) {
#if defined(__AVX512F__)
    vec8 half[2];
    memcpy(half, &v, sizeof v);
    vec8 of8 = half[0] + half[1];
#elif defined(__AVX2__)
    vec8 of8 = v;
#endif
#if defined(__AVX2__)
    vec4 quarter[2];
    memcpy(quarter, &of8, sizeof of8);
    vec4 x = quarter[0] + quarter[1];
#else
    vec4 x = v;
#endif
    return (x[0] + x[2]) + (x[1] + x[3]);
}
CT_INLINE float larger(float a, float b) {
    return a > b ? a : b;
}
CT_INLINE float vec_largest(vec v) {
#if defined(__AVX512F__)
    typedef int32_t ivec8 __attribute__((vector_size(32)));
    vec8            half[2];
    memcpy(half, &v, sizeof v);
    vec8 of8 = CT_LARGER(vec8, ivec8, half[0], half[1]);
#elif defined(__AVX2__)
    vec8 of8 = v;
#endif
#if defined(__AVX2__)
    typedef int32_t ivec4 __attribute__((vector_size(16)));
    vec4            quarter[2];
    memcpy(quarter, &of8, sizeof of8);
    vec4 x = CT_LARGER(vec4, ivec4, quarter[0], quarter[1]);
#else
    vec4 x = v;
#endif
    return larger(larger(x[0], x[2]), larger(x[1], x[3]));
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
CT_INLINE vec vec_exp_below(vec x) { /* for x that are not above 88 */
    vec  shifted = x * 1.44269504f + 0x1.8p23f, n = shifted - 0x1.8p23f;
    vec  r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    uvec scale = ((uvec)shifted << 23) + 0x3f800000;
    return (vec)((ivec)(CT_EXP_POLYNOMIAL(r) * (vec)scale) & ~(ivec)(x < CT_EXP_LOW));
}
CT_INLINE vec vec_exp(vec x) {
    return vec_exp_below(vec_select(x > CT_EXP_HIGH, vec_all(CT_EXP_HIGH), x));
}
CT_INLINE float one_exp(float x) {
    float   y = x > CT_EXP_HIGH ? CT_EXP_HIGH : x;
    float   shifted = y * 1.44269504f + 0x1.8p23f, n = shifted - 0x1.8p23f, factor;
    float   r = (y - n * 0.693359375f) + n * 2.12194440e-4f;
    int32_t scale;
    memcpy(&scale, &shifted, 4);
    scale = (int32_t)(((uint32_t)scale << 23) + 0x3f800000);
    memcpy(&factor, &scale, 4);
    return x < CT_EXP_LOW ? 0.0f : CT_EXP_POLYNOMIAL(r) * factor;
}

/* What dropout multiplies the elements first..first+63 of a row with (ops.h, ct_dropout_keep); first is a multiple of
 * four. Philox on LANES / 2 quads at a time, each word in a lane of 64 bits; the upper halves of lanes hold leftovers.
 */
enum { CT_DROPOUT = 64, WIDE = LANES / 2 };
typedef uint64_t wide __attribute__((vector_size(LANES * 4)));

CT_INLINE wide wide_product(wide a, wide b) { /* of the lower halves */
#if defined(__AVX512F__)
    return (wide)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (wide)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return (wide)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
    return (a & 0xffffffffu) * (b & 0xffffffffu);
#endif
}
CT_INLINE void dropout_factors(const ct_step *step, uint32_t stream, int64_t row, int64_t first, float p,
                               float *factor) {
    const wide multiply0 = (wide){0} + 0xD2511F53u, multiply1 = (wide){0} + 0xCD9E8D57u;
    uint64_t   words[CT_DROPOUT / 2];
    for (int at = 0; at < CT_DROPOUT / 4; at += WIDE) {
        wide c0 = (wide){0}, c1 = (wide){0} + (uint64_t)(uint32_t)row, c2 = (wide){0} + stream;
        wide c3 = (wide){0} + (uint64_t)(uint32_t)step->number;
        for (int i = 0; i < WIDE; i++) c0[i] = (uint64_t)(first / 4 + at + i);
        uint32_t key0 = (uint32_t)step->seed, key1 = (uint32_t)(step->seed >> 32);
        for (int round = 0; round < 10; round++) {
            wide a = wide_product(c0, multiply0), b = wide_product(c2, multiply1);
            c0 = (b >> 32) ^ c1 ^ key0;
            c2 = (a >> 32) ^ c3 ^ key1;
            c1 = b;
            c3 = a;
            key0 += 0x9E3779B9u;
            key1 += 0xBB67AE85u;
        }
        wide low = (c0 & 0xffffffffu) | (c1 << 32), high = (c2 & 0xffffffffu) | (c3 << 32);
        for (int i = 0; i < WIDE; i++) {
            words[2 * (at + i)] = low[i];
            words[2 * (at + i) + 1] = high[i];
        }
    }
    uint32_t word[CT_DROPOUT];
    memcpy(word, words, sizeof word);
    int32_t limit = (int32_t)ceil((double)p * 0x1p24); /* word >> 8 is kept from here on */
    float   scale = 1 / (1 - p);
    for (int i = 0; i < CT_DROPOUT; i++) factor[i] = (int32_t)(word[i] >> 8) >= limit ? scale : 0.0f;
}
static inline bool dropout_on(const ct_step *step, float p) {
    return p > 0 && step->train;
}

#endif

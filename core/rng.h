/* rng.h -- counter-based random numbers: Philox4x32-10.
 *
 * A number is a pure function of (key, counter): no state to save, none to share
 * between threads, the same bits whatever the order of the calls. Dropout draws
 * from (seed; step, op, row, element), sampling from (seed of the piece; step),
 * shuffles from (seed; epoch). Nothing can fail, nothing is owned.
 *
 * Source: Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011;
 * the test holds its known-answer vectors.
 */
#ifndef CT_CORE_RNG_H
#define CT_CORE_RNG_H

#include <stdint.h>

/* Functions that CUDA kernels call too, so that they draw the same numbers. */
#ifdef __CUDACC__
#define CT_ON_DEVICE __host__ __device__
#else
#define CT_ON_DEVICE
#endif

typedef struct ct_philox {
    uint32_t word[4];
} ct_philox;

CT_ON_DEVICE static inline ct_philox ct_philox_at(uint64_t key, uint64_t counter_high, uint64_t counter_low) {
    uint32_t c0 = (uint32_t)counter_low, c1 = (uint32_t)(counter_low >> 32);
    uint32_t c2 = (uint32_t)counter_high, c3 = (uint32_t)(counter_high >> 32);
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(b >> 32) ^ c1 ^ k0, n2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    ct_philox drawn = {{c0, c1, c2, c3}};
    return drawn;
}

/* 24 random bits as a float in [0, 1); 53 bits of two words as a double in [0, 1). */
CT_ON_DEVICE static inline float ct_philox_float(uint32_t word) {
    return (float)(word >> 8) * 0x1p-24f;
}
CT_ON_DEVICE static inline double ct_philox_double(uint32_t high, uint32_t low) {
    return (double)((((uint64_t)high << 32) | low) >> 11) * 0x1p-53;
}

/* A whole number in [0, n) from one draw (multiply-shift; bias below 2^-32 n). n > 0. */
static inline uint32_t ct_philox_below(uint32_t word, uint32_t n) {
    return (uint32_t)(((uint64_t)word * n) >> 32);
}

#endif

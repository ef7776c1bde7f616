/* bf16.h -- the upper half of a float as a number of its own: bits to float and back.
 *
 * Rounding is to nearest, ties to even, as the PTX instruction cvt.rn.bf16.f32 does it; NaN becomes 0x7fff.
 * Nothing is owned, nothing can fail.
 */
#ifndef CT_KERNELS_BF16_H
#define CT_KERNELS_BF16_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline float ct_bf16_float(uint16_t value) {
    uint32_t bits = (uint32_t)value << 16;
    float    result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

static inline uint16_t ct_bf16_round(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
    bits += 0x7fffu + (bits >> 16 & 1);
    return (uint16_t)(bits >> 16);
}

/* `to` may begin where `from` does. */
static inline void ct_bf16_widen(const void *from, size_t count, float *to) {
    for (size_t i = count; i-- > 0;) {
        uint16_t bits;
        memcpy(&bits, (const char *)from + i * sizeof bits, sizeof bits);
        to[i] = ct_bf16_float(bits);
    }
}

#endif

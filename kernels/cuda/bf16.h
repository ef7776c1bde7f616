/* bf16.h -- the upper half of a float: the type and conversions of CUDA's cuda_bf16.h that our kernels use, where there
 * is no CUDA. Bits are those of the PTX instruction cvt.rn.bf16.f32: nearest, ties to even; NaN becomes 0x7fff.
 * Owns nothing; nothing can fail.
 */
#ifndef CT_CUDA_BF16_H
#define CT_CUDA_BF16_H

#include <stdint.h>
#include <string.h>

struct __nv_bfloat16 {
    uint16_t bits;
};
struct alignas(4) __nv_bfloat162 {
    __nv_bfloat16 x, y;
};

inline float __bfloat162float(__nv_bfloat16 value) {
    uint32_t bits = (uint32_t)value.bits << 16;
    float    result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

inline __nv_bfloat16 __float2bfloat16_rn(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return {0x7fff};
    bits += 0x7fffu + (bits >> 16 & 1);
    return {(uint16_t)(bits >> 16)};
}

inline __nv_bfloat16 __float2bfloat16(float value) {
    return __float2bfloat16_rn(value);
}
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) {
    return {__float2bfloat16_rn(x), __float2bfloat16_rn(y)};
}

#endif

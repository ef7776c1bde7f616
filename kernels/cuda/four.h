/* four.h -- rows of numbers, float or bf16, read and written four neighbours at a time: in one access (of 16 bytes, of
 * 8) where all rows begin at an address for it (by_fours, asked on the host), one by one elsewhere. Past a row's end:
 * zeros, and nothing written. Arithmetic is in float; a bf16 is rounded when it is stored, to nearest.
 * Owns nothing; nothing can fail.
 */
#ifndef CT_CUDA_FOUR_H
#define CT_CUDA_FOUR_H

#include "kernels/cuda/platform.h"

/* May rows of `width` numbers, one after the other from each of these addresses on, be accessed by fours? */
template <class... T> bool by_fours(int64_t width, const T *...arrays) {
    return width % 4 == 0 && ((reinterpret_cast<uintptr_t>(arrays) % (4 * sizeof(T)) == 0) && ...);
}

/* blocks or threads for `count` things, `each` of them */
inline unsigned blocks_for(int64_t count, int64_t each) {
    return (unsigned)((count + each - 1) / each);
}

__device__ __forceinline__ float load(const float *from) {
    return *from;
}
__device__ __forceinline__ float load(const bf16 *from) {
    return __bfloat162float(*from);
}
__device__ __forceinline__ void store(float *to, float x) {
    *to = x;
}
__device__ __forceinline__ void store(bf16 *to, float x) {
    *to = __float2bfloat16_rn(x);
}

__device__ __forceinline__ float4 load_whole_four(const float *from) {
    return *reinterpret_cast<const float4 *>(from);
}
__device__ __forceinline__ float4 load_whole_four(const bf16 *from) {
    const uint2 bits = *reinterpret_cast<const uint2 *>(from);
    return make_float4(__uint_as_float(bits.x << 16), __uint_as_float(bits.x & 0xffff0000u),
                       __uint_as_float(bits.y << 16), __uint_as_float(bits.y & 0xffff0000u));
}
__device__ __forceinline__ void store_whole_four(float *to, float4 x) {
    *reinterpret_cast<float4 *>(to) = x;
}
__device__ __forceinline__ void store_whole_four(bf16 *to, float4 x) {
    *reinterpret_cast<uint2 *>(to) = make_uint2(pack_bf16(x.x, x.y), pack_bf16(x.z, x.w));
}

template <class T> __device__ __forceinline__ float4 load_four(const T *row, int column, int width, bool fours) {
    if (fours) return load_whole_four(row + column);
    float4 x = make_float4(load(row + column), 0, 0, 0);
    if (column + 1 < width) x.y = load(row + column + 1);
    if (column + 2 < width) x.z = load(row + column + 2);
    if (column + 3 < width) x.w = load(row + column + 3);
    return x;
}
template <class T> __device__ __forceinline__ void store_four(T *row, int column, int width, bool fours, float4 x) {
    if (fours) {
        store_whole_four(row + column, x);
        return;
    }
    store(row + column, x.x);
    if (column + 1 < width) store(row + column + 1, x.y);
    if (column + 2 < width) store(row + column + 2, x.z);
    if (column + 3 < width) store(row + column + 3, x.w);
}

__device__ __forceinline__ float4 operator+(float4 a, float4 b) {
    return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}
__device__ __forceinline__ float4 operator*(float4 a, float4 b) {
    return make_float4(a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w);
}
__device__ __forceinline__ float4 operator*(float4 a, float b) {
    return make_float4(a.x * b, a.y * b, a.z * b, a.w * b);
}
__device__ __forceinline__ float4 operator-(float4 a, float b) {
    return make_float4(a.x - b, a.y - b, a.z - b, a.w - b);
}
/* to + a.x b.x + ... + a.w b.w, one after the other, each rounded once */
__device__ __forceinline__ float add_products(float4 a, float4 b, float to) {
    return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, to))));
}
__device__ __forceinline__ float sum_of_four(float4 a) {
    return (a.x + a.y) + (a.z + a.w);
}

#endif

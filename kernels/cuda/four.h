/* four.h -- rows of numbers, read and written four neighbours at a time: in one access of 16 bytes where all rows begin
 * at such an address (by_fours, asked on the host), one by one elsewhere. Past a row's end: zeros, and nothing written.
 * Owns nothing; nothing can fail.
 */
#ifndef CT_CUDA_FOUR_H
#define CT_CUDA_FOUR_H

#include "kernels/cuda/platform.h"

/* May rows of `width` numbers, one after the other from each of these addresses on, be accessed by fours? */
template <class... T> bool by_fours(int64_t width, const T *...arrays) {
    return width % 4 == 0 && ((reinterpret_cast<uintptr_t>(arrays) % 16 == 0) && ...);
}

/* blocks or threads for `count` things, `each` of them */
inline unsigned blocks_for(int64_t count, int64_t each) {
    return (unsigned)((count + each - 1) / each);
}

__device__ __forceinline__ float4 load_four(const float *row, int column, int width, bool fours) {
    if (fours) return *reinterpret_cast<const float4 *>(row + column);
    float4 x = make_float4(row[column], 0, 0, 0);
    if (column + 1 < width) x.y = row[column + 1];
    if (column + 2 < width) x.z = row[column + 2];
    if (column + 3 < width) x.w = row[column + 3];
    return x;
}
__device__ __forceinline__ void store_four(float *row, int column, int width, bool fours, float4 x) {
    if (fours) {
        *reinterpret_cast<float4 *>(row + column) = x;
        return;
    }
    row[column] = x.x;
    if (column + 1 < width) row[column + 1] = x.y;
    if (column + 2 < width) row[column + 2] = x.z;
    if (column + 3 < width) row[column + 3] = x.w;
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

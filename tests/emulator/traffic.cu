/* traffic.cu -- accesses whose cost is known, for test_traffic.c: see there. */
#include "kernels/cuda/platform.h"

static __global__ void strided_kernel(float *y, const float *x, int stride) {
    y[threadIdx.x] = x[threadIdx.x * (unsigned)stride];
}
static __global__ void fours_kernel(float4 *y, const float4 *x) {
    y[threadIdx.x] = x[threadIdx.x];
}
template <int WIDTH> static __global__ void column_kernel(float *y, const float *x) {
    SHARED_ARRAY(volatile float, tile, [32][WIDTH]); /* else nvcc reads four columns at once */
    for (int row = 0; row < 32; row++) tile[row][threadIdx.x] = x[row * 32 + (int)threadIdx.x];
    __syncwarp();
    for (int column = 0; column < 32; column++) y[column * 32 + (int)threadIdx.x] = tile[threadIdx.x][column];
}

extern "C" ct_status traffic_strided(float *y, const float *x, int stride) {
    return LAUNCH(strided_kernel, 1, 32, 0, nullptr, y, x, stride);
}
extern "C" ct_status traffic_fours(float *y, const float *x) {
    return LAUNCH(fours_kernel, 1, 32, 0, nullptr, (float4 *)y, (const float4 *)x);
}
extern "C" ct_status traffic_columns(float *y, const float *x, bool padded) {
    return padded ? LAUNCH(column_kernel<33>, 1, 32, 0, nullptr, y, x)
                  : LAUNCH(column_kernel<32>, 1, 32, 0, nullptr, y, x);
}

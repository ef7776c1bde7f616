/* rotary.cu -- cuda: a row of cosines and sines for each token (reference/embed.c).
 *
 *   cosine[n][i], sine[n][i] = of omega[i] position[n][source[i]], in double precision before rounding
 * position [rows][sources], cosine and sine [rows][pairs].
 *
 * A thread per pair of a row. Whole quarter turns are taken off in double, with pi/2 in two parts (Cody and Waite
 * 1980); Taylor's series of the rest, below pi/4, end 10^-11 short: the library's functions keep a table in local
 * memory for large angles. Bytes: 8 a pair written. Flops: 40, in double. No two threads meet: the same bytes always.
 */
#include "kernels/cuda/four.h"

enum { THREADS = 256 };

static __device__ void turn(double angle, float *cosine, float *sine) {
    const double quarters = rint(angle * 0.63661977236758134308);
    double       x = fma(quarters, -1.57079632679489655800, angle);
    x = fma(quarters, -6.12323399573676603587e-17, x);
    const double y = x * x;
    const double s =
        x + x * y * (-1. / 6 + y * (1. / 120 + y * (-1. / 5040 + y * (1. / 362880 + y * (-1. / 39916800)))));
    const double c =
        1 + y * (-1. / 2 + y * (1. / 24 + y * (-1. / 720 + y * (1. / 40320 + y * (-1. / 3628800 + y / 479001600)))));
    const int quarter = (int)((int64_t)quarters & 3);
    *cosine = (float)(quarter == 0 ? c : quarter == 1 ? -s : quarter == 2 ? -c : s);
    *sine = (float)(quarter == 0 ? s : quarter == 1 ? c : quarter == 2 ? -s : -c);
}

static __global__ void __launch_bounds__(THREADS)
    rotary_rows_kernel(int64_t count, int64_t sources, int64_t pairs, const int32_t *position, const int32_t *source,
                       const double *omega, float *cosine, float *sine) {
    const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= count) return;
    const int64_t n = at / pairs, i = at % pairs;
    turn(omega[i] * position[n * sources + source[i]], cosine + at, sine + at);
}

CT_CUDA(rotary_rows) {
    const ct_rotary_rows *p = &params->rotary_rows;
    const int64_t         count = p->rows * p->pairs;
    if (count == 0) return CT_OK;
    return LAUNCH(rotary_rows_kernel, blocks_for(count, THREADS), THREADS, 0, stream, count, p->sources, p->pairs,
                  p->position, p->source, p->omega, (float *)p->cosine, (float *)p->sine);
}

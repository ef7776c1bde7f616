/* optimizer.cu -- cuda: gradients to bf16 and back, their norm, and AdamW on all tensors at once (reference/loss.c).
 *
 *   square[b] = sum of grad^2 over CT_NORM_BLOCK elements, in double: a block each. 4 bytes, 2 flops an element.
 *   result[0] = sqrt(sum of square), result[1] = 1 when that is finite, else 0; updates += result[1]: one block.
 *
 *   g = grad min(1, clip / norm); m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2
 *   param -= rate (m / (1 - beta1^n) / (sqrt(v / (1 - beta2^n)) + epsilon) + decay param)
 * n = updates. Rate and clip are read on the device, from the step; nothing is written where norm[1] is 0. A block
 * takes BLOCK elements, whatever tensors they belong to; a thread looks for its first element's tensor by halves. 28
 * bytes, 14 flops an element. narrow and widen: 6 bytes an element.
 *
 * Sums: thread by thread, across lanes and warps in a tree, then over the blocks: the same bytes always.
 */
#include "kernels/cuda/four.h"
#include "kernels/cuda/reduce.h"

enum { THREADS = 256, BLOCK = 4 * THREADS * 4 };

template <class X, class Y>
static __global__ void __launch_bounds__(THREADS) convert_kernel(int64_t count, bool fours, const X *x, Y *y) {
    const int64_t from = (int64_t)blockIdx.x * BLOCK;
    const int     end = (int)min(count - from, (int64_t)BLOCK);
    for (int i = 4 * (int)threadIdx.x; i < end; i += 4 * THREADS) {
        const bool whole = fours && i + 4 <= end;
        store_four(y + from, i, end, whole, load_four(x + from, i, end, whole));
    }
}
template <class X, class Y> static ct_status convert(int64_t count, const X *x, Y *y, CUstream_st *stream) {
    if (count == 0) return CT_OK;
    return LAUNCH((convert_kernel<X, Y>), blocks_for(count, BLOCK), THREADS, 0, stream, count, by_fours(0, x, y), x, y);
}
CT_CUDA(narrow) {
    return convert(params->narrow.count, (const float *)params->narrow.x, (bf16 *)params->narrow.y, stream);
}
CT_CUDA(widen) {
    return convert(params->widen.count, (const bf16 *)params->widen.x, (float *)params->widen.y, stream);
}

static __global__ void __launch_bounds__(THREADS)
    square_kernel(int64_t count, bool fours, const float *grad, double *square) {
    const int64_t first = (int64_t)blockIdx.x * CT_NORM_BLOCK;
    const int     end = (int)min(count - first, (int64_t)CT_NORM_BLOCK);
    double        sum = 0;
#pragma unroll 4
    for (int i = 4 * (int)threadIdx.x; i < end; i += 4 * THREADS) {
        const float4 x = load_four(grad + first, i, end, fours && i + 4 <= end);
        sum += (double)x.x * x.x + (double)x.y * x.y + ((double)x.z * x.z + (double)x.w * x.w);
    }
    sum = sum_of_block(sum);
    if (threadIdx.x == 0) square[blockIdx.x] = sum;
}

static __global__ void __launch_bounds__(THREADS)
    norm_kernel(int64_t blocks, const double *square, double *result, double *updates) {
    double sum = 0;
    for (int64_t i = threadIdx.x; i < blocks; i += THREADS) sum += square[i];
    sum = sum_of_block(sum);
    if (threadIdx.x > 0) return;
    result[0] = sqrt(sum);
    result[1] = isfinite(sum) ? 1 : 0;
    updates[0] += result[1];
}

CT_CUDA(grad_squares) {
    const ct_grad_squares *p = &params->grad_squares;
    const float           *grad = (const float *)p->grad;
    const unsigned         blocks = blocks_for(p->count, CT_NORM_BLOCK);
    if (blocks == 0) return CT_OK;
    return LAUNCH(square_kernel, blocks, THREADS, 0, stream, p->count, by_fours(0, grad), grad, p->square);
}

CT_CUDA(grad_norm) {
    const ct_grad_norm *p = &params->grad_norm;
    return LAUNCH(norm_kernel, 1, THREADS, 0, stream, p->blocks, p->square, p->result, p->updates);
}

/* what is the same for all elements of a step */
typedef struct adam {
    double beta1, beta2, epsilon, weight_decay;
} adam;

/* the last tensor that begins at or before the element */
static __device__ int tensor_of(int tensors, const int64_t *first, int64_t element) {
    int low = 0, high = tensors;
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (first[middle] <= element)
            low = middle;
        else
            high = middle;
    }
    return low;
}

template <class T>
static __global__ void __launch_bounds__(THREADS, 4)
    adamw_kernel(int64_t count, int64_t number, int tensors, bool fours, const ct_step *step, adam a,
                 const int64_t *first, const uint8_t *decay, const double *norm, const double *updates,
                 const float *grad, float *param, float *moment, float *variance, T *weight) {
    SHARED_ARRAY(float, correct, [2]); /* 1 - beta^n */
    if (norm[1] == 0) return;
    if (threadIdx.x < 2) correct[threadIdx.x] = (float)(1 - pow(threadIdx.x == 0 ? a.beta1 : a.beta2, updates[0]));
    __syncthreads();
    const float   correct1 = correct[0], correct2 = correct[1], rate = (float)step->learning_rate;
    const float   clip = step->clip > 0 && norm[0] > step->clip ? (float)(step->clip / norm[0]) : 1;
    const float   beta1 = (float)a.beta1, rest1 = (float)(1 - a.beta1), beta2 = (float)a.beta2;
    const float   rest2 = (float)(1 - a.beta2), epsilon = (float)a.epsilon, pull = (float)a.weight_decay;
    const int64_t from = (int64_t)blockIdx.x * BLOCK;
    const int     end = (int)min(count - from, (int64_t)BLOCK);
    int           tensor = tensor_of(tensors, first, number + from + 4 * threadIdx.x);
    grad += from, moment += from, variance += from, param += from;
    for (int i = 4 * (int)threadIdx.x; i < end; i += 4 * THREADS) {
        const bool whole = fours && i + 4 <= end;
        float4     of_g = load_four(grad, i, end, whole), of_m = load_four(moment, i, end, whole);
        float4     of_v = load_four(variance, i, end, whole), of_p = load_four(param, i, end, whole);
        float      g[4] = {of_g.x, of_g.y, of_g.z, of_g.w}, m[4] = {of_m.x, of_m.y, of_m.z, of_m.w};
        float      v[4] = {of_v.x, of_v.y, of_v.z, of_v.w}, x[4] = {of_p.x, of_p.y, of_p.z, of_p.w};
#pragma unroll
        for (int k = 0; k < 4; k++) {
            while (tensor + 1 < tensors && first[tensor + 1] <= number + from + i + k) tensor++;
            const float clipped = g[k] * clip;
            m[k] = beta1 * m[k] + rest1 * clipped;
            v[k] = beta2 * v[k] + rest2 * clipped * clipped;
            x[k] -= rate * (m[k] / correct1 / (sqrtf(v[k] / correct2) + epsilon) + (decay[tensor] ? pull : 0) * x[k]);
        }
        of_p = make_float4(x[0], x[1], x[2], x[3]);
        store_four(moment, i, end, whole, make_float4(m[0], m[1], m[2], m[3]));
        store_four(variance, i, end, whole, make_float4(v[0], v[1], v[2], v[3]));
        store_four(param, i, end, whole, of_p);
        if (weight) store_four(weight + from, i, end, whole, of_p);
    }
}

CT_CUDA_REAL(adamw) {
    const adam   a = {p->beta1, p->beta2, p->epsilon, p->weight_decay};
    const float *grad = (const float *)p->grad;
    float       *param = (float *)p->param, *moment = (float *)p->moment, *variance = (float *)p->variance;
    T           *weight = (T *)p->weight;
    if (p->count == 0) return CT_OK;
    return LAUNCH(adamw_kernel<T>, blocks_for(p->count, BLOCK), THREADS, 0, stream, p->count, p->from, (int)p->tensors,
                  by_fours(0, grad, param, moment, variance, weight), p->step, a, p->first, p->decay, p->norm,
                  p->updates, grad, param, moment, variance, weight);
}

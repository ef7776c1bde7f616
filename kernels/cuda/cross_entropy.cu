/* cross_entropy.cu -- cuda: the loss of each row and its gradient in one pass (reference/loss.c).
 *
 *   loss = log(sum of e^(logit - largest)) - (logit[target] - largest), 0 where target < 0
 *   dlogits = (softmax - onehot) step->loss_scale, 0 where target < 0, NaN where the loss is not finite
 * logits and dlogits [rows][vocabulary], perhaps the same array.
 *
 * A warp per row, which waits in shared memory between largest, sum and result. Bytes an element: 8, evaluation 4
 * (bf16: 4, 2); by single numbers, 128 bytes a warp: vocabularies are odd, and few rows would begin at 16 bytes. Flops:
 * 8 an element. Sums have one order, lane by lane, then across lanes; rows don't meet: the same bytes always. Up to
 * 25,000 tokens.
 */
#include "kernels/cuda/four.h"
#include "kernels/cuda/reduce.h"

enum { ROWS = 4, SHARED_MOST = 48 * 1024 };

template <class T>
static __global__ void __launch_bounds__(ROWS *WARP)
    cross_entropy_kernel(int64_t rows, int64_t vocabulary, const ct_step *step, const T *logits, const int32_t *target,
                         float *loss, T *dlogits) {
    DYNAMIC_SHARED(memory);
    const int64_t row = (int64_t)blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (row >= rows) return; /* the whole warp; no barrier of the block follows */
    float        *kept = reinterpret_cast<float *>(memory) + (threadIdx.x / WARP) * vocabulary;
    const int64_t wanted = target[row];
    logits += row * vocabulary;
    if (dlogits) dlogits += row * vocabulary;
    if (wanted < 0) {
        for (int64_t v = lane; dlogits && v < vocabulary; v += WARP) store(dlogits + v, 0);
        if (lane == 0) loss[row] = 0;
        return;
    }
    float most = -INFINITY, total = 0;
#pragma unroll 4
    for (int64_t v = lane; v < vocabulary; v += WARP) {
        kept[v] = load(logits + v);
        most = fmaxf(most, kept[v]);
    }
    most = warp_largest(most);
    const float of_wanted = load(logits + wanted) - most;
    for (int64_t v = lane; v < vocabulary; v += WARP) {
        kept[v] = expf(kept[v] - most);
        total += kept[v];
    }
    total = warp_sum(total);
    const float of_row = logf(total) - of_wanted;
    if (lane == 0) loss[row] = of_row;
    if (!dlogits) return;
    __syncwarp(); /* all have read that logit, where the result may go */
    const float scale = isfinite(of_row) ? (float)step->loss_scale : NAN, factor = scale / total;
    for (int64_t v = lane; v < vocabulary; v += WARP) store(dlogits + v, kept[v] * factor - (v == wanted ? scale : 0));
}

CT_CUDA_REAL(cross_entropy) {
    const size_t bytes = (size_t)p->vocabulary * sizeof(float);
    unsigned     at_once = ROWS;
    if (p->rows == 0) return CT_OK;
    while (at_once > 1 && at_once * bytes > SHARED_MOST) at_once /= 2;
    return LAUNCH(cross_entropy_kernel<T>, blocks_for(p->rows, at_once), at_once * WARP, at_once * bytes, stream,
                  p->rows, p->vocabulary, p->step, (const T *)p->logits, p->target, (float *)p->loss, (T *)p->dlogits);
}

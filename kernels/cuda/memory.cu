/* memory.cu -- cuda: layer inputs go into Transformer-XL's memory, a ring of rows (reference/embed.c).
 *
 *   ring[b][(step->ring + t) mod memory] = x[b][t], 0 where that is not finite; of more tokens than rows the last
 * x [batch][tokens][width], ring [batch][memory][width].
 *
 * A block per row that is kept and batch row; 8 bytes an element. Rows go to places of their own: the same bytes
 * always.
 */
#include "kernels/cuda/four.h"

enum { THREADS = 128 };

static __device__ float finite(float x) {
    return isfinite(x) ? x : 0;
}

static __global__ void __launch_bounds__(THREADS)
    memory_update_kernel(int64_t tokens, int64_t memory, int width, bool fours, int64_t first, const ct_step *step,
                         const float *x, float *ring) {
    const int64_t t = first + blockIdx.x, b = blockIdx.y;
    x += (b * tokens + t) * width;
    ring += (b * memory + (step->ring + t) % memory) * width;
    for (int i = 4 * (int)threadIdx.x; i < width; i += 4 * THREADS) {
        const float4 from = load_four(x, i, width, fours);
        store_four(ring, i, width, fours, make_float4(finite(from.x), finite(from.y), finite(from.z), finite(from.w)));
    }
}

CT_CUDA(memory_update) {
    const ct_memory_update *p = &params->memory_update;
    const int64_t           kept = p->tokens < p->memory ? p->tokens : p->memory;
    const float            *x = (const float *)p->x;
    float                  *ring = (float *)p->ring;
    if (p->batch == 0 || kept == 0) return CT_OK;
    return LAUNCH(memory_update_kernel, dim3((unsigned)kept, (unsigned)p->batch), THREADS, 0, stream, p->tokens,
                  p->memory, (int)p->width, by_fours(p->width, x, ring), p->tokens - kept, p->step, x, ring);
}

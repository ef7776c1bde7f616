/* instructions.cu -- see instructions.h. Every thread reads its operands and writes its results, in words. */
extern "C" {
#include "instructions.h"
}

#include "kernels/cuda/platform.h"

#define ALL_LANES 0xffffffffu
#define KERNEL(name) static __global__ void name##_kernel(unsigned *out, const unsigned *in)
/* this thread's words of `all` */
#define OPERANDS(words) (in + (size_t)(blockIdx.x * blockDim.x + threadIdx.x) * (words))
#define RESULTS(words) (out + (size_t)(blockIdx.x * blockDim.x + threadIdx.x) * (words))

KERNEL(mma_bf16) {
    const unsigned *mine = OPERANDS(10);
    unsigned       *result = RESULTS(4), a[4], b[2];
    float           d[4];
    for (int i = 0; i < 4; i++) a[i] = mine[i];
    for (int i = 0; i < 2; i++) b[i] = mine[4 + i];
    for (int i = 0; i < 4; i++) d[i] = __uint_as_float(mine[6 + i]);
    mma_bf16(d, a, b);
    for (int i = 0; i < 4; i++) result[i] = __float_as_uint(d[i]);
}

/* Each lane writes a row and names that of another. */
template <int MATRICES, bool TRANSPOSED> static __device__ void load_matrices(unsigned *out, const unsigned *in) {
    SHARED_ARRAY(uint4, rows, [INSTRUCTION_THREADS]);
    const unsigned *mine = OPERANDS(5);
    unsigned       *result = RESULTS(MATRICES), loaded[4];
    rows[threadIdx.x] = make_uint4(mine[0], mine[1], mine[2], mine[3]);
    __syncthreads();
    const uint4 *row = &rows[threadIdx.x / 32 * 32 + mine[4]];
    if (MATRICES == 4 && !TRANSPOSED) ldmatrix_x4(loaded, row);
    if (MATRICES == 4 && TRANSPOSED) ldmatrix_x4_trans(loaded, row);
    if (MATRICES == 2 && !TRANSPOSED) ldmatrix_x2(loaded, row);
    if (MATRICES == 2 && TRANSPOSED) ldmatrix_x2_trans(loaded, row);
    for (int i = 0; i < MATRICES; i++) result[i] = loaded[i];
}
KERNEL(ldmatrix_x4) {
    load_matrices<4, false>(out, in);
}
KERNEL(ldmatrix_x4_trans) {
    load_matrices<4, true>(out, in);
}
KERNEL(ldmatrix_x2) {
    load_matrices<2, false>(out, in);
}
KERNEL(ldmatrix_x2_trans) {
    load_matrices<2, true>(out, in);
}

/* Two groups; the first is read while the second may be under way. */
KERNEL(cp_async_16) {
    SHARED_ARRAY(uint4, to, [2][INSTRUCTION_THREADS]);
    const unsigned *mine = OPERANDS(12);
    unsigned       *result = RESULTS(8);
    for (int group = 0; group < 2; group++) {
        cp_async_16(&to[group][threadIdx.x], mine + 4 * group, mine[8] >> group & 1);
        cp_async_commit();
    }
    cp_async_wait<1>();
    const uint4 first = to[0][threadIdx.x];
    cp_async_wait<0>();
    const uint4 second = to[1][threadIdx.x];
    result[0] = first.x, result[1] = first.y, result[2] = first.z, result[3] = first.w;
    result[4] = second.x, result[5] = second.y, result[6] = second.z, result[7] = second.w;
}
KERNEL(cp_async_4) {
    SHARED_ARRAY(unsigned, to, [2][INSTRUCTION_THREADS]);
    const unsigned *mine = OPERANDS(3);
    unsigned       *result = RESULTS(2);
    for (int group = 0; group < 2; group++) {
        cp_async_4(&to[group][threadIdx.x], mine + group, mine[2] >> group & 1);
        cp_async_commit();
    }
    cp_async_wait<1>();
    result[0] = to[0][threadIdx.x];
    cp_async_wait<0>();
    result[1] = to[1][threadIdx.x];
}

KERNEL(shuffle) {
    const unsigned *mine = OPERANDS(3);
    unsigned       *result = RESULTS(6);
    const unsigned  value = mine[0], lane = mine[1];
    const int       width = (int)mine[2];
    result[0] = __shfl_sync(ALL_LANES, value, (int)lane, width);
    result[1] = __shfl_up_sync(ALL_LANES, value, lane % 32, width);
    result[2] = __shfl_down_sync(ALL_LANES, value, lane % 32, width);
    result[3] = __shfl_xor_sync(ALL_LANES, value, (int)(lane % 32), width);
    const unsigned long long wide =
        __shfl_xor_sync(ALL_LANES, (unsigned long long)lane << 32 | value, (int)(lane % 32), width);
    result[4] = (unsigned)wide, result[5] = (unsigned)(wide >> 32);
}

/* Those in the mask, then the others. */
KERNEL(vote) {
    const unsigned *mine = OPERANDS(2);
    unsigned       *result = RESULTS(3);
    const bool      among = mine[1] >> threadIdx.x % 32 & 1;
    const int       predicate = (int)mine[0];
    for (int turn = 0; turn < 2; turn++) {
        const unsigned mask = turn == 0 ? mine[1] : ~mine[1];
        if (among == (turn == 0)) {
            result[0] = __ballot_sync(mask, predicate);
            result[1] = (unsigned)(__any_sync(mask, predicate) != 0);
            result[2] = (unsigned)(__all_sync(mask, predicate) != 0);
        }
        __syncwarp();
    }
}

KERNEL(barrier) {
    const int predicate = (int)*OPERANDS(1);
    unsigned *result = RESULTS(3);
    result[0] = (unsigned)(__syncthreads_or(predicate) != 0);
    result[1] = (unsigned)(__syncthreads_and(predicate) != 0);
    result[2] = (unsigned)__syncthreads_count(predicate);
}

/* On memory of its own: what is there afterwards, what was before; then all threads of the block on the same. */
KERNEL(atomics) {
    SHARED_ARRAY(int, together, [4]);
    const unsigned *mine = OPERANDS(3);
    unsigned       *result = RESULTS(15);
    const int       operand = (int)mine[1], compare = (int)mine[2];
    for (int i = 0; i < 6; i++) result[2 * i] = mine[0];
    int *own = (int *)result;
    result[1] = (unsigned)atomicAdd(own, operand);
    result[3] = atomicAdd(result + 2, mine[1]);
    result[5] = (unsigned)atomicMin(own + 4, operand);
    result[7] = (unsigned)atomicMax(own + 6, operand);
    result[9] = (unsigned)atomicExch(own + 8, operand);
    result[11] = (unsigned)atomicCAS(own + 10, compare, operand);
    if (threadIdx.x < 4) together[threadIdx.x] = 0;
    __syncthreads();
    atomicAdd(&together[0], operand);
    atomicMin(&together[1], operand);
    atomicMax(&together[2], operand);
    __syncthreads();
    for (int i = 0; i < 3; i++) result[12 + i] = (unsigned)together[i];
}

KERNEL(pack_bf16) {
    const unsigned *mine = OPERANDS(2);
    unsigned       *result = RESULTS(3);
    const float     x = __uint_as_float(mine[0]), y = __uint_as_float(mine[1]);
    const bf16      rounded = __float2bfloat16_rn(x);
    unsigned short  bits, half = (unsigned short)mine[1];
    bf16            narrow;
    memcpy(&bits, &rounded, sizeof bits);
    memcpy(&narrow, &half, sizeof narrow);
    result[0] = pack_bf16(x, y);
    result[1] = bits;
    result[2] = __float_as_uint(__bfloat162float(narrow));
}

KERNEL(exp2_approx) {
    const unsigned *mine = OPERANDS(16);
    unsigned       *result = RESULTS(16);
    for (int i = 0; i < 16; i++) result[i] = __float_as_uint(exp2_approx(__uint_as_float(mine[i])));
}

KERNEL(floats) {
    const unsigned *mine = OPERANDS(3);
    unsigned       *result = RESULTS(5);
    const float     x = __uint_as_float(mine[0]), y = __uint_as_float(mine[1]), z = __uint_as_float(mine[2]);
    result[0] = __float_as_uint(x / y);
    result[1] = __float_as_uint(sqrtf(x));
    result[2] = __float_as_uint(fmaf(x, y, z));
    result[3] = __float_as_uint(fmaxf(x, y));
    result[4] = __float_as_uint(fminf(x, y));
}

KERNEL(bits) {
    const unsigned x = *OPERANDS(1);
    unsigned      *result = RESULTS(3);
    result[0] = (unsigned)__popc(x);
    result[1] = (unsigned)__clz((int)x);
    result[2] = (unsigned)__ffs((int)x);
}

ct_status instruction_launch(instruction which, const uint32_t *in, uint32_t *out, CUstream_st *stream) {
    switch (which) {
#define INSTRUCTION_LAUNCH(name, of_in, of_out)                                                                        \
    case INSTRUCTION_##name:                                                                                           \
        return LAUNCH(name##_kernel, INSTRUCTION_BLOCKS, INSTRUCTION_THREADS, 0, stream, out, in);
        INSTRUCTIONS(INSTRUCTION_LAUNCH)
    case INSTRUCTION_COUNT:
        break;
    }
    return CT_EFAIL;
}

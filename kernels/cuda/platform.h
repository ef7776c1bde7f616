/* platform.h -- the only header of CUDA that a kernel includes. The same .cu is compiled by nvcc, and by gcc or clang
 * as C++ for the machine that tests/emulator is; all that differs between them stands here and in what this includes.
 *
 *   CT_CUDA(gelu) {                          defines ct_cuda_gelu (kernels/cuda/cuda.h), the host function of an op
 *       const ct_gelu *p = &params->gelu; ...
 *       return LAUNCH(gelu_kernel, grid, block, shared bytes, stream, arguments ...);
 *   CT_CUDA_REAL(gelu) {                     the same where arrays are `real` (ops.def): of type T, float or bf16
 *       const T *x = (const T *)p->x; ...    p: the op's parameters
 *   SHARED_ARRAY(float, tile, [32][36]);     an array in shared memory, aligned to 16 bytes
 *   DYNAMIC_SHARED(memory);                  unsigned char *memory: the launch's shared bytes, aligned to 16
 *
 * and one function for each PTX instruction that CUDA C has no name for. `__shared__` alone is not to be used: its
 * alignment differs, and a host compiler does not know it.
 *
 * Owner: pointers in params are device memory of the caller; step too.
 * Fails: a host function returns CT_EFAIL with the kernel's name; what goes wrong on the device shows at the next
 *        synchronisation, or is reported by the emulator.
 */
#ifndef CT_CUDA_PLATFORM_H
#define CT_CUDA_PLATFORM_H

extern "C" {
#include "kernels/cuda/cuda.h"
}

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#else
#include "kernels/cuda/builtins.h"
#endif

typedef __nv_bfloat16 bf16;

#define CT_CUDA(op) extern "C" ct_status ct_cuda_##op(const ct_params *params, struct CUstream_st *stream)

#define CT_CUDA_REAL(op)                                                                                               \
    template <class T> static ct_status run_##op(const ct_##op *p, CUstream_st *stream);                               \
    CT_CUDA(op) {                                                                                                      \
        return params->dtype == CT_BF16 ? run_##op<bf16>(&params->op, stream) : run_##op<float>(&params->op, stream);  \
    }                                                                                                                  \
    template <class T> static ct_status run_##op(const ct_##op *p, CUstream_st *stream)

/* ---- shared memory */
#define SHARED_ARRAY(type, name, dimensions) SHARED_ARRAY_ALIGNED(type, name, dimensions, 16)
#ifdef __CUDACC__
#define SHARED_ARRAY_ALIGNED(type, name, dimensions, alignment)                                                        \
    __shared__ __align__(alignment)                                                                                    \
    type name  dimensions
#define DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#else
#define SHARED_ARRAY_ALIGNED(type, name, dimensions, alignment)                                                        \
    static const char name##_key = 0;                                                                                  \
    typedef type name##_array dimensions;                                                                              \
    name##_array &name = *static_cast<name##_array *>(machine_shared(&name##_key, sizeof(name##_array), alignment))
#define DYNAMIC_SHARED(name) unsigned char *const name = static_cast<unsigned char *>(machine_dynamic_shared())
#endif

/* ---- launches. More than 48 KB of shared memory has to be asked for, static arrays (16 KB at most) counted in. */
#define LAUNCH(kernel, grid, block, shared, stream, ...)                                                               \
    launch(#kernel, kernel, (grid), (block), (shared), (stream), __VA_ARGS__)

template <class... P, class... A>
ct_status launch(const char *name, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, CUstream_st *stream,
                 A... arguments) {
    static_assert(sizeof...(P) == sizeof...(A), "a kernel takes as many arguments as it has parameters");
#ifdef __CUDACC__
    cudaError_t error = cudaSuccess;
    if (shared > (48 - 16) * 1024)
        error = cudaFuncSetAttribute((const void *)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared);
    if (error == cudaSuccess) {
        kernel<<<grid, block, shared, stream>>>((P)arguments...);
        error = cudaGetLastError();
    }
    const char *failed = error == cudaSuccess ? NULL : cudaGetErrorString(error);
#else
    const char *failed =
        machine_kernel<P...>::run(name, kernel, grid, block, shared, stream, static_cast<P>(arguments)...);
#endif
    return failed ? ct_fail(CT_EFAIL, "kernel %s: %s", name, failed) : CT_OK;
}

/* ---- PTX instructions */
#ifdef __CUDACC__
#define PLACE
#else
#define PLACE , MACHINE_AT
#endif

/* Copies 16 bytes to shared memory in the background; zeros where `valid` is false (`from` is not read then). */
__device__ __forceinline__ void cp_async_16(void *to, const void *from, bool valid PLACE) {
#ifdef __CUDACC__
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"((unsigned)__cvta_generic_to_shared(to)),
                 "l"(from), "r"(valid ? 16 : 0)
                 : "memory");
#else
    machine_copy_async(to, from, 16, valid ? 16 : 0, at);
#endif
}
/* 4 bytes: what stands at no better address */
__device__ __forceinline__ void cp_async_4(void *to, const void *from, bool valid PLACE) {
#ifdef __CUDACC__
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"((unsigned)__cvta_generic_to_shared(to)),
                 "l"(from), "r"(valid ? 4 : 0)
                 : "memory");
#else
    machine_copy_async(to, from, 4, valid ? 4 : 0, at);
#endif
}
__device__ __forceinline__ void cp_async_commit() {
#ifdef __CUDACC__
    asm volatile("cp.async.commit_group;" ::: "memory");
#else
    machine_copy_commit();
#endif
}
/* Waits until at most PENDING of this thread's groups are under way; the others' copies need a barrier besides. */
template <int PENDING> __device__ __forceinline__ void cp_async_wait() {
#ifdef __CUDACC__
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
#else
    machine_copy_wait(PENDING);
#endif
}

/* 8 x 8 matrices of 16-bit elements from shared memory: lanes 0-7 give the rows of the first, 8-15 of the second ...;
 * lane l receives elements 2 (l % 4), + 1 of row l / 4 (trans: of column l / 4) of each. */
__device__ __forceinline__ void ldmatrix_x4(unsigned result[4], const void *row PLACE) {
#ifdef __CUDACC__
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(result[0]), "=r"(result[1]), "=r"(result[2]), "=r"(result[3])
                 : "r"((unsigned)__cvta_generic_to_shared(row))
                 : "memory");
#else
    machine_ldmatrix(result, 4, false, row, at);
#endif
}
__device__ __forceinline__ void ldmatrix_x4_trans(unsigned result[4], const void *row PLACE) {
#ifdef __CUDACC__
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(result[0]), "=r"(result[1]), "=r"(result[2]), "=r"(result[3])
                 : "r"((unsigned)__cvta_generic_to_shared(row))
                 : "memory");
#else
    machine_ldmatrix(result, 4, true, row, at);
#endif
}
__device__ __forceinline__ void ldmatrix_x2(unsigned result[2], const void *row PLACE) {
#ifdef __CUDACC__
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(result[0]), "=r"(result[1])
                 : "r"((unsigned)__cvta_generic_to_shared(row))
                 : "memory");
#else
    machine_ldmatrix(result, 2, false, row, at);
#endif
}
__device__ __forceinline__ void ldmatrix_x2_trans(unsigned result[2], const void *row PLACE) {
#ifdef __CUDACC__
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(result[0]), "=r"(result[1])
                 : "r"((unsigned)__cvta_generic_to_shared(row))
                 : "memory");
#else
    machine_ldmatrix(result, 2, true, row, at);
#endif
}

/* d (16 x 8) += a (16 x 16) b (16 x 8), bf16 in, float sums */
__device__ __forceinline__ void mma_bf16(float d[4], const unsigned a[4], const unsigned b[2] PLACE) {
#ifdef __CUDACC__
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    machine_mma_bf16(d, a, b, d, at);
#endif
}

/* 2^x within 2 ulp, 0 where that is below 2^-126 */
__device__ __forceinline__ float exp2_approx(float x) {
#ifdef __CUDACC__
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
#else
    return exp2f(x);
#endif
}

/* Two floats to nearest bf16, the first in the lower half: cvt.rn.bf16x2.f32 */
__device__ __forceinline__ unsigned pack_bf16(float low, float high) {
    __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    unsigned       bits;
    memcpy(&bits, &pair, sizeof bits);
    return bits;
}

#endif

/* builtins.h -- CUDA's language for a host compiler: qualifiers, built-in variables and functions, each by one call of
 * the machine (machine.h) or by its meaning. Only what our kernels use. platform.h includes it where nvcc is absent.
 * Owns nothing; what a kernel does wrong the machine reports.
 */
#ifndef CT_CUDA_BUILTINS_H
#define CT_CUDA_BUILTINS_H

#include "kernels/bf16.h"
#include "kernels/cuda/machine.h"

#include <math.h>
#include <string.h>

#include <type_traits>
#include <utility>

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): CUDA's names */
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __restrict__ __restrict
#define __launch_bounds__(...)

typedef machine_size dim3;

#define threadIdx (machine_me->index)
#define blockIdx (machine_me->block)
#define blockDim (machine_me->block_size)
#define gridDim (machine_me->grid_size)

/* Vectors are copied number by number, so that the checked flavour sees what is read and written, and how it is aligned
 * (a compiler may make a call of memcpy of a whole one). */
#define MACHINE_VECTOR_2(name, type)                                                                                   \
    struct alignas(2 * sizeof(type)) name {                                                                            \
        type x, y;                                                                                                     \
        name() = default;                                                                                              \
        name(type of_x, type of_y) : x(of_x), y(of_y) {                                                                \
        }                                                                                                              \
        name(const name &from) : x(from.x), y(from.y) {                                                                \
        }                                                                                                              \
        name &operator=(const name &from) {                                                                            \
            x = from.x, y = from.y;                                                                                    \
            return *this;                                                                                              \
        }                                                                                                              \
    };
#define MACHINE_VECTOR_4(name, type)                                                                                   \
    struct alignas(4 * sizeof(type)) name {                                                                            \
        type x, y, z, w;                                                                                               \
        name() = default;                                                                                              \
        name(type of_x, type of_y, type of_z, type of_w) : x(of_x), y(of_y), z(of_z), w(of_w) {                        \
        }                                                                                                              \
        name(const name &from) : x(from.x), y(from.y), z(from.z), w(from.w) {                                          \
        }                                                                                                              \
        name &operator=(const name &from) {                                                                            \
            x = from.x, y = from.y, z = from.z, w = from.w;                                                            \
            return *this;                                                                                              \
        }                                                                                                              \
    };
/* NOLINTBEGIN(cert-oop54-cpp): a number may be copied to itself */
MACHINE_VECTOR_2(float2, float)
MACHINE_VECTOR_4(float4, float)
MACHINE_VECTOR_2(int2, int)
MACHINE_VECTOR_4(int4, int)
MACHINE_VECTOR_2(uint2, unsigned)
MACHINE_VECTOR_4(uint4, unsigned)
/* NOLINTEND(cert-oop54-cpp) */
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
    return {x, y, z, w};
}
inline uint2 make_uint2(unsigned x, unsigned y) {
    return {x, y};
}
inline float2 make_float2(float x, float y) {
    return {x, y};
}
inline float4 make_float4(float x, float y, float z, float w) {
    return {x, y, z, w};
}

/* ---- the same bits as another type */
template <class To, class From> inline To machine_bits(From from) {
    static_assert(sizeof(To) >= sizeof(From), "bits would be lost");
    To to = {};
    memcpy(&to, &from, sizeof from);
    return to;
}
inline unsigned __float_as_uint(float x) {
    return machine_bits<unsigned>(x);
}
inline float __uint_as_float(unsigned x) {
    return machine_bits<float>(x);
}
inline int __float_as_int(float x) {
    return machine_bits<int>(x);
}
inline float __int_as_float(int x) {
    return machine_bits<float>(x);
}

/* ---- bf16 */
struct __nv_bfloat16 {
    uint16_t bits;
};
struct alignas(4) __nv_bfloat162 {
    __nv_bfloat16 x, y;
};
inline float __bfloat162float(__nv_bfloat16 value) {
    return ct_bf16_float(value.bits);
}
inline __nv_bfloat16 __float2bfloat16_rn(float value) {
    return {ct_bf16_round(value)};
}
inline __nv_bfloat16 __float2bfloat16(float value) {
    return __float2bfloat16_rn(value);
}
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) {
    return {__float2bfloat16_rn(x), __float2bfloat16_rn(y)};
}

/* ---- barriers and warp-wide functions */
inline void __syncthreads(MACHINE_AT) {
    machine_barrier(BARRIER_SYNC, 0, at);
}
inline int __syncthreads_or(int predicate, MACHINE_AT) {
    return machine_barrier(BARRIER_OR, predicate, at);
}
inline int __syncthreads_and(int predicate, MACHINE_AT) {
    return machine_barrier(BARRIER_AND, predicate, at);
}
inline int __syncthreads_count(int predicate, MACHINE_AT) {
    return machine_barrier(BARRIER_COUNT, predicate, at);
}
inline void __syncwarp(unsigned mask = 0xffffffffu, MACHINE_AT) {
    machine_warp_sync(mask, at);
}
template <class T>
inline T machine_shuffle_of(machine_shuffle_kind kind, unsigned mask, T value, unsigned lane, int width,
                            machine_place at) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "types that CUDA shuffles");
    unsigned clamp = (32u - (unsigned)width) << 8 | (kind == SHUFFLE_UP ? 0 : 0x1f);
    uint64_t result = machine_shuffle(kind, mask, machine_bits<uint64_t>(value), lane, clamp, nullptr, at);
    memcpy(&value, &result, sizeof value);
    return value;
}
template <class T> inline T __shfl_sync(unsigned mask, T value, int lane, int width = 32, MACHINE_AT) {
    return machine_shuffle_of(SHUFFLE_INDEX, mask, value, (unsigned)lane, width, at);
}
template <class T> inline T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32, MACHINE_AT) {
    return machine_shuffle_of(SHUFFLE_UP, mask, value, by, width, at);
}
template <class T> inline T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32, MACHINE_AT) {
    return machine_shuffle_of(SHUFFLE_DOWN, mask, value, by, width, at);
}
template <class T> inline T __shfl_xor_sync(unsigned mask, T value, int by, int width = 32, MACHINE_AT) {
    return machine_shuffle_of(SHUFFLE_XOR, mask, value, (unsigned)by, width, at);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, MACHINE_AT) {
    return machine_vote(VOTE_BALLOT, mask, predicate != 0, at);
}
inline int __any_sync(unsigned mask, int predicate, MACHINE_AT) {
    return (int)machine_vote(VOTE_ANY, mask, predicate != 0, at);
}
inline int __all_sync(unsigned mask, int predicate, MACHINE_AT) {
    return (int)machine_vote(VOTE_ALL, mask, predicate != 0, at);
}

/* ---- atomics */
inline float atomicAdd(float *to, float value, MACHINE_AT) {
    return __uint_as_float((unsigned)machine_atomic(ATOMIC_ADD_F32, to, __float_as_uint(value), 0, at));
}
inline int atomicAdd(int *to, int value, MACHINE_AT) {
    return (int)machine_atomic(ATOMIC_ADD_U32, to, (unsigned)value, 0, at);
}
inline unsigned atomicAdd(unsigned *to, unsigned value, MACHINE_AT) {
    return (unsigned)machine_atomic(ATOMIC_ADD_U32, to, value, 0, at);
}
inline int atomicMin(int *to, int value, MACHINE_AT) {
    return (int)machine_atomic(ATOMIC_MIN_S32, to, (unsigned)value, 0, at);
}
inline int atomicMax(int *to, int value, MACHINE_AT) {
    return (int)machine_atomic(ATOMIC_MAX_S32, to, (unsigned)value, 0, at);
}
inline int atomicExch(int *to, int value, MACHINE_AT) {
    return (int)machine_atomic(ATOMIC_SWAP_U32, to, (unsigned)value, 0, at);
}
inline int atomicCAS(int *to, int compare, int value, MACHINE_AT) {
    return (int)machine_atomic(ATOMIC_COMPARE_SWAP_U32, to, (unsigned)value, (unsigned)compare, at);
}

/* ---- arithmetic. glibc has an __expf and __logf of its own, hence macros. */
#define __expf(x) expf(x)
#define __logf(x) logf(x)
inline float rsqrtf(float x) {
    return 1 / sqrtf(x);
}
inline float __fdividef(float x, float y) {
    return x / y;
}
inline int __popc(unsigned x) {
    return __builtin_popcount(x);
}
inline int __ffs(int x) {
    return __builtin_ffs(x);
}
inline int __clz(int x) {
    return x ? __builtin_clz((unsigned)x) : 32;
}
template <class T> inline T __ldg(const T *from) {
    return *from;
}
template <class T> inline T min(T a, T b) {
    return b < a ? b : a;
}
template <class T> inline T max(T a, T b) {
    return a < b ? b : a;
}

/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* ---- launches: arguments become the kernel's parameters here, by value, as CUDA does it. The reads of them are the
 * machine's own, not a kernel's. */
#define MACHINE_UNCHECKED __attribute__((no_sanitize("thread")))
template <class... P> struct machine_kernel {
    template <size_t... I> MACHINE_UNCHECKED static void call(const machine_launch &launch, std::index_sequence<I...>) {
        auto kernel = reinterpret_cast<void (*)(P...)>(launch.kernel_address);
        kernel(*static_cast<const P *>(launch.arguments[I].data)...);
    }
    MACHINE_UNCHECKED static void body(const machine_launch &launch) {
        call(launch, std::index_sequence_for<P...>());
    }
    static const char *run(const char *name, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared,
                           CUstream_st *stream, P... p) {
        const machine_argument arguments[] = {{&p, sizeof p}...};
        return machine_run({name, grid, block, shared, stream, arguments, sizeof...(P), body,
                            reinterpret_cast<void (*)(void)>(kernel)});
    }
};

#endif

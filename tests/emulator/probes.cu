/* probes.cu -- see probes.h. */
#include "probes.h"

#include "kernels/cuda/platform.h"

#define ALL 0xffffffffu
#define KERNEL(name) static __global__ void name([[maybe_unused]] unsigned *out, [[maybe_unused]] const unsigned *in)

static __device__ const unsigned squares[8] = {0, 1, 4, 9, 16, 25, 36, 49};

/* ---- right ones */
KERNEL(neighbours_in_bytes) {
    unsigned char *bytes = reinterpret_cast<unsigned char *>(out);
    bytes[threadIdx.x] = (unsigned char)in[threadIdx.x];
    __syncthreads();
    unsigned next = bytes[(threadIdx.x + 1) % blockDim.x];
    out[64 + threadIdx.x] = next;
}
KERNEL(neighbours_in_halves) {
    unsigned short *halves = reinterpret_cast<unsigned short *>(out);
    halves[blockIdx.x * blockDim.x + threadIdx.x] = (unsigned short)in[threadIdx.x];
}
KERNEL(constants) {
    out[threadIdx.x] = squares[in[threadIdx.x] % 8];
}
KERNEL(warp_sync_orders) {
    SHARED_ARRAY(unsigned, shared, [64]);
    shared[threadIdx.x] = in[threadIdx.x];
    __syncwarp();
    unsigned other = shared[threadIdx.x ^ 31];
    __syncwarp();
    shared[threadIdx.x] = other;
    out[threadIdx.x] = other;
}
KERNEL(half_warp_sync_orders) {
    SHARED_ARRAY(unsigned, shared, [32]);
    unsigned half = threadIdx.x < 16 ? 0x0000ffffu : 0xffff0000u;
    shared[threadIdx.x] = in[threadIdx.x];
    __syncwarp(half);
    out[threadIdx.x] = shared[threadIdx.x ^ 15];
    __syncwarp(half);
    shared[threadIdx.x] = 0;
}
KERNEL(barrier_orders) {
    SHARED_ARRAY(unsigned, shared, [96]);
    for (unsigned i = 0; i < 3; i++) {
        shared[threadIdx.x] = in[threadIdx.x] + i;
        __syncthreads();
        out[blockIdx.x * 96 + threadIdx.x] = shared[95 - threadIdx.x];
        __syncthreads();
    }
}
KERNEL(read_by_all_then_by_one) {
    SHARED_ARRAY(unsigned, shared, [1]);
    if (threadIdx.x == 0) shared[0] = in[1];
    __syncthreads();
    out[threadIdx.x] = shared[0];
    __syncthreads();
    if (threadIdx.x == 40) shared[0] = shared[0] + 1;
}
KERNEL(launches_are_ordered) {
    out[blockIdx.x * 32 + threadIdx.x] = in[threadIdx.x];
}
KERNEL(atomics_together) {
    atomicAdd(&out[0], in[threadIdx.x]);
    atomicAdd(reinterpret_cast<float *>(&out[1]), 1.0f);
}
KERNEL(half_a_warp_goes_on) {
    if (threadIdx.x >= 16) return;
    out[threadIdx.x] = __shfl_xor_sync(0xffffu, in[threadIdx.x], 1);
    __syncwarp(0xffffu);
}
KERNEL(copy_waited_for) {
    SHARED_ARRAY(uint4, shared, [64]);
    cp_async_16(&shared[threadIdx.x], in + threadIdx.x / 2 * 4, true);
    cp_async_commit();
    cp_async_wait<0>();
    __syncthreads();
    out[threadIdx.x] = shared[63 - threadIdx.x].x;
}

/* ---- races */
KERNEL(shuffle_orders_nothing) {
    SHARED_ARRAY(unsigned, shared, [32]);
    shared[threadIdx.x] = in[threadIdx.x];
    __shfl_sync(ALL, 0, 0);
    out[threadIdx.x] = shared[threadIdx.x ^ 1]; /* PLANTED shuffle_orders_nothing */
}
KERNEL(half_warp_sync_leaves_others) {
    SHARED_ARRAY(unsigned, shared, [32]);
    shared[threadIdx.x] = in[threadIdx.x];
    if (threadIdx.x < 16) __syncwarp(0xffffu);
    __shfl_sync(ALL, 0, 0);
    if (threadIdx.x == 20) out[0] = shared[3]; /* PLANTED half_warp_sync_leaves_others */
}
KERNEL(warp_sync_leaves_other_warps) {
    SHARED_ARRAY(unsigned, shared, [64]);
    __syncthreads();
    shared[threadIdx.x] = in[threadIdx.x]; /* PLANTED warp_sync_leaves_other_warps */
    __syncwarp();
    if (threadIdx.x < 32)
        out[threadIdx.x] = shared[threadIdx.x + (in[1] << 5)]; /* PLANTED warp_sync_leaves_other_warps */
}
KERNEL(written_while_read) {
    SHARED_ARRAY(unsigned, shared, [1]);
    if (threadIdx.x == 0) shared[0] = in[1];
    __syncthreads();
    out[threadIdx.x] = shared[0];                    /* PLANTED written_while_read */
    if (threadIdx.x == in[0] + 7) shared[0] = in[2]; /* PLANTED written_while_read */
}
KERNEL(written_after_warp_sync) {
    SHARED_ARRAY(unsigned, shared, [32]);
    shared[threadIdx.x] = in[threadIdx.x];
    __syncwarp();
    shared[threadIdx.x] = in[threadIdx.x] + 1;  /* PLANTED written_after_warp_sync */
    out[threadIdx.x] = shared[threadIdx.x ^ 1]; /* PLANTED written_after_warp_sync */
}
KERNEL(last_reader_writes) {
    SHARED_ARRAY(unsigned, shared, [1]);
    if (threadIdx.x == 0) shared[0] = in[1];
    __syncthreads();
    if (threadIdx.x != 5) out[threadIdx.x] = shared[0];
    __shfl_sync(ALL, 0, 0);
    if (threadIdx.x == 5) shared[0] = shared[0] + 1; /* PLANTED last_reader_writes */
}
KERNEL(two_warps_have_read) {
    SHARED_ARRAY(unsigned, shared, [1]);
    if (threadIdx.x == 0) shared[0] = in[1];
    __syncthreads();
    out[threadIdx.x] = shared[0]; /* PLANTED two_warps_have_read */
    __syncwarp();
    if (threadIdx.x == 32) shared[0] = in[2]; /* PLANTED two_warps_have_read */
}
KERNEL(two_blocks_have_read) {
    unsigned seen = out[0]; /* PLANTED two_blocks_have_read */
    out[64 + blockIdx.x] = seen;
    if (blockIdx.x == 1) out[0] = seen + 1; /* PLANTED two_blocks_have_read */
}
KERNEL(blocks_write_the_same) {
    out[0] = in[blockIdx.x]; /* PLANTED blocks_write_the_same */
}
KERNEL(block_reads_another) {
    out[blockIdx.x] = in[0];                    /* PLANTED block_reads_another */
    out[64 + blockIdx.x] = out[1 - blockIdx.x]; /* PLANTED block_reads_another */
}
KERNEL(atomic_and_plain) {
    if (blockIdx.x == 0)
        atomicAdd(&out[0], in[1]); /* PLANTED atomic_and_plain */
    else
        out[1] = out[0]; /* PLANTED atomic_and_plain */
}
KERNEL(copy_seen_without_barrier) {
    SHARED_ARRAY(uint4, shared, [32]);
    cp_async_16(&shared[threadIdx.x], in + 4 * threadIdx.x, true); /* PLANTED copy_seen_without_barrier */
    cp_async_commit();
    cp_async_wait<0>();
    __shfl_sync(ALL, 0, 0);
    out[threadIdx.x] = shared[threadIdx.x ^ 1].x; /* PLANTED copy_seen_without_barrier */
}

/* ---- never written */
KERNEL(device_never_written) {
    out[0] = out[128]; /* PLANTED device_never_written */
}
KERNEL(shared_never_written) {
    SHARED_ARRAY(unsigned, shared, [2]);
    shared[blockIdx.x] = in[0];
    out[blockIdx.x] = shared[1 - blockIdx.x]; /* PLANTED shared_never_written */
}
KERNEL(one_byte_never_written) {
    unsigned char *bytes = reinterpret_cast<unsigned char *>(&out[200]);
    for (int i = 0; i < 3; i++) bytes[i] = (unsigned char)in[i];
    out[0] = out[200]; /* PLANTED one_byte_never_written */
}
KERNEL(copy_of_never_written) {
    SHARED_ARRAY(uint4, shared, [2]);
    cp_async_16(&shared[0], out + 128, false);
    cp_async_16(&shared[1], out + 128, true); /* PLANTED copy_of_never_written */
}
KERNEL(row_never_written) {
    SHARED_ARRAY(uint4, rows, [32]);
    if (threadIdx.x != 5) rows[threadIdx.x] = make_uint4(in[threadIdx.x], 0, 0, 0);
    __syncwarp();
    unsigned result[4];
    ldmatrix_x4(result, &rows[threadIdx.x]); /* PLANTED row_never_written */
    out[threadIdx.x] = result[0];
}

/* ---- elsewhere, or askew */
KERNEL(past_the_end) {
    out[0] = in[256 + in[0]]; /* PLANTED past_the_end */
}
KERNEL(before_the_start) {
    out[0] = *(in - 1 - in[0]); /* PLANTED before_the_start */
}
KERNEL(wild_pointer) {
    const unsigned *wild = reinterpret_cast<const unsigned *>((uintptr_t)64 * in[1]);
    out[0] = *wild; /* PLANTED wild_pointer */
}
KERNEL(write_to_constant) {
    *const_cast<volatile unsigned *>(&squares[in[1]]) = 5; /* PLANTED write_to_constant */
}
KERNEL(odd_address) {
    const char *bytes = reinterpret_cast<const char *>(in);
    out[0] = *reinterpret_cast<const unsigned *>(bytes + 2 * in[1]); /* PLANTED odd_address */
}
KERNEL(copy_read_before_wait) {
    SHARED_ARRAY(uint4, shared, [1]);
    cp_async_16(&shared[0], in, true);
    cp_async_commit();
    out[0] = shared[0].y; /* PLANTED copy_read_before_wait */
    cp_async_wait<0>();
}
KERNEL(copy_over_copy) {
    SHARED_ARRAY(uint4, shared, [1]);
    cp_async_16(&shared[0], in, true);
    cp_async_16(&shared[0], in + 4, true); /* PLANTED copy_over_copy */
    cp_async_commit();
    cp_async_wait<0>();
}
KERNEL(copy_of_later_group) {
    SHARED_ARRAY(uint4, shared, [2]);
    cp_async_16(&shared[0], in, true);
    cp_async_commit();
    cp_async_16(&shared[1], in + 4, true);
    cp_async_commit();
    cp_async_wait<1>();
    out[0] = shared[0].x;
    out[1] = shared[1].x; /* PLANTED copy_of_later_group */
}
KERNEL(copy_of_odd_address) {
    SHARED_ARRAY(uint4, shared, [1]);
    cp_async_16(&shared[0], in + 1, true); /* PLANTED copy_of_odd_address */
}
KERNEL(row_of_odd_address) {
    SHARED_ARRAY(uint4, rows, [33]);
    rows[threadIdx.x] = make_uint4(in[threadIdx.x], 0, 0, 0);
    __syncwarp();
    unsigned result[4];
    ldmatrix_x4(result, reinterpret_cast<char *>(&rows[threadIdx.x]) + 2); /* PLANTED row_of_odd_address */
    out[threadIdx.x] = result[0];
}

KERNEL(copy_to_device_memory) {
    cp_async_16(out, in, true); /* PLANTED copy_to_device_memory */
}
KERNEL(row_of_device_memory) {
    unsigned result[4];
    ldmatrix_x4(result, in + 4 * threadIdx.x); /* PLANTED row_of_device_memory */
    out[threadIdx.x] = result[0];
}

/* ---- who does not meet */
KERNEL(two_barriers) {
    /* NOLINTNEXTLINE(bugprone-branch-clone): two barriers, alike but for their places */
    if (threadIdx.x < 32 + in[0])
        __syncthreads(); /* PLANTED two_barriers */
    else
        __syncthreads(); /* PLANTED two_barriers */
}
KERNEL(two_shuffles) {
    if (threadIdx.x < 16 + in[0])
        out[threadIdx.x] = __shfl_sync(ALL, in[threadIdx.x], 0); /* PLANTED two_shuffles */
    else
        out[threadIdx.x] = __shfl_xor_sync(ALL, in[threadIdx.x], 1); /* PLANTED two_shuffles */
}
KERNEL(not_in_its_mask) {
    __syncwarp(0xffu); /* PLANTED not_in_its_mask */
}
KERNEL(half_a_warp_multiplies) {
    if (threadIdx.x >= 16) return;
    float    d[4] = {};
    unsigned a[4] = {in[0], in[0], in[0], in[0]}, b[2] = {in[0], in[0]};
    mma_bf16(d, a, b); /* PLANTED half_a_warp_multiplies */
    out[threadIdx.x] = __float_as_uint(d[0]);
}
KERNEL(absent_lane) {
    if (threadIdx.x >= 16) return;
    out[threadIdx.x] = __shfl_sync(0xffffu, in[threadIdx.x], 20); /* PLANTED absent_lane */
}
KERNEL(nobody_comes) {
    if (threadIdx.x < 16)
        out[threadIdx.x] = __shfl_sync(ALL, in[threadIdx.x], 0); /* PLANTED nobody_comes */
    else
        __syncthreads();
}
KERNEL(null_pointer) {
    *reinterpret_cast<volatile unsigned *>((uintptr_t)4 * in[1]) = 1; /* PLANTED null_pointer */
}
static __device__ unsigned dig(volatile unsigned *from, unsigned depth) { /* PLANTED endless_recursion */
    volatile unsigned room[64];
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): the number is of no interest */
    room[depth % 64] = *from + depth;                                  /* PLANTED endless_recursion */
    return room[depth % 64] == 0 ? 0 : dig(room, depth + 1) + room[1]; /* PLANTED endless_recursion */
}
KERNEL(endless_recursion) {
    volatile unsigned one = in[1];
    out[0] = dig(&one, 1);
}
KERNEL(write_past_the_end) {
    out[256 + in[1]] = 1; /* PLANTED write_past_the_end */
}
KERNEL(write_before_the_start) {
    *(out - 2 - in[0]) = 1; /* PLANTED write_before_the_start */
}

/* ---- lessons */
KERNEL(indices) {
    unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    out[block * (blockDim.x * blockDim.y * blockDim.z) + thread] = in[thread] + 1000 * block;
}
KERNEL(shuffles) {
    unsigned sum = in[threadIdx.x];
    for (int by = 4; by > 0; by /= 2) sum += __shfl_down_sync(ALL, sum, (unsigned)by, 8);
    out[threadIdx.x] = __shfl_sync(ALL, sum, 0, 8);
    out[64 + threadIdx.x] = __shfl_up_sync(ALL, in[threadIdx.x], 1, 16);
}
KERNEL(votes) {
    out[threadIdx.x] = __ballot_sync(ALL, in[threadIdx.x] < 5);
    out[32 + threadIdx.x] =
        (unsigned)__any_sync(ALL, in[threadIdx.x] < 5) * 2 + (unsigned)__all_sync(ALL, in[threadIdx.x] < 5);
}
KERNEL(barriers) {
    out[threadIdx.x] = (unsigned)(__syncthreads_count(in[threadIdx.x] < 40) * 4 +
                                  __syncthreads_or(in[threadIdx.x] < 40) * 2 + __syncthreads_and(in[threadIdx.x] < 40));
}
KERNEL(copies) {
    SHARED_ARRAY(uint4, shared, [3]);
    cp_async_16(&shared[0], in + 4, true);
    cp_async_16(&shared[1], in + 8, false);
    cp_async_commit();
    cp_async_16(&shared[2], in + 12, true);
    cp_async_commit();
    cp_async_wait<1>();
    out[0] = shared[0].w;
    out[1] = shared[1].x;
    cp_async_wait<0>();
    out[2] = shared[2].y;
}
KERNEL(shared_is_nan) {
    SHARED_ARRAY(float, array, [4]);
    DYNAMIC_SHARED(memory);
    float *dynamic = reinterpret_cast<float *>(memory);
    out[0] = array[0] != array[0];
    out[1] = dynamic[3] != dynamic[3];
    out[2] = (unsigned)(reinterpret_cast<uintptr_t>(array) % 32);
}
KERNEL(read_word) {
    out[64 + blockIdx.x] = out[0];
}
KERNEL(increment_word) {
    out[0] = out[0] + in[1];
}
KERNEL(atomics) {
    unsigned value = in[threadIdx.x + 1];
    int     *signed_out = reinterpret_cast<int *>(out);
    atomicAdd(&out[0], value);
    atomicAdd(reinterpret_cast<float *>(&out[1]), (float)value);
    atomicMax(&signed_out[2], (int)value);
    atomicMin(&signed_out[3], -(int)value);
    atomicExch(&signed_out[4], 7);
    atomicCAS(&signed_out[5], 0, 3);
    atomicCAS(&signed_out[5], 0, 4);
}
KERNEL(nothing) {
}

ct_status probe_run(probe which, unsigned *out, const unsigned *in) {
#define PROBE_LAUNCH(name, kind, checked, blocks, threads)                                                             \
    case PROBE_##name:                                                                                                 \
        return LAUNCH(name, blocks, threads, 0, nullptr, out, in);
    switch (which) {
        PROBES(PROBE_LAUNCH)
    case PROBE_COUNT:
        break;
    }
    return ct_fail(CT_EFAIL, "no probe %d", (int)which);
}

ct_status lesson_run(lesson which, unsigned *out, const unsigned *in) {
    switch (which) {
    case LESSON_INDICES:
        return LAUNCH(indices, dim3(3, 2, 2), dim3(4, 2, 2), 0, nullptr, out, in);
    case LESSON_SHUFFLES:
        return LAUNCH(shuffles, 1, 32, 0, nullptr, out, in);
    case LESSON_VOTES:
        return LAUNCH(votes, 1, 32, 0, nullptr, out, in);
    case LESSON_BARRIERS:
        return LAUNCH(barriers, 1, 64, 0, nullptr, out, in);
    case LESSON_COPIES:
        return LAUNCH(copies, 1, 1, 0, nullptr, out, in);
    case LESSON_SHARED_IS_NAN:
        return LAUNCH(shared_is_nan, 1, 1, 16, nullptr, out, in);
    case LESSON_LAUNCHES:
        CT_TRY(LAUNCH(read_word, 4, 1, 0, nullptr, out, in));
        return LAUNCH(increment_word, 1, 1, 0, nullptr, out, in);
    case LESSON_ATOMICS:
        return LAUNCH(atomics, 8, 32, 0, nullptr, out, in);
    }
    return ct_fail(CT_EFAIL, "no lesson %d", (int)which);
}

ct_status probe_launch(unsigned blocks, unsigned threads, size_t shared) {
    return LAUNCH(nothing, blocks, threads, shared, nullptr, nullptr, nullptr);
}

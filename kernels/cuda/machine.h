/* machine.h -- what a thread of a kernel asks of the CUDA machine, where the compiler is not nvcc.
 *
 * tests/emulator is such a machine: it runs every thread of every block on the CPU. Two front ends ask it: builtins.h,
 * for the .cu files compiled as C++, and the interpreter of the PTX that nvcc makes of them. What a thread does by
 * itself (arithmetic, loads, stores) the front end does; what concerns others is asked here: launches, barriers,
 * warp-wide instructions, shared memory, asynchronous copies, atomics.
 *
 * Owner: everything handed out belongs to the machine; shared memory lives as long as its block.
 * Fails: what a kernel does wrong is reported by the machine (tests/emulator/report.h), never returned.
 */
#ifndef CT_CUDA_MACHINE_H
#define CT_CUDA_MACHINE_H

#include <stddef.h>
#include <stdint.h>

struct CUstream_st; /* what CUDA's cudaStream_t points to */

struct machine_size {
    unsigned x, y, z;
    constexpr machine_size(unsigned of_x = 1, unsigned of_y = 1, unsigned of_z = 1) : x(of_x), y(of_y), z(of_z) {
    }
};

/* The thread that runs: what it can know of itself. (__thread: thread_local asks at each use whether it is
 * initialised.) */
struct machine_thread {
    machine_size index, block, block_size, grid_size;
    unsigned     number, lane, warp; /* number in the block = 32 warp + lane */
};
extern __thread machine_thread *machine_me;

/* A place in a kernel's source, or in its PTX. As a last parameter it is the caller's: MACHINE_AT. */
struct machine_place {
    const char *file;
    int         line;
};
#define MACHINE_AT machine_place at = {__builtin_FILE(), __builtin_LINE()}

/* ---- launches */
struct machine_argument {
    const void *data;
    size_t      bytes;
};
struct machine_launch {
    const char             *kernel; /* as written at the launch: "layernorm<float>" */
    machine_size            grid, block;
    size_t                  shared; /* bytes of dynamic shared memory */
    struct CUstream_st     *stream;
    const machine_argument *arguments;
    size_t                  argument_count;
    void (*body)(const machine_launch &launch); /* runs the kernel as the thread machine_me */
    void (*kernel_address)(void);
};
/* Runs all blocks, where nothing queues launches (tests/standin) before it returns. NULL, or why the launch failed. */
const char *machine_run(const machine_launch &launch);

/* ---- shared memory of the running block. The same key is the same array for all threads. */
void *machine_shared(const void *key, size_t bytes, size_t alignment);
void *machine_dynamic_shared(void);

/* ---- barriers of the whole block; the result: is any predicate true, are all, how many are */
enum machine_barrier_kind { BARRIER_SYNC, BARRIER_OR, BARRIER_AND, BARRIER_COUNT };
int machine_barrier(machine_barrier_kind kind, int predicate, machine_place at);

/* ---- warp-wide instructions: all threads of the mask, each with its own operands */
enum machine_shuffle_kind { SHUFFLE_INDEX, SHUFFLE_UP, SHUFFLE_DOWN, SHUFFLE_XOR };
/* As PTX's shfl.sync: clamp's bits 0-4 bound the source lane, bits 8-12 cut the warp into segments. *in_range is PTX's
 * predicate; it may be NULL. */
uint64_t machine_shuffle(machine_shuffle_kind kind, uint32_t mask, uint64_t value, uint32_t lane, uint32_t clamp,
                         bool *in_range, machine_place at);
enum machine_vote_kind { VOTE_BALLOT, VOTE_ANY, VOTE_ALL };
uint32_t machine_vote(machine_vote_kind kind, uint32_t mask, bool predicate, machine_place at);
void     machine_warp_sync(uint32_t mask, machine_place at);
/* ldmatrix.m8n8.x1, x2, x4 (matrices), perhaps .trans: `row` is this lane's row address, result[matrices] its part */
void     machine_ldmatrix(uint32_t *result, unsigned matrices, bool transposed, const void *row, machine_place at);
/* mma.m16n8k16.row.col.f32.bf16.bf16.f32: d[4] = a[4] b[2] + c[4]; d may be c */
void     machine_mma_bf16(float *d, const uint32_t *a, const uint32_t *b, const float *c, machine_place at);

/* ---- cp.async: `bytes` to shared memory, the first `from_bytes` of them copied, the others zero */
void machine_copy_async(void *to, const void *from, unsigned bytes, unsigned from_bytes, machine_place at);
void machine_copy_commit(void);
void machine_copy_wait(unsigned pending); /* until at most so many of this thread's groups are under way */

/* ---- atomics: the value before */
enum machine_atomic_kind {
    ATOMIC_ADD_F32,
    ATOMIC_ADD_U32,
    ATOMIC_ADD_U64,
    ATOMIC_MIN_S32,
    ATOMIC_MIN_U32,
    ATOMIC_MAX_S32,
    ATOMIC_MAX_U32,
    ATOMIC_AND_U32,
    ATOMIC_OR_U32,
    ATOMIC_SWAP_U32,
    ATOMIC_COMPARE_SWAP_U32, /* value, where `compare` was found */
    ATOMIC_COMPARE_SWAP_U64
};
uint64_t machine_atomic(machine_atomic_kind kind, void *to, uint64_t value, uint64_t compare, machine_place at);

/* ---- a load or store, for the checks. A compiled kernel's come from the compiler (tests/emulator/hooks.cpp). */
enum machine_access_kind { ACCESS_READ, ACCESS_WRITE };
void machine_access(machine_access_kind kind, const void *address, size_t bytes, machine_place at);

#endif

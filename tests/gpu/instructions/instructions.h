/* instructions.h -- each PTX instruction that kernels/cuda uses by name, tried with many operands on a card, and
 * compared with what the emulator makes of the same.
 *
 * A card's driver and the emulator do not fit into one program. So gpu/test_instructions runs the kernels here on the
 * card and writes their results into a file; gpu/judge, which has the emulator, makes the same operands from the file's
 * seed, runs the same kernels and compares: to the bit, or within what the PTX manual promises (judge.c).
 *
 *   operands.c          operands, random by Philox and odd ones, of each thread
 *   instructions.cu     a kernel for each line of INSTRUCTIONS
 *   answers.c           the file
 *   judge.c             may a card answer so?
 *   judge_main.c        gpu/judge; as `judge --write` the emulator is the card
 *
 * Owner: arrays are the caller's. Fails: CT_EFAIL with the file's name and what is wrong with it.
 */
#ifndef CT_INSTRUCTIONS_INSTRUCTIONS_H
#define CT_INSTRUCTIONS_INSTRUCTIONS_H

#include "core/status.h"

/* name, words of 32 bits that a thread takes and gives */
#define INSTRUCTIONS(I)                                                                                                \
    I(mma_bf16, 10, 4)   /* a, b, c; d */                                                                              \
    I(ldmatrix_x4, 5, 4) /* a row of 16 bytes, which lane's row to name */                                             \
    I(ldmatrix_x4_trans, 5, 4)                                                                                         \
    I(ldmatrix_x2, 5, 2)                                                                                               \
    I(ldmatrix_x2_trans, 5, 2)                                                                                         \
    I(cp_async_16, 12, 8) /* two copies, in two groups; the ninth word: which are valid */                             \
    I(cp_async_4, 3, 2)   /* the same, the third word */                                                               \
    I(shuffle, 3, 6)      /* value, lane, width; from lane, up, down, xor of 32 bits, xor of 64 */                     \
    I(vote, 2, 3)         /* predicate, mask; ballot, any, all */                                                      \
    I(barrier, 1, 3)      /* predicate; of the block: or, and, count */                                                \
    I(atomics, 3, 15)  /* memory, operand, compare; six times memory after and before; a block's sum, least, most */   \
    I(pack_bf16, 2, 3) /* two floats; packed, the first rounded, what is wide of the second's half */                  \
    I(exp2_approx, 16, 16)                                                                                             \
    I(floats, 3, 5) /* x / y, root of x, x y + z, larger and lesser of x and y */                                      \
    I(bits, 1, 3)   /* popc, clz, ffs */

#define INSTRUCTION_ENUM(name, in, out) INSTRUCTION_##name,
typedef enum instruction { INSTRUCTIONS(INSTRUCTION_ENUM) INSTRUCTION_COUNT } instruction;

typedef struct instruction_about {
    const char *name;
    size_t      in, out; /* words of a thread */
} instruction_about;
extern const instruction_about instruction_table[INSTRUCTION_COUNT];

enum {
    INSTRUCTION_LANES = 32,
    INSTRUCTION_THREADS = 128,
    INSTRUCTION_BLOCKS = 64,
    INSTRUCTION_ALL = INSTRUCTION_THREADS * INSTRUCTION_BLOCKS
};

struct CUstream_st; /* what CUDA's cudaStream_t points to; NULL: the default stream */
#ifdef __cplusplus
extern "C" {
#endif
/* Of all threads, [thread][word]; as many words as the table says. */
void      instruction_operands(instruction which, uint64_t seed, uint32_t *in);
/* Device memory. */
ct_status instruction_launch(instruction which, const uint32_t *in, uint32_t *out, struct CUstream_st *stream);
#ifdef __cplusplus
}
#endif

/* ---- the file */
typedef struct answers {
    uint64_t  seed;
    char      card[200];
    uint32_t *of[INSTRUCTION_COUNT]; /* [thread][word] */
} answers;

/* Runs one instruction for all threads, arrays in host memory. */
typedef ct_status (*instruction_runner)(instruction which, const uint32_t *in, uint32_t *out);
/* All instructions; freed by answers_free, after a failure too. */
CT_NODISCARD ct_status answers_make(uint64_t seed, const char *card, instruction_runner run, answers *out);
CT_NODISCARD ct_status answers_write(const char *path, const answers *a);
CT_NODISCARD ct_status answers_read(const char *path, answers *out);
void                   answers_free(answers *a);

/* ---- the judge */
typedef struct verdict {
    int64_t results, wrong;
    double  worst;      /* where there are bounds: how much of one was needed at most */
    char    first[240]; /* what was wrong first */
} verdict;
verdict instruction_judge(instruction which, const uint32_t *in, const uint32_t *card, const uint32_t *emulator);

#endif

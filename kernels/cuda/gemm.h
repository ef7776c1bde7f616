/* gemm.h -- products of matrices on the GPU, by cuBLASLt (included in gemm.c alone).
 *
 *   d[rows][columns] (+)= op(a)[rows][depth] op(b)[depth][columns], row-major, and an epilogue on the result
 *
 * bf16 or float in, sums in float, bf16 (of bf16) or float out. How a product is done is its plan: made once, by the
 * library's heuristics, for a shape, its types, epilogue and the alignment of its arrays. Running one finds its plan,
 * allocates nothing and waits for nothing; a plan that is missing is made then, so that while a stream is captured all
 * have to be there. Sums have one order for one plan: no algorithm is taken that rounds partial sums to bf16.
 *
 * Epilogues are the library's, which may have none for a shape, type or GPU: ct_cuda_gemm_plan says so, and the caller
 * (linear.c) does the product plain and the rest with own kernels. Those with a bias's gradient are left alone: they
 * overwrite where we add, write it in bf16 where ours is float, and in the order of whatever algorithm was taken.
 *
 * One GPU, one library handle, one thread, one stream a process: all products share the workspace.
 * Owner: arrays and workspace are device memory of the caller; plans and handle belong to gemm.c until closed.
 * Fails: CT_EFAIL with call, status, place, shapes and a hint.
 */
#ifndef CT_CUDA_GEMM_H
#define CT_CUDA_GEMM_H

#include "kernels/ops.h"

struct CUstream_st; /* what CUDA's cudaStream_t points to */

/* GELU: aux = product + bias, d = gelu(aux), tanh form. GELU_BACKWARD: d = product * gelu'(aux). aux is [rows][ldd] of
 * out's type. Known limits of the library: aux wants ldd in steps of 8; bias and aux have the type of d. */
typedef enum ct_cuda_epilogue {
    CT_EPILOGUE_NONE,
    CT_EPILOGUE_BIAS, /* d = product + bias[columns] */
    CT_EPILOGUE_GELU,
    CT_EPILOGUE_GELU_BACKWARD,
    CT_EPILOGUES
} ct_cuda_epilogue;

typedef struct ct_cuda_gemm {
    int64_t          rows, columns, depth;
    int64_t          lda, ldb, ldd; /* distance of rows as stored */
    bool             transpose_a, transpose_b, accumulate;
    ct_dtype         in, out; /* CT_F32, CT_BF16 */
    ct_cuda_epilogue epilogue;
    const void      *a, *b, *bias;
    void            *d, *aux;
} ct_cuda_gemm;

/* gpu: its name, kept with stored algorithms. tf32: products of floats may round their inputs to 10 bits. */
typedef struct ct_cuda_gemm_options {
    const char *gpu;
    bool        tf32;
    void       *workspace; /* 32 MiB where they fit; aligned to 256 bytes */
    size_t      bytes;
} ct_cuda_gemm_options;
CT_NODISCARD ct_status ct_cuda_gemm_open(const ct_cuda_gemm_options *options);
void                   ct_cuda_gemm_close(void); /* nothing of it may be under way */
bool                   ct_cuda_gemm_is_open(void);
/* For others on the same stream, between products. */
void                  *ct_cuda_gemm_workspace(size_t *bytes);

/* Make the plan of this product, unless it is there. Of the arrays only their alignment matters. *supported (may be
 * NULL): false where the library has no such epilogue. */
CT_NODISCARD ct_status ct_cuda_gemm_plan(const ct_cuda_gemm *product, bool *supported);
CT_NODISCARD ct_status ct_cuda_gemm_run(const ct_cuda_gemm *product, struct CUstream_st *stream);
int                    ct_cuda_gemm_plan_count(void);

/* ---- what was chosen, as a text file (gemm_file.c): read back, it takes the place of all plans made so far. A file of
 * another GPU, library, workspace or arithmetic, or one in which anything is wrong, is refused whole; plans are then
 * made by heuristics again. */
CT_NODISCARD ct_status ct_cuda_gemm_save(const char *path);
CT_NODISCARD ct_status ct_cuda_gemm_load(const char *path);

/* What tells plans apart, and an algorithm's attributes: numbers all of them, compared and stored as such. */
#define CT_GEMM_KEY(N)                                                                                                 \
    N(rows)                                                                                                            \
    N(columns)                                                                                                         \
    N(depth)                                                                                                           \
    N(lda)                                                                                                             \
    N(ldb)                                                                                                             \
    N(ldd)                                                                                                             \
    N(transpose_a)                                                                                                     \
    N(transpose_b)                                                                                                     \
    N(accumulate)                                                                                                      \
    N(in)                                                                                                              \
    N(out)                                                                                                             \
    N(epilogue)                                                                                                        \
    N(align_a)                                                                                                         \
    N(align_b)                                                                                                         \
    N(align_d)                                                                                                         \
    N(align_bias)                                                                                                      \
    N(align_aux)
#define CT_GEMM_ALGORITHM(N)                                                                                           \
    N(id)                                                                                                              \
    N(tile)                                                                                                            \
    N(stages)                                                                                                          \
    N(split_k)                                                                                                         \
    N(reduction)                                                                                                       \
    N(swizzle)                                                                                                         \
    N(custom)                                                                                                          \
    N(inner_shape)                                                                                                     \
    N(cluster_shape)
#define CT_GEMM_NUMBER(name) int64_t name;
typedef struct ct_gemm_key {
    CT_GEMM_KEY(CT_GEMM_NUMBER)
} ct_gemm_key;
typedef struct ct_gemm_algorithm {
    CT_GEMM_ALGORITHM(CT_GEMM_NUMBER)
} ct_gemm_algorithm;

/* For gemm_file.c. What a file has to agree with; the plan with this number, from 0 (false: no more; those without an
 * algorithm are passed over); make a plan of this algorithm; drop all plans. */
typedef struct ct_gemm_machine {
    const char *gpu;
    int64_t     library, tf32, workspace;
} ct_gemm_machine;
ct_gemm_machine        ct_gemm_machine_here(void);
bool                   ct_gemm_plan_at(int number, ct_gemm_key *key, ct_gemm_algorithm *algorithm);
CT_NODISCARD ct_status ct_gemm_plan_of(const ct_gemm_key *key, const ct_gemm_algorithm *algorithm);
void                   ct_gemm_forget_plans(void);

#endif

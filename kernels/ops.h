/* ops.h -- the op table: what models are made of, and the one place that runs it.
 *
 * Each op has one parameter struct (ct_linear, ct_attention, ...), generated from
 * ops.def together with its roles and shapes. Model code fills a struct and
 * appends it to a plan, or runs it at once; ct_op_run alone dispatches to a
 * backend. Backends: "cpu" (float, fast) and "reference" (float and double,
 * plain loops that are read to learn what an op means).
 *
 * Owner: all arrays belong to the caller (a model's memory plan); ops never allocate or keep pointers (a backend may
 *        keep library objects keyed by shape; it says so).
 * Fails: CT_EFAIL for a missing op or dtype, with the op named; contracts (NULL arrays) are CT_ASSERTs.
 */
#ifndef CT_KERNELS_OPS_H
#define CT_KERNELS_OPS_H

#include "core/rng.h"
#include "core/status.h"

typedef enum ct_dtype { CT_F32, CT_F64, CT_BF16 } ct_dtype; /* CT_BF16: mixed with float, see ops.def */
/* Bytes of a `real` and of a `wide`. */
static inline size_t ct_dtype_size(ct_dtype dtype) {
    return dtype == CT_F64 ? 8 : dtype == CT_BF16 ? 2 : 4;
}
static inline size_t ct_dtype_wide_size(ct_dtype dtype) {
    return dtype == CT_F64 ? 8 : 4;
}

/* Parts that sums are cut into, the same for any number of threads; CT_LAYERNORM_BLOCKS, CT_EMBED, CT_ATTENTION_STRIP,
 * CT_DECODE_PART: a GPU's. */
enum {
    CT_LAYERNORM_PARTIALS = 64,
    CT_LAYERNORM_BLOCKS = 256,
    CT_GELU_BLOCKS = 64,
    CT_NORM_BLOCK = 16384,
    CT_EMBED_CHUNKS = 128,
    CT_EMBED_TILE = 128,
    CT_DECODE_PART = 128 /* rows of a cache whose sums are kept apart */
};
/* queries whose sums of dG are kept apart, at least */
#define CT_ATTENTION_STRIP(head) ((head) <= 64 ? 16 : 8)

/* Everything that changes from step to step. */
typedef struct ct_step {
    uint64_t seed;   /* dropout draws from (seed mixed with number) */
    int64_t  number; /* step (micro-step: number counts every forward pass) */
    int64_t  ring;   /* where the memory's next row goes */
    double   learning_rate, clip, loss_scale;
    int64_t  first_row; /* number of the first row of this batch in the global batch (rows = batch * tokens) */
    bool     train;     /* false: no dropout */
} ct_step;

/* Dropout of four neighbouring columns of a row: one Philox call at (key seed; counter high = number << 32 | stream,
 * low = row << 32 | column / 4). Element `column` has word column % 4, and is kept when its 24-bit float >= p. */
CT_ON_DEVICE static inline ct_philox ct_dropout_draw(const ct_step *step, uint32_t stream, int64_t row, int64_t four) {
    return ct_philox_at(step->seed, (uint64_t)step->number << 32 | stream,
                        (uint64_t)row << 32 | (uint64_t)(uint32_t)four);
}
static inline bool ct_dropout_keep(const ct_step *step, uint32_t stream, int64_t row, int64_t column, float p) {
    return ct_philox_float(ct_dropout_draw(step, stream, row, column / 4).word[column % 4]) >= p;
}

/* Workspace of attention, in reals: what one (batch row, head) packs, in both passes, for all of them. */
enum { CT_ATTENTION_TILE = 64 };
#define CT_ATTENTION_WORK(p)                                                                                           \
    ((p)->batch * (p)->heads * ((p)->tokens + (p)->memory + CT_ATTENTION_TILE) * (6 * (((p)->head + 15) / 16 * 16) + 8))

#include "kernels/ops.def"

typedef enum ct_tolerance {
    CT_TOLERANCE_EXACT,
    CT_TOLERANCE_ROUND,
    CT_TOLERANCE_SUM,
    CT_TOLERANCE_SOFTMAX
} ct_tolerance;

#define CT_T_real void
#define CT_T_wide void
#define CT_T_f64 double
#define CT_T_i64 int64_t
#define CT_T_u64 uint64_t
#define CT_T_i32 int32_t
#define CT_T_u16 uint16_t
#define CT_T_u8 uint8_t
#define CT_STRUCT_N(O, name) int64_t name;
#define CT_STRUCT_S(O, type, name) type name;
#define CT_STRUCT_IN(O, type, name, count) const CT_T_##type *name;
#define CT_STRUCT_OUT(O, type, name, count) CT_T_##type *name;

#define CT_OP_ENUM(name, tolerance, flops) CT_OP_##name,
typedef enum ct_op { CT_OPS(CT_OP_ENUM) CT_OP_COUNT } ct_op;

#define CT_OP_STRUCT(name, tolerance, flops)                                                                           \
    typedef struct ct_##name {                                                                                         \
        ct_dtype dtype;                                                                                                \
        CT_FIELDS_##name(name, CT_STRUCT_N, CT_STRUCT_S, CT_STRUCT_IN, CT_STRUCT_OUT, CT_STRUCT_OUT, CT_STRUCT_OUT)    \
    } ct_##name;
CT_OPS(CT_OP_STRUCT)

#define CT_OP_MEMBER(name, tolerance, flops) ct_##name name;
typedef union ct_params { /* any op's parameters */
    ct_dtype dtype;
    CT_OPS(CT_OP_MEMBER)
} ct_params;

/* ---- what the table knows of each op */
typedef enum ct_role { CT_ROLE_SIZE, CT_ROLE_SCALAR, CT_ROLE_IN, CT_ROLE_OUT, CT_ROLE_ADD, CT_ROLE_TMP } ct_role;
typedef enum ct_type {
    CT_TYPE_real,
    CT_TYPE_wide,
    CT_TYPE_f64,
    CT_TYPE_i64,
    CT_TYPE_u64,
    CT_TYPE_i32,
    CT_TYPE_u16,
    CT_TYPE_u8,
    CT_TYPE_none
} ct_type;

typedef struct ct_field {
    const char *name;
    ct_role     role;
    ct_type     type;
    size_t      offset;                   /* in the parameter struct */
    int64_t (*count)(const void *params); /* elements; NULL for sizes and scalars */
} ct_field;

typedef struct ct_op_info {
    const char     *name;
    ct_tolerance    tolerance;
    size_t          size; /* of the parameter struct */
    const ct_field *fields;
    int             field_count;
    double (*flops)(const void *params);
} ct_op_info;
const ct_op_info  *ct_op_about(ct_op op);
bool               ct_op_may_be_null(ct_op op, const char *field);
size_t             ct_type_size(ct_type type, ct_dtype dtype); /* bytes of an element */
static inline bool ct_type_is_real(ct_type type) {
    return type == CT_TYPE_real || type == CT_TYPE_wide;
}
/* Bytes the op has to move at least: every array read or written once, of some a part (CT_MOVED in ops.def). */
double ct_op_bytes(ct_op op, const ct_params *params);

/* ---- backends */
typedef struct ct_backend {
    const char *name;
    ct_status (*run[CT_OP_COUNT])(const ct_params *params); /* NULL: not supported */
    bool f64, bf16;                                         /* takes CT_F64, CT_BF16 too */
    /* Ops that follow one another and are one to this backend: does it take these two so? Run them. May be NULL. */
    bool (*pairs)(ct_op op, const ct_params *params, ct_op next, const ct_params *next_params);
    ct_status (*run_pair)(ct_op op, const ct_params *params, const ct_params *next_params);
} ct_backend;
const ct_backend *ct_backend_cpu(void);
const ct_backend *ct_backend_reference(void);
/* The reference on float arrays, with all that a naive computation in mixed precision keeps in bf16 rounded to it: a
 * measure of what errors bf16 comes with. Its caller rounds the inputs and outputs that are `real`. */
const ct_backend *ct_backend_reference_mixed(void);

/* Check the parameters' contracts and run one op. */
CT_NODISCARD ct_status ct_op_run(const ct_backend *backend, ct_op op, const ct_params *params);

/* ---- the machine, as the cpu backend sees it */
const char *ct_cpu_isa(void);  /* "avx512", "avx2", "base"; CANTUS_ISA overrides */
const char *ct_cpu_gemm(void); /* "oneDNN 2.6.3", "plain loop" */
int         ct_cpu_threads(void);
/* Measured sgemm rate in flop/s: best of a few 512 x 512 x 512 products (about 0.1 s; 0.02 s on one thread). */
double      ct_cpu_measure_gemm(void);

#endif

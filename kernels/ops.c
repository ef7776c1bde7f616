/* ops.c -- the op table, generated from ops.def, and the one place that runs an op. */
#include "kernels/ops.h"

#include <string.h>

/* int64_t sizes in flop counts: exact up to 2^53 */
#pragma GCC diagnostic ignored "-Wconversion"

/* ---- a count function for every array, a flop function for every op */
#define COUNT_NONE(...)
#define COUNT_ARRAY(O, type, name, elements)                                                                           \
    static int64_t count_##O##_##name(const void *params) {                                                            \
        const ct_##O *p = params;                                                                                      \
        (void)p;                                                                                                       \
        return elements;                                                                                               \
    }
#define COUNTS(name, tolerance, flops)                                                                                 \
    CT_FIELDS_##name(name, COUNT_NONE, COUNT_NONE, COUNT_ARRAY, COUNT_ARRAY, COUNT_ARRAY, COUNT_ARRAY)
CT_OPS(COUNTS)

#define FLOPS(name, tolerance, expression)                                                                             \
    static double flops_##name(const void *params) {                                                                   \
        const ct_##name *p = params;                                                                                   \
        (void)p;                                                                                                       \
        return expression;                                                                                             \
    }
CT_OPS(FLOPS)

/* ---- the fields of each op, and the table */
#define FIELD_N(O, name) {#name, CT_ROLE_SIZE, CT_TYPE_none, offsetof(ct_##O, name), NULL},
#define FIELD_S(O, type, name) {#name, CT_ROLE_SCALAR, CT_TYPE_none, offsetof(ct_##O, name), NULL},
#define FIELD_IN(O, type, name, elements)                                                                              \
    {#name, CT_ROLE_IN, CT_TYPE_##type, offsetof(ct_##O, name), count_##O##_##name},
#define FIELD_OUT(O, type, name, elements)                                                                             \
    {#name, CT_ROLE_OUT, CT_TYPE_##type, offsetof(ct_##O, name), count_##O##_##name},
#define FIELD_ADD(O, type, name, elements)                                                                             \
    {#name, CT_ROLE_ADD, CT_TYPE_##type, offsetof(ct_##O, name), count_##O##_##name},
#define FIELD_TMP(O, type, name, elements)                                                                             \
    {#name, CT_ROLE_TMP, CT_TYPE_##type, offsetof(ct_##O, name), count_##O##_##name},
#define FIELDS(name, tolerance, flops)                                                                                 \
    static const ct_field fields_##name[] = {                                                                          \
        CT_FIELDS_##name(name, FIELD_N, FIELD_S, FIELD_IN, FIELD_OUT, FIELD_ADD, FIELD_TMP)};
CT_OPS(FIELDS)

#define INFO(name, tolerance, flops)                                                                                   \
    {#name, tolerance, sizeof(ct_##name), fields_##name, (int)CT_COUNT(fields_##name), flops_##name},
static const ct_op_info table[CT_OP_COUNT] = {CT_OPS(INFO)};

const ct_op_info *ct_op_about(ct_op op) {
    CT_ASSERT((int)op >= 0 && op < CT_OP_COUNT);
    return &table[op];
}

bool ct_op_may_be_null(ct_op op, const char *field) {
#define MAY(o, f)                                                                                                      \
    if (op == CT_OP_##o && strcmp(field, #f) == 0) return true;
    CT_MAY_BE_NULL(MAY)
#undef MAY
    return false;
}

static const void *field_pointer(const ct_field *field, const ct_params *params) {
    const void *pointer;
    memcpy(&pointer, (const char *)params + field->offset, sizeof pointer);
    return pointer;
}

size_t ct_type_size(ct_type type, ct_dtype dtype) {
    switch (type) {
    case CT_TYPE_real:
        return ct_dtype_size(dtype);
    case CT_TYPE_wide:
        return ct_dtype_wide_size(dtype);
    case CT_TYPE_f64:
    case CT_TYPE_i64:
    case CT_TYPE_u64:
        return 8;
    case CT_TYPE_i32:
        return 4;
    case CT_TYPE_u16:
        return 2;
    case CT_TYPE_u8:
        return 1;
    case CT_TYPE_none:
        break;
    }
    return 0;
}

/* Elements of an array that are read or written, together. */
static double moved(ct_op op, const ct_field *field, const ct_params *params) {
#define MOVED(o, f, elements)                                                                                          \
    if (op == CT_OP_##o && strcmp(field->name, #f) == 0) {                                                             \
        const ct_##o *p = &params->o;                                                                                  \
        return (double)(elements);                                                                                     \
    }
    CT_MOVED(MOVED)
#undef MOVED
    const double once = (double)field->count(params);
    return field->role == CT_ROLE_ADD ? 2 * once : once;
}

double ct_op_bytes(ct_op op, const ct_params *params) {
    const ct_op_info *info = ct_op_about(op);
    double            bytes = 0;
    for (int i = 0; i < info->field_count; i++) {
        const ct_field *f = &info->fields[i];
        if (!f->count || f->role == CT_ROLE_TMP || !field_pointer(f, params)) continue;
        bytes += moved(op, f, params) * (double)ct_type_size(f->type, params->dtype);
    }
    return bytes;
}

/* Sizes are not negative; arrays with elements are there unless the table says they may be missing. */
static void check_contract(ct_op op, const ct_params *params) {
    const ct_op_info *info = ct_op_about(op);
    for (int i = 0; i < info->field_count; i++) {
        const ct_field *f = &info->fields[i];
        if (f->role == CT_ROLE_SIZE) {
            int64_t size;
            memcpy(&size, (const char *)params + f->offset, sizeof size);
            CT_ASSERT(size >= 0);
        } else if (f->count && !field_pointer(f, params) && f->count(params) > 0 && !ct_op_may_be_null(op, f->name)) {
            ct_assert_failed(f->name, info->name, 0); /* says the array and the op */
        }
    }
}

ct_status ct_op_run(const ct_backend *backend, ct_op op, const ct_params *params) {
    const ct_op_info *info = ct_op_about(op);
    if (!backend->run[op])
        return ct_fail(CT_EFAIL, "op %s: the %s backend does not have it", info->name, backend->name);
    if (params->dtype == CT_F64 && !backend->f64)
        return ct_fail(CT_EFAIL, "op %s: the %s backend has no double precision", info->name, backend->name);
    if (params->dtype == CT_BF16 && !backend->bf16)
        return ct_fail(CT_EFAIL, "op %s: the %s backend has no bf16", info->name, backend->name);
    check_contract(op, params);
    ct_status status = backend->run[op](params);
    return status == CT_OK ? CT_OK : ct_context(status, "op %s", info->name);
}

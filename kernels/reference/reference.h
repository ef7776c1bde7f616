/* reference.h -- shared by the reference ops: each file is compiled once with CT_REAL=float, once with CT_REAL=double
 * and once with CT_REAL=mixed: float, where stored(x) is x rounded to bf16. An op says stored() of what the plainest
 * computation in mixed precision would keep in an array of bf16 between two steps, beside its inputs and outputs.
 * They are written to be read: the plainest loops that state the formula, one thread, one order.
 *
 *   CT_REFERENCE(gelu) {                     defines ct_reference_gelu_float or ..._double
 *       const ct_gelu *p = &params->gelu;
 *       const real *x = p->x; ...
 */
#ifndef CT_REFERENCE_REFERENCE_H
#define CT_REFERENCE_REFERENCE_H

#include "kernels/bf16.h"
#include "kernels/ops.h"

#include <math.h>
#include <string.h>
#include <tgmath.h>

typedef float   mixed;
typedef CT_REAL real;

#define CT_PASTE_(a, b) a##b
#define CT_PASTE(a, b) CT_PASTE_(a, b)
#define STORED_float(x) (x)
#define STORED_double(x) (x)
#define STORED_mixed(x) ct_bf16_float(ct_bf16_round(x))
#define stored(x) CT_PASTE(STORED_, CT_REAL)(x)
#define CT_REFERENCE_NAME(op) CT_PASTE(ct_reference_##op##_, CT_REAL)
#define CT_REFERENCE(op)                                                                                               \
    ct_status CT_REFERENCE_NAME(op)(const ct_params *params);                                                          \
    ct_status CT_REFERENCE_NAME(op)(const ct_params *params)

/* What dropout multiplies an element with: 0, or 1 / (1 - p) for those that stay; 1 outside training. */
static inline real dropout_factor(const ct_step *step, uint32_t stream, int64_t row, int64_t column, float p) {
    if (!(p > 0)) return 1;
    CT_ASSERT(step);
    if (!step->train) return 1;
    return ct_dropout_keep(step, stream, row, column, p) ? (real)1 / (1 - (real)p) : 0;
}

#endif

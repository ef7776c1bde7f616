/* linear.c -- cuda: y = x w' + bias, dx = dy w, dw += dy' x, dbias += sum of dy, and gelu fused into them.
 *
 * A bias that the library has no epilogue for is spread over y before, and the product added to it: one rounding, as
 * with the epilogue. Each function runs twice: once to plan (no stream is touched), later to run.
 */
#include "kernels/cuda/linear.h"

#include "kernels/cuda/bias.h"
#include "kernels/cuda/gemm.h"

typedef struct run {
    bool                plan; /* make plans only */
    struct CUstream_st *stream;
} run;

static ct_status product(const ct_cuda_gemm *g, run r) {
    return r.plan ? ct_cuda_gemm_plan(g, NULL) : ct_cuda_gemm_run(g, r.stream);
}
static ct_dtype wide_of(ct_dtype dtype) {
    return dtype == CT_BF16 ? CT_F32 : dtype;
}

/* ---- forward */
static ct_cuda_gemm forward(const ct_linear *p) {
    return (ct_cuda_gemm){.rows = p->rows,
                          .columns = p->out,
                          .depth = p->in,
                          .lda = p->in,
                          .ldb = p->in,
                          .ldd = p->out,
                          .transpose_b = true,
                          .in = p->dtype,
                          .out = p->dtype,
                          .a = p->x,
                          .b = p->w,
                          .d = p->y};
}

static ct_status linear(const ct_linear *p, run r) {
    ct_cuda_gemm g = forward(p);
    if (p->rows == 0 || p->out == 0) return CT_OK;
    if (p->bias) {
        bool supported;
        g.epilogue = CT_EPILOGUE_BIAS;
        g.bias = p->bias;
        CT_TRY(ct_cuda_gemm_plan(&g, &supported));
        if (!supported) {
            g.epilogue = CT_EPILOGUE_NONE;
            g.accumulate = true;
            if (!r.plan) CT_TRY(ct_cuda_bias_spread(p->dtype, p->rows, p->out, p->bias, p->y, r.stream));
        }
    }
    return product(&g, r);
}

static ct_status linear_gelu(const ct_params *first, const ct_params *second, run r) {
    const ct_linear *p = &first->linear;
    ct_cuda_gemm     g = forward(p);
    bool             supported = false;
    if (p->rows == 0 || p->out == 0) return CT_OK;
    if (p->bias) {
        g.epilogue = CT_EPILOGUE_GELU;
        g.bias = p->bias;
        g.aux = p->y;
        g.d = second->gelu.y;
        CT_TRY(ct_cuda_gemm_plan(&g, &supported));
    }
    if (supported) return product(&g, r);
    CT_TRY(linear(p, r));
    return r.plan ? CT_OK : ct_cuda_gelu(second, r.stream);
}

/* ---- backward */
static ct_cuda_gemm gradient_of_x(const ct_linear_backward *p) {
    return (ct_cuda_gemm){.rows = p->rows,
                          .columns = p->in,
                          .depth = p->out,
                          .lda = p->out,
                          .ldb = p->in,
                          .ldd = p->in,
                          .in = p->dtype,
                          .out = p->dtype,
                          .a = p->dy,
                          .b = p->w,
                          .d = p->dx};
}
static ct_cuda_gemm gradient_of_w(const ct_linear_backward *p) {
    return (ct_cuda_gemm){.rows = p->out,
                          .columns = p->in,
                          .depth = p->rows,
                          .lda = p->out,
                          .ldb = p->in,
                          .ldd = p->in,
                          .transpose_a = true,
                          .accumulate = true,
                          .in = p->dtype,
                          .out = wide_of(p->dtype),
                          .a = p->dy,
                          .b = p->x,
                          .d = p->dw};
}

static ct_status gradient_of_bias(ct_dtype dtype, int64_t rows, int64_t width, const void *dy, void *dbias, run r) {
    size_t        bytes;
    float        *partial = ct_cuda_gemm_workspace(&bytes);
    const int64_t room = (int64_t)(bytes / sizeof *partial) / width;
    if (room == 0)
        return ct_fail(CT_EFAIL, "gradient of a bias: a workspace of %zu bytes, at least %lld are needed", bytes,
                       (long long)width * (long long)sizeof *partial);
    if (r.plan) return CT_OK;
    return ct_cuda_bias_gradient(dtype, rows, width, dy, dbias, room < CT_GELU_BLOCKS ? room : CT_GELU_BLOCKS, partial,
                                 r.stream);
}

static bool empty(const ct_linear_backward *p) {
    return p->rows == 0 || p->in == 0 || p->out == 0;
}

/* of the parameters */
static ct_status gradients(const ct_linear_backward *p, run r) {
    const ct_cuda_gemm g = gradient_of_w(p);
    CT_TRY(product(&g, r));
    return p->dbias ? gradient_of_bias(p->dtype, p->rows, p->out, p->dy, p->dbias, r) : CT_OK;
}

static ct_status linear_backward(const ct_linear_backward *p, run r) {
    const ct_cuda_gemm g = gradient_of_x(p);
    if (empty(p)) return CT_OK;
    if (p->dx) CT_TRY(product(&g, r));
    return gradients(p, r);
}

static ct_status linear_gelu_backward(const ct_params *first, const ct_params *second, run r) {
    const ct_linear_backward *p = &first->linear_backward;
    const ct_gelu_backward   *q = &second->gelu_backward;
    ct_cuda_gemm              g = gradient_of_x(p);
    bool                      supported;
    if (empty(p)) return CT_OK;
    g.epilogue = CT_EPILOGUE_GELU_BACKWARD;
    g.aux = (void *)(uintptr_t)q->x; /* only read */
    g.d = q->dx;
    CT_TRY(ct_cuda_gemm_plan(&g, &supported));
    if (supported) {
        CT_TRY(product(&g, r));
        CT_TRY(gradients(p, r));
        return q->dbias ? gradient_of_bias(q->dtype, q->rows, q->width, q->dx, q->dbias, r) : CT_OK;
    }
    CT_TRY(linear_backward(p, r));
    return r.plan ? CT_OK : ct_cuda_gelu_backward(second, r.stream);
}

/* ---- what others call */
#define CT_CUDA(op) ct_status ct_cuda_##op(const ct_params *params, struct CUstream_st *stream)
CT_CUDA(linear) {
    return linear(&params->linear, (run){.stream = stream});
}
CT_CUDA(linear_backward) {
    return linear_backward(&params->linear_backward, (run){.stream = stream});
}
ct_status ct_cuda_linear_gelu(const ct_params *linear, const ct_params *gelu, struct CUstream_st *stream) {
    return linear_gelu(linear, gelu, (run){.stream = stream});
}
ct_status ct_cuda_linear_gelu_backward(const ct_params *linear, const ct_params *gelu, struct CUstream_st *stream) {
    return linear_gelu_backward(linear, gelu, (run){.stream = stream});
}
ct_status ct_cuda_linear_plan(const ct_params *params) {
    return linear(&params->linear, (run){.plan = true});
}
ct_status ct_cuda_linear_backward_plan(const ct_params *params) {
    return linear_backward(&params->linear_backward, (run){.plan = true});
}
ct_status ct_cuda_linear_gelu_plan(const ct_params *linear, const ct_params *gelu) {
    return linear_gelu(linear, gelu, (run){.plan = true});
}
ct_status ct_cuda_linear_gelu_backward_plan(const ct_params *linear, const ct_params *gelu) {
    return linear_gelu_backward(linear, gelu, (run){.plan = true});
}

bool ct_cuda_is_linear_gelu(ct_op op, const ct_params *params, ct_op next, const ct_params *next_params) {
    const ct_linear *p = &params->linear;
    const ct_gelu   *q = &next_params->gelu;
    return op == CT_OP_linear && next == CT_OP_gelu && q->x == p->y && q->y != p->y && q->rows == p->rows &&
           q->width == p->out && q->dtype == p->dtype;
}
bool ct_cuda_is_linear_gelu_backward(ct_op op, const ct_params *params, ct_op next, const ct_params *next_params) {
    const ct_linear_backward *p = &params->linear_backward;
    const ct_gelu_backward   *q = &next_params->gelu_backward;
    return op == CT_OP_linear_backward && next == CT_OP_gelu_backward && p->dx && q->dy == p->dx &&
           q->rows == p->rows && q->width == p->in && q->dtype == p->dtype;
}

/* blas_product.cpp -- the double of cuBLASLt: the numbers of a product. Products and sums are of floats; a result is
 * rounded once, when it is stored; parts of split sums as the reduction says.
 */
#include "blas_product.h"
#include "standin.h"

#include "kernels/bf16.h"

#include <math.h>
#include <string.h>

#include <algorithm>
#include <vector>

static float load(const blas_matrix &m, const void *array, int64_t i, int64_t j) {
    const int64_t at = i + j * m.ld;
    return m.half ? ct_bf16_float(static_cast<const uint16_t *>(array)[at]) : static_cast<const float *>(array)[at];
}
static void store(const blas_matrix &m, void *array, int64_t i, int64_t j, float x) {
    const int64_t at = i + j * m.ld;
    if (m.half)
        static_cast<uint16_t *>(array)[at] = ct_bf16_round(x);
    else
        static_cast<float *>(array)[at] = x;
}
static float rounded(const blas_matrix &m, float x) {
    return m.half ? ct_bf16_float(ct_bf16_round(x)) : x;
}
static float to_tf32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0x1000u) & ~0x1fffu; /* 10 bits of fraction are left */
    memcpy(&x, &bits, sizeof bits);
    return x;
}

/* each column by itself: what lies between them is not the matrix's */
static void reads(const blas_matrix &m, const void *array) {
    for (int64_t j = 0; j < m.columns; j++)
        standin_reads(static_cast<const char *>(array) + (size_t)(j * m.ld) * m.element(),
                      (size_t)m.rows * m.element());
}
static void writes(const blas_matrix &m, void *array) {
    for (int64_t j = 0; j < m.columns; j++)
        standin_writes(static_cast<char *>(array) + (size_t)(j * m.ld) * m.element(), (size_t)m.rows * m.element());
}

/* op(matrix) as floats, one column after the other */
static std::vector<float> floats(const blas_matrix &m, const void *array, bool transpose, bool tf32) {
    const int64_t      rows = transpose ? m.columns : m.rows, columns = transpose ? m.rows : m.columns;
    std::vector<float> to((size_t)(rows * columns));
    for (int64_t j = 0; j < columns; j++)
        for (int64_t i = 0; i < rows; i++) {
            const float x = transpose ? load(m, array, j, i) : load(m, array, i, j);
            to[(size_t)(i + j * rows)] = tf32 ? to_tf32(x) : x;
        }
    return to;
}

/* GELU's tanh form, and its slope: kernels/reference/gelu.c. In double: what the library's are wrong by is not known.
 */
static double tanh_of(double x) {
    return tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x));
}
static double gelu(double x) {
    return x / 2 * (1 + tanh_of(x));
}
static double gelu_slope(double x) {
    const double t = tanh_of(x);
    return (1 + t) / 2 + x / 2 * (1 - t * t) * 0.79788456080286535588 * (1 + 3 * 0.044715 * x * x);
}

size_t blas_workspace(const blas_product &p, const blas_method &method, int splits, uint32_t reduction) {
    const size_t part = (size_t)(p.d.rows * p.d.columns);
    if (splits > 1 && reduction == CUBLASLT_REDUCTION_SCHEME_INPLACE) return method.room + 256; /* counters */
    if (splits > 1 && reduction == CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE)
        return method.room + (size_t)splits * part * p.d.element();
    return method.room + (splits > 1 ? (size_t)splits * part * sizeof(float) : 0);
}

void blas_run(const blas_product &p, const blas_method &method, int splits, uint32_t reduction, float alpha, float beta,
              const void *a, const void *b, void *d, void *workspace) {
    const int64_t     rows = p.d.rows, depth = p.depth();
    const size_t      used = blas_workspace(p, method, splits, reduction);
    const bool        bias = p.epilogue & CUBLASLT_EPILOGUE_BIAS;
    const bool        narrow = splits > 1 && reduction != CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    const blas_matrix of_aux = {p.d.half, p.d.rows, p.d.columns, p.aux_ld}, of_bias = {p.d.half, rows, 1, rows};
    reads(p.a, a);
    reads(p.b, b);
    if (bias) reads(of_bias, p.bias);
    if (p.epilogue == CUBLASLT_EPILOGUE_DGELU) reads(of_aux, p.aux);
    if (beta != 0) reads(p.d, d);
    if (used) { /* its content is lost */
        standin_writes(workspace, used);
        memset(workspace, 0xff, used);
    }
    const std::vector<float> left = floats(p.a, a, p.transpose_a, p.tf32 && method.gelu);
    const std::vector<float> right = floats(p.b, b, p.transpose_b, p.tf32 && method.gelu);
    std::vector<float>       total((size_t)rows), part((size_t)rows);
    for (int64_t j = 0; j < p.d.columns; j++) {
        std::fill(total.begin(), total.end(), 0.0f);
        for (int s = 0; s < splits; s++) {
            const int64_t first = depth * s / splits, end = depth * (s + 1) / splits;
            std::fill(part.begin(), part.end(), 0.0f);
            for (int64_t n = first; n < end; n++) {
                const int64_t k = method.backwards ? first + end - 1 - n : n;
                const float   x = right[(size_t)(k + j * depth)];
                const float  *from = &left[(size_t)(k * rows)];
                for (int64_t i = 0; i < rows; i++) part[(size_t)i] += from[i] * x;
            }
            for (size_t i = 0; i < total.size(); i++) {
                total[i] += narrow ? rounded(p.d, part[i]) : part[i];
                if (narrow) total[i] = rounded(p.d, total[i]);
            }
        }
        for (int64_t i = 0; i < rows; i++) {
            float x = alpha * total[(size_t)i];
            if (beta != 0) x += beta * load(p.d, d, i, j);
            if (bias) x += load(of_bias, p.bias, i, 0);
            if (p.epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS) {
                store(of_aux, p.aux, i, j, x);
                x = (float)gelu((double)x);
            }
            if (p.epilogue == CUBLASLT_EPILOGUE_DGELU)
                x = (float)((double)x * gelu_slope((double)load(of_aux, p.aux, i, j)));
            store(p.d, d, i, j, x);
        }
    }
    writes(p.d, d);
    if (p.epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS) writes(of_aux, p.aux);
}

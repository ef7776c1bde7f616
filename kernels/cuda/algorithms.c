/* algorithms.c -- see algorithms.h. */
#include "kernels/cuda/algorithms.h"

#include "core/log.h"
#include "kernels/cuda/gemm.h"

#include <stdio.h>
#include <unistd.h>

enum { NONE, WRITTEN, READ };
static struct {
    char path[4096];
    int  use, kept; /* products in the file */
} file;

static int product_count(void) {
    ct_gemm_key       key;
    ct_gemm_algorithm algorithm;
    int               count = 0;
    while (ct_gemm_plan_at(count, &key, &algorithm)) count++;
    return count;
}

ct_status ct_cuda_algorithms_open(const char *path) {
    const int length = snprintf(file.path, sizeof file.path, "%s", path ? path : "");
    file.use = NONE;
    file.kept = 0;
    if (!*file.path) return CT_OK;
    if (length >= (int)sizeof file.path)
        return ct_fail(CT_EFAIL, "cuda.algorithms: %.40s...: a path of %d bytes, %zu at most", file.path, length,
                       sizeof file.path - 1);
    file.use = WRITTEN;
    if (access(file.path, F_OK) != 0) return CT_OK;
    file.use = NONE;
    const ct_status status = ct_cuda_gemm_load(file.path);
    if (status == CT_ENOMEM) return status;
    if (status != CT_OK) {
        ct_warn("cuda.algorithms: %s; it is left alone and products are done as heuristics say: last digits may be "
                "others than with it (hint: a file for each GPU and version of cuBLASLt; a new one is written)",
                ct_message());
        return CT_OK;
    }
    file.use = READ;
    file.kept = product_count();
    return CT_OK;
}

ct_status ct_cuda_algorithms_planned(void) {
    const int count = file.use == NONE ? 0 : product_count();
    if (count == file.kept || file.use == NONE) return CT_OK;
    if (file.use == READ)
        ct_warn("cuda.algorithms: %s: has none for %d products of this model; they are done as heuristics say, and not "
                "kept (hint: another file for another model or batch)",
                file.path, count - file.kept);
    else
        CT_TRY(ct_context(ct_cuda_gemm_save(file.path), "cuda.algorithms"));
    file.kept = count;
    return CT_OK;
}

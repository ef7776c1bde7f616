/* gemm_file.c -- the algorithms that products are done by, as JSON, so that another run does them by the same.
 *
 *   {"gpu": "NVIDIA H100 80GB HBM3", "library": 130100, "tf32": 0, "workspace": 33554432,
 *    "products": [{"rows": 4096, ..., "algorithm": {"id": 66, "tile": 20, ...}}, ...]}
 */
#include "core/file.h"
#include "core/json.h"
#include "kernels/cuda/gemm.h"

#include <string.h>

enum { MOST_BYTES = 16 << 20 };

#define SET_KEY(name) ct_json_set(product, #name, ct_json_new_integer(key.name));
#define SET_ALGORITHM(name) ct_json_set(chosen, #name, ct_json_new_integer(algorithm.name));
ct_status ct_cuda_gemm_save(const char *path) {
    const ct_gemm_machine here = ct_gemm_machine_here();
    ct_json              *file = ct_json_new_object(), *products = ct_json_new_array();
    ct_gemm_key           key;
    ct_gemm_algorithm     algorithm;
    ct_json_set(file, "gpu", ct_json_new_text(here.gpu));
    ct_json_set(file, "library", ct_json_new_integer(here.library));
    ct_json_set(file, "tf32", ct_json_new_integer(here.tf32));
    ct_json_set(file, "workspace", ct_json_new_integer(here.workspace));
    for (int i = 0; ct_gemm_plan_at(i, &key, &algorithm); i++) {
        ct_json *product = ct_json_new_object(), *chosen = ct_json_new_object();
        CT_GEMM_KEY(SET_KEY)
        CT_GEMM_ALGORITHM(SET_ALGORITHM)
        ct_json_set(product, "algorithm", chosen);
        ct_json_add(products, product);
    }
    ct_json_set(file, "products", products);
    return ct_json_write(path, file);
}

/* Missing numbers, and what is none, become -1, which no key and no algorithm has. */
#define GET_KEY(name) key.name = ct_json_integer(ct_json_get(product, #name), -1);
#define GET_ALGORITHM(name) algorithm.name = ct_json_integer(ct_json_get(chosen, #name), -1);
static ct_status take_all(const ct_json *products) {
    for (size_t i = 0; i < ct_json_count(products); i++) {
        const ct_json    *product = ct_json_at(products, i), *chosen = ct_json_get(product, "algorithm");
        ct_gemm_key       key;
        ct_gemm_algorithm algorithm;
        CT_GEMM_KEY(GET_KEY)
        CT_GEMM_ALGORITHM(GET_ALGORITHM)
        CT_TRY(ct_context(ct_gemm_plan_of(&key, &algorithm), "products[%zu]", i));
    }
    return CT_OK;
}

static ct_status agree(const ct_json *file) {
    const ct_gemm_machine here = ct_gemm_machine_here();
    const char           *gpu = ct_json_text(ct_json_get(file, "gpu"), "?");
    const int64_t         library = ct_json_integer(ct_json_get(file, "library"), -1);
    if (strcmp(gpu, here.gpu) != 0 || library != here.library)
        return ct_fail(CT_EFAIL, "chosen on %s with cuBLASLt %lld, this is %s with %lld", gpu, (long long)library,
                       here.gpu, (long long)here.library);
    const int64_t tf32 = ct_json_integer(ct_json_get(file, "tf32"), -1),
                  workspace = ct_json_integer(ct_json_get(file, "workspace"), -1);
    if (tf32 != here.tf32 || workspace != here.workspace)
        return ct_fail(CT_EFAIL, "chosen with tf32 %lld and a workspace of %lld bytes, here are %lld and %lld",
                       (long long)tf32, (long long)workspace, (long long)here.tf32, (long long)here.workspace);
    if (!ct_json_is_array(ct_json_get(file, "products"))) return ct_fail(CT_EFAIL, "no list of products");
    return CT_OK;
}

ct_status ct_cuda_gemm_load(const char *path) {
    ct_arena  arena = {0};
    ct_bytes  text;
    ct_json  *file = NULL;
    ct_status status;
    CT_CATCH(ct_file_read(path, MOST_BYTES, &arena, &text), end);
    CT_CATCH(ct_json_parse((const char *)text.at, text.count, path, &file), end);
    CT_CATCH(ct_context(agree(file), "%s", path), end);
    ct_gemm_forget_plans();
    status = ct_context(take_all(ct_json_get(file, "products")), "%s", path);
    if (status != CT_OK) ct_gemm_forget_plans();
end:
    ct_json_free(file);
    ct_arena_free(&arena);
    return status;
}

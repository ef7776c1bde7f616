/* gemm.c -- products of matrices by oneDNN; the only file that knows it. dnnl_sgemm has the same form in oneDNN 2.x and
 * 3.x and, on blocks of our shapes, the speed of its matmul primitive. */
#include "kernels/gemm.h"

#include <stdlib.h>
#include <string.h>

#ifdef CT_HAVE_DNNL
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>

static bool own_asked(void) {
    const char *asked = getenv("CANTUS_GEMM");
    return asked && strcmp(asked, "own") == 0;
}

bool ct_gemm_library(const ct_gemm *g) {
    static int own = -1; /* every thread would write the same */
    int        known = __atomic_load_n(&own, __ATOMIC_RELAXED);
    if (known < 0) {
        known = own_asked();
        __atomic_store_n(&own, known, __ATOMIC_RELAXED);
    }
    if (known || g->m <= 0 || g->n <= 0 || g->k <= 0) return false;
    return dnnl_sgemm(g->transpose_a ? 'T' : 'N', g->transpose_b ? 'T' : 'N', g->m, g->n, g->k, 1, g->a, g->lda, g->b,
                      g->ldb, g->accumulate ? 1 : 0, g->c, g->ldc) == dnnl_success;
}

void ct_gemm_limit(const char *isa) {
    dnnl_cpu_isa_t most = strcmp(isa, "base") == 0   ? dnnl_cpu_isa_sse41
                          : strcmp(isa, "avx2") == 0 ? dnnl_cpu_isa_avx2
                                                     : dnnl_cpu_isa_avx512_core;
    (void)dnnl_set_max_cpu_isa(most); /* refused once it has run: then it stays as it is */
}

const char *ct_gemm_name(void) {
    static char           name[48];
    const dnnl_version_t *v = dnnl_version();
    if (own_asked()) return "own loops";
    snprintf(name, sizeof name, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
    return name;
}

#else

bool ct_gemm_library(const ct_gemm *g) {
    (void)g;
    return false;
}
void ct_gemm_limit(const char *isa) {
    (void)isa;
}
const char *ct_gemm_name(void) {
    return "own loops";
}

#endif

/* backend.c -- the backends' tables: "reference" by dtype, "cpu" by the machine's instruction set. */
#include "core/arena.h"
#include "kernels/gemm.h"
#include "kernels/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef _OPENMP
#include <omp.h>
#endif

/* ---- reference: both precisions of every op, and what naive mixed precision makes of it */
#define REFERENCE(name, tolerance, flops)                                                                              \
    ct_status        ct_reference_##name##_float(const ct_params *params);                                             \
    ct_status        ct_reference_##name##_double(const ct_params *params);                                            \
    ct_status        ct_reference_##name##_mixed(const ct_params *params);                                             \
    static ct_status reference_##name(const ct_params *params) {                                                       \
        return params->dtype == CT_F64 ? ct_reference_##name##_double(params) : ct_reference_##name##_float(params);   \
    }
CT_OPS(REFERENCE)

#define REFERENCE_ENTRY(name, tolerance, flops) [CT_OP_##name] = reference_##name,
const ct_backend *ct_backend_reference(void) {
    static const ct_backend backend = {.name = "reference", .run = {CT_OPS(REFERENCE_ENTRY)}, .f64 = true};
    return &backend;
}

#define MIXED_ENTRY(name, tolerance, flops) [CT_OP_##name] = ct_reference_##name##_mixed,
const ct_backend *ct_backend_reference_mixed(void) {
    static const ct_backend backend = {.name = "reference (mixed)", .run = {CT_OPS(MIXED_ENTRY)}};
    return &backend;
}

/* ---- cpu: one table per instruction set; the best that this machine has, or the one that CANTUS_ISA names */
#define ENTRY_base(name, tolerance, flops) [CT_OP_##name] = ct_cpu_##name##_base,
#define DECLARE_base(name, tolerance, flops) ct_status ct_cpu_##name##_base(const ct_params *params);
CT_OPS(DECLARE_base)
static const ct_backend base = {.name = "cpu", .run = {CT_OPS(ENTRY_base)}};

#ifdef __x86_64__
#define ENTRY_avx2(name, tolerance, flops) [CT_OP_##name] = ct_cpu_##name##_avx2,
#define DECLARE_avx2(name, tolerance, flops) ct_status ct_cpu_##name##_avx2(const ct_params *params);
CT_OPS(DECLARE_avx2)
static const ct_backend avx2 = {.name = "cpu", .run = {CT_OPS(ENTRY_avx2)}};

#define ENTRY_avx512(name, tolerance, flops) [CT_OP_##name] = ct_cpu_##name##_avx512,
#define DECLARE_avx512(name, tolerance, flops) ct_status ct_cpu_##name##_avx512(const ct_params *params);
CT_OPS(DECLARE_avx512)
static const ct_backend avx512 = {.name = "cpu", .run = {CT_OPS(ENTRY_avx512)}};

static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
static bool has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

typedef struct isa {
    const char       *name;
    const ct_backend *backend;
    bool              present;
} isa;

static const isa *choose(void) {
    static isa        known[3];
    static const isa *chosen; /* every thread would choose the same */
    const isa        *now = __atomic_load_n(&chosen, __ATOMIC_ACQUIRE);
    if (now) return now;
    int count = 0;
#ifdef __x86_64__
    known[count++] = (isa){"avx512", &avx512, has_avx512()};
    known[count++] = (isa){"avx2", &avx2, has_avx2()};
#endif
    known[count++] = (isa){"base", &base, true};
    const char *asked = getenv("CANTUS_ISA");
    for (int i = 0; i < count && !now; i++)
        if (known[i].present && (!asked || !*asked || strcmp(asked, known[i].name) == 0)) now = &known[i];
    if (!now) {
        for (int i = 0; i < count && !now; i++)
            if (known[i].present) now = &known[i];
        fprintf(stderr,
                "cantus: warning: CANTUS_ISA=%s: this machine does not have it (base, avx2, avx512); using %s\n", asked,
                now->name);
    }
    ct_gemm_limit(now->name);
    __atomic_store_n(&chosen, now, __ATOMIC_RELEASE);
    return now;
}

const ct_backend *ct_backend_cpu(void) {
    return choose()->backend;
}
const char *ct_cpu_isa(void) {
    return choose()->name;
}
const char *ct_cpu_gemm(void) {
    return ct_gemm_name();
}
int ct_cpu_threads(void) {
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double ct_cpu_measure_gemm(void) {
    enum { SIZE = 512 };
    /* the system takes a while to move a new team's threads to cores of their own */
    const double enough = ct_cpu_threads() > 1 ? 0.1 : 0.02;
    double       best = 0, began = seconds();
    ct_arena     arena = {0};
    float       *matrix = CT_NEW(&arena, float, 3 * SIZE * SIZE);
    if (!matrix) return 0;
    for (int i = 0; i < 3 * SIZE * SIZE; i++) matrix[i] = (float)(i % 7) - 3;
    ct_params params = {.linear = {.rows = SIZE,
                                   .in = SIZE,
                                   .out = SIZE,
                                   .x = matrix,
                                   .w = matrix + SIZE * SIZE,
                                   .y = matrix + 2 * SIZE * SIZE}};
    for (int run = 0; run < 3 || seconds() - began < enough; run++) {
        double start = seconds();
        if (ct_op_run(ct_backend_cpu(), CT_OP_linear, &params) != CT_OK) break;
        double rate = 2.0 * SIZE * SIZE * SIZE / (seconds() - start);
        if (rate > best) best = rate;
    }
    ct_arena_free(&arena);
    return best;
}

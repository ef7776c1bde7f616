/* kernels_report.c -- a table of all kernels in Markdown, for kernels/README.md: what ptxas says of each for every
 * architecture, how many warps a multiprocessor holds, what the op has to move and compute, and how well its requests
 * to memory are put together, counted by the emulator from the PTX. Nothing here is a speed: what bounds an op is an
 * estimate from data sheets.
 *
 * Usage: kernels_report FOLDER     with FOLDER/sm_90/NAME.txt what `nvcc -Xptxas -v` printed
 */
#include "kernels/cuda/cuda.h"
#include "tests/emulator/device_arrays.h"

#include <cuda_occupancy.h>
#include <dirent.h>
#include <errno.h>
#include <unistd.h>

/* NVIDIA's data sheets and the programming guide's table of compute capabilities: a card of each architecture. */
typedef struct card {
    const char       *name, *architecture;
    cudaOccDeviceProp about;
    double            bytes, flops; /* a second; flops in fp32 without tensor cores */
} card;
#define KB *1024
static const card cards[] = {
    {"A100 SXM", "sm_80", {8, 0, 1024, 2048, 65536, 65536, 32, 48 KB, 164 KB, 108, 163 KB, 1 KB}, 2.039e12, 19.5e12},
    {"H100 SXM", "sm_90", {9, 0, 1024, 2048, 65536, 65536, 32, 48 KB, 228 KB, 132, 227 KB, 1 KB}, 3.35e12, 66.9e12},
    {"B200", "sm_100", {10, 0, 1024, 2048, 65536, 65536, 32, 48 KB, 228 KB, 148, 227 KB, 1 KB}, 8e12, 80e12},
    {"RTX 5090", "sm_120", {12, 0, 1024, 1536, 65536, 65536, 32, 48 KB, 100 KB, 170, 99 KB, 1 KB}, 1.792e12, 104.8e12},
};
#undef KB

/* ---- what ptxas says */
typedef struct usage {
    int registers, stack, spilled; /* bytes; registers -1: not found */
    int shared;                    /* static */
} usage;
static bool incomplete; /* something that the table needs was not found */

/* The number that stands before or after some words of a line. */
static bool number_after(const char *line, const char *words, int *out) {
    const char *at = strstr(line, words);
    if (at) *out = (int)strtol(at + strlen(words), NULL, 10);
    return at != NULL;
}
static bool number_before(const char *line, const char *words, int *out) {
    const char *at = strstr(line, words);
    while (at && at > line && at[-1] != ' ') at--;
    if (at) *out = (int)strtol(at, NULL, 10);
    return at != NULL;
}

static void read_usage(const char *path, const char *symbol, usage *out) {
    char  line[2048];
    bool  here = false;
    FILE *f = fopen(path, "r");
    if (!f) return;
    while (fgets(line, sizeof line, f)) {
        char *quote = strchr(line, '\''), *end = quote ? strchr(quote + 1, '\'') : NULL;
        int   stores = 0, loads = 0;
        if (strstr(line, "Compiling entry function") && end) {
            *end = 0;
            here = !strcmp(quote + 1, symbol);
        } else if (here && number_before(line, " bytes stack frame", &out->stack)) {
            number_before(line, " bytes spill stores", &stores);
            number_before(line, " bytes spill loads", &loads);
            out->spilled = stores + loads;
        } else if (here && number_after(line, "Used ", &out->registers))
            number_before(line, " bytes smem", &out->shared);
    }
    fclose(f);
}

static usage usage_of(const char *folder, const char *architecture, const char *symbol) {
    usage found = {.registers = -1};
    char  path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, architecture);
    DIR                 *list = opendir(path);
    const struct dirent *entry;
    while (list && (entry = readdir(list))) {
        snprintf(path, sizeof path, "%s/%s/%s", folder, architecture, entry->d_name);
        if (strstr(entry->d_name, ".txt") && found.registers < 0) read_usage(path, symbol, &found);
    }
    if (list) closedir(list);
    if (found.registers < 0) {
        fprintf(stderr, "%s: in %s/%s ptxas has said nothing of it (hint: make kernels-report)\n", symbol, folder,
                architecture);
        incomplete = true;
    }
    return found;
}

/* Warps that a multiprocessor holds, as a share of those it could. */
static double occupancy(const card *c, const usage *u, const emulator_kernel *k) {
    cudaOccResult         result;
    cudaOccDeviceState    state = {.cacheConfig = CACHE_PREFER_NONE, .carveoutConfig = SHAREDMEM_CARVEOUT_DEFAULT};
    cudaOccFuncAttributes kernel = {.maxThreadsPerBlock = 1024,
                                    .numRegs = u->registers,
                                    .sharedSizeBytes = (size_t)u->shared,
                                    .shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN,
                                    .maxDynamicSharedSizeBytes = c->about.sharedMemPerBlockOptin};
    if (cudaOccMaxActiveBlocksPerMultiprocessor(&result, &c->about, &kernel, &state, (int)k->threads, k->shared) !=
        CUDA_OCC_SUCCESS)
        return NAN;
    return (double)result.activeBlocksPerMultiprocessor * k->threads / c->about.maxThreadsPerMultiprocessor;
}

/* ---- shapes: those of a model of width 256 with 4 heads, vocabulary 512, fewer rows than in training */
#define SHAPE(o, ...)                                                                                                  \
    {                                                                                                                  \
        .op = CT_OP_##o, .name = #o, .params.o = { __VA_ARGS__ }                                                       \
    }
static const op_case shapes[] = {
    SHAPE(rows_embed, .rows = 512, .columns = 20, .table_rows = 1000, .width = 256),
    SHAPE(rows_embed_backward, .rows = 512, .columns = 20, .table_rows = 1000, .width = 256),
    SHAPE(rotary_rows, .rows = 512, .sources = 3, .pairs = 32),
    SHAPE(harmony, .batch = 2, .heads = 4, .queries = 64, .keys = 128, .qualities = 16, .theory = 7),
    SHAPE(harmony_backward, .batch = 2, .heads = 4, .queries = 64, .keys = 128, .qualities = 16, .theory = 7),
    SHAPE(harmony_mlp, .batch = 1, .heads = 4, .queries = 16, .keys = 32, .qualities = 16, .size = 8, .hidden = 32),
    SHAPE(harmony_mlp_backward, .batch = 1, .heads = 4, .queries = 16, .keys = 32, .qualities = 16, .size = 8,
          .hidden = 32),
    SHAPE(layernorm, .rows = 256, .width = 256, .dropout = 0.1f, .stream = 3),
    SHAPE(layernorm_backward, .rows = 256, .width = 256, .dropout = 0.1f, .stream = 3),
    SHAPE(linear_rows, .rows = 4, .in = 256, .out = 256),
    SHAPE(gelu, .rows = 64, .width = 1024),
    SHAPE(gelu_backward, .rows = 64, .width = 1024),
    SHAPE(attention, .batch = 1, .tokens = 128, .memory = 128, .heads = 4, .head = 64, .queries = 32, .keys = 64,
          .dropout = 0.1f, .stream = 9, .scale = 0.125),
    SHAPE(memory_update, .batch = 4, .tokens = 64, .memory = 192, .width = 256),
    SHAPE(cross_entropy, .rows = 256, .vocabulary = 512),
    SHAPE(grad_norm, .count = 262144),
    SHAPE(adamw, .count = 65536, .tensors = 12, .beta1 = 0.9, .beta2 = 0.98, .epsilon = 1e-8, .weight_decay = 0.1),
    SHAPE(sample, .batch = 4, .vocabulary = 512, .top_k = 40, .temperature = 1, .top_p = 0.9),
};

static void sizes(const op_case *c, char *text, size_t size) { /* "256 x 512" */
    const ct_op_info *info = ct_op_about(c->op);
    size_t            used = 0;
    text[0] = 0;
    for (int i = 0; i < info->field_count && used < size; i++) {
        int64_t n;
        if (info->fields[i].role != CT_ROLE_SIZE) continue;
        memcpy(&n, (const char *)&c->params + info->fields[i].offset, sizeof n);
        used += (size_t)snprintf(text + used, size - used, "%s%s %lld", used ? ", " : "", info->fields[i].name,
                                 (long long)n);
    }
}

/* Does the op have arrays whose type is the dtype's? Of the others both dtypes are the same kernels. */
static bool has_reals(const ct_op_info *info) {
    for (int i = 0; i < info->field_count; i++)
        if (info->fields[i].type == CT_TYPE_real) return true;
    return false;
}

static void print_kernel(const char *folder, const op_case *c, const emulator_kernel *k, bool first,
                         const op_arrays *a) {
    char   shape[256], registers[64] = "", resident[64] = "", bound[64] = "";
    int    stack = 0, spilled = 0, shared = 0;
    double bytes = ct_op_bytes(c->op, &a->params), flops = a->info->flops(&a->params);
    for (size_t i = 0; i < CT_COUNT(cards); i++) {
        usage u = usage_of(folder, cards[i].architecture, k->symbol);
        stack += u.stack;
        spilled += u.spilled;
        if (u.shared > shared) shared = u.shared;
        snprintf(registers + strlen(registers), sizeof registers - strlen(registers), "%s%d", i ? " " : "",
                 u.registers);
        snprintf(resident + strlen(resident), sizeof resident - strlen(resident), "%s%.0f", i ? " " : "",
                 100 * occupancy(&cards[i], &u, k));
        if (flops / cards[i].flops > bytes / cards[i].bytes)
            snprintf(bound + strlen(bound), sizeof bound - strlen(bound), " %s", cards[i].name);
    }
    sizes(c, shape, sizeof shape);
    if (first)
        printf("| %s%s: %s | | | | | | | | | | |\n", c->name, a->params.dtype == CT_BF16 ? " in bf16" : "", shape);
    printf("| | `%s` | %u | %s | %d, %d | %zu | %s | ", k->name, k->threads, registers, stack, spilled,
           k->shared + (size_t)shared, resident);
    if (first)
        printf("%.0f KB, %.2f | %s%s | ", bytes / 1e3, flops / bytes, *bound ? "arithmetic on" : "memory", bound);
    else
        printf("| | ");
    if (k->requests)
        printf("%.2f (%.2f) | ", (double)k->sectors / (double)k->requests,
               (double)k->fewest_sectors / (double)k->requests);
    else
        printf("- | ");
    if (k->shared_requests)
        printf("%.2f (%.2f) |\n", (double)k->passes / (double)k->shared_requests,
               (double)k->fewest_passes / (double)k->shared_requests);
    else
        printf("- |\n");
}

static void report_op(const char *folder, const op_case *c, ct_dtype dtype) {
    emulator_kernel k;
    op_arrays       arrays = op_arrays_make(c, dtype);
    emulator_count_kernels();
    if (run_on_device(c->op, &arrays) != CT_OK) {
        fprintf(stderr, "%s: %s\n", c->name, ct_message());
        incomplete = true;
    }
    for (int n = 0; emulator_kernel_at(n, &k); n++) print_kernel(folder, c, &k, n == 0, &arrays);
    op_arrays_free(&arrays);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: kernels_report FOLDER\n");
        return 2;
    }
    for (size_t i = 0; i < CT_COUNT(cards); i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], cards[i].architecture);
        if (access(path, R_OK) == 0) continue;
        fprintf(stderr, "%s: %s; what ptxas said lies there (hint: make kernels-report)\n", path, strerror(errno));
        return 1;
    }
    emulator_use_front_end(0);
    printf("| op | kernel | threads | registers | stack, spills | shared | warps, %% | moves, flop a byte | bound by | "
           "sectors a request | passes a request |\n|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < CT_COUNT(shapes); i++) {
        const op_case *c = &shapes[i];
        if (!ct_backend_cuda()->run[c->op]) continue;
        report_op(argv[1], c, CT_F32);
        if (has_reals(ct_op_about(c->op))) report_op(argv[1], c, CT_BF16);
    }
    return incomplete;
}

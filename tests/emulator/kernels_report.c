/* kernels_report.c -- a table of all kernels in Markdown, for kernels/README.md: what ptxas says of each for every
 * architecture, how many warps a multiprocessor holds, what the op has to move and compute, and how well its requests
 * to memory are put together, counted by the emulator from the PTX; then those of attention alone
 * (attention_report.h). Nothing here is a speed: what bounds an op is an estimate from data sheets.
 *
 * Usage: kernels_report FOLDER     with FOLDER/sm_90/NAME.txt what `nvcc -Xptxas -v` printed
 * Exit status: 1 when the tables are not complete, 3 when they are, but a kernel has spills or a stack.
 */
#include "tests/emulator/attention_report.h"
#include "tests/emulator/cards.h"
#include "tests/emulator/device_arrays.h"

static bool incomplete; /* something that the table needs was not found */

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
    SHAPE(attention_backward, .batch = 1, .tokens = 128, .memory = 128, .heads = 4, .head = 64, .queries = 32,
          .keys = 64, .dropout = 0.1f, .stream = 9, .scale = 0.125),
    SHAPE(attention_decode, .batch = 4, .capacity = 512, .heads = 4, .head = 64, .keys = 64, .scale = 0.125),
    SHAPE(memory_update, .batch = 4, .tokens = 64, .memory = 192, .width = 256),
    SHAPE(cross_entropy, .rows = 256, .vocabulary = 512),
    SHAPE(narrow, .count = 65536),
    SHAPE(widen, .count = 65536),
    SHAPE(grad_squares, .count = 262144),
    SHAPE(grad_norm, .blocks = 1024),
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
    char         shape[256], bound[64] = "";
    double       bytes = ct_op_bytes(c->op, &a->params), flops = a->info->flops(&a->params);
    kernel_usage u;
    if (!usage_of_kernel(folder, k, &u)) incomplete = true;
    for (int i = 0; i < CARDS; i++)
        if (flops / cards[i].flops > bytes / cards[i].bytes)
            snprintf(bound + strlen(bound), sizeof bound - strlen(bound), " %s", cards[i].name);
    sizes(c, shape, sizeof shape);
    if (first)
        printf("| %s%s: %s | | | | | | | | | | |\n", c->name, a->params.dtype == CT_BF16 ? " in bf16" : "", shape);
    printf("| | `%s` | %u | %s | %d, %d | %zu | %s | ", k->name, k->threads, u.registers, u.stack, u.spilled, u.shared,
           u.resident);
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
    int spilling = usage_spills(argv[1]);
    if (spilling < 0) return 1;
    emulator_use_front_end(0);
    printf("| op | kernel | threads | registers | stack, spills | shared | warps, %% | moves, flop a byte | bound by | "
           "sectors a request | passes a request |\n|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < CT_COUNT(shapes); i++) {
        const op_case *c = &shapes[i];
        if (!ct_backend_cuda()->run[c->op]) continue;
        report_op(argv[1], c, CT_F32);
        if (has_reals(ct_op_about(c->op))) report_op(argv[1], c, CT_BF16);
    }
    if (!attention_report(argv[1])) incomplete = true;
    return incomplete ? 1 : spilling > 0 ? 3 : 0;
}

/* attention_report.c -- see attention_report.h. The walks state the tiles of kernels/cuda/attention.cu and
 * attention_backward.cu for heads up to 64; that they are those is checked by the number of mma. */
#include "attention_report.h"

#include "tests/emulator/cards.h"
#include "tests/emulator/device_arrays.h"

static bool incomplete;

/* ---- runs: one slice, segments as of a song in which chords last eight tokens, the memory's before the tokens' */
enum { TOKENS = 256, MEMORY = 256, HEAD = 64, CHORDS = 32 };
typedef enum variant { PLAIN_RUN, WITHOUT_G, WITH_DROPOUT } variant;
typedef struct counted {
    emulator_kernel kernels[8], all; /* all: only counts */
    int             count;
    double          least; /* bytes of the op's arrays, each once */
} counted;

static void set_segments(op_arrays *a, const char *field, int64_t count, int from) {
    int32_t *segment = array_of(a, field_index(a->info, field));
    for (int64_t i = 0; segment && i < count; i++) segment[i] = from + (int32_t)(i * CHORDS / count);
}

static ct_params shape_of(ct_op op, variant v) {
    ct_params          p = {.attention = {.dtype = CT_F32}};
    const ct_attention sizes = {.batch = 1,
                                .tokens = TOKENS,
                                .memory = MEMORY,
                                .heads = 1,
                                .head = HEAD,
                                .queries = CHORDS,
                                .keys = 2 * CHORDS,
                                .dropout = v == WITH_DROPOUT ? 0.1f : 0,
                                .stream = 9,
                                .scale = 0.125};
    const ct_params    of_forward = {.attention = sizes};
    copy_scalars(ct_op_about(CT_OP_attention), &of_forward, ct_op_about(op), &p);
    return p;
}

static void run(const op_case *c, ct_dtype dtype, counted *out) {
    op_arrays a = op_arrays_make(c, dtype);
    *out = (counted){.least = ct_op_bytes(c->op, &a.params)};
    if (c->op != CT_OP_attention_decode) {
        const ct_attention *p = &c->params.attention; /* its gradient begins alike */
        set_segments(&a, "segment_query", p->tokens, 0);
        set_segments(&a, "segment_key", p->tokens, CHORDS);
        set_segments(&a, "segment_memory", p->memory, 0);
    }
    emulator_count_kernels();
    if (run_on_device(c->op, &a) != CT_OK) {
        fprintf(stderr, "%s: %s\n", c->name, ct_message());
        incomplete = true;
    }
    for (emulator_kernel k; out->count < (int)CT_COUNT(out->kernels) && emulator_kernel_at(out->count, &k);) {
        out->kernels[out->count++] = k;
        out->all.sectors += k.sectors;
        out->all.passes += k.passes;
        out->all.instructions += k.instructions;
    }
    op_arrays_free(&a);
}
static void run_variant(ct_op op, ct_dtype dtype, variant v, counted *out) {
    op_case c = {.op = op, .name = ct_op_about(op)->name, .params = shape_of(op, v)};
    if (v == WITHOUT_G) {
        c.missing = " g dg segment_query segment_key segment_memory ";
        c.forward_missing = " g segment_query segment_key segment_memory ";
    }
    run(&c, dtype, out);
}

/* ---- instances */
typedef struct instance {
    emulator_kernel kernel;
    int             head; /* 0: any */
    ct_dtype        dtype;
} instance;

static void add_instances(const op_case *c, int head, ct_dtype dtype, instance *list, size_t *count, size_t most) {
    counted r;
    run(c, dtype, &r);
    for (int k = 0; k < r.count && *count < most; k++) {
        size_t i = 0;
        while (i < *count && strcmp(list[i].kernel.symbol, r.kernels[k].symbol) != 0) i++;
        if (i < *count)
            list[i].head = list[i].head == head ? head : 0; /* of more than one: any */
        else
            list[(*count)++] = (instance){r.kernels[k], head, dtype};
    }
}

static void print_instances(const char *folder) {
    static instance    list[64];
    size_t             count = 0;
    static const ct_op ops[] = {CT_OP_attention, CT_OP_attention_backward, CT_OP_attention_decode};
    for (size_t o = 0; o < CT_COUNT(ops); o++)
        for (int bf16 = 0; bf16 < 2; bf16++)
            for (int head = 32; head <= 128; head *= 2) {
                op_case c = {.op = ops[o], .name = ct_op_about(ops[o])->name};
                if (ops[o] == CT_OP_attention_decode)
                    c.params.attention_decode = (ct_attention_decode){
                        .batch = 1, .capacity = 16, .heads = 1, .head = head, .keys = 4, .scale = 0.125};
                else {
                    c.params = shape_of(ops[o], PLAIN_RUN);
                    c.params.attention.tokens = 16;
                    c.params.attention.memory = 0;
                    c.params.attention.head = head;
                }
                add_instances(&c, head, bf16 ? CT_BF16 : CT_F32, list, &count, CT_COUNT(list));
            }
    printf(
        "\n**Instances of attention**, for heads of up to 32, 64 and 128; columns as above.\n\n"
        "| kernel | type | head | registers | stack, spills | shared | warps, %% |\n|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < count; i++) {
        kernel_usage u;
        char         head[16] = "any";
        if (!usage_of_kernel(folder, &list[i].kernel, &u)) incomplete = true;
        if (list[i].head) snprintf(head, sizeof head, "%d", list[i].head);
        printf("| `%.*s` | %s | %s | %s | %d, %d | %zu | %s |\n", (int)strcspn(list[i].kernel.name, "<"),
               list[i].kernel.name, list[i].dtype == CT_BF16 ? "bf16" : "fp32", head, u.registers, u.stack, u.spilled,
               u.shared, u.resident);
    }
}

/* ---- what a kernel goes over: its blocks own tiles of one side, and go over tiles of the other up to the diagonal */
typedef struct walk {
    bool of_keys;
    int  own, other; /* rows of a tile */
    int  products;
} walk;
static const walk forward_walk[] = {{false, 64, 64, 2}}, backward_walks[] = {{false, 64, 32, 3}, {true, 64, 32, 4}};

typedef struct walked {
    double pairs, own_rows, other_rows; /* pairs: of whole tiles; rows that are read, there are */
} walked;
static walked walk_over(walk w) {
    walked    sum = {0, 0, 0};
    const int rows = w.of_keys ? MEMORY + TOKENS : TOKENS, others = w.of_keys ? TOKENS : MEMORY + TOKENS;
    for (int first = 0; first < rows; first += w.own) {
        const int own = first + w.own < rows ? w.own : rows - first;
        int       begin = 0, end = others;
        if (w.of_keys)
            begin = (first > MEMORY ? first - MEMORY : 0) / w.other * w.other;
        else
            end = MEMORY + first + own;
        const int tiles = (end - begin + w.other - 1) / w.other;
        sum.pairs += (double)w.own * w.other * tiles;
        sum.own_rows += own;
        sum.other_rows += begin + w.other * tiles < others ? w.other * tiles : others - begin;
    }
    return sum;
}
static double seen_pairs(void) {
    return (double)TOKENS * (MEMORY + 0.5 * (TOKENS + 1));
}
static double mma_of(double pairs) { /* one product */
    return pairs * HEAD / (16 * 8 * 16);
}

static void print_mma_row(const char *name, const walk *w, const emulator_kernel *k) {
    double whole = w->products * mma_of(walk_over(*w).pairs), seen = w->products * mma_of(seen_pairs());
    printf("| %s | %d | %llu | %.0f | %.0f | %.0f %% | %llu | %llu |\n", name, w->products, (unsigned long long)k->mma,
           whole, seen, 100 * (1 - seen / (double)k->mma), (unsigned long long)k->ldmatrix,
           (unsigned long long)k->copies);
    if ((double)k->mma == whole) return;
    fprintf(stderr, "%s executes %llu mma, its tiles have %.0f: the walks of attention_report.c are not the kernels'\n",
            name, (unsigned long long)k->mma, whole);
    incomplete = true;
}
static void print_mma(const counted *forward, const counted *backward) {
    const walk of_flash = {true, 64, 64, 5};
    double     seen = mma_of(seen_pairs()), whole = mma_of(walk_over(of_flash).pairs);
    printf(
        "\n**Products of attention in bf16**: %d tokens after a memory of %d, one head of %d, no dropout. `mma` "
        "m16n8k16 "
        "that warps execute, as counted; those\nin the whole tiles that the kernel goes over, and those that the pairs "
        "that are seen would fill (causal: the memory and half a square), by formula;\n*wasted*: of the executed ones, "
        "what the tiles at the diagonal have above it. Backward needs five products; our two kernels, which share\n"
        "nothing, both make q k' and dy v', so seven. FlashAttention-2's five are those of tiles of 64 x 64, by "
        "formula.\n\n"
        "| kernel | products | mma | in whole tiles | of seen pairs | wasted | ldmatrix | cp.async |\n"
        "|---|---|---|---|---|---|---|---|\n",
        TOKENS, MEMORY, HEAD);
    print_mma_row("attention", &forward_walk[0], &forward->kernels[1]);
    print_mma_row("attention_backward, of queries", &backward_walks[0], &backward->kernels[2]);
    print_mma_row("attention_backward, of keys", &backward_walks[1], &backward->kernels[3]);
    printf("| FlashAttention-2, backward | 5 | - | %.0f | %.0f | %.0f %% | - | - |\n", 5 * whole, 5 * seen,
           100 * (1 - seen / whole));
}

/* ---- bytes of device memory
 *
 * FlashAttention-2 (Dao 2023) for the same pairs. Algorithm 1: a block of rows of Q reads K and V up to the diagonal
 * and writes O and the log sum. Algorithm 2: D = <dO, O> first; a block of rows of K and V reads, from the diagonal on,
 * Q, dO, log sum and D, and adds to dQ in float; it writes dK and dV. */
static double flash_forward(int block, double size) {
    walked w = walk_over((walk){false, block, 1, 2});
    return w.own_rows * (2 * HEAD * size + 4) + w.other_rows * 2 * HEAD * size;
}
static double flash_backward(int block, double size) {
    walked w = walk_over((walk){true, block, 1, 5});
    return TOKENS * (2 * HEAD * size + 4) + w.own_rows * 4 * HEAD * size +
           w.other_rows * (2 * HEAD * size + 2 * 4 + 2 * 4 * HEAD);
}
/* What turns queries and keys, as counted. */
static double turning_bytes(const counted *run) {
    for (int i = 0; i < run->count; i++)
        if (!strcmp(run->kernels[i].name, "attention_turn_kernel")) return 32 * (double)run->kernels[i].sectors;
    incomplete = true;
    return 0;
}
static void print_bytes_row(bool backward, ct_dtype dtype, const counted *plain, const counted *without) {
    const double size = dtype == CT_BF16 ? 2 : 4, bytes = 32 * (double)plain->all.sectors;
    const double g = bytes - 32 * (double)without->all.sectors, turning = turning_bytes(plain);
    const double flash = backward ? flash_backward(64, size) : flash_forward(64, size);
    printf("| %s in %s | %.0f | %.0f | %.0f | %.0f | %.0f | %.0f | %.0f |\n",
           backward ? "attention_backward" : "attention", dtype == CT_BF16 ? "bf16" : "fp32", bytes / 1e3,
           turning / 1e3, g / 1e3, (bytes - turning - g) / 1e3, flash / 1e3,
           (backward ? flash_backward(128, size) : flash_forward(128, size)) / 1e3, plain->least / 1e3);
}

/* ---- what H-RPE costs */
static void print_share(uint64_t with, uint64_t without) {
    printf(" %.0f K, x %.2f |", (double)without / 1e3, (double)with / (double)without);
}
static void print_cost_row(bool backward, ct_dtype dtype, const counted *plain, const counted *without,
                           const counted *dropout) {
    printf("| %s in %s |", backward ? "attention_backward" : "attention", dtype == CT_BF16 ? "bf16" : "fp32");
    print_share(plain->all.instructions, without->all.instructions);
    print_share(plain->all.sectors, without->all.sectors);
    print_share(plain->all.passes, without->all.passes);
    printf(" x %.2f |\n", (double)dropout->all.instructions / (double)plain->all.instructions);
}

bool attention_report(const char *folder) {
    static counted        runs[2][2][WITH_DROPOUT + 1]; /* backward?, bf16?, variant */
    static const ct_op    ops[] = {CT_OP_attention, CT_OP_attention_backward};
    static const ct_dtype dtypes[] = {CT_F32, CT_BF16};
    print_instances(folder);
    for (int o = 0; o < 2; o++)
        for (int t = 0; t < 2; t++)
            for (int v = 0; v <= WITH_DROPOUT; v++) run_variant(ops[o], dtypes[t], (variant)v, &runs[o][t][v]);
    print_mma(&runs[0][1][PLAIN_RUN], &runs[1][1][PLAIN_RUN]);
    printf(
        "\n**Bytes of device memory** in KB, the same shape. *Counted*: sectors that requests touch, 32 bytes each, as "
        "if "
        "there were no caches; keys and values\nthat each block reads anew come from L2 mostly. Of these *turning*: "
        "the kernel "
        "that turns queries and keys, once; *G*, its segments and its gradient,\nas the difference to the same run "
        "without; "
        "*the rest*, to be compared with FlashAttention-2's for the same pairs and type by formula (Dao "
        "2023:\nalgorithm "
        "1 by blocks of 64 or 128 queries, algorithm 2 by blocks of 64 or 128 keys, with dQ added to in float), which "
        "is "
        "given turned rows. *Arrays once*:\nthe least that the op can move.\n\n"
        "| op | counted | turning | G | the rest | FlashAttention-2, 64 | 128 | arrays once |\n"
        "|---|---|---|---|---|---|---|---|\n");
    for (int o = 0; o < 2; o++)
        for (int t = 0; t < 2; t++) print_bytes_row(o, dtypes[t], &runs[o][t][PLAIN_RUN], &runs[o][t][WITHOUT_G]);
    printf(
        "\n**What G costs** (H-RPE's second mechanism), the same shape: counts without G, and how many times as much "
        "with it, %d segments of queries and %d\nof keys; backward with its gradient. Instructions of PTX that warps "
        "execute, sectors of device memory, passes over the banks of shared memory.\nBeside it what dropout of 0.1 "
        "does to the instructions, with G.\n\n"
        "| op | instructions, with G | sectors, with G | passes, with G | with dropout |\n|---|---|---|---|---|\n",
        CHORDS, 2 * CHORDS);
    for (int o = 0; o < 2; o++)
        for (int t = 0; t < 2; t++)
            print_cost_row(o, dtypes[t], &runs[o][t][PLAIN_RUN], &runs[o][t][WITHOUT_G], &runs[o][t][WITH_DROPOUT]);
    return !incomplete;
}

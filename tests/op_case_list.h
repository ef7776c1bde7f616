/* op_case_list.h -- the cases of op_cases.h. Sizes: one, odd, prime, around the sizes of vectors and tiles, empty, and
 * large enough for threads (CT_SMALL). */
#ifndef CT_TESTS_OP_CASE_LIST_H
#define CT_TESTS_OP_CASE_LIST_H

/* clang-format off */
#define CASE(o, n, ...) {.op = CT_OP_##o, .name = #o " " n, __VA_ARGS__}
#define EMBED(o, n, r, c, t, w, ...) CASE(o, n, .params.o = {.rows = r, .columns = c, .table_rows = t, .width = w}, __VA_ARGS__)
#define HARMONY(o, n, b, h, a, k, q, t, ...) \
    CASE(o, n, .params.o = {.batch = b, .heads = h, .queries = a, .keys = k, .qualities = q, .theory = t}, __VA_ARGS__)
#define MLP(o, n, b, h, a, k, q, s, m, ...) \
    CASE(o, n, .params.o = {.batch = b, .heads = h, .queries = a, .keys = k, .qualities = q, .size = s, .hidden = m}, __VA_ARGS__)
#define NORM(o, n, r, w, d, ...) CASE(o, n, .params.o = {.rows = r, .width = w, .dropout = d, .stream = 3}, __VA_ARGS__)
#define GELU(o, n, r, w, ...) CASE(o, n, .params.o = {.rows = r, .width = w}, __VA_ARGS__)
#define LINEAR(o, n, r, i, u, ...) CASE(o, n, .params.o = {.rows = r, .in = i, .out = u}, __VA_ARGS__)
#define ATTENTION(o, n, b, t, m, h, d, q, k, p, ...) \
    CASE(o, n, .params.o = {.batch = b, .tokens = t, .memory = m, .heads = h, .head = d, .queries = q, .keys = k, \
                            .dropout = p, .stream = 9, .scale = 0.5}, __VA_ARGS__)
#define DECODE(n, b, c, h, d, k, ...) \
    CASE(attention_decode, n, .params.attention_decode = {.batch = b, .capacity = c, .heads = h, .head = d, .keys = k, .scale = 0.5}, __VA_ARGS__)
#define MEMORY(n, b, t, m, w, ...) \
    CASE(memory_update, n, .params.memory_update = {.batch = b, .tokens = t, .memory = m, .width = w}, __VA_ARGS__)
#define ENTROPY(n, r, v, ...) CASE(cross_entropy, n, .params.cross_entropy = {.rows = r, .vocabulary = v}, __VA_ARGS__)
#define ADAMW(n, c, t, ...) \
    CASE(adamw, n, .params.adamw = {.count = c, .tensors = t, .beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-8, .weight_decay = 0.1}, __VA_ARGS__)
#define SAMPLE(n, b, v, k, t, p, ...) \
    CASE(sample, n, .params.sample = {.batch = b, .vocabulary = v, .top_k = k, .temperature = t, .top_p = p}, __VA_ARGS__)
#define PLAIN .flags = 0
#define NO_G .missing = " g dg segment_query segment_key segment_memory ", \
             .forward_missing = " g segment_query segment_key segment_memory "

__attribute__((unused)) static const op_case op_cases[] = {
    EMBED(rows_embed, "one", 1, 1, 1, 1, PLAIN),
    EMBED(rows_embed, "odd", 37, 5, 61, 33, PLAIN),
    EMBED(rows_embed, "empty", 0, 3, 9, 8, PLAIN),
    EMBED(rows_embed, "whole", 130, 7, 90, 128, .flags = WHOLE),
    EMBED(rows_embed, "wide", 5, 4, 8, 260, PLAIN),
    EMBED(rows_embed, "fours", 5, 4, 12, 8, .flags = FOURS),
    EMBED(rows_embed_backward, "one", 1, 1, 1, 1, PLAIN),
    EMBED(rows_embed_backward, "odd", 37, 5, 61, 33, PLAIN),
    EMBED(rows_embed_backward, "empty", 0, 3, 9, 8, PLAIN),
    EMBED(rows_embed_backward, "whole", 130, 7, 90, 128, .flags = WHOLE),
    EMBED(rows_embed_backward, "long segments", 400, 3, 4, 20, .flags = WHOLE),
    EMBED(rows_embed_backward, "one segment", 300, 1, 1, 3, PLAIN),
    EMBED(rows_embed_backward, "two segments", 600, 1, 2, 3, PLAIN),
    EMBED(rows_embed_backward, "a segment of whole tiles", 3 * CT_EMBED_TILE, 1, 1, 3, PLAIN),
    EMBED(rows_embed_backward, "segments of one", 9, 1, 1000, 5, PLAIN),
    EMBED(rows_embed_backward, "wide", 5, 4, 8, 516, PLAIN),
    EMBED(rows_embed_backward, "large table", 450, 3, 2048, 3, PLAIN),
    EMBED(rows_embed_backward, "fours", 5, 4, 12, 8, .flags = FOURS),

    CASE(rotary_rows, "one", .params.rotary_rows = {.rows = 1, .sources = 1, .pairs = 1}),
    CASE(rotary_rows, "odd", .params.rotary_rows = {.rows = 167, .sources = 3, .pairs = 17}),
    CASE(rotary_rows, "empty", .params.rotary_rows = {.rows = 0, .sources = 3, .pairs = 16}),

    HARMONY(harmony, "one", 1, 1, 1, 1, 1, 1, PLAIN),
    HARMONY(harmony, "odd", 3, 2, 13, 31, 5, 7, PLAIN),
    HARMONY(harmony, "long", 1, 3, 5, 300, 19, 7, PLAIN),
    HARMONY(harmony, "no theory", 2, 2, 9, 11, 3, 0, .missing = " w phi "),
    HARMONY(harmony, "theory alone", 2, 2, 9, 11, 3, 2, .missing = " e d "),
    HARMONY(harmony, "no chord", 2, 2, 9, 11, 3, 2, .flags = NO_CHORD),
    HARMONY(harmony, "whole", 2, 4, 17, 18, 3, 2, .flags = WHOLE),
    HARMONY(harmony, "large", 3, 4, 60, 61, 7, 3, PLAIN),
    HARMONY(harmony, "no batch", 0, 2, 3, 4, 2, 1, PLAIN),
    HARMONY(harmony_backward, "one", 1, 1, 1, 1, 1, 1, PLAIN),
    HARMONY(harmony_backward, "odd", 3, 2, 13, 31, 5, 7, PLAIN),
    HARMONY(harmony_backward, "long", 1, 3, 5, 300, 19, 7, PLAIN),
    HARMONY(harmony_backward, "large", 3, 4, 60, 61, 7, 3, PLAIN),
    HARMONY(harmony_backward, "no theory", 2, 2, 9, 11, 3, 0, .missing = " dw phi ", .forward_missing = " w phi "),
    HARMONY(harmony_backward, "theory alone", 2, 2, 9, 11, 3, 2, .missing = " de dd "),
    HARMONY(harmony_backward, "no chord", 2, 2, 9, 11, 3, 2, .flags = NO_CHORD),
    HARMONY(harmony_backward, "whole", 2, 4, 17, 18, 3, 2, .flags = WHOLE),
    HARMONY(harmony_backward, "few chords", 2, 2, 130, 17, 1, 1, PLAIN),
    HARMONY(harmony_backward, "no batch", 0, 2, 3, 4, 2, 1, PLAIN),

    MLP(harmony_mlp, "one", 1, 1, 1, 1, 1, 1, 1, PLAIN),
    MLP(harmony_mlp, "odd", 2, 3, 7, 11, 4, 5, 19, PLAIN),
    MLP(harmony_mlp, "no chord", 2, 2, 3, 4, 2, 3, 8, .flags = NO_CHORD),
    MLP(harmony_mlp, "no batch", 0, 2, 3, 4, 2, 3, 8, PLAIN),
    MLP(harmony_mlp, "whole", 2, 3, 7, 11, 4, 5, 7, .flags = WHOLE),
    MLP(harmony_mlp_backward, "one", 1, 1, 1, 1, 1, 1, 1, PLAIN),
    MLP(harmony_mlp_backward, "odd", 2, 3, 7, 11, 4, 5, 19, PLAIN),
    MLP(harmony_mlp_backward, "no chord", 2, 2, 3, 4, 2, 3, 8, .flags = NO_CHORD),
    MLP(harmony_mlp_backward, "wide", 1, 1, 9, 5, 2, 3, 40, PLAIN),
    MLP(harmony_mlp_backward, "no batch", 0, 2, 3, 4, 2, 3, 8, PLAIN),
    MLP(harmony_mlp_backward, "whole", 2, 3, 7, 11, 4, 5, 7, .flags = WHOLE),

    NORM(layernorm, "one", 1, 1, 0, PLAIN),
    NORM(layernorm, "odd", 5, 37, 0, PLAIN),
    NORM(layernorm, "dropout", 67, 131, 0.25f, PLAIN),
    NORM(layernorm, "no residual", 70, 128, 0, .missing = " r sum "),
    NORM(layernorm, "large", 301, 130, 0.1f, PLAIN),
    NORM(layernorm, "wide", 3, 2060, 0, PLAIN),
    NORM(layernorm, "empty", 0, 16, 0, PLAIN),
    NORM(layernorm, "fours", 3, 8, 0.25f, .flags = FOURS),
    NORM(layernorm_backward, "one", 1, 1, 0, PLAIN),
    NORM(layernorm_backward, "odd", 5, 37, 0, PLAIN),
    NORM(layernorm_backward, "dropout", 67, 131, 0.25f, PLAIN),
    NORM(layernorm_backward, "no residual", 70, 128, 0, .missing = " dr ", .forward_missing = " r sum "),
    NORM(layernorm_backward, "no stream above", 66, 48, 0.5f, .missing = " dsum "),
    NORM(layernorm_backward, "parameters alone", 200, 16, 0, .missing = " dsum dx dr "),
    NORM(layernorm_backward, "large", 301, 130, 0.1f, PLAIN),
    NORM(layernorm_backward, "many rows", 2057, 4, 0, .missing = " dr "),
    NORM(layernorm_backward, "wide", 3, 1500, 0, PLAIN),
    NORM(layernorm_backward, "in place", 130, 64, 0.25f, .alias = "dx", .alias_of = "dsum"),
    NORM(layernorm_backward, "fours", 3, 8, 0.25f, .flags = FOURS),

    LINEAR(linear, "one", 1, 1, 1, PLAIN),
    LINEAR(linear, "odd", 13, 37, 29, PLAIN),
    LINEAR(linear, "blocks", 300, 130, 150, PLAIN),
    LINEAR(linear, "no bias", 65, 64, 70, .missing = " bias "),
    LINEAR(linear, "whole", 259, 131, 67, .flags = WHOLE),
    LINEAR(linear, "many rows", 2111, 8, 131, .flags = WHOLE),
    LINEAR(linear, "empty", 0, 8, 8, PLAIN),
    LINEAR(linear_backward, "one", 1, 1, 1, PLAIN),
    LINEAR(linear_backward, "odd", 13, 37, 29, PLAIN),
    LINEAR(linear_backward, "blocks", 300, 270, 150, PLAIN),
    LINEAR(linear_backward, "weights alone", 65, 64, 70, .missing = " dx dbias ", .forward_missing = " bias "),
    LINEAR(linear_backward, "whole", 259, 131, 67, .flags = WHOLE),
    LINEAR(linear_rows, "one", 1, 1, 1, PLAIN),
    LINEAR(linear_rows, "odd", 3, 37, 29, PLAIN),
    LINEAR(linear_rows, "many", 16, 256, 300, PLAIN),
    LINEAR(linear_rows, "no bias", 5, 64, 33, .missing = " bias "),
    LINEAR(linear_rows, "whole", 7, 131, 67, .flags = WHOLE),
    LINEAR(linear_rows, "empty", 0, 8, 8, PLAIN),
    LINEAR(linear_rows, "fours", 3, 8, 5, .flags = FOURS),

    GELU(gelu, "one", 1, 1, PLAIN),
    GELU(gelu, "odd", 1, 40001, PLAIN),
    GELU(gelu, "empty", 0, 5, PLAIN),
    GELU(gelu, "fours", 2, 6, .flags = FOURS),
    GELU(gelu_backward, "one", 1, 1, PLAIN),
    GELU(gelu_backward, "odd", 67, 131, PLAIN),
    GELU(gelu_backward, "large", 523, 128, PLAIN),
    GELU(gelu_backward, "no bias", 3, 1001, .missing = " dbias "),
    GELU(gelu_backward, "in place", 70, 132, .alias = "dx", .alias_of = "dy"),
    GELU(gelu_backward, "empty", 0, 5, PLAIN),
    GELU(gelu_backward, "fours", 3, 8, .flags = FOURS),

    ATTENTION(attention, "one", 1, 1, 0, 1, 2, 1, 1, 0, PLAIN),
    ATTENTION(attention, "empty memory", 2, 63, 33, 1, 32, 5, 9, 0, .flags = NO_CHORD),
    ATTENTION(attention, "half a memory", 1, 37, 64, 1, 64, 5, 9, 0, .flags = NO_CHORD),
    ATTENTION(attention, "odd", 2, 7, 0, 3, 6, 7, 7, 0, PLAIN),
    ATTENTION(attention, "a tile", 1, 64, 0, 2, 32, 16, 16, 0, PLAIN),
    ATTENTION(attention, "no G", 2, 130, 0, 2, 16, 1, 1, 0, NO_G),
    ATTENTION(attention, "G of one", 1, 65, 0, 2, 64, 1, 1, 0, PLAIN),
    ATTENTION(attention, "songs", 3, 131, 0, 2, 32, 131, 131, 0, .flags = SONGS),
    ATTENTION(attention, "memory", 2, 67, 101, 2, 20, 17, 40, 0, .flags = SONGS),
    ATTENTION(attention, "long memory", 1, 3, 128, 1, 32, 3, 50, 0, PLAIN),
    ATTENTION(attention, "dropout", 2, 130, 70, 2, 34, 33, 60, 0.25f, .flags = SONGS),
    ATTENTION(attention, "dropout, no G", 1, 100, 0, 3, 32, 1, 1, 0.1f, NO_G),
    ATTENTION(attention, "head of 64 below a tile", 1, 31, 0, 1, 64, 5, 9, 0, PLAIN),
    ATTENTION(attention, "head of 64", 1, 67, 61, 1, 64, 67, 101, 0.1f, .flags = SONGS),
    ATTENTION(attention, "head of 128", 1, 65, 67, 1, 128, 13, 40, 0.25f, .flags = SONGS),
    ATTENTION(attention, "head of 128, G of one", 1, 33, 32, 1, 128, 1, 1, 0, PLAIN),
    ATTENTION(attention, "head of 96, no G", 1, 64, 0, 1, 96, 1, 1, 0, NO_G),
    ATTENTION(attention, "another song's memory", 1, 70, 136, 1, 32, 7, 31, 0, .flags = LONG_RUN),
    ATTENTION(attention, "very long memory", 1, 2, 32861, 1, 2, 2, 31, 0, .flags = LONG_RUN),
    ATTENTION(attention, "empty", 2, 0, 5, 1, 4, 2, 2, 0, PLAIN),
    ATTENTION(attention_backward, "one", 1, 1, 0, 1, 2, 1, 1, 0, PLAIN),
    ATTENTION(attention_backward, "empty memory", 2, 63, 33, 1, 32, 5, 9, 0, .flags = NO_CHORD),
    ATTENTION(attention_backward, "half a memory", 1, 37, 64, 1, 64, 5, 9, 0, .flags = NO_CHORD),
    ATTENTION(attention_backward, "odd", 2, 7, 0, 3, 6, 7, 7, 0, PLAIN),
    ATTENTION(attention_backward, "a tile", 1, 64, 0, 2, 32, 16, 16, 0, PLAIN),
    ATTENTION(attention_backward, "no G", 2, 130, 0, 2, 16, 1, 1, 0, NO_G),
    ATTENTION(attention_backward, "G of one", 1, 65, 0, 2, 64, 1, 1, 0, PLAIN),
    ATTENTION(attention_backward, "songs", 3, 131, 0, 2, 32, 131, 131, 0, .flags = SONGS),
    ATTENTION(attention_backward, "memory", 2, 67, 101, 2, 20, 17, 40, 0, .flags = SONGS),
    ATTENTION(attention_backward, "long memory", 1, 3, 128, 1, 32, 3, 50, 0, PLAIN),
    ATTENTION(attention_backward, "dropout", 2, 130, 70, 2, 34, 33, 60, 0.25f, .flags = SONGS),
    ATTENTION(attention_backward, "dropout, no G", 1, 100, 0, 3, 32, 1, 1, 0.1f, NO_G),
    ATTENTION(attention_backward, "whole tiles", 1, 140, 40, 1, 64, 9, 30, 0.1f, PLAIN),
    ATTENTION(attention_backward, "head of 128", 1, 37, 45, 1, 128, 37, 20, 0, .flags = SONGS),
    ATTENTION(attention_backward, "head of 96", 1, 35, 0, 2, 96, 3, 3, 0.1f, PLAIN),
    ATTENTION(attention_backward, "memory alone", 2, 0, 5, 1, 4, 2, 2, 0, PLAIN),

    MEMORY("one", 1, 1, 1, 1, PLAIN),
    MEMORY("wraps", 3, 5, 7, 33, PLAIN),
    MEMORY("more tokens than rows", 2, 19, 8, 16, PLAIN),
    MEMORY("large", 4, 50, 40, 300, PLAIN),
    MEMORY("no memory", 2, 3, 0, 16, PLAIN),
    MEMORY("wide", 1, 2, 3, 701, PLAIN),
    MEMORY("fours", 2, 2, 3, 8, .flags = FOURS),

    DECODE("one", 1, 1, 1, 2, 1, PLAIN),
    DECODE("odd", 5, 37, 3, 6, 9, PLAIN),
    DECODE("wide", 9, 130, 2, 64, 40, .flags = LONG_RUN),
    DECODE("no G", 4, 70, 2, 32, 1, .missing = " g segment "),
    DECODE("parts", 2, 300, 2, 128, 17, .flags = LONG_RUN),
    DECODE("a part and one", 2, 129, 1, 20, 5, .flags = LONG_RUN),

    ENTROPY("one", 1, 1, PLAIN),
    ENTROPY("odd", 131, 331, PLAIN),
    ENTROPY("evaluation", 13, 40, .missing = " dlogits "),
    ENTROPY("in place", 21, 130, .alias = "dlogits", .alias_of = "logits"),
    ENTROPY("empty", 0, 12, PLAIN),
    ENTROPY("far below zero", 5, 33, .flags = LONG_RUN),
    ENTROPY("wide", 3, 12301, PLAIN),

    CASE(grad_norm, "one", .params.grad_norm = {.count = 1}),
    CASE(grad_norm, "blocks", .params.grad_norm = {.count = 3 * CT_NORM_BLOCK + 17}),
    CASE(grad_norm, "whole", .flags = WHOLE, .params.grad_norm = {.count = 40000}),
    CASE(grad_norm, "empty", .params.grad_norm = {.count = 0}),
    CASE(grad_norm, "not finite", .flags = NO_CHORD, .params.grad_norm = {.count = 100}),
    CASE(grad_norm, "fours", .flags = FOURS, .params.grad_norm = {.count = 64}),

    ADAMW("one", 1, 1, PLAIN),
    ADAMW("tensors", 50021, 5, PLAIN),
    ADAMW("small norm", 1000, 3, .flags = LONG_RUN, .missing = " weight "),
    ADAMW("not finite", 100, 2, .flags = NO_CHORD),
    ADAMW("no weights", 1027, 7, .missing = " weight "),
    ADAMW("short tensors", 40, 59, PLAIN),
    ADAMW("fours", 32, 2, .flags = FOURS),

    SAMPLE("one", 1, 1, 0, 1, 1, PLAIN),
    SAMPLE("odd", 7, 131, 0, 0.9, 1, PLAIN),
    SAMPLE("top k", 20, 301, 7, 1.2, 1, PLAIN),
    SAMPLE("top p", 20, 301, 0, 1, 0.7, PLAIN),
    SAMPLE("top k and p", 20, 301, 40, 1, 0.9, PLAIN),
    SAMPLE("best", 9, 65, 0, 0, 1, .flags = WHOLE),
    SAMPLE("equal logits", 9, 65, 11, 1, 1, .flags = WHOLE),
    SAMPLE("equal weights", 9, 65, 8, 1, 0.5, .flags = NO_CHORD),
    SAMPLE("large", 2, 701, 0, 1.1, 0.95, PLAIN),
};
/* clang-format on */

#endif

/* Bytes that ops move at least, and their flops: by hand where not every array moves once, and within what the arrays
 * allow for all cases of the suite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "models/record.h"
#include "op_cases.h"

static char somewhere[1]; /* arrays are counted, not touched */

static double bytes_of(ct_op op, ct_params params) {
    return ct_op_bytes(op, &params);
}

/* Rows that are kept move once from x and once to the ring; what the ring has beside stays. */
static void memory_moves_the_rows_that_are_kept(void **state) {
    (void)state;
    ct_params p = {
        .memory_update = {.batch = 3, .tokens = 5, .memory = 40, .width = 8, .x = somewhere, .ring = somewhere}};
    assert_true(bytes_of(CT_OP_memory_update, p) == 2 * 3 * 5 * 8 * 4);
    p.memory_update.tokens = 100;
    assert_true(bytes_of(CT_OP_memory_update, p) == 2 * 3 * 40 * 8 * 4);
    p.dtype = CT_BF16; /* the stream and its memory stay float */
    assert_true(bytes_of(CT_OP_memory_update, p) == 2 * 3 * 40 * 8 * 4);
    p.memory_update.memory = 0;
    assert_true(bytes_of(CT_OP_memory_update, p) == 0);
}

/* And so many elements of the ring does the op write. */
static void memory_writes_as_many(void **state) {
    (void)state;
    enum { BATCH = 2, TOKENS = 3, MEMORY = 7, WIDTH = 4 };
    float         x[BATCH * TOKENS * WIDTH], ring[BATCH * MEMORY * WIDTH] = {0};
    const ct_step step = {.ring = 5};
    int           written = 0;
    for (size_t i = 0; i < CT_COUNT(x); i++) x[i] = 1 + (float)i;
    ct_params p = {
        .memory_update = {
            .batch = BATCH, .tokens = TOKENS, .memory = MEMORY, .width = WIDTH, .step = &step, .x = x, .ring = ring}};
    assert_int_equal(ct_op_run(ct_backend_cpu(), CT_OP_memory_update, &p), CT_OK);
    for (size_t i = 0; i < CT_COUNT(ring); i++) written += ring[i] != 0;
    assert_true(bytes_of(CT_OP_memory_update, p) == 2.0 * written * (double)sizeof *ring);
}

/* A full cache is read once; the new rows of keys and values are written, and y. */
static void decoding_moves_a_cache_once(void **state) {
    (void)state;
    ct_params    p = {.attention_decode = {.batch = 4,
                                           .capacity = 100,
                                           .heads = 2,
                                           .head = 16,
                                           .keys = 30,
                                           .qkv = somewhere,
                                           .cosine = (void *)somewhere,
                                           .sine = (void *)somewhere,
                                           .length = (void *)somewhere,
                                           .first = (void *)somewhere,
                                           .key_cache = somewhere,
                                           .value_cache = somewhere,
                                           .y = somewhere,
                                           .work = somewhere,
                                           .partial = somewhere}};
    const double rest = 2 * 4 * 8 * 4 + 2 * 4 * 4; /* angles; length and first */
    assert_true(bytes_of(CT_OP_attention_decode, p) == 4 * (4 * 3 * 32 + 2 * 4 * 100 * 32 + 4 * 32) + rest);
    p.dtype = CT_BF16;
    assert_true(bytes_of(CT_OP_attention_decode, p) == 2 * (4 * 3 * 32 + 2 * 4 * 100 * 32 + 4 * 32) + rest);
    p.attention_decode.g = somewhere;
    p.attention_decode.segment = (void *)somewhere;
    assert_true(bytes_of(CT_OP_attention_decode, p) ==
                2 * (4 * 3 * 32 + 2 * 4 * 100 * 32 + 4 * 32) + rest + 4 * 4 * 2 * 30 + 4 * 4 * 100);
}

/* Gradient in; weights and moments in and out; what ops read of the weights only out. */
static void an_update_writes_rounded_weights(void **state) {
    (void)state;
    ct_params    p = {.adamw = {.dtype = CT_BF16,
                                .count = 1000,
                                .tensors = 3,
                                .first = (void *)somewhere,
                                .decay = (void *)somewhere,
                                .norm = (void *)somewhere,
                                .updates = (void *)somewhere,
                                .grad = somewhere,
                                .param = somewhere,
                                .moment = somewhere,
                                .variance = somewhere}};
    const double rest = 4 * 8 + 3 + 2 * 8 + 8;
    assert_true(bytes_of(CT_OP_adamw, p) == 28 * 1000 + rest);
    p.adamw.weight = somewhere;
    assert_true(bytes_of(CT_OP_adamw, p) == 30 * 1000 + rest);
}

/* No op moves more than all it has in and out, or less than its results; workspace does not count. */
static void no_more_than_the_arrays(void **state) {
    (void)state;
    for (size_t k = 0; k < CT_COUNT(op_cases); k++) {
        const op_case *c = &op_cases[k];
        op_arrays      a = op_arrays_fill(c, CT_F32);
        const double   bytes = ct_op_bytes(c->op, &a.params);
        double         most = 0, least = 0;
        for (int i = 0; i < a.info->field_count; i++) {
            const ct_role role = a.info->fields[i].role;
            const double  array = array_of(&a, result_field(&a, i)) ? (double)a.count[i] * (double)a.element[i] : 0;
            if (role == CT_ROLE_IN || role == CT_ROLE_OUT) most += array;
            if (role == CT_ROLE_ADD) most += 2 * array;
            if (role == CT_ROLE_OUT) least += array;
        }
        if (!(bytes >= least && bytes <= most)) fail_msg("%s %s: %g bytes", a.info->name, c->name, bytes);
        assert_true(a.info->flops(&a.params) >= 0);
        op_arrays_free(&a);
    }
}

/* ---- pairs: a product whose result goes through GELU */
static ct_record product(void *x, void *y) {
    return (ct_record){
        CT_OP_linear, 0, "up", {.linear = {.rows = 10, .in = 4, .out = 6, .x = x, .w = somewhere, .y = y}}};
}
/* Forward the pre-activation is kept for later: it is written, and not read again. */
static void a_pair_does_not_read_what_passes(void **state) {
    (void)state;
    char            x[1], up[1], active[1];
    const ct_record first = product(x, up);
    const ct_record next = {CT_OP_gelu, 0, "gelu", {.gelu = {.rows = 10, .width = 6, .x = up, .y = active}}};
    const double    all = ct_op_bytes(first.op, &first.params) + ct_op_bytes(next.op, &next.params);
    assert_true(all == 4 * (10 * 4 + 6 * 4 + 10 * 6 + 2 * 10 * 6));
    assert_true(ct_record_pair_bytes(&first, &next) == all - 4 * 10 * 6);
}
/* Backward it is overwritten: neither read nor written but once. */
static void a_pair_in_place_writes_once(void **state) {
    (void)state;
    char            x[1], dy[1], d[1], up[1];
    const ct_record first = {
        CT_OP_linear_backward,
        0,
        "down",
        {.linear_backward = {
             .rows = 10, .in = 6, .out = 4, .x = x, .w = somewhere, .dy = dy, .dx = d, .dw = somewhere}}};
    const ct_record next = {
        CT_OP_gelu_backward, 0, "gelu", {.gelu_backward = {.rows = 10, .width = 6, .x = up, .dy = d, .dx = d}}};
    const double all = ct_op_bytes(first.op, &first.params) + ct_op_bytes(next.op, &next.params);
    assert_true(ct_record_pair_bytes(&first, &next) == all - 2 * 4 * 10 * 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_moves_the_rows_that_are_kept),
        cmocka_unit_test(memory_writes_as_many),
        cmocka_unit_test(decoding_moves_a_cache_once),
        cmocka_unit_test(an_update_writes_rounded_weights),
        cmocka_unit_test(no_more_than_the_arrays),
        cmocka_unit_test(a_pair_does_not_read_what_passes),
        cmocka_unit_test(a_pair_in_place_writes_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

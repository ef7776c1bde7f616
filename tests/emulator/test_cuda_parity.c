/* test_cuda_parity.c -- every op that has a kernel, in float and mixed with bf16: the cuda backend on the emulator
 * against the reference (double), over the op's cases, in every order of threads and blocks; the same bytes in each.
 * Built twice: the fast flavour runs all orders, the checked one (test_cuda_parity_checked) finds races, uninitialised
 * reads and what else is wrong of each load and store; it runs all orders in make test-kernels.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/cuda/cuda.h"
#include "tests/emulator/device_arrays.h"
#include "tests/op_parity.h"

#include <fnmatch.h>

/* what is tested at the moment */
static struct {
    const char *program;
    int         first_front_end, front_end, order, shifted;
    ct_dtype    dtype;
    bool        failing;
} now;

/* Does a case leave the same bytes in every order? */
static bool same_bytes(const op_arrays *arrays) {
    static uint64_t seen[CT_COUNT(op_cases)];
    uint64_t        hash = 1469598103934665603u, *before = &seen[arrays->about - op_cases]; /* FNV-1a */
    for (int i = 0; i < arrays->info->field_count; i++) {
        const unsigned char *array = array_of(arrays, i);
        size_t               bytes = (size_t)arrays->count[i] * arrays->element[i];
        if (!array || arrays->info->fields[i].role == CT_ROLE_TMP || result_field(arrays, i) != i) continue;
        for (size_t k = 0; k < bytes; k++) hash = (hash ^ array[k]) * 1099511628211u;
    }
    bool same = now.order == 0 || *before == hash;
    *before = hash;
    return same;
}

/* In one order, arrays begin where nothing but a single number may be accessed: parameters do, packed one by one. */
static ct_status run_in_this_order(ct_op op, op_arrays *arrays) {
    CT_TRY(run_on_device_shifted(op, arrays, now.order == EMULATOR_ROUND_ROBIN ? 1 : 0, -1));
    if (same_bytes(arrays)) return CT_OK;
    print_error("%s: other bytes than in the order before\n", arrays->about->name);
    return CT_EFAIL;
}

/* One array alone begins half way between addresses for four numbers: kernels have to ask each. */
static ct_status run_with_one_shifted(ct_op op, op_arrays *arrays) {
    return run_on_device_shifted(op, arrays, 2, now.shifted);
}
static void each_shifted(const op_case *c) {
    for (now.shifted = 0; now.shifted < ct_op_about(c->op)->field_count; now.shifted++)
        if (ct_type_is_real(ct_op_about(c->op)->fields[now.shifted].type))
            check_case(c, now.dtype, run_with_one_shifted);
}

/* Checks of each load and store take their time, and need no luck with the order: in make test, where CANTUS_PTX is not
 * set, they run in the first order and in that of shifted arrays. */
static bool runs_in_order(int order) {
    const char *asked = getenv("CANTUS_PTX");
    bool        all = !emulator_checks_accesses() || (asked && *asked);
    return all || order == EMULATOR_FORWARD || order == EMULATOR_ROUND_ROBIN;
}

static void parity_of_dtype(void **state, ct_dtype dtype) {
    now.failing = true;
    now.dtype = dtype;
    for (now.front_end = now.first_front_end; now.front_end < emulator_front_ends(); now.front_end++) {
        emulator_use_front_end(now.front_end);
        for (now.order = 0; now.order < EMULATOR_ORDERS; now.order++) {
            if (!runs_in_order(now.order)) continue;
            emulator_set_schedule((emulator_schedule){.order = (emulator_order)now.order, .seed = 7});
            check_op((ct_op)(intptr_t)*state, now.dtype, run_in_this_order);
        }
        for (size_t i = 0; i < CT_COUNT(op_cases); i++)
            if (op_cases[i].op == (ct_op)(intptr_t)*state && op_cases[i].flags & FOURS) each_shifted(&op_cases[i]);
    }
    now.failing = false;
}
static void parity(void **state) {
    parity_of_dtype(state, CT_F32);
}
static void parity_bf16(void **state) {
    parity_of_dtype(state, CT_BF16);
}

static int say_how_to_repeat(void **state) {
    const char *op = ct_op_about((ct_op)(intptr_t)*state)->name;
    if (now.failing)
        print_error("order %d; repeat: %s %s%s %d\n", now.order, now.program, op, now.dtype == CT_BF16 ? "_bf16" : "",
                    now.front_end);
    now.failing = false;
    return 0;
}

static void set_field(op_arrays *a, const char *name, ct_params *params, void *value, size_t bytes) {
    memcpy((char *)params + a->info->fields[field_index(a->info, name)].offset, value, bytes);
}
/* linear_rows and attention_decode promise a row the same bytes whatever stands beside it.
 * size: the field that says how many rows; shared: arrays that all of them read, " field field " */
static void each_alone(const op_case *c, ct_dtype dtype, const char *size, const char *shared) {
    op_arrays all = op_arrays_make(c, dtype);
    char     *device[64] = {NULL};
    const int y = field_index(all.info, "y");
    ct_params params = all.params;
    int64_t   rows, one = 1;
    memcpy(&rows, (char *)&params + all.info->fields[field_index(all.info, size)].offset, sizeof rows);
    for (int i = 0; i < all.info->field_count; i++) {
        if (!all.block[i]) continue;
        size_t bytes = (size_t)all.count[i] * all.element[i];
        bool   known = all.info->fields[i].role == CT_ROLE_IN || all.info->fields[i].role == CT_ROLE_ADD;
        device[i] = known ? to_device(array_of(&all, i), bytes) : emulator_alloc(bytes);
        set_field(&all, all.info->fields[i].name, &params, &device[i], sizeof device[i]);
    }
    const size_t   row = (size_t)all.count[y] * all.element[y] / (size_t)rows;
    unsigned char *together = array_of(&all, y), *alone = malloc(row + 1);
    char          *device_alone = emulator_alloc(row);
    assert_int_equal(ct_op_run(ct_backend_cuda(), c->op, &params), CT_OK);
    emulator_read(together, device[y], row * (size_t)rows);
    set_field(&all, size, &params, &one, sizeof one);
    for (int64_t n = 0; n < rows; n++) {
        for (int i = 0; i < all.info->field_count; i++) {
            const char *name = all.info->fields[i].name;
            if (!all.block[i] || named(shared, name) || all.info->fields[i].role == CT_ROLE_TMP) continue;
            char *from = device[i] + n * (all.count[i] / rows) * (int64_t)all.element[i];
            set_field(&all, name, &params, i == y ? &device_alone : &from, sizeof from);
        }
        assert_int_equal(ct_op_run(ct_backend_cuda(), c->op, &params), CT_OK);
        emulator_read(alone, device_alone, row);
        assert_memory_equal(alone, together + (size_t)n * row, row);
    }
    for (int i = 0; i < all.info->field_count; i++) emulator_free(device[i]);
    emulator_free(device_alone);
    free(alone);
    assert_int_equal(emulator_report_count(), 0);
    op_arrays_free(&all);
}
static void rows_alone(void **state) {
    static const op_case linear = {
        .op = CT_OP_linear_rows, .name = "linear_rows alone", .params.linear_rows = {.rows = 11, .in = 133, .out = 7}};
    static const op_case decode = {
        .op = CT_OP_attention_decode,
        .name = "attention_decode alone",
        .flags = SONGS, /* no sequence rests */
        .params.attention_decode = {.batch = 5, .capacity = 150, .heads = 2, .head = 6, .keys = 9, .scale = 0.5}};
    (void)state;
    for (int front_end = now.first_front_end; front_end < emulator_front_ends(); front_end++) {
        emulator_use_front_end(front_end);
        for (int dtype = 0; dtype < 2; dtype++) {
            each_alone(&linear, dtype ? CT_BF16 : CT_F32, "rows", " w bias ");
            each_alone(&decode, dtype ? CT_BF16 : CT_F32, "batch", "");
        }
    }
}

/* attention has no kernel for these heads, and says so */
static void heads_that_attention_refuses(void **state) {
    (void)state;
    const int64_t heads[] = {0, 1, 33, 130};
    for (size_t i = 0; i < CT_COUNT(heads); i++)
        for (int dtype = CT_F32; dtype <= CT_BF16; dtype++) {
            const ct_params params = {.attention = {.dtype = (ct_dtype)dtype, .heads = 1, .head = heads[i]}};
            char            found[32];
            if (dtype == CT_F64) continue;
            snprintf(found, sizeof found, "head size %d", (int)heads[i]);
            assert_int_equal(ct_op_run(ct_backend_cuda(), CT_OP_attention, &params), CT_EFAIL);
            assert_non_null(strstr(ct_message(), found));
        }
}

static void say(const char *line) {
    printf("    %s\n", line);
}

static bool asked_for(const struct CMUnitTest *tests, size_t count, const char *pattern) {
    bool any = false;
    for (size_t i = 0; i < count; i++) any = any || fnmatch(pattern, tests[i].name, 0) == 0;
    return any;
}

/* [OP [FRONT_END]]: this op alone ("harmony*": these), from this front end on */
int main(int argc, char **argv) {
#define PARITY(name)                                                                                                   \
    {#name, parity, NULL, say_how_to_repeat, (void *)(intptr_t)CT_OP_##name},                                          \
        {#name "_bf16", parity_bf16, NULL, say_how_to_repeat, (void *)(intptr_t)CT_OP_##name},
    const struct CMUnitTest tests[] = {CT_CUDA_OPS(PARITY) cmocka_unit_test(heads_that_attention_refuses),
                                       cmocka_unit_test(rows_alone)};
    now.program = argv[0];
    if (argc > 1 && !asked_for(tests, CT_COUNT(tests), argv[1])) {
        fprintf(stderr, "%s: no kernel is for an op called %s\n", argv[0], argv[1]);
        return 2;
    }
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    for (; argc > 2 && now.first_front_end < emulator_front_ends(); now.first_front_end++) {
        char number[16];
        snprintf(number, sizeof number, "%d", now.first_front_end);
        if (!strcmp(argv[2], number)) break;
    }
    if (now.first_front_end == emulator_front_ends()) {
        fprintf(stderr, "%s: no front end %s, there are %d\n", argv[0], argv[2], emulator_front_ends());
        return 2;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int front_end = 0; front_end < emulator_front_ends(); front_end++) {
        emulator_use_front_end(front_end);
        int left = emulator_unexecuted(getenv("CANTUS_TEST_VERBOSE") != NULL, say);
        printf("%s%s", emulator_front_end(front_end),
               emulator_checks_accesses() ? ", every load and store checked" : "");
        if (left >= 0) printf(": %d instructions never executed", left);
        printf("\n");
    }
    return failed;
}

/* test_algorithms.c -- cuda.algorithms: whole training steps whose products are done as a file says, whatever another
 * version of the library would choose; files that are not this GPU's, or can't be written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/file.h"
#include "temp_folder.h"
#include "tests/standin/blas.h"
#include "tests/standin/clean.h"
#include "training_fixture.h"

static ct_bytes with_algorithms(const ct_train_config *c, unsigned library) {
    ct_stepper s;
    standin_begin(3);
    blas_begin(library, BLAS_LISTS);
    ok(ct_stepper_open(c, &dataset, false, &s));
    ok(ct_stepper_step(&s));
    ok(ct_stepper_settle(&s));
    const size_t bytes = (size_t)s.model.parameter_count * sizeof(float);
    uint8_t     *parameters = ct_arena_alloc(&arena, bytes, 1);
    assert_non_null(parameters);
    ok(ct_network_copy(&s.network, parameters, s.network.weights.parameters, bytes));
    ct_stepper_close(&s);
    assert_clean();
    return (ct_bytes){parameters, bytes};
}
static bool same(const ct_bytes *a, const ct_bytes *b) {
    return a->count == b->count && !memcmp(a->at, b->at, a->count);
}

/* Libraries 1 and 2 list what fits in another order. */
static void algorithms_are_kept(void **state) {
    char      folder[TEMP_PATH];
    ct_bytes  written, later;
    const int stage = (int)(intptr_t)*state;
    temp_folder(folder);
    const char     *path = temp_path(&arena, folder, "algorithms.json");
    ct_train_config c = config(stage, "device=cuda", NULL);
    const ct_bytes  plain = with_algorithms(&c, 1), other = with_algorithms(&c, 2);
    assert_false(same(&plain, &other)); /* it matters */
    c.on.algorithms = path;
    const ct_bytes first = with_algorithms(&c, 1);
    assert_true(same(&first, &plain)); /* keeping them changes nothing */
    ok(ct_file_read(path, 1 << 20, &arena, &written));
    const ct_bytes second = with_algorithms(&c, 2);
    assert_true(same(&second, &plain));
    ok(ct_file_read(path, 1 << 20, &arena, &later));
    assert_true(same(&written, &later));
    c.on.precision = CT_PRECISION_TF32; /* not the file's: the run goes on without it, and leaves it alone */
    const ct_bytes refused = with_algorithms(&c, 2);
    c.on.algorithms = NULL;
    const ct_bytes without = with_algorithms(&c, 2);
    assert_true(same(&refused, &without));
    ok(ct_file_read(path, 1 << 20, &arena, &later));
    assert_true(same(&written, &later));
    temp_remove(folder);
}

static void algorithms_that_cannot_be_kept_are_told(void **state) {
    ct_stepper      s;
    ct_train_config c = config(CT_BACKBONE, "device=cuda", "cuda.algorithms=/nowhere/algorithms.json");
    (void)state;
    standin_begin(1);
    blas_begin(1, BLAS_LISTS);
    assert_int_equal(ct_stepper_open(&c, &dataset, false, &s), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "cuda.algorithms: /nowhere/algorithms.json"));
    assert_int_equal(standin_leaks(), 0);
}

int main(void) {
    void *const backbone = (void *)(intptr_t)CT_BACKBONE, *const melody = (void *)(intptr_t)CT_MELODY;
    const struct CMUnitTest tests[] = {
        {"algorithms_are_kept (backbone)", algorithms_are_kept, NULL, NULL, backbone},
        {"algorithms_are_kept (melody)", algorithms_are_kept, NULL, NULL, melody},
        cmocka_unit_test(algorithms_that_cannot_be_kept_are_told),
    };
    const struct CMUnitTest checked[] = {tests[2]}; /* each load and store is checked there */
    return emulator_checks_accesses() ? cmocka_run_group_tests(checked, training_begin, training_end)
                                      : cmocka_run_group_tests(tests, training_begin, training_end);
}

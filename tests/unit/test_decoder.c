/* The decoder on the CPU: a sequence that rests among others has the bytes that it has alone, and a line may begin anew
 * as often as one likes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decoder_fixture.h"

enum { LENGTH = 40, LINES = 5, OFTEN = 12 };

static ct_arena arena;

static ct_model model_of(int stage) {
    return decoder_model(stage, "model.width=32", "model.layers=2", &arena);
}

static void alone_and_among_others(void **state) {
    const int stage = (int)(intptr_t)*state;
    ct_model  m = model_of(stage);
    check_decoder_alone(&m, stage, ct_device_cpu(), false, LINES, LENGTH, &arena);
    ct_model_free(&m);
}

/* No more is kept of a sequence than its own chords take room. */
static void begins_anew(void **state) {
    const int                stage = (int)(intptr_t)*state;
    ct_model                 m = model_of(stage);
    const ct_rows            rows = fixture_rows(stage, 70, &arena);
    const ct_decoder_options options = {.batch = 1, .capacity = LENGTH, .device = ct_device_cpu()};
    const size_t             bytes = (size_t)m.vocabulary_size * sizeof(float);
    float                   *at_first = CT_NEW(&arena, float, bytes / sizeof *at_first);
    const bool               active = true;
    ct_decoder               d;
    assert_non_null(at_first);
    decoded(ct_decoder_make(&m, &options, &d));
    for (int again = 0; again < OFTEN; again++) {
        ct_decoder_begin(&d, 0);
        for (int64_t t = 0; t < LENGTH; t++) decode_step(&d, &rows, &t, &active);
        if (again == 0) memcpy(at_first, d.logits, bytes);
        assert_memory_equal(d.logits, at_first, bytes);
    }
    ct_decoder_free(&d);
    ct_model_free(&m);
}

static int free_all(void **state) {
    (void)state;
    ct_arena_free(&arena);
    return 0;
}

int main(void) {
    void *const backbone = (void *)(intptr_t)CT_BACKBONE, *const melody = (void *)(intptr_t)CT_MELODY;
    const struct CMUnitTest tests[] = {
        {"alone_and_among_others (backbone)", alone_and_among_others, NULL, NULL, backbone},
        {"alone_and_among_others (melody)", alone_and_among_others, NULL, NULL, melody},
        {"begins_anew (backbone)", begins_anew, NULL, NULL, backbone},
        {"begins_anew (melody)", begins_anew, NULL, NULL, melody},
    };
    return cmocka_run_group_tests(tests, NULL, free_all);
}

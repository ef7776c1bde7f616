/* What a run leaves to go on from: checkpoints that are whole or not there, states and metrics that are not trusted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/run.h"
#include "models/checkpoints.h"
#include "music_fixture.h"
#include "temp_folder.h"
#include "train/checkpoint.h"

static void make(int stage, int64_t batch, ct_arena *arena, ct_model *m, ct_network *n) {
    ct_model_config    config = {.stage = stage,
                                 .layers = 1,
                                 .width = 16,
                                 .heads = 1,
                                 .feed_forward = 16,
                                 .tokens = 16,
                                 .memory = stage == CT_MELODY ? 24 : 0,
                                 .rotary_base = 10000,
                                 .form = CT_FORM_TABLE,
                                 .roots = true};
    ct_network_options options = {
        .batch = batch, .tokens = config.tokens, .memory = config.memory, .train = true, .backend = ct_backend_cpu()};
    ct_stage_data data = fixture_stage(stage, arena);
    assert_int_equal(ct_model_create(&config, &data, 1, CT_F32, m), CT_OK);
    assert_int_equal(ct_network_make(m, &options, n), CT_OK);
}

static void states_from_outside_are_checked(void **state) {
    (void)state;
    enum { RING = 1, ROWS, MICRO, KINDS };
    ct_arena   arena = {0};
    char       folder[TEMP_PATH];
    ct_model   m;
    ct_network n;
    make(CT_MELODY, 2, &arena, &m, &n);
    temp_folder(folder);
    for (int wrong = 0; wrong < KINDS; wrong++) {
        ct_counters at = {.step = wrong, .micro = wrong == MICRO ? -1 : 7}, back;
        char        path[4096];
        ct_network_forget(&n);
        if (wrong == RING) n.step->ring = m.config.memory;
        if (wrong == ROWS) n.memory_rows[CT_MC_ROOT] = CT_V_ROOT_SIZE;
        assert_int_equal(ct_checkpoint_save(folder, &n, &at), CT_OK);
        assert_true(ct_checkpoint_find(folder, "last", path, sizeof path));
        assert_int_equal(ct_checkpoint_load(path, &n, &back), wrong ? CT_EFAIL : CT_OK);
        if (wrong) assert_message_has("state.safetensors: counters or memory hold values that can't be");
    }
    ct_network_free(&n);
    ct_model_free(&m);
    ct_arena_free(&arena);
    temp_remove(folder);
}

static void a_checkpoint_that_fails_leaves_nothing(void **state) {
    (void)state;
    ct_arena   arena = {0};
    char       folder[TEMP_PATH];
    ct_model   m;
    ct_network n;
    make(CT_BACKBONE, 1, &arena, &m, &n);
    temp_folder(folder);
    assert_int_equal(ct_folder_make(temp_path(&arena, folder, "checkpoints")), CT_OK);
    temp_write(temp_path(&arena, folder, "checkpoints/last-0000000003"), "in the way", 10);
    assert_int_equal(ct_checkpoint_save(folder, &n, &(ct_counters){.step = 3}), CT_EFAIL);
    assert_message_has("can't rename the finished checkpoint");
    assert_false(ct_folder_exists(temp_path(&arena, folder, "checkpoints/last-0000000003.tmp")));
    ct_network_free(&n);
    ct_model_free(&m);
    ct_arena_free(&arena);
    temp_remove(folder);
}

static void metrics_of_later_steps_go(void **state) {
    (void)state;
    static const char lines[] = "{\"step\": 1}\ntorn\n{\"step\": 3}\n{\"step\": 9}\n{\"st",
                      kept[] = "{\"step\": 1}\n{\"step\": 3}\n";
    ct_arena arena = {0};
    char     folder[TEMP_PATH];
    ct_run   run;
    temp_folder(folder);
    const char *path = temp_path(&arena, folder, "metrics.jsonl");
    temp_write(path, lines, sizeof lines - 1);
    assert_int_equal(ct_run_resume(folder, 5, &run), CT_OK);
    ct_run_close(&run);
    ct_bytes bytes = temp_read(path, &arena);
    assert_string_equal((const char *)bytes.at, kept);
    ct_arena_free(&arena);
    temp_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_from_outside_are_checked),
        cmocka_unit_test(a_checkpoint_that_fails_leaves_nothing),
        cmocka_unit_test(metrics_of_later_steps_go),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}

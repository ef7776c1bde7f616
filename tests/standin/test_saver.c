/* test_saver.c -- checkpoints of a GPU: training goes on while they are copied and written, and they are what they
 * would be if it waited; what fails on the way is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "temp_folder.h"
#include "tests/standin/blas.h"
#include "tests/standin/clean.h"
#include "train/saver.h"
#include "training_fixture.h"

#include <unistd.h>

enum { EVERY = 1, LAST_STEP = 4, ORDERS = 2 };

static void open_both(const ct_train_config *c, uint64_t order, const char *folder, bool background, ct_stepper *s,
                      ct_saver *saver) {
    standin_begin(order);
    blas_begin(1, BLAS_LISTS);
    ok(ct_stepper_open(c, &dataset, false, s));
    ok(ct_saver_open(&(ct_checkpoint_place){.run = folder, .keep = LAST_STEP}, &s->network, background, false, saver));
}

static void close_both(ct_stepper *s, ct_saver *saver) {
    ct_saver_close(saver);
    ct_stepper_close(s);
    assert_clean();
}

/* Of every step, and of half of them as the best too, with nothing between that waits for them. */
static void train(const ct_train_config *c, uint64_t order, const char *folder, bool background) {
    ct_stepper s;
    ct_saver   saver;
    open_both(c, order, folder, background, &s, &saver);
    while (s.at.step < LAST_STEP) {
        for (int i = 0; i < EVERY; i++) ok(ct_stepper_step(&s));
        ok(ct_stepper_settle(&s));
        const ct_counters at = s.at;
        const long        waits = standin_count().synchronising;
        ok(ct_saver_save(&saver, CT_LAST, &at));
        if (at.step % (2 * EVERY) == 0) ok(ct_saver_save(&saver, CT_BEST, &at));
        assert_int_equal(standin_count().synchronising, waits);
    }
    ok(ct_saver_wait(&saver));
    close_both(&s, &saver);
}

static void assert_same_file(const char *const folders[2], const char *checkpoint, long long step, const char *file) {
    ct_bytes both[2];
    for (int k = 0; k < 2; k++)
        both[k] = temp_read(ct_arena_printf(&arena, "%s/checkpoints/%s-%010lld/%s", folders[k], checkpoint, step, file),
                            &arena);
    assert_true(both[0].count > 1000);
    assert_int_equal(both[0].count, both[1].count);
    assert_memory_equal(both[0].at, both[1].at, both[0].count);
}

static void checkpoints_are_of_their_step(void **state) {
    const int stage = (int)(intptr_t)*state;
    char      waited[TEMP_PATH], beside[TEMP_PATH];
    for (uint64_t order = 1; order <= ORDERS; order++) {
        const ct_train_config c = config(stage, "device=cuda", order % 2 ? "precision=bf16" : "precision=fp32");
        const char *const     folders[] = {waited, beside};
        temp_folder(waited);
        temp_folder(beside);
        train(&c, order, waited, false);
        train(&c, order, beside, true);
        for (long long step = EVERY; step <= LAST_STEP; step += EVERY) {
            assert_same_file(folders, "last", step, "model.safetensors");
            assert_same_file(folders, "last", step, "state.safetensors");
            if (step % (2 * EVERY) == 0) assert_same_file(folders, "best", step, "model.safetensors");
        }
        temp_remove(waited);
        temp_remove(beside);
    }
}

/* ---- what fails */
static void no_pinned_memory_is_told(void **state) {
    const ct_train_config c = config(CT_MELODY, "device=cuda", NULL);
    ct_stepper            s;
    ct_saver              saver;
    (void)state;
    standin_begin(1);
    ok(ct_stepper_open(&c, &dataset, false, &s));
    standin_plant(STANDIN_NO_PINNED_MEMORY, 1);
    assert_int_equal(ct_saver_open(&(ct_checkpoint_place){.run = "/nowhere"}, &s.network, true, false, &saver),
                     CT_ENOMEM);
    assert_non_null(strstr(ct_message(), "MiB of pinned memory"));
    ct_stepper_close(&s);
    assert_clean();
}

/* From any call of a save on, also one of the thread that writes: told by the save or by waiting, and no checkpoint is
 * there. */
static void a_lost_device_is_told(void **state) {
    const ct_train_config c = config(CT_MELODY, "device=cuda", NULL);
    char                  folder[TEMP_PATH];
    int                   by_save = 0, by_wait = 0;
    (void)state;
    temp_folder(folder);
    for (long at = 1;; at++) {
        ct_stepper s;
        ct_saver   saver;
        open_both(&c, 1, folder, true, &s, &saver);
        ok(ct_stepper_step(&s));
        ok(ct_stepper_settle(&s));
        standin_plant(STANDIN_DEVICE_LOST, at);
        const ct_status saved = ct_saver_save(&saver, CT_LAST, &s.at),
                        waited = saved == CT_OK ? ct_saver_wait(&saver) : CT_OK;
        by_save += saved != CT_OK;
        by_wait += waited != CT_OK;
        if (saved != CT_OK || waited != CT_OK) {
            assert_int_equal(saved == CT_OK ? waited : saved, CT_EFAIL);
            assert_non_null(strstr(ct_message(), "cuda"));
            assert_int_not_equal(access(temp_path(&arena, folder, "checkpoints/last-0000000001"), F_OK), 0);
        }
        ct_saver_close(&saver);
        ct_stepper_close(&s);
        assert_int_equal(standin_leaks(), 0);
        if (saved == CT_OK && waited == CT_OK) break;
    }
    assert_int_equal(by_save, 5); /* four copies, and the event after them */
    assert_int_equal(by_wait, 1);
    temp_remove(folder);
}

/* A device that refuses a copy: those before it are on their way when the saver is closed. */
static const ct_device *gpu;
static int              copies_left;
static ct_status        copy_some(ct_queue queue, void *to, const void *from, size_t bytes) {
           return copies_left-- > 0 ? gpu->copy(queue, to, from, bytes) : ct_fail(CT_EFAIL, "no more copies");
}
static void closed_with_copies_on_the_way(void **state) {
    const ct_train_config c = config(CT_MELODY, "device=cuda", NULL);
    ct_stepper            s;
    ct_saver              saver;
    (void)state;
    open_both(&c, 1, "/nowhere", true, &s, &saver);
    gpu = s.device;
    ct_device some = *gpu;
    some.copy = copy_some;
    copies_left = 2;
    s.network.device = &some;
    assert_int_equal(ct_saver_save(&saver, CT_LAST, &s.at), CT_EFAIL);
    assert_string_equal(ct_message(), "no more copies");
    ct_saver_close(&saver);
    s.network.device = gpu;
    ct_stepper_close(&s);
    assert_clean();
}

int main(void) {
    void *const backbone = (void *)(intptr_t)CT_BACKBONE, *const melody = (void *)(intptr_t)CT_MELODY;
    const struct CMUnitTest tests[] = {
        {"checkpoints_are_of_their_step (melody)", checkpoints_are_of_their_step, NULL, NULL, melody},
        {"checkpoints_are_of_their_step (backbone)", checkpoints_are_of_their_step, NULL, NULL, backbone},
        cmocka_unit_test(no_pinned_memory_is_told),
        cmocka_unit_test(a_lost_device_is_told),
        cmocka_unit_test(closed_with_copies_on_the_way),
    };
    const struct CMUnitTest checked[] = {tests[2], tests[3], tests[4]}; /* each load and store is checked there */
    return emulator_checks_accesses() ? cmocka_run_group_tests(checked, training_begin, training_end)
                                      : cmocka_run_group_tests(tests, training_begin, training_end);
}

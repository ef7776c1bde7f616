/* A process that dies, or a system that says no, at each place where checkpoints touch the disk: there is always one
 * that is whole, and it is the newest that was finished. This program's own rename, fsync, mkdir and removals stand
 * before those of the system, count, and at a given count end the process or fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "models/checkpoints.h"
#include "temp_folder.h"
#include "train/saver.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DIES = 9, NEVER = 1 << 30 };
static int  calls, at_call = NEVER;
static bool dies;

static bool fault(void) {
    if (++calls != at_call) return false;
    if (dies) _exit(DIES);
    errno = ENOSPC;
    return true;
}
int fsync(int file) {
    (void)file;
    return fault() ? -1 : 0; /* only the process dies here, not the machine */
}
int rename(const char *from, const char *to) {
    return fault() ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
int mkdir(const char *path, mode_t mode) {
    return fault() ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}
int unlinkat(int folder, const char *name, int flags) {
    return fault() ? -1 : (int)syscall(SYS_unlinkat, folder, name, flags);
}
int rmdir(const char *path) {
    return fault() ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
}

static ct_model   model;
static ct_network network;

static int make(void **state) {
    (void)state;
    static ct_column    columns[] = {{"token", 4, CT_GROUP_NONE, CT_TURN_NONE}};
    static const char  *words[] = {"low", "high", "hold", "end"};
    const ct_stage_data data = {
        .present = true, .columns = columns, .column_count = 1, .vocabulary = words, .vocabulary_size = 4};
    const ct_model_config    config = {.stage = CT_MELODY,
                                       .layers = 1,
                                       .width = 8,
                                       .heads = 1,
                                       .feed_forward = 8,
                                       .tokens = 8,
                                       .memory = 4,
                                       .rotary_base = 10000};
    const ct_network_options options = {
        .batch = 1, .tokens = 8, .memory = 4, .train = true, .backend = ct_backend_cpu()};
    assert_int_equal(ct_model_create(&config, &data, 1, CT_F32, &model), CT_OK);
    assert_int_equal(ct_network_make(&model, &options, &network), CT_OK);
    return 0;
}
static int unmake(void **state) {
    (void)state;
    ct_network_free(&network);
    ct_model_free(&model);
    return 0;
}

/* The numbers of a step tell which it is. */
static void set_step(int64_t step) {
    for (int64_t i = 0; i < model.parameter_count; i++) ((float *)model.parameters)[i] = (float)(step * 1000 + i);
}

/* Checkpoints of steps 1 to 4, of which 1 and 3 are best ones, keeping one. Returns the last step that was saved
 * without a complaint. */
static int64_t save_all(const char *folder, bool background) {
    ct_saver                  saver;
    const ct_checkpoint_place place = {.run = folder, .keep = 1};
    int64_t                   saved = 0;
    assert_int_equal(ct_saver_open(&place, &network, background, false, &saver), CT_OK);
    for (int64_t step = 1; step <= 4; step++) {
        set_step(step);
        ct_status status = ct_saver_save(&saver, CT_LAST, &(ct_counters){.step = step});
        if (status == CT_OK && step % 2) status = ct_saver_save(&saver, CT_BEST, &(ct_counters){.step = step});
        if (status == CT_OK) status = ct_saver_wait(&saver);
        if (status != CT_OK) break;
        saved = step;
    }
    ct_saver_close(&saver);
    return saved;
}

/* What is there is step `least` or the one after it, and right to the last number; a run can go on saving. */
static void check(const char *folder, int64_t least, int count) {
    char        path[4200];
    ct_counters at = {0};
    if (ct_checkpoint_newest(folder, "last", path, sizeof path, NULL) != CT_OK)
        fail_msg("call %d: %s", count, ct_message());
    if (!*path && least) fail_msg("call %d: step %d is gone", count, (int)least);
    if (*path) {
        if (ct_checkpoint_load(path, &network, &at) != CT_OK) fail_msg("call %d: %s", count, ct_message());
        if (at.step != least && at.step != least + 1)
            fail_msg("call %d: step %d, not %d", count, (int)at.step, (int)least);
        for (int64_t i = 0; i < model.parameter_count; i++)
            assert_true(((float *)model.parameters)[i] == (float)(at.step * 1000 + i));
    }
    assert_int_equal(ct_checkpoint_undo(folder, CT_BEST, at.step), CT_OK);
    ct_snapshot               snapshot;
    const ct_checkpoint_place place = {.run = folder, .keep = 1};
    ct_snapshot_of(&network, &(ct_counters){.step = at.step + 1}, &snapshot);
    if (ct_checkpoint_write(&snapshot, CT_LAST, &place) != CT_OK) fail_msg("call %d: %s", count, ct_message());
    ct_arena arena = {0};
    char   **names;
    size_t   found;
    snprintf(path, sizeof path, "%s/checkpoints", folder);
    assert_int_equal(ct_folder_folders(path, &arena, &names, &found), CT_OK);
    for (size_t i = 0; i < found; i++)
        if (strchr(names[i], '.')) fail_msg("call %d: %s is left over", count, names[i]);
    ct_arena_free(&arena);
}

/* A later death never finds an older checkpoint. */
static void wherever_it_dies_one_is_whole(void **state) {
    (void)state;
    for (int background = 0; background < 2; background++) {
        int     count = 1;
        int64_t before = 0;
        for (bool died = true; died; count++) {
            char folder[TEMP_PATH];
            int  how;
            temp_folder(folder);
            fflush(stdout);
            pid_t child = fork();
            assert_true(child >= 0);
            if (child == 0) {
                dies = true, calls = 0, at_call = count;
                save_all(folder, background);
                _exit(0);
            }
            assert_int_equal(waitpid(child, &how, 0), child);
            assert_true(WIFEXITED(how) && (WEXITSTATUS(how) == 0 || WEXITSTATUS(how) == DIES));
            died = WEXITSTATUS(how) == DIES;
            char        path[4200];
            ct_counters at = {0};
            if (ct_checkpoint_newest(folder, "last", path, sizeof path, NULL) != CT_OK)
                fail_msg("call %d: %s", count, ct_message());
            if (*path) assert_int_equal(ct_checkpoint_load(path, &network, &at), CT_OK);
            if (at.step < before) fail_msg("call %d: back from step %d to %d", count, (int)before, (int)at.step);
            before = at.step;
            check(folder, at.step, count);
            temp_remove(folder);
        }
        assert_true(before == 4 && count > 60);
        print_message("%d places to die, %s\n", count - 2, background ? "in the background" : "in the foreground");
    }
}

static void whatever_fails_is_told_and_one_is_whole(void **state) {
    (void)state;
    dies = false;
    for (int background = 0; background < 2; background++)
        for (int count = 1;; count++) {
            char folder[TEMP_PATH];
            temp_folder(folder);
            calls = 0, at_call = count;
            int64_t saved = save_all(folder, background);
            bool    reached = calls >= count;
            at_call = NEVER;
            if (reached && saved == 4) fail_msg("call %d failed, and nobody was told", count);
            check(folder, saved, count);
            temp_remove(folder);
            if (!reached) break;
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wherever_it_dies_one_is_whole),
        cmocka_unit_test(whatever_fails_is_told_and_one_is_whole),
    };
    return cmocka_run_group_tests_name("faults", tests, make, unmake);
}

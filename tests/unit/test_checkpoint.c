/* What a run leaves to go on from: checkpoints that are whole or not there, states and metrics that are not trusted,
 * files of every format. GOLDEN=write makes the golden files of the present format anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/run.h"
#include "core/safetensors.h"
#include "models/checkpoints.h"
#include "temp_folder.h"
#include "train/saver.h"

#include <math.h>
#include <sys/stat.h>

static const char golden[] = "tests/data/checkpoints";

/* ---- a small network with known numbers in it */
static const ct_counters counters = {.step = 1234567,
                                     .update = 1234560,
                                     .micro = 2469134,
                                     .skipped = 7,
                                     .skipped_in_a_row = 2,
                                     .waited = 3,
                                     .best = 0.1,
                                     .window_loss = 1.0 / 3,
                                     .window_open = 1e-300,
                                     .window_targets = 12345,
                                     .window_open_targets = 678,
                                     .window_tokens = 99};

typedef struct ct_small {
    ct_model   model;
    ct_network network;
} ct_small;

static void fill(float *x, int64_t n, float scale) {
    for (int64_t i = 0; i < n; i++) x[i] = (float)(i + 1) * scale;
}

static void make(int64_t memory, ct_small *s) {
    static ct_column columns[] = {{"token", 4, CT_GROUP_NONE, CT_TURN_NONE}, {"voice", 3, CT_GROUP_LEFT, CT_TURN_NONE}};
    static const char  *words[] = {"low", "high", "hold", "end"};
    const ct_stage_data data = {
        .present = true, .columns = columns, .column_count = 2, .vocabulary = words, .vocabulary_size = 4};
    const ct_model_config    config = {.stage = CT_MELODY,
                                       .layers = 1,
                                       .width = 8,
                                       .heads = 1,
                                       .feed_forward = 8,
                                       .tokens = 8,
                                       .memory = memory,
                                       .rotary_base = 10000};
    const ct_network_options options = {
        .batch = 2, .tokens = 8, .memory = memory, .train = true, .backend = ct_backend_cpu()};
    assert_int_equal(ct_model_create(&config, &data, 1, CT_F32, &s->model), CT_OK);
    assert_int_equal(ct_network_make(&s->model, &options, &s->network), CT_OK);
    ct_network *n = &s->network;
    fill(s->model.parameters, s->model.parameter_count, 1.0F / 1024);
    fill(n->moment, s->model.parameter_count, -1.0F / 4096);
    fill(n->variance, s->model.parameter_count, 1.0F / 65536);
    fill(n->ring, 2 * memory * 8, 1.0F / 64);
    for (int i = 0; i < 2 * (int)memory; i++) {
        n->memory_songs[i] = i - 1;
        n->memory_rows[2 * i] = (uint16_t)(i % 4);
        n->memory_rows[2 * i + 1] = (uint16_t)(i % 3);
    }
    n->step->ring = memory ? 2 : 0;
}

static void unmake(ct_small *s) {
    ct_network_free(&s->network);
    ct_model_free(&s->model);
}

/* The same numbers in both, bit for bit. */
static void assert_same(const ct_small *a, const ct_small *b) {
    ct_tensor_entry x[CT_MEMORY_PARTS], y[CT_MEMORY_PARTS];
    const size_t    bytes = (size_t)a->model.parameter_count * sizeof(float);
    assert_memory_equal(a->model.parameters, b->model.parameters, bytes);
    assert_memory_equal(a->network.moment, b->network.moment, bytes);
    assert_memory_equal(a->network.variance, b->network.variance, bytes);
    ct_network_memory(&a->network, x);
    ct_network_memory(&b->network, y);
    for (int i = 0; i < CT_MEMORY_PARTS; i++) assert_memory_equal(x[i].data, y[i].data, x[i].bytes);
}

static void spoil(ct_small *s) {
    memset(s->model.parameters, 0, (size_t)s->model.parameter_count * sizeof(float));
    memset(s->network.moment, 0, (size_t)s->model.parameter_count * sizeof(float));
    memset(s->network.variance, 0, (size_t)s->model.parameter_count * sizeof(float));
    assert_int_equal(ct_network_forget(&s->network), CT_OK);
}

static void assert_counters(const ct_counters *a, const ct_counters *b) {
    ct_tensor_entry x[CT_COUNTERS], y[CT_COUNTERS];
    ct_counters_tensors(a, x);
    ct_counters_tensors(b, y);
    for (int i = 0; i < CT_COUNTERS; i++)
        if (memcmp(x[i].data, y[i].data, 8) != 0) fail_msg("%s differs", x[i].name);
}

static ct_status write_one(const char *run, ct_small *s, ct_checkpoint_kind kind, const ct_counters *at) {
    ct_snapshot               snapshot;
    const ct_checkpoint_place place = {.run = run, .keep = 2};
    ct_snapshot_of(&s->network, at, &snapshot);
    return ct_checkpoint_write(&snapshot, kind, &place);
}

static void run(const char *command) {
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a command made here */
}

/* ---- formats */
static void every_format_is_loaded(void **state) {
    (void)state;
    ct_arena arena = {0};
    ct_small want, found;
    make(3, &want);
    make(3, &found);
    ct_counters now = counters;
    now.norm = 1.5;
    if (getenv("GOLDEN")) {
        static const char text[] =
            "{\"dataset_sha256\": \"0\", \"config_sha256\": \"0\", \"config\": {\"train.seed\": \"1\"}}";
        char        folder[TEMP_PATH];
        ct_json    *facts;
        ct_snapshot snapshot;
        temp_folder(folder);
        assert_int_equal(ct_json_parse(text, strlen(text), "facts", &facts), CT_OK);
        ct_snapshot_of(&want.network, &now, &snapshot);
        assert_int_equal(
            ct_checkpoint_write(&snapshot, CT_LAST, &(ct_checkpoint_place){.run = folder, .keep = 1, .facts = facts}),
            CT_OK);
        ct_json_free(facts);
        run(ct_arena_printf(&arena, "mkdir -p %s/format-%d && cp -r %s/checkpoints/* %s/format-%d", golden,
                            CT_CHECKPOINT_FORMAT, folder, golden, CT_CHECKPOINT_FORMAT));
        temp_remove(folder);
    }
    for (int format = 1; format <= CT_CHECKPOINT_FORMAT; format++) {
        const char *path = ct_arena_printf(&arena, "%s/format-%d/last-0001234567", golden, format);
        ct_counters at;
        ct_json    *manifest;
        if (ct_checkpoint_verify(path, &manifest) != CT_OK) fail_msg("%s", ct_message());
        assert_true(format == 1 ? !manifest : ct_json_integer(ct_json_get(manifest, "format"), 0) == format);
        ct_json_free(manifest);
        spoil(&found);
        if (ct_checkpoint_load(path, &found.network, &at) != CT_OK) fail_msg("%s", ct_message());
        assert_same(&want, &found);
        assert_counters(&at, format == 1 ? &counters : &now);
        assert_int_equal(at.settled, format == 1);
    }
    unmake(&want);
    unmake(&found);
    ct_arena_free(&arena);
}

/* Numbers that text would not hold; and no memory at all. */
static void states_come_back_bit_for_bit(void **state) {
    (void)state;
    const double odd[] = {INFINITY, -0.0, 5e-324, 0x1.fffffffffffffp1023, 1.0 / 3};
    char         folder[TEMP_PATH], path[4096];
    temp_folder(folder);
    for (int64_t memory = 0; memory <= 5; memory += 5) {
        ct_small want, found;
        make(memory, &want);
        make(memory, &found);
        for (size_t i = 0; i < CT_COUNT(odd); i++) {
            ct_counters at = counters, back;
            at.step = (int64_t)i + 10 * (memory + 1);
            at.best = odd[i];
            at.norm = odd[(i + 1) % CT_COUNT(odd)];
            at.micro = INT64_MAX - (int64_t)i;
            assert_int_equal(write_one(folder, &want, CT_LAST, &at), CT_OK);
            spoil(&found);
            assert_int_equal(ct_checkpoint_newest(folder, "last", path, sizeof path, NULL), CT_OK);
            assert_int_equal(ct_checkpoint_load(path, &found.network, &back), CT_OK);
            assert_same(&want, &found);
            assert_counters(&at, &back);
        }
        unmake(&want);
        unmake(&found);
    }
    temp_remove(folder);
}

static void states_from_outside_are_checked(void **state) {
    (void)state;
    enum { RIGHT, RING, ROWS, MICRO, KINDS };
    char     folder[TEMP_PATH], path[4096];
    ct_small s, other, before;
    make(3, &other);
    make(3, &before);
    temp_folder(folder);
    for (int wrong = 0; wrong < KINDS; wrong++) {
        ct_counters at = {.step = wrong, .micro = wrong == MICRO ? -1 : 7}, back;
        make(3, &s);
        if (wrong == RING) s.network.step->ring = 3;
        if (wrong == ROWS) s.network.memory_rows[0] = 4;
        fill(s.model.parameters, s.model.parameter_count, 2);
        assert_int_equal(write_one(folder, &s, CT_LAST, &at), CT_OK);
        assert_int_equal(ct_checkpoint_newest(folder, "last", path, sizeof path, NULL), CT_OK);
        assert_int_equal(ct_checkpoint_load(path, wrong ? &other.network : &s.network, &back),
                         wrong ? CT_EFAIL : CT_OK);
        if (wrong) assert_message_has("hold");
        if (wrong) assert_message_has("values that can't be");
        assert_same(&other, &before); /* nothing was taken */
        unmake(&s);
    }
    make(5, &s); /* another shape */
    ct_counters back;
    assert_int_equal(ct_checkpoint_load(path, &s.network, &back), CT_EFAIL);
    assert_message_has("state.safetensors: memory.layers");
    unmake(&s);
    unmake(&other);
    unmake(&before);
    temp_remove(folder);
}

/* ---- damage */
static void copy_folder(const char *from, const char *to) {
    char command[1024];
    snprintf(command, sizeof command, "rm -rf '%s' && cp -r '%s' '%s'", to, from, to);
    run(command);
}

static void assert_damaged(const char *path, const char *said) {
    ct_json *manifest;
    assert_int_equal(ct_checkpoint_verify(path, &manifest), CT_EFAIL);
    assert_null(manifest);
    assert_message_has(said);
}

static void damage_is_found(void **state) {
    (void)state;
    static const char *const files[] = {"model.safetensors", "state.safetensors", "manifest.json"};
    char                     folder[TEMP_PATH], path[4096];
    ct_arena                 arena = {0};
    ct_small                 s;
    make(3, &s);
    temp_folder(folder);
    assert_int_equal(write_one(folder, &s, CT_LAST, &counters), CT_OK);
    assert_int_equal(ct_checkpoint_newest(folder, "last", path, sizeof path, NULL), CT_OK);
    const char *kept = temp_path(&arena, folder, "kept");
    copy_folder(path, kept);
    for (size_t f = 0; f < CT_COUNT(files); f++) {
        const char *file = temp_path(&arena, path, files[f]);
        ct_bytes    bytes = temp_read(file, &arena);
        for (size_t i = 0; i < bytes.count; i += f == 2 ? 1 : 97) { /* one byte of it is another */
            bytes.at[i] ^= 0x14;
            temp_write(file, bytes.at, bytes.count);
            assert_damaged(path, files[f]);
            bytes.at[i] ^= 0x14;
        }
        for (size_t cut = 0; cut < bytes.count; cut += 1 + bytes.count / 9) { /* shorter, or empty */
            temp_write(file, bytes.at, cut);
            assert_damaged(path, files[f]);
        }
        temp_write(file, bytes.at, bytes.count + 1); /* longer: the 0 behind it */
        assert_damaged(path, files[f]);
        assert_int_equal(remove(file), 0);
        assert_damaged(path, f == 2 ? "manifest.json: is missing" : files[f]);
        assert_int_equal(mkdir(file, 0700), 0);
        assert_damaged(path, f == 2 ? "manifest.json" : files[f]);
        copy_folder(kept, path);
        assert_int_equal(ct_checkpoint_verify(path, NULL), CT_OK);
    }
    const char *other = temp_path(&arena, folder, "checkpoints/last-0000000001"); /* the right one in the wrong place */
    copy_folder(kept, other);
    assert_damaged(other, "is that of last-0001234567");
    unmake(&s);
    ct_arena_free(&arena);
    temp_remove(folder);
}

/* Manifests that are right in themselves and ask for what they should not. */
static void manifests_from_outside_are_checked(void **state) {
    (void)state;
    static const struct {
        const char *file, *said;
        int64_t     format;
    } cases[] = {
        {"../../../data.npy", "which is no file of this folder", CT_CHECKPOINT_FORMAT},
        {"/etc/passwd", "which is no file of this folder", CT_CHECKPOINT_FORMAT},
        {"..", "which is no file of this folder", CT_CHECKPOINT_FORMAT},
        {"", "which is no file of this folder", CT_CHECKPOINT_FORMAT},
        {"absent", "absent: can't open", CT_CHECKPOINT_FORMAT},
        {NULL, "checkpoint of format 99, this program reads 1 to", 99},
        {NULL, "checkpoint of format -1", -1},
    };
    char     folder[TEMP_PATH], path[4096];
    ct_arena arena = {0};
    ct_small s;
    make(0, &s);
    temp_folder(folder);
    assert_int_equal(write_one(folder, &s, CT_BEST, &counters), CT_OK);
    assert_int_equal(ct_checkpoint_newest(folder, "best", path, sizeof path, NULL), CT_OK);
    const char *file = temp_path(&arena, path, "manifest.json");
    ct_bytes    whole = temp_read(file, &arena);
    for (size_t i = 0; i < CT_COUNT(cases); i++) {
        ct_json *manifest, *about = ct_json_new_object();
        char     hex[65];
        assert_int_equal(ct_json_parse((char *)whole.at, whole.count, "manifest", &manifest), CT_OK);
        ct_json_remove(manifest, "sha256");
        ct_json_set(manifest, "format", ct_json_new_integer(cases[i].format));
        ct_json_set(about, "bytes", ct_json_new_integer(0));
        if (cases[i].file)
            ct_json_set(ct_json_get(manifest, "files"), cases[i].file, about);
        else
            ct_json_free(about);
        char *text = ct_json_print(manifest, 1, &arena);
        ct_sha256(text, strlen(text), hex);
        ct_json_set(manifest, "sha256", ct_json_new_text(hex));
        text = ct_json_print(manifest, 1, &arena);
        temp_write(file, text, strlen(text));
        ct_json_free(manifest);
        assert_damaged(path, cases[i].said);
    }
    static const char *const garbage[] = {"", "{", "[]", "null", "{}", "\xff\xfe", "{\"format\": 2}"};
    for (size_t i = 0; i < CT_COUNT(garbage); i++) {
        temp_write(file, garbage[i], strlen(garbage[i]));
        assert_damaged(path, "manifest.json");
    }
    unmake(&s);
    ct_arena_free(&arena);
    temp_remove(folder);
}

/* ---- which are kept, which is taken */
static const char *names(const char *folder, ct_arena *arena) {
    char      **list;
    size_t      count;
    const char *all = "";
    assert_int_equal(ct_folder_folders(temp_path(arena, folder, "checkpoints"), arena, &list, &count), CT_OK);
    for (size_t i = 0; i < count; i++) all = ct_arena_printf(arena, "%s%s%s", all, i ? " " : "", list[i]);
    return all;
}

static void newest_and_multiples_are_kept(void **state) {
    (void)state;
    char        folder[TEMP_PATH];
    ct_arena    arena = {0};
    ct_small    s;
    ct_snapshot snapshot;
    make(0, &s);
    temp_folder(folder);
    const ct_checkpoint_place place = {.run = folder, .keep = 2, .keep_every = 4};
    for (int64_t step = 1; step <= 11; step++) {
        ct_snapshot_of(&s.network, &(ct_counters){.step = step}, &snapshot);
        assert_int_equal(ct_checkpoint_write(&snapshot, CT_LAST, &place), CT_OK);
        if (step % 5 == 1) assert_int_equal(ct_checkpoint_write(&snapshot, CT_BEST, &place), CT_OK); /* 1, 6, 11 */
    }
    /* 4 was saved when 1 was the best, 8, 10 and 11 when 6 was: 11 became it after the step */
    assert_string_equal(names(folder, &arena), "best-0000000001 best-0000000006 best-0000000011 last-0000000004 "
                                               "last-0000000008 last-0000000010 last-0000000011");
    assert_int_equal(ct_checkpoint_undo(folder, CT_LAST, 11), CT_OK); /* back to 10 */
    assert_int_equal(ct_checkpoint_undo(folder, CT_BEST, 10), CT_OK);
    assert_string_equal(names(folder, &arena),
                        "best-0000000001 best-0000000006 best-0000000011.undone last-0000000004 last-0000000008 "
                        "last-0000000010 last-0000000011.undone");
    assert_int_equal(ct_folder_make(temp_path(&arena, folder, "checkpoints/last-0000000012.tmp")), CT_OK); /* killed */
    const ct_checkpoint_place one = {.run = folder, .keep = 1};
    ct_snapshot_of(&s.network, &(ct_counters){.step = 11}, &snapshot);
    assert_int_equal(ct_checkpoint_write(&snapshot, CT_LAST, &one), CT_OK);
    assert_string_equal(names(folder, &arena), "best-0000000006 last-0000000011");
    unmake(&s);
    ct_arena_free(&arena);
    temp_remove(folder);
}

static void the_newest_valid_one_is_taken(void **state) {
    (void)state;
    char     folder[TEMP_PATH], path[4200];
    ct_arena arena = {0};
    ct_small s;
    make(0, &s);
    temp_folder(folder);
    assert_int_equal(ct_checkpoint_newest(folder, "last", path, sizeof path, NULL), CT_OK);
    assert_string_equal(path, ""); /* there is none */
    assert_int_equal(ct_model_find(folder, path, sizeof path), CT_EFAIL);
    assert_message_has("no checkpoint in this folder");
    for (int64_t step = 1; step <= 2; step++)
        assert_int_equal(write_one(folder, &s, CT_LAST, &(ct_counters){.step = step}), CT_OK);
    assert_int_equal(write_one(folder, &s, CT_BEST, &(ct_counters){.step = 2}), CT_OK);
    static const char *const        damaged[] = {"best-0000000002", "last-0000000002", "last-0000000001"},
                             *const taken[] = {"best-0000000002", "last-0000000002", "last-0000000001"};
    for (size_t i = 0; i < CT_COUNT(damaged); i++) {
        assert_int_equal(ct_model_find(folder, path, sizeof path), CT_OK);
        assert_non_null(strstr(path, taken[i]));
        temp_write(ct_arena_printf(&arena, "%s/checkpoints/%s/model.safetensors", folder, damaged[i]), "no", 2);
    }
    assert_int_equal(ct_model_find(folder, path, sizeof path), CT_EFAIL);
    assert_message_has("none of the checkpoints last-* is valid (2 found, newest last-0000000002)");
    unmake(&s);
    ct_arena_free(&arena);
    temp_remove(folder);
}

static void a_checkpoint_that_fails_leaves_nothing(void **state) {
    (void)state;
    ct_arena arena = {0};
    char     folder[TEMP_PATH];
    ct_small s;
    make(0, &s);
    temp_folder(folder);
    assert_int_equal(ct_folder_make(temp_path(&arena, folder, "checkpoints")), CT_OK);
    temp_write(temp_path(&arena, folder, "checkpoints/last-0000000003"), "in the way", 10);
    assert_int_equal(write_one(folder, &s, CT_LAST, &(ct_counters){.step = 3}), CT_EFAIL);
    assert_message_has("last-0000000003.tmp: can't rename to");
    assert_false(ct_folder_exists(temp_path(&arena, folder, "checkpoints/last-0000000003.tmp")));
    unmake(&s);
    ct_arena_free(&arena);
    temp_remove(folder);
}

/* ---- in the background */
/* What is saved is what was there when it was asked for, whatever training does meanwhile; the files are those of a
 * save in the foreground. */
static void the_background_saves_what_was_asked(void **state) {
    (void)state;
    enum { SAVES = 20 };
    char     folder[2][TEMP_PATH];
    ct_arena arena = {0};
    ct_small s;
    ct_saver saver[2];
    make(3, &s);
    for (int k = 0; k < 2; k++) {
        temp_folder(folder[k]);
        const ct_checkpoint_place place = {.run = folder[k], .keep = SAVES};
        assert_int_equal(ct_saver_open(&place, &s.network, k == 1, false, &saver[k]), CT_OK);
    }
    assert_int_equal(saver[0].arena.used, 0);
    for (int64_t step = 1; step <= SAVES; step++) {
        const ct_counters at = {.step = step, .best = 1.0 / (double)step};
        fill(s.model.parameters, s.model.parameter_count, (float)step); /* while the save before goes on */
        fill(s.network.variance, s.model.parameter_count, (float)step);
        s.network.step->ring = step % 3;
        for (int k = 0; k < 2; k++) {
            assert_int_equal(ct_saver_save(&saver[k], CT_LAST, &at), CT_OK);
            if (step % 3 == 0) assert_int_equal(ct_saver_save(&saver[k], CT_BEST, &at), CT_OK);
        }
    }
    for (int k = 0; k < 2; k++) {
        assert_int_equal(ct_saver_wait(&saver[k]), CT_OK);
        ct_saver_close(&saver[k]);
    }
    run(ct_arena_printf(&arena, "diff -r %s %s", folder[0], folder[1]));
    unmake(&s);
    ct_arena_free(&arena);
    for (int k = 0; k < 2; k++) temp_remove(folder[k]);
}

static void the_background_tells_of_failures(void **state) {
    (void)state;
    char     folder[TEMP_PATH];
    ct_arena arena = {0};
    ct_small s;
    ct_saver saver;
    make(0, &s);
    temp_folder(folder);
    const ct_checkpoint_place place = {.run = folder, .keep = 2};
    assert_int_equal(ct_saver_open(&place, &s.network, true, false, &saver), CT_OK);
    assert_int_equal(ct_saver_wait(&saver), CT_OK); /* nothing to wait for */
    temp_write(temp_path(&arena, folder, "checkpoints"), "in the way", 10);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(ct_saver_save(&saver, CT_LAST, &(ct_counters){.step = 1}), CT_OK);
        ct_status told = k ? ct_saver_wait(&saver) : ct_saver_save(&saver, CT_LAST, &(ct_counters){.step = 2});
        assert_int_equal(told, CT_EFAIL);
        assert_message_has("checkpoints");
        assert_int_equal(ct_saver_wait(&saver), CT_OK); /* told once */
    }
    assert_int_equal(ct_saver_save(&saver, CT_LAST, &(ct_counters){.step = 3}), CT_OK);
    ct_fail(CT_EFAIL, "what happened first");
    ct_saver_close(&saver); /* warns */
    assert_string_equal(ct_message(), "what happened first");
    unmake(&s);
    ct_arena_free(&arena);
    temp_remove(folder);
}

/* ---- metrics */
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
    assert_int_equal(ct_run_open(folder, &run), CT_OK);
    assert_int_equal(ct_run_resume(&run, 5), CT_OK);
    ct_run_close(&run);
    ct_bytes bytes = temp_read(path, &arena);
    assert_string_equal((const char *)bytes.at, kept);
    ct_arena_free(&arena);
    temp_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_is_loaded),
        cmocka_unit_test(states_come_back_bit_for_bit),
        cmocka_unit_test(states_from_outside_are_checked),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(manifests_from_outside_are_checked),
        cmocka_unit_test(newest_and_multiples_are_kept),
        cmocka_unit_test(the_newest_valid_one_is_taken),
        cmocka_unit_test(a_checkpoint_that_fails_leaves_nothing),
        cmocka_unit_test(the_background_saves_what_was_asked),
        cmocka_unit_test(the_background_tells_of_failures),
        cmocka_unit_test(metrics_of_later_steps_go),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}

/* Paths that stand in files: a dataset or a model says where nothing is, whatever its texts look like. Every open() of
 * the program is watched (watch_open.h); one outside the folder ends the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/safetensors.h"
#include "models/model.h"
#include "small_dataset.h"
#include "watch_open.h"

/* Replace every `from` in a text. */
static char *replaced(ct_arena *arena, const char *text, const char *from, const char *to) {
    char *out = ct_arena_printf(arena, "%s", "");
    for (const char *at; (at = strstr(text, from)); text = at + strlen(from))
        out = ct_arena_printf(arena, "%s%.*s%s", out, (int)(at - text), text, to);
    return ct_arena_printf(arena, "%s%s", out, text);
}

static void edit(ct_arena *arena, const char *folder, const char *name, const char *from, const char *to) {
    const char *path = temp_path(arena, folder, name);
    ct_bytes    bytes = temp_read(path, arena);
    char       *text = replaced(arena, (const char *)bytes.at, from, to);
    assert_non_null(text);
    assert_string_not_equal(text, (const char *)bytes.at);
    temp_write(path, text, strlen(text));
}

static void a_dataset_opens_its_four_files(void **state) {
    (void)state;
    ct_arena   arena = {0};
    ct_dataset d;
    char       folder[TEMP_PATH];
    temp_folder(folder);
    small_dataset(folder, 4);
    edit(&arena, folder, "songs.tsv", "song-00", "/etc/passwd");
    edit(&arena, folder, "songs.tsv", "song-01", "../../../../../../etc/passwd");
    edit(&arena, folder, "dataset.json", "\"format\": 1",
         "\"format\": 1, \"path\": \"/etc/passwd\", \"base\": \"/etc/passwd\", \"include\": \"../x.json\"");
    edit(&arena, folder, "dataset.json", "\"columns\"",
         "\"npy\": \"/etc/passwd\", \"rows\": \"../x.npy\", \"columns\"");
    watch_below = folder;
    watch_count = 0;
    ct_status status = ct_dataset_open(folder, &d);
    watch_below = NULL;
    if (status != CT_OK) fail_msg("%s", ct_message());
    assert_int_equal(watch_count, 4);
    assert_string_equal(d.songs[0].source, "/etc/passwd");
    ct_dataset_close(&d);
    ct_arena_free(&arena);
    temp_remove(folder);
}

/* The config in a model file is read by the schema of models alone: it has no bases and no keys that name files. */
static void a_model_opens_itself(void **state) {
    (void)state;
    static const char *const lines[] = {"base: /etc/passwd\n", "base: [../x.yaml]\n", "train: {init: /etc/passwd}\n",
                                        "matrix: {model.width: [8]}\n", "data.path: /etc\n"};
    ct_arena                 arena = {0};
    ct_model                 m;
    char                     folder[TEMP_PATH];
    const ct_stage_data      data = fixture_stage(CT_BACKBONE, &arena);
    const ct_model_config    config = {
           .layers = 1, .width = 8, .heads = 1, .feed_forward = 8, .tokens = 8, .rotary_base = 10000, .form = CT_FORM_OFF};
    temp_folder(folder);
    const char *path = temp_path(&arena, folder, "model.safetensors");
    assert_int_equal(ct_model_create(&config, &data, 1, CT_F32, &m), CT_OK);
    for (size_t i = 0; i <= CT_COUNT(lines); i++) {
        const ct_pair  more = {"path", "/etc/passwd"};
        ct_safetensors file;
        ct_model       again;
        assert_int_equal(ct_model_save(&m, path, &more, 1, NULL), CT_OK);
        if (i < CT_COUNT(lines)) {
            assert_int_equal(ct_safetensors_open(path, &file), CT_OK);
            const char *about = ct_safetensors_metadata(&file, "cantus", NULL);
            assert_non_null(about);
            const char *line = replaced(&arena, lines[i], "\n", "\\n");
            ct_pair     pair = {"cantus",
                                replaced(&arena, about, "model:\\n", ct_arena_printf(&arena, "%smodel:\\n", line))};
            assert_string_not_equal(pair.value, about);
            const char *other = temp_path(&arena, folder, "other.safetensors");
            assert_int_equal(ct_safetensors_write(other, file.tensors, file.count, &pair, 1, NULL), CT_OK);
            ct_safetensors_close(&file);
            watch_below = folder;
            ct_status status = ct_model_load(other, CT_F32, &again);
            watch_below = NULL;
            assert_int_equal(status, CT_EFAIL);
            assert_message_has("unknown key");
        } else {
            watch_below = folder;
            watch_count = 0;
            ct_status status = ct_model_load(path, CT_F32, &again);
            watch_below = NULL;
            if (status != CT_OK) fail_msg("%s", ct_message());
            assert_int_equal(watch_count, 1);
            ct_model_free(&again);
        }
    }
    ct_model_free(&m);
    ct_arena_free(&arena);
    temp_remove(folder);
}

/* Sizes in a config are words until the bytes are there: 34 GB are not asked for. */
static void a_model_larger_than_its_file_takes_no_memory(void **state) {
    (void)state;
    ct_arena              arena = {0};
    ct_model              m;
    ct_safetensors        file;
    char                  folder[TEMP_PATH];
    const ct_stage_data   data = fixture_stage(CT_BACKBONE, &arena);
    const ct_model_config small = {
        .layers = 1, .width = 8, .heads = 1, .feed_forward = 8, .tokens = 8, .rotary_base = 10000, .form = CT_FORM_OFF};
    temp_folder(folder);
    const char *path = temp_path(&arena, folder, "model.safetensors");
    assert_int_equal(ct_model_create(&small, &data, 1, CT_F32, &m), CT_OK);
    assert_int_equal(ct_model_save(&m, path, NULL, 0, NULL), CT_OK);
    assert_int_equal(ct_safetensors_open(path, &file), CT_OK);
    const char *about = ct_safetensors_metadata(&file, "cantus", NULL);
    assert_non_null(about);
    about = replaced(&arena, about, "layers: 1\\n", "layers: 8\\n");
    ct_pair     pair = {"cantus", replaced(&arena, about, "width: 8\\n", "width: 32768\\n")};
    const char *other = temp_path(&arena, folder, "other.safetensors");
    assert_int_equal(ct_safetensors_write(other, file.tensors, file.count, &pair, 1, NULL), CT_OK);
    ct_safetensors_close(&file);
    ct_model_free(&m);
    assert_int_equal(ct_model_load(other, CT_F32, &m), CT_EFAIL);
    assert_message_has("tensor embedding is missing or has another shape");
    ct_arena_free(&arena);
    temp_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dataset_opens_its_four_files),
        cmocka_unit_test(a_model_opens_itself),
        cmocka_unit_test(a_model_larger_than_its_file_takes_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

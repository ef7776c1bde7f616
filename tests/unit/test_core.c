/* The runtime: messages, arenas, files and folders, JSON, SHA-256, run folders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/arena.h"
#include "core/json.h"
#include "core/run.h"
#include "temp_folder.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* In the sanitizer build an allocation that can't be must come back as NULL too. */
/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the sanitizer's name */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "allocator_may_return_null=1";
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* ---- status */
static ct_status twice(ct_status first, int *calls) {
    CT_TRY(first);
    ++*calls;
    return CT_OK;
}

static void *other_thread(void *message) {
    if (*ct_message()) return NULL; /* a thread begins without a message */
    ct_fail(CT_EFAIL, "of the other thread");
    return message;
}

static void messages_are_kept(void **state) {
    (void)state;
    assert_int_equal(ct_fail(CT_EUSAGE, "%s: %d is too many", "a.yaml", 7), CT_EUSAGE);
    assert_string_equal(ct_message(), "a.yaml: 7 is too many");
    assert_int_equal(ct_fail(CT_EFAIL, "again: %s", ct_message()), CT_EFAIL);
    assert_string_equal(ct_message(), "again: a.yaml: 7 is too many");
    assert_int_equal(ct_context(CT_OK, "unused"), CT_OK);
    assert_string_equal(ct_message(), "again: a.yaml: 7 is too many");
    assert_int_equal(ct_context(CT_ENOMEM, "step %d", 3), CT_ENOMEM);
    assert_string_equal(ct_message(), "step 3: again: a.yaml: 7 is too many");
    int calls = 0;
    assert_int_equal(twice(CT_ESTOP, &calls), CT_ESTOP);
    assert_int_equal(twice(CT_OK, &calls), CT_OK);
    assert_int_equal(calls, 1);
    pthread_t thread;
    void     *result;
    assert_int_equal(pthread_create(&thread, NULL, other_thread, &calls), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, &calls);
    assert_string_equal(ct_message(), "step 3: again: a.yaml: 7 is too many");
}

static void long_messages_are_cut(void **state) {
    (void)state;
    char text[9000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    ct_fail(CT_EFAIL, "%s", text);
    assert_int_equal(strlen(ct_message()), 4095);
    assert_int_equal(ct_context(CT_EFAIL, "%s", text), CT_EFAIL);
    assert_int_equal(strlen(ct_message()), 4095);
    ct_context(CT_EFAIL, "front");
    assert_memory_equal(ct_message(), "front: xxx", 10);
    assert_int_equal(strlen(ct_message()), 4095);
}

/* ---- arena */
static void arena_blocks_are_aligned_zero_and_apart(void **state) {
    (void)state;
    ct_arena arena = {0};
    uint8_t *blocks[200];
    size_t   sizes[200];
    for (size_t i = 0; i < 200; i++) {
        sizes[i] = i == 150 ? (size_t)9 << 20 : (i * 977) % 5000;
        blocks[i] = ct_arena_alloc(&arena, sizes[i], 1);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 64, 0);
        for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(blocks[i][k], 0);
        memset(blocks[i], (int)(i + 1), sizes[i]);
    }
    for (size_t i = 0; i < 200; i++)
        for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(blocks[i][k], (uint8_t)(i + 1));
    ct_arena_free(&arena);
    assert_int_equal(arena.used, 0);
    assert_non_null(CT_NEW(&arena, double, 3)); /* usable again */
    ct_arena_free(&arena);
}

static void arena_refuses_too_much(void **state) {
    (void)state;
    ct_arena arena = {.cap = 1 << 20};
    assert_null(ct_arena_alloc(&arena, SIZE_MAX / 4, 8));
    assert_null(ct_arena_alloc(&arena, SIZE_MAX, 1));
    assert_null(ct_arena_alloc(&arena, ((size_t)1 << 63) + 8, 2)); /* the product wraps to 16 */
    assert_int_equal(arena.used, 0);
    assert_non_null(ct_arena_alloc(&arena, (1 << 20) - 64, 1));
    assert_null(ct_arena_alloc(&arena, 65, 1));
    assert_message_has("1 MiB");
    assert_non_null(ct_arena_alloc(&arena, 64, 1)); /* exactly full */
    assert_null(ct_arena_alloc(&arena, 1, 1));
    assert_non_null(ct_arena_alloc(&arena, 0, 8));
    ct_arena_free(&arena);
    assert_non_null(ct_arena_alloc(&arena, 1 << 20, 1));
    ct_arena_free(&arena);
    ct_arena uncapped = {0};
    assert_null(ct_arena_alloc(&uncapped, SIZE_MAX / 2, 1)); /* more than the machine has */
    assert_message_has("out of memory");
    assert_non_null(ct_arena_alloc(&uncapped, 8, 1));
    ct_arena_free(&uncapped);
}

static void arena_growth_keeps_content(void **state) {
    (void)state;
    ct_arena arena = {0};
    int32_t *list = NULL, *before = NULL;
    size_t   count = 0, capacity = 0;
    for (int32_t i = 0; i < 5000; i++) {
        assert_true(CT_PUSH(&arena, list, count, capacity));
        list[count++] = i * 3;
        if (i == 15) before = list;
    }
    for (int32_t i = 0; i < 5000; i++) assert_int_equal(list[i], i * 3);
    assert_int_equal(before ? before[15] : 0, 45); /* the old copy stays */
    char text[400];
    memset(text, 'a', 399);
    text[399] = 0;
    assert_string_equal(ct_arena_printf(&arena, "%s-%d", text, 5) + 398, "a-5");
    assert_string_equal(ct_arena_copy(&arena, "hello", 4), "hell");
    ct_arena_free(&arena);
}

/* ---- files */
static void assert_names(const char *folder, const char *const *expected, size_t expected_count) {
    static const char *const endings[] = {".txt", ".tmp", ".mid", NULL};
    ct_arena                 arena = {0};
    char                   **names;
    size_t                   count;
    assert_int_equal(ct_folder_list(folder, endings, 0, &arena, &names, &count), CT_OK);
    assert_int_equal(count, expected_count);
    for (size_t i = 0; i < count; i++) assert_string_equal(names[i], expected[i]);
    ct_arena_free(&arena);
}

static void files_are_written_whole(void **state) {
    (void)state;
    char               folder[TEMP_PATH];
    ct_arena           arena = {0};
    ct_bytes           bytes;
    ct_writer          writer;
    static const char *one[] = {"a.txt"};
    temp_folder(folder);
    const char *path = temp_path(&arena, folder, "a.txt");
    temp_write(path, "first", 5);
    assert_names(folder, one, 1);
    assert_string_equal((char *)temp_read(path, &arena).at, "first");
    temp_write(path, "", 0);
    assert_int_equal(temp_read(path, &arena).count, 0);

    assert_int_equal(ct_writer_begin(&writer, path), CT_OK);
    ct_writer_put(&writer, "abc", 3);
    ct_writer_print(&writer, "%d", 17);
    assert_int_equal(temp_read(path, &arena).count, 0); /* the old file until the commit */
    assert_int_equal(ct_writer_commit(&writer), CT_OK);
    assert_string_equal((char *)temp_read(path, &arena).at, "abc17");
    assert_int_equal(ct_writer_begin(&writer, path), CT_OK);
    ct_writer_put(&writer, "gone", 4);
    ct_writer_abandon(&writer);
    ct_writer_abandon(&writer); /* twice is once */
    assert_names(folder, one, 1);
    assert_string_equal((char *)temp_read(path, &arena).at, "abc17");

    assert_int_equal(ct_file_read(path, 5, &arena, &bytes), CT_OK);
    assert_int_equal(ct_file_read(path, 4, &arena, &bytes), CT_EFAIL);
    assert_message_has("5 bytes, at most 4");
    assert_int_equal(ct_file_read(folder, 0, &arena, &bytes), CT_EFAIL);
    assert_message_has("no plain file");
    const char *pipe = temp_path(&arena, folder, "pipe"); /* nobody writes into it: whoever waits for that hangs */
    ct_bytes    map;
    assert_int_equal(mkfifo(pipe, 0600), 0);
    alarm(20);
    assert_int_equal(ct_file_read(pipe, 0, &arena, &bytes), CT_EFAIL);
    assert_message_has("no plain file");
    assert_int_equal(ct_file_map(pipe, &map), CT_EFAIL);
    assert_message_has("no plain file");
    alarm(0);
    assert_int_equal(unlink(pipe), 0);
    assert_int_equal(ct_file_read(temp_path(&arena, folder, "none"), 0, &arena, &bytes), CT_EFAIL);
    assert_message_has("No such file");

    assert_int_equal(ct_file_map(path, &bytes), CT_OK);
    assert_int_equal(bytes.count, 5);
    assert_memory_equal(bytes.at, "abc17", 5);
    ct_file_unmap(&bytes);
    assert_null(bytes.at);
    temp_write(path, "", 0);
    assert_int_equal(ct_file_map(path, &bytes), CT_OK);
    assert_true(!bytes.at && !bytes.count);
    ct_file_unmap(&bytes);
    assert_int_equal(ct_file_map(folder, &bytes), CT_EFAIL);
    ct_arena_free(&arena);
    temp_remove(folder);
}

static void failed_writing_leaves_the_old_file(void **state) {
    (void)state;
    char               folder[TEMP_PATH], big[9000] = {0};
    ct_arena           arena = {0};
    static const char *one[] = {"a.txt"};
    temp_folder(folder);
    const char *path = temp_path(&arena, folder, "a.txt"), *below = temp_path(&arena, folder, "is-a-folder");
    temp_write(path, "old", 3);
    assert_int_equal(ct_file_write(temp_path(&arena, folder, "missing/a.txt"), "x", 1), CT_EFAIL);
    assert_message_has("missing/a.txt");
    assert_message_has("No such file");
    assert_int_equal(mkdir(below, 0777), 0);
    assert_int_equal(ct_file_write(below, "x", 1), CT_EFAIL); /* written aside, but can't be renamed */
    assert_message_has("is-a-folder");
    assert_names(folder, one, 1);

    struct rlimit before, little = {.rlim_cur = 4096};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    little.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0); /* as if the disk were full */
    ct_status status = ct_file_write(path, big, sizeof big);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(status, CT_EFAIL);
    assert_message_has("can't write");
    assert_names(folder, one, 1);
    assert_string_equal((char *)temp_read(path, &arena).at, "old");
    char longest[5000];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    assert_int_equal(ct_file_write(longest, "x", 1), CT_EFAIL);
    assert_message_has("path too long");
    ct_arena_free(&arena);
    temp_remove(folder);
}

static void read_only_folders_keep_their_files(void **state) {
    (void)state;
    char               folder[TEMP_PATH];
    ct_arena           arena = {0};
    static const char *one[] = {"a.txt"};
    temp_folder(folder);
    const char *path = temp_path(&arena, folder, "a.txt");
    temp_write(path, "old", 3);
    assert_int_equal(chmod(folder, 0555), 0);
    uid_t self = geteuid();
    if (self == 0 && seteuid(65534) != 0) { /* nothing is read-only to root */
        printf("skipped: read-only folders (root can't become anybody else here)\n");
        temp_remove(folder);
        skip();
    }
    ct_status status = ct_file_write(path, "new", 3);
    if (self == 0) assert_int_equal(seteuid(self), 0);
    assert_int_equal(status, CT_EFAIL);
    assert_message_has("Permission denied");
    assert_string_equal((char *)temp_read(path, &arena).at, "old");
    assert_names(folder, one, 1);
    assert_int_equal(chmod(folder, 0755), 0);
    ct_arena_free(&arena);
    temp_remove(folder);
}

static void folders_are_walked_and_removed(void **state) {
    (void)state;
    char     folder[TEMP_PATH], outside[TEMP_PATH];
    ct_arena arena = {0};
    char   **names;
    size_t   count;
    temp_folder(folder);
    temp_folder(outside);
    temp_write(temp_path(&arena, outside, "kept.mid"), "k", 1);
    assert_int_equal(ct_folder_make(temp_path(&arena, folder, "b/deep/er")), CT_OK);
    assert_int_equal(ct_folder_make(temp_path(&arena, folder, "b/deep/er")), CT_OK); /* is there: fine */
    assert_int_equal(ct_folder_make(temp_path(&arena, folder, "Z")), CT_OK);
    static const char *const files[] = {"b.mid", "a.MID", "b/deep/er/x.mid", "b/c.mid", "Z/1.mid", "note.md", ".mid"};
    for (size_t i = 0; i < CT_COUNT(files); i++) temp_write(temp_path(&arena, folder, files[i]), "1", 1);
    assert_int_equal(symlink(temp_path(&arena, outside, "kept.mid"), temp_path(&arena, folder, "link.mid")), 0);
    assert_int_equal(symlink(outside, temp_path(&arena, folder, "folder.mid")), 0);
    assert_int_equal(symlink(temp_path(&arena, folder, "nowhere"), temp_path(&arena, folder, "dangling.mid")), 0);
    static const char *const found[] = {"Z/1.mid", "a.MID", "b.mid", "b/c.mid", "b/deep/er/x.mid", "link.mid"};
    assert_names(folder, found, CT_COUNT(found));
    static const char *const mid[] = {".mid", NULL};
    assert_int_equal(ct_folder_list(folder, mid, 6, &arena, &names, &count), CT_OK);
    assert_int_equal(ct_folder_list(folder, mid, 5, &arena, &names, &count), CT_EFAIL);
    assert_message_has("more than 5 files");
    assert_int_equal(ct_folder_list(temp_path(&arena, folder, "nowhere"), mid, 0, &arena, &names, &count), CT_EFAIL);
    assert_int_equal(ct_folder_folders(folder, &arena, &names, &count), CT_OK);
    assert_int_equal(count, 2);
    assert_string_equal(names[0], "Z");
    assert_string_equal(names[1], "b");
    assert_true(ct_folder_exists(temp_path(&arena, folder, "b")) &&
                !ct_folder_exists(temp_path(&arena, folder, "b.mid")));
    assert_true(ct_file_exists(temp_path(&arena, folder, "b.mid")) && !ct_file_exists(temp_path(&arena, folder, "b")));
    assert_int_equal(ct_folder_make(temp_path(&arena, folder, "b.mid/c")), CT_EFAIL);
    assert_int_equal(ct_folder_make(temp_path(&arena, folder, "b.mid")), CT_EFAIL);
    assert_message_has("is no folder");
    temp_remove(folder);
    assert_false(ct_folder_exists(folder));
    assert_true(ct_file_exists(temp_path(&arena, outside, "kept.mid"))); /* links are removed, never followed */
    assert_int_equal(ct_folder_remove(folder), CT_EFAIL);
    temp_remove(outside);
    ct_arena_free(&arena);
}

static void sha256_is_right(void **state) {
    (void)state;
    char hex[65];
    ct_sha256("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    ct_sha256("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    ct_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, hex);
    assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char *million = malloc(1000000);
    assert_non_null(million);
    memset(million, 'a', 1000000);
    ct_sha256(million, 1000000, hex);
    static const struct {
        size_t      count;
        const char *hex;
    } near_a_block[] = {
        {55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
        {56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"},
        {63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"},
        {64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
        {65, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"},
    };
    for (size_t i = 0; i < CT_COUNT(near_a_block); i++)
        for (size_t cut = 0; cut <= near_a_block[i].count; cut++) {
            ct_sha256_sum sum;
            char          in_parts[65];
            ct_sha256_begin(&sum);
            ct_sha256_add(&sum, million, cut);
            ct_sha256_add(&sum, million + cut, near_a_block[i].count - cut);
            ct_sha256_end(&sum, in_parts);
            assert_string_equal(in_parts, near_a_block[i].hex);
        }
    free(million);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* ---- JSON */
static void json_comes_back(void **state) {
    (void)state;
    ct_arena arena = {0};
    ct_json *root = ct_json_new_object(), *list = ct_json_new_array(), *again;
    ct_json_set(root, "zebra", ct_json_new_text("a \"quote\"\n\xc3\xa9"));
    ct_json_set(root, "ape", list);
    ct_json_add(list, ct_json_new_integer(INT64_C(-9007199254740993)));
    ct_json_add(list, ct_json_new_real(0.1));
    ct_json_add(list, ct_json_new_bool(true));
    ct_json_set(root, "bytes", ct_json_new_text("bad \xff utf"));
    char *text = ct_json_print(root, 0, &arena);
    assert_string_equal(text, "{\"zebra\": \"a \\\"quote\\\"\\n\xc3\xa9\", \"ape\": [-9007199254740993, 0.1, true], "
                              "\"bytes\": \"bad ? utf\"}");
    assert_int_equal(ct_json_parse(text, strlen(text), "x", &again), CT_OK);
    assert_string_equal(ct_json_text(ct_json_get(again, "zebra"), ""), "a \"quote\"\n\xc3\xa9");
    assert_true(ct_json_integer(ct_json_at(ct_json_get(again, "ape"), 0), 0) == INT64_C(-9007199254740993));
    assert_true(ct_json_real(ct_json_at(ct_json_get(again, "ape"), 1), 0) == 0.1);
    assert_true(ct_json_real(ct_json_at(ct_json_get(again, "ape"), 0), 0) == -9007199254740993.0);
    assert_int_equal(ct_json_count(again), 3);
    assert_int_equal(ct_json_integer(ct_json_get(again, "zebra"), -5), -5); /* the wrong type */
    assert_string_equal(ct_json_text(ct_json_get(again, "none"), "fallback"), "fallback");
    assert_null(ct_json_get(NULL, "none"));
    assert_null(ct_json_at(ct_json_get(again, "ape"), 3));
    const char *key = NULL, *order[] = {"zebra", "ape", "bytes"};
    ct_json    *value;
    int         n = 0;
    for (void *i = NULL; ct_json_next(again, &i, &key, &value);) {
        CT_ASSERT(n < 3);
        assert_string_equal(key, order[n++]);
    }
    assert_int_equal(n, 3);
    ct_json_free(again);
    ct_json_free(root);
    ct_arena_free(&arena);
}

static void bad_json_is_placed(void **state) {
    (void)state;
    static const struct {
        const char *text, *place;
    } cases[] = {{"{\"a\": 1,\n \"b\": }", "f.json:2:"},
                 {"{\"a\": 1, \"a\": 2}", "duplicate"},
                 {"[1, 2", "f.json:1:"},
                 {"", "f.json:1:"},
                 {"{} x", "f.json:1:"},
                 {"[\"\xff\"]", "f.json:1:"}};
    for (size_t i = 0; i < CT_COUNT(cases); i++) {
        ct_json *value;
        assert_int_equal(ct_json_parse(cases[i].text, strlen(cases[i].text), "f.json", &value), CT_EFAIL);
        assert_message_has("not valid JSON");
        assert_message_has(cases[i].place);
    }
    char deep[20000]; /* nesting is bounded: no stack overflow */
    memset(deep, '[', sizeof deep);
    ct_json *value;
    assert_int_equal(ct_json_parse(deep, sizeof deep, "f.json", &value), CT_EFAIL);
}

/* ---- run folders */
static void run_folders_keep_their_lines(void **state) {
    (void)state;
    char     folder[TEMP_PATH];
    ct_arena arena = {0};
    ct_run   run;
    ct_json *facts = ct_provenance();
    temp_folder(folder);
    const char *path = temp_path(&arena, folder, "runs/one"),
               *jsonl = temp_path(&arena, folder, "runs/one/metrics.jsonl"),
               *csv = temp_path(&arena, folder, "runs/one/metrics.csv");
    assert_false(ct_run_exists(path));
    assert_int_equal(ct_run_create(path, "a: 1\n", facts, &run), CT_OK);
    for (int step = 10; step <= 40; step += 10) {
        ct_metric metrics[] = {{"loss", 1.0 / step}, {"valid", step == 20 ? 0.5 : NAN}, {"skipped", 0}};
        assert_int_equal(ct_run_metrics(&run, step, metrics, CT_COUNT(metrics)), CT_OK);
    }
    ct_run_close(&run);
    assert_string_equal((char *)temp_read(temp_path(&arena, path, "config.resolved.yaml"), &arena).at, "a: 1\n");
    ct_bytes about = temp_read(temp_path(&arena, path, "provenance.json"), &arena);
    ct_json *again;
    assert_int_equal(ct_json_parse((char *)about.at, about.count, "p", &again), CT_OK);
    assert_non_null(ct_json_get(again, "version"));
    ct_json_free(again);
    assert_string_equal((char *)temp_read(jsonl, &arena).at,
                        "{\"step\": 10, \"loss\": 0.1, \"skipped\": 0}\n"
                        "{\"step\": 20, \"loss\": 0.05, \"valid\": 0.5, \"skipped\": 0}\n"
                        "{\"step\": 30, \"loss\": 0.0333333333, \"skipped\": 0}\n"
                        "{\"step\": 40, \"loss\": 0.025, \"skipped\": 0}\n");
    assert_string_equal((char *)temp_read(csv, &arena).at,
                        "step,loss,valid,skipped\n10,0.1,,0\n20,0.05,0.5,0\n30,0.0333333333,,0\n40,0.025,,0\n");

    assert_true(ct_run_exists(path));
    assert_int_equal(ct_run_create(path, "a: 2\n", facts, &run), CT_EFAIL);
    assert_message_has("is there already; nothing was changed");
    assert_string_equal((char *)temp_read(temp_path(&arena, path, "config.resolved.yaml"), &arena).at, "a: 1\n");

    FILE *torn = fopen(jsonl, "ab"); /* killed in the middle of a line */
    assert_non_null(torn);
    fputs("{\"step\": 20, \"lo", torn);
    fclose(torn);
    assert_int_equal(ct_run_open(path, &run), CT_OK);
    assert_int_equal(ct_run_resume(&run, 20), CT_OK);
    ct_metric metrics[] = {{"loss", 7}, {"valid", NAN}, {"skipped", 1}};
    assert_int_equal(ct_run_metrics(&run, 30, metrics, CT_COUNT(metrics)), CT_OK);
    ct_run_close(&run);
    assert_string_equal((char *)temp_read(jsonl, &arena).at,
                        "{\"step\": 10, \"loss\": 0.1, \"skipped\": 0}\n"
                        "{\"step\": 20, \"loss\": 0.05, \"valid\": 0.5, \"skipped\": 0}\n"
                        "{\"step\": 30, \"loss\": 7, \"skipped\": 1}\n");
    assert_string_equal((char *)temp_read(csv, &arena).at,
                        "step,loss,valid,skipped\n10,0.1,,0\n20,0.05,0.5,0\n30,7,,1\n");
    ct_json_free(facts);
    ct_arena_free(&arena);
    temp_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_kept),
        cmocka_unit_test(long_messages_are_cut),
        cmocka_unit_test(arena_blocks_are_aligned_zero_and_apart),
        cmocka_unit_test(arena_refuses_too_much),
        cmocka_unit_test(arena_growth_keeps_content),
        cmocka_unit_test(files_are_written_whole),
        cmocka_unit_test(failed_writing_leaves_the_old_file),
        cmocka_unit_test(read_only_folders_keep_their_files),
        cmocka_unit_test(folders_are_walked_and_removed),
        cmocka_unit_test(sha256_is_right),
        cmocka_unit_test(json_comes_back),
        cmocka_unit_test(bad_json_is_placed),
        cmocka_unit_test(run_folders_keep_their_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* fuzz_config.c -- YAML through the schema of `train`: as text, and as a file with bases and a matrix. Values that were
 * read print as text that reads to the same values.
 *
 * A base is the user's own choice and may lie anywhere; the fuzzer must not read the machine it runs on, so an input
 * that could write a '/' (or hide one behind a '\') is read as text only, where `base` is a key like any other. The
 * rest can name the two files beside it, and itself. */
#include "core/config.h"
#include "tests/fuzz/fuzz.h"
#include "tests/watch_open.h"
#include "train/train.h"

static const char *folder, *file;
static FILE       *nowhere;

static void begin(void) {
    static const char wide[] = "base: deep.yaml\nmodel: {stage: melody, width: 64, heads: 2}\ntrain.steps: 10\n";
    static const char deep[] = "train: {out: out/run, seed: 1}\ndata.path: data\nmatrix: {train.seed: [1, 2]}\n";
    static char       path[3][100];
    folder = fuzz_folder();
    snprintf(path[0], sizeof path[0], "%s/wide.yaml", folder);
    snprintf(path[1], sizeof path[1], "%s/deep.yaml", folder);
    snprintf(path[2], sizeof path[2], "%s/f.yaml", folder);
    fuzz_write(path[0], wide, sizeof wide - 1);
    fuzz_write(path[1], deep, sizeof deep - 1);
    file = path[2];
    nowhere = fopen("/dev/null", "we");
    CT_ASSERT(nowhere);
}

static void print_and_read(const ct_train_config *values, ct_arena *arena) {
    ct_train_config again;
    char           *text = ct_config_print(&ct_train_schema, values, arena);
    CT_ASSERT(text);
    if (ct_config_read_text(&ct_train_schema, text, "printed", arena, &again) != CT_OK) {
        fprintf(stderr, "%s\n%s\n", ct_message(), text);
        abort();
    }
    char *second = ct_config_print(&ct_train_schema, &again, arena);
    CT_ASSERT(second && !strcmp(text, second));
}

static void read_file(const uint8_t *data, size_t size, const char *word, ct_arena *arena) {
    ct_train_config  values;
    ct_config_source source = {.path = file, .overrides = &word, .override_count = word != NULL, .out = "train.out"};
    fuzz_write(file, data, size);
    watch_below = folder;
    for (source.index = 0; source.index < 3; source.index += 2)
        if (ct_config_read_source(&ct_train_schema, &source, arena, &values) == CT_OK) print_and_read(&values, arena);
    source.index = 0;
    if (ct_config_list(&ct_train_schema, &source, nowhere) == CT_OK) fflush(nowhere);
    if (ct_config_explain(&ct_train_schema, &source, "model", nowhere) == CT_OK) fflush(nowhere);
    watch_below = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ct_arena        arena = {.cap = FUZZ_ARENA};
    ct_train_config values;
    if (!folder) begin();
    char *text = ct_arena_copy(&arena, (const char *)data, size);
    CT_ASSERT(text);
    if (ct_config_read_text(&ct_train_schema, text, "input", &arena, &values) == CT_OK) print_and_read(&values, &arena);
    if (!memchr(data, '/', size) && !memchr(data, '\\', size)) {
        const char *line = memchr(data, '\n', size); /* the first line is a word of the command line too */
        read_file(data, size, NULL, &arena);
        if (line) {
            text[line - (const char *)data] = 0;
            read_file(data, size, text, &arena);
        }
    }
    ct_arena_free(&arena);
    return 0;
}

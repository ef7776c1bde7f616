/* fuzz_dataset.c -- dataset folders: a small valid one, in which one file is replaced by the input; the input's first
 * byte says which. What opens can be split, counted and read by the loader, transposed and with columns made unknown,
 * and every value lies inside its column. Nothing outside the folder may be opened.
 *
 * Two datasets: our own columns, and four words of somebody else. */
#include "core/data/loader.h"
#include "tests/fuzz/fuzz.h"
#include "tests/watch_open.h"

enum { FILES = 4, ROWS = 12 };
static const char *const names[FILES] = {"dataset.json", "songs.tsv", "backbone.npy", "melody.npy"};
static const char       *root;

typedef struct file {
    char   path[120];
    char   bytes[1 << 16];
    size_t count;
} file;
static file files[2][FILES];

static void set_file(file *f, const void *bytes, size_t count) {
    CT_ASSERT(count <= sizeof f->bytes);
    memcpy(f->bytes, bytes, count);
    f->count = count;
    fuzz_write(f->path, bytes, count);
}

static ct_json *stage_of_ours(ct_stage stage, int *columns, ct_arena *arena) {
    int              words = ct_vocabulary_size(stage);
    const ct_column *own = ct_columns(stage, columns);
    const char     **vocabulary = CT_NEW(arena, const char *, (size_t)words);
    char             name[64];
    CT_ASSERT(vocabulary);
    for (int i = 0; i < words; i++) {
        const char *word = ct_token_name(stage, i, name, sizeof name);
        vocabulary[i] = ct_arena_copy(arena, word, strlen(word));
    }
    return ct_stage_json(own, *columns, vocabulary, words);
}

static ct_json *foreign_stage(int *columns) {
    static const ct_column   own[] = {{"token", 4, CT_GROUP_NONE, CT_TURN_NONE},
                                      {"voice", 3, CT_GROUP_LEFT, CT_TURN_NONE},
                                      {"bar", 0, CT_GROUP_NONE, CT_TURN_NONE}};
    static const char *const words[] = {"low", "high", "hold", "end"};
    *columns = 3;
    return ct_stage_json(own, 3, words, 4);
}

static void make(int kind) {
    static const char songs[] = "source\tsha256\tsplit\tb\tb\tm\tm\n"
                                "one\t-\ttrain\t0\t7\t0\t5\ntwo\t-\ttrain\t7\t3\t5\t4\nthree\t-\tvalid\t10\t2\t9\t3\n";
    ct_arena          arena = {0};
    ct_json          *about = ct_json_new_object(), *stages = ct_json_new_object();
    file             *f = files[kind];
    char              folder[100];
    snprintf(folder, sizeof folder, "%s/%d", root, kind);
    CT_ASSERT(ct_folder_make(folder) == CT_OK);
    for (int i = 0; i < FILES; i++) snprintf(f[i].path, sizeof f[i].path, "%s/%s", folder, names[i]);
    for (int s = 0; s < CT_STAGES; s++) {
        uint16_t rows[ROWS * CT_COLUMNS_MAX] = {0};
        char     bytes[CT_NPY_HEADER + sizeof rows];
        int      columns;
        ct_json *stage = kind ? foreign_stage(&columns) : stage_of_ours((ct_stage)s, &columns, &arena);
        for (int r = 0; r < ROWS; r++)
            for (int c = 0; c < columns; c++) rows[r * columns + c] = (uint16_t)((r + c) % 3);
        ct_json_set(stages, ct_stage_names[s], stage);
        size_t header = ct_npy_header(CT_NPY_U16, ROWS, columns, bytes), size = sizeof *rows * ROWS * (size_t)columns;
        memcpy(bytes + header, rows, size);
        set_file(&f[2 + s], bytes, header + size);
    }
    ct_json_set(about, "format", ct_json_new_integer(CT_FORMAT_VERSION));
    ct_json_set(about, "stages", stages);
    char *text = ct_json_print(about, 0, &arena);
    CT_ASSERT(text);
    set_file(&f[0], text, strlen(text));
    set_file(&f[1], songs, sizeof songs - 1);
    ct_json_free(about);
    ct_arena_free(&arena);
}

static void check_batch(const ct_batch *b, const ct_stage_data *s) {
    for (int64_t i = 0; i < b->batch * b->tokens; i++) {
        for (int c = 0; c < b->columns; c++)
            CT_ASSERT(!s->columns[c].size || b->rows[i * b->columns + c] < s->columns[c].size);
        CT_ASSERT(b->target[i] >= -1 && b->target[i] < s->columns[0].size);
    }
}

static void read_stage(const ct_dataset *d, int stage) {
    int64_t segments;
    CT_ASSERT(ct_dataset_segments(d, stage, 5) >= 1);
    CT_ASSERT(ct_dataset_stream_segments(d, stage, 8, &segments) == CT_OK && segments >= 1);
    for (int way = 0; way < 2; way++) {
        const ct_loader_options options = {
            .stage = stage, .stream = way, .batch = 2, .tokens = 8, .transpose = true, .unknown = 0.5};
        ct_loader loader;
        if (ct_loader_open(d, &options, &loader) != CT_OK) continue;
        for (int64_t n = 0; n < 3; n++) check_batch(ct_loader_batch(&loader, n), &d->stage[stage]);
        ct_loader_close(&loader);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char folder[100];
    ct_dataset  d;
    if (!root) {
        root = fuzz_folder();
        make(0);
        make(1);
    }
    if (!size) return 0;
    int         which = data[0] % FILES, kind = data[0] / FILES % 2;
    const file *f = &files[kind][which];
    fuzz_write(f->path, data + 1, size - 1);
    snprintf(folder, sizeof folder, "%s/%d", root, kind);
    watch_below = folder;
    ct_status status = ct_dataset_open(folder, &d);
    watch_below = NULL;
    if (status == CT_OK) {
        for (int s = 0; s < CT_STAGES; s++)
            if (d.stage[s].present) read_stage(&d, s);
        ct_dataset_close(&d);
    }
    fuzz_write(f->path, f->bytes, f->count);
    return 0;
}

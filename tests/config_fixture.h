/* config_fixture.h -- a small schema, and config files in a fresh folder. Include after cmocka.h; a failure ends the
 * test. "@" in a text stands for the folder.
 */
#ifndef CT_TESTS_CONFIG_FIXTURE_H
#define CT_TESTS_CONFIG_FIXTURE_H

#include "core/config.h"
#include "temp_folder.h"

#include <unistd.h>

typedef struct item {
    int by;
} item;
typedef struct values {
    int64_t     count, item_count, depth;
    double      rate;
    bool        flag;
    const char *name, *title;
    int         form;
    item        items[3];
} values;

#define KEY(path, kind, fallback, low, high, choices, member)                                                          \
    CT_KEY(values, path, kind, fallback, low, high, choices, member, "about " path)
static const ct_key element[] = {
    {"by", CT_KEY_CHOICE, NULL, 0, 0, "index|time", offsetof(item, by), "about by", NULL, 0, 0, 0, 0}};
static const ct_key keys[] = {
    KEY("count", INTEGER, "3", 1, 9, NULL, count),
    KEY("name", TEXT, NULL, 0, 0, NULL, name),
    KEY("title", TEXT, "", 0, 0, NULL, title),
    KEY("flag", BOOL, "false", 0, 0, NULL, flag),
    KEY("a.rate", REAL, "1e-3", 0, 10, NULL, rate),
    KEY("a.b.form", CHOICE, "table", 0, 0, "table|mlp|off", form),
    KEY("a.b.depth", INTEGER, "-7", 0, 0, NULL, depth),
    {"items", CT_KEY_LIST, "[]", 0, 0, NULL, offsetof(values, item_count), "about items", element, 1, sizeof(item),
     offsetof(values, items), 3},
};
#undef KEY
static const ct_schema schema = {"test", keys, CT_COUNT(keys)};

typedef struct config_fixture {
    char     folder[TEMP_PATH];
    ct_arena arena;
} config_fixture;

static inline config_fixture fixture_begin(void) {
    config_fixture f = {.arena = {0}};
    temp_folder(f.folder);
    return f;
}

static inline void fixture_end(config_fixture *f) {
    temp_remove(f->folder);
    ct_arena_free(&f->arena);
}

/* `text` with the folder for each "@". */
static inline const char *fixture_text(config_fixture *f, const char *text) {
    const char *out = "";
    for (const char *at; (at = strchr(text, '@')); text = at + 1)
        out = ct_arena_printf(&f->arena, "%s%.*s%s", out, (int)(at - text), text, f->folder);
    return ct_arena_printf(&f->arena, "%s%s", out, text);
}

/* A file, and the folders that its name needs. */
static inline void fixture_write(config_fixture *f, const char *name, const char *text) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    *strrchr(path, '/') = 0;
    assert_int_equal(ct_folder_make(path), CT_OK);
    FILE *to =
        fopen(temp_path(&f->arena, f->folder, name), "wb"); /* not ct_file_write: thousands of fsyncs take long */
    assert_non_null(to);
    assert_true(fputs(text, to) >= 0);
    assert_int_equal(fclose(to), 0);
}

/* The file `name` with a word behind it (NULL: none). */
static inline ct_status fixture_read(config_fixture *f, const char *name, const char *word, values *out) {
    memset(out, 0, sizeof *out);
    return ct_config_read(&schema, temp_path(&f->arena, f->folder, name), &word, word != NULL, &f->arena, out);
}

static inline void fixture_ok(config_fixture *f, const char *name, const char *word, values *out) {
    if (fixture_read(f, name, word, out) != CT_OK) fail_msg("%s", ct_message());
}

/* f.yaml with `text` (NULL: as it is) is refused; `message` is part of what is said. */
static inline void fixture_refuses(config_fixture *f, const char *text, const char *word, const char *message) {
    values v;
    if (text) fixture_write(f, "f.yaml", text);
    assert_int_equal(fixture_read(f, "f.yaml", word, &v), CT_EUSAGE);
    assert_message_has(fixture_text(f, message));
}

#endif

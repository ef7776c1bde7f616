/* config_file.c -- see config_file.h. */
#include "core/config_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_FILES = 64, LONGEST_KEY = 255 };

/* The way from the file on the command line down to the one that is read. */
typedef struct ct_link {
    const struct ct_link *above; /* NULL: the file on the command line */
    const char           *path;
    const ct_node        *base; /* where it names the base that is being followed */
    dev_t                 device;
    ino_t                 file;
} ct_link;

typedef struct ct_reader {
    ct_errors *errors;
    ct_arena  *arena;
    int        files;
} ct_reader;

/* "a.yaml:1 -> b.yaml:1" */
static void print_way(const ct_link *link, char *text, size_t size) {
    if (link->above) print_way(link->above, text, size);
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s:%d", used ? " -> " : "", link->path, link->base->line);
}

/* Can the base at `path` be read, and is it none of the files on the way? */
static ct_status check_base(const ct_reader *r, const char *path, const ct_link *above, ct_link *link) {
    ct_place    place = ct_place_of(above->base);
    struct stat about;
    if (r->files > MOST_FILES)
        return ct_fail(CT_EUSAGE, "%s: base: %s would be file %d of this config, at most %d", place.text, path,
                       r->files, MOST_FILES);
    if (stat(path, &about) != 0 || access(path, R_OK) != 0)
        return ct_fail(CT_EUSAGE, "%s: base: can't open %s: %s", place.text, path, strerror(errno));
    if (!S_ISREG(about.st_mode))
        return ct_fail(CT_EUSAGE, "%s: base: %s is %s, no file", place.text, path,
                       S_ISDIR(about.st_mode) ? "a folder" : "a device");
    link->device = about.st_dev, link->file = about.st_ino;
    for (const ct_link *l = above; l; l = l->above)
        if (l->device == link->device && l->file == link->file) {
            char way[2000] = "";
            print_way(above, way, sizeof way);
            return ct_fail(CT_EUSAGE, "%s: base: %s rests on itself: %s -> %s", place.text, path, way, path);
        }
    return CT_OK;
}

/* Take the key `name` out of a map; NULL when it is not there. */
static const ct_node *take(ct_node *map, const char *name, ct_errors *errors) {
    const ct_node *value = NULL, *first = NULL;
    size_t         left = 0;
    for (size_t i = 0; i < map->count; i++) {
        if (strcmp(map->keys[i]->text, name) != 0) {
            map->keys[left] = map->keys[i];
            map->values[left++] = map->values[i];
        } else if (first)
            ct_errors_add(errors, map->keys[i], "%s is given twice; first at line %d", name, first->line);
        else
            first = map->keys[i], value = map->values[i];
    }
    map->count = left;
    return value;
}

static ct_status read_file(ct_reader *r, const char *path, const ct_link *above, ct_config_given *out);

static ct_status read_base(ct_reader *r, const ct_node *base, ct_link *link, ct_config_given *out) {
    if (base->kind != CT_NODE_TEXT || !*base->text)
        return ct_fail(CT_EUSAGE, "%s: base: expected a file name, or a list of them", ct_place_of(base).text);
    const char *slash = *base->text == '/' ? NULL : strrchr(link->path, '/');
    const char *path =
        ct_arena_printf(r->arena, "%.*s%s", slash ? (int)(slash + 1 - link->path) : 0, link->path, base->text);
    ct_config_given below = {0};
    if (!path) return CT_ENOMEM;
    link->base = base;
    CT_TRY(read_file(r, path, link, &below));
    if (below.matrix) out->matrix = below.matrix;
    return ct_tree_merge(out->root, below.root, r->arena);
}

static ct_status read_file(ct_reader *r, const char *path, const ct_link *above, ct_config_given *out) {
    ct_link     link = {.above = above, .path = path};
    struct stat about;
    ct_node    *own, *expanded;
    r->files++;
    if (above)
        CT_TRY(check_base(r, path, above, &link));
    else if (stat(path, &about) == 0)
        link.device = about.st_dev, link.file = about.st_ino;
    CT_TRY(ct_yaml_file(path, r->arena, &own));
    if (own->kind == CT_NODE_TEXT && !*own->text) own->kind = CT_NODE_MAP; /* an empty file */
    if (own->kind != CT_NODE_MAP)
        return ct_fail(CT_EUSAGE, "%s: expected `key: value` lines, found a %s", ct_place_of(own).text,
                       own->kind == CT_NODE_LIST ? "list" : "single value");
    *out = (ct_config_given){0};
    CT_TRY(ct_tree_new(own, r->arena, &out->root));
    const ct_node *base = take(own, "base", r->errors), *matrix = take(own, "matrix", r->errors);
    if (base && base->kind == CT_NODE_LIST)
        for (size_t i = 0; i < base->count; i++) CT_TRY(read_base(r, base->values[i], &link, out));
    else if (base)
        CT_TRY(read_base(r, base, &link, out));
    if (matrix) out->matrix = matrix->kind == CT_NODE_MAP && !matrix->count ? NULL : matrix; /* {}: none */
    CT_TRY(ct_tree_expand(own, r->errors, r->arena, &expanded));
    return ct_tree_merge(out->root, expanded, r->arena);
}

static ct_status read_word(const char *word, ct_errors *errors, ct_arena *arena, ct_config_given *out) {
    const char *equals = strchr(word, '=');
    if (!equals || equals == word) return ct_fail(CT_EUSAGE, "%s: expected key=value after the config file", word);
    if (equals - word > LONGEST_KEY) return ct_fail(CT_EUSAGE, "%.60s...: no key is that long", word);
    char       *name = ct_arena_copy(arena, word, (size_t)(equals - word));
    const char *where = ct_arena_printf(arena, "command line: %s", word);
    ct_node    *value, *again;
    if (!name || !where) return CT_ENOMEM;
    if (!strcmp(name, "base") || !strcmp(name, "matrix"))
        return ct_fail(CT_EUSAGE, "%s: %s stands in a config file only", word, name);
    CT_TRY(ct_yaml_text(equals + 1, where, arena, &value));
    value->line = 0;
    again = value;
    if (value->kind == CT_NODE_MAP) {
        CT_TRY(ct_tree_expand(again, errors, arena, &value));
        CT_TRY(ct_tree_expand(again, errors, arena, &again));
    }
    CT_TRY(ct_tree_set(out->words, name, again, arena));
    return ct_tree_set(out->root, name, value, arena);
}

ct_status ct_config_given_read(const ct_config_source *source, ct_errors *errors, ct_arena *arena,
                               ct_config_given *out) {
    ct_reader     r = {.errors = errors, .arena = arena};
    const ct_node line = {.source = "command line"};
    *out = (ct_config_given){0};
    if (source->path)
        CT_TRY(read_file(&r, source->path, NULL, out));
    else
        CT_TRY(ct_tree_new(&line, arena, &out->root));
    CT_TRY(ct_tree_new(&line, arena, &out->words));
    for (size_t i = 0; i < source->override_count; i++) CT_TRY(read_word(source->overrides[i], errors, arena, out));
    return CT_OK;
}

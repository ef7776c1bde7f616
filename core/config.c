/* config.c -- schema, overrides, errors; see config.h. The YAML itself is read in yaml.c. */
#include "core/config.h"

#include "core/yaml.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ERRORS_BYTES = 3500 };

typedef struct ct_reading {
    char   errors[ERRORS_BYTES];
    size_t used;
    int    count;
} ct_reading;

static void complain(ct_reading *r, const ct_node *node, const char *format, ...) CT_PRINTF(3, 4);
static void complain(ct_reading *r, const ct_node *node, const char *format, ...) {
    r->count++;
    char    text[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    int n = node->line > 0 ? snprintf(r->errors + r->used, sizeof r->errors - r->used, "%s%s:%d:%d: %s",
                                      r->used ? "\n" : "", node->source, node->line, node->column, text)
                           : snprintf(r->errors + r->used, sizeof r->errors - r->used, "%s%s: %s", r->used ? "\n" : "",
                                      node->source, text);
    if (n > 0) r->used += (size_t)n;
    if (r->used >= sizeof r->errors) r->used = sizeof r->errors - 1;
}

/* Edits that turn a into b (Levenshtein), bounded words. */
static int distance(const char *a, const char *b) {
    int    row[65];
    size_t n = strlen(b);
    if (n > 64 || strlen(a) > 64) return 99;
    for (size_t j = 0; j <= n; j++) row[j] = (int)j;
    for (size_t i = 1; a[i - 1]; i++) {
        int before = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= n; j++) {
            int change = before + (a[i - 1] != b[j - 1]), least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            before = row[j];
            row[j] = change < least ? change : least;
        }
    }
    return row[n];
}

/* Does `path` name a key, or the folder of keys? */
static bool known(const ct_key *keys, size_t count, const char *path, bool *is_folder) {
    size_t n = strlen(path);
    *is_folder = false;
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(keys[i].path, path)) return true;
        if (!strncmp(keys[i].path, path, n) && keys[i].path[n] == '.') *is_folder = true;
    }
    return *is_folder;
}

static void check_names(ct_reading *r, const ct_key *keys, size_t count, const ct_node *map, const char *prefix) {
    for (size_t i = 0; i < map->count; i++) {
        const ct_node *name = map->keys[i];
        char           path[256];
        bool           is_folder;
        snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", name->text);
        for (size_t j = 0; j < i; j++)
            if (!strcmp(map->keys[j]->text, name->text))
                complain(r, name, "%s is given twice; first at line %d", path, map->keys[j]->line);
        if (!known(keys, count, path, &is_folder)) {
            const char *nearest = NULL;
            int         least = 4;
            for (size_t k = 0; k < count; k++) {
                const char *last = strrchr(keys[k].path, '.');
                int         d = distance(path, keys[k].path);
                if (last && !strcmp(last + 1, name->text)) d = 1;
                if (d < least) least = d, nearest = keys[k].path;
            }
            if (nearest)
                complain(r, name, "unknown key %s (did you mean %s?)", path, nearest);
            else
                complain(r, name, "unknown key %s (see --help for the keys there are)", path);
        } else if (is_folder) {
            const ct_node *value = map->values[i];
            if (value->kind == CT_NODE_MAP)
                check_names(r, keys, count, value, path);
            else
                complain(r, value, "%s: expected a map of keys", path);
        }
    }
}

static const ct_node *find(const ct_node *map, const char *path) {
    while (map && map->kind == CT_NODE_MAP) {
        size_t         n = strcspn(path, ".");
        const ct_node *next = NULL;
        for (size_t i = 0; i < map->count; i++)
            if (strlen(map->keys[i]->text) == n && !strncmp(map->keys[i]->text, path, n)) next = map->values[i];
        if (!path[n]) return next;
        map = next;
        path += n + 1;
    }
    return NULL;
}

static int choice_number(const char *choices, const char *text) {
    size_t n = strlen(text);
    for (int i = 0; *choices; i++) {
        size_t m = strcspn(choices, "|");
        if (m == n && !strncmp(choices, text, n)) return i;
        choices += m + (choices[m] == '|');
    }
    return -1;
}

static void read_value(ct_reading *r, const ct_key *key, const ct_node *node, ct_arena *arena, void *out);

static void read_keys(ct_reading *r, const ct_key *keys, size_t count, const ct_node *map, ct_arena *arena, void *out) {
    for (size_t i = 0; i < count; i++) {
        const ct_node *node = find(map, keys[i].path);
        ct_node        fallback = {.kind = CT_NODE_TEXT, .text = keys[i].fallback, .source = "default"};
        if (node)
            read_value(r, &keys[i], node, arena, out);
        else if (!keys[i].fallback)
            complain(r, map, "%s is missing: %s", keys[i].path, keys[i].doc);
        else if (keys[i].kind != CT_KEY_LIST)
            read_value(r, &keys[i], &fallback, arena, out);
        else {
            ct_node *list;
            if (ct_yaml_text(keys[i].fallback, "default", arena, &list) == CT_OK)
                read_value(r, &keys[i], list, arena, out);
        }
    }
}

static void read_value(ct_reading *r, const ct_key *key, const ct_node *node, ct_arena *arena, void *out) {
    char *place = (char *)out + key->offset;
    if (key->kind == CT_KEY_LIST) {
        if (node->kind != CT_NODE_LIST || (int64_t)node->count > key->most) {
            complain(r, node, "%s: expected a list of at most %lld maps", key->path, (long long)key->most);
            return;
        }
        int64_t count = (int64_t)node->count;
        memcpy(place, &count, sizeof count);
        for (size_t i = 0; i < node->count; i++) {
            const ct_node *item = node->values[i];
            if (item->kind != CT_NODE_MAP) {
                complain(r, item, "%s: element %zu is no map; expected {%s: ...}", key->path, i + 1,
                         key->element[0].path);
                continue;
            }
            check_names(r, key->element, key->element_keys, item, "");
            read_keys(r, key->element, key->element_keys, item, arena,
                      (char *)out + key->items + i * key->element_size);
        }
        return;
    }
    if (node->kind != CT_NODE_TEXT) {
        complain(r, node, "%s: expected a single value, found a %s", key->path,
                 node->kind == CT_NODE_MAP ? "map" : "list");
        return;
    }
    const char *text = node->text;
    char       *end;
    errno = 0;
    switch (key->kind) {
    case CT_KEY_INTEGER: {
        int64_t value = strtoll(text, &end, 10);
        if (node->quoted || end == text || *end || errno)
            complain(r, node, "%s: expected a whole number, found \"%s\"", key->path, text);
        else if (key->low < key->high && ((double)value < key->low || (double)value > key->high))
            complain(r, node, "%s: %s is outside %.15g to %.15g", key->path, text, key->low, key->high);
        else
            memcpy(place, &value, sizeof value);
        break;
    }
    case CT_KEY_REAL: {
        double value = strtod(text, &end);
        if (node->quoted || end == text || *end || !isfinite(value))
            complain(r, node, "%s: expected a number, found \"%s\"", key->path, text);
        else if (key->low < key->high && (value < key->low || value > key->high))
            complain(r, node, "%s: %s is outside %.15g to %.15g", key->path, text, key->low, key->high);
        else
            memcpy(place, &value, sizeof value);
        break;
    }
    case CT_KEY_BOOL: {
        bool yes = !strcmp(text, "true"), no = !strcmp(text, "false");
        if (!yes && !no)
            complain(r, node, "%s: expected true or false, found \"%s\"", key->path, text);
        else
            memcpy(place, &yes, sizeof yes);
        break;
    }
    case CT_KEY_CHOICE: {
        int value = choice_number(key->choices, text);
        if (value < 0)
            complain(r, node, "%s: expected one of %s, found \"%s\"", key->path, key->choices, text);
        else
            memcpy(place, &value, sizeof value);
        break;
    }
    default: {
        const char *copy = ct_arena_copy(arena, text, strlen(text));
        memcpy(place, &copy, sizeof copy);
    }
    }
}

/* Put `value` at the dotted path below root, making maps on the way. */
static ct_status set(ct_node *root, const char *path, ct_node *value, ct_arena *arena) {
    for (;;) {
        size_t    n = strcspn(path, ".");
        ct_node **place = NULL;
        for (size_t i = 0; i < root->count; i++)
            if (strlen(root->keys[i]->text) == n && !strncmp(root->keys[i]->text, path, n)) place = &root->values[i];
        if (!place) {
            ct_node *name = CT_NEW(arena, ct_node, 1), *map = CT_NEW(arena, ct_node, 1);
            if (!name || !map) return CT_ENOMEM;
            *name = *value;
            name->kind = CT_NODE_TEXT;
            name->text = ct_arena_copy(arena, path, n);
            *map = (ct_node){.kind = CT_NODE_MAP, .source = value->source};
            CT_TRY(ct_node_add(root, name, map, arena));
            place = &root->values[root->count - 1];
        }
        if (!path[n]) {
            *place = value;
            return CT_OK;
        }
        if ((*place)->kind != CT_NODE_MAP) {
            ct_node *map = CT_NEW(arena, ct_node, 1);
            if (!map) return CT_ENOMEM;
            *map = (ct_node){.kind = CT_NODE_MAP, .source = value->source};
            *place = map;
        }
        root = *place;
        path += n + 1;
    }
}

static _Thread_local const ct_node *last_root;

static ct_status read_root(const ct_schema *schema, const ct_node *root, ct_arena *arena, void *out) {
    ct_reading reading = {0};
    check_names(&reading, schema->keys, schema->count, root, "");
    read_keys(&reading, schema->keys, schema->count, root, arena, out);
    return reading.count ? ct_fail(CT_EUSAGE, "%s", reading.errors) : CT_OK;
}

ct_status ct_config_read(const ct_schema *schema, const char *path, const char *const *overrides, size_t override_count,
                         ct_arena *arena, void *out) {
    ct_node *root = NULL;
    if (path)
        CT_TRY(ct_yaml_file(path, arena, &root));
    else {
        root = CT_NEW(arena, ct_node, 1);
        if (!root) return CT_ENOMEM;
        *root = (ct_node){.kind = CT_NODE_MAP, .source = "command line"};
    }
    if (root->kind == CT_NODE_TEXT && !*root->text) root->kind = CT_NODE_MAP; /* an empty file */
    if (root->kind != CT_NODE_MAP)
        return ct_fail(CT_EUSAGE, "%s:1:1: expected `key: value` lines, found a %s", path,
                       root->kind == CT_NODE_LIST ? "list" : "single value");
    for (size_t i = 0; i < override_count; i++) {
        const char *equals = strchr(overrides[i], '=');
        if (!equals || equals == overrides[i])
            return ct_fail(CT_EUSAGE, "%s: expected key=value after the config file", overrides[i]);
        char    *name = ct_arena_copy(arena, overrides[i], (size_t)(equals - overrides[i]));
        ct_node *value;
        if (!name) return CT_ENOMEM;
        CT_TRY(ct_yaml_text(equals + 1, ct_arena_printf(arena, "command line: %s", overrides[i]), arena, &value));
        value->line = 0;
        CT_TRY(set(root, name, value, arena));
    }
    last_root = root;
    return read_root(schema, root, arena, out);
}

ct_status ct_config_read_text(const ct_schema *schema, const char *yaml, const char *name, ct_arena *arena, void *out) {
    ct_node *root;
    CT_TRY(ct_yaml_text(yaml, name, arena, &root));
    if (root->kind != CT_NODE_MAP) return ct_fail(CT_EUSAGE, "%s: expected `key: value` lines", name);
    return read_root(schema, root, arena, out);
}

const char *ct_config_where(const char *key) {
    static _Thread_local char text[600];
    const ct_node            *node = last_root ? find(last_root, key) : NULL;
    if (node && node->line > 0)
        snprintf(text, sizeof text, "%s:%d:%d: %s", node->source, node->line, node->column, key);
    else
        snprintf(text, sizeof text, "%s", key);
    return text;
}

/* ---- printing */
typedef struct ct_text {
    char  *at;
    size_t used, size;
} ct_text;

static void add(ct_text *t, const char *format, ...) CT_PRINTF(2, 3);
static void add(ct_text *t, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(t->at + t->used, t->size - t->used, format, arguments);
    va_end(arguments);
    t->used = n < 0 ? t->used : t->used + (size_t)n < t->size ? t->used + (size_t)n : t->size - 1;
}

static void choice_word(const char *choices, int number, char *word, size_t size) {
    while (number-- > 0) choices += strcspn(choices, "|") + 1;
    snprintf(word, size, "%.*s", (int)strcspn(choices, "|"), choices);
}

static void print_value(ct_text *t, const ct_key *key, const void *values) {
    const char *place = (const char *)values + key->offset;
    char        word[64];
    switch (key->kind) {
    case CT_KEY_INTEGER: {
        int64_t v;
        memcpy(&v, place, sizeof v);
        add(t, "%lld", (long long)v);
        break;
    }
    case CT_KEY_REAL: {
        double v;
        memcpy(&v, place, sizeof v);
        for (int digits = 6; digits <= 17; digits++) {
            snprintf(word, sizeof word, "%.*g", digits, v);
            if (strtod(word, NULL) == v) break;
        }
        add(t, "%s", word);
        break;
    }
    case CT_KEY_BOOL:
        add(t, "%s", *(const bool *)place ? "true" : "false");
        break;
    case CT_KEY_CHOICE: {
        int v;
        memcpy(&v, place, sizeof v);
        choice_word(key->choices, v, word, sizeof word);
        add(t, "%s", word);
        break;
    }
    case CT_KEY_TEXT: {
        const char *v;
        memcpy(&v, place, sizeof v);
        add(t, "\"");
        for (; *v; v++) {
            if ((unsigned char)*v < 32 || *v == 127)
                add(t, "\\x%02x", (unsigned)*v);
            else
                add(t, *v == '"' || *v == '\\' ? "\\%c" : "%c", *v);
        }
        add(t, "\"");
        break;
    }
    case CT_KEY_LIST: {
        int64_t count;
        memcpy(&count, place, sizeof count);
        add(t, "[");
        for (int64_t i = 0; i < count; i++) {
            add(t, "%s{", i ? ", " : "");
            for (size_t k = 0; k < key->element_keys; k++) {
                add(t, "%s%s: ", k ? ", " : "", key->element[k].path);
                print_value(t, &key->element[k], (const char *)values + key->items + (size_t)i * key->element_size);
            }
            add(t, "}");
        }
        add(t, "]");
    }
    }
}

char *ct_config_print(const ct_schema *schema, const void *values, ct_arena *arena) {
    ct_text t = {.size = 64 << 10};
    t.at = ct_arena_alloc(arena, t.size, 1);
    if (!t.at) return NULL;
    const char *before = "";
    for (size_t i = 0; i < schema->count; i++) { /* keys of one folder stand together in the schema */
        const char *path = schema->keys[i].path, *part = path;
        size_t      same = 0; /* length of the folders shared with the key before */
        for (size_t n = 0; path[n] && path[n] == before[n]; n++)
            if (path[n] == '.') same = n + 1;
        int depth = 0;
        for (const char *dot; (dot = strchr(part, '.')); part = dot + 1, depth++)
            if ((size_t)(dot - path) >= same) add(&t, "%*s%.*s:\n", 2 * depth, "", (int)(dot - part), part);
        add(&t, "%*s%s: ", 2 * depth, "", part);
        print_value(&t, &schema->keys[i], values);
        add(&t, "\n");
        before = path;
    }
    return t.at;
}

char *ct_config_help(const ct_schema *schema, ct_arena *arena) {
    ct_text t = {.size = 64 << 10};
    t.at = ct_arena_alloc(arena, t.size, 1);
    if (!t.at) return NULL;
    for (size_t i = 0; i < schema->count; i++) {
        const ct_key *k = &schema->keys[i];
        add(&t, "  %-28s %s", k->path, k->doc);
        if (k->choices) add(&t, "; one of %s", k->choices);
        if (k->fallback)
            add(&t, " (default %s)\n", *k->fallback ? k->fallback : "none");
        else
            add(&t, " (must be given)\n");
    }
    return t.at;
}

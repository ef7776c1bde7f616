/* config_keys.c -- see config_keys.h. */
#include "core/config_keys.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

bool ct_keys_known(const ct_key *keys, size_t count, const char *path, bool *is_folder) {
    size_t n = strlen(path);
    *is_folder = false;
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(keys[i].path, path)) return true;
        if (!strncmp(keys[i].path, path, n) && keys[i].path[n] == '.') *is_folder = true;
    }
    return *is_folder;
}

const char *ct_keys_nearest(const ct_key *keys, size_t count, const char *path) {
    const char *nearest = NULL, *dot = strrchr(path, '.'), *name = dot ? dot + 1 : path;
    int         least = 4;
    for (size_t k = 0; k < count; k++) {
        const char *last = strrchr(keys[k].path, '.');
        int         d = last && !strcmp(last + 1, name) ? 1 : distance(path, keys[k].path);
        if (d < least) least = d, nearest = keys[k].path;
    }
    return nearest;
}

static void check_names(ct_errors *errors, const ct_key *keys, size_t count, const ct_node *map, const char *prefix) {
    for (size_t i = 0; i < map->count; i++) {
        const ct_node *name = map->keys[i];
        char           path[256];
        bool           is_folder;
        snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", name->text);
        if (!ct_keys_known(keys, count, path, &is_folder)) {
            const char *nearest = ct_keys_nearest(keys, count, path);
            if (nearest)
                ct_errors_add(errors, name, "unknown key %s (did you mean %s?)", path, nearest);
            else
                ct_errors_add(errors, name, "unknown key %s (see --help for the keys there are)", path);
        } else if (is_folder) {
            const ct_node *value = map->values[i];
            if (value->kind == CT_NODE_MAP)
                check_names(errors, keys, count, value, path);
            else
                ct_errors_add(errors, value, "%s: expected a map of keys", path);
        }
    }
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

static void read_value(ct_errors *errors, const ct_key *key, const ct_node *node, ct_arena *arena, void *out);

static void read_keys(ct_errors *errors, const ct_key *keys, size_t count, const ct_node *map, ct_arena *arena,
                      void *out) {
    for (size_t i = 0; i < count; i++) {
        const ct_node *node = ct_tree_find(map, keys[i].path);
        ct_node        fallback = {.kind = CT_NODE_TEXT, .text = keys[i].fallback, .source = "default"};
        if (node)
            read_value(errors, &keys[i], node, arena, out);
        else if (!keys[i].fallback)
            ct_errors_add(errors, map, "%s is missing: %s", keys[i].path, keys[i].doc);
        else if (keys[i].kind != CT_KEY_LIST)
            read_value(errors, &keys[i], &fallback, arena, out);
        else {
            ct_node *list;
            if (ct_yaml_text(keys[i].fallback, "default", arena, &list) == CT_OK)
                read_value(errors, &keys[i], list, arena, out);
            else
                ct_errors_add(errors, &fallback, "%s: %s", keys[i].path, ct_message());
        }
    }
}

static void read_value(ct_errors *errors, const ct_key *key, const ct_node *node, ct_arena *arena, void *out) {
    char *place = (char *)out + key->offset;
    if (key->kind == CT_KEY_LIST) {
        if (node->kind != CT_NODE_LIST || (int64_t)node->count > key->most) {
            ct_errors_add(errors, node, "%s: expected a list of at most %lld maps", key->path, (long long)key->most);
            return;
        }
        int64_t count = (int64_t)node->count;
        memcpy(place, &count, sizeof count);
        for (size_t i = 0; i < node->count; i++) {
            const ct_node *item = node->values[i];
            if (item->kind != CT_NODE_MAP) {
                ct_errors_add(errors, item, "%s: element %zu is no map; expected {%s: ...}", key->path, i + 1,
                              key->element[0].path);
                continue;
            }
            check_names(errors, key->element, key->element_keys, item, "");
            read_keys(errors, key->element, key->element_keys, item, arena,
                      (char *)out + key->items + i * key->element_size);
        }
        return;
    }
    if (node->kind != CT_NODE_TEXT) {
        ct_errors_add(errors, node, "%s: expected a single value, found a %s", key->path,
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
            ct_errors_add(errors, node, "%s: expected a whole number, found \"%s\"", key->path, text);
        else if (key->low < key->high && ((double)value < key->low || (double)value > key->high))
            ct_errors_add(errors, node, "%s: %s is outside %.15g to %.15g", key->path, text, key->low, key->high);
        else
            memcpy(place, &value, sizeof value);
        break;
    }
    case CT_KEY_REAL: {
        double value = strtod(text, &end);
        if (node->quoted || end == text || *end || !isfinite(value))
            ct_errors_add(errors, node, "%s: expected a number, found \"%s\"", key->path, text);
        else if (key->low < key->high && (value < key->low || value > key->high))
            ct_errors_add(errors, node, "%s: %s is outside %.15g to %.15g", key->path, text, key->low, key->high);
        else
            memcpy(place, &value, sizeof value);
        break;
    }
    case CT_KEY_BOOL: {
        bool yes = !strcmp(text, "true"), no = !strcmp(text, "false");
        if (!yes && !no)
            ct_errors_add(errors, node, "%s: expected true or false, found \"%s\"", key->path, text);
        else
            memcpy(place, &yes, sizeof yes);
        break;
    }
    case CT_KEY_CHOICE: {
        int value = choice_number(key->choices, text);
        if (value < 0)
            ct_errors_add(errors, node, "%s: expected one of %s, found \"%s\"", key->path, key->choices, text);
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

void ct_keys_read(const ct_schema *schema, const ct_node *root, ct_errors *errors, ct_arena *arena, void *out) {
    check_names(errors, schema->keys, schema->count, root, "");
    read_keys(errors, schema->keys, schema->count, root, arena, out);
}

size_t ct_keys_size(const ct_schema *schema) {
    size_t size = 0;
    for (size_t i = 0; i < schema->count; i++) {
        const ct_key *k = &schema->keys[i];
        size_t        end = k->offset + sizeof(int64_t); /* no kind is larger */
        if (k->kind == CT_KEY_LIST && k->items + (size_t)k->most * k->element_size > end)
            end = k->items + (size_t)k->most * k->element_size;
        if (end > size) size = end;
    }
    return size;
}

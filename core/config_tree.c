/* config_tree.c -- see config_tree.h. */
#include "core/config_tree.h"

#include <stdio.h>
#include <string.h>

enum { MOST_PARTS = 16 }; /* of a dotted key; one with more is left as it is, and is unknown to every schema */

ct_status ct_tree_new(const ct_node *at, ct_arena *arena, ct_node **out) {
    ct_node *map = *out = CT_NEW(arena, ct_node, 1);
    if (!map) return CT_ENOMEM;
    *map = (ct_node){.kind = CT_NODE_MAP, .source = at->source, .line = at->line, .column = at->column};
    return CT_OK;
}

/* Where the value of the first `n` bytes of `name` lies in a map; NULL if it is not there. */
static ct_node **place_of(const ct_node *map, const char *name, size_t n) {
    for (size_t i = 0; i < map->count; i++)
        if (strlen(map->keys[i]->text) == n && !strncmp(map->keys[i]->text, name, n)) return &map->values[i];
    return NULL;
}

const ct_node *ct_tree_find(const ct_node *map, const char *path) {
    while (map && map->kind == CT_NODE_MAP) {
        size_t          n = strcspn(path, ".");
        ct_node *const *next = place_of(map, path, n);
        if (!next || !path[n]) return next ? *next : NULL;
        map = *next;
        path += n + 1;
    }
    return NULL;
}

/* The map called by the first `n` bytes of `name`, made when there is none; its key stands where `at` does. */
static ct_status enter(ct_node *map, const char *name, size_t n, const ct_node *at, ct_arena *arena, ct_node **out) {
    ct_node **place = place_of(map, name, n), *key;
    if (place && (*place)->kind == CT_NODE_MAP) {
        *out = *place;
        return CT_OK;
    }
    CT_TRY(ct_tree_new(at, arena, out));
    CT_TRY(ct_tree_new(at, arena, &key));
    key->kind = CT_NODE_TEXT;
    key->text = ct_arena_copy(arena, name, n);
    return key->text ? ct_node_add(map, key, *out, arena) : CT_ENOMEM;
}

ct_status ct_tree_set(ct_node *root, const char *path, ct_node *value, ct_arena *arena) {
    for (size_t n; path[n = strcspn(path, ".")]; path += n + 1) {
        ct_node **place = place_of(root, path, n);
        if (place && (*place)->kind != CT_NODE_MAP) CT_TRY(ct_tree_new(value, arena, place));
        CT_TRY(enter(root, path, n, value, arena, &root));
    }
    ct_node **place = place_of(root, path, strlen(path)), *key;
    if (place) {
        *place = value;
        return CT_OK;
    }
    CT_TRY(ct_tree_new(value, arena, &key));
    key->kind = CT_NODE_TEXT;
    key->text = ct_arena_copy(arena, path, strlen(path));
    return key->text ? ct_node_add(root, key, value, arena) : CT_ENOMEM;
}

static bool is_dotted(const char *name) {
    int parts = 1;
    for (const char *c = name; *c; c++)
        if (*c == '.') {
            parts++;
            if (c == name || c[1] == '.' || !c[1]) return false;
        }
    return parts > 1 && parts <= MOST_PARTS;
}

static void tell_twice(const ct_node *map, const char *prefix, ct_errors *errors) {
    for (size_t i = 0; i < map->count; i++) {
        char path[256] = "";
        if (map->kind == CT_NODE_MAP) {
            snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", map->keys[i]->text);
            for (size_t j = 0; j < i; j++)
                if (!strcmp(map->keys[j]->text, map->keys[i]->text)) {
                    ct_errors_add(errors, map->keys[i], "%s is given twice; first at line %d", path,
                                  map->keys[j]->line);
                    break;
                }
        }
        tell_twice(map->values[i], path, errors);
    }
}

static ct_status expand(const ct_node *map, ct_arena *arena, ct_node **out) {
    CT_TRY(ct_tree_new(map, arena, out));
    for (int dotted = 0; dotted < 2; dotted++) /* first the plain names, so that dotted ones find their maps */
        for (size_t i = 0; i < map->count; i++) {
            ct_node    *key = map->keys[i], *value = map->values[i], *at = *out;
            const char *name = key->text;
            if (is_dotted(name) != (dotted == 1)) continue;
            if (value->kind == CT_NODE_MAP) CT_TRY(expand(value, arena, &value));
            for (size_t n; dotted && name[n = strcspn(name, ".")]; name += n + 1)
                CT_TRY(enter(at, name, n, key, arena, &at));
            if (dotted) {
                ct_node *last;
                CT_TRY(ct_tree_new(key, arena, &last));
                last->kind = CT_NODE_TEXT;
                last->text = name;
                key = last;
            }
            CT_TRY(ct_node_add(at, key, value, arena));
        }
    return CT_OK;
}

ct_status ct_tree_expand(const ct_node *map, ct_errors *errors, ct_arena *arena, ct_node **out) {
    CT_TRY(expand(map, arena, out));
    tell_twice(*out, "", errors);
    return CT_OK;
}

ct_status ct_tree_merge(ct_node *under, const ct_node *over, ct_arena *arena) {
    for (size_t i = 0; i < over->count; i++) {
        ct_node *key = over->keys[i], *value = over->values[i];
        size_t   k = 0;
        while (k < under->count && strcmp(under->keys[k]->text, key->text) != 0) k++;
        bool there = k < under->count;
        if (there && value->kind == CT_NODE_MAP && under->values[k]->kind == CT_NODE_MAP) {
            CT_TRY(ct_tree_merge(under->values[k], value, arena));
            continue;
        }
        if (value->kind == CT_NODE_MAP) { /* a copy: what is merged later must not reach `over` */
            ct_node *copy;
            CT_TRY(ct_tree_new(value, arena, &copy));
            CT_TRY(ct_tree_merge(copy, value, arena));
            value = copy;
        }
        if (there)
            under->keys[k] = key, under->values[k] = value;
        else
            CT_TRY(ct_node_add(under, key, value, arena));
    }
    return CT_OK;
}

static void print(const ct_node *node, char *text, size_t size, size_t *used) {
    const char *open = node->kind == CT_NODE_MAP ? "{" : node->kind == CT_NODE_LIST ? "[" : node->text;
    *used += (size_t)snprintf(text + *used, size - *used, "%s", open);
    for (size_t i = 0; i < node->count && *used < size; i++) {
        if (i) *used += (size_t)snprintf(text + *used, size - *used, ", ");
        if (*used < size && node->kind == CT_NODE_MAP)
            *used += (size_t)snprintf(text + *used, size - *used, "%s: ", node->keys[i]->text);
        if (*used < size) print(node->values[i], text, size, used);
    }
    if (node->kind != CT_NODE_TEXT && *used < size)
        *used += (size_t)snprintf(text + *used, size - *used, "%s", node->kind == CT_NODE_MAP ? "}" : "]");
}

void ct_tree_print(const ct_node *node, char *text, size_t size) {
    size_t used = 0;
    print(node, text, size, &used);
    if (used < size || size < 4) return;
    size_t end = size - 4;
    while (end && ((unsigned char)text[end] & 0xc0) == 0x80) end--; /* not in the middle of a letter */
    snprintf(text + end, size - end, "...");
}

/* config_matrix.c -- see config_matrix.h. */
#include "core/config_matrix.h"

#include "core/config_keys.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* A key that both trees set, as it stands in `b`, its whole name in `path`; NULL: none. */
static const ct_node *both_set(const ct_node *a, const ct_node *b, const ct_node **in_a, char *path, size_t size) {
    size_t used = strlen(path);
    for (size_t i = 0; i < b->count; i++)
        for (size_t k = 0; k < a->count; k++) {
            if (strcmp(a->keys[k]->text, b->keys[i]->text) != 0) continue;
            snprintf(path + used, size - used, "%s%s", used ? "." : "", b->keys[i]->text);
            *in_a = a->keys[k];
            if (a->values[k]->kind != CT_NODE_MAP || b->values[i]->kind != CT_NODE_MAP) return b->keys[i];
            const ct_node *found = both_set(a->values[k], b->values[i], in_a, path, size);
            if (found) return found;
            path[used] = 0;
        }
    return NULL;
}

static ct_status add(ct_axis *axis, const ct_node *label, const ct_node *sets, ct_errors *errors, ct_arena *arena) {
    axis->labels[axis->count] = label;
    return ct_tree_expand(sets, errors, arena, &axis->sets[axis->count++]);
}

static ct_status read_axis(const ct_schema *schema, const ct_node *key, const ct_node *value, ct_errors *errors,
                           ct_arena *arena, ct_axis *axis) {
    bool is_folder;
    *axis = (ct_axis){.name = key->text,
                      .labels = CT_NEW(arena, const ct_node *, value->count),
                      .sets = CT_NEW(arena, ct_node *, value->count)};
    if (!axis->labels || !axis->sets) return CT_ENOMEM;
    if (value->kind == CT_NODE_TEXT || !value->count)
        ct_errors_add(errors, value, "matrix: %s: expected [value, ...] or {name: {key: value, ...}, ...}", key->text);
    else if (value->kind == CT_NODE_LIST)
        for (size_t i = 0; i < value->count; i++) {
            ct_node *one;
            CT_TRY(ct_tree_new(key, arena, &one));
            CT_TRY(ct_node_add(one, (ct_node *)key, value->values[i], arena));
            CT_TRY(add(axis, value->values[i], one, errors, arena));
        }
    else if (ct_keys_known(schema->keys, schema->count, key->text, &is_folder))
        ct_errors_add(errors, value,
                      "matrix: %s is a key: expected a list of values (keys below it are written with dots; named rows "
                      "have a name that is no key)",
                      key->text);
    else
        for (size_t i = 0; i < value->count; i++) {
            if (value->values[i]->kind == CT_NODE_MAP)
                CT_TRY(add(axis, value->keys[i], value->values[i], errors, arena));
            else
                ct_errors_add(errors, value->values[i], "matrix: %s.%s: expected {key: value, ...}; {} for none",
                              key->text, value->keys[i]->text);
            for (size_t k = 0; k < i; k++)
                if (!strcmp(value->keys[k]->text, value->keys[i]->text))
                    ct_errors_add(errors, value->keys[i], "matrix: %s.%s is given twice; first at line %d", key->text,
                                  value->keys[i]->text, value->keys[k]->line);
        }
    return CT_OK;
}

ct_status ct_matrix_read(const ct_schema *schema, const ct_config_given *given, ct_errors *errors, ct_arena *arena,
                         ct_matrix *out) {
    const ct_node *at = given->matrix, *first = NULL;
    ct_node       *set; /* by the axes before */
    char           path[256];
    *out = (ct_matrix){.at = at, .runs = at ? 1 : 0};
    if (!at) return CT_OK;
    if (at->kind != CT_NODE_MAP) {
        ct_errors_add(errors, at, "matrix: expected {key: [value, ...], ...}");
        return CT_OK;
    }
    out->axes = CT_NEW(arena, ct_axis, at->count);
    if (!out->axes) return CT_ENOMEM;
    CT_TRY(ct_tree_new(at, arena, &set));
    for (size_t i = 0; i < at->count; i++) {
        ct_axis *axis = &out->axes[out->axis_count++];
        ct_node *own;
        CT_TRY(read_axis(schema, at->keys[i], at->values[i], errors, arena, axis));
        bool told = false;
        for (size_t k = 0; k < i && !told; k++)
            if ((told = !strcmp(axis->name, out->axes[k].name)))
                ct_errors_add(errors, at->keys[i], "matrix: %s is given twice; first at line %d", axis->name,
                              at->keys[k]->line);
        CT_TRY(ct_tree_new(at, arena, &own));
        for (size_t k = 0; k < axis->count; k++) CT_TRY(ct_tree_merge(own, axis->sets[k], arena));
        *path = 0;
        const ct_node *twice = told ? NULL : both_set(set, own, &first, path, sizeof path);
        if (twice)
            ct_errors_add(errors, twice, "matrix: %s is set at line %d too; only one line of the matrix can set it",
                          path, first->line);
        CT_TRY(ct_tree_merge(set, own, arena));
        out->runs *= (int64_t)axis->count;
        if (out->runs > CT_MATRIX_RUNS) {
            ct_errors_add(errors, at, "matrix: more than %d runs", CT_MATRIX_RUNS);
            break;
        }
    }
    *path = 0;
    const ct_node *word = both_set(set, given->words, &first, path, sizeof path);
    if (word)
        ct_errors_add(errors, word, "the matrix sets %s (%s); choose a run with --index instead", path,
                      ct_place_of(first).text);
    return CT_OK;
}

size_t ct_matrix_choice(const ct_matrix *matrix, size_t axis, int64_t index) {
    int64_t turn = index - 1; /* how often the axes behind this one have come round */
    for (size_t i = matrix->axis_count - 1; i > axis; i--) turn /= (int64_t)matrix->axes[i].count;
    return (size_t)(turn % (int64_t)matrix->axes[axis].count);
}

/* The text of a placeholder {name}; NULL when there is no such line. */
static const ct_node *label_of(const ct_matrix *matrix, int64_t index, const char *name, size_t n) {
    for (size_t i = 0; i < matrix->axis_count; i++)
        if (strlen(matrix->axes[i].name) == n && !strncmp(matrix->axes[i].name, name, n))
            return matrix->axes[i].labels[ct_matrix_choice(matrix, i, index)];
    return NULL;
}

/* Add `text` as part of a file's name. */
static void add_name(char *path, size_t size, const char *text) {
    size_t used = strlen(path);
    for (; *text && used + 1 < size; text++) {
        unsigned char c = (unsigned char)*text;
        bool          first = used == 0 || path[used - 1] == '/';
        path[used++] = isalnum(c) || c >= 0x80 || strchr("_+-", c) || (c == '.' && !first) ? *text : '-';
    }
    path[used] = 0;
}

/* The folder of a run, from what the config says. */
static ct_status name_folder(const ct_matrix *matrix, int64_t index, const ct_node *given, const char *out_key,
                             ct_errors *errors, ct_arena *arena, const char **out) {
    char        path[3000] = "", number[24];
    bool        placed = false;
    const char *text = given->text;
    snprintf(number, sizeof number, "%03lld", (long long)index);
    while (*text) {
        size_t plain = strcspn(text, "{"), n = text[plain] ? strcspn(text + plain, "}") : 0;
        if (!text[plain] || !text[plain + n]) plain = strlen(text), n = 0;
        snprintf(path + strlen(path), sizeof path - strlen(path), "%.*s", (int)plain, text);
        text += plain;
        if (!n) break;
        const ct_node *label = label_of(matrix, index, text + 1, n - 1);
        placed = true;
        if (n == 6 && !strncmp(text, "{index", n))
            add_name(path, sizeof path, number);
        else if (!label)
            ct_errors_add(errors, given, "%s: %.*s} is neither {index} nor a line of the matrix", out_key, (int)n,
                          text);
        else if (label->kind != CT_NODE_TEXT)
            ct_errors_add(errors, given,
                          "%s: %.*s} is no single value and makes no name (hint: {index}, or named rows)", out_key,
                          (int)n, text);
        else
            add_name(path, sizeof path, label->text);
        text += n + 1;
    }
    size_t used = strlen(path);
    while (!placed && used > 1 && path[used - 1] == '/') path[--used] = 0;
    if (!placed) snprintf(path + used, sizeof path - used, "/%s", number);
    if (strlen(path) + 1 == sizeof path) ct_errors_add(errors, given, "%s: too long for a path", out_key);
    *out = ct_arena_copy(arena, path, strlen(path));
    return *out ? CT_OK : CT_ENOMEM;
}

ct_status ct_matrix_run(const ct_matrix *matrix, int64_t index, const ct_node *root, const char *out_key,
                        ct_errors *errors, ct_arena *arena, ct_node **out) {
    if (index < 1 || index > matrix->runs)
        return ct_fail(CT_EUSAGE, "%s: matrix: there is no run %lld; expected 1 to %lld (hint: --list shows them)",
                       ct_place_of(matrix->at).text, (long long)index, (long long)matrix->runs);
    CT_TRY(ct_tree_new(root, arena, out));
    CT_TRY(ct_tree_merge(*out, root, arena));
    for (size_t i = 0; i < matrix->axis_count; i++) {
        const ct_axis *axis = &matrix->axes[i];
        CT_TRY(ct_tree_merge(*out, axis->sets[ct_matrix_choice(matrix, i, index)], arena));
    }
    const ct_node *folder = ct_tree_find(*out, out_key);
    if (!folder || folder->kind != CT_NODE_TEXT || !*folder->text) return CT_OK; /* reading it will say so */
    ct_node *named;
    CT_TRY(ct_tree_new(folder, arena, &named));
    named->kind = CT_NODE_TEXT;
    CT_TRY(name_folder(matrix, index, folder, out_key, errors, arena, &named->text));
    return ct_tree_set(*out, out_key, named, arena);
}

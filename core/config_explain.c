/* config_explain.c -- a key in words: what it takes, what it does, where it was set; see config.h. */
#include "core/config_keys.h"
#include "core/config_matrix.h"

#include <stdio.h>
#include <string.h>

enum { MARKDOWN = 1, PLAIN = 0 };

static void print_choices(const char *choices, const char *quote, FILE *to) {
    for (size_t n; *choices; choices += n + (choices[n] == '|')) {
        n = strcspn(choices, "|");
        fprintf(to, "%s%.*s%s%s", quote, (int)n, choices, quote, choices[n] ? ", " : "");
    }
}

/* "a whole number, 1 to 256" */
static void print_kind(const ct_key *key, int form, FILE *to) {
    static const char *const names[] = {[CT_KEY_INTEGER] = "whole number",
                                        [CT_KEY_REAL] = "number",
                                        [CT_KEY_BOOL] = "true, false",
                                        [CT_KEY_TEXT] = "text",
                                        [CT_KEY_CHOICE] = "",
                                        [CT_KEY_LIST] = "list"};
    fprintf(to, "%s", names[key->kind]);
    if (key->kind == CT_KEY_CHOICE) print_choices(key->choices, form == MARKDOWN ? "`" : "", to);
    if (key->kind == CT_KEY_LIST) fprintf(to, " of at most %lld maps", (long long)key->most);
    if (key->low < key->high) fprintf(to, ", %.15g to %.15g", key->low, key->high);
}

static void print_default(const ct_key *key, int form, FILE *to) {
    const char *quote = form == MARKDOWN ? "`" : "";
    if (!key->fallback)
        fprintf(to, "must be given");
    else if (!*key->fallback)
        fprintf(to, "none");
    else
        fprintf(to, "%s%s%s", quote, key->fallback, quote);
}

static void print_row(const char *folder, const ct_key *key, FILE *to) {
    fprintf(to, "| `%s%s` | ", folder, key->path);
    print_default(key, MARKDOWN, to);
    fprintf(to, " | ");
    print_kind(key, MARKDOWN, to);
    fprintf(to, " | ");
    for (const char *c = key->doc; *c; c++) fprintf(to, strchr("|*_<`", *c) ? "\\%c" : "%c", *c);
    fprintf(to, " |\n");
}

void ct_config_markdown(const ct_schema *schema, FILE *to) {
    fprintf(to, "| key | default | values | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < schema->count; i++) {
        const ct_key *key = &schema->keys[i];
        char          folder[128];
        print_row("", key, to);
        snprintf(folder, sizeof folder, "%s[].", key->path);
        for (size_t k = 0; k < key->element_keys; k++) print_row(folder, &key->element[k], to);
    }
}

/* What a config is looked up in, for explaining keys. */
typedef struct ct_lookup {
    const ct_node *root; /* NULL: nothing was given */
    ct_matrix      matrix;
    bool           chosen; /* `root` is that of one run of the matrix */
} ct_lookup;

static void print_found(const ct_node *node, FILE *to) {
    char text[400];
    ct_tree_print(node, text, sizeof text);
    fprintf(to, "%s, ", *text ? text : "none");
    if (node->line > 0)
        fprintf(to, "at %s\n", ct_place_of(node).text);
    else
        fprintf(to, "on the command line\n");
}

static void print_set(const ct_lookup *lookup, const ct_key *key, FILE *to) {
    const ct_node *found = ct_tree_find(lookup->root, key->path), *before = NULL;
    for (size_t i = 0; i < lookup->matrix.axis_count && !lookup->chosen; i++) {
        const ct_axis *axis = &lookup->matrix.axes[i];
        for (size_t k = 0; k < axis->count; k++) {
            const ct_node *value = ct_tree_find(axis->sets[k], key->path);
            if (!value) continue;
            fprintf(to, before ? "            " : "  matrix    ");
            print_found(value, to);
            before = value;
        }
    }
    if (found) {
        fprintf(to, before ? "  else      " : "  set to    ");
        print_found(found, to);
    } else if (!before)
        fprintf(to, "  set to    %s\n",
                key->fallback ? "nothing: the default holds" : "nothing, and there is no default");
}

static void print_key(const ct_lookup *lookup, const ct_key *key, FILE *to) {
    fprintf(to, "%s\n  %s\n  takes     ", key->path, key->doc);
    print_kind(key, PLAIN, to);
    fprintf(to, "\n");
    for (size_t i = 0; i < key->element_keys; i++) {
        fprintf(to, "    %-8s%s: ", key->element[i].path, key->element[i].doc);
        print_kind(&key->element[i], PLAIN, to);
        fprintf(to, " (%s", key->element[i].fallback ? "default " : "");
        print_default(&key->element[i], PLAIN, to);
        fprintf(to, ")\n");
    }
    fprintf(to, "  default   %s", key->fallback ? "" : "none, ");
    print_default(key, PLAIN, to);
    fprintf(to, "\n");
    if (lookup->root) print_set(lookup, key, to);
}

static ct_status look(const ct_schema *schema, const ct_config_source *source, ct_arena *arena, ct_lookup *out) {
    ct_errors       errors = {0};
    ct_config_given given;
    ct_node        *run;
    *out = (ct_lookup){0};
    if (!source->path && !source->override_count) return CT_OK;
    CT_TRY(ct_config_given_read(source, &errors, arena, &given));
    CT_TRY(ct_matrix_read(schema, &given, &errors, arena, &out->matrix));
    CT_TRY(ct_errors_status(&errors));
    out->root = given.root;
    if (!out->matrix.at || !source->index) return CT_OK;
    CT_TRY(ct_matrix_run(&out->matrix, source->index, given.root, source->out, &errors, arena, &run));
    out->root = run;
    out->chosen = true;
    return ct_errors_status(&errors);
}

ct_status ct_config_explain(const ct_schema *schema, const ct_config_source *source, const char *key, FILE *to) {
    ct_arena  arena = {0};
    ct_lookup lookup;
    bool      is_folder;
    size_t    n = strlen(key);
    if (!ct_keys_known(schema->keys, schema->count, key, &is_folder)) {
        const char *nearest = ct_keys_nearest(schema->keys, schema->count, key);
        return nearest ? ct_fail(CT_EUSAGE, "unknown key %s (did you mean %s?)", key, nearest)
                       : ct_fail(CT_EUSAGE, "unknown key %s (see --help for the keys there are)", key);
    }
    ct_status   status = look(schema, source, &arena, &lookup);
    const char *gap = "";
    for (size_t i = 0; i < schema->count && status == CT_OK; i++) {
        const char *path = schema->keys[i].path;
        if (strncmp(path, key, n) != 0 || (path[n] && path[n] != '.')) continue;
        fprintf(to, "%s", gap);
        print_key(&lookup, &schema->keys[i], to);
        gap = "\n";
    }
    ct_arena_free(&arena);
    return status;
}

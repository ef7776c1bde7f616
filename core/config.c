/* config.c -- configs as commands read them; see config.h. The pieces: config_file.c (files, bases, words),
 * config_keys.c (the schema), config_matrix.c (many runs). */
#include "core/config.h"

#include "core/config_keys.h"
#include "core/config_matrix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMN = 44 }; /* widest cell of a list of runs, the 0 byte included */

static _Thread_local const ct_node *last_root;

typedef struct ct_run_name {
    const char *folder;
    int64_t     index;
} ct_run_name;

static int by_folder(const void *a, const void *b) {
    const ct_run_name *x = a, *y = b;
    int                order = strcmp(x->folder, y->folder);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* The folders of all runs. Every run is read, so that the first to start tells what is wrong with any. */
static ct_status check_runs(const ct_schema *schema, const ct_matrix *matrix, const ct_node *root, const char *out_key,
                            ct_errors *errors, ct_arena *arena, ct_run_name **out) {
    size_t       count = (size_t)matrix->runs;
    void        *values = ct_arena_alloc(arena, ct_keys_size(schema), 1);
    ct_run_name *names = *out = CT_NEW(arena, ct_run_name, count), *sorted = CT_NEW(arena, ct_run_name, count);
    ct_status    status = values && names && sorted ? CT_OK : CT_ENOMEM;
    for (size_t i = 0; i < count && status == CT_OK; i++) {
        ct_arena scratch = {0};
        ct_node *run;
        status = ct_matrix_run(matrix, (int64_t)i + 1, root, out_key, errors, &scratch, &run);
        if (status == CT_OK) {
            ct_keys_read(schema, run, errors, &scratch, values);
            const ct_node *folder = ct_tree_find(run, out_key);
            const char    *text = folder && folder->kind == CT_NODE_TEXT ? folder->text : "";
            names[i] = (ct_run_name){ct_arena_copy(arena, text, strlen(text)), (int64_t)i + 1};
            if (!names[i].folder) status = CT_ENOMEM;
        }
        ct_arena_free(&scratch);
    }
    CT_TRY(status);
    CT_TRY(ct_errors_status(errors));
    memcpy(sorted, names, count * sizeof *names);
    qsort(sorted, count, sizeof *sorted, by_folder);
    for (size_t i = 1; i < count && !errors->count; i++)
        if (!strcmp(sorted[i - 1].folder, sorted[i].folder))
            ct_errors_add(errors, ct_tree_find(root, out_key) ? ct_tree_find(root, out_key) : matrix->at,
                          "%s: runs %lld and %lld would both have the folder %s (hint: {index}, or no {} at all)",
                          out_key, (long long)sorted[i - 1].index, (long long)sorted[i].index, sorted[i].folder);
    return ct_errors_status(errors);
}

ct_status ct_config_read_source(const ct_schema *schema, const ct_config_source *source, ct_arena *arena, void *out) {
    ct_errors       errors = {0};
    ct_config_given given;
    ct_matrix       matrix;
    ct_run_name    *names;
    CT_TRY(ct_config_given_read(source, &errors, arena, &given));
    CT_TRY(ct_matrix_read(schema, &given, &errors, arena, &matrix));
    if (matrix.at) {
        CT_TRY(ct_errors_status(&errors));
        if (!source->out)
            return ct_fail(CT_EUSAGE, "%s: matrix: only a command with --index takes one", ct_place_of(matrix.at).text);
        if (!source->index)
            return ct_fail(CT_EUSAGE,
                           "%s: matrix: %lld runs, and none was chosen (hint: --list shows them, --index N runs one, "
                           "--index $SLURM_ARRAY_TASK_ID in a Slurm array of 1-%lld)",
                           ct_place_of(matrix.at).text, (long long)matrix.runs, (long long)matrix.runs);
        CT_TRY(check_runs(schema, &matrix, given.root, source->out, &errors, arena, &names));
        CT_TRY(ct_matrix_run(&matrix, source->index, given.root, source->out, &errors, arena, &given.root));
    } else if (source->index)
        return ct_fail(CT_EUSAGE, "%s: there is no matrix for --index to choose from", source->path);
    last_root = given.root;
    ct_keys_read(schema, given.root, &errors, arena, out);
    return ct_errors_status(&errors);
}

ct_status ct_config_read(const ct_schema *schema, const char *path, const char *const *overrides, size_t override_count,
                         ct_arena *arena, void *out) {
    const ct_config_source source = {.path = path, .overrides = overrides, .override_count = override_count};
    return ct_config_read_source(schema, &source, arena, out);
}

ct_status ct_config_read_text(const ct_schema *schema, const char *yaml, const char *name, ct_arena *arena, void *out) {
    ct_errors errors = {0};
    ct_node  *root;
    CT_TRY(ct_yaml_text(yaml, name, arena, &root));
    if (root->kind != CT_NODE_MAP) return ct_fail(CT_EUSAGE, "%s: expected `key: value` lines", name);
    CT_TRY(ct_tree_expand(root, &errors, arena, &root));
    ct_keys_read(schema, root, &errors, arena, out);
    return ct_errors_status(&errors);
}

const char *ct_config_where(const char *key) {
    static _Thread_local char text[700];
    const ct_node            *node = last_root ? ct_tree_find(last_root, key) : NULL;
    snprintf(text, sizeof text, "%s%s%s", node && node->line > 0 ? ct_place_of(node).text : "",
             node && node->line > 0 ? ": " : "", key);
    return text;
}

/* Columns that a text takes on a terminal, near enough: letters, not bytes. */
static int columns(const char *text) {
    int n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* What line `axis` of the matrix says of run `index`; 0: its name. */
static void print_cell(const ct_matrix *matrix, size_t axis, int64_t index, char cell[COLUMN]) {
    if (index)
        ct_tree_print(matrix->axes[axis].labels[ct_matrix_choice(matrix, axis, index)], cell, COLUMN);
    else
        snprintf(cell, COLUMN, "%s", matrix->axes[axis].name);
}

static ct_status list(const ct_schema *schema, const ct_config_source *source, ct_arena *arena, FILE *to) {
    ct_errors       errors = {0};
    ct_config_given given;
    ct_matrix       matrix;
    ct_run_name    *names;
    char            cell[COLUMN];
    CT_TRY(ct_config_given_read(source, &errors, arena, &given));
    CT_TRY(ct_matrix_read(schema, &given, &errors, arena, &matrix));
    CT_TRY(ct_errors_status(&errors));
    if (!matrix.at) return ct_fail(CT_EUSAGE, "%s: there is no matrix to list the runs of", source->path);
    CT_TRY(check_runs(schema, &matrix, given.root, source->out, &errors, arena, &names));
    int *width = CT_NEW(arena, int, matrix.axis_count);
    if (!width) return CT_ENOMEM;
    for (int64_t run = 0; run <= matrix.runs; run++)
        for (size_t i = 0; i < matrix.axis_count; i++) {
            print_cell(&matrix, i, run, cell);
            if (columns(cell) > width[i]) width[i] = columns(cell);
        }
    for (int64_t run = 0; run <= matrix.runs; run++) {
        if (run)
            fprintf(to, "%5lld  ", (long long)run);
        else
            fprintf(to, "index  ");
        for (size_t i = 0; i < matrix.axis_count; i++) {
            print_cell(&matrix, i, run, cell);
            fprintf(to, "%s%*s  ", cell, width[i] - columns(cell), "");
        }
        fprintf(to, "%s\n", run ? names[run - 1].folder : source->out);
    }
    return CT_OK;
}

ct_status ct_config_list(const ct_schema *schema, const ct_config_source *source, FILE *to) {
    ct_arena  arena = {0};
    ct_status status = list(schema, source, &arena, to);
    ct_arena_free(&arena);
    return status;
}

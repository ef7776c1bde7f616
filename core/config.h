/* config.h -- YAML files read through a typed schema.
 *
 * A schema is a table of keys: dotted path, kind, fallback, range, one line of
 * documentation and where the value goes in a plain struct. It drives reading,
 * overrides (`key=value` on the command line, the value being YAML too), the
 * resolved copy in a run folder, `--help`, `--explain` and the tables in README.
 * A file may rest on others (`base:`, config_file.h) and stand for many runs
 * (`matrix:`, config_matrix.h).
 *
 * Owner: the struct is the caller's; texts in it live in the arena.
 * Fails: CT_EUSAGE with one line per error, all at once, each with file, line,
 *        column, what was found and what was expected; unknown keys come with
 *        the nearest one. No aliases, tags, or documents after the first.
 */
#ifndef CT_CORE_CONFIG_H
#define CT_CORE_CONFIG_H

#include "core/arena.h"

#include <stdio.h>

typedef enum ct_kind {
    CT_KEY_INTEGER, /* int64_t    */
    CT_KEY_REAL,    /* double     */
    CT_KEY_BOOL,    /* bool       */
    CT_KEY_TEXT,    /* const char *, "" when empty */
    CT_KEY_CHOICE,  /* int: number of the word in `choices` */
    CT_KEY_LIST     /* elements of a sub-schema, each a map: int64_t count at `offset`, elements at `items` */
} ct_kind;

typedef struct ct_key ct_key;
struct ct_key {
    const char   *path; /* "optimizer.learning_rate" */
    ct_kind       kind;
    const char   *fallback;  /* as it would stand in the file; NULL: the key must be given */
    double        low, high; /* allowed range of numbers, both included; low == high: any */
    const char   *choices;   /* "table|mlp|off" */
    size_t        offset;
    const char   *doc;
    /* lists */
    const ct_key *element; /* schema of one element, offsets relative to it */
    size_t        element_keys, element_size, items;
    int64_t       most;
};

/* One key that is no list; `base` is the struct that `member` lies in. */
#define CT_KEY(base, path, kind, fallback, low, high, choices, member, doc)                                            \
    { path, CT_KEY_##kind, fallback, low, high, choices, offsetof(base, member), doc, NULL, 0, 0, 0, 0 }

typedef struct ct_schema {
    const char   *name; /* "train" */
    const ct_key *keys;
    size_t        count;
} ct_schema;

/* What to read. */
typedef struct ct_config_source {
    const char        *path;      /* NULL: no file, defaults only */
    const char *const *overrides; /* "key=value", applied in order */
    size_t             override_count;
    const char        *out;   /* key of the folder that a run makes; NULL: a matrix is refused */
    int64_t            index; /* which run of the matrix, from 1; 0: none was chosen */
} ct_config_source;

CT_NODISCARD ct_status ct_config_read_source(const ct_schema *schema, const ct_config_source *source, ct_arena *arena,
                                             void *out);
/* Read `path` (NULL: no file, defaults only) and apply `overrides`, in order, into `out`. */
CT_NODISCARD ct_status ct_config_read(const ct_schema *schema, const char *path, const char *const *overrides,
                                      size_t override_count, ct_arena *arena, void *out);
/* The same for YAML text that came from `name`. */
CT_NODISCARD ct_status ct_config_read_text(const ct_schema *schema, const char *yaml, const char *name, ct_arena *arena,
                                           void *out);
/* Where a key was given, as "file:line:column: key", for errors of cross-checks; "key" alone when it was not. `path`s
 * are those of the last ct_config_read (or _source) on this thread. */
const char            *ct_config_where(const char *key);
/* The values as YAML text that reads back to the same values. */
char                  *ct_config_print(const ct_schema *schema, const void *values, ct_arena *arena);
/* The value of one key, as it stands in that text. */
char                  *ct_config_value(const ct_key *key, const void *values, ct_arena *arena);
/* Table of keys for --help. */
char                  *ct_config_help(const ct_schema *schema, ct_arena *arena);
/* The same in Markdown, for README. */
void                   ct_config_markdown(const ct_schema *schema, FILE *to);
/* The runs of a matrix, each with what it sets and its folder. */
CT_NODISCARD ct_status ct_config_list(const ct_schema *schema, const ct_config_source *source, FILE *to);
/* What a key (or every key of a folder) takes and does; with a file or words in `source` also where it was set. */
CT_NODISCARD ct_status ct_config_explain(const ct_schema *schema, const ct_config_source *source, const char *key,
                                         FILE *to);

#endif

/* config_matrix.h -- one config file, many runs.
 *
 *   matrix:
 *     model.harmony.form: [table, off]     # a key: each of its values
 *     position:                            # a name of your own: rows that set several keys together
 *       plain: {model.rotary: [{by: index, share: 1}]}
 *       root: {}                           # as the file says
 *     train.seed: [1, 2]
 *
 * makes 2 x 2 x 2 runs, all combinations in the order written, the last line
 * fastest, numbered from 1. Each run has a folder of its own: the key that names
 * it may hold {index} and the name of a line, such as {position} or {train.seed};
 * without any, the run's number is put below it: out/001.
 *
 * Owner: the arena. Fails: what is wrong is told to `errors`; CT_EUSAGE for a run that is not there.
 */
#ifndef CT_CORE_CONFIG_MATRIX_H
#define CT_CORE_CONFIG_MATRIX_H

#include "core/config_file.h"

enum { CT_MATRIX_RUNS = 10000 };

typedef struct ct_axis {
    const char     *name; /* the key, or the name given to rows */
    size_t          count;
    const ct_node **labels; /* what a table says: the values, or the rows' names */
    ct_node       **sets;   /* what each lays over the config */
} ct_axis;

typedef struct ct_matrix {
    const ct_node *at; /* where it stands; NULL: there is none */
    ct_axis       *axes;
    size_t         axis_count;
    int64_t        runs;
} ct_matrix;

/* `given` without a matrix: none. */
CT_NODISCARD ct_status ct_matrix_read(const ct_schema *schema, const ct_config_given *given, ct_errors *errors,
                                      ct_arena *arena, ct_matrix *out);
/* The config of run `index` (1 ...). `out_key` names its folder. */
CT_NODISCARD ct_status ct_matrix_run(const ct_matrix *matrix, int64_t index, const ct_node *root, const char *out_key,
                                     ct_errors *errors, ct_arena *arena, ct_node **out);
/* Which of an axis's values run `index` has. */
size_t                 ct_matrix_choice(const ct_matrix *matrix, size_t axis, int64_t index);

#endif

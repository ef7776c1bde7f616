/* config_file.h -- a config as it was given: a file, the files it rests on, and the words behind it.
 *
 * `base: other.yaml` (or a list) at the top of a file names files that are read
 * first, from the folder of the file that names them; what comes later wins, maps
 * key by key, values and lists whole. A base may have a base. `matrix:` is taken
 * out of the tree: a file's own replaces its bases' as a whole.
 *
 * Owner: the arena. Fails: CT_EUSAGE for files that can't be read, that rest on
 * themselves, or are more than 64; keys given twice are told to `errors`.
 */
#ifndef CT_CORE_CONFIG_FILE_H
#define CT_CORE_CONFIG_FILE_H

#include "core/config.h"
#include "core/config_tree.h"

typedef struct ct_config_given {
    ct_node       *root;   /* the long form, words included */
    const ct_node *matrix; /* NULL: none */
    ct_node       *words;  /* what the words alone set */
} ct_config_given;

CT_NODISCARD ct_status ct_config_given_read(const ct_config_source *source, ct_errors *errors, ct_arena *arena,
                                            ct_config_given *out);

#endif

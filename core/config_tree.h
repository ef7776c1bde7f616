/* config_tree.h -- a config as a tree of maps, reached by dotted paths.
 *
 * `model.width: 64` in a file is short for `model: {width: 64}`; once expanded,
 * a tree has the long form only. Merging lays one tree over another: maps key
 * by key, everything else (values, lists) whole. Nodes keep the place where they
 * stood, so that errors name the file that the value really came from.
 *
 * Owner: the arena. Maps are copied, never shared between trees; values and
 * lists are shared and never written to.
 * Fails: CT_ENOMEM.
 */
#ifndef CT_CORE_CONFIG_TREE_H
#define CT_CORE_CONFIG_TREE_H

#include "core/config_errors.h"

/* An empty map that stood where `at` does. */
CT_NODISCARD ct_status ct_tree_new(const ct_node *at, ct_arena *arena, ct_node **out);
/* The value at a dotted path, NULL if there is none. */
const ct_node         *ct_tree_find(const ct_node *map, const char *path);
/* Put `value` at a dotted path, making maps on the way; what was there is replaced. */
CT_NODISCARD ct_status ct_tree_set(ct_node *root, const char *path, ct_node *value, ct_arena *arena);
/* The long form of `map`. Keys given twice are told to `errors`. */
CT_NODISCARD ct_status ct_tree_expand(const ct_node *map, ct_errors *errors, ct_arena *arena, ct_node **out);
/* Lay `over` over `under`. Both are in the long form. */
CT_NODISCARD ct_status ct_tree_merge(ct_node *under, const ct_node *over, ct_arena *arena);
/* One node as YAML on one line, in at most `size` - 1 bytes (it ends in "..." where it was cut). */
void                   ct_tree_print(const ct_node *node, char *text, size_t size);

#endif

/* yaml.h -- a YAML document as a tree of nodes that know where they stood (libyaml is included in yaml.c alone).
 *
 * Owner: the arena. Fails: CT_EUSAGE with source:line:column; aliases, tags,
 * nesting deeper than 16, more than 20,000 keys and values and more than one
 * document are refused, so that a config file can't surprise.
 */
#ifndef CT_CORE_YAML_H
#define CT_CORE_YAML_H

#include "core/arena.h"

#include <stdarg.h>

typedef enum ct_node_kind { CT_NODE_TEXT, CT_NODE_MAP, CT_NODE_LIST } ct_node_kind;

typedef struct ct_node ct_node;
struct ct_node {
    ct_node_kind kind;
    const char  *text;   /* of a single value */
    bool         quoted; /* it stood in quotes */
    ct_node    **keys;   /* of a map */
    ct_node    **values; /* of a map or a list */
    size_t       count, capacity;
    const char  *source;       /* file name, or where else it came from */
    int          line, column; /* from 1; 0: unknown */
};

CT_NODISCARD ct_status ct_yaml_file(const char *path, ct_arena *arena, ct_node **root);
CT_NODISCARD ct_status ct_yaml_text(const char *text, const char *source, ct_arena *arena, ct_node **root);
/* Append to a map (key given) or list (key NULL). */
CT_NODISCARD ct_status ct_node_add(ct_node *parent, ct_node *key, ct_node *value, ct_arena *arena);

#endif

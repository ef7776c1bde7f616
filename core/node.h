/* node.h -- a document as a tree of nodes that know where they stood: texts, maps and lists.
 *
 * Owner: the arena. Nothing is removed or freed one by one.
 * Fails: CT_ENOMEM.
 */
#ifndef CT_CORE_NODE_H
#define CT_CORE_NODE_H

#include "core/arena.h"

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

/* Append to a map (key given) or list (key NULL). */
CT_NODISCARD ct_status ct_node_add(ct_node *parent, ct_node *key, ct_node *value, ct_arena *arena);

#endif

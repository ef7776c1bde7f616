/* yaml.h -- a YAML document as a tree of nodes (node.h; libyaml is included in yaml.c alone).
 *
 * Owner: the arena. Fails: CT_EUSAGE with source:line:column; aliases, tags,
 * nesting deeper than 16, more than 20,000 keys and values and more than one
 * document are refused, so that a config file can't surprise.
 */
#ifndef CT_CORE_YAML_H
#define CT_CORE_YAML_H

#include "core/node.h"

CT_NODISCARD ct_status ct_yaml_file(const char *path, ct_arena *arena, ct_node **root);
CT_NODISCARD ct_status ct_yaml_text(const char *text, const char *source, ct_arena *arena, ct_node **root);

#endif

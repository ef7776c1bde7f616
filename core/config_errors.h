/* config_errors.h -- what is wrong with a config, gathered so that all of it is told at once.
 *
 * One line per error, "file:line:column: what"; the same line is taken once, so
 * that the runs of a matrix can share one list. What does not fit is cut off.
 *
 * Owner: the caller; nothing is allocated. Fails: never.
 */
#ifndef CT_CORE_CONFIG_ERRORS_H
#define CT_CORE_CONFIG_ERRORS_H

#include "core/yaml.h"

typedef struct ct_errors {
    char   text[3500];
    size_t used;
    int    count;
} ct_errors;

/* An error in what stands at `node`. */
void      ct_errors_add(ct_errors *errors, const ct_node *node, const char *format, ...) CT_PRINTF(3, 4);
/* CT_OK when there are none, else CT_EUSAGE with all of them as the message. */
ct_status ct_errors_status(const ct_errors *errors);

/* "file:line:column" of a node, or its source alone where the line is not known. */
typedef struct ct_place {
    char text[600];
} ct_place;
ct_place ct_place_of(const ct_node *node);

#endif

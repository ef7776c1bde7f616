/* config_errors.c -- see config_errors.h. */
#include "core/config_errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

ct_place ct_place_of(const ct_node *node) {
    ct_place place;
    if (node->line > 0)
        snprintf(place.text, sizeof place.text, "%s:%d:%d", node->source, node->line, node->column);
    else
        snprintf(place.text, sizeof place.text, "%s", node->source);
    return place;
}

/* Is `line` one of the lines of `text`? */
static bool has_line(const char *text, const char *line) {
    size_t n = strlen(line);
    for (const char *at = text; (at = strstr(at, line)); at++)
        if ((at == text || at[-1] == '\n') && (at[n] == '\n' || !at[n])) return true;
    return false;
}

void ct_errors_add(ct_errors *errors, const ct_node *node, const char *format, ...) {
    char    what[600], line[1300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    snprintf(line, sizeof line, "%s: %s", ct_place_of(node).text, what);
    if (has_line(errors->text, line)) return;
    errors->count++;
    int n = snprintf(errors->text + errors->used, sizeof errors->text - errors->used, "%s%s", errors->used ? "\n" : "",
                     line);
    if (n > 0) errors->used += (size_t)n;
    if (errors->used >= sizeof errors->text) errors->used = sizeof errors->text - 1;
}

ct_status ct_errors_status(const ct_errors *errors) {
    return errors->count ? ct_fail(CT_EUSAGE, "%s", errors->text) : CT_OK;
}

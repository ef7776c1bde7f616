/* json.h -- JSON in and out, over jansson (included in json.c alone).
 *
 * Owner: ct_json_parse and the ct_json_new_* functions give one reference, which
 *        ct_json_free gives back; values handed to ct_json_set and ct_json_add
 *        belong to their parent from then on; values got from a parent are borrowed.
 * Fails: parsing names file, line and column; a getter of the wrong type or a
 *        missing key gives the fallback passed in. Values are made without asking
 *        whether there was memory: printing fails (CT_ENOMEM) once there was none. Objects keep the order of insertion.
 */
#ifndef CT_CORE_JSON_H
#define CT_CORE_JSON_H

#include "core/arena.h"

typedef struct json_t ct_json;

CT_NODISCARD ct_status ct_json_parse(const char *text, size_t bytes, const char *name, ct_json **out);
void                   ct_json_free(ct_json *value);

ct_json    *ct_json_get(const ct_json *object, const char *key); /* NULL: not there */
size_t      ct_json_count(const ct_json *array_or_object);
ct_json    *ct_json_at(const ct_json *array, size_t index);
bool        ct_json_is_object(const ct_json *value);
bool        ct_json_is_array(const ct_json *value);
const char *ct_json_text(const ct_json *value, const char *fallback);
int64_t     ct_json_integer(const ct_json *value, int64_t fallback);
double      ct_json_real(const ct_json *value, double fallback); /* whole numbers too */
/* Keys and values of an object: for (void *i = NULL; ct_json_next(object, &i, &key, &value);) */
bool        ct_json_next(const ct_json *object, void **iterator, const char **key, ct_json **value);

ct_json               *ct_json_new_object(void);
ct_json               *ct_json_new_array(void);
ct_json               *ct_json_new_text(const char *text); /* bytes that are no UTF-8 become "?"; NULL: as if
                                                            * there were no memory */
ct_json               *ct_json_new_integer(int64_t value);
ct_json               *ct_json_new_real(double value); /* not finite: NULL, which ct_json_set leaves out */
ct_json               *ct_json_new_bool(bool value);
void                   ct_json_set(ct_json *object, const char *key, ct_json *value);
void                   ct_json_add(ct_json *array, ct_json *value);
void                   ct_json_remove(ct_json *object, const char *key);
ct_json               *ct_json_copy(const ct_json *value); /* all the way down */
/* Text in the arena; indent 0: one line. NULL when memory is out. */
char                  *ct_json_print(const ct_json *value, int indent, ct_arena *arena);
/* Print to stdout, what programs read; or into a file that appears whole. The value is freed. */
CT_NODISCARD ct_status ct_json_say(ct_json *value);
CT_NODISCARD ct_status ct_json_write(const char *path, ct_json *value);

#endif

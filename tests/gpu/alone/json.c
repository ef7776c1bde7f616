/* json.c -- in the place of core/json.c where no library for JSON is: there are no values, nothing can be parsed, and
 * nothing printed. The programs for a GPU link what would write checkpoints and the algorithms of products, but do
 * neither. */
#include "core/json.h"

static ct_status missing(const char *what) {
    return ct_fail(CT_EFAIL, "%s: this program was built without jansson and knows no JSON", what);
}

ct_status ct_json_parse(const char *text, size_t bytes, const char *name, ct_json **out) {
    (void)text, (void)bytes;
    *out = NULL;
    return missing(name);
}
void ct_json_free(ct_json *value) {
    (void)value;
}

ct_json *ct_json_get(const ct_json *object, const char *key) {
    (void)object, (void)key;
    return NULL;
}
size_t ct_json_count(const ct_json *array_or_object) {
    (void)array_or_object;
    return 0;
}
ct_json *ct_json_at(const ct_json *array, size_t index) {
    (void)array, (void)index;
    return NULL;
}
bool ct_json_is_object(const ct_json *value) {
    (void)value;
    return false;
}
bool ct_json_is_array(const ct_json *value) {
    (void)value;
    return false;
}
const char *ct_json_text(const ct_json *value, const char *fallback) {
    (void)value;
    return fallback;
}
int64_t ct_json_integer(const ct_json *value, int64_t fallback) {
    (void)value;
    return fallback;
}
double ct_json_real(const ct_json *value, double fallback) {
    (void)value;
    return fallback;
}
bool ct_json_next(const ct_json *object, void **iterator, const char **key, ct_json **value) {
    (void)object, (void)iterator, (void)key, (void)value;
    return false;
}

ct_json *ct_json_new_object(void) {
    return NULL;
}
ct_json *ct_json_new_array(void) {
    return NULL;
}
ct_json *ct_json_new_text(const char *text) {
    (void)text;
    return NULL;
}
ct_json *ct_json_new_integer(int64_t value) {
    (void)value;
    return NULL;
}
ct_json *ct_json_new_real(double value) {
    (void)value;
    return NULL;
}
ct_json *ct_json_new_bool(bool value) {
    (void)value;
    return NULL;
}
void ct_json_set(ct_json *object, const char *key, ct_json *value) {
    (void)object, (void)key, (void)value;
}
void ct_json_add(ct_json *array, ct_json *value) {
    (void)array, (void)value;
}
void ct_json_remove(ct_json *object, const char *key) {
    (void)object, (void)key;
}
ct_json *ct_json_copy(const ct_json *value) {
    (void)value;
    return NULL;
}
char *ct_json_print(const ct_json *value, int indent, ct_arena *arena) {
    (void)value, (void)indent, (void)arena;
    (void)missing("a value");
    return NULL;
}
ct_status ct_json_say(ct_json *value) {
    (void)value;
    return missing("a value");
}
ct_status ct_json_write(const char *path, ct_json *value) {
    (void)value;
    return missing(path);
}

/* json.c -- see json.h. */
#include "core/json.h"

#include "core/file.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

ct_status ct_json_parse(const char *text, size_t bytes, const char *name, ct_json **out) {
    json_error_t error;
    *out = json_loadb(text, bytes, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!*out) return ct_fail(CT_EFAIL, "%s:%d:%d: not valid JSON: %s", name, error.line, error.column, error.text);
    return CT_OK;
}

void ct_json_free(ct_json *value) {
    json_decref(value);
}

ct_json *ct_json_get(const ct_json *object, const char *key) {
    return json_object_get(object, key);
}

size_t ct_json_count(const ct_json *array_or_object) {
    return json_is_array(array_or_object) ? json_array_size(array_or_object) : json_object_size(array_or_object);
}

ct_json *ct_json_at(const ct_json *array, size_t index) {
    return json_array_get(array, index);
}

bool ct_json_is_object(const ct_json *value) {
    return json_is_object(value);
}

bool ct_json_is_array(const ct_json *value) {
    return json_is_array(value);
}

const char *ct_json_text(const ct_json *value, const char *fallback) {
    return json_is_string(value) ? json_string_value(value) : fallback;
}

int64_t ct_json_integer(const ct_json *value, int64_t fallback) {
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

double ct_json_real(const ct_json *value, double fallback) {
    return json_is_number(value) ? json_number_value(value) : fallback;
}

bool ct_json_next(const ct_json *object, void **iterator, const char **key, ct_json **value) {
    json_t *mutable_object = (json_t *)(uintptr_t)object; /* jansson iterates non-const objects only */
    *iterator = *iterator ? json_object_iter_next(mutable_object, *iterator) : json_object_iter(mutable_object);
    if (!*iterator) return false;
    *key = json_object_iter_key(*iterator);
    *value = json_object_iter_value(*iterator);
    return true;
}

ct_json *ct_json_new_object(void) {
    return json_object();
}

ct_json *ct_json_new_array(void) {
    return json_array();
}

ct_json *ct_json_new_text(const char *text) {
    json_t *value = json_string(text);
    if (value) return value;
    char   clean[1024];
    size_t n = 0;
    for (; text[n] && n + 1 < sizeof clean; n++) clean[n] = (unsigned char)text[n] < 128 ? text[n] : '?';
    clean[n] = 0;
    return json_string(clean);
}

ct_json *ct_json_new_integer(int64_t value) {
    return json_integer(value);
}

ct_json *ct_json_new_real(double value) {
    return json_real(value);
}

ct_json *ct_json_new_bool(bool value) {
    return json_boolean(value);
}

void ct_json_set(ct_json *object, const char *key, ct_json *value) {
    json_object_set_new(object, key, value);
}

void ct_json_add(ct_json *array, ct_json *value) {
    json_array_append_new(array, value);
}

void ct_json_remove(ct_json *object, const char *key) {
    json_object_del(object, key);
}

ct_json *ct_json_copy(const ct_json *value) {
    return json_deep_copy(value);
}

char *ct_json_print(const ct_json *value, int indent, ct_arena *arena) {
    char *text =
        json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9) | (indent ? JSON_INDENT((size_t)indent) : 0));
    if (!text) {
        ct_fail(CT_ENOMEM, "can't print JSON: out of memory or a number that is not finite");
        return NULL;
    }
    char *copy = ct_arena_copy(arena, text, strlen(text));
    free(text);
    return copy;
}

ct_status ct_json_say(ct_json *value) {
    ct_arena arena = {0};
    char    *text = ct_json_print(value, 1, &arena);
    ct_json_free(value);
    if (text) printf("%s\n", text);
    ct_arena_free(&arena);
    return text ? CT_OK : CT_ENOMEM;
}

ct_status ct_json_write(const char *path, ct_json *value) {
    ct_arena arena = {0};
    char    *text = ct_json_print(value, 1, &arena);
    ct_json_free(value);
    ct_status status = text ? ct_file_write(path, text, strlen(text)) : CT_ENOMEM;
    ct_arena_free(&arena);
    return status;
}

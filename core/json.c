/* json.c -- see json.h. */
#include "core/json.h"

#include "core/fault.h"
#include "core/file.h"

#include <jansson.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Values are put together without asking each time whether there was memory. Once there was none, no value is printed
 * any more, whole though it may be: a part of a manifest would look like one. */
static atomic_bool was_out_of_memory;

static ct_json *made(ct_json *value) {
    if (value && ct_fault(CT_FAULT_ALLOC)) {
        json_decref(value);
        value = NULL;
    }
    if (!value) atomic_store(&was_out_of_memory, true);
    return value;
}

ct_status ct_json_parse(const char *text, size_t bytes, const char *name, ct_json **out) {
    json_error_t error = {0};
    *out = ct_fault(CT_FAULT_ALLOC) ? NULL : json_loadb(text, bytes, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!*out && (!*error.text || json_error_code(&error) == json_error_out_of_memory))
        return ct_fail(CT_ENOMEM, "%s: out of memory", name);
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
    return made(json_object());
}

ct_json *ct_json_new_array(void) {
    return made(json_array());
}

ct_json *ct_json_new_text(const char *text) {
    json_t *value = text ? json_string(text) : NULL;
    if (value || !text) return made(value);
    char   clean[1024];
    size_t n = 0;
    for (; text[n] && n + 1 < sizeof clean; n++) clean[n] = (unsigned char)text[n] < 128 ? text[n] : '?';
    clean[n] = 0;
    return made(json_string(clean));
}

ct_json *ct_json_new_integer(int64_t value) {
    return made(json_integer(value));
}

ct_json *ct_json_new_real(double value) {
    return isfinite(value) ? made(json_real(value)) : NULL;
}

ct_json *ct_json_new_bool(bool value) {
    return made(json_boolean(value));
}

void ct_json_set(ct_json *object, const char *key, ct_json *value) {
    if (json_object_set_new(object, key, value) != 0 && value) atomic_store(&was_out_of_memory, true);
}

void ct_json_add(ct_json *array, ct_json *value) {
    if (json_array_append_new(array, value) != 0 && value) atomic_store(&was_out_of_memory, true);
}

void ct_json_remove(ct_json *object, const char *key) {
    json_object_del(object, key);
}

ct_json *ct_json_copy(const ct_json *value) {
    return value ? made(json_deep_copy(value)) : NULL;
}

char *ct_json_print(const ct_json *value, int indent, ct_arena *arena) {
    char *text =
        atomic_load(&was_out_of_memory)
            ? NULL
            : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9) | (indent ? JSON_INDENT((size_t)indent) : 0));
    if (!text) {
        ct_fail(CT_ENOMEM, "can't print JSON: out of memory");
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

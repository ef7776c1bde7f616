/* fuzz_json.c -- JSON: what is read prints, and what is printed reads back and prints the same. */
#include "core/json.h"
#include "tests/fuzz/fuzz.h"

/* Every getter takes every kind of value. */
static void walk(const ct_json *value) {
    const char *key;
    ct_json    *child;
    fuzz_touch(ct_json_text(value, ""), strlen(ct_json_text(value, "")));
    (void)ct_json_integer(value, 0);
    (void)ct_json_real(value, 0);
    if (ct_json_is_array(value))
        for (size_t i = 0; i <= ct_json_count(value); i++) walk(ct_json_at(value, i));
    for (void *i = NULL; ct_json_next(value, &i, &key, &child);) {
        CT_ASSERT(ct_json_get(value, key) == child);
        walk(child);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ct_arena arena = {.cap = FUZZ_ARENA};
    ct_json *value, *again;
    if (ct_json_parse((const char *)data, size, "input", &value) != CT_OK) return 0;
    walk(value);
    char *text = ct_json_print(value, (int)(size % 3), &arena);
    if (text) {
        CT_ASSERT(ct_json_parse(text, strlen(text), "printed", &again) == CT_OK);
        char *second = ct_json_print(again, (int)(size % 3), &arena);
        CT_ASSERT(second && !strcmp(text, second));
        ct_json_free(again);
    }
    ct_json_free(value);
    ct_arena_free(&arena);
    return 0;
}

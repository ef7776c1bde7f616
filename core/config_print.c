/* config_print.c -- values as YAML, and a schema as the lines of --help; see config.h. */
#include "core/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct ct_text {
    ct_arena *arena;
    char     *at; /* NULL: memory is out */
    size_t    used, size;
} ct_text;

static void add(ct_text *t, const char *format, ...) CT_PRINTF(2, 3);
static void add(ct_text *t, const char *format, ...) {
    for (int tries = 0; t->at && tries < 2; tries++) {
        va_list arguments;
        va_start(arguments, format);
        int n = vsnprintf(t->at + t->used, t->size - t->used, format, arguments);
        va_end(arguments);
        if (n < 0) return;
        if ((size_t)n < t->size - t->used) {
            t->used += (size_t)n;
            return;
        }
        size_t larger = 2 * (t->size + (size_t)n);
        char  *more = ct_arena_alloc(t->arena, larger, 1);
        if (more) memcpy(more, t->at, t->used);
        t->at = more;
        t->size = larger;
    }
}

static ct_text begin(ct_arena *arena) {
    ct_text t = {.arena = arena, .size = 8 << 10};
    t.at = ct_arena_alloc(arena, t.size, 1);
    return t;
}

/* In double quotes. What YAML does not take as it is, or takes for the end of a line, is escaped. */
static void add_quoted(ct_text *t, const char *text) {
    add(t, "\"");
    while (*text) {
        unsigned char first = (unsigned char)*text;
        int           size = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4, n = 1;
        unsigned      c = size == 1 ? first : first & (0x7fu >> size);
        for (; n < size && text[n]; n++) c = c << 6 | ((unsigned char)text[n] & 0x3f);
        if (c == '"' || c == '\\')
            add(t, "\\%c", (int)c);
        else if (c < 32 || (c >= 127 && c < 160))
            add(t, "\\x%02x", c);
        else if (c == 0x2028 || c == 0x2029 || c == 0xfeff || c == 0xfffe || c == 0xffff)
            add(t, "\\u%04x", c);
        else
            add(t, "%.*s", n, text);
        text += n;
    }
    add(t, "\"");
}

static void choice_word(const char *choices, int number, char *word, size_t size) {
    while (number-- > 0) choices += strcspn(choices, "|") + 1;
    snprintf(word, size, "%.*s", (int)strcspn(choices, "|"), choices);
}

static void print_value(ct_text *t, const ct_key *key, const void *values) {
    const char *place = (const char *)values + key->offset;
    char        word[64];
    switch (key->kind) {
    case CT_KEY_INTEGER: {
        int64_t v;
        memcpy(&v, place, sizeof v);
        add(t, "%lld", (long long)v);
        break;
    }
    case CT_KEY_REAL: {
        double v;
        memcpy(&v, place, sizeof v);
        for (int digits = 6; digits <= 17; digits++) {
            snprintf(word, sizeof word, "%.*g", digits, v);
            if (strtod(word, NULL) == v) break;
        }
        add(t, "%s", word);
        break;
    }
    case CT_KEY_BOOL:
        add(t, "%s", *(const bool *)place ? "true" : "false");
        break;
    case CT_KEY_CHOICE: {
        int v;
        memcpy(&v, place, sizeof v);
        choice_word(key->choices, v, word, sizeof word);
        add(t, "%s", word);
        break;
    }
    case CT_KEY_TEXT: {
        const char *v;
        memcpy(&v, place, sizeof v);
        add_quoted(t, v);
        break;
    }
    case CT_KEY_LIST: {
        int64_t count;
        memcpy(&count, place, sizeof count);
        add(t, "[");
        for (int64_t i = 0; i < count; i++) {
            add(t, "%s{", i ? ", " : "");
            for (size_t k = 0; k < key->element_keys; k++) {
                add(t, "%s%s: ", k ? ", " : "", key->element[k].path);
                print_value(t, &key->element[k], (const char *)values + key->items + (size_t)i * key->element_size);
            }
            add(t, "}");
        }
        add(t, "]");
    }
    }
}

char *ct_config_print(const ct_schema *schema, const void *values, ct_arena *arena) {
    ct_text     t = begin(arena);
    const char *before = "";
    for (size_t i = 0; i < schema->count; i++) { /* keys of one folder stand together in the schema */
        const char *path = schema->keys[i].path, *part = path;
        size_t      same = 0; /* length of the folders shared with the key before */
        for (size_t n = 0; path[n] && path[n] == before[n]; n++)
            if (path[n] == '.') same = n + 1;
        int depth = 0;
        for (const char *dot; (dot = strchr(part, '.')); part = dot + 1, depth++)
            if ((size_t)(dot - path) >= same) add(&t, "%*s%.*s:\n", 2 * depth, "", (int)(dot - part), part);
        add(&t, "%*s%s: ", 2 * depth, "", part);
        print_value(&t, &schema->keys[i], values);
        add(&t, "\n");
        before = path;
    }
    return t.at;
}

char *ct_config_value(const ct_key *key, const void *values, ct_arena *arena) {
    ct_text t = {.size = 8 << 10};
    t.at = ct_arena_alloc(arena, t.size, 1);
    if (t.at) print_value(&t, key, values);
    return t.at;
}

char *ct_config_help(const ct_schema *schema, ct_arena *arena) {
    ct_text t = begin(arena);
    for (size_t i = 0; i < schema->count; i++) {
        const ct_key *k = &schema->keys[i];
        add(&t, "  %-28s %s", k->path, k->doc);
        if (k->choices) add(&t, "; one of %s", k->choices);
        if (k->fallback)
            add(&t, " (default %s)\n", *k->fallback ? k->fallback : "none");
        else
            add(&t, " (must be given)\n");
    }
    return t.at;
}

/* stage.c -- what the rows of a stage mean, to JSON and back; see dataset.h. */
#include "core/data/dataset.h"

#include <string.h>

static const char *const turns[] = {"", "pitch_class", "key", "token"}; /* ct_turn */

ct_json *ct_stage_json(const ct_column *columns, int column_count, const char *const *vocabulary, int vocabulary_size) {
    ct_json *stage = ct_json_new_object(), *list = ct_json_new_array(), *words = ct_json_new_array();
    for (int i = 0; i < column_count; i++) {
        ct_json *c = ct_json_new_object();
        ct_json_set(c, "name", ct_json_new_text(columns[i].name));
        ct_json_set(c, "size", ct_json_new_integer(columns[i].size));
        ct_json_set(c, "group", ct_json_new_text(ct_group_name(columns[i].group)));
        ct_json_set(c, "transpose", ct_json_new_text(turns[columns[i].turn]));
        ct_json_add(list, c);
    }
    for (int i = 0; i < vocabulary_size; i++) ct_json_add(words, ct_json_new_text(vocabulary[i]));
    ct_json_set(stage, "columns", list);
    ct_json_set(stage, "vocabulary", words);
    return stage;
}

static int group_number(const char *name) {
    for (int g = 0; g < CT_GROUP_COUNT; g++)
        if (!strcmp(ct_group_name(g), name)) return g;
    return -1;
}

static ct_status read_columns(const char *where, const ct_json *list, ct_arena *arena, ct_stage_data *out) {
    size_t count = ct_json_count(list);
    if (!ct_json_is_array(list) || count < 1 || count > CT_COLUMNS_MAX)
        return ct_fail(CT_EFAIL, "%s: columns: expected a list of 1 to %d", where, CT_COLUMNS_MAX);
    out->column_count = (int)count;
    out->columns = CT_NEW(arena, ct_column, count);
    if (!out->columns) return CT_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const ct_json *about = ct_json_at(list, i);
        const char    *name = ct_json_text(ct_json_get(about, "name"), "");
        int64_t        size = ct_json_integer(ct_json_get(about, "size"), -1);
        int            group = group_number(ct_json_text(ct_json_get(about, "group"), ""));
        const char    *turn = ct_json_text(ct_json_get(about, "transpose"), "");
        size_t         t = 0;
        while (t < CT_COUNT(turns) && strcmp(turns[t], turn) != 0) t++;
        bool plain = size == 0; /* a plain number: it has no value for unknown, and is no token */
        if (!*name || size < 0 || size > 65535 || group < 0 || t == CT_COUNT(turns) || (plain && (i == 0 || group > 0)))
            return ct_fail(CT_EFAIL,
                           "%s: column %zu: name, size 0..65535, group and transpose expected; size 0 neither for the "
                           "first column nor in a group",
                           where, i);
        out->columns[i] =
            (ct_column){ct_arena_copy(arena, name, strlen(name)), (uint16_t)size, (uint8_t)group, (uint8_t)t};
        if (!out->columns[i].name) return CT_ENOMEM;
    }
    return CT_OK;
}

/* Are vocabulary and columns those of this program? Then grammar and transposition apply. */
static bool is_native(int stage, const ct_stage_data *s) {
    int              count;
    const ct_column *own = ct_columns((ct_stage)stage, &count);
    if (count != s->column_count || s->vocabulary_size != ct_vocabulary_size((ct_stage)stage)) return false;
    for (int i = 0; i < count; i++)
        if (strcmp(own[i].name, s->columns[i].name) != 0 || own[i].size != s->columns[i].size) return false;
    char name[64];
    for (int i = 0; i < s->vocabulary_size; i++)
        if (strcmp(s->vocabulary[i], ct_token_name((ct_stage)stage, i, name, sizeof name)) != 0) return false;
    return true;
}

ct_status ct_stage_parse(const char *where, int stage, const ct_json *about, ct_arena *arena, ct_stage_data *out) {
    const ct_json *words = ct_json_get(about, "vocabulary");
    CT_TRY(read_columns(where, ct_json_get(about, "columns"), arena, out));
    size_t count = ct_json_count(words);
    if (!ct_json_is_array(words) || count != out->columns[0].size)
        return ct_fail(CT_EFAIL, "%s: the vocabulary has %zu words, column %s has %u values", where, count,
                       out->columns[0].name, out->columns[0].size);
    out->vocabulary_size = (int)count;
    out->vocabulary = CT_NEW(arena, const char *, count);
    if (!out->vocabulary) return CT_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const char *word = ct_json_text(ct_json_at(words, i), "");
        out->vocabulary[i] = ct_arena_copy(arena, word, strlen(word));
        if (!out->vocabulary[i]) return CT_ENOMEM;
    }
    out->native = is_native(stage, out);
    return CT_OK;
}

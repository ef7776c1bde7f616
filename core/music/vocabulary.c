/* vocabulary.c -- see vocabulary.h. */
#include "core/music/vocabulary.h"

#include <stdio.h>
#include <string.h>

#define COLUMN(id, name, size, group, turn) {name, size, CT_GROUP_##group, CT_TURN_##turn},
static const ct_column backbone_columns[] = {CT_BACKBONE_COLUMNS(COLUMN)};
static const ct_column melody_columns[] = {CT_MELODY_COLUMNS(COLUMN)};
#undef COLUMN

_Static_assert(CT_B_COUNT == 256 && CT_M_COUNT == 327, "the vocabularies of format version 1");
_Static_assert((int)CT_BC_COUNT <= (int)CT_COLUMNS_MAX && (int)CT_MC_COUNT <= (int)CT_COLUMNS_MAX, "room for a row");

const ct_column *ct_columns(ct_stage stage, int *count) {
    *count = stage == CT_BACKBONE ? CT_BC_COUNT : CT_MC_COUNT;
    return stage == CT_BACKBONE ? backbone_columns : melody_columns;
}

int ct_vocabulary_size(ct_stage stage) {
    return stage == CT_BACKBONE ? CT_B_COUNT : CT_M_COUNT;
}

/* A run of tokens of one kind: tokens first..first+count-1 say PREFIX_(value + base), or the value's name. */
typedef struct token_kind {
    const char *prefix;
    int         first, count, base;
    const char *(*name)(int value);
} token_kind;

static const char *metre_name(int metre) {
    return ct_metre_at(metre)->name;
}

static const char *root_name(int root) {
    return ct_pitch_class_name(root, -1);
}

static const char *section_name(int section) {
    static const char *const names[CT_SECTION_COUNT] = {"A", "B", "C",     "D",     "E",         "F",
                                                        "G", "H", "intro", "outro", "interlude", "pickup"};
    return names[section];
}

static const token_kind backbone_kinds[] = {
    {"KEY", CT_B_KEY, 24, 0, ct_key_name},
    {"METER", CT_B_METER, CT_METRE_COUNT, 0, metre_name},
    {"TEMPO", CT_B_TEMPO, CT_TEMPO_COUNT, 0, NULL},
    {"SECTION", CT_B_SECTION, CT_SECTION_COUNT, 0, section_name},
    {"LENGTH", CT_B_LENGTH, CT_SECTION_BARS_MAX, 1, NULL},
    {"ROOT", CT_B_ROOT, 12, 0, root_name},
    {"QUAL", CT_B_QUAL, CT_QUALITY_COUNT, 0, ct_quality_name},
    {"BASS", CT_B_BASS, 12, 0, NULL},
    {"RHYTHM", CT_B_RHYTHM, CT_RHYTHM_COUNT, 0, NULL},
    {"POS", CT_B_POS, CT_STEPS_PER_BEAT - 1, 1, NULL},
};
static const token_kind melody_kinds[] = {
    {"PITCH", CT_M_PITCH, 128, 0, NULL},
    {"VEL", CT_M_VEL, CT_VELOCITY_COUNT, 0, NULL},
    {"DUR", CT_M_DUR, CT_DURATION_MAX, 1, NULL},
    {"REST", CT_M_REST, CT_REST_MAX, 1, NULL},
};

const char *ct_token_name(ct_stage stage, int token, char *text, size_t size) {
    static const char *const single[] = {"BOS", "EOS", "BAR"};
    const token_kind        *kinds = stage == CT_BACKBONE ? backbone_kinds : melody_kinds;
    size_t                   count = stage == CT_BACKBONE ? CT_COUNT(backbone_kinds) : CT_COUNT(melody_kinds);
    if (token >= 0 && token < (int)CT_COUNT(single)) {
        snprintf(text, size, "%s", single[token]);
        return text;
    }
    if (stage == CT_BACKBONE && token == CT_B_ROOT_NONE) {
        snprintf(text, size, "ROOT_none");
        return text;
    }
    for (size_t i = 0; i < count; i++) {
        const token_kind *kind = &kinds[i];
        int               value = token - kind->first;
        if (value < 0 || value >= kind->count) continue;
        if (kind->name)
            snprintf(text, size, "%s_%s", kind->prefix, kind->name(value));
        else
            snprintf(text, size, "%s_%d", kind->prefix, value + kind->base);
        return text;
    }
    snprintf(text, size, "token %d", token); /* not in the vocabulary: for messages */
    return text;
}

int ct_token_find(ct_stage stage, const char *name) {
    char text[32];
    for (int token = 0; token < ct_vocabulary_size(stage); token++)
        if (strcmp(ct_token_name(stage, token, text, sizeof text), name) == 0) return token;
    return -1;
}

const char *ct_group_name(int group) {
    static const char *const names[CT_GROUP_COUNT] = {"", "rhythm", "section", "key", "next", "left"};
    CT_ASSERT(group >= 0 && group < CT_GROUP_COUNT);
    return names[group];
}

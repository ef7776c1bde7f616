/* vocabulary.h -- tokens and columns of both stages (design, section 4).
 *
 * A token is a row; its columns carry the state the token leaves behind. The
 * numbers below are format version 1 of the dataset: every dataset.json names
 * them, so that a model reads vocabulary and columns from the data it is given.
 *
 * Columns: values 0..n-1; where it applies the last two values of a column are
 * NONE and UNKNOWN. "Plain numbers" (bar, phase, place, open) are never embedded
 * and have size 0.
 */
#ifndef CT_MUSIC_VOCABULARY_H
#define CT_MUSIC_VOCABULARY_H

#include "core/music/piece.h"

enum { CT_FORMAT_VERSION = 1, CT_PHASES_PER_BAR = 5040 }; /* 5040: every metre's steps divide it */

typedef enum ct_stage { CT_BACKBONE, CT_MELODY } ct_stage;

/* ---- backbone tokens */
enum {
    CT_B_BOS = 0,
    CT_B_EOS = 1,
    CT_B_BAR = 2,
    CT_B_KEY = 3,                                  /* KEY_0..23       */
    CT_B_METER = CT_B_KEY + 24,                    /* METER_0..8      */
    CT_B_TEMPO = CT_B_METER + CT_METRE_COUNT,      /* TEMPO_0..47     */
    CT_B_SECTION = CT_B_TEMPO + CT_TEMPO_COUNT,    /* SECTION_0..11   */
    CT_B_LENGTH = CT_B_SECTION + CT_SECTION_COUNT, /* LENGTH_1..32    */
    CT_B_ROOT_NONE = CT_B_LENGTH + CT_SECTION_BARS_MAX,
    CT_B_ROOT = CT_B_ROOT_NONE + 1,               /* ROOT_0..11      */
    CT_B_QUAL = CT_B_ROOT + 12,                   /* QUAL_0..15      */
    CT_B_BASS = CT_B_QUAL + CT_QUALITY_COUNT,     /* BASS_0..11      */
    CT_B_RHYTHM = CT_B_BASS + 12,                 /* RHYTHM_0..75    */
    CT_B_POS = CT_B_RHYTHM + CT_RHYTHM_COUNT,     /* POS_1..POS_11   */
    CT_B_COUNT = CT_B_POS + CT_STEPS_PER_BEAT - 1 /* 256             */
};

/* ---- melody tokens */
enum { CT_VELOCITY_COUNT = 16, CT_DURATION_MAX = 96, CT_REST_MAX = 84 }; /* velocity bin v: 8 v .. 8 v + 7; steps */
enum {
    CT_M_BOS = 0,
    CT_M_EOS = 1,
    CT_M_BAR = 2,
    CT_M_PITCH = 3,                          /* PITCH_0..127    */
    CT_M_VEL = CT_M_PITCH + 128,             /* VEL_0..15       */
    CT_M_DUR = CT_M_VEL + CT_VELOCITY_COUNT, /* DUR_1..96       */
    CT_M_REST = CT_M_DUR + CT_DURATION_MAX,  /* REST_1..84      */
    CT_M_COUNT = CT_M_REST + CT_REST_MAX     /* 327             */
};

/* ---- columns
 * name, size (0: a plain number), group made unknown together in training, how a transposition acts */
typedef enum ct_group {
    CT_GROUP_NONE,
    CT_GROUP_RHYTHM,
    CT_GROUP_SECTION,
    CT_GROUP_KEY,
    CT_GROUP_NEXT,
    CT_GROUP_LEFT,
    CT_GROUP_COUNT
} ct_group;
typedef enum ct_turn { CT_TURN_NONE, CT_TURN_PITCH_CLASS, CT_TURN_KEY, CT_TURN_TOKEN } ct_turn;

typedef struct ct_column {
    const char *name;
    uint16_t    size; /* values 0..size-1; 0: a plain number */
    uint8_t     group, turn;
} ct_column;

/* Values shared by columns of one kind. */
enum {
    CT_V_ROOT_NONE = 12,
    CT_V_ROOT_UNKNOWN = 13,
    CT_V_ROOT_SIZE = 14,
    CT_V_QUALITY_OPEN = CT_QUALITY_COUNT,
    CT_V_QUALITY_NONE,
    CT_V_QUALITY_UNKNOWN, /* size CT_QUALITY_VALUES */
    CT_V_KEY_NONE = 24,
    CT_V_KEY_UNKNOWN = 25,
    CT_V_KEY_SIZE = 26,
};

/* Backbone. next to each: what it says after the token */
#define CT_BACKBONE_COLUMNS(X)                                                                                         \
    X(TOKEN, "token", CT_B_COUNT, NONE, TOKEN)                                                                         \
    X(ROOT, "root", CT_V_ROOT_SIZE, NONE, PITCH_CLASS) /* the chord in force; after ROOT_r: r, open */                 \
    X(QUALITY, "quality", CT_QUALITY_VALUES, NONE, NONE)                                                               \
    X(BASS, "bass", 14, NONE, NONE) /* 12 none or open, 13 unknown */                                                  \
    X(KEY, "key", CT_V_KEY_SIZE, NONE, KEY)                                                                            \
    X(METRE, "metre", CT_METRE_COUNT + 2, NONE, NONE)                                                                  \
    X(TEMPO, "tempo", CT_TEMPO_COUNT + 2, NONE, NONE)                                                                  \
    X(SECTION, "section", CT_SECTION_COUNT + 2, NONE, NONE)                                                            \
    X(OCCURRENCE, "occurrence", 10, NONE, NONE)  /* how often the label came before: 0..7, none, unknown */            \
    X(STEP, "step", CT_REST_MAX + 3, NONE, NONE) /* in the bar, 0..84 (84: a full bar of 7/8), none, unknown */        \
    X(SECTION_LEFT, "section_left", CT_SECTION_BARS_MAX + 3, NONE,                                                     \
      NONE)                         /* bars after this one, 0..32, none, unknown */                                    \
    X(LEFT, "left", 66, LEFT, NONE) /* bars after this one in the piece, 0..63 (63: or more), none, unknown */         \
    X(PREVIOUS_ROOT, "previous_root", CT_V_ROOT_SIZE, NONE,                                                            \
      PITCH_CLASS)                   /* root of the chord before the one in force */                                   \
    X(BAR, "bar", 0, NONE, NONE)     /* number of the bar from 0; BOS..first BAR: 0 */                                 \
    X(PHASE, "phase", 0, NONE, NONE) /* place in the bar in 1/5040 of it, 0..5040 */                                   \
    X(PLACE, "place", 0, NONE, NONE) /* bars since the section began */                                                \
    X(OPEN, "open", 0, NONE, NONE)   /* 1: the grammar left this token open, 0: forced */

/* Melody: the backbone at the moment the token leaves behind. After DUR and REST that is where the next note starts. */
#define CT_MELODY_COLUMNS(X)                                                                                           \
    X(TOKEN, "token", CT_M_COUNT, NONE, TOKEN)                                                                         \
    X(ROOT, "root", CT_V_ROOT_SIZE, NONE, PITCH_CLASS)                                                                 \
    X(QUALITY, "quality", CT_QUALITY_VALUES, NONE, NONE)                                                               \
    X(BASS, "bass", 14, NONE, NONE)                                                                                    \
    X(KEY, "key", CT_V_KEY_SIZE, KEY, KEY)                                                                             \
    X(METRE, "metre", CT_METRE_COUNT + 2, NONE, NONE)                                                                  \
    X(TEMPO, "tempo", CT_TEMPO_COUNT + 2, NONE, NONE)                                                                  \
    X(SECTION, "section", CT_SECTION_COUNT + 2, SECTION, NONE)                                                         \
    X(OCCURRENCE, "occurrence", 10, SECTION, NONE)                                                                     \
    X(STEP, "step", CT_REST_MAX + 3, NONE, NONE)                                                                       \
    X(SECTION_LEFT, "section_left", CT_SECTION_BARS_MAX + 3, SECTION, NONE)                                            \
    X(LEFT, "left", 66, LEFT, NONE)                                                                                    \
    X(RHYTHM, "rhythm", CT_RHYTHM_COUNT + 2, RHYTHM, NONE)       /* of the beat the moment lies in */                  \
    X(NEXT_ROOT, "next_root", CT_V_ROOT_SIZE, NEXT, PITCH_CLASS) /* the next chord change ... */                       \
    X(NEXT_QUALITY, "next_quality", CT_QUALITY_VALUES, NEXT, NONE)                                                     \
    X(NEXT_DISTANCE, "next_distance", 18, NEXT, NONE) /* ... in beats, rounded up, 0..15 (or more), none, unknown */   \
    X(AFTER_ROOT, "after_root", CT_V_ROOT_SIZE, NEXT, PITCH_CLASS) /* the change after it */                           \
    X(AFTER_QUALITY, "after_quality", CT_QUALITY_VALUES, NEXT, NONE)                                                   \
    X(BAR_ROOT, "bar_root", CT_V_ROOT_SIZE, NEXT, PITCH_CLASS) /* chord at the start of the next bar */                \
    X(BAR_QUALITY, "bar_quality", CT_QUALITY_VALUES, NEXT, NONE)                                                       \
    X(PITCH_CLASS, "pitch_class", CT_V_ROOT_SIZE, NONE, PITCH_CLASS) /* of the last PITCH, 12 none yet */              \
    X(PREVIOUS_ROOT, "previous_root", CT_V_ROOT_SIZE, NONE, PITCH_CLASS)                                               \
    X(BAR, "bar", 0, NONE, NONE)                                                                                       \
    X(PHASE, "phase", 0, NONE, NONE)                                                                                   \
    X(PLACE, "place", 0, NONE, NONE)                                                                                   \
    X(OPEN, "open", 0, NONE, NONE)

#define CT_COLUMN_ENUM_B(id, name, size, group, turn) CT_BC_##id,
#define CT_COLUMN_ENUM_M(id, name, size, group, turn) CT_MC_##id,
enum { CT_BACKBONE_COLUMNS(CT_COLUMN_ENUM_B) CT_BC_COUNT };
enum { CT_MELODY_COLUMNS(CT_COLUMN_ENUM_M) CT_MC_COUNT };
enum { CT_COLUMNS_MAX = 32 };

/* The table of a stage's columns. */
const ct_column *ct_columns(ct_stage stage, int *count);
/* Vocabulary size; name of a token ("QUAL_maj7", "PITCH_60", "RHYTHM_15", "METER_6/8", "KEY_F#:min", "SECTION_intro");
 * the number of a token by its name, -1 when there is none. */
int              ct_vocabulary_size(ct_stage stage);
const char      *ct_token_name(ct_stage stage, int token, char *text, size_t size);
int              ct_token_find(ct_stage stage, const char *name);
/* Name of a group: "rhythm", "section", "key", "next", "left" ("" for none). */
const char      *ct_group_name(int group);

#endif

/* The backbone's grammar: one state machine that both checks and describes (design, section 4). */
#include "core/music/tokens.h"

#include <stdio.h>

enum expect {
    EXPECT_BOS,
    EXPECT_KEY,
    EXPECT_METER,
    EXPECT_TEMPO,
    EXPECT_SECTION, /* or EOS */
    EXPECT_LENGTH,
    EXPECT_BAR,
    EXPECT_BEAT, /* what a bar or a beat begins with, up to RHYTHM */
    EXPECT_ROOT, /* after POS */
    EXPECT_QUAL,
    EXPECT_BASS,
    EXPECT_NOTHING
};

/* flags */
enum {
    STATED = 1,       /* the piece's first chord (or that there is none) has been stated */
    BEAT_CHORD = 2,   /* this beat's own chord is written */
    INSIDE_CHORD = 4, /* a change inside this beat is written */
    KEY_WRITTEN = 8,  /* in this bar, or one that comes after it in order */
    METER_WRITTEN = 16,
    TEMPO_WRITTEN = 32,
    OF_BEAT = BEAT_CHORD | INSIDE_CHORD,
    OF_BAR = OF_BEAT | KEY_WRITTEN | METER_WRITTEN | TEMPO_WRITTEN
};

enum { NO_KEY = CT_V_KEY_NONE, NO_METRE = CT_METRE_COUNT, NO_TEMPO = CT_TEMPO_COUNT, NO_SECTION = CT_SECTION_COUNT };

void ct_backbone_begin(ct_backbone_state *state, int32_t total_bars) {
    *state = (ct_backbone_state){.total = total_bars,
                                 .bar = -1,
                                 .expect = EXPECT_BOS,
                                 .key = NO_KEY,
                                 .metre = NO_METRE,
                                 .tempo = NO_TEMPO,
                                 .section = NO_SECTION,
                                 .chord = {CT_NO_CHORD, 0, 0},
                                 .before = {CT_NO_CHORD, 0, 0},
                                 .previous_root = CT_NO_CHORD};
}

static bool within(int token, int first, int count) {
    return token >= first && token < first + count;
}

static int32_t bars_left(const ct_backbone_state *s) {
    return s->total - (s->bar + 1);
}

/* The functions below return NULL where the token may come, else what is expected in its place. */

static const char *section_refused(const ct_backbone_state *s, int label) {
    bool first = s->section == NO_SECTION;
    if (s->total && bars_left(s) == 0) return "EOS, for no bar is left";
    if (s->section == CT_SECTION_OUTRO) return "EOS, for the outro comes last";
    if (label < CT_SECTION_LETTERS && label > s->letters) return "a letter used before or the next unused one";
    if (label == CT_SECTION_PICKUP && !first) return "another section: a pickup only comes first";
    if (label == CT_SECTION_PICKUP && s->total == 1) return "another section: a pickup needs a bar after it";
    if (label == CT_SECTION_INTRO && !first && s->section != CT_SECTION_PICKUP)
        return "another section: an intro only comes first or after a pickup";
    if (label == CT_SECTION_OUTRO && s->total && bars_left(s) > CT_SECTION_BARS_MAX)
        return "another section: an outro comes last, and more than 32 bars are left";
    return NULL;
}

static const char *end_refused(const ct_backbone_state *s) {
    if (s->section == NO_SECTION) return "SECTION, for a piece has at least one";
    if (s->section == CT_SECTION_PICKUP) return "SECTION, for a pickup needs a bar after it";
    if (s->total && bars_left(s) > 0) return "SECTION, for bars are left";
    return NULL;
}

static const char *length_refused(const ct_backbone_state *s, int bars) {
    if (s->section == CT_SECTION_PICKUP && bars != 1) return "LENGTH_1, for a pickup has one bar";
    if (s->total && bars > bars_left(s)) return "a LENGTH of at most the bars left";
    if (s->total && s->section == CT_SECTION_OUTRO && bars != bars_left(s)) return "a LENGTH of all bars left";
    return NULL;
}

static const char *root_refused(const ct_backbone_state *s, int token) {
    if (token == CT_B_ROOT_NONE) {
        bool in_force = (s->flags & STATED) && s->chord.root == CT_NO_CHORD;
        return in_force ? "a chord other than the one in force (none)" : NULL;
    }
    return within(token, CT_B_ROOT, 12) ? NULL : "ROOT";
}

static const char *beat_refused(const ct_backbone_state *s, int token) {
    bool bar_head = s->bar > 0 && s->bar_step == 0 && !(s->flags & OF_BEAT);
    if (within(token, CT_B_KEY, 24)) {
        if (!bar_head || s->flags & KEY_WRITTEN) return "a chord, POS or RHYTHM (KEY comes first in a later bar)";
        return token - CT_B_KEY == s->key ? "a key other than the one in force" : NULL;
    }
    if (within(token, CT_B_METER, CT_METRE_COUNT)) {
        if (!bar_head || s->flags & METER_WRITTEN) return "a chord, POS or RHYTHM (METER follows BAR or KEY)";
        return token - CT_B_METER == s->metre ? "a metre other than the one in force" : NULL;
    }
    if (within(token, CT_B_TEMPO, CT_TEMPO_COUNT)) {
        if (!bar_head || s->flags & TEMPO_WRITTEN) return "a chord, POS or RHYTHM (TEMPO follows BAR, KEY or METER)";
        return token - CT_B_TEMPO == s->tempo ? "a tempo other than the one in force" : NULL;
    }
    if (token == CT_B_ROOT_NONE || within(token, CT_B_ROOT, 12))
        return s->flags & OF_BEAT ? "POS or RHYTHM, for this beat has its chord" : root_refused(s, token);
    if (!(s->flags & STATED)) return "ROOT, for the first beat states a chord or none";
    if (within(token, CT_B_POS, CT_STEPS_PER_BEAT - 1))
        return s->flags & INSIDE_CHORD ? "RHYTHM, for a beat has one change inside at most" : NULL;
    return within(token, CT_B_RHYTHM, CT_RHYTHM_COUNT) ? NULL : "a chord, POS or RHYTHM";
}

static const char *refused(const ct_backbone_state *s, int token) {
    switch ((enum expect)s->expect) {
    case EXPECT_BOS:
        return token == CT_B_BOS ? NULL : "BOS";
    case EXPECT_KEY:
        return within(token, CT_B_KEY, 24) ? NULL : "KEY";
    case EXPECT_METER:
        return within(token, CT_B_METER, CT_METRE_COUNT) ? NULL : "METER";
    case EXPECT_TEMPO:
        return within(token, CT_B_TEMPO, CT_TEMPO_COUNT) ? NULL : "TEMPO";
    case EXPECT_SECTION:
        if (token == CT_B_EOS) return end_refused(s);
        if (!within(token, CT_B_SECTION, CT_SECTION_COUNT)) return "SECTION or EOS";
        return section_refused(s, token - CT_B_SECTION);
    case EXPECT_LENGTH:
        if (!within(token, CT_B_LENGTH, CT_SECTION_BARS_MAX)) return "LENGTH";
        return length_refused(s, token - CT_B_LENGTH + 1);
    case EXPECT_BAR:
        return token == CT_B_BAR ? NULL : "BAR";
    case EXPECT_BEAT:
        return beat_refused(s, token);
    case EXPECT_ROOT:
        return root_refused(s, token);
    case EXPECT_QUAL:
        return within(token, CT_B_QUAL, CT_QUALITY_COUNT) ? NULL : "QUAL";
    case EXPECT_BASS:
        if (!within(token, CT_B_BASS, 12)) return "BASS";
        if (ct_chord_same(s->before, (ct_chord){s->chord.root, s->chord.quality, (uint8_t)(token - CT_B_BASS)}))
            return "another BASS, for this chord is in force already";
        return NULL;
    case EXPECT_NOTHING:
        break;
    }
    return "nothing, for the piece has ended";
}

int ct_backbone_allowed(const ct_backbone_state *state, uint8_t *allowed) {
    int count = 0;
    for (int token = 0; token < CT_B_COUNT; token++) count += allowed[token] = refused(state, token) == NULL;
    return count;
}

static void chord_written(ct_backbone_state *s) {
    s->flags |= (uint8_t)(STATED | (s->pos ? INSIDE_CHORD : BEAT_CHORD));
    s->expect = EXPECT_BEAT;
}

static void root_written(ct_backbone_state *s, int token) {
    s->before = s->chord;
    s->previous_root = s->chord.root;
    if (token == CT_B_ROOT_NONE) {
        s->chord = (ct_chord){CT_NO_CHORD, 0, 0};
        chord_written(s);
    } else {
        s->chord = (ct_chord){(uint8_t)(token - CT_B_ROOT), CT_V_QUALITY_OPEN, 12};
        s->expect = EXPECT_QUAL;
    }
}

static void rhythm_written(ct_backbone_state *s) {
    s->bar_step += CT_STEPS_PER_BEAT;
    s->pos = 0;
    s->flags &= (uint8_t)~OF_BEAT;
    if (s->bar_step == ct_metre_steps(s->metre)) s->expect = s->section_left ? EXPECT_BAR : EXPECT_SECTION;
}

ct_status ct_backbone_push(ct_backbone_state *state, int token) {
    ct_backbone_state *s = state;
    const char        *expected = refused(s, token);
    if (expected) {
        char name[32];
        return ct_fail(CT_EFAIL, "bar %d, step %d: found %s, expected %s", s->bar, s->bar_step + s->pos,
                       ct_token_name(CT_BACKBONE, token, name, sizeof name), expected);
    }
    if (token == CT_B_BOS) {
        s->expect = EXPECT_KEY;
    } else if (token == CT_B_EOS) {
        s->expect = EXPECT_NOTHING;
    } else if (token == CT_B_BAR) {
        s->bar++;
        s->bar_step = 0;
        s->section_left--;
        s->place = s->section_bars - s->section_left - 1;
        s->flags &= (uint8_t)~OF_BAR;
        s->expect = EXPECT_BEAT;
    } else if (within(token, CT_B_KEY, 24)) {
        s->key = (uint8_t)(token - CT_B_KEY);
        s->flags |= KEY_WRITTEN;
        if (s->expect == EXPECT_KEY) s->expect = EXPECT_METER;
    } else if (within(token, CT_B_METER, CT_METRE_COUNT)) {
        s->metre = (uint8_t)(token - CT_B_METER);
        s->flags |= KEY_WRITTEN | METER_WRITTEN;
        if (s->expect == EXPECT_METER) s->expect = EXPECT_TEMPO;
    } else if (within(token, CT_B_TEMPO, CT_TEMPO_COUNT)) {
        s->tempo = (uint8_t)(token - CT_B_TEMPO);
        s->flags |= KEY_WRITTEN | METER_WRITTEN | TEMPO_WRITTEN;
        if (s->expect == EXPECT_TEMPO) s->expect = EXPECT_SECTION;
    } else if (within(token, CT_B_SECTION, CT_SECTION_COUNT)) {
        s->section = (uint8_t)(token - CT_B_SECTION);
        s->occurrences[s->section]++;
        if (s->section == s->letters && s->letters < CT_SECTION_LETTERS) s->letters++;
        s->section_bars = s->section_left = s->place = 0;
        s->expect = EXPECT_LENGTH;
    } else if (within(token, CT_B_LENGTH, CT_SECTION_BARS_MAX)) {
        s->section_bars = s->section_left = token - CT_B_LENGTH + 1;
        s->expect = EXPECT_BAR;
    } else if (token == CT_B_ROOT_NONE || within(token, CT_B_ROOT, 12)) {
        root_written(s, token);
    } else if (within(token, CT_B_QUAL, CT_QUALITY_COUNT)) {
        s->chord.quality = (uint8_t)(token - CT_B_QUAL);
        s->expect = EXPECT_BASS;
    } else if (within(token, CT_B_BASS, 12)) {
        s->chord.bass = (uint8_t)(token - CT_B_BASS);
        chord_written(s);
    } else if (within(token, CT_B_POS, CT_STEPS_PER_BEAT - 1)) {
        s->pos = token - CT_B_POS + 1;
        s->expect = EXPECT_ROOT;
    } else {
        rhythm_written(s);
    }
    return CT_OK;
}

static uint16_t at_most(int32_t value, int32_t most) {
    return (uint16_t)(value < most ? value : most);
}

void ct_backbone_row(const ct_backbone_state *state, int token, bool open, uint16_t *row) {
    const ct_backbone_state *s = state;
    bool    chord = s->chord.root != CT_NO_CHORD, section = s->section != NO_SECTION, bar = s->bar >= 0;
    bool    length = s->expect != EXPECT_LENGTH && section;
    int32_t step = s->bar_step + s->pos;
    row[CT_BC_TOKEN] = (uint16_t)token;
    row[CT_BC_ROOT] = s->chord.root;
    row[CT_BC_QUALITY] = chord ? s->chord.quality : CT_V_QUALITY_NONE;
    row[CT_BC_BASS] = chord ? s->chord.bass : 12;
    row[CT_BC_KEY] = s->key;
    row[CT_BC_METRE] = s->metre;
    row[CT_BC_TEMPO] = s->tempo;
    row[CT_BC_SECTION] = s->section;
    row[CT_BC_OCCURRENCE] = section ? at_most(s->occurrences[s->section] - 1, 7) : 8;
    row[CT_BC_STEP] = bar ? (uint16_t)step : CT_REST_MAX + 1;
    row[CT_BC_SECTION_LEFT] = length ? (uint16_t)s->section_left : CT_SECTION_BARS_MAX + 1;
    row[CT_BC_LEFT] = s->total ? at_most(bars_left(s), 63) : 65;
    row[CT_BC_PREVIOUS_ROOT] = s->previous_root;
    row[CT_BC_BAR] = bar ? at_most(s->bar, UINT16_MAX) : 0;
    row[CT_BC_PHASE] = (uint16_t)(bar ? step * (CT_PHASES_PER_BAR / ct_metre_steps(s->metre)) : 0);
    row[CT_BC_PLACE] = (uint16_t)s->place;
    row[CT_BC_OPEN] = open;
}

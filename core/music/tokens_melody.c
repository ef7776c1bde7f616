/* The melody's grammar, over the bars and chords of a piece. The state's cursors (bar, change, section) follow the
 * position, which only moves forward: amortised constant time a token. */
#include "core/music/tokens.h"

#include <stdio.h>

enum expect {
    EXPECT_BOS,
    EXPECT_MOVE, /* BAR, EOS, PITCH or REST, as the position says */
    EXPECT_VEL,
    EXPECT_DUR,
    EXPECT_NOTHING
};

/* Move the cursors up to the position. */
static void follow(ct_melody_state *s) {
    const ct_piece *p = s->piece;
    while (s->bar + 1 < p->bar_count && p->bars[s->bar + 1].start <= s->position) s->bar++;
    while (s->change + 1 < p->change_count && p->changes[s->change + 1].step <= s->position) s->change++;
    while (s->section + 1 < p->section_count && p->sections[s->section + 1].first <= s->bar)
        s->occurrences[p->sections[++s->section].label]++;
}

void ct_melody_begin(ct_melody_state *state, const ct_piece *backbone) {
    CT_ASSERT(backbone->bar_count > 0 && backbone->section_count > 0 && backbone->sections[0].first == 0);
    *state = (ct_melody_state){.piece = backbone,
                               .expect = EXPECT_BOS,
                               .end = ct_piece_steps(backbone),
                               .pitch_class = 12,
                               .change = -1,
                               .section = -1};
    follow(state);
}

static bool within(int token, int first, int count) {
    return token >= first && token < first + count;
}

/* Where the next BAR stands; past everything when all are written. */
static int32_t next_line(const ct_melody_state *s) {
    return s->bars_done < s->piece->bar_count ? s->piece->bars[s->bars_done].start : INT32_MAX;
}

/* NULL where the token may come, else what is expected in its place. */
static const char *refused(const ct_melody_state *s, int token) {
    switch ((enum expect)s->expect) {
    case EXPECT_BOS:
        return token == CT_M_BOS ? NULL : "BOS";
    case EXPECT_VEL:
        return within(token, CT_M_VEL, CT_VELOCITY_COUNT) ? NULL : "VEL";
    case EXPECT_DUR:
        if (!within(token, CT_M_DUR, CT_DURATION_MAX)) return "DUR";
        return token - CT_M_DUR + 1 <= s->end - s->position ? NULL : "a DUR that ends within the piece";
    case EXPECT_MOVE:
        if (s->position >= next_line(s)) return token == CT_M_BAR ? NULL : "BAR, for a bar line is reached";
        if (s->position == s->end) return token == CT_M_EOS ? NULL : "EOS, for the end is reached";
        if (within(token, CT_M_PITCH, 128)) return NULL;
        if (s->rested) return "PITCH, for a rest inside a bar is followed by a note";
        if (!within(token, CT_M_REST, CT_REST_MAX)) return "PITCH or REST";
        if (token - CT_M_REST + 1 > (next_line(s) < s->end ? next_line(s) : s->end) - s->position)
            return "a REST that ends within the bar";
        return NULL;
    case EXPECT_NOTHING:
        break;
    }
    return "nothing, for the melody has ended";
}

int ct_melody_allowed(const ct_melody_state *state, uint8_t *allowed) {
    int count = 0;
    for (int token = 0; token < CT_M_COUNT; token++) count += allowed[token] = refused(state, token) == NULL;
    return count;
}

ct_status ct_melody_push(ct_melody_state *state, int token) {
    ct_melody_state *s = state;
    const char      *expected = refused(s, token);
    if (expected) {
        char name[32];
        return ct_fail(CT_EFAIL, "bar %d, step %d: found %s, expected %s", s->bar,
                       s->position - s->piece->bars[s->bar].start, ct_token_name(CT_MELODY, token, name, sizeof name),
                       expected);
    }
    bool rest = false;
    if (token == CT_M_BOS) {
        s->expect = EXPECT_MOVE;
    } else if (token == CT_M_EOS) {
        s->expect = EXPECT_NOTHING;
    } else if (token == CT_M_BAR) {
        s->bars_done++;
    } else if (within(token, CT_M_PITCH, 128)) {
        s->pitch = (uint8_t)(token - CT_M_PITCH);
        s->pitch_class = s->pitch % 12;
        s->expect = EXPECT_VEL;
    } else if (within(token, CT_M_VEL, CT_VELOCITY_COUNT)) {
        s->velocity = (uint8_t)(8 * (token - CT_M_VEL) + 4);
        s->expect = EXPECT_DUR;
    } else if (within(token, CT_M_DUR, CT_DURATION_MAX)) {
        s->position += token - CT_M_DUR + 1;
        s->expect = EXPECT_MOVE;
    } else {
        s->position += token - CT_M_REST + 1;
        rest = true;
    }
    s->rested = rest;
    follow(s);
    return CT_OK;
}

static uint16_t at_most(int32_t value, int32_t most) {
    return (uint16_t)(value < most ? value : most);
}

/* Root and quality of change `index`; none past the last. */
static void write_change(const ct_piece *piece, int32_t index, uint16_t *root, uint16_t *quality) {
    bool chord = index >= 0 && index < piece->change_count && piece->changes[index].chord.root != CT_NO_CHORD;
    *root = chord ? piece->changes[index].chord.root : CT_V_ROOT_NONE;
    *quality = chord ? piece->changes[index].chord.quality : CT_V_QUALITY_NONE;
}

void ct_melody_row(const ct_melody_state *state, int token, bool open, uint16_t *row) {
    const ct_melody_state *s = state;
    const ct_piece        *p = s->piece;
    const ct_bar          *bar = &p->bars[s->bar];
    const ct_section      *section = &p->sections[s->section];
    int32_t  step = s->position - bar->start, next = s->change + 1, beat = s->position / CT_STEPS_PER_BEAT;
    uint16_t unused;
    row[CT_MC_TOKEN] = (uint16_t)token;
    write_change(p, s->change, &row[CT_MC_ROOT], &row[CT_MC_QUALITY]);
    row[CT_MC_BASS] = row[CT_MC_ROOT] == CT_V_ROOT_NONE ? 12 : p->changes[s->change].chord.bass;
    row[CT_MC_KEY] = bar->key;
    row[CT_MC_METRE] = bar->metre;
    row[CT_MC_TEMPO] = (uint16_t)ct_tempo_bin(bar->tempo);
    row[CT_MC_SECTION] = section->label;
    row[CT_MC_OCCURRENCE] = at_most(s->occurrences[section->label] - 1, 7);
    row[CT_MC_STEP] = (uint16_t)step;
    row[CT_MC_SECTION_LEFT] = (uint16_t)(section->first + section->bars - 1 - s->bar);
    row[CT_MC_LEFT] = at_most(p->bar_count - 1 - s->bar, 63);
    row[CT_MC_RHYTHM] = beat < p->beat_count ? p->rhythm[beat] : CT_RHYTHM_COUNT;
    write_change(p, next, &row[CT_MC_NEXT_ROOT], &row[CT_MC_NEXT_QUALITY]);
    row[CT_MC_NEXT_DISTANCE] = 16;
    if (next < p->change_count) {
        int32_t steps = p->changes[next].step - s->position;
        row[CT_MC_NEXT_DISTANCE] = at_most((steps + CT_STEPS_PER_BEAT - 1) / CT_STEPS_PER_BEAT, 15);
    }
    write_change(p, next + 1, &row[CT_MC_AFTER_ROOT], &row[CT_MC_AFTER_QUALITY]);
    row[CT_MC_BAR_ROOT] = CT_V_ROOT_NONE;
    row[CT_MC_BAR_QUALITY] = CT_V_QUALITY_NONE;
    if (s->bar + 1 < p->bar_count) {
        int32_t line = p->bars[s->bar + 1].start, there = s->change;
        while (there + 1 < p->change_count && p->changes[there + 1].step <= line) there++;
        write_change(p, there, &row[CT_MC_BAR_ROOT], &row[CT_MC_BAR_QUALITY]);
    }
    row[CT_MC_PITCH_CLASS] = s->pitch_class;
    write_change(p, s->change - 1, &row[CT_MC_PREVIOUS_ROOT], &unused);
    row[CT_MC_BAR] = at_most(s->bar, UINT16_MAX);
    row[CT_MC_PHASE] = (uint16_t)(step * (CT_PHASES_PER_BAR / ct_metre_steps(bar->metre)));
    row[CT_MC_PLACE] = (uint16_t)(s->bar - section->first);
    row[CT_MC_OPEN] = open;
}

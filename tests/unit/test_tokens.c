/* vocabulary.h and tokens.h: the grammars, and that pieces and rows are two spellings of the same thing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/music/tokens.h"
#include "core/rng.h"

enum { PIECES = 60, WALKS = 120 };

#define OK(expression)                                                                                                 \
    do {                                                                                                               \
        if ((expression) != CT_OK) fail_msg("%s", ct_message());                                                       \
    } while (0)

/* ---- random pieces */

typedef struct dice {
    uint64_t key, count;
} dice;

static int roll(dice *d, int n) {
    return (int)ct_philox_below(ct_philox_at(d->key, 0, d->count++).word[0], (uint32_t)n);
}

static ct_chord random_chord(dice *d) {
    if (roll(d, 10) == 0) return (ct_chord){CT_NO_CHORD, 0, 0};
    return (ct_chord){(uint8_t)roll(d, 12), (uint8_t)roll(d, CT_QUALITY_COUNT),
                      (uint8_t)(roll(d, 3) ? 0 : roll(d, 12))};
}

static void random_sections(dice *d, ct_arena *arena, ct_piece *p) {
    int count = 1 + roll(d, 8), letters = 0;
    p->sections = CT_NEW(arena, ct_section, (size_t)count + 2);
    if (roll(d, 3) == 0) p->sections[p->section_count++] = (ct_section){CT_SECTION_PICKUP, 0, 1};
    for (int i = 0; i < count; i++) {
        int label = roll(d, letters < CT_SECTION_LETTERS ? letters + 1 : letters);
        if (i == 0 && roll(d, 2)) label = CT_SECTION_INTRO;
        if (i && roll(d, 6) == 0) label = CT_SECTION_INTERLUDE;
        if (i && i == count - 1 && roll(d, 2)) label = CT_SECTION_OUTRO;
        if (label == letters && letters < CT_SECTION_LETTERS) letters++;
        p->sections[p->section_count++] = (ct_section){(uint8_t)label, 0, 1 + roll(d, roll(d, 4) ? 8 : 32)};
    }
    for (int i = 0; i < p->section_count; i++) {
        p->sections[i].first = p->bar_count;
        p->bar_count += p->sections[i].bars;
    }
}

static void random_melody(dice *d, ct_arena *arena, ct_piece *p) {
    int32_t end = p->beat_count * CT_STEPS_PER_BEAT, at = roll(d, 40);
    p->melody = CT_NEW(arena, ct_note, (size_t)end);
    while (at < end) {
        int32_t steps = 1 + roll(d, roll(d, 8) ? 24 : 150), gap = roll(d, 2) ? 0 : roll(d, roll(d, 6) ? 8 : 200);
        if (steps > end - at) steps = end - at;
        p->melody[p->melody_count++] =
            (ct_note){at, at + steps, (uint8_t)(12 + roll(d, 104)), (uint8_t)(1 + roll(d, 127))};
        at += steps + gap;
    }
}

/* A valid piece, not quantised; pitches leave room for a transposition. */
static ct_piece random_piece(uint64_t seed, ct_arena *arena) {
    dice     d = {seed, 0};
    ct_piece p = {.title = ""};
    random_sections(&d, arena, &p);
    p.bars = CT_NEW(arena, ct_bar, (size_t)p.bar_count);
    ct_bar bar = {0, (uint8_t)roll(&d, CT_METRE_COUNT), (uint8_t)roll(&d, 24), 25 + roll(&d, 240)};
    for (int i = 0; i < p.bar_count; i++) {
        p.bars[i] = bar;
        bar.start += ct_metre_steps(bar.metre);
        if (roll(&d, 6) == 0) bar.metre = (uint8_t)roll(&d, CT_METRE_COUNT);
        if (roll(&d, 6) == 0) bar.key = (uint8_t)roll(&d, 24);
        if (roll(&d, 6) == 0) bar.tempo = 25 + roll(&d, 240);
    }
    p.beat_count = bar.start / CT_STEPS_PER_BEAT;
    p.rhythm = CT_NEW(arena, uint8_t, (size_t)p.beat_count);
    for (int i = 0; i < p.beat_count; i++) p.rhythm[i] = (uint8_t)roll(&d, CT_RHYTHM_COUNT);
    p.changes = CT_NEW(arena, ct_change, (size_t)bar.start);
    for (int32_t at = 0; at < bar.start; at += roll(&d, 3) ? 12 * (1 + roll(&d, 4)) : 1 + roll(&d, 12)) {
        ct_change change = {at, random_chord(&d)};
        if (p.change_count && ct_chord_same(p.changes[p.change_count - 1].chord, change.chord)) continue;
        p.changes[p.change_count++] = change;
    }
    random_melody(&d, arena, &p);
    OK(ct_piece_check(&p));
    return p;
}

static void same_backbone(const ct_piece *a, const ct_piece *b) {
    assert_int_equal(a->bar_count, b->bar_count);
    for (int i = 0; i < a->bar_count; i++) {
        assert_int_equal(a->bars[i].start, b->bars[i].start);
        assert_int_equal(a->bars[i].metre, b->bars[i].metre);
        assert_int_equal(a->bars[i].key, b->bars[i].key);
        assert_true(a->bars[i].tempo == b->bars[i].tempo);
    }
    assert_int_equal(a->section_count, b->section_count);
    for (int i = 0; i < a->section_count; i++) {
        assert_int_equal(a->sections[i].label, b->sections[i].label);
        assert_int_equal(a->sections[i].first, b->sections[i].first);
        assert_int_equal(a->sections[i].bars, b->sections[i].bars);
    }
    assert_int_equal(a->change_count, b->change_count);
    for (int i = 0; i < a->change_count; i++) {
        assert_int_equal(a->changes[i].step, b->changes[i].step);
        assert_true(ct_chord_same(a->changes[i].chord, b->changes[i].chord));
    }
    assert_int_equal(a->beat_count, b->beat_count);
    assert_memory_equal(a->rhythm, b->rhythm, (size_t)a->beat_count);
}

static void same_melody(const ct_piece *a, const ct_piece *b) {
    assert_int_equal(a->melody_count, b->melody_count);
    for (int i = 0; i < a->melody_count; i++) {
        assert_int_equal(a->melody[i].start, b->melody[i].start);
        assert_int_equal(a->melody[i].end, b->melody[i].end);
        assert_int_equal(a->melody[i].pitch, b->melody[i].pitch);
        assert_int_equal(a->melody[i].velocity, b->melody[i].velocity);
    }
}

/* Equal in all columns; says where not. */
static void same_rows(ct_stage stage, const ct_rows *a, const ct_rows *b) {
    int              width;
    const ct_column *columns = ct_columns(stage, &width);
    assert_int_equal(a->columns, width);
    assert_int_equal(b->columns, width);
    assert_int_equal(a->count, b->count);
    for (int64_t i = 0; i < a->count; i++)
        for (int c = 0; c < width; c++)
            if (a->at[i * width + c] != b->at[i * width + c])
                fail_msg("row %lld, %s: %d is not %d", (long long)i, columns[c].name, a->at[i * width + c],
                         b->at[i * width + c]);
}

/* Every value lies within its column. */
static void rows_in_range(ct_stage stage, const ct_rows *rows) {
    int              width;
    const ct_column *columns = ct_columns(stage, &width);
    for (int64_t i = 0; i < rows->count; i++)
        for (int c = 0; c < width; c++)
            if (columns[c].size) assert_in_range(rows->at[i * width + c], 0, columns[c].size - 1);
}

/* ---- vocabulary */

static void test_names(void **state) {
    (void)state;
    char text[32];
    for (int stage = CT_BACKBONE; stage <= CT_MELODY; stage++)
        for (int token = 0; token < ct_vocabulary_size((ct_stage)stage); token++)
            assert_int_equal(ct_token_find((ct_stage)stage, ct_token_name((ct_stage)stage, token, text, sizeof text)),
                             token);
    assert_int_equal(ct_token_find(CT_BACKBONE, "QUAL_maj7"), CT_B_QUAL + CT_MAJ7);
    assert_int_equal(ct_token_find(CT_BACKBONE, "METER_6/8"), CT_B_METER + CT_6_8);
    assert_int_equal(ct_token_find(CT_BACKBONE, "KEY_F#:min"), CT_B_KEY + 18);
    assert_int_equal(ct_token_find(CT_BACKBONE, "SECTION_intro"), CT_B_SECTION + CT_SECTION_INTRO);
    assert_int_equal(ct_token_find(CT_BACKBONE, "RHYTHM_15"), CT_B_RHYTHM + 15);
    assert_int_equal(ct_token_find(CT_BACKBONE, "LENGTH_32"), CT_B_LENGTH + 31);
    assert_int_equal(ct_token_find(CT_BACKBONE, "POS_11"), CT_B_COUNT - 1);
    assert_int_equal(ct_token_find(CT_MELODY, "PITCH_60"), CT_M_PITCH + 60);
    assert_int_equal(ct_token_find(CT_MELODY, "REST_84"), CT_M_COUNT - 1);
    assert_int_equal(ct_token_find(CT_MELODY, "REST_85"), -1);
    assert_string_equal(ct_group_name(CT_GROUP_LEFT), "left");
}

static void test_columns(void **state) {
    (void)state;
    int              width;
    const ct_column *columns = ct_columns(CT_MELODY, &width);
    assert_int_equal(width, CT_MC_COUNT);
    assert_string_equal(columns[CT_MC_NEXT_ROOT].name, "next_root");
    assert_int_equal(columns[CT_MC_NEXT_ROOT].group, CT_GROUP_NEXT);
    assert_int_equal(columns[CT_MC_NEXT_ROOT].turn, CT_TURN_PITCH_CLASS);
    columns = ct_columns(CT_BACKBONE, &width);
    assert_int_equal(width, CT_BC_COUNT);
    assert_int_equal(columns[CT_BC_TOKEN].size, CT_B_COUNT);
    assert_int_equal(columns[CT_BC_PLACE].size, 0);
}

/* ---- pieces */

static void test_pieces_survive(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < PIECES; seed++) {
        ct_arena arena = {0};
        ct_piece p = random_piece(seed, &arena), back;
        ct_rows  backbone, melody, again;
        OK(ct_piece_quantise(&p, &arena));
        OK(ct_piece_check(&p));
        OK(ct_backbone_encode(&p, &arena, &backbone));
        OK(ct_melody_encode(&p, &arena, &melody));
        rows_in_range(CT_BACKBONE, &backbone);
        rows_in_range(CT_MELODY, &melody);
        OK(ct_backbone_decode(&backbone, &arena, &back));
        OK(ct_melody_decode(&melody, &arena, &back));
        OK(ct_piece_check(&back));
        same_backbone(&p, &back);
        same_melody(&p, &back);
        OK(ct_backbone_encode(&back, &arena, &again));
        same_rows(CT_BACKBONE, &backbone, &again);
        OK(ct_melody_encode(&back, &arena, &again));
        same_rows(CT_MELODY, &melody, &again);
        OK(ct_piece_quantise(&back, &arena)); /* quantising twice changes nothing more */
        same_backbone(&p, &back);
        same_melody(&p, &back);
        ct_arena_free(&arena);
    }
}

static void test_quantise(void **state) {
    (void)state;
    ct_arena   arena = {0};
    ct_bar     bars[] = {{0, CT_4_4, 0, 120}, {48, CT_4_4, 0, 121}, {96, CT_4_4, 0, 240}};
    ct_section sections[] = {{CT_SECTION_A, 0, 3}};
    ct_change  changes[] = {
         {0, {0, CT_MAJ, 0}}, {3, {5, CT_MAJ, 0}}, {9, {0, CT_MAJ, 0}}, {12, {7, CT_MAJ, 0}}, {18, {2, CT_MIN, 0}}};
    uint8_t  rhythm[12] = {0};
    ct_note  notes[] = {{0, 10, 60, 1}, {12, 21, 60, 127}, {24, 122, 62, 64}, {123, 144, 64, 8}};
    ct_piece p = {.title = "",
                  .bars = bars,
                  .bar_count = 3,
                  .sections = sections,
                  .section_count = 1,
                  .changes = changes,
                  .change_count = 5,
                  .rhythm = rhythm,
                  .beat_count = 12,
                  .melody = notes,
                  .melody_count = 4};
    OK(ct_piece_quantise(&p, &arena));
    assert_int_equal(p.change_count, 3); /* C; the F of step 3 falls to the C of step 9, which is in force; G; Dm */
    assert_int_equal(p.changes[1].step, 12);
    assert_int_equal(p.changes[2].step, 18);
    assert_int_equal(notes[0].end, 12);  /* a gap of two closes */
    assert_int_equal(notes[1].end, 21);  /* a gap of three stays */
    assert_int_equal(notes[2].end, 120); /* 96 steps at most, though the gap then is three */
    assert_int_equal(notes[0].velocity, 4);
    assert_int_equal(notes[1].velocity, 124);
    assert_int_equal(notes[3].velocity, 12);
    assert_true(bars[0].tempo == bars[1].tempo && bars[1].tempo != bars[2].tempo);
    ct_arena_free(&arena);
}

/* ---- walks: any choice among what is allowed makes a piece */

/* One token of those allowed; checks that those not allowed are refused and change nothing. */
static int choose(dice *d, ct_stage stage, const void *machine, const uint8_t *allowed, int count) {
    int size = ct_vocabulary_size(stage), wanted = roll(d, count), token = -1;
    for (int i = 0; i < size; i++)
        if (allowed[i] && wanted-- == 0) token = i;
    int refused = roll(d, size);
    if (!allowed[refused]) {
        union {
            ct_backbone_state backbone;
            ct_melody_state   melody;
        } copy;
        size_t bytes = stage == CT_BACKBONE ? sizeof copy.backbone : sizeof copy.melody;
        memcpy(&copy, machine, bytes);
        ct_status status =
            stage == CT_BACKBONE ? ct_backbone_push(&copy.backbone, refused) : ct_melody_push(&copy.melody, refused);
        char name[32];
        assert_int_equal(status, CT_EFAIL);
        assert_non_null(strstr(ct_message(), "expected"));
        assert_non_null(strstr(ct_message(), ct_token_name(stage, refused, name, sizeof name)));
        assert_memory_equal(&copy, machine, bytes);
    }
    return token;
}

static uint16_t *add_row(ct_arena *arena, ct_rows *rows, size_t *capacity) {
    if ((size_t)rows->count == *capacity) {
        size_t    more = *capacity ? 2 * *capacity : 64;
        uint16_t *at = CT_NEW(arena, uint16_t, more * (size_t)rows->columns);
        assert_non_null(at);
        if (rows->count) memcpy(at, rows->at, (size_t)(rows->count * rows->columns) * sizeof *at);
        rows->at = at;
        *capacity = more;
    }
    return rows->at + rows->count++ * rows->columns;
}

/* Walk to EOS. `total` 0: stop choosing new sections after a while, so that the walk ends. */
static ct_rows walk_backbone(dice *d, ct_arena *arena, int32_t total) {
    ct_rows           rows = {.columns = CT_BC_COUNT};
    size_t            capacity = 0;
    ct_backbone_state s;
    uint8_t           allowed[CT_B_COUNT];
    int               count;
    ct_backbone_begin(&s, total);
    while ((count = ct_backbone_allowed(&s, allowed)) > 0) {
        int token = choose(d, CT_BACKBONE, &s, allowed, count);
        if (allowed[CT_B_EOS] && s.bar > 60) token = CT_B_EOS;
        OK(ct_backbone_push(&s, token));
        ct_backbone_row(&s, token, count > 1, add_row(arena, &rows, &capacity));
    }
    CT_ASSERT(rows.at);
    assert_int_equal(rows.at[(rows.count - 1) * rows.columns], CT_B_EOS);
    return rows;
}

static ct_rows walk_melody(dice *d, ct_arena *arena, const ct_piece *p) {
    ct_rows         rows = {.columns = CT_MC_COUNT};
    size_t          capacity = 0;
    ct_melody_state s;
    uint8_t         allowed[CT_M_COUNT];
    int             count;
    ct_melody_begin(&s, p);
    while ((count = ct_melody_allowed(&s, allowed)) > 0) {
        int token = choose(d, CT_MELODY, &s, allowed, count);
        OK(ct_melody_push(&s, token));
        ct_melody_row(&s, token, count > 1, add_row(arena, &rows, &capacity));
    }
    CT_ASSERT(rows.at);
    assert_int_equal(rows.at[(rows.count - 1) * rows.columns], CT_M_EOS);
    return rows;
}

static void test_walks_are_pieces(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < WALKS; seed++) {
        ct_arena arena = {0};
        dice     d = {1000 + seed, 0};
        int32_t  total = seed % 3 ? 1 + roll(&d, 90) : 0;
        ct_rows  rows = walk_backbone(&d, &arena, total), again;
        ct_piece p;
        rows_in_range(CT_BACKBONE, &rows);
        OK(ct_backbone_decode(&rows, &arena, &p));
        OK(ct_piece_check(&p));
        if (total) assert_int_equal(p.bar_count, total);
        assert_int_equal(p.beat_count * CT_STEPS_PER_BEAT, ct_piece_steps(&p)); /* every bar is full */
        OK(ct_backbone_encode(&p, &arena, &again));
        if (!total) /* without a total, `left` is unknown and EOS is a choice */
            for (int64_t i = 0; i < rows.count && i < again.count; i++) {
                assert_int_equal(rows.at[i * CT_BC_COUNT + CT_BC_LEFT], 65);
                rows.at[i * CT_BC_COUNT + CT_BC_LEFT] = again.at[i * CT_BC_COUNT + CT_BC_LEFT];
                rows.at[i * CT_BC_COUNT + CT_BC_OPEN] = again.at[i * CT_BC_COUNT + CT_BC_OPEN];
            }
        same_rows(CT_BACKBONE, &rows, &again);

        rows = walk_melody(&d, &arena, &p);
        rows_in_range(CT_MELODY, &rows);
        OK(ct_melody_decode(&rows, &arena, &p));
        OK(ct_piece_check(&p));
        OK(ct_melody_encode(&p, &arena, &again));
        same_rows(CT_MELODY, &rows, &again);
        ct_arena_free(&arena);
    }
}

/* ---- single rules */

/* Push tokens by name up to the first refusal; returns how many were taken. */
static int take(ct_backbone_state *s, const char *names) {
    char name[32];
    int  taken = 0, used;
    for (; sscanf(names, "%31s%n", name, &used) == 1; names += used, taken++) {
        int token = ct_token_find(CT_BACKBONE, name);
        if (token < 0) fail_msg("no token %s", name);
        if (ct_backbone_push(s, token) != CT_OK) return taken;
    }
    return taken;
}

static void refused_at(int32_t total, int taken, const char *names, const char *why) {
    ct_backbone_state s;
    ct_backbone_begin(&s, total);
    assert_int_equal(take(&s, names), taken);
    if (!strstr(ct_message(), why)) fail_msg("\"%s\" lacks \"%s\"", ct_message(), why);
}

#define HEAD "BOS KEY_C:maj METER_2/4 TEMPO_20 "
#define C "ROOT_C QUAL_maj BASS_0 "
#define BEATS "RHYTHM_0 RHYTHM_0 "

static void test_backbone_rules(void **state) {
    (void)state;
    refused_at(2, 0, "KEY_C:maj", "expected BOS");
    refused_at(2, 4, HEAD "SECTION_B", "next unused");
    refused_at(2, 4, HEAD "EOS", "at least one");
    refused_at(2, 5, HEAD "SECTION_A LENGTH_3", "at most the bars left");
    refused_at(2, 5, HEAD "SECTION_pickup LENGTH_2", "one bar");
    refused_at(1, 4, HEAD "SECTION_pickup", "needs a bar after");
    refused_at(9, 5, HEAD "SECTION_outro LENGTH_2", "all bars left");
    refused_at(33, 4, HEAD "SECTION_outro", "more than 32");
    refused_at(2, 7, HEAD "SECTION_A LENGTH_1 BAR RHYTHM_0", "first beat");
    refused_at(2, 7, HEAD "SECTION_A LENGTH_1 BAR KEY_D:maj", "later bar");
    refused_at(2, 10, HEAD "SECTION_A LENGTH_1 BAR " C "ROOT_D", "has its chord");
}

static void test_backbone_restating(void **state) {
    (void)state;
    refused_at(2, 13, HEAD "SECTION_A LENGTH_2 BAR " C "RHYTHM_1 ROOT_C QUAL_maj BASS_0", "in force");
    refused_at(2, 9, HEAD "SECTION_A LENGTH_2 BAR ROOT_none RHYTHM_1 ROOT_none", "none");
    refused_at(2, 13, HEAD "SECTION_A LENGTH_2 BAR " C BEATS "BAR KEY_C:maj", "other than the one in force");
    refused_at(2, 13, HEAD "SECTION_A LENGTH_2 BAR " C BEATS "BAR METER_2/4", "other than the one in force");
    refused_at(2, 13, HEAD "SECTION_A LENGTH_2 BAR " C BEATS "BAR TEMPO_20", "other than the one in force");
    refused_at(2, 14, HEAD "SECTION_A LENGTH_2 BAR " C BEATS "BAR TEMPO_21 METER_3/4", "METER follows");
    refused_at(2, 14, HEAD "SECTION_A LENGTH_2 BAR " C "POS_3 ROOT_C QUAL_min BASS_0 POS_5", "one change inside");
    refused_at(2, 12, HEAD "SECTION_A LENGTH_1 BAR " C BEATS "EOS", "bars are left");
    refused_at(0, 12, HEAD "SECTION_outro LENGTH_1 BAR " C BEATS "SECTION_A", "outro comes last");
    refused_at(0, 12, HEAD "SECTION_A LENGTH_1 BAR " C BEATS "SECTION_pickup", "only comes first");
    refused_at(0, 12, HEAD "SECTION_A LENGTH_1 BAR " C BEATS "SECTION_intro", "comes first");
    refused_at(0, 13, HEAD "SECTION_A LENGTH_1 BAR " C BEATS "EOS BOS", "has ended");
}

/* The columns of a short piece, row by row, as the design tells them. */
static void test_backbone_columns(void **state) {
    (void)state;
    static const struct {
        const char *token;
        int         root, quality, bass, step, section_left, left, previous, bar, place, open;
    } rows[] = {
        {"BOS", 12, 17, 12, 85, 33, 3, 12, 0, 0, 0},
        {"KEY_C:maj", 12, 17, 12, 85, 33, 3, 12, 0, 0, 1},
        {"METER_2/4", 12, 17, 12, 85, 33, 3, 12, 0, 0, 1},
        {"TEMPO_20", 12, 17, 12, 85, 33, 3, 12, 0, 0, 1},
        {"SECTION_pickup", 12, 17, 12, 85, 33, 3, 12, 0, 0, 1},
        {"LENGTH_1", 12, 17, 12, 85, 1, 3, 12, 0, 0, 0},
        {"BAR", 12, 17, 12, 0, 0, 2, 12, 0, 0, 0},
        {"ROOT_none", 12, 17, 12, 0, 0, 2, 12, 0, 0, 1},
        {"RHYTHM_0", 12, 17, 12, 12, 0, 2, 12, 0, 0, 1},
        {"RHYTHM_0", 12, 17, 12, 24, 0, 2, 12, 0, 0, 1},
        {"SECTION_A", 12, 17, 12, 24, 33, 2, 12, 0, 0, 1},
        {"LENGTH_2", 12, 17, 12, 24, 2, 2, 12, 0, 0, 1},
        {"BAR", 12, 17, 12, 0, 1, 1, 12, 1, 0, 0},
        {"ROOT_G", 7, 16, 12, 0, 1, 1, 12, 1, 0, 1},
        {"QUAL_7", 7, CT_DOM7, 12, 0, 1, 1, 12, 1, 0, 1},
        {"BASS_4", 7, CT_DOM7, 4, 0, 1, 1, 12, 1, 0, 1},
        {"POS_6", 7, CT_DOM7, 4, 6, 1, 1, 12, 1, 0, 1},
        {"ROOT_C", 0, 16, 12, 6, 1, 1, 7, 1, 0, 1},
        {"QUAL_maj", 0, 0, 12, 6, 1, 1, 7, 1, 0, 1},
        {"BASS_0", 0, 0, 0, 6, 1, 1, 7, 1, 0, 1},
        {"RHYTHM_3", 0, 0, 0, 12, 1, 1, 7, 1, 0, 1},
        {"RHYTHM_0", 0, 0, 0, 24, 1, 1, 7, 1, 0, 1},
        {"BAR", 0, 0, 0, 0, 0, 0, 7, 2, 1, 0},
    };
    ct_backbone_state s;
    uint16_t          row[CT_BC_COUNT];
    uint8_t           allowed[CT_B_COUNT];
    ct_backbone_begin(&s, 3);
    for (size_t i = 0; i < CT_COUNT(rows); i++) {
        int  token = ct_token_find(CT_BACKBONE, rows[i].token);
        bool open = ct_backbone_allowed(&s, allowed) > 1;
        OK(ct_backbone_push(&s, token));
        ct_backbone_row(&s, token, open, row);
        const int expected[][2] = {{CT_BC_ROOT, rows[i].root},
                                   {CT_BC_QUALITY, rows[i].quality},
                                   {CT_BC_BASS, rows[i].bass},
                                   {CT_BC_STEP, rows[i].step},
                                   {CT_BC_SECTION_LEFT, rows[i].section_left},
                                   {CT_BC_LEFT, rows[i].left},
                                   {CT_BC_PREVIOUS_ROOT, rows[i].previous},
                                   {CT_BC_BAR, rows[i].bar},
                                   {CT_BC_PLACE, rows[i].place},
                                   {CT_BC_OPEN, rows[i].open}};
        for (size_t c = 0; c < CT_COUNT(expected); c++)
            if (row[expected[c][0]] != expected[c][1])
                fail_msg("row %zu (%s), column %d: %d is not %d", i, rows[i].token, expected[c][0], row[expected[c][0]],
                         expected[c][1]);
        if (s.bar >= 0) assert_int_equal(row[CT_BC_PHASE], row[CT_BC_STEP] * 210);
    }
}

/* Two bars of 2/4 with | C | G7 F |; a note crosses the line. */
static void test_melody_columns(void **state) {
    (void)state;
    ct_arena   arena = {0};
    ct_bar     bars[] = {{0, CT_2_4, 0, 100}, {24, CT_2_4, 7, 100}};
    ct_section sections[] = {{CT_SECTION_A, 0, 1}, {CT_SECTION_A, 1, 1}};
    ct_change  changes[] = {{0, {0, CT_MAJ, 0}}, {24, {7, CT_DOM7, 4}}, {39, {5, CT_MAJ, 0}}};
    uint8_t    rhythm[] = {1, 2, 3, 4};
    ct_note    notes[] = {{6, 30, 62, 100}};
    ct_piece   p = {.title = "",
                    .bars = bars,
                    .bar_count = 2,
                    .sections = sections,
                    .section_count = 2,
                    .changes = changes,
                    .change_count = 3,
                    .rhythm = rhythm,
                    .beat_count = 4,
                    .melody = notes,
                    .melody_count = 1};
    static const struct {
        const char *token;
        int root, bass, key, occurrence, step, rhythm, next, distance, after, bar_root, pitch_class, previous, bar,
            open;
    } expected[] = {
        {"BOS", 0, 0, 0, 0, 0, 1, 7, 2, 5, 7, 12, 12, 0, 0},
        {"BAR", 0, 0, 0, 0, 0, 1, 7, 2, 5, 7, 12, 12, 0, 0},
        {"REST_6", 0, 0, 0, 0, 6, 1, 7, 2, 5, 7, 12, 12, 0, 1},
        {"PITCH_62", 0, 0, 0, 0, 6, 1, 7, 2, 5, 7, 2, 12, 0, 1},
        {"VEL_12", 0, 0, 0, 0, 6, 1, 7, 2, 5, 7, 2, 12, 0, 1},
        {"DUR_24", 7, 4, 7, 1, 6, 3, 5, 1, 12, 12, 2, 0, 1, 1},
        {"BAR", 7, 4, 7, 1, 6, 3, 5, 1, 12, 12, 2, 0, 1, 0},
        {"REST_18", 5, 0, 7, 1, 24, 76, 12, 16, 12, 12, 2, 7, 1, 1},
        {"EOS", 5, 0, 7, 1, 24, 76, 12, 16, 12, 12, 2, 7, 1, 0},
    };
    ct_rows rows;
    OK(ct_melody_encode(&p, &arena, &rows));
    assert_int_equal(rows.count, CT_COUNT(expected));
    for (size_t i = 0; i < CT_COUNT(expected); i++) {
        const uint16_t *row = rows.at + i * CT_MC_COUNT;
        char            name[32];
        assert_string_equal(ct_token_name(CT_MELODY, row[CT_MC_TOKEN], name, sizeof name), expected[i].token);
        const int cells[][2] = {{CT_MC_ROOT, expected[i].root},
                                {CT_MC_BASS, expected[i].bass},
                                {CT_MC_KEY, expected[i].key},
                                {CT_MC_OCCURRENCE, expected[i].occurrence},
                                {CT_MC_STEP, expected[i].step},
                                {CT_MC_RHYTHM, expected[i].rhythm},
                                {CT_MC_NEXT_ROOT, expected[i].next},
                                {CT_MC_NEXT_DISTANCE, expected[i].distance},
                                {CT_MC_AFTER_ROOT, expected[i].after},
                                {CT_MC_BAR_ROOT, expected[i].bar_root},
                                {CT_MC_PITCH_CLASS, expected[i].pitch_class},
                                {CT_MC_PREVIOUS_ROOT, expected[i].previous},
                                {CT_MC_BAR, expected[i].bar},
                                {CT_MC_PLACE, 0},
                                {CT_MC_OPEN, expected[i].open}};
        for (size_t c = 0; c < CT_COUNT(cells); c++)
            if (row[cells[c][0]] != cells[c][1])
                fail_msg("row %zu (%s), column %d: %d is not %d", i, expected[i].token, cells[c][0], row[cells[c][0]],
                         cells[c][1]);
    }
    ct_arena_free(&arena);
}

static void test_melody_rules(void **state) {
    (void)state;
    ct_bar          bars[] = {{0, CT_2_4, 0, 100}, {24, CT_2_4, 0, 100}};
    ct_section      sections[] = {{CT_SECTION_A, 0, 2}};
    ct_change       changes[] = {{0, {0, CT_MAJ, 0}}};
    uint8_t         rhythm[4] = {0};
    ct_piece        p = {.title = "",
                         .bars = bars,
                         .bar_count = 2,
                         .sections = sections,
                         .section_count = 1,
                         .changes = changes,
                         .change_count = 1,
                         .rhythm = rhythm,
                         .beat_count = 4};
    ct_melody_state s;
    ct_melody_begin(&s, &p);
    OK(ct_melody_push(&s, CT_M_BOS));
    assert_int_equal(ct_melody_push(&s, CT_M_REST), CT_EFAIL); /* the first BAR comes first */
    OK(ct_melody_push(&s, CT_M_BAR));
    assert_int_equal(ct_melody_push(&s, CT_M_BAR), CT_EFAIL);
    assert_int_equal(ct_melody_push(&s, CT_M_REST + 24), CT_EFAIL); /* 25 steps in a bar of 24 */
    OK(ct_melody_push(&s, CT_M_REST + 5));
    assert_int_equal(ct_melody_push(&s, CT_M_REST), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "bar 0, step 6: found REST_1, expected PITCH"));
    OK(ct_melody_push(&s, CT_M_PITCH + 60));
    assert_int_equal(ct_melody_push(&s, CT_M_DUR), CT_EFAIL);
    OK(ct_melody_push(&s, CT_M_VEL));
    assert_int_equal(ct_melody_push(&s, CT_M_DUR + 42), CT_EFAIL); /* 43 steps where 42 are left */
    OK(ct_melody_push(&s, CT_M_DUR + 41));
    assert_int_equal(ct_melody_push(&s, CT_M_EOS), CT_EFAIL); /* a BAR is still to write */
    OK(ct_melody_push(&s, CT_M_BAR));
    OK(ct_melody_push(&s, CT_M_EOS));
    assert_int_equal(ct_melody_push(&s, CT_M_EOS), CT_EFAIL);
}

/* ---- transposition */

static void transpose_piece(ct_piece *p, int by) {
    for (int i = 0; i < p->bar_count; i++)
        p->bars[i].key = (uint8_t)(p->bars[i].key / 12 * 12 + (p->bars[i].key % 12 + by + 12) % 12);
    for (int i = 0; i < p->change_count; i++)
        if (p->changes[i].chord.root != CT_NO_CHORD)
            p->changes[i].chord.root = (uint8_t)((p->changes[i].chord.root + by + 12) % 12);
    for (int i = 0; i < p->melody_count; i++) p->melody[i].pitch = (uint8_t)(p->melody[i].pitch + by);
}

static void test_transpose(void **state) {
    (void)state;
    for (int by = -11; by <= 11; by++) {
        ct_arena arena = {0};
        int      seed = 500 + by;
        ct_piece p = random_piece((uint64_t)seed, &arena);
        OK(ct_piece_quantise(&p, &arena));
        for (int stage = CT_BACKBONE; stage <= CT_MELODY; stage++) {
            ct_status (*encode)(const ct_piece *, ct_arena *, ct_rows *) =
                stage == CT_BACKBONE ? ct_backbone_encode : ct_melody_encode;
            ct_rows rows, turned;
            OK(encode(&p, &arena, &rows));
            OK(encode(&p, &arena, &turned));
            ct_rows_transpose((ct_stage)stage, turned.at, turned.count, by);
            if (by) assert_memory_not_equal(turned.at, rows.at, (size_t)(rows.count * rows.columns) * 2);
            ct_rows_transpose((ct_stage)stage, turned.at, turned.count, -by);
            same_rows((ct_stage)stage, &rows, &turned);
            ct_rows_transpose((ct_stage)stage, turned.at, turned.count, by);
            transpose_piece(&p, by);
            OK(encode(&p, &arena, &rows));
            same_rows((ct_stage)stage, &rows, &turned);
            transpose_piece(&p, -by);
        }
        ct_arena_free(&arena);
    }
    uint16_t row[CT_MC_COUNT] = {CT_M_PITCH + 127};
    ct_rows_transpose(CT_MELODY, row, 1, 3);
    assert_int_equal(row[0], CT_M_PITCH + 118);
}

/* ---- rows from outside */

static void test_bad_rows(void **state) {
    (void)state;
    ct_arena arena = {0};
    ct_piece p = random_piece(77, &arena), back = p;
    ct_rows  rows, melody;
    OK(ct_piece_quantise(&p, &arena));
    OK(ct_backbone_encode(&p, &arena, &rows));
    rows.count--;
    assert_int_equal(ct_backbone_decode(&rows, &arena, &back), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "without EOS"));
    rows.at[3 * CT_BC_COUNT] = 60000;
    assert_int_equal(ct_backbone_decode(&rows, &arena, &back), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "row 3: "));
    rows.count = 0;
    assert_int_equal(ct_backbone_decode(&rows, &arena, &back), CT_EFAIL);
    OK(ct_melody_encode(&p, &arena, &melody));
    melody.at[1 * CT_MC_COUNT] = CT_M_EOS;
    assert_int_equal(ct_melody_decode(&melody, &arena, &p), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "row 1: "));
    ct_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_pieces_survive),
        cmocka_unit_test(test_quantise),
        cmocka_unit_test(test_walks_are_pieces),
        cmocka_unit_test(test_backbone_rules),
        cmocka_unit_test(test_backbone_restating),
        cmocka_unit_test(test_backbone_columns),
        cmocka_unit_test(test_melody_columns),
        cmocka_unit_test(test_melody_rules),
        cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_bad_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

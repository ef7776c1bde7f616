/* infer/guide.h and infer/compose.h: what was asked for is what is written, and every piece comes to its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/music/leadsheet.h"
#include "core/rng.h"
#include "infer/compose.h"
#include "music_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#define OK(expression)                                                                                                 \
    do {                                                                                                               \
        if ((expression) != CT_OK) fail_msg("%s", ct_message());                                                       \
    } while (0)

/* ---- a guide with a sheet: any walk through what it leaves open says what the sheet says */
static void follows(const char *text) {
    ct_arena arena = {0};
    ct_sheet sheet;
    ct_piece asked;
    OK(ct_sheet_parse("chart", text, strlen(text), &arena, &sheet));
    OK(ct_sheet_to_piece(&sheet, &arena, &asked, NULL));
    OK(ct_piece_quantise(&asked, &arena));
    ct_guide guide = {.key = -1,
                      .metre = -1,
                      .tempo = -1,
                      .sheet = &asked,
                      .sheet_key = true,
                      .sheet_metre = true,
                      .sheet_tempo = true,
                      .sheet_sections = true};
    for (uint64_t seed = 0; seed < 3; seed++) {
        ct_backbone_state state;
        uint8_t           allowed[CT_B_COUNT];
        ct_rows           rows = {.at = CT_NEW(&arena, uint16_t, 40000 * CT_BC_COUNT), .columns = CT_BC_COUNT};
        ct_piece          p;
        assert_non_null(rows.at);
        ct_backbone_begin(&state, sheet.bar_count);
        while (ct_backbone_allowed(&state, allowed) > 0) {
            assert_true(rows.count < 40000);
            ct_guide_backbone(&guide, &state, rows.count, allowed);
            int token = fixture_pick(allowed, CT_B_COUNT, ct_philox_at(seed, 1, (uint64_t)rows.count).word[0]);
            OK(ct_backbone_push(&state, token));
            ct_backbone_row(&state, token, true, rows.at + rows.count++ * CT_BC_COUNT);
        }
        OK(ct_backbone_decode(&rows, &arena, &p));
        assert_int_equal(p.bar_count, asked.bar_count);
        for (int32_t i = 0; i < p.bar_count; i++) {
            assert_int_equal(p.bars[i].key, asked.bars[i].key);
            assert_int_equal(p.bars[i].metre, asked.bars[i].metre);
            assert_int_equal(ct_tempo_bin(p.bars[i].tempo), ct_tempo_bin(asked.bars[i].tempo));
        }
        assert_int_equal(p.section_count, asked.section_count);
        assert_memory_equal(p.sections, asked.sections, (size_t)p.section_count * sizeof *p.sections);
        for (int32_t i = 0; i < p.change_count && i < asked.change_count; i++)
            if (p.changes[i].step != asked.changes[i].step ||
                !ct_chord_same(p.changes[i].chord, asked.changes[i].chord))
                fail_msg("%s: change %d at step %d, asked for at %d", text, i, p.changes[i].step,
                         asked.changes[i].step);
        assert_int_equal(p.change_count, asked.change_count);
    }
    ct_arena_free(&arena);
}

static void sheets_are_followed(void **state) {
    (void)state;
    follows("| C | G7 | % | |");
    follows("| N.C. | C | N.C. | F . N.C. G |\n");
    follows("| C C C C G C C C | C G C G C G C G | . F . G . . . . |\n"); /* there and back inside a beat */
    follows("| Am F Am F Am F Am F | Am N.C. Am N.C. Am F Am . |\n");
    follows("[Pickup]\n| . . . G7 |\n[Intro]\n| C | F |\n[A]\n| C | G |\n[Outro]\n| C |\n");
    follows("key: G\nmeter: 3/4\ntempo: 90\n| G | D7 |\n{key: A} {meter: 6/8} {tempo: 120}\n| A | E7 E/G# |\n");
    char long_one[4096] = "[Intro]\n";
    for (int i = 0; i < 70; i++) strcat(long_one, i % 2 ? "| C " : "| F G ");
    strcat(long_one, "|\n[Outro]\n");
    for (int i = 0; i < 40; i++) strcat(long_one, i % 2 ? "| Am " : "| D C/E ");
    strcat(long_one, "|\n");
    follows(long_one);
}

/* ---- composing with models that never tire */
static ct_model_config small(int stage) {
    return (ct_model_config){.stage = stage,
                             .layers = 1,
                             .width = 16,
                             .heads = 1,
                             .feed_forward = 16,
                             .tokens = 32,
                             .memory = stage == CT_MELODY ? 32 : 0,
                             .rotary_base = 10000,
                             .form = CT_FORM_TABLE,
                             .roots = true};
}

/* A model that finds some tokens overwhelmingly likely, and one the opposite (-1: none). */
static ct_model partial(int stage, const int liked[2], int hated, ct_arena *arena) {
    ct_model        m;
    ct_model_config config = small(stage);
    ct_stage_data   data = fixture_stage(stage, arena);
    OK(ct_model_create(&config, &data, 3, CT_F32, &m));
    float *p = m.parameters;
    p[m.norm_bias] = 10;
    for (int i = 0; i < 2; i++)
        if (liked[i] >= 0) p[m.table + liked[i] * config.width] = 5;
    if (hated >= 0) p[m.table + hated * config.width] = -5;
    return m;
}

/* One piece, all of whose melody notes last one step when it is `dense`; `endless`: the backbone avoids EOS. */
static void compose(bool dense, bool endless, int32_t bars, const ct_guide *guide, int64_t given, ct_arena *arena,
                    ct_piece *piece) {
    const int   none[2] = {-1, -1}, notes[2] = {CT_M_PITCH + 60, CT_M_DUR};
    ct_model    backbone = partial(CT_BACKBONE, none, endless ? CT_B_EOS : -1, arena);
    ct_model    melody = partial(CT_MELODY, dense ? notes : none, -1, arena);
    ct_composer composer;
    ct_request  request = {.seed = 5, .bars = bars, .guide = *guide};
    OK(ct_composer_make(&(ct_composer_options){.model = {&backbone, &melody},
                                               .sampling = {{1, 1, 0}, {1, 1, 0}},
                                               .batch = 1,
                                               .bars = bars,
                                               .given = given,
                                               .device = ct_device_cpu()},
                        &composer));
    OK(ct_compose(&composer, &request, 1, arena, piece));
    OK(ct_piece_check(piece));
    ct_composer_free(&composer);
    ct_model_free(&backbone);
    ct_model_free(&melody);
}

static const ct_guide nothing_asked = {.key = -1, .metre = -1, .tempo = -1};

static void dense_melodies_end(void **state) {
    (void)state;
    ct_arena arena = {0};
    ct_piece piece;
    compose(true, false, 24, &nothing_asked, 0, &arena, &piece);
    assert_int_equal(piece.bar_count, 24);
    ct_arena_free(&arena);
}

static void open_lengths_end_late(void **state) {
    (void)state;
    ct_arena arena = {0};
    ct_piece piece;
    ct_rows  rows;
    compose(false, true, 0, &nothing_asked, 0, &arena, &piece);
    OK(ct_backbone_encode(&piece, &arena, &rows));
    assert_in_range((uintmax_t)rows.count, 1700, 4096); /* 99 of 100 songs have fewer tokens than that */
    ct_arena_free(&arena);
}

static void dense_primers_fit(void **state) {
    (void)state;
    ct_arena arena = {0};
    ct_sheet sheet;
    ct_piece primer, piece;
    ct_rows  rows[CT_STAGES];
    OK(ct_sheet_parse("chart", "| C | F | G | C | C | F | G | C |", 33, &arena, &sheet));
    OK(ct_sheet_to_piece(&sheet, &arena, &primer, NULL));
    int32_t steps = ct_piece_steps(&primer);
    primer.melody = CT_NEW(&arena, ct_note, (size_t)steps);
    assert_non_null(primer.melody);
    for (int32_t i = 0; i < steps; i++) primer.melody[i] = (ct_note){i, i + 1, (uint8_t)(60 + i % 12), 84};
    primer.melody_count = steps;
    OK(ct_backbone_encode(&primer, &arena, &rows[CT_BACKBONE]));
    OK(ct_melody_encode(&primer, &arena, &rows[CT_MELODY]));
    ct_guide guide = nothing_asked;
    guide.primer_backbone = &rows[CT_BACKBONE];
    guide.primer_melody = &rows[CT_MELODY];
    guide.primer_bars = 7;
    for (int32_t bars = 0; bars <= 8; bars += 8) {
        compose(false, false, bars, &guide, rows[CT_MELODY].count, &arena, &piece);
        assert_memory_equal(piece.melody, primer.melody, (size_t)primer.bars[7].start * sizeof *piece.melody);
    }
    ct_arena_free(&arena);
}

/* Stage 2 alone: the sheet is the backbone, chord for chord; what is unknown to the model does not reach it, and what
 * is known does. */
static void sheets_are_sung_without_stage_1(void **state) {
    (void)state;
    static const char text[] = "| C | F | G | C | Am | F | G | C |";
    const int         none[2] = {-1, -1};
    ct_arena          arena = {0};
    ct_sheet          sheet;
    ct_piece          plain, busy, piece[4];
    ct_composer       composer;
    ct_model          melody = partial(CT_MELODY, none, -1, &arena);
    for (int64_t i = 0; i < melody.parameter_count; i++) /* so that every column matters */
        ((float *)melody.parameters)[i] += ct_philox_float(ct_philox_at(4, 0, (uint64_t)i).word[0]) - 0.5F;
    OK(ct_sheet_parse("chart", text, strlen(text), &arena, &sheet));
    OK(ct_sheet_to_piece(&sheet, &arena, &plain, NULL));
    busy = plain;
    busy.rhythm = CT_NEW(&arena, uint8_t, (size_t)busy.beat_count);
    assert_non_null(busy.rhythm);
    memset(busy.rhythm, 15, (size_t)busy.beat_count);
    OK(ct_composer_make(&(ct_composer_options){.model = {NULL, &melody},
                                               .sampling = {{1, 1, 0}, {1, 1, 0}},
                                               .batch = 1,
                                               .bars = 8,
                                               .device = ct_device_cpu()},
                        &composer));
    for (int i = 0; i < 4; i++) {
        ct_request request = {.seed = 5, .bars = 8, .guide = nothing_asked};
        request.guide.sheet = i % 2 ? &busy : &plain;
        request.unknown = i < 2 ? 1u << CT_GROUP_RHYTHM : 0;
        OK(ct_compose(&composer, &request, 1, &arena, &piece[i]));
        OK(ct_piece_check(&piece[i]));
        assert_int_equal(piece[i].change_count, plain.change_count);
        assert_memory_equal(piece[i].changes, plain.changes, (size_t)plain.change_count * sizeof *plain.changes);
        assert_true(piece[i].bars != plain.bars && piece[i].melody_count > 0);
    }
    bool same[2];
    for (int k = 0; k < 2; k++)
        same[k] = piece[2 * k].melody_count == piece[2 * k + 1].melody_count &&
                  !memcmp(piece[2 * k].melody, piece[2 * k + 1].melody,
                          (size_t)piece[2 * k].melody_count * sizeof *piece[2 * k].melody);
    assert_true(same[0]);
    assert_false(same[1]);
    ct_composer_free(&composer);
    ct_model_free(&melody);
    ct_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sheets_are_followed),
        cmocka_unit_test(dense_melodies_end),
        cmocka_unit_test(open_lengths_end_late),
        cmocka_unit_test(dense_primers_fit),
        cmocka_unit_test(sheets_are_sung_without_stage_1),
    };
    return cmocka_run_group_tests_name("infer", tests, NULL, NULL);
}

/* music_fixture.h -- random but well-formed music for tests: walks through the grammars, uniform among what is allowed.
 * Everything lies in the arena given; a failure ends the test. Include after cmocka.h. */
#ifndef CT_TESTS_MUSIC_FIXTURE_H
#define CT_TESTS_MUSIC_FIXTURE_H

#include "core/data/dataset.h"
#include "core/music/tokens.h"
#include "core/rng.h"

#include <string.h>

/* A token among the allowed, by one draw. */
static inline int fixture_pick(const uint8_t *allowed, int size, uint32_t word) {
    int count = 0;
    for (int t = 0; t < size; t++) count += allowed[t];
    assert_true(count > 0);
    int k = (int)ct_philox_below(word, (uint32_t)count);
    for (int t = 0; t < size; t++)
        if (allowed[t] && k-- == 0) return t;
    return -1;
}

static inline ct_rows fixture_backbone(uint64_t seed, int32_t bars, ct_arena *arena) {
    ct_backbone_state state;
    ct_rows           rows = {.columns = CT_BC_COUNT};
    size_t            capacity = 0;
    uint8_t           allowed[CT_B_COUNT];
    ct_backbone_begin(&state, bars);
    for (int n; (n = ct_backbone_allowed(&state, allowed)) > 0;) {
        if (allowed[CT_B_RHYTHM] &&
            ct_philox_at(seed, 2, (uint64_t)rows.count).word[0] & 1) /* fewer chords: as in music */
            for (int t = 0; t < CT_B_COUNT; t++) allowed[t] = allowed[t] && t >= CT_B_RHYTHM && t < CT_B_POS;
        int token = fixture_pick(allowed, CT_B_COUNT, ct_philox_at(seed, 1, (uint64_t)rows.count).word[0]);
        assert_int_equal(ct_backbone_push(&state, token), CT_OK);
        size_t cells = (size_t)rows.count * CT_BC_COUNT;
        while (cells + CT_BC_COUNT > capacity)
            assert_non_null(rows.at = ct_arena_grow(arena, rows.at, cells, &capacity, sizeof *rows.at));
        ct_backbone_row(&state, token, n > 1, rows.at + cells);
        rows.count++;
    }
    return rows;
}

static inline ct_rows fixture_melody(uint64_t seed, const ct_piece *piece, ct_arena *arena) {
    ct_melody_state state;
    ct_rows         rows = {.columns = CT_MC_COUNT};
    size_t          capacity = 0;
    uint8_t         allowed[CT_M_COUNT];
    ct_melody_begin(&state, piece);
    for (int n; (n = ct_melody_allowed(&state, allowed)) > 0;) {
        int token = fixture_pick(allowed, CT_M_COUNT, ct_philox_at(seed, 3, (uint64_t)rows.count).word[0]);
        assert_int_equal(ct_melody_push(&state, token), CT_OK);
        size_t cells = (size_t)rows.count * CT_MC_COUNT;
        while (cells + CT_MC_COUNT > capacity)
            assert_non_null(rows.at = ct_arena_grow(arena, rows.at, cells, &capacity, sizeof *rows.at));
        ct_melody_row(&state, token, n > 1, rows.at + cells);
        rows.count++;
    }
    return rows;
}

/* Rows of a stage of the random piece number `seed`: more than 300. */
static inline ct_rows fixture_rows(int stage, uint64_t seed, ct_arena *arena) {
    ct_rows rows = fixture_backbone(seed, 150, arena);
    if (stage == CT_MELODY) {
        ct_piece *piece = CT_NEW(arena, ct_piece, 1);
        assert_non_null(piece);
        assert_int_equal(ct_backbone_decode(&rows, arena, piece), CT_OK);
        rows = fixture_melody(seed, piece, arena);
    }
    assert_true(rows.count > 300);
    return rows;
}

/* What a native dataset says of a stage, without any rows. */
static inline ct_stage_data fixture_stage(int stage, ct_arena *arena) {
    ct_stage_data    s = {.native = true, .vocabulary_size = ct_vocabulary_size((ct_stage)stage)};
    const ct_column *columns = ct_columns((ct_stage)stage, &s.column_count);
    s.columns = CT_NEW(arena, ct_column, (size_t)s.column_count);
    s.vocabulary = CT_NEW(arena, const char *, (size_t)s.vocabulary_size);
    assert_true(s.columns && s.vocabulary);
    memcpy(s.columns, columns, (size_t)s.column_count * sizeof *columns);
    for (int i = 0; i < s.vocabulary_size; i++) {
        char name[64];
        ct_token_name((ct_stage)stage, i, name, sizeof name);
        s.vocabulary[i] = ct_arena_copy(arena, name, strlen(name));
    }
    return s;
}

#endif

/* songs_in_memory.h -- a dataset of random well-formed songs that is in no file: what trains wherever there is no
 * library to read one with. Include after cmocka.h; a failure ends the test.
 *
 * Owner: everything lies in the dataset's arena (ct_arena_free; there is nothing to close).
 */
#ifndef CT_TESTS_SONGS_IN_MEMORY_H
#define CT_TESTS_SONGS_IN_MEMORY_H

#include "music_fixture.h"

/* rows behind those that are there */
static inline uint16_t *append_rows(ct_arena *arena, const uint16_t *rows, int64_t count, const ct_rows *more) {
    const size_t columns = (size_t)more->columns;
    uint16_t    *longer = CT_NEW(arena, uint16_t, (size_t)(count + more->count) * columns);
    assert_non_null(longer);
    CT_ASSERT(more->at);
    if (count) memcpy(longer, rows, (size_t)count * columns * sizeof *longer);
    memcpy(longer + (size_t)count * columns, more->at, (size_t)more->count * columns * sizeof *longer);
    return longer;
}

/* `songs` songs of `least` to `most` bars; every fourth is for validation. */
static inline void songs_in_memory(ct_dataset *out, int songs, int least, int most) {
    uint16_t *all[CT_STAGES] = {NULL, NULL};
    int64_t   total[CT_STAGES] = {0, 0};
    *out = (ct_dataset){.path = "songs in memory", .hash = "none", .song_count = songs};
    out->songs = CT_NEW(&out->arena, ct_song, (size_t)songs);
    assert_non_null(out->songs);
    for (int i = 0; i < songs; i++) {
        ct_arena  scratch = {0};
        ct_piece *piece = CT_NEW(&scratch, ct_piece, 1);
        ct_rows   rows[CT_STAGES];
        assert_non_null(piece);
        rows[CT_BACKBONE] = fixture_backbone((uint64_t)i + 1, least + i * 5 % (most - least + 1), &scratch);
        assert_int_equal(ct_backbone_decode(&rows[CT_BACKBONE], &scratch, piece), CT_OK);
        rows[CT_MELODY] = fixture_melody((uint64_t)i + 1, piece, &scratch);
        out->songs[i] = (ct_song){.source = ct_arena_printf(&out->arena, "song-%02d", i),
                                  .split = i % 4 == 3 ? CT_VALID : CT_TRAIN};
        for (int s = 0; s < CT_STAGES; s++) {
            out->songs[i].first[s] = total[s];
            out->songs[i].rows[s] = rows[s].count;
            all[s] = append_rows(&out->arena, all[s], total[s], &rows[s]);
            total[s] += rows[s].count;
        }
        ct_arena_free(&scratch);
    }
    for (int s = 0; s < CT_STAGES; s++) {
        out->stage[s] = fixture_stage(s, &out->arena);
        out->stage[s].present = true;
        out->stage[s].npy =
            (ct_npy){.type = CT_NPY_U16, .rows = total[s], .columns = out->stage[s].column_count, .data = all[s]};
    }
}

#endif

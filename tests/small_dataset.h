/* small_dataset.h -- a dataset of random well-formed songs in a folder, for tests of what reads datasets. */
#ifndef CT_TESTS_SMALL_DATASET_H
#define CT_TESTS_SMALL_DATASET_H

#include "core/json.h"
#include "songs_in_memory.h"
#include "temp_folder.h"

static inline ct_json *describe_columns(const ct_column *columns, int count) {
    static const char *const turns[] = {"", "pitch_class", "key", "token"};
    ct_json                 *list = ct_json_new_array();
    for (int i = 0; i < count; i++) {
        ct_json *c = ct_json_new_object();
        ct_json_set(c, "name", ct_json_new_text(columns[i].name));
        ct_json_set(c, "size", ct_json_new_integer(columns[i].size));
        ct_json_set(c, "group", ct_json_new_text(ct_group_name(columns[i].group)));
        ct_json_set(c, "transpose", ct_json_new_text(turns[columns[i].turn]));
        ct_json_add(list, c);
    }
    return list;
}

/* dataset.json; a stage without columns is left out. */
static inline void write_description(const char *folder, const ct_stage_data stages[CT_STAGES], ct_arena *arena) {
    ct_json *root = ct_json_new_object(), *all = ct_json_new_object();
    for (int s = 0; s < CT_STAGES; s++) {
        if (!stages[s].column_count) continue;
        ct_json *stage = ct_json_new_object(), *words = ct_json_new_array();
        for (int i = 0; i < stages[s].vocabulary_size; i++)
            ct_json_add(words, ct_json_new_text(stages[s].vocabulary[i]));
        ct_json_set(stage, "columns", describe_columns(stages[s].columns, stages[s].column_count));
        ct_json_set(stage, "vocabulary", words);
        ct_json_set(all, ct_stage_names[s], stage);
    }
    ct_json_set(root, "format", ct_json_new_integer(CT_FORMAT_VERSION));
    ct_json_set(root, "stages", all);
    char *text = ct_json_print(root, 1, arena);
    assert_non_null(text);
    temp_write(temp_path(arena, folder, "dataset.json"), text, strlen(text));
    ct_json_free(root);
}

/* `songs` songs of 2 to 9 bars. */
static inline void write_small_songs(const char *folder, int songs, ct_arena *arena) {
    ct_dataset d;
    char      *table = ct_arena_printf(arena, "source\tsha256\tsplit\tb\tb\tm\tm\tkey\n");
    songs_in_memory(&d, songs, 2, 9);
    for (int i = 0; i < songs; i++) {
        const ct_song *song = &d.songs[i];
        table = ct_arena_printf(arena, "%s%s\t-\t%s\t%lld\t%lld\t%lld\t%lld\tC\n", table, song->source,
                                ct_split_names[song->split], (long long)song->first[0], (long long)song->rows[0],
                                (long long)song->first[1], (long long)song->rows[1]);
        assert_non_null(table);
    }
    write_description(folder, d.stage, arena);
    temp_write(temp_path(arena, folder, "songs.tsv"), table, strlen(table));
    for (int s = 0; s < CT_STAGES; s++) {
        const char   *name = s == CT_BACKBONE ? "backbone.npy" : "melody.npy";
        const ct_npy *npy = &d.stage[s].npy;
        assert_int_equal(ct_npy_write(temp_path(arena, folder, name), CT_NPY_U16, npy->rows, npy->columns, npy->data),
                         CT_OK);
    }
    ct_arena_free(&d.arena);
}

static inline void small_dataset(const char *folder, int songs) {
    ct_arena arena = {0};
    write_small_songs(folder, songs, &arena);
    ct_arena_free(&arena);
}

/* A dataset that is not ours: four words in a pattern that can be learnt, two columns, no chords, one stage. */
static inline void foreign_dataset(const char *folder) {
    static ct_column columns[] = {{"token", 4, CT_GROUP_NONE, CT_TURN_NONE}, {"voice", 3, CT_GROUP_LEFT, CT_TURN_NONE}};
    static const char  *words[] = {"low", "high", "hold", "end"};
    const ct_stage_data stages[CT_STAGES] = {
        {.columns = columns, .column_count = 2, .vocabulary = words, .vocabulary_size = 4}, {0}};
    enum { SONGS = 6, ROWS = 40 };
    uint16_t rows[SONGS * ROWS][2];
    ct_arena arena = {0};
    char    *table = ct_arena_printf(&arena, "source\tsha256\tsplit\tb\tb\tm\tm\n");
    for (int i = 0; i < SONGS; i++) {
        for (int r = 0; r < ROWS; r++) {
            rows[i * ROWS + r][0] = (uint16_t)(r == ROWS - 1 ? 3 : (r + i) % 3);
            rows[i * ROWS + r][1] = (uint16_t)(r % 2);
        }
        table =
            ct_arena_printf(&arena, "%s%d\t-\t%s\t%d\t%d\t0\t0\n", table, i, i < 4 ? "train" : "valid", i * ROWS, ROWS);
        assert_non_null(table);
    }
    write_description(folder, stages, &arena);
    temp_write(temp_path(&arena, folder, "songs.tsv"), table, strlen(table));
    assert_int_equal(
        ct_npy_write(temp_path(&arena, folder, "backbone.npy"), CT_NPY_U16, (int64_t)SONGS * ROWS, 2, rows), CT_OK);
    ct_arena_free(&arena);
}

#endif

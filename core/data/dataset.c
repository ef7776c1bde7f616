/* dataset.c -- opening and checking; see dataset.h. */
#include "core/data/dataset.h"

#include "core/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const ct_split_names[CT_SPLITS] = {"train", "valid", "test"};
const char *const ct_stage_names[CT_STAGES] = {"backbone", "melody"};

enum { LARGEST_TEXT = 256 << 20 };

int ct_column_find(const ct_column *columns, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (!strcmp(columns[i].name, name)) return i;
    return -1;
}

ct_chord_columns ct_chord_columns_of(const ct_column *columns, int count) {
    ct_chord_columns c = {ct_column_find(columns, count, "root"), ct_column_find(columns, count, "quality"),
                          ct_column_find(columns, count, "key")};
    if (c.root < 0 || c.quality < 0 || c.key < 0) c.root = c.quality = c.key = -1;
    return c;
}

static ct_status check_values(const char *path, const ct_stage_data *s) {
    const uint16_t *row = s->npy.data;
    for (int64_t r = 0; r < s->npy.rows; r++, row += s->column_count)
        for (int c = 0; c < s->column_count; c++)
            if (s->columns[c].size && row[c] >= s->columns[c].size)
                return ct_fail(CT_EFAIL, "%s: row %lld, column %s: %u, but it has %u values", path, (long long)r,
                               s->columns[c].name, row[c], s->columns[c].size);
    return CT_OK;
}

static ct_status open_stage(ct_dataset *d, int stage, const ct_json *about, const char *where) {
    ct_stage_data *s = &d->stage[stage];
    char           path[4096], name[4200];
    snprintf(name, sizeof name, "%s: %s", where, ct_stage_names[stage]);
    CT_TRY(ct_stage_parse(name, stage, about, &d->arena, s));
    snprintf(path, sizeof path, "%s/%s.npy", d->path, ct_stage_names[stage]);
    CT_TRY(ct_npy_open(path, &s->npy));
    s->present = true;
    if (s->npy.type != CT_NPY_U16 || s->npy.columns != s->column_count)
        return ct_fail(CT_EFAIL, "%s: expected uint16 rows of %d columns, as dataset.json says", path, s->column_count);
    return check_values(path, s);
}

/* The next field of a line of tab-separated text, cut off in place. */
static char *field(char **line) {
    char *start = *line;
    if (!start) return NULL;
    char *tab = strchr(start, '\t');
    if (tab) *tab = 0;
    *line = tab ? tab + 1 : NULL;
    return start;
}

static bool read_range(char **line, int64_t *first, int64_t *rows) {
    char *a = field(line), *b = field(line), *end_a = NULL, *end_b = NULL;
    if (!a || !b) return false;
    *first = strtoll(a, &end_a, 10);
    *rows = strtoll(b, &end_b, 10);
    return end_a != a && end_b != b && !*end_a && !*end_b;
}

static ct_status read_songs(ct_dataset *d, char *text, const char *path) {
    size_t capacity = 0;
    int    number = 0;
    for (char *line = text; line && *line; number++) {
        char *end = strchr(line, '\n'), *next = end ? end + 1 : NULL;
        if (end) *end = 0;
        if (number > 0) {
            char   *rest = line, *source = field(&rest), *hash = field(&rest), *split = field(&rest);
            ct_song song = {.source = source, .split = CT_SPLITS};
            for (int s = 0; s < CT_SPLITS && split; s++)
                if (!strcmp(split, ct_split_names[s])) song.split = (ct_split)s;
            bool fine = hash && song.split != CT_SPLITS;
            for (int s = 0; s < CT_STAGES; s++) fine = fine && read_range(&rest, &song.first[s], &song.rows[s]);
            if (!fine)
                return ct_fail(
                    CT_EFAIL,
                    "%s:%d: expected source, sha256, split (train, valid or test), first row and rows of both stages",
                    path, number + 1);
            for (int s = 0; s < CT_STAGES; s++) {
                int64_t all = d->stage[s].present ? d->stage[s].npy.rows : 0;
                if (song.rows[s] < 0 || song.first[s] < 0 || song.first[s] > all || song.rows[s] > all - song.first[s])
                    return ct_fail(CT_EFAIL, "%s:%d: %s: %s rows %lld + %lld, but there are %lld", path, number + 1,
                                   source, ct_stage_names[s], (long long)song.first[s], (long long)song.rows[s],
                                   (long long)all);
            }
            if (!CT_PUSH(&d->arena, d->songs, d->song_count, capacity)) return CT_ENOMEM;
            d->songs[d->song_count++] = song;
        }
        line = next;
    }
    if (!d->song_count) return ct_fail(CT_EFAIL, "%s: no songs in it", path);
    return CT_OK;
}

static ct_status open_all(ct_dataset *d) {
    char     path[4096];
    ct_bytes about, songs;
    snprintf(path, sizeof path, "%s/dataset.json", d->path);
    if (!ct_file_exists(path))
        return ct_fail(CT_EFAIL, "%s: no dataset here: dataset.json is missing (hint: cantus prepare makes one)",
                       d->path);
    CT_TRY(ct_file_read(path, LARGEST_TEXT, &d->arena, &about));
    ct_json *json;
    CT_TRY(ct_json_parse((const char *)about.at, about.count, path, &json));
    ct_status status = CT_OK;
    int64_t   format = ct_json_integer(ct_json_get(json, "format"), -1);
    if (format != CT_FORMAT_VERSION)
        status =
            ct_fail(CT_EFAIL, "%s: dataset format %lld, this program reads format %d (hint: run cantus prepare again)",
                    path, (long long)format, CT_FORMAT_VERSION);
    const ct_json *stages = ct_json_get(json, "stages");
    for (int s = 0; s < CT_STAGES && status == CT_OK; s++) {
        const ct_json *stage = ct_json_get(stages, ct_stage_names[s]);
        if (stage) status = open_stage(d, s, stage, path);
    }
    ct_json_free(json);
    CT_TRY(status);
    if (!d->stage[0].present && !d->stage[1].present) return ct_fail(CT_EFAIL, "%s: names no stage", path);
    snprintf(path, sizeof path, "%s/songs.tsv", d->path);
    CT_TRY(ct_file_read(path, LARGEST_TEXT, &d->arena, &songs));
    char *both = ct_arena_alloc(&d->arena, about.count + songs.count + 1, 1);
    if (!both) return CT_ENOMEM;
    memcpy(both, about.at, about.count);
    memcpy(both + about.count, songs.at, songs.count);
    ct_sha256(both, about.count + songs.count, d->hash);
    return read_songs(d, (char *)songs.at, path);
}

ct_status ct_dataset_open(const char *path, ct_dataset *out) {
    *out = (ct_dataset){0};
    out->path = ct_arena_copy(&out->arena, path, strlen(path));
    ct_status status = out->path ? open_all(out) : CT_ENOMEM;
    if (status != CT_OK) ct_dataset_close(out);
    return status;
}

void ct_dataset_close(ct_dataset *dataset) {
    for (int s = 0; s < CT_STAGES; s++) ct_npy_close(&dataset->stage[s].npy);
    ct_arena_free(&dataset->arena);
    *dataset = (ct_dataset){0};
}

ct_status ct_dataset_split(const ct_dataset *dataset, ct_split split, ct_arena *arena, int64_t **songs,
                           int64_t *count) {
    *songs = CT_NEW(arena, int64_t, (size_t)dataset->song_count);
    if (!*songs) return CT_ENOMEM;
    *count = 0;
    for (int64_t i = 0; i < dataset->song_count; i++)
        if (dataset->songs[i].split == split) (*songs)[(*count)++] = i;
    return CT_OK;
}

int64_t ct_dataset_segments(const ct_dataset *dataset, int stage, int64_t window) {
    const ct_stage_data *s = &dataset->stage[stage];
    ct_chord_columns     c = ct_chord_columns_of(s->columns, s->column_count);
    int64_t              most = 1;
    if (c.root < 0) return most;
    for (int64_t i = 0; i < dataset->song_count; i++) {
        const ct_song *song = &dataset->songs[i];
        int64_t        inside = 1; /* changes within the last `window` rows, plus one */
        for (int64_t r = 1; r < song->rows[stage]; r++) {
            const uint16_t *row = ct_dataset_row(dataset, stage, song->first[stage] + r);
            inside += ct_segment_changes(c, row - s->column_count, row);
            if (r >= window) {
                const uint16_t *gone = row - window * s->column_count;
                inside -= ct_segment_changes(c, gone, gone + s->column_count);
            }
            if (inside > most) most = inside;
        }
    }
    return most;
}

typedef struct ct_lengths { /* by number of rows, up to those of a window: the most segments in so many */
    int64_t *first, *last;  /* rows of a song */
    int64_t *whole;         /* rows that are a whole song; 0: none is that long */
    int64_t *ended;         /* rows in which every song is read to its end; the first need not begin there */
} ct_lengths;

static void keep_most(int64_t *most, int64_t value) {
    if (value > *most) *most = value;
}

static void measure_songs(const ct_dataset *dataset, int stage, int64_t window, ct_chord_columns c, ct_lengths *most) {
    const int64_t width = dataset->stage[stage].column_count;
    for (int64_t i = 0; i < dataset->song_count; i++) {
        const ct_song *song = &dataset->songs[i];
        int64_t        rows = song->rows[stage], from_start = 1, from_end = 1;
        if (rows < 2) continue; /* not read: there is nothing to predict in it */
        for (int64_t n = 1; n <= rows && n <= window; n++) {
            const uint16_t *head = ct_dataset_row(dataset, stage, song->first[stage] + n - 1),
                           *tail = ct_dataset_row(dataset, stage, song->first[stage] + rows - n);
            if (n > 1) from_start += ct_segment_changes(c, head - width, head);
            if (n > 1) from_end += ct_segment_changes(c, tail, tail + width);
            keep_most(&most->first[n], from_start);
            keep_most(&most->last[n], from_end);
        }
        if (rows <= window) keep_most(&most->whole[rows], from_start);
    }
    for (int64_t n = 1; n <= window; n++) {
        keep_most(&most->first[n], most->first[n - 1]);
        keep_most(&most->last[n], most->last[n - 1]);
    }
}

ct_status ct_dataset_stream_segments(const ct_dataset *dataset, int stage, int64_t window, int64_t *out) {
    const ct_stage_data *s = &dataset->stage[stage];
    ct_chord_columns     c = ct_chord_columns_of(s->columns, s->column_count);
    ct_arena             arena = {0};
    size_t               size = (size_t)window + 1;
    int64_t             *lengths = CT_NEW(&arena, int64_t, size), count = 0; /* that songs have */
    ct_lengths most = {CT_NEW(&arena, int64_t, size), CT_NEW(&arena, int64_t, size), CT_NEW(&arena, int64_t, size),
                       CT_NEW(&arena, int64_t, size)};
    bool       fine = lengths && most.first && most.last && most.whole && most.ended;
    *out = ct_dataset_segments(dataset, stage, window);
    if (fine && c.root >= 0) {
        measure_songs(dataset, stage, window, c, &most);
        for (int64_t n = 1; n <= window; n++) {
            if (most.whole[n]) lengths[count++] = n;
            most.ended[n] = most.last[n];
            for (int64_t i = 0; i < count; i++)
                keep_most(&most.ended[n], most.ended[n - lengths[i]] + most.whole[lengths[i]]);
        }
        for (int64_t n = 0; n <= window; n++) keep_most(out, most.ended[n] + most.first[window - n]);
    }
    ct_arena_free(&arena);
    return fine ? CT_OK : CT_ENOMEM;
}

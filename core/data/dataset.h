/* dataset.h -- a prepared dataset: rows of both stages in .npy files, the songs, and what the columns mean.
 *
 * A folder: dataset.json (format version, settings, vocabulary and columns of each
 * stage), songs.tsv (one line a song), backbone.npy and melody.npy (uint16, rows x
 * columns). `prepare` writes one; anybody else may too: models take vocabulary and
 * columns from dataset.json, and need no grammar. Two more tables that `prepare`
 * writes are for people: outcomes.tsv (what became of each file) and groups.tsv
 * (songs that share their melody: group, split, source, the largest share with
 * another song of the group, and that song).
 *
 * Owner: an open dataset keeps its files mapped and its texts in its own arena until ct_dataset_close.
 * Fails: CT_EFAIL with file and what is wrong: another format version, rows missing, a value outside its column. All
 *        values are checked once, on opening, so that nothing later has to.
 */
#ifndef CT_DATA_DATASET_H
#define CT_DATA_DATASET_H

#include "core/json.h"
#include "core/music/vocabulary.h"
#include "core/npy.h"

enum { CT_STAGES = 2 };
typedef enum ct_split { CT_TRAIN, CT_VALID, CT_TEST, CT_SPLITS } ct_split;
extern const char *const ct_split_names[CT_SPLITS];
extern const char *const ct_stage_names[CT_STAGES];

typedef struct ct_song {
    const char *source;
    ct_split    split;
    int64_t     first[CT_STAGES], rows[CT_STAGES];
} ct_song;

typedef struct ct_stage_data {
    bool         present;
    ct_npy       npy;
    ct_column   *columns;
    int          column_count;
    const char **vocabulary; /* names of the tokens; column 0 is the token */
    int          vocabulary_size;
    bool         native; /* vocabulary and columns are this program's own: grammar and transposition apply */
} ct_stage_data;

typedef struct ct_dataset {
    const char   *path;
    char          hash[65]; /* SHA-256 of dataset.json and songs.tsv */
    ct_arena      arena;
    ct_song      *songs;
    int64_t       song_count;
    ct_stage_data stage[CT_STAGES];
} ct_dataset;

/* What the rows of a stage mean, as dataset.json and model files hold it: {"columns": [...], "vocabulary": [...]}.
 * Parsing fills columns, vocabulary and native, in the arena; `where` is for messages. */
ct_json *ct_stage_json(const ct_column *columns, int column_count, const char *const *vocabulary, int vocabulary_size);
CT_NODISCARD ct_status ct_stage_parse(const char *where, int stage, const ct_json *about, ct_arena *arena,
                                      ct_stage_data *out);

CT_NODISCARD ct_status ct_dataset_open(const char *path, ct_dataset *out);
void                   ct_dataset_close(ct_dataset *dataset);

/* Row `row` of a stage: column_count values. */
static inline const uint16_t *ct_dataset_row(const ct_dataset *d, int stage, int64_t row) {
    return (const uint16_t *)d->stage[stage].npy.data + row * d->stage[stage].column_count;
}
/* Number of the column called `name`, -1 when there is none. */
int                    ct_column_find(const ct_column *columns, int count, const char *name);
/* Songs of a split, by their order in songs.tsv: indices in the arena. */
CT_NODISCARD ct_status ct_dataset_split(const ct_dataset *dataset, ct_split split, ct_arena *arena, int64_t **songs,
                                        int64_t *count);

/* Does the harmonic segment change between two neighbouring rows? (root, quality or key; see models/harmony.h) */
typedef struct ct_chord_columns {
    int root, quality, key; /* -1: the dataset has none */
} ct_chord_columns;
ct_chord_columns   ct_chord_columns_of(const ct_column *columns, int count);
static inline bool ct_segment_changes(ct_chord_columns c, const uint16_t *a, const uint16_t *b) {
    return a[c.root] != b[c.root] || a[c.quality] != b[c.quality] || a[c.key] != b[c.key];
}
/* Most harmonic segments in any `window` consecutive rows of one song. */
int64_t                ct_dataset_segments(const ct_dataset *dataset, int stage, int64_t window);
/* The same for `window` rows of songs read one after the other, in whatever order. CT_ENOMEM. */
CT_NODISCARD ct_status ct_dataset_stream_segments(const ct_dataset *dataset, int stage, int64_t window, int64_t *out);

#endif

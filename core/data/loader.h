/* loader.h -- batches of rows for training, each a pure function of (seed, step).
 *
 * Two ways to read songs:
 *   whole   (backbone) every line of a batch begins with the start of a song (a song longer than the line: with a
 * random place of it) and is filled up with the starts of others; stream  (melody) every lane reads song after song;
 * the next batch goes on where the last one stopped, so that memory makes sense. Each visit of a song is transposed by
 * -5..6 semitones; for each line and group of columns a draw decides whether the group is unknown throughout. The order
 * of songs is shuffled anew each epoch.
 *
 * Where several processes share a batch, each is given lines of it: which songs they hold, how they are transposed and
 * what is unknown depend on the line's place in the whole batch alone, not on who reads it.
 *
 * Owner: a loader keeps its arrays until ct_loader_close; the dataset must outlive it. Nothing is allocated after open.
 * Fails: CT_EFAIL when the split holds nothing to read.
 */
#ifndef CT_DATA_LOADER_H
#define CT_DATA_LOADER_H

#include "core/data/dataset.h"

typedef struct ct_loader_options {
    int      stage;
    ct_split split;
    bool     stream;
    int64_t  batch, tokens;
    int64_t  first, lines; /* of the batch, those that are given; lines 0: all */
    uint64_t seed;
    bool     transpose;
    double   unknown; /* share of lines in which a group is made unknown */
} ct_loader_options;

typedef struct ct_batch {
    int64_t   batch, tokens;
    int       columns;
    uint16_t *rows;   /* [batch][tokens][columns] */
    int32_t  *target; /* [batch][tokens]: the next token of the song, -1: none */
    uint8_t  *open;   /* [batch][tokens]: whether the grammar left that next token open */
    int32_t  *song; /* [batch][tokens]: the same number for rows of one visit of a song, across batches of a stream; -1:
                       no row */
    int64_t   targets, open_targets; /* how many there are */
    int64_t   all_targets;           /* also in lines of the batch that others are given */
    int64_t   first_song;            /* dataset number of the song that line 0 begins with, for messages */
} ct_batch;

typedef struct ct_lane {
    int64_t visit, offset; /* which song of the lane's stream, row in it */
} ct_lane;

typedef struct ct_loader {
    ct_loader_options options;
    const ct_dataset *dataset;
    ct_arena          arena;
    int64_t          *songs, song_count;
    int64_t          *order[2], order_epoch[2]; /* shuffles of the last two epochs asked for */
    ct_lane          *lanes;                    /* of the whole batch */
    int64_t           next;                     /* number of the batch that the lanes stand before */
    ct_batch          batch;
} ct_loader;

CT_NODISCARD ct_status ct_loader_open(const ct_dataset *dataset, const ct_loader_options *options, ct_loader *out);
void                   ct_loader_close(ct_loader *loader);
/* Batch number `number` (0, 1, ...); any order, though streams are fastest in rising order. Valid until the next call.
 */
const ct_batch        *ct_loader_batch(ct_loader *loader, int64_t number);
/* Stand before batch `number`, as if those before it had been read. */
void                   ct_loader_seek(ct_loader *loader, int64_t number);
/* Songs begun by batch `number`, in units of the split: passes over the data, for messages. */
double                 ct_loader_epochs(const ct_loader *loader, int64_t number);

/* Lay `count` rows of one song, from row `first`, into a batch's line: rows, targets (none beyond the song), open
 * flags, song number. Used by validation, which reads songs as they are. */
void ct_batch_clear(ct_batch *batch, int64_t line);
void ct_batch_lay(ct_batch *batch, const ct_dataset *dataset, int stage, int64_t song, int64_t first, int64_t count,
                  int64_t line, int64_t at, int32_t number);
/* Make a group of columns unknown in all rows of a line. */
void ct_batch_hide(ct_batch *batch, const ct_column *columns, int group, int64_t line);
CT_NODISCARD ct_status ct_batch_make(ct_arena *arena, int64_t batch, int64_t tokens, int columns, ct_batch *out);

#endif

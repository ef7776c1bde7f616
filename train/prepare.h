/* prepare.h -- a folder of MIDI files becomes a dataset of both stages.
 *
 * Files are read in worker processes, so that one that crashes the reader costs
 * one line in the table of outcomes and never the run; results are written in
 * the order of the file names, so that the bytes are the same for any number of
 * workers. Songs that share their melody (groups.h) go to one split. The dataset
 * appears whole under its name, or not at all.
 *
 * Owner: everything is made and freed inside; a worker's memory dies with each file. What stays of a file until the end
 *        is about 2 kB: 170,000 files take 400 MB.
 * Fails: CT_EFAIL for an empty folder, an output that is there already, no song that can be used; CT_ESTOP after a
 * signal (what was begun is removed).
 */
#ifndef CT_TRAIN_PREPARE_H
#define CT_TRAIN_PREPARE_H

#include "core/config.h"
#include "core/data/dataset.h"
#include "core/music/similar.h"
#include "core/music/tokens.h"
#include "train/filter.h"

typedef struct ct_prepare_config {
    const char      *input, *output;
    int64_t          workers, seed, most_seconds, most_megabytes;
    double           valid, test, duplicates_share;
    int              duplicates_keep; /* ct_keep */
    int              annotations;     /* ct_source */
    bool             overwrite, track_names, faults;
    ct_filter_limits filter;
} ct_prepare_config;
enum ct_keep { CT_KEEP_ALL, CT_KEEP_FIRST };
enum ct_source { CT_SOURCE_ANALYSIS, CT_SOURCE_POP909 };

extern const ct_schema ct_prepare_schema;

CT_NODISCARD ct_status ct_prepare(const ct_prepare_config *config);

/* ---- one file (prepare_file.c): what a worker does */
typedef enum ct_outcome { CT_USED, CT_USED_WARNED, CT_LEFT_OUT } ct_outcome;

typedef struct ct_prepared {
    ct_outcome outcome;
    char       reason[512]; /* warnings, or why it was left out */
    char       sha256[65], key[16], metre[8];
    ct_rows    rows[CT_STAGES]; /* in the arena */
    ct_sketch  sketch;          /* of its melody, in the arena */
} ct_prepared;

/* Never fails: what is wrong becomes the outcome. */
void ct_prepare_file(const ct_prepare_config *config, const char *path, ct_arena *arena, ct_prepared *out);

/* ---- worker processes (prepare_pool.c) */
typedef struct ct_pool ct_pool;
CT_NODISCARD ct_status ct_pool_open(const ct_prepare_config *config, char *const *names, int64_t count, ct_pool **out);
/* The next result in the order of the names; its rows and sketch live until the following call. */
CT_NODISCARD ct_status ct_pool_next(ct_pool *pool, ct_prepared *out);
void                   ct_pool_close(ct_pool *pool);

#endif

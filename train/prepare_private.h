/* prepare_private.h -- what the parts of prepare share: its files, and what became of them.
 *
 * prepare.c reads files and writes rows; prepare_split.c finds near-duplicates and
 * deals the songs out to the splits; prepare_tables.c writes the tables and says
 * what happened.
 *
 * Owner: everything in a job lies in its arena.
 */
#ifndef CT_TRAIN_PREPARE_PRIVATE_H
#define CT_TRAIN_PREPARE_PRIVATE_H

#include "train/groups.h"
#include "train/prepare.h"

#include <stdio.h>

typedef struct ct_entry { /* a file of the input folder */
    ct_outcome  outcome;
    const char *reason, *sha256, *key, *metre;
    int64_t     first[CT_STAGES], rows[CT_STAGES];
    uint64_t    rank; /* decides its split */
    ct_split    split;
} ct_entry;

typedef struct ct_job {
    const ct_prepare_config *config;
    ct_arena                 arena;
    char                     output[4000]; /* without a slash at its end */
    char                     aside[4096];  /* the dataset while it is being made */
    char                   **names;
    size_t                   count;
    ct_entry                *entries;
    ct_sketch               *sketches; /* of each entry, empty for those left out */
    int64_t                  used, warned;
    size_t                  *seen, seen_size; /* hash set of the used songs' SHA-256: entry number + 1 */
    FILE                    *rows[CT_STAGES];
    int64_t                  total[CT_STAGES];
    ct_groups                groups;
    uint32_t                *members; /* of groups.count groups: entries, by group, then name; groups.songs of them */
} ct_job;

/* The first 64 bits of a song's SHA-256. */
uint64_t ct_prepare_hash(const ct_entry *entry);

/* ---- prepare_split.c */
/* Fill groups and members; with duplicates.keep: first, songs like one before them that is kept are left out. */
CT_NODISCARD ct_status ct_prepare_group(ct_job *job);
CT_NODISCARD ct_status ct_prepare_split(ct_job *job);
/* The end of the group that begins at members[i]. */
size_t                 ct_prepare_group_end(const ct_job *job, size_t i);

/* ---- prepare_tables.c */
CT_NODISCARD ct_status ct_prepare_tables(ct_job *job); /* outcomes.tsv, songs.tsv, groups.tsv, dataset.json */
void                   ct_prepare_summary(const ct_job *job, double seconds);

#endif

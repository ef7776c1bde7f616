/* filter.h -- which songs are worth learning from: one table of measures with their limits.
 *
 * Each filter is a config key `filter.*`, a number measured on the analysed song
 * and the reason under which songs are counted that it leaves out. The first one
 * that a song fails, in the table's order, names it. Limits of 0 are off.
 *
 * Owner: nothing. Fails: ct_filter_song with CT_EFAIL, "reason: value found, key is limit"; ct_filter_check with
 *        CT_EUSAGE.
 */
#ifndef CT_TRAIN_FILTER_H
#define CT_TRAIN_FILTER_H

#include "core/json.h"
#include "core/music/analyse.h"

typedef struct ct_filter_limits {
    int64_t     least_notes, least_bars, most_bars, least_pitches, least_chords;
    double      most_minutes, least_melody, least_harmony, least_grid, least_tempo, most_tempo;
    const char *metres; /* "4/4 3/4", "": any */
} ct_filter_limits;

/* Is every word of `metres` one of our metres, are lower limits below upper ones? */
CT_NODISCARD ct_status ct_filter_check(const ct_filter_limits *limits);
CT_NODISCARD ct_status ct_filter_song(const ct_filter_limits *limits, const ct_midi *midi, const ct_piece *piece,
                                      const ct_analysis *info);
/* The limits as dataset.json holds them, by the keys' last words. */
ct_json               *ct_filter_json(const ct_filter_limits *limits);
/* The key of the filter with this reason, NULL when it is none of theirs. */
const char            *ct_filter_key(const char *reason, size_t length);

#endif

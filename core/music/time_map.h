/* time_map.h -- from ticks to seconds and back, by a file's tempo events.
 *
 * 120 quarters a minute hold until the first event. Of events on one tick the
 * last counts. Both ways are exact inverses up to rounding; before tick 0 and
 * after the last event time runs on.
 *
 * Owner: the arena given. Fails: CT_ENOMEM only.
 */
#ifndef CT_MUSIC_TIME_MAP_H
#define CT_MUSIC_TIME_MAP_H

#include "core/music/midi.h"

typedef struct ct_time_point {
    double tick, seconds, seconds_per_tick; /* from here on */
} ct_time_point;

typedef struct ct_time_map {
    ct_time_point *at; /* rising; the first is tick 0 */
    size_t         count;
} ct_time_map;

CT_NODISCARD ct_status ct_time_map_make(const ct_midi *midi, ct_arena *arena, ct_time_map *out);

double ct_time_seconds(const ct_time_map *map, double tick);
double ct_time_tick(const ct_time_map *map, double seconds);

#endif

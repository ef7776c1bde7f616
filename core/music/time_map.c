/* time_map.c -- see time_map.h. */
#include "core/music/time_map.h"

ct_status ct_time_map_make(const ct_midi *midi, ct_arena *arena, ct_time_map *out) {
    const double MINUTE = 60;
    out->at = CT_NEW(arena, ct_time_point, midi->tempos.count + 1);
    if (!out->at) return CT_ENOMEM;
    out->at[0] = (ct_time_point){0, 0, MINUTE / 120 / midi->ppq};
    out->count = 1;
    for (size_t i = 0; i < midi->tempos.count; i++) {
        const ct_midi_event *e = &midi->tempos.at[i];
        ct_time_point       *last = &out->at[out->count - 1];
        double               tick = (double)e->tick;
        if (tick > last->tick) {
            last[1] = (ct_time_point){tick, last->seconds + (tick - last->tick) * last->seconds_per_tick, 0};
            last = &out->at[out->count++];
        }
        last->seconds_per_tick = MINUTE / e->value / midi->ppq;
    }
    return CT_OK;
}

double ct_time_seconds(const ct_time_map *map, double tick) {
    size_t low = 0, high = map->count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        *(map->at[middle].tick <= tick ? &low : &high) = middle;
    }
    return map->at[low].seconds + (tick - map->at[low].tick) * map->at[low].seconds_per_tick;
}

double ct_time_tick(const ct_time_map *map, double seconds) {
    size_t low = 0, high = map->count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        *(map->at[middle].seconds <= seconds ? &low : &high) = middle;
    }
    return map->at[low].tick + (seconds - map->at[low].seconds) / map->at[low].seconds_per_tick;
}

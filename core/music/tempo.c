/* tempo.c -- see tempo.h. */
#include "core/music/tempo.h"

#include "core/music/time_map.h"

#include <math.h>

enum { LEVELS_MAX = 256, OFTEN = 4 /* bars in which a performance changes once or more */, MANY = 8 };
static const double PRICE = 0.8;  /* of a change: as much as 8 % over ten beats */
static const double LEVEL = 0.02; /* between levels, as a log */

static void read_events(const ct_grid *grid, const ct_midi *midi, double *out) {
    const ct_midi_event *e = midi->tempos.at, *last = e + midi->tempos.count;
    double               now = 120;               /* quarters a minute, what MIDI assumes */
    if (e < last && e->tick <= 0) now = e->value; /* a pickup's bar begins before the file does */
    for (int32_t i = 0; i < grid->bar_count; i++) {
        double begin = grid->bars[i].tick, end = grid->bars[i + 1].tick, at = begin, minutes = 0;
        for (; e < last && (double)e->tick < end; e++) {
            if ((double)e->tick > at) {
                minutes += ((double)e->tick - at) / midi->ppq / now;
                at = (double)e->tick;
            }
            now = e->value;
        }
        minutes += (end - at) / midi->ppq / now;
        double quarters_per_beat = (end - begin) / midi->ppq / (grid->bars[i + 1].beat - grid->bars[i].beat);
        out[i] = at == begin ? now / quarters_per_beat : (grid->bars[i + 1].beat - grid->bars[i].beat) / minutes;
    }
}

static int beats_of(const ct_grid *grid, int32_t bar) {
    return grid->bars[bar + 1].beat - grid->bars[bar].beat;
}

/* More than a change in every OFTEN bars. */
static bool is_performed(const double *tempos, int32_t bars) {
    int32_t changes = 0;
    for (int32_t i = 1; i < bars; i++) changes += fabs(tempos[i] / tempos[i - 1] - 1) > 1e-3;
    return changes >= MANY && OFTEN * changes > bars;
}

/* Bars from..to-1 get the tempo that leaves them their minutes. */
static void level_out(const ct_grid *grid, int32_t from, int32_t to, double *tempos) {
    double minutes = 0;
    for (int32_t i = from; i < to; i++) minutes += beats_of(grid, i) / tempos[i];
    double even = (grid->bars[to].beat - grid->bars[from].beat) / minutes;
    for (int32_t i = from; i < to; i++) tempos[i] = even;
}

/* The row of levels that is nearest to the bars' tempos (beats times the distance of the logs), where each change has
 * a price: Viterbi. */
static ct_status smooth(const ct_grid *grid, ct_arena *arena, double *tempos) {
    int32_t bars = grid->bar_count;
    double  low = tempos[0], high = tempos[0], cost[LEVELS_MAX] = {0};
    for (int32_t i = 1; i < bars; i++) {
        low = fmin(low, tempos[i]);
        high = fmax(high, tempos[i]);
    }
    int levels = (int)fmin(log(high / low) / LEVEL + 2, LEVELS_MAX);
    uint8_t(*from)[LEVELS_MAX] = ct_arena_alloc(arena, (size_t)bars, sizeof *from);
    if (!from) return CT_ENOMEM;
    int best = 0;
    for (int32_t i = 0; i < bars; i++) {
        int before = best;
        for (int k = best = 0; k < levels; k++) {
            bool moves = cost[before] + PRICE < cost[k];
            from[i][k] = (uint8_t)(moves ? before : k);
        }
        double anew = cost[before] + PRICE;
        for (int k = 0; k < levels; k++) {
            cost[k] = fmin(cost[k], anew) + beats_of(grid, i) * fabs(log(tempos[i] / low) - k * LEVEL);
            if (cost[k] < cost[best]) best = k;
        }
    }
    int32_t end = bars;
    for (int32_t i = bars - 1; i >= 0; i--) {
        int k = best;
        best = from[i][k];
        if (i && best == k) continue;
        level_out(grid, i, end, tempos);
        end = i;
    }
    return CT_OK;
}

ct_status ct_tempo_bars(const ct_grid *grid, const ct_midi *midi, ct_arena *arena, double *out) {
    read_events(grid, midi, out);
    return is_performed(out, grid->bar_count) ? smooth(grid, arena, out) : CT_OK;
}

ct_status ct_tempo_mean(const ct_midi *midi, double first, double last, ct_arena *arena, double *out) {
    ct_time_map map;
    CT_TRY(ct_time_map_make(midi, arena, &map));
    double seconds = ct_time_seconds(&map, last) - ct_time_seconds(&map, first);
    *out = seconds > 0 ? 60 * (last - first) / midi->ppq / seconds : 120;
    return CT_OK;
}

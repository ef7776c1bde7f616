/* swing.c -- see swing.h. */
#include "core/music/swing.h"

#include <math.h>

enum { BINS = 96, REACH = 2, ENOUGH = 24 };
static const double FROM = 0.4, TO = 0.8;           /* of a beat: what is asked of the onsets in between */
static const double EARLIEST = 0.54, LATEST = 0.72; /* 0.75 is a dotted eighth */
static const double NEAR = 0.05, SHARE = 0.85;      /* so many of them within so much of one place */
static const double TRIPLETS = 0.5; /* as many as that share of them at the first third: beats of three, not swung */

/* Of an onset in its beat, 0 where beats are not two eighths. */
static double place_of(const ct_grid *grid, const ct_midi_note *note) {
    const ct_grid_bar *bar = ct_grid_bar_at(grid, (double)note->start);
    double             beat = ct_grid_beat(grid, (double)note->start);
    return ct_metre_at(bar->metre)->eighths_per_beat == 2 ? beat - floor(beat) : 0;
}

double ct_swing_find(const ct_grid *grid, const ct_midi *midi) {
    int    bins[BINS] = {0}, count = 0, best = 0, most = 0, near = 0, thirds = 0;
    double sum = 0;
    for (size_t i = 0; i < midi->note_count; i++) {
        double place = place_of(grid, &midi->notes[i]);
        thirds += fabs(place - 1.0 / 3) < NEAR;
        if (place <= FROM || place >= TO) continue;
        bins[(int)(place * BINS)]++;
        count++;
    }
    for (int k = (int)(EARLIEST * BINS); k <= (int)(LATEST * BINS); k++) {
        int here = 0;
        for (int j = k - REACH; j <= k + REACH; j++) here += bins[j];
        if (here <= most) continue;
        most = here;
        best = k;
    }
    for (size_t i = 0; i < midi->note_count; i++) {
        double place = place_of(grid, &midi->notes[i]);
        if (fabs(place - (best + 0.5) / BINS) >= NEAR) continue;
        sum += place;
        near++;
    }
    double mean = near ? sum / near : 0;
    bool   at_one_place = count >= ENOUGH && near > SHARE * count, triplets = thirds > TRIPLETS * near;
    return at_one_place && !triplets && mean >= EARLIEST && mean <= LATEST ? mean : 0;
}

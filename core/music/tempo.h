/* tempo.h -- how many beats a minute each bar has.
 *
 * A bar's tempo is its beats over the minutes it lasts by the file's tempo
 * events. A performance written down has another one in nearly every bar: such
 * a song is cut into stretches of one tempo where it truly changes, each of which
 * lasts as long as before. What changes now and then stays as it is.
 *
 * Owner: the arena given, for work alone. Fails: CT_ENOMEM only.
 */
#ifndef CT_MUSIC_TEMPO_H
#define CT_MUSIC_TEMPO_H

#include "core/music/grid.h"

/* Beats a minute of each bar; `out` has bar_count elements. */
CT_NODISCARD ct_status ct_tempo_bars(const ct_grid *grid, const ct_midi *midi, ct_arena *arena, double *out);

/* Quarters a minute, on average between two ticks. */
CT_NODISCARD ct_status ct_tempo_mean(const ct_midi *midi, double first, double last, ct_arena *arena, double *out);

#endif

/* leadsheet_private.h -- what the lead sheet's own files share; not for others.
 *
 * leadsheet.c knows what a sheet is, leadsheet_parse.c and leadsheet_print.c are
 * its text, leadsheet_midi.c reads it back from a file's markers. The few
 * functions below keep one answer to: what may a name contain, how is a chord
 * added, where in a bar does a share begin.
 *
 * Owner: the arena given.
 * Fails: NULL or false: out of memory, the message is set.
 */
#ifndef CT_MUSIC_LEADSHEET_PRIVATE_H
#define CT_MUSIC_LEADSHEET_PRIVATE_H

#include "core/music/leadsheet.h"

enum { CT_SHEET_TEMPO_MIN = 10, CT_SHEET_TEMPO_MAX = 400 };

/* Round to hundredths within the limits. */
double ct_sheet_tempo(double beats_per_minute);

/* A copy that a sheet can hold as title or section name: trimmed, one line, below CT_SHEET_NAME_BYTES. */
char *ct_sheet_clean(ct_arena *arena, const char *text, size_t bytes, bool section);

/* Add a chord, unless its text is in force already; no chord before the first one. */
bool ct_sheet_put_chord(ct_arena *arena, ct_sheet *sheet, size_t *capacity, int32_t step, const ct_symbol *symbol);

/* Steps from the bar line to share `i` of `shares` in a bar of `beats`: whole beats while there are as many, the
 * earlier shares getting more; -1 where more shares than beats don't divide the bar's steps. */
static inline int32_t ct_sheet_share(int32_t i, int32_t shares, int32_t beats) {
    if (shares <= beats) return (i * beats + shares - 1) / shares * CT_STEPS_PER_BEAT;
    int32_t steps = beats * CT_STEPS_PER_BEAT;
    return steps % shares ? -1 : i * (steps / shares);
}

#endif

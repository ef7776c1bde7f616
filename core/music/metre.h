/* metre.h -- where the bars lie: from the file's events, or from the music.
 *
 * Time signatures are believed when each can be written in our metres (5/4
 * becomes 3/4 and 2/4) and the notes agree with a beat at the places they give;
 * where a file has one metre throughout, an upbeat may move its bar lines.
 * Otherwise beats of a quarter are laid where the music puts them (grid.h), and
 * bars of three or four beats, shorter ones among them, where it puts those
 * (barline.h). Beats divided by three throughout make 9/8 and 12/8 of 3/4 and 4/4.
 *
 * Owner: the arena given. Fails: CT_EFAIL with the reason, for the user.
 */
#ifndef CT_MUSIC_METRE_H
#define CT_MUSIC_METRE_H

#include "core/music/grid.h"

typedef struct ct_metre_report {
    bool   from_events;    /* the file's time signatures were believed */
    bool   events_refused; /* there were some, but they were not */
    int    moved;          /* beats (in 6/8, 9/8, 12/8: eighths) by which the music moved the file's bar lines */
    bool   tracked;        /* the notes follow no grid: beats were followed through the playing (track.h) */
    double near;           /* share of onsets near the grid */
} ct_metre_report;

/* Lay the bars from the first note to the last. More than bar_limit bars: CT_EFAIL ("too long"). Notes that follow
 * neither a grid nor a beat: CT_EFAIL. */
CT_NODISCARD ct_status ct_metre_grid(const ct_midi *midi, int32_t bar_limit, ct_arena *arena, ct_grid *out,
                                     ct_metre_report *report);

#endif

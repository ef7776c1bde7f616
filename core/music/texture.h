/* texture.h -- how the accompaniment of a bar is played.
 *
 * Everything but the melody and drums: onsets are gathered by step; a bar of
 * chords strikes three notes and more at once, bass and chords answers a low note
 * with chords, broken chords leap from note to note, a line walks. The rhythm of
 * the same notes is rhythm.h's.
 *
 * Owner: the caller's array. Fails: never.
 */
#ifndef CT_MUSIC_TEXTURE_H
#define CT_MUSIC_TEXTURE_H

#include "core/music/grid.h"

enum ct_texture {
    CT_TEXTURE_SILENT,
    CT_TEXTURE_HELD, /* sounds on, nothing begins */
    CT_TEXTURE_CHORDS,
    CT_TEXTURE_BASS_AND_CHORDS,
    CT_TEXTURE_BROKEN,
    CT_TEXTURE_LINE,
    CT_TEXTURE_MIXED,
    CT_TEXTURE_COUNT
};

/* "broken chords" */
const char *ct_texture_name(int texture);

/* One of each bar of the grid; melody[i] != 0: note i is not of the accompaniment. */
void ct_texture_bars(const ct_grid *grid, const ct_grid_note *notes, size_t count, const uint8_t *melody, uint8_t *out);

#endif

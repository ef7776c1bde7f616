/* percussion.h -- drums that are not on the drum channel.
 *
 * General MIDI keeps drums on channel 10 (9 counted from 0), and the analysis never hears those as melody or harmony.
 * Many files have them elsewhere as well: on programs without a pitch (woodblock, taiko, toms, sound effects), or on a
 * track called Drums, Kick or Percussion. Their notes are moved to channel 10 of their track. A name counts only where
 * another track plays too, so that a song called Drums is no drum.
 *
 * Owner: nothing; notes are changed in place. Nothing can fail.
 */
#ifndef CT_MUSIC_PERCUSSION_H
#define CT_MUSIC_PERCUSSION_H

#include "core/music/midi.h"

/* Returns how many notes were moved. */
size_t ct_percussion_move(ct_midi *midi);

#endif

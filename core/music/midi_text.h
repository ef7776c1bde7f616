/* midi_text.h -- the texts of a MIDI file, in whatever they were written, as UTF-8.
 *
 * The standard says ASCII; files say what their makers' machines said. Taken as
 * UTF-16 where a byte order mark says so, as UTF-8 where it is that (the last
 * character may be cut off), as Shift-JIS where it has kana in that and the
 * system can convert it, and as Windows-1252 otherwise, which any bytes are.
 * Control characters become spaces.
 *
 * Owner: the arena given. Fails: NULL when memory ends.
 */
#ifndef CT_MUSIC_MIDI_TEXT_H
#define CT_MUSIC_MIDI_TEXT_H

#include "core/arena.h"

/* Up to the first NUL, but for UTF-16. */
const char *ct_midi_text(const uint8_t *bytes, size_t count, ct_arena *arena);

/* The most bytes, at most `limit`, that end with a whole character of UTF-8. */
size_t ct_text_whole(const char *text, size_t limit);

#endif

/* midi_repair.h -- from any bytes to a strictly valid Standard MIDI File.
 *
 * Files in the wild lie: about their lengths, their tracks, their time. This
 * reads what can be read and writes it anew as a plain format 1 file that holds
 * only what we need: notes, programs, tempos, metres, keys and texts. Sysex,
 * controllers and everything else is dropped, every event gets a status byte.
 * Sizes found in the file are hints that are checked, never trusted; the time
 * is linear in the bytes (but for sorting events) and the output at most three
 * times as long. Repairing a repaired file changes nothing.
 *
 * Owner: the arena given. Fails: CT_EFAIL with offset and reason; CT_ENOMEM.
 */
#ifndef CT_MUSIC_MIDI_REPAIR_H
#define CT_MUSIC_MIDI_REPAIR_H

#include "core/arena.h"

enum {
    CT_MIDI_TICK_MAX = (1 << 28) - 1, /* later events are left out: every delta fits its four bytes */
    CT_MIDI_TRACKS_MAX = 256,
    CT_MIDI_EVENTS_MAX = 1 << 20,
    CT_MIDI_TEXT_MAX = 127,      /* bytes of a text; longer ones are cut */
    CT_MIDI_BYTES_MAX = 64 << 20 /* of a file */
};

typedef struct ct_midi_repaired {
    uint8_t    *bytes;
    size_t      count;
    const char *report; /* what was done, in words: "end of track added (2); ..."; "" when nothing had to be */
} ct_midi_repaired;

/* Repair `bytes`. Decisions a caller may want to know:
 * - Format 2 is read as format 1: most such files are one pattern, or mislabelled format 1, and hold together that way.
 * - Tempo and metre events go to track 0, whatever track they stood in.
 * - SMPTE divisions become ticks at 120 quarters a minute, tempo events are then left out; division 0 is read as 480.
 * - A velocity above 127 is 127; a note or program number above 127 leaves its event out. */
CT_NODISCARD ct_status ct_midi_repair(const uint8_t *bytes, size_t count, ct_arena *arena, ct_midi_repaired *out);

#endif

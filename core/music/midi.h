/* midi.h -- Standard MIDI Files as plain arrays of notes and events.
 *
 * Reading: any bytes pass the repairer (midi_repair.h) first; only a strictly
 * valid file reaches libsmf, whose header is included in midi.c alone. Notes are
 * paired, hanging ones ended. Writing: a strictly valid format 1 file.
 *
 * Owner: the arena given; a ct_midi holds pointers into it.
 * Fails: CT_EFAIL with the offset and reason when the bytes can't be repaired.
 */
#ifndef CT_MUSIC_MIDI_H
#define CT_MUSIC_MIDI_H

#include "core/arena.h"

typedef struct ct_midi_note {
    int64_t  start, end; /* ticks, end > start */
    uint16_t track;      /* index of the track it was read from / will be written to */
    uint8_t  channel, pitch, velocity, program;
} ct_midi_note;

typedef struct ct_midi_event { /* a tempo, a metre, a key or a text, by list */
    int64_t     tick;
    double      value; /* tempo: quarters a minute */
    int16_t     a, b;  /* metre: numerator, denominator; key: sharps (-7..7), minor (0, 1) */
    uint16_t    track;
    const char *text; /* marker, lyric, ...: UTF-8 (midi_text.h) */
} ct_midi_event;

typedef struct ct_midi_list {
    ct_midi_event *at;
    size_t         count;
} ct_midi_list;

typedef struct ct_midi_track {
    const char *name; /* "" when it has none */
} ct_midi_track;

typedef struct ct_midi {
    int            ppq; /* ticks a quarter; SMPTE divisions are turned into ticks at 120 quarters a minute */
    ct_midi_track *tracks;
    size_t         track_count;
    ct_midi_note  *notes; /* by start, then pitch; drums (channel 9) included */
    size_t         note_count;
    ct_midi_list   tempos, metres, keys, markers, lyrics;
    const char    *repairs; /* what the repairer did, "" for a clean file: "end of track added; 12 bytes skipped" */
} ct_midi;

/* Parse `bytes`. */
CT_NODISCARD ct_status ct_midi_read(const uint8_t *bytes, size_t count, ct_arena *arena, ct_midi *out);

/* Write a format 1 file: track 0 holds tempos, metres, keys and markers, the notes go to their tracks (0 allowed), with
 * track names and program changes. The bytes lie in the arena. */
CT_NODISCARD ct_status ct_midi_write(const ct_midi *midi, ct_arena *arena, uint8_t **bytes, size_t *count);

#endif

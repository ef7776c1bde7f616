/* percussion.c -- see percussion.h. */
#include "core/music/percussion.h"

#include "core/music/midi_repair.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { DRUMS = 9, AGOGO = 113, STEEL_DRUMS = 114, WOODBLOCK = 115 };

/* Programs that have no pitch: agogo, woodblock, taiko, toms, synth drum, cymbal, sound effects. */
static bool without_pitch(int program) {
    return program == AGOGO || program >= WOODBLOCK;
}

static bool is_word(const char *name, const char *word) {
    size_t n = strlen(word);
    for (const char *at = name; (at = strcasestr(at, word)); at++)
        if ((at == name || !isalpha((unsigned char)at[-1])) && !isalpha((unsigned char)at[n])) return true;
    return false;
}

static bool says_drums(const char *name) {
    static const char *const words[] = {"drum",  "drums",  "drumkit", "perc",    "percussion", "kick",    "snare",
                                        "hihat", "hi-hat", "cymbal",  "cymbals", "schlagzeug", "bateria", "batterie"};
    static const char *const others[] = {"steel", "bass", "melody", "piano"};
    for (size_t i = 0; i < CT_COUNT(others); i++)
        if (is_word(name, others[i])) return false;
    for (size_t i = 0; i < CT_COUNT(words); i++)
        if (is_word(name, words[i])) return true;
    return false;
}

size_t ct_percussion_move(ct_midi *midi) {
    bool   named[CT_MIDI_TRACKS_MAX] = {false}, several = false;
    size_t moved = 0, tracks = midi->track_count < CT_COUNT(named) ? midi->track_count : CT_COUNT(named);
    for (size_t i = 1; i < midi->note_count; i++) several = several || midi->notes[i].track != midi->notes[0].track;
    for (size_t t = 0; t < tracks && several; t++) named[t] = says_drums(midi->tracks[t].name);
    for (size_t i = 0; i < midi->note_count; i++) {
        ct_midi_note *n = &midi->notes[i];
        bool          by_name = n->track < tracks && named[n->track] && n->program != STEEL_DRUMS;
        if (n->channel == DRUMS || !(by_name || without_pitch(n->program))) continue;
        n->channel = DRUMS;
        moved++;
    }
    return moved;
}

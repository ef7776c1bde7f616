/* similar_fixture.h -- melodies that share what a test wants them to share. Include after what asserts. */
#ifndef CT_TESTS_SIMILAR_FIXTURE_H
#define CT_TESTS_SIMILAR_FIXTURE_H

#include "core/music/similar.h"
#include "core/rng.h"

#include <stddef.h>

/* `count` notes from `notes` on: a walk within two octaves whose intervals are as unequal as a song's. */
static inline void fixture_walk(uint64_t seed, ct_note *notes, int32_t count) {
    static const int steps[] = {0, 0, 0, 2, 2, -2, -2, -2, 1, -1, -1, 3, -3, 4, -4, 5, -5, 7, -7, 12};
    int              pitch = 60;
    for (int32_t i = 0; i < count; i++) {
        ct_philox x = ct_philox_at(seed, 77, (uint64_t)i);
        int       step = steps[ct_philox_below(x.word[0], (uint32_t)CT_COUNT(steps))];
        pitch += pitch + step < 48 || pitch + step > 84 ? -step : step;
        notes[i] = (ct_note){.start = 6 * i, .end = 6 * i + 6, .pitch = (uint8_t)pitch, .velocity = 80};
    }
}

/* The same melody `semitones` higher. */
static inline void fixture_transpose(ct_note *notes, int32_t count, int semitones) {
    for (int32_t i = 0; i < count; i++) notes[i].pitch = (uint8_t)(notes[i].pitch + semitones);
}

/* Song number i of a collection: a melody of its own, but every tenth begins, in another key, with a part of the song
 * before it: of each hundred, ten parts from 5 % to 95 %. Returns the length. */
enum { FIXTURE_NOTES = 140, FIXTURE_PLANTED = 10 };
static inline bool fixture_planted(size_t i) {
    return i % FIXTURE_PLANTED == FIXTURE_PLANTED - 1;
}
static inline double fixture_part(size_t i) {
    return 0.05 + 0.1 * (double)(i / FIXTURE_PLANTED % 10);
}
static inline int32_t fixture_song(size_t i, ct_note notes[FIXTURE_NOTES]) {
    fixture_walk(i, notes, FIXTURE_NOTES);
    if (fixture_planted(i)) {
        int32_t part = (int32_t)(fixture_part(i) * FIXTURE_NOTES);
        fixture_walk(i - 1, notes, part);
        fixture_transpose(notes, part, 3);
    }
    return FIXTURE_NOTES;
}

#endif

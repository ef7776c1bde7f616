/* chord.h -- which chord sounds on each beat.
 *
 * The row of chords that can expect to be most right: each beat earns the
 * probability of its chord (chord_model.h), of its root and of its kind of third,
 * each change costs a little, and so does a suspension, which has to be likely
 * itself. The bass is another chord tone where one lies lowest clearly longer
 * than the root. A chord's confidence is the probability that its root and third
 * are right, on average while it is held.
 *
 * Owner: scratch and results in the arena given. Fails: CT_ENOMEM only.
 */
#ifndef CT_MUSIC_CHORD_H
#define CT_MUSIC_CHORD_H

#include "core/music/chord_model.h"

/* The chord of each beat, and how sure it is: 0..1, the same while a chord is held. */
CT_NODISCARD ct_status ct_chord_beats(const ct_grid *grid, const ct_grid_note *notes, size_t count, ct_arena *arena,
                                      ct_chord *out, float *confidence);

/* The state of each beat from what ct_chord_posterior says. */
CT_NODISCARD ct_status ct_chord_choose(const float *likely, int32_t beats, ct_arena *arena, uint8_t *out);

/* How likely a state's root and third are right, from the probabilities of one beat. */
float ct_chord_sure(const float *likely, int state);

#endif

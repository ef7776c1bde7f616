/* section.h -- phrases that come back, and what stands before, between and after.
 *
 * The piece is cut into phrases (phrase.h). Equal ones, in another key too,
 * share a letter, by first appearance; stretches without melody are intro,
 * interlude or outro; a first bar that begins with rest is a pickup.
 *
 * Owner: the arena given. Fails: CT_ENOMEM only. Quadratic in the bars, which are bounded by the caller.
 */
#ifndef CT_MUSIC_SECTION_H
#define CT_MUSIC_SECTION_H

#include "core/music/piece.h"

/* Fill piece->sections from its bars, changes, rhythm and melody. */
CT_NODISCARD ct_status ct_section_find(ct_piece *piece, bool pickup, ct_arena *arena);

#endif

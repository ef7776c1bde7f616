/* render.h -- a piece as a MIDI file: melody, chords and bass, with markers.
 *
 * Track 0 carries the title, tempos, metres, key signatures and markers; then
 * come melody, chords and bass. Chords are voiced close around middle C, each
 * from the one before by the least movement, and struck where the rhythm masks
 * say and where they change; a piece without any rhythm strikes them at bar
 * lines. The bass takes the chord's bass at changes and bar lines. Markers tell
 * sections ("[Verse 1]"), chords as the sheet writes them ("Am7") and the end
 * ("||"): core/music/leadsheet.h reads them back. The same piece and sheet give
 * the same file. A pickup is simply bar 0.
 *
 * Owner: the arena; the result points into it and into the sheet.
 * Fails: CT_EFAIL when sheet and piece differ in length; CT_ENOMEM.
 */
#ifndef CT_INFER_RENDER_H
#define CT_INFER_RENDER_H

#include "core/music/leadsheet.h"

enum { CT_RENDER_PPQ = 480 };
enum { CT_RENDER_TITLE, CT_RENDER_MELODY, CT_RENDER_CHORDS, CT_RENDER_BASS, CT_RENDER_TRACKS };

/* Bars, tempo, rhythm and melody come from the piece. Title, section names and chords come from `sheet` and sound with
 * all their tones; without one (NULL) they are the piece's own. */
CT_NODISCARD ct_status ct_render(const ct_piece *piece, const ct_sheet *sheet, ct_arena *arena, ct_midi *out);

#endif

/* leadsheet.h -- the chart a person writes by hand: chords in bars, as text.
 *
 *     title: Down by the River        # title, key, tempo, meter: each may be missing, which leaves it open
 *     key: G                          # G, Gm, F#m, Bb major, C:min
 *     tempo: 96                       # beats a minute, 10 to 400; the metre says what a beat is
 *     meter: 3/4                      # 2/4 3/4 4/4 2/2 6/8 9/8 12/8 5/8 7/8; open: written in 4/4
 *
 *     [Intro]
 *     | G | % | C | D7 |
 *
 *     [Verse 1]
 *     | G | Em7 . D/F# | C G | |
 *     {key: A} {meter: 4/4}
 *     | A | Bm7 E13(#11) |
 *
 * (Comments stand on lines of their own in a real sheet: a '#' at the start of a line.)
 *
 * Bars stand between '|'; a line may leave out its first and last one. The chords of a bar share its beats evenly, and
 * where they can't, the earlier ones get more (three in 4/4: 2 1 1). '.', '-' or '/' alone hold the chord on for one
 * share; '%' alone repeats the bar before; an empty bar holds the chord. Chords: chord_symbol.h.
 * A name in brackets begins a section. Intro, outro (coda, ending), interlude (instrumental, solo) and pickup are
 * known; every other name becomes a letter by first appearance, whatever number ends it (Verse 1 and Verse 2 are one
 * letter; a ninth name shares the eighth letter). A pickup is the first section and one bar long: bar 0. An intro that
 * is not first and an outro that is not last count as interludes. {key: X}, {tempo: X} and {meter: X} before a bar's
 * first chord hold from that bar on. A chart of nothing but chords is fine. UTF-8, with LF, CRLF or CR.
 *
 * Owner: the arena; the sheet keeps no pointer into the text it was read from.
 * Fails: CT_EFAIL with name:line:column, what was found and what was expected.
 */
#ifndef CT_MUSIC_LEADSHEET_H
#define CT_MUSIC_LEADSHEET_H

#include "core/music/chord_symbol.h"
#include "core/music/midi.h"
#include "core/music/piece.h"

enum { CT_SHEET_BYTES_MAX = 1 << 20, CT_SHEET_BARS_MAX = 4096, CT_SHEET_NAME_BYTES = 256 };

typedef struct ct_sheet_bar { /* what is in force in it */
    int32_t start;            /* steps */
    int8_t  key;              /* 0..23; -1: left open */
    int8_t  metre;            /* theory.h's number; -1: left open, counted as 4/4 */
    double  tempo;            /* beats a minute, in hundredths; 0: left open */
} ct_sheet_bar;

typedef struct ct_sheet_chord { /* in force from `step` to the next; neighbours differ in text */
    int32_t   step;
    ct_symbol symbol;
} ct_sheet_chord;

typedef struct ct_sheet_section {
    const char *name;  /* as written; "" for bars before any name (or all of them) */
    uint8_t     label; /* piece.h's */
    int32_t     first, bars;
} ct_sheet_section;

typedef struct ct_sheet {
    const char       *title; /* "" when missing */
    ct_sheet_bar     *bars;  /* at least one */
    int32_t           bar_count;
    ct_sheet_section *sections; /* cover all bars; may be longer than 32 bars */
    int32_t           section_count;
    ct_sheet_chord   *chords; /* the first at 0 ("N.C." when the sheet begins with none) */
    int32_t           chord_count;
} ct_sheet;

typedef struct ct_sheet_open { /* what a sheet left open, at its start */
    bool key, tempo, metre, sections;
} ct_sheet_open;

/* Read `bytes` bytes of text; `name` is for messages. */
CT_NODISCARD ct_status ct_sheet_parse(const char *name, const char *text, size_t bytes, ct_arena *arena, ct_sheet *out);

/* The canonical text, NUL ended, in the arena: four bars a line, every bar with the chord in force at its start.
 * Parsing it gives the sheet back; printing that gives the same text. NULL when out of memory. */
char *ct_sheet_print(const ct_sheet *sheet, ct_arena *arena);

/* Metre of a bar with an open one taken as 4/4; steps to the end of the last bar; the chord at `step` (index). */
int     ct_sheet_metre(const ct_sheet *sheet, int32_t bar);
int32_t ct_sheet_steps(const ct_sheet *sheet);
int32_t ct_sheet_chord_at(const ct_sheet *sheet, int32_t step);

/* Number that people give bar `index`: from 1, a pickup is 0. */
int32_t ct_sheet_bar_number(const ct_sheet *sheet, int32_t index);

/* Give each section its label by name and order; CT_EFAIL when a pickup is not first, not one bar long, or all there
 * is. *at is the section it failed at. Parsing has done it already. */
CT_NODISCARD ct_status ct_sheet_label(ct_sheet *sheet, int32_t *at);

/* The sheet of a piece; chord and section names are ours, chords spelt by the key in force. */
CT_NODISCARD ct_status ct_sheet_from_piece(const ct_piece *piece, ct_arena *arena, ct_sheet *out);

/* A valid piece with the sheet's bars, sections (cut into 32 bars at most) and reduced chords; no rhythm (all 0), no
 * melody. What is open is filled in (the key that fits the chords best, 100 beats a minute, 4/4) and told in `open`
 * (may be NULL). */
CT_NODISCARD ct_status ct_sheet_to_piece(const ct_sheet *sheet, ct_arena *arena, ct_piece *out, ct_sheet_open *open);

/* What the models won't see as written, one line for each symbol at its first bar and each beat with more than one
 * change inside: "bar 3: Bb13(#11) becomes Bb:7". */
CT_NODISCARD ct_status ct_sheet_reductions(const ct_sheet *sheet, ct_arena *arena, const char ***lines, size_t *count);

/* Read back what infer/render.h wrote: markers "[name]" are sections, "||" is the end, all others that parse are
 * chords; title, keys, metres and tempos (to a hundredth). CT_EFAIL when there is no chord marker, or a metre is none
 * of ours. Markers that are no chord are passed over. */
CT_NODISCARD ct_status ct_sheet_from_midi(const ct_midi *midi, ct_arena *arena, ct_sheet *out);

#endif

/* mir.h -- how far an analysis agrees with annotations, by the field's definitions.
 *
 * Those of mir_eval 0.8 (Raffel et al. 2014): chords compared on the exact
 * intersections of both rows of spans and weighted by time; keys; beats and
 * boundaries by F-measure. tests/e2e/agreement.sh holds them against mir_eval
 * itself. What mir_eval ignores (a comparison of -1) is ignored.
 *
 * Owner: nothing is kept; spans belong to the caller. Fails: mir_chord_parse alone.
 */
#ifndef CT_ACCURACY_MIR_H
#define CT_ACCURACY_MIR_H

#include "core/music/chord_symbol.h"

/* ---- chords */
typedef struct mir_chord {
    int      root;  /* 0..11, -1: none (N) or unknown (X) */
    int      bass;  /* semitones above the root, -1 */
    uint16_t tones; /* bit i: i semitones above the root, the bass among them; 0: N; MIR_UNKNOWN: X */
} mir_chord;
enum { MIR_UNKNOWN = 0xffff };

typedef struct mir_span {
    double    begin, end; /* seconds */
    mir_chord chord;
} mir_span;

enum mir_comparison {
    MIR_ROOT,
    MIR_THIRDS,
    MIR_TRIADS,
    MIR_TETRADS,
    MIR_MAJMIN,
    MIR_SEVENTHS,
    MIR_THIRDS_INV,
    MIR_TRIADS_INV,
    MIR_TETRADS_INV,
    MIR_MAJMIN_INV,
    MIR_SEVENTHS_INV,
    MIR_MIREX,
    MIR_COMPARISONS
};
extern const char *const mir_comparison_names[MIR_COMPARISONS]; /* as mir_eval's: "majmin_inv" */

/* Read a label in the syntax of Harte, N and X included; as mir_eval does, without ninths and what lies above them. */
CT_NODISCARD ct_status mir_chord_parse(const char *label, mir_chord *out);
mir_chord              mir_chord_of(ct_chord chord);

/* 1: right; 0: wrong; -1: the reference is not of those that this comparison looks at. */
int mir_chord_compare(enum mir_comparison how, mir_chord reference, mir_chord estimate);

/* Seconds that are right (returned) of those that count (*total), from the start to the end of the reference; where the
 * estimate has no span it says N. Spans rise and don't overlap. */
double mir_chord_seconds(enum mir_comparison how, const mir_span *reference, size_t references,
                         const mir_span *estimate, size_t estimates, double *total);

/* ---- keys, 0..23 as in theory.h */
/* 1 the same, .5 a fifth above (below too where `both_fifths`, as MIREX does since 2017 and mir_eval does not), .3
 * relative, .2 parallel. */
double mir_key_score(int reference, int estimate, bool both_fifths);

/* ---- events: beats in seconds (window 0.07), boundaries */
/* Pairs of a largest matching in which both lie within `window`; precision and recall have it over their counts. Rising
 * rows. */
size_t mir_matched(const double *reference, size_t references, const double *estimate, size_t estimates, double window);
double mir_f_measure(double matched, double references, double estimates); /* 0 where nothing matched */

#endif

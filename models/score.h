/* score.h -- held-out scores: sums of -log p over songs, kept by song, so that a mean comes with an interval.
 *
 * Anything that gives a probability to the next token is scored alike: a network, a
 * count model. Measures, in nats:
 *   all       every token
 *   open      tokens that the grammar left open; a model that knows the grammar is judged by these
 *   forced    the others; sampling masks them, so that they cost nothing in writing
 *   change    a chord change: -log p(ROOT) - log p(QUAL), the 16 qualities summed over seven classes
 *   choice    the same given that there is a change: p(ROOT) over the sum of the twelve roots
 *   KIND      open tokens of one kind (the word before the first "_" of their names), and forced ones
 * change and choice leave out changes to "no chord". Intervals are of 95 %, by
 * bootstrap over songs (Efron 1979; percentiles), from counter-based draws.
 *
 * Owner: the arena given. Fails: CT_ENOMEM.
 */
#ifndef CT_MODELS_SCORE_H
#define CT_MODELS_SCORE_H

#include "core/data/dataset.h"

enum { CT_MEASURE_ALL, CT_MEASURE_OPEN, CT_MEASURE_FORCED, CT_MEASURE_CHANGE, CT_MEASURE_CHOICE, CT_MEASURE_KINDS };
enum { CT_KINDS_MOST = 32, CT_MEASURES_MOST = CT_MEASURE_KINDS + 2 * CT_KINDS_MOST };

typedef struct ct_tally {
    double nats, count;
} ct_tally;

typedef struct ct_scores {
    char      kinds[CT_KINDS_MOST][24];
    int       kind_count, measures; /* measure CT_MEASURE_KINDS + k: kind k open; + kind_count + k: forced */
    int       vocabulary;
    uint8_t  *kind;    /* of each token */
    int8_t   *root;    /* of each token: 1 ROOT of a chord, else 0 */
    int8_t   *quality; /* of each token: class of a QUAL 0..6, else -1 */
    int64_t   songs;
    ct_tally *at; /* [songs][measures] */

    const char *by;    /* of a network: the library whose log p these are; NULL: our own */
    double      apart; /* then: the most, in nats, that the loss of our own op differs */
} ct_scores;

/* log p of a token at the place being scored. */
typedef double (*ct_log_p)(const void *context, int token);

/* Empty scores of `songs` songs, with the kinds of a vocabulary. */
CT_NODISCARD ct_status ct_scores_make(const char *const *vocabulary, int count, int64_t songs, ct_arena *arena,
                                      ct_scores *out);
/* Score the token that came. */
void ct_scores_add(ct_scores *scores, int64_t song, int token, bool open, ct_log_p log_p, const void *context);

/* "all", "open", ..., "ROOT", "ROOT forced" */
const char *ct_measure_name(const ct_scores *scores, int measure, char *text, size_t size);
ct_tally    ct_scores_total(const ct_scores *scores, int measure);
/* Nats a token; NAN where nothing was scored. */
double      ct_scores_mean(const ct_scores *scores, int measure);

typedef struct ct_interval {
    double mean, low, high; /* NAN: nothing scored; low and high NAN: too few songs */
} ct_interval;
/* Of all measures, out[measures]; with `than`, of the difference scores - than on the same songs. */
CT_NODISCARD ct_status ct_scores_intervals(const ct_scores *scores, const ct_scores *than, int64_t samples,
                                           uint64_t seed, ct_interval *out);

#endif

/* comparison.h -- a model beside count models, on the same held-out songs: the table at the end of every training run
 * and of `cantus evaluate`.
 *
 * Rivals are scored one after the other: interpolated Kneser-Ney of some orders, and
 * order 4 with a cache of the song so far, counted on the training songs in all
 * twelve keys; then a network, known columns and unknown ones. Printed as a table
 * and as JSON; models/README.md has its fields.
 *
 * Owner: the comparison's own arena, until ct_comparison_free; the dataset must outlive it.
 * Fails: CT_ENOMEM, CT_ESTOP. Too few songs or too large a vocabulary for a count model is said and leaves it out.
 */
#ifndef CT_MODELS_COMPARISON_H
#define CT_MODELS_COMPARISON_H

#include "core/json.h"
#include "models/held_out.h"

enum { CT_RIVALS_MOST = 12 };

typedef struct ct_rival {
    const char  *name; /* "model", "Kneser-Ney 5" */
    unsigned     unknown;
    ct_scores    scores;
    ct_interval *interval;   /* [measures] */
    ct_interval *difference; /* to the reference: a model's to the best count model, a model with unknown columns' to
                                itself knowing all; NULL: none */
    const char  *reference;
} ct_rival;

typedef struct ct_comparison {
    ct_arena    arena;
    ct_held_out what;
    int64_t     samples, counted; /* of the bootstrap; songs that the count models have read */
    uint64_t    seed;
    int         count;
    ct_rival    rival[CT_RIVALS_MOST];
} ct_comparison;

typedef struct ct_count_options {
    int     least, most; /* orders of plain Kneser-Ney, most 0: none at all */
    bool    cache;       /* order 4 with a cache too */
    int64_t songs;       /* read at most so many, spread evenly, 0: all */
} ct_count_options;

void ct_comparison_begin(ct_comparison *comparison, const ct_held_out *what, int64_t samples, uint64_t seed);
CT_NODISCARD ct_status ct_comparison_counts(ct_comparison *comparison, const ct_count_options *options);
/* A network, with the columns of `what.unknown | unknown` unknown. */
CT_NODISCARD ct_status ct_comparison_network(ct_comparison *comparison, ct_network *network, const char *name,
                                             unsigned unknown);
/* The count model with the lowest open loss; NULL: none. */
const ct_rival        *ct_comparison_best_counts(const ct_comparison *comparison);
void                   ct_comparison_print(const ct_comparison *comparison);
ct_json               *ct_comparison_json(const ct_comparison *comparison);
void                   ct_comparison_free(ct_comparison *comparison);

#endif

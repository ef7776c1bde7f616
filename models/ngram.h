/* ngram.h -- interpolated Kneser-Ney: the count model that every training run is compared with.
 *
 * Order n, one absolute discount an order, D = n1 / (n1 + 2 n2); lower orders count
 * the distinct tokens that came before (Kneser & Ney 1995; Chen & Goodman 1998,
 * the interpolated form). Songs are padded with n - 1 start symbols. It reads the
 * token column only: the same songs, in all twelve keys where the data can be
 * transposed.
 *
 * Owner: the model's own tables, until ct_ngram_free.
 * Fails: CT_ENOMEM; CT_EFAIL for vocabularies over 4095 (a key of five tokens must fit 60 bits).
 */
#ifndef CT_MODELS_NGRAM_H
#define CT_MODELS_NGRAM_H

#include "core/data/dataset.h"

enum { CT_NGRAM_MOST = 5 };

typedef struct ct_ngram ct_ngram;

/* Count the songs of a split of one stage. */
CT_NODISCARD ct_status ct_ngram_train(const ct_dataset *dataset, int stage, ct_split split, int order, ct_ngram **out);
/* p(tokens[at] | the tokens before it), natural log. */
double                 ct_ngram_log(const ct_ngram *model, const uint16_t *tokens, int64_t at);
/* Mean -log p in nats over the songs of a split as they are: all targets, and those the grammar left open. */
CT_NODISCARD ct_status ct_ngram_evaluate(const ct_ngram *model, const ct_dataset *dataset, int stage, ct_split split,
                                         double *all, double *open);
void                   ct_ngram_free(ct_ngram *model);

#endif

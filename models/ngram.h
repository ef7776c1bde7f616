/* ngram.h -- interpolated Kneser-Ney: the count model that every training run is compared with.
 *
 * Order n, one absolute discount an order, D = n1 / (n1 + 2 n2); lower orders count
 * the distinct tokens that came before (Kneser & Ney 1995; Chen & Goodman 1998,
 * the interpolated form). Songs are padded with n - 1 start symbols. It reads the
 * token column only: the same songs, in all twelve keys where the data can be
 * transposed. song_cache.h adds what the song itself has said so far.
 *
 * Owner: the model's own tables, until ct_ngram_free.
 * Fails: CT_ENOMEM; CT_EFAIL for vocabularies over 4095 (a key of five tokens must fit 60 bits).
 */
#ifndef CT_MODELS_NGRAM_H
#define CT_MODELS_NGRAM_H

#include "core/data/dataset.h"

enum { CT_NGRAM_MOST = 5, CT_NGRAM_VOCABULARY_MOST = 4095 };

typedef struct ct_ngram ct_ngram;

/* Count the given songs of one stage (indices into the dataset). */
CT_NODISCARD ct_status ct_ngram_train(const ct_dataset *dataset, int stage, const int64_t *songs, int64_t count,
                                      int order, ct_ngram **out);
/* p(token | tokens[0 .. at - 1]) */
double                 ct_ngram_p(const ct_ngram *model, const uint16_t *tokens, int64_t at, int token);
void                   ct_ngram_free(ct_ngram *model);

/* The token column of a song, `shift` semitones up, into out[rows]. */
void ct_song_tokens(const ct_dataset *dataset, int stage, int64_t song, int shift, uint16_t *out);

#endif

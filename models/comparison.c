/* comparison.c -- see comparison.h. */
#include "models/comparison.h"

#include "core/log.h"
#include "models/song_cache.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_ORDER = 4, FITTED_MOST = 300 }; /* songs that the cache's weights are fitted on */

void ct_comparison_begin(ct_comparison *c, const ct_held_out *what, int64_t samples, uint64_t seed) {
    *c = (ct_comparison){.what = *what, .samples = samples, .seed = seed};
}

void ct_comparison_free(ct_comparison *c) {
    ct_arena_free(&c->arena);
    c->count = 0;
}

/* ---- scoring */
static ct_status add(ct_comparison *c, const char *name, unsigned unknown, const ct_scores *scores,
                     const ct_rival *reference) {
    CT_ASSERT(c->count < CT_RIVALS_MOST);
    ct_rival *r = &c->rival[c->count];
    size_t    n = (size_t)scores->measures;
    *r = (ct_rival){.unknown = unknown, .scores = *scores};
    r->name = ct_arena_copy(&c->arena, name, strlen(name));
    r->interval = CT_NEW(&c->arena, ct_interval, n);
    if (!r->name || !r->interval) return CT_ENOMEM;
    CT_TRY(ct_scores_intervals(scores, NULL, c->samples, c->seed, r->interval));
    if (reference) {
        r->difference = CT_NEW(&c->arena, ct_interval, n);
        r->reference = reference->name;
        if (!r->difference) return CT_ENOMEM;
        CT_TRY(ct_scores_intervals(scores, &reference->scores, c->samples, c->seed, r->difference));
    }
    c->count++;
    return CT_OK;
}

typedef struct ct_listener { /* a count model, with or without a cache, at a place of a song */
    const ct_ngram      *counts;
    const ct_song_cache *cache; /* NULL: none */
    const uint16_t      *tokens;
    int64_t              at;
} ct_listener;

static double log_p(const void *context, int token) {
    const ct_listener *l = context;
    return log(l->cache ? ct_song_cache_p(l->cache, l->tokens, l->at, token)
                        : ct_ngram_p(l->counts, l->tokens, l->at, token));
}

static ct_status score_counts(ct_comparison *c, const char *name, const ct_ngram *counts, ct_song_cache *cache) {
    const ct_dataset    *d = c->what.dataset;
    const int            stage = c->what.stage;
    const ct_stage_data *s = &d->stage[stage];
    const int            flag = ct_column_find(s->columns, s->column_count, "open");
    int64_t             *songs, count, most = 0;
    ct_scores            scores;
    CT_TRY(ct_held_out_songs(&c->what, &c->arena, &songs, &count));
    CT_TRY(ct_scores_make(s->vocabulary, s->vocabulary_size, count, &c->arena, &scores));
    for (int64_t i = 0; i < count; i++)
        if (d->songs[songs[i]].rows[stage] > most) most = d->songs[songs[i]].rows[stage];
    uint16_t *tokens = CT_NEW(&c->arena, uint16_t, (size_t)most);
    if (!tokens) return CT_ENOMEM;
    for (int64_t i = 0; i < count; i++) {
        const ct_song *song = &d->songs[songs[i]];
        ct_song_tokens(d, stage, songs[i], 0, tokens);
        if (cache) ct_song_cache_clear(cache);
        for (int64_t t = 0; t < song->rows[stage]; t++) {
            ct_listener place = {counts, cache, tokens, t};
            bool        open = flag < 0 || ct_dataset_row(d, stage, song->first[stage] + t)[flag];
            if (t) ct_scores_add(&scores, i, tokens[t], open, log_p, &place); /* the first token is given */
            if (cache) ct_song_cache_hear(cache, tokens, t);
        }
        CT_TRY(ct_stop_check());
    }
    return add(c, name, 0, &scores, NULL);
}

static ct_status plain(ct_comparison *c, const int64_t *songs, int64_t count, int order) {
    char      name[32];
    ct_ngram *counts;
    CT_TRY(ct_ngram_train(c->what.dataset, c->what.stage, songs, count, order, &counts));
    snprintf(name, sizeof name, "Kneser-Ney %d", order);
    ct_status status = score_counts(c, name, counts, NULL);
    ct_ngram_free(counts);
    return status;
}

/* Weights from a tenth of the songs, counted without it; then the counts of all of them. */
static ct_status cached(ct_comparison *c, const int64_t *songs, int64_t count) {
    const ct_dataset *d = c->what.dataset;
    const int         stage = c->what.stage, vocabulary = d->stage[stage].vocabulary_size;
    int64_t           most = 1, read = 0, fitted = 0;
    ct_arena          arena = {0};
    ct_ngram         *counts = NULL;
    ct_song_cache     cache;
    int64_t          *parts[2] = {CT_NEW(&arena, int64_t, (size_t)count), CT_NEW(&arena, int64_t, (size_t)count)};
    ct_status         status = parts[0] && parts[1] ? CT_OK : CT_ENOMEM;
    for (int64_t i = 0; i < d->song_count; i++)
        if (d->songs[i].rows[stage] > most) most = d->songs[i].rows[stage];
    for (int64_t i = 0; i < count && status == CT_OK; i++) {
        bool fit = fitted < FITTED_MOST && (i % 10 == 9 || (count < 10 && i == count - 1));
        parts[fit][fit ? fitted++ : read++] = songs[i];
    }
    if (status == CT_OK) status = ct_ngram_train(d, stage, parts[0], read, CACHE_ORDER, &counts);
    if (status == CT_OK) status = ct_song_cache_make(counts, vocabulary, most, &arena, &cache);
    if (status == CT_OK) status = ct_song_cache_fit(&cache, d, stage, parts[1], fitted);
    ct_ngram_free(counts);
    counts = NULL;
    if (status == CT_OK) status = ct_ngram_train(d, stage, songs, count, CACHE_ORDER, &counts);
    if (status == CT_OK) {
        cache.model = counts;
        status = score_counts(c, "Kneser-Ney 4 + song", counts, &cache);
    }
    ct_ngram_free(counts);
    ct_arena_free(&arena);
    return status;
}

ct_status ct_comparison_counts(ct_comparison *c, const ct_count_options *o) {
    const ct_dataset *d = c->what.dataset;
    int64_t          *songs, count, kept = 0;
    if (!o->most) return CT_OK;
    CT_TRY(ct_dataset_split(d, CT_TRAIN, &c->arena, &songs, &count));
    for (int64_t i = 0; i < count; i++)
        if (d->songs[songs[i]].rows[c->what.stage] > 1) songs[kept++] = songs[i];
    if (o->songs && kept > o->songs) {
        for (int64_t i = 0; i < o->songs; i++) songs[i] = songs[i * kept / o->songs];
        ct_log("count models read %lld of %lld training songs", (long long)o->songs, (long long)kept);
        kept = o->songs;
    }
    if (kept < 2 || d->stage[c->what.stage].vocabulary_size > CT_NGRAM_VOCABULARY_MOST) {
        ct_warn("no count models to compare with: %lld training songs, a vocabulary of %d (at most %d)",
                (long long)kept, d->stage[c->what.stage].vocabulary_size, CT_NGRAM_VOCABULARY_MOST);
        return CT_OK;
    }
    c->counted = kept;
    for (int order = o->least; order <= o->most; order++) CT_TRY(plain(c, songs, kept, order));
    return o->cache ? cached(c, songs, kept) : CT_OK;
}

static bool is_counts(const ct_rival *r) {
    return !strncmp(r->name, "Kneser-Ney", 10);
}

const ct_rival *ct_comparison_best_counts(const ct_comparison *c) {
    const ct_rival *best = NULL;
    for (int i = 0; i < c->count; i++)
        if (is_counts(&c->rival[i]) && (!best || ct_scores_mean(&c->rival[i].scores, CT_MEASURE_OPEN) <
                                                     ct_scores_mean(&best->scores, CT_MEASURE_OPEN)))
            best = &c->rival[i];
    return best;
}

ct_status ct_comparison_network(ct_comparison *c, ct_network *network, const char *name, unsigned unknown) {
    ct_held_out     what = c->what;
    const ct_rival *reference = unknown ? NULL : ct_comparison_best_counts(c);
    ct_scores       scores;
    for (int i = 0; unknown && i < c->count; i++)
        if (!is_counts(&c->rival[i]) && !c->rival[i].unknown) reference = &c->rival[i];
    what.unknown |= unknown;
    CT_TRY(ct_held_out_network(&what, network, &c->arena, &scores));
    return add(c, name, unknown, &scores, reference);
}

/* ---- the table */
static const char *interval_text(const ct_interval *v, char *text, size_t size) {
    if (!isfinite(v->mean))
        snprintf(text, size, "-");
    else if (!isfinite(v->low))
        snprintf(text, size, "%.4f", v->mean);
    else
        snprintf(text, size, "%.4f (%.3f, %.3f)", v->mean, v->low, v->high);
    return text;
}

/* A measure that a person wants to see: something was scored, and no forced kinds one by one. */
static bool worth_a_line(const ct_comparison *c, int m) {
    const ct_scores *s = &c->rival[0].scores;
    return m < CT_MEASURE_KINDS + s->kind_count && ct_scores_total(s, m).count > 0;
}

static void print_unknown(const ct_comparison *c) {
    char text[2][64];
    for (int i = 0; i < c->count; i++) {
        const ct_rival *r = &c->rival[i];
        if (!r->unknown || !r->difference) continue;
        printf("  open, %-22s %-26s  difference %s\n", r->name,
               interval_text(&r->interval[CT_MEASURE_OPEN], text[0], sizeof text[0]),
               interval_text(&r->difference[CT_MEASURE_OPEN], text[1], sizeof text[1]));
    }
}

void ct_comparison_print(const ct_comparison *c) {
    char text[64];
    if (!c->count) return;
    const ct_scores *first = &c->rival[0].scores;
    printf("%s, %lld held-out songs (%s), nats a token (95 %% interval over songs)\n", ct_stage_names[c->what.stage],
           (long long)first->songs, ct_split_names[c->what.split]);
    printf("  %-8s %9s", "", "tokens");
    for (int i = 0; i < c->count; i++)
        if (!c->rival[i].unknown) printf("  %-22s", c->rival[i].name);
    printf("\n");
    for (int m = 0; m < first->measures; m++) {
        if (!worth_a_line(c, m)) continue;
        printf("  %-8s %9.0f", ct_measure_name(first, m, text, sizeof text), ct_scores_total(first, m).count);
        for (int i = 0; i < c->count; i++)
            if (!c->rival[i].unknown) printf("  %-22s", interval_text(&c->rival[i].interval[m], text, sizeof text));
        printf("\n");
    }
    print_unknown(c);
    for (int i = 0; i < c->count; i++) {
        const ct_rival    *r = &c->rival[i];
        const ct_interval *d = r->difference ? &r->difference[CT_MEASURE_OPEN] : NULL;
        if (!d || r->unknown || !isfinite(d->mean)) continue;
        double open = r->interval[CT_MEASURE_OPEN].mean;
        printf("%s: open loss %.1f %% %s that of %s (difference %s)\n", r->name, 100 * fabs(d->mean) / (open - d->mean),
               d->mean < 0 ? "below" : "ABOVE", r->reference, interval_text(d, text, sizeof text));
    }
}

/* ---- JSON */
static ct_json *interval_json(const ct_interval *v, double count) {
    ct_json *o = ct_json_new_object();
    if (count >= 0) ct_json_set(o, "tokens", ct_json_new_real(count));
    ct_json_set(o, "nats", ct_json_new_real(v->mean));
    if (isfinite(v->low)) {
        ct_json_set(o, "low", ct_json_new_real(v->low));
        ct_json_set(o, "high", ct_json_new_real(v->high));
    }
    return o;
}

static ct_json *rival_json(const ct_rival *r) {
    ct_json *o = ct_json_new_object(), *measures = ct_json_new_object(), *differences = ct_json_new_object(),
            *unknown = ct_json_new_array();
    char text[64];
    for (int g = 1; g < CT_GROUP_COUNT; g++)
        if (r->unknown >> g & 1) ct_json_add(unknown, ct_json_new_text(ct_group_name(g)));
    for (int m = 0; m < r->scores.measures; m++) {
        double count = ct_scores_total(&r->scores, m).count;
        if (!(count > 0)) continue;
        ct_measure_name(&r->scores, m, text, sizeof text);
        ct_json_set(measures, text, interval_json(&r->interval[m], count));
        if (r->difference) ct_json_set(differences, text, interval_json(&r->difference[m], -1));
    }
    ct_json_set(o, "name", ct_json_new_text(r->name));
    ct_json_set(o, "unknown", unknown);
    ct_json_set(o, "measures", measures);
    if (r->scores.by) ct_json_set(o, "log_p", ct_json_new_text(r->scores.by));
    if (r->difference) {
        ct_json_set(o, "reference", ct_json_new_text(r->reference));
        ct_json_set(o, "difference", differences);
    } else
        ct_json_free(differences);
    return o;
}

ct_json *ct_comparison_json(const ct_comparison *c) {
    ct_json *o = ct_json_new_object(), *rivals = ct_json_new_array();
    for (int i = 0; i < c->count; i++) ct_json_add(rivals, rival_json(&c->rival[i]));
    ct_json_set(o, "stage", ct_json_new_text(ct_stage_names[c->what.stage]));
    ct_json_set(o, "split", ct_json_new_text(ct_split_names[c->what.split]));
    ct_json_set(o, "songs", ct_json_new_integer(c->count ? c->rival[0].scores.songs : 0));
    ct_json_set(o, "counted_songs", ct_json_new_integer(c->counted));
    ct_json_set(o, "samples", ct_json_new_integer(c->samples));
    ct_json_set(o, "rivals", rivals);
    return o;
}

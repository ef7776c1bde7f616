/* score.c -- see score.h. */
#include "models/score.h"

#include "core/music/theory.h"
#include "core/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Seven classes of qualities: maj, min, dim, aug, dominant 7, maj7, min7; sixths and suspensions with their triads. */
static int quality_class(const char *name) {
    static const struct {
        int quality, class;
    } classes[CT_QUALITY_COUNT] = {
        {CT_MAJ, 0},    {CT_MAJ6, 0}, {CT_SUS2, 0}, {CT_SUS4, 0},    {CT_POWER, 0}, {CT_MIN, 1},
        {CT_MIN6, 1},   {CT_DIM, 2},  {CT_DIM7, 2}, {CT_HDIM7, 2},   {CT_AUG, 3},   {CT_DOM7, 4},
        {CT_SUS4B7, 4}, {CT_MAJ7, 5}, {CT_MIN7, 6}, {CT_MINMAJ7, 6},
    };
    for (size_t i = 0; i < CT_COUNT(classes); i++)
        if (!strcmp(ct_quality_name(classes[i].quality), name)) return classes[i].class;
    return -1;
}

static int kind_of(ct_scores *s, const char *token) {
    size_t length = strcspn(token, "_");
    if (length >= sizeof s->kinds[0]) length = sizeof s->kinds[0] - 1;
    for (int k = 0; k < s->kind_count; k++)
        if (strlen(s->kinds[k]) == length && !strncmp(s->kinds[k], token, length)) return k;
    if (s->kind_count == CT_KINDS_MOST) return CT_KINDS_MOST - 1; /* the last kind takes what is left */
    memcpy(s->kinds[s->kind_count], token, length);
    return s->kind_count++;
}

ct_status ct_scores_make(const char *const *vocabulary, int count, int64_t songs, ct_arena *arena, ct_scores *out) {
    *out = (ct_scores){.vocabulary = count, .songs = songs};
    out->kind = CT_NEW(arena, uint8_t, (size_t)count);
    out->root = CT_NEW(arena, int8_t, (size_t)count);
    out->quality = CT_NEW(arena, int8_t, (size_t)count);
    if (!out->kind || !out->root || !out->quality) return CT_ENOMEM;
    for (int i = 0; i < count; i++) {
        const char *name = vocabulary[i];
        out->kind[i] = (uint8_t)kind_of(out, name);
        out->root[i] = !strncmp(name, "ROOT_", 5) && strcmp(name, "ROOT_none") != 0;
        out->quality[i] = (int8_t)(strncmp(name, "QUAL_", 5) != 0 ? -1 : quality_class(name + 5));
    }
    out->measures = CT_MEASURE_KINDS + 2 * out->kind_count;
    out->at = CT_NEW(arena, ct_tally, (size_t)songs * (size_t)out->measures);
    return out->at ? CT_OK : CT_ENOMEM;
}

static void put(ct_tally *tally, double nats, double count) {
    tally->nats += nats;
    tally->count += count;
}

/* log of the summed probability of the tokens with flag[i] == value; of the likeliest alone where all are too unlikely
 * for their sum to be a double. */
static double log_of_all(const ct_scores *s, const int8_t *flag, int8_t value, ct_log_p log_p, const void *context) {
    double sum = 0, most = -INFINITY;
    for (int i = 0; i < s->vocabulary; i++)
        if (flag[i] == value) {
            double x = log_p(context, i);
            sum += exp(x);
            most = fmax(most, x);
        }
    return sum > 0 ? log(sum) : most;
}

void ct_scores_add(ct_scores *s, int64_t song, int token, bool open, ct_log_p log_p, const void *context) {
    ct_tally *at = s->at + song * s->measures;
    double    nats = -log_p(context, token);
    put(&at[CT_MEASURE_ALL], nats, 1);
    put(&at[open ? CT_MEASURE_OPEN : CT_MEASURE_FORCED], nats, 1);
    put(&at[CT_MEASURE_KINDS + (open ? 0 : s->kind_count) + s->kind[token]], nats, 1);
    if (s->root[token]) {
        put(&at[CT_MEASURE_CHANGE], nats, 1);
        put(&at[CT_MEASURE_CHOICE], nats + log_of_all(s, s->root, 1, log_p, context), 1);
    } else if (s->quality[token] >= 0) { /* belongs to the ROOT before it, which has been counted */
        double class = -log_of_all(s, s->quality, s->quality[token], log_p, context);
        put(&at[CT_MEASURE_CHANGE], class, 0);
        put(&at[CT_MEASURE_CHOICE], class, 0);
    }
}

const char *ct_measure_name(const ct_scores *s, int measure, char *text, size_t size) {
    static const char *const names[] = {"all", "open", "forced", "change", "choice"};
    _Static_assert(CT_COUNT(names) == CT_MEASURE_KINDS, "a name for each measure");
    int k = measure - CT_MEASURE_KINDS;
    if (k < 0)
        snprintf(text, size, "%s", names[measure]);
    else
        snprintf(text, size, "%s%s", s->kinds[k % s->kind_count], k < s->kind_count ? "" : " forced");
    return text;
}

ct_tally ct_scores_total(const ct_scores *s, int measure) {
    ct_tally total = {0, 0};
    for (int64_t i = 0; i < s->songs; i++)
        put(&total, s->at[i * s->measures + measure].nats, s->at[i * s->measures + measure].count);
    return total;
}

static double mean_of(ct_tally t) {
    return t.count > 0 ? t.nats / t.count : NAN;
}

double ct_scores_mean(const ct_scores *s, int measure) {
    return mean_of(ct_scores_total(s, measure));
}

static int by_value(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Means of all measures over songs drawn with replacement: sample number `sample`. */
static void resample(const ct_scores *s, uint64_t seed, uint64_t sample, double *mean) {
    ct_tally total[CT_MEASURES_MOST] = {{0, 0}};
    for (int64_t i = 0; i < s->songs; i += 4) {
        ct_philox draw = ct_philox_at(seed, sample, (uint64_t)i / 4);
        for (int64_t k = 0; k < 4 && i + k < s->songs; k++) {
            const ct_tally *from = s->at + (int64_t)ct_philox_below(draw.word[k], (uint32_t)s->songs) * s->measures;
            for (int m = 0; m < s->measures; m++) put(&total[m], from[m].nats, from[m].count);
        }
    }
    for (int m = 0; m < s->measures; m++) mean[m] = mean_of(total[m]);
}

ct_status ct_scores_intervals(const ct_scores *s, const ct_scores *than, int64_t samples, uint64_t seed,
                              ct_interval *out) {
    const size_t n = (size_t)samples, width = (size_t)s->measures;
    ct_arena     arena = {0};
    double      *means = CT_NEW(&arena, double, n *width), *column = CT_NEW(&arena, double, n);
    double       mean[CT_MEASURES_MOST], other[CT_MEASURES_MOST];
    CT_ASSERT(!than || (than->songs == s->songs && than->measures == s->measures));
    if (!means || !column) {
        ct_arena_free(&arena);
        return CT_ENOMEM;
    }
    for (size_t i = 0; i < n && s->songs > 1; i++) {
        resample(s, seed, i, mean);
        if (than) resample(than, seed, i, other);
        for (size_t m = 0; m < width; m++) means[i * width + m] = mean[m] - (than ? other[m] : 0);
    }
    for (size_t m = 0; m < width; m++) {
        size_t kept = 0;
        for (size_t i = 0; i < n && s->songs > 1; i++)
            if (isfinite(means[i * width + m])) column[kept++] = means[i * width + m];
        qsort(column, kept, sizeof *column, by_value);
        out[m] = (ct_interval){ct_scores_mean(s, (int)m) - (than ? ct_scores_mean(than, (int)m) : 0), NAN, NAN};
        if (kept) {
            out[m].low = column[(size_t)(0.025 * (double)(kept - 1) + 0.5)];
            out[m].high = column[(size_t)(0.975 * (double)(kept - 1) + 0.5)];
        }
    }
    ct_arena_free(&arena);
    return CT_OK;
}

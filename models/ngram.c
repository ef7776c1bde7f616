/* ngram.c -- see ngram.h. */
#include "models/ngram.h"

#include "core/log.h"
#include "core/music/tokens.h"

#include <string.h>

/* A key holds up to five tokens of 12 bits, the newest lowest, and the number of tokens above them. */
typedef struct ct_entry {
    uint64_t key;
    uint32_t count, kinds; /* of an n-gram: count; of a context: total and distinct followers */
} ct_entry;

typedef struct ct_table {
    ct_arena  arena;
    ct_entry *at;
    size_t    used, size; /* size a power of two */
} ct_table;

struct ct_ngram {
    ct_arena arena; /* this struct */
    int      order, vocabulary;
    ct_table grams, contexts;
    double   discount[CT_NGRAM_MOST + 1];
};

static uint64_t key_of(uint64_t tokens, int count) {
    return (uint64_t)count << 60 | (count ? tokens & ((1ULL << 12 * count) - 1) : 0);
}

static uint64_t mix(uint64_t x) {
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ULL;
    return x ^ x >> 33;
}

/* The entry of a key (never 0: its count bits are at least 1, or it is the empty context, stored as such + 1 bit 63).
 */
static ct_entry *look(const ct_table *t, uint64_t key) {
    size_t i = mix(key) & (t->size - 1);
    while (t->at[i].key && t->at[i].key != key) i = (i + 1) & (t->size - 1);
    return &t->at[i];
}

static ct_entry *put(ct_table *t, uint64_t key) {
    if (t->used * 10 >= t->size * 7) {
        ct_table larger = {.size = t->size ? t->size * 2 : 1 << 16, .used = t->used};
        larger.at = CT_NEW(&larger.arena, ct_entry, larger.size);
        if (!larger.at) return NULL;
        for (size_t i = 0; i < t->size; i++)
            if (t->at[i].key) *look(&larger, t->at[i].key) = t->at[i];
        ct_arena_free(&t->arena);
        *t = larger;
    }
    ct_entry *e = look(t, key);
    if (!e->key) {
        e->key = key;
        t->used++;
    }
    return e;
}

static const uint64_t CONTEXT = 1ULL << 63; /* so that the empty context has a key too */

static bool count_song(ct_ngram *m, const uint16_t *tokens, int64_t count) {
    uint64_t window = 0;
    for (int i = 0; i < m->order; i++) window = window << 12 | (uint64_t)m->vocabulary;
    for (int64_t i = 0; i < count; i++) {
        window = window << 12 | tokens[i];
        if (i == 0) continue; /* the first token of a song is given */
        ct_entry *e = put(&m->grams, key_of(window, m->order));
        if (!e) return false;
        e->count++;
    }
    return true;
}

void ct_song_tokens(const ct_dataset *d, int stage, int64_t song, int shift, uint16_t *out) {
    const ct_song *s = &d->songs[song];
    int            columns = d->stage[stage].column_count;
    uint16_t       row[CT_COLUMNS_MAX];
    for (int64_t i = 0; i < s->rows[stage]; i++) {
        memcpy(row, ct_dataset_row(d, stage, s->first[stage] + i), (size_t)columns * sizeof *row);
        if (shift) ct_rows_transpose((ct_stage)stage, row, 1, shift);
        out[i] = row[0];
    }
}

static int64_t longest(const ct_dataset *d, int stage, const int64_t *songs, int64_t count) {
    int64_t most = 1;
    for (int64_t i = 0; i < count; i++)
        if (d->songs[songs[i]].rows[stage] > most) most = d->songs[songs[i]].rows[stage];
    return most;
}

/* From the counts of the highest order: continuation counts below it, totals of contexts, discounts. */
static bool finish(ct_ngram *m) {
    for (int n = m->order; n >= 1; n--) {
        double once = 0, twice = 0;
        for (size_t i = 0; i < m->grams.size; i++) {
            ct_entry e = m->grams.at[i];
            if (!e.key || (int)(e.key >> 60) != n) continue;
            once += e.count == 1;
            twice += e.count == 2;
            ct_entry *context = put(&m->contexts, CONTEXT | key_of(e.key >> 12, n - 1));
            if (!context) return false;
            context->count += e.count;
            context->kinds++;
        }
        m->discount[n] = once > 0 ? once / (once + 2 * twice) : 0.5;
        if (n == 1) break;
        size_t    size = m->grams.size, used = 0;
        ct_arena  arena = {0};
        ct_entry *copy = CT_NEW(&arena, ct_entry, m->grams.used); /* the table grows while we add */
        if (!copy) return false;
        for (size_t i = 0; i < size; i++)
            if (m->grams.at[i].key && (int)(m->grams.at[i].key >> 60) == n) copy[used++] = m->grams.at[i];
        bool fine = true;
        for (size_t i = 0; i < used && fine; i++) {
            ct_entry *e = put(&m->grams, key_of(copy[i].key, n - 1));
            if (e) e->count++;
            fine = e != NULL;
        }
        ct_arena_free(&arena);
        if (!fine) return false;
    }
    return true;
}

ct_status ct_ngram_train(const ct_dataset *d, int stage, const int64_t *songs, int64_t count, int order,
                         ct_ngram **out) {
    const ct_stage_data *s = &d->stage[stage];
    CT_ASSERT(order >= 1 && order <= CT_NGRAM_MOST);
    if (s->vocabulary_size > CT_NGRAM_VOCABULARY_MOST)
        return ct_fail(CT_EFAIL, "no count model for a vocabulary of %d tokens (at most %d)", s->vocabulary_size,
                       CT_NGRAM_VOCABULARY_MOST);
    ct_arena  arena = {0}, scratch = {0};
    ct_ngram *m = CT_NEW(&arena, ct_ngram, 1);
    uint16_t *tokens = CT_NEW(&scratch, uint16_t, (size_t)longest(d, stage, songs, count));
    ct_status status = m && tokens ? CT_OK : CT_ENOMEM;
    if (m) *m = (ct_ngram){.arena = arena, .order = order, .vocabulary = s->vocabulary_size};
    ct_progress progress;
    ct_progress_begin(&progress, "counting, to compare with", count);
    for (int64_t i = 0; i < count && status == CT_OK; i++) {
        for (int shift = s->native ? -5 : 0; shift <= (s->native ? 6 : 0) && status == CT_OK; shift++) {
            ct_song_tokens(d, stage, songs[i], shift, tokens);
            status = count_song(m, tokens, d->songs[songs[i]].rows[stage]) ? ct_stop_check() : CT_ENOMEM;
        }
        ct_progress_at(&progress, i + 1, "");
    }
    ct_progress_end(&progress);
    ct_arena_free(&scratch);
    if (status == CT_OK && !m->grams.used)
        status = ct_fail(CT_EFAIL, "%s: nothing to count in %lld songs", d->path, (long long)count);
    if (status == CT_OK && !finish(m)) status = CT_ENOMEM;
    if (status == CT_OK)
        *out = m;
    else
        ct_ngram_free(m);
    return status;
}

double ct_ngram_p(const ct_ngram *m, const uint16_t *tokens, int64_t at, int token) {
    uint64_t window = 0;
    for (int i = 1; i < m->order; i++) {
        int64_t k = at - m->order + i;
        window = window << 12 | (k < 0 ? (uint64_t)m->vocabulary : tokens[k]);
    }
    window = window << 12 | (uint64_t)token;
    double p = 1.0 / m->vocabulary;
    for (int n = 1; n <= m->order; n++) {
        const ct_entry *context = look(&m->contexts, CONTEXT | key_of(window >> 12, n - 1));
        if (!context->key) break; /* never seen: nor is any longer one */
        const ct_entry *gram = look(&m->grams, key_of(window, n));
        double          total = context->count, discounted = gram->key ? gram->count - m->discount[n] : 0;
        p = (discounted > 0 ? discounted : 0) / total + m->discount[n] * context->kinds / total * p;
    }
    return p;
}

void ct_ngram_free(ct_ngram *model) {
    if (!model) return;
    ct_arena arena = model->arena;
    ct_arena_free(&model->grams.arena);
    ct_arena_free(&model->contexts.arena);
    ct_arena_free(&arena);
}

/* section.c -- see section.h. */
#include "core/music/section.h"

#include "core/music/phrase.h"

/* ---- labels */
static bool is_silent(const ct_phrases *f, const ct_section *s) {
    int32_t sings = 0;
    for (int32_t i = s->first; i < s->first + s->bars; i++) sings += f->sings[i];
    return 5 * sings <= s->bars;
}

/* The letter of the earlier phrase most like this one, or a new one. */
static uint8_t letter_of(const ct_phrases *f, const ct_section *sections, int32_t index, int *letters) {
    const ct_section *s = &sections[index];
    float             top = -1;
    uint8_t           best = CT_SECTION_A;
    for (int32_t i = 0; i < index; i++) {
        const ct_section *e = &sections[i];
        if (e->label >= CT_SECTION_LETTERS) continue;
        int32_t bars = e->bars < s->bars ? e->bars : s->bars, longer = e->bars + s->bars - bars;
        float   like = ct_phrase_likeness(f, e->first, s->first, bars) * (0.5f + 0.5f * (float)bars / (float)longer);
        if (like <= top) continue;
        top = like;
        best = e->label;
    }
    if (top >= 0.6f || *letters == CT_SECTION_LETTERS) return best;
    return (uint8_t)(*letters)++;
}

static void label(const ct_phrases *f, ct_section *sections, int32_t begin, int32_t count) {
    int  letters = 0;
    bool any = false;
    for (int32_t i = begin; i < count; i++) any |= !is_silent(f, &sections[i]);
    for (int32_t i = begin; i < count; i++) {
        if (!any || !is_silent(f, &sections[i]))
            sections[i].label = letter_of(f, sections, i, &letters);
        else if (i == begin)
            sections[i].label = CT_SECTION_INTRO;
        else if (i == count - 1)
            sections[i].label = CT_SECTION_OUTRO;
        else
            sections[i].label = CT_SECTION_INTERLUDE;
    }
}

/* Neighbours without melody become one section where they fit into 32 bars. */
static int32_t join_silent(const ct_phrases *f, ct_section *s, int32_t begin, int32_t count) {
    int32_t n = begin;
    for (int32_t i = begin; i < count; i++) {
        bool joins = n > begin && is_silent(f, &s[n - 1]) && is_silent(f, &s[i]) &&
                     s[n - 1].bars + s[i].bars <= CT_SECTION_BARS_MAX;
        if (joins)
            s[n - 1].bars += s[i].bars;
        else
            s[n++] = s[i];
    }
    return n;
}

ct_status ct_section_find(ct_piece *piece, bool pickup, ct_arena *arena) {
    size_t          n = (size_t)piece->bar_count;
    int32_t        *lengths = CT_NEW(arena, int32_t, n), cuts = 0, first = pickup && n > 1 ? 1 : 0;
    ct_section     *s = piece->sections = CT_NEW(arena, ct_section, n);
    ct_phrase_model model = ct_phrase_fitted();
    ct_phrases      phrases;
    if (!lengths || !s) return CT_ENOMEM;
    CT_TRY(ct_phrase_cues(piece, arena, &phrases));
    CT_TRY(ct_phrase_cut(&phrases, first, &model, arena, lengths, &cuts));
    int32_t bar = first, count = first;
    if (first) s[0] = (ct_section){CT_SECTION_PICKUP, 0, 1};
    for (int32_t i = 0; i < cuts; i++, count++) {
        s[count] = (ct_section){0, bar, lengths[i]};
        bar += lengths[i];
    }
    piece->section_count = join_silent(&phrases, s, first, count);
    label(&phrases, s, first, piece->section_count);
    return CT_OK;
}

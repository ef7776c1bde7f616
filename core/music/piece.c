/* piece.c -- looking things up in a piece, and whether it keeps its promises; see piece.h. */
#include "core/music/piece.h"

#include <math.h>

int32_t ct_piece_steps(const ct_piece *piece) {
    if (piece->bar_count <= 0) return 0;
    const ct_bar *last = &piece->bars[piece->bar_count - 1];
    return last->start + ct_metre_steps(last->metre);
}

int32_t ct_piece_bar_at(const ct_piece *piece, int32_t step) {
    int32_t low = 0, high = piece->bar_count; /* the answer lies in [low, high) */
    while (high - low > 1) {
        int32_t middle = low + (high - low) / 2;
        if (piece->bars[middle].start <= step)
            low = middle;
        else
            high = middle;
    }
    return low;
}

int32_t ct_piece_change_at(const ct_piece *piece, int32_t step) {
    int32_t low = -1, high = piece->change_count;
    while (high - low > 1) {
        int32_t middle = low + (high - low) / 2;
        if (piece->changes[middle].step <= step)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static ct_status check_bars(const ct_piece *p) {
    int32_t start = 0, beats = 0;
    if (p->bar_count < 1) return ct_fail(CT_EFAIL, "no bars");
    for (int32_t i = 0; i < p->bar_count; i++) {
        const ct_bar *b = &p->bars[i];
        if (b->metre >= CT_METRE_COUNT) return ct_fail(CT_EFAIL, "bar %d: no metre has the number %d", i, b->metre);
        if (b->key >= 24) return ct_fail(CT_EFAIL, "bar %d: no key has the number %d (0..23)", i, b->key);
        if (!isfinite(b->tempo) || b->tempo <= 0) return ct_fail(CT_EFAIL, "bar %d: tempo %g", i, b->tempo);
        if (b->start != start) return ct_fail(CT_EFAIL, "bar %d: starts at step %d, not at %d", i, b->start, start);
        if (start > INT32_MAX / 2) return ct_fail(CT_EFAIL, "bar %d: too many steps", i);
        start += ct_metre_steps(b->metre);
        beats += ct_metre_at(b->metre)->beats;
    }
    if (p->beat_count != beats) return ct_fail(CT_EFAIL, "%d rhythms for %d beats", p->beat_count, beats);
    for (int32_t i = 0; i < beats; i++)
        if (p->rhythm[i] >= CT_RHYTHM_COUNT)
            return ct_fail(CT_EFAIL, "beat %d: no rhythm has the number %d", i, p->rhythm[i]);
    return CT_OK;
}

static ct_status check_sections(const ct_piece *p) {
    int32_t bar = 0, letters = 0;
    for (int32_t i = 0; i < p->section_count; i++) {
        const ct_section *s = &p->sections[i];
        bool              first = i == (ct_piece_has_pickup(p) ? 1 : 0);
        if (s->label >= CT_SECTION_COUNT)
            return ct_fail(CT_EFAIL, "bar %d: no section has the number %d", bar, s->label);
        if (s->first != bar) return ct_fail(CT_EFAIL, "bar %d: the next section starts at bar %d", bar, s->first);
        if (s->bars < 1 || s->bars > CT_SECTION_BARS_MAX)
            return ct_fail(CT_EFAIL, "bar %d: section of %d bars (1..%d)", bar, s->bars, CT_SECTION_BARS_MAX);
        if (s->label == CT_SECTION_PICKUP && (i || s->bars != 1))
            return ct_fail(CT_EFAIL, "bar %d: a pickup is the first bar and nothing else", bar);
        if (s->label == CT_SECTION_INTRO && !first) return ct_fail(CT_EFAIL, "bar %d: intro after the start", bar);
        if (s->label == CT_SECTION_OUTRO && i != p->section_count - 1)
            return ct_fail(CT_EFAIL, "bar %d: outro before the end", bar);
        if (s->label < CT_SECTION_LETTERS && s->label > letters)
            return ct_fail(CT_EFAIL, "bar %d: section %c before %c", bar, 'A' + s->label, 'A' + letters);
        if (s->label == letters) letters++;
        bar += s->bars;
    }
    if (bar != p->bar_count) return ct_fail(CT_EFAIL, "sections cover %d of %d bars", bar, p->bar_count);
    return CT_OK;
}

static ct_status check_changes(const ct_piece *p, int32_t steps) {
    if (p->change_count < 1 || p->changes[0].step != 0) return ct_fail(CT_EFAIL, "bar 0: no chord at its start");
    for (int32_t i = 0; i < p->change_count; i++) {
        const ct_change *c = &p->changes[i];
        int32_t          bar = ct_piece_bar_at(p, c->step);
        bool             none = c->chord.root == CT_NO_CHORD;
        if (c->chord.root > CT_NO_CHORD || c->chord.quality >= CT_QUALITY_COUNT || c->chord.bass >= 12 ||
            (none && (c->chord.quality || c->chord.bass)))
            return ct_fail(CT_EFAIL, "bar %d: chord of root %d, quality %d, bass %d", bar, c->chord.root,
                           c->chord.quality, c->chord.bass);
        if (c->step >= steps) return ct_fail(CT_EFAIL, "chord at step %d of %d", c->step, steps);
        if (i && c->step <= c[-1].step) return ct_fail(CT_EFAIL, "bar %d: chord changes out of order", bar);
        if (i && ct_chord_same(c->chord, c[-1].chord))
            return ct_fail(CT_EFAIL, "bar %d: change to the same chord", bar);
    }
    return CT_OK;
}

static ct_status check_melody(const ct_piece *p, int32_t steps) {
    for (int32_t i = 0; i < p->melody_count; i++) {
        const ct_note *n = &p->melody[i];
        int32_t        bar = ct_piece_bar_at(p, n->start);
        if (n->start < 0 || n->end <= n->start || n->end > steps)
            return ct_fail(CT_EFAIL, "bar %d: note from step %d to %d of %d", bar, n->start, n->end, steps);
        if (n->pitch > 127 || n->velocity < 1 || n->velocity > 127)
            return ct_fail(CT_EFAIL, "bar %d: note of pitch %d, velocity %d", bar, n->pitch, n->velocity);
        if (i && n->start < n[-1].end) return ct_fail(CT_EFAIL, "bar %d: melody notes overlap", bar);
    }
    return CT_OK;
}

ct_status ct_piece_check(const ct_piece *piece) {
    CT_TRY(check_bars(piece));
    CT_TRY(check_sections(piece));
    int32_t steps = ct_piece_steps(piece);
    CT_TRY(check_changes(piece, steps));
    return check_melody(piece, steps);
}

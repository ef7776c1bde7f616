/* guide.c -- see guide.h. */
#include "infer/guide.h"

#include <string.h>

static bool any(const uint8_t *allowed, int first, int count) {
    return memchr(allowed + first, 1, (size_t)count) != NULL;
}

/* Allow of a range only `token`, and nothing outside the range, if the grammar allows it. */
static bool force(uint8_t *allowed, int size, int token) {
    if (!allowed[token]) return false;
    memset(allowed, 0, (size_t)size);
    allowed[token] = 1;
    return true;
}

static void forbid(uint8_t *allowed, int first, int count, bool keep_if_all) {
    uint8_t saved[CT_B_COUNT];
    memcpy(saved, allowed, sizeof saved);
    memset(allowed + first, 0, (size_t)count);
    if (keep_if_all && !any(allowed, 0, CT_B_COUNT)) memcpy(allowed, saved, sizeof saved);
}

/* Key, metre or tempo: in the header the value asked for; in a bar the change that the sheet has there, or none. */
static bool guide_property(uint8_t *allowed, bool header, int first, int count, int wanted, int in_force) {
    if (!any(allowed, first, count)) return false;
    if (header) return wanted >= 0 && force(allowed, CT_B_COUNT, first + wanted);
    if (wanted >= 0 && wanted != in_force) return force(allowed, CT_B_COUNT, first + wanted);
    forbid(allowed, first, count, true);
    return false;
}

static bool guide_properties(const ct_guide *g, const ct_backbone_state *s, uint8_t *allowed) {
    const ct_bar *bar = g->sheet ? &g->sheet->bars[s->bar < 0                     ? 0
                                                   : s->bar < g->sheet->bar_count ? s->bar
                                                                                  : g->sheet->bar_count - 1]
                                 : NULL;
    bool          header = s->bar < 0, free_changes = !g->sheet;
    int           key = bar && g->sheet_key ? bar->key : g->key, metre = bar && g->sheet_metre ? bar->metre : g->metre;
    int           tempo = bar && g->sheet_tempo ? ct_tempo_bin(bar->tempo) : g->tempo;
    if (header || !free_changes || g->key >= 0)
        if (guide_property(allowed, header, CT_B_KEY, 24, key, s->key)) return true;
    if (header || !free_changes || g->metre >= 0)
        if (guide_property(allowed, header, CT_B_METER, CT_METRE_COUNT, metre, s->metre)) return true;
    if (header || !free_changes || g->tempo >= 0)
        if (guide_property(allowed, header, CT_B_TEMPO, CT_TEMPO_COUNT, tempo, s->tempo)) return true;
    return false;
}

static void guide_sections(const ct_guide *g, const ct_backbone_state *s, uint8_t *allowed) {
    int32_t bar = s->bar + 1;
    for (int32_t i = 0; i < g->sheet->section_count; i++) {
        const ct_section *x = &g->sheet->sections[i];
        if (x->first != bar) continue;
        if (any(allowed, CT_B_SECTION, CT_SECTION_COUNT))
            force(allowed, CT_B_COUNT, CT_B_SECTION + x->label);
        else if (any(allowed, CT_B_LENGTH, CT_SECTION_BARS_MAX))
            force(allowed, CT_B_COUNT, CT_B_LENGTH + x->bars - 1);
    }
}

static ct_chord chord_at(const ct_piece *piece, int32_t step) {
    int32_t i = ct_piece_change_at(piece, step);
    if (i < 0) return (ct_chord){.root = CT_NO_CHORD};
    return piece->changes[i].chord;
}

static int root_token(ct_chord chord) {
    return chord.root == CT_NO_CHORD ? CT_B_ROOT_NONE : CT_B_ROOT + chord.root;
}

/* The sheet's chords: written where they change, and nowhere else. */
static void guide_chords(const ct_guide *g, const ct_backbone_state *s, uint8_t *allowed) {
    const ct_piece *p = g->sheet;
    if (s->bar < 0 || s->bar >= p->bar_count) return;
    int32_t  beat = p->bars[s->bar].start + s->bar_step, here = beat + s->pos;
    ct_chord wanted = chord_at(p, here);
    if (any(allowed, CT_B_QUAL, CT_QUALITY_COUNT)) {
        force(allowed, CT_B_COUNT, CT_B_QUAL + wanted.quality);
        return;
    }
    if (any(allowed, CT_B_BASS, 12)) {
        force(allowed, CT_B_COUNT, CT_B_BASS + wanted.bass);
        return;
    }
    if (!any(allowed, CT_B_ROOT_NONE, 13) && !any(allowed, CT_B_RHYTHM, CT_RHYTHM_COUNT)) return;
    bool    must = !any(allowed, CT_B_RHYTHM, CT_RHYTHM_COUNT);
    int32_t last = ct_piece_change_at(p, beat + CT_STEPS_PER_BEAT - 1); /* up to the end of the beat */
    bool    inside = last >= 0 && p->changes[last].step > beat;
    if ((must || !ct_chord_same(s->chord, wanted)) && force(allowed, CT_B_COUNT, root_token(wanted))) return;
    if (!s->pos && inside && force(allowed, CT_B_COUNT, CT_B_POS + p->changes[last].step - beat - 1)) return;
    forbid(allowed, CT_B_ROOT_NONE, 13, true);
    forbid(allowed, CT_B_POS, CT_STEPS_PER_BEAT - 1, true);
}

/* The token of a primer at `next`, or, where the grammar refuses it now, the nearest of its kind that may come. */
static void follow(uint8_t *allowed, int size, int token, int first, int count) {
    if (force(allowed, size, token)) return;
    for (int d = 1; d < count; d++)
        for (int sign = -1; sign <= 1; sign += 2) {
            int other = token + sign * d;
            if (other >= first && other < first + count && force(allowed, size, other)) return;
        }
}

void ct_guide_backbone(const ct_guide *g, const ct_backbone_state *s, int64_t next, uint8_t *allowed) {
    const ct_rows *primer = g->primer_backbone;
    if (primer && next < primer->count && s->bar + 1 <= g->primer_bars) {
        int  token = primer->at[next * primer->columns];
        bool past = s->bar + 1 == g->primer_bars &&
                    (token == CT_B_BAR || (token >= CT_B_SECTION && token < CT_B_LENGTH) || token == CT_B_EOS);
        if (!past) {
            bool length = token >= CT_B_LENGTH && token < CT_B_ROOT_NONE;
            follow(allowed, CT_B_COUNT, token, length ? CT_B_LENGTH : token, length ? CT_SECTION_BARS_MAX : 1);
            return;
        }
    }
    if (guide_properties(g, s, allowed)) return;
    if (!g->sheet) return;
    if (g->sheet_sections)
        guide_sections(g, s, allowed);
    else
        forbid(allowed, CT_B_SECTION + CT_SECTION_PICKUP, 1, true); /* whoever writes a chart means whole bars */
    guide_chords(g, s, allowed);
}

void ct_guide_melody(const ct_guide *g, const ct_melody_state *s, int64_t next, uint8_t *allowed) {
    const ct_rows *primer = g->primer_melody;
    if (!primer || next >= primer->count || s->bars_done > g->primer_bars) return;
    int token = primer->at[next * primer->columns];
    if (token == CT_M_EOS || (token == CT_M_BAR && s->bars_done == g->primer_bars)) return;
    bool duration = token >= CT_M_DUR && token < CT_M_REST;
    follow(allowed, CT_M_COUNT, token, duration ? CT_M_DUR : token, duration ? CT_DURATION_MAX : 1);
}

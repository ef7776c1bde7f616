/* What a sheet is, whatever it came from: looking things up, labels, the way to a piece and back. */
#include "core/music/leadsheet.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "core/music/leadsheet_private.h"

int ct_sheet_metre(const ct_sheet *sheet, int32_t bar) {
    return sheet->bars[bar].metre < 0 ? CT_4_4 : sheet->bars[bar].metre;
}

int32_t ct_sheet_steps(const ct_sheet *sheet) {
    int32_t last = sheet->bar_count - 1;
    return last < 0 ? 0 : sheet->bars[last].start + ct_metre_steps(ct_sheet_metre(sheet, last));
}

int32_t ct_sheet_chord_at(const ct_sheet *sheet, int32_t step) {
    int32_t low = -1, high = sheet->chord_count; /* chords[low] begins at or before step, chords[high] after it */
    while (high - low > 1) {
        int32_t middle = low + (high - low) / 2;
        if (sheet->chords[middle].step <= step)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static bool has_pickup(const ct_sheet *sheet) {
    return sheet->section_count && sheet->sections[0].label == CT_SECTION_PICKUP;
}

int32_t ct_sheet_bar_number(const ct_sheet *sheet, int32_t index) {
    return has_pickup(sheet) ? index : index + 1;
}

double ct_sheet_tempo(double beats_per_minute) {
    double clamped = fmin(fmax(beats_per_minute, CT_SHEET_TEMPO_MIN), CT_SHEET_TEMPO_MAX);
    return round(clamped * 100) / 100;
}

/* Spaces and control characters, which a name's text turns into spaces. */
static bool blank(char c) {
    return (unsigned char)c <= ' ' || c == 127;
}

char *ct_sheet_clean(ct_arena *arena, const char *text, size_t bytes, bool section) {
    for (; bytes && blank(text[0]); bytes--) text++;
    if (bytes >= CT_SHEET_NAME_BYTES) {
        bytes = CT_SHEET_NAME_BYTES - 1;
        while (bytes && ((unsigned char)text[bytes] & 0xc0) == 0x80) bytes--; /* not inside a character */
    }
    while (bytes && blank(text[bytes - 1])) bytes--;
    char *copy = ct_arena_copy(arena, text, bytes);
    for (size_t i = 0; copy && i < bytes; i++) {
        if (blank(copy[i])) copy[i] = ' ';
        if (section && copy[i] == ']') copy[i] = ')';
    }
    return copy;
}

bool ct_sheet_put_chord(ct_arena *arena, ct_sheet *sheet, size_t *capacity, int32_t step, const ct_symbol *symbol) {
    if (sheet->chord_count == 0 && step > 0) {
        ct_symbol none = ct_symbol_of_chord((ct_chord){CT_NO_CHORD, 0, 0}, -1);
        if (!ct_sheet_put_chord(arena, sheet, capacity, 0, &none)) return false;
    }
    ct_sheet_chord *last = sheet->chord_count ? &sheet->chords[sheet->chord_count - 1] : NULL;
    if (last && strcmp(last->symbol.text, symbol->text) == 0) return true;
    if (!CT_PUSH(arena, sheet->chords, sheet->chord_count, *capacity)) return false;
    sheet->chords[sheet->chord_count++] = (ct_sheet_chord){step, *symbol};
    return true;
}

/* ---- labels */

/* "Verse 2" and "verse" are one: lower case, without a number at the end. */
static void plain_name(const char *name, char plain[CT_SHEET_NAME_BYTES]) {
    size_t n = strlen(name), end;
    if (n >= CT_SHEET_NAME_BYTES) n = CT_SHEET_NAME_BYTES - 1;
    for (end = n; end && (isdigit((unsigned char)name[end - 1]) || name[end - 1] == ' ');) end--;
    if (end == 0) end = n; /* nothing but a number */
    for (size_t i = 0; i < end; i++) plain[i] = (char)tolower((unsigned char)name[i]);
    plain[end] = 0;
}

/* Label of a known name, -1 for all others. */
static int known_label(const char *plain) {
    static const struct {
        const char *name;
        int         label;
    } known[] = {
        {"intro", CT_SECTION_INTRO},    {"outro", CT_SECTION_OUTRO},         {"coda", CT_SECTION_OUTRO},
        {"ending", CT_SECTION_OUTRO},   {"interlude", CT_SECTION_INTERLUDE}, {"instrumental", CT_SECTION_INTERLUDE},
        {"solo", CT_SECTION_INTERLUDE}, {"pickup", CT_SECTION_PICKUP},       {"pick-up", CT_SECTION_PICKUP}};
    for (size_t i = 0; i < CT_COUNT(known); i++)
        if (strcmp(plain, known[i].name) == 0) return known[i].label;
    return -1;
}

ct_status ct_sheet_label(ct_sheet *sheet, int32_t *at) {
    char    letters[CT_SECTION_LETTERS][CT_SHEET_NAME_BYTES], plain[CT_SHEET_NAME_BYTES];
    int32_t used = 0, count = sheet->section_count;
    for (int32_t i = 0; i < count; i++) {
        ct_sheet_section *s = &sheet->sections[i];
        *at = i;
        plain_name(s->name, plain);
        int label = known_label(plain);
        if (label == CT_SECTION_PICKUP && (i > 0 || s->bars != 1 || count == 1))
            return ct_fail(CT_EFAIL, "[%s] has %d bars as section %d of %d, expected one bar before all others",
                           s->name, s->bars, i + 1, count);
        if (label == CT_SECTION_INTRO && i != (has_pickup(sheet) ? 1 : 0)) label = CT_SECTION_INTERLUDE;
        if (label == CT_SECTION_OUTRO && i != count - 1) label = CT_SECTION_INTERLUDE;
        if (label < 0) {
            for (label = 0; label < used && strcmp(letters[label], plain) != 0;) label++;
            if (label == used && used < CT_SECTION_LETTERS) memcpy(letters[used++], plain, sizeof plain);
            if (label == CT_SECTION_LETTERS) label--;
        }
        s->label = (uint8_t)label;
    }
    return CT_OK;
}

/* ---- from a piece */

static const char *label_name(int label) {
    static const char *const names[CT_SECTION_COUNT] = {"A", "B", "C",     "D",     "E",         "F",
                                                        "G", "H", "Intro", "Outro", "Interlude", "Pickup"};
    return names[label];
}

ct_status ct_sheet_from_piece(const ct_piece *piece, ct_arena *arena, ct_sheet *out) {
    ct_sheet s = {.bar_count = piece->bar_count, .section_count = piece->section_count};
    size_t   capacity = 0;
    s.title = ct_sheet_clean(arena, piece->title, strlen(piece->title), false);
    s.bars = CT_NEW(arena, ct_sheet_bar, (size_t)piece->bar_count);
    s.sections = CT_NEW(arena, ct_sheet_section, (size_t)piece->section_count);
    if (!s.title || !s.bars || !s.sections) return CT_ENOMEM;
    for (int32_t i = 0; i < piece->bar_count; i++) {
        const ct_bar *b = &piece->bars[i];
        s.bars[i] = (ct_sheet_bar){b->start, (int8_t)b->key, (int8_t)b->metre, ct_sheet_tempo(b->tempo)};
    }
    for (int32_t i = 0; i < piece->section_count; i++) {
        const ct_section *from = &piece->sections[i];
        s.sections[i] = (ct_sheet_section){label_name(from->label), from->label, from->first, from->bars};
    }
    for (int32_t i = 0; i < piece->change_count; i++) {
        const ct_change *c = &piece->changes[i];
        ct_symbol        symbol = ct_symbol_of_chord(c->chord, piece->bars[ct_piece_bar_at(piece, c->step)].key);
        if (!ct_sheet_put_chord(arena, &s, &capacity, c->step, &symbol)) return CT_ENOMEM;
    }
    *out = s;
    return CT_OK;
}

/* ---- to a piece */

/* How long chord `i` lasts, in steps. */
static int32_t chord_steps(const ct_sheet *sheet, int32_t i) {
    int32_t end = i + 1 < sheet->chord_count ? sheet->chords[i + 1].step : ct_sheet_steps(sheet);
    return end - sheet->chords[i].step;
}

/* The key whose scale (minor: with both sevenths) holds most of the chords' tones by time; its tonic chord counts a
 * quarter more, and where the sheet begins or ends on it, a tenth of the sheet more. */
static uint8_t fitting_key(const ct_sheet *sheet) {
    static const unsigned scales[2] = {0xab5, 0xdad};
    double                best = -1, whole = ct_sheet_steps(sheet);
    int                   found = 0;
    for (int key = 0; key < 24; key++) {
        double score = 0;
        for (int32_t i = 0; i < sheet->chord_count; i++) {
            const ct_symbol *symbol = &sheet->chords[i].symbol;
            if (symbol->chord.root == CT_NO_CHORD) continue;
            int      above = (symbol->chord.root - key % 12 + 12) % 12;
            unsigned tones = (unsigned)symbol->tones << above, minor_third = symbol->tones >> 3 & 1;
            tones = (tones | tones >> 12) & 0xfff;
            bool   tonic = above == 0 && (key >= 12) == minor_third;
            double held = __builtin_popcount(tones & scales[key / 12]) / (double)__builtin_popcount(tones);
            score += chord_steps(sheet, i) * (held + (tonic ? 0.25 : 0));
            if (tonic) score += whole * ((i == 0 ? 0.1 : 0) + (i == sheet->chord_count - 1 ? 0.1 : 0));
        }
        if (score > best + 1e-9) {
            best = score;
            found = key;
        }
    }
    return (uint8_t)found;
}

/* A section of any length as sections of at most 32 bars. */
static void cut_section(const ct_sheet_section *from, ct_piece *p) {
    for (int32_t done = 0; done < from->bars; done += CT_SECTION_BARS_MAX) {
        int32_t left = from->bars - done, bars = left < CT_SECTION_BARS_MAX ? left : CT_SECTION_BARS_MAX;
        uint8_t label = from->label;
        if (label == CT_SECTION_INTRO && done > 0) label = CT_SECTION_INTERLUDE;
        if (label == CT_SECTION_OUTRO && left > bars) label = CT_SECTION_INTERLUDE;
        p->sections[p->section_count++] = (ct_section){label, from->first + done, bars};
    }
}

ct_status ct_sheet_to_piece(const ct_sheet *sheet, ct_arena *arena, ct_piece *out, ct_sheet_open *open) {
    size_t   bars = (size_t)sheet->bar_count, sections = (size_t)sheet->section_count;
    int32_t  beats = ct_sheet_steps(sheet) / CT_STEPS_PER_BEAT;
    ct_piece p = {.title = sheet->title, .bar_count = sheet->bar_count, .beat_count = beats};
    p.bars = CT_NEW(arena, ct_bar, bars);
    p.sections = CT_NEW(arena, ct_section, sections + bars / CT_SECTION_BARS_MAX);
    p.changes = CT_NEW(arena, ct_change, (size_t)sheet->chord_count);
    p.rhythm = CT_NEW(arena, uint8_t, (size_t)beats);
    if (!p.bars || !p.sections || !p.changes || !p.rhythm) return CT_ENOMEM;
    uint8_t key = sheet->bars[0].key < 0 ? fitting_key(sheet) : 0;
    for (int32_t i = 0; i < sheet->bar_count; i++) {
        const ct_sheet_bar *b = &sheet->bars[i];
        p.bars[i] = (ct_bar){b->start, (uint8_t)ct_sheet_metre(sheet, i), b->key < 0 ? key : (uint8_t)b->key,
                             b->tempo > 0 ? b->tempo : 100};
    }
    for (int32_t i = 0; i < sheet->section_count; i++) cut_section(&sheet->sections[i], &p);
    for (int32_t i = 0; i < sheet->chord_count; i++) {
        ct_change change = {sheet->chords[i].step, sheet->chords[i].symbol.chord};
        if (p.change_count && ct_chord_same(p.changes[p.change_count - 1].chord, change.chord)) continue;
        p.changes[p.change_count++] = change;
    }
    if (open)
        *open = (ct_sheet_open){sheet->bars[0].key < 0, sheet->bars[0].tempo <= 0, sheet->bars[0].metre < 0,
                                sheet->section_count == 1 && !sheet->sections[0].name[0]};
    *out = p;
    return CT_OK;
}

/* ---- reductions */

enum { REDUCTIONS_MAX = 256 };

typedef struct list {
    ct_arena    *arena;
    const char **lines;
    size_t       count, capacity;
} list;

static ct_status put_line(list *l, const char *line) {
    if (!line || !CT_PUSH(l->arena, l->lines, l->count, l->capacity)) return CT_ENOMEM;
    l->lines[l->count++] = line;
    return CT_OK;
}

static int32_t bar_at(const ct_sheet *sheet, int32_t step) {
    int32_t low = 0, high = sheet->bar_count;
    while (high - low > 1) {
        int32_t middle = low + (high - low) / 2;
        if (sheet->bars[middle].start <= step)
            low = middle;
        else
            high = middle;
    }
    return low;
}

ct_status ct_sheet_reductions(const ct_sheet *sheet, ct_arena *arena, const char ***lines, size_t *count) {
    list    l = {.arena = arena};
    int32_t told[REDUCTIONS_MAX], told_count = 0;
    for (int32_t i = 0; i < sheet->chord_count && l.count < REDUCTIONS_MAX; i++) {
        const ct_sheet_chord *c = &sheet->chords[i];
        int32_t               bar = bar_at(sheet, c->step), number = ct_sheet_bar_number(sheet, bar), known = 0;
        while (known < told_count && strcmp(sheet->chords[told[known]].symbol.text, c->symbol.text) != 0) known++;
        if (c->symbol.reduced && known == told_count) {
            char ours[32];
            told[told_count++] = i;
            ct_chord_name(c->symbol.chord, sheet->bars[bar].key, ours, sizeof ours);
            CT_TRY(put_line(&l, ct_arena_printf(arena, "bar %d: %s becomes %s", number, c->symbol.text, ours)));
        }
        bool inside = c->step % CT_STEPS_PER_BEAT != 0;
        if (inside && i + 1 < sheet->chord_count && c[1].step / CT_STEPS_PER_BEAT == c->step / CT_STEPS_PER_BEAT)
            CT_TRY(put_line(&l, ct_arena_printf(arena, "bar %d: %s is left out, for %s follows in the same beat",
                                                number, c->symbol.text, c[1].symbol.text)));
    }
    *lines = l.lines;
    *count = l.count;
    return CT_OK;
}

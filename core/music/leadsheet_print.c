/* The canonical text of a lead sheet. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/music/leadsheet.h"
#include "core/music/leadsheet_private.h"

enum { BARS_A_LINE = 4 };

typedef struct printer {
    ct_arena *arena;
    char     *text;
    size_t    count, capacity;
    bool      failed;
} printer;

static void put_char(printer *p, char c) {
    p->failed = p->failed || !CT_PUSH(p->arena, p->text, p->count, p->capacity);
    if (!p->failed) p->text[p->count++] = c;
}

static void put(printer *p, const char *text) {
    for (; *text; text++) put_char(p, *text);
}

static const char *key_text(int key, char text[8]) {
    snprintf(text, 8, "%.*s%s", (int)strcspn(ct_key_name(key), ":"), ct_key_name(key), key >= 12 ? "m" : "");
    return text;
}

static const char *tempo_text(double tempo, char text[16]) {
    int hundredths = (int)(tempo * 100 + 0.5);
    if (hundredths % 100 == 0)
        snprintf(text, 16, "%d", hundredths / 100);
    else if (hundredths % 10 == 0)
        snprintf(text, 16, "%d.%d", hundredths / 100, hundredths / 10 % 10);
    else
        snprintf(text, 16, "%d.%02d", hundredths / 100, hundredths % 100);
    return text;
}

/* "key: G" and the like for what differs from `before`; `open` and `close` stand around each, `between` between two.
 * True when there was any. */
static bool put_settings(printer *p, const ct_sheet_bar *bar, const ct_sheet_bar *before, const char *open,
                         const char *close, const char *between) {
    char        key[8], tempo[16];
    const char *names[3], *values[3];
    int         count = 0;
    if (bar->key >= 0 && bar->key != before->key) {
        names[count] = "key: ";
        values[count++] = key_text(bar->key, key);
    }
    if (bar->tempo > 0 && bar->tempo != before->tempo) {
        names[count] = "tempo: ";
        values[count++] = tempo_text(bar->tempo, tempo);
    }
    if (bar->metre >= 0 && bar->metre != before->metre) {
        names[count] = "meter: ";
        values[count++] = ct_metre_at(bar->metre)->name;
    }
    for (int i = 0; i < count; i++) {
        put(p, i ? between : "");
        put(p, open);
        put(p, names[i]);
        put(p, values[i]);
        put(p, close);
    }
    return count > 0;
}

/* The fewest equal shares of a bar such that every chord of it begins with one. */
static int32_t shares_of(const ct_sheet *s, int32_t bar, int32_t first, int32_t end) {
    int32_t beats = ct_metre_at(ct_sheet_metre(s, bar))->beats, steps = beats * CT_STEPS_PER_BEAT;
    for (int32_t shares = 1; shares < steps; shares++) {
        if (shares <= beats ? beats % shares : steps % shares) continue;
        bool fits = true;
        for (int32_t i = first; i < end && fits; i++)
            fits = (s->chords[i].step - s->bars[bar].start) % (steps / shares) == 0;
        if (fits) return shares;
    }
    return steps;
}

static void put_bar(printer *p, const ct_sheet *s, int32_t bar) {
    int32_t start = s->bars[bar].start, steps = ct_metre_steps(ct_sheet_metre(s, bar));
    int32_t chord = ct_sheet_chord_at(s, start), end = ct_sheet_chord_at(s, start + steps - 1) + 1;
    int32_t shares = shares_of(s, bar, chord + 1, end);
    for (int32_t i = 0; i < shares; i++) {
        int32_t step = start + i * (steps / shares);
        bool    begins = i == 0 || (chord + 1 < end && s->chords[chord + 1].step == step);
        if (i > 0 && begins) chord++;
        put(p, " ");
        put(p, begins ? s->chords[chord].symbol.text : ".");
    }
    put(p, " |");
}

static void put_section(printer *p, const ct_sheet *s, const ct_sheet_section *section) {
    int32_t in_line = 0;
    if (section->name[0]) {
        put(p, "[");
        put(p, section->name);
        put(p, "]\n");
    }
    for (int32_t i = section->first; i < section->first + section->bars; i++) {
        const ct_sheet_bar *bar = &s->bars[i], *before = i ? bar - 1 : bar;
        bool changes = bar->key != before->key || bar->tempo != before->tempo || bar->metre != before->metre;
        if (in_line && (changes || in_line == BARS_A_LINE)) {
            put(p, "\n");
            in_line = 0;
        }
        if (put_settings(p, bar, before, "{", "}", " ")) put(p, "\n");
        if (in_line++ == 0) put(p, "|");
        put_bar(p, s, i);
    }
    put(p, "\n");
}

char *ct_sheet_print(const ct_sheet *sheet, ct_arena *arena) {
    const ct_sheet_bar open = {0, -1, -1, 0};
    printer            p = {.arena = arena};
    bool               header = sheet->title[0] != 0;
    if (header) {
        put(&p, "title: ");
        put(&p, sheet->title);
        put(&p, "\n");
    }
    header |= put_settings(&p, &sheet->bars[0], &open, "", "\n", "");
    for (int32_t i = 0; i < sheet->section_count; i++) {
        if (i || header) put(&p, "\n");
        put_section(&p, sheet, &sheet->sections[i]);
    }
    put_char(&p, 0);
    return p.failed ? NULL : p.text;
}

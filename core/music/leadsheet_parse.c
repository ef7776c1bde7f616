/* The text of a lead sheet, line by line. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/music/leadsheet.h"
#include "core/music/leadsheet_private.h"

/* A stretch of the text. */
typedef struct span {
    const char *at, *end;
} span;

typedef struct parser {
    const char  *name, *text, *end;
    ct_arena    *arena;
    ct_sheet     sheet;
    size_t       bars, sections, chords; /* room in the arrays */
    const char **section_at;             /* where each section's name stands */
    size_t       places;                 /* room in it */
    int8_t       key, metre;             /* in force */
    double       tempo;
} parser;

/* Fail at a place in the text: "name:line:column: message"; columns count characters. */
static ct_status fail_at(const parser *p, const char *at, const char *format, ...) CT_PRINTF(3, 4);
static ct_status fail_at(const parser *p, const char *at, const char *format, ...) {
    char    message[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    size_t line = 1, column = 1;
    for (const char *c = p->text; c < at; c++) {
        if (*c == '\n' || (*c == '\r' && !(c + 1 < p->end && c[1] == '\n'))) {
            line++;
            column = 1;
        } else if (((unsigned char)*c & 0xc0) != 0x80) {
            column++;
        }
    }
    return ct_fail(CT_EFAIL, "%s:%zu:%zu: %s", p->name, line, column, message);
}

static span trim(span s) {
    while (s.at < s.end && isspace((unsigned char)*s.at)) s.at++;
    while (s.at < s.end && isspace((unsigned char)s.end[-1])) s.end--;
    return s;
}

static size_t length(span s) {
    return (size_t)(s.end - s.at);
}

/* For "%.*s": no more of it than a message should show. */
static int shown(span s) {
    return length(s) < 40 ? (int)length(s) : 40;
}

static bool is(span s, const char *word) {
    return length(s) == strlen(word) && strncasecmp(s.at, word, length(s)) == 0;
}

/* ---- key, tempo, metre */

static ct_status read_key(parser *p, span value) {
    int key = ct_key_parse(value.at, length(value));
    if (key < 0)
        return fail_at(p, value.at, "found key '%.*s', expected a key such as G, Bb, F#m or A minor", shown(value),
                       value.at);
    p->key = (int8_t)key;
    return CT_OK;
}

static ct_status read_tempo(parser *p, span value) {
    int32_t     hundredths = 0, decimals = -1;
    const char *c = value.at;
    for (; c < value.end && (isdigit((unsigned char)*c) || (*c == '.' && decimals < 0)) && hundredths < 1000000; c++) {
        if (*c == '.')
            decimals = 0;
        else if (decimals < 2) {
            hundredths = 10 * hundredths + (*c - '0');
            decimals += decimals >= 0;
        } else
            break;
    }
    for (decimals = decimals < 0 ? 0 : decimals; decimals < 2; decimals++) hundredths *= 10;
    span unit = trim((span){c, value.end});
    if (c == value.at || !(is(unit, "") || is(unit, "bpm")) || hundredths < 100 * CT_SHEET_TEMPO_MIN ||
        hundredths > 100 * CT_SHEET_TEMPO_MAX)
        return fail_at(p, value.at, "found tempo '%.*s', expected %d to %d beats a minute, with two decimals at most",
                       shown(value), value.at, CT_SHEET_TEMPO_MIN, CT_SHEET_TEMPO_MAX);
    p->tempo = hundredths / 100.0;
    return CT_OK;
}

static ct_status read_metre(parser *p, span value) {
    for (int i = 0; i < CT_METRE_COUNT; i++)
        if (is(value, ct_metre_at(i)->name)) {
            p->metre = (int8_t)i;
            return CT_OK;
        }
    return fail_at(p, value.at, "found meter '%.*s', expected 2/4, 3/4, 4/4, 2/2, 6/8, 9/8, 12/8, 5/8 or 7/8",
                   shown(value), value.at);
}

static ct_status read_title(parser *p, span value) {
    if (length(value) >= CT_SHEET_NAME_BYTES)
        return fail_at(p, value.at, "a title of %zu bytes, expected at most %d", length(value),
                       CT_SHEET_NAME_BYTES - 1);
    p->sheet.title = ct_sheet_clean(p->arena, value.at, length(value), false);
    return p->sheet.title ? CT_OK : CT_ENOMEM;
}

typedef ct_status (*setter)(parser *p, span value);

/* What reads the value of a setting; NULL for a word that is none. */
static setter setting(span word) {
    if (is(word, "key")) return read_key;
    if (is(word, "tempo")) return read_tempo;
    if (is(word, "meter") || is(word, "metre") || is(word, "time")) return read_metre;
    return is(word, "title") ? read_title : NULL;
}

/* The letters a stretch begins with. */
static span first_word(span s) {
    span word = {s.at, s.at};
    while (word.end < s.end && isalpha((unsigned char)*word.end)) word.end++;
    return word;
}

/* The value behind a setting's word: a colon, spaces or both stand between. */
static span value_of(span s, span word) {
    span value = trim((span){word.end, s.end});
    if (value.at < value.end && *value.at == ':') value.at++;
    return trim(value);
}

static bool is_header(span line) {
    span word = first_word(line);
    return setting(word) && word.end < line.end && (*word.end == ':' || isspace((unsigned char)*word.end));
}

static ct_status read_header(parser *p, span line) {
    span word = first_word(line);
    if (p->sheet.bar_count)
        return fail_at(p, line.at,
                       "found '%.*s' after the first bar, expected it above (hint: write {key: G} for a change)",
                       shown(line), line.at);
    return setting(word)(p, value_of(line, word));
}

/* "{key: G}" at the start of *rest, which then begins behind it. */
static ct_status read_change(parser *p, span *rest) {
    const char *close = memchr(rest->at, '}', length(*rest));
    if (!close) return fail_at(p, rest->at, "found '{', expected '}' on the same line");
    span inner = trim((span){rest->at + 1, close}), word = first_word(inner);
    if (!setting(word) || is(word, "title"))
        return fail_at(p, inner.at, "found '%.*s', expected key:, tempo: or meter:", shown(inner), inner.at);
    CT_TRY(setting(word)(p, value_of(inner, word)));
    *rest = trim((span){close + 1, rest->end});
    return CT_OK;
}

/* ---- bars */

static ct_status end_section(const parser *p) {
    const ct_sheet *s = &p->sheet;
    if (s->section_count && s->sections[s->section_count - 1].bars == 0)
        return fail_at(p, p->section_at[s->section_count - 1], "section [%s] has no bars, expected bars between '|'",
                       s->sections[s->section_count - 1].name);
    return CT_OK;
}

static ct_status begin_section(parser *p, const char *at, const char *name) {
    ct_sheet *s = &p->sheet;
    CT_TRY(end_section(p));
    if (!name || !CT_PUSH(p->arena, s->sections, s->section_count, p->sections) ||
        !CT_PUSH(p->arena, p->section_at, s->section_count, p->places))
        return CT_ENOMEM;
    p->section_at[s->section_count] = at;
    s->sections[s->section_count++] = (ct_sheet_section){name, 0, s->bar_count, 0};
    return CT_OK;
}

/* A bar with what is in force; its chords follow. */
static ct_status begin_bar(parser *p, const char *at) {
    ct_sheet *s = &p->sheet;
    if (s->bar_count == CT_SHEET_BARS_MAX) return fail_at(p, at, "more than %d bars", CT_SHEET_BARS_MAX);
    if (s->section_count == 0) CT_TRY(begin_section(p, at, ""));
    int32_t start = ct_sheet_steps(s);
    if (!CT_PUSH(p->arena, s->bars, s->bar_count, p->bars)) return CT_ENOMEM;
    s->bars[s->bar_count++] = (ct_sheet_bar){start, p->key, p->metre, p->tempo};
    s->sections[s->section_count - 1].bars++;
    return CT_OK;
}

static ct_status put_chord(parser *p, int32_t step, const ct_symbol *symbol) {
    return ct_sheet_put_chord(p->arena, &p->sheet, &p->chords, step, symbol) ? CT_OK : CT_ENOMEM;
}

static ct_status repeat_bar(parser *p, const char *at) {
    ct_sheet *s = &p->sheet;
    int32_t   bar = s->bar_count - 1, count = s->chord_count;
    if (bar == 0) return fail_at(p, at, "found '%%' in the first bar, expected a chord: there is no bar to repeat");
    if (ct_sheet_metre(s, bar) != ct_sheet_metre(s, bar - 1))
        return fail_at(p, at, "found '%%' where the meter changes, expected the chords written out");
    int32_t from = s->bars[bar - 1].start, to = s->bars[bar].start;
    for (int32_t i = ct_sheet_chord_at(s, from); i >= 0 && i < count; i++) {
        ct_sheet_chord chord = s->chords[i];
        CT_TRY(put_chord(p, chord.step < from ? to : to + chord.step - from, &chord.symbol));
    }
    return CT_OK;
}

/* The next chord or sign of a bar: up to a space outside parentheses. */
static span next_item(span *rest) {
    span item = {rest->at, rest->at};
    for (int depth = 0; item.end < rest->end && (depth > 0 || !isspace((unsigned char)*item.end)); item.end++) {
        if (*item.end == '(') depth++;
        if (*item.end == ')') depth--;
    }
    *rest = trim((span){item.end, rest->end});
    return item;
}

static bool is_hold(span item) {
    return is(item, ".") || is(item, "-") || is(item, "/");
}

static ct_status read_symbol(parser *p, span item, ct_symbol *symbol) {
    size_t column;
    if (ct_symbol_parse(item.at, length(item), symbol, &column) == CT_OK) return CT_OK;
    char message[512];
    snprintf(message, sizeof message, "%s", ct_message());
    return fail_at(p, item.at + column - 1, "%s", message);
}

static ct_status read_chords(parser *p, span content) {
    enum { MOST = 7 * CT_STEPS_PER_BEAT }; /* every step of the longest bar */
    span      items[MOST], rest = content;
    int32_t   count = 0, bar = p->sheet.bar_count - 1;
    int32_t   beats = ct_metre_at(ct_sheet_metre(&p->sheet, bar))->beats, start = p->sheet.bars[bar].start;
    ct_symbol symbol;
    while (rest.at < rest.end) {
        if (*rest.at == '{') return fail_at(p, rest.at, "found '{' after a chord, expected it before the bar's first");
        if (count == MOST) return fail_at(p, rest.at, "more than %d chords in a bar", MOST);
        items[count++] = next_item(&rest);
    }
    if (count == 1 && is(items[0], "%")) return repeat_bar(p, items[0].at);
    for (int32_t i = 0; i < count; i++) {
        int32_t step = ct_sheet_share(i, count, beats);
        if (step < 0)
            return fail_at(p, content.at,
                           "found %d chords in a bar of %d beats, expected a number that shares them evenly "
                           "(hint: hold a chord on with '.')",
                           count, beats);
        if (is_hold(items[i])) continue;
        if (is(items[i], "%")) return fail_at(p, items[i].at, "found '%%' beside chords, expected it alone in its bar");
        CT_TRY(read_symbol(p, items[i], &symbol));
        CT_TRY(put_chord(p, start + step, &symbol));
    }
    return CT_OK;
}

/* What stands between two bar lines. `edge`: it is open to one side, and no bar when nothing or only changes stand
 * there. */
static ct_status read_bar(parser *p, span content, bool edge) {
    content = trim(content);
    while (content.at < content.end && *content.at == '{') CT_TRY(read_change(p, &content));
    if (edge && content.at == content.end) return CT_OK;
    CT_TRY(begin_bar(p, content.at));
    return read_chords(p, content);
}

static ct_status read_bars(parser *p, span line) {
    const char *bar_line = memchr(line.at, '|', length(line));
    while (!bar_line && line.at < line.end && *line.at == '{') CT_TRY(read_change(p, &line));
    if (!bar_line && line.at == line.end) return CT_OK;
    if (!bar_line)
        return fail_at(p, line.at,
                       "found '%.*s', expected bars between '|', a [section], or title:, key:, tempo:, meter: "
                       "(hint: comments begin with '#')",
                       shown(line), line.at);
    for (bool edge = true; bar_line; edge = false) {
        CT_TRY(read_bar(p, (span){line.at, bar_line}, edge));
        for (line.at = bar_line + 1; line.at < line.end && *line.at == '|';) line.at++; /* "||" is one bar line */
        bar_line = memchr(line.at, '|', length(line));
    }
    return read_bar(p, line, true);
}

/* ---- lines */

static ct_status read_section(parser *p, span line) {
    const char *close = memchr(line.at, ']', length(line));
    if (!close) return fail_at(p, line.at, "found '[', expected ']' on the same line");
    span name = trim((span){line.at + 1, close}), rest = trim((span){close + 1, line.end});
    if (length(name) == 0) return fail_at(p, line.at, "found '[]', expected a name such as [A] or [Verse]");
    if (length(name) >= CT_SHEET_NAME_BYTES)
        return fail_at(p, name.at, "a name of %zu bytes, expected at most %d", length(name), CT_SHEET_NAME_BYTES - 1);
    CT_TRY(begin_section(p, line.at, ct_sheet_clean(p->arena, name.at, length(name), true)));
    return rest.at < rest.end ? read_bars(p, rest) : CT_OK;
}

static ct_status read_line(parser *p, span line) {
    line = trim(line);
    if (line.at == line.end || *line.at == '#') return CT_OK;
    if (*line.at == '[') return read_section(p, line);
    return is_header(line) ? read_header(p, line) : read_bars(p, line);
}

static ct_status check_bytes(const parser *p) {
    for (const char *c = p->text; c < p->end; c++)
        if (((unsigned char)*c < ' ' && *c != '\t' && *c != '\n' && *c != '\r') || *c == 127)
            return fail_at(p, c, "found byte 0x%02x, expected text", (unsigned char)*c);
    return CT_OK;
}

static ct_status label_sections(parser *p) {
    int32_t at;
    char    message[512];
    if (ct_sheet_label(&p->sheet, &at) == CT_OK) return CT_OK;
    snprintf(message, sizeof message, "%s", ct_message());
    return fail_at(p, p->section_at[at], "%s", message);
}

ct_status ct_sheet_parse(const char *name, const char *text, size_t bytes, ct_arena *arena, ct_sheet *out) {
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    if (bytes > CT_SHEET_BYTES_MAX)
        return ct_fail(CT_EFAIL, "%s: %zu bytes, a lead sheet has at most %d", name, bytes, CT_SHEET_BYTES_MAX);
    bool   marked = bytes >= 3 && memcmp(text, byte_order_mark, 3) == 0;
    parser p = {
        .name = name, .text = text + (marked ? 3 : 0), .end = text + bytes, .arena = arena, .key = -1, .metre = -1};
    p.sheet.title = "";
    CT_TRY(check_bytes(&p));
    for (const char *at = p.text; at < p.end;) {
        span line = {at, at};
        while (line.end < p.end && *line.end != '\n' && *line.end != '\r') line.end++;
        CT_TRY(read_line(&p, line));
        at = line.end + 1;
    }
    CT_TRY(end_section(&p));
    if (p.sheet.bar_count == 0)
        return fail_at(&p, p.end, "the sheet ends without a bar, expected bars such as | C | G7 |");
    if (p.sheet.chord_count == 0) {
        ct_symbol none = ct_symbol_of_chord((ct_chord){CT_NO_CHORD, 0, 0}, -1);
        CT_TRY(put_chord(&p, 0, &none));
    }
    CT_TRY(label_sections(&p));
    *out = p.sheet;
    return CT_OK;
}

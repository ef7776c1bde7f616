/* chord_symbol.c -- see chord_symbol.h. */
#include "core/music/chord_symbol.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- reading */

typedef struct reader {
    const char *text;
    size_t      at, end;
    const char *expected; /* set where reading failed, with `at` */
} reader;

static bool fail_at(reader *r, const char *expected) {
    r->expected = expected;
    return false;
}

static bool skip(reader *r, const char *word) {
    size_t n = strlen(word);
    if (r->end - r->at < n || memcmp(r->text + r->at, word, n) != 0) return false;
    r->at += n;
    return true;
}

/* Skip one of `words`, which end with NULL; longer words stand before their beginnings. */
static bool skip_any(reader *r, const char *const *words) {
    for (; *words; words++)
        if (skip(r, *words)) return true;
    return false;
}

static bool digit_next(const reader *r) {
    return r->at < r->end && r->text[r->at] >= '0' && r->text[r->at] <= '9';
}

static int accidentals(reader *r) {
    int sum = 0;
    for (;;) {
        if (skip(r, "#") || skip(r, "♯"))
            sum++;
        else if (skip(r, "b") || skip(r, "♭"))
            sum--;
        else
            return sum;
    }
}

/* 0 when there is no number; at most two digits. */
static int number(reader *r) {
    int n = 0;
    for (int i = 0; i < 2 && digit_next(r); i++) n = 10 * n + (r->text[r->at++] - '0');
    return n;
}

static int note(reader *r) {
    static const int letters[7] = {9, 11, 0, 2, 4, 5, 7};
    if (r->at == r->end || r->text[r->at] < 'A' || r->text[r->at] > 'G') return -1;
    int pitch = letters[r->text[r->at++] - 'A'];
    return ((pitch + accidentals(r)) % 12 + 12) % 12;
}

int ct_note_parse(const char *text, size_t bytes, size_t *used) {
    reader r = {text, 0, bytes, NULL};
    int    pitch = note(&r);
    *used = r.at;
    return pitch;
}

/* ---- what a symbol is made of, while it is read */

typedef struct recipe {
    bool     harte;
    int      third, fifth, seventh; /* semitones above the root; 0: none */
    bool     major, diminished;     /* what kind of seventh a 7 means */
    bool     stacked;               /* a number has been read */
    int      depth;                 /* open parentheses */
    unsigned added, removed;
} recipe;

/* Semitones of a degree of the major scale, 1..13; -1: no such degree. */
static int degree_semitones(int degree) {
    static const int semitones[14] = {-1, 0, 2, 4, 5, 7, 9, 11, 0, 2, 4, 5, 7, 9};
    return degree >= 1 && degree <= 13 ? semitones[degree] : -1;
}

static unsigned bit(int semitones) {
    return 1u << ((semitones % 12 + 12) % 12);
}

/* A degree with its accidentals: "b9", "#11", "5". */
static bool degree(reader *r, int *which, int *semitones) {
    int    alter = accidentals(r);
    size_t at = r->at;
    *which = number(r);
    *semitones = degree_semitones(*which);
    if (*semitones < 0) {
        r->at = at;
        return fail_at(r, "a degree from 1 to 13");
    }
    *semitones += alter;
    return true;
}

/* b5, #9 ...: the altered fifth and third replace, all others add. */
static void alter(recipe *c, int which, int semitones) {
    if (which == 5 && !c->harte) {
        c->fifth = 0;
        c->added |= bit(semitones);
    } else if (which == 3 && !c->harte) {
        c->third = semitones;
    } else {
        c->added |= bit(semitones);
    }
}

/* A plain number outside parentheses. */
static bool stack(reader *r, recipe *c) {
    size_t at = r->at;
    int    n = number(r);
    if (n == 69 || (n == 6 && skip(r, "/9"))) {
        c->added |= bit(9) | bit(2);
    } else if (n == 5) {
        c->third = 0;
    } else if (n == 2 || n == 4 || n == 6) {
        c->added |= bit(degree_semitones(n));
    } else if (n == 7 || n == 9 || n == 11 || n == 13) {
        c->seventh = c->major ? 11 : c->diminished ? 9 : 10;
        if (n >= 9) c->added |= bit(2);
        if (n == 11) c->added |= bit(5);
        if (n == 13) c->added |= bit(9);
    } else {
        r->at = at;
        return fail_at(r, "2, 4, 5, 6, 69, 7, 9, 11 or 13");
    }
    c->stacked = true;
    return true;
}

/* A '+' or '-' in front of a degree that it alters: "7+5", "7-9", "+5". */
static bool signed_degree(reader *r, recipe *c) {
    if (r->end - r->at < 2 || (r->text[r->at] != '+' && r->text[r->at] != '-')) return false;
    char following = r->text[r->at + 1];
    if (following != '5' && !(c->stacked && (following == '9' || following == '1'))) return false;
    int sign = r->text[r->at] == '+' ? 1 : -1, which, semitones;
    r->at++;
    if (degree(r, &which, &semitones)) alter(c, which, semitones + sign);
    return true;
}

static void suspend(reader *r, recipe *c) {
    c->third = 0;
    c->added |= bit(skip(r, "2") ? 2 : 5);
    skip(r, "4");
}

static bool take_out(reader *r, recipe *c) {
    int which, semitones;
    if (!degree(r, &which, &semitones)) return false;
    if (bit(semitones) == 1) return fail_at(r, "a degree other than the root");
    c->removed |= bit(semitones);
    return true;
}

static void triad(recipe *c, int third, int fifth) {
    c->third = third;
    c->fifth = fifth;
}

/* One of the words a symbol is put together from. False on failure. */
static bool part(reader *r, recipe *c) {
    static const char *const triangle[] = {"Δ", "△", "^", NULL}, *const major[] = {"major", "maj", "Maj",
                                                                                   "MAJ",   "M",   NULL};
    static const char *const minor[] = {"minor", "min", "mi", "m", "-", NULL}, *const diminished[] = {"dim", "°", "º",
                                                                                                      "o", NULL};
    static const char *const half[] = {"hdim", "ø", "Ø", NULL}, *const augmented[] = {"aug", "+", NULL};
    int which, semitones;
    if (signed_degree(r, c)) return !r->expected;
    if (skip_any(r, triangle)) {
        c->major = true;
        c->seventh = 11;
    } else if (skip_any(r, major)) {
        c->major = true;
        if (c->depth && skip(r, "7")) c->seventh = 11; /* Cm(maj7) */
    } else if (r->end - r->at > 2 && memcmp(r->text + r->at, "ma", 2) == 0 && r->text[r->at + 2] < 'a') {
        r->at += 2; /* Cma7, but not Cmadd9 */
        c->major = true;
    } else if (skip_any(r, half)) {
        triad(c, 3, 6);
        c->seventh = 10;
    } else if (skip_any(r, diminished)) {
        triad(c, 3, 6);
        c->diminished = true;
    } else if (skip_any(r, augmented)) {
        c->fifth = 8;
    } else if (skip(r, "sus")) {
        suspend(r, c);
    } else if (skip(r, "add")) {
        if (!degree(r, &which, &semitones)) return false;
        c->added |= bit(semitones);
    } else if (skip(r, "alt")) {
        c->fifth = 0;
        c->seventh = 10;
        c->added |= bit(6) | bit(1) | bit(3) | bit(8);
    } else if (skip(r, "no") || skip(r, "omit") || skip(r, "*")) {
        return take_out(r, c);
    } else if (skip_any(r, minor)) {
        c->third = 3;
    } else if (digit_next(r) && !c->depth) {
        return stack(r, c);
    } else if (digit_next(r)) {
        if (!degree(r, &which, &semitones)) return false;
        c->added |= bit(which == 7 && !c->harte ? 10 : semitones);
    } else {
        size_t at = r->at;
        accidentals(r);
        if (at == r->at) return fail_at(r, "a quality such as m, maj7, 7, dim, sus4, (b9), or a bass such as /E");
        r->at = at;
        if (!degree(r, &which, &semitones)) return false;
        alter(c, which, semitones);
    }
    return true;
}

static bool parts(reader *r, recipe *c) {
    while (r->at < r->end && (c->depth || r->text[r->at] != '/')) {
        if (skip(r, "(")) {
            c->depth++;
        } else if (c->depth && skip(r, ")")) {
            c->depth--;
        } else if (c->depth && (skip(r, ",") || skip(r, " "))) {
            continue;
        } else if (!part(r, c)) {
            return false;
        }
    }
    return c->depth ? fail_at(r, "')'") : true;
}

static bool bass(reader *r, int root, uint8_t *out) {
    *out = 0;
    if (!skip(r, "/")) return true;
    int which, semitones, pitch = note(r);
    if (pitch < 0) {
        if (!degree(r, &which, &semitones))
            return fail_at(r, "a bass note such as E, or a degree of Harte's such as b3");
        pitch = root + semitones;
    }
    *out = (uint8_t)(((pitch - root) % 12 + 12) % 12);
    return r->at == r->end ? true : fail_at(r, "the end of the chord after its bass");
}

static bool symbol(reader *r, ct_symbol *out) {
    static const char *const none[] = {"N.C.", "N.C", "NC", "N", NULL};
    if (skip_any(r, none)) {
        out->chord = (ct_chord){CT_NO_CHORD, 0, 0};
        return r->at == r->end ? true : fail_at(r, "the end after N.C.");
    }
    recipe c = {.third = 4, .fifth = 7};
    int    root = note(r);
    if (root < 0) return fail_at(r, "a root from A to G, or N.C.");
    c.harte = skip(r, ":");
    if (c.harte && r->at < r->end && r->text[r->at] == '(') c.third = c.fifth = 0;
    if (!parts(r, &c)) return false;
    unsigned tones = 1u | c.added;
    if (c.third) tones |= bit(c.third);
    if (c.fifth) tones |= bit(c.fifth);
    if (c.seventh) tones |= bit(c.seventh);
    out->tones = (uint16_t)(tones & ~c.removed);
    out->chord = (ct_chord){(uint8_t)root, (uint8_t)ct_quality_nearest(out->tones), 0};
    out->reduced = out->tones != ct_quality_mask(out->chord.quality);
    return bass(r, root, &out->chord.bass);
}

ct_status ct_symbol_parse(const char *text, size_t bytes, ct_symbol *out, size_t *column) {
    reader r = {text, 0, bytes, NULL};
    int    shown = bytes < CT_SYMBOL_BYTES ? (int)bytes : CT_SYMBOL_BYTES - 1;
    *out = (ct_symbol){.tones = 0};
    if (column) *column = 1;
    if (bytes >= CT_SYMBOL_BYTES)
        return ct_fail(CT_EFAIL, "chord \"%.*s...\": %zu bytes, at most %d", shown, text, bytes, CT_SYMBOL_BYTES - 1);
    if (!symbol(&r, out)) {
        if (column) *column = r.at + 1;
        if (r.at == r.end)
            return ct_fail(CT_EFAIL, "chord \"%.*s\": it ends where there should be %s", shown, text, r.expected);
        return ct_fail(CT_EFAIL, "chord \"%.*s\": found '%.*s', expected %s", shown, text, (int)(r.end - r.at),
                       text + r.at, r.expected);
    }
    memcpy(out->text, text, bytes);
    return CT_OK;
}

/* ---- our own */

int ct_quality_nearest(uint16_t tones) {
    for (int q = 0; q < CT_QUALITY_COUNT; q++)
        if (ct_quality_mask(q) == tones) return q;
#define HAS(semitones) (tones >> (semitones)&1)
    bool flat_fifth = HAS(6) && !HAS(7), sharp_fifth = HAS(8) && !HAS(7) && !HAS(6);
    if (HAS(4)) {
        if (HAS(10)) return CT_DOM7;
        if (HAS(11)) return CT_MAJ7;
        if (sharp_fifth) return CT_AUG;
        return HAS(9) ? CT_MAJ6 : CT_MAJ;
    }
    if (HAS(3)) {
        if (HAS(10)) return flat_fifth ? CT_HDIM7 : CT_MIN7;
        if (flat_fifth) return HAS(9) && !HAS(11) ? CT_DIM7 : CT_DIM;
        if (HAS(11)) return CT_MINMAJ7;
        return HAS(9) ? CT_MIN6 : CT_MIN;
    }
    if (HAS(5)) return HAS(10) ? CT_SUS4B7 : CT_SUS4;
    if (HAS(2)) return HAS(10) ? CT_SUS4B7 : CT_SUS2;
    if (HAS(10)) return CT_DOM7;
    if (HAS(11)) return CT_MAJ7;
    return CT_POWER;
#undef HAS
}

ct_symbol ct_symbol_of_chord(ct_chord chord, int key) {
    static const char *const suffixes[CT_QUALITY_COUNT] = {
        [CT_MAJ] = "",      [CT_MIN] = "m",           [CT_DIM] = "dim",      [CT_AUG] = "aug",
        [CT_MAJ7] = "maj7", [CT_MIN7] = "m7",         [CT_DOM7] = "7",       [CT_HDIM7] = "m7b5",
        [CT_DIM7] = "dim7", [CT_MINMAJ7] = "m(maj7)", [CT_MAJ6] = "6",       [CT_MIN6] = "m6",
        [CT_SUS2] = "sus2", [CT_SUS4] = "sus4",       [CT_SUS4B7] = "7sus4", [CT_POWER] = "5",
    };
    ct_symbol symbol_of = {.chord = chord};
    if (chord.root == CT_NO_CHORD) {
        snprintf(symbol_of.text, sizeof symbol_of.text, "N.C.");
        return symbol_of;
    }
    CT_ASSERT(chord.root < 12 && chord.quality < CT_QUALITY_COUNT && chord.bass < 12);
    symbol_of.tones = ct_quality_mask(chord.quality);
    snprintf(symbol_of.text, sizeof symbol_of.text, "%s%s%s%s", ct_pitch_class_name(chord.root, key),
             suffixes[chord.quality], chord.bass ? "/" : "",
             chord.bass ? ct_pitch_class_name((chord.root + chord.bass) % 12, key) : "");
    return symbol_of;
}

int ct_key_parse(const char *text, size_t bytes) {
    static const char *const words[2][6] = {{"maj", "major", ":maj", " major", " maj", ""},
                                            {"min", "minor", ":min", " minor", " min", "-"}};
    size_t                   used;
    int                      tonic = ct_note_parse(text, bytes, &used);
    if (tonic < 0) return -1;
    const char *mode = text + used;
    size_t      n = bytes - used;
    if (n == 1 && (*mode == 'm' || *mode == 'M'))
        return *mode == 'm' ? 12 + tonic : tonic; /* the one place where case tells */
    for (int minor = 0; minor < 2; minor++)
        for (size_t i = 0; i < CT_COUNT(words[minor]); i++)
            if (strlen(words[minor][i]) == n && strncasecmp(mode, words[minor][i], n) == 0) return 12 * minor + tonic;
    return -1;
}

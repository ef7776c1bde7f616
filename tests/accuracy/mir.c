/* mir.c -- see mir.h. */
#include "mir.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const mir_comparison_names[MIR_COMPARISONS] = {"root",        "thirds",     "triads",       "tetrads",
                                                           "majmin",      "sevenths",   "thirds_inv",   "triads_inv",
                                                           "tetrads_inv", "majmin_inv", "sevenths_inv", "mirex"};

/* ---- labels: unlike chord_symbol.h, mir_eval leaves ninths, elevenths and thirteenths away */
static const struct quality {
    const char *name;
    uint16_t    tones;
} QUALITIES[] = {{"maj", 0x091},   {"min", 0x089},  {"aug", 0x111},   {"dim", 0x049},   {"sus4", 0x0a1},
                 {"sus2", 0x085},  {"7", 0x491},    {"maj7", 0x891},  {"min7", 0x489},  {"minmaj7", 0x889},
                 {"maj6", 0x291},  {"min6", 0x289}, {"dim7", 0x249},  {"hdim7", 0x449}, {"maj9", 0x891},
                 {"min9", 0x489},  {"9", 0x491},    {"min11", 0x489}, {"11", 0x491},    {"maj13", 0x891},
                 {"min13", 0x489}, {"13", 0x491},   {"1", 0x001},     {"5", 0x081},     {"", 0x001}};

/* Semitones of "b7", "5", "#11": 0..23, -1 when it is no degree. *text moves past it. */
static int read_degree(const char **text) {
    static const int STEP[] = {0, 2, 4, 5, 7, 9, 11};
    int              shift = 0;
    for (; **text == 'b' || **text == '#'; ++*text) shift += **text == '#' ? 1 : -1;
    char *end;
    long  degree = strtol(*text, &end, 10);
    if (end == *text || degree < 1 || degree > 13) return -1;
    *text = end;
    return (STEP[(degree - 1) % 7] + (degree > 7 ? 12 : 0) + shift + 24) % 24;
}

/* "(b7,*5,9)": tones added and taken away. */
static bool read_degrees(const char **text, uint16_t *tones) {
    uint16_t added = 0, taken = 0;
    do {
        ++*text;
        bool take = **text == '*';
        if (take) ++*text;
        int degree = read_degree(text);
        if (degree < 0) return false;
        if (degree < 12) *(take ? &taken : &added) |= (uint16_t)(1 << degree);
    } while (**text == ',');
    *tones = (uint16_t)((*tones & ~taken) | (added & ~taken) | (*tones & added));
    return *(*text)++ == ')';
}

static bool read_quality(const char **text, uint16_t *tones) {
    size_t n = strcspn(*text, "(/");
    for (size_t i = 0; i < CT_COUNT(QUALITIES); i++) {
        if (strlen(QUALITIES[i].name) != n || strncmp(QUALITIES[i].name, *text, n) != 0) continue;
        *tones = QUALITIES[i].tones;
        *text += n;
        return true;
    }
    return false;
}

ct_status mir_chord_parse(const char *label, mir_chord *out) {
    const char *at = label;
    size_t      used = 0;
    *out = (mir_chord){-1, -1, strcmp(label, "X") == 0 ? MIR_UNKNOWN : 0};
    if (strcmp(label, "N") == 0 || strcmp(label, "X") == 0) return CT_OK;
    mir_chord c = {ct_note_parse(label, strlen(label), &used), 0, 0x091};
    at += used;
    bool fine = c.root >= 0;
    if (fine && *at == ':') {
        at++;
        fine = read_quality(&at, &c.tones);
    }
    if (fine && *at == '(') fine = read_degrees(&at, &c.tones);
    if (fine && *at == '/') {
        at++;
        c.bass = read_degree(&at) % 12;
        fine = c.bass >= 0;
    }
    if (!fine || *at) return ct_fail(CT_EFAIL, "chord \"%s\": wrong at \"%s\" (expected Harte's C:maj7/5)", label, at);
    c.tones |= (uint16_t)(1 << c.bass);
    *out = c;
    return CT_OK;
}

mir_chord mir_chord_of(ct_chord chord) {
    if (chord.root == CT_NO_CHORD) return (mir_chord){-1, -1, 0};
    return (mir_chord){chord.root, chord.bass, (uint16_t)(ct_quality_mask(chord.quality) | 1 << chord.bass)};
}

/* ---- one comparison */
static bool is_triad(uint16_t tones) {
    uint16_t low = tones & 0xff;
    return low == (ct_quality_mask(CT_MAJ) & 0xff) || low == (ct_quality_mask(CT_MIN) & 0xff);
}

static bool is_seventh(uint16_t tones) {
    static const int KNOWN[] = {CT_MAJ, CT_MIN, CT_MAJ7, CT_DOM7, CT_MIN7};
    for (size_t i = 0; i < CT_COUNT(KNOWN); i++)
        if (tones == ct_quality_mask(KNOWN[i])) return true;
    return tones == 0;
}

/* An estimate of X has all twelve, as in mir_eval. */
static int common_tones(mir_chord a, mir_chord b) {
    int n = 0;
    for (int pc = 0; pc < 12; pc++)
        n += (a.tones >> (pc - a.root + 12) % 12 & 1) && (b.tones >> (pc - b.root + 12) % 12 & 1);
    return n;
}

static int compare_mirex(mir_chord a, mir_chord b) {
    int size = 0;
    for (int i = 0; i < 12; i++) size += a.tones >> i & 1;
    if (size > 0 && size < 3) return -1;
    return (a.root < 0 && b.root < 0) || common_tones(a, b) >= 3;
}

int mir_chord_compare(enum mir_comparison how, mir_chord a, mir_chord b) {
    bool root = a.root == b.root, low = (a.tones & 0xff) == (b.tones & 0xff), bass = a.bass == b.bass;
    bool third = (a.tones >> 3 & 1) == (b.tones >> 3 & 1), all = a.tones == b.tones;
    if (a.tones == MIR_UNKNOWN) return -1;
    switch (how) {
    case MIR_ROOT:
        return root;
    case MIR_THIRDS:
        return root && third;
    case MIR_THIRDS_INV:
        return root && third && bass;
    case MIR_TRIADS:
        return root && low;
    case MIR_TRIADS_INV:
        return root && low && bass;
    case MIR_TETRADS:
        return root && all;
    case MIR_TETRADS_INV:
        return root && all && bass;
    case MIR_MAJMIN:
    case MIR_MAJMIN_INV:
        if (a.tones != 0 && !is_triad(a.tones)) return -1;
        return root && low && (bass || how == MIR_MAJMIN);
    case MIR_SEVENTHS:
    case MIR_SEVENTHS_INV:
        if (!is_seventh(a.tones)) return -1;
        return root && all && (bass || how == MIR_SEVENTHS);
    default:
        return compare_mirex(a, b);
    }
}

/* ---- over time */
double mir_chord_seconds(enum mir_comparison how, const mir_span *reference, size_t references,
                         const mir_span *estimate, size_t estimates, double *total) {
    const mir_chord none = {-1, -1, 0};
    double          right = 0;
    size_t          e = 0;
    *total = 0;
    for (size_t r = 0; r < references; r++) {
        double at = reference[r].begin;
        while (at < reference[r].end) {
            while (e < estimates && estimate[e].end <= at) e++;
            bool      inside = e < estimates && estimate[e].begin <= at;
            double    until = e >= estimates ? INFINITY : inside ? estimate[e].end : estimate[e].begin;
            double    next = fmin(until, reference[r].end);
            mir_chord said = inside ? estimate[e].chord : none;
            int       answer = mir_chord_compare(how, reference[r].chord, said);
            if (answer >= 0) *total += next - at;
            if (answer > 0) right += next - at;
            at = next;
        }
    }
    return right;
}

/* ---- keys and events */
double mir_key_score(int reference, int estimate, bool both_fifths) {
    int apart = (estimate % 12 - reference % 12 + 12) % 12, mode = reference / 12;
    if (mode == estimate / 12) return apart == 0 ? 1 : apart == 7 || (both_fifths && apart == 5) ? 0.5 : 0;
    if (apart == 0) return 0.2;
    return apart == (mode == 0 ? 9 : 3) ? 0.3 : 0;
}

size_t mir_matched(const double *reference, size_t references, const double *estimate, size_t estimates,
                   double window) {
    size_t n = 0, e = 0;
    for (size_t r = 0; r < references; r++) {
        while (e < estimates && estimate[e] < reference[r] - window) e++;
        if (e < estimates && estimate[e] <= reference[r] + window) {
            n++;
            e++;
        }
    }
    return n;
}

double mir_f_measure(double matched, double references, double estimates) {
    return matched > 0 ? 2 * matched / (references + estimates) : 0;
}

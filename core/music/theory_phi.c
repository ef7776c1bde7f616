/* The fixed distances between two chords, one function each. All depend on the roots by their difference only. */
#include "core/music/theory.h"

#include <limits.h>
#include <math.h>

#define PI 3.14159265358979323846

static int modulo(int a, int n) {
    return (a % n + n) % n;
}

static int minimum(int a, int b) {
    return a < b ? a : b;
}

/* Pitch classes of a chord whose root is `root`. */
static unsigned tones_of(int root, int quality) {
    unsigned mask = ct_quality_mask(quality);
    return (mask << root | mask >> (12 - root)) & 0xfffu;
}

const char *ct_phi_name(int phi) {
    static const char *const names[CT_PHI_COUNT] = {"common_tones", "fifths",  "tonnetz",  "tonal_centroid",
                                                    "spiral",       "lerdahl", "roughness"};
    CT_ASSERT(phi >= 0 && phi < CT_PHI_COUNT);
    return names[phi];
}

/* Pitch classes in both chords. */
static double common_tones(unsigned a, unsigned b) {
    return __builtin_popcount(a & b);
}

/* Steps between the roots on the line of fifths, the shorter way round. */
static double fifths(int delta) {
    int up = modulo(7 * delta, 12);
    return minimum(up, 12 - up);
}

/* Steps on the Tonnetz (fifths, major and minor thirds) from each tone of one chord to the nearest of the other,
 * averaged over the tones, then over the two directions. */
static double tonnetz(unsigned a, unsigned b) {
    static const int steps[12] = {0, 2, 2, 1, 1, 1, 2, 1, 1, 1, 2, 2};
    double           sum = 0;
    for (int way = 0; way < 2; way++) {
        unsigned from = way ? b : a, to = way ? a : b;
        int      total = 0;
        for (int i = 0; i < 12; i++) {
            if (!(from >> i & 1)) continue;
            int nearest = INT_MAX;
            for (int j = 0; j < 12; j++)
                if (to >> j & 1) nearest = minimum(nearest, steps[modulo(j - i, 12)]);
            total += nearest;
        }
        sum += (double)total / __builtin_popcount(from);
    }
    return sum / 2;
}

/* Harte, Sandler, Gasser 2006: mean of the tones on the circles of fifths, minor thirds (r = 1) and major thirds
 * (r = 0.5); Euclidean distance. */
static void centroid(unsigned tones, double out[6]) {
    static const double turn[3] = {7 * PI / 6, 3 * PI / 2, 2 * PI / 3}, radius[3] = {1, 1, 0.5};
    for (int c = 0; c < 3; c++) {
        double x = 0, y = 0;
        for (int l = 0; l < 12; l++) {
            if (!(tones >> l & 1)) continue;
            x += radius[c] * sin(l * turn[c]);
            y += radius[c] * cos(l * turn[c]);
        }
        out[2 * c] = x / __builtin_popcount(tones);
        out[2 * c + 1] = y / __builtin_popcount(tones);
    }
}

static double tonal_centroid(unsigned a, unsigned b) {
    double x[6], y[6], sum = 0;
    centroid(a, x);
    centroid(b, y);
    for (int i = 0; i < 6; i++) sum += (x[i] - y[i]) * (x[i] - y[i]);
    return sqrt(sum);
}

/* Chew 2000: place k on the line of fifths lies at (sin(k pi/2), cos(k pi/2), k h), h = 0.4; a chord is the weighted
 * mean of its tones, root first, then fifth, then third. Triads weigh .536 .274 .19 (sus: the second or fourth in the
 * third's place; power: the first two, scaled to 1). A fourth tone weighs .15, the triad .85 times its weights. */
typedef struct spiral_tone {
    int    fifths; /* above the root, on the line of fifths: fixes the spelling */
    double weight;
} spiral_tone;

static void spiral_point(int root_fifths, int quality, double out[3]) {
    enum { NONE = 99 };
    static const int8_t spelt[CT_QUALITY_COUNT][3] = {
        /* fifth, third, fourth tone */
        [CT_MAJ] = {1, 4, NONE},  [CT_MIN] = {1, -3, NONE},  [CT_DIM] = {-6, -3, NONE}, [CT_AUG] = {8, 4, NONE},
        [CT_MAJ7] = {1, 4, 5},    [CT_MIN7] = {1, -3, -2},   [CT_DOM7] = {1, 4, -2},    [CT_HDIM7] = {-6, -3, -2},
        [CT_DIM7] = {-6, -3, -9}, [CT_MINMAJ7] = {1, -3, 5}, [CT_MAJ6] = {1, 4, 3},     [CT_MIN6] = {1, -3, 3},
        [CT_SUS2] = {1, 2, NONE}, [CT_SUS4] = {1, -1, NONE}, [CT_SUS4B7] = {1, -1, -2}, [CT_POWER] = {1, NONE, NONE},
    };
    const int8_t *s = spelt[quality];
    double        w[4] = {0.536, 0.274, s[1] == NONE ? 0 : 0.19, s[2] == NONE ? 0 : 0.15};
    double        triad = (1 - w[3]) / (w[0] + w[1] + w[2]);
    spiral_tone   tones[4] = {{0, w[0] * triad}, {s[0], w[1] * triad}, {s[1], w[2] * triad}, {s[2], w[3]}};
    out[0] = out[1] = out[2] = 0;
    for (int i = 0; i < 4; i++) {
        int k = root_fifths + tones[i].fifths;
        out[0] += tones[i].weight * sin(k * PI / 2);
        out[1] += tones[i].weight * cos(k * PI / 2);
        out[2] += tones[i].weight * k * 0.4;
    }
}

/* The nearest of b's enharmonic spellings (12 places on the line of fifths apart: a full turn, so only the height
 * differs). */
static double spiral(int delta, int qa, int qb) {
    double a[3], b[3], nearest = HUGE_VAL;
    spiral_point(modulo(7 * delta, 12), qa, a);
    for (int turn = -2; turn <= 2; turn++) {
        spiral_point(12 * turn, qb, b);
        double d = sqrt((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) + (a[2] - b[2]) * (a[2] - b[2]));
        if (d < nearest) nearest = d;
    }
    return nearest;
}

/* Lerdahl 2001: delta(x -> y) = i + j + k, here without a given key. Each chord is reduced to its triad (sus and power
 * chords to the major one) and may stand in any diatonic collection that holds it (the augmented triad in those of the
 * major triad); the least sum over all pairs of collections counts:
 *   i  steps between the two collections on the circle of fifths
 *   j  steps between the roots, by their letters, on the diatonic circle of fifths (0..3)
 *   k  pitch classes of y's basic space that are new at their level: root; root and fifth; triad; diatonic collection.
 */
enum { TRIAD_MAJOR, TRIAD_MINOR, TRIAD_DIMINISHED, TRIAD_AUGMENTED };

static int triad_of(int quality) {
    switch (quality) {
    case CT_MIN:
    case CT_MIN7:
    case CT_MINMAJ7:
    case CT_MIN6:
        return TRIAD_MINOR;
    case CT_DIM:
    case CT_HDIM7:
    case CT_DIM7:
        return TRIAD_DIMINISHED;
    case CT_AUG:
        return TRIAD_AUGMENTED;
    default:
        return TRIAD_MAJOR;
    }
}

static double lerdahl(int delta, int qa, int qb) {
    static const struct {
        int third, fifth;       /* semitones above the root */
        int first, collections; /* tonics of the collections that hold it: fifths above the root */
    } triads[4] = {{4, 7, -1, 3}, {3, 7, -4, 3}, {3, 6, -5, 1}, {4, 8, -1, 3}};
    int      x = triad_of(qa), y = triad_of(qb);
    unsigned root = 1u << delta, fifth = root | 1u << (delta + triads[x].fifth) % 12;
    unsigned triad = fifth | 1u << (delta + triads[x].third) % 12;
    unsigned fifth_y = 1u | 1u << triads[y].fifth, triad_y = fifth_y | 1u << triads[y].third;
    int      new_tones = __builtin_popcount(1u & ~root) + __builtin_popcount(fifth_y & ~fifth);
    int      least = INT_MAX;
    new_tones += __builtin_popcount(triad_y & ~triad);
    for (int turn = -1; turn <= 1; turn++) { /* enharmonic spellings of x's root; y's root is place 0 */
        int root_x = modulo(7 * delta, 12) + 12 * turn;
        int letters = modulo(-root_x, 7), j = minimum(letters, 7 - letters);
        for (int s = 0; s < triads[x].collections; s++)
            for (int r = 0; r < triads[y].collections; r++) {
                int i = triads[y].first + r - (root_x + triads[x].first + s);
                i = i < 0 ? -i : i;
                if (i > 6) continue; /* the other way round is another spelling */
                least =
                    minimum(least, i + j + new_tones + minimum(i, 5)); /* six fifths apart: five new tones of seven */
            }
    }
    return least;
}

/* Sethares 1993: the roughness of all pairs of partials of the union of both chords, its tones (b's root on middle C)
 * in one octave, six partials each with amplitudes 0.88^n. */
static double roughness(unsigned tones) {
    enum { PARTIALS = 6 };
    double frequency[12 * PARTIALS] = {0}, amplitude[12 * PARTIALS] = {0}, sum = 0;
    int    count = 0;
    for (int i = 0; i < 12; i++)
        for (int n = 0; n < PARTIALS && (tones >> i & 1); n++) {
            frequency[count] = 440 * pow(2, (60 + i - 69) / 12.0) * (n + 1);
            amplitude[count++] = pow(0.88, n);
        }
    for (int i = 0; i < count; i++)
        for (int j = i + 1; j < count; j++) {
            double low = fmin(frequency[i], frequency[j]), gap = fabs(frequency[i] - frequency[j]);
            double s = 0.24 / (0.0207 * low + 18.96);
            sum += amplitude[i] * amplitude[j] * (exp(-3.5 * s * gap) - exp(-5.75 * s * gap));
        }
    return sum;
}

double ct_phi_raw(int phi, int ra, int qa, int rb, int qb) {
    CT_ASSERT(phi >= 0 && phi < CT_PHI_COUNT && ra >= 0 && ra < 12 && rb >= 0 && rb < 12);
    CT_ASSERT(qa >= 0 && qa < CT_QUALITY_COUNT && qb >= 0 && qb < CT_QUALITY_COUNT);
    int      delta = modulo(ra - rb, 12);
    unsigned a = tones_of(delta, qa), b = tones_of(0, qb);
    switch (phi) {
    case CT_PHI_COMMON_TONES:
        return common_tones(a, b);
    case CT_PHI_FIFTHS:
        return fifths(delta);
    case CT_PHI_TONNETZ:
        return tonnetz(a, b);
    case CT_PHI_TONAL_CENTROID:
        return tonal_centroid(a, b);
    case CT_PHI_SPIRAL:
        return spiral(delta, qa, qb);
    case CT_PHI_LERDAHL:
        return lerdahl(delta, qa, qb);
    default:
        return roughness(a | b);
    }
}

void ct_phi_table(double *out) {
    enum { Q = CT_QUALITY_COUNT, V = CT_QUALITY_VALUES };
    for (int f = 0; f < CT_PHI_COUNT; f++) {
        double *table = out + f * 12 * V * V;
        double  sum = 0, squares = 0;
        for (int delta = 0; delta < 12; delta++)
            for (int qa = 0; qa < V; qa++)
                for (int qb = 0; qb < V; qb++) {
                    double value = qa < Q && qb < Q ? ct_phi_raw(f, delta, qa, 0, qb) : 0;
                    table[(delta * V + qa) * V + qb] = value;
                    sum += value;
                }
        double mean = sum / (12 * Q * Q);
        for (int delta = 0; delta < 12; delta++)
            for (int qa = 0; qa < Q; qa++)
                for (int qb = 0; qb < Q; qb++) {
                    double *value = &table[(delta * V + qa) * V + qb];
                    *value -= mean;
                    squares += *value * *value;
                }
        double scale = 1 / sqrt(squares / (12 * Q * Q));
        for (int i = 0; i < 12 * V * V; i++) table[i] *= scale;
    }
}

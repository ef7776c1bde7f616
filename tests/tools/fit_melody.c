/* fit_melody.c -- fits the networks of melody_net.h and writes them as C.
 *
 *   fit_melody ../shared/data write core/music   fits on all odd songs, writes melody_weights_0.c, _1.c, _2.c there
 *   fit_melody ../shared/data half               fits on songs 1, 5, 9 ..., prints how songs 3, 7, 11 ... are heard
 *   fit_melody ../shared/data folds              prints how each song is heard by networks fitted on two thirds of the
 * others
 *
 * The notes of the odd songs 1..599 of POP909; a note is melody when the track MELODY has it, of another line when only
 * BRIDGE has it. Songs are there as they are, with all velocities made equal, and in part: what sings, what plays, both
 * without BRIDGE. So are tunes of Nottingham (every fourth of those with odd numbers), with chords (also one or two
 * octaves higher) and without, and the chords. KIND says how often each is drawn. What a later round sees of an earlier
 * one comes from networks that had not seen the song: three of them, each fitted on two thirds of the songs. Adam,
 * batches drawn by a fixed generator: the same bytes on every run of the same build.
 */
#include "core/file.h"
#include "core/music/melody_net.h"
#include "core/music/metre.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECES = 2000, FOLDS = 3, BATCH = 512, BATCHES = 3000, NOBODY = -1 };
enum { PARAMETERS = CT_MELODY_NET_FLOATS(CT_MELODY_ALL) };

/* What a piece is made of. Tracks of Nottingham: the tune, its chords. */
enum { PLAIN, FLAT, WITHOUT_BRIDGE, SUNG, PLAYED, TUNE, TUNE_ALONE, TUNE_CHORDS, KINDS };
static const struct {
    unsigned percent; /* of the notes drawn */
    bool     flat, melody, other, rest;
} KIND[KINDS] = {{54, false, true, true, true},  {15, true, true, true, true},   {7, false, true, false, true},
                 {5, false, true, false, false}, {7, false, false, false, true}, {6, true, true, false, true},
                 {3, true, true, false, false},  {3, true, false, false, true}};

typedef struct piece {
    ct_arena       arena;
    ct_melody_song song;
    float         *p, *other;
    uint8_t       *wanted, *of_other; /* of each note: is it melody, of another line? */
    size_t         count;
    int            number, kind; /* of the song */
} piece;

static piece pieces[PIECES];
static int   piece_count;

/* A network while it is fitted. */
typedef struct net {
    int             inputs;
    ct_melody_input input[CT_MELODY_ALL];
    float           w[PARAMETERS], gradient[PARAMETERS], mean[PARAMETERS], square[PARAMETERS];
} net;

static void check(ct_status status) {
    if (status == CT_OK) return;
    fprintf(stderr, "%s\n", ct_message());
    exit(1);
}

static void *room(ct_arena *arena, size_t count, size_t size) {
    void *at = ct_arena_alloc(arena, count, size);
    if (!at) check(CT_ENOMEM);
    return at;
}

/* ---- songs */
enum { MELODY, OTHER, REST };

static int role_of(const ct_midi *midi, const ct_grid_note *note) {
    uint16_t    track = midi->notes[note->index].track;
    const char *name = midi->tracks[track].name;
    if (strcmp(name, "MELODY") == 0) return MELODY;
    if (strcmp(name, "BRIDGE") == 0) return OTHER;
    return strcmp(name, "PIANO") == 0 || track != 0 ? REST : MELODY;
}

static void add(const ct_midi *midi, const ct_grid_note *notes, size_t all, int number, int kind) {
    static const int OCTAVES[] = {0, 12, 24}; /* by which the chords of Nottingham are raised */
    piece           *s = &pieces[piece_count];
    ct_grid_note    *list = room(&s->arena, all, sizeof *list), *single = room(&s->arena, all, sizeof *single);
    uint8_t         *copies = room(&s->arena, all, 1), *roles = room(&s->arena, all, 1);
    uint32_t        *of = room(&s->arena, all, sizeof *of);
    size_t           count = 0;
    for (size_t i = 0; i < all; i++) {
        int role = role_of(midi, &notes[i]);
        if (!(role == MELODY ? KIND[kind].melody : role == OTHER ? KIND[kind].other : KIND[kind].rest)) continue;
        roles[count] = (uint8_t)role;
        list[count] = notes[i];
        if (KIND[kind].flat) list[count].velocity = 64;
        if (kind >= TUNE && role == REST) list[count].pitch = (uint8_t)(list[count].pitch + OCTAVES[number / 6 % 3]);
        count++;
    }
    s->number = number;
    s->kind = kind;
    s->wanted = room(&s->arena, count, 1);
    s->of_other = room(&s->arena, count, 1);
    s->p = room(&s->arena, count, sizeof *s->p);
    s->other = room(&s->arena, count, sizeof *s->other);
    s->count = ct_melody_singles(list, count, single, of, copies);
    for (size_t i = 0; i < count; i++) {
        s->wanted[of[i]] |= roles[i] == MELODY;
        s->of_other[of[i]] |= roles[i] == OTHER;
    }
    for (size_t k = 0; k < s->count; k++) s->of_other[k] &= !s->wanted[k];
    check(ct_melody_features(single, copies, s->count, &s->arena, &s->song));
    if (s->count > 8)
        piece_count++;
    else
        ct_arena_free(&s->arena);
}

/* The pieces of kinds [first, last] that a file makes. */
static void load(const char *path, int number, int first, int last) {
    ct_arena        arena = {0};
    ct_bytes        bytes;
    ct_midi         midi;
    ct_grid         grid;
    ct_metre_report report;
    ct_grid_note   *notes;
    size_t          all;
    check(ct_file_read(path, 1 << 20, &arena, &bytes));
    check(ct_midi_read(bytes.at, bytes.count, &arena, &midi));
    if (ct_metre_grid(&midi, 1000, &arena, &grid, &report) == CT_OK) {
        check(ct_grid_notes(&grid, &midi, &arena, &notes, &all));
        for (int kind = first; kind <= last && piece_count < PIECES; kind++) add(&midi, notes, all, number, kind);
    }
    ct_arena_free(&arena);
}

static void load_pop909(const char *folder) {
    char path[512];
    for (int number = 1; number < 600; number += 2) {
        snprintf(path, sizeof path, "%s/%03d/%03d.mid", folder, number, number);
        load(path, number, PLAIN, number / 2 % 4 < 2 ? PLAYED : FLAT);
    }
}

static void load_nottingham(const char *folder) {
    static const char *const ENDINGS[] = {".mid", NULL};
    ct_arena                 arena = {0};
    char                   **names, path[512];
    size_t                   count;
    check(ct_folder_list(folder, ENDINGS, 0, &arena, &names, &count));
    for (size_t i = 0; i < count; i += 8) { /* the first, the ninth ... */
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        load(path, (int)i / 4 + 1, TUNE, TUNE_CHORDS);
    }
    ct_arena_free(&arena);
}

/* Networks that see a song together: its number decides. */
static int fold_of(const piece *s) {
    return s->number / 2 % FOLDS;
}

/* ---- fitting */
static uint32_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* Sum of twelve uniform numbers: mean 0, variance 1. */
static float next_normal(uint64_t *state) {
    double sum = -6;
    for (int i = 0; i < 12; i++) sum += next_random(state) / 2147483648.0;
    return (float)sum;
}

/* Which songs are fitted on: of all, or those of n mod 4 = 1; without those of fold `hold`. */
typedef struct choice {
    bool all;
    int  hold;
} choice;

static bool chosen(const choice *c, const piece *s) {
    return (c->all || s->number % 4 == 1) && fold_of(s) != c->hold;
}

static void standardise(net *n, const choice *c) {
    for (int k = 0; k < n->inputs; k++) {
        double sum = 0, sum2 = 0, all = 0;
        for (int i = 0; i < piece_count; i++) {
            const piece *s = &pieces[i];
            if (s->kind != PLAIN || !chosen(c, s)) continue;
            for (size_t j = 0; j < s->count; j++) {
                double x = (double)s->song.rows[j][k];
                sum += x;
                sum2 += x * x;
            }
            all += (double)s->count;
        }
        n->input[k].mean = (float)(sum / all);
        n->input[k].spread = (float)(sqrt(fmax(sum2 / all - sum / all * sum / all, 0)) + 1e-4);
    }
}

static void begin(net *n, uint64_t *random) {
    memset(n->w, 0, sizeof n->w);
    memset(n->mean, 0, sizeof n->mean);
    memset(n->square, 0, sizeof n->square);
    float *second = n->w + (n->inputs + 1) * CT_MELODY_WIDE;
    for (int i = 0; i < n->inputs * CT_MELODY_WIDE; i++) n->w[i] = next_normal(random) / sqrtf((float)n->inputs);
    for (int i = 0; i < CT_MELODY_WIDE * CT_MELODY_NARROW; i++)
        second[i] = next_normal(random) * sqrtf(2.0f / CT_MELODY_WIDE);
}

/* gradient[k][j] += sum over the block of in[k] * back[j] */
static inline void add_products(float *gradient, const float *in, int stride, const float *back, int inputs,
                                int outputs) {
    for (int k = 0; k < inputs; k++)
        for (int j = 0; j < outputs; j++) {
            float sum = gradient[k * outputs + j];
            for (int r = 0; r < CT_MELODY_BLOCK; r++) sum += in[r * stride + k] * back[r * outputs + j];
            gradient[k * outputs + j] = sum;
        }
}

static inline void add_sums(float *gradient, const float *back, int outputs) {
    for (int r = 0; r < CT_MELODY_BLOCK; r++)
        for (int j = 0; j < outputs; j++) gradient[j] += back[r * outputs + j];
}

/* Add the gradient of a block's errors; `wanted` of its notes. */
static void learn(net *n, ct_melody_block *b, float (*wanted)[2]) {
    const float  LESS = 0.5F; /* how much the other line counts */
    float        wide[CT_MELODY_BLOCK][CT_MELODY_WIDE], narrow[CT_MELODY_BLOCK][CT_MELODY_NARROW];
    const float *second = n->w + (n->inputs + 1) * CT_MELODY_WIDE;
    const float *last = second + (CT_MELODY_WIDE + 1) * CT_MELODY_NARROW;
    float       *g1 = n->gradient, *gb1 = g1 + n->inputs * CT_MELODY_WIDE, *g2 = gb1 + CT_MELODY_WIDE;
    float       *gb2 = g2 + CT_MELODY_WIDE * CT_MELODY_NARROW, *g3 = gb2 + CT_MELODY_NARROW;
    ct_melody_forward(n->w, n->inputs, b);
    for (int r = 0; r < CT_MELODY_BLOCK; r++) {
        memset(narrow[r], 0, sizeof narrow[r]);
        for (int what = 0; what < 2; what++) {
            const float *w = last + what * (CT_MELODY_NARROW + 1);
            float       *g = g3 + what * (CT_MELODY_NARROW + 1);
            float        error = (b->p[r][what] - wanted[r][what]) / BATCH * (what ? LESS : 1);
            for (int j = 0; j < CT_MELODY_NARROW; j++) {
                narrow[r][j] += b->narrow[r][j] > 0 ? error * w[j] : 0;
                g[j] += error * b->narrow[r][j];
            }
            g[CT_MELODY_NARROW] += error;
        }
        for (int k = 0; k < CT_MELODY_WIDE; k++) {
            float sum = 0;
            for (int j = 0; j < CT_MELODY_NARROW; j++) sum += second[k * CT_MELODY_NARROW + j] * narrow[r][j];
            wide[r][k] = b->wide[r][k] > 0 ? sum : 0;
        }
    }
    add_sums(gb2, narrow[0], CT_MELODY_NARROW);
    add_products(g2, b->wide[0], CT_MELODY_WIDE, narrow[0], CT_MELODY_WIDE, CT_MELODY_NARROW);
    add_sums(gb1, wide[0], CT_MELODY_WIDE);
    add_products(g1, b->in[0], CT_MELODY_ALL, wide[0], n->inputs, CT_MELODY_WIDE);
}

static void step(net *n, size_t count, int batch) {
    const float  DECAY = 0.3f;
    const double PEAK = 3e-3, LEAST = 1e-5, WARM = 0.05, TURN = 3.141592653589793;
    double       done = (double)batch / BATCHES, first = 1 - pow(0.9, batch + 1), second = 1 - pow(0.99, batch + 1);
    float        rate = (float)(LEAST + PEAK * (done < WARM ? done / WARM : 0.5 * (1 + cos(TURN * done))));
    for (size_t i = 0; i < count; i++) {
        n->mean[i] = 0.9f * n->mean[i] + 0.1f * n->gradient[i];
        n->square[i] = 0.99f * n->square[i] + 0.01f * n->gradient[i] * n->gradient[i];
        n->w[i] -= rate * (n->mean[i] / (float)first / (sqrtf(n->square[i] / (float)second) + 1e-8f) + DECAY * n->w[i]);
    }
}

/* Pieces of one kind, each drawn as often as it has notes. */
typedef struct bag {
    int    list[PIECES], count;
    size_t until[PIECES]; /* notes up to the end of each */
} bag;

static void fill(bag *bags, const choice *c) {
    for (int kind = 0; kind < KINDS; kind++) bags[kind].count = 0;
    for (int i = 0; i < piece_count; i++) {
        bag *b = &bags[pieces[i].kind];
        if (!chosen(c, &pieces[i])) continue;
        b->until[b->count] = (b->count ? b->until[b->count - 1] : 0) + pieces[i].count;
        b->list[b->count++] = i;
    }
}

static void draw(const net *n, const bag *bags, uint64_t *random, float *in, float *wanted) {
    unsigned percent = next_random(random) % 100;
    int      kind = 0;
    while (percent >= KIND[kind].percent) percent -= KIND[kind++].percent;
    const bag *from = bags[kind].count ? &bags[kind] : &bags[PLAIN];
    size_t     note = (size_t)(((uint64_t)next_random(random) * from->until[from->count - 1]) >> 31);
    int        low = 0, high = from->count - 1;
    while (low < high) {
        int middle = (low + high) / 2;
        if (from->until[middle] <= note)
            low = middle + 1;
        else
            high = middle;
    }
    const piece *s = &pieces[from->list[low]];
    if (low) note -= from->until[low - 1];
    ct_melody_standard(n->input, n->inputs, s->song.rows[note], in);
    wanted[0] = s->wanted[note];
    wanted[1] = s->of_other[note];
}

static void fit(net *n, int inputs, const choice *c, uint64_t seed) {
    static _Thread_local ct_melody_block block;
    static _Thread_local bag             bags[KINDS];
    uint64_t                             random = 909 + seed;
    n->inputs = inputs;
    fill(bags, c);
    standardise(n, c);
    begin(n, &random);
    for (int batch = 0; batch < BATCHES; batch++) {
        memset(n->gradient, 0, sizeof n->gradient);
        for (int k = 0; k < BATCH; k += CT_MELODY_BLOCK) {
            float wanted[CT_MELODY_BLOCK][2];
            for (int r = 0; r < CT_MELODY_BLOCK; r++) draw(n, bags, &random, block.in[r], wanted[r]);
            learn(n, &block, wanted);
        }
        step(n, CT_MELODY_NET_FLOATS(inputs), batch);
    }
}

static void predict(const net *n, piece *s) {
    static ct_melody_block b;
    for (size_t i = 0; i < s->count; i += CT_MELODY_BLOCK) {
        for (size_t r = 0; r < CT_MELODY_BLOCK && i + r < s->count; r++)
            ct_melody_standard(n->input, n->inputs, s->song.rows[i + r], b.in[r]);
        ct_melody_forward(n->w, n->inputs, &b);
        for (size_t r = 0; r < CT_MELODY_BLOCK && i + r < s->count; r++) {
            s->p[i + r] = b.p[r][0];
            s->other[i + r] = b.p[r][1];
        }
    }
}

/* ---- the weights, as whole numbers */
static float scale_of(const float *row, int count) {
    float most = 1e-9f;
    for (int j = 0; j < count; j++) most = fmaxf(most, fabsf(row[j]));
    return most / 127;
}

static void print_floats(FILE *f, const char *name, const float *at, int count) {
    fprintf(f, "\nstatic const float %s[] = {", name);
    for (int j = 0; j < count; j++) fprintf(f, "%s%#.4gf,", j % 10 ? " " : "\n    ", (double)at[j]);
    fprintf(f, "\n};\n");
}

static void print_layer(FILE *f, const char *name, const float *at, int rows, int columns) {
    float scale[CT_MELODY_ALL];
    char  scales[64];
    fprintf(f, "\nstatic const int8_t %s[][%s] = {\n", name,
            columns == CT_MELODY_WIDE ? "CT_MELODY_WIDE" : "CT_MELODY_NARROW");
    for (int k = 0; k < rows; k++) {
        scale[k] = scale_of(at + k * columns, columns);
        for (int j = 0; j < columns; j++)
            fprintf(f, "%s%ld", j ? ", " : "    {", lroundf(at[k * columns + j] / scale[k]));
        fprintf(f, "},\n");
    }
    fprintf(f, "};\n");
    snprintf(scales, sizeof scales, "%s_scale", name);
    print_floats(f, scales, scale, rows);
}

static void print_net(const net *n, const char *folder, int round) {
    char path[512];
    snprintf(path, sizeof path, "%s/melody_weights_%d.c", folder, round);
    FILE *f = fopen(path, "w");
    if (!f) {
        fprintf(stderr, "%s: can't write\n", path);
        exit(1);
    }
    const float *w = n->w, *second = w + (n->inputs + 1) * CT_MELODY_WIDE;
    fprintf(f,
            "/* melody_weights_%d.c -- the network of round %d, as melody_net.h says.\n"
            " * Made by tests/tools/fit_melody from the odd songs of POP909 and tunes of Nottingham; don't edit.\n */\n"
            "#include \"core/music/melody_net.h\"\n\nstatic const ct_melody_input input[] = {\n",
            round, round);
    for (int k = 0; k < n->inputs; k++)
        fprintf(f, "    {%#.4gf, %#.4gf},\n", (double)n->input[k].mean, (double)n->input[k].spread);
    fprintf(f, "};\n");
    print_layer(f, "first", w, n->inputs, CT_MELODY_WIDE);
    print_floats(f, "first_bias", w + n->inputs * CT_MELODY_WIDE, CT_MELODY_WIDE);
    print_layer(f, "second", second, CT_MELODY_WIDE, CT_MELODY_NARROW);
    print_floats(f, "second_bias", second + CT_MELODY_WIDE * CT_MELODY_NARROW, CT_MELODY_NARROW);
    print_floats(f, "last", second + (CT_MELODY_WIDE + 1) * CT_MELODY_NARROW, 2 * (CT_MELODY_NARROW + 1));
    fprintf(f,
            "\nconst ct_melody_net ct_melody_round_%d = {\n    %s, input, first, second, first_scale, second_scale, "
            "first_bias, second_bias, last};\n",
            round, round ? "CT_MELODY_ALL" : "CT_MELODY_OWN");
    if (fclose(f) != 0) {
        fprintf(stderr, "%s: can't write\n", path);
        exit(1);
    }
}

/* ---- the whole */
/* Notes of a kind, of songs n mod 4 = 3 (all: of those that a network had not seen), with a probability above .4 */
static void score(int round, bool all) {
    static const char *const NAME[KINDS] = {"as it is",    "velocities equal", "without BRIDGE", "MELODY alone",
                                            "PIANO alone", "tune and chords",  "tune alone",     "chords alone"};
    for (int kind = 0; kind < KINDS; kind++) {
        double right = 0, picked = 0, wanted = 0, other = 0, count = 1e-9;
        for (int i = 0; i < piece_count; i++) {
            const piece *s = &pieces[i];
            for (size_t j = 0; j < s->count && s->kind == kind && (all || s->number % 4 == 3); j++) {
                bool pick = s->p[j] > 0.4f, want = s->wanted[j];
                right += pick && want;
                picked += pick;
                wanted += want;
                other += pick && s->of_other[j];
                count++;
            }
        }
        printf("round %d, %s: picked %.3f, precision %.4f recall %.4f F1 %.4f, BRIDGE ignored %.4f\n", round,
               NAME[kind], picked / count, right / (picked + 1e-9), right / (wanted + 1e-9),
               2 * right / (picked + wanted + 1e-9), 2 * right / (picked - other + wanted + 1e-9));
    }
    fflush(stdout);
}

/* How far a fit goes: all odd songs, and the weights are written (folder); half of them, and the others are scored;
 * or all, each scored by networks that had not seen it. */
static void fit_rounds(const char *folder, bool all) {
    static net held[FOLDS], whole;
    for (int round = 0; round < CT_MELODY_ROUNDS; round++) {
        int    inputs = round ? CT_MELODY_ALL : CT_MELODY_OWN;
        bool   last = round + 1 == CT_MELODY_ROUNDS;
        choice everybody = {all, NOBODY};
        if (folder || !all) fit(&whole, inputs, &everybody, 100 * (uint64_t)round);
        for (int fold = 0; fold < FOLDS && (!last || (all && !folder)); fold++) {
            choice some = {all, fold};
            fit(&held[fold], inputs, &some, 100 * (uint64_t)round + (uint64_t)fold + 1);
        }
        for (int i = 0; i < piece_count; i++)
            predict(chosen(&everybody, &pieces[i]) && (!last || !folder) ? &held[fold_of(&pieces[i])] : &whole,
                    &pieces[i]);
        if (folder) print_net(&whole, folder, round);
        score(round, all);
        for (int i = 0; i < piece_count && !last; i++)
            check(ct_melody_context(&pieces[i].song, pieces[i].p, pieces[i].other, &pieces[i].arena));
    }
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: fit_melody DATA write FOLDER | half | folds\n");
        return 2;
    }
    char        path[512];
    const char *folder = strcmp(argv[2], "write") == 0 && argc > 3 ? argv[3] : NULL;
    snprintf(path, sizeof path, "%s/pop909", argv[1]);
    load_pop909(path);
    snprintf(path, sizeof path, "%s/nottingham/midi", argv[1]);
    load_nottingham(path);
    fit_rounds(folder, strcmp(argv[2], "half") != 0);
    for (int i = 0; i < piece_count; i++) ct_arena_free(&pieces[i].arena);
    return 0;
}

/* melody_net.c -- see melody_net.h. */
#include "core/music/melody_net.h"

#include <math.h>
#include <string.h>

void ct_melody_standard(const ct_melody_input *input, int inputs, const float *row, float *out) {
    for (int k = 0; k < inputs; k++) {
        float z = (row[k] - input[k].mean) / input[k].spread;
        out[k] = z > 4 ? 4 : z < -4 ? -4 : z;
    }
}

/* Columns [first, first + TILE) of a layer for a block of notes: sums stay in registers. */
enum { TILE = 8 };
static inline void tile(const float *weights, const float *bias, const float *in, int inputs, int stride, int outputs,
                        int first, float *out) {
    float sum[CT_MELODY_BLOCK][TILE];
    for (int r = 0; r < CT_MELODY_BLOCK; r++)
        for (int j = 0; j < TILE; j++) sum[r][j] = bias[first + j];
    for (int k = 0; k < inputs; k++)
        for (int r = 0; r < CT_MELODY_BLOCK; r++)
            for (int j = 0; j < TILE; j++) sum[r][j] += in[r * stride + k] * weights[k * outputs + first + j];
    for (int r = 0; r < CT_MELODY_BLOCK; r++)
        for (int j = 0; j < TILE; j++) out[r * outputs + first + j] = sum[r][j] > 0 ? sum[r][j] : 0;
}

void ct_melody_forward(const float *weights, int inputs, ct_melody_block *b) {
    const float *bias = weights + inputs * CT_MELODY_WIDE, *second = bias + CT_MELODY_WIDE;
    const float *second_bias = second + CT_MELODY_WIDE * CT_MELODY_NARROW, *last = second_bias + CT_MELODY_NARROW;
    for (int j = 0; j < CT_MELODY_WIDE; j += TILE)
        tile(weights, bias, b->in[0], inputs, CT_MELODY_ALL, CT_MELODY_WIDE, j, b->wide[0]);
    for (int j = 0; j < CT_MELODY_NARROW; j += TILE)
        tile(second, second_bias, b->wide[0], CT_MELODY_WIDE, CT_MELODY_WIDE, CT_MELODY_NARROW, j, b->narrow[0]);
    for (int r = 0; r < CT_MELODY_BLOCK; r++)
        for (int what = 0; what < 2; what++) {
            const float *w = last + what * (CT_MELODY_NARROW + 1);
            float        sum = w[CT_MELODY_NARROW];
            for (int j = 0; j < CT_MELODY_NARROW; j++) sum += b->narrow[r][j] * w[j];
            b->p[r][what] = 1 / (1 + expf(-fmaxf(-30, fminf(30, sum))));
        }
}

static float *unpack(float *to, const int8_t *numbers, const float *scale, int rows, int columns) {
    for (int k = 0; k < rows; k++)
        for (int j = 0; j < columns; j++) *to++ = scale[k] * (float)numbers[k * columns + j];
    return to;
}

static float *copy(float *to, const float *from, int count) {
    memcpy(to, from, (size_t)count * sizeof *to);
    return to + count;
}

static void unpack_net(const ct_melody_net *net, float *to) {
    to = unpack(to, net->first[0], net->first_scale, net->inputs, CT_MELODY_WIDE);
    to = copy(to, net->first_bias, CT_MELODY_WIDE);
    to = unpack(to, net->second[0], net->second_scale, CT_MELODY_WIDE, CT_MELODY_NARROW);
    to = copy(to, net->second_bias, CT_MELODY_NARROW);
    copy(to, net->last, 2 * (CT_MELODY_NARROW + 1));
}

static void judge(const ct_melody_net *net, const float *weights, const ct_melody_song *song, float *p, float *other) {
    ct_melody_block b = {0};
    for (size_t i = 0; i < song->count; i += CT_MELODY_BLOCK) {
        for (size_t r = 0; r < CT_MELODY_BLOCK && i + r < song->count; r++)
            ct_melody_standard(net->input, net->inputs, song->rows[i + r], b.in[r]);
        ct_melody_forward(weights, net->inputs, &b);
        for (size_t r = 0; r < CT_MELODY_BLOCK && i + r < song->count; r++) {
            p[i + r] = b.p[r][0];
            other[i + r] = b.p[r][1];
        }
    }
}

/* All rounds, over notes that are heard as one song. */
static ct_status hear(const ct_grid_note *notes, size_t count, ct_arena *arena, float *out) {
    static const ct_melody_net *const ROUND[CT_MELODY_ROUNDS] = {&ct_melody_round_0, &ct_melody_round_1,
                                                                 &ct_melody_round_2};
    ct_grid_note                     *single = CT_NEW(arena, ct_grid_note, count);
    uint32_t                         *of = CT_NEW(arena, uint32_t, count);
    uint8_t                          *copies = CT_NEW(arena, uint8_t, count);
    float                            *p = CT_NEW(arena, float, count), *other = CT_NEW(arena, float, count);
    float                            *weights = CT_NEW(arena, float, CT_MELODY_NET_FLOATS(CT_MELODY_ALL));
    ct_melody_song                    song;
    if (!single || !of || !copies || !p || !other || !weights) return CT_ENOMEM;
    size_t n = ct_melody_singles(notes, count, single, of, copies);
    CT_TRY(ct_melody_features(single, copies, n, arena, &song));
    for (int r = 0; r < CT_MELODY_ROUNDS; r++) {
        if (r > 0) CT_TRY(ct_melody_context(&song, p, other, arena));
        unpack_net(ROUND[r], weights);
        judge(ROUND[r], weights, &song, p, other);
    }
    for (size_t i = 0; i < count; i++) out[i] = p[of[i]];
    return CT_OK;
}

ct_status ct_melody_probabilities(const ct_grid_note *notes, size_t count, float *out) {
    enum { AT_ONCE = 16384 }; /* notes; a row of features takes most of a kilobyte */
    for (size_t i = 0; i < count; i += AT_ONCE) {
        ct_arena  scratch = {0};
        ct_status status = hear(notes + i, count - i < AT_ONCE ? count - i : AT_ONCE, &scratch, out + i);
        ct_arena_free(&scratch);
        CT_TRY(status);
    }
    return CT_OK;
}

/* Both whole models: gradients, agreement of the backends, memory, caches, causality, invariance, files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/data/loader.h"
#include "models/decoder.h"
#include "models/harmony.h"
#include "models/held_out.h"
#include "models/network.h"
#include "music_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static ct_model_config small(int stage, int form, double dropout) {
    return (ct_model_config){.stage = stage,
                             .layers = 2,
                             .width = 32,
                             .heads = 2,
                             .feed_forward = 48,
                             .tokens = 24,
                             .memory = stage == CT_MELODY ? 40 : 0,
                             .dropout = dropout,
                             .rotary_base = 10000,
                             .rotary_count = 5,
                             .rotary = {{CT_BY_INDEX, 0.25},
                                        {CT_BY_TIME, 0.25},
                                        {CT_BY_ROOT, 0.25},
                                        {CT_BY_PREVIOUS_ROOT, 0.125},
                                        {CT_BY_PLACE, 0.125}},
                             .form = form,
                             .roots = true,
                             .function = true,
                             .theory = true};
}

/* A model with every parameter away from its start: H-RPE's tables begin at zero, which would hide mistakes. */
static ct_model make_model(const ct_model_config *config, ct_dtype dtype, ct_arena *arena) {
    ct_model      m;
    ct_stage_data data = fixture_stage(config->stage, arena);
    assert_int_equal(ct_model_create(config, &data, 7, dtype, &m), CT_OK);
    for (int64_t i = 0; i < m.parameter_count; i++) {
        double noise = 0.2 * (ct_philox_float(ct_philox_at(99, 0, (uint64_t)i).word[0]) - 0.5);
        if (dtype == CT_F64)
            ((double *)m.parameters)[i] += noise;
        else
            ((float *)m.parameters)[i] += (float)noise;
    }
    return m;
}

static ct_network make_network(ct_model *m, const ct_backend *backend, int64_t batch, int64_t tokens, int64_t memory,
                               bool train) {
    ct_network         n;
    ct_network_options o = {.batch = batch, .tokens = tokens, .memory = memory, .train = train, .backend = backend};
    assert_int_equal(ct_network_make(m, &o, &n), CT_OK);
    n.step->seed = 5;
    n.step->loss_scale = 0.01;
    return n;
}

/* Rows first..first+tokens-1 of pieces `seed`, `seed + 1`, ... as a batch. */
static ct_batch make_batch(int stage, uint64_t seed, int64_t batch, int64_t tokens, int64_t first, ct_arena *arena) {
    ct_batch b;
    int      columns;
    ct_columns((ct_stage)stage, &columns);
    assert_int_equal(ct_batch_make(arena, batch, tokens, columns, &b), CT_OK);
    for (int64_t line = 0; line < batch; line++) {
        ct_rows rows = fixture_rows(stage, seed + (uint64_t)line, arena);
        memcpy(b.rows + line * tokens * columns, rows.at + first * columns,
               (size_t)(tokens * columns) * sizeof *b.rows);
        for (int64_t t = 0; t < tokens; t++) {
            b.target[line * tokens + t] = rows.at[(first + t + 1) * columns];
            b.song[line * tokens + t] = (int32_t)line;
        }
    }
    return b;
}

static double at(const ct_network *n, const void *array, int64_t i) {
    return n->model->dtype == CT_F64 ? ((const double *)array)[i] : (double)((const float *)array)[i];
}

static double objective(ct_network *n) {
    double sum = 0;
    assert_int_equal(ct_network_forward(n), CT_OK);
    for (int64_t i = 0; i < n->batch * n->tokens; i++) sum += at(n, n->loss, i);
    return sum * n->step->loss_scale;
}

/* ---- gradients: double-precision reference against central differences, dropout on (its masks are fixed) */
static void check_gradients(int stage, int form) {
    ct_arena        arena = {0};
    ct_model_config config = small(stage, form, 0.2);
    ct_model        m = make_model(&config, CT_F64, &arena);
    ct_network      n = make_network(&m, ct_backend_reference(), 2, config.tokens, config.memory, true);
    n.step->train = true;
    if (stage == CT_MELODY) { /* two windows into the memory, so that it is full and its ring has turned */
        for (int64_t k = 0; k < 2; k++) {
            ct_batch before = make_batch(stage, 11, 2, config.tokens, k * config.tokens, &arena);
            assert_int_equal(ct_network_fill(&n, &before), CT_OK);
            objective(&n);
            assert_int_equal(ct_network_remember(&n), CT_OK);
        }
    }
    ct_batch batch = make_batch(stage, 11, 2, config.tokens, stage == CT_MELODY ? 2 * config.tokens : 0, &arena);
    assert_int_equal(ct_network_fill(&n, &batch), CT_OK);
    assert_int_equal(ct_network_zero_gradients(&n), CT_OK);
    objective(&n);
    assert_int_equal(ct_network_backward(&n), CT_OK);
    double       *p = m.parameters;
    const double *g = n.gradients;
    for (int64_t t = 0; t < m.tensor_count; t++) {
        const ct_tensor_info *info = &m.tensors[t];
        double                largest = 0;
        for (int64_t i = 0; i < info->count; i++) largest = fmax(largest, fabs(g[info->first + i]));
        if (!(largest > 0)) fail_msg("%s takes no part: gradient %g", info->name, g[info->first]);
        for (int k = 0; k < 6; k++) {
            int64_t i =
                info->first + (k == 0 ? 0
                                      : (int64_t)ct_philox_below(ct_philox_at(3, (uint64_t)t, (uint64_t)k).word[0],
                                                                 (uint32_t)info->count));
            if (k == 5) /* and the one with the largest gradient */
                for (int64_t j = info->first; j < info->first + info->count; j++)
                    if (fabs(g[j]) == largest) i = j;
            double saved = p[i], step = 1e-5, up, down;
            p[i] = saved + step;
            up = objective(&n);
            p[i] = saved - step;
            down = objective(&n);
            p[i] = saved;
            double numeric = (up - down) / (2 * step);
            if (fabs(numeric - g[i]) > 1e-6 * (fabs(g[i]) + largest) + 1e-10)
                fail_msg("%s[%lld]: backward %.10g, central difference %.10g", info->name, (long long)(i - info->first),
                         g[i], numeric);
        }
    }
    ct_network_free(&n);
    ct_model_free(&m);
    ct_arena_free(&arena);
}

static void backbone_gradients(void **state) {
    (void)state;
    check_gradients(CT_BACKBONE, CT_FORM_TABLE);
}
static void backbone_gradients_mlp(void **state) {
    (void)state;
    check_gradients(CT_BACKBONE, CT_FORM_MLP);
}
static void backbone_gradients_plain(void **state) {
    (void)state;
    check_gradients(CT_BACKBONE, CT_FORM_OFF);
}
static void melody_gradients(void **state) {
    (void)state;
    check_gradients(CT_MELODY, CT_FORM_TABLE);
}

/* ---- the fast backend against the reference: at most 2 (forward) and 3 (backward) times the error of plain fp32 loops
 */
typedef struct ct_result {
    double *logits, *gradients;
} ct_result;

static ct_result run_model(const ct_model_config *config, ct_dtype dtype, const ct_backend *backend, ct_arena *arena,
                           int64_t *logits, int64_t *parameters) {
    ct_model   m = make_model(config, dtype, arena);
    ct_network n = make_network(&m, backend, 3, config->tokens, config->memory, true);
    n.step->train = true;
    for (int64_t k = 0; k < 3; k++) {
        ct_batch batch = make_batch(config->stage, 31, 3, config->tokens, k * config->tokens, arena);
        n.step->number = k;
        assert_int_equal(ct_network_fill(&n, &batch), CT_OK);
        objective(&n);
        if (k < 2) assert_int_equal(ct_network_remember(&n), CT_OK);
    }
    *logits = n.batch * n.tokens * m.vocabulary_size;
    *parameters = m.parameter_count;
    ct_result r = {CT_NEW(arena, double, (size_t)*logits), CT_NEW(arena, double, (size_t)*parameters)};
    assert_true(r.logits && r.gradients);
    for (int64_t i = 0; i < *logits; i++) r.logits[i] = at(&n, n.logits, i);
    assert_int_equal(ct_network_backward(&n), CT_OK);
    for (int64_t i = 0; i < *parameters; i++) r.gradients[i] = at(&n, n.gradients, i);
    ct_network_free(&n);
    ct_model_free(&m);
    return r;
}

/* Root mean square of the difference. */
static double error(const double *a, const double *b, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrt(sum / (double)count);
}

static void backends_agree(void **state) {
    (void)state;
    for (int stage = 0; stage < CT_STAGES; stage++) {
        ct_arena        arena = {0};
        int64_t         logits, parameters;
        ct_model_config config = small(stage, CT_FORM_TABLE, 0.1);
        ct_result       exact = run_model(&config, CT_F64, ct_backend_reference(), &arena, &logits, &parameters);
        ct_result       naive = run_model(&config, CT_F32, ct_backend_reference(), &arena, &logits, &parameters);
        ct_result       fast = run_model(&config, CT_F32, ct_backend_cpu(), &arena, &logits, &parameters);
        double          forward = error(naive.logits, exact.logits, logits),
               backward = error(naive.gradients, exact.gradients, parameters);
        assert_true(forward > 0 && backward > 0);
        if (error(fast.logits, exact.logits, logits) > 2 * forward)
            fail_msg("%s: forward error %g, plain fp32 has %g", ct_stage_names[stage],
                     error(fast.logits, exact.logits, logits), forward);
        if (error(fast.gradients, exact.gradients, parameters) > 3 * backward)
            fail_msg("%s: backward error %g, plain fp32 has %g", ct_stage_names[stage],
                     error(fast.gradients, exact.gradients, parameters), backward);
        ct_arena_free(&arena);
    }
}

/* ---- memory as long as the piece: segment by segment equals all at once */
static void memory_equals_whole(void **state) {
    (void)state;
    enum { T = 16, SEGMENTS = 5, WHOLE = T * SEGMENTS };
    ct_arena        arena = {0};
    ct_model_config config = small(CT_MELODY, CT_FORM_TABLE, 0.2);
    ct_model        m = make_model(&config, CT_F64, &arena);
    ct_network      whole = make_network(&m, ct_backend_reference(), 2, WHOLE, 0, false),
               parts = make_network(&m, ct_backend_reference(), 2, T, WHOLE, false);
    ct_batch all = make_batch(CT_MELODY, 41, 2, WHOLE, 0, &arena);
    assert_int_equal(ct_network_fill(&whole, &all), CT_OK);
    objective(&whole);
    for (int64_t k = 0; k < SEGMENTS; k++) {
        ct_batch part = make_batch(CT_MELODY, 41, 2, T, k * T, &arena);
        assert_int_equal(ct_network_fill(&parts, &part), CT_OK);
        objective(&parts);
        assert_int_equal(ct_network_remember(&parts), CT_OK);
        for (int64_t line = 0; line < 2; line++)
            for (int64_t i = 0; i < T * m.vocabulary_size; i++) {
                double a = ((const double *)parts.logits)[line * T * m.vocabulary_size + i],
                       b = ((const double *)whole.logits)[(line * WHOLE + k * T) * m.vocabulary_size + i];
                if (fabs(a - b) > 1e-10)
                    fail_msg("segment %lld, line %lld, logit %lld: %.12g and %.12g", (long long)k, (long long)line,
                             (long long)i, a, b);
            }
    }
    ct_network_free(&whole);
    ct_network_free(&parts);
    ct_model_free(&m);
    ct_arena_free(&arena);
}

/* Another song in the memory changes nothing: attention never crosses. */
static void memory_keeps_songs_apart(void **state) {
    (void)state;
    ct_arena        arena = {0};
    ct_model_config config = small(CT_MELODY, CT_FORM_TABLE, 0);
    ct_model        m = make_model(&config, CT_F64, &arena);
    ct_network      n = make_network(&m, ct_backend_reference(), 1, config.tokens, config.memory, false);
    ct_batch        batch = make_batch(CT_MELODY, 51, 1, config.tokens, 0, &arena),
             other = make_batch(CT_MELODY, 52, 1, config.tokens, 0, &arena);
    int64_t count = config.tokens * m.vocabulary_size;
    double *alone = CT_NEW(&arena, double, (size_t)count);
    assert_int_equal(ct_network_fill(&n, &batch), CT_OK);
    objective(&n);
    memcpy(alone, n.logits, (size_t)count * sizeof *alone);
    for (int64_t t = 0; t < config.tokens; t++) other.song[t] = 77;
    assert_int_equal(ct_network_forget(&n), CT_OK);
    assert_int_equal(ct_network_fill(&n, &other), CT_OK);
    objective(&n);
    assert_int_equal(ct_network_remember(&n), CT_OK);
    assert_int_equal(ct_network_fill(&n, &batch), CT_OK);
    objective(&n);
    for (int64_t i = 0; i < count; i++)
        assert_true(fabs(alone[i] - ((const double *)n.logits)[i]) <= 1e-10); /* sums in another order */
    ct_network_free(&n);
    ct_model_free(&m);
    ct_arena_free(&arena);
}

/* ---- caches: step by step equals the network, windows of memory included */
static void decoder_equals_network(void **state) {
    (void)state;
    for (int stage = 0; stage < CT_STAGES; stage++) {
        ct_arena        arena = {0};
        ct_model_config config = small(stage, CT_FORM_TABLE, 0.1);
        ct_model        m = make_model(&config, CT_F64, &arena);
        const int64_t   T = config.tokens, length = stage == CT_MELODY ? 4 * T : T, V = m.vocabulary_size;
        ct_network      n = make_network(&m, ct_backend_reference(), 1, T, config.memory, false);
        ct_decoder      d;
        bool            active[3] = {false, true, true}; /* line 0 rests */
        ct_rows         rows = fixture_rows(stage, 61, &arena);
        assert_int_equal(
            ct_decoder_make(
                &m, &(ct_decoder_options){.batch = 3, .capacity = length, .backend = ct_backend_reference()}, &d),
            CT_OK);
        for (int64_t line = 0; line < 3; line++) ct_decoder_begin(&d, line);
        for (int64_t t = 0; t < length; t++) {
            if (t % T == 0) {
                ct_batch batch = make_batch(stage, 61, 1, T, t, &arena);
                assert_int_equal(ct_network_fill(&n, &batch), CT_OK);
                objective(&n);
                assert_int_equal(ct_network_remember(&n), CT_OK);
            }
            for (int64_t line = 1; line < 3; line++)
                memcpy(d.now.rows + line * rows.columns, rows.at + t * rows.columns,
                       (size_t)rows.columns * sizeof *d.now.rows);
            assert_int_equal(ct_decoder_step(&d, active), CT_OK);
            for (int64_t i = 0; i < V; i++) {
                double a = ((const double *)d.logits)[V + i], b = ((const double *)n.logits)[(t % T) * V + i];
                if (fabs(a - b) > 1e-10)
                    fail_msg("%s, row %lld, logit %lld: step by step %.12g, at once %.12g", ct_stage_names[stage],
                             (long long)t, (long long)i, a, b);
                assert_true(a == ((const double *)d.logits)[2 * V + i]);
            }
        }
        ct_decoder_free(&d);
        ct_network_free(&n);
        ct_model_free(&m);
        ct_arena_free(&arena);
    }
}

/* A sequence's logits have the same bits alone and among others of other lengths. */
static void decoder_is_batch_invariant(void **state) {
    (void)state;
    for (int stage = 0; stage < CT_STAGES; stage++) {
        enum { LENGTH = 70, LINES = 17 };
        ct_arena        arena = {0};
        ct_model_config config = small(stage, CT_FORM_TABLE, 0);
        ct_model        m = make_model(&config, CT_F32, &arena);
        ct_decoder      alone, many;
        ct_rows         rows[LINES];
        bool            one[1] = {true}, all[LINES];
        const size_t    V = (size_t)m.vocabulary_size;
        assert_int_equal(
            ct_decoder_make(&m, &(ct_decoder_options){.batch = 1, .capacity = LENGTH, .backend = ct_backend_cpu()},
                            &alone),
            CT_OK);
        assert_int_equal(
            ct_decoder_make(&m, &(ct_decoder_options){.batch = LINES, .capacity = LENGTH, .backend = ct_backend_cpu()},
                            &many),
            CT_OK);
        for (int64_t i = 0; i < LINES; i++) {
            rows[i] = fixture_rows(stage, 70 + (uint64_t)i, &arena);
            ct_decoder_begin(&many, i);
        }
        float *bits = CT_NEW(&arena, float, LINES *LENGTH *V);
        for (int64_t t = 0; t < LENGTH; t++) {
            for (int64_t i = 0; i < LINES; i++) {
                all[i] = t < LENGTH - 3 * i; /* they end at different lengths */
                memcpy(many.now.rows + i * rows[i].columns, rows[i].at + t * rows[i].columns,
                       (size_t)rows[i].columns * sizeof(uint16_t));
            }
            assert_int_equal(ct_decoder_step(&many, all), CT_OK);
            for (size_t i = 0; i < LINES; i++)
                memcpy(bits + (i * LENGTH + (size_t)t) * V, (const float *)many.logits + i * V, V * sizeof *bits);
        }
        for (int64_t i = 0; i < LINES; i++) {
            ct_decoder_begin(&alone, 0);
            for (int64_t t = 0; t < LENGTH - 3 * i; t++) {
                memcpy(alone.now.rows, rows[i].at + t * rows[i].columns, (size_t)rows[i].columns * sizeof(uint16_t));
                assert_int_equal(ct_decoder_step(&alone, one), CT_OK);
                assert_memory_equal(bits + ((size_t)i * LENGTH + (size_t)t) * V, alone.logits, V * sizeof *bits);
            }
        }
        ct_decoder_free(&alone);
        ct_decoder_free(&many);
        ct_model_free(&m);
        ct_arena_free(&arena);
    }
}

/* ---- causality: nothing after row t, in any column, reaches the logits up to t */
static void nothing_leaks(void **state) {
    (void)state;
    for (int stage = 0; stage < CT_STAGES; stage++) {
        ct_arena        arena = {0};
        ct_model_config config = small(stage, CT_FORM_TABLE, 0);
        config.tokens = 90;
        ct_model      m = make_model(&config, CT_F32, &arena);
        const int64_t T = config.tokens, V = m.vocabulary_size, K = m.column_count;
        ct_network    n = make_network(&m, ct_backend_cpu(), 1, T, config.memory, false);
        ct_batch      first = make_batch(stage, 81, 1, T, 0, &arena),
                 batch = make_batch(stage, 81, 1, T, stage == CT_MELODY ? T : 0, &arena);
        float *before = CT_NEW(&arena, float, (size_t)(T * V));
        if (stage == CT_MELODY) {
            assert_int_equal(ct_network_fill(&n, &first), CT_OK);
            objective(&n);
            assert_int_equal(ct_network_remember(&n), CT_OK);
        }
        assert_int_equal(ct_network_fill(&n, &batch), CT_OK);
        objective(&n);
        memcpy(before, n.logits, (size_t)(T * V) * sizeof *before);
        for (int64_t t = 0; t + 1 < T; t++) {
            ct_batch changed = make_batch(stage, 81, 1, T, stage == CT_MELODY ? T : 0, &arena);
            for (int64_t r = t + 1; r < T; r++)
                for (int64_t c = 0; c < K; c++) {
                    uint16_t size = m.columns[c].size ? m.columns[c].size : 5000;
                    changed.rows[r * K + c] =
                        (uint16_t)ct_philox_below(ct_philox_at(9, (uint64_t)t, (uint64_t)(r * K + c)).word[0], size);
                }
            assert_int_equal(ct_network_fill(&n, &changed), CT_OK);
            objective(&n);
            if (memcmp(before, n.logits, (size_t)((t + 1) * V) * sizeof *before) != 0)
                fail_msg("%s: rows after %lld reach the logits before", ct_stage_names[stage], (long long)t);
        }
        ct_network_free(&n);
        ct_model_free(&m);
        ct_arena_free(&arena);
    }
}

/* ---- transposition: G and the rotated inner products stay as they are */
static void harmony_is_invariant(void **state) {
    (void)state;
    ct_arena        arena = {0};
    ct_model_config config = small(CT_BACKBONE, CT_FORM_TABLE, 0);
    ct_model        m = make_model(&config, CT_F64, &arena);
    const int64_t   S = 40, H = config.heads, Q = m.qualities;
    int32_t         counts[1] = {40};
    int32_t        *chords = CT_NEW(&arena, int32_t, (size_t)S * 3);
    double         *g[2] = {CT_NEW(&arena, double, (size_t)(H * S * S)), CT_NEW(&arena, double, (size_t)(H * S * S))};
    for (int shift = 0; shift < 12; shift++) {
        for (int64_t s = 0; s < S; s++) {
            ct_philox x = ct_philox_at(17, 0, (uint64_t)s);
            int32_t   root = (int32_t)(x.word[0] % 14), key = (int32_t)(x.word[1] % 26);
            chords[s * 3] = root < 12 ? (root + shift) % 12 : root;
            chords[s * 3 + 1] = (int32_t)(x.word[2] % (uint32_t)Q);
            chords[s * 3 + 2] = key < 24 ? key / 12 * 12 + (key + shift) % 12 : key;
        }
        ct_record_list  list = {0}, *lists[] = {&list};
        ct_layer_params p = m.layers[0];
        ct_params       op = {.harmony = {.dtype = CT_F64,
                                          .batch = 1,
                                          .heads = H,
                                          .queries = S,
                                          .keys = S,
                                          .qualities = Q,
                                          .theory = CT_PHI_COUNT,
                                          .query = chords,
                                          .key = chords,
                                          .query_count = counts,
                                          .key_count = counts,
                                          .e = ct_model_at(&m, p.e),
                                          .d = ct_model_at(&m, p.d),
                                          .w = ct_model_at(&m, p.w),
                                          .phi = m.phi,
                                          .g = g[shift > 0]}};
        assert_int_equal(ct_record_push(&list, &arena, CT_OP_harmony, 0, "G", op), CT_OK);
        assert_int_equal(ct_records_workspace(lists, 1, &arena), CT_OK);
        ct_check none = {.second = NULL};
        assert_int_equal(ct_records_run(&list, ct_backend_reference(), &none), CT_OK);
        if (shift) assert_memory_equal(g[0], g[1], (size_t)(H * S * S) * sizeof *g[0]);
    }
    int32_t source[8];
    double  omega[8];
    ct_rotary_pairs(&config, source, omega);
    for (int pair = 0; pair < 8; pair++) {
        if (source[pair] != CT_BY_ROOT && source[pair] != CT_BY_PREVIOUS_ROOT) continue;
        for (int a = 0; a < 12; a++)
            for (int b = 0; b < 12; b++)
                for (int shift = 1; shift < 12;
                     shift++) { /* cos(w (a - b)) and sin(w (a - b)) are all the product depends on */
                    double before = omega[pair] * (a - b), after = omega[pair] * ((a + shift) % 12 - (b + shift) % 12);
                    assert_true(fabs(cos(before) - cos(after)) < 1e-12 && fabs(sin(before) - sin(after)) < 1e-12);
                }
    }
    ct_model_free(&m);
    ct_arena_free(&arena);
}

/* Pairs: shares, spacing, periods as the design says. */
static void rotary_pairs_are_shared_out(void **state) {
    (void)state;
    ct_model_config c = {.width = 128,
                         .heads = 4,
                         .rotary_base = 10000,
                         .rotary_count = 3,
                         .rotary = {{CT_BY_INDEX, 0.25}, {CT_BY_TIME, 0.25}, {CT_BY_ROOT, 0.5}}};
    int32_t         source[16];
    double          omega[16];
    ct_rotary_pairs(&c, source, omega);
    for (int i = 0; i < 16; i++) assert_int_equal(source[i], i < 4 ? CT_BY_INDEX : i < 8 ? CT_BY_TIME : CT_BY_ROOT);
    assert_true(omega[0] == 1 && fabs(omega[2] - 0.01) < 1e-12); /* the whole range over four pairs */
    assert_true(fabs(omega[4] * 4 * CT_PHASES_PER_BAR - 6.283185307179586) < 1e-12);
    assert_true(fabs(omega[8] * 12 - 5 * 6.283185307179586) < 1e-9 &&
                fabs(omega[9] * 12 - 4 * 6.283185307179586) < 1e-9);
}

/* ---- files */
static void models_are_saved_and_loaded(void **state) {
    (void)state;
    char path[] = "/tmp/cantus-test-XXXXXX";
    int  file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    for (int form = CT_FORM_TABLE; form <= CT_FORM_OFF; form++) {
        ct_arena        arena = {0};
        ct_model_config config = small(CT_MELODY, form, 0.1);
        ct_model        m = make_model(&config, CT_F32, &arena), again;
        assert_int_equal(ct_model_save(&m, path, NULL, 0, NULL), CT_OK);
        assert_int_equal(ct_model_load(path, CT_F32, &again), CT_OK);
        assert_int_equal(m.parameter_count, again.parameter_count);
        assert_memory_equal(m.parameters, again.parameters, (size_t)m.parameter_count * sizeof(float));
        assert_int_equal(again.config.memory, config.memory);
        assert_int_equal(again.config.rotary_count, config.rotary_count);
        assert_true(again.native);
        ct_model_free(&again);
        assert_int_equal(truncate(path, 5000 + (off_t)form), 0);
        assert_int_equal(ct_model_load(path, CT_F32, &again), CT_EFAIL);
        assert_non_null(strstr(ct_message(), path));
        ct_model_free(&m);
        ct_arena_free(&arena);
    }
    unlink(path);
}

static void bad_shapes_are_refused(void **state) {
    (void)state;
    ct_arena        arena = {0};
    ct_stage_data   data = fixture_stage(CT_BACKBONE, &arena);
    ct_model        m;
    ct_model_config heads = small(CT_BACKBONE, CT_FORM_TABLE, 0), shares = heads, memory = heads, column = heads;
    heads.heads = 5;
    shares.rotary[0].share = 0.9;
    memory.memory = 8;
    column.rotary[0].by = CT_BY_PITCH_CLASS; /* the backbone has no such column */
    assert_int_equal(ct_model_create(&heads, &data, 1, CT_F32, &m), CT_EUSAGE);
    assert_non_null(strstr(ct_message(), "model.heads"));
    assert_int_equal(ct_model_create(&shares, &data, 1, CT_F32, &m), CT_EUSAGE);
    assert_non_null(strstr(ct_message(), "model.rotary"));
    assert_int_equal(ct_model_create(&memory, &data, 1, CT_F32, &m), CT_EUSAGE);
    assert_non_null(strstr(ct_message(), "model.memory"));
    assert_int_equal(ct_model_create(&column, &data, 1, CT_F32, &m), CT_EUSAGE);
    ct_arena_free(&arena);
}

/* More harmonic segments than planned: an error, never a truncation. */
static void too_many_segments_are_an_error(void **state) {
    (void)state;
    ct_arena           arena = {0};
    ct_model_config    config = small(CT_BACKBONE, CT_FORM_TABLE, 0);
    ct_model           m = make_model(&config, CT_F32, &arena);
    ct_network         n;
    ct_network_options o = {.batch = 1, .tokens = config.tokens, .queries = 2, .keys = 2, .backend = ct_backend_cpu()};
    ct_batch           batch = make_batch(CT_BACKBONE, 91, 1, config.tokens, 0, &arena);
    assert_int_equal(ct_network_make(&m, &o, &n), CT_OK);
    assert_int_equal(ct_network_fill(&n, &batch), CT_EFAIL);
    ct_network_free(&n);
    ct_model_free(&m);
    ct_arena_free(&arena);
}

/* ---- songs of any length: a dataset in memory, of pieces of random songs */
static const int64_t song_rows[] = {0, 9, 0, 1, 17, 24, 60, 13};

static ct_dataset make_dataset(ct_song songs[CT_COUNT(song_rows)], ct_arena *arena) {
    ct_dataset d = {.path = "memory", .songs = songs, .song_count = CT_COUNT(song_rows)};
    ct_rows    all = fixture_rows(CT_BACKBONE, 31, arena);
    d.stage[CT_BACKBONE] = fixture_stage(CT_BACKBONE, arena);
    d.stage[CT_BACKBONE].present = true;
    d.stage[CT_BACKBONE].npy = (ct_npy){.rows = all.count, .columns = all.columns, .data = all.at};
    int64_t first = 0;
    for (size_t i = 0; i < CT_COUNT(song_rows); first += song_rows[i++])
        songs[i] = (ct_song){.source = "song", .split = CT_VALID, .first = {first, 0}, .rows = {song_rows[i], 0}};
    return d;
}

static void streams_have_room_for_their_segments(void **state) {
    (void)state;
    enum { LONG = 50000 };
    ct_arena         arena = {0};
    ct_song          songs[CT_COUNT(song_rows)];
    ct_dataset       d = make_dataset(songs, &arena);
    const int        width = d.stage[CT_BACKBONE].column_count;
    ct_chord_columns c = ct_chord_columns_of(d.stage[CT_BACKBONE].columns, width);
    uint8_t *begins = CT_NEW(&arena, uint8_t, LONG + 100); /* does a segment begin with this row of the stream? */
    assert_non_null(begins);
    int64_t length = 0;
    for (uint64_t visit = 0; length < LONG; visit++) {
        const ct_song *song = &songs[ct_philox_below(ct_philox_at(8, 0, visit).word[0], CT_COUNT(song_rows))];
        for (int64_t r = 0; r < song->rows[CT_BACKBONE] && song->rows[CT_BACKBONE] > 1; r++) {
            const uint16_t *row = ct_dataset_row(&d, CT_BACKBONE, song->first[CT_BACKBONE] + r);
            begins[length++] = r == 0 || ct_segment_changes(c, row - width, row);
        }
    }
    static const int64_t windows[] = {1, 5, 32, 50, 200};
    for (size_t w = 0; w < CT_COUNT(windows); w++) {
        int64_t most = 0, told;
        for (int64_t at = 0; at + windows[w] <= length; at++) {
            int64_t count = 1;
            for (int64_t r = at + 1; r < at + windows[w]; r++) count += begins[r];
            if (count > most) most = count;
        }
        assert_int_equal(ct_dataset_stream_segments(&d, CT_BACKBONE, windows[w], &told), CT_OK);
        assert_true(told >= most && told <= windows[w]);
        if (windows[w] <= 32) assert_int_equal(told, most); /* long ones need an order that chance does not bring */
    }
    ct_arena_free(&arena);
}

static void songs_without_rows_are_passed_over(void **state) {
    (void)state;
    ct_arena        arena = {0};
    ct_song         songs[CT_COUNT(song_rows)];
    ct_dataset      d = make_dataset(songs, &arena);
    ct_model_config config = small(CT_BACKBONE, CT_FORM_TABLE, 0);
    ct_model        m = make_model(&config, CT_F32, &arena);
    ct_network      n = make_network(&m, ct_backend_cpu(), 1, config.tokens, 0, false);
    ct_scores       scores;
    int64_t         targets = 0;
    for (size_t i = 0; i < CT_COUNT(song_rows); i++) targets += song_rows[i] > 0 ? song_rows[i] - 1 : 0;
    ct_held_out what = {.dataset = &d, .stage = CT_BACKBONE, .split = CT_VALID};
    assert_int_equal(ct_held_out_network(&what, &n, &arena, &scores), CT_OK);
    assert_int_equal((int64_t)ct_scores_total(&scores, CT_MEASURE_ALL).count, targets);
    ct_network_free(&n);
    ct_model_free(&m);
    ct_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backbone_gradients),
        cmocka_unit_test(backbone_gradients_mlp),
        cmocka_unit_test(backbone_gradients_plain),
        cmocka_unit_test(melody_gradients),
        cmocka_unit_test(backends_agree),
        cmocka_unit_test(memory_equals_whole),
        cmocka_unit_test(memory_keeps_songs_apart),
        cmocka_unit_test(decoder_equals_network),
        cmocka_unit_test(decoder_is_batch_invariant),
        cmocka_unit_test(nothing_leaks),
        cmocka_unit_test(harmony_is_invariant),
        cmocka_unit_test(rotary_pairs_are_shared_out),
        cmocka_unit_test(models_are_saved_and_loaded),
        cmocka_unit_test(bad_shapes_are_refused),
        cmocka_unit_test(too_many_segments_are_an_error),
        cmocka_unit_test(streams_have_room_for_their_segments),
        cmocka_unit_test(songs_without_rows_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

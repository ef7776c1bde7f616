/* decoder_fixture.h -- generation's token by token, for tests that compare devices: sequences of different lengths,
 * that rest now and then, in decoders that have written something else before.
 *
 * Include after cmocka.h; a failure ends the test. Owner: logits lie in the arena given, the model is the caller's.
 */
#ifndef CT_TESTS_DECODER_FIXTURE_H
#define CT_TESTS_DECODER_FIXTURE_H

#include "models/decoder.h"
#include "music_fixture.h"
#include "train/train.h"

#include <math.h>

#define DECODING static inline __attribute__((unused))
enum { DECODED_LINES = 17 }; /* at most */

DECODING void decoded(ct_status status) {
    if (status != CT_OK) fail_msg("%s", ct_message());
}

/* H-RPE's tables too are other than zero. */
DECODING ct_model decoder_model(int stage, const char *width, const char *layers, ct_arena *arena) {
    const char         *words[] = {"data.path=none",
                                   "train.out=none",
                                   width,
                                   layers,
                                   "model.heads=2",
                                   "model.feed_forward=96",
                           stage == CT_MELODY ? "model.stage=melody" : "model.stage=backbone"};
    ct_train_config     c;
    ct_model            m;
    const ct_stage_data data = fixture_stage(stage, arena);
    decoded(ct_config_read(&ct_train_schema, NULL, words, CT_COUNT(words), arena, &c));
    decoded(ct_model_create(&c.model, &data, 5, CT_F32, &m));
    for (int64_t i = 0; i < m.parameter_count; i++)
        ((float *)m.parameters)[i] += 0.2f * (ct_philox_float(ct_philox_at(3, 4, (uint64_t)i).word[0]) - 0.5f);
    return m;
}

/* One step of all lines, each with row at[i] of its own music; one that rests is given what it must not read. */
DECODING void decode_step(ct_decoder *d, const ct_rows *rows, const int64_t *at, const bool *active) {
    for (int64_t i = 0; i < d->batch; i++) {
        const int64_t row = active[i] ? at[i] : rows[i].count - 1;
        if (!rows[i].at) {
            fail_msg("line %d has no rows", (int)i);
            return;
        }
        memcpy(d->now.rows + i * rows[i].columns, rows[i].at + row * rows[i].columns,
               (size_t)rows[i].columns * sizeof(uint16_t));
    }
    decoded(ct_decoder_step(d, active));
}

/* How long line number i is, of `length` at most. */
DECODING int64_t decoded_length(int64_t i, int64_t length) {
    return length - 3 * i;
}

/* Logits of options.batch sequences [line][row][vocabulary], the first of them number `first`, of up to `length` rows.
 * used: in a decoder that has written a few rows of others before, and with a rest now and then. */
DECODING float *decoded_logits(const ct_model *m, int stage, ct_decoder_options options, int64_t length, int64_t first,
                               bool used, ct_arena *arena) {
    const int64_t B = options.batch, V = m->vocabulary_size;
    float        *all = CT_NEW(arena, float, (size_t)(B * length * V));
    ct_rows       rows[DECODED_LINES], others[DECODED_LINES];
    int64_t       at[DECODED_LINES] = {0};
    ct_decoder    d;
    bool          active[DECODED_LINES], more = true;
    assert_non_null(all);
    assert_true(B <= DECODED_LINES);
    options.capacity = length;
    decoded(ct_decoder_make(m, &options, &d));
    for (int64_t i = 0; i < B; i++) {
        rows[i] = fixture_rows(stage, 70 + (uint64_t)(first + i), arena);
        others[i] = fixture_rows(stage, 40 + (uint64_t)(first + i), arena);
        active[i] = true;
    }
    for (int64_t t = 0; t < length / 2 && used; t++) {
        decode_step(&d, others, at, active);
        for (int64_t i = 0; i < B; i++) at[i]++;
    }
    for (int64_t i = 0; i < B; i++) {
        ct_decoder_begin(&d, i);
        at[i] = 0;
    }
    for (int64_t t = 0; more; t++) {
        more = false;
        for (int64_t i = 0; i < B; i++) {
            const bool left = at[i] < decoded_length(first + i, length);
            active[i] = left && !(used && (t + first + i) % 7 == 3);
            more = more || left;
        }
        decode_step(&d, rows, at, active);
        for (int64_t i = 0; i < B; i++)
            if (active[i])
                memcpy(all + (i * length + at[i]++) * V, (const float *)d.logits + i * V, (size_t)V * sizeof *all);
    }
    ct_decoder_free(&d);
    return all;
}

/* The largest of a, or of its distances from b. */
DECODING double decoded_largest(const float *a, const float *b, size_t count) {
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(a[i])) fail_msg("a logit is %g", (double)a[i]);
        most = fmax(most, fabs((double)a[i] - (b ? (double)b[i] : 0)));
    }
    return most;
}

/* Logits as the CPU gives them, within three times what the reference in float is away from those. */
DECODING void check_decoder_agrees(const ct_model *m, int stage, const ct_device *device, int64_t lines, int64_t length,
                                   ct_arena *arena) {
    const size_t             count = (size_t)(lines * length * m->vocabulary_size);
    const ct_decoder_options cpu_of = {.batch = lines, .device = ct_device_cpu()},
                             reference = {.batch = lines, .device = ct_device_cpu(), .backend = ct_backend_reference()},
                             own_of = {.batch = lines, .device = device};
    const float *cpu = decoded_logits(m, stage, cpu_of, length, 0, true, arena);
    const float *plain = decoded_logits(m, stage, reference, length, 0, true, arena);
    const float *own = decoded_logits(m, stage, own_of, length, 0, true, arena);
    const double noise = decoded_largest(plain, cpu, count), error = decoded_largest(own, cpu, count);
    printf("  %s: logits up to %.2g, the reference in float %.1e from the CPU's, the GPU's %.1e\n",
           ct_stage_names[stage], decoded_largest(cpu, NULL, count), noise, error);
    assert_true(noise > 0 && error <= 3 * noise);
}

/* The same bytes alone, in a fresh decoder without a rest, and among others, in one that has written before. */
DECODING void check_decoder_alone(const ct_model *m, int stage, const ct_device *device, bool bf16, int64_t lines,
                                  int64_t length, ct_arena *arena) {
    const int64_t            V = m->vocabulary_size;
    const ct_decoder_options many = {.batch = lines, .device = device, .bf16 = bf16};
    const ct_decoder_options one = {.batch = 1, .device = device, .bf16 = bf16};
    const float             *together = decoded_logits(m, stage, many, length, 0, true, arena);
    for (int64_t i = 0; i < lines; i++) {
        const float *alone = decoded_logits(m, stage, one, length, i, false, arena);
        assert_memory_equal(alone, together + i * length * V, (size_t)(decoded_length(i, length) * V) * sizeof *alone);
    }
}

#endif

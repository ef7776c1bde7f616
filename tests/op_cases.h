/* op_cases.h -- for the tests of the ops: a list of cases, and the arrays that a case needs, made from the op table.
 *
 * A case names an op, its sizes and scalars, and the arrays that are missing. op_arrays_make allocates every array in
 * one precision: inputs drawn by Philox from (case, field name, index), so that float and double hold the same numbers;
 * outputs and workspace full of NaN; guard bands on both sides. A backward op's inputs of the same name as an input or
 * output of its forward op are taken from a run of the forward op (reference, double).
 */
#ifndef CT_TESTS_OP_CASES_H
#define CT_TESTS_OP_CASES_H

#include "kernels/bf16.h"
#include "kernels/ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEST_INLINE static inline __attribute__((unused))

/* FOURS: few numbers, in rows of a multiple of four; each array in turn may be shifted. UNTURNED: attention whose
 * rotation turns by nothing */
enum { WHOLE = 1, NO_CHORD = 2, SONGS = 4, LONG_RUN = 8, FOURS = 16, UNTURNED = 32 };

typedef struct op_case {
    ct_op       op;
    const char *name;
    int flags; /* WHOLE: whole numbers, sums are exact; SONGS: several songs and empty rows, no sequence that rests */
    const char *missing, *forward_missing; /* " field field " */
    const char *alias;                     /* this output ... */
    const char *alias_of;                  /* ... is the same array as this input */
    ct_params   params;
} op_case;

#include "op_case_list.h"

static const ct_step test_step = {.seed = 77,
                                  .number = 5,
                                  .ring = 4,
                                  .learning_rate = 0.01,
                                  .clip = 0.5,
                                  .loss_scale = 0.125,
                                  .first_row = 40,
                                  .train = true};

typedef struct op_arrays {
    const op_case    *about;
    const ct_op_info *info;
    ct_params         params;
    unsigned char    *block[64]; /* guard, elements, guard */
    int64_t           count[64];
    size_t            element[64];
} op_arrays;

enum { GUARD = 256, GUARD_BYTE = 0x5a };

TEST_INLINE bool named(const char *list, const char *name) {
    char padded[64];
    snprintf(padded, sizeof padded, " %s ", name);
    return list && strstr(list, padded);
}

TEST_INLINE uint64_t text_hash(const char *text) {
    uint64_t hash = 1469598103934665603u; /* FNV-1a */
    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash;
}

TEST_INLINE ct_philox draw(const op_case *c, const char *field, int64_t i) {
    return ct_philox_at(text_hash(c->name), text_hash(field), (uint64_t)i);
}

/* A real input. Magnitudes are those of training; names decide where a field must be more than random. */
TEST_INLINE float real_value(const op_case *c, const char *field, int64_t i) {
    bool      cosine = !strncmp(field, "cosine", 6), sine = !strncmp(field, "sine", 4);
    ct_philox x = draw(c, cosine || sine ? "angle" : field, i);
    float     u = 2 * ct_philox_float(x.word[0]) - 1;
    if (c->flags & UNTURNED && (cosine || sine)) return cosine ? 1 : 0;
    if (cosine) return cosf(3 * u);
    if (sine) return sinf(3 * u);
    if (c->flags & WHOLE && c->op == CT_OP_sample) return i % 2 ? -0.0f : (float)-(int)ct_philox_below(x.word[0], 3);
    if (c->flags & WHOLE) return (float)(int)ct_philox_below(x.word[0], 7) - 3;
    if ((c->op == CT_OP_grad_squares || c->op == CT_OP_narrow) && c->flags & NO_CHORD && i == 7) return INFINITY;
    if (c->op == CT_OP_narrow && c->flags & NO_CHORD && i == 13) return NAN;
    if (c->op == CT_OP_narrow && i % 3 == 1) /* halfway between two */
        return ct_bf16_float((uint16_t)x.word[1] % 0x7f00) * (1 + 1.0F / 256);
    if (!strcmp(field, "gain")) return 1 + u / 2;
    if (!strcmp(field, "variance")) return fabsf(u);
    if (c->op == CT_OP_sample && c->flags & NO_CHORD) return 0.5f;
    if (c->op == CT_OP_sample && c->flags & LONG_RUN) return 600 * u;
    if (c->op == CT_OP_memory_update && c->flags & NO_CHORD && *field == 'x' && i % 7 < 3)
        return i % 7 == 2 ? NAN : i % 7 ? -INFINITY : INFINITY;
    if (c->op == CT_OP_cross_entropy && c->flags & NO_CHORD) return i == 0 ? 8 : u; /* nearly certain */
    if (!strcmp(field, "logits")) return 6 * u - (c->flags & LONG_RUN ? 200 : 0);
    if (!strcmp(field, "x") && (c->op == CT_OP_gelu || c->op == CT_OP_gelu_backward)) return (i % 9 ? 8 : 40) * u;
    return u;
}

/* An element of an array of whole numbers (or of doubles, which are few). */
TEST_INLINE double whole(int64_t number) {
    return (double)number;
}
TEST_INLINE double number_value(const op_case *c, const ct_params *params, const char *field, int64_t i,
                                int64_t count) {
    ct_philox x = draw(c, field, i);
    uint32_t  word = x.word[0];
    bool      songs = c->flags & SONGS;
    switch ((int)c->op) {
    case CT_OP_rows_embed:
    case CT_OP_rows_embed_backward: {
        const ct_rows_embed *p = &params->rows_embed;
        uint32_t             own = (uint32_t)(p->table_rows / p->columns);
        if (!strcmp(field, "values")) return ct_philox_below(word, own);
        return i == 1 ? -1 : (double)(i * own);
    }
    case CT_OP_rotary_rows:
        if (!strcmp(field, "omega")) return ct_philox_double(word, x.word[1]) * 3;
        if (!strcmp(field, "source")) return ct_philox_below(word, (uint32_t)params->rotary_rows.sources);
        return (double)ct_philox_below(word, 20000) - 1000;
    case CT_OP_harmony:
    case CT_OP_harmony_backward:
    case CT_OP_harmony_mlp:
    case CT_OP_harmony_mlp_backward: {
        const ct_harmony *p = &params->harmony; /* the four begin alike */
        int64_t           most = field[0] == 'q' ? p->queries : p->keys;
        if (strstr(field, "_count")) return i == 0 ? (double)most : ct_philox_below(word, (uint32_t)most + 1);
        if (i % 3 == 0) return c->flags & NO_CHORD ? 12 : ct_philox_below(word, 14);
        return ct_philox_below(word, i % 3 == 1 ? (uint32_t)p->qualities : 26);
    }
    case CT_OP_attention:
    case CT_OP_attention_backward: {
        const ct_attention *p = &params->attention; /* the two begin alike */
        if (!strcmp(field, "song") && c->flags & LONG_RUN && i % p->tokens >= 70) return -1;
        if (!strcmp(field, "song")) return !songs ? 0 : ct_philox_below(word, 16) == 0 ? -1 : whole(i % p->tokens / 37);
        if (!strcmp(field, "song_memory") && c->flags & NO_CHORD) return i < count / 2 ? 0 : -1; /* not full yet */
        if (!strcmp(field, "song_memory") && c->flags & LONG_RUN) return i < count - 40;         /* the song before */
        if (!strcmp(field, "song_memory")) return !songs ? 0 : (double)ct_philox_below(word, 3) - 1;
        if (!strcmp(field, "segment_query")) return whole(i % p->tokens * p->queries / p->tokens);
        if (!strcmp(field, "segment_key")) return whole(i % p->tokens * p->keys / p->tokens);
        return ct_philox_below(word, (uint32_t)p->keys);
    }
    case CT_OP_attention_decode: {
        const ct_attention_decode *p = &params->attention_decode;
        double length = i == 1 && !songs ? -1.0 : ct_philox_below(draw(c, "length", i).word[0], (uint32_t)p->capacity);
        if (c->flags & LONG_RUN) length = (double)p->capacity - 1;
        if (!strcmp(field, "length")) return length;
        if (!strcmp(field, "first")) return length < 0 ? 0 : ct_philox_below(word, (uint32_t)length / 2 + 1);
        return ct_philox_below(word, (uint32_t)p->keys);
    }
    case CT_OP_widen:
        return c->flags & NO_CHORD ? word : word % 0x7f80;
    case CT_OP_grad_norm:
        if (*field == 'u') return 41;
        if (c->flags & NO_CHORD && i == 70) return INFINITY;
        return c->flags & WHOLE ? (double)(word % 1000) : ct_philox_double(word, x.word[1]) * 1e3;
    case CT_OP_cross_entropy:
        if (c->flags & NO_CHORD) return 0;
        return i % 5 == 3 ? -1.0 : ct_philox_below(word, (uint32_t)params->cross_entropy.vocabulary);
    case CT_OP_adamw:
        if (!strcmp(field, "norm")) return i == 0 ? (c->flags & LONG_RUN ? 0.25 : 2) : !(c->flags & NO_CHORD);
        if (!strcmp(field, "updates")) return 3;
        if (!strcmp(field, "first")) return whole(i * (params->adamw.count + 2 * params->adamw.from) / (count - 1));
        return (double)(i % 2);
    case CT_OP_sample:
        if (!strcmp(field, "allowed")) return i / params->sample.vocabulary != 1 && ct_philox_below(word, 4) > 0;
        if (!strcmp(field, "position")) return i == 2 ? -1.0 : word % 1000;
        return word;
    default:
        break;
    }
    return word % 7;
}

TEST_INLINE void *array_of(const op_arrays *a, int field) {
    return a->block[field] ? a->block[field] + GUARD : NULL;
}
TEST_INLINE int field_index(const ct_op_info *info, const char *name) {
    for (int i = 0; i < info->field_count; i++)
        if (!strcmp(info->fields[i].name, name)) return i;
    return -1;
}
TEST_INLINE double real_at(const op_arrays *a, int field, int64_t i) {
    const void *array = array_of(a, field);
    if (a->element[field] == 2) return (double)ct_bf16_float(((const uint16_t *)array)[i]);
    return a->element[field] == 8 ? ((const double *)array)[i] : (double)((const float *)array)[i];
}
TEST_INLINE void set_real(op_arrays *a, int field, int64_t i, double value) {
    void *array = array_of(a, field);
    if (a->element[field] == 8)
        ((double *)array)[i] = value;
    else if (a->element[field] == 2)
        ((uint16_t *)array)[i] = ct_bf16_round((float)value);
    else
        ((float *)array)[i] = (float)value;
}
TEST_INLINE void set_number(ct_type type, void *array, int64_t i, double value) {
    switch (type) {
    case CT_TYPE_f64:
        ((double *)array)[i] = value;
        break;
    case CT_TYPE_i64:
        ((int64_t *)array)[i] = (int64_t)value;
        break;
    case CT_TYPE_u64:
        ((uint64_t *)array)[i] = (uint64_t)value;
        break;
    case CT_TYPE_i32:
        ((int32_t *)array)[i] = (int32_t)value;
        break;
    case CT_TYPE_u16:
        ((uint16_t *)array)[i] = (uint16_t)value;
        break;
    case CT_TYPE_u8:
        ((uint8_t *)array)[i] = (uint8_t)value;
        break;
    case CT_TYPE_real:
    case CT_TYPE_wide:
    case CT_TYPE_none:
        break;
    }
}

TEST_INLINE ct_op forward_of(ct_op op) {
    const char *name = ct_op_about(op)->name, *end = strstr(name, "_backward");
    for (int o = 0; end && o < CT_OP_COUNT; o++) {
        const char *forward = ct_op_about((ct_op)o)->name;
        if (strlen(forward) == (size_t)(end - name) && !strncmp(forward, name, (size_t)(end - name))) return (ct_op)o;
    }
    return CT_OP_COUNT;
}

/* sizes and scalars of `from` go to the fields of the same name of `to` */
TEST_INLINE void copy_scalars(const ct_op_info *from, const ct_params *source, const ct_op_info *to,
                              ct_params *target) {
    for (int i = 0; i < to->field_count; i++) {
        const ct_field *t = &to->fields[i];
        int             at = field_index(from, t->name);
        if (t->count || at < 0) continue;
        size_t next = i + 1 < to->field_count ? to->fields[i + 1].offset : to->size;
        memcpy((char *)target + t->offset, (const char *)source + from->fields[at].offset, next - t->offset);
    }
}

TEST_INLINE op_case forward_case(const op_case *c) {
    op_case forward = {.op = forward_of(c->op), .name = c->name, .flags = c->flags, .missing = c->forward_missing};
    copy_scalars(ct_op_about(c->op), &c->params, ct_op_about(forward.op), &forward.params);
    return forward;
}

/* Bytes after an array. None after inputs: there a sanitizer build has its own guard, and sees reads too. */
TEST_INLINE size_t guard_after(const op_arrays *a, int field) {
    return a->info->fields[field].role == CT_ROLE_IN && !a->about->alias ? 0 : GUARD;
}

TEST_INLINE void op_arrays_free(op_arrays *a) {
    for (int i = 0; i < a->info->field_count; i++) free(a->block[i]);
}

/* every array by itself: nothing taken from the forward op */
TEST_INLINE op_arrays op_arrays_fill(const op_case *c, ct_dtype dtype) {
    op_arrays a = {.about = c, .info = ct_op_about(c->op), .params = c->params};
    int       step = field_index(a.info, "step");
    a.params.dtype = dtype;
    const ct_step *pointer = &test_step;
    if (step >= 0) memcpy((char *)&a.params + a.info->fields[step].offset, &pointer, sizeof pointer);
    for (int i = 0; i < a.info->field_count; i++) {
        const ct_field *f = &a.info->fields[i];
        if (!f->count || named(c->missing, f->name)) continue;
        a.element[i] = ct_type_size(f->type, dtype);
        a.count[i] = f->count(&a.params);
        size_t size = (size_t)a.count[i] * a.element[i];
        a.block[i] = malloc(GUARD + size + guard_after(&a, i));
        if (!a.block[i]) abort();
        memset(a.block[i], GUARD_BYTE, GUARD + size + guard_after(&a, i));
        memset(a.block[i] + GUARD, 0xff, size); /* NaN in bf16, float and double */
        void *array = a.block[i] + GUARD;
        if (f->role == CT_ROLE_IN || f->role == CT_ROLE_ADD)
#pragma omp parallel for if (a.count[i] > 100000)
            for (int64_t k = 0; k < a.count[i]; k++) {
                if (ct_type_is_real(f->type))
                    set_real(&a, i, k, (double)real_value(c, f->name, k));
                else
                    set_number(f->type, array, k, number_value(c, &a.params, f->name, k, a.count[i]));
            }
        memcpy((char *)&a.params + f->offset, &array, sizeof array);
    }
    if (c->alias) {
        int   from = field_index(a.info, c->alias_of), to = field_index(a.info, c->alias);
        void *array = array_of(&a, from);
        memcpy((char *)&a.params + a.info->fields[to].offset, &array, sizeof array);
    }
    return a;
}

TEST_INLINE op_arrays op_arrays_make(const op_case *c, ct_dtype dtype) {
    op_arrays a = op_arrays_fill(c, dtype);
    if (forward_of(c->op) != CT_OP_COUNT) {
        op_case   forward = forward_case(c);
        op_arrays made = op_arrays_make(&forward, CT_F64);
        if (ct_op_run(ct_backend_reference(), forward.op, &made.params) != CT_OK) abort();
        for (int i = 0; i < a.info->field_count; i++) {
            const ct_field *f = &a.info->fields[i];
            int             at = field_index(made.info, f->name);
            if (f->role != CT_ROLE_IN || !ct_type_is_real(f->type) || at < 0) continue;
            if (!made.block[at]) at = field_index(made.info, "x"); /* layernorm without r: sum stands for x */
            if (!a.block[i] || !made.block[at]) continue;
            for (int64_t k = 0; k < a.count[i]; k++) set_real(&a, i, k, real_at(&made, at, k));
        }
        op_arrays_free(&made);
    }
    return a;
}

/* where a result lies: an alias in its input's block */
TEST_INLINE int result_field(const op_arrays *a, int field) {
    const char *name = a->info->fields[field].name;
    return a->about->alias && !strcmp(a->about->alias, name) ? field_index(a->info, a->about->alias_of) : field;
}

TEST_INLINE bool guards_intact(const op_arrays *a, int field) {
    const unsigned char *block = a->block[field];
    size_t               size = (size_t)a->count[field] * a->element[field];
    for (size_t i = 0; block && i < GUARD; i++)
        if (block[i] != GUARD_BYTE) return false;
    for (size_t i = 0; block && i < guard_after(a, field); i++)
        if (block[GUARD + size + i] != GUARD_BYTE) return false;
    return true;
}

#endif

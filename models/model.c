/* model.c -- shape checks, parameter layout, first weights; see model.h. Files are read and written in model_file.c. */
#include "models/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const ct_key ct_rotary_keys[2] = {
    CT_KEY(ct_rotary, "by", CHOICE, NULL, 0, 0, CT_BY_WORDS, by, "what the pairs turn by"),
    CT_KEY(ct_rotary, "share", REAL, NULL, 0, 1, NULL, share, "share of a head's pairs"),
};

static ct_status check(const ct_model_config *c) {
    if (c->width % c->heads)
        return ct_fail(CT_EUSAGE, "%s: %lld does not divide model.width %lld", ct_config_where("model.heads"),
                       (long long)c->heads, (long long)c->width);
    if (c->width / c->heads % 2)
        return ct_fail(CT_EUSAGE,
                       "%s: a head of %lld numbers is odd; rotary pairs need an even one (hint: width/heads 32 or 64)",
                       ct_config_where("model.heads"), (long long)(c->width / c->heads));
    double shares = 0;
    for (int64_t i = 0; i < c->rotary_count; i++) shares += c->rotary[i].share;
    if (shares > 1 + 1e-9)
        return ct_fail(CT_EUSAGE, "%s: shares add up to %g, at most 1 (what is left over is not turned)",
                       ct_config_where("model.rotary"), shares);
    if (c->stage == CT_BACKBONE && c->memory)
        return ct_fail(CT_EUSAGE, "%s: %lld, but the backbone has no memory (hint: memory is for model.stage: melody)",
                       ct_config_where("model.memory"), (long long)c->memory);
    return CT_OK;
}

static ct_status copy_data(ct_model *m, const ct_stage_data *data) {
    ct_arena *a = &m->arena;
    m->column_count = data->column_count;
    m->vocabulary_size = data->vocabulary_size;
    m->native = data->native;
    m->columns = CT_NEW(a, ct_column, (size_t)data->column_count);
    m->offset = CT_NEW(a, int32_t, (size_t)data->column_count);
    m->vocabulary = CT_NEW(a, const char *, (size_t)data->vocabulary_size);
    if (!m->columns || !m->offset || !m->vocabulary) return CT_ENOMEM;
    int64_t rows = 0;
    for (int i = 0; i < data->column_count; i++) {
        m->columns[i] = data->columns[i];
        m->columns[i].name = ct_arena_copy(a, data->columns[i].name, strlen(data->columns[i].name));
        if (!m->columns[i].name) return CT_ENOMEM;
        m->offset[i] = data->columns[i].size ? (int32_t)rows : -1;
        rows += data->columns[i].size;
    }
    m->table_rows = rows;
    for (int i = 0; i < data->vocabulary_size; i++) {
        m->vocabulary[i] = ct_arena_copy(a, data->vocabulary[i], strlen(data->vocabulary[i]));
        if (!m->vocabulary[i]) return CT_ENOMEM;
    }
    m->chord = ct_chord_columns_of(m->columns, m->column_count);
    m->qualities = m->chord.quality < 0 ? 0 : m->columns[m->chord.quality].size;
    if (m->chord.root >= 0 && (m->columns[m->chord.root].size < 12 || m->columns[m->chord.key].size < 24 ||
                               m->qualities != CT_QUALITY_VALUES))
        return ct_fail(CT_EFAIL,
                       "dataset: columns root, quality and key have %u, %u and %u values; H-RPE needs 12 or more, %d, "
                       "and 24 or more",
                       m->columns[m->chord.root].size, m->columns[m->chord.quality].size, m->columns[m->chord.key].size,
                       CT_QUALITY_VALUES);
    static const char *const times[] = {"bar", "phase", "place", "step", "open"}, *const roots[] = {"root",
                                                                                                    "previous_root",
                                                                                                    "pitch_class"};
    for (size_t i = 0; i < CT_COUNT(times); i++)
        m->column_time[i] = ct_column_find(m->columns, m->column_count, times[i]);
    for (size_t i = 0; i < CT_COUNT(roots); i++)
        m->column_root[i] = ct_column_find(m->columns, m->column_count, roots[i]);
    return CT_OK;
}

/* Does the data hold what rotation by `by` reads? */
static bool can_turn_by(const ct_model *m, int by) {
    switch (by) {
    case CT_BY_TIME:
        return m->column_time[0] >= 0 && m->column_time[1] >= 0;
    case CT_BY_PLACE:
        return m->column_time[2] >= 0 && m->column_time[1] >= 0;
    case CT_BY_ROOT:
        return m->column_root[0] >= 0;
    case CT_BY_PREVIOUS_ROOT:
        return m->column_root[1] >= 0;
    case CT_BY_PITCH_CLASS:
        return m->column_root[2] >= 0;
    default:
        return true;
    }
}

/* Append a tensor; layer < 0: none. Returns its first element, -1 when memory is out. */
static int64_t tensor(ct_model *m, size_t *capacity, int64_t layer, const char *name, bool decay, int dimensions,
                      const int64_t *shape) {
    if (!CT_PUSH(&m->arena, m->tensors, m->tensor_count, *capacity)) return -1;
    ct_tensor_info *t = &m->tensors[m->tensor_count++];
    *t = (ct_tensor_info){.first = m->parameter_count, .count = 1, .dimensions = dimensions, .decay = decay};
    t->name = layer < 0 ? ct_arena_printf(&m->arena, "%s", name)
                        : ct_arena_printf(&m->arena, "layer.%lld.%s", (long long)layer, name);
    for (int i = 0; i < dimensions; i++) t->count *= t->shape[i] = shape[i];
    m->parameter_count += t->count;
    return t->name ? t->first : -1;
}

static ct_status layout(ct_model *m) {
    const ct_model_config *c = &m->config;
    size_t                 capacity = 0;
    int64_t                C = c->width, F = c->feed_forward, H = c->heads, Q = m->qualities;
    bool                   fine = true;
#define TENSOR(layer, name, decay, ...)                                                                                \
    tensor(m, &capacity, layer, name, decay, (int)CT_COUNT(((int64_t[]){__VA_ARGS__})), (int64_t[]){__VA_ARGS__})
#define PART(to, name, decay, ...) fine = (l->to = TENSOR(i, name, decay, __VA_ARGS__)) >= 0 && fine
    m->layers = CT_NEW(&m->arena, ct_layer_params, (size_t)c->layers);
    if (!m->layers) return CT_ENOMEM;
    m->table = TENSOR(-1, "embedding", true, m->table_rows, C);
    for (int64_t i = 0; i < c->layers; i++) {
        ct_layer_params *l = &m->layers[i];
        memset(l, -1, sizeof *l);
        PART(norm1_gain, "norm1.gain", false, C);
        PART(norm1_bias, "norm1.bias", false, C);
        PART(qkv, "attention.qkv", true, 3 * C, C);
        PART(qkv_bias, "attention.qkv_bias", false, 3 * C);
        PART(out, "attention.out", true, C, C);
        PART(out_bias, "attention.out_bias", false, C);
        PART(norm2_gain, "norm2.gain", false, C);
        PART(norm2_bias, "norm2.bias", false, C);
        PART(up, "feed_forward.up", true, F, C);
        PART(up_bias, "feed_forward.up_bias", false, F);
        PART(down, "feed_forward.down", true, C, F);
        PART(down_bias, "feed_forward.down_bias", false, C);
        if (c->form == CT_FORM_TABLE) {
            if (c->roots) PART(e, "harmony.roots", false, H, 12, Q, Q);
            if (c->function) PART(d, "harmony.function", false, H, 25, 25);
            if (c->theory) PART(w, "harmony.theory", false, H, CT_PHI_COUNT);
        } else if (c->form == CT_FORM_MLP) {
            PART(mlp_root, "harmony.mlp_root", false, 12, H, CT_MLP_SIZE);
            PART(mlp_quality, "harmony.mlp_quality", false, Q, Q, H, CT_MLP_SIZE);
            PART(mlp_function, "harmony.mlp_function", false, 25, 25, H, CT_MLP_SIZE);
            PART(w1, "harmony.mlp_w1", false, CT_MLP_HIDDEN, 3 * CT_MLP_SIZE);
            PART(b1, "harmony.mlp_b1", false, CT_MLP_HIDDEN);
            PART(w2, "harmony.mlp_w2", false, CT_MLP_HIDDEN);
            PART(b2, "harmony.mlp_b2", false, 1);
        }
    }
    m->norm_gain = TENSOR(-1, "norm.gain", false, C);
    m->norm_bias = TENSOR(-1, "norm.bias", false, C);
#undef PART
#undef TENSOR
    if (!fine || m->table < 0 || m->norm_gain < 0 || m->norm_bias < 0) return CT_ENOMEM;
    m->parameters = ct_arena_alloc(&m->weights, (size_t)m->parameter_count, ct_dtype_size(m->dtype));
    return m->parameters ? CT_OK : CT_ENOMEM;
}

static void put(ct_model *m, int64_t at, double value) {
    if (m->dtype == CT_F64)
        ((double *)m->parameters)[at] = value;
    else
        ((float *)m->parameters)[at] = (float)value;
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), k = strlen(end);
    return n >= k && !strcmp(text + n - k, end);
}

static void initialise(ct_model *m, uint64_t seed) {
    for (int64_t t = 0; t < m->tensor_count; t++) {
        const ct_tensor_info *info = &m->tensors[t];
        bool                  gain = ends_with(info->name, ".gain"),
             mlp = strstr(info->name, "harmony.mlp_") && !ends_with(info->name, "_b1") && !ends_with(info->name, "_b2");
        double deviation = info->decay || mlp ? 0.02 : 0;
        if (ends_with(info->name, "attention.out") || ends_with(info->name, "feed_forward.down"))
            deviation /= sqrt(2.0 * (double)m->config.layers);
        for (int64_t i = 0; i < info->count; i++) {
            ct_philox x = ct_philox_at(seed, (uint64_t)t, (uint64_t)i); /* Box-Muller */
            double    u = 1 - ct_philox_double(x.word[0], x.word[1]), v = ct_philox_double(x.word[2], x.word[3]);
            put(m, info->first + i,
                gain            ? 1
                : deviation > 0 ? deviation * sqrt(-2 * log(u)) * cos(6.283185307179586 * v)
                                : 0);
        }
    }
}

static ct_status make_phi(ct_model *m) {
    size_t  count = (size_t)(CT_PHI_COUNT * 12 * m->qualities * m->qualities);
    double *phi = CT_NEW(&m->arena, double, count);
    float  *narrow = m->dtype == CT_F32 ? CT_NEW(&m->arena, float, count) : NULL;
    if (!phi || (m->dtype == CT_F32 && !narrow)) return CT_ENOMEM;
    ct_phi_table(phi);
    m->phi = phi;
    if (!narrow) return CT_OK;
    for (size_t i = 0; i < count; i++) narrow[i] = (float)phi[i];
    m->phi = narrow;
    return CT_OK;
}

static ct_status shape(const ct_model_config *config, const ct_stage_data *data, ct_model *m) {
    CT_TRY(check(config));
    CT_TRY(copy_data(m, data));
    if (m->chord.root < 0) m->config.form = CT_FORM_OFF;
    for (int64_t i = 0; i < config->rotary_count; i++)
        if (!can_turn_by(m, config->rotary[i].by))
            return ct_fail(CT_EUSAGE, "%s: element %lld turns by a column that the data does not have",
                           ct_config_where("model.rotary"), (long long)i + 1);
    if (m->config.form != CT_FORM_OFF) CT_TRY(make_phi(m));
    return layout(m);
}

ct_status ct_model_shape(const ct_model_config *config, const ct_stage_data *data, ct_dtype dtype, ct_model *out) {
    *out = (ct_model){.config = *config, .dtype = dtype};
    ct_status status = shape(config, data, out);
    if (status != CT_OK) ct_model_free(out);
    return status;
}

ct_status ct_model_plan(const ct_model_config *config, const ct_stage_data *data, ct_dtype dtype, ct_model *out) {
    *out = (ct_model){.config = *config, .dtype = dtype, .weights = {.paper = true}};
    ct_status status = shape(config, data, out);
    if (status != CT_OK) ct_model_free(out);
    return status;
}

ct_status ct_model_create(const ct_model_config *config, const ct_stage_data *data, uint64_t seed, ct_dtype dtype,
                          ct_model *out) {
    CT_TRY(ct_model_shape(config, data, dtype, out));
    initialise(out, seed);
    return CT_OK;
}

void ct_model_free(ct_model *model) {
    ct_arena_free(&model->weights);
    ct_arena_free(&model->arena);
    *model = (ct_model){0};
}

ct_status ct_model_check_same(const ct_model *from, const ct_model *to) {
    for (int64_t i = 0; i < to->tensor_count || i < from->tensor_count; i++) {
        const ct_tensor_info *a = i < from->tensor_count ? &from->tensors[i] : NULL,
                             *b = i < to->tensor_count ? &to->tensors[i] : NULL;
        if (!a || !b || strcmp(a->name, b->name) != 0 || a->count != b->count)
            return ct_fail(CT_EFAIL,
                           "the two models differ: tensor %lld is %s of %lld numbers in one, %s of %lld in the other",
                           (long long)i, a ? a->name : "missing", a ? (long long)a->count : 0LL,
                           b ? b->name : "missing", b ? (long long)b->count : 0LL);
    }
    return CT_OK;
}

ct_status ct_model_copy_weights(const ct_model *from, ct_model *to) {
    CT_TRY(ct_model_check_same(from, to));
    CT_ASSERT(from->dtype == to->dtype);
    memcpy(to->parameters, from->parameters, (size_t)to->parameter_count * ct_dtype_size(to->dtype));
    return CT_OK;
}

int64_t ct_model_window_start(const ct_model *model, int64_t t) {
    int64_t T = model->config.tokens, M = model->config.memory;
    if (M > 0) return t / T * T > M ? t / T * T - M : 0;
    if (t < T) return 0;
    int64_t hop = T / 2;
    return ((t - T) / hop + 1) * hop;
}

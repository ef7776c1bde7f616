/* model.h -- what a model is: its shape, its columns and its parameters.
 *
 * Both stages are one kind of network: pre-norm Transformer, LayerNorm, GELU,
 * embeddings summed over columns, output tied to the token embedding, rotary
 * pairs shared out by the config, H-RPE in every layer. The backbone has no
 * memory; the melody is a Transformer-XL with memory rows a layer. Every
 * dimension comes from the config.
 *
 * Parameters lie in one buffer; ct_tensor_info names its parts. network.h trains
 * a model, decoder.h writes with one.
 *
 * Owner: the model's own arena, until ct_model_free. Columns and vocabulary are copies: a model outlives the dataset.
 * Fails: CT_EUSAGE for shapes that don't fit (named by config key), CT_EFAIL for unreadable files.
 */
#ifndef CT_MODELS_MODEL_H
#define CT_MODELS_MODEL_H

#include "core/config.h"
#include "core/data/dataset.h"
#include "core/safetensors.h"
#include "kernels/ops.h"

/* What a rotary pair turns by. `beat` is one of the periods of time. */
typedef enum ct_by {
    CT_BY_INDEX,
    CT_BY_TIME,
    CT_BY_PLACE,
    CT_BY_ROOT,
    CT_BY_PREVIOUS_ROOT,
    CT_BY_PITCH_CLASS,
    CT_BY_COUNT
} ct_by;
#define CT_BY_WORDS "index|time|place|root|previous_root|pitch_class"

typedef struct ct_rotary {
    int    by; /* ct_by */
    double share;
} ct_rotary;
enum { CT_ROTARY_MOST = 8 };

typedef enum ct_form { CT_FORM_TABLE, CT_FORM_MLP, CT_FORM_OFF } ct_form;
enum { CT_MLP_SIZE = 16, CT_MLP_HIDDEN = 16 };

typedef struct ct_model_config {
    int       stage; /* ct_stage */
    int64_t   layers, width, heads, feed_forward;
    int64_t   tokens; /* rows of a training window, T */
    int64_t   memory; /* rows of memory, M; 0: none */
    double    dropout;
    double    rotary_base;
    int64_t   rotary_count;
    ct_rotary rotary[CT_ROTARY_MOST];
    int       form;                    /* ct_form */
    bool      roots, function, theory; /* the three terms of the table form */
} ct_model_config;

/* The config keys "model.*" with offsets into a struct that holds a ct_model_config at `base`. */
// clang-format off
#define CT_MODEL_KEYS(S, m) \
    CT_KEY(S, "model.stage", CHOICE, NULL, 0, 0, "backbone|melody", m.stage, "which of the two models"), \
    CT_KEY(S, "model.layers", INTEGER, "4", 1, 256, NULL, m.layers, "Transformer layers"), \
    CT_KEY(S, "model.width", INTEGER, "128", 8, 65536, NULL, m.width, "numbers a row"), \
    CT_KEY(S, "model.heads", INTEGER, "4", 1, 1024, NULL, m.heads, "attention heads; divides width, width/heads even"), \
    CT_KEY(S, "model.feed_forward", INTEGER, "512", 8, 1048576, NULL, m.feed_forward, "inner width of the feed-forward part"), \
    CT_KEY(S, "model.tokens", INTEGER, "1024", 8, 65536, NULL, m.tokens, "rows of a training window"), \
    CT_KEY(S, "model.memory", INTEGER, "0", 0, 1048576, NULL, m.memory, "Transformer-XL: rows of memory a layer, 0: none"), \
    CT_KEY(S, "model.dropout", REAL, "0.1", 0, 0.9, NULL, m.dropout, "share of activations dropped in training"), \
    CT_KEY(S, "model.rotary_base", REAL, "10000", 2, 1e9, NULL, m.rotary_base, "RoPE's base for pairs that turn by index"), \
    {"model.rotary", CT_KEY_LIST, "[{by: index, share: 0.25}, {by: time, share: 0.25}, {by: root, share: 0.5}]", 0, 0, NULL, \
     offsetof(S, m.rotary_count), "what the rotary pairs of a head turn by", ct_rotary_keys, 2, sizeof(ct_rotary), \
     offsetof(S, m.rotary), CT_ROTARY_MOST}, \
    CT_KEY(S, "model.harmony.form", CHOICE, "table", 0, 0, "table|mlp|off", m.form, "H-RPE's term on chord pairs: our table, the published MLP, none"), \
    CT_KEY(S, "model.harmony.roots", BOOL, "true", 0, 0, NULL, m.roots, "table form: learned E[root difference, quality, quality]"), \
    CT_KEY(S, "model.harmony.function", BOOL, "true", 0, 0, NULL, m.function, "table form: learned D[degree and mode, degree and mode]"), \
    CT_KEY(S, "model.harmony.theory", BOOL, "true", 0, 0, NULL, m.theory, "table form: learned weights of seven distances of music theory")
// clang-format on
extern const ct_key ct_rotary_keys[2];

typedef struct ct_tensor_info {
    const char *name;
    int64_t     first; /* element in the buffer */
    int64_t     count;
    int         dimensions;
    int64_t     shape[4];
    bool        decay; /* weight decay acts on it: matrices, not gains, biases, H-RPE tables */
} ct_tensor_info;

/* Where each layer's tensors begin (elements); -1: not there. */
typedef struct ct_layer_params {
    int64_t norm1_gain, norm1_bias, qkv, qkv_bias, out, out_bias, norm2_gain, norm2_bias, up, up_bias, down, down_bias;
    int64_t e, d, w;                                             /* table form */
    int64_t mlp_root, mlp_quality, mlp_function, w1, b1, w2, b2; /* mlp form */
} ct_layer_params;

typedef struct ct_model {
    ct_model_config  config;
    ct_arena         arena, weights; /* weights: the parameters alone */
    ct_dtype         dtype;
    ct_column       *columns;
    int              column_count;
    const char     **vocabulary;
    int              vocabulary_size;
    bool             native; /* columns and vocabulary are this program's own */
    int32_t         *offset; /* [column_count]: first table row of each column, -1: not embedded */
    int64_t          table_rows;
    ct_chord_columns chord; /* -1: the data has no chords, then there is no H-RPE */
    int64_t          qualities;
    int              column_time[5];              /* columns bar, phase, place, step, and open; -1: not there */
    int              column_root[3];              /* columns root, previous_root, pitch_class */
    int64_t          table, norm_gain, norm_bias; /* embedding [table_rows][width], its first rows the output matrix */
    ct_layer_params *layers;
    ct_tensor_info  *tensors;
    int64_t          tensor_count, parameter_count;
    void            *parameters;
    void            *phi; /* [CT_PHI_COUNT][12][qualities][qualities], constants */
} ct_model;

/* A new model for a stage of a dataset; weights normal(0, 0.02) (those that end a residual branch / sqrt(2 layers)),
 * H-RPE tables zero, so that training starts from plain attention. */
CT_NODISCARD ct_status ct_model_create(const ct_model_config *config, const ct_stage_data *data, uint64_t seed,
                                       ct_dtype dtype, ct_model *out);
/* The same with weights that are all zero, and take no memory until they are set. */
CT_NODISCARD ct_status ct_model_shape(const ct_model_config *config, const ct_stage_data *data, ct_dtype dtype,
                                      ct_model *out);
/* The same on paper: parameters that must not be touched, to plan with. */
CT_NODISCARD ct_status ct_model_plan(const ct_model_config *config, const ct_stage_data *data, ct_dtype dtype,
                                     ct_model *out);
void                   ct_model_free(ct_model *model);

/* One safetensors file: the tensors, and config, columns and vocabulary as JSON in its metadata. digest
 * may be NULL. */
CT_NODISCARD ct_status ct_model_save(const ct_model *model, const char *path, const ct_pair *more, size_t more_count,
                                     ct_digest *digest);
CT_NODISCARD ct_status ct_model_load(const char *path, ct_dtype dtype, ct_model *out);
/* Copy the weights of `from` into `to` (fine-tuning): CT_EFAIL naming the first tensor whose name or shape differs. */
CT_NODISCARD ct_status ct_model_check_same(const ct_model *from, const ct_model *to);
CT_NODISCARD ct_status ct_model_copy_weights(const ct_model *from, ct_model *to);

/* The name of a dtype in safetensors files. */
static inline const char *ct_tensor_dtype(ct_dtype dtype) {
    return dtype == CT_F64 ? "F64" : "F32";
}

static inline void *ct_model_at(const ct_model *m, int64_t element) {
    return element < 0 ? NULL : (char *)m->parameters + (size_t)element * ct_dtype_size(m->dtype);
}

/* The first row that a token at row t of a piece attends to: the model sees while writing what it saw in training.
 * With memory: windows of T rows with M rows before them. Without: windows of T rows that move on by T/2. */
int64_t ct_model_window_start(const ct_model *model, int64_t t);

#endif

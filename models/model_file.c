/* model_file.c -- models as safetensors files; see model.h. */
#include "core/json.h"
#include "core/safetensors.h"
#include "models/model.h"

#include <stdio.h>
#include <string.h>

typedef struct ct_model_document { /* a config of nothing but the model, to print and read it back */
    ct_model_config model;
} ct_model_document;
static const ct_key    document_keys[] = {CT_MODEL_KEYS(ct_model_document, model)};
static const ct_schema document = {"model", document_keys, CT_COUNT(document_keys)};

static char *describe(const ct_model *m, ct_arena *arena) {
    char *yaml = ct_config_print(&document, &(ct_model_document){m->config}, arena);
    if (!yaml) return NULL;
    ct_json *root = ct_stage_json(m->columns, m->column_count, m->vocabulary, m->vocabulary_size);
    ct_json_set(root, "format", ct_json_new_integer(CT_FORMAT_VERSION));
    ct_json_set(root, "config", ct_json_new_text(yaml));
    char *text = ct_json_print(root, 0, arena);
    ct_json_free(root);
    return text;
}

ct_status ct_model_save(const ct_model *model, const char *path, const ct_pair *more, size_t more_count,
                        ct_digest *digest) {
    ct_arena         arena = {0};
    ct_tensor_entry *entries = CT_NEW(&arena, ct_tensor_entry, (size_t)model->tensor_count);
    ct_pair         *pairs = CT_NEW(&arena, ct_pair, more_count + 1);
    char            *text = describe(model, &arena);
    ct_status        status = CT_ENOMEM;
    if (entries && pairs && text) {
        for (int64_t i = 0; i < model->tensor_count; i++) {
            const ct_tensor_info *t = &model->tensors[i];
            entries[i] = (ct_tensor_entry){.name = t->name,
                                           .dtype = ct_tensor_dtype(model->dtype),
                                           .dimensions = t->dimensions,
                                           .data = ct_model_at(model, t->first),
                                           .bytes = (size_t)t->count * ct_dtype_size(model->dtype)};
            memcpy(entries[i].shape, t->shape, sizeof t->shape);
        }
        pairs[0] = (ct_pair){"cantus", text};
        if (more_count) memcpy(pairs + 1, more, more_count * sizeof *more);
        status = ct_safetensors_write(path, entries, (size_t)model->tensor_count, pairs, more_count + 1, digest);
    }
    ct_arena_free(&arena);
    return status;
}

static bool same_tensor(const ct_tensor_entry *e, const ct_tensor_info *t) {
    bool same = e && e->dimensions == t->dimensions && (!strcmp(e->dtype, "F32") || !strcmp(e->dtype, "F64"));
    for (int d = 0; same && d < t->dimensions; d++) same = e->shape[d] == t->shape[d];
    return same;
}

/* Does the file hold what its config asks for? Asked of a model on paper: sizes in a config are words until the bytes
 * are there. */
static ct_status check(const ct_safetensors *file, const char *path, const ct_model_config *config,
                       const ct_stage_data *data, ct_dtype dtype) {
    ct_model  plan;
    ct_status status = ct_context(ct_model_plan(config, data, dtype, &plan), "%s", path);
    for (int64_t i = 0; status == CT_OK && i < plan.tensor_count; i++)
        if (!same_tensor(ct_safetensors_find(file, plan.tensors[i].name), &plan.tensors[i]))
            status = ct_fail(CT_EFAIL, "%s: tensor %s is missing or has another shape or dtype than its config says",
                             path, plan.tensors[i].name);
    ct_model_free(&plan);
    return status;
}

static void fill(const ct_safetensors *file, ct_model *m) {
    for (int64_t i = 0; i < m->tensor_count; i++) {
        const ct_tensor_info  *t = &m->tensors[i];
        const ct_tensor_entry *e = ct_safetensors_find(file, t->name);
        for (int64_t k = 0; k < t->count; k++) { /* byte copies: data in the file need not be aligned */
            double wide;
            float  narrow;
            if (e->dtype[1] == '6')
                memcpy(&wide, (const char *)e->data + 8 * k, 8);
            else {
                memcpy(&narrow, (const char *)e->data + 4 * k, 4);
                wide = (double)narrow;
            }
            if (m->dtype == CT_F64)
                ((double *)m->parameters)[t->first + k] = wide;
            else
                ((float *)m->parameters)[t->first + k] = (float)wide;
        }
    }
}

/* The config stands as YAML text in the metadata; it is read through the same schema as a user's, line by line. */
static ct_status read_config(const char *yaml, const char *path, ct_arena *arena, ct_model_config *out) {
    ct_model_document values;
    CT_TRY(ct_context(ct_config_read_text(&document, yaml, path, arena, &values), "the model's own config"));
    *out = values.model;
    return CT_OK;
}

ct_status ct_model_load(const char *path, ct_dtype dtype, ct_model *out) {
    ct_safetensors file;
    ct_arena       arena = {0};
    ct_json       *about = NULL;
    *out = (ct_model){0};
    CT_TRY(ct_safetensors_open(path, &file));
    const char     *text = ct_safetensors_metadata(&file, "cantus", NULL);
    ct_stage_data   data = {0};
    ct_model_config config;
    ct_status       status = text ? ct_json_parse(text, strlen(text), path, &about)
                                  : ct_fail(CT_EFAIL, "%s: is no Cantus model (no such metadata)", path);
    if (status == CT_OK && ct_json_integer(ct_json_get(about, "format"), -1) != CT_FORMAT_VERSION)
        status = ct_fail(CT_EFAIL, "%s: model of format %lld, this program reads %d", path,
                         (long long)ct_json_integer(ct_json_get(about, "format"), -1), CT_FORMAT_VERSION);
    if (status == CT_OK) status = read_config(ct_json_text(ct_json_get(about, "config"), ""), path, &arena, &config);
    if (status == CT_OK) status = ct_stage_parse(path, config.stage, about, &arena, &data);
    if (status == CT_OK) status = check(&file, path, &config, &data, dtype);
    if (status == CT_OK) status = ct_model_shape(&config, &data, dtype, out);
    if (status == CT_OK) fill(&file, out);
    if (status == CT_EUSAGE) status = CT_EFAIL; /* what the file asks for, not the user */
    if (status != CT_OK) ct_model_free(out);
    ct_json_free(about);
    ct_safetensors_close(&file);
    ct_arena_free(&arena);
    return status;
}

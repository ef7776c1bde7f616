/* fuzz_safetensors.c -- safetensors files, and the models in them: all that an entry promises can be read, what was
 * read writes and reads back, and a model that loads saves and loads as the same one. Readers map files, so the input
 * is one, in memory; no other file may be opened.
 *
 * An input is tried as it is, and once more with the length of its header set to where the last '}' stands: a length
 * that is right by chance is rare. */
#include "core/json.h"
#include "core/safetensors.h"
#include "models/model.h"
#include "tests/fuzz/fuzz.h"
#include "tests/watch_open.h"

static char aside[100];

static void write_and_read(const ct_safetensors *file) {
    ct_safetensors again;
    CT_ASSERT(ct_safetensors_write(aside, file->tensors, file->count, file->metadata, file->metadata_count, NULL) ==
              CT_OK);
    CT_ASSERT(ct_safetensors_open(aside, &again) == CT_OK);
    CT_ASSERT(again.count == file->count && again.metadata_count == file->metadata_count);
    for (size_t i = 0; i < file->count; i++) {
        const ct_tensor_entry *a = &file->tensors[i], *b = ct_safetensors_find(&again, a->name);
        CT_ASSERT(b && !strcmp(a->dtype, b->dtype) && a->dimensions == b->dimensions && a->bytes == b->bytes);
        CT_ASSERT(!memcmp(a->shape, b->shape, sizeof a->shape));
        CT_ASSERT(!a->bytes || !memcmp(a->data, b->data, a->bytes));
    }
    ct_safetensors_close(&again);
}

static void load(const char *path, size_t size) {
    ct_model model, again;
    if (ct_model_load(path, CT_F32, &model) != CT_OK) return;
    CT_ASSERT((size_t)model.parameter_count <= size / 4); /* memory in the measure of the file */
    fuzz_touch(model.parameters, (size_t)model.parameter_count * sizeof(float));
    CT_ASSERT(ct_model_save(&model, aside, NULL, 0, NULL) == CT_OK);
    CT_ASSERT(ct_model_load(aside, CT_F32, &again) == CT_OK);
    CT_ASSERT(ct_model_check_same(&model, &again) == CT_OK);
    CT_ASSERT(!memcmp(model.parameters, again.parameters, (size_t)model.parameter_count * sizeof(float)));
    ct_model_free(&again);
    ct_model_free(&model);
}

static void try(const uint8_t *data, size_t size) {
    ct_safetensors file;
    const char    *path = fuzz_file(data, size);
    watch_below = "/proc/self/fd/";
    ct_status status = ct_safetensors_open(path, &file);
    watch_below = NULL;
    if (status != CT_OK) return;
    for (size_t i = 0; i < file.count; i++) {
        const ct_tensor_entry *e = &file.tensors[i];
        CT_ASSERT(e->bytes <= size && e->dimensions <= CT_TENSOR_DIMENSIONS && *e->dtype);
        fuzz_touch(e->data, e->bytes);
    }
    write_and_read(&file);
    load(path, size);
    ct_safetensors_close(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!*aside) {
        snprintf(aside, sizeof aside, "%s/aside", fuzz_folder());
        ct_json_free(ct_json_new_object()); /* now, for the first one draws a seed from /dev/urandom */
    }
    try(data, size);
    const uint8_t *end = size > 8 ? memrchr(data + 8, '}', size - 8) : NULL;
    uint8_t       *copy = end ? malloc(size) : NULL;
    if (copy) {
        uint64_t length = (uint64_t)(end + 1 - (data + 8));
        memcpy(copy, data, size);
        for (int i = 0; i < 8; i++) copy[i] = (uint8_t)(length >> 8 * i);
        if (memcmp(copy, data, 8) != 0) try(copy, size);
        free(copy);
    }
    return 0;
}

/* safetensors.c -- see safetensors.h. */
#include "core/safetensors.h"

#include "core/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_MOST = 100 << 20 };

static size_t item_size(const char *dtype) {
    static const struct {
        const char *name;
        size_t      size;
    } sizes[] = {{"F64", 8}, {"I64", 8}, {"U64", 8}, {"F32", 4}, {"I32", 4}, {"U32", 4}, {"BF16", 2},
                 {"F16", 2}, {"U16", 2}, {"I16", 2}, {"U8", 1},  {"I8", 1},  {"BOOL", 1}};
    for (size_t i = 0; i < CT_COUNT(sizes); i++)
        if (!strcmp(sizes[i].name, dtype)) return sizes[i].size;
    return 0;
}

static int by_place(const void *a, const void *b) {
    const ct_tensor_entry *x = a, *y = b;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

static ct_status read_tensor(const char *path, const char *name, const ct_json *about, const uint8_t *data, size_t room,
                             ct_arena *arena, ct_tensor_entry *out) {
    const ct_json *shape = ct_json_get(about, "shape"), *offsets = ct_json_get(about, "data_offsets");
    const char    *dtype = ct_json_text(ct_json_get(about, "dtype"), "");
    size_t         item = item_size(dtype);
    if (!item) return ct_fail(CT_EFAIL, "%s: tensor %s: unknown dtype \"%s\"", path, name, dtype);
    if (!ct_json_is_array(shape) || ct_json_count(shape) > CT_TENSOR_DIMENSIONS)
        return ct_fail(CT_EFAIL, "%s: tensor %s: shape of at most %d numbers expected", path, name,
                       CT_TENSOR_DIMENSIONS);
    out->name = ct_arena_copy(arena, name, strlen(name));
    out->dtype = ct_arena_copy(arena, dtype, strlen(dtype));
    if (!out->name || !out->dtype) return CT_ENOMEM;
    out->dimensions = (int)ct_json_count(shape);
    size_t bytes = item;
    for (int i = 0; i < out->dimensions; i++) {
        out->shape[i] = ct_json_integer(ct_json_at(shape, (size_t)i), -1);
        if (out->shape[i] < 0 || (out->shape[i] && bytes > SIZE_MAX / (uint64_t)out->shape[i]))
            return ct_fail(CT_EFAIL, "%s: tensor %s: bad shape", path, name);
        bytes *= (size_t)out->shape[i];
    }
    int64_t begin = ct_json_integer(ct_json_at(offsets, 0), -1), end = ct_json_integer(ct_json_at(offsets, 1), -1);
    if (begin < 0 || end < begin || (uint64_t)end > room)
        return ct_fail(CT_EFAIL, "%s: tensor %s: data at %lld..%lld, but the file holds %zu bytes of data (truncated?)",
                       path, name, (long long)begin, (long long)end, room);
    if ((uint64_t)(end - begin) != bytes)
        return ct_fail(CT_EFAIL, "%s: tensor %s: its shape needs %zu bytes, its offsets span %lld", path, name, bytes,
                       (long long)(end - begin));
    out->data = data + begin;
    out->bytes = bytes;
    return CT_OK;
}

static ct_status read_header(const char *path, ct_safetensors *file, const ct_json *header, size_t start) {
    size_t         room = file->map.count - start, end = 0;
    const uint8_t *data = file->map.at + start;
    file->tensors = CT_NEW(&file->arena, ct_tensor_entry, ct_json_count(header));
    if (!file->tensors) return CT_ENOMEM;
    const char *name;
    ct_json    *value;
    for (void *i = NULL; ct_json_next(header, &i, &name, &value);) {
        if (strcmp(name, "__metadata__") != 0) {
            CT_TRY(read_tensor(path, name, value, data, room, &file->arena, &file->tensors[file->count]));
            file->count++;
            continue;
        }
        file->metadata = CT_NEW(&file->arena, ct_pair, ct_json_count(value));
        if (!file->metadata) return CT_ENOMEM;
        const char *key;
        ct_json    *text;
        for (void *j = NULL; ct_json_next(value, &j, &key, &text);) {
            const char *words = ct_json_text(text, "");
            ct_pair    *pair = &file->metadata[file->metadata_count++];
            pair->key = ct_arena_copy(&file->arena, key, strlen(key));
            pair->value = ct_arena_copy(&file->arena, words, strlen(words));
            if (!pair->key || !pair->value) return CT_ENOMEM;
        }
    }
    if (file->count) qsort(file->tensors, file->count, sizeof *file->tensors, by_place);
    for (size_t i = 0; i < file->count; i++) {
        size_t begin = (size_t)((const uint8_t *)file->tensors[i].data - data);
        if (begin != end)
            return ct_fail(CT_EFAIL, "%s: tensor %s: data begins at %zu, expected %zu (overlap or hole)", path,
                           file->tensors[i].name, begin, end);
        end = begin + file->tensors[i].bytes;
    }
    if (end != room) return ct_fail(CT_EFAIL, "%s: %zu bytes behind the last tensor", path, room - end);
    return CT_OK;
}

ct_status ct_safetensors_open(const char *path, ct_safetensors *out) {
    *out = (ct_safetensors){0};
    CT_TRY(ct_file_map(path, &out->map));
    ct_json  *header = NULL;
    uint64_t  length = 0;
    ct_status status = CT_OK;
    if (out->map.count < 8) status = ct_fail(CT_EFAIL, "%s: %zu bytes are no safetensors file", path, out->map.count);
    if (status == CT_OK) {
        for (int i = 7; i >= 0; i--) length = length << 8 | out->map.at[i];
        if (length > HEADER_MOST || length > out->map.count - 8)
            status = ct_fail(CT_EFAIL, "%s: header of %llu bytes in a file of %zu (truncated, or no safetensors file)",
                             path, (unsigned long long)length, out->map.count);
    }
    if (status == CT_OK) status = ct_json_parse((const char *)out->map.at + 8, (size_t)length, path, &header);
    if (status == CT_OK && !ct_json_is_object(header))
        status = ct_fail(CT_EFAIL, "%s: its header is no JSON object", path);
    if (status == CT_OK) status = read_header(path, out, header, 8 + (size_t)length);
    ct_json_free(header);
    if (status != CT_OK) ct_safetensors_close(out);
    return status;
}

void ct_safetensors_close(ct_safetensors *file) {
    ct_file_unmap(&file->map);
    ct_arena_free(&file->arena);
    *file = (ct_safetensors){0};
}

const ct_tensor_entry *ct_safetensors_find(const ct_safetensors *file, const char *name) {
    for (size_t i = 0; i < file->count; i++)
        if (!strcmp(file->tensors[i].name, name)) return &file->tensors[i];
    return NULL;
}

const char *ct_safetensors_metadata(const ct_safetensors *file, const char *key, const char *fallback) {
    for (size_t i = 0; i < file->metadata_count; i++)
        if (!strcmp(file->metadata[i].key, key)) return file->metadata[i].value;
    return fallback;
}

ct_status ct_safetensors_write(const char *path, const ct_tensor_entry *tensors, size_t count, const ct_pair *metadata,
                               size_t metadata_count, ct_digest *digest) {
    ct_arena  arena = {0};
    ct_json  *header = ct_json_new_object();
    ct_writer writer;
    size_t    end = 0;
    if (metadata_count) {
        ct_json *map = ct_json_new_object();
        for (size_t i = 0; i < metadata_count; i++)
            ct_json_set(map, metadata[i].key, ct_json_new_text(metadata[i].value));
        ct_json_set(header, "__metadata__", map);
    }
    for (size_t i = 0; i < count; i++) {
        ct_json *about = ct_json_new_object(), *shape = ct_json_new_array(), *offsets = ct_json_new_array();
        for (int d = 0; d < tensors[i].dimensions; d++) ct_json_add(shape, ct_json_new_integer(tensors[i].shape[d]));
        ct_json_add(offsets, ct_json_new_integer((int64_t)end));
        end += tensors[i].bytes;
        ct_json_add(offsets, ct_json_new_integer((int64_t)end));
        ct_json_set(about, "dtype", ct_json_new_text(tensors[i].dtype));
        ct_json_set(about, "shape", shape);
        ct_json_set(about, "data_offsets", offsets);
        ct_json_set(header, tensors[i].name, about);
    }
    char *text = ct_json_print(header, 0, &arena);
    ct_json_free(header);
    ct_status status = text ? ct_writer_begin(&writer, path) : CT_ENOMEM;
    if (status == CT_OK) {
        size_t  length = strlen(text), padded = (length + 7) / 8 * 8;
        uint8_t size[8];
        for (int i = 0; i < 8; i++) size[i] = (uint8_t)((uint64_t)padded >> 8 * i);
        ct_writer_put(&writer, size, 8);
        ct_writer_put(&writer, text, length);
        ct_writer_put(&writer, "        ", padded - length);
        for (size_t i = 0; i < count; i++) ct_writer_put(&writer, tensors[i].data, tensors[i].bytes);
        status = ct_writer_commit(&writer);
        if (digest) *digest = writer.digest;
    }
    ct_arena_free(&arena);
    return status;
}

/* safetensors.h -- named tensors in one file, readable by every framework.
 *
 * Layout: u64 little-endian header length, JSON {name: {dtype, shape, data_offsets},
 * "__metadata__": {text: text}}, then the data, packed without holes.
 *
 * Owner: an open file stays mapped until ct_safetensors_close; data is not copied.
 * Fails: CT_EFAIL naming file and tensor; lengths, offsets, overlaps and shapes are
 *        checked against the file's true size before anything is used.
 */
#ifndef CT_CORE_SAFETENSORS_H
#define CT_CORE_SAFETENSORS_H

#include "core/file.h"

enum { CT_TENSOR_DIMENSIONS = 4 };
typedef struct ct_tensor_entry {
    const char *name;
    const char *dtype; /* "F32", "F64", "U16", "I32", "I64", "U8" */
    int         dimensions;
    int64_t     shape[CT_TENSOR_DIMENSIONS];
    const void *data;
    size_t      bytes;
} ct_tensor_entry;

typedef struct ct_pair {
    const char *key, *value;
} ct_pair;

typedef struct ct_safetensors {
    ct_bytes         map;
    ct_arena         arena;
    ct_tensor_entry *tensors;
    size_t           count;
    ct_pair         *metadata;
    size_t           metadata_count;
} ct_safetensors;

CT_NODISCARD ct_status ct_safetensors_open(const char *path, ct_safetensors *out);
void                   ct_safetensors_close(ct_safetensors *file);
/* NULL when there is none. */
const ct_tensor_entry *ct_safetensors_find(const ct_safetensors *file, const char *name);
const char            *ct_safetensors_metadata(const ct_safetensors *file, const char *key, const char *fallback);

/* digest may be NULL. */
CT_NODISCARD ct_status ct_safetensors_write(const char *path, const ct_tensor_entry *tensors, size_t count,
                                            const ct_pair *metadata, size_t metadata_count, ct_digest *digest);

#endif

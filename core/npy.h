/* npy.h -- NumPy's .npy files: two-dimensional arrays written row by row, and read by mapping.
 *
 * Format version 1.0, C order, little endian; what we write are uint16 arrays,
 * and the reader takes uint16, int32, float32 and float64 of one or two dimensions.
 *
 * Owner: an open array keeps the file mapped until ct_npy_close; rows are not copied.
 * Fails: CT_EFAIL naming file and what is wrong; a header that promises more than
 *        the file holds is refused, so rows can't be read past the end.
 */
#ifndef CT_CORE_NPY_H
#define CT_CORE_NPY_H

#include "core/file.h"

typedef enum ct_npy_type { CT_NPY_U16, CT_NPY_I32, CT_NPY_F32, CT_NPY_F64 } ct_npy_type;

typedef struct ct_npy {
    ct_bytes    map;
    ct_npy_type type;
    int64_t     rows, columns; /* columns 1 for one dimension */
    const void *data;
} ct_npy;

CT_NODISCARD ct_status ct_npy_open(const char *path, ct_npy *out);
void                   ct_npy_close(ct_npy *npy);

/* Header of a C-order array, into `header`; returns its length (a multiple of 64). */
enum { CT_NPY_HEADER = 128 };
size_t                 ct_npy_header(ct_npy_type type, int64_t rows, int64_t columns, char header[CT_NPY_HEADER]);
/* Write a whole array atomically. */
CT_NODISCARD ct_status ct_npy_write(const char *path, ct_npy_type type, int64_t rows, int64_t columns,
                                    const void *data);
size_t                 ct_npy_item(ct_npy_type type);

#endif

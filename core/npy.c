/* npy.c -- see npy.h; the format: numpy.lib.format. */
#include "core/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *descr;
    size_t      size;
} types[] = {{"<u2", 2}, {"<i4", 4}, {"<f4", 4}, {"<f8", 8}};

size_t ct_npy_item(ct_npy_type type) {
    return types[type].size;
}

size_t ct_npy_header(ct_npy_type type, int64_t rows, int64_t columns, char header[CT_NPY_HEADER]) {
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    uint16_t length = CT_NPY_HEADER - 10;
    header[8] = (char)(length & 255);
    header[9] = (char)(length >> 8);
    int n =
        snprintf(header + 10, CT_NPY_HEADER - 10, "{'descr': '%s', 'fortran_order': False, 'shape': (%lld, %lld), }",
                 types[type].descr, (long long)rows, (long long)columns);
    memset(header + 10 + n, ' ', (size_t)(CT_NPY_HEADER - 10 - n));
    header[CT_NPY_HEADER - 1] = '\n';
    return CT_NPY_HEADER;
}

ct_status ct_npy_write(const char *path, ct_npy_type type, int64_t rows, int64_t columns, const void *data) {
    ct_writer writer;
    char      header[CT_NPY_HEADER];
    CT_TRY(ct_writer_begin(&writer, path));
    ct_writer_put(&writer, header, ct_npy_header(type, rows, columns, header));
    ct_writer_put(&writer, data, (size_t)rows * (size_t)columns * types[type].size);
    return ct_writer_commit(&writer);
}

static ct_status parse(const char *path, ct_npy *npy) {
    const uint8_t *b = npy->map.at;
    size_t         n = npy->map.count;
    if (n < 10 || memcmp(b, "\x93NUMPY", 6) != 0)
        return ct_fail(CT_EFAIL, "%s: is no .npy file (its first bytes are not \\x93NUMPY)", path);
    if (b[6] < 1 || b[6] > 3) return ct_fail(CT_EFAIL, "%s: .npy version %d.%d; 1 to 3 are read", path, b[6], b[7]);
    size_t wide = b[6] == 1 ? 2 : 4, start = 8 + wide;
    if (n < start) return ct_fail(CT_EFAIL, "%s: truncated in its header", path);
    size_t length = (size_t)b[8] | (size_t)b[9] << 8;
    if (wide == 4) length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (length > n - start || length > 4096)
        return ct_fail(CT_EFAIL, "%s: header of %zu bytes in a file of %zu", path, length, n);
    char header[4097];
    memcpy(header, b + start, length);
    header[length] = 0;
    const char *descr = strstr(header, "'descr'"), *order = strstr(header, "'fortran_order'"),
               *shape = strstr(header, "'shape'");
    if (!descr || !order || !shape)
        return ct_fail(CT_EFAIL, "%s: no descr, fortran_order and shape in the .npy header", path);
    if (strstr(order, "True") == order + strcspn(order, "TF"))
        return ct_fail(CT_EFAIL, "%s: is in Fortran order; C order is read (hint: numpy.ascontiguousarray)", path);
    descr = strchr(descr + 7, '\'');
    size_t t = 0;
    while (t < CT_COUNT(types) && !(descr && !strncmp(descr + 1, types[t].descr, 3) && descr[4] == '\'')) t++;
    if (t == CT_COUNT(types))
        return ct_fail(CT_EFAIL, "%s: element type %.6s; <u2, <i4, <f4 and <f8 are read", path, descr ? descr : "?");
    npy->type = (ct_npy_type)t;
    const char *p = strchr(shape, '(');
    long long   rows = -1, columns = 1;
    if (p) {
        char *end;
        rows = strtoll(p + 1, &end, 10);
        if (end == p + 1) rows = -1;
        while (*end == ',' || *end == ' ') end++;
        if (*end != ')') {
            columns = strtoll(end, &end, 10);
            while (*end == ',' || *end == ' ') end++;
        }
        if (*end != ')') rows = -1;
    }
    if (rows < 0 || columns < 1) /* no columns: the file's size would not bound the rows */
        return ct_fail(CT_EFAIL, "%s: one or two dimensions are read, of one column or more", path);
    size_t room = (n - start - length) / types[t].size;
    if ((uint64_t)rows > room / (uint64_t)columns)
        return ct_fail(CT_EFAIL, "%s: truncated: its header says %lld x %lld elements, the file holds %zu", path, rows,
                       columns, room);
    npy->rows = rows;
    npy->columns = columns;
    npy->data = b + start + length;
    if (((uintptr_t)npy->data) % types[t].size) return ct_fail(CT_EFAIL, "%s: its data is not aligned", path);
    return CT_OK;
}

ct_status ct_npy_open(const char *path, ct_npy *out) {
    *out = (ct_npy){0};
    CT_TRY(ct_file_map(path, &out->map));
    ct_status status = parse(path, out);
    if (status != CT_OK) ct_npy_close(out);
    return status;
}

void ct_npy_close(ct_npy *npy) {
    ct_file_unmap(&npy->map);
    *npy = (ct_npy){0};
}

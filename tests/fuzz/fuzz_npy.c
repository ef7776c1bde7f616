/* fuzz_npy.c -- .npy files: all that the header promises can be read, and writes back as the same array. The reader
 * maps a file, so the input is one, in memory. */
#include "core/npy.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ct_npy   npy, again;
    ct_arena arena = {.cap = FUZZ_ARENA};
    if (ct_npy_open(fuzz_file(data, size), &npy) != CT_OK) return 0;
    size_t bytes = (size_t)npy.rows * (size_t)npy.columns * ct_npy_item(npy.type);
    CT_ASSERT(npy.rows >= 0 && npy.columns >= 0 && bytes <= size && (uint64_t)npy.rows <= size);
    fuzz_touch(npy.data, bytes);
    uint8_t *file = ct_arena_alloc(&arena, CT_NPY_HEADER + bytes, 1);
    CT_ASSERT(file && ct_npy_header(npy.type, npy.rows, npy.columns, (char *)file) == CT_NPY_HEADER);
    memcpy(file + CT_NPY_HEADER, npy.data, bytes);
    ct_npy_type type = npy.type;
    int64_t     rows = npy.rows, columns = npy.columns;
    ct_npy_close(&npy);
    CT_ASSERT(ct_npy_open(fuzz_file(file, CT_NPY_HEADER + bytes), &again) == CT_OK);
    CT_ASSERT(again.type == type && again.rows == rows && again.columns == columns);
    CT_ASSERT(!bytes || memcmp(again.data, file + CT_NPY_HEADER, bytes) == 0);
    ct_npy_close(&again);
    ct_arena_free(&arena);
    return 0;
}

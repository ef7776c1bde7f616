/* .npy and .safetensors: bytes as others write and read them, and hostile headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/npy.h"
#include "core/rng.h"
#include "core/safetensors.h"
#include "temp_folder.h"

#include <unistd.h>

/* A Python that has `module`; the test is skipped where there is none. Asked for before anything is made. */
static const char *python_with(const char *module) {
    static const char *const pythons[] = {"build/test-venv/bin/python", "python3", "/usr/bin/python3"};
    char                     command[256];
    for (size_t i = 0; i < CT_COUNT(pythons); i++) {
        snprintf(command, sizeof command, "%s -c 'import %s' 2>/dev/null", pythons[i], module);
        /* NOLINTNEXTLINE(cert-env33-c): a command made here */
        if (system(command) == 0) return pythons[i];
    }
    printf("skipped: no Python with %s\n", module);
    skip();
    return NULL;
}

/* Run a program that must succeed. */
static void run_python(const char *python, const char *program, const char *argument) {
    char command[4096];
    snprintf(command, sizeof command, "%s -c '%s' '%s'", python, program, argument);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a command made here */
}

/* ---- npy */
static void npy_headers_are_numpy_s_own(void **state) {
    (void)state;
    char header[CT_NPY_HEADER], expected[CT_NPY_HEADER];
    memset(expected, ' ', sizeof expected);
    memcpy(expected, "\x93NUMPY\x01\x00\x76\x00{'descr': '<u2', 'fortran_order': False, 'shape': (1234, 17), }", 73);
    expected[CT_NPY_HEADER - 1] = '\n';
    assert_int_equal(ct_npy_header(CT_NPY_U16, 1234, 17, header), CT_NPY_HEADER);
    assert_memory_equal(header, expected, CT_NPY_HEADER);
    assert_int_equal(ct_npy_header(CT_NPY_F64, INT64_MAX, INT64_MAX, header), CT_NPY_HEADER); /* the longest there is */
    assert_int_equal(header[CT_NPY_HEADER - 1], '\n');
}

static void npy_arrays_come_back(void **state) {
    (void)state;
    static const uint16_t u16[] = {1, 2, 65535, 4, 5, 6};
    static const int32_t  i32[] = {-1, 2, INT32_MIN, 4, 5, 6};
    static const float    f32[] = {-1.5F, 2, 3, 4, 5, 6};
    static const double   f64[] = {-0.1, 2, 3, 4, 5, 6};
    const void *const     data[] = {u16, i32, f32, f64};
    const size_t          sizes[] = {2, 4, 4, 8};
    char                  folder[TEMP_PATH];
    ct_arena              arena = {0};
    ct_npy                npy;
    temp_folder(folder);
    const char *path = temp_path(&arena, folder, "a.npy");
    for (int type = CT_NPY_U16; type <= CT_NPY_F64; type++) {
        assert_int_equal(ct_npy_item((ct_npy_type)type), sizes[type]);
        assert_int_equal(ct_npy_write(path, (ct_npy_type)type, 2, 3, data[type]), CT_OK);
        assert_int_equal(temp_read(path, &arena).count, CT_NPY_HEADER + 6 * sizes[type]);
        assert_int_equal(ct_npy_open(path, &npy), CT_OK);
        assert_true(npy.type == (ct_npy_type)type && npy.rows == 2 && npy.columns == 3);
        assert_memory_equal(npy.data, data[type], 6 * sizes[type]);
        ct_npy_close(&npy);
    }
    assert_int_equal(ct_npy_write(path, CT_NPY_U16, 0, 17, NULL), CT_OK);
    assert_int_equal(ct_npy_open(path, &npy), CT_OK);
    assert_true(npy.rows == 0 && npy.columns == 17);
    ct_npy_close(&npy);
    ct_arena_free(&arena);
    temp_remove(folder);
}

/* A file of version `version` with this header, padded to 64, and `bytes` bytes behind it. */
static void write_npy(const char *path, int version, const char *header, size_t bytes) {
    char   file[1024] = "\x93NUMPY";
    size_t start = version == 1 ? 10 : 12, length = (start + strlen(header) + 1 + 63) / 64 * 64 - start;
    file[6] = (char)version;
    file[8] = (char)length;
    memset(file + start, ' ', length);
    memcpy(file + start, header, strlen(header));
    file[start + length - 1] = '\n';
    for (size_t i = 0; i < bytes; i++) file[start + length + i] = (char)(i + 1);
    temp_write(path, file, start + length + bytes);
}

static void npy_headers_are_checked(void **state) {
    (void)state;
    static const struct {
        const char *header, *message; /* NULL: fine */
        int         version;
        size_t      bytes;
        int64_t     rows, columns;
    } cases[] = {
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (2, 3), }", NULL, 1, 12, 2, 3},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (6,), }", NULL, 1, 12, 6, 1},
        {"{'shape': (2, 3), 'fortran_order': False, 'descr': '<u2'}", NULL, 2, 12, 2,
         3}, /* any order, versions 2 and 3 */
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (0, 3), }", NULL, 3, 0, 0, 3},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (2, 3), }", "version 4.0", 4, 12, 0, 0},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (2, 3), }", "truncated: its header says 2 x 3", 1, 11, 0,
         0},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", "truncated", 1, 12, 0, 0},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (9223372036854775807, 9223372036854775807), }", "truncated",
         1, 12, 0, 0},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (99999999999999999999999, 1), }", "truncated", 1, 12, 0, 0},
        {"{'descr': '<u2', 'fortran_order': True, 'shape': (2, 3), }", "Fortran order", 1, 12, 0, 0},
        {"{'descr': '>u2', 'fortran_order': False, 'shape': (2, 3), }", "element type '>u2'", 1, 12, 0, 0},
        {"{'descr': '<u8', 'fortran_order': False, 'shape': (1, 1), }", "element type", 1, 12, 0, 0},
        {"{'descr': '<u22', 'fortran_order': False, 'shape': (2, 3), }", "element type", 1, 12, 0, 0},
        {"{'descr': [('a', '<u2')], 'fortran_order': False, 'shape': (2, 3), }", "element type", 1, 12, 0, 0},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (-2, 3), }", "one or two dimensions", 1, 12, 0, 0},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (2, -3), }", "one or two dimensions", 1, 12, 0, 0},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (1, 2, 3), }", "one or two dimensions", 1, 12, 0, 0},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': 6, }", "one or two dimensions", 1, 12, 0, 0},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (), }", "one or two dimensions", 1, 12, 0, 0},
        {"{'descr': '<u2', 'fortran_order': False, }", "no descr, fortran_order and shape", 1, 12, 0, 0},
        {"{'descr'", "no descr, fortran_order and shape", 1, 12, 0, 0},
    };
    char     folder[TEMP_PATH];
    ct_arena arena = {0};
    ct_npy   npy;
    temp_folder(folder);
    const char *path = temp_path(&arena, folder, "a.npy");
    for (size_t i = 0; i < CT_COUNT(cases); i++) {
        write_npy(path, cases[i].version, cases[i].header, cases[i].bytes);
        ct_status status = ct_npy_open(path, &npy);
        if (cases[i].message) {
            if (status != CT_EFAIL) fail_msg("accepted: %s", cases[i].header);
            assert_message_has(path);
            assert_message_has(cases[i].message);
            assert_null(npy.map.at);
            continue;
        }
        if (status != CT_OK) fail_msg("%s", ct_message());
        assert_true(npy.rows == cases[i].rows && npy.columns == cases[i].columns);
        if (npy.rows) assert_int_equal(((const uint16_t *)npy.data)[5], 0x0c0b);
        ct_npy_close(&npy);
    }
    static const uint16_t data[64] = {1};
    assert_int_equal(ct_npy_write(path, CT_NPY_U16, 8, 8, data), CT_OK);
    for (off_t length = 255; length >= 0; length--) { /* cut anywhere: an error, never a crash */
        assert_int_equal(truncate(path, length), 0);
        assert_int_equal(ct_npy_open(path, &npy), CT_EFAIL);
    }
    temp_write(path, "PK\x03\x04 no such thing at all", 25);
    assert_int_equal(ct_npy_open(path, &npy), CT_EFAIL);
    assert_message_has("is no .npy file");
    assert_int_equal(ct_npy_open(temp_path(&arena, folder, "none.npy"), &npy), CT_EFAIL);
    ct_arena_free(&arena);
    temp_remove(folder);
}

static void numpy_reads_and_writes_the_same(void **state) {
    (void)state;
    const char           *py = python_with("numpy");
    static const uint16_t data[] = {1, 2, 3, 4, 5, 65535};
    char                  folder[TEMP_PATH];
    ct_arena              arena = {0};
    ct_npy                npy;
    temp_folder(folder);
    const char *path = temp_path(&arena, folder, "a.npy");
    assert_int_equal(ct_npy_write(path, CT_NPY_U16, 3, 2, data), CT_OK);
    ct_bytes ours = temp_read(path, &arena);
    run_python(py,
               "import numpy, sys; a = numpy.load(sys.argv[1], mmap_mode=\"r\"); "
               "assert a.dtype == numpy.uint16 and a.tolist() == [[1, 2], [3, 4], [5, 65535]]; a = numpy.array(a); "
               "numpy.save(sys.argv[1], a); numpy.save(sys.argv[1] + \".f.npy\", a.astype(\"f4\")[:, 0])",
               path);
    ct_bytes theirs = temp_read(path, &arena);
    assert_int_equal(ours.count, theirs.count);
    assert_memory_equal(ours.at, theirs.at, ours.count);
    assert_int_equal(ct_npy_open(temp_path(&arena, folder, "a.npy.f.npy"), &npy), CT_OK);
    assert_true(npy.type == CT_NPY_F32 && npy.rows == 3 && npy.columns == 1 && ((const float *)npy.data)[1] == 3);
    ct_npy_close(&npy);
    ct_arena_free(&arena);
    temp_remove(folder);
}

/* ---- safetensors */
static const float           ten[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
static const ct_tensor_entry three[] = {
    {.name = "layer.0.weight", .dtype = "F32", .dimensions = 2, .shape = {2, 3}, .data = ten, .bytes = 24},
    {.name = "empty", .dtype = "F64", .dimensions = 1, .shape = {0}, .data = ten, .bytes = 0},
    {.name = "scalar \"x\"", .dtype = "U8", .dimensions = 0, .data = "z", .bytes = 1},
};
static const ct_pair two[] = {{"step", "12"}, {"config", "a: \"1\"\nb: \xc3\xa9"}};

static void safetensors_come_back(void **state) {
    (void)state;
    char           folder[TEMP_PATH];
    ct_arena       arena = {0};
    ct_safetensors file;
    temp_folder(folder);
    const char *path = temp_path(&arena, folder, "m.safetensors");
    assert_int_equal(ct_safetensors_write(path, three, 3, two, 2, NULL), CT_OK);
    assert_int_equal(ct_safetensors_open(path, &file), CT_OK);
    assert_int_equal(file.count, 3);
    for (int i = 0; i < 3; i++) {
        const ct_tensor_entry *e = ct_safetensors_find(&file, three[i].name);
        assert_non_null(e);
        assert_string_equal(e->dtype, three[i].dtype);
        assert_int_equal(e->dimensions, three[i].dimensions);
        for (int d = 0; d < e->dimensions; d++) assert_int_equal(e->shape[d], three[i].shape[d]);
        assert_int_equal(e->bytes, three[i].bytes);
        if (e->bytes) assert_memory_equal(e->data, three[i].data, e->bytes);
    }
    assert_null(ct_safetensors_find(&file, "layer.1.weight"));
    assert_string_equal(ct_safetensors_metadata(&file, "config", ""), two[1].value);
    assert_string_equal(ct_safetensors_metadata(&file, "none", "fallback"), "fallback");
    assert_int_equal((uintptr_t)ct_safetensors_find(&file, "layer.0.weight")->data % 8, 0);
    ct_safetensors_close(&file);
    ct_bytes          bytes = temp_read(path, &arena);
    static const char header[] = "{\"__metadata__\": {\"step\": \"12\", ";
    assert_memory_equal(bytes.at + 8, header, sizeof header - 1);
    off_t all = (off_t)bytes.count;
    for (off_t length = all - 1; length >= 0; length--) { /* cut anywhere */
        assert_int_equal(truncate(path, length), 0);
        assert_int_equal(ct_safetensors_open(path, &file), CT_EFAIL);
        assert_message_has(path);
    }
    assert_int_equal(ct_safetensors_write(path, NULL, 0, NULL, 0, NULL), CT_OK);
    assert_int_equal(ct_safetensors_open(path, &file), CT_OK);
    assert_int_equal(file.count, 0);
    ct_safetensors_close(&file);
    ct_arena_free(&arena);
    temp_remove(folder);
}

static void write_safetensors(const char *path, uint64_t length, const char *header, size_t bytes) {
    char file[2048] = {0};
    for (int i = 0; i < 8; i++) file[i] = (char)(length >> 8 * i);
    memcpy(file + 8, header, strlen(header));
    temp_write(path, file, 8 + strlen(header) + bytes);
}

static void safetensors_headers_are_checked(void **state) {
    (void)state;
#define T(shape, from, to) "{\"dtype\": \"F32\", \"shape\": " shape ", \"data_offsets\": [" #from ", " #to "]}"
    static const struct {
        const char *header, *message; /* NULL: fine */
        size_t      bytes;
    } cases[] = {
        {"{\"a\": " T("[2]", 0, 8) ", \"b\": " T("[1, 1]", 8, 12) "}", NULL, 12},
        {"{\"b\": " T("[1]", 8, 12) ", \"a\": " T("[2]", 0, 8) "}   ", NULL, 12}, /* any order */
        {"{}", NULL, 0},
        {"{\"__metadata__\": [1], \"a\": " T("[2]", 0, 8) "}", NULL, 8}, /* metadata of another kind: nothing is read */
        {"{\"a\": " T("[2]", 0, 8) "}", "behind the last tensor", 12},
        {"{\"a\": " T("[2]", 0, 8) "}", "truncated", 7},
        {"{\"a\": " T("[2]", 0, 8) ", \"b\": " T("[2]", 4, 12) "}", "overlap or hole", 12},
        {"{\"a\": " T("[2]", 0, 8) ", \"b\": " T("[2]", 0, 8) "}", "overlap or hole", 8},
        {"{\"a\": " T("[1]", 0, 4) ", \"b\": " T("[1]", 8, 12) "}", "overlap or hole", 12},
        {"{\"a\": " T("[1]", 4, 8) "}", "overlap or hole", 8},
        {"{\"a\": " T("[3]", 0, 8) "}", "shape needs 12 bytes, its offsets span 8", 8},
        {"{\"a\": " T("[2]", 8, 0) "}", "data at 8..0", 8},
        {"{\"a\": " T("[2]", -8, 0) "}", "data at", 8},
        {"{\"a\": " T("[2]", 0, 9223372036854775807) "}", "data at", 8},
        {"{\"a\": " T("[2]", 0, 99999999999999999999) "}", "JSON", 8},        /* no such number */
        {"{\"a\": " T("[4611686018427387904, 4]", 0, 0) "}", "bad shape", 0}, /* wraps to 0 */
        {"{\"a\": " T("[-1]", 0, 8) "}", "bad shape", 8},
        {"{\"a\": " T("[1.5]", 0, 8) "}", "bad shape", 8},
        {"{\"a\": " T("[1, 1, 1, 1, 2]", 0, 8) "}", "shape of at most 4", 8},
        {"{\"a\": " T("2", 0, 8) "}", "shape of at most 4", 8},
        {"{\"a\": {\"dtype\": \"F33\", \"shape\": [2], \"data_offsets\": [0, 8]}}", "unknown dtype \"F33\"", 8},
        {"{\"a\": {\"dtype\": 5, \"shape\": [2], \"data_offsets\": [0, 8]}}", "unknown dtype", 8},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [2]}}", "data at", 8},
        {"{\"a\": 5}", "unknown dtype", 8},
        {"{\"a\": " T("[2]", 0, 8) ", \"a\": " T("[2]", 0, 8) "}", "duplicate", 8},
        {"[1]", "no JSON object", 0},
        {"{\"a\": ", "not valid JSON", 0},
    };
    char           folder[TEMP_PATH];
    ct_arena       arena = {0};
    ct_safetensors file;
    temp_folder(folder);
    const char *path = temp_path(&arena, folder, "m.safetensors");
    for (size_t i = 0; i < CT_COUNT(cases); i++) {
        write_safetensors(path, strlen(cases[i].header), cases[i].header, cases[i].bytes);
        ct_status status = ct_safetensors_open(path, &file);
        if (!cases[i].message) {
            if (status != CT_OK) fail_msg("%s", ct_message());
            ct_safetensors_close(&file);
            continue;
        }
        if (status != CT_EFAIL) fail_msg("accepted: %s", cases[i].header);
        assert_message_has(path);
        assert_message_has(cases[i].message);
    }
    static const uint64_t lies[] = {3, 500, (uint64_t)1 << 40, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < CT_COUNT(lies); i++) {
        write_safetensors(path, lies[i], "{}  ", 8);
        assert_int_equal(ct_safetensors_open(path, &file), CT_EFAIL);
        assert_message_has(path);
    }
    ct_arena_free(&arena);
    temp_remove(folder);
}

/* The layout is so simple that Python reads it with its own library alone. */
static void others_read_our_safetensors(void **state) {
    (void)state;
    const char *py = python_with("json, struct");
    char        folder[TEMP_PATH];
    ct_arena    arena = {0};
    temp_folder(folder);
    const char *path = temp_path(&arena, folder, "m.safetensors");
    assert_int_equal(ct_safetensors_write(path, three, 1, two, 2, NULL), CT_OK);
    run_python(
        py,
        "import json, struct, sys; b = open(sys.argv[1], \"rb\").read(); n = struct.unpack(\"<Q\", b[:8])[0]; "
        "h = json.loads(b[8:8 + n]); t = h[\"layer.0.weight\"]; "
        "assert n % 8 == 0 and t[\"dtype\"] == \"F32\" and t[\"shape\"] == [2, 3] and t[\"data_offsets\"] == [0, 24]; "
        "assert struct.unpack(\"<6f\", b[8 + n:]) == (0, 1, 2, 3, 4, 5) and h[\"__metadata__\"][\"step\"] == \"12\"",
        path);
    ct_arena_free(&arena);
    temp_remove(folder);
}

static void safetensors_reads_ours(void **state) {
    (void)state;
    const char *py = python_with("safetensors.numpy, numpy");
    char        folder[TEMP_PATH];
    ct_arena    arena = {0};
    temp_folder(folder);
    const char *path = temp_path(&arena, folder, "m.safetensors");
    assert_int_equal(ct_safetensors_write(path, three, 3, two, 2, NULL), CT_OK);
    run_python(py,
               "import sys; from safetensors.numpy import load_file; t = load_file(sys.argv[1]); "
               "assert t[\"layer.0.weight\"].tolist() == [[0, 1, 2], [3, 4, 5]] and t[\"empty\"].shape == (0,)",
               path);
    ct_arena_free(&arena);
    temp_remove(folder);
}

/* ---- both: random damage gives an error, or data that lies inside the file; never a crash */
static void damaged_files_never_crash(void **state) {
    (void)state;
    static const uint16_t data[24] = {1, 2, 3};
    char                  folder[TEMP_PATH];
    ct_arena              arena = {0};
    int                   opened = 0, refused = 0;
    temp_folder(folder);
    const char *path = temp_path(&arena, folder, "x");
    for (int kind = 0; kind < 2; kind++) {
        assert_int_equal(kind ? ct_safetensors_write(path, three, 3, two, 2, NULL)
                              : ct_npy_write(path, CT_NPY_U16, 6, 4, data),
                         CT_OK);
        ct_bytes good = temp_read(path, &arena);
        uint8_t *bad = ct_arena_alloc(&arena, good.count, 1);
        assert_non_null(bad);
        for (uint64_t n = 0; n < 1500; n++) {
            static const char likely[] = "0123456789-\"'{}[](),:. <u2F";
            memcpy(bad, good.at, good.count);
            for (uint64_t k = 0; k <= n % 4; k++) {
                ct_philox x = ct_philox_at(n, (uint64_t)kind, k);
                bad[ct_philox_below(x.word[0], (uint32_t)good.count)] =
                    x.word[1] & 1 ? (uint8_t)(x.word[1] >> 8) : (uint8_t)likely[x.word[2] % (sizeof likely - 1)];
            }
            FILE *f = fopen(path, "wb");
            assert_non_null(f);
            assert_int_equal(fwrite(bad, 1, good.count, f), good.count);
            fclose(f);
            unsigned  sum = 0;
            ct_status status;
            if (kind) {
                ct_safetensors file;
                status = ct_safetensors_open(path, &file);
                for (size_t t = 0; status == CT_OK && t < file.count; t++)
                    for (size_t i = 0; i < file.tensors[t].bytes; i++)
                        sum += ((const uint8_t *)file.tensors[t].data)[i];
                if (status == CT_OK) ct_safetensors_close(&file);
            } else {
                ct_npy npy;
                status = ct_npy_open(path, &npy);
                if (status == CT_OK) {
                    size_t bytes = (size_t)npy.rows * (size_t)npy.columns * ct_npy_item(npy.type);
                    assert_true(bytes <= good.count);
                    for (size_t i = 0; i < bytes; i++) sum += ((const uint8_t *)npy.data)[i];
                    ct_npy_close(&npy);
                }
            }
            assert_true(status == CT_OK || (status == CT_EFAIL && strstr(ct_message(), path)));
            assert_true(sum < 256 * good.count);
            opened += status == CT_OK;
            refused += status != CT_OK;
        }
    }
    assert_true(opened > 100 && refused > 100);
    ct_arena_free(&arena);
    temp_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(npy_headers_are_numpy_s_own), cmocka_unit_test(npy_arrays_come_back),
        cmocka_unit_test(npy_headers_are_checked),     cmocka_unit_test(numpy_reads_and_writes_the_same),
        cmocka_unit_test(safetensors_come_back),       cmocka_unit_test(safetensors_headers_are_checked),
        cmocka_unit_test(others_read_our_safetensors), cmocka_unit_test(safetensors_reads_ours),
        cmocka_unit_test(damaged_files_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* temp_folder.h -- a fresh folder for a test, and small files in it. Include after cmocka.h; a failure ends the test.
 */
#ifndef CT_TESTS_TEMP_FOLDER_H
#define CT_TESTS_TEMP_FOLDER_H

#include "core/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEMP_PATH = 256 };

static inline void temp_folder(char path[TEMP_PATH]) {
    snprintf(path, TEMP_PATH, "/tmp/cantus-test-XXXXXX");
    assert_non_null(mkdtemp(path));
}

static inline void temp_remove(const char *path) {
    assert_int_equal(ct_folder_remove(path), CT_OK);
}

static inline const char *temp_path(ct_arena *arena, const char *folder, const char *name) {
    const char *path = ct_arena_printf(arena, "%s/%s", folder, name);
    assert_non_null(path);
    return path;
}

static inline void temp_write(const char *path, const void *bytes, size_t count) {
    assert_int_equal(ct_file_write(path, bytes, count), CT_OK);
}

/* The whole file, a 0 byte behind it. */
static inline ct_bytes temp_read(const char *path, ct_arena *arena) {
    ct_bytes bytes;
    assert_int_equal(ct_file_read(path, 0, arena, &bytes), CT_OK);
    return bytes;
}

#define assert_message_has(text)                                                                                       \
    do {                                                                                                               \
        if (!strstr(ct_message(), (text))) fail_msg("\"%s\" is not in: %s", (text), ct_message());                     \
    } while (0)

#endif

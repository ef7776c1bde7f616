/* odd_files.h -- the odd, broken and hostile MIDI files of ../shared/data, for tests that read them all; where they are
 * missing the test says so and is skipped. Names lie in the arena. Include after cmocka.h. */
#ifndef CT_TESTS_ODD_FILES_H
#define CT_TESTS_ODD_FILES_H

#include "core/file.h"

#define ODD_FILES "../shared/data/midi-robustness"

static inline size_t odd_files(ct_arena *arena, char ***names) {
    static const char *const endings[] = {".mid", ".midi", ".kar", ".rmi", ".smf", NULL};
    size_t                   count = 0;
    if (!ct_folder_exists(ODD_FILES)) {
        print_message("skipped: no ../shared/data\n");
        skip();
    }
    assert_int_equal(ct_folder_list(ODD_FILES, endings, 0, arena, names, &count), CT_OK);
    return count;
}

static inline ct_bytes odd_file(const char *name, ct_arena *arena) {
    ct_bytes    bytes;
    const char *path = ct_arena_printf(arena, ODD_FILES "/%s", name);
    assert_non_null(path);
    assert_int_equal(ct_file_read(path, 0, arena, &bytes), CT_OK);
    return bytes;
}

#endif

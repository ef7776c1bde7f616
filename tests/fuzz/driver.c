/* driver.c -- feeds files to a fuzzer's function, where there is no libFuzzer: every input that was once worth keeping
 * is a test. Usage: PROGRAM FILE_OR_FOLDER...; a file that takes ten seconds is a failure. The name of a file is
 * printed before it is read, so that the last line of a failure says which it was. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>

static int fed;

static void feed(const char *path) {
    ct_arena arena = {0};
    ct_bytes bytes;
    printf("%s\n", path);
    fflush(stdout);
    if (ct_file_read(path, 0, &arena, &bytes) != CT_OK) {
        fprintf(stderr, "%s\n", ct_message());
        exit(1);
    }
    /* a copy without the 0 byte behind it: reading one too many is to be seen */
    uint8_t *copy = malloc(bytes.count ? bytes.count : 1);
    CT_ASSERT(copy);
    memcpy(copy, bytes.at, bytes.count);
    alarm(10);
    LLVMFuzzerTestOneInput(copy, bytes.count);
    alarm(0);
    free(copy);
    ct_arena_free(&arena);
    fed++;
}

int main(int count, char **names) {
    for (int i = 1; i < count; i++) {
        struct dirent **list;
        if (!ct_folder_exists(names[i])) {
            feed(names[i]);
            continue;
        }
        int n = scandir(names[i], &list, NULL, alphasort);
        for (int k = 0; k < n; k++) {
            char path[PATH_MAX];
            snprintf(path, sizeof path, "%s/%s", names[i], list[k]->d_name);
            if (ct_file_exists(path)) feed(path);
            free(list[k]);
        }
        if (n >= 0) free(list);
    }
    printf("%d inputs\n", fed);
    return fed ? 0 : 1;
}

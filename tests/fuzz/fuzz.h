/* fuzz.h -- what the fuzzers share: bounded arenas, files and folders in memory, a watch on what is opened.
 *
 * Each fuzz_<what>.c is one LLVMFuzzerTestOneInput, which takes any bytes and returns 0. A broken promise is a
 * CT_ASSERT: it ends the process, which is a finding. libFuzzer is its main under `make fuzz`, driver.c elsewhere.
 *
 * Owner: files and folders live until the process ends. Fails: never; a machine without room for them ends it.
 */
#ifndef CT_FUZZ_FUZZ_H
#define CT_FUZZ_FUZZ_H

#include "core/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No input of a fuzzer is worth more. A fuzzer goes on after CT_ENOMEM: it is an answer like any other. */
enum { FUZZ_ARENA = 256 << 20 };

/* A readable file in memory that holds the input, for parsers that map files. */
static inline const char *fuzz_file(const uint8_t *data, size_t size) {
    static char path[64];
    static int  file = -1;
    if (file < 0) {
        file = memfd_create("fuzz", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    CT_ASSERT(file >= 0 && ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
    return path;
}

/* A fresh folder, in memory where the system has such a place; it goes when the process ends in order. */
static char fuzz_folder_path[64];

static inline void fuzz_folder_remove(void) {
    if (ct_folder_remove(fuzz_folder_path) != CT_OK) fprintf(stderr, "%s\n", ct_message());
}

static inline const char *fuzz_folder(void) {
    snprintf(fuzz_folder_path, sizeof fuzz_folder_path, "%s/cantus-fuzz-XXXXXX",
             ct_folder_exists("/dev/shm") ? "/dev/shm" : "/tmp");
    CT_ASSERT(mkdtemp(fuzz_folder_path) && atexit(fuzz_folder_remove) == 0);
    return fuzz_folder_path;
}

/* A whole file; unlike ct_file_write without syncing, which would take most of a fuzzer's time. */
static inline void fuzz_write(const char *path, const void *bytes, size_t count) {
    FILE *to = fopen(path, "wbe");
    CT_ASSERT(to && (!count || fwrite(bytes, 1, count, to) == count) && fclose(to) == 0);
}

/* Read a range, so that a sanitizer sees where it ends. */
static inline void fuzz_touch(const void *at, size_t bytes) {
    static volatile uint8_t sink;
    const uint8_t          *b = at;
    for (size_t i = 0; i < bytes; i++) sink = (uint8_t)(sink ^ b[i]);
}

#endif

/* accuracy.c -- how well the analysis does, against annotations that it never sees.
 *
 *   accuracy DATA even|odd
 *
 * DATA holds pop909/ and nottingham/. MIDI alone is analysed, all tracks merged into one and names removed, unless a
 * row says otherwise. Prints Markdown: each score with its 95 % interval (1,000 resamplings of the songs), the
 * confusions of chords, the songs that go worst. Even songs are held out: whatever is fitted or tuned is so on odd
 * ones.
 */
#include "accuracy/mir.h"
#include "accuracy/score.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every second tune in the order of names. */
static void score_nottingham(const char *data, bool odd) {
    char           folder[1024], *names[4096];
    size_t         n = 0;
    struct dirent *e;
    snprintf(folder, sizeof folder, "%s/nottingham/midi", data);
    DIR *d = opendir(folder);
    if (!d) return;
    while ((e = readdir(d)) && n < CT_COUNT(names))
        if (strstr(e->d_name, ".mid")) names[n++] = strdup(e->d_name);
    closedir(d);
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++) {
        if ((i % 2 == 0) == odd) accuracy_tune(folder, names[i]);
        free(names[i]);
    }
}

int main(int argc, char **argv) {
    bool odd = argc == 3 && strcmp(argv[2], "odd") == 0;
    if (argc != 3 || (!odd && strcmp(argv[2], "even") != 0)) {
        fprintf(stderr, "usage: accuracy DATA even|odd\n");
        return 2;
    }
    for (int song = odd ? 1 : 2; song <= 600; song += 2) {
        accuracy_song(argv[1], song);
        if (isatty(STDERR_FILENO)) fprintf(stderr, "\r%d / 600%s", song, song >= 599 ? "\n" : "");
    }
    score_nottingham(argv[1], odd);
    accuracy_print();
    return 0;
}

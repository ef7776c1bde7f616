/* similar_songs.c -- how long near-duplicates take among many songs, and whether those planted are found.
 * Usage: similar_songs [SONGS]   (100,000 if not said) */
#include "core/log.h"
#include "similar_fixture.h"
#include "train/groups.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

int main(int count, char **words) {
    size_t        songs = count > 1 ? strtoull(words[1], NULL, 10) : 100000, planted = 0, found = 0, wrong = 0;
    ct_arena      arena = {0};
    ct_sketch    *sketches = CT_NEW(&arena, ct_sketch, songs);
    ct_groups     groups;
    double        begun = ct_seconds();
    struct rusage usage;
    if (!sketches) return 1;
    for (size_t i = 0; i < songs; i++) {
        ct_note notes[FIXTURE_NOTES];
        if (ct_sketch_make(notes, fixture_song(i, notes), &arena, &sketches[i]) != CT_OK) return 1;
    }
    double sketched = ct_seconds();
    if (ct_groups_find(sketches, songs, 0.2, &arena, &groups) != CT_OK) return 1;
    double done = ct_seconds();
    for (size_t i = 0; i < songs; i++) {
        bool above = fixture_planted(i) && ct_sketch_share(&sketches[i], &sketches[i - 1],
                                                           ct_sketch_shared(&sketches[i], &sketches[i - 1])) > 0.2;
        planted += above;
        found += above && groups.first[i] == groups.first[i - 1];
        wrong += !above && groups.first[i] != i;
    }
    getrusage(RUSAGE_SELF, &usage);
    printf("%zu songs: sketches %.1f s, groups %.1f s, %ld MB; %zu of %zu planted pairs found, %zu others joined\n",
           songs, sketched - begun, done - sketched, usage.ru_maxrss / 1024, found, planted, wrong);
    ct_arena_free(&arena);
    return found == planted && !wrong ? 0 : 1;
}

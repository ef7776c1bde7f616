/* Near-duplicates: grams and sketches by hand, shares, groups against all pairs, many songs, and what groups do to
 * splits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "similar_fixture.h"
#include "train/prepare_private.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static ct_arena arena;
static ct_job  *jobs[200]; /* made by a test */
static size_t   job_count;

static int forget(void **state) {
    (void)state;
    while (job_count) ct_arena_free(&jobs[--job_count]->arena);
    ct_arena_free(&arena);
    return 0;
}

static ct_sketch sketch(const ct_note *notes, int32_t count) {
    ct_sketch s;
    assert_int_equal(ct_sketch_make(notes, count, &arena, &s), CT_OK);
    return s;
}

static ct_sketch sketch_of_pitches(const char *pitches) {
    ct_note notes[256];
    int32_t n = 0;
    for (; pitches[n]; n++) notes[n] = (ct_note){12 * n, 12 * n + 12, (uint8_t)pitches[n], 80};
    return sketch(notes, n);
}

static double share(const ct_sketch *a, const ct_sketch *b) {
    assert_int_equal(ct_sketch_shared(a, b), ct_sketch_shared(b, a));
    return ct_sketch_share(a, b, ct_sketch_shared(a, b));
}

/* ---- grams */
/* Letters are MIDI pitches: "abc" rises by semitones. */
static void grams_by_hand(void **state) {
    (void)state;
    assert_int_equal(sketch_of_pitches("").count, 0);
    assert_int_equal(sketch_of_pitches("adbecfdg").count, 0);                    /* eight notes, seven intervals */
    assert_int_equal(sketch_of_pitches("adbaefdgh").count, 1);                   /* nine notes */
    assert_int_equal(sketch_of_pitches("adbaefdghaf").count, 3);                 /* eleven */
    assert_int_equal(sketch_of_pitches("aaaaaaaaaaaaaaaaaaaa").count, 0);        /* one note repeated */
    assert_int_equal(sketch_of_pitches("acacacacacacacacacac").count, 0);        /* a trill */
    assert_int_equal(sketch_of_pitches("acdfhjkmnprtvwy").count, 0);             /* a scale: whole and half tones */
    assert_int_equal(sketch_of_pitches("aehaehaehaehaehaeh").count, 3);          /* a chord broken up: each once */
    assert_int_equal(sketch_of_pitches("adbaefdghadbaefdghadbaefdgh").count, 9); /* a phrase three times: each once */
    assert_true(sketch_of_pitches("adbaefdgh").at[0] == sketch_of_pitches("becbfgehi").at[0]); /* a semitone higher */
}

static void transposition_and_rhythm_change_nothing(void **state) {
    (void)state;
    ct_note notes[200];
    fixture_walk(1, notes, 200);
    ct_sketch a = sketch(notes, 200);
    assert_true(a.count > 150 && a.whole);
    for (uint32_t i = 1; i < a.count; i++) assert_true(a.at[i - 1] < a.at[i]);
    fixture_transpose(notes, 200, 11);
    for (int i = 0; i < 200; i++) notes[i].start *= 3, notes[i].end = notes[i].start + 1 + i % 7;
    ct_sketch b = sketch(notes, 200);
    assert_int_equal(a.count, b.count);
    assert_memory_equal(a.at, b.at, a.count * sizeof *a.at);
    notes[100].pitch++; /* one note: at most nine grams */
    ct_sketch c = sketch(notes, 200);
    assert_true(share(&a, &c) > 0.9 && share(&a, &c) < 1);
}

/* ---- shares */
static void share_is_of_the_shorter_song(void **state) {
    (void)state;
    ct_note song[400], other[400];
    fixture_walk(2, song, 400);
    ct_sketch whole = sketch(song, 400), part = sketch(song + 200, 60);
    assert_true(share(&whole, &part) == 1);
    fixture_walk(3, other, 400);
    ct_sketch stranger = sketch(other, 400);
    assert_true(share(&whole, &stranger) == 0);
    /* 48 of a hundred notes are the other's: 40 grams of 92, but for those that do not count */
    memcpy(other, song, 48 * sizeof *song);
    fixture_transpose(other, 48, -2);
    ct_sketch mixed = sketch(other, 100);
    double    s = share(&whole, &mixed);
    assert_true(s > 36.0 / 92 && s < 44.0 / 92);
    /* five grams in common are chance, six are not */
    fixture_walk(3, other, 400);
    for (int notes = 13; notes <= 15; notes++) {
        memcpy(other + 5, song + 10, (size_t)notes * sizeof *song);
        ct_sketch some = sketch(other, 60);
        uint32_t  shared = ct_sketch_shared(&whole, &some);
        assert_true((ct_sketch_share(&whole, &some, shared) > 0) == (shared >= CT_GRAMS_SHARED));
    }
}

/* A melody of more grams than a sketch holds is compared by the least hashes of both. */
static void long_melodies_are_sampled(void **state) {
    (void)state;
    enum { LONG = 6000 };
    ct_note *song = CT_NEW(&arena, ct_note, LONG), *other = CT_NEW(&arena, ct_note, LONG);
    assert_true(song && other);
    fixture_walk(4, song, LONG);
    ct_sketch a = sketch(song, LONG);
    assert_true(!a.whole && a.count == CT_SKETCH_MOST);
    for (int percent = 10; percent <= 90; percent += 20) {
        fixture_walk(5, other, LONG);
        memcpy(other, song, (size_t)(LONG * percent / 100) * sizeof *song);
        ct_sketch b = sketch(other, LONG);
        double    s = share(&a, &b), expected = percent / 100.0;
        /* a share p of about 1,000 drawn grams: three standard deviations of the binomial */
        double    error = 3 * __builtin_sqrt(expected * (1 - expected) / 1000);
        if (!(s > expected - error && s < expected + error)) fail_msg("%d %%: %g", percent, s);
    }
    ct_sketch part = sketch(song + 1000, 900); /* a short version: it is whole, and compared where both are known */
    assert_true(part.whole && share(&a, &part) == 1);
}

/* ---- groups */
static void songs_belong_together_through_others(void **state) {
    (void)state;
    ct_note   notes[100];
    ct_sketch s[6];
    for (uint64_t i = 0; i < 6; i++) {
        fixture_walk(10 + i, notes, 100);
        if (i == 2) fixture_walk(14, notes + 50, 50); /* song 2 ends as 4 begins, 4 ends as 5 begins */
        if (i == 4) fixture_walk(15, notes + 50, 50);
        s[i] = sketch(notes, 100);
    }
    ct_groups g;
    assert_int_equal(ct_groups_find(s, 6, 0.2, &arena, &g), CT_OK);
    static const uint32_t first[] = {0, 1, 2, 3, 2, 2};
    assert_memory_equal(g.first, first, sizeof first);
    assert_int_equal(g.count, 1);
    assert_int_equal(g.songs, 3);
    assert_true(g.like[0] == 0 && g.share[0] == 0);
    assert_true(g.kept[2] == 2 && g.kept[4] == 2 && g.kept[5] == 5); /* 5 is like 4, which is not kept */
    assert_true(g.like[2] == 4 && g.like[5] == 4 && g.share[2] > 0.4 && g.share[2] < 0.6);
    assert_int_equal(ct_groups_find(s, 6, 0.7, &arena, &g), CT_OK);
    assert_int_equal(g.count, 0);
    assert_int_equal(ct_groups_find(s, 0, 0.2, &arena, &g), CT_OK);
    assert_int_equal(g.count, 0);
}

/* Songs made of few phrases, so that many pairs lie on either side of every bound: the same as comparing all pairs. */
static void groups_are_those_of_all_pairs(void **state) {
    (void)state;
    enum { SONGS = 250, PHRASES = 100, PER_SONG = 6, LENGTH = 24 };
    ct_sketch *s = CT_NEW(&arena, ct_sketch, SONGS);
    assert_non_null(s);
    for (uint64_t i = 0; i < SONGS; i++) {
        ct_note notes[PER_SONG * LENGTH];
        for (uint64_t k = 0; k < PER_SONG; k++)
            fixture_walk(1000 + ct_philox_below(ct_philox_at(i, 1, k).word[0], PHRASES), notes + k * LENGTH, LENGTH);
        s[i] = sketch(notes, PER_SONG * LENGTH);
    }
    static const double bounds[] = {0, 0.1, 0.2, 0.3, 0.5};
    for (size_t b = 0; b < CT_COUNT(bounds); b++) {
        ct_groups g;
        uint32_t  first[SONGS];
        size_t    pairs = 0;
        assert_int_equal(ct_groups_find(s, SONGS, bounds[b], &arena, &g), CT_OK);
        for (uint32_t i = 0; i < SONGS; i++) first[i] = i;
        for (uint32_t i = 0; i < SONGS; i++) {
            double best = 0;
            for (uint32_t k = 0; k < SONGS; k++) {
                double x = i == k ? 0 : share(&s[i], &s[k]);
                if (x <= bounds[b]) continue;
                pairs++;
                best = x > best ? x : best;
                for (uint32_t from = first[i] > first[k] ? first[i] : first[k],
                              to = first[i] > first[k] ? first[k] : first[i], m = 0;
                     m < SONGS && from != to; m++)
                    if (first[m] == from) first[m] = to;
            }
            assert_true(g.share[i] == best);
        }
        assert_memory_equal(g.first, first, sizeof first);
        assert_true(b == 4 || pairs > 20);
    }
}

/* What more than 1,000 songs and a twentieth of all have in common joins none of them. */
static void commonplaces_join_nothing(void **state) {
    (void)state;
    for (size_t songs = 900; songs <= 1500; songs += 600) {
        ct_sketch *s = CT_NEW(&arena, ct_sketch, songs);
        ct_groups  g;
        assert_non_null(s);
        for (size_t i = 0; i < songs; i++) {
            ct_note notes[80];
            fixture_walk(5000 + i, notes, 80);
            fixture_walk(1, notes, 35);
            s[i] = sketch(notes, 80);
        }
        assert_int_equal(ct_groups_find(s, songs, 0.2, &arena, &g), CT_OK);
        assert_int_equal(g.count, songs == 900 ? 1 : 0);
        assert_int_equal(g.songs, songs == 900 ? 900 : 0);
    }
}

/* 20,000 songs, a tenth of them with a part of another: all above the bound are found, nothing below it; comparing
 * all pairs would take minutes. */
static void many_songs(void **state) {
    (void)state;
    enum { SONGS = 20000 };
    ct_sketch *s = CT_NEW(&arena, ct_sketch, SONGS);
    assert_non_null(s);
    for (size_t i = 0; i < SONGS; i++) {
        ct_note notes[FIXTURE_NOTES];
        s[i] = sketch(notes, fixture_song(i, notes));
    }
    ct_groups g;
    size_t    found = 0;
    clock_t   begun = clock();
    assert_int_equal(ct_groups_find(s, SONGS, 0.2, &arena, &g), CT_OK);
    double seconds = (double)(clock() - begun) / CLOCKS_PER_SEC;
    for (size_t i = 0; i < SONGS; i++) {
        double planted = fixture_planted(i) ? share(&s[i], &s[i - 1]) : 0;
        if ((planted > 0.2) != (g.first[i] != i))
            fail_msg("song %zu shares %g, its group is %u", i, planted, g.first[i]);
        found += planted > 0.2;
        if (planted > 0.2) assert_true(g.first[i] == i - 1 && g.like[i] == i - 1 && g.share[i] == planted);
        if (fixture_planted(i) && fixture_part(i) < 0.16) assert_true(planted < 0.2);
        if (fixture_planted(i) && fixture_part(i) > 0.34) assert_true(planted > 0.2);
    }
    assert_int_equal(g.count, found);
    assert_true(found >= SONGS / FIXTURE_PLANTED * 7 / 10);
    if (!(seconds < 20)) fail_msg("%.1f s", seconds);
}

/* ---- splits */
enum { ENTRIES = 300 };
static ct_job *job_of(ct_prepare_config *config, uint64_t seed, size_t largest) {
    ct_job *j = CT_NEW(&arena, ct_job, 1);
    assert_non_null(j);
    assert_true(job_count < CT_COUNT(jobs));
    jobs[job_count++] = j;
    *j = (ct_job){.config = config,
                  .count = ENTRIES,
                  .entries = CT_NEW(&arena, ct_entry, ENTRIES),
                  .sketches = CT_NEW(&arena, ct_sketch, ENTRIES),
                  .names = CT_NEW(&arena, char *, ENTRIES)};
    assert_true(j->entries && j->sketches && j->names);
    for (size_t i = 0; i < ENTRIES; i++) {
        ct_note   notes[80];
        ct_philox x = ct_philox_at(seed, 9, i);
        /* the first `largest` songs have one melody, then every fifth one is the melody of the one before, transposed
         */
        bool      copy = i < largest || i % 5 == 4;
        fixture_walk(seed * ENTRIES + (i < largest ? 0 : copy ? i - 1 : i), notes, 80);
        if (copy) fixture_transpose(notes, 80, (int)(i % 7));
        j->sketches[i] = sketch(notes, 80);
        j->names[i] = ct_arena_printf(&arena, "%03zu.mid", i);
        j->entries[i] = (ct_entry){.outcome = CT_USED, .reason = "", .key = "", .metre = ""};
        j->entries[i].sha256 =
            ct_arena_printf(&arena, "%08x%08x%08x%08x%032d", x.word[0], x.word[1], x.word[2], x.word[3], 0);
        j->used++;
    }
    return j;
}

static void count_splits(const ct_job *j, size_t count[CT_SPLITS]) {
    memset(count, 0, CT_SPLITS * sizeof *count);
    for (size_t i = 0; i < j->count; i++) count[j->entries[i].split] += j->entries[i].outcome != CT_LEFT_OUT;
}

static void groups_lie_in_one_split(void **state) {
    (void)state;
    size_t moved = 0, split_without = 0, all[CT_SPLITS] = {0};
    for (uint64_t seed = 1; seed <= 60; seed++) {
        ct_prepare_config config = {.valid = 0.1, .test = 0.05, .duplicates_share = 0.2, .seed = (int64_t)seed},
                          off = config;
        off.duplicates_share = 0;
        ct_job *j = job_of(&config, seed, 0), *before = job_of(&off, seed, 0);
        size_t  count[CT_SPLITS];
        assert_int_equal(ct_prepare_group(j), CT_OK);
        assert_int_equal(ct_prepare_group(before), CT_OK);
        assert_int_equal(ct_prepare_split(j), CT_OK);
        assert_int_equal(ct_prepare_split(before), CT_OK);
        assert_int_equal(j->groups.count, ENTRIES / 5);
        assert_int_equal(before->groups.count, 0);
        for (size_t i = 0; i < ENTRIES; i++) {
            bool in_group = i % 5 >= 3;
            if (!in_group) assert_int_equal(j->entries[i].split, before->entries[i].split); /* as ever */
            if (i % 5 != 4) continue;
            assert_int_equal(j->entries[i].split, j->entries[i - 1].split);
            split_without += before->entries[i].split != before->entries[i - 1].split;
            moved += j->entries[i].split != before->entries[i].split;
        }
        count_splits(before, count);
        assert_true(count[CT_VALID] == 30 && count[CT_TEST] == 15);
        count_splits(j, count);
        for (int s = 0; s < CT_SPLITS; s++) all[s] += count[s];
        assert_true(count[CT_VALID] > 15 && count[CT_VALID] < 45 && count[CT_TEST] > 3 && count[CT_TEST] < 28);
    }
    assert_true(split_without > 500 && moved > 200);
    assert_true(all[CT_VALID] > 60 * 28 && all[CT_VALID] < 60 * 32); /* no bias */
    assert_true(all[CT_TEST] > 60 * 13 && all[CT_TEST] < 60 * 17);
}

static void large_groups_are_for_training(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        ct_prepare_config config = {.valid = 0.1, .test = 0.1, .duplicates_share = 0.2, .seed = (int64_t)seed};
        ct_job           *j = job_of(&config, seed, 150);
        size_t            count[CT_SPLITS];
        assert_int_equal(ct_prepare_group(j), CT_OK);
        assert_int_equal(ct_prepare_split(j), CT_OK);
        for (size_t i = 0; i < 150; i++) assert_int_equal(j->entries[i].split, CT_TRAIN);
        /* all but one song in one group: validation gets that one */
        config.test = 0;
        j = job_of(&config, seed, ENTRIES - 1);
        assert_int_equal(ct_prepare_group(j), CT_OK);
        assert_int_equal(ct_prepare_split(j), CT_OK);
        count_splits(j, count);
        assert_int_equal(count[CT_VALID], 1);
        assert_int_equal(j->entries[ENTRIES - 1].split, CT_VALID);
    }
}

static void one_of_each_is_kept(void **state) {
    (void)state;
    ct_prepare_config config = {.valid = 0.1, .duplicates_share = 0.2, .duplicates_keep = CT_KEEP_FIRST, .seed = 1};
    ct_job           *j = job_of(&config, 3, 20);
    size_t            count[CT_SPLITS];
    assert_int_equal(ct_prepare_group(j), CT_OK);
    assert_int_equal(ct_prepare_split(j), CT_OK);
    assert_int_equal(j->used, ENTRIES - 19 - (ENTRIES - 20) / 5);
    for (size_t i = 0; i < ENTRIES; i++)
        assert_int_equal(j->entries[i].outcome, (i < 20 ? i > 0 : i % 5 == 4) ? CT_LEFT_OUT : CT_USED);
    assert_string_equal(j->entries[7].reason, "a near-duplicate of a song that is kept (000.mid)");
    count_splits(j, count);
    assert_int_equal(count[CT_VALID], (size_t)(0.1 * (double)j->used + 0.5)); /* no group of several is left */
    assert_int_equal(count[CT_VALID] + count[CT_TRAIN], j->used);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(grams_by_hand, forget),
        cmocka_unit_test_teardown(transposition_and_rhythm_change_nothing, forget),
        cmocka_unit_test_teardown(share_is_of_the_shorter_song, forget),
        cmocka_unit_test_teardown(long_melodies_are_sampled, forget),
        cmocka_unit_test_teardown(songs_belong_together_through_others, forget),
        cmocka_unit_test_teardown(groups_are_those_of_all_pairs, forget),
        cmocka_unit_test_teardown(commonplaces_join_nothing, forget),
        cmocka_unit_test_teardown(many_songs, forget),
        cmocka_unit_test_teardown(groups_lie_in_one_split, forget),
        cmocka_unit_test_teardown(large_groups_are_for_training, forget),
        cmocka_unit_test_teardown(one_of_each_is_kept, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

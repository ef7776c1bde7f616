/* prepare_split.c -- near-duplicates, and which song falls into which split; see prepare_private.h. */
#include "core/rng.h"
#include "train/prepare_private.h"

#include <stdlib.h>
#include <string.h>

uint64_t ct_prepare_hash(const ct_entry *entry) {
    char high[17] = {0};
    memcpy(high, entry->sha256, 16);
    return strtoull(high, NULL, 16);
}

/* ---- near-duplicates */
static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

size_t ct_prepare_group_end(const ct_job *j, size_t i) {
    size_t end = i + 1;
    while (end < j->groups.songs && j->groups.first[j->members[end]] == j->members[i]) end++;
    return end;
}

/* A song that is like one before it that is kept is left out; songs that only belong together through others stay. */
static ct_status keep_first(ct_job *j) {
    for (size_t i = 0; i < j->groups.songs; i++) {
        uint32_t  entry = j->members[i], kept = j->groups.kept[entry];
        ct_entry *e = &j->entries[entry];
        if (entry == kept) continue;
        j->used--;
        j->warned -= e->outcome == CT_USED_WARNED;
        e->outcome = CT_LEFT_OUT;
        e->reason = ct_arena_printf(&j->arena, "a near-duplicate of a song that is kept (%s)", j->names[kept]);
        if (!e->reason) return CT_ENOMEM;
    }
    return CT_OK;
}

ct_status ct_prepare_group(ct_job *j) {
    if (j->config->duplicates_share <= 0) return CT_OK;
    CT_TRY(ct_groups_find(j->sketches, j->count, j->config->duplicates_share, &j->arena, &j->groups));
    uint64_t *order = CT_NEW(&j->arena, uint64_t, j->groups.songs);
    j->members = CT_NEW(&j->arena, uint32_t, j->groups.songs);
    if (!order || !j->members) return CT_ENOMEM;
    size_t n = 0;
    for (uint32_t i = 0; i < j->count; i++)
        if (j->groups.like[i] != i) order[n++] = (uint64_t)j->groups.first[i] << 32 | i;
    if (n) qsort(order, n, sizeof *order, by_value);
    for (size_t i = 0; i < n; i++) j->members[i] = (uint32_t)order[i];
    return j->config->duplicates_keep == CT_KEEP_FIRST ? keep_first(j) : CT_OK;
}

/* ---- splits */
static int by_rank(const void *a, const void *b) {
    const ct_entry *x = *(ct_entry *const *)a, *y = *(ct_entry *const *)b;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    return strcmp(x->sha256, y->sha256);
}

/* A group follows its song of the least SHA-256, which no other song and no name decides; one that is larger than its
 * held-out split was to be goes to train. */
static void keep_together(ct_job *j, const size_t room[CT_SPLITS]) {
    for (size_t i = 0, end; i < j->groups.songs; i = end) {
        end = ct_prepare_group_end(j, i);
        const ct_entry *least = &j->entries[j->members[i]]; /* the first of a group is used, whatever is kept */
        size_t          used = 0;
        for (size_t k = i; k < end; k++) {
            const ct_entry *e = &j->entries[j->members[k]];
            if (e->outcome == CT_LEFT_OUT) continue;
            if (strcmp(e->sha256, least->sha256) < 0) least = e;
            used++;
        }
        ct_split split = used > room[least->split] ? CT_TRAIN : least->split;
        for (size_t k = i; k < end; k++) j->entries[j->members[k]].split = split;
    }
}

/* A validation split that groups have emptied gets the first song by rank that has no near-duplicates. */
static void refill(const ct_job *j, ct_entry *const *order, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (order[i]->split == CT_VALID) return;
    for (size_t i = 0; i < n; i++) {
        size_t entry = (size_t)(order[i] - j->entries);
        if (j->groups.like[entry] != entry || order[i]->split != CT_TRAIN) continue;
        order[i]->split = CT_VALID;
        return;
    }
}

/* By a rank that depends on a song's bytes and the seed: the same song falls alike wherever it lies. Shares are exact
 * but for what groups move. */
ct_status ct_prepare_split(ct_job *j) {
    ct_entry **order = CT_NEW(&j->arena, ct_entry *, j->count);
    if (!order) return CT_ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < j->count; i++) {
        ct_entry *e = &j->entries[i];
        if (e->outcome == CT_LEFT_OUT) continue;
        ct_philox x = ct_philox_at((uint64_t)j->config->seed, 0, ct_prepare_hash(e));
        e->rank = (uint64_t)x.word[0] << 32 | x.word[1];
        order[n++] = e;
    }
    qsort(order, n, sizeof *order, by_rank);
    size_t valid = (size_t)(j->config->valid * (double)n + 0.5), test = (size_t)(j->config->test * (double)n + 0.5);
    if (j->config->valid > 0 && !valid && n > 1) valid = 1;
    for (size_t i = 0; i < n; i++) order[i]->split = i < valid ? CT_VALID : i < valid + test ? CT_TEST : CT_TRAIN;
    if (j->groups.songs) {
        keep_together(j, (size_t[CT_SPLITS]){[CT_TRAIN] = n, [CT_VALID] = valid, [CT_TEST] = test});
        if (valid) refill(j, order, n);
    }
    return CT_OK;
}

/* prepare_tables.c -- outcomes, songs, near-duplicates and description of a dataset; what the command says in the end.
 */
#include "core/json.h"
#include "train/prepare_private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { GROUPS_SHOWN = 5, NAMES_SHOWN = 4 };

/* Tabs and line ends of a name or reason would break a table's lines. */
static const char *clean(ct_writer *w, ct_arena *arena, const char *text) {
    char *copy = ct_arena_copy(arena, text, strlen(text));
    if (!copy) w->error = ENOMEM;
    for (char *p = copy; p && *p; p++)
        if ((unsigned char)*p < 32) *p = ' ';
    return copy ? copy : "?";
}

static ct_status write_outcomes(ct_job *j) {
    static const char *const words[] = {"used", "used with warnings", "left out"};
    char                     path[4200];
    ct_writer                w;
    snprintf(path, sizeof path, "%s/outcomes.tsv", j->aside);
    CT_TRY(ct_writer_begin(&w, path));
    ct_writer_print(&w, "file\toutcome\treason\n");
    for (size_t i = 0; i < j->count; i++)
        ct_writer_print(&w, "%s\t%s\t%s\n", clean(&w, &j->arena, j->names[i]), words[j->entries[i].outcome],
                        clean(&w, &j->arena, j->entries[i].reason));
    return ct_writer_commit(&w);
}

static ct_status write_songs(ct_job *j) {
    char      path[4200];
    ct_writer w;
    snprintf(path, sizeof path, "%s/songs.tsv", j->aside);
    CT_TRY(ct_writer_begin(&w, path));
    ct_writer_print(
        &w, "source\tsha256\tsplit\tbackbone_first\tbackbone_rows\tmelody_first\tmelody_rows\tkey\tmetre\twarnings\n");
    for (size_t i = 0; i < j->count; i++) {
        const ct_entry *e = &j->entries[i];
        if (e->outcome == CT_LEFT_OUT) continue;
        ct_writer_print(&w, "%s\t%s\t%s\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%s\t%s\t%s\n",
                        clean(&w, &j->arena, j->names[i]), e->sha256, ct_split_names[e->split], e->first[0], e->rows[0],
                        e->first[1], e->rows[1], e->key, e->metre, clean(&w, &j->arena, e->reason));
    }
    return ct_writer_commit(&w);
}

static ct_status write_groups(ct_job *j) {
    char      path[4200];
    ct_writer w;
    snprintf(path, sizeof path, "%s/groups.tsv", j->aside);
    CT_TRY(ct_writer_begin(&w, path));
    ct_writer_print(&w, "group\tsplit\tsource\tshare\twith\n");
    size_t number = 0;
    for (size_t i = 0; i < j->groups.songs; i++) {
        uint32_t        entry = j->members[i];
        const ct_entry *e = &j->entries[entry];
        number += j->groups.first[entry] == entry;
        ct_writer_print(&w, "%zu\t%s\t%s\t%.3f\t%s\n", number,
                        e->outcome == CT_LEFT_OUT ? "left out" : ct_split_names[e->split],
                        clean(&w, &j->arena, j->names[entry]), j->groups.share[entry],
                        clean(&w, &j->arena, j->names[j->groups.like[entry]]));
    }
    return ct_writer_commit(&w);
}

static ct_json *describe_stage(int stage, int64_t rows, ct_arena *arena) {
    int              columns, size = ct_vocabulary_size((ct_stage)stage);
    const ct_column *list = ct_columns((ct_stage)stage, &columns);
    const char     **words = CT_NEW(arena, const char *, (size_t)size);
    char             name[64];
    for (int i = 0; words && i < size; i++)
        words[i] = ct_arena_printf(arena, "%s", ct_token_name((ct_stage)stage, i, name, sizeof name));
    if (!words) return ct_json_new_text(NULL); /* no memory: what is printed will say so */
    ct_json *s = ct_stage_json(list, columns, words, size);
    ct_json_set(s, "rows", ct_json_new_integer(rows));
    return s;
}

static ct_status write_description(ct_job *j) {
    ct_json *root = ct_json_new_object(), *settings = ct_json_new_object(), *stages = ct_json_new_object();
    char     path[4200];
    ct_json_set(settings, "seed", ct_json_new_integer(j->config->seed));
    ct_json_set(settings, "valid", ct_json_new_real(j->config->valid));
    ct_json_set(settings, "test", ct_json_new_real(j->config->test));
    ct_json_set(settings, "annotations", ct_json_new_text(j->config->annotations ? "pop909" : "off"));
    ct_json_set(settings, "track_names", ct_json_new_bool(j->config->track_names));
    ct_json_set(settings, "duplicates_share", ct_json_new_real(j->config->duplicates_share));
    ct_json_set(settings, "duplicates_keep", ct_json_new_text(j->config->duplicates_keep ? "first" : "all"));
    ct_json_set(settings, "filter", ct_filter_json(&j->config->filter));
    for (int s = 0; s < CT_STAGES; s++)
        ct_json_set(stages, ct_stage_names[s], describe_stage(s, j->total[s], &j->arena));
    ct_json_set(root, "format", ct_json_new_integer(CT_FORMAT_VERSION));
    ct_json_set(root, "files", ct_json_new_integer((int64_t)j->count));
    ct_json_set(root, "songs", ct_json_new_integer(j->used));
    ct_json_set(root, "settings", settings);
    ct_json_set(root, "stages", stages);
    snprintf(path, sizeof path, "%s/dataset.json", j->aside);
    return ct_json_write(path, root);
}

ct_status ct_prepare_tables(ct_job *j) {
    CT_TRY(write_outcomes(j));
    CT_TRY(write_songs(j));
    CT_TRY(write_groups(j));
    return write_description(j);
}

/* ---- what the command says */
/* How often each reason for leaving a file out occurred, by its words before any number, colon or bracket. */
static void print_reasons(const ct_job *j) {
    struct {
        const char *text;
        size_t      length, count;
    } reasons[32];
    size_t n = 0, more = 0;
    for (size_t i = 0; i < j->count; i++) {
        if (j->entries[i].outcome != CT_LEFT_OUT) continue;
        const char *text = j->entries[i].reason, *colon = strchr(text, ':');
        if (!strncmp(text, "offset ", 7) && colon) text = colon + 2; /* where in the file does not matter here */
        size_t length = strcspn(text, "0123456789:("), k = 0;
        while (length && text[length - 1] == ' ') length--;
        while (k < n && (reasons[k].length != length || strncmp(reasons[k].text, text, length) != 0)) k++;
        if (k == CT_COUNT(reasons))
            more++;
        else if (k < n)
            reasons[k].count++;
        else {
            reasons[n].text = text;
            reasons[n].length = length;
            reasons[n++].count = 1;
        }
    }
    for (size_t k = 0; k < n; k++) {
        const char *key = ct_filter_key(reasons[k].text, reasons[k].length);
        printf("  left out %5zu: %.*s%s%s%s\n", reasons[k].count, (int)reasons[k].length, reasons[k].text,
               key ? " (" : "", key ? key : "", key ? ")" : "");
    }
    if (more) printf("  left out %5zu: for other reasons\n", more);
}

/* The number of groups, and the names in the first few. */
static void print_groups(const ct_job *j) {
    size_t shown = 0, kept = 0;
    if (j->config->duplicates_share <= 0) return;
    if (!j->groups.count) {
        printf("near-duplicates: none\n");
        return;
    }
    for (size_t i = 0; i < j->groups.songs; i++) kept += j->entries[j->members[i]].outcome != CT_LEFT_OUT;
    printf("near-duplicates: %zu songs in %zu group%s", j->groups.songs, j->groups.count,
           j->groups.count == 1 ? "" : "s");
    if (kept < j->groups.songs) printf(", of which %zu are kept", kept);
    printf(", each in one split; all in %s/groups.tsv\n", j->config->output);
    for (size_t i = 0, end; i < j->groups.songs && shown < GROUPS_SHOWN; i = end, shown++) {
        end = ct_prepare_group_end(j, i);
        for (size_t k = i; k < end && k < i + NAMES_SHOWN; k++)
            printf("%s%s", k == i ? "  " : ", ", j->names[j->members[k]]);
        if (end > i + NAMES_SHOWN) printf(" and %zu more", end - i - NAMES_SHOWN);
        printf("\n");
    }
}

void ct_prepare_summary(const ct_job *j, double seconds) {
    size_t songs[CT_SPLITS] = {0};
    for (size_t i = 0; i < j->count; i++) songs[j->entries[i].split] += j->entries[i].outcome != CT_LEFT_OUT;
    printf("%zu files: %lld used (%lld with warnings), %zu left out, %.1f s\n", j->count, (long long)j->used,
           (long long)j->warned, j->count - (size_t)j->used, seconds);
    print_reasons(j);
    print_groups(j);
    printf("songs: %zu train, %zu valid, %zu test\n", songs[CT_TRAIN], songs[CT_VALID], songs[CT_TEST]);
    printf("%s: %lld backbone rows, %lld melody rows; every file's outcome in %s/outcomes.tsv\n", j->config->output,
           (long long)j->total[CT_BACKBONE], (long long)j->total[CT_MELODY], j->config->output);
}

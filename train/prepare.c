/* prepare.c -- files in order, rows to disk, splits, tables; see prepare.h. */
#include "train/prepare.h"

#include "core/json.h"
#include "core/log.h"
#include "core/rng.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct ct_entry { /* a file of the input folder */
    ct_outcome  outcome;
    const char *reason, *sha256, *key, *metre;
    int64_t     first[CT_STAGES], rows[CT_STAGES];
    uint64_t    rank; /* decides its split */
    ct_split    split;
} ct_entry;

typedef struct ct_job {
    const ct_prepare_config *config;
    ct_arena                 arena;
    char                     output[4000]; /* without a slash at its end */
    char                     aside[4096];  /* the dataset while it is being made */
    char                   **names;
    size_t                   count;
    ct_entry                *entries;
    int64_t                  used, warned;
    size_t                  *seen, seen_size; /* hash set of the used songs' SHA-256: entry number + 1 */
    FILE                    *rows[CT_STAGES];
    int64_t                  total[CT_STAGES];
} ct_job;

/* ---- rows: a .npy file whose header is written last */
static ct_status open_rows(ct_job *j) {
    char header[CT_NPY_HEADER] = {0}, path[4200];
    for (int s = 0; s < CT_STAGES; s++) {
        snprintf(path, sizeof path, "%s/%s.npy", j->aside, ct_stage_names[s]);
        j->rows[s] = fopen(path, "wbe");
        if (!j->rows[s] || fwrite(header, 1, sizeof header, j->rows[s]) != sizeof header)
            return ct_fail(CT_EFAIL, "%s: can't write: %s", path, strerror(errno));
    }
    return CT_OK;
}

static ct_status close_rows(ct_job *j) {
    char header[CT_NPY_HEADER];
    int  columns;
    for (int s = 0; s < CT_STAGES; s++) {
        ct_columns((ct_stage)s, &columns);
        size_t n = ct_npy_header(CT_NPY_U16, j->total[s], columns, header);
        FILE  *f = j->rows[s];
        bool   bad =
            fseek(f, 0, SEEK_SET) != 0 || fwrite(header, 1, n, f) != n || fflush(f) != 0 || fsync(fileno(f)) != 0;
        bad = fclose(f) != 0 || bad;
        j->rows[s] = NULL;
        if (bad) return ct_fail(CT_EFAIL, "%s: can't write %s.npy: %s", j->aside, ct_stage_names[s], strerror(errno));
    }
    return CT_OK;
}

static ct_status add_rows(ct_job *j, ct_entry *e, const ct_prepared *p) {
    for (int s = 0; s < CT_STAGES; s++) {
        const ct_rows *r = &p->rows[s];
        size_t         n = (size_t)r->count * (size_t)r->columns;
        e->first[s] = j->total[s];
        e->rows[s] = r->count;
        j->total[s] += r->count;
        if (fwrite(r->at, sizeof *r->at, n, j->rows[s]) != n)
            return ct_fail(CT_EFAIL, "%s: can't write %s.npy: %s", j->aside, ct_stage_names[s], strerror(errno));
    }
    return CT_OK;
}

/* ---- tables */
/* Tabs and line ends of a name or reason would break a table's lines. */
static const char *clean(ct_arena *arena, const char *text) {
    char *copy = ct_arena_copy(arena, text, strlen(text));
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
        ct_writer_print(&w, "%s\t%s\t%s\n", clean(&j->arena, j->names[i]), words[j->entries[i].outcome],
                        clean(&j->arena, j->entries[i].reason));
    return ct_writer_commit(&w);
}

static uint64_t hash_of(const ct_entry *e) {
    char high[17] = {0};
    memcpy(high, e->sha256, 16);
    return strtoull(high, NULL, 16);
}

static int by_rank(const void *a, const void *b) {
    const ct_entry *x = *(ct_entry *const *)a, *y = *(ct_entry *const *)b;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    return strcmp(x->sha256, y->sha256);
}

/* Exact shares, by a rank that depends on a song's bytes and the seed: the same song falls alike wherever it lies. */
static ct_status split(ct_job *j) {
    ct_entry **order = CT_NEW(&j->arena, ct_entry *, j->count);
    if (!order) return CT_ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < j->count; i++) {
        ct_entry *e = &j->entries[i];
        if (e->outcome == CT_LEFT_OUT) continue;
        ct_philox x = ct_philox_at((uint64_t)j->config->seed, 0, hash_of(e));
        e->rank = (uint64_t)x.word[0] << 32 | x.word[1];
        order[n++] = e;
    }
    qsort(order, n, sizeof *order, by_rank);
    size_t valid = (size_t)(j->config->valid * (double)n + 0.5), test = (size_t)(j->config->test * (double)n + 0.5);
    if (j->config->valid > 0 && !valid && n > 1) valid = 1;
    for (size_t i = 0; i < n; i++) order[i]->split = i < valid ? CT_VALID : i < valid + test ? CT_TEST : CT_TRAIN;
    return CT_OK;
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
                        clean(&j->arena, j->names[i]), e->sha256, ct_split_names[e->split], e->first[0], e->rows[0],
                        e->first[1], e->rows[1], e->key, e->metre, clean(&j->arena, e->reason));
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
    if (!words || !words[size - 1]) return NULL;
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
    ct_json_set(settings, "track_names", ct_json_new_bool(j->config->track_names));
    ct_json_set(settings, "least_notes", ct_json_new_integer(j->config->least_notes));
    ct_json_set(settings, "least_bars", ct_json_new_integer(j->config->least_bars));
    for (int s = 0; s < CT_STAGES; s++)
        ct_json_set(stages, ct_stage_names[s], describe_stage(s, j->total[s], &j->arena));
    ct_json_set(root, "format", ct_json_new_integer(CT_FORMAT_VERSION));
    ct_json_set(root, "files", ct_json_new_integer((int64_t)j->count));
    ct_json_set(root, "songs", ct_json_new_integer(j->used));
    ct_json_set(root, "settings", settings);
    ct_json_set(root, "stages", stages);
    char *text = ct_json_print(root, 1, &j->arena);
    ct_json_free(root);
    if (!text) return CT_ENOMEM;
    snprintf(path, sizeof path, "%s/dataset.json", j->aside);
    return ct_file_write(path, text, strlen(text));
}

/* ---- the run */
static const char *keep(ct_job *j, const char *text) {
    const char *copy = ct_arena_copy(&j->arena, text, strlen(text));
    return copy ? copy : "";
}

/* The entry with the same bytes as entry i that came first: i itself when it is the first, which is then remembered. */
static size_t twin(ct_job *j, size_t i) {
    size_t slot = hash_of(&j->entries[i]) % j->seen_size;
    for (; j->seen[slot]; slot = (slot + 1) % j->seen_size)
        if (!strcmp(j->entries[j->seen[slot] - 1].sha256, j->entries[i].sha256)) return j->seen[slot] - 1;
    j->seen[slot] = i + 1;
    return i;
}

static ct_status read_files(ct_job *j) {
    ct_pool    *pool;
    ct_progress progress;
    ct_status   status = CT_OK;
    CT_TRY(ct_pool_open(j->config, j->names, (int64_t)j->count, &pool));
    ct_progress_begin(&progress, "reading", (int64_t)j->count);
    for (size_t i = 0; i < j->count && status == CT_OK; i++) {
        ct_prepared p;
        ct_entry   *e = &j->entries[i];
        status = ct_pool_next(pool, &p);
        if (status != CT_OK) break;
        *e = (ct_entry){.outcome = p.outcome,
                        .reason = keep(j, p.reason),
                        .sha256 = keep(j, p.sha256),
                        .key = keep(j, p.key),
                        .metre = keep(j, p.metre)};
        if (e->outcome == CT_LEFT_OUT) continue;
        size_t same = twin(j, i);
        if (same != i) {
            e->outcome = CT_LEFT_OUT;
            e->reason = ct_arena_printf(&j->arena, "the same bytes as another file (%s)", j->names[same]);
            if (!e->reason) status = CT_ENOMEM;
            continue;
        }
        j->used++;
        j->warned += e->outcome == CT_USED_WARNED;
        status = add_rows(j, e, &p);
        ct_progress_at(&progress, (int64_t)i + 1, j->names[i]);
    }
    ct_progress_end(&progress);
    ct_pool_close(pool);
    return status;
}

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
        while (k < n && (reasons[k].length != length || strncmp(reasons[k].text, text, length))) k++;
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
    for (size_t k = 0; k < n; k++)
        printf("  left out %5zu: %.*s\n", reasons[k].count, (int)reasons[k].length, reasons[k].text);
    if (more) printf("  left out %5zu: for other reasons\n", more);
}

static void print_summary(const ct_job *j, double seconds) {
    printf("%zu files: %lld used (%lld with warnings), %zu left out, %.1f s\n", j->count, (long long)j->used,
           (long long)j->warned, j->count - (size_t)j->used, seconds);
    print_reasons(j);
    printf("%s: %lld backbone rows, %lld melody rows; every file's outcome in %s/outcomes.tsv\n", j->config->output,
           (long long)j->total[CT_BACKBONE], (long long)j->total[CT_MELODY], j->config->output);
}

/* The finished dataset gets its name; one that had it before (overwrite: true) goes only after that. */
static ct_status take_its_place(const ct_job *j) {
    char before[4200];
    bool there = ct_folder_exists(j->output);
    snprintf(before, sizeof before, "%s.before", j->aside);
    if (there && rename(j->output, before) != 0)
        return ct_fail(CT_EFAIL, "%s: can't be set aside: %s", j->output, strerror(errno));
    if (rename(j->aside, j->output) != 0) {
        ct_status status = ct_fail(CT_EFAIL, "%s: can't be named %s: %s", j->aside, j->output, strerror(errno));
        if (there && rename(before, j->output) != 0) ct_warn("%s: the dataset from before now lies here", before);
        return status;
    }
    return there ? ct_folder_remove(before) : CT_OK;
}

static ct_status make(ct_job *j) {
    static const char *const endings[] = {".mid", ".midi", ".kar", ".rmi", ".smf", NULL};
    double                   begun = ct_seconds();
    if (!ct_folder_exists(j->config->input))
        return ct_fail(CT_EFAIL, "%s: %s: no such folder", ct_config_where("input"), j->config->input);
    CT_TRY(ct_folder_list(j->config->input, endings, 0, &j->arena, &j->names, &j->count));
    if (!j->count)
        return ct_fail(CT_EFAIL, "%s: %s: no MIDI files in it or below (.mid .midi .kar .rmi .smf)",
                       ct_config_where("input"), j->config->input);
    j->entries = CT_NEW(&j->arena, ct_entry, j->count);
    j->seen_size = 2 * j->count + 1;
    j->seen = CT_NEW(&j->arena, size_t, j->seen_size);
    if (!j->entries || !j->seen) return CT_ENOMEM;
    CT_TRY(ct_folder_make(j->aside));
    CT_TRY(open_rows(j));
    CT_TRY(read_files(j));
    CT_TRY(close_rows(j));
    if (!j->used)
        return ct_fail(CT_EFAIL, "%s: none of the %zu files can be used; the first: %s: %s", j->config->input, j->count,
                       j->names[0], j->entries[0].reason);
    CT_TRY(split(j));
    CT_TRY(write_outcomes(j));
    CT_TRY(write_songs(j));
    CT_TRY(write_description(j));
    CT_TRY(ct_folder_sync(j->aside));
    CT_TRY(take_its_place(j));
    print_summary(j, ct_seconds() - begun);
    return CT_OK;
}

ct_status ct_prepare(const ct_prepare_config *config) {
    ct_job job = {.config = config};
    struct {
        bool there, ours;
    } output;
    char   about[4200];
    size_t length = strlen(config->output);
    while (length > 1 && config->output[length - 1] == '/') length--;
    if (!length || length >= sizeof job.output)
        return ct_fail(CT_EUSAGE, "%s: a path of 1 to %zu bytes expected, found %zu", ct_config_where("output"),
                       sizeof job.output - 1, length);
    memcpy(job.output, config->output, length);
    snprintf(about, sizeof about, "%s/dataset.json", job.output);
    output.there = ct_file_exists(job.output) || ct_folder_exists(job.output);
    output.ours = ct_file_exists(about);
    if (output.there && !config->overwrite)
        return ct_fail(CT_EFAIL,
                       "%s: %s is there already; nothing was changed (hint: another output, or overwrite=true)",
                       ct_config_where("output"), config->output);
    if (output.there && !output.ours)
        return ct_fail(CT_EFAIL, "%s: %s is there and is no dataset; it is not overwritten", ct_config_where("output"),
                       config->output);
    if (config->valid + config->test >= 1)
        return ct_fail(CT_EUSAGE, "%s: with split.test %g nothing is left to train on", ct_config_where("split.valid"),
                       config->test);
    snprintf(job.aside, sizeof job.aside, "%s.%ld.tmp", job.output, (long)getpid());
    ct_status status = make(&job);
    for (int s = 0; s < CT_STAGES; s++)
        if (job.rows[s]) fclose(job.rows[s]);
    if (status != CT_OK && ct_folder_exists(job.aside)) {
        char *said = ct_arena_printf(&job.arena, "%s", ct_message());
        if (ct_folder_remove(job.aside) != CT_OK) ct_warn("%s", ct_message());
        if (said) ct_fail(status, "%s", said);
    }
    ct_arena_free(&job.arena);
    return status;
}

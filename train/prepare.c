/* prepare.c -- files in order, rows to disk, the dataset to its name; see prepare.h. */
#include "core/log.h"
#include "train/prepare_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- rows: a .npy file whose header is written last */
static ct_status open_rows(ct_job *j) {
    char header[CT_NPY_HEADER] = {0}, path[4200];
    for (int s = 0; s < CT_STAGES; s++) {
        snprintf(path, sizeof path, "%s/%s.npy", j->aside, ct_stage_names[s]);
        j->rows[s] = fopen(path, "w+be");
        if (!j->rows[s]) return ct_fail(CT_EFAIL, "%s: can't create: %s", path, strerror(errno));
        CT_TRY(ct_append(j->rows[s], path, header, sizeof header));
    }
    return CT_OK;
}

static ct_status close_rows(ct_job *j) {
    char header[CT_NPY_HEADER], path[4200];
    int  columns;
    for (int s = 0; s < CT_STAGES; s++) {
        ct_columns((ct_stage)s, &columns);
        size_t n = ct_npy_header(CT_NPY_U16, j->total[s], columns, header);
        FILE  *f = j->rows[s];
        snprintf(path, sizeof path, "%s/%s.npy", j->aside, ct_stage_names[s]);
        CT_TRY(ct_put_at(f, path, header, n, 0));
        CT_TRY(ct_stream_sync(f, path));
        j->rows[s] = NULL;
        if (fclose(f) != 0) return ct_fail(CT_EFAIL, "%s: can't close: %s", path, strerror(errno));
    }
    return CT_OK;
}

static ct_status add_rows(ct_job *j, ct_entry *e, const ct_prepared *p) {
    char path[4200];
    for (int s = 0; s < CT_STAGES; s++) {
        const ct_rows *r = &p->rows[s];
        size_t         n = (size_t)r->count * (size_t)r->columns;
        e->first[s] = j->total[s];
        e->rows[s] = r->count;
        j->total[s] += r->count;
        snprintf(path, sizeof path, "%s/%s.npy", j->aside, ct_stage_names[s]);
        CT_TRY(ct_append(j->rows[s], path, r->at, n * sizeof *r->at));
    }
    return CT_OK;
}

/* Rows of songs that are left out after all: those of later songs move down over them. */
static ct_status drop_rows(ct_job *j) {
    enum { PART = 1 << 20 };
    int  columns;
    char path[4200], *part = ct_arena_alloc(&j->arena, PART, 1);
    if (!part) return CT_ENOMEM;
    for (int s = 0; s < CT_STAGES; s++) {
        int64_t width, to = 0;
        int     file = fileno(j->rows[s]);
        ct_columns((ct_stage)s, &columns);
        width = columns * (int64_t)sizeof(uint16_t);
        snprintf(path, sizeof path, "%s/%s.npy", j->aside, ct_stage_names[s]);
        for (size_t i = 0; i < j->count; i++) {
            ct_entry *e = &j->entries[i];
            if (e->outcome == CT_LEFT_OUT) continue;
            for (int64_t done = 0, bytes = e->first[s] != to ? e->rows[s] * width : 0; done < bytes;) {
                size_t  n = bytes - done < PART ? (size_t)(bytes - done) : PART;
                int64_t at = CT_NPY_HEADER + done;
                if (pread(file, part, n, at + e->first[s] * width) != (ssize_t)n)
                    return ct_fail(CT_EFAIL, "%s: can't read again: %s", path, strerror(errno));
                CT_TRY(ct_put_at(j->rows[s], path, part, n, at + to * width));
                done += (int64_t)n;
            }
            e->first[s] = to;
            to += e->rows[s];
        }
        if (ftruncate(file, CT_NPY_HEADER + to * width) != 0)
            return ct_fail(CT_EFAIL, "%s: can't shorten: %s", path, strerror(errno));
        j->total[s] = to;
    }
    return CT_OK;
}

/* ---- the run */
static const char *keep(ct_job *j, const char *text) {
    return ct_arena_copy(&j->arena, text, strlen(text));
}

/* The entry with the same bytes as entry i that came first: i itself when it is the first, which is then remembered. */
static size_t twin(ct_job *j, size_t i) {
    size_t slot = ct_prepare_hash(&j->entries[i]) % j->seen_size;
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
        ct_progress_at(&progress, (int64_t)i, j->names[i]);
        status = ct_pool_next(pool, &p);
        if (status != CT_OK) break;
        *e = (ct_entry){.outcome = p.outcome,
                        .reason = keep(j, p.reason),
                        .sha256 = keep(j, p.sha256),
                        .key = keep(j, p.key),
                        .metre = keep(j, p.metre)};
        if (!e->reason || !e->sha256 || !e->key || !e->metre) status = CT_ENOMEM;
        if (e->outcome == CT_LEFT_OUT || status != CT_OK) continue;
        size_t same = twin(j, i);
        if (same != i) {
            e->outcome = CT_LEFT_OUT;
            e->reason = ct_arena_printf(&j->arena, "the same bytes as another file (%s)", j->names[same]);
            if (!e->reason) status = CT_ENOMEM;
            continue;
        }
        j->used++;
        j->warned += e->outcome == CT_USED_WARNED;
        j->sketches[i] = p.sketch;
        j->sketches[i].at =
            (void *)ct_arena_copy(&j->arena, (const char *)p.sketch.at, p.sketch.count * sizeof *p.sketch.at);
        status = j->sketches[i].at ? add_rows(j, e, &p) : CT_ENOMEM;
    }
    ct_progress_end(&progress);
    ct_pool_close(pool);
    return status;
}

/* The finished dataset gets its name; one that had it before (overwrite: true) goes only after that. */
static ct_status take_its_place(const ct_job *j) {
    char before[4200];
    bool there = ct_folder_exists(j->output);
    snprintf(before, sizeof before, "%s.before", j->aside);
    if (there) CT_TRY(ct_rename(j->output, before));
    ct_status status = ct_rename(j->aside, j->output);
    if (status != CT_OK && there && rename(before, j->output) != 0)
        ct_warn("%s: the dataset from before now lies here", before);
    CT_TRY(status);
    CT_TRY(ct_folder_sync_above(j->output));
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
    j->sketches = CT_NEW(&j->arena, ct_sketch, j->count);
    if (!j->entries || !j->seen || !j->sketches) return CT_ENOMEM;
    CT_TRY(ct_folder_make(j->aside));
    CT_TRY(open_rows(j));
    CT_TRY(read_files(j));
    if (!j->used)
        return ct_fail(CT_EFAIL, "%s: none of the %zu files can be used; the first: %s: %s", j->config->input, j->count,
                       j->names[0], j->entries[0].reason);
    CT_TRY(ct_prepare_group(j));
    if (j->groups.songs && j->config->duplicates_keep == CT_KEEP_FIRST) CT_TRY(drop_rows(j));
    CT_TRY(close_rows(j));
    CT_TRY(ct_prepare_split(j));
    CT_TRY(ct_prepare_tables(j));
    CT_TRY(ct_folder_sync(j->aside));
    CT_TRY(take_its_place(j));
    ct_prepare_summary(j, ct_seconds() - begun);
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
    if (config->duplicates_keep == CT_KEEP_FIRST && config->duplicates_share <= 0)
        return ct_fail(CT_EUSAGE, "%s: first, but duplicates.share is 0, which finds no near-duplicates",
                       ct_config_where("duplicates.keep"));
    CT_TRY(ct_filter_check(&config->filter));
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

/* run.c -- see run.h. */
#include "core/run.h"

#include "core/version.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/utsname.h>
#include <time.h>

ct_json *ct_provenance(void) {
    struct utsname host;
    char           when[32];
    time_t         now = time(NULL);
    struct tm      utc;
    ct_json       *p = ct_json_new_object();
    ct_json_set(p, "version", ct_json_new_text(ct_version));
    ct_json_set(p, "revision", ct_json_new_text(ct_revision));
    ct_json_set(p, "build", ct_json_new_text(ct_build));
    if (uname(&host) == 0) {
        ct_json_set(p, "host", ct_json_new_text(host.nodename));
        ct_json_set(p, "system", ct_json_new_text(host.release));
    }
    if (gmtime_r(&now, &utc) && strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc))
        ct_json_set(p, "time", ct_json_new_text(when));
    return p;
}

bool ct_run_exists(const char *path) {
    return ct_folder_exists(path) || ct_file_exists(path);
}

bool ct_run_begun(const char *path) {
    char file[4096];
    snprintf(file, sizeof file, "%s/config.resolved.yaml", path);
    if (ct_file_exists(file)) return true;
    snprintf(file, sizeof file, "%s/lock", path);
    return ct_file_exists(file);
}

static ct_status open_streams(ct_run *run) {
    char path[4096];
    snprintf(path, sizeof path, "%s/metrics.jsonl", run->path);
    run->jsonl = fopen(path, "abe");
    snprintf(path, sizeof path, "%s/metrics.csv", run->path);
    run->csv = fopen(path, "abe");
    if (!run->jsonl || !run->csv) {
        ct_run_close(run);
        return ct_fail(CT_EFAIL, "%s: can't append to metrics: %s", run->path, strerror(errno));
    }
    return CT_OK;
}

/* One process at a time may write into a run folder; the system forgets the lock when the process ends. */
static ct_status lock(ct_run *run) {
    char path[4096];
    snprintf(path, sizeof path, "%s/lock", run->path);
    run->lock = fopen(path, "abe");
    if (!run->lock) return ct_fail(CT_EFAIL, "%s: can't open: %s", path, strerror(errno));
    if (flock(fileno(run->lock), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return CT_OK;
    ct_run_close(run);
    return ct_fail(CT_EFAIL, "%s: another process is training into this folder", run->path);
}

static ct_status set_path(ct_run *run, const char *path) {
    *run = (ct_run){0};
    if ((size_t)snprintf(run->path, sizeof run->path, "%s", path) >= sizeof run->path)
        return ct_fail(CT_EFAIL, "path too long: %.60s...", path);
    return CT_OK;
}

ct_status ct_run_open(const char *path, ct_run *out) {
    CT_TRY(set_path(out, path));
    return lock(out);
}

ct_status ct_run_record(ct_run *run, const char *config_yaml, const ct_json *provenance) {
    char     file[4096];
    ct_arena arena = {0};
    snprintf(file, sizeof file, "%s/config.resolved.yaml", run->path);
    CT_TRY(ct_file_write(file, config_yaml, strlen(config_yaml)));
    char *text = ct_json_print(provenance, 2, &arena);
    snprintf(file, sizeof file, "%s/provenance.json", run->path);
    ct_status status = text ? ct_file_write(file, text, strlen(text)) : CT_ENOMEM;
    ct_arena_free(&arena);
    return status;
}

ct_status ct_run_create(const char *path, const char *config_yaml, const ct_json *provenance, ct_run *out) {
    CT_TRY(set_path(out, path));
    if (ct_run_exists(path))
        return ct_fail(CT_EFAIL,
                       "%s: is there already; nothing was changed (hint: another train.out, or train.resume=auto to go "
                       "on with it)",
                       path);
    CT_TRY(ct_folder_make(path));
    CT_TRY(lock(out));
    CT_TRY(ct_run_record(out, config_yaml, provenance));
    return open_streams(out);
}

/* Keep the lines of `name` whose step, found by `step_of`, is at most `step`. */
static ct_status keep_lines(const char *folder, const char *name, int64_t step, bool csv) {
    char     path[4096];
    ct_arena arena = {0};
    ct_bytes bytes;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!ct_file_exists(path)) return CT_OK;
    ct_status status = ct_file_read(path, 0, &arena, &bytes);
    if (status == CT_OK) {
        char *text = (char *)bytes.at, *keep = text, *line = text;
        for (char *end; (end = strchr(line, '\n')); line = end + 1) {
            const char *colon = memchr(line, ':', (size_t)(end - line)), *number = csv ? line : colon ? colon + 1 : end;
            bool        heading = csv && line == text;
            if (!heading && (number == end || strtoll(number, NULL, 10) > step)) continue;
            memmove(keep, line, (size_t)(end + 1 - line));
            keep += end + 1 - line;
        }
        status = ct_file_write(path, text, (size_t)(keep - text));
    }
    ct_arena_free(&arena);
    return status;
}

ct_status ct_run_resume(ct_run *run, int64_t step) {
    CT_TRY(keep_lines(run->path, "metrics.jsonl", step, false));
    CT_TRY(keep_lines(run->path, "metrics.csv", step, true));
    return open_streams(run);
}

ct_status ct_run_metrics(ct_run *run, int64_t step, const ct_metric *metrics, size_t count) {
    FILE *j = run->jsonl, *c = run->csv;
    if (fseek(c, 0, SEEK_END) == 0 && ftell(c) == 0) {
        fputs("step", c);
        for (size_t i = 0; i < count; i++) fprintf(c, ",%s", metrics[i].name);
        fputc('\n', c);
    }
    fprintf(j, "{\"step\": %lld", (long long)step);
    fprintf(c, "%lld", (long long)step);
    for (size_t i = 0; i < count; i++) {
        bool there = isfinite(metrics[i].value);
        if (there) fprintf(j, ", \"%s\": %.9g", metrics[i].name, metrics[i].value);
        if (there)
            fprintf(c, ",%.9g", metrics[i].value);
        else
            fputc(',', c);
    }
    fputs("}\n", j);
    fputc('\n', c);
    if (fflush(j) != 0 || fflush(c) != 0)
        return ct_fail(CT_EFAIL, "%s: can't write metrics: %s", run->path, strerror(errno));
    return CT_OK;
}

void ct_run_close(ct_run *run) {
    if (run->jsonl) fclose(run->jsonl);
    if (run->csv) fclose(run->csv);
    if (run->lock) fclose(run->lock);
    run->jsonl = run->csv = run->lock = NULL;
}

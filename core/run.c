/* run.c -- see run.h. */
#include "core/run.h"

#include "core/version.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

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

typedef struct ct_line {
    char   text[4096];
    size_t length;
} ct_line;

CT_PRINTF(2, 3) static void add(ct_line *line, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(line->text + line->length, sizeof line->text - line->length, format, arguments);
    va_end(arguments);
    CT_ASSERT(n >= 0 && (size_t)n < sizeof line->text - line->length); /* metrics are ours, and few */
    line->length += (size_t)n;
}

ct_status ct_run_metrics(ct_run *run, int64_t step, const ct_metric *metrics, size_t count) {
    char    path[4096];
    ct_line heading = {0}, object = {0}, row = {0};
    add(&heading, "step");
    add(&object, "{\"step\": %lld", (long long)step);
    add(&row, "%lld", (long long)step);
    for (size_t i = 0; i < count; i++) {
        add(&heading, ",%s", metrics[i].name);
        add(&row, ",");
        if (!isfinite(metrics[i].value)) continue;
        add(&object, ", \"%s\": %.9g", metrics[i].name, metrics[i].value);
        add(&row, "%.9g", metrics[i].value);
    }
    add(&heading, "\n");
    add(&object, "}\n");
    add(&row, "\n");
    snprintf(path, sizeof path, "%s/metrics.jsonl", run->path);
    CT_TRY(ct_append(run->jsonl, path, object.text, object.length));
    snprintf(path, sizeof path, "%s/metrics.csv", run->path);
    if (lseek(fileno(run->csv), 0, SEEK_END) == 0) CT_TRY(ct_append(run->csv, path, heading.text, heading.length));
    return ct_append(run->csv, path, row.text, row.length);
}

void ct_run_close(ct_run *run) {
    if (run->jsonl) fclose(run->jsonl);
    if (run->csv) fclose(run->csv);
    if (run->lock) fclose(run->lock);
    run->jsonl = run->csv = run->lock = NULL;
}

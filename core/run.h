/* run.h -- a run folder: what was asked for, what it ran on, and what came of it.
 *
 *   config.resolved.yaml  every key with its value; reads back to the same run
 *   provenance.json       version, compiler, host, time, seed, dataset hash, command line
 *   metrics.jsonl         one object an interval; metrics.csv the same as a table
 *   checkpoints/          written by train/checkpoint.c
 *   lock                  held by the process that trains into the folder
 *
 * Owner: the caller; an open run holds two append-only streams until ct_run_close.
 * Fails: CT_EFAIL when the folder is there already and no resume was asked for (nothing in it is touched), or can't be
 *        written.
 */
#ifndef CT_CORE_RUN_H
#define CT_CORE_RUN_H

#include "core/file.h"
#include "core/json.h"

typedef struct ct_run {
    char  path[3072];
    void *jsonl, *csv, *lock; /* FILE */
} ct_run;

/* One number of a metrics line; NAN is left out. */
typedef struct ct_metric {
    const char *name;
    double      value;
} ct_metric;

/* Make a new run folder. CT_EFAIL if it exists. */
CT_NODISCARD ct_status ct_run_create(const char *path, const char *config_yaml, const ct_json *provenance, ct_run *out);
/* Open an existing one: from here on no other process may write into it. */
CT_NODISCARD ct_status ct_run_open(const char *path, ct_run *out);
/* What was asked for and what it runs on, in an open run, in place of what is there. */
CT_NODISCARD ct_status ct_run_record(ct_run *run, const char *config_yaml, const ct_json *provenance);
/* Drop metrics lines of steps after `step`, so that an open run goes on as if undisturbed. */
CT_NODISCARD ct_status ct_run_resume(ct_run *run, int64_t step);
bool                   ct_run_exists(const char *path);
/* Has a run been begun there? Perhaps no more than that. */
bool                   ct_run_begun(const char *path);
/* Append a line; the names must be the same, in the same order, in every call of a run. */
CT_NODISCARD ct_status ct_run_metrics(ct_run *run, int64_t step, const ct_metric *metrics, size_t count);
void                   ct_run_close(ct_run *run);
/* {"version": ..., "host": ..., "time": ...}: common facts, to be added to. */
ct_json               *ct_provenance(void);

#endif

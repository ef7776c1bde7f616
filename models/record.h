/* record.h -- a step as a list of op records, made once and run as often as needed.
 *
 * A record is an op with its parameters filled in. Workspace fields are left NULL
 * while a list is built; ct_records_workspace then gives all lists one shared
 * workspace, for ops run one after the other.
 *
 * Owner: the arena the lists are built in. Fails: CT_ENOMEM; running: what the op says, with layer and label.
 */
#ifndef CT_MODELS_RECORD_H
#define CT_MODELS_RECORD_H

#include "core/arena.h"
#include "kernels/check.h"

typedef struct ct_record {
    ct_op       op;
    int         layer; /* -1: none */
    const char *label; /* "attention.qkv" */
    ct_params   params;
} ct_record;

typedef struct ct_record_list {
    ct_record *at;
    size_t     count, capacity;
} ct_record_list;

CT_NODISCARD ct_status ct_record_push(ct_record_list *list, ct_arena *arena, ct_op op, int64_t layer, const char *label,
                                      ct_params params);
/* Point every NULL workspace field of the lists into one new array. */
CT_NODISCARD ct_status ct_records_workspace(ct_record_list *const *lists, size_t count, ct_arena *arena);
/* What the device needs to run them later without allocating. */
CT_NODISCARD ct_status ct_records_plan(const ct_record_list *list, const ct_device *device);
/* Make room in a check for what ct_records_run will ask of it. */
void                   ct_records_measure(const ct_record_list *list, const ct_backend *backend, ct_check *check);
/* From record *done on, until so many have run (or one more, where the backend takes two as one); *done follows. */
CT_NODISCARD ct_status ct_records_run_to(const ct_record_list *list, size_t count, const ct_backend *backend,
                                         ct_check *check, size_t *done);
CT_NODISCARD ct_status ct_records_run(const ct_record_list *list, const ct_backend *backend, ct_check *check);
/* Does the backend take record i and the one after it as one op? */
bool                   ct_records_pair(const ct_record_list *list, size_t i, const ct_backend *backend);
/* Bytes that a pair has to move at least: what passes from the first to the second does not come back. */
double                 ct_record_pair_bytes(const ct_record *record, const ct_record *next);
/* Floating-point operations of one run. */
double                 ct_records_flops(const ct_record_list *list);

#endif

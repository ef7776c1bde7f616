/* resume.h -- may a run go on from a checkpoint? What must be the same, and what may change.
 *
 * The same: the dataset, and each key that a step's numbers depend on (model.*,
 * optimizer.*, data.unknown, data.transpose, train.seed, batch, accumulate). What
 * may change is listed in resume.c: folders, how long to train, and how often to
 * report, validate and save. train.steps may, though the learning rate falls
 * towards it: the steps to come are then those of the new schedule.
 *
 * Owner: facts are the caller's (ct_json_free).
 * Fails: CT_EFAIL naming the key, its two values and where the new one was given.
 */
#ifndef CT_TRAIN_RESUME_H
#define CT_TRAIN_RESUME_H

#include "core/json.h"
#include "train/train.h"

/* For a checkpoint's manifest: dataset_sha256, config (those keys and their values), config_sha256. */
CT_NODISCARD ct_status ct_resume_facts(const ct_train_config *config, const ct_dataset *dataset, ct_json **out);
/* Does a manifest tell of this dataset and config? */
CT_NODISCARD ct_status ct_resume_check(const ct_train_config *config, const ct_dataset *dataset,
                                       const ct_json *manifest);
/* Does the run folder's provenance tell of this dataset? */
CT_NODISCARD ct_status ct_resume_check_run(const ct_train_config *config, const ct_dataset *dataset);

#endif

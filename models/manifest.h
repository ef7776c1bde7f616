/* manifest.h -- manifest.json: what a checkpoint folder holds, written last, so that what it names is there and whole.
 *
 *   {"format": 2, "kind": "last", "step": 1200, ...,
 *    "files": {"model.safetensors": {"bytes": 5612, "sha256": "..."}, ...}, "sha256": "..."}
 *
 * The last line is the checksum of the manifest itself, printed without it. Fields: train/README.md.
 *
 * Owner: a manifest that was read is the caller's (ct_json_free).
 * Fails: CT_EFAIL naming the file and what is wrong; every file is read to its end before a manifest is believed.
 */
#ifndef CT_MODELS_MANIFEST_H
#define CT_MODELS_MANIFEST_H

#include "core/file.h"
#include "core/json.h"

enum {
    CT_CHECKPOINT_FORMAT = 2,
    CT_CHECKPOINT_OF_RANKS
}; /* 1 had no manifest; the latter has files of several ranks */

typedef struct ct_manifest_file {
    const char *name;
    ct_digest   digest; /* as it was given to be written: what a disk makes of it is found when it is read */
} ct_manifest_file;

/* Add sizes and checksums of `files` in `folder` to `facts` (which goes), and write it there. */
CT_NODISCARD ct_status ct_manifest_write(const char *folder, ct_json *facts, const ct_manifest_file *files,
                                         size_t count);
bool                   ct_manifest_exists(const char *folder);
/* Read the manifest of `folder` and check it, and every file that it names. */
CT_NODISCARD ct_status ct_manifest_read(const char *folder, ct_json **out);

#endif

/* checkpoints.c -- see checkpoints.h. */
#include "models/checkpoints.h"

#include "core/file.h"
#include "core/log.h"
#include "core/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ct_status ct_checkpoint_list(const char *folder, const char *kind, ct_arena *arena, char ***names, size_t *count) {
    CT_TRY(ct_folder_folders(folder, arena, names, count));
    size_t kept = 0, n = strlen(kind);
    for (size_t i = 0; i < *count; i++) {
        const char *name = (*names)[i];
        if (!strncmp(name, kind, n) && name[n] == '-' && name[n + 1] &&
            strspn(name + n + 1, "0123456789") == strlen(name + n + 1))
            (*names)[kept++] = (*names)[i];
    }
    *count = kept;
    return CT_OK;
}

int64_t ct_checkpoint_step(const char *name) {
    const char *dash = strrchr(name, '-');
    return dash ? strtoll(dash + 1, NULL, 10) : -1;
}

static ct_status verify_unmarked(const char *path, const char *file) {
    char           whole[4200];
    ct_safetensors tensors;
    snprintf(whole, sizeof whole, "%s/%s", path, file);
    CT_TRY(ct_safetensors_open(whole, &tensors));
    bool marked = ct_safetensors_metadata(&tensors, CT_CHECKPOINT_MARK, NULL) != NULL;
    ct_safetensors_close(&tensors);
    return marked ? ct_fail(CT_EFAIL, "%s/manifest.json: is missing", path) : CT_OK;
}

ct_status ct_checkpoint_verify(const char *path, ct_json **manifest) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    ct_json    *read = NULL;
    if (manifest) *manifest = NULL;
    if (!ct_manifest_exists(path)) {
        CT_TRY(verify_unmarked(path, "model.safetensors"));
        return strncmp(name, "last", 4) != 0 ? CT_OK : verify_unmarked(path, "state.safetensors");
    }
    CT_TRY(ct_manifest_read(path, &read));
    const char *kind = ct_json_text(ct_json_get(read, "kind"), "");
    int64_t     step = ct_json_integer(ct_json_get(read, "step"), -1);
    ct_status   status = CT_OK;
    if (strncmp(name, kind, strlen(kind)) != 0 || name[strlen(kind)] != '-' || step != ct_checkpoint_step(name))
        status = ct_fail(CT_EFAIL, "%s/manifest.json: is that of %s-%010lld", path, kind, (long long)step);
    if (status == CT_OK && manifest)
        *manifest = read;
    else
        ct_json_free(read);
    return status;
}

ct_status ct_checkpoint_newest(const char *run, const char *kind, char *path, size_t size, ct_json **manifest) {
    char      folder[3200];
    ct_arena  arena = {0};
    char    **names = NULL;
    size_t    count = 0;
    ct_status status = CT_OK;
    snprintf(folder, sizeof folder, "%s/checkpoints", run);
    if (ct_folder_exists(folder)) status = ct_checkpoint_list(folder, kind, &arena, &names, &count);
    if (manifest) *manifest = NULL;
    *path = 0;
    for (size_t i = count; status == CT_OK && i-- > 0;) {
        snprintf(path, size, "%s/%s", folder, names[i]);
        status = ct_checkpoint_verify(path, manifest);
        if (status == CT_OK) {
            if (i + 1 < count) ct_warn("going back to %s", path);
            break;
        }
        if (status != CT_EFAIL) break;
        ct_warn("%s", ct_message());
        status = i ? CT_OK
                   : ct_fail(CT_EFAIL, "%s: none of the checkpoints %s-* is valid (%zu found, newest %s)", folder, kind,
                             count, names[count - 1]);
    }
    ct_arena_free(&arena);
    return status;
}

ct_status ct_model_find(const char *name, char *path, size_t size) {
    static const char *const kinds[] = {"best", "last"};
    char                     checkpoint[3400];
    ct_status                bad = CT_OK;
    if (ct_file_exists(name)) {
        snprintf(path, size, "%s", name);
        return CT_OK;
    }
    if (!ct_folder_exists(name)) return ct_fail(CT_EFAIL, "%s: no such file or run folder", name);
    for (size_t i = 0; i < CT_COUNT(kinds); i++) {
        ct_status status = ct_checkpoint_newest(name, kinds[i], checkpoint, sizeof checkpoint, NULL);
        if (status == CT_OK && *checkpoint) {
            if (bad != CT_OK) ct_warn("taking %s instead", checkpoint);
            snprintf(path, size, "%s/model.safetensors", checkpoint);
            return CT_OK;
        }
        if (status != CT_OK) bad = status;
        if (bad != CT_OK && bad != CT_EFAIL) break;
    }
    if (bad != CT_OK) return bad;
    return ct_fail(CT_EFAIL, "%s: no checkpoint in this folder (hint: a run folder of cantus train)", name);
}

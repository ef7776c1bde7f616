/* checkpoints.c -- see checkpoints.h. */
#include "models/checkpoints.h"

#include "core/file.h"

#include <stdio.h>
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

bool ct_checkpoint_find(const char *run, const char *kind, char *path, size_t size) {
    char     folder[3200];
    ct_arena arena = {0};
    char   **names;
    size_t   count = 0;
    snprintf(folder, sizeof folder, "%s/checkpoints", run);
    bool found =
        ct_folder_exists(folder) && ct_checkpoint_list(folder, kind, &arena, &names, &count) == CT_OK && count > 0;
    if (found) snprintf(path, size, "%s/%s", folder, names[count - 1]);
    ct_arena_free(&arena);
    return found;
}

ct_status ct_model_find(const char *name, char *path, size_t size) {
    char checkpoint[3400];
    if (ct_file_exists(name)) {
        snprintf(path, size, "%s", name);
        return CT_OK;
    }
    if (!ct_folder_exists(name)) return ct_fail(CT_EFAIL, "%s: no such file or run folder", name);
    if (!ct_checkpoint_find(name, "best", checkpoint, sizeof checkpoint) &&
        !ct_checkpoint_find(name, "last", checkpoint, sizeof checkpoint))
        return ct_fail(CT_EFAIL, "%s: no checkpoint in this folder (hint: a run folder of cantus train)", name);
    snprintf(path, size, "%s/model.safetensors", checkpoint);
    return CT_OK;
}

/* library.c -- see library.h. */
#include "kernels/library.h"

#include <dlfcn.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void find_path(const ct_library *l, char *path, size_t size) {
    const char *asked = getenv(l->variable), *folder;
    char        self[3000];
    ssize_t     length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length < 0 ? 0 : length] = 0;
    folder = length < 0 ? "." : dirname(self);
    snprintf(path, size, "%s", asked ? asked : "");
    if (asked && *asked) return;
    snprintf(path, size, "%s/%s", folder, l->file);
    if (access(path, R_OK) != 0) snprintf(path, size, "%s/../lib/cantus/%s", folder, l->file);
}

ct_status ct_library_find(const ct_library *l, void *function) {
    char  path[4096];
    void *symbol = dlsym(RTLD_DEFAULT, l->entry);
    find_path(l, path, sizeof path);
    if (!symbol) {
        void *library = dlopen(path, RTLD_NOW | (l->global ? RTLD_GLOBAL : RTLD_LOCAL)); /* stays loaded */
        if (!library) return ct_fail(CT_EFAIL, "its library can't be loaded: %s (hint: %s)", dlerror(), l->hint);
        symbol = dlsym(library, l->entry);
    }
    if (!symbol) return ct_fail(CT_EFAIL, "%s is not this program's library (hint: %s)", path, l->variable);
    memcpy(function, &symbol, sizeof symbol);
    return CT_OK;
}

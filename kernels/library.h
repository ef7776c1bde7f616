/* library.h -- a part of Cantus in a library of its own, because it stands on what not every machine has: loaded when
 * it is asked for, and then for good. It is looked for where a variable of the environment says, else beside the
 * program, else where make install puts it. A program may also have it built in. Nothing is owned. Fails: CT_EFAIL, in
 * the loader's words. */
#ifndef CT_KERNELS_LIBRARY_H
#define CT_KERNELS_LIBRARY_H

#include "core/status.h"

typedef struct ct_library {
    const char *variable, *file; /* "CANTUS_CUDA_LIBRARY", "libcantus_cuda.so" */
    const char *entry;           /* the function that it is loaded for */
    const char *hint;            /* what to do when it isn't there */
    bool        global;          /* what it loads in turn looks for its functions everywhere */
} ct_library;

/* *function: a pointer to a function, of any type. */
CT_NODISCARD ct_status ct_library_find(const ct_library *library, void *function);

#endif

/* count_allocations.h -- every malloc of the process, counted by the library or program that asks for it.
 *
 * Include it in one test program: it puts its own malloc, calloc, realloc, free and
 * aligned relatives before those of glibc. While ct_counting is set, each call is
 * noted with the address it came from; count_callers() then says whose code that is.
 * Sanitizers bring a malloc of their own: then nothing is counted (COUNTS_ALLOCATIONS 0).
 */
#ifndef CT_TESTS_COUNT_ALLOCATIONS_H
#define CT_TESTS_COUNT_ALLOCATIONS_H

#include "sanitized.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define COUNTS_ALLOCATIONS (!CT_SANITIZED)

enum { CALLS_MOST = 1 << 16 };
static atomic_bool      ct_counting;
static atomic_int       ct_call_count; /* noted; more than CALLS_MOST: some are not */
static _Atomic intptr_t ct_live_bytes; /* asked for and not given back, since the beginning */
static struct {
    void  *from;
    size_t bytes;
} ct_calls[CALLS_MOST];

#if COUNTS_ALLOCATIONS
/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the C library's names */
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void  __libc_free(void *);
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static void *note(void *got, size_t bytes, void *from) {
    if (got) ct_live_bytes += (intptr_t)malloc_usable_size(got);
    if (atomic_load_explicit(&ct_counting, memory_order_relaxed)) {
        int i = ct_call_count++;
        if (i < CALLS_MOST) ct_calls[i].from = from, ct_calls[i].bytes = bytes;
    }
    return got;
}

void *malloc(size_t bytes) {
    return note(__libc_malloc(bytes), bytes, __builtin_return_address(0));
}
void *calloc(size_t count, size_t bytes) {
    return note(__libc_calloc(count, bytes), count * bytes, __builtin_return_address(0));
}
void *realloc(void *old, size_t bytes) {
    if (old) ct_live_bytes -= (intptr_t)malloc_usable_size(old);
    return note(__libc_realloc(old, bytes), bytes, __builtin_return_address(0));
}
void *memalign(size_t alignment, size_t bytes) {
    return note(__libc_memalign(alignment, bytes), bytes, __builtin_return_address(0));
}
void *aligned_alloc(size_t alignment, size_t bytes) {
    return note(__libc_memalign(alignment, bytes), bytes, __builtin_return_address(0));
}
int posix_memalign(void **out, size_t alignment, size_t bytes) {
    void *got = note(__libc_memalign(alignment, bytes), bytes, __builtin_return_address(0));
    if (!got) return ENOMEM;
    *out = got;
    return 0;
}
void free(void *old) {
    if (old) ct_live_bytes -= (intptr_t)malloc_usable_size(old);
    __libc_free(old);
}
#endif

typedef struct ct_caller {
    const char *name; /* "libdnnl.so.2"; "" for this program: our own code */
    int         calls;
    size_t      bytes;
} ct_caller;

/* Noted calls by whose code they came from. Returns how many callers; the first is this program itself. */
static inline int count_callers(ct_caller *out, int most) {
    Dl_info ours, info;
    int     count = 1, noted = ct_call_count < CALLS_MOST ? ct_call_count : CALLS_MOST;
    dladdr((void *)(uintptr_t)&count_callers, &ours);
    out[0] = (ct_caller){"", 0, 0};
    for (int i = 0; i < noted; i++) {
        const char *name = "?";
        int         k = 0;
        if (dladdr(ct_calls[i].from, &info) && info.dli_fname) {
            const char *slash = strrchr(info.dli_fname, '/');
            name = info.dli_fbase == ours.dli_fbase ? "" : slash ? slash + 1 : info.dli_fname;
        }
        while (k < count && strcmp(out[k].name, name) != 0) k++;
        if (k == count) {
            if (count == most)
                k = most - 1;
            else
                out[count++] = (ct_caller){name, 0, 0};
        }
        out[k].calls++;
        out[k].bytes += ct_calls[i].bytes;
    }
    return count;
}

#endif

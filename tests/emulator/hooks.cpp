/* hooks.cpp -- what -fsanitize=thread,alignment,bounds makes of a kernel's loads and stores, in our own hands: gcc and
 * clang put a call before each; the checked flavour links these functions instead of the sanitizers' libraries. */
#include "checker.h"

#define LOADS_AND_STORES(size)                                                                                         \
    void __tsan_read##size(void *p) {                                                                                  \
        check_access(false, p, size, size, site_of_code(__builtin_return_address(0)));                                 \
    }                                                                                                                  \
    void __tsan_write##size(void *p) {                                                                                 \
        check_access(true, p, size, size, site_of_code(__builtin_return_address(0)));                                  \
    }                                                                                                                  \
    void __tsan_unaligned_read##size(void *p) {                                                                        \
        check_access(false, p, size, 1, site_of_code(__builtin_return_address(0)));                                    \
    }                                                                                                                  \
    void __tsan_unaligned_write##size(void *p) {                                                                       \
        check_access(true, p, size, 1, site_of_code(__builtin_return_address(0)));                                     \
    }

/* What the compiler says of a place: the beginning of its data for a check of undefined behaviour. */
struct source_place {
    const char *file;
    uint32_t    line, column;
};
static void undefined(const char *kind, const source_place *at, const char *what, uintptr_t value) {
    if (machine_me) report(kind, site_of_place({at->file, (int)at->line}), "%s %lu", what, (unsigned long)value);
}

extern "C" {
/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the compiler's names */
LOADS_AND_STORES(1)
LOADS_AND_STORES(2)
LOADS_AND_STORES(4)
LOADS_AND_STORES(8)
LOADS_AND_STORES(16)

void __tsan_read_range(void *p, unsigned long bytes) {
    check_access(false, p, bytes, 1, site_of_code(__builtin_return_address(0)));
}
void __tsan_write_range(void *p, unsigned long bytes) {
    check_access(true, p, bytes, 1, site_of_code(__builtin_return_address(0)));
}
void __tsan_func_entry(void *) {
}
void __tsan_func_exit(void *) {
}
void __tsan_init(void) { /* called at the start of the program by each object so compiled */
    checker_enable(true);
}

void __ubsan_handle_type_mismatch_v1(source_place *at, uintptr_t pointer) {
    undefined("misaligned", at, "access by a pointer that its type does not allow, address", pointer);
}
void __ubsan_handle_out_of_bounds(source_place *at, uintptr_t index) {
    undefined("out-of-bounds", at, "index", index);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
}

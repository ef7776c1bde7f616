/* status.h -- how every part of Cantus says that something went wrong.
 *
 * A function that can fail for reasons outside the program returns ct_status.
 * The message that goes with it (what, where, value found, hint) lies in a
 * thread-local buffer until the next failure on that thread; main() prints it.
 * Nothing here allocates, so even "out of memory" can be told.
 *
 *   if (n > limit)
 *       return ct_fail(CT_EFAIL, "%s: %zu tracks, at most %zu (hint: ...)", path, n, limit);
 *   CT_TRY(ct_file_read(path, arena, &file));
 *
 * Contracts between our own functions are CT_ASSERT; never input, files or peers.
 */
#ifndef CT_CORE_STATUS_H
#define CT_CORE_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ct_status {
    CT_OK = 0,
    CT_EFAIL,  /* input, file or machine: exit code 1          */
    CT_EUSAGE, /* command line or config: exit code 2          */
    CT_ENOMEM, /* out of memory: exit code 1                   */
    CT_ESTOP   /* stopped on request: exit code 75 (or 130)    */
} ct_status;

#define CT_NODISCARD __attribute__((warn_unused_result))
#define CT_NORETURN __attribute__((noreturn))
#define CT_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Record a message for `code` and return `code`. */
ct_status ct_fail(ct_status code, const char *format, ...) CT_PRINTF(2, 3);

/* Put "<context>: " before the message of a failure; CT_OK passes through. */
ct_status ct_context(ct_status code, const char *format, ...) CT_PRINTF(2, 3);

/* The last message recorded on this thread ("" when there is none). */
const char *ct_message(void);

/* Return a failure to the caller. */
#define CT_TRY(expression)                                                                                             \
    do {                                                                                                               \
        ct_status ct_try_ = (expression);                                                                              \
        if (ct_try_ != CT_OK) return ct_try_;                                                                          \
    } while (0)

/* On failure run the cleanup at `label` with `status` set. */
#define CT_CATCH(expression, label)                                                                                    \
    do {                                                                                                               \
        if ((status = (expression)) != CT_OK) goto label;                                                              \
    } while (0)

/* A broken promise inside the program: prints file, line and condition, then abort(). Always on. */
#define CT_ASSERT(condition) ((condition) ? (void)0 : ct_assert_failed(#condition, __FILE__, __LINE__))
CT_NORETURN void ct_assert_failed(const char *condition, const char *file, int line);

#define CT_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif

/* log.h -- what people read while a command runs: lines, warnings, a progress bar, and the wish to stop.
 *
 * Everything here goes to stderr; stdout is for results. A progress bar is drawn
 * only on a terminal, at most ten times a second, and never into a log file.
 * Ctrl-C, SIGTERM and SIGUSR1 set a flag that long loops ask for; a second
 * Ctrl-C ends the process at once (exit code 130).
 *
 * Nothing is owned, nothing can fail.
 */
#ifndef CT_CORE_LOG_H
#define CT_CORE_LOG_H

#include "core/status.h"

/* One line; a bar on the terminal makes way for it. */
void ct_log(const char *format, ...) CT_PRINTF(1, 2);
void ct_warn(const char *format, ...) CT_PRINTF(1, 2);

/* From here on only warnings are written: of several ranks the first one tells how it goes. */
void ct_log_warnings_only(void);

typedef struct ct_progress {
    const char *what;
    int64_t     total;
    double      begun, drawn;
} ct_progress;

void ct_progress_begin(ct_progress *progress, const char *what, int64_t total);
/* `detail` may be "". */
void ct_progress_at(ct_progress *progress, int64_t done, const char *detail);
void ct_progress_end(ct_progress *progress);

/* Seconds on a clock that never goes back. */
double      ct_seconds(void);
/* "2 h 05 min", "3 min 20 s", "12 s": for people. */
const char *ct_duration(double seconds, char *text, size_t size);

/* From here on the signals above set the flag instead of killing. Call it before any other thread is started: they
 * inherit that the signals are blocked. */
void      ct_stop_install(void);
/* In a forked worker process: leave Ctrl-C and SIGUSR1 to the parent, die of SIGTERM. */
void      ct_stop_ignore(void);
/* 0, or the signal that asked to stop. */
int       ct_stop_asked(void);
/* CT_ESTOP with a message once a stop was asked for, else CT_OK. */
ct_status ct_stop_check(void);

#endif

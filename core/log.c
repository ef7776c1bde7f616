/* log.c -- lines, bars and signals; see log.h. */
#include "core/log.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool                  bar_drawn;
static volatile sig_atomic_t stop_signal;

static void line(const char *prefix, const char *format, va_list arguments) {
    char text[4096];
    vsnprintf(text, sizeof text, format, arguments);
    if (bar_drawn) fputs("\r\033[K", stderr);
    bar_drawn = false;
    fprintf(stderr, "%s%s\n", prefix, text);
}

void ct_log(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    line("", format, arguments);
    va_end(arguments);
}

void ct_warn(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    line("warning: ", format, arguments);
    va_end(arguments);
}

double ct_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

const char *ct_duration(double seconds, char *text, size_t size) {
    long s = seconds < 0 ? 0 : (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(text, size, "%ld h %02ld min", s / 3600, s / 60 % 60);
    else if (s >= 60)
        snprintf(text, size, "%ld min %02ld s", s / 60, s % 60);
    else
        snprintf(text, size, "%ld s", s);
    return text;
}

void ct_progress_begin(ct_progress *progress, const char *what, int64_t total) {
    *progress = (ct_progress){.what = what, .total = total, .begun = ct_seconds()};
}

void ct_progress_at(ct_progress *progress, int64_t done, const char *detail) {
    double now = ct_seconds();
    if (!isatty(STDERR_FILENO) || now - progress->drawn < 0.1 || now - progress->begun < 0.5) return;
    progress->drawn = now;
    char   bar[25], left[32];
    double share = progress->total > 0 ? (double)done / (double)progress->total : 0;
    int    full = (int)(share * 24);
    for (int i = 0; i < 24; i++) bar[i] = i < full ? '#' : '.';
    bar[24] = 0;
    double estimate = share > 0 ? (now - progress->begun) * (1 - share) / share : 0;
    fprintf(stderr, "\r\033[K%s [%s] %lld/%lld  %s left  %s", progress->what, bar, (long long)done,
            (long long)progress->total, ct_duration(estimate, left, sizeof left), detail);
    bar_drawn = true;
    fflush(stderr);
}

void ct_progress_end(ct_progress *progress) {
    if (bar_drawn) fputs("\r\033[K", stderr);
    bar_drawn = false;
    progress->total = 0;
}

static void on_signal(int number) {
    if (stop_signal && number == SIGINT) _exit(130);
    stop_signal = number;
}

void ct_stop_install(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    static const int signals[] = {SIGINT, SIGTERM, SIGUSR1};
    for (size_t i = 0; i < CT_COUNT(signals); i++) sigaction(signals[i], &action, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a limit of file sizes: writing fails and says so */
}

int ct_stop_asked(void) {
    return stop_signal;
}

ct_status ct_stop_check(void) {
    int number = stop_signal;
    if (!number) return CT_OK;
    return ct_fail(CT_ESTOP, "stopped on request (signal %d)", number);
}

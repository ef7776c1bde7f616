/* log.c -- lines, bars and signals; see log.h. */
#include "core/log.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool bar_drawn, warnings_only;
static int  stop_signal; /* 0: none yet */

static void line(const char *prefix, const char *format, va_list arguments) {
    char text[4096];
    vsnprintf(text, sizeof text, format, arguments);
    if (bar_drawn) fputs("\r\033[K", stderr);
    bar_drawn = false;
    fprintf(stderr, "%s%s\n", prefix, text);
}

void ct_log_warnings_only(void) {
    warnings_only = true;
}

void ct_log(const char *format, ...) {
    va_list arguments;
    if (warnings_only) return;
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
    if (warnings_only || !isatty(STDERR_FILENO) || now - progress->drawn < 0.1 || now - progress->begun < 0.5) return;
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

static void stop_signals(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGUSR1);
}

static void *wait_for_signals(void *ready) {
    sem_post(ready);
    for (bool interrupted = false;;) {
        sigset_t set;
        int      number;
        stop_signals(&set);
        if (sigwait(&set, &number) != 0) continue;
        if (number == SIGINT && interrupted) _exit(130);
        interrupted |= number == SIGINT;
        __atomic_store_n(&stop_signal, number, __ATOMIC_RELAXED);
    }
}

/* A thread of its own takes the signals; all others keep them blocked. oneDNN's kernels let the stack pointer wander
 * through their workspace, so a handler that ran on one of their threads would write its frame into the heap. */
void ct_stop_install(void) {
    sigset_t  set;
    pthread_t thread;
    sem_t     ready; /* a fork while the thread is still starting could copy an allocator's lock that it holds */
    stop_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    sem_init(&ready, 0, 0);
    if (pthread_create(&thread, NULL, wait_for_signals, &ready) == 0) {
        pthread_detach(thread);
        while (sem_wait(&ready) != 0) continue;
    } else
        pthread_sigmask(SIG_UNBLOCK, &set, NULL); /* then they end the process, as they always do */
    sem_destroy(&ready);
    signal(SIGXFSZ, SIG_IGN); /* a limit of file sizes: writing fails and says so */
}

void ct_stop_ignore(void) {
    sigset_t set;
    stop_signals(&set);
    signal(SIGINT, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int ct_stop_asked(void) {
    return __atomic_load_n(&stop_signal, __ATOMIC_RELAXED);
}

ct_status ct_stop_check(void) {
    int number = ct_stop_asked();
    if (!number) return CT_OK;
    return ct_fail(CT_ESTOP, "stopped on request (signal %d)", number);
}

/* watch_open.h -- which files the program opens for reading: no path that stands in a file may be followed.
 *
 * Include it in one program: it puts its own open() before that of the C library. While watch_below is set, a path that
 * does not begin with it, or climbs out of it again (a step ".."), ends the process; each one is counted.
 */
#ifndef CT_TESTS_WATCH_OPEN_H
#define CT_TESTS_WATCH_OPEN_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *watch_below; /* NULL: everything may be opened */
static int         watch_count;

static int climbs(const char *path) {
    for (const char *at = path; (at = strstr(at, "/..")); at++)
        if (!at[3] || at[3] == '/') return 1;
    return 0;
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    int mode = flags & O_CREAT ? va_arg(more, int) : 0;
    va_end(more);
    if (watch_below && (strncmp(path, watch_below, strlen(watch_below)) != 0 || climbs(path))) {
        fprintf(stderr, "opened: %s, outside %s\n", path, watch_below);
        abort();
    }
    watch_count++;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#endif

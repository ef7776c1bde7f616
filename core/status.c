/* status.c -- thread-local failure messages; see status.h. */
#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_BYTES = 4096 };
static _Thread_local char message[MESSAGE_BYTES];

ct_status ct_fail(ct_status code, const char *format, ...) {
    char    text[MESSAGE_BYTES]; /* the arguments may point into the old message */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(message, text, sizeof message);
    return code;
}

ct_status ct_context(ct_status code, const char *format, ...) {
    if (code == CT_OK) return code;
    char    text[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t used = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    snprintf(text + used, sizeof text - used, ": %s", message);
    memcpy(message, text, sizeof message);
    return code;
}

const char *ct_message(void) {
    return message;
}

void ct_assert_failed(const char *condition, const char *file, int line) {
    fprintf(stderr, "cantus: internal error: %s:%d: %s does not hold; please report this\n", file, line, condition);
    abort();
}

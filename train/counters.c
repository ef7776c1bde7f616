/* counters.c -- see counters.h. */
#include "train/counters.h"

#include <string.h>

typedef struct ct_counter {
    const char *name;
    bool        real;
    size_t      offset;
} ct_counter;

#define COUNTER(member, real)                                                                                          \
    { "counters." #member, real, offsetof(ct_counters, member) }
static const ct_counter table[CT_COUNTERS] = {
    COUNTER(step, false),
    COUNTER(update, false),
    COUNTER(micro, false),
    COUNTER(skipped, false),
    COUNTER(skipped_in_a_row, false),
    COUNTER(waited, false),
    COUNTER(best, true),
    COUNTER(window_loss, true),
    COUNTER(window_open, true),
    COUNTER(window_targets, true),
    COUNTER(window_open_targets, true),
    COUNTER(window_tokens, false),
    COUNTER(norm, true),
};
#undef COUNTER

void ct_counters_tensors(const ct_counters *c, ct_tensor_entry out[CT_COUNTERS]) {
    for (int i = 0; i < CT_COUNTERS; i++)
        out[i] = (ct_tensor_entry){.name = table[i].name,
                                   .dtype = table[i].real ? "F64" : "I64",
                                   .data = (const char *)c + table[i].offset,
                                   .bytes = 8};
}

void ct_counters_read_format_1(const void *bytes, ct_counters *out) {
    *out = (ct_counters){.settled = true};
    for (int i = 0; i < CT_COUNTERS_FORMAT_1; i++)
        memcpy((char *)out + table[i].offset, (const char *)bytes + 8 * i, 8);
}

ct_status ct_counters_check(const ct_counters *c, const char *path) {
    bool fine = c->step >= 0 && c->update >= 0 && c->micro >= 0 && c->skipped >= 0 && c->skipped_in_a_row >= 0 &&
                c->waited >= 0 && c->window_tokens >= 0;
    return fine ? CT_OK : ct_fail(CT_EFAIL, "%s: counters hold values that can't be", path);
}

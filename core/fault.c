/* fault.c -- see fault.h. */
#include "core/fault.h"

#include "core/log.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[CT_FAULT_KINDS] = {"alloc",    "write", "fsync", "rename",
                                                  "diskfull", "kill",  "nan",   "bitflip"};
static const int         reasons[CT_FAULT_KINDS] = {ENOMEM, EIO, EIO, EIO, ENOSPC};

typedef struct ct_plan {
    bool         asked, kills;
    atomic_llong left; /* calls before it happens, or bytes; of KILL and NAN: the step */
} ct_plan;
static bool        armed; /* set before any thread is started */
static ct_plan     plans[CT_FAULT_KINDS];
static const char *flipped; /* part of a path, in the environment */
static size_t      flipped_length;
static atomic_bool has_flipped;

static ct_status unknown(const char *word, size_t length) {
    return ct_fail(CT_EUSAGE,
                   "CANTUS_FAULT: %.*s: alloc, write, fsync, rename (:N or :N:kill), diskfull:N, kill:STEP, nan:STEP "
                   "or bitflip:TEXT expected, N from 1 on",
                   (int)length, word);
}

static ct_status plan(const char *word, size_t length) {
    size_t kind = 0, n = 0;
    for (; kind < CT_FAULT_KINDS; kind++) {
        n = strlen(names[kind]);
        if (length > n + 1 && !strncmp(word, names[kind], n) && word[n] == ':') break;
    }
    if (kind == CT_FAULT_KINDS) return unknown(word, length);
    const char *value = word + n + 1, *past = word + length;
    plans[kind].asked = true;
    if (kind == CT_FAULT_BITFLIP) {
        flipped = value;
        flipped_length = (size_t)(past - value);
        return CT_OK;
    }
    char     *end;
    long long number = strtoll(value, &end, 10);
    bool      kills = kind <= CT_FAULT_RENAME && past - end == 5 && !strncmp(end, ":kill", 5);
    if (number < 1 || (end != past && !kills)) return unknown(word, length);
    plans[kind].kills = kills || kind == CT_FAULT_KILL;
    atomic_store(&plans[kind].left, number);
    return CT_OK;
}

ct_status ct_fault_arm(bool allowed) {
    const char *words = getenv("CANTUS_FAULT");
    if (!words || !*words) return CT_OK;
    if (!allowed) {
        ct_warn("CANTUS_FAULT is set, but the config does not say debug.faults: true; nothing will fail on purpose");
        return CT_OK;
    }
    for (const char *word = words;; word++) {
        size_t length = strcspn(word, ",");
        CT_TRY(plan(word, length));
        word += length;
        if (!*word) break;
    }
    ct_warn("failures on purpose: %s", words);
    armed = true;
    return CT_OK;
}

static bool happens(ct_fault_kind kind) {
    fprintf(stderr, "on purpose: %s\n", names[kind]); /* to the letter what tests look for; no memory is asked for */
    if (plans[kind].kills) kill(getpid(), SIGKILL);
    errno = reasons[kind];
    return true;
}

bool ct_fault(ct_fault_kind kind) {
    return armed && plans[kind].asked && atomic_fetch_sub(&plans[kind].left, 1) == 1 && happens(kind);
}

bool ct_fault_write(size_t bytes) {
    if (!armed) return false;
    if (plans[CT_FAULT_DISKFULL].asked &&
        atomic_fetch_sub(&plans[CT_FAULT_DISKFULL].left, (long long)bytes) < (long long)bytes)
        return happens(CT_FAULT_DISKFULL);
    return ct_fault(CT_FAULT_WRITE);
}

bool ct_fault_step(ct_fault_kind kind, int64_t step) {
    return armed && plans[kind].asked && atomic_load(&plans[kind].left) == step && happens(kind);
}

bool ct_fault_flips(const char *path) {
    if (!armed || !plans[CT_FAULT_BITFLIP].asked || !memmem(path, strlen(path), flipped, flipped_length)) return false;
    return !atomic_exchange(&has_flipped, true) && happens(CT_FAULT_BITFLIP);
}

/* cards.c -- see cards.h. Cards by NVIDIA's data sheets and the programming guide's table of compute capabilities;
 * resident warps by cuda_occupancy.h. */
#include "cards.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KB *1024
const card cards[CARDS] = {
    {"A100 SXM", "sm_80", {8, 0, 1024, 2048, 65536, 65536, 32, 48 KB, 164 KB, 108, 163 KB, 1 KB}, 2.039e12, 19.5e12},
    {"H100 SXM", "sm_90", {9, 0, 1024, 2048, 65536, 65536, 32, 48 KB, 228 KB, 132, 227 KB, 1 KB}, 3.35e12, 66.9e12},
    {"B200", "sm_100", {10, 0, 1024, 2048, 65536, 65536, 32, 48 KB, 228 KB, 148, 227 KB, 1 KB}, 8e12, 80e12},
    {"RTX 5090", "sm_120", {12, 0, 1024, 1536, 65536, 65536, 32, 48 KB, 100 KB, 170, 99 KB, 1 KB}, 1.792e12, 104.8e12},
};
#undef KB

typedef struct usage {
    int registers, stack, spilled; /* bytes; registers -1: not found */
    int shared;                    /* static */
} usage;

/* The number that stands before or after some words of a line. */
static bool number_after(const char *line, const char *words, int *out) {
    const char *at = strstr(line, words);
    if (at) *out = (int)strtol(at + strlen(words), NULL, 10);
    return at != NULL;
}
static bool number_before(const char *line, const char *words, int *out) {
    const char *at = strstr(line, words);
    while (at && at > line && at[-1] != ' ') at--;
    if (at) *out = (int)strtol(at, NULL, 10);
    return at != NULL;
}
static bool stack_and_spills(const char *line, int *stack, int *spilled) {
    int stores = 0, loads = 0;
    if (!number_before(line, " bytes stack frame", stack)) return false;
    number_before(line, " bytes spill stores", &stores);
    number_before(line, " bytes spill loads", &loads);
    *spilled = stores + loads;
    return true;
}

/* Of the kernel, with the functions that it calls. */
static void read_usage(const char *path, const char *symbol, usage *out) {
    char  line[2048];
    bool  here = false;
    FILE *f = fopen(path, "r");
    if (!f) return;
    while (fgets(line, sizeof line, f)) {
        char *quote = strchr(line, '\''), *end = quote ? strchr(quote + 1, '\'') : NULL;
        int   stack, spilled;
        if (strstr(line, "Compiling entry function") && end) {
            *end = 0;
            here = !strcmp(quote + 1, symbol);
        } else if (here && stack_and_spills(line, &stack, &spilled)) {
            out->stack += stack;
            out->spilled += spilled;
        } else if (here && number_after(line, "Used ", &out->registers))
            number_before(line, " bytes smem", &out->shared);
    }
    fclose(f);
}

/* what(path) for each account of an architecture; how many there are */
static int each_account(const char *folder, const char *architecture, void (*what)(const char *path, void *to),
                        void *to) {
    char path[4096];
    int  found = 0;
    snprintf(path, sizeof path, "%s/%s", folder, architecture);
    DIR                 *list = opendir(path);
    const struct dirent *entry;
    while (list && (entry = readdir(list))) {
        if (!strstr(entry->d_name, ".txt")) continue;
        snprintf(path, sizeof path, "%s/%s/%s", folder, architecture, entry->d_name);
        what(path, to);
        found++;
    }
    if (list) closedir(list);
    return found;
}

typedef struct asked {
    const char *symbol;
    usage       found;
} asked;
static void look_for(const char *path, void *to) {
    asked *a = to;
    if (a->found.registers < 0) read_usage(path, a->symbol, &a->found);
}

/* Warps that a multiprocessor holds, as a share of those it could. */
static double occupancy(const card *c, const usage *u, const emulator_kernel *k) {
    cudaOccResult         result;
    cudaOccDeviceState    state = {.cacheConfig = CACHE_PREFER_NONE, .carveoutConfig = SHAREDMEM_CARVEOUT_DEFAULT};
    cudaOccFuncAttributes kernel = {.maxThreadsPerBlock = 1024,
                                    .numRegs = u->registers,
                                    .sharedSizeBytes = (size_t)u->shared,
                                    .shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN,
                                    .maxDynamicSharedSizeBytes = c->about.sharedMemPerBlockOptin};
    if (cudaOccMaxActiveBlocksPerMultiprocessor(&result, &c->about, &kernel, &state, (int)k->threads, k->shared) !=
        CUDA_OCC_SUCCESS)
        return NAN;
    return (double)result.activeBlocksPerMultiprocessor * k->threads / c->about.maxThreadsPerMultiprocessor;
}

bool usage_of_kernel(const char *folder, const emulator_kernel *k, kernel_usage *out) {
    bool complete = true;
    *out = (kernel_usage){.shared = k->shared};
    for (int i = 0; i < CARDS; i++) {
        asked a = {k->symbol, {.registers = -1}};
        each_account(folder, cards[i].architecture, look_for, &a);
        if (a.found.registers < 0) {
            fprintf(stderr, "%s: in %s/%s ptxas has said nothing of it (hint: make kernels-report)\n", k->symbol,
                    folder, cards[i].architecture);
            complete = false;
        }
        size_t of_registers = strlen(out->registers), of_resident = strlen(out->resident);
        out->stack += a.found.stack;
        out->spilled += a.found.spilled;
        if (k->shared + (size_t)a.found.shared > out->shared) out->shared = k->shared + (size_t)a.found.shared;
        snprintf(out->registers + of_registers, sizeof out->registers - of_registers, "%s%d", i ? " " : "",
                 a.found.registers);
        snprintf(out->resident + of_resident, sizeof out->resident - of_resident, "%s%.0f", i ? " " : "",
                 100 * occupancy(&cards[i], &a.found, k));
    }
    return complete;
}

static void look_for_spills(const char *path, void *to) {
    static const char properties[] = "Function properties for ";
    char              line[2048], function[2048] = "";
    int              *count = to;
    FILE             *f = fopen(path, "r");
    if (!f) return;
    while (fgets(line, sizeof line, f)) {
        const char *name = strstr(line, properties);
        int         stack, spilled;
        if (name)
            snprintf(function, sizeof function, "%.*s", (int)strcspn(name + sizeof properties - 1, "\n"),
                     name + sizeof properties - 1);
        if (!stack_and_spills(line, &stack, &spilled) || (stack == 0 && spilled == 0)) continue;
        fprintf(stderr,
                "%s: %s: %d bytes of stack, %d spilled; a kernel has neither (hint: __launch_bounds__, tiles)\n", path,
                function, stack, spilled);
        (*count)++;
    }
    fclose(f);
}

int usage_spills(const char *folder) {
    int  count = 0;
    bool complete = true;
    for (int i = 0; i < CARDS; i++) {
        if (each_account(folder, cards[i].architecture, look_for_spills, &count) > 0) continue;
        fprintf(stderr, "%s/%s: what ptxas says should lie there (hint: make kernels-report)\n", folder,
                cards[i].architecture);
        complete = false;
    }
    return complete ? count : -1;
}

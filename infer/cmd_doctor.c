/* cmd_doctor.c -- `cantus doctor`: which hardware and libraries were found, and what follows. */
#include "core/command.h"
#include "core/version.h"
#include "kernels/ops.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_processor(void) {
    char  name[128] = "unknown";
    FILE *f = fopen("/proc/cpuinfo", "re");
    char  line[512];
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon) continue;
        snprintf(name, sizeof name, "%s", colon + 2);
        name[strcspn(name, "\n")] = 0;
        break;
    }
    if (f) fclose(f);
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
    printf("processor   %s, %ld online, %.1f GiB of memory\n", name, sysconf(_SC_NPROCESSORS_ONLN),
           (double)pages * (double)page / (1 << 30));
}

static void print_variable(const char *name, const char *meaning) {
    const char *value = getenv(name);
    if (value) printf("  %s=%s: %s\n", name, value, meaning);
}

static void print_cuda(void) {
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (driver) {
        printf("CUDA        driver found; this version computes on the CPU only\n");
        dlclose(driver);
    } else
        printf("CUDA        no driver (libcuda.so.1); this version computes on the CPU anyway\n");
}

static ct_status run(int count, char **words) {
    if (count) return ct_fail(CT_EUSAGE, "doctor: takes no words, found \"%s\"", words[0]);
    printf("cantus      %s (%s), %s\n", ct_version, ct_revision, ct_build);
    print_processor();
    printf("kernels     %s, %d threads\n", ct_cpu_isa(), ct_cpu_threads());
    print_variable("CANTUS_ISA", "overrides the instruction set");
    print_variable("OMP_NUM_THREADS", "sets the threads");
    printf("matrices    %s, %.0f GFLOP/s (fp32, 512 x 512 x 512)\n", ct_cpu_gemm(), ct_cpu_measure_gemm() / 1e9);
    print_cuda();
    return CT_OK;
}

const ct_command ct_command_doctor = {
    .name = "doctor",
    .usage = "",
    .summary = "which hardware and libraries were found",
    .run = run,
};

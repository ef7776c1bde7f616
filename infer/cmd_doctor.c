/* cmd_doctor.c -- `cantus doctor`: which hardware and libraries were found, and what follows. */
#include "core/command.h"
#include "core/json.h"
#include "core/version.h"
#include "kernels/comm.h"
#include "kernels/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct ct_facts { /* what was found */
    char   processor[128];
    long   online;
    double memory, gemm; /* bytes; flop/s */
    bool   gpu;          /* one that `device: cuda` would take */
    char   cuda[512];    /* it, or why there is none */
    char   cudnn[512];   /* its second opinion, or why there is none; "": no GPU */
    char   nccl[512];    /* by what GPUs of several ranks would talk, or why there is none; "": no GPU */
    char   mpi[512];     /* it, or why there is none */
} ct_facts;

static ct_facts find_facts(void) {
    ct_facts found = {.processor = "unknown"};
    FILE    *f = fopen("/proc/cpuinfo", "re");
    char     line[512];
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        snprintf(found.processor, sizeof found.processor, "%s", colon + 2);
        found.processor[strcspn(found.processor, "\n")] = 0;
        break;
    }
    if (f) fclose(f);
    const ct_device *gpu;
    found.gpu = ct_device_open(&(ct_device_choice){.kind = CT_ON_CUDA}, NULL, &gpu) == CT_OK;
    snprintf(found.cuda, sizeof found.cuda, "%s", found.gpu ? ct_device_describe(gpu) : ct_message());
    if (found.gpu) {
        const char *by = NULL;
        const bool  second = gpu->log_softmax(NULL, NULL, 0, 0, &by) == CT_OK;
        snprintf(found.cudnn, sizeof found.cudnn, "%s", second ? by : ct_message());
        const bool others = gpu->meets_by(&by) == CT_OK;
        snprintf(found.nccl, sizeof found.nccl, "%s", others ? by : ct_message());
        ct_device_close(gpu);
    }
    if (ct_comm_mpi(found.mpi, sizeof found.mpi) != CT_OK) snprintf(found.mpi, sizeof found.mpi, "%s", ct_message());
    found.online = sysconf(_SC_NPROCESSORS_ONLN);
    found.memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGE_SIZE);
    found.gemm = ct_cpu_measure_gemm();
    return found;
}

static const struct {
    const char *name, *meaning;
} variables[] = {{"CANTUS_ISA", "overrides the instruction set"},
                 {"CANTUS_GEMM", "own: our loops in place of the library's"},
                 {"CANTUS_CUDA_LIBRARY", "the GPU's library, in place of the one beside the program"},
                 {"CANTUS_CUDNN_LIBRARY", "cuDNN, in place of the libcudnn.so.9 that the system finds"},
                 {"CANTUS_NCCL_LIBRARY", "NCCL, in place of the libnccl.so.2 that the system finds"},
                 {"CANTUS_MPI_LIBRARY", "the library for MPI, in place of the one beside the program"},
                 {"CANTUS_CUDA_SYNC", "1: each op on the GPU is waited for"},
                 {"CUDA_VISIBLE_DEVICES", "which GPUs the driver shows"},
                 {"OMP_NUM_THREADS", "sets the threads"},
                 {"OMP_WAIT_POLICY", "how threads wait: passive, or active (spinning)"}};

static void print_facts(const ct_facts *found) {
    printf("cantus      %s (%s), %s\n", ct_version, ct_revision, ct_build);
    printf("processor   %s, %ld online, %.1f GiB of memory\n", found->processor, found->online,
           found->memory / (1 << 30));
    printf("kernels     %s, %d threads\n", ct_cpu_isa(), ct_cpu_threads());
    for (size_t i = 0; i < CT_COUNT(variables); i++) {
        const char *value = getenv(variables[i].name);
        if (value) printf("  %s=%s: %s\n", variables[i].name, value, variables[i].meaning);
    }
    printf("matrices    %s, %.0f GFLOP/s (fp32, 512 x 512 x 512)\n", ct_cpu_gemm(), found->gemm / 1e9);
    printf("GPU         %s\n", found->cuda);
    if (found->gpu) printf("evaluation  %s\n", found->cudnn);
    if (found->gpu) printf("ranks       %s\n", found->nccl);
    printf("MPI         %s\n", found->mpi);
}

static ct_status print_facts_json(const ct_facts *found) {
    ct_json *root = ct_json_new_object(), *environment = ct_json_new_object();
    for (size_t i = 0; i < CT_COUNT(variables); i++) {
        const char *value = getenv(variables[i].name);
        if (value) ct_json_set(environment, variables[i].name, ct_json_new_text(value));
    }
    ct_json_set(root, "version", ct_json_new_text(ct_version));
    ct_json_set(root, "revision", ct_json_new_text(ct_revision));
    ct_json_set(root, "build", ct_json_new_text(ct_build));
    ct_json_set(root, "processor", ct_json_new_text(found->processor));
    ct_json_set(root, "processors_online", ct_json_new_integer(found->online));
    ct_json_set(root, "memory_bytes", ct_json_new_integer((int64_t)found->memory));
    ct_json_set(root, "isa", ct_json_new_text(ct_cpu_isa()));
    ct_json_set(root, "threads", ct_json_new_integer(ct_cpu_threads()));
    ct_json_set(root, "gemm", ct_json_new_text(ct_cpu_gemm()));
    ct_json_set(root, "sgemm_flops_per_second", ct_json_new_real(found->gemm));
    ct_json_set(root, "gpu", ct_json_new_bool(found->gpu));
    ct_json_set(root, "cuda", ct_json_new_text(found->cuda));
    if (found->gpu) ct_json_set(root, "cudnn", ct_json_new_text(found->cudnn));
    if (found->gpu) ct_json_set(root, "nccl", ct_json_new_text(found->nccl));
    ct_json_set(root, "mpi", ct_json_new_text(found->mpi));
    ct_json_set(root, "environment", environment);
    return ct_json_say(root);
}

static const char     *as_json;
static const ct_option options[] = {{"--json", NULL, "print JSON (fields: infer/README.md)", &as_json}};

static ct_status run(int count, char **words) {
    if (count) return ct_fail(CT_EUSAGE, "doctor: takes no words, found \"%s\"", words[0]);
    ct_facts found = find_facts();
    if (as_json) return print_facts_json(&found);
    print_facts(&found);
    return CT_OK;
}

const ct_command ct_command_doctor = {
    .name = "doctor",
    .usage = "",
    .summary = "which hardware and libraries were found",
    .options = options,
    .option_count = CT_COUNT(options),
    .run = run,
};

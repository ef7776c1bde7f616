/* comm_world.c -- who this process is among how many, by what started it; see comm_link.h. Nothing is owned; fails with
 * CT_EUSAGE, naming the variable. */
#include "kernels/comm_link.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What says size and rank: mpirun of Open MPI, of MPICH and its kin (and srun --mpi=pmi2), srun, torchrun. */
typedef struct launcher {
    const char *size, *rank;
    int         bootstrap;
} launcher;

static const launcher launchers[] = {{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", CT_BOOT_MPI},
                                     {"PMI_SIZE", "PMI_RANK", CT_BOOT_MPI},
                                     {"SLURM_STEP_NUM_TASKS", "SLURM_PROCID", CT_BOOT_TCP},
                                     {"SLURM_NTASKS", "SLURM_PROCID", CT_BOOT_TCP},
                                     {"WORLD_SIZE", "RANK", CT_BOOT_TCP}};

static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* A shell inside of salloc and the script of sbatch know how many tasks there may be, but are none: no step of srun's.
 * Steps above this are Slurm's own. */
static bool slurm_step(void) {
    const char *step = variable("SLURM_STEP_ID");
    return step && strtoll(step, NULL, 10) < 4294967280LL;
}

static const launcher *find_launcher(void) {
    for (size_t i = 0; i < CT_COUNT(launchers); i++) {
        const launcher *l = &launchers[i];
        if (!strncmp(l->size, "SLURM", 5) && !slurm_step()) continue;
        if (variable(l->size) && variable(l->rank)) return l;
    }
    return NULL;
}

static ct_status number(const char *name, long long low, long long high, int *out) {
    const char *text = variable(name);
    char       *end = NULL;
    errno = 0;
    const long long value = text ? strtoll(text, &end, 10) : 0;
    if (!text) return ct_fail(CT_EUSAGE, "%s is not set", name);
    if (errno || end == text || *end || value < low || value > high)
        return ct_fail(CT_EUSAGE, "%s is \"%s\", expected a number from %lld to %lld", name, text, low, high);
    *out = (int)value;
    return CT_OK;
}

bool ct_comm_expected(void) {
    const launcher *l = find_launcher();
    const char     *size = l ? variable(l->size) : NULL;
    return size && strtoll(size, NULL, 10) > 1;
}

ct_status ct_comm_alone(const char *command) {
    if (!ct_comm_expected()) return CT_OK;
    const launcher *l = find_launcher();
    return ct_fail(CT_EUSAGE,
                   "%s is the work of one process, this is one of %s (%s; hint: without mpirun, or srun -n 1)", command,
                   variable(l->size), l->size);
}

/* ---- for tcp: where rank 0 is */
static uint64_t hash(uint64_t state, const char *text) { /* FNV-1a */
    for (; text && *text; text++) state = (state ^ (unsigned char)*text) * 1099511628211u;
    return (state ^ 255) * 1099511628211u;
}

/* The first host of Slurm's list: "node[03-07,12],other" is node03. */
static void first_host(const char *list, char *to, size_t room) {
    const size_t prefix = strcspn(list, "[,"), digits = list[prefix] == '[' ? strcspn(list + prefix + 1, "-,]") : 0;
    snprintf(to, room, "%.*s%.*s", (int)prefix, list, (int)digits, list + prefix + (digits > 0));
}

static ct_status find_meeting_place(const launcher *l, ct_world *out) {
    const char              *address = variable("MASTER_ADDR"), *port = variable("MASTER_PORT");
    const bool               slurm = !strncmp(l->size, "SLURM", 5);
    const char              *list = variable("SLURM_STEP_NODELIST");
    static const char *const names_of_job[] = {"SLURM_JOB_ID", "SLURM_STEP_ID", "TORCHELASTIC_RUN_ID", "CANTUS_JOB"};
    out->nonce = 14695981039346656037u;
    for (size_t i = 0; i < CT_COUNT(names_of_job); i++) out->nonce = hash(out->nonce, variable(names_of_job[i]));
    if (address)
        snprintf(out->address, sizeof out->address, "%s", address);
    else if (slurm && list)
        first_host(list, out->address, sizeof out->address);
    else
        return ct_fail(CT_EUSAGE, "%s is set, but MASTER_ADDR is not: the host of rank 0", l->size);
    int given = 0;
    if (port)
        CT_TRY(number("MASTER_PORT", 1, 65535, &given));
    else if (slurm)
        given = (int)(20000 + out->nonce % 12000);
    else
        return ct_fail(CT_EUSAGE, "%s is set, but MASTER_PORT is not: a free port of rank 0's host", l->size);
    snprintf(out->port, sizeof out->port, "%d", given);
    return CT_OK;
}

ct_status ct_world_read(const ct_dist_choice *choice, ct_world *out) {
    const launcher *l = find_launcher();
    *out = (ct_world){.size = 1, .bootstrap = choice->bootstrap == CT_BOOT_AUTO ? CT_BOOT_TCP : choice->bootstrap};
    if (!l) return CT_OK;
    CT_TRY(number(l->size, 1, 1 << 20, &out->size));
    CT_TRY(number(l->rank, 0, out->size - 1, &out->rank));
    out->variable = l->size;
    /* srun with a plugin for MPI says so by another variable */
    if (choice->bootstrap == CT_BOOT_AUTO) out->bootstrap = variable("PMIX_RANK") ? CT_BOOT_MPI : l->bootstrap;
    return out->bootstrap == CT_BOOT_TCP && out->size > 1 ? find_meeting_place(l, out) : CT_OK;
}

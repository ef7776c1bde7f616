/* emulator.h -- the CUDA machine on the CPU, as a test sees it: device memory, the order in which threads run, and what
 * the machine has to report. For C and C++.
 *
 *   emulator_set_schedule((emulator_schedule){.order = EMULATOR_RANDOM, .seed = 7});
 *   float *x = emulator_alloc(bytes);                      full of NaN
 *   emulator_write(x, from, bytes);
 *   ... a host function that launches kernels: they have run when it returns ...
 *   emulator_read(to, x, bytes);
 *   assert_int_equal(emulator_report_count(), 0);
 *
 * Two flavours, by how the kernels were compiled. Fast: blocks on all cores; barriers, warp-wide instructions,
 * asynchronous copies and what was written around arrays are checked. Checked (also: PTX): one core; every load and
 * store is checked too, and a race is reported even where the order happened to give right numbers.
 *
 * Owner: the caller frees what emulator_alloc gave; reports belong to the emulator until they are forgotten.
 * Fails: what a kernel or a copy does wrong becomes a report; no memory ends the program.
 */
#ifndef CT_EMULATOR_EMULATOR_H
#define CT_EMULATOR_EMULATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Which thread goes on when one waits, and in which order blocks run: the first that can, so that a warp runs ahead as
 * far as it can; the last; the next; any. Asynchronous copies are made as late as allowed (forward, round robin), at
 * once (backward), or either. */
typedef enum emulator_order {
    EMULATOR_FORWARD,
    EMULATOR_BACKWARD,
    EMULATOR_ROUND_ROBIN,
    EMULATOR_RANDOM,
    EMULATOR_ORDERS
} emulator_order;
typedef struct emulator_schedule {
    emulator_order order;
    uint64_t       seed;
    int            workers; /* OS threads; 0: as many as cores. The checked flavour has one. */
} emulator_schedule;
void emulator_set_schedule(emulator_schedule schedule);

/* ---- what runs: the kernels as the host compiler made them; in the PTX flavour, as nvcc did for each architecture */
int         emulator_front_ends(void);
const char *emulator_front_end(int number); /* its name: "C++", "PTX of sm_90" */
void        emulator_use_front_end(int number);
/* Instructions of this front end's kernels, of those launched, that no thread has executed: a line for each kernel that
 * has some, after it one for each of them if asked. How many they are in all; -1: it can't tell. */
int         emulator_unexecuted(bool each, void (*tell)(const char *line));

/* ---- what launches cost (PTX): requests of warps to device memory and the sectors of 32 bytes they touch, requests to
 * shared memory and the passes over its banks; beside them the fewest that the same bytes could cost. How many
 * instructions warps execute, of PTX; of these mma, ldmatrix, and cp.async (copies) */
typedef struct emulator_kernel {
    char     name[128], symbol[512]; /* as launched; as in the PTX */
    int      launches;
    unsigned threads; /* of a block */
    size_t   shared;  /* dynamic, bytes of a block */
    uint64_t requests, sectors, fewest_sectors;
    uint64_t shared_requests, passes, fewest_passes;
    uint64_t instructions, mma, ldmatrix, copies;
} emulator_kernel;
void emulator_count_kernels(void);                         /* from here on, anew */
bool emulator_kernel_at(int number, emulator_kernel *out); /* in the order of their first launch; false: no more */

/* ---- device memory */
void *emulator_alloc(size_t bytes);
void  emulator_free(void *device);
void  emulator_write(void *device, const void *host, size_t bytes);
/* Bytes that no kernel has written are reported (checked flavour). */
void  emulator_read(void *host, const void *device, size_t bytes);

/* ---- reports: "race: read after write by ... [kernel ..., block ..., thread ..., file:line]" */
int         emulator_report_count(void);
const char *emulator_report(int number); /* the first of each kind and place; NULL after the last */
/* Does any report begin with this kind? */
bool        emulator_reported(const char *kind);
void        emulator_forget_reports(void);
bool        emulator_checks_accesses(void); /* the checked flavour, or PTX */

#ifdef __cplusplus
}
#endif
#endif

/* cards.h -- what the reports on kernels know of GPUs: a card of each architecture by its data sheet, what ptxas says
 * of a kernel there, and how many of its warps are resident. No kernel may have spills or a stack.
 *
 * FOLDER has what `nvcc -Xptxas -v` printed: FOLDER/sm_90/NAME.txt.
 * Owner: nothing. Fails: what is missing goes to stderr with a hint, and the functions say so.
 */
#ifndef CT_EMULATOR_CARDS_H
#define CT_EMULATOR_CARDS_H

#include "tests/emulator/emulator.h"

#include <cuda_occupancy.h>

typedef struct card {
    const char       *name, *architecture;
    cudaOccDeviceProp about;
    double            bytes, flops; /* a second; flops in fp32 without tensor cores */
} card;
enum { CARDS = 4 };
extern const card cards[CARDS];

/* Of a kernel; numbers for each card, side by side. */
typedef struct kernel_usage {
    char   registers[64], resident[64]; /* resident: warps, % */
    int    stack, spilled;              /* bytes, of all cards together */
    size_t shared;                      /* bytes of a block, static and dynamic */
} kernel_usage;
bool usage_of_kernel(const char *folder, const emulator_kernel *k, kernel_usage *out);

/* How many functions of all accounts have spills or a stack, each told on stderr; -1: an architecture has no account.
 */
int usage_spills(const char *folder);

#endif

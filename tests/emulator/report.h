/* report.h -- what the machine has to say against a kernel: a kind, what happened, and where.
 *
 * A site is a number for a place: a place in a source or in PTX, or an address of compiled code, which becomes file and
 * line only when it is reported (by addr2line; without it: function and offset).
 *
 * Kinds: race, uninitialised, out-of-bounds, misaligned, async-copy, divergent-warp, divergent-barrier,
 * barrier-after-exit, shuffle, deadlock, fault, launch, memory.
 *
 * Owner: texts belong to this file. Fails: never. Of reports of one kind and site the first is kept, a hundred in all;
 * the others are counted.
 */
#ifndef CT_EMULATOR_REPORT_H
#define CT_EMULATOR_REPORT_H

#include "emulator.h"
#include "kernels/cuda/machine.h"

#include <string>

typedef uint32_t site;
enum { NO_SITE = 0 };
site        site_of_place(machine_place place);
site        site_of_code(const void *return_address);
std::string site_text(site where); /* "kernels/cuda/layernorm.cu:41" */

/* Has this kind been reported of this site? Then it is counted, and there is no need to find words. */
bool report_known(const char *kind, site where);
/* Says kernel, block and thread of the thread that runs here, if one does. */
void report(const char *kind, site where, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif

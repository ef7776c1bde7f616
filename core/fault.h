/* fault.h -- failures made to order, so that it can be shown that nothing is lost by them.
 *
 *   CANTUS_FAULT=write:3 cantus train CONFIG debug.faults=true
 *
 *   alloc:N write:N fsync:N rename:N   the N-th of the process is refused (no memory, input/output error);
 *                                      with ":kill" behind it the process is killed there instead
 *   diskfull:N                         nothing can be written any more after N bytes
 *   kill:STEP, nan:STEP                that training step is the last one; has a gradient that is not a number
 *   bitflip:TEXT                       of the first file written whose path has TEXT in it, one bit changes on its way
 *                                      to the disk
 * Several, with commas between them, may be asked for; of each kind one.
 *
 * Inert unless both the variable and the config ask for it; then a read of one flag.
 * Counted over all threads; a forked worker counts on for itself. Nothing is owned.
 * Fails: ct_fault_arm alone, on words it does not know (CT_EUSAGE).
 */
#ifndef CT_CORE_FAULT_H
#define CT_CORE_FAULT_H

#include "core/status.h"

typedef enum ct_fault_kind {
    CT_FAULT_ALLOC,
    CT_FAULT_WRITE,
    CT_FAULT_FSYNC,
    CT_FAULT_RENAME,
    CT_FAULT_DISKFULL,
    CT_FAULT_KILL,
    CT_FAULT_NAN,
    CT_FAULT_BITFLIP,
    CT_FAULT_KINDS
} ct_fault_kind;

/* Read CANTUS_FAULT. allowed: what the config says; if not, and the variable is there, a warning says that nothing
 * will happen. */
CT_NODISCARD ct_status ct_fault_arm(bool allowed);
/* One more of ALLOC, FSYNC or RENAME is about to happen. true: it has to fail; errno is set. */
bool                   ct_fault(ct_fault_kind kind);
/* The same for a WRITE of so many bytes, which may also be more than a full disk takes. */
bool                   ct_fault_write(size_t bytes);
/* Is `step` the one of NAN? KILL does not return. */
bool                   ct_fault_step(ct_fault_kind kind, int64_t step);
/* Is a bit of the file at `path` to change? Once. */
bool                   ct_fault_flips(const char *path);

#endif

/* memory.h -- device memory: each allocation lies between guard zones of 4 KB, and those between pages that fault.
 *
 * New memory is full of 0xff: NaN; guards are other NaNs. A little way around an allocation, a read finds NaN and a
 * write is found after the launch (at once, when accesses are checked); further away, the access faults and is reported
 * as that. Memory that was freed last faults, too.
 *
 * Owner: see emulator.h. Fails: no memory ends the program.
 */
#ifndef CT_EMULATOR_MEMORY_H
#define CT_EMULATOR_MEMORY_H

#include <stddef.h>
#include <stdint.h>

struct shadow; /* checker.h */

enum { MEMORY_GUARD = 4096 };

struct allocation {
    char          *data;
    size_t         bytes;
    char          *mapping; /* with guards and the pages that fault */
    size_t         mapped;
    uint16_t       guard;  /* what its guards are full of */
    struct shadow *shadow; /* of each byte, from the first checked access on */
};

/* The allocation that the address lies in, or in whose guard zones. */
allocation *memory_find(const void *address);
/* Closed, no allocation can be touched, nor those made meanwhile: what does so faults, until memory is opened again. */
void        memory_close(bool closed);
/* Reports guard zones that have been written to. */
void        memory_check_guards(const char *kernel);

#endif

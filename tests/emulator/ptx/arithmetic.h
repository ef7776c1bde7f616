/* arithmetic.h -- what PTX instructions compute that concern nobody else: from the values of the source operands to
 * that of the result. No threads, no memory: the PTX manual's text as code.
 *
 * Approximate instructions (ex2.approx, rcp.approx ...) give the nearest float; a GPU may be wrong by a few units.
 * Owner: nothing. Fails: a combination of suffixes that is not known ends the program and says so.
 */
#ifndef CT_PTX_ARITHMETIC_H
#define CT_PTX_ARITHMETIC_H

#include "program.h"

/* v: the source operands in order. carry: of the thread, for .cc, addc, subc and madc. */
uint64_t ptx_compute(const ptx_instruction &instruction, const uint64_t *v, bool *carry);

/* The low bytes of a type; signed ones with their sign. */
uint64_t ptx_narrow(uint64_t value, ptx_type type);

#endif

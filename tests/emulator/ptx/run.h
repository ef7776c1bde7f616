/* run.h -- one thread's run of a kernel in PTX, from its launch's arguments to its end. Called on the thread's own
 * stack, which holds its registers and local memory. What it does wrong is reported; see emulator.h.
 */
#ifndef CT_PTX_RUN_H
#define CT_PTX_RUN_H

#include "kernels/cuda/machine.h"
#include "program.h"

/* The arguments are as many and as large as the kernel's parameters. */
void ptx_run_kernel(const ptx_program *program, const ptx_function *kernel, const machine_launch &launch);

#endif

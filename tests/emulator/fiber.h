/* fiber.h -- a flow of control with a stack of its own, that runs until it hands over to another: a thread of a kernel.
 *
 * A switch saves what a call must preserve and changes the stack: fifteen instructions on x86-64, about as many on
 * aarch64; elsewhere ucontext, which works too but calls the kernel twice a switch. Fibers stay on the OS thread that
 * began them. A fiber never returns: it hands over for the last time.
 *
 * Owner: fiber_allocate's memory is the fiber's to the end of the program; below it lies a page that faults.
 * Fails: no memory for a stack ends the program with a message.
 */
#ifndef CT_EMULATOR_FIBER_H
#define CT_EMULATOR_FIBER_H

#include <stddef.h>

#if !defined(EMULATOR_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#define EMULATOR_UCONTEXT 1
#endif
#ifdef EMULATOR_UCONTEXT
#include <ucontext.h>
#endif

struct fiber {
    char *low, *high;    /* its memory; none: the flow of control of an OS thread itself */
    void *stack_pointer; /* while it does not run */
#ifdef EMULATOR_UCONTEXT
    ucontext_t context;
#endif
};

void fiber_allocate(fiber *f, size_t bytes);
/* The next switch to f calls entry() on the stack that ends at `top` (within its memory). What ran there is forgotten.
 */
void fiber_begin(fiber *f, char *top, void (*entry)(void));
void fiber_switch(fiber *from, fiber *to);

#endif

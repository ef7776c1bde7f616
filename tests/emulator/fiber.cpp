/* fiber.cpp -- see fiber.h. */
#include "fiber.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void fiber_allocate(fiber *f, size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void  *memory =
        mmap(nullptr, bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, page, PROT_NONE) != 0) {
        perror("emulator: no memory for the stack of a thread");
        abort();
    }
    f->low = static_cast<char *>(memory) + page;
    f->high = f->low + bytes;
}

#ifdef EMULATOR_UCONTEXT

void fiber_begin(fiber *f, char *top, void (*entry)(void)) {
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->low;
    f->context.uc_stack.ss_size = (size_t)(top - f->low);
    f->context.uc_link = nullptr;
    makecontext(&f->context, entry, 0);
}
void fiber_switch(fiber *from, fiber *to) {
    swapcontext(&from->context, &to->context);
}

#else

/* emulator_switch(void **save, void *load): pushes what the called must preserve, saves the stack pointer, takes the
 * other, pops, returns there. */
extern "C" void emulator_switch(void **save, void *load);

#if defined(__x86_64__)
asm(".text\n"
    ".globl emulator_switch\n"
    ".type emulator_switch, @function\n"
    "emulator_switch:\n"
    "    pushq %rbp\n"
    "    pushq %rbx\n"
    "    pushq %r12\n"
    "    pushq %r13\n"
    "    pushq %r14\n"
    "    pushq %r15\n"
    "    movq %rsp, (%rdi)\n"
    "    movq %rsi, %rsp\n"
    "    popq %r15\n"
    "    popq %r14\n"
    "    popq %r13\n"
    "    popq %r12\n"
    "    popq %rbx\n"
    "    popq %rbp\n"
    "    ret\n"
    ".size emulator_switch, . - emulator_switch\n");

void fiber_begin(fiber *f, char *top, void (*entry)(void)) {
    uintptr_t *stack = reinterpret_cast<uintptr_t *>(reinterpret_cast<uintptr_t>(top) & ~(uintptr_t)15);
    *--stack = 0; /* entry's return address, so that the stack is aligned as after a call */
    *--stack = reinterpret_cast<uintptr_t>(entry);
    for (int i = 0; i < 6; i++) *--stack = 0; /* rbp, rbx, r12 to r15 */
    f->stack_pointer = stack;
}

#else /* aarch64: x19 to x30 (29: frame, 30: return address) and d8 to d15 */
asm(".text\n"
    ".globl emulator_switch\n"
    ".type emulator_switch, %function\n"
    "emulator_switch:\n"
    "    sub sp, sp, #160\n"
    "    stp x19, x20, [sp]\n"
    "    stp x21, x22, [sp, #16]\n"
    "    stp x23, x24, [sp, #32]\n"
    "    stp x25, x26, [sp, #48]\n"
    "    stp x27, x28, [sp, #64]\n"
    "    stp x29, x30, [sp, #80]\n"
    "    stp d8, d9, [sp, #96]\n"
    "    stp d10, d11, [sp, #112]\n"
    "    stp d12, d13, [sp, #128]\n"
    "    stp d14, d15, [sp, #144]\n"
    "    mov x9, sp\n"
    "    str x9, [x0]\n"
    "    mov sp, x1\n"
    "    ldp x19, x20, [sp]\n"
    "    ldp x21, x22, [sp, #16]\n"
    "    ldp x23, x24, [sp, #32]\n"
    "    ldp x25, x26, [sp, #48]\n"
    "    ldp x27, x28, [sp, #64]\n"
    "    ldp x29, x30, [sp, #80]\n"
    "    ldp d8, d9, [sp, #96]\n"
    "    ldp d10, d11, [sp, #112]\n"
    "    ldp d12, d13, [sp, #128]\n"
    "    ldp d14, d15, [sp, #144]\n"
    "    add sp, sp, #160\n"
    "    ret\n"
    ".size emulator_switch, . - emulator_switch\n");

void fiber_begin(fiber *f, char *top, void (*entry)(void)) {
    uintptr_t *stack = reinterpret_cast<uintptr_t *>(reinterpret_cast<uintptr_t>(top) & ~(uintptr_t)15) - 20;
    for (int i = 0; i < 20; i++) stack[i] = 0;
    stack[11] = reinterpret_cast<uintptr_t>(entry); /* x30 */
    f->stack_pointer = stack;
}
#endif

void fiber_switch(fiber *from, fiber *to) {
    emulator_switch(&from->stack_pointer, to->stack_pointer);
}
#endif

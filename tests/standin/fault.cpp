/* fault.cpp -- device memory is closed while the host's code runs: a touch of it is explained before the program ends
 * of it, or before another handler (a test library's) takes over.
 */
#include "queue.h"

#include "tests/emulator/block.h"
#include "tests/emulator/memory.h"

#include <signal.h>
#include <stdio.h>

static struct sigaction before; /* who had faults before us */

static void on_fault(int, siginfo_t *info, void *context) {
    const allocation *a = memory_find(info->si_addr);
    if (a)
        fprintf(stderr, "stand-in: the host touches device memory, byte %ld of an allocation of %zu [%s]\n",
                (long)(static_cast<char *>(info->si_addr) - a->data), a->bytes,
                site_text(site_of_fault(context)).c_str());
    sigaction(SIGSEGV, &before, nullptr); /* it faults again, and they get it */
}

void device_memory_close(bool close) {
    memory_close(close);
    if (!close) return;
    struct sigaction now, ours = {};
    ours.sa_sigaction = on_fault;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigaction(SIGSEGV, nullptr, &now);
    if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_fault) return;
    before = now;
    sigaction(SIGSEGV, &ours, nullptr);
}

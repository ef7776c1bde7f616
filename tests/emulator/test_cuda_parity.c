/* test_cuda_parity.c -- every op that has a kernel: the cuda backend on the emulator against the reference (double),
 * over the op's cases, in every order of threads and blocks. Built twice: the fast flavour runs all orders, the checked
 * one (test_cuda_parity_checked) finds races, uninitialised reads and what else is wrong of each load and store.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/cuda/cuda.h"
#include "tests/emulator/device_arrays.h"
#include "tests/op_parity.h"

static void parity(void **state) {
    for (int front_end = 0; front_end < emulator_front_ends(); front_end++) {
        emulator_use_front_end(front_end);
        for (int order = 0; order < EMULATOR_ORDERS; order++) {
            emulator_set_schedule((emulator_schedule){.order = (emulator_order)order, .seed = 7});
            check_op((ct_op)(intptr_t)*state, CT_F32, run_on_device);
        }
    }
}

static void say(const char *instruction) {
    if (getenv("CANTUS_TEST_VERBOSE")) printf("    %s\n", instruction);
}

int main(void) {
#define PARITY(name) {#name, parity, NULL, NULL, (void *)(intptr_t)CT_OP_##name},
    const struct CMUnitTest tests[] = {CT_CUDA_OPS(PARITY)};
    int                     failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int front_end = 0; front_end < emulator_front_ends(); front_end++) {
        emulator_use_front_end(front_end);
        int left = emulator_unexecuted(say);
        printf("%s%s", emulator_front_end(front_end),
               emulator_checks_accesses() ? ", every load and store checked" : "");
        if (left >= 0) printf(": %d instructions never executed", left);
        printf("\n");
    }
    return failed;
}

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
#include "tests/emulator/emulator.h"
#include "tests/op_parity.h"

static void *to_device(const void *host, size_t bytes) {
    void *device = emulator_alloc(bytes);
    emulator_write(device, host, bytes);
    return device;
}

/* The arrays as device memory; outputs and workspace uninitialised, as they are on a GPU. */
static ct_status run_cuda(ct_op op, op_arrays *arrays) {
    ct_params   params = arrays->params;
    const void *device[64] = {NULL};
    ct_step    *step = to_device(&test_step, sizeof test_step);
    for (int i = 0; i < arrays->info->field_count; i++) {
        const ct_field *f = &arrays->info->fields[i];
        size_t          bytes = (size_t)arrays->count[i] * arrays->element[i];
        if (!strcmp(f->name, "step")) memcpy((char *)&params + f->offset, &step, sizeof step);
        if (!arrays->block[i]) continue;
        bool known = f->role == CT_ROLE_IN || f->role == CT_ROLE_ADD;
        device[i] = known ? to_device(array_of(arrays, i), bytes) : emulator_alloc(bytes);
    }
    for (int i = 0; i < arrays->info->field_count; i++)
        if (arrays->block[i]) {
            const ct_field *f = &arrays->info->fields[i];
            memcpy((char *)&params + f->offset, &device[result_field(arrays, i)], sizeof device[i]);
        }
    ct_status status = ct_op_run(ct_backend_cuda(), op, &params);
    for (int i = 0; i < arrays->info->field_count; i++) {
        if (!arrays->block[i]) continue;
        const ct_field *f = &arrays->info->fields[i];
        size_t          bytes = (size_t)arrays->count[i] * arrays->element[i];
        bool            aliased = result_field(arrays, i) != i;
        if (status == CT_OK && f->role != CT_ROLE_TMP && !aliased) emulator_read(array_of(arrays, i), device[i], bytes);
    }
    for (int i = 0; i < arrays->info->field_count; i++) emulator_free((void *)(uintptr_t)device[i]);
    emulator_free(step);
    for (int i = 0; emulator_report(i); i++) print_error("%s: %s\n", arrays->about->name, emulator_report(i));
    bool clean = emulator_report_count() == 0;
    emulator_forget_reports();
    return clean ? status : CT_EFAIL;
}

static void parity(void **state) {
    for (int front_end = 0; front_end < emulator_front_ends(); front_end++) {
        emulator_use_front_end(front_end);
        for (int order = 0; order < EMULATOR_ORDERS; order++) {
            emulator_set_schedule((emulator_schedule){.order = (emulator_order)order, .seed = 7});
            check_op((ct_op)(intptr_t)*state, CT_F32, run_cuda);
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

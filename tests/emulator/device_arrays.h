/* device_arrays.h -- an op of the cuda backend on the emulator, its arrays (tests/op_cases.h) carried to device memory
 * and its results back. Owner: the arrays stay the caller's. Fails: with the op, or when the emulator has a report.
 */
#ifndef CT_EMULATOR_DEVICE_ARRAYS_H
#define CT_EMULATOR_DEVICE_ARRAYS_H

#include "kernels/cuda/cuda.h"
#include "tests/emulator/emulator.h"
#include "tests/op_cases.h"

TEST_INLINE void *to_device(const void *host, size_t bytes) {
    void *device = emulator_alloc(bytes);
    emulator_write(device, host, bytes);
    return device;
}

/* The arrays as device memory; outputs and workspace uninitialised, as they are on a GPU. Those of reals, or the one
 * numbered `alone` (-1: all), begin `shift` elements after an address of 16 bytes. */
TEST_INLINE ct_status run_on_device_shifted(ct_op op, op_arrays *arrays, size_t shift, int alone) {
    ct_params params = arrays->params;
    char     *memory[64] = {NULL}, *device[64] = {NULL};
    ct_step  *step = to_device(&test_step, sizeof test_step);
    for (int i = 0; i < arrays->info->field_count; i++) {
        const ct_field *f = &arrays->info->fields[i];
        size_t          bytes = (size_t)arrays->count[i] * arrays->element[i];
        if (!strcmp(f->name, "step")) memcpy((char *)&params + f->offset, &step, sizeof step);
        if (!arrays->block[i]) continue;
        bool   known = f->role == CT_ROLE_IN || f->role == CT_ROLE_ADD;
        bool   shifted = ct_type_is_real(f->type) && (alone < 0 || alone == i);
        size_t before = shifted ? shift * arrays->element[i] : 0;
        memory[i] = emulator_alloc(before + bytes);
        device[i] = memory[i] + before;
        if (known) emulator_write(device[i], array_of(arrays, i), bytes);
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
    for (int i = 0; i < arrays->info->field_count; i++) emulator_free(memory[i]);
    emulator_free(step);
    for (int i = 0; emulator_report(i); i++) fprintf(stderr, "%s: %s\n", arrays->about->name, emulator_report(i));
    bool clean = emulator_report_count() == 0;
    emulator_forget_reports();
    return clean ? status : CT_EFAIL;
}
TEST_INLINE ct_status run_on_device(ct_op op, op_arrays *arrays) {
    return run_on_device_shifted(op, arrays, 0, -1);
}

#endif

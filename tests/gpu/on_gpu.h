/* on_gpu.h -- an op's arrays (tests/op_cases.h) in a real GPU's memory, for the programs that need one.
 *
 * Each array stands between guards of its own, is at `shift` elements after an address of 256 bytes, and, if it is an
 * output or workspace, full of NaN before a run. gpu_open ends the program with exit code 77 where there is no GPU, and
 * says why.
 *
 * Owner: gpu_free takes what gpu_take gave; the device is the program's until its end.
 * Fails: what the device refuses ends the program with a message.
 */
#ifndef CT_GPU_ON_GPU_H
#define CT_GPU_ON_GPU_H

#include "kernels/device.h"
#include "tests/op_cases.h"

enum { GPU_NONE = 77, GPU_GUARD = 512, GPU_MOST_ARRAYS = 64 };

static const ct_device *gpu;

TEST_INLINE void gpu_try(ct_status status) {
    if (status == CT_OK) return;
    fprintf(stderr, "%s\n", ct_message());
    exit(1);
}
TEST_INLINE void gpu_open(ct_precision precision) {
    const ct_device_choice choice = {.kind = CT_ON_CUDA, .precision = (int)precision};
    if (ct_device_open(&choice, NULL, &gpu) == CT_OK) return;
    printf("skipped: %s\n", ct_message());
    exit(GPU_NONE);
}

typedef struct gpu_arrays {
    op_arrays *host;
    ct_params  params; /* of the op, with device addresses */
    char      *memory[GPU_MOST_ARRAYS], *at[GPU_MOST_ARRAYS];
    size_t     bytes[GPU_MOST_ARRAYS], shift[GPU_MOST_ARRAYS];
    ct_step   *step;
} gpu_arrays;

/* The whole of a field's memory as it is before a run; the caller frees it. */
TEST_INLINE unsigned char *gpu_image(const gpu_arrays *g, int i) {
    const ct_role  role = g->host->info->fields[i].role;
    const size_t   all = 2 * GPU_GUARD + g->bytes[i];
    unsigned char *image = malloc(all);
    if (!image) abort();
    memset(image, GUARD_BYTE, all);
    memset(image + GPU_GUARD, 0xff, g->bytes[i]);
    if (role == CT_ROLE_IN || role == CT_ROLE_ADD) memcpy(image + GPU_GUARD, array_of(g->host, i), g->bytes[i]);
    return image;
}
/* Everything as it is before a run. */
TEST_INLINE void gpu_fill(const gpu_arrays *g) {
    for (int i = 0; i < g->host->info->field_count; i++) {
        if (!g->memory[i]) continue;
        unsigned char *image = gpu_image(g, i);
        gpu_try(ct_device_copy(gpu, g->at[i] - GPU_GUARD, image, 2 * GPU_GUARD + g->bytes[i]));
        free(image);
    }
}

/* Those of reals, or the one numbered `alone` (-1: all), begin `shift` elements further. */
TEST_INLINE gpu_arrays gpu_take(op_arrays *host, size_t shift, int alone) {
    gpu_arrays        g = {.host = host, .params = host->params};
    const ct_op_info *info = host->info;
    void             *memory;
    gpu_try(gpu->alloc(sizeof *g.step, &memory));
    g.step = memory;
    gpu_try(ct_device_copy(gpu, g.step, &test_step, sizeof test_step));
    for (int i = 0; i < info->field_count; i++) {
        if (!strcmp(info->fields[i].name, "step"))
            memcpy((char *)&g.params + info->fields[i].offset, &g.step, sizeof g.step);
        if (!host->block[i]) continue;
        const bool shifted = ct_type_is_real(info->fields[i].type) && (alone < 0 || alone == i);
        g.bytes[i] = (size_t)host->count[i] * host->element[i];
        g.shift[i] = shifted ? shift * host->element[i] : 0;
        gpu_try(gpu->alloc(2 * GPU_GUARD + g.shift[i] + g.bytes[i], &memory));
        g.memory[i] = memory;
        g.at[i] = g.memory[i] + GPU_GUARD + g.shift[i];
    }
    for (int i = 0; i < info->field_count; i++)
        if (host->block[i])
            memcpy((char *)&g.params + info->fields[i].offset, &g.at[result_field(host, i)], sizeof(char *));
    gpu_fill(&g);
    return g;
}
TEST_INLINE void gpu_free(gpu_arrays *g) {
    for (int i = 0; i < g->host->info->field_count; i++)
        if (g->memory[i]) gpu->release(g->memory[i]);
    gpu->release(g->step);
}

#endif

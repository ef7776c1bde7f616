/* test_instructions.c -- the PTX instructions of the kernels on a real GPU, each with many operands, into a file that
 * gpu/judge compares with the emulator's (instructions/instructions.h).
 *
 *   test_instructions FILE [SEED]
 */
#include "instructions/instructions.h"
#include "kernels/cuda/cuda.h"
#include "on_gpu.h"

static ct_status on_card(instruction which, const uint32_t *in, uint32_t *out) {
    const size_t to_bytes = instruction_table[which].in * INSTRUCTION_ALL * sizeof *in;
    const size_t from_bytes = instruction_table[which].out * INSTRUCTION_ALL * sizeof *out;
    void        *from = NULL, *to = NULL;
    ct_status    status = gpu->alloc(to_bytes, &from);
    if (status == CT_OK) status = gpu->alloc(from_bytes, &to);
    if (status == CT_OK) status = ct_device_copy(gpu, from, in, to_bytes);
    if (status == CT_OK) status = instruction_launch(which, from, to, ct_cuda_stream());
    if (status == CT_OK) status = gpu->wait();
    if (status == CT_OK) status = ct_device_copy(gpu, out, to, from_bytes);
    if (from) gpu->release(from);
    if (to) gpu->release(to);
    return status;
}

int main(int argc, char **argv) {
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: test_instructions FILE [SEED]\n");
        return 2;
    }
    answers a;
    gpu_open(CT_PRECISION_FP32);
    gpu_try(answers_make(argc == 3 ? strtoull(argv[2], NULL, 10) : 1, ct_device_describe(gpu), on_card, &a));
    gpu_try(answers_write(argv[1], &a));
    printf("%s: %s\n", ct_device_describe(gpu), argv[1]);
    answers_free(&a);
    return 0;
}

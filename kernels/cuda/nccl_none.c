/* nccl_none.c -- nccl.h where the program is built without NCCL's header: it is never there. */
#include "kernels/cuda/nccl.h"

static ct_status missing(void) {
    return ct_fail(CT_EFAIL, "this program was built without NCCL's header, nccl.h, so GPUs of several ranks can't "
                             "talk (hint: make config says where it goes)");
}

ct_status ct_cuda_nccl_find(const char **by) {
    *by = "NCCL";
    return missing();
}
ct_status ct_cuda_nccl_open(ct_comm *comm) {
    (void)comm;
    return missing();
}
bool ct_cuda_nccl_is_open(void) {
    return false;
}
ct_status ct_cuda_nccl_put(ct_collective what, const ct_shared *array, struct CUstream_st *stream) {
    (void)what, (void)array, (void)stream;
    return missing();
}
ct_status ct_cuda_nccl_alive(const char *call, double seconds) {
    (void)call, (void)seconds;
    return missing();
}
void ct_cuda_nccl_close(void) {
}

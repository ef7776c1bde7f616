/* device.h -- cuda: the entry of libcantus_cuda.so. See kernels/device.h, and device.c beside this. */
#ifndef CT_CUDA_DEVICE_H
#define CT_CUDA_DEVICE_H

#include "kernels/device.h"

/* The GPU of this process, for the choice's precision and algorithms; comm: ranks that it meets, two or more; NULL: it
 * is alone. CT_EFAIL in one sentence where there is none that will do. */
CT_NODISCARD ct_status ct_cuda_device_open(const ct_device_choice *choice, ct_comm *comm, const ct_device **out);

#endif

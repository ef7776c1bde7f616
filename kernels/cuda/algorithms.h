/* algorithms.h -- how products are done, from run to run: the file that the config key cuda.algorithms names.
 *
 * A file that is not there is written when plans have been made, and again when more have; whole or not at all. One
 * that is there is read and never changed: products that it has not are done as heuristics say, and that is warned of.
 * So is a file of another GPU or library, or one in which something is wrong: none of it is used, and the run goes on.
 * For more than that, cuBLASLt's heuristics promise nothing: the same sums may be added up in another order.
 *
 * Owner: nothing is handed out; after ct_cuda_gemm_open, until ct_cuda_gemm_close. Fails: CT_EFAIL where a file can't
 * be written; CT_ENOMEM.
 */
#ifndef CT_CUDA_ALGORITHMS_H
#define CT_CUDA_ALGORITHMS_H

#include "core/status.h"

/* path: NULL or "": none. */
CT_NODISCARD ct_status ct_cuda_algorithms_open(const char *path);
/* Plans have been made. */
CT_NODISCARD ct_status ct_cuda_algorithms_planned(void);

#endif

/* bench_comm.h -- how long sums and gathers between ranks take, by size: `cantus bench comm`.
 *
 * Each collective of kernels/comm.h is done on arrays of float of each size. First on whole numbers, whose sums are
 * exact: every rank compares what it has then, bit for bit. Then it is timed: a round of calls begins on all ranks at
 * once and lasts until the slowest has ended; the median of the rounds counts. On device: cuda the arrays are the GPUs'
 * and sent by the device (kernels/device.h, collective), a round being put on its queue at once.
 *
 * Rates are those of NVIDIA's nccl-tests (doc/PERFORMANCE.md there), so that figures can be set side by side: the
 * algorithm's is bytes of the array by seconds; the bus's is what a rank's link carries at least for it, 2 (n - 1) / n
 * of that for all_reduce, (n - 1) / n for reduce_scatter and all_gather.
 *
 * Owner: everything is made and freed inside. Fails: as kernels/comm.h; CT_EFAIL naming rank, collective and element
 * for a result that is wrong, which ends all ranks; CT_ESTOP.
 */
#ifndef CT_TRAIN_BENCH_COMM_H
#define CT_TRAIN_BENCH_COMM_H

#include "train/train.h"

#define CT_BENCH_COMM "comm" /* the word for it */

/* Is the word a size: bytes, or "4K", "64KiB", "1M", "2G"? */
bool                   ct_bench_comm_size(const char *word, size_t *bytes);
/* Bytes a second: of the bus, where the algorithm's rate is this. */
double                 ct_bench_comm_bus(ct_collective what, int ranks, double rate);
/* What a rank puts in before the collective. */
void                   ct_bench_comm_fill(int rank, float *array, int64_t count);
/* Is that what it should have afterwards? CT_EFAIL. */
CT_NODISCARD ct_status ct_bench_comm_check(const ct_comm *comm, ct_collective what, const float *array, int64_t count);

/* By as many processes as were started; the first prints a table, or JSON (fields: train/README.md). No sizes: 4 KiB to
 * 64 MiB. */
CT_NODISCARD ct_status ct_bench_comm_run(const ct_train_config *config, const size_t *sizes, size_t count,
                                         bool as_json);

#endif

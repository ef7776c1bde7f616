/* probes.h -- the smallest kernels that are right or wrong in one way: what the machine must report, and what it must
 * not.
 *
 * A line that is wrong says PLANTED and its probe's name: the report has to name that line. in: 256 words, word i is i;
 * out: 256 words, the first 128 zero, the others never written.
 *
 * Owner: pointers are device memory of the caller. Fails: a launch that is refused or given up.
 */
#ifndef CT_EMULATOR_PROBES_H
#define CT_EMULATOR_PROBES_H

#ifdef __cplusplus
extern "C" {
#endif
#include "core/status.h"

/* P(name, kind of the report or 0, does only the checked flavour find it?, blocks, threads) */
#define PROBES(P)                                                                                                      \
    P(neighbours_in_bytes, 0, true, 1, 64)                                                                             \
    P(neighbours_in_halves, 0, true, 2, 64)                                                                            \
    P(constants, 0, true, 1, 32)                                                                                       \
    P(warp_sync_orders, 0, true, 1, 64)                                                                                \
    P(half_warp_sync_orders, 0, true, 1, 32)                                                                           \
    P(barrier_orders, 0, true, 2, 96)                                                                                  \
    P(read_by_all_then_by_one, 0, true, 1, 96)                                                                         \
    P(launches_are_ordered, 0, true, 3, 32)                                                                            \
    P(atomics_together, 0, true, 4, 32)                                                                                \
    P(half_a_warp_goes_on, 0, true, 1, 32)                                                                             \
    P(copy_waited_for, 0, true, 1, 64)                                                                                 \
    P(shuffle_orders_nothing, "race", true, 1, 32)                                                                     \
    P(half_warp_sync_leaves_others, "race", true, 1, 32)                                                               \
    P(warp_sync_leaves_other_warps, "race", true, 1, 64)                                                               \
    P(written_while_read, "race", true, 1, 32)                                                                         \
    P(written_after_warp_sync, "race", true, 1, 32)                                                                    \
    P(last_reader_writes, "race", true, 1, 32)                                                                         \
    P(two_warps_have_read, "race", true, 1, 64)                                                                        \
    P(two_blocks_have_read, "race", true, 2, 1)                                                                        \
    P(blocks_write_the_same, "race", true, 2, 1)                                                                       \
    P(block_reads_another, "race", true, 2, 1)                                                                         \
    P(atomic_and_plain, "race", true, 2, 1)                                                                            \
    P(copy_seen_without_barrier, "race", true, 1, 32)                                                                  \
    P(device_never_written, "uninitialised", true, 1, 1)                                                               \
    P(shared_never_written, "uninitialised", true, 2, 1)                                                               \
    P(one_byte_never_written, "uninitialised", true, 1, 1)                                                             \
    P(copy_of_never_written, "uninitialised", true, 1, 1)                                                              \
    P(row_never_written, "uninitialised", true, 1, 32)                                                                 \
    P(past_the_end, "out-of-bounds", true, 1, 1)                                                                       \
    P(before_the_start, "out-of-bounds", true, 1, 1)                                                                   \
    P(wild_pointer, "out-of-bounds", true, 1, 1)                                                                       \
    P(odd_address, "misaligned", true, 1, 1)                                                                           \
    P(copy_read_before_wait, "async-copy", true, 1, 1)                                                                 \
    P(copy_over_copy, "async-copy", true, 1, 1)                                                                        \
    P(copy_of_later_group, "async-copy", true, 1, 1)                                                                   \
    P(copy_of_odd_address, "misaligned", false, 1, 1)                                                                  \
    P(row_of_odd_address, "misaligned", false, 1, 32)                                                                  \
    P(copy_to_device_memory, "out-of-bounds", false, 1, 1)                                                             \
    P(row_of_device_memory, "out-of-bounds", false, 1, 32)                                                             \
    P(two_barriers, "divergent-barrier", false, 1, 64)                                                                 \
    P(two_shuffles, "divergent-warp", false, 1, 32)                                                                    \
    P(not_in_its_mask, "divergent-warp", false, 1, 32)                                                                 \
    P(half_a_warp_multiplies, "divergent-warp", false, 1, 32)                                                          \
    P(absent_lane, "shuffle", false, 1, 32)                                                                            \
    P(nobody_comes, "deadlock", false, 1, 32)                                                                          \
    P(null_pointer, "fault", false, 1, 1)                                                                              \
    P(write_to_constant, "fault", false, 1, 1)                                                                         \
    P(endless_recursion, "fault", false, 1, 1)                                                                         \
    P(write_past_the_end, "out-of-bounds", false, 1, 1)                                                                \
    P(write_before_the_start, "out-of-bounds", false, 1, 1)

#define PROBE_ENUM(name, kind, checked, blocks, threads) PROBE_##name,
typedef enum probe { PROBES(PROBE_ENUM) PROBE_COUNT } probe;
ct_status probe_run(probe which, unsigned *out, const unsigned *in);

/* What the machine does, computed by kernels on it: out[i] by thread i, of 64 words. */
typedef enum lesson {
    LESSON_INDICES,       /* every thread of grid (3, 2, 2), block (4, 2, 2): its number, where that is below 192 */
    LESSON_SHUFFLES,      /* sums of lanes in segments of 8, and the lane before */
    LESSON_VOTES,         /* ballot, any, all of lanes below 5 */
    LESSON_BARRIERS,      /* how many threads are below 40, is one, are all */
    LESSON_COPIES,        /* 16 bytes copied, zeros where it is not valid, the later group not yet waited for */
    LESSON_SHARED_IS_NAN, /* what shared memory holds at first */
    LESSON_LAUNCHES,      /* four blocks read a word; another launch adds one to it */
    LESSON_ATOMICS,       /* sums, largest, smallest, exchanged over 8 blocks of 32 */
} lesson;
ct_status lesson_run(lesson which, unsigned *out, const unsigned *in);

/* A launch of these sizes that does nothing. */
ct_status probe_launch(unsigned blocks, unsigned threads, size_t shared);

#ifdef __cplusplus
}
#endif
#endif

/* block.h -- one block of a kernel's grid while it runs: its threads, each a fiber, its shared memory, and where its
 * threads meet. Each OS thread that takes part in a launch has one `block` and runs the grid's blocks on it, one by
 * one.
 *
 * A thread runs until it waits: at a barrier, at a warp-wide instruction, at its end. Then the schedule says who goes
 * on. Where threads meet, the last to come does the work for all and wakes them. A meeting that cannot come about
 * (others stand elsewhere, no one is left to run) is reported, and the launch is given up: the stacks are simply left.
 *
 * Owner: the block owns threads, stacks and shared memory, and keeps them for the next block, to the program's end.
 */
#ifndef CT_EMULATOR_BLOCK_H
#define CT_EMULATOR_BLOCK_H

#include "emulator.h"
#include "fiber.h"
#include "report.h"
#include "warp.h"

#include <string>
#include <vector>

struct shadow; /* checker.h */

enum { THREADS_MOST = 1024, SHARED_MOST = 227 * 1024, SHARED_ARENA = 512 * 1024, SHARED_GUARD = 64 };

struct warp_call {
    warp_operation operation;
    uint32_t       mask;
    machine_place  at;
    void          *operands;
};

struct async_copy {
    char       *to;
    const char *from;
    unsigned    bytes, from_bytes, group;
    bool        made; /* early */
    site        where;
};

enum thread_state { THREAD_READY, THREAD_AT_WARP, THREAD_AT_BARRIER, THREAD_DONE };

struct kernel_thread : machine_thread {
    fiber                   flow;
    thread_state            state;
    const warp_call        *call; /* while it is THREAD_AT_WARP */
    machine_place           at;   /* while it is THREAD_AT_BARRIER */
    std::vector<async_copy> copies;
    unsigned                groups; /* committed */
    /* Time in the warp, for the checker: seen[own lane] is this thread's, the others' as of the last __syncwarp. */
    uint32_t                seen[LANES];
};

struct shared_array {
    const void *key; /* none: dynamic */
    char       *data;
    size_t      bytes;
};

struct block {
    const machine_launch        *launch;
    machine_size                 index;
    uint32_t                     run;   /* a number for this block of this launch, larger than those of all before it */
    uint32_t                     epoch; /* barriers passed */
    std::vector<kernel_thread *> threads;
    unsigned                     size, live; /* threads; those that are not done */
    uint64_t                     ready[THREADS_MOST / 64];
    fiber                        scheduler; /* the OS thread's own flow */
    bool                         given_up;
    uint64_t                     random;

    /* those who wait at the barrier, and what they have said */
    unsigned             waiting;
    machine_barrier_kind barrier;
    machine_place        barrier_at;
    int                  barrier_value, barrier_result;
    uint32_t             arrived[THREADS_MOST / LANES]; /* lanes of each warp that wait at a warp-wide instruction */

    char                     *arena;      /* shared memory, with guards between arrays */
    size_t                    arena_used; /* with the last guard */
    std::vector<shared_array> arrays;
    struct shadow            *shadow; /* of the arena, when accesses are checked */
};
extern __thread block *this_block;

/* Runs block `number` of the grid. False: given up. */
bool                  block_run(block *b, const machine_launch *launch, unsigned number, uint32_t run);
const char           *block_kernel(void); /* that runs on this OS thread */
/* The running thread did what it cannot go on from: nothing of this block runs any more. */
[[noreturn]] void     block_give_up(void);
uint64_t              block_random(block *b);
inline kernel_thread *block_me(void) {
    return static_cast<kernel_thread *>(machine_me);
}

/* shared.cpp */
void shared_begin(block *b);
void shared_end(block *b); /* have the guards been written to? */

/* copies.cpp: makes this thread's asynchronous copies up to this group */
void copies_finish(kernel_thread *me, unsigned last_group);

/* launch.cpp */
extern emulator_schedule the_schedule;
/* Another front end takes a launch over by giving it a body of its own. The first to be added is the first in use. */
struct front_end {
    std::string name;
    void (*begin)(const front_end &self);             /* it is in use from now on */
    const char *(*take_over)(machine_launch &launch); /* NULL, or why it can't */
    int (*unexecuted)(bool each, void (*tell)(const char *line));
};
void launch_add_front_end(const front_end &added);
/* Where set, launches go there, and it has launch_now run them later; it copies the arguments. */
extern const char *(*launch_queue)(const machine_launch &launch);
const char *launch_now(const machine_launch &asked);
/* Numbers for what accesses memory: blocks, copies. The first of so many, all larger than those before. */
uint32_t    launch_take_runs(uint32_t count);
site        site_of_fault(const void *context); /* of a signal */

#endif

/* block.cpp -- see block.h: threads, their order, and where they meet. */
#include "block.h"

#include "checker.h"

#include <new>

#include <string.h>

__thread machine_thread *machine_me;
__thread block          *this_block;

enum { STACK = 256 * 1024 };

const char *block_kernel(void) {
    return this_block && this_block->launch ? this_block->launch->kernel : "?";
}

uint64_t block_random(block *b) { /* xorshift64 */
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return b->random;
}

/* ---- who goes on */
static void set_ready(block *b, const kernel_thread *t) {
    b->ready[t->number / 64] |= (uint64_t)1 << t->number % 64;
}
static void clear_ready(block *b, const kernel_thread *t) {
    b->ready[t->number / 64] &= ~((uint64_t)1 << t->number % 64);
}

/* the first ready thread from `start` on, and round to it again */
static kernel_thread *ready_from(block *b, unsigned start) {
    unsigned words = (b->size + 63) / 64, word = start / 64;
    uint64_t bits = b->ready[word] & ~(uint64_t)0 << start % 64;
    for (unsigned i = 0; i <= words; i++) {
        if (bits) return b->threads[word * 64 + (unsigned)__builtin_ctzll(bits)];
        word = word + 1 < words ? word + 1 : 0;
        bits = b->ready[word];
    }
    return nullptr;
}
static kernel_thread *last_ready(block *b) {
    for (unsigned word = (b->size + 63) / 64; word-- > 0;)
        if (b->ready[word]) return b->threads[word * 64 + 63 - (unsigned)__builtin_clzll(b->ready[word])];
    return nullptr;
}
static kernel_thread *next_ready(block *b, const kernel_thread *now) {
    switch (the_schedule.order) {
    case EMULATOR_BACKWARD:
        return last_ready(b);
    case EMULATOR_ROUND_ROBIN:
        return ready_from(b, (now->number + 1) % b->size);
    case EMULATOR_RANDOM:
        return ready_from(b, (unsigned)(block_random(b) % b->size));
    case EMULATOR_FORWARD:
    case EMULATOR_ORDERS:
        break;
    }
    return ready_from(b, 0);
}

static void switch_to(block *b, fiber *from, kernel_thread *to) { /* NULL: the scheduler */
    machine_me = to;
    fiber_switch(from, to ? &to->flow : &b->scheduler);
}

/* Let others run; returns when this thread's turn comes. */
static void yield(block *b, kernel_thread *me) {
    kernel_thread *next = next_ready(b, me);
    if (next != me) switch_to(b, &me->flow, next);
}

[[noreturn]] void block_give_up(void) {
    block *b = this_block;
    b->given_up = true;
    switch_to(b, &block_me()->flow, nullptr);
    __builtin_unreachable();
}

/* ---- the barrier */
static void release_barrier(block *b) {
    b->waiting = 0;
    b->epoch++;
    b->barrier_result = b->barrier_value;
    for (kernel_thread *t : b->threads)
        if (t->number < b->size && t->state == THREAD_AT_BARRIER) {
            t->state = THREAD_READY;
            set_ready(b, t);
        }
}

int machine_barrier(machine_barrier_kind kind, int predicate, machine_place at) {
    block         *b = this_block;
    kernel_thread *me = block_me();
    if (b->waiting == 0) {
        b->barrier = kind;
        b->barrier_at = at;
        b->barrier_value = kind == BARRIER_AND;
    } else if (b->barrier != kind || b->barrier_at.line != at.line || strcmp(b->barrier_at.file, at.file) != 0) {
        report("divergent-barrier", site_of_place(at), "others wait at another barrier, %s:%d", b->barrier_at.file,
               b->barrier_at.line);
        block_give_up();
    }
    if (kind == BARRIER_OR) b->barrier_value |= predicate != 0;
    if (kind == BARRIER_AND) b->barrier_value &= predicate != 0;
    if (kind == BARRIER_COUNT) b->barrier_value += predicate != 0;
    me->state = THREAD_AT_BARRIER;
    me->at = at;
    clear_ready(b, me);
    if (++b->waiting == b->live) {
        if (b->live != b->size)
            report("barrier-after-exit", site_of_place(at), "%u of %u threads have ended before this barrier",
                   b->size - b->live, b->size);
        release_barrier(b);
    }
    yield(b, me);
    return b->barrier_result;
}

/* ---- warp-wide instructions */
static uint32_t lanes_left(const block *b, unsigned warp) {
    uint32_t left = 0;
    for (unsigned lane = 0; lane < LANES && warp * LANES + lane < b->size; lane++)
        left |= (uint32_t)(b->threads[warp * LANES + lane]->state != THREAD_DONE) << lane;
    return left;
}

static bool same_place(machine_place a, machine_place b) {
    return a.line == b.line && strcmp(a.file, b.file) == 0;
}

/* All that are still there must have come for the same instruction with the same mask. */
static void compare_calls(kernel_thread *const *lanes, uint32_t present, const warp_call *call) {
    for (unsigned lane = 0; lane < LANES; lane++) {
        if (!(present >> lane & 1)) continue;
        const warp_call *other = lanes[lane]->call;
        if (other->operation == call->operation && other->mask == call->mask && same_place(other->at, call->at))
            continue;
        report("divergent-warp", site_of_place(call->at), "mask %08x, while lane %u of the warp is at %s:%d, mask %08x",
               call->mask, lane, other->at.file, other->at.line, other->mask);
        block_give_up();
    }
    bool aligned = call->operation == WARP_LDMATRIX || call->operation == WARP_MMA;
    if (aligned && present != ~(uint32_t)0) {
        report("divergent-warp", site_of_place(call->at), "needs all 32 threads of a warp, has mask %08x", present);
        block_give_up();
    }
}

static void check_rows(kernel_thread *const *lanes, const warp_call *call) {
    machine_thread *me = machine_me;
    unsigned        rows = 8 * static_cast<const ldmatrix_operands *>(call->operands)->matrices;
    for (unsigned lane = 0; lane < rows; lane++) {
        const void *row = static_cast<const ldmatrix_operands *>(lanes[lane]->call->operands)->row;
        machine_me = lanes[lane];
        bool readable = check_row(row, call->at);
        machine_me = me;
        if (!readable) block_give_up();
    }
}

/* __syncwarp: all see what each has done so far. */
static void meet_in_time(kernel_thread *const *lanes, uint32_t present) {
    uint32_t latest[LANES] = {0};
    for (unsigned lane = 0; lane < LANES; lane++)
        for (unsigned i = 0; present >> lane & 1 && i < LANES; i++)
            if (lanes[lane]->seen[i] > latest[i]) latest[i] = lanes[lane]->seen[i];
    for (unsigned lane = 0; lane < LANES; lane++) {
        if (!(present >> lane & 1)) continue;
        memcpy(lanes[lane]->seen, latest, sizeof latest);
        lanes[lane]->seen[lane]++;
    }
}

/* Have all of the mask come? Then compute for them, and wake them. */
static bool complete_call(block *b, unsigned warp, const warp_call *call) {
    uint32_t present = call->mask & lanes_left(b, warp);
    if ((b->arrived[warp] & present) != present) return false;
    kernel_thread *const *lanes = &b->threads[warp * LANES];
    compare_calls(lanes, present, call);
    if (call->operation == WARP_LDMATRIX) check_rows(lanes, call);
    void *operands[LANES] = {nullptr};
    for (unsigned lane = 0; lane < LANES; lane++)
        if (present >> lane & 1) operands[lane] = lanes[lane]->call->operands;
    uint32_t undefined = warp_compute(call->operation, present, operands);
    if (undefined)
        report("shuffle", site_of_place(call->at), "lane %d reads a lane that takes no part (mask %08x)",
               __builtin_ctz(undefined), present);
    if (call->operation == WARP_SYNC) meet_in_time(lanes, present);
    b->arrived[warp] &= ~present;
    for (unsigned lane = 0; lane < LANES; lane++)
        if (present >> lane & 1) {
            lanes[lane]->state = THREAD_READY;
            set_ready(b, lanes[lane]);
        }
    return true;
}

static void meet(warp_operation operation, uint32_t mask, machine_place at, void *operands) {
    block          *b = this_block;
    kernel_thread  *me = block_me();
    const warp_call call = {operation, mask, at, operands};
    if (!(mask >> me->lane & 1)) {
        report("divergent-warp", site_of_place(at), "the thread is not in its own mask %08x", mask);
        block_give_up();
    }
    me->call = &call;
    me->state = THREAD_AT_WARP;
    clear_ready(b, me);
    b->arrived[me->warp] |= (uint32_t)1 << me->lane;
    if (!complete_call(b, me->warp, &call) || the_schedule.order == EMULATOR_RANDOM) yield(b, me);
}

uint64_t machine_shuffle(machine_shuffle_kind kind, uint32_t mask, uint64_t value, uint32_t lane, uint32_t clamp,
                         bool *in_range, machine_place at) {
    shuffle_operands operands = {kind, value, lane, clamp, value, false};
    meet(WARP_SHUFFLE, mask, at, &operands);
    if (in_range) *in_range = operands.in_range;
    return operands.result;
}
uint32_t machine_vote(machine_vote_kind kind, uint32_t mask, bool predicate, machine_place at) {
    vote_operands operands = {kind, predicate, 0};
    meet(WARP_VOTE, mask, at, &operands);
    return operands.result;
}
void machine_warp_sync(uint32_t mask, machine_place at) {
    meet(WARP_SYNC, mask, at, nullptr);
}
void machine_ldmatrix(uint32_t *result, unsigned matrices, bool transposed, const void *row, machine_place at) {
    ldmatrix_operands operands = {matrices, transposed, row, result};
    meet(WARP_LDMATRIX, ~(uint32_t)0, at, &operands);
}
void machine_mma_bf16(float *d, const uint32_t *a, const uint32_t *b, const float *c, machine_place at) {
    mma_operands operands = {d, a, b, c};
    meet(WARP_MMA, ~(uint32_t)0, at, &operands);
}

/* ---- a thread's life */
static void end_thread(block *b, kernel_thread *me) {
    copies_finish(me, ~0u);
    me->state = THREAD_DONE;
    clear_ready(b, me);
    b->live--;
    if (b->waiting > 0 && b->waiting == b->live) {
        report("barrier-after-exit", site_of_place(b->barrier_at),
               "a thread has ended while all others wait at this barrier");
        release_barrier(b);
    }
    for (unsigned lane = 0; lane < LANES; lane++) /* do others wait for this one alone? */
        if (b->arrived[me->warp] >> lane & 1) complete_call(b, me->warp, b->threads[me->warp * LANES + lane]->call);
    yield(b, me);
    __builtin_unreachable();
}

static void thread_main(void) {
    this_block->launch->body(*this_block->launch);
    end_thread(this_block, block_me());
}

/* The thread's own data lies at the upper end of its stack's memory, at a different distance for each: else the same
 * variable of all threads falls into the same few lines of the cache. */
static void begin_thread(block *b, unsigned number) {
    if (number == b->threads.size()) {
        fiber flow = {};
        fiber_allocate(&flow, STACK);
        kernel_thread *made = new (flow.high - sizeof(kernel_thread) - 64 - 576 * number % 8192) kernel_thread();
        made->flow = flow;
        b->threads.push_back(made);
    }
    kernel_thread *t = b->threads[number];
    machine_size   size = b->launch->block;
    t->index = machine_size(number % size.x, number / size.x % size.y, number / size.x / size.y);
    t->block = b->index;
    t->block_size = size;
    t->grid_size = b->launch->grid;
    t->number = number;
    t->lane = number % LANES;
    t->warp = number / LANES;
    t->state = THREAD_READY;
    t->copies.clear();
    t->groups = 0;
    memset(t->seen, 0, sizeof t->seen);
    t->seen[t->lane] = 1;
    fiber_begin(&t->flow, reinterpret_cast<char *>(t), thread_main);
    set_ready(b, t);
}

static void report_deadlock(block *b) {
    for (kernel_thread *t : b->threads) {
        if (t->number >= b->size || (t->state != THREAD_AT_WARP && t->state != THREAD_AT_BARRIER)) continue;
        machine_me = t;
        report("deadlock", site_of_place(t->state == THREAD_AT_WARP ? t->call->at : t->at),
               "%u threads wait for others that never come, this one is the first", b->live);
        machine_me = nullptr;
        return;
    }
}

bool block_run(block *b, const machine_launch *launch, unsigned number, uint32_t run) {
    b->launch = launch;
    b->index = machine_size(number % launch->grid.x, number / launch->grid.x % launch->grid.y,
                            number / launch->grid.x / launch->grid.y);
    b->run = run;
    b->epoch = 1;
    b->size = b->live = launch->block.x * launch->block.y * launch->block.z;
    b->waiting = 0;
    b->given_up = false;
    memset(b->ready, 0, sizeof b->ready);
    memset(b->arrived, 0, sizeof b->arrived);
    b->random = (the_schedule.seed + 1) * 0x9e3779b97f4a7c15u ^ (uint64_t)number << 32;
    shared_begin(b);
    for (unsigned i = 0; i < b->size; i++) begin_thread(b, i);
    this_block = b;
    kernel_thread *first = next_ready(b, b->threads[b->size - 1]);
    switch_to(b, &b->scheduler, first);
    if (b->live > 0 && !b->given_up) {
        report_deadlock(b);
        b->given_up = true;
    }
    shared_end(b);
    this_block = nullptr;
    return !b->given_up;
}

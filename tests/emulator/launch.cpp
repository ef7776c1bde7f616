/* launch.cpp -- a launch: its blocks, in the schedule's order, on all cores. */
#include "block.h"

#include "checker.h"
#include "memory.h"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

emulator_schedule the_schedule;

enum { WORKERS_MOST = 16, SIGNAL_STACK = 64 * 1024 };

void emulator_set_schedule(emulator_schedule schedule) {
    the_schedule = schedule;
}

/* ---- front ends */
static std::vector<front_end> &front_ends(void) {
    static std::vector<front_end> list;
    return list;
}
static const front_end *in_use;

void launch_add_front_end(const front_end &added) {
    front_ends().push_back(added);
}
int emulator_front_ends(void) {
    return front_ends().empty() ? 1 : (int)front_ends().size();
}
const char *emulator_front_end(int number) {
    return front_ends().empty() ? "C++" : front_ends()[(size_t)number].name.c_str();
}
void emulator_use_front_end(int number) {
    if (front_ends().empty()) return;
    in_use = &front_ends()[(size_t)number];
    in_use->begin(*in_use);
}
int emulator_unexecuted(bool each, void (*tell)(const char *line)) {
    return in_use ? in_use->unexecuted(each, tell) : -1;
}

/* ---- a block's place in memory, kept between launches. The list is never gone, for who looks for leaks at the end. */
static std::vector<block *> &idle = *new std::vector<block *>;
static std::mutex            idle_lock;

static block *take_block(void) {
    std::lock_guard<std::mutex> guard(idle_lock);
    if (!idle.empty()) {
        block *b = idle.back();
        idle.pop_back();
        return b;
    }
    block *b = new block{};
    b->arena =
        static_cast<char *>(mmap(nullptr, SHARED_ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    return b;
}
static void put_back(block *b) {
    std::lock_guard<std::mutex> guard(idle_lock);
    idle.push_back(b);
}

/* ---- faults: a kernel's access to where no memory is. The thread that made it is left; the launch is given up. */
site site_of_fault(const void *context) { /* as a return address, behind the instruction */
#if defined(__x86_64__)
    auto at = static_cast<const ucontext_t *>(context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    auto at = static_cast<const ucontext_t *>(context)->uc_mcontext.pc;
#else
    const char *at = nullptr;
    (void)context;
#endif
    return at ? site_of_code(reinterpret_cast<const void *>(at + 1)) : (site)NO_SITE;
}
static void on_fault(int, siginfo_t *info, void *context) {
    if (!machine_me) { /* not a kernel's: as without us */
        signal(SIGSEGV, SIG_DFL);
        return;
    }
    const kernel_thread *me = block_me();
    const char          *p = static_cast<const char *>(info->si_addr);
    bool                 stack = p < me->flow.low && p >= me->flow.low - sysconf(_SC_PAGESIZE);
    report("fault", site_of_fault(context),
           stack ? "its stack is full (address %p)" : "access to address %p, where no memory is", info->si_addr);
    block_give_up();
}

struct fault_guard { /* while it lives, this process's faults come to on_fault */
    struct sigaction before;
    fault_guard() {
        struct sigaction action = {};
        action.sa_sigaction = on_fault;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
        sigaction(SIGSEGV, &action, &before);
    }
    ~fault_guard() {
        sigaction(SIGSEGV, &before, nullptr);
    }
};

struct signal_stack { /* of this OS thread: a fiber's own may be what is full */
    stack_t           before;
    std::vector<char> memory;
    signal_stack() : memory(SIGNAL_STACK) {
        stack_t ours = {};
        ours.ss_sp = memory.data();
        ours.ss_size = memory.size();
        sigaltstack(&ours, &before);
    }
    ~signal_stack() {
        sigaltstack(&before, nullptr);
    }
};

/* ---- the grid */
static const char *refuse(const machine_launch &launch) {
    const machine_size &g = launch.grid, &b = launch.block;
    uint64_t            threads = (uint64_t)b.x * b.y * b.z;
    if (threads == 0 || threads > THREADS_MOST || b.z > 64) return "invalid configuration: threads of a block";
    if (g.x == 0 || g.y == 0 || g.z == 0 || g.x > 0x7fffffffu || g.y > 65535 || g.z > 65535)
        return "invalid configuration: blocks of the grid";
    if ((uint64_t)g.x * g.y * g.z > 0xffffffffu) return "more blocks than the emulator counts";
    if (launch.shared > SHARED_MOST) return "invalid configuration: shared memory";
    return nullptr;
}

static std::vector<unsigned> order_of(unsigned blocks) {
    std::vector<unsigned> order(blocks);
    for (unsigned i = 0; i < blocks; i++) order[i] = the_schedule.order == EMULATOR_BACKWARD ? blocks - 1 - i : i;
    if (the_schedule.order == EMULATOR_RANDOM) {
        block draw = {};
        draw.random = (the_schedule.seed + 1) * 0x9e3779b97f4a7c15u;
        for (unsigned i = blocks; i > 1; i--) std::swap(order[i - 1], order[block_random(&draw) % i]);
    }
    return order;
}

const char *(*launch_queue)(const machine_launch &launch);

const char *machine_run(const machine_launch &launch) {
    const char *refused = refuse(launch);
    if (refused) return refused;
    return launch_queue ? launch_queue(launch) : launch_now(launch);
}

uint32_t launch_take_runs(uint32_t count) {
    static uint32_t runs = 1; /* 0 is nobody */
    runs += count;
    return runs - count;
}

const char *launch_now(const machine_launch &asked) {
    machine_launch launch = asked;
    if (!in_use) emulator_use_front_end(0);
    const char *refused = in_use ? in_use->take_over(launch) : nullptr;
    if (refused) return refused;
    unsigned              blocks = launch.grid.x * launch.grid.y * launch.grid.z;
    std::vector<unsigned> order = order_of(blocks);
    uint32_t              first = launch_take_runs(blocks);
    checker_begin_launch(first, order.data());
    fault_guard           faults;
    std::atomic<unsigned> next(0);
    std::atomic<bool>     given_up(false);
    auto                  work = [&] {
        signal_stack stack;
        block       *b = take_block();
        for (unsigned i; !given_up && (i = next++) < blocks;)
            if (!block_run(b, &launch, order[i], first + i)) given_up = true;
        put_back(b);
    };
    unsigned cores = std::max(1u, std::thread::hardware_concurrency());
    unsigned workers = the_schedule.workers > 0 ? (unsigned)the_schedule.workers : cores;
    if (checker_enabled()) workers = 1;
    std::vector<std::thread> others;
    for (unsigned i = 1; i < std::min({workers, blocks, (unsigned)WORKERS_MOST}); i++) others.emplace_back(work);
    work();
    for (std::thread &other : others) other.join();
    memory_check_guards(launch.kernel);
    return given_up ? "given up: see the emulator's reports" : nullptr;
}

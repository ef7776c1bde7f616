/* traffic.cpp -- see traffic.h. */
#include "traffic.h"

#include "tests/emulator/block.h"

#include <algorithm>
#include <set>
#include <tuple>

struct request {
    size_t    bytes = 0;
    uint32_t  lanes = 0; /* a bit for each */
    uintptr_t address[LANES];
};
typedef std::tuple<const ptx_instruction *, uint32_t, bool, unsigned> which; /* instruction, time, shared?, warp */
typedef std::vector<uint32_t>                                         times; /* that each instruction was executed */

static bool                                               counting;
static uint32_t                                           run; /* the block that ran last, of `running` */
static const ptx_function                                *running;
static std::map<which, request>                           open;
static std::map<const ptx_function *, traffic>            counts;
static std::map<const ptx_function *, std::vector<times>> of_threads; /* of the block, by function */

/* Passes over the banks: lanes of 4 bytes go together, of 8 in halves, of 16 in quarters of a warp; two words of one
 * bank need two passes, the same word one. */
static uint64_t passes_of(const request &r, uint64_t *fewest) {
    const unsigned together = r.bytes <= 4 ? LANES : r.bytes == 8 ? LANES / 2 : LANES / 4;
    uint64_t       passes = 0;
    for (unsigned from = 0; from < LANES; from += together) {
        std::set<uintptr_t> words;
        unsigned            of_bank[32] = {0}, most = 0;
        for (unsigned l = from; l < from + together; l++) {
            if (!(r.lanes >> l & 1)) continue;
            for (uintptr_t word = r.address[l] / 4; word <= (r.address[l] + r.bytes - 1) / 4; word++)
                if (words.insert(word).second) most = std::max(most, ++of_bank[word % 32]);
        }
        passes += most;
        *fewest += (words.size() + 31) / 32;
    }
    return passes;
}

static void close(bool shared, const request &r) {
    traffic &t = counts[running];
    if (shared) {
        t.shared_requests++;
        t.passes += passes_of(r, &t.fewest_passes);
        return;
    }
    std::set<uintptr_t> sectors, bytes;
    for (unsigned l = 0; l < LANES; l++)
        for (uintptr_t b = r.address[l]; r.lanes >> l & 1 && b < r.address[l] + r.bytes; b++) {
            sectors.insert(b / 32);
            bytes.insert(b);
        }
    t.requests++;
    t.sectors += sectors.size();
    t.fewest_sectors += (bytes.size() + 31) / 32;
}

/* What the warps of the block have executed of a function. */
static void add_up(const ptx_function *function, std::vector<times> &threads) {
    traffic &t = counts[running];
    for (size_t warp = 0; warp < threads.size(); warp += LANES)
        for (size_t k = 0; k < function->code.size(); k++) {
            uint32_t most = 0;
            for (size_t l = warp; l < std::min(warp + LANES, threads.size()); l++)
                if (!threads[l].empty()) most = std::max(most, threads[l][k]);
            t.instructions += most;
            t.executed[function->code[k].opcode] += most;
        }
}

/* The block that ran is over: with what is left of requests that not all lanes took part in. */
static void end_block(void) {
    for (const auto &one : open) close(std::get<2>(one.first), one.second);
    for (auto &one : of_threads) add_up(one.first, one.second);
    open.clear();
    of_threads.clear();
}

void traffic_begin(void) {
    counting = true;
    open.clear();
    of_threads.clear();
    counts.clear();
}

uint32_t *traffic_enter(const ptx_function *kernel, const ptx_function *function) {
    if (!counting) return nullptr;
    if (this_block->run != run) end_block();
    run = this_block->run;
    running = kernel;
    std::vector<times> &threads = of_threads[function];
    if (threads.empty()) threads.resize(THREADS_MOST);
    times &own = threads[machine_me->number];
    own.resize(function->code.size());
    return own.data();
}

void traffic_add(const ptx_instruction *i, uint32_t nth, bool shared, const void *address, size_t bytes) {
    if (!counting) return;
    const which key(i, nth, shared, machine_me->warp);
    request    &r = open[key];
    r.bytes = bytes;
    r.address[machine_me->lane] = (uintptr_t)address;
    r.lanes |= (uint32_t)1 << machine_me->lane;
    if (r.lanes != ~(uint32_t)0) return;
    close(shared, r);
    open.erase(key);
}

traffic traffic_of(const ptx_function *kernel) {
    end_block();
    return counts[kernel];
}

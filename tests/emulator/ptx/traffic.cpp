/* traffic.cpp -- see traffic.h. */
#include "traffic.h"

#include "tests/emulator/block.h"

#include <algorithm>
#include <set>
#include <unordered_map>

struct request {
    const ptx_function *kernel = nullptr;
    bool                shared = false;
    size_t              bytes = 0;
    uint32_t            lanes = 0; /* a bit for each */
    uintptr_t           address[LANES];
};

static bool                                       counting;
static uint32_t                                   run;   /* the block that requests are of */
static std::unordered_map<uint64_t, unsigned>     times; /* that a thread has come to an instruction */
static std::unordered_map<uint64_t, request>      open;
static std::map<const ptx_function *, traffic>    counts;
static std::unordered_map<const void *, uint64_t> numbers; /* of instructions */

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

static void close(const request &r) {
    traffic &t = counts[r.kernel];
    if (r.shared) {
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

void traffic_begin(void) {
    counting = true;
    counts.clear();
    times.clear();
    open.clear();
}

void traffic_end_block(void) {
    for (const auto &one : open) close(one.second);
    open.clear();
    times.clear();
}

void traffic_add(const ptx_function *kernel, const ptx_instruction *i, bool shared, const void *address, size_t bytes) {
    if (!counting) return;
    if (this_block->run != run) traffic_end_block();
    run = this_block->run;
    const uint64_t number = numbers.emplace(i, numbers.size()).first->second;
    const uint64_t nth = times[number << 10 | machine_me->number]++;
    request       &r = open[(nth << 24 | number) << 5 | machine_me->warp];
    r.kernel = kernel;
    r.shared = shared;
    r.bytes = bytes;
    r.address[machine_me->lane] = (uintptr_t)address;
    r.lanes |= (uint32_t)1 << machine_me->lane;
    if (r.lanes != ~(uint32_t)0) return;
    close(r);
    open.erase((nth << 24 | number) << 5 | machine_me->warp);
}

traffic traffic_of(const ptx_function *kernel) {
    traffic_end_block();
    return counts[kernel];
}

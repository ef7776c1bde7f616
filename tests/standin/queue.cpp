/* queue.cpp -- see queue.h. */
#include "queue.h"

#include "standin.h"

#include <string.h>
#include <time.h>

#include <algorithm>
#include <deque>
#include <utility>

static std::deque<work_ref>
    pending; /* not done, as they were submitted; those done are taken out when they come first */
static std::vector<work_ref> ready;
static uint64_t              random_state = 1, waits, submitted;
static double                now;
static bool                  running;
static int                   device_error;

uint64_t queue_draw(uint64_t below) { /* splitmix64 */
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % below;
}

bool queue_running(void) {
    return running;
}
int queue_device_error(void) {
    return device_error;
}
void standin_device_fails(int error) {
    if (!device_error) device_error = error;
}

/* ---- what is touched */
static bool overlap(const touched &t, const char *start, size_t bytes) {
    return t.start < start + bytes && start < t.start + t.bytes;
}
const work *queue_touching(const void *start, size_t bytes, bool only_writes) {
    for (const work_ref &piece : pending)
        for (const touched &t : piece->ordered.touches)
            if (!piece->done && (t.written || !only_writes) && overlap(t, static_cast<const char *>(start), bytes))
                return piece.get();
    return nullptr;
}

static uint64_t sum_of(const touched &t) { /* never 0 */
    uint64_t sum = 1, word;
    size_t   i = 0;
    for (; i + sizeof word <= t.bytes; i += sizeof word) {
        memcpy(&word, t.start + i, sizeof word);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15u, sum ^= sum >> 29;
    }
    for (; i < t.bytes; i++) sum = (sum ^ (unsigned char)t.start[i]) * 0x9e3779b97f4a7c15u, sum ^= sum >> 29;
    return sum | 1;
}
static void compare_sums(const work &piece) {
    for (size_t i = 0; i < piece.sums.size(); i++)
        if (piece.sums[i] && sum_of(piece.ordered.touches[i]) != piece.sums[i])
            report("pinned", piece.ordered.where, "%s: the pinned buffer changed while the copy was pending",
                   piece.ordered.what.c_str());
}

/* ---- pieces */
work_ref queue_submit(const order &what, uint64_t lane, const std::vector<work_ref> &after) {
    work_ref piece = std::make_shared<work>();
    piece->ordered = what;
    if (what.prepare) what.prepare(&piece->ordered);
    piece->lane = lane;
    for (const touched &t : what.touches) /* what others of the device will still write changes by right */
        piece->sums.push_back(t.pinned && !queue_touching(t.start, t.bytes, true) ? sum_of(t) : 0);
    for (const work_ref &before : after)
        if (!before->known && std::find(piece->after.begin(), piece->after.end(), before) == piece->after.end()) {
            piece->after.push_back(before);
            if (before->done) continue;
            before->followers.push_back(piece);
            piece->held_by++;
        }
    piece->number = ++submitted;
    if (piece->held_by == 0) ready.push_back(piece);
    pending.push_back(piece);
    return piece;
}

/* Do other processes hold it back? */
static bool held(const work_ref &piece) {
    if (device_error) return false;
    if (piece->ordered.first && !piece->tried) {
        piece->tried = running = true;
        ordering_begin(piece, pending.front()->number);
        piece->ordered.first();
        ordering_end();
        running = false;
    }
    return piece->ordered.held && piece->ordered.held();
}

static void run(const work_ref &piece) {
    ready.erase(std::find(ready.begin(), ready.end(), piece));
    running = true;
    if (piece->ordered.run && !device_error) {
        compare_sums(*piece);
        ordering_begin(piece, pending.front()->number);
        piece->ordered.run();
        ordering_end();
    }
    running = false;
    now += 0.001 * (double)(1 + queue_draw(1000));
    piece->time = now;
    piece->done = true;
    piece->ordered.run = nullptr, piece->ordered.first = nullptr, piece->ordered.held = nullptr;
    for (const work_ref &follower : piece->followers)
        if (--follower->held_by == 0) ready.push_back(follower);
    piece->followers.clear();
    while (!pending.empty() && pending.front()->done) pending.pop_front();
}

/* ---- waiting */
struct opened { /* while it lives, device memory can be touched */
    opened() {
        device_memory_close(false);
    }
    ~opened() {
        device_memory_close(true);
    }
};

static void want(const std::vector<work_ref> &wanted) {
    std::vector<work_ref> left = wanted;
    waits++;
    while (!left.empty()) {
        work_ref piece = left.back();
        left.pop_back();
        if (piece->done || piece->wanted_by == waits) continue;
        piece->wanted_by = waits;
        left.insert(left.end(), piece->after.begin(), piece->after.end());
    }
}

/* One of those that can run; none: nullptr. `ahead`: a number that ranks the streams, 0: they run side by side. */
static work_ref draw(bool only_wanted, uint64_t ahead) {
    std::vector<work_ref> candidates;
    for (const work_ref &piece : ready)
        if (!only_wanted || piece->wanted_by == waits) candidates.push_back(piece);
    auto rank = [ahead](const work_ref &piece) {
        uint64_t z = (piece->lane ^ ahead) * 0x9e3779b97f4a7c15u;
        return z ^ z >> 32;
    };
    while (!candidates.empty()) {
        auto next = ahead ? std::max_element(candidates.begin(), candidates.end(),
                                             [&](const work_ref &a, const work_ref &b) { return rank(a) < rank(b); })
                          : candidates.begin() + (std::ptrdiff_t)queue_draw(candidates.size());
        if (!held(*next)) return *next;
        candidates.erase(next);
    }
    return nullptr;
}

static void wait_a_moment(void) {
    const struct timespec moment = {0, 50000};
    nanosleep(&moment, nullptr);
}

void queue_wait_for(const std::vector<work_ref> &wanted) {
    opened   open;
    uint64_t others = queue_draw(3), ahead = queue_draw(2) ? queue_draw(UINT64_MAX) : 0; /* others: 0 none, 2 all */
    want(wanted);
    auto left = [&] { return std::any_of(wanted.begin(), wanted.end(), [](const work_ref &w) { return !w->done; }); };
    while (left()) {
        work_ref next = draw(others == 0 || (others == 1 && queue_draw(2)), ahead);
        if (!next) next = draw(true, ahead);
        if (next)
            run(next);
        else
            wait_a_moment();
    }
    for (uint64_t more = others ? queue_draw(8) : 0; more > 0 && !ready.empty(); more--) {
        work_ref next = draw(false, ahead);
        if (next) run(next);
    }
    queue_known(wanted);
}
void queue_known(const std::vector<work_ref> &pieces) {
    ordering_known(pieces, submitted + 1);
}
void queue_wait_for_all(void) {
    queue_wait_for(std::vector<work_ref>(pending.begin(), pending.end()));
    ordering_all_known(submitted + 1);
}
void queue_nudge(const std::vector<work_ref> &wanted) {
    opened open;
    want(wanted);
    for (uint64_t more = queue_draw(4); more > 0; more--) {
        work_ref next = draw(queue_draw(2) != 0, 0);
        if (next) run(next);
    }
}

void queue_forget(uint64_t seed) {
    for (const work_ref &piece : pending) piece->after.clear(), piece->followers.clear(), piece->done = true;
    pending.clear();
    ready.clear();
    ordering_forget();
    submitted = 0;
    random_state = seed;
    device_error = 0;
    now = 0;
}

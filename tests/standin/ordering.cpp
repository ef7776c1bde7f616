/* ordering.cpp -- what comes before what in any order that could have been drawn: by streams, events and graphs, or
 * because the host had waited for the one when it submitted the other. The emulator's checker asks for each access
 * (checker.h), so that a wait that is missing between two streams is reported, even where the order drawn gave right
 * numbers.
 */
#include "queue.h"

#include "tests/emulator/block.h"
#include "tests/emulator/checker.h"

#include <algorithm>
#include <deque>
#include <unordered_set>

struct ran_piece {
    uint32_t first; /* of its numbers in the checker; the last are before the next's first */
    work_ref piece;
};
static std::deque<ran_piece> ran; /* in the order in which they ran; older ones come before all that will run */
static std::unordered_set<const work *> before_now; /* of the piece that runs, when first asked for */
static bool                             collected;
static struct {
    uint32_t from, to;
    bool     before;
} last_answer;

static const ran_piece *find(uint32_t run) {
    auto next =
        std::upper_bound(ran.begin(), ran.end(), run, [](uint32_t r, const ran_piece &p) { return r < p.first; });
    return next == ran.begin() ? nullptr : &*(next - 1);
}

static void collect(const work &now) {
    std::vector<const work *> left = {&now};
    collected = true;
    while (!left.empty()) {
        const work *piece = left.back();
        left.pop_back();
        for (const work_ref &before : piece->after)
            if (before_now.insert(before.get()).second) left.push_back(before.get());
    }
}
static bool comes_before(uint32_t run) {
    if (run >= last_answer.from && run < last_answer.to) return last_answer.before;
    const ran_piece *found = find(run);
    if (!found) return true;
    const work &now = *ran.back().piece, &other = *found->piece;
    if (&other == &now) return true;
    bool before = other.known && other.known <= now.number;
    if (!before && !collected) collect(now);
    before = before || before_now.count(&other);
    last_answer = {found->first, (found + 1)->first, before}; /* the last, the piece that runs, is not this one */
    return before;
}
static std::string name_of(uint32_t run) {
    const ran_piece *found = find(run);
    if (!found) return "the host";
    std::string place = site_text(found->piece->ordered.where);
    return found->piece->ordered.what + (place.empty() ? "" : " at " + place);
}

void ordering_begin(const work_ref &piece, uint64_t oldest) {
    static const checker_streams streams = {comes_before, name_of};
    the_checker_streams = &streams;
    while (!ran.empty() && ran.front().piece->known && ran.front().piece->known <= oldest) {
        ran.front().piece->after.clear();
        ran.pop_front();
    }
    uint32_t first = launch_take_runs(1);
    ran.push_back({first, piece});
    before_now.clear();
    collected = false;
    last_answer = {};
    checker_begin_copy(first, piece->ordered.where);
}
void ordering_end(void) {
    checker_begin_copy(0, NO_SITE);
}

void ordering_known(const std::vector<work_ref> &pieces, uint64_t from) {
    std::vector<work_ref> left = pieces;
    while (!left.empty()) {
        work_ref piece = left.back();
        left.pop_back();
        if (piece->known) continue;
        piece->known = from;
        left.insert(left.end(), piece->after.begin(), piece->after.end());
    }
}
void ordering_all_known(uint64_t from) {
    for (const ran_piece &r : ran)
        if (!r.piece->known) r.piece->known = from;
}
void ordering_forget(void) {
    for (const ran_piece &r : ran) r.piece->after.clear();
    ran.clear();
}

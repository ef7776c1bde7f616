/* queue.h -- work of the device that has not run yet, and what it waits for.
 *
 * A stream, an event, a graph are all the same here: pieces of work, each after some others. A stream is the last piece
 * put on it; an event is a piece that does nothing; a graph's launch puts copies of its pieces behind the stream's
 * last. Pieces run when something waits for one of them: at each step one of those that nothing holds back any more is
 * drawn. What other processes hold back is asked again later; where nothing else can run, after a moment.
 *
 * How far beyond the need, and whether streams run side by side or one ahead of the other, is drawn for each wait.
 *
 * Owner: pieces are shared by all who wait for them; one that has run keeps what it came after until nobody asks
 * (ordering.cpp). Fails: once the device has failed, pieces are dropped instead of run.
 */
#ifndef CT_STANDIN_QUEUE_H
#define CT_STANDIN_QUEUE_H

#include "tests/emulator/report.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

/* Memory that a copy reads or writes: it has to live until then, and the host's has to stay as it is. */
struct touched {
    const char *start;
    size_t      bytes;
    bool        written, pinned; /* of the host; else of the device */
};
struct order { /* what to do, as often as it is submitted */
    std::string                  what;
    site                         where; /* who asked */
    std::function<void()>        run;   /* none: a marker */
    std::vector<touched>         touches;
    /* Each piece anew, when it is submitted: sets what follows, and `run`. */
    std::function<void(order *)> prepare = {};
    std::function<void()>        first = {}; /* once, when the piece could run as far as the device is concerned */
    std::function<bool()>        held = {};  /* by other processes: asked again until it is not */
};

struct work {
    order                              ordered;
    uint64_t                           lane; /* its stream: those of one lane run ahead together */
    std::vector<std::shared_ptr<work>> after, followers;
    size_t                             held_by;
    std::vector<uint64_t>              sums; /* of what it touches, when it was submitted; 0: not to be compared */
    uint64_t                           wanted_by;
    bool                               done, tried; /* tried: its `first` has been */
    uint64_t                           number;      /* in the order of their submission, from 1 on */
    uint64_t                           known; /* pieces from this number on come after it: the host has waited for it */
    double                             time;  /* when it was done, in ms of the device */
};
typedef std::shared_ptr<work> work_ref;

work_ref    queue_submit(const order &what, uint64_t lane, const std::vector<work_ref> &after);
/* Runs what these need, and some way on. */
void        queue_wait_for(const std::vector<work_ref> &wanted);
void        queue_wait_for_all(void);
/* Runs a little of what can run, or nothing: those wanted first. */
void        queue_nudge(const std::vector<work_ref> &wanted);
bool        queue_running(void); /* does a piece of work run now? */
/* Pieces not yet done that touch this memory: the first; NULL: none. */
const work *queue_touching(const void *start, size_t bytes, bool only_writes);
void        queue_forget(uint64_t seed); /* all of it; the next draws come from this seed */
uint64_t    queue_draw(uint64_t below);

/* The host knows that these are done. */
void queue_known(const std::vector<work_ref> &pieces);

/* ordering.cpp: a piece runs, while that numbered `oldest` is the oldest not yet done; pieces from the number `from` on
 * are submitted by a host that knows that these are done */
void ordering_begin(const work_ref &piece, uint64_t oldest);
void ordering_end(void);
void ordering_known(const std::vector<work_ref> &pieces, uint64_t from);
void ordering_all_known(uint64_t from);
void ordering_forget(void);

/* The device's own error: 0, or what all calls return. */
int queue_device_error(void);

/* fault.cpp: closed, the host can't touch it; open while work runs */
void device_memory_close(bool close);

#endif

/* saver.h -- checkpoints written while training goes on.
 *
 * A save copies the state, counters included, into memory that was planned
 * beforehand; a thread of its own writes the copy. The next save waits for the one
 * before; what went wrong is told by the next save, or by waiting. Without
 * `background` the call writes, on the CPU without a copy: the files are the same.
 *
 * Of several ranks each writes what it alone has, and the first what all have; its thread waits for the others' files,
 * which lie in the same folder. Each of them calls all of this for each save.
 *
 * On a GPU the copy is pinned memory, and copying is put on the compute queue, where
 * the steps to come find it before them: the thread, not training, waits until it is done.
 *
 * Owner: the saver, until ct_saver_close; network and facts must outlive it. One thread calls it.
 * Fails: opening: CT_ENOMEM. Saving and waiting: CT_EFAIL as in checkpoint.h.
 */
#ifndef CT_TRAIN_SAVER_H
#define CT_TRAIN_SAVER_H

#include "train/checkpoint.h"

#include <pthread.h>

typedef struct ct_saver {
    ct_checkpoint_place place;
    ct_network         *network;
    bool                background, copies;
    bool                leads, writes; /* of several ranks: the first; one that has something to write */
    bool                ending;        /* atomic: other ranks are not waited for */
    ct_checkpoint_ranks ranks;
    ct_arena            table;   /* of ranks */
    ct_arena            arena;   /* the copy */
    void               *block;   /* memory of `arena` for a device apart, pinned */
    ct_event           *arrived; /* the copy is whole */
    ct_snapshot         live, copy;
    ct_checkpoint_kind  kind;
    pthread_t           thread;
    bool                writing; /* the thread is there */
    ct_status           status;  /* of the thread, once it has ended */
    char                message[4096];
} ct_saver;

/* paper: to be measured (arena.used), not to be saved with. */
CT_NODISCARD ct_status ct_saver_open(const ct_checkpoint_place *place, ct_network *network, bool background, bool paper,
                                     ct_saver *out);
CT_NODISCARD ct_status ct_saver_save(ct_saver *saver, ct_checkpoint_kind kind, const ct_counters *counters);
/* Until what was saved is on disk. */
CT_NODISCARD ct_status ct_saver_wait(ct_saver *saver);
/* Waits too; a failure that nobody was told of is warned of. */
void                   ct_saver_close(ct_saver *saver);

#endif

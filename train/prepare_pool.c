/* prepare_pool.c -- worker processes behind pipes; see prepare.h.
 *
 * Each worker has a pipe for numbers of files to read and one for results. A worker
 * that dies, or takes longer than allowed, is replaced; its file is left out with
 * that reason. At most WINDOW files are ahead of the one that is to be handed out.
 * A file's memory is its worker's arena, which has the cap that the user sets, and
 * what libsmf takes for at most CT_MIDI_EVENTS_MAX events, 180 MB when all are texts.
 */
#include "core/log.h"
#include "train/prepare.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WINDOW = 256, WORKERS_MOST = 256, POLL_MILLISECONDS = 200 };
enum { BESIDE_ARENA = 256 << 20 }; /* bytes */

enum { SKETCH = CT_STAGES, LOADS };
typedef struct ct_parcel { /* what a worker writes before its loads: rows of both stages, sketch */
    ct_prepared prepared;  /* its pointers mean nothing here */
    size_t      bytes[LOADS];
} ct_parcel;

typedef struct ct_worker {
    pid_t   pid;
    int     to, from; /* pipes */
    int64_t file;     /* being read, -1: none */
    double  until;    /* when it must be done with it */
} ct_worker;

typedef struct ct_slot {
    bool        done;
    ct_prepared prepared;
    ct_arena    arena; /* what it came with */
} ct_slot;

struct ct_pool {
    const ct_prepare_config *config;
    char *const             *names;
    int64_t                  count, given, handed; /* files; given to workers; handed out */
    int64_t                  worker_count;
    ct_arena                 arena;  /* this struct */
    double                   looked; /* when it was last seen what the workers do */
    ct_worker                workers[WORKERS_MOST];
    ct_slot                  slots[WINDOW];
};

static bool write_all(int pipe, const void *bytes, size_t count) {
    for (const char *p = bytes; count;) {
        ssize_t n = write(pipe, p, count);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        p += n;
        count -= (size_t)n;
    }
    return true;
}

static bool read_all(int pipe, void *bytes, size_t count) {
    for (char *p = bytes; count;) {
        ssize_t n = read(pipe, p, count);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        p += n;
        count -= (size_t)n;
    }
    return true;
}

/* The system holds a worker to its memory, should anything ever take more of it than is said above. */
static void limit_memory(size_t bytes) {
    char  line[256], *at = line;
    FILE *file = fopen("/proc/self/statm", "re"); /* seven numbers of pages; the sixth: data that came with the fork */
    if (file && fgets(line, sizeof line, file)) {
        for (int i = 0; i < 5; i++) strtoul(at, &at, 10);
        rlim_t most = strtoul(at, NULL, 10) * (rlim_t)sysconf(_SC_PAGESIZE) + bytes;
        setrlimit(RLIMIT_DATA, &(struct rlimit){most, most});
    }
    if (file) fclose(file);
}

static _Noreturn void work(const ct_pool *pool, int from, int to) {
    const size_t cap = (size_t)pool->config->most_megabytes << 20;
    int64_t      file;
    ct_stop_ignore();
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody would end one that hangs */
    limit_memory(cap + BESIDE_ARENA);
    while (read_all(from, &file, sizeof file)) {
        char      path[8192];
        ct_arena  arena = {.cap = cap};
        ct_parcel parcel;
        memset(&parcel, 0, sizeof parcel);
        snprintf(path, sizeof path, "%s/%s", pool->config->input, pool->names[file]);
        ct_prepare_file(pool->config, path, &arena, &parcel.prepared);
        for (int s = 0; s < CT_STAGES; s++)
            parcel.bytes[s] =
                (size_t)parcel.prepared.rows[s].count * (size_t)parcel.prepared.rows[s].columns * sizeof(uint16_t);
        parcel.bytes[SKETCH] = parcel.prepared.sketch.count * sizeof *parcel.prepared.sketch.at;
        bool sent = write_all(to, &parcel, sizeof parcel);
        for (int s = 0; s < CT_STAGES; s++) sent = sent && write_all(to, parcel.prepared.rows[s].at, parcel.bytes[s]);
        sent = sent && write_all(to, parcel.prepared.sketch.at, parcel.bytes[SKETCH]);
        ct_arena_free(&arena);
        if (!sent) break;
    }
    _exit(0);
}

static ct_status start(ct_pool *pool, ct_worker *w) {
    int down[2], up[2];
    if (pipe(down) != 0) return ct_fail(CT_EFAIL, "can't make a pipe: %s", strerror(errno));
    if (pipe(up) != 0) {
        close(down[0]);
        close(down[1]);
        return ct_fail(CT_EFAIL, "can't make a pipe: %s", strerror(errno));
    }
    pid_t pid = fork();
    if (pid < 0) {
        for (int i = 0; i < 2; i++) close(down[i]), close(up[i]);
        return ct_fail(CT_EFAIL, "can't start a worker process: %s", strerror(errno));
    }
    if (pid == 0) {
        close(down[1]);
        close(up[0]);
        for (int64_t i = 0; i < pool->worker_count;
             i++) /* other workers' ends: they would keep a dead parent's pipes open */
            if (&pool->workers[i] != w && pool->workers[i].pid > 0)
                close(pool->workers[i].to), close(pool->workers[i].from);
        work(pool, down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    *w = (ct_worker){.pid = pid, .to = down[1], .from = up[0], .file = -1};
    return CT_OK;
}

/* End a worker; the status that waitpid tells. Force comes first, so that it never gets to leave by itself. */
static int end(ct_worker *w, bool by_force) {
    int status = 0;
    if (w->pid <= 0) return 0;
    if (by_force) kill(w->pid, SIGKILL);
    close(w->to);
    close(w->from);
    while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR) {
    }
    w->pid = 0;
    return status;
}

/* The worker brings no result: its file is left out, another worker takes its place. */
static ct_status replace(ct_pool *pool, ct_worker *w) {
    ct_slot *slot = &pool->slots[w->file % WINDOW];
    char    *reason = slot->prepared.reason;
    size_t   size = sizeof slot->prepared.reason;
    bool     late = ct_seconds() > w->until;
    int      status = end(w, late), number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    slot->prepared = (ct_prepared){.outcome = CT_LEFT_OUT};
    slot->done = true;
    if (late)
        snprintf(reason, size, "took too long: more than %lld s, limit.seconds", (long long)pool->config->most_seconds);
    else if (number)
        snprintf(reason, size, "reading it ended its worker process (signal %d, %s)", number, strsignal(number));
    else
        snprintf(reason, size, "reading it ended its worker process");
    return start(pool, w);
}

/* The next file for a worker that has none. */
static ct_status give(ct_pool *pool, ct_worker *w) {
    if (pool->given == pool->count || pool->given >= pool->handed + WINDOW) return CT_OK;
    int64_t file = pool->given++;
    if (!write_all(w->to, &file, sizeof file)) { /* it died after its last file, which is no fault of this one */
        end(w, true);
        CT_TRY(start(pool, w));
        write_all(w->to, &file, sizeof file); /* a worker that is gone again is found so by whoever waits for it */
    }
    w->file = file;
    w->until = ct_seconds() + (double)pool->config->most_seconds;
    return CT_OK;
}

/* Wait a moment for news. Time in which nobody looked, as all were stopped (Ctrl-Z), is no fault of the workers. */
static int look(ct_pool *pool, struct pollfd *list, nfds_t count) {
    int    news = poll(list, count, POLL_MILLISECONDS);
    double away = ct_seconds() - pool->looked;
    pool->looked += away;
    for (int64_t i = 0; i < pool->worker_count && away > 1; i++) pool->workers[i].until += away;
    return news;
}

/* False when the worker dies, or takes too long. */
static bool receive(ct_pool *pool, const ct_worker *w, void *bytes, size_t count) {
    for (char *p = bytes; count;) {
        if (look(pool, &(struct pollfd){.fd = w->from, .events = POLLIN}, 1) <= 0) {
            if (ct_seconds() > w->until) return false;
            continue;
        }
        ssize_t n = read(w->from, p, count);
        if (n <= 0) return false;
        p += n;
        count -= (size_t)n;
    }
    return true;
}

static ct_status take(ct_pool *pool, ct_worker *w) {
    ct_parcel parcel;
    ct_slot  *slot = &pool->slots[w->file % WINDOW];
    if (!receive(pool, w, &parcel, sizeof parcel)) return replace(pool, w);
    slot->prepared = parcel.prepared;
    void *loads[LOADS];
    for (int k = 0; k < LOADS; k++) {
        loads[k] = ct_arena_alloc(&slot->arena, parcel.bytes[k], 1);
        if (!loads[k]) return CT_ENOMEM;
        if (!receive(pool, w, loads[k], parcel.bytes[k])) return replace(pool, w);
    }
    for (int s = 0; s < CT_STAGES; s++) slot->prepared.rows[s].at = loads[s];
    slot->prepared.sketch.at = loads[SKETCH];
    slot->done = true;
    w->file = -1;
    return CT_OK;
}

ct_status ct_pool_open(const ct_prepare_config *config, char *const *names, int64_t count, ct_pool **out) {
    ct_arena arena = {0};
    ct_pool *pool = CT_NEW(&arena, ct_pool, 1);
    if (!pool) return CT_ENOMEM;
    *pool = (ct_pool){.arena = arena, .config = config, .names = names, .count = count, .looked = ct_seconds()};
    int64_t workers = config->workers ? config->workers : sysconf(_SC_NPROCESSORS_ONLN);
    if (workers > count) workers = count;
    if (workers > WORKERS_MOST) workers = WORKERS_MOST;
    signal(SIGPIPE, SIG_IGN);
    ct_status status = CT_OK;
    for (; pool->worker_count < workers && status == CT_OK; pool->worker_count++)
        status = start(pool, &pool->workers[pool->worker_count]);
    if (status != CT_OK)
        ct_pool_close(pool);
    else
        *out = pool;
    return status;
}

/* Wait for news from a worker, and answer it. */
static ct_status attend(ct_pool *pool) {
    struct pollfd list[WORKERS_MOST];
    ct_worker    *who[WORKERS_MOST];
    nfds_t        n = 0;
    for (int64_t i = 0; i < pool->worker_count; i++) {
        ct_worker *w = &pool->workers[i];
        if (w->file < 0) CT_TRY(give(pool, w));
        if (w->file < 0) continue;
        who[n] = w;
        list[n++] = (struct pollfd){.fd = w->from, .events = POLLIN};
    }
    if (look(pool, list, n) < 0 && errno != EINTR)
        return ct_fail(CT_EFAIL, "can't wait for workers: %s", strerror(errno));
    for (nfds_t i = 0; i < n; i++) {
        if (list[i].revents)
            CT_TRY(take(pool, who[i]));
        else if (ct_seconds() > who[i]->until)
            CT_TRY(replace(pool, who[i]));
    }
    return CT_OK;
}

ct_status ct_pool_next(ct_pool *pool, ct_prepared *out) {
    CT_ASSERT(pool->handed < pool->count);
    if (pool->handed) { /* give back what the caller had */
        ct_slot *before = &pool->slots[(pool->handed - 1) % WINDOW];
        ct_arena_free(&before->arena);
        *before = (ct_slot){0};
    }
    ct_slot *slot = &pool->slots[pool->handed % WINDOW];
    while (!slot->done) {
        CT_TRY(ct_stop_check());
        CT_TRY(attend(pool));
    }
    *out = slot->prepared;
    pool->handed++;
    return CT_OK;
}

void ct_pool_close(ct_pool *pool) {
    if (!pool) return;
    for (int64_t i = 0; i < pool->worker_count; i++) end(&pool->workers[i], true);
    for (int i = 0; i < WINDOW; i++) ct_arena_free(&pool->slots[i].arena);
    ct_arena arena = pool->arena;
    ct_arena_free(&arena);
}

/* test_nccl.c -- GPUs of several ranks: what comes out of collectives, in any order of queues, eager and in graphs;
 * what is said of a rank that dies, stops, hangs or does something else, of GPUs that are shared or too few, of NCCL
 * that is missing or lies. Each rank is a process of this program.
 *
 *   test_nccl                    starts ranks by itself, which meet by TCP
 *   test_nccl WHAT [SECONDS]     is one of them: tests/mpi.sh 4 .../test_nccl_fast right
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/log.h"
#include "kernels/bf16.h"
#include "kernels/device.h"
#include "tests/sanitized.h"
#include "tests/standin/clean.h"
#include "tests/standin/talks.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <nccl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ==== one of several ranks */
static ct_comm         *comm;
static const ct_device *gpu;
static long             checks;

static bool last(void) {
    return comm->rank == comm->size - 1;
}
static ct_status wrong(const char *what, int64_t at) {
    return ct_fail(CT_EFAIL, "%s: element %lld is wrong", what, (long long)at);
}

static ct_status open_gpu(uint64_t seed) {
    standin_begin(seed * 16 + (uint64_t)comm->rank + 1);
    return ct_device_open(&(ct_device_choice){.kind = CT_ON_CUDA}, comm, &gpu);
}
/* Nothing is left, nothing was reported. */
static ct_status close_gpu(void) {
    ct_device_close(gpu);
    gpu = NULL;
    standin_leaks();
    if (emulator_report_count()) return ct_fail(CT_EFAIL, "reported: %s", emulator_report(0));
    return talk_count().communicators ? ct_fail(CT_EFAIL, "a communicator is left") : CT_OK;
}

/* ---- arrays: whole numbers, whose sums are exact in each type */
static double value(int rank, int64_t i, int round) {
    return (double)((rank * 5 + i + round * 3) % 8 - 3);
}
static double after(ct_collective what, const ct_shared *a, int64_t i, int round) {
    double sum = 0;
    for (int rank = 0; rank < comm->size; rank++) {
        int64_t first, length;
        ct_comm_share(a->count, a->unit, rank, comm->size, &first, &length);
        const bool theirs = i >= first && i < first + length;
        if (what == CT_ALL_GATHER && theirs) return value(rank, i, round);
        if (what == CT_REDUCE_SCATTER && theirs && rank != comm->rank) return value(comm->rank, i, round);
        sum += value(rank, i, round);
    }
    return sum;
}
static void put(void *array, ct_dtype dtype, int64_t i, double x) {
    if (dtype == CT_F64) ((double *)array)[i] = x;
    if (dtype == CT_F32) ((float *)array)[i] = (float)x;
    if (dtype == CT_BF16) ((uint16_t *)array)[i] = ct_bf16_round((float)x);
}
static void fill(void *array, const ct_shared *a, int round) {
    for (int64_t i = 0; i < a->count; i++) put(array, a->dtype, i, value(comm->rank, i, round));
}
static ct_status compare(const void *array, ct_collective what, const ct_shared *a, int round) {
    static const char *const names[] = {"all_reduce", "reduce_scatter", "all_gather"};
    const size_t             element = ct_dtype_size(a->dtype);
    for (int64_t i = 0; i < a->count; i++) {
        char right[8];
        put(right, a->dtype, 0, after(what, a, i, round));
        if (memcmp((const char *)array + (size_t)i * element, right, element) != 0) return wrong(names[what], i);
    }
    checks++;
    return CT_OK;
}

/* ---- right: all collectives, types and shares */
static ct_status try_one(ct_collective what, ct_shared *a) {
    const size_t bytes = (size_t)a->count * ct_dtype_size(a->dtype);
    char        *host = calloc(1, bytes + 8);
    if (!host) return CT_ENOMEM;
    fill(host, a, 0);
    ct_status status = ct_device_copy(gpu, a->data, host, bytes);
    if (status == CT_OK) status = gpu->collective(what, a);
    if (status == CT_OK) status = ct_device_copy(gpu, host, a->data, bytes);
    if (status == CT_OK) status = compare(host, what, a, 0);
    free(host);
    return status;
}
static ct_status right(void) {
    static const int64_t counts[] = {0, 1, 3, 24, 64, 997, 5000};
    CT_TRY(open_gpu(1));
    if (comm->size == 1) return gpu->collective ? ct_fail(CT_EFAIL, "alone, with others") : close_gpu();
    void *there;
    CT_TRY(gpu->alloc(5000 * 8, &there));
    for (size_t c = 0; c < CT_COUNT(counts); c++)
        for (int what = CT_ALL_REDUCE; what <= CT_ALL_GATHER; what++)
            for (int dtype = CT_F32; dtype <= CT_BF16; dtype++)
                for (int64_t unit = 0; unit <= 8; unit += 8)
                    CT_TRY(try_one((ct_collective)what, &(ct_shared){there, counts[c], (ct_dtype)dtype, unit}));
    const talk_counters talked = talk_count();
    if (talked.in_progress < talked.put) return ct_fail(CT_EFAIL, "nothing was ever in progress");
    if (talked.put != talked.done) return ct_fail(CT_EFAIL, "%ld of %ld are done", talked.done, talked.put);
    gpu->release(there);
    return close_gpu();
}

/* ---- order: compute, talk, compute, without the host */
enum { N = 203, ROUNDS = 6 };

typedef struct exchange {
    ct_collective what;
    ct_shared     array;
    ct_event     *filled, *summed;
    float        *from, *to; /* pinned */
} exchange;

static ct_status enqueue(void *context) {
    const exchange *e = context;
    const size_t    bytes = (size_t)e->array.count * sizeof(float);
    CT_TRY(gpu->copy(CT_QUEUE_COMPUTE, e->array.data, e->from, bytes));
    CT_TRY(gpu->event_record(e->filled, CT_QUEUE_COMPUTE));
    CT_TRY(gpu->queue_wait(CT_QUEUE_TALK, e->filled));
    CT_TRY(gpu->collective(e->what, &e->array));
    CT_TRY(gpu->event_record(e->summed, CT_QUEUE_TALK));
    CT_TRY(gpu->queue_wait(CT_QUEUE_COMPUTE, e->summed));
    return gpu->copy(CT_QUEUE_COMPUTE, e->to, e->array.data, bytes);
}
static ct_status exchange_new(exchange *e, int round) {
    *e = (exchange){.what = (ct_collective)(round % 3), .array = {.count = N + round % 2, .dtype = CT_F32}};
    CT_TRY(gpu->alloc(sizeof(float) * (N + 1), &e->array.data));
    CT_TRY(gpu->alloc_host(sizeof(float) * (N + 1), (void **)&e->from));
    CT_TRY(gpu->alloc_host(sizeof(float) * (N + 1), (void **)&e->to));
    CT_TRY(gpu->event_new(&e->filled));
    return gpu->event_new(&e->summed);
}
static void exchange_free(exchange *e) {
    gpu->release(e->array.data);
    gpu->release_host(e->from);
    gpu->release_host(e->to);
    gpu->event_free(e->filled);
    gpu->event_free(e->summed);
}
static ct_status in_order(uint64_t seed) {
    exchange  e[ROUNDS];
    ct_event *end;
    CT_TRY(open_gpu(seed));
    CT_TRY(gpu->event_new(&end));
    for (int k = 0; k < ROUNDS; k++) {
        CT_TRY(exchange_new(&e[k], k));
        if (k) gpu->release(e[k].array.data);
        if (k) e[k].array.data = e[0].array.data; /* one array for all */
        fill(e[k].from, &e[k].array, k);
    }
    for (int k = 0; k < ROUNDS; k++) CT_TRY(enqueue(&e[k]));
    CT_TRY(gpu->event_record(end, CT_QUEUE_COMPUTE));
    CT_TRY(gpu->event_wait(end));
    for (int k = 0; k < ROUNDS; k++) CT_TRY(compare(e[k].to, e[k].what, &e[k].array, k));
    for (int k = 0; k < ROUNDS; k++) {
        if (k) e[k].array.data = NULL;
        exchange_free(&e[k]);
    }
    gpu->event_free(end);
    return close_gpu();
}
static ct_status order(void) {
    const uint64_t seeds = emulator_checks_accesses() ? 2 : 6;
    for (uint64_t seed = 1; seed <= seeds; seed++) CT_TRY(in_order(seed));
    return CT_OK;
}

/* ---- graph: the same, recorded once; and eager calls between its launches */
static ct_status as_graph(uint64_t seed) {
    exchange  e;
    ct_graph *graph = NULL;
    CT_TRY(open_gpu(seed));
    CT_TRY(exchange_new(&e, (int)seed));
    for (int round = 0; round < 5; round++) {
        fill(e.from, &e.array, round);
        if (round == 3)
            CT_TRY(enqueue(&e));
        else
            CT_TRY(ct_device_replay(gpu, &graph, enqueue, &e));
        CT_TRY(gpu->wait());
        CT_TRY(compare(e.to, e.what, &e.array, round));
    }
    const standin_counters counted = standin_count();
    if (counted.captures != 1 || counted.graph_launches != 4) return ct_fail(CT_EFAIL, "it is no graph");
    ct_device_forget(gpu, &graph);
    exchange_free(&e);
    return close_gpu();
}
static ct_status graph(void) {
    for (uint64_t seed = 1; seed <= 6; seed++) CT_TRY(as_graph(seed));
    return CT_OK;
}

/* ---- beside: what is computed does not wait for what ranks say */
static ct_status beside(void) {
    exchange e;
    CT_TRY(open_gpu(2));
    CT_TRY(exchange_new(&e, 0));
    fill(e.from, &e.array, 0);
    CT_TRY(ct_device_copy(gpu, e.array.data, e.from, sizeof(float) * N));
    if (last()) CT_TRY(ct_comm_barrier(comm)); /* the others come here without it */
    CT_TRY(gpu->collective(CT_ALL_REDUCE, &e.array));
    CT_TRY(gpu->copy(CT_QUEUE_COPY, e.to, e.from, sizeof(float) * N));
    CT_TRY(gpu->event_record(e.filled, CT_QUEUE_COMPUTE));
    CT_TRY(gpu->event_record(e.summed, CT_QUEUE_COPY));
    CT_TRY(gpu->event_wait(e.filled));
    CT_TRY(gpu->event_wait(e.summed));
    if (!last()) CT_TRY(ct_comm_barrier(comm));
    CT_TRY(ct_device_copy(gpu, e.to, e.array.data, sizeof(float) * N));
    CT_TRY(compare(e.to, CT_ALL_REDUCE, &e.array, 0));
    exchange_free(&e);
    return close_gpu();
}

/* ---- what goes wrong in the middle, with the last rank */
typedef void (*mischief)(exchange *e);

static void is_killed(exchange *e) {
    (void)e;
    raise(SIGKILL);
}
static void is_stopped(exchange *e) {
    (void)e;
    raise(SIGSTOP);
}
static void sleeps(exchange *e) {
    (void)e;
    nanosleep(&(struct timespec){.tv_sec = (time_t)(2 * comm->timeout + 1)}, NULL);
}
static void counts_otherwise(exchange *e) {
    e->array.count--;
}
/* Ranks wait in each of the ways that there are. */
static ct_status waits(exchange *e) {
    float first;
    if (comm->rank == 0) return gpu->wait();
    if (comm->rank == 1) return ct_device_copy(gpu, &first, e->array.data, sizeof first);
    CT_TRY(gpu->event_record(e->filled, CT_QUEUE_COMPUTE));
    return gpu->event_wait(e->filled);
}
static ct_status go_wrong(mischief what, bool recorded, int at) {
    exchange  e;
    ct_graph *graph = NULL;
    ct_status status = open_gpu(3);
    if (status == CT_OK) status = exchange_new(&e, 0);
    if (status == CT_OK) status = ct_comm_barrier(comm); /* all have come this far */
    for (int round = 0; round < 5 && status == CT_OK; round++) {
        fill(e.from, &e.array, round);
        if (round == at && last()) what(&e);
        status = recorded ? ct_device_replay(gpu, &graph, enqueue, &e) : enqueue(&e);
        if (status == CT_OK) status = waits(&e);
    }
    if (status == CT_OK) return ct_fail(CT_EUSAGE, "nothing went wrong");
    if (gpu && gpu->wait() == CT_OK) return ct_fail(CT_EFAIL, "a wait after the failure is a good one");
    return status;
}
static ct_status killed(void) {
    return go_wrong(is_killed, false, 2);
}
static ct_status killed_in_graph(void) {
    return go_wrong(is_killed, true, 2);
}
static ct_status killed_while_recording(void) {
    return go_wrong(is_killed, true, 0);
}
static ct_status stopped(void) {
    return go_wrong(is_stopped, false, 2);
}
static ct_status stopped_in_graph(void) {
    return go_wrong(is_stopped, true, 2);
}
static ct_status late(void) {
    return go_wrong(sleeps, false, 2);
}
static ct_status other(void) {
    return go_wrong(counts_otherwise, false, 2);
}
/* One never opens its GPU. */
static ct_status alone(void) {
    if (last()) is_stopped(NULL);
    return open_gpu(1);
}

static ct_status opens(void) {
    CT_TRY(open_gpu(1));
    CT_TRY(ct_comm_tell(comm, ct_device_describe(gpu)));
    return close_gpu();
}

static const struct {
    const char *name;
    ct_status (*run)(void);
} parts[] = {{"right", right},
             {"order", order},
             {"graph", graph},
             {"beside", beside},
             {"killed", killed},
             {"stopped", stopped},
             {"killed_in_graph", killed_in_graph},
             {"killed_while_recording", killed_while_recording},
             {"late", late},
             {"stopped_in_graph", stopped_in_graph},
             {"other", other},
             {"alone", alone},
             {"opens", opens}};

/* As a training run does it. */
static int play(const char *name, double timeout) {
    ct_status status = ct_comm_open(&(ct_dist_choice){.timeout = timeout}, &comm);
    for (size_t i = 0; i < CT_COUNT(parts) && status == CT_OK; i++)
        if (!strcmp(parts[i].name, name)) status = parts[i].run();
    if (status != CT_OK && comm) ct_comm_abort(comm, ct_message());
    if (status != CT_OK) ct_log("cantus: %s", ct_message());
    if (gpu) ct_device_close(gpu);
    const ct_status closed = ct_comm_close(comm);
    if (status == CT_OK && closed == CT_OK) ct_log("%ld passed, 0 failed", checks);
    return status == CT_OK ? closed != CT_OK : 1;
}

/* ==== who starts them, and looks at what is left */
enum { MOST = 4 };
typedef struct outcome {
    int    ended[MOST]; /* exit code; -signal */
    double seconds;
    char   text[16384];
} outcome;

static pid_t start(const char *what, const char *timeout, int rank, const char *log) {
    const pid_t pid = fork();
    if (pid) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody would end it */
    const int file = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    char      number[16];
    snprintf(number, sizeof number, "%d", rank);
    setenv("RANK", number, 1);
    dup2(file, 1);
    dup2(file, 2);
    execl("/proc/self/exe", "test_nccl", what, timeout, (char *)NULL);
    _exit(127);
}
static int code_of(int status) {
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}
/* Until all have ended, or all but the last, which is stopped: that one is killed then. */
static void wait_for(int ranks, bool but_last, const pid_t *pids, outcome *out) {
    const double since = ct_seconds();
    for (int left = ranks; left > 0;) {
        const bool give_up = ct_seconds() - since > 60;
        left = 0;
        for (int i = 0; i < ranks; i++) {
            int status;
            if (out->ended[i] != INT32_MAX) continue;
            if (give_up) kill(pids[i], SIGKILL);
            if (waitpid(pids[i], &status, WNOHANG) == pids[i])
                out->ended[i] = give_up ? -SIGALRM : code_of(status);
            else
                left++;
        }
        out->seconds = ct_seconds() - since;
        if (but_last && left == 1 && out->ended[ranks - 1] == INT32_MAX) kill(pids[ranks - 1], SIGKILL);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}
static int free_port(void) {
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t          size = sizeof at;
    const int          s = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(s, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(s, (struct sockaddr *)&at, &size), 0);
    close(s);
    return ntohs(at.sin_port);
}
static void play_with(int ranks, const char *what, const char *timeout, const char *devices, outcome *out) {
    char  number[16], port[16], log[64];
    pid_t pids[MOST];
    memset(out, 0, sizeof *out);
    snprintf(log, sizeof log, "/tmp/test_nccl.%d.log", (int)getpid());
    snprintf(number, sizeof number, "%d", ranks);
    snprintf(port, sizeof port, "%d", free_port());
    unlink(log);
    setenv("WORLD_SIZE", number, 1);
    setenv("MASTER_ADDR", "localhost", 1);
    setenv("MASTER_PORT", port, 1);
    setenv("CANTUS_JOB", log, 1);
    setenv("CANTUS_STANDIN_DEVICES", devices, 1);
    for (int i = 0; i < ranks; i++) {
        out->ended[i] = INT32_MAX;
        pids[i] = start(what, timeout, i, log);
    }
    wait_for(ranks, strstr(what, "stopped") || !strcmp(what, "alone"), pids, out);
    unsetenv("WORLD_SIZE");
    const int file = open(log, O_RDONLY);
    assert_true(file >= 0);
    const ssize_t bytes = read(file, out->text, sizeof out->text - 1);
    assert_true(bytes >= 0);
    close(file);
    unlink(log);
}
static void assert_all_end(int ranks, const char *what, const char *devices) {
    outcome out;
    play_with(ranks, what, "30", devices, &out);
    for (int i = 0; i < ranks; i++)
        if (out.ended[i] != 0) fail_msg("%s, rank %d of %d: exit code %d\n%s", what, i, ranks, out.ended[i], out.text);
}
/* In time, not well, and with this to say. The last rank: only if it is not the one that was killed. */
static void assert_none_ends_well(const char *what, double seconds, const char *devices, const char *said) {
    outcome out;
    play_with(MOST, what, "2", devices, &out);
    for (int i = 0; i < MOST; i++)
        if (out.ended[i] == 0) fail_msg("%s: rank %d ends well\n%s", what, i, out.text);
    if (!strstr(out.text, said))
        fail_msg("%s: expected \"%s\", exit codes %d %d %d %d, in\n%s", what, said, out.ended[0], out.ended[1],
                 out.ended[2], out.ended[3], out.text);
    if (strstr(out.text, "nothing went wrong")) fail_msg("%s\n%s", what, out.text);
    if (out.seconds > seconds) fail_msg("%s: %.1f s\n%s", what, out.seconds, out.text);
}

static void comes_out_right(void **state) {
    (void)state;
    for (int ranks = 1; ranks <= MOST; ranks++) assert_all_end(ranks, "right", "4");
}
static void in_any_order(void **state) {
    (void)state;
    assert_all_end(3, "order", "4");
}
static void in_graphs(void **state) {
    (void)state;
    assert_all_end(4, "graph", "4");
}
static void queues_are_apart(void **state) {
    (void)state;
    assert_all_end(3, "beside", "4");
}
static void one_dies(void **state) {
    (void)state;
    assert_none_ends_well("killed", 12, "4", "remote process exited or there was a network error");
    assert_none_ends_well("killed_in_graph", 12, "4", "remote process exited or there was a network error");
    assert_none_ends_well("killed_while_recording", 12, "4", "remote process exited or there was a network error");
    setenv("CANTUS_STANDIN_NCCL", "deaf", 1);
    assert_none_ends_well("killed", 16, "4", "nothing from other ranks for ");
    unsetenv("CANTUS_STANDIN_NCCL");
}
static void one_says_nothing(void **state) {
    (void)state;
    assert_none_ends_well("stopped", 16, "4", "nothing from other ranks for ");
    assert_none_ends_well("stopped_in_graph", 16, "4", "nothing from other ranks for ");
    assert_none_ends_well("late", 20, "4", "nothing from other ranks for ");
    assert_none_ends_well("alone", 16, "4", "rank 3 ");
}
static void one_calls_something_else(void **state) {
    (void)state;
    assert_none_ends_well("other", 16, "4", "nothing from other ranks for ");
}
static void gpus_are_named(void **state) {
    (void)state;
    outcome out;
    play_with(2, "opens", "20", "2", &out);
    if (!strstr(out.text, "; GPU 0 at 0000:00:00.0") || !strstr(out.text, "; GPU 1 at 0000:01:00.0"))
        fail_msg("%s", out.text);
}
static void gpus_are_counted(void **state) {
    (void)state;
    assert_none_ends_well("opens", 12, "1", "device cuda: ranks 0 and 1 have the same GPU, 0000:00:00.0 on ");
    assert_none_ends_well("opens", 12, "2", "device cuda: the driver shows 2 GPUs to 4 ranks of ");
    assert_none_ends_well("opens", 12, "0", "device cuda: the driver shows no GPU");
}
static void what_is_missing(void **state) {
    (void)state;
    setenv("CANTUS_NCCL_LIBRARY", "/nowhere", 1);
    assert_none_ends_well("opens", 12, "4",
                          "device cuda: NCCL, by which GPUs of several ranks talk, can't be loaded: /nowhere");
    setenv("CANTUS_NCCL_LIBRARY", "libm.so.6", 1);
    assert_none_ends_well("opens", 12, "4", "device cuda: NCCL lacks a call (hint: ");
    unsetenv("CANTUS_NCCL_LIBRARY");
}
static void what_is_broken(void **state) {
    (void)state;
    setenv("CANTUS_STANDIN_NCCL", "broken", 1);
    assert_none_ends_well("opens", 12, "4", "device cuda: a trial all_reduce of 4 ranks is wrong: element ");
    unsetenv("CANTUS_STANDIN_NCCL");
}

/* NVIDIA's own: a collective that it refuses leaves a job of its group behind. */
#if CT_SANITIZED
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:ncclGroupEndInternal";
}
#endif

/* ---- the library itself, where it is: what it answers without a GPU is what the double answers */
static void *in(void *library, const char *call) {
    void *symbol = dlsym(library, call);
    assert_non_null(symbol);
    return symbol;
}
#define SAME(call, arguments)                                                                                          \
    do {                                                                                                               \
        void             *symbol = in(library, #call);                                                                 \
        __typeof__(&call) of_library;                                                                                  \
        memcpy(&of_library, &symbol, sizeof symbol);                                                                   \
        assert_int_equal(of_library arguments, call arguments);                                                        \
    } while (0)
static void as_the_library_itself(void **state) {
    (void)state;
    void        *library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
    int          version;
    ncclResult_t state_of;
    if (!library) {
        print_message("skipped: no libnccl.so.2 to compare with\n");
        skip();
    }
    const char *(*text_of)(ncclResult_t);
    void *text = in(library, "ncclGetErrorString");
    memcpy(&text_of, &text, sizeof text);
    for (int i = -1; i < 10; i++) assert_string_equal(text_of((ncclResult_t)i), ncclGetErrorString((ncclResult_t)i));
    standin_begin(1);
    SAME(ncclGetVersion, (&version));
    SAME(ncclGetVersion, (NULL));
    SAME(ncclCommGetAsyncError, (NULL, &state_of));
    SAME(ncclCommFinalize, (NULL));
    SAME(ncclCommDestroy, (NULL));
    SAME(ncclCommAbort, (NULL));
    SAME(ncclAllReduce, (NULL, NULL, 1, ncclFloat32, ncclSum, NULL, NULL));
    SAME(ncclBroadcast, (NULL, NULL, 1, ncclFloat32, 0, NULL, NULL));
    assert_clean();
}

int main(int count, char **words) {
    if (count > 1) return play(words[1], count > 2 ? strtod(words[2], NULL) : 30);
    const struct CMUnitTest tests[] = {cmocka_unit_test(comes_out_right),
                                       cmocka_unit_test(in_any_order),
                                       cmocka_unit_test(in_graphs),
                                       cmocka_unit_test(queues_are_apart),
                                       cmocka_unit_test(one_dies),
                                       cmocka_unit_test(one_says_nothing),
                                       cmocka_unit_test(one_calls_something_else),
                                       cmocka_unit_test(gpus_are_named),
                                       cmocka_unit_test(gpus_are_counted),
                                       cmocka_unit_test(what_is_missing),
                                       cmocka_unit_test(what_is_broken),
                                       cmocka_unit_test(as_the_library_itself)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

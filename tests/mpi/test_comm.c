/* test_comm.c -- the communicator between ranks; started by tests/mpi.sh, or by hand with RANK and WORLD_SIZE.
 *
 *   test_comm right [dist.KEY=VALUE ...]   what comes out of every call, in many sizes
 *   test_comm stop|kill|exit|late|abort|other|close|speed ...   the last rank does that while the others wait
 *
 * Rank 0 prints "N passed, N failed"; an error is printed, and ends with exit code 1, as main() does it.
 */
#include "core/config.h"
#include "core/log.h"
#include "core/rng.h"
#include "kernels/bf16.h"
#include "kernels/comm.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t passed, failed;

static void check(const ct_comm *comm, bool right, const char *what, int64_t size) {
    if (right) {
        passed++;
        return;
    }
    if (failed++ < 5)
        fprintf(stderr, "rank %d of %d: %s of %lld is wrong\n", comm->rank, comm->size, what, (long long)size);
}

static ct_arena memory; /* of one test after the other */

static void *room(size_t bytes) {
    void *found = ct_arena_alloc(&memory, bytes + 1, 1);
    if (!found) abort();
    return found;
}

/* ---- arrays */
/* What a rank has in element i: the same on every machine. whole: numbers whose sums are exact */
static float value(int rank, int64_t i, bool whole) {
    const uint64_t x = ((uint64_t)i * 2654435761u + (uint64_t)rank * 40503u) * 0x9e3779b97f4a7c15u >> 40;
    return whole ? (float)(x % 9) - 4 : ((float)x - 8388608.0f) / (float)(1 + (x & 1023));
}

static void put(void *array, ct_dtype dtype, int64_t i, float x) {
    const uint16_t brief = ct_bf16_round(x);
    const double   wide = (double)x / 3;
    if (dtype == CT_F32) memcpy((char *)array + i * 4, &x, 4);
    if (dtype == CT_F64) memcpy((char *)array + i * 8, &wide, 8);
    if (dtype == CT_BF16) memcpy((char *)array + i * 2, &brief, 2);
}

/* The sum as comm.h says it: rank 0's, and 1's, and 2's ... */
static void put_sum(void *array, ct_dtype dtype, int64_t i, int size, bool whole) {
    float  sum = 0;
    double wide = 0;
    for (int rank = 0; rank < size; rank++) {
        const float  x = value(rank, i, whole), brief = ct_bf16_float(ct_bf16_round(x));
        const float  part = dtype == CT_BF16 ? brief : x;
        const double wide_part = (double)x / 3;
        sum = rank ? sum + part : part;
        wide = rank ? wide + wide_part : wide_part;
    }
    if (dtype == CT_F64)
        memcpy((char *)array + i * 8, &wide, 8);
    else
        put(array, dtype, i, sum);
}

static ct_status try_array(ct_comm *comm, ct_collective what, ct_dtype dtype, int64_t count, int64_t unit, bool whole) {
    static const char *const names[] = {"all_reduce", "reduce_scatter", "all_gather"};
    const size_t             element = ct_dtype_size(dtype), bytes = (size_t)count * element;
    void                    *array = room(bytes), *expected = room(bytes);
    int64_t                  first, length, ticket;
    ct_comm_share(count, unit, comm->rank, comm->size, &first, &length);
    for (int64_t i = 0; i < count; i++) put(array, dtype, i, value(comm->rank, i, whole));
    memcpy(expected, array, bytes);
    for (int64_t i = 0; i < count && what == CT_ALL_REDUCE; i++) put_sum(expected, dtype, i, comm->size, whole);
    for (int64_t i = first; i < first + length && what == CT_REDUCE_SCATTER; i++)
        put_sum(expected, dtype, i, comm->size, whole);
    for (int rank = 0; rank < comm->size && what == CT_ALL_GATHER; rank++) {
        int64_t from, n;
        ct_comm_share(count, unit, rank, comm->size, &from, &n);
        for (int64_t i = from; i < from + n; i++) put(expected, dtype, i, value(rank, i, whole));
    }
    const ct_shared shared = {array, count, dtype, unit};
    const int64_t   before = ct_comm_sent(comm);
    CT_TRY(ct_comm_begin(comm, what, &shared, &ticket));
    CT_TRY(ct_comm_wait(comm, ticket));
    check(comm, !memcmp(array, expected, bytes), names[what], count);
    check(comm, ct_comm_sent(comm) - before == ct_comm_bytes(what, &shared, comm->rank, comm->size), "bytes sent",
          count);
    ct_arena_free(&memory);
    return CT_OK;
}

static ct_status try_arrays(ct_comm *comm) {
    static const int64_t sizes[] = {0, 1, 2, 3, 5, 31, 64, 997, 65537, 300007, (1 << 20) + 4099};
    for (size_t s = 0; s < CT_COUNT(sizes); s++)
        for (int what = 0; what <= CT_ALL_GATHER; what++)
            for (int dtype = 0; dtype <= CT_BF16; dtype++)
                for (int64_t unit = 0; unit <= 1000; unit += 500)
                    CT_TRY(try_array(comm, (ct_collective)what, (ct_dtype)dtype, sizes[s], unit, s % 2));
    return CT_OK;
}

/* More calls on the way than the queue holds, while this thread computes something else. */
static ct_status try_many(ct_comm *comm) {
    enum { CALLS = CT_COMM_QUEUE + 44, LENGTH = 5000 };
    float   *arrays = room(sizeof(float) * CALLS * LENGTH);
    int64_t *tickets = room(sizeof(int64_t) * CALLS);
    double   busy = 0;
    bool     right = true;
    for (int c = 0; c < CALLS; c++) {
        float *array = arrays + (size_t)c * LENGTH;
        for (int i = 0; i < LENGTH; i++) array[i] = (float)(comm->rank + c + i % 7);
        CT_TRY(ct_comm_begin(comm, CT_ALL_REDUCE, &(ct_shared){array, LENGTH - c, CT_F32, 0}, &tickets[c]));
        for (int i = 0; i < 2000; i++) busy += (double)array[i] * 0.5;
    }
    CT_TRY(ct_comm_wait(comm, tickets[CALLS - 1]));
    CT_TRY(ct_comm_wait(comm, tickets[3]));
    const int ranks = comm->size * (comm->size - 1) / 2;
    for (int c = 0; c < CALLS; c++)
        for (int i = 0; i < LENGTH - c; i++)
            right = right && arrays[(size_t)c * LENGTH + (size_t)i] == (float)(comm->size * (c + i % 7) + ranks);
    check(comm, right && busy > 0, "many all_reduces", CALLS);
    return CT_OK;
}

/* ---- values */
static ct_status try_values(ct_comm *comm, int64_t count) {
    double  *real = room((size_t)count * 8), *real_expected = room((size_t)count * 8);
    int64_t *whole = room((size_t)count * 8), *whole_expected = room((size_t)count * 8);
    for (int how = 0; how <= CT_REDUCE_MIN; how++) {
        for (int64_t i = 0; i < count; i++) {
            real[i] = (double)value(comm->rank, i, false) / 3;
            whole[i] = (int64_t)value(comm->rank, i, true) * (INT64_C(1) << 40);
            for (int rank = 0; rank < comm->size; rank++) {
                const double  x = (double)value(rank, i, false) / 3;
                const int64_t n = (int64_t)value(rank, i, true) * (INT64_C(1) << 40);
                if (!rank || (how == CT_REDUCE_MAX && x > real_expected[i]) ||
                    (how == CT_REDUCE_MIN && x < real_expected[i]))
                    real_expected[i] = x;
                else if (how == CT_REDUCE_SUM)
                    real_expected[i] += x;
                if (!rank || (how == CT_REDUCE_MAX && n > whole_expected[i]) ||
                    (how == CT_REDUCE_MIN && n < whole_expected[i]))
                    whole_expected[i] = n;
                else if (how == CT_REDUCE_SUM)
                    whole_expected[i] += n;
            }
        }
        CT_TRY(ct_comm_reduce(comm, (ct_reduction)how, real, count));
        CT_TRY(ct_comm_reduce_int(comm, (ct_reduction)how, whole, count));
        check(comm, !memcmp(real, real_expected, (size_t)count * 8), "reduce of doubles", count);
        check(comm, !memcmp(whole, whole_expected, (size_t)count * 8), "reduce of integers", count);
    }
    return CT_OK;
}

static ct_status try_nan(ct_comm *comm) {
    for (int how = CT_REDUCE_MAX; how <= CT_REDUCE_MIN; how++)
        for (int who = 0; who < comm->size; who++) {
            double x = comm->rank == who ? strtod("nan", NULL) : comm->rank;
            CT_TRY(ct_comm_reduce(comm, (ct_reduction)how, &x, 1));
            check(comm, x != x, "NaN that one rank has", who);
        }
    return CT_OK;
}

/* ---- bytes */
static unsigned char byte(int rank, size_t i) {
    return (unsigned char)((i * 2654435761u >> 7) + (size_t)rank * 101);
}

static ct_status try_bytes(ct_comm *comm, size_t bytes) {
    const size_t   n = (size_t)comm->size;
    unsigned char *mine = room(bytes), *all = room(n * bytes);
    bool           right = true;
    for (size_t i = 0; i < bytes; i++) mine[i] = byte(comm->rank, i);
    for (int everyone = 0; everyone < 2; everyone++) {
        memset(all, 0, n * bytes);
        if (everyone)
            CT_TRY(ct_comm_all_gather(comm, mine, bytes, all));
        else
            CT_TRY(ct_comm_gather(comm, mine, bytes, comm->rank ? NULL : all));
        for (int rank = 0; rank < comm->size && (everyone || comm->rank == 0); rank++)
            for (size_t i = 0; i < bytes; i++) right = right && all[(size_t)rank * bytes + i] == byte(rank, i);
        check(comm, right, everyone ? "all_gather of bytes" : "gather of bytes", (int64_t)bytes);
    }
    CT_TRY(ct_comm_broadcast(comm, mine, bytes));
    for (size_t i = 0; i < bytes; i++) right = right && mine[i] == byte(0, i);
    check(comm, right, "broadcast of bytes", (int64_t)bytes);
    return ct_comm_barrier(comm);
}

/* Each rank has another number of them, rank 1 none. */
static ct_status try_parts(ct_comm *comm, size_t bytes) {
    const size_t   own = comm->rank == 1 ? 0 : bytes * (size_t)(comm->rank + 1);
    unsigned char *mine = room(own);
    ct_comm_part  *parts = room((size_t)comm->size * sizeof *parts);
    for (size_t i = 0; i < own; i++) mine[i] = byte(comm->rank, i);
    for (int everyone = 0; everyone < 2; everyone++) {
        bool right = true;
        CT_TRY((everyone ? ct_comm_all_gather_parts : ct_comm_gather_parts)(comm, mine, own, &memory, parts));
        for (int rank = 0; rank < comm->size; rank++) {
            const size_t theirs = !everyone && comm->rank ? 0 : rank == 1 ? 0 : bytes * (size_t)(rank + 1);
            right = right && parts[rank].bytes == theirs;
            for (size_t i = 0; i < theirs && right; i++)
                right = ((unsigned char *)parts[rank].data)[i] == byte(rank, i);
        }
        check(comm, right, "gather of different numbers of bytes", (int64_t)bytes);
    }
    return CT_OK;
}

/* The processor's time while this rank waits for one that comes late, as a share of that. */
static ct_status try_patience(ct_comm *comm) {
    const struct timespec nap = {0, 500000000};
    struct timespec       before, after;
    double                all = 0;
    CT_TRY(ct_comm_barrier(comm));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    if (comm->rank == comm->size - 1) nanosleep(&nap, NULL);
    CT_TRY(ct_comm_barrier(comm));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    all = (double)(after.tv_sec - before.tv_sec) + 1e-9 * (double)(after.tv_nsec - before.tv_nsec);
    CT_TRY(ct_comm_reduce(comm, CT_REDUCE_MAX, &all, 1));
    check(comm, all < 0.15, "processor's milliseconds while it waits for half a second", (int64_t)(all * 1000));
    return CT_OK;
}

static ct_status right(ct_comm *comm) {
    static const size_t  bytes[] = {0, 1, 8, 1000, 65535, 65536, 3000001};
    static const int64_t counts[] = {0, 1, 7, 100, 200000};
    int                  shared[2] = {comm->local_rank, comm->local_size};
    CT_TRY(ct_comm_tell(comm, "a processor"));
    check(comm, shared[0] == comm->rank && shared[1] == comm->size, "local ranks", shared[0]);
    check(comm, (comm->size > 1) == ct_comm_expected(), "what the environment says", comm->size);
    CT_TRY(try_arrays(comm));
    CT_TRY(try_many(comm));
    for (size_t i = 0; i < CT_COUNT(counts); i++) CT_TRY(try_values(comm, counts[i]));
    CT_TRY(try_nan(comm));
    for (size_t i = 0; i < CT_COUNT(bytes); i++) CT_TRY(try_bytes(comm, bytes[i]));
    for (size_t i = 0; i < CT_COUNT(bytes); i++) CT_TRY(try_parts(comm, bytes[i] / 4));
    if (comm->size > 1) CT_TRY(try_patience(comm));
    int64_t sums[2] = {passed, failed};
    CT_TRY(ct_comm_reduce_int(comm, CT_REDUCE_SUM, sums, 2));
    if (comm->rank == 0) printf("%lld passed, %lld failed\n", (long long)sums[0], (long long)sums[1]);
    return sums[1] ? ct_fail(CT_EFAIL, "%lld checks failed", (long long)sums[1]) : CT_OK;
}

/* ---- the last rank does something that it should not */
static ct_status wrong(ct_comm *comm, const char *what) {
    const bool   culprit = comm->rank == comm->size - 1;
    static float array[70000];
    int64_t      ticket;
    for (int i = 0; i < 3; i++) {
        CT_TRY(ct_comm_begin(comm, CT_ALL_REDUCE, &(ct_shared){array, 70000, CT_F32, 0}, &ticket));
        CT_TRY(ct_comm_wait(comm, ticket));
    }
    if (culprit && !strcmp(what, "stop")) raise(SIGSTOP);
    if (culprit && !strcmp(what, "kill")) raise(SIGKILL);
    if (culprit && !strcmp(what, "exit")) _exit(0);
    if (culprit && !strcmp(what, "late")) sleep(5);
    if (culprit && !strcmp(what, "close")) return CT_OK; /* without an error */
    if (culprit && !strcmp(what, "abort")) return ct_fail(CT_EFAIL, "this rank's disk is on fire");
    if (culprit && !strcmp(what, "other")) return ct_comm_barrier(comm);
    CT_TRY(ct_comm_begin(comm, CT_ALL_REDUCE, &(ct_shared){array, 70000, CT_F32, 0}, &ticket));
    CT_TRY(ct_comm_wait(comm, ticket));
    if (!strcmp(what, "other")) return CT_OK;
    return ct_fail(CT_EFAIL, "that worked?");
}

static ct_status speed(ct_comm *comm) {
    static const int64_t counts[] = {1, 1000, 100000, 10000000};
    for (size_t c = 0; c < CT_COUNT(counts); c++) {
        float    *array = room((size_t)counts[c] * 4);
        const int times = counts[c] > 1000000 ? 5 : 200;
        int64_t   ticket = 0;
        memset(array, 0x3f, (size_t)counts[c] * 4);
        CT_TRY(ct_comm_barrier(comm));
        const double begun = ct_seconds();
        for (int i = 0; i < times; i++) {
            CT_TRY(ct_comm_begin(comm, CT_ALL_REDUCE, &(ct_shared){array, counts[c], CT_F32, 0}, &ticket));
            CT_TRY(ct_comm_wait(comm, ticket));
        }
        const double each = (ct_seconds() - begun) / times;
        if (comm->rank == 0)
            printf("%lld floats: %.1f us, %.0f MB/s\n", (long long)counts[c], each * 1e6,
                   (double)counts[c] * 4e-6 / each);
    }
    return CT_OK;
}

typedef struct settings {
    ct_dist_choice dist;
} settings;

static ct_status run(int argc, char **argv) {
    static const ct_key    keys[] = {CT_DIST_KEYS(settings, dist)};
    static const ct_schema schema = {"test", keys, CT_COUNT(keys)};
    settings               read;
    ct_comm               *comm;
    if (argc < 2)
        return ct_fail(CT_EUSAGE, "test_comm right|stop|kill|exit|late|abort|other|close|speed [dist.KEY=VALUE ...]");
    CT_TRY(ct_config_read(&schema, NULL, (const char *const *)argv + 2, (size_t)argc - 2, &memory, &read));
    ct_stop_install();
    CT_TRY(ct_comm_open(&read.dist, &comm));
    ct_status status = !strcmp(argv[1], "right")   ? right(comm)
                       : !strcmp(argv[1], "speed") ? speed(comm)
                                                   : wrong(comm, argv[1]);
    if (status != CT_OK) ct_comm_abort(comm, ct_message());
    const ct_status closed = ct_comm_close(comm);
    ct_arena_free(&memory);
    return status == CT_OK ? closed : status;
}

int main(int argc, char **argv) {
    const ct_status status = run(argc, argv);
    if (status != CT_OK) fprintf(stderr, "cantus: %s\n", ct_message());
    return status == CT_OK ? 0 : status == CT_EUSAGE ? 2 : 1;
}

/* bench_comm.c -- see bench_comm.h. */
#include "train/bench_comm.h"

#include "core/json.h"
#include "core/log.h"
#include "kernels/timing.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 5, MOST_CALLS = 1000, COLLECTIVES = 3 };
static const double      ROUND = 0.03; /* seconds that one should last */
static const char *const names[COLLECTIVES] = {"all_reduce", "reduce_scatter", "all_gather"};

typedef struct row {
    ct_collective what;
    size_t        bytes;
    ct_timing     taken;
    double        rate, bus; /* bytes a second */
} row;

typedef struct bench {
    ct_comm         *comm;
    const ct_device *device;
    ct_arena         arena;
    float           *host;  /* of the largest size */
    void            *array; /* that is sent; on a CPU the same */
    row             *rows;
    size_t           row_count;
    char (*hosts)[64];
    const char *link; /* by which the arrays are sent */
} bench;

/* ---- sizes */
bool ct_bench_comm_size(const char *word, size_t *bytes) {
    static const char units[] = "KMG";
    char             *end;
    if (word[0] < '0' || word[0] > '9') return false;
    errno = 0;
    const unsigned long long n = strtoull(word, &end, 10);
    const char              *unit = *end ? strchr(units, *end) : NULL;
    const int                shift = unit ? 10 * (int)(unit - units + 1) : 0;
    if (unit) end++;
    if (unit && !strncmp(end, "iB", 2)) end += 2;
    if (*end || errno || n > SIZE_MAX >> shift) return false;
    *bytes = (size_t)n << shift;
    return true;
}

static ct_status check_sizes(const size_t *sizes, size_t count) {
    const size_t most = (size_t)1 << 36;
    for (size_t i = 0; i < count; i++)
        if (sizes[i] == 0 || sizes[i] > most || sizes[i] % sizeof(float))
            return ct_fail(CT_EUSAGE, "bench comm: size of %zu bytes: expected a multiple of %zu up to 64 GiB",
                           sizes[i], sizeof(float));
    return CT_OK;
}

double ct_bench_comm_bus(ct_collective what, int ranks, double rate) {
    return rate * (what == CT_ALL_REDUCE ? 2 : 1) * (ranks - 1) / ranks;
}

/* ---- what is right */
enum { MIDDLE = 30, PERIOD = 2 * MIDDLE + 1 }; /* of the numbers; no power of two, so that no share is like another */

static float value_of(int rank, int64_t i) {
    return (float)((i * 7 + rank * 13) % PERIOD - MIDDLE);
}

void ct_bench_comm_fill(int rank, float *array, int64_t count) {
    for (int64_t i = 0; i < count; i++) array[i] = value_of(rank, i);
}

static ct_status compare(const ct_comm *comm, ct_collective what, int64_t i, float found, float expected) {
    uint32_t bits[2];
    memcpy(&bits[0], &found, sizeof found);
    memcpy(&bits[1], &expected, sizeof expected);
    if (bits[0] == bits[1]) return CT_OK;
    return ct_fail(CT_EFAIL,
                   "bench comm: %s on rank %d: element %lld is %.9g, expected %.9g (hint: a link that fails?)",
                   names[what], comm->rank, (long long)i, (double)found, (double)expected);
}

ct_status ct_bench_comm_check(const ct_comm *comm, ct_collective what, const float *array, int64_t count) {
    float sums[PERIOD] = {0};
    for (int rank = 0; rank < comm->size; rank++)
        for (int i = 0; i < PERIOD; i++) sums[i] += value_of(rank, i);
    for (int rank = 0; rank < comm->size; rank++) {
        int64_t first, length;
        ct_comm_share(count, 0, rank, comm->size, &first, &length);
        const bool summed = what == CT_ALL_REDUCE || (what == CT_REDUCE_SCATTER && rank == comm->rank);
        const int  from = what == CT_ALL_GATHER ? rank : comm->rank;
        for (int64_t i = first; i < first + length; i++)
            CT_TRY(compare(comm, what, i, array[i], summed ? sums[i % PERIOD] : value_of(from, i)));
    }
    return CT_OK;
}

/* ---- one collective of one size */
/* `calls` of them, all of which are done when it returns. */
static ct_status call(const bench *b, const row *r, int64_t calls) {
    const ct_shared array = {b->array, (int64_t)(r->bytes / sizeof(float)), CT_F32, 0};
    const bool      apart = ct_device_apart(b->device);
    int64_t         ticket = 0;
    for (int64_t i = 0; i < calls; i++) {
        CT_TRY(apart ? b->device->collective(r->what, &array) : ct_comm_begin(b->comm, r->what, &array, &ticket));
        if (!apart) CT_TRY(ct_comm_wait(b->comm, ticket));
    }
    return apart ? b->device->wait() : CT_OK;
}

/* Between the host's array and the one that is sent, where these are two. */
static ct_status move(const bench *b, void *to, const void *from, size_t bytes) {
    return to == from ? CT_OK : ct_device_copy(b->device, to, from, bytes);
}

static ct_status check(const bench *b, const row *r) {
    const int64_t count = (int64_t)(r->bytes / sizeof(float));
    ct_bench_comm_fill(b->comm->rank, b->host, count);
    CT_TRY(move(b, b->array, b->host, r->bytes));
    CT_TRY(call(b, r, 1));
    CT_TRY(move(b, b->host, b->array, r->bytes));
    return ct_bench_comm_check(b->comm, r->what, b->host, count);
}

/* Seconds of a call, on the slowest rank. None stops alone. */
static ct_status time_round(const bench *b, const row *r, int64_t calls, double *taken) {
    CT_TRY(ct_comm_barrier(b->comm));
    const double began = ct_seconds();
    CT_TRY(call(b, r, calls));
    double most[] = {(ct_seconds() - began) / (double)calls, ct_stop_asked() != 0};
    CT_TRY(ct_comm_reduce(b->comm, CT_REDUCE_MAX, most, CT_COUNT(most)));
    *taken = fmax(most[0], 1e-9);
    if (most[1] > 0 && !ct_stop_asked()) return ct_fail(CT_ESTOP, "stopped: another rank was asked to");
    return ct_stop_check();
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of zeros, which stay what they are. */
static ct_status time_row(const bench *b, row *r) {
    double taken[ROUNDS];
    memset(b->host, 0, r->bytes);
    CT_TRY(move(b, b->array, b->host, r->bytes));
    CT_TRY(time_round(b, r, 1, &taken[0]));
    const int64_t calls = (int64_t)fmin(MOST_CALLS, fmax(1, ROUND / taken[0])); /* the same on all ranks */
    for (int i = 0; i < ROUNDS; i++) CT_TRY(time_round(b, r, calls, &taken[i]));
    qsort(taken, ROUNDS, sizeof *taken, by_size);
    r->taken = (ct_timing){taken[ROUNDS / 2], taken[0], taken[ROUNDS - 1], ROUNDS * calls};
    r->rate = (double)r->bytes / r->taken.median;
    r->bus = ct_bench_comm_bus(r->what, b->comm->size, r->rate);
    return CT_OK;
}

static ct_status make_room(bench *b, const size_t *sizes, size_t count) {
    size_t most = 0;
    for (size_t i = 0; i < count; i++) most = sizes[i] > most ? sizes[i] : most;
    b->array = b->host = ct_arena_alloc(&b->arena, most, 1);
    b->rows = CT_NEW(&b->arena, row, count * COLLECTIVES);
    b->hosts = ct_arena_alloc(&b->arena, (size_t)b->comm->size, sizeof *b->hosts);
    if (!b->host || !b->rows || !b->hosts)
        return ct_fail(CT_ENOMEM, "out of memory: an array of %zu MiB (hint: smaller sizes)", most >> 20);
    return ct_device_apart(b->device) ? b->device->alloc(most, &b->array) : CT_OK;
}

static ct_status open_device(bench *b, const ct_device_choice *choice) {
    CT_TRY(ct_device_open(choice, b->comm, &b->device));
    b->link = b->comm->by;
    return ct_device_apart(b->device) ? b->device->meets_by(&b->link) : CT_OK;
}

static void close_all(bench *b) {
    if (ct_device_apart(b->device)) {
        ct_device_finish(b->device);
        if (b->array && b->array != b->host) b->device->release(b->array);
    }
    ct_device_close(b->device);
    ct_arena_free(&b->arena);
}

static ct_status measure(bench *b, const ct_device_choice *choice, const size_t *sizes, size_t count) {
    ct_progress progress;
    CT_TRY(open_device(b, choice));
    CT_TRY(make_room(b, sizes, count));
    CT_TRY(ct_comm_gather(b->comm, b->comm->host, sizeof *b->hosts, b->hosts));
    ct_progress_begin(&progress, "timing", b->comm->rank ? 0 : (int64_t)(count * COLLECTIVES));
    ct_status status = CT_OK;
    for (int what = 0; what < COLLECTIVES; what++)
        for (size_t i = 0; i < count && status == CT_OK; i++) {
            row *r = &b->rows[b->row_count++];
            *r = (row){.what = (ct_collective)what, .bytes = sizes[i]};
            if (b->comm->rank == 0) ct_progress_at(&progress, (int64_t)b->row_count - 1, names[what]);
            status = check(b, r);
            if (status == CT_OK) status = time_row(b, r);
        }
    ct_progress_end(&progress);
    return status;
}

/* ---- what was found */
static void print_hosts(const bench *b) {
    for (int from = 0, to; from < b->comm->size; from = to + 1) {
        for (to = from; to + 1 < b->comm->size && !strcmp(b->hosts[to + 1], b->hosts[from]); to++) continue;
        if (from == to)
            printf("  rank %d: %s\n", from, b->hosts[from]);
        else
            printf("  ranks %d-%d: %s\n", from, to, b->hosts[from]);
    }
}

static void print(const bench *b) {
    printf("%d ranks by %s, arrays of float in %s\n", b->comm->size, b->comm->by,
           ct_device_apart(b->device) ? "a GPU's memory each" : "memory");
    print_hosts(b);
    if (ct_device_apart(b->device)) printf("  sent by %s; rank 0: %s\n", b->link, ct_device_describe(b->device));
    printf("every result was right on every rank, bit for bit; times are of the slowest rank, the median of %d rounds\n"
           "algorithm: bytes / time; bus: of that 2 (n - 1) / n for all_reduce, (n - 1) / n for the others\n"
           "  %-16s %12s %12s %15s %10s\n",
           ROUNDS, "collective", "bytes", "us a call", "algorithm GB/s", "bus GB/s");
    for (size_t i = 0; i < b->row_count; i++) {
        const row *r = &b->rows[i];
        printf("  %-16s %12zu %12.1f %15.3f %10.3f\n", names[r->what], r->bytes, r->taken.median * 1e6, r->rate / 1e9,
               r->bus / 1e9);
    }
}

static ct_json *row_json(const row *r) {
    ct_json *o = ct_json_new_object();
    ct_json_set(o, "collective", ct_json_new_text(names[r->what]));
    ct_json_set(o, "bytes", ct_json_new_integer((int64_t)r->bytes));
    ct_json_set(o, "calls", ct_json_new_integer(r->taken.calls));
    ct_json_set(o, "seconds", ct_json_new_real(r->taken.median));
    ct_json_set(o, "fastest_seconds", ct_json_new_real(r->taken.least));
    ct_json_set(o, "slowest_seconds", ct_json_new_real(r->taken.most));
    ct_json_set(o, "algorithm_bytes_per_second", ct_json_new_real(r->rate));
    ct_json_set(o, "bus_bytes_per_second", ct_json_new_real(r->bus));
    return o;
}

static ct_json *to_json(const bench *b) {
    ct_json *root = ct_json_new_object(), *hosts = ct_json_new_array(), *rows = ct_json_new_array();
    for (int i = 0; i < b->comm->size; i++)
        ct_json_add(hosts, ct_json_new_text(b->hosts ? b->hosts[i] : b->comm->host));
    for (size_t i = 0; i < b->row_count; i++) ct_json_add(rows, row_json(&b->rows[i]));
    ct_json_set(root, "ranks", ct_json_new_integer(b->comm->size));
    ct_json_set(root, "link", ct_json_new_text(b->link ? b->link : b->comm->by));
    if (b->device) ct_json_set(root, "device", ct_json_new_text(ct_device_describe(b->device)));
    ct_json_set(root, "hosts", hosts);
    ct_json_set(root, "collectives", rows);
    return root;
}

static ct_status tell(const bench *b, bool as_json) {
    if (b->comm->rank > 0) return CT_OK;
    if (as_json) return ct_json_say(to_json(b));
    if (b->comm->size > 1)
        print(b);
    else
        printf("There is one rank (\"%s\", %s), which sends nothing to anybody: start more, with `mpirun -n 4 cantus "
               "bench comm`, srun or torchrun's variables.\n",
               b->comm->by, b->comm->host);
    return CT_OK;
}

ct_status ct_bench_comm_run(const ct_train_config *config, const size_t *sizes, size_t count, bool as_json) {
    static const size_t usual[] = {4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20};
    bench               b = {.row_count = 0};
    CT_TRY(check_sizes(sizes, count));
    if (!count) {
        sizes = usual;
        count = CT_COUNT(usual);
    }
    CT_TRY(ct_comm_open(&config->dist, &b.comm));
    if (b.comm->rank > 0) ct_log_warnings_only();
    ct_status status = b.comm->size > 1 ? measure(&b, &config->on, sizes, count) : CT_OK;
    if (status == CT_OK) status = tell(&b, as_json);
    if (status != CT_OK && status != CT_ESTOP) ct_comm_abort(b.comm, ct_message());
    close_all(&b);
    const ct_status closed = ct_comm_close(b.comm);
    return status == CT_OK ? closed : status;
}

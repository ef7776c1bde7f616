/* flight.c -- see flight.h. */
#include "kernels/flight.h"

#include "core/file.h"
#include "core/json.h"
#include "core/log.h"

#include <dirent.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Seconds from SIGTERM on. mpirun kills what is still there after one. */
static const double MOMENT = 0.3;

typedef struct noted_call {
    int64_t     number, bytes;
    const char *name;
    double      asked, begun, ended; /* 0: not yet */
    bool        well;
} noted_call;

typedef struct noted_op {
    const char *op, *label;
    int         layer;
} noted_op;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the calls */
static noted_call      calls[CT_FLIGHT_CALLS];
static int64_t         call_count;
static noted_op        ops[CT_FLIGHT_OPS];
static uint64_t        op_count;
static struct {
    const char *doing;
    int64_t     step, micro;
} at = {"nothing yet", 0, 0};
static struct {
    char   folder[3072], host[64]; /* folder "": not open */
    int    rank, size;
    double told;    /* to end, as far as it was noticed; 0: not yet */
    bool   written; /* there is a record of this process */
} record;

/* ---- notes */
void ct_flight_op(const char *op, int layer, const char *label) {
    ops[op_count++ % CT_FLIGHT_OPS] = (noted_op){op, label, layer};
}

void ct_flight_at(const char *doing, int64_t step, int64_t micro) {
    at.doing = doing;
    at.step = step;
    at.micro = micro;
}

void ct_flight_call(int64_t number, const char *name, int64_t bytes) {
    const double now = ct_seconds();
    pthread_mutex_lock(&lock);
    calls[number % CT_FLIGHT_CALLS] = (noted_call){number, bytes, name, now, 0, 0, false};
    call_count = number + 1;
    pthread_mutex_unlock(&lock);
}

/* NULL: others have its place. The lock is held. */
static noted_call *find(int64_t number) {
    noted_call *call = &calls[number % CT_FLIGHT_CALLS];
    return number < call_count && call->number == number ? call : NULL;
}

void ct_flight_call_begun(int64_t number) {
    const double now = ct_seconds();
    pthread_mutex_lock(&lock);
    noted_call *call = find(number);
    if (call) call->begun = now;
    pthread_mutex_unlock(&lock);
}

void ct_flight_call_ended(int64_t number, bool well) {
    const double now = ct_seconds();
    pthread_mutex_lock(&lock);
    noted_call *call = find(number);
    if (call) call->ended = now;
    if (call) call->well = well;
    pthread_mutex_unlock(&lock);
}

/* ---- the record */
static void own_path(char *path, size_t room) {
    snprintf(path, room, "%s/flight-%d.json", record.folder, record.rank);
}

static void put_line(ct_writer *w, ct_json *value, const char *before, const char *after) {
    ct_arena    arena = {0};
    const char *text = ct_json_print(value, 0, &arena);
    ct_json_free(value);
    ct_writer_print(w, "%s%s%s", before, text ? text : "null", after);
    ct_arena_free(&arena);
}

static const char *state_of(const noted_call *c) {
    return c->ended > 0 ? (c->well ? "done" : "failed") : c->begun > 0 ? "waiting" : "queued";
}

/* Times are seconds before `now`, as negative numbers. */
static ct_json *call_json(const noted_call *c, double now) {
    ct_json *json = ct_json_new_object();
    ct_json_set(json, "number", ct_json_new_integer(c->number));
    ct_json_set(json, "call", ct_json_new_text(c->name));
    ct_json_set(json, "bytes", ct_json_new_integer(c->bytes));
    ct_json_set(json, "state", ct_json_new_text(state_of(c)));
    ct_json_set(json, "asked", ct_json_new_real(c->asked - now));
    if (c->begun > 0) ct_json_set(json, "begun", ct_json_new_real(c->begun - now));
    if (c->ended > 0) ct_json_set(json, "ended", ct_json_new_real(c->ended - now));
    return json;
}

static void put_calls(ct_writer *w, double now) {
    noted_call copy[CT_FLIGHT_CALLS];
    pthread_mutex_lock(&lock);
    const int64_t end = call_count, first = end > CT_FLIGHT_CALLS ? end - CT_FLIGHT_CALLS : 0;
    memcpy(copy, calls, sizeof copy);
    pthread_mutex_unlock(&lock);
    for (int64_t i = first; i < end; i++)
        put_line(w, call_json(&copy[i % CT_FLIGHT_CALLS], now), i == first ? "\n  " : ",\n  ", "");
}

static void put_ops(ct_writer *w) {
    const uint64_t first = op_count > CT_FLIGHT_OPS ? op_count - CT_FLIGHT_OPS : 0;
    for (uint64_t i = first; i < op_count; i++) {
        const noted_op *op = &ops[i % CT_FLIGHT_OPS];
        ct_json        *json = ct_json_new_object();
        ct_json_set(json, "op", ct_json_new_text(op->op));
        if (op->layer >= 0) ct_json_set(json, "layer", ct_json_new_integer(op->layer));
        ct_json_set(json, "label", ct_json_new_text(op->label));
        put_line(w, json, i == first ? "\n  " : ",\n  ", "");
    }
}

static double time_of_day(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void put_record(ct_writer *w, const char *message) {
    const double now = ct_seconds();
    put_line(w, ct_json_new_text(message), "{\n \"message\": ", ",\n");
    put_line(w, ct_json_new_text(record.host), " \"host\": ", ",\n");
    ct_writer_print(w, " \"rank\": %d,\n \"ranks\": %d,\n \"process\": %ld,\n \"time\": %.6f,\n", record.rank,
                    record.size, (long)getpid(), time_of_day());
    ct_writer_print(w, " \"doing\": \"%s\",\n \"step\": %" PRId64 ",\n \"micro_step\": %" PRId64 ",\n", at.doing,
                    at.step, at.micro);
    ct_writer_print(w, " \"collectives\": [");
    put_calls(w, now);
    ct_writer_print(w, "],\n \"ops\": [");
    put_ops(w);
    ct_writer_print(w, "]\n}\n");
}

/* What stands in ct_message() may be lost. */
static void write_record(const char *message) {
    char      path[4096];
    ct_writer w;
    own_path(path, sizeof path);
    if (!ct_folder_exists(record.folder) || ct_writer_begin(&w, path) != CT_OK) return;
    put_record(&w, message);
    if (ct_writer_commit(&w) == CT_OK) record.written = true;
}

void ct_flight_clear(const char *folder) {
    char path[4096];
    DIR *d = opendir(folder);
    for (const struct dirent *e; d && (e = readdir(d));) {
        if (fnmatch("flight-[0-9]*.json*", e->d_name, 0) != 0) continue; /* or one that was being written */
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        unlink(path);
    }
    if (d) closedir(d);
}

void ct_flight_open(const char *folder, int rank, int size, const char *host) {
    snprintf(record.folder, sizeof record.folder, "%s", folder);
    snprintf(record.host, sizeof record.host, "%s", host);
    record.rank = rank;
    record.size = size;
    record.written = false;
    record.told = 0;
}

ct_status ct_flight_close(ct_status status) {
    char message[3072], path[4096];
    if (!*record.folder) return status;
    own_path(path, sizeof path);
    if (status == CT_OK || status == CT_ESTOP) {
        if (record.written) unlink(path);
    } else {
        snprintf(message, sizeof message, "%s", ct_message());
        write_record(message);
        (void)!ct_fail(status, record.written ? "%s; flight record: %s" : "%s", message, path);
    }
    return status;
}

void ct_flight_waits(void) {
    const double now = ct_seconds();
    if (!*record.folder || record.written || ct_stop_asked() != SIGTERM) return;
    if (record.told <= 0) record.told = now;
    if (now - record.told < MOMENT) return;
    write_record("told to end (signal 15) while it waited for other ranks");
}

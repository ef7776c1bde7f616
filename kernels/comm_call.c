/* comm_call.c -- collective calls made of exchanges; see comm_link.h.
 *
 * A long array is cut into pieces, of each share one at a time: so the scratch memory has one size, whatever the
 * call's. Nothing is owned. Fails: as the link's exchange does, with the name of the call.
 */
#include "kernels/bf16.h"
#include "kernels/comm_link.h"

#include <inttypes.h>
#include <string.h>

enum {
    SCRATCH = 1 << 20,
    LEAST_PIECE = 16 << 10,   /* bytes; shorter ones are all latency */
    LONG_BROADCAST = 64 << 10 /* from here on rank 0 sends each byte once, and the others hand it on */
};

static size_t piece_bytes(int size) {
    const size_t even = SCRATCH / (size_t)size / 64 * 64;
    return even < LEAST_PIECE ? LEAST_PIECE : even;
}

size_t ct_call_scratch(int size) {
    return piece_bytes(size) * (size_t)(size > 2 ? size : 2); /* a sum of bf16 takes two pieces */
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t element_bytes(const ct_call *call) {
    return call->verb <= CT_VERB_ALL_GATHER ? ct_dtype_size(call->dtype) : call->verb == CT_VERB_REDUCE ? 8 : 1;
}

const char *ct_call_verb(const ct_call *call) {
    static const char *const names[CT_VERBS] = {"all_reduce", "reduce_scatter", "all_gather", "reduce",
                                                "barrier",    "broadcast",      "gather",     "gather to all"};
    return names[call->verb];
}

int64_t ct_call_bytes(const ct_call *call) {
    return call->count * (int64_t)element_bytes(call);
}

const char *ct_call_name(const ct_call *call, int64_t number, char *text, size_t room) {
    snprintf(text, room, "%s number %" PRId64 " (%" PRId64 " bytes)", ct_call_verb(call), number, ct_call_bytes(call));
    return text;
}

static void clear(ct_caller *c) {
    memset(c->parcels, 0, (size_t)c->link->size * sizeof *c->parcels);
}

static ct_status exchange(ct_caller *c) {
    return c->link->exchange(c->link, c->parcels, c->mark);
}

/* ---- shares of an array. Piece `number` of a rank's, in bytes of the array. */
typedef struct stretch {
    size_t first, bytes;
} stretch;

static stretch piece_of(const ct_caller *c, const ct_call *call, int rank, int64_t number) {
    const size_t  element = element_bytes(call);
    int64_t       first, length;
    const int64_t most = (int64_t)(piece_bytes(c->link->size) / element_bytes(call)), begin = number * most;
    ct_comm_share(call->count, call->unit, rank, c->link->size, &first, &length);
    const int64_t n = length - begin < most ? length - begin : most;
    return n > 0 ? (stretch){(size_t)(first + begin) * element, (size_t)n * element} : (stretch){0};
}

/* How many the longest share has, which is that of rank 0. */
static int64_t pieces(const ct_caller *c, const ct_call *call) {
    int64_t       first, length;
    const int64_t most = (int64_t)(piece_bytes(c->link->size) / element_bytes(call));
    ct_comm_share(call->count, call->unit, 0, c->link->size, &first, &length);
    return (length + most - 1) / most;
}

static void add_float(float *to, const float *from, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] += from[i];
}

static void add_double(double *to, const double *from, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] += from[i];
}

static void add_bf16(float *to, const uint16_t *from, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] += ct_bf16_float(from[i]);
}

/* The sum of this rank's piece, in its place: of rank 0's, 1's, ... in this order. */
static void sum_piece(ct_caller *c, ct_dtype dtype, char *own, size_t bytes) {
    const size_t n = bytes / ct_dtype_size(dtype), apart = piece_bytes(c->link->size);
    for (int rank = 0; rank < c->link->size; rank++) {
        const void *from = rank == c->link->rank ? own : c->scratch + (size_t)rank * apart;
        void       *sum = c->sum;
        if (rank == 0 && dtype == CT_BF16)
            ct_bf16_widen(from, n, sum);
        else if (rank == 0)
            memcpy(sum, from, bytes);
        else if (dtype == CT_BF16)
            add_bf16(sum, from, n);
        else if (dtype == CT_F64)
            add_double(sum, from, n);
        else
            add_float(sum, from, n);
    }
    if (dtype != CT_BF16) {
        memcpy(own, c->sum, bytes);
        return;
    }
    const float *sum = (const void *)c->sum;
    uint16_t    *to = (void *)own;
    for (size_t i = 0; i < n; i++) to[i] = ct_bf16_round(sum[i]);
}

static ct_status scatter_piece(ct_caller *c, const ct_call *call, int64_t number) {
    char         *array = call->data;
    const stretch own = piece_of(c, call, c->link->rank, number);
    clear(c);
    for (int rank = 0; rank < c->link->size; rank++) {
        const stretch theirs = piece_of(c, call, rank, number);
        ct_parcel    *parcel = &c->parcels[rank];
        if (theirs.bytes) *parcel = (ct_parcel){.out = array + theirs.first, .out_bytes = theirs.bytes};
        if (!own.bytes) continue;
        parcel->in = c->scratch + (size_t)rank * piece_bytes(c->link->size);
        parcel->in_bytes = own.bytes;
    }
    CT_TRY(exchange(c));
    if (own.bytes) sum_piece(c, call->dtype, array + own.first, own.bytes);
    return CT_OK;
}

/* Everywhere what each rank has in its piece. all: also to rank 0, which else has it already. */
static ct_status gather_piece(ct_caller *c, const ct_call *call, int64_t number, bool all) {
    char         *array = call->data;
    const stretch own = piece_of(c, call, c->link->rank, number);
    clear(c);
    for (int rank = 0; rank < c->link->size; rank++) {
        const stretch theirs = piece_of(c, call, rank, number);
        ct_parcel    *parcel = &c->parcels[rank];
        if (own.bytes && (rank || all)) *parcel = (ct_parcel){.out = array + own.first, .out_bytes = own.bytes};
        if (!theirs.bytes || (c->link->rank == 0 && !all)) continue;
        parcel->in = array + theirs.first;
        parcel->in_bytes = theirs.bytes;
    }
    return exchange(c);
}

/* What the exchange just made has sent. */
static void count(ct_caller *c) {
    for (int rank = 0; rank < c->link->size; rank++)
        if (rank != c->link->rank) c->sent += (int64_t)c->parcels[rank].out_bytes;
}

static ct_status shared(ct_caller *c, const ct_call *call) {
    const int64_t n = pieces(c, call);
    for (int64_t i = 0; i < n; i++) {
        if (call->verb != CT_VERB_ALL_GATHER) {
            CT_TRY(scatter_piece(c, call, i));
            count(c);
        }
        if (call->verb != CT_VERB_REDUCE_SCATTER) {
            CT_TRY(gather_piece(c, call, i, true));
            count(c);
        }
    }
    return CT_OK;
}

/* ---- values: everyone gets all of them, and does the same */
static void fold_double(ct_reduction how, double *to, const double *from, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const double a = to[i], b = from[i];
        if (how == CT_REDUCE_SUM)
            to[i] = a + b;
        else if (b != b || (how == CT_REDUCE_MAX ? b > a : b < a))
            to[i] = b;
    }
}

static void fold_int(ct_reduction how, int64_t *to, const int64_t *from, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const int64_t a = to[i], b = from[i];
        if (how == CT_REDUCE_SUM)
            to[i] = (int64_t)((uint64_t)a + (uint64_t)b);
        else if (how == CT_REDUCE_MAX ? b > a : b < a)
            to[i] = b;
    }
}

static ct_status reduce(ct_caller *c, const ct_call *call) {
    const size_t apart = piece_bytes(c->link->size);
    char        *values = call->data;
    for (size_t left = (size_t)call->count * 8, bytes; left; left -= bytes, values += bytes) {
        bytes = smaller(left, apart);
        for (int rank = 0; rank < c->link->size; rank++)
            c->parcels[rank] = (ct_parcel){values, bytes, c->scratch + (size_t)rank * apart, bytes};
        CT_TRY(exchange(c));
        memcpy(c->scratch + (size_t)c->link->rank * apart, values, bytes);
        memcpy(values, c->scratch, bytes);
        for (int rank = 1; rank < c->link->size; rank++) {
            void *from = c->scratch + (size_t)rank * apart, *to = values;
            if (call->integers)
                fold_int(call->how, to, from, bytes / 8);
            else
                fold_double(call->how, to, from, bytes / 8);
        }
    }
    return CT_OK;
}

/* ---- bytes */
static ct_status barrier(ct_caller *c) {
    for (int rank = 0; rank < c->link->size; rank++)
        c->parcels[rank] = (ct_parcel){.out = c->scratch, .in = c->scratch};
    return exchange(c);
}

static ct_status broadcast(ct_caller *c, const ct_call *call) {
    char      *data = call->data;
    const bool root = c->link->rank == 0, brief = call->count < LONG_BROADCAST;
    for (int64_t i = 0; i < (brief ? call->count > 0 : pieces(c, call)); i++) {
        clear(c);
        for (int rank = root ? 1 : 0; rank < (root ? c->link->size : 1); rank++) {
            const stretch part =
                brief ? (stretch){0, (size_t)call->count} : piece_of(c, call, root ? rank : c->link->rank, i);
            if (root && part.bytes) c->parcels[rank] = (ct_parcel){.out = data + part.first, .out_bytes = part.bytes};
            if (!root && part.bytes) c->parcels[rank] = (ct_parcel){.in = data + part.first, .in_bytes = part.bytes};
        }
        CT_TRY(exchange(c));
        if (!brief) CT_TRY(gather_piece(c, call, i, false));
    }
    return CT_OK;
}

static ct_status gather(ct_caller *c, const ct_call *call) {
    const bool all = call->verb == CT_VERB_GATHER_ALL;
    const int  self = c->link->rank;
    char      *mine = call->data;
    size_t     most = (size_t)call->count;
    for (int rank = 0; call->parts && rank < c->link->size; rank++)
        if (call->parts[rank].bytes > most) most = call->parts[rank].bytes;
    if (call->parts && call->count) memmove(call->parts[self].data, mine, (size_t)call->count);
    for (size_t at = 0; at < most; at += CT_LINK_BYTES) {
        clear(c);
        for (int rank = 0; rank < c->link->size; rank++) {
            ct_parcel   *parcel = &c->parcels[rank];
            const size_t theirs = call->parts ? call->parts[rank].bytes : 0;
            if (at < (size_t)call->count && (all || rank == 0)) {
                parcel->out = mine + at;
                parcel->out_bytes = smaller((size_t)call->count - at, CT_LINK_BYTES);
            }
            if (at < theirs) {
                parcel->in = (char *)call->parts[rank].data + at;
                parcel->in_bytes = smaller(theirs - at, CT_LINK_BYTES);
            }
        }
        CT_TRY(exchange(c));
    }
    return CT_OK;
}

ct_status ct_call_run(ct_caller *caller, const ct_call *call, int64_t number) {
    char      name[96];
    ct_status status = CT_OK;
    caller->mark = (uint32_t)((number * CT_VERBS + (int64_t)call->verb) % CT_LINK_MARK);
    if (call->verb <= CT_VERB_ALL_GATHER)
        status = shared(caller, call);
    else if (call->verb == CT_VERB_REDUCE)
        status = reduce(caller, call);
    else if (call->verb == CT_VERB_BARRIER)
        status = barrier(caller);
    else if (call->verb == CT_VERB_BROADCAST)
        status = broadcast(caller, call);
    else
        status = gather(caller, call);
    return ct_context(status, "%s", ct_call_name(call, number, name, sizeof name));
}

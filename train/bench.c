/* bench.c -- see bench.h. */
#include "train/bench.h"

#include "core/config_keys.h"
#include "core/log.h"
#include "train/bench_comm.h"
#include "train/made_up.h"

#include <string.h>

enum { LENGTH = 16, WARM = 2 };          /* of the song, in windows with their memory; steps before anything is timed */
static const double ROUND_OF_STEPS = 30; /* rounds of calls */
static const char   STEP[] = "step", BACKWARD[] = "_backward";

/* ---- words */
/* Does the word stand for the op: is it its name, or that of the op whose gradient it is? */
static bool stands_for(const char *word, ct_op op) {
    const char  *name = ct_op_about(op)->name;
    const size_t n = strlen(word);
    return strncmp(name, word, n) == 0 && (!name[n] || strcmp(name + n, BACKWARD) == 0);
}

bool ct_bench_word(const char *word) {
    bool found = strcmp(word, STEP) == 0;
    for (int op = 0; op < CT_OP_COUNT; op++) found = found || strcmp(word, ct_op_about((ct_op)op)->name) == 0;
    return found;
}

const char *ct_bench_nearest(const char *word) {
    ct_key names[CT_OP_COUNT + 2] = {[CT_OP_COUNT] = {.path = STEP}, {.path = CT_BENCH_COMM}};
    for (int op = 0; op < CT_OP_COUNT; op++) names[op].path = ct_op_about((ct_op)op)->name;
    return ct_keys_nearest(names, CT_COUNT(names), word);
}

static bool wants_op(const ct_bench_choice *c, ct_op op) {
    bool wanted = c->count == 0;
    for (size_t i = 0; i < c->count; i++) wanted = wanted || stands_for(c->words[i], op);
    return wanted;
}

static bool wants_step(const ct_bench_choice *c) {
    bool wanted = c->count == 0;
    for (size_t i = 0; i < c->count; i++) wanted = wanted || strcmp(c->words[i], STEP) == 0;
    return wanted;
}

/* ---- what there is to time */
/* Do two records differ in their layer, and so in their arrays, alone? */
static bool alike(const ct_record *a, const ct_record *b) {
    const ct_op_info *about = ct_op_about(a->op);
    if (a->op != b->op || strcmp(a->label, b->label) != 0) return false;
    for (int i = 0; i < about->field_count; i++) {
        const ct_field *f = &about->fields[i];
        int64_t         size[2];
        const void     *array[2];
        if (f->role == CT_ROLE_SCALAR) continue;
        if (f->role == CT_ROLE_SIZE) {
            memcpy(&size[0], (const char *)&a->params + f->offset, sizeof *size);
            memcpy(&size[1], (const char *)&b->params + f->offset, sizeof *size);
            if (size[0] != size[1]) return false;
            continue;
        }
        memcpy(&array[0], (const char *)&a->params + f->offset, sizeof *array);
        memcpy(&array[1], (const char *)&b->params + f->offset, sizeof *array);
        if (!array[0] != !array[1]) return false;
    }
    return true;
}

static double flops_of(const ct_record *r) {
    return ct_op_about(r->op)->flops(&r->params);
}

static void measure_on_paper(const ct_bench *b, ct_bench_row *row) {
    const ct_record *next = row->pair ? &row->next : NULL;
    row->flops = flops_of(&row->record) + (next ? flops_of(next) : 0);
    row->bytes = next ? ct_record_pair_bytes(&row->record, next) : ct_op_bytes(row->record.op, &row->record.params);
    if (b->card) row->least = ct_gpu_least(b->card, &row->record, next, b->config.on.precision);
}

/* Count it with the row that it is like, or make it one. */
static ct_status add(ct_bench *b, size_t *capacity, const char *list, const ct_record *r, bool pair, int64_t calls) {
    for (size_t i = 0; i < b->row_count; i++) {
        ct_bench_row *row = &b->rows[i];
        if (row->list != list || row->pair != pair || !alike(&row->record, r) || (pair && !alike(&row->next, r + 1)))
            continue;
        row->calls += calls;
        return CT_OK;
    }
    if (!CT_PUSH(&b->arena, b->rows, b->row_count, *capacity)) return CT_ENOMEM;
    ct_bench_row *row = &b->rows[b->row_count++];
    *row = (ct_bench_row){.record = *r, .pair = pair, .list = list, .calls = calls};
    row->kind = ct_op_about(r->op)->name;
    if (pair) {
        row->next = r[1];
        row->kind = ct_arena_printf(&b->arena, "%s + %s", row->kind, ct_op_about(r[1].op)->name);
        if (!row->kind) return CT_ENOMEM;
    }
    measure_on_paper(b, row);
    return CT_OK;
}

static ct_status add_list(ct_bench *b, size_t *capacity, const char *name, const ct_record_list *list, int64_t calls) {
    for (size_t i = 0; i < list->count; i++) {
        const bool pair = ct_records_pair(list, i, b->stepper.network.backend);
        CT_TRY(add(b, capacity, name, &list->at[i], pair, calls));
        if (pair) i++;
    }
    return CT_OK;
}

/* Every op of a step, and what they come to. */
static ct_status find_rows(ct_bench *b) {
    static const char forward[] = "forward", backward[] = "backward", after[] = "after", update[] = "update";
    const ct_network *n = &b->stepper.network;
    size_t            capacity = 0;
    CT_TRY(add_list(b, &capacity, forward, &n->forward, b->config.accumulate));
    CT_TRY(add_list(b, &capacity, backward, &n->backward, b->config.accumulate));
    CT_TRY(add_list(b, &capacity, after, &n->after, b->config.accumulate));
    CT_TRY(add_list(b, &capacity, update, &n->update, 1));
    for (size_t i = 0; i < b->row_count; i++) {
        b->flops += b->rows[i].flops * (double)b->rows[i].calls;
        b->least += b->rows[i].least * (double)b->rows[i].calls;
    }
    b->tokens = n->batch * n->tokens * b->config.accumulate;
    return CT_OK;
}

static bool row_stands_for(const ct_bench_row *row, const char *word) {
    return stands_for(word, row->record.op) || (row->pair && stands_for(word, row->next.op));
}

/* Each word has to be of the step. */
static ct_status check_words(const ct_bench *b, const ct_bench_choice *choice) {
    char   names[1000] = "";
    size_t used = 0;
    for (size_t i = 0; i < b->kind_count && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", b->kinds[i].kind);
    for (size_t w = 0; w < choice->count; w++) {
        bool found = strcmp(choice->words[w], STEP) == 0;
        for (size_t i = 0; i < b->row_count; i++) found = found || row_stands_for(&b->rows[i], choice->words[w]);
        if (!found)
            return ct_fail(CT_EUSAGE, "bench: %s is no op of this config's training step (hint: it has %s)",
                           choice->words[w], names);
    }
    return CT_OK;
}

/* Keep the rows that are wanted. */
static void choose_rows(ct_bench *b, const ct_bench_choice *choice) {
    size_t kept = 0;
    for (size_t i = 0; i < b->row_count; i++) {
        const ct_bench_row *row = &b->rows[i];
        if (wants_op(choice, row->record.op) || (row->pair && wants_op(choice, row->next.op)))
            b->rows[kept++] = b->rows[i];
    }
    b->row_count = kept;
}

/* ---- sums */
static void add_to(ct_bench_sum *sum, const ct_bench_row *row) {
    const double calls = (double)row->calls;
    sum->calls += row->calls;
    sum->seconds += row->taken.median * calls;
    sum->flops += row->flops * calls;
    sum->bytes += row->bytes * calls;
    sum->least += row->least * calls;
}

static ct_status sum_rows(ct_bench *b) {
    if (!b->kinds) b->kinds = CT_NEW(&b->arena, ct_bench_sum, b->row_count);
    if (!b->kinds) return CT_ENOMEM;
    b->kind_count = 0;
    b->all = (ct_bench_sum){.kind = "all"};
    for (size_t i = 0; i < b->row_count; i++) {
        size_t k = 0;
        while (k < b->kind_count && strcmp(b->kinds[k].kind, b->rows[i].kind) != 0) k++;
        if (k == b->kind_count) b->kinds[b->kind_count++] = (ct_bench_sum){.kind = b->rows[i].kind};
        add_to(&b->kinds[k], &b->rows[i]);
        add_to(&b->all, &b->rows[i]);
    }
    return CT_OK;
}

/* ---- timing */
/* Point each result of the record that lies where an input does to a place beside (base NULL: only count). Returns the
 * bytes that they take. */
static size_t set_aside(ct_record *r, char *base) {
    enum { APART = 256 };
    const ct_op_info *about = ct_op_about(r->op);
    size_t            used = 0;
    for (int i = 0; i < about->field_count; i++) {
        const ct_field *out = &about->fields[i];
        const void     *at, *other;
        bool            shared = false;
        if (out->role != CT_ROLE_OUT) continue;
        memcpy(&at, (const char *)&r->params + out->offset, sizeof at);
        for (int k = 0; k < about->field_count && at; k++) {
            memcpy(&other, (const char *)&r->params + about->fields[k].offset, sizeof other);
            shared = shared || (about->fields[k].role == CT_ROLE_IN && other == at);
        }
        if (!shared) continue;
        void *here = base ? base + used : NULL;
        if (here) memcpy((char *)&r->params + out->offset, &here, sizeof here);
        used += ((size_t)out->count(&r->params) * ct_type_size(out->type, r->params.dtype) + APART - 1) / APART * APART;
    }
    return used;
}

static ct_status make_room_beside(ct_bench *b) {
    const ct_device *d = b->stepper.device;
    size_t           most = 0;
    for (size_t i = 0; i < b->row_count; i++) {
        ct_bench_row *row = &b->rows[i];
        const size_t  bytes = set_aside(&row->record, NULL) + (row->pair ? set_aside(&row->next, NULL) : 0);
        if (bytes > most) most = bytes;
    }
    if (!most) return CT_OK;
    if (ct_device_apart(d)) return d->alloc(most, &b->beside);
    b->beside = ct_arena_alloc(&b->arena, most, 1);
    return b->beside ? CT_OK : CT_ENOMEM;
}

typedef struct call_of_row {
    ct_network *network;
    ct_record   record, next;
    bool        pair;
} call_of_row;
static ct_status run_row(void *context) {
    const call_of_row *c = context;
    const ct_call      calls[2] = {{c->record.op, &c->record.params}, {c->next.op, &c->next.params}};
    return ct_check_run(&c->network->check, c->network->backend, calls, c->pair ? 2 : 1);
}

static ct_status time_rows(ct_bench *b, double round, ct_progress *progress) {
    CT_TRY(make_room_beside(b));
    for (size_t i = 0; i < b->row_count; i++) {
        ct_bench_row *row = &b->rows[i];
        call_of_row   call = {&b->stepper.network, row->record, row->next, row->pair};
        const size_t  used = b->beside ? set_aside(&call.record, b->beside) : 0;
        if (b->beside && row->pair) set_aside(&call.next, (char *)b->beside + used);
        ct_progress_at(progress, (int64_t)i, row->kind);
        CT_TRY(ct_time_call(b->stepper.device, round, true, run_row, &call, &row->taken));
    }
    return CT_OK;
}

static ct_status run_step(void *context) {
    return ct_stepper_step(context);
}

static ct_status time_steps(ct_bench *b, double round, ct_progress *progress) {
    ct_stepper *s = &b->stepper;
    const bool  graphs = ct_device_apart(s->device) && s->device->replay && !s->network.eager;
    for (int way = 0; way < (graphs ? CT_BENCH_WAYS : CT_BENCH_GRAPH); way++) {
        s->network.eager = way == CT_BENCH_EAGER;
        ct_progress_at(progress, (int64_t)b->row_count + way, STEP);
        CT_TRY(ct_time_call(s->device, round, false, run_step, s, &b->step[way]));
        CT_TRY(ct_stepper_settle(s));
    }
    return CT_OK;
}

/* Until the memory is full. */
static ct_status warm_up(ct_bench *b) {
    const ct_train_config *c = &b->config;
    const int64_t          batches = WARM + (c->model.memory + c->model.tokens - 1) / c->model.tokens;
    for (int64_t i = 0; i < batches; i += c->accumulate) {
        CT_TRY(ct_stop_check());
        CT_TRY(ct_stepper_step(&b->stepper));
    }
    return ct_stepper_settle(&b->stepper);
}

/* ---- the peer */
static ct_peer_shape peer_shape(const ct_train_config *c) {
    return (ct_peer_shape){c->batch, c->model.tokens, c->model.heads, c->model.width / c->model.heads};
}

static ct_status check_peer(const ct_train_config *c, const ct_bench_choice *choice) {
    const char *where = ct_config_where("peer");
    if (!c->peer) return CT_OK;
    if (c->on.kind != CT_ON_CUDA)
        return ct_fail(CT_EUSAGE, "%s: cuDNN is a GPU's (hint: device=cuda precision=bf16, or peer=none)", where);
    if (c->on.precision != CT_PRECISION_BF16)
        return ct_fail(CT_EUSAGE, "%s: cuDNN's attention is compared with in bf16 (hint: precision=bf16)", where);
    if (!wants_op(choice, CT_OP_attention))
        return ct_fail(CT_EUSAGE, "%s: only attention has one (hint: cantus bench attention peer=cudnn)", where);
    return CT_OK;
}

/* ---- all of it */
static ct_status run(ct_bench *b, const ct_bench_choice *choice) {
    const ct_train_config *c = &b->config;
    const ct_peer_shape    shape = peer_shape(c);
    const char            *by;
    ct_progress            progress;
    CT_TRY(ct_made_up_song(c->model.stage, LENGTH * (c->model.tokens + c->model.memory), &b->songs));
    CT_TRY(ct_stepper_open(c, &b->songs, false, &b->stepper));
    const ct_device *d = b->stepper.device;
    if (ct_device_apart(d)) {
        b->card = ct_gpu_named(ct_device_describe(d));
        if (!b->card) b->card = ct_gpu_at(c->gpu);
    }
    if (c->peer) CT_TRY(ct_context(ct_bench_peer_support(d, &shape, &by), "%s", ct_config_where("peer")));
    CT_TRY(find_rows(b));
    CT_TRY(sum_rows(b));
    CT_TRY(check_words(b, choice));
    choose_rows(b, choice);
    ct_progress_begin(&progress, "timing", (int64_t)b->row_count + CT_BENCH_WAYS);
    ct_status status = warm_up(b);
    if (status == CT_OK) status = time_rows(b, choice->round, &progress);
    if (status == CT_OK && wants_step(choice)) status = time_steps(b, ROUND_OF_STEPS * choice->round, &progress);
    if (status == CT_OK && c->peer) status = ct_bench_peer_run(d, &shape, &b->peer);
    ct_progress_end(&progress);
    return status == CT_OK ? sum_rows(b) : status;
}

ct_status ct_bench_run(const ct_train_config *config, const ct_bench_choice *choice, ct_bench *out) {
    *out = (ct_bench){.config = *config};
    out->config.learning_rate = 0;
    out->config.on.against = 0; /* a second opinion takes longer than what it is of */
    CT_TRY(check_peer(config, choice));
    ct_status status = run(out, choice);
    if (status != CT_OK) ct_bench_free(out);
    return status;
}

void ct_bench_free(ct_bench *b) {
    if (ct_device_apart(b->stepper.device) && b->beside) b->stepper.device->release(b->beside);
    ct_stepper_close(&b->stepper);
    ct_arena_free(&b->songs.arena);
    ct_arena_free(&b->arena);
    *b = (ct_bench){0};
}

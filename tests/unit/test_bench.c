/* What cantus bench is made of: songs that are made up, how a call is timed, the rows of a step and their sums, cards
 * by their names, and a peer that agrees or does not. How long anything takes is not asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/bf16.h"
#include "temp_folder.h"
#include "train/bench.h"
#include "train/bench_comm.h"
#include "train/made_up.h"
#include "train/plan.h"

#include <math.h>
#include <stdlib.h>

static ct_arena     arena;
static const double BRIEF = 1e-6; /* rounds of a call or two */

static int free_arena(void **state) {
    (void)state;
    ct_arena_free(&arena);
    return 0;
}

/* ---- songs */
static void songs_are_what_a_dataset_may_hold(void **state) {
    (void)state;
    enum { ROWS = 1600, WINDOW = 100 };
    for (int stage = 0; stage < CT_STAGES; stage++) {
        ct_dataset d;
        int64_t    segments;
        assert_int_equal(ct_made_up_song(stage, ROWS, &d), CT_OK);
        const ct_stage_data *s = &d.stage[stage];
        assert_true(s->present && s->native && s->npy.rows == ROWS && d.song_count == 1);
        assert_int_equal(s->vocabulary_size, ct_vocabulary_size((ct_stage)stage));
        for (int64_t i = 0; i < ROWS; i++)
            for (int c = 0; c < s->column_count; c++) {
                const int value = ct_dataset_row(&d, stage, i)[c];
                assert_true(s->columns[c].size == 0 || value < s->columns[c].size);
                if (!strcmp(s->columns[c].name, "phase")) assert_true(value <= CT_PHASES_PER_BAR);
            }
        /* a quarter as many segments as rows, half as many where they are most */
        const ct_chord_columns chord = ct_chord_columns_of(s->columns, s->column_count);
        int                    changes = 0;
        for (int64_t i = 1; i < ROWS - ROWS / 16; i++)
            changes += ct_segment_changes(chord, ct_dataset_row(&d, stage, i - 1), ct_dataset_row(&d, stage, i));
        assert_int_equal(changes, (ROWS - ROWS / 16) / 4 - 1);
        assert_int_equal(ct_dataset_stream_segments(&d, stage, WINDOW, &segments), CT_OK);
        assert_true(segments == WINDOW / 2 || segments == WINDOW / 2 + 1); /* one that is cut */
        ct_arena_free(&d.arena);
    }
}

/* ---- a device of this test's own: its memory is the host's, and it counts */
static int calls, waits, launches, fails_at;

static ct_status take(size_t bytes, void **out) {
    *out = calloc(1, bytes + 1);
    return *out ? CT_OK : CT_ENOMEM;
}
static ct_status wait_for(void) {
    waits++;
    return CT_OK;
}
static ct_status move(void *to, const void *from, size_t bytes) {
    memcpy(to, from, bytes);
    return CT_OK;
}
struct ct_graph {
    ct_enqueue enqueue;
};
static ct_status replay(ct_graph **graph, ct_enqueue enqueue, void *context) {
    launches++;
    if (!*graph) *graph = calloc(1, sizeof **graph);
    assert_non_null(*graph);
    (*graph)->enqueue = enqueue;
    return enqueue(context);
}
static void graph_free(ct_graph *graph) {
    free(graph);
}
static ct_device device = {.name = "counting",
                           .alloc = take,
                           .release = free,
                           .transfer = move,
                           .wait = wait_for,
                           .replay = replay,
                           .graph_free = graph_free};

static ct_status call(void *context) {
    *(int *)context += 1;
    calls++;
    return fails_at && calls == fails_at ? ct_fail(CT_EFAIL, "call %d fails", calls) : CT_OK;
}
static ct_timing timed(const ct_device *d, bool graph) {
    ct_timing t;
    int       seen = 0;
    calls = waits = launches = fails_at = 0;
    assert_int_equal(ct_time_call(d, 1e-4, graph, call, &seen, &t), CT_OK);
    assert_int_equal(seen, calls);
    assert_true(0 < t.least && t.least <= t.median && t.median <= t.most && t.calls > 0);
    return t;
}

static void calls_are_timed_in_rounds(void **state) {
    (void)state;
    ct_timing t = timed(ct_device_cpu(), true);
    assert_int_equal(t.calls + 3, calls); /* three before the first round */
    assert_int_equal(launches + waits, 0);
    t = timed(&device, false);
    assert_int_equal(t.calls + 3, calls);
    assert_int_equal(launches, 0);
    assert_int_equal(waits, 3 + 7); /* after each round */
    t = timed(&device, true);
    assert_int_equal(waits, 3 + 7);
    assert_int_equal(t.calls + 2 + 20, calls); /* a graph of twenty, launched once before */
    assert_int_equal(t.calls, 20 * (launches - 1));
    device.replay = NULL; /* where each op is waited for there are no graphs */
    (void)timed(&device, true);
    assert_int_equal(launches, 0);
    device.replay = replay;
}

static void a_call_that_fails_is_told_of(void **state) {
    (void)state;
    for (int at = 1; at < 40; at++) {
        ct_timing t;
        int       seen = 0;
        calls = 0;
        fails_at = at;
        assert_int_equal(ct_time_call(&device, 1, true, call, &seen, &t), CT_EFAIL);
        assert_int_equal(calls, at);
        assert_true(t.calls == 0);
    }
    fails_at = 0;
}

/* ---- words */
static void words_are_ops(void **state) {
    (void)state;
    assert_true(ct_bench_word("attention") && ct_bench_word("attention_backward") && ct_bench_word("sample"));
    assert_true(ct_bench_word("step") && !ct_bench_word("atention") && !ct_bench_word("") && !ct_bench_word("peer=x"));
    assert_string_equal(ct_bench_nearest("atention"), "attention");
    assert_string_equal(ct_bench_nearest("stp"), "step");
    assert_null(ct_bench_nearest("configs/backbone.yaml"));
}

static void cards_by_their_drivers_names(void **state) {
    (void)state;
    static const struct {
        const char *description, *name; /* NULL: none of ours */
    } cases[] = {
        {"NVIDIA H100 80GB HBM3, compute capability 9.0, 79.2 GiB; driver for CUDA 13.0, runtime 13.0", "H100 SXM"},
        {"NVIDIA H200, compute capability 9.0", "H200 SXM"},
        {"NVIDIA A100-SXM4-80GB, compute capability 8.0", "A100 SXM 80 GB"},
        {"NVIDIA B200, compute capability 10.0", "B200"},
        {"NVIDIA GeForce RTX 4090, compute capability 8.9", "RTX 4090"},
        {"NVIDIA H100 PCIe, compute capability 9.0", NULL}, /* slower memory and clocks */
        {"NVIDIA H200 NVL, compute capability 9.0", NULL},
        {"NVIDIA A100-SXM4-40GB, compute capability 8.0", NULL},
        {"NVIDIA GeForce RTX 4090 Laptop GPU, compute capability 8.9", NULL},
        {"NVIDIA H200", NULL},
        {"Emulated GPU, compute capability 9.0", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < CT_COUNT(cases); i++) {
        const ct_gpu *found = ct_gpu_named(cases[i].description);
        if (cases[i].name)
            assert_string_equal(found->name, cases[i].name);
        else
            assert_null(found);
    }
}

/* The longer of what flops take at the op's own rate and bytes at the memory's; of a pair the longest of three. */
static void bounds_by_a_data_sheet(void **state) {
    (void)state;
    static char   x[1], y[1], z[1];
    const ct_gpu *card = ct_gpu_at(2); /* H100 */
    ct_record     product = {
            CT_OP_linear, 0, "up", {.linear = {.rows = 1 << 14, .in = 4096, .out = 4096, .x = x, .w = x, .y = y}}};
    ct_record after = {CT_OP_gelu, 0, "gelu", {.gelu = {.rows = 1 << 14, .width = 4096, .x = y, .y = z}}};
    product.params.dtype = after.params.dtype = CT_BF16;
    const double flops = 2.0 * (1 << 14) * 4096 * 4096, more = 15.0 * (1 << 14) * 4096;
    assert_true(ct_gpu_least(card, &product, NULL, CT_PRECISION_BF16) == flops / card->bf16);
    assert_true(ct_gpu_least(card, &product, NULL, CT_PRECISION_TF32) == flops / card->tf32);
    assert_true(ct_gpu_least(card, &product, NULL, CT_PRECISION_FP32) == flops / card->fp32);
    assert_true(ct_gpu_least(card, &after, NULL, CT_PRECISION_BF16) == 2.0 * 2 * (1 << 14) * 4096 / card->bytes);
    assert_true(more / card->fp32 < flops / card->bf16);
    assert_true(ct_gpu_least(card, &product, &after, CT_PRECISION_BF16) == flops / card->bf16);
    product.params.linear.in = 1;
    const double bytes = 2.0 * ((1 << 14) + 4096 + 2.0 * (1 << 14) * 4096);
    assert_true(ct_gpu_least(card, &product, &after, CT_PRECISION_BF16) == bytes / card->bytes);
    assert_true(ct_gpu_rate(card, CT_OP_attention, CT_PRECISION_BF16) == card->bf16_by_mma);
    assert_true(ct_gpu_rate(card, CT_OP_attention, CT_PRECISION_TF32) == card->fp32);
    assert_null(ct_gpu_at(0));
}

/* ---- a step */
static ct_train_config config_of(const char *stage, const char *more, const char *again) {
    const char     *words[] = {"data.path=/nowhere",
                               "train.out=/nowhere/run",
                               ct_arena_printf(&arena, "model.stage=%s", stage),
                               "model.layers=3",
                               "model.width=16",
                               "model.heads=2",
                               "model.feed_forward=24",
                               "model.tokens=24",
                               "train.batch=2",
                           strcmp(stage, "melody") ? "model.memory=0" : "model.memory=40",
                           more ? more : "train.seed=1",
                           again ? again : "train.seed=1"};
    ct_train_config c;
    if (ct_config_read(&ct_train_schema, NULL, words, CT_COUNT(words), &arena, &c) != CT_OK)
        fail_msg("%s", ct_message());
    return c;
}

static const char *const shapes[][3] = {{"backbone", NULL, NULL},
                                        {"melody", "train.accumulate=3", NULL},
                                        {"melody", "model.harmony.form=mlp", "model.dropout=0"},
                                        {"backbone", "model.harmony.form=off", NULL}};

static double with_update(const ct_bench *b) {
    return ct_records_flops(&b->stepper.network.update);
}

/* Each record of the plan is in a row, once; flops are those of the plan, the update's apart; sums add up. */
static void rows_are_the_step(void **state) {
    (void)state;
    for (size_t i = 0; i < CT_COUNT(shapes); i++) {
        const ct_train_config c = config_of(shapes[i][0], shapes[i][1], shapes[i][2]);
        ct_bench              b;
        ct_plan               plan;
        int64_t               count = 0, in_kinds = 0;
        double                flops = 0, seconds = 0, in_kinds_seconds = 0;
        if (ct_bench_run(&c, &(ct_bench_choice){.round = BRIEF}, &b) != CT_OK) fail_msg("%s", ct_message());
        assert_int_equal(ct_plan_make(&c, false, &plan), CT_OK);
        const ct_network *n = &plan.stepper.network;
        for (size_t r = 0; r < b.row_count; r++) {
            assert_true(b.rows[r].taken.median > 0 && b.rows[r].calls > 0 && !b.rows[r].pair && b.rows[r].least == 0);
            count += b.rows[r].calls;
            flops += (double)b.rows[r].calls * b.rows[r].flops;
            seconds += (double)b.rows[r].calls * b.rows[r].taken.median;
            for (size_t k = 0; k < r; k++)
                assert_false(b.rows[k].list == b.rows[r].list && b.rows[k].record.op == b.rows[r].record.op &&
                             !strcmp(b.rows[k].record.label, b.rows[r].record.label) &&
                             b.rows[k].bytes == b.rows[r].bytes);
        }
        for (size_t k = 0; k < b.kind_count; k++) {
            in_kinds += b.kinds[k].calls;
            in_kinds_seconds += b.kinds[k].seconds;
        }
        assert_int_equal(count, (int64_t)(n->forward.count + n->backward.count + n->after.count) * c.accumulate +
                                    (int64_t)n->update.count);
        assert_int_equal(in_kinds, count);
        assert_int_equal(b.all.calls, count);
        assert_true(fabs(in_kinds_seconds - seconds) <= 1e-9 * seconds && b.all.seconds <= 1.000001 * seconds);
        assert_true(fabs(flops - b.flops) <= 1e-9 * flops && fabs(b.all.flops - flops) <= 1e-9 * flops);
        const double planned = (plan.forward + plan.backward) * (double)c.accumulate + with_update(&b);
        const double apart = c.model.form == CT_FORM_OFF ? 1e-9 : 0.2; /* there is room for a few segments more */
        assert_true(fabs(planned - b.flops) <= apart * planned);
        assert_true(b.step[CT_BENCH_EAGER].median > 0 && !b.step[CT_BENCH_GRAPH].calls && !b.peer.by && !b.card);
        assert_int_equal(b.tokens, 2 * 24 * c.accumulate);
        /* ops that were repeated have spoilt nothing, and no weight has moved */
        assert_int_equal(b.stepper.at.skipped, 0);
        ct_model fresh;
        assert_int_equal(ct_model_create(&c.model, &b.songs.stage[c.model.stage], (uint64_t)c.seed, CT_F32, &fresh),
                         CT_OK);
        assert_memory_equal(fresh.parameters, b.stepper.model.parameters,
                            (size_t)fresh.parameter_count * sizeof(float));
        ct_model_free(&fresh);
        ct_plan_free(&plan);
        ct_bench_free(&b);
    }
}

/* What gelu's backward pass leaves where it would work in place, and how often it was called. */
static void *left_by_gelu(double round, size_t bytes, int64_t *taken) {
    const ct_train_config c = config_of("backbone", NULL, NULL);
    const char *const     op[] = {"gelu"};
    ct_bench              b;
    assert_int_equal(ct_bench_run(&c, &(ct_bench_choice){op, 1, round}, &b), CT_OK);
    assert_int_equal(b.row_count, 2);
    assert_ptr_equal(b.rows[1].record.params.gelu_backward.dx, b.rows[1].record.params.gelu_backward.dy);
    void *left = ct_arena_copy(&arena, b.rows[1].record.params.gelu_backward.dx, bytes);
    assert_non_null(left);
    *taken = b.rows[1].taken.calls;
    ct_bench_free(&b);
    return left;
}

/* An op that would work in place leaves what it read as it was, however often it is called. */
static void repeating_spoils_nothing(void **state) {
    (void)state;
    const size_t bytes = 2 * 24 * 24 * sizeof(float);
    int64_t      few, many = 0;
    void        *once = left_by_gelu(BRIEF, bytes, &few), *often = NULL;
    for (int k = 0; many < 10 * few && k < 8; k++) often = left_by_gelu(1e-3 * (1 << 2 * k), bytes, &many);
    assert_true(few > 0 && many >= 10 * few);
    assert_memory_equal(once, often, bytes);
}

static void words_restrict(void **state) {
    (void)state;
    const ct_train_config c = config_of("backbone", NULL, NULL);
    const char *const two[] = {"attention", "gelu_backward"}, *const step[] = {"step"}, *const none[] = {"sample"};
    ct_bench b;
    assert_int_equal(ct_bench_run(&c, &(ct_bench_choice){two, 2, BRIEF}, &b), CT_OK);
    assert_int_equal(b.row_count, 3);
    assert_string_equal(b.rows[0].kind, "attention");
    assert_string_equal(b.rows[1].kind, "gelu_backward");
    assert_string_equal(b.rows[2].kind, "attention_backward");
    assert_int_equal(b.all.calls, 9);
    assert_true(!b.step[CT_BENCH_EAGER].calls);
    ct_bench_free(&b);
    assert_int_equal(ct_bench_run(&c, &(ct_bench_choice){step, 1, BRIEF}, &b), CT_OK);
    assert_true(b.row_count == 0 && b.step[CT_BENCH_EAGER].calls > 0 && b.flops > 0);
    ct_json *json = ct_bench_json(&b);
    assert_int_equal(ct_json_count(ct_json_get(json, "records")), 0);
    assert_non_null(ct_json_get(ct_json_get(json, "step"), "eager"));
    ct_json_free(json);
    ct_bench_free(&b);
    assert_int_equal(ct_bench_run(&c, &(ct_bench_choice){none, 1, BRIEF}, &b), CT_EUSAGE);
    assert_message_has("sample is no op of this config's training step (hint: it has rows_embed, rotary_rows");
}

static void peers_are_refused_where_they_can_not_be(void **state) {
    (void)state;
    const char *const linear[] = {"linear"};
    ct_bench          b;
    ct_train_config   c = config_of("backbone", "peer=cudnn", NULL);
    assert_int_equal(ct_bench_run(&c, &(ct_bench_choice){.round = BRIEF}, &b), CT_EUSAGE);
    assert_message_has("cuDNN is a GPU's (hint: device=cuda precision=bf16, or peer=none)");
    c.on.kind = CT_ON_CUDA;
    assert_int_equal(ct_bench_run(&c, &(ct_bench_choice){.round = BRIEF}, &b), CT_EUSAGE);
    assert_message_has("(hint: precision=bf16)");
    c.on.precision = CT_PRECISION_BF16;
    assert_int_equal(ct_bench_run(&c, &(ct_bench_choice){linear, 1, BRIEF}, &b), CT_EUSAGE);
    assert_message_has("only attention has one (hint: cantus bench attention peer=cudnn)");
}

/* ---- a peer: q copied, times a factor, stands for attention */
static float own_factor, peer_factor; /* of both ways */
static bool  has_peer;

struct ct_peer {
    ct_op     op;
    ct_params params;
};
static ct_status compute(ct_op op, const ct_params *params, float factor) {
    const ct_attention          *f = &params->attention;
    const ct_attention_backward *b = &params->attention_backward;
    const int64_t                width = f->heads * f->head, rows = f->batch * f->tokens;
    const uint16_t              *qkv = f->qkv;
    uint16_t                    *to = op == CT_OP_attention ? f->y : b->dqkv;
    const int64_t                columns = op == CT_OP_attention ? width : 3 * width;
    if (op == CT_OP_attention_backward) assert_true(b->y && b->lse && b->dy && !b->g && !b->dg && b->cosine);
    assert_true(qkv[0] != qkv[1] && ((const float *)f->cosine)[rows * f->head / 2 - 1] == 1);
    assert_true(((const float *)f->sine)[0] == 0 && f->song[rows - 1] == 0 && f->dropout == 0 && !f->g);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < columns; k++)
            to[i * columns + k] = ct_bf16_round(factor * ct_bf16_float(qkv[i * 3 * width + k]));
    return CT_OK;
}
static ct_status own_forward(const ct_params *params) {
    return compute(CT_OP_attention, params, own_factor);
}
static ct_status own_backward(const ct_params *params) {
    return compute(CT_OP_attention_backward, params, own_factor);
}
static ct_status peer_open(ct_op op, const ct_params *params, ct_peer **out, const char **by) {
    if (!has_peer) return ct_fail(CT_EFAIL, "there is no peer today");
    *by = "a peer";
    if (!out) return CT_OK;
    *out = calloc(1, sizeof **out);
    assert_non_null(*out);
    **out = (ct_peer){op, *params};
    return CT_OK;
}
static ct_status peer_run(void *peer) {
    const ct_peer *p = peer;
    return compute(p->op, &p->params, peer_factor);
}
static void peer_close(ct_peer *peer) {
    free(peer);
}

static void a_peer_agrees_or_does_not(void **state) {
    (void)state;
    static ct_backend backend = {.name = "a test's", .bf16 = true};
    const char       *by;
    ct_bench_peer     p;
    backend.run[CT_OP_attention] = own_forward;
    backend.run[CT_OP_attention_backward] = own_backward;
    device.backend = &backend;
    const ct_peer_shape shape = {2, 9, 3, 8};
    assert_int_equal(ct_bench_peer_support(&device, &shape, &by), CT_EFAIL);
    assert_message_has("the device counting has no peer");
    device.peer_open = peer_open;
    device.peer_run = peer_run;
    device.peer_close = peer_close;
    assert_int_equal(ct_bench_peer_run(&device, &shape, &p), CT_EFAIL);
    assert_message_has("there is no peer today");
    has_peer = true;
    own_factor = peer_factor = 0.5f;
    assert_int_equal(ct_bench_peer_run(&device, &shape, &p), CT_OK);
    assert_string_equal(p.by, "a peer");
    assert_true(ct_bench_peer_alike(&p) && p.way[0].apart == 0 && p.way[1].apart == 0);
    assert_true(p.way[0].flops == 4.0 * 8 * 2 * 3 * 45 && p.way[1].flops == 10.0 * 8 * 2 * 3 * 45);
    for (int way = 0; way < CT_PEER_WAYS; way++)
        assert_true(p.way[way].ours.median > 0 && p.way[way].theirs.median > 0);
    peer_factor = 0.51f; /* by two of a hundred: five units or so */
    assert_int_equal(ct_bench_peer_run(&device, &shape, &p), CT_OK);
    assert_true(ct_bench_peer_alike(&p) && p.way[0].apart > 2);
    peer_factor = 0.6f;
    assert_int_equal(ct_bench_peer_run(&device, &shape, &p), CT_OK);
    assert_false(ct_bench_peer_alike(&p));
    peer_factor = NAN;
    assert_int_equal(ct_bench_peer_run(&device, &shape, &p), CT_OK);
    assert_false(ct_bench_peer_alike(&p));
}

/* ---- collectives between ranks: what is measured by several processes is in tests/e2e/comm.sh */
static void sizes_are_words(void **state) {
    static const struct {
        const char *word;
        size_t      bytes;
        bool        is;
    } cases[] = {{"4096", 4096, true},
                 {"4K", 4096, true},
                 {"64KiB", 65536, true},
                 {"1M", 1 << 20, true},
                 {"2GiB", 2ull << 30, true},
                 {"0", 0, true},
                 {"6", 6, true},
                 {"", 0, false},
                 {"K", 0, false},
                 {"4KB", 0, false},
                 {"4k", 0, false},
                 {"-4", 0, false},
                 {"99999999999999999999", 0, false},
                 {"99999999999999999G", 0, false}};
    (void)state;
    for (size_t i = 0; i < CT_COUNT(cases); i++) {
        size_t bytes = 0;
        assert_int_equal(ct_bench_comm_size(cases[i].word, &bytes), cases[i].is);
        assert_int_equal(bytes, cases[i].bytes);
    }
}

/* What ranks that sum and gather like kernels/comm.h have is right; any other number in any place is not. */
static void wrong_results_are_found(void **state) {
    enum { RANKS = 3, COUNT = 100 };
    float parts[RANKS][COUNT], found[COUNT];
    (void)state;
    for (int rank = 0; rank < RANKS; rank++) ct_bench_comm_fill(rank, parts[rank], COUNT);
    for (int what = 0; what <= CT_ALL_GATHER; what++)
        for (int rank = 0; rank < RANKS; rank++) {
            const ct_comm comm = {.rank = rank, .size = RANKS};
            for (int owner = 0; owner < RANKS; owner++) {
                int64_t first, length;
                ct_comm_share(COUNT, 0, owner, RANKS, &first, &length);
                for (int64_t i = first; i < first + length; i++) {
                    const float sum = parts[0][i] + parts[1][i] + parts[2][i];
                    found[i] = what == CT_ALL_GATHER                    ? parts[owner][i]
                               : what == CT_ALL_REDUCE || owner == rank ? sum
                                                                        : parts[rank][i];
                }
            }
            assert_int_equal(ct_bench_comm_check(&comm, (ct_collective)what, found, COUNT), CT_OK);
            for (int i = 0; i < COUNT; i++) {
                const float right = found[i];
                found[i] = right + 1;
                assert_int_equal(ct_bench_comm_check(&comm, (ct_collective)what, found, COUNT), CT_EFAIL);
                assert_message_has("expected");
                found[i] = right;
            }
        }
}

static void rates_of_the_bus(void **state) {
    (void)state;
    assert_true(ct_bench_comm_bus(CT_ALL_REDUCE, 4, 100) == 150);
    assert_true(ct_bench_comm_bus(CT_REDUCE_SCATTER, 4, 100) == 75);
    assert_true(ct_bench_comm_bus(CT_ALL_GATHER, 2, 100) == 50);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_words),
        cmocka_unit_test(wrong_results_are_found),
        cmocka_unit_test(rates_of_the_bus),
        cmocka_unit_test(songs_are_what_a_dataset_may_hold),
        cmocka_unit_test(calls_are_timed_in_rounds),
        cmocka_unit_test(a_call_that_fails_is_told_of),
        cmocka_unit_test(words_are_ops),
        cmocka_unit_test(cards_by_their_drivers_names),
        cmocka_unit_test(bounds_by_a_data_sheet),
        cmocka_unit_test(rows_are_the_step),
        cmocka_unit_test(repeating_spoils_nothing),
        cmocka_unit_test(words_restrict),
        cmocka_unit_test(peers_are_refused_where_they_can_not_be),
        cmocka_unit_test(a_peer_agrees_or_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, free_arena);
}

/* cmd_bench.c -- `cantus bench [CONFIG] [OP ...]`: what the ops of a training step take, and the step; `cantus bench
 * comm`: what several processes take to tell each other their sums. */
#include "core/command.h"
#include "core/log.h"
#include "kernels/comm.h"
#include "train/bench.h"
#include "train/bench_comm.h"

#include <string.h>
#include <unistd.h>

static const char     *as_json;
static const ct_option options[] = {{"--json", NULL, "print JSON (fields: train/README.md)", &as_json}};

extern const ct_command ct_command_bench;

/* Without a CONFIG: the shipped backbone's shape, which is that of the keys' defaults; where a peer is asked for, where
 * it can be. */
static char *no_config[] = {"model.stage=backbone", "data.path=none", "train.out=none"};
static char *no_config_with_peer[] = {"device=cuda", "precision=bf16"};

static const double ROUND = 0.01; /* seconds */

typedef struct ct_bench_words {
    const char **ops;
    char       **config; /* CONFIG, if there is one, and key=value */
    size_t       op_count;
    int          config_count;
    bool         comm; /* the word for it is there */
    size_t      *sizes;
    size_t       size_count;
} ct_bench_words;

static bool own_word(const char *word) {
    size_t bytes;
    return ct_bench_word(word) || !strcmp(word, CT_BENCH_COMM) || ct_bench_comm_size(word, &bytes);
}

/* A word of `bench comm`; false: it is none. */
static bool take_comm(ct_bench_words *out, const char *word) {
    if (out->comm && ct_bench_comm_size(word, &out->sizes[out->size_count])) {
        out->size_count++;
        return true;
    }
    if (strcmp(word, CT_BENCH_COMM) != 0) return false;
    return out->comm = true;
}

/* A word that is neither an op nor key=value is the CONFIG, if it can be one. */
static ct_status sort_words(int count, char **words, ct_arena *arena, ct_bench_words *out) {
    const size_t most = (size_t)count + CT_COUNT(no_config) + CT_COUNT(no_config_with_peer);
    const char  *path = NULL;
    bool         peer = false;
    *out = (ct_bench_words){.ops = CT_NEW(arena, const char *, (size_t)count), .config = CT_NEW(arena, char *, most)};
    out->sizes = CT_NEW(arena, size_t, (size_t)count);
    if (!out->ops || !out->config || !out->sizes) return CT_ENOMEM;
    for (int i = 0; i < count; i++) {
        if (strchr(words[i], '=')) {
            peer = !strncmp(words[i], "peer=", 5) ? strcmp(words[i] + 5, "none") != 0 : peer;
        } else if (take_comm(out, words[i])) {
            continue;
        } else if (ct_bench_word(words[i])) {
            out->ops[out->op_count++] = words[i];
        } else if (!path && (strpbrk(words[i], "./") || access(words[i], F_OK) == 0)) {
            path = words[i];
            out->config[out->config_count++] = words[i];
        } else {
            if (out->comm)
                return ct_fail(CT_EUSAGE,
                               "bench comm: \"%s\" is neither a config file nor a size (hint: 4096, 64K or 1MiB)",
                               words[i]);
            const char *nearest = ct_bench_nearest(words[i]);
            return ct_fail(CT_EUSAGE, "bench: \"%s\" is neither a config file nor an op (hint: %s%s)", words[i],
                           nearest ? "did you mean " : "cantus bench --help",
                           nearest ? ct_arena_printf(arena, "%s?", nearest) : "");
        }
    }
    for (size_t i = 0; i < CT_COUNT(no_config) && !path; i++) out->config[out->config_count++] = no_config[i];
    for (size_t i = 0; i < CT_COUNT(no_config_with_peer) && !path && peer; i++)
        out->config[out->config_count++] = no_config_with_peer[i];
    for (int i = 0; i < count; i++)
        if (strchr(words[i], '=')) out->config[out->config_count++] = words[i];
    if (out->comm && out->op_count)
        return ct_fail(CT_EUSAGE, "bench: comm times no ops, found %s (hint: one of both)", out->ops[0]);
    return CT_OK;
}

static ct_status tell(const ct_bench *bench) {
    if (as_json)
        CT_TRY(ct_json_say(ct_bench_json(bench)));
    else
        ct_bench_print(bench);
    if (!bench->peer.by || ct_bench_peer_alike(&bench->peer)) return CT_OK;
    return ct_fail(CT_EFAIL,
                   "bench: attention and %s's are apart by %.1f and %.1f units of bf16, at most %d is rounding",
                   bench->peer.by, bench->peer.way[0].apart, bench->peer.way[1].apart, CT_PEER_APART);
}

static ct_status run_ops(const ct_train_config *config, const ct_bench_words *words) {
    ct_bench bench;
    CT_TRY(ct_comm_alone("cantus bench without comm"));
    CT_TRY(ct_bench_run(config, &(ct_bench_choice){words->ops, words->op_count, ROUND}, &bench));
    const ct_status status = tell(&bench);
    ct_bench_free(&bench);
    return status;
}

static ct_status run(int count, char **words) {
    ct_arena        arena = {0};
    ct_bench_words  sorted;
    ct_train_config config;
    ct_stop_install();
    ct_status status = sort_words(count, words, &arena, &sorted);
    if (status == CT_OK)
        status = ct_command_config(&ct_command_bench, sorted.config_count, sorted.config, &arena, &config);
    if (status == CT_OK)
        status = sorted.comm ? ct_bench_comm_run(&config, sorted.sizes, sorted.size_count, as_json != NULL)
                             : run_ops(&config, &sorted);
    ct_arena_free(&arena);
    return status;
}

const ct_command ct_command_bench = {
    .name = "bench",
    .usage = "[CONFIG] [OP ...] [key=value ...] | comm [CONFIG] [SIZE ...] [key=value ...]",
    .summary = "what the ops of a training step take, and the step; what talking takes between processes",
    .details =
        "CONFIG is one of `cantus train`; without one it is the shape of configs/backbone.yaml. Its device and\n"
        "precision count; made-up songs stand for the dataset, and nothing is written. OP restricts to an op, with\n"
        "its gradient (attention, linear, layernorm, ...), or to the whole step (step). Each op is timed by itself:\n"
        "the median of several rounds; GFLOP/s and GB/s are of the flops and bytes that it needs at least. On a GPU\n"
        "whose data sheet is known (or named by gpu=) the share of the bound that follows; the step op by op and as\n"
        "a graph. peer=cudnn times cuDNN's attention beside ours and compares the results.\n\n"
        "comm, started by mpirun or srun, times sums and gathers between the processes, by bytes of the array\n"
        "(4096, 64K, 1M; without SIZE 4 KiB to 64 MiB), and checks what each of them has afterwards.\n",
    .schema = &ct_train_schema,
    .options = options,
    .option_count = CT_COUNT(options),
    .out = "train.out",
    .config_optional = true,
    .own_word = own_word,
    .run = run,
};

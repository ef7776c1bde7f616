/* cmd_bench.c -- `cantus bench [CONFIG] [OP ...]`: what the ops of a training step take, and the step. */
#include "core/command.h"
#include "core/log.h"
#include "train/bench.h"

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
} ct_bench_words;

/* A word that is neither an op nor key=value is the CONFIG, if it can be one. */
static ct_status sort_words(int count, char **words, ct_arena *arena, ct_bench_words *out) {
    const size_t most = (size_t)count + CT_COUNT(no_config) + CT_COUNT(no_config_with_peer);
    const char  *path = NULL;
    bool         peer = false;
    *out = (ct_bench_words){.ops = CT_NEW(arena, const char *, (size_t)count), .config = CT_NEW(arena, char *, most)};
    if (!out->ops || !out->config) return CT_ENOMEM;
    for (int i = 0; i < count; i++) {
        if (strchr(words[i], '=')) {
            peer = !strncmp(words[i], "peer=", 5) ? strcmp(words[i] + 5, "none") != 0 : peer;
        } else if (ct_bench_word(words[i])) {
            out->ops[out->op_count++] = words[i];
        } else if (!path && (strpbrk(words[i], "./") || access(words[i], F_OK) == 0)) {
            path = words[i];
            out->config[out->config_count++] = words[i];
        } else {
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

static ct_status run(int count, char **words) {
    ct_arena        arena = {0};
    ct_bench_words  sorted;
    ct_train_config config;
    ct_bench        bench;
    ct_stop_install();
    ct_status status = sort_words(count, words, &arena, &sorted);
    if (status == CT_OK)
        status = ct_command_config(&ct_command_bench, sorted.config_count, sorted.config, &arena, &config);
    if (status == CT_OK) status = ct_bench_run(&config, &(ct_bench_choice){sorted.ops, sorted.op_count, ROUND}, &bench);
    if (status == CT_OK) {
        status = tell(&bench);
        ct_bench_free(&bench);
    }
    ct_arena_free(&arena);
    return status;
}

const ct_command ct_command_bench = {
    .name = "bench",
    .usage = "[CONFIG] [OP ...] [key=value ...]",
    .summary = "what the ops of a training step take, and the step",
    .details =
        "CONFIG is one of `cantus train`; without one it is the shape of configs/backbone.yaml. Its device and\n"
        "precision count; made-up songs stand for the dataset, and nothing is written. OP restricts to an op, with\n"
        "its gradient (attention, linear, layernorm, ...), or to the whole step (step). Each op is timed by itself:\n"
        "the median of several rounds; GFLOP/s and GB/s are of the flops and bytes that it needs at least. On a GPU\n"
        "whose data sheet is known (or named by gpu=) the share of the bound that follows; the step op by op and as\n"
        "a graph. peer=cudnn times cuDNN's attention beside ours and compares the results.\n",
    .schema = &ct_train_schema,
    .options = options,
    .option_count = CT_COUNT(options),
    .out = "train.out",
    .config_optional = true,
    .own_word = ct_bench_word,
    .run = run,
};

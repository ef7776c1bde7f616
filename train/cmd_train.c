/* cmd_train.c -- `cantus train CONFIG`: its keys and its words. */
#include "core/command.h"
#include "core/fault.h"
#include "core/log.h"
#include "train/scaling.h"
#include "train/train.h"

#include <string.h>

#define KEY(path, kind, fallback, low, high, choices, member, doc)                                                     \
    CT_KEY(ct_train_config, path, kind, fallback, low, high, choices, member, doc)
static const ct_key keys[] = {
    KEY("data.path", TEXT, NULL, 0, 0, NULL, data, "dataset folder, as cantus prepare leaves it"),
    KEY("data.unknown", REAL, "0.25", 0, 1, NULL, unknown,
        "share of windows in which a group of columns is made unknown"),
    KEY("data.transpose", BOOL, "true", 0, 0, NULL, transpose, "each visit of a song in one of the twelve keys"),
    CT_MODEL_KEYS(ct_train_config, model),
    CT_DEVICE_KEYS(ct_train_config, on),
    CT_DIST_KEYS(ct_train_config, dist),
    KEY("dist.bucket", INTEGER, "4096", 1, 1e7, NULL, bucket,
        "of several processes: KiB of gradients that are added up together, while the backward pass goes on"),
    KEY("dist.gradients", CHOICE, "fp32", 0, 0, "fp32|bf16", sent_as,
        "of several processes: gradients are sent as they are, or rounded: half the bytes, and another run"),
    KEY("optimizer.learning_rate", REAL, "1e-3", 1e-9, 10, NULL, learning_rate, "peak"),
    KEY("optimizer.final_share", REAL, "0.1", 0, 1, NULL, final_share, "share of the peak left at the last step"),
    KEY("optimizer.warmup", INTEGER, "100", 0, 1e9, NULL, warmup, "steps of linear warm-up"),
    KEY("optimizer.beta1", REAL, "0.9", 0, 0.9999, NULL, adam.beta1, "AdamW: decay of the first moment"),
    KEY("optimizer.beta2", REAL, "0.98", 0, 0.99999, NULL, adam.beta2, "AdamW: decay of the second moment"),
    KEY("optimizer.epsilon", REAL, "1e-8", 0, 1, NULL, adam.epsilon, "AdamW: added to the root of the second moment"),
    KEY("optimizer.weight_decay", REAL, "0.05", 0, 1, NULL, adam.weight_decay, "AdamW: decoupled decay of matrices"),
    KEY("optimizer.clip", REAL, "1", 0, 1e9, NULL, clip, "largest norm of the gradient, 0: no clipping"),
    KEY("optimizer.shard", BOOL, "false", 0, 0, NULL, shard,
        "of several processes: each keeps the moments of its share of the parameters alone, and updates that (ZeRO-1)"),
    KEY("train.out", TEXT, NULL, 0, 0, NULL, out, "run folder to make"),
    KEY("train.resume", CHOICE, "never", 0, 0, "never|auto", resume, "auto: go on with the run folder if it is there"),
    KEY("train.init", TEXT, "", 0, 0, NULL, init, "run folder or model file to start from (fine-tuning)"),
    KEY("train.seed", INTEGER, "1", 0, 9e15, NULL, seed, "weights, shuffling, dropout"),
    KEY("train.steps", INTEGER, "2000", 1, 1e12, NULL, steps, "updates"),
    KEY("train.minutes", REAL, "0", 0, 1e6, NULL, minutes, "stop after so many minutes, 0: no limit"),
    KEY("train.batch", INTEGER, "8", 1, 65536, NULL, batch, "windows a batch"),
    KEY("train.accumulate", INTEGER, "1", 1, 65536, NULL, accumulate, "batches an update"),
    KEY("train.log_every", INTEGER, "20", 1, 1e9, NULL, log_every, "steps a metrics line"),
    KEY("train.valid_every", INTEGER, "200", 1, 1e9, NULL, valid_every, "steps between validations"),
    KEY("train.save_every", INTEGER, "200", 1, 1e9, NULL, save_every, "steps between checkpoints"),
    KEY("train.keep", INTEGER, "2", 1, 1e9, NULL, keep, "newest checkpoints to keep; older ones are removed"),
    KEY("train.keep_every", INTEGER, "0", 0, 1e12, NULL, keep_every,
        "checkpoints at multiples of so many steps are made and kept for ever, 0: none"),
    KEY("train.background", BOOL, "true", 0, 0, NULL, background,
        "checkpoints are written while training goes on, from a copy of the state (cantus plan tells its size)"),
    KEY("train.patience", INTEGER, "10", 0, 1e9, NULL, patience,
        "stop after so many validations without a better one, 0: never"),
    KEY("train.valid_songs", INTEGER, "0", 0, 1e9, NULL, valid_songs, "songs a validation reads, 0: all of the split"),
    KEY("train.most_skipped", INTEGER, "20", 1, 1e9, NULL, most_skipped,
        "steps with a loss or gradient that is not finite, in a row, that end the run"),
    KEY("train.count_model", INTEGER, "5", 0, 5, NULL, order,
        "compare with Kneser-Ney models of order 3 up to this, and of order 4 with a cache of the song; 0: none"),
    KEY("train.count_songs", INTEGER, "2000", 0, 1e9, NULL, count_songs,
        "training songs that the count models read, spread evenly, 0: all"),
    KEY("train.trace", INTEGER, "0", 0, 1e12, NULL, trace,
        "step of which trace.json in the run folder says what ran when (chrome://tracing, Perfetto); 0: none"),
    KEY("gpu", CHOICE, "none", 0, 0, CT_GPU_WORDS, gpu,
        "of cantus plan: what the run would take on this one; of cantus bench: whose data sheet counts where the "
        "card's is "
        "unknown"),
    KEY("gpus", INTEGER, "0", 0, 65536, NULL, gpus,
        "of cantus plan: also what steps would take on up to so many of these GPUs, an estimate; 0: nothing of it"),
    KEY("net", CHOICE, "400G", 0, 0, CT_NET_WORDS, net,
        "of cantus plan with gpus: bits a second between nodes, of each GPU's own adapter"),
    KEY("peer", CHOICE, "none", 0, 0, "none|cudnn", peer,
        "of cantus bench, on a GPU in bf16: time this library's attention beside ours"),
    KEY("debug.faults", BOOL, "false", 0, 0, NULL, faults, "failures named in CANTUS_FAULT happen (core/fault.h)"),
};
#undef KEY
const ct_schema ct_train_schema = {"train", keys, CT_COUNT(keys)};

static const char     *dry_run;
static const ct_option options[] = {
    {"--dry-run", NULL, "check everything, print the plan (memory, flops, time), make nothing", &dry_run}};

extern const ct_command ct_command_train;

static ct_status run(int count, char **words) {
    ct_arena        arena = {0};
    ct_train_config config;
    ct_stop_install();
    ct_status status = ct_command_config(&ct_command_train, count, words, &arena, &config);
    if (status == CT_OK) status = ct_fault_arm(config.faults);
    while (words[count]) count++; /* for the record: the options, which stand behind the words */
    if (status == CT_OK && dry_run)
        status = ct_train_dry_run(&config);
    else if (status == CT_OK)
        status = ct_train(&config, (const char *const *)words, (size_t)count);
    ct_arena_free(&arena);
    return status;
}

const ct_command ct_command_train = {
    .name = "train",
    .usage = "CONFIG [key=value ...]",
    .summary = "train one stage on a dataset",
    .details = "Leaves a run folder with the resolved config, provenance, metrics (JSONL, CSV) and checkpoints.\n"
               "Ctrl-C, SIGTERM and SIGUSR1 save at the next step; train.resume=auto goes on from there,\n"
               "with the same model.*, optimizer.*, seed and batch; a second Ctrl-C stops at once.\n"
               "A config may rest on others (base: FILE) and stand for many runs (matrix: {key: [value, ...]}).\n",
    .schema = &ct_train_schema,
    .options = options,
    .option_count = CT_COUNT(options),
    .out = "train.out",
    .run = run,
};

/* cmd_evaluate.c -- `cantus evaluate CONFIG`: trained models and count models on the same held-out songs. */
#include "core/command.h"
#include "core/log.h"
#include "infer/evaluate.h"
#include "kernels/comm.h"

#define KEY(path, kind, fallback, low, high, choices, member, doc)                                                     \
    CT_KEY(ct_evaluate_config, path, kind, fallback, low, high, choices, member, doc)
static const ct_key keys[] = {
    KEY("data.path", TEXT, NULL, 0, 0, NULL, data, "dataset folder, as cantus prepare leaves it"),
    KEY("data.split", CHOICE, "valid", 0, 0, "train|valid|test", split, "songs to evaluate on"),
    KEY("data.songs", INTEGER, "0", 0, 1e9, NULL, songs, "read so many songs of the split, 0: all"),
    KEY("models.backbone", TEXT, "", 0, 0, NULL, model[0], "run folder or model file of stage 1; none: not evaluated"),
    KEY("models.melody", TEXT, "", 0, 0, NULL, model[1], "run folder or model file of stage 2; none: not evaluated"),
    CT_DEVICE_KEYS(ct_evaluate_config, on),
    KEY("batch", INTEGER, "8", 1, 65536, NULL, batch, "songs read side by side"),
    KEY("unknown", BOOL, "true", 0, 0, NULL, unknown,
        "also with each group of columns unknown: rhythm, section, key, next chord, bars left"),
    KEY("counts.order", INTEGER, "5", 0, 5, NULL, most_order,
        "compare with Kneser-Ney models of order 3 up to this, and of order 4 with a cache of the song; 0: none"),
    KEY("counts.songs", INTEGER, "2000", 0, 1e9, NULL, count_songs,
        "training songs that the count models read, spread evenly, 0: all"),
    KEY("interval.samples", INTEGER, "1000", 0, 1e6, NULL, samples, "bootstrap samples of songs, 0: no intervals"),
    KEY("interval.seed", INTEGER, "1", 0, 9e15, NULL, seed, "of those samples"),
};
#undef KEY
const ct_schema ct_evaluate_schema = {"evaluate", keys, CT_COUNT(keys)};

static const char     *as_json;
static const ct_option options[] = {{"--json", NULL, "print JSON (fields: models/README.md)", &as_json}};

extern const ct_command ct_command_evaluate;

static ct_status run(int count, char **words) {
    ct_arena           arena = {0};
    ct_evaluate_config config;
    ct_stop_install();
    CT_TRY(ct_comm_alone("cantus evaluate"));
    ct_status status = ct_command_config(&ct_command_evaluate, count, words, &arena, &config);
    if (status == CT_OK) status = ct_evaluate(&config, as_json != NULL);
    ct_arena_free(&arena);
    return status;
}

const ct_command ct_command_evaluate = {
    .name = "evaluate",
    .usage = "CONFIG [key=value ...]",
    .summary = "held-out loss of trained models beside count models",
    .details =
        "Nats a token by kind of token, with 95 % intervals over songs; models that only count, and copy what the\n"
        "song has said, stand beside. Without models.* the count models alone.\n",
    .schema = &ct_evaluate_schema,
    .options = options,
    .option_count = CT_COUNT(options),
    .run = run,
};

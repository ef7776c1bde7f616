/* cmd_generate.c -- `cantus generate CONFIG`: its keys and its words. */
#include "core/command.h"
#include "core/fault.h"
#include "core/log.h"
#include "infer/generate.h"

#define KEY(path, kind, fallback, low, high, member, doc)                                                              \
    CT_KEY(ct_generate_config, path, kind, fallback, low, high, NULL, member, doc)
static const ct_key keys[] = {
    KEY("models.backbone", TEXT, "", 0, 0, backbone,
        "run folder or model file of stage 1; none, with lead: stage 2 alone sings over the sheet"),
    KEY("models.melody", TEXT, NULL, 0, 0, melody, "run folder or model file of stage 2"),
    KEY("output", TEXT, NULL, 0, 0, output, "folder to make"),
    KEY("count", INTEGER, "4", 1, 1e6, count, "pieces"),
    KEY("seed", INTEGER, "1", 0, 9e15, seed, "of the first piece; the others count on from it"),
    KEY("bars", INTEGER, "32", 0, 512, bars, "length, a pickup included; 0: the model decides"),
    KEY("key", TEXT, "", 0, 0, key, "C, F#m, Bb:min, ...; none: the model decides"),
    KEY("tempo", REAL, "0", 0, 240, tempo, "beats a minute, 30 to 240; 0: the model decides"),
    KEY("meter", TEXT, "", 0, 0, meter, "4/4, 3/4, 6/8, ...; none: the model decides"),
    KEY("lead", TEXT, "", 0, 0, lead, "lead sheet whose chords are kept (and what else it says)"),
    KEY("primer", TEXT, "", 0, 0, primer, "MIDI file whose first bars begin every piece"),
    KEY("primer_bars", INTEGER, "4", 1, 512, primer_bars, "how many bars of the primer"),
    KEY("batch", INTEGER, "16", 1, 4096, batch, "pieces written side by side; their bytes do not depend on it"),
    CT_DEVICE_KEYS(ct_generate_config, on),
    CT_DIST_KEYS(ct_generate_config, dist),
    KEY("backbone.temperature", REAL, "0.9", 0, 10, sampling[0].temperature, "stage 1: 0 takes the likeliest token"),
    KEY("backbone.top_p", REAL, "0.95", 0, 1, sampling[0].top_p, "stage 1: keep the likeliest tokens of this mass"),
    KEY("backbone.top_k", INTEGER, "0", 0, 65535, sampling[0].top_k, "stage 1: keep so many tokens, 0: all"),
    KEY("melody.temperature", REAL, "0.95", 0, 10, sampling[1].temperature, "stage 2: 0 takes the likeliest token"),
    KEY("melody.top_p", REAL, "0.95", 0, 1, sampling[1].top_p, "stage 2: keep the likeliest tokens of this mass"),
    KEY("melody.top_k", INTEGER, "0", 0, 65535, sampling[1].top_k, "stage 2: keep so many tokens, 0: all"),
    KEY("accept.chords", INTEGER, "0", 0, 1000, least_chords,
        "write a piece with fewer different chords anew (another seed, named in the manifest)"),
    KEY("accept.notes", INTEGER, "0", 0, 1e6, least_notes, "write a piece with fewer melody notes anew"),
    KEY("accept.attempts", INTEGER, "8", 1, 1000, attempts, "tries; the last one stands"),
    KEY("debug.faults", BOOL, "false", 0, 0, faults, "failures named in CANTUS_FAULT happen (core/fault.h)"),
};
#undef KEY
const ct_schema ct_generate_schema = {"generate", keys, CT_COUNT(keys)};

extern const ct_command ct_command_generate;

static ct_status run(int count, char **words) {
    ct_arena           arena = {0};
    ct_generate_config config;
    ct_stop_install();
    ct_status status = ct_command_config(&ct_command_generate, count, words, &arena, &config);
    if (status == CT_OK) status = ct_fault_arm(config.faults);
    if (status == CT_OK) status = ct_generate(&config);
    ct_arena_free(&arena);
    return status;
}

const ct_command ct_command_generate = {
    .name = "generate",
    .usage = "CONFIG [key=value ...]",
    .summary = "write new pieces with two trained models",
    .details = "Leaves a MIDI file and a lead sheet for each piece, and manifest.jsonl.\n",
    .schema = &ct_generate_schema,
    .run = run,
};

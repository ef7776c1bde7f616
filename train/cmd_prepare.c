/* cmd_prepare.c -- `cantus prepare CONFIG`: its keys and its words. */
#include "core/command.h"
#include "core/fault.h"
#include "core/log.h"
#include "kernels/comm.h"
#include "train/prepare.h"

#define KEY(path, kind, fallback, low, high, member, doc)                                                              \
    CT_KEY(ct_prepare_config, path, kind, fallback, low, high, NULL, member, doc)
static const ct_key keys[] = {
    KEY("input", TEXT, NULL, 0, 0, input, "folder of MIDI files, searched through all its folders"),
    KEY("output", TEXT, NULL, 0, 0, output, "dataset folder to make"),
    KEY("overwrite", BOOL, "false", 0, 0, overwrite, "replace a dataset that is there"),
    KEY("workers", INTEGER, "0", 0, 256, workers,
        "processes that read files, 0: one a core; the bytes are the same for any number"),
    KEY("seed", INTEGER, "1", 0, 9e15, seed, "decides which songs fall into which split"),
    KEY("split.valid", REAL, "0.1", 0, 0.9, valid, "share of the songs held out for validation"),
    KEY("split.test", REAL, "0", 0, 0.9, test, "share of the songs held out for tests"),
    CT_KEY(ct_prepare_config, "source.annotations", CHOICE, "off", 0, 0, "off|pop909", annotations,
           "pop909: beats, chords, keys and phrases are taken from the files that lie beside each NNN.mid, not heard"),
    KEY("analysis.track_names", BOOL, "true", 0, 0, track_names,
        "let names such as Melody or Vocal decide which track sings"),
    KEY("duplicates.share", REAL, "0.2", 0, 1, duplicates_share,
        "songs that share more of their melody (its interval 8-grams) lie in one split; 0: not looked for"),
    CT_KEY(ct_prepare_config, "duplicates.keep", CHOICE, "all", 0, 0, "all|first", duplicates_keep,
           "first: a song like one that is used already, in the order of names, is left out"),
    KEY("filter.least_notes", INTEGER, "16", 1, 1e6, filter.least_notes,
        "melody notes of a song that has a melody; least_pitches=1 asks for one"),
    KEY("filter.least_bars", INTEGER, "4", 1, 1e6, filter.least_bars, "bars a song must have"),
    KEY("filter.most_bars", INTEGER, "0", 0, 1e6, filter.most_bars, "bars a song may have; 0: any number"),
    KEY("filter.most_minutes", REAL, "0", 0, 1e6, filter.most_minutes, "minutes a song may last; 0: any"),
    KEY("filter.least_pitches", INTEGER, "0", 0, 128, filter.least_pitches, "different pitches of the melody"),
    KEY("filter.least_melody", REAL, "0", 0, 1, filter.least_melody, "share of the bars in which a melody note starts"),
    KEY("filter.least_harmony", REAL, "0", 0, 1, filter.least_harmony, "share of the time that has a chord"),
    KEY("filter.least_chords", INTEGER, "0", 0, 192, filter.least_chords, "different chords, by root and quality"),
    KEY("filter.least_grid", REAL, "0", 0, 1, filter.least_grid,
        "share of the onsets near a sixteenth or triplet; by chance 0.375"),
    KEY("filter.least_tempo", REAL, "0", 0, 1e6, filter.least_tempo, "beats a minute, over the whole song"),
    KEY("filter.most_tempo", REAL, "0", 0, 1e6, filter.most_tempo, "beats a minute, over the whole song; 0: any"),
    KEY("filter.metres", TEXT, "", 0, 0, filter.metres, "metres that may occur, such as \"4/4 3/4\"; empty: all"),
    KEY("limit.seconds", INTEGER, "60", 1, 86400, most_seconds, "longest time for one file"),
    KEY("limit.megabytes", INTEGER, "2048", 16, 1048576, most_megabytes, "most memory for one file"),
    KEY("debug.faults", BOOL, "false", 0, 0, faults, "failures named in CANTUS_FAULT happen (core/fault.h)"),
};
#undef KEY
const ct_schema ct_prepare_schema = {"prepare", keys, CT_COUNT(keys)};

extern const ct_command ct_command_prepare;

static ct_status run(int count, char **words) {
    ct_arena          arena = {0};
    ct_prepare_config config;
    ct_stop_install();
    CT_TRY(ct_comm_alone("cantus prepare"));
    ct_status status = ct_command_config(&ct_command_prepare, count, words, &arena, &config);
    if (status == CT_OK) status = ct_fault_arm(config.faults);
    if (status == CT_OK) status = ct_prepare(&config);
    ct_arena_free(&arena);
    return status;
}

const ct_command ct_command_prepare = {
    .name = "prepare",
    .usage = "CONFIG [key=value ...]",
    .summary = "turn a folder of MIDI files into a dataset",
    .details = "Every file is named in outcomes.tsv of the dataset: used, used with warnings, or left out, and why.\n"
               "Songs that share their melody are listed in groups.tsv, and lie in one split.\n",
    .schema = &ct_prepare_schema,
    .run = run,
};

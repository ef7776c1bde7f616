/* cmd_inspect.c -- `cantus inspect FILE`: what is in a MIDI file, dataset, run folder, model or lead sheet. */
#include "core/command.h"
#include "core/file.h"
#include "core/log.h"
#include "core/music/analyse.h"
#include "core/music/leadsheet.h"
#include "models/checkpoints.h"
#include "models/model.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static ct_status print_sheet(const ct_sheet *sheet, ct_arena *arena) {
    const char **lines;
    size_t       count;
    char        *text = ct_sheet_print(sheet, arena);
    if (!text) return CT_ENOMEM;
    printf("%s", text);
    CT_TRY(ct_sheet_reductions(sheet, arena, &lines, &count));
    for (size_t i = 0; i < count; i++) printf("# %s\n", lines[i]);
    return CT_OK;
}

static ct_status inspect_sheet(const char *path, ct_arena *arena) {
    ct_bytes bytes;
    ct_sheet sheet;
    CT_TRY(ct_file_read(path, CT_SHEET_BYTES_MAX, arena, &bytes));
    CT_TRY(ct_sheet_parse(path, (const char *)bytes.at, bytes.count, arena, &sheet));
    printf("# lead sheet: %d bars, %d sections, %d chord changes\n", sheet.bar_count, sheet.section_count,
           sheet.chord_count);
    return print_sheet(&sheet, arena);
}

static ct_status inspect_midi(const char *path, ct_arena *arena) {
    ct_bytes           bytes;
    ct_midi            midi;
    ct_piece           piece;
    ct_analysis        info;
    ct_sheet           sheet;
    ct_analyse_options options = ct_analyse_defaults();
    CT_TRY(ct_file_read(path, 64 << 20, arena, &bytes));
    CT_TRY(ct_context(ct_midi_read(bytes.at, bytes.count, arena, &midi), "%s", path));
    printf("# MIDI file: %zu bytes, %d ticks a quarter, %zu tracks, %zu notes, %zu tempo, %zu metre, %zu key events, "
           "%zu markers\n",
           bytes.count, midi.ppq, midi.track_count, midi.note_count, midi.tempos.count, midi.metres.count,
           midi.keys.count, midi.markers.count);
    if (*midi.repairs) printf("# repaired: %s\n", midi.repairs);
    for (size_t t = 0; t < midi.track_count; t++) {
        size_t notes = 0;
        for (size_t i = 0; i < midi.note_count; i++) notes += midi.notes[i].track == t;
        if (notes)
            printf("# track %zu: %s%s%zu notes\n", t, midi.tracks[t].name, *midi.tracks[t].name ? ", " : "", notes);
    }
    if (ct_sheet_from_midi(&midi, arena, &sheet) == CT_OK) {
        printf("# lead sheet, from its markers:\n");
        return print_sheet(&sheet, arena);
    }
    if (ct_analyse(&midi, &options, arena, &piece, &info) != CT_OK) {
        printf("# can't be used for training: %s\n", ct_message());
        return CT_OK;
    }
    for (size_t i = 0; i < info.warning_count; i++) printf("# warning: %s\n", info.warnings[i]);
    printf("# melody: %d notes, %s", piece.melody_count, info.melody_track < 0 ? "chosen from all tracks" : "track ");
    if (info.melody_track >= 0) printf("%d", info.melody_track);
    printf("; lead sheet, by analysis:\n");
    CT_TRY(ct_sheet_from_piece(&piece, arena, &sheet));
    return print_sheet(&sheet, arena);
}

static ct_status inspect_dataset(const char *path) {
    ct_dataset d;
    CT_TRY(ct_dataset_open(path, &d));
    int64_t songs[CT_SPLITS] = {0};
    for (int64_t i = 0; i < d.song_count; i++) songs[d.songs[i].split]++;
    printf("dataset of format %d: %lld songs (train %lld, valid %lld, test %lld), sha256 %.16s...\n", CT_FORMAT_VERSION,
           (long long)d.song_count, (long long)songs[0], (long long)songs[1], (long long)songs[2], d.hash);
    for (int s = 0; s < CT_STAGES; s++) {
        const ct_stage_data *stage = &d.stage[s];
        if (!stage->present) continue;
        printf("%s: %lld rows of %d columns, vocabulary %d%s, at most %lld harmonic segments in 1,024 rows\n",
               ct_stage_names[s], (long long)stage->npy.rows, stage->column_count, stage->vocabulary_size,
               stage->native ? "" : " (not this program's own: no grammar, no transposition)",
               (long long)ct_dataset_segments(&d, s, 1024));
        printf("  columns:");
        for (int c = 0; c < stage->column_count; c++) printf(" %s", stage->columns[c].name);
        printf("\n");
    }
    ct_dataset_close(&d);
    return CT_OK;
}

static ct_status inspect_model(const char *path) {
    ct_model m;
    CT_TRY(ct_model_load(path, CT_F32, &m));
    const ct_model_config *c = &m.config;
    printf("%s: %s model, %lld parameters in %lld tensors\n", path, ct_stage_names[c->stage],
           (long long)m.parameter_count, (long long)m.tensor_count);
    printf(
        "layers %lld, width %lld, heads %lld, feed-forward %lld, window %lld, memory %lld, vocabulary %d, columns %d\n",
        (long long)c->layers, (long long)c->width, (long long)c->heads, (long long)c->feed_forward,
        (long long)c->tokens, (long long)c->memory, m.vocabulary_size, m.column_count);
    for (int64_t i = 0; i < m.tensor_count; i++) {
        printf("  %-32s", m.tensors[i].name);
        for (int d = 0; d < m.tensors[i].dimensions; d++)
            printf("%s%lld", d ? " x " : " ", (long long)m.tensors[i].shape[d]);
        printf("\n");
    }
    ct_model_free(&m);
    return CT_OK;
}

static bool ends_in(const char *text, const char *end) {
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcasecmp(text + n - k, end) == 0;
}

static ct_status inspect_folder(const char *path) {
    char file[4200];
    snprintf(file, sizeof file, "%s/dataset.json", path);
    if (ct_file_exists(file)) return inspect_dataset(path);
    snprintf(file, sizeof file, "%s/model.safetensors", path);
    if (ct_file_exists(file)) return inspect_model(file);
    if (ct_model_find(path, file, sizeof file) == CT_OK) return inspect_model(file);
    return ct_fail(CT_EFAIL, "%s: neither a dataset (dataset.json), nor a run folder, nor a checkpoint", path);
}

static ct_status run(int count, char **words) {
    if (count != 1) return ct_fail(CT_EUSAGE, "inspect: expected one file or folder (usage: cantus inspect FILE)");
    const char *path = words[0];
    ct_arena    arena = {.cap = (size_t)2 << 30};
    ct_status   status;
    if (ct_folder_exists(path))
        status = inspect_folder(path);
    else if (ends_in(path, ".safetensors"))
        status = inspect_model(path);
    else if (ends_in(path, ".txt"))
        status = inspect_sheet(path, &arena);
    else
        status = inspect_midi(path, &arena);
    ct_arena_free(&arena);
    return status;
}

const ct_command ct_command_inspect = {
    .name = "inspect",
    .usage = "FILE",
    .summary = "what is in a MIDI file, lead sheet (.txt), dataset, run folder or model",
    .details = "A MIDI file's lead sheet is read from its markers, or else found by analysis; lines that begin with # "
               "are remarks,\n"
               "so that what it prints is a lead sheet again.\n",
    .run = run,
};

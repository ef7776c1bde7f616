/* cmd_inspect.c -- `cantus inspect FILE`: what is in a MIDI file, dataset, run folder, model or lead sheet. */
#include "core/command.h"
#include "core/file.h"
#include "core/log.h"
#include "core/music/analyse.h"
#include "core/music/leadsheet.h"
#include "core/music/percussion.h"
#include "infer/inspect_json.h"
#include "infer/summary.h"
#include "models/checkpoints.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char     *as_json;
static const ct_option options[] = {{"--json", NULL, "print JSON (fields: infer/README.md)", &as_json}};

/* Print what was found, with what it is, and free it. */
static ct_status print_json(const char *kind, ct_json *facts, const char *path) {
    ct_json *root = ct_json_new_object();
    ct_json_set(root, "path", ct_json_new_text(path));
    ct_json_set(root, "kind", ct_json_new_text(kind));
    ct_json_set(root, kind, facts);
    return ct_json_say(root);
}

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
    if (as_json) return print_json("lead_sheet", ct_sheet_json(&sheet), path);
    printf("# lead sheet: %d bars, %d sections, %d chord changes\n", sheet.bar_count, sheet.section_count,
           sheet.chord_count);
    return print_sheet(&sheet, arena);
}

/* A file that the reader has taken: its lead sheet, from its markers or by analysis. */
typedef struct ct_heard {
    bool        from_markers, usable; /* neither: can't be used, `reason` says why */
    const char *reason;
    ct_piece    piece;
    ct_analysis info;
    ct_summary  summary;
    ct_sheet    sheet;
} ct_heard;

static ct_status hear(ct_midi *midi, ct_arena *arena, ct_heard *out) {
    ct_analyse_options defaults = ct_analyse_defaults();
    *out = (ct_heard){.reason = ""};
    out->from_markers = ct_sheet_from_midi(midi, arena, &out->sheet) == CT_OK;
    if (out->from_markers) return CT_OK;
    ct_percussion_move(midi);
    out->usable = ct_analyse(midi, &defaults, arena, &out->piece, &out->info) == CT_OK;
    if (out->usable) {
        CT_TRY(ct_summary_make(&out->piece, &out->info, arena, &out->summary));
        return ct_sheet_from_piece(&out->piece, arena, &out->sheet);
    }
    out->reason = ct_arena_printf(arena, "%s", ct_message());
    return out->reason ? CT_OK : CT_ENOMEM;
}

static ct_status print_midi_json(const char *path, const ct_midi *midi, size_t bytes, const ct_heard *h) {
    ct_json *facts = ct_midi_json(midi, bytes);
    if (h->from_markers || h->usable) {
        ct_json_set(facts, "lead_sheet_from", ct_json_new_text(h->from_markers ? "markers" : "analysis"));
        if (h->usable) {
            ct_json *analysis = ct_analysis_json(&h->info, &h->piece);
            ct_summary_json(&h->summary, &h->piece, analysis);
            ct_json_set(facts, "analysis", analysis);
        }
        ct_json_set(facts, "lead_sheet", ct_sheet_json(&h->sheet));
    } else
        ct_json_set(facts, "unusable", ct_json_new_text(h->reason));
    return print_json("midi", facts, path);
}

static ct_status inspect_midi(const char *path, ct_arena *arena) {
    ct_bytes bytes;
    ct_midi  midi;
    ct_heard h;
    CT_TRY(ct_file_read(path, 64 << 20, arena, &bytes));
    CT_TRY(ct_context(ct_midi_read(bytes.at, bytes.count, arena, &midi), "%s", path));
    CT_TRY(hear(&midi, arena, &h));
    if (as_json) return print_midi_json(path, &midi, bytes.count, &h);
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
    if (h.from_markers) {
        printf("# lead sheet, from its markers:\n");
        return print_sheet(&h.sheet, arena);
    }
    if (!h.usable) {
        printf("# can't be used for training: %s\n", h.reason);
        return CT_OK;
    }
    for (size_t i = 0; i < h.info.warning_count; i++) printf("# warning: %s\n", h.info.warnings[i]);
    ct_summary_print(&h.summary, &h.piece, stdout);
    if (h.info.melody_track >= 0) printf("#         of track %d\n", h.info.melody_track);
    if (h.piece.melody_count) printf("#         confidence %.2f\n", (double)h.info.melody_confidence);
    printf("# lead sheet, by analysis:\n");
    return print_sheet(&h.sheet, arena);
}

static ct_status inspect_dataset(const char *path) {
    ct_dataset d;
    CT_TRY(ct_dataset_open(path, &d));
    if (as_json) {
        ct_status status = print_json("dataset", ct_dataset_json(&d), path);
        ct_dataset_close(&d);
        return status;
    }
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
    if (as_json) {
        ct_status status = print_json("model", ct_model_json(&m), path);
        ct_model_free(&m);
        return status;
    }
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
    .options = options,
    .option_count = CT_COUNT(options),
    .run = run,
};

/* prepare_file.c -- one MIDI file to rows of both stages; see prepare.h. */
#include "core/music/analyse.h"
#include "core/music/percussion.h"
#include "core/music/pop909.h"
#include "train/prepare.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void note(ct_prepared *out, const char *format, ...) CT_PRINTF(2, 3);
static void note(ct_prepared *out, const char *format, ...) {
    size_t  used = strlen(out->reason);
    va_list arguments;
    va_start(arguments, format);
    if (used && used + 2 < sizeof out->reason)
        used += (size_t)snprintf(out->reason + used, sizeof out->reason - used, "; ");
    vsnprintf(out->reason + used, sizeof out->reason - used, format, arguments);
    va_end(arguments);
}

/* A piece without a melody has no rows in the melody's stage: silence is not what is to be learnt there. */
static ct_status encode_melody(const ct_piece *piece, ct_arena *arena, ct_rows *out) {
    *out = (ct_rows){.columns = CT_MC_COUNT};
    return piece->melody_count ? ct_melody_encode(piece, arena, out) : CT_OK;
}

/* What every dataset promises: rows read back to a piece that gives the same rows. */
static ct_status check_round_trip(const ct_prepared *p, ct_arena *arena) {
    ct_piece piece;
    ct_rows  again[CT_STAGES];
    CT_TRY(ct_backbone_decode(&p->rows[CT_BACKBONE], arena, &piece));
    if (p->rows[CT_MELODY].count) CT_TRY(ct_melody_decode(&p->rows[CT_MELODY], arena, &piece));
    CT_TRY(ct_backbone_encode(&piece, arena, &again[CT_BACKBONE]));
    CT_TRY(encode_melody(&piece, arena, &again[CT_MELODY]));
    for (int s = 0; s < CT_STAGES; s++) {
        const ct_rows *a = &p->rows[s], *b = &again[s];
        if (a->count != b->count ||
            (a->count && memcmp(a->at, b->at, (size_t)(a->count * a->columns) * sizeof *a->at) != 0))
            return ct_fail(CT_EFAIL, "its %s tokens do not read back to the same rows", ct_stage_names[s]);
    }
    return CT_OK;
}

/* What the files beside `path` say. */
static ct_status read_annotations(const char *path, const ct_midi *midi, ct_arena *arena, ct_annotations *out) {
    const char *slash = strrchr(path, '/');
    const char *folder = slash ? ct_arena_copy(arena, path, (size_t)(slash - path)) : ".";
    ct_pop909   song;
    if (!folder) return CT_ENOMEM;
    CT_TRY(ct_context(ct_pop909_read(folder, arena, &song), "annotations"));
    return ct_context(ct_pop909_annotate(&song, midi, arena, out), "annotations");
}

static ct_status prepare(const ct_prepare_config *config, const char *path, ct_arena *arena, ct_prepared *out) {
    ct_bytes           bytes;
    ct_midi            midi;
    ct_piece           piece;
    ct_analysis        info;
    ct_annotations     known = {0};
    ct_analyse_options options = ct_analyse_defaults();
    options.use_names = config->track_names;
    CT_TRY(ct_file_read(path, 64 << 20, arena, &bytes));
    ct_sha256(bytes.at, bytes.count, out->sha256);
    CT_TRY(ct_midi_read(bytes.at, bytes.count, arena, &midi));
    ct_percussion_move(&midi);
    if (config->annotations == CT_SOURCE_POP909) {
        CT_TRY(read_annotations(path, &midi, arena, &known));
        options.annotations = &known;
    }
    CT_TRY(ct_analyse(&midi, &options, arena, &piece, &info));
    CT_TRY(ct_filter_song(&config->filter, &midi, &piece, &info));
    CT_TRY(ct_piece_quantise(&piece, arena));
    CT_TRY(ct_backbone_encode(&piece, arena, &out->rows[CT_BACKBONE]));
    CT_TRY(encode_melody(&piece, arena, &out->rows[CT_MELODY]));
    CT_TRY(check_round_trip(out, arena));
    CT_TRY(ct_sketch_make(piece.melody, piece.melody_count, arena, &out->sketch));
    snprintf(out->key, sizeof out->key, "%s", ct_key_name(info.key));
    snprintf(out->metre, sizeof out->metre, "%s", ct_metre_at(piece.bars[0].metre)->name);
    if (*midi.repairs) note(out, "repaired: %s", midi.repairs);
    for (size_t i = 0; i < info.warning_count; i++) note(out, "%s", info.warnings[i]);
    if (options.annotations && !known.section_count) note(out, "annotated phrases do not fit the notes: phrases heard");
    return CT_OK;
}

void ct_prepare_file(const ct_prepare_config *config, const char *path, ct_arena *arena, ct_prepared *out) {
    memset(out, 0, sizeof *out);
    if (prepare(config, path, arena, out) == CT_OK) {
        out->outcome = *out->reason ? CT_USED_WARNED : CT_USED;
        return;
    }
    const char *message = ct_message();
    size_t      n = strlen(path);
    if (!strncmp(message, path, n) && message[n] == ':') message += n + 2; /* the table names the file already */
    out->outcome = CT_LEFT_OUT;
    out->reason[0] = 0;
    note(out, "%s", message);
    for (int s = 0; s < CT_STAGES; s++) out->rows[s] = (ct_rows){0};
    out->sketch = (ct_sketch){0};
}

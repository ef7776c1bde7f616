/* generate.c -- see generate.h. */
#include "infer/generate.h"

#include "core/json.h"
#include "core/log.h"
#include "core/music/analyse.h"
#include "core/music/percussion.h"
#include "core/version.h"
#include "infer/render.h"
#include "models/checkpoints.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct ct_generator {
    const ct_generate_config *config;
    ct_comm                  *comm;  /* NULL: there is one rank */
    bool                      leads; /* the rank that makes the folder, writes the manifest and tells */
    ct_arena                  arena;
    ct_model                  model[CT_STAGES];
    char                      path[CT_STAGES][4096], hash[CT_STAGES][65];
    ct_composer               composer;
    const ct_device          *device;
    ct_guide                  guide;
    int32_t                   bars;
    unsigned                  unknown; /* groups of columns that nobody has said anything about */
    ct_sheet                  sheet;   /* of lead= */
    ct_sheet_open             open;
    ct_piece                  sheet_piece, primer;
    ct_rows                   primer_rows[CT_STAGES];
    char                      manifest_path[4200];
    FILE                     *manifest;
    const char               *lines; /* of several ranks: this one's of the manifest, until they are gathered */
} ct_generator;

/* ---- what was asked for */
static ct_status read_options(ct_generator *g) {
    const ct_generate_config *c = g->config;
    ct_guide                 *guide = &g->guide;
    *guide = (ct_guide){.key = -1, .metre = -1, .tempo = -1};
    if (*c->key && (guide->key = ct_key_parse(c->key, strlen(c->key))) < 0)
        return ct_fail(CT_EUSAGE, "%s: \"%s\" is no key (hint: C, F#m, Bb:min)", ct_config_where("key"), c->key);
    if (*c->meter) {
        int metre = 0;
        while (metre < CT_METRE_COUNT && strcmp(ct_metre_at(metre)->name, c->meter) != 0) metre++;
        if (metre == CT_METRE_COUNT)
            return ct_fail(CT_EUSAGE, "%s: \"%s\" is none of 2/4 3/4 4/4 2/2 6/8 9/8 12/8 5/8 7/8",
                           ct_config_where("meter"), c->meter);
        guide->metre = metre;
    }
    if (c->tempo > 0) {
        if (c->tempo < 30)
            return ct_fail(CT_EUSAGE, "%s: %g is below 30 beats a minute", ct_config_where("tempo"), c->tempo);
        guide->tempo = ct_tempo_bin(c->tempo);
    }
    if (*c->lead && *c->primer)
        return ct_fail(CT_EUSAGE, "%s: lead and primer can't be used together", ct_config_where("primer"));
    if (*c->primer && (*c->key || *c->meter))
        return ct_fail(CT_EUSAGE, "%s: a primer brings its own key and metre (hint: leave this out)",
                       ct_config_where(*c->key ? "key" : "meter"));
    g->bars = (int32_t)c->bars;
    return CT_OK;
}

/* Without stage 1 the sheet is all there is: what was asked for goes into it, what it leaves open stays unknown. */
static ct_status be_the_backbone(ct_generator *g) {
    ct_piece *p = &g->sheet_piece;
    if (*g->config->key && g->open.key)
        for (int32_t b = 0; b < p->bar_count; b++) p->bars[b].key = (uint8_t)g->guide.key;
    else if (*g->config->key && g->guide.key != p->bars[0].key)
        return ct_fail(CT_EUSAGE, "%s: %s, but %s is in %s", ct_config_where("key"), g->config->key, g->config->lead,
                       ct_key_name(p->bars[0].key));
    for (int32_t b = 0; b < p->bar_count && g->config->tempo > 0; b++) p->bars[b].tempo = g->config->tempo;
    g->unknown = 1u << CT_GROUP_RHYTHM | (g->open.sections ? 1u << CT_GROUP_SECTION : 0);
    return ct_piece_quantise(p, &g->arena);
}

static ct_status read_lead(ct_generator *g) {
    const ct_generate_config *c = g->config;
    ct_bytes                  text;
    const char              **lines;
    size_t                    count;
    if (!*c->lead) return CT_OK;
    CT_TRY(ct_file_read(c->lead, CT_SHEET_BYTES_MAX, &g->arena, &text));
    CT_TRY(ct_sheet_parse(c->lead, (const char *)text.at, text.count, &g->arena, &g->sheet));
    CT_TRY(ct_sheet_reductions(&g->sheet, &g->arena, &lines, &count));
    for (size_t i = 0; i < count; i++)
        ct_log("%s: %s (it sounds in full; the models see the nearest)", c->lead, lines[i]);
    if (g->sheet.bar_count > 512) return ct_fail(CT_EFAIL, "%s: %d bars, at most 512", c->lead, g->sheet.bar_count);
    for (int32_t b = g->sheet.bar_count - 2; b >= 0; b--) /* a tempo told later holds before, too */
        if (!(g->sheet.bars[b].tempo > 0)) g->sheet.bars[b].tempo = g->sheet.bars[b + 1].tempo;
    CT_TRY(ct_context(ct_sheet_to_piece(&g->sheet, &g->arena, &g->sheet_piece, &g->open), "%s", c->lead));
    CT_TRY(ct_piece_quantise(&g->sheet_piece, &g->arena));
    g->bars = g->sheet.bar_count;
    g->guide.sheet = &g->sheet_piece;
    g->guide.sheet_key = !*c->key; /* an open one is the key that fits the chords best: the model would have to guess */
    g->guide.sheet_metre = true;   /* an open one is counted as 4/4 */
    g->guide.sheet_tempo = !g->open.tempo && !(c->tempo > 0);
    g->guide.sheet_sections = !g->open.sections;
    if (!*c->backbone) CT_TRY(be_the_backbone(g));
    if (g->guide.metre >= 0 && g->guide.metre != g->sheet_piece.bars[0].metre)
        return ct_fail(CT_EUSAGE, "%s: %s, but the bars of %s are in %s", ct_config_where("meter"), c->meter, c->lead,
                       ct_metre_at(g->sheet_piece.bars[0].metre)->name);
    return CT_OK;
}

static ct_status read_primer(ct_generator *g) {
    const ct_generate_config *c = g->config;
    ct_bytes                  bytes;
    ct_midi                   midi;
    ct_analysis               info;
    ct_analyse_options        options = ct_analyse_defaults();
    if (!*c->primer) return CT_OK;
    CT_TRY(ct_file_read(c->primer, 64 << 20, &g->arena, &bytes));
    CT_TRY(ct_context(ct_midi_read(bytes.at, bytes.count, &g->arena, &midi), "%s", c->primer));
    ct_percussion_move(&midi);
    CT_TRY(ct_context(ct_analyse(&midi, &options, &g->arena, &g->primer, &info), "%s", c->primer));
    CT_TRY(ct_piece_quantise(&g->primer, &g->arena));
    CT_TRY(ct_backbone_encode(&g->primer, &g->arena, &g->primer_rows[CT_BACKBONE]));
    CT_TRY(ct_melody_encode(&g->primer, &g->arena, &g->primer_rows[CT_MELODY]));
    g->guide.primer_backbone = &g->primer_rows[CT_BACKBONE];
    g->guide.primer_melody = &g->primer_rows[CT_MELODY];
    g->guide.primer_bars = (int32_t)(c->primer_bars < g->primer.bar_count ? c->primer_bars : g->primer.bar_count);
    if (g->bars && g->guide.primer_bars >= g->bars)
        return ct_fail(CT_EUSAGE, "%s: %d bars of the primer leave nothing of %d to write",
                       ct_config_where("primer_bars"), g->guide.primer_bars, g->bars);
    return CT_OK;
}

static ct_status load_models(ct_generator *g) {
    const char *names[CT_STAGES] = {g->config->backbone, g->config->melody};
    const bool  both = *g->config->backbone != 0;
    if (!both && !*g->config->lead)
        return ct_fail(CT_EUSAGE, "%s: none given, and no lead sheet to sing over (hint: lead=chart.txt, or a model)",
                       ct_config_where("models.backbone"));
    for (int s = both ? 0 : CT_MELODY; s < CT_STAGES; s++) {
        ct_bytes bytes;
        CT_TRY(ct_context(ct_model_find(names[s], g->path[s], sizeof g->path[s]), "models.%s", ct_stage_names[s]));
        CT_TRY(ct_file_map(g->path[s], &bytes));
        ct_sha256(bytes.at, bytes.count, g->hash[s]);
        ct_file_unmap(&bytes);
        CT_TRY(ct_model_load(g->path[s], CT_F32, &g->model[s]));
    }
    int64_t ranks = g->comm ? g->comm->size : 1, share = (g->config->count + ranks - 1) / ranks;
    int64_t batch = g->config->batch < share ? g->config->batch : share;
    int64_t given = g->primer_rows[CT_BACKBONE].count;
    if (given < g->primer_rows[CT_MELODY].count) given = g->primer_rows[CT_MELODY].count;
    ct_composer_options o = {.model = {both ? &g->model[CT_BACKBONE] : NULL, &g->model[CT_MELODY]},
                             .sampling = {g->config->sampling[0], g->config->sampling[1]},
                             .batch = batch,
                             .bars = g->bars,
                             .given = given,
                             .bf16 = g->config->on.precision == CT_PRECISION_BF16,
                             .check = ct_check_asked(&g->config->on, (uint64_t)g->config->seed)};
    CT_TRY(ct_device_open(&g->config->on, NULL, &g->device));
    o.device = g->device;
    return ct_composer_make(&o, &g->composer);
}

/* ---- a finished piece */
static int distinct_chords(const ct_piece *p) {
    bool seen[13][CT_QUALITY_COUNT] = {{false}};
    int  count = 0;
    for (int32_t i = 0; i < p->change_count; i++) {
        ct_chord chord = p->changes[i].chord;
        if (chord.root == CT_NO_CHORD || seen[chord.root][chord.quality]) continue;
        seen[chord.root][chord.quality] = true;
        count++;
    }
    return count;
}

/* The sheet of a piece: its own, or the user's with what it had left open filled in. */
static ct_status sheet_of(const ct_generator *g, const ct_piece *piece, ct_arena *arena, ct_sheet *out) {
    CT_TRY(ct_sheet_from_piece(piece, arena, out));
    if (!g->guide.sheet) return CT_OK;
    out->title = g->sheet.title;
    out->chords = g->sheet.chords;
    out->chord_count = g->sheet.chord_count;
    if (g->open.sections) return CT_OK;
    out->sections = g->sheet.sections;
    out->section_count = g->sheet.section_count;
    return CT_OK;
}

static void set_tempo(const ct_generator *g, ct_piece *piece) {
    for (int32_t b = 0; b < piece->bar_count; b++) {
        if (g->config->tempo > 0)
            piece->bars[b].tempo = g->config->tempo;
        else if (g->guide.sheet_tempo)
            piece->bars[b].tempo = g->sheet.bars[b].tempo;
    }
}

static ct_json *options_of(const ct_generate_config *c) {
    ct_json *o = ct_json_new_object();
    ct_json_set(o, "bars", ct_json_new_integer(c->bars));
    ct_json_set(o, "key", ct_json_new_text(c->key));
    ct_json_set(o, "tempo", ct_json_new_real(c->tempo));
    ct_json_set(o, "meter", ct_json_new_text(c->meter));
    ct_json_set(o, "lead", ct_json_new_text(c->lead));
    ct_json_set(o, "primer", ct_json_new_text(c->primer));
    if (*c->primer) ct_json_set(o, "primer_bars", ct_json_new_integer(c->primer_bars));
    for (int s = 0; s < CT_STAGES; s++) {
        ct_json *how = ct_json_new_object();
        ct_json_set(how, "temperature", ct_json_new_real(c->sampling[s].temperature));
        ct_json_set(how, "top_p", ct_json_new_real(c->sampling[s].top_p));
        ct_json_set(how, "top_k", ct_json_new_integer(c->sampling[s].top_k));
        ct_json_set(o, ct_stage_names[s], how);
    }
    return o;
}

static ct_status write_manifest(ct_generator *g, int64_t number, uint64_t seed, int64_t attempt, const ct_piece *piece,
                                const char *name, ct_arena *arena) {
    ct_json *line = ct_json_new_object(), *models = ct_json_new_object();
    char     midi[64];
    snprintf(midi, sizeof midi, "%s.mid", name);
    ct_json_set(line, "piece", ct_json_new_integer(number));
    ct_json_set(line, "file", ct_json_new_text(midi));
    ct_json_set(line, "seed", ct_json_new_integer((int64_t)seed));
    ct_json_set(line, "attempt", ct_json_new_integer(attempt));
    ct_json_set(line, "bars", ct_json_new_integer(piece->bar_count));
    ct_json_set(line, "key", ct_json_new_text(ct_key_name(piece->bars[0].key)));
    ct_json_set(line, "meter", ct_json_new_text(ct_metre_at(piece->bars[0].metre)->name));
    ct_json_set(line, "tempo", ct_json_new_real(piece->bars[0].tempo));
    ct_json_set(line, "chords", ct_json_new_integer(distinct_chords(piece)));
    ct_json_set(line, "notes", ct_json_new_integer(piece->melody_count));
    ct_json_set(line, "options", options_of(g->config));
    for (int s = 0; s < CT_STAGES; s++) {
        if (!*g->path[s]) continue;
        ct_json *m = ct_json_new_object();
        ct_json_set(m, "file", ct_json_new_text(g->path[s]));
        ct_json_set(m, "sha256", ct_json_new_text(g->hash[s]));
        ct_json_set(models, ct_stage_names[s], m);
    }
    ct_json_set(line, "models", models);
    ct_json_set(line, "version", ct_json_new_text(ct_version));
    ct_json_set(line, "device", ct_json_new_text(ct_device_describe(g->device)));
    ct_json_set(line, "isa", ct_json_new_text(ct_cpu_isa()));
    char *text = ct_json_print(line, 0, arena);
    ct_json_free(line);
    if (text) text = ct_arena_printf(arena, "%s\n", text);
    if (!text) return CT_ENOMEM;
    if (!g->comm) return ct_append(g->manifest, g->manifest_path, text, strlen(text));
    g->lines = ct_arena_printf(arena, "%s%s", g->lines, text);
    return g->lines ? CT_OK : CT_ENOMEM;
}

static ct_status write_piece(ct_generator *g, int64_t number, uint64_t seed, int64_t attempt, ct_piece *piece,
                             ct_arena *arena) {
    char     name[64], path[4300];
    ct_sheet sheet;
    ct_midi  midi;
    uint8_t *bytes;
    size_t   count;
    snprintf(name, sizeof name, "piece-%04lld", (long long)number);
    set_tempo(g, piece);
    CT_TRY(sheet_of(g, piece, arena, &sheet));
    if (!*sheet.title) sheet.title = ct_arena_printf(arena, "Piece %lld", (long long)number);
    char *text = sheet.title ? ct_sheet_print(&sheet, arena) : NULL;
    if (!text) return CT_ENOMEM;
    CT_TRY(ct_render(piece, &sheet, arena, &midi));
    CT_TRY(ct_midi_write(&midi, arena, &bytes, &count));
    snprintf(path, sizeof path, "%s/%s.txt", g->config->output, name);
    CT_TRY(ct_file_write(path, text, strlen(text)));
    snprintf(path, sizeof path, "%s/%s.mid", g->config->output, name);
    CT_TRY(ct_file_write(path, bytes, count));
    return write_manifest(g, number, seed, attempt, piece, name, arena);
}

/* ---- the batches: pieces in order; one that is not accepted is written again with a seed of its own */
static uint64_t seed_of(const ct_generate_config *c, int64_t number, int64_t attempt) {
    uint64_t seed = (uint64_t)(c->seed + number - 1);
    if (attempt == 1) return seed;
    ct_philox x = ct_philox_at(seed, 1, (uint64_t)attempt);
    return ((uint64_t)x.word[0] << 32 | x.word[1]) >> 11; /* 53 bits, so that JSON keeps it */
}

static ct_status compose_batch(ct_generator *g, int64_t first, int64_t count, ct_arena *arena) {
    const ct_generate_config *c = g->config;
    ct_request               *requests = CT_NEW(arena, ct_request, (size_t)count);
    ct_piece *pieces = CT_NEW(arena, ct_piece, (size_t)count), *fresh = CT_NEW(arena, ct_piece, (size_t)count);
    int64_t  *who = CT_NEW(arena, int64_t, (size_t)count), *attempts = CT_NEW(arena, int64_t, (size_t)count);
    if (!requests || !pieces || !fresh || !who || !attempts) return CT_ENOMEM;
    int64_t open = count;
    for (int64_t i = 0; i < count; i++) who[i] = i;
    for (int64_t attempt = 1; open > 0; attempt++) {
        for (int64_t k = 0; k < open; k++)
            requests[k] = (ct_request){
                .seed = seed_of(c, first + who[k], attempt), .bars = g->bars, .guide = g->guide, .unknown = g->unknown};
        CT_TRY(ct_compose(&g->composer, requests, open, arena, fresh));
        int64_t again = 0;
        for (int64_t k = 0; k < open; k++) {
            pieces[who[k]] = fresh[k];
            attempts[who[k]] = attempt;
            bool fine = distinct_chords(&fresh[k]) >= c->least_chords && fresh[k].melody_count >= c->least_notes;
            if (!fine && attempt < c->attempts) who[again++] = who[k];
        }
        open = again;
    }
    for (int64_t i = 0; i < count; i++)
        CT_TRY(write_piece(g, first + i, seed_of(c, first + i, attempts[i]), attempts[i], &pieces[i], arena));
    return CT_OK;
}

/* Each rank's batch is over, or a signal has ended it: what is there goes into the manifest; all go on, or none. */
static ct_status end_round(ct_generator *g, ct_status status, ct_arena *arena) {
    ct_comm_part *parts = CT_NEW(arena, ct_comm_part, (size_t)g->comm->size);
    int64_t       stop = status == CT_ESTOP;
    if (!parts) return CT_ENOMEM;
    CT_TRY(ct_comm_gather_parts(g->comm, g->lines, strlen(g->lines), arena, parts));
    for (int r = 0; g->leads && r < g->comm->size; r++)
        CT_TRY(ct_append(g->manifest, g->manifest_path, parts[r].data, parts[r].bytes));
    CT_TRY(ct_comm_reduce_int(g->comm, CT_REDUCE_MAX, &stop, 1));
    return stop && status == CT_OK ? ct_fail(CT_ESTOP, "stopped: another rank was asked to") : status;
}

/* A batch of each rank, from piece `first` on. */
static ct_status compose_round(ct_generator *g, int64_t first) {
    const int64_t batch = g->composer.batch, mine = first + (g->comm ? g->comm->rank * batch : 0),
                  left = g->config->count - mine + 1;
    ct_arena arena = {0};
    g->lines = "";
    ct_status status = left > 0 ? compose_batch(g, mine, left < batch ? left : batch, &arena) : CT_OK;
    if (g->comm && (status == CT_OK || status == CT_ESTOP)) status = end_round(g, status, &arena);
    ct_arena_free(&arena);
    return status;
}

static ct_status compose_all(ct_generator *g) {
    const ct_generate_config *c = g->config;
    const int64_t             round = g->composer.batch * (g->comm ? g->comm->size : 1);
    char                      took[32];
    ct_progress               progress;
    double                    begun = ct_seconds(), tokens;
    ct_status                 status = CT_OK;
    ct_progress_begin(&progress, "composing", c->count);
    g->composer.progress = &progress;
    for (int64_t first = 1; first <= c->count && status == CT_OK; first += round) {
        status = compose_round(g, first);
        if (status == CT_OK) g->composer.pieces = first + round <= c->count ? first + round - 1 : c->count;
    }
    g->composer.progress = NULL;
    CT_TRY(status);
    ct_progress_end(&progress);
    tokens = (double)g->composer.tokens;
    if (g->comm) CT_TRY(ct_comm_reduce(g->comm, CT_REDUCE_SUM, &tokens, 1));
    double seconds = ct_seconds() - begun;
    if (g->leads)
        printf("%s: %lld pieces in %s, %.0f tokens/s; seeds and checkpoints in manifest.jsonl\n", c->output,
               (long long)c->count, ct_duration(seconds, took, sizeof took), tokens / seconds);
    for (int s = 0; s < CT_STAGES; s++) ct_check_tell(&g->composer.decoder[s].check);
    return CT_OK;
}

/* The output folder, with a manifest of no pieces yet. One that stays without any is removed again. */
static ct_status open_output(ct_generator *g) {
    CT_TRY(ct_folder_make(g->config->output));
    snprintf(g->manifest_path, sizeof g->manifest_path, "%s/manifest.jsonl", g->config->output);
    g->manifest = fopen(g->manifest_path, "wbe");
    if (!g->manifest) return ct_fail(CT_EFAIL, "%s: can't create: %s", g->manifest_path, strerror(errno));
    return CT_OK;
}

static void close_output(ct_generator *g) {
    if (!g->manifest) return;
    bool empty = lseek(fileno(g->manifest), 0, SEEK_END) == 0;
    fclose(g->manifest);
    if (empty && unlink(g->manifest_path) == 0) rmdir(g->config->output);
}

static ct_status check_output(const ct_generate_config *c) {
    return ct_folder_exists(c->output) || ct_file_exists(c->output)
               ? ct_fail(CT_EFAIL, "%s: %s is there already; nothing was changed (hint: another output)",
                         ct_config_where("output"), c->output)
               : CT_OK;
}

static ct_status generate(ct_generator *g) {
    if (g->comm && g->config->on.kind != CT_ON_CPU)
        return ct_fail(CT_EUSAGE, "%s: %d ranks write on CPUs only (hint: device: cpu, or one rank)",
                       ct_config_where("device"), g->comm->size);
    if (g->leads) CT_TRY(check_output(g->config));
    CT_TRY(read_options(g));
    CT_TRY(read_lead(g));
    CT_TRY(read_primer(g));
    CT_TRY(load_models(g));
    if (g->leads) CT_TRY(open_output(g));
    if (g->comm) CT_TRY(ct_comm_barrier(g->comm)); /* the folder is there */
    return compose_all(g);
}

ct_status ct_generate(const ct_generate_config *config) {
    ct_generator generator = {.config = config}, *g = &generator;
    ct_comm     *comm;
    CT_TRY(ct_comm_open(&config->dist, &comm));
    g->comm = comm->size > 1 ? comm : NULL;
    g->leads = comm->rank == 0;
    if (!g->leads) ct_log_warnings_only();
    ct_status status = generate(g);
    close_output(g);
    if (status != CT_OK && status != CT_ESTOP) ct_comm_abort(comm, ct_message());
    ct_composer_free(&g->composer);
    ct_device_close(g->device);
    for (int s = 0; s < CT_STAGES; s++) ct_model_free(&g->model[s]);
    ct_arena_free(&g->arena);
    const ct_status closed = ct_comm_close(comm);
    return status == CT_OK ? closed : status;
}

/* inspect_json.c -- see inspect_json.h. */
#include "infer/inspect_json.h"

#include "core/music/theory.h"

#include <math.h>
#include <string.h>

static void set_text(ct_json *o, const char *key, const char *text) {
    ct_json_set(o, key, ct_json_new_text(text));
}
static void set_integer(ct_json *o, const char *key, int64_t value) {
    ct_json_set(o, key, ct_json_new_integer(value));
}

/* The name of the key or metre in force, or null where it is left open: the field is left out. */
static void set_state(ct_json *o, int key, double tempo, int metre) {
    if (key >= 0) set_text(o, "key", ct_key_name(key));
    if (tempo > 0) ct_json_set(o, "tempo", ct_json_new_real(tempo));
    if (metre >= 0) set_text(o, "meter", ct_metre_at(metre)->name);
}

static ct_json *bars_json(const ct_sheet *s) {
    ct_json *bars = ct_json_new_array();
    for (int32_t i = 0, c = 0; i < s->bar_count; i++) {
        const ct_sheet_bar *bar = &s->bars[i];
        int32_t             end = i + 1 < s->bar_count ? s->bars[i + 1].start : ct_sheet_steps(s);
        ct_json            *o = ct_json_new_object(), *chords = ct_json_new_array();
        set_integer(o, "bar", ct_sheet_bar_number(s, i));
        set_state(o, bar->key, bar->tempo, bar->metre);
        for (; c < s->chord_count && s->chords[c].step < end; c++) {
            ct_json *chord = ct_json_new_object();
            set_integer(chord, "step", s->chords[c].step - bar->start);
            set_text(chord, "symbol", s->chords[c].symbol.text);
            ct_json_add(chords, chord);
        }
        ct_json_set(o, "chords", chords);
        ct_json_add(bars, o);
    }
    return bars;
}

ct_json *ct_sheet_json(const ct_sheet *s) {
    ct_json *o = ct_json_new_object(), *sections = ct_json_new_array();
    set_text(o, "title", s->title);
    set_state(o, s->bars[0].key, s->bars[0].tempo, s->bars[0].metre);
    for (int32_t i = 0; i < s->section_count; i++) {
        ct_json *section = ct_json_new_object();
        char     token[32]; /* "SECTION_A" */
        ct_token_name(CT_BACKBONE, CT_B_SECTION + s->sections[i].label, token, sizeof token);
        set_text(section, "name", s->sections[i].name);
        set_text(section, "label", token + strlen("SECTION_"));
        set_integer(section, "first_bar", ct_sheet_bar_number(s, s->sections[i].first));
        set_integer(section, "bars", s->sections[i].bars);
        ct_json_add(sections, section);
    }
    ct_json_set(o, "sections", sections);
    ct_json_set(o, "bars", bars_json(s));
    return o;
}

ct_json *ct_midi_json(const ct_midi *m, size_t bytes) {
    ct_json *o = ct_json_new_object(), *tracks = ct_json_new_array();
    set_integer(o, "bytes", (int64_t)bytes);
    set_integer(o, "ticks_a_quarter", m->ppq);
    set_integer(o, "notes", (int64_t)m->note_count);
    set_integer(o, "tempos", (int64_t)m->tempos.count);
    set_integer(o, "meters", (int64_t)m->metres.count);
    set_integer(o, "keys", (int64_t)m->keys.count);
    set_integer(o, "markers", (int64_t)m->markers.count);
    set_text(o, "repairs", m->repairs);
    for (size_t t = 0; t < m->track_count; t++) {
        int64_t  notes = 0, drums = 0;
        int      low = 127, high = 0;
        ct_json *track = ct_json_new_object();
        for (size_t i = 0; i < m->note_count; i++) {
            const ct_midi_note *n = &m->notes[i];
            if (n->track != t) continue;
            notes++;
            drums += n->channel == 9;
            if (n->pitch < low) low = n->pitch;
            if (n->pitch > high) high = n->pitch;
        }
        set_text(track, "name", m->tracks[t].name);
        set_integer(track, "notes", notes);
        set_integer(track, "drum_notes", drums);
        if (notes) {
            set_integer(track, "lowest", low);
            set_integer(track, "highest", high);
        }
        ct_json_add(tracks, track);
    }
    ct_json_set(o, "tracks", tracks);
    return o;
}

ct_json *ct_analysis_json(const ct_analysis *info, const ct_piece *piece) {
    ct_json *o = ct_json_new_object(), *warnings = ct_json_new_array();
    for (size_t i = 0; i < info->warning_count; i++) ct_json_add(warnings, ct_json_new_text(info->warnings[i]));
    set_text(o, "key", ct_key_name(info->key));
    set_integer(o, "bars", piece->bar_count);
    if (info->melody_track >= 0) set_integer(o, "melody_track", info->melody_track);
    ct_json_set(o, "melody_confidence", ct_json_new_real(round(1000 * (double)info->melody_confidence) / 1000));
    ct_json_set(o, "grid_phase_ticks", ct_json_new_real(info->phase));
    ct_json_set(o, "ticks_a_beat", ct_json_new_real(info->ticks_per_beat));
    ct_json_set(o, "warnings", warnings);
    return o;
}

ct_json *ct_dataset_json(const ct_dataset *d) {
    ct_json *o = ct_json_new_object(), *splits = ct_json_new_object(), *stages = ct_json_new_object();
    int64_t  songs[CT_SPLITS] = {0};
    for (int64_t i = 0; i < d->song_count; i++) songs[d->songs[i].split]++;
    set_integer(o, "format", CT_FORMAT_VERSION);
    set_text(o, "sha256", d->hash);
    set_integer(o, "songs", d->song_count);
    for (int k = 0; k < CT_SPLITS; k++) set_integer(splits, ct_split_names[k], songs[k]);
    ct_json_set(o, "splits", splits);
    for (int s = 0; s < CT_STAGES; s++) {
        const ct_stage_data *data = &d->stage[s];
        ct_json             *stage = ct_json_new_object(), *columns = ct_json_new_array();
        for (int c = 0; data->present && c < data->column_count; c++) {
            ct_json *column = ct_json_new_object();
            set_text(column, "name", data->columns[c].name);
            set_integer(column, "values", data->columns[c].size);
            set_text(column, "group", ct_group_name(data->columns[c].group));
            ct_json_add(columns, column);
        }
        if (data->present) {
            set_integer(stage, "rows", data->npy.rows);
            set_integer(stage, "vocabulary", data->vocabulary_size);
            ct_json_set(stage, "native", ct_json_new_bool(data->native));
            set_integer(stage, "segments_in_1024_rows", ct_dataset_segments(d, s, 1024));
            ct_json_set(stage, "columns", columns);
            ct_json_set(stages, ct_stage_names[s], stage);
        } else {
            ct_json_free(stage);
            ct_json_free(columns);
        }
    }
    ct_json_set(o, "stages", stages);
    return o;
}

ct_json *ct_model_json(const ct_model *m) {
    static const char *const forms[] = {"table", "mlp", "off"};
    const ct_model_config   *c = &m->config;
    ct_json                 *o = ct_json_new_object(), *config = ct_json_new_object(), *tensors = ct_json_new_array();
    set_text(o, "stage", ct_stage_names[c->stage]);
    set_integer(o, "parameters", m->parameter_count);
    set_integer(o, "vocabulary", m->vocabulary_size);
    set_integer(o, "columns", m->column_count);
    set_integer(config, "layers", c->layers);
    set_integer(config, "width", c->width);
    set_integer(config, "heads", c->heads);
    set_integer(config, "feed_forward", c->feed_forward);
    set_integer(config, "tokens", c->tokens);
    set_integer(config, "memory", c->memory);
    set_text(config, "harmony_form", forms[c->form]);
    ct_json_set(o, "model", config);
    for (int64_t i = 0; i < m->tensor_count; i++) {
        ct_json *tensor = ct_json_new_object(), *shape = ct_json_new_array();
        set_text(tensor, "name", m->tensors[i].name);
        for (int k = 0; k < m->tensors[i].dimensions; k++)
            ct_json_add(shape, ct_json_new_integer(m->tensors[i].shape[k]));
        ct_json_set(tensor, "shape", shape);
        ct_json_add(tensors, tensor);
    }
    ct_json_set(o, "tensors", tensors);
    return o;
}

/* midi.c -- between libsmf's events and plain arrays; see midi.h. The only file that includes smf.h.
 *
 * libsmf aborts on input it does not expect, so it is given repaired bytes only. It saves to a path; we hand it one
 * that leads to memory (memfd), so that nothing touches the disk.
 */
#include "core/music/midi.h"

#include "core/music/midi_repair.h"
#include "core/music/midi_text.h"

#include <math.h>
#include <smf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { DRUMS = 9, HANGING_QUARTERS = 8 }; /* a note without an end lasts at most that long */

/* smf_delete looks for each event from the front of its track: quadratic. So the events go first, by hand. */
static void forget(smf_t *smf) {
    for (int t = 1; t <= smf->number_of_tracks; t++) {
        smf_track_t *track = smf_get_track_by_number(smf, t);
        for (int i = 1; i <= track->number_of_events; i++) {
            smf_event_t *event = smf_track_get_event_by_number(track, i);
            event->track = NULL;
            smf_event_delete(event);
        }
        g_ptr_array_set_size(track->events_array, 0);
        track->number_of_events = 0;
    }
    smf_delete(smf);
}

/* ---- reading */
typedef struct program {
    int64_t tick;
    size_t  order;
    uint8_t channel, program;
} program;

typedef struct reader {
    ct_arena *arena;
    ct_midi  *out;
    program  *programs;
    size_t    program_count;
    int64_t  *next; /* of each note: the next one still open on its channel and pitch, -1: none */
    int64_t   open_first[16 * 128], open_last[16 * 128];
} reader;

static ct_status list_new(ct_arena *arena, size_t count, ct_midi_list *list) {
    *list = (ct_midi_list){CT_NEW(arena, ct_midi_event, count), 0};
    return list->at ? CT_OK : CT_ENOMEM;
}

/* Room for everything, counted first so that no array has to grow. */
static ct_status make_room(reader *r, smf_t *smf) {
    size_t notes = 0, programs = 0, meta[256] = {0};
    for (int t = 1; t <= smf->number_of_tracks; t++) {
        smf_track_t *track = smf_get_track_by_number(smf, t);
        for (int i = 1; i <= track->number_of_events; i++) {
            const smf_event_t *e = smf_track_get_event_by_number(track, i);
            uint8_t            kind = e->midi_buffer[0] & 0xf0;
            if (e->midi_buffer[0] == 0xff)
                meta[e->midi_buffer[1]]++;
            else if (kind == 0x90)
                notes++;
            else if (kind == 0xc0)
                programs++;
        }
    }
    ct_midi *out = r->out;
    out->track_count = (size_t)smf->number_of_tracks;
    out->tracks = CT_NEW(r->arena, ct_midi_track, out->track_count);
    out->notes = CT_NEW(r->arena, ct_midi_note, notes);
    r->programs = CT_NEW(r->arena, program, programs);
    r->next = CT_NEW(r->arena, int64_t, notes);
    if (!out->tracks || !out->notes || !r->programs || !r->next) return CT_ENOMEM;
    CT_TRY(list_new(r->arena, meta[0x51], &out->tempos));
    CT_TRY(list_new(r->arena, meta[0x58], &out->metres));
    CT_TRY(list_new(r->arena, meta[0x59], &out->keys));
    CT_TRY(list_new(r->arena, meta[0x06], &out->markers));
    return list_new(r->arena, meta[0x05] + meta[0x01], &out->lyrics);
}

static void note_on(reader *r, const smf_event_t *e, size_t track) {
    const uint8_t *m = e->midi_buffer;
    ct_midi_note  *note = &r->out->notes[r->out->note_count];
    int            voice = (m[0] & 15) * 128 + m[1];
    int64_t        index = (int64_t)r->out->note_count++;
    *note = (ct_midi_note){.start = e->time_pulses, .end = -1, .track = (uint16_t)track};
    note->channel = m[0] & 15;
    note->pitch = m[1];
    note->velocity = m[2];
    r->next[index] = -1;
    if (r->open_first[voice] < 0)
        r->open_first[voice] = index;
    else
        r->next[r->open_last[voice]] = index;
    r->open_last[voice] = index;
}

static void note_off(reader *r, const smf_event_t *e) {
    int     voice = (e->midi_buffer[0] & 15) * 128 + e->midi_buffer[1];
    int64_t index = r->open_first[voice];
    if (index < 0) return;
    r->open_first[voice] = r->next[index];
    ct_midi_note *note = &r->out->notes[index];
    note->end = e->time_pulses > note->start ? e->time_pulses : note->start + 1;
}

/* A note that nothing ended lasts some quarters, or to the end of its track; but no less long than those before it on
 * its key, for in a file the first end is that of the first note. */
static void end_hanging_notes(reader *r, size_t first, int64_t track_end) {
    int64_t *latest = r->open_last; /* end on each channel and pitch so far; nothing is open any more */
    for (size_t i = 0; i < CT_COUNT(r->open_last); i++) latest[i] = 0;
    for (size_t i = first; i < r->out->note_count; i++) {
        ct_midi_note *note = &r->out->notes[i];
        int64_t      *end = &latest[note->channel * 128 + note->pitch];
        if (note->end < 0) {
            int64_t longest = note->start + HANGING_QUARTERS * (int64_t)r->out->ppq;
            note->end = track_end < longest ? track_end : longest;
            if (note->end <= note->start) note->end = note->start + 1;
            if (note->end < *end) note->end = *end;
        }
        *end = note->end;
    }
}

static ct_status read_meta(reader *r, const smf_event_t *e, size_t track) {
    const uint8_t *m = e->midi_buffer;
    ct_midi       *out = r->out;
    ct_midi_event  event = {.tick = e->time_pulses, .track = (uint16_t)track, .text = ""};
    ct_midi_list  *list = NULL;
    switch (m[1]) {
    case 0x51:
        event.value = 60e6 / (double)(m[3] << 16 | m[4] << 8 | m[5]);
        list = &out->tempos;
        break;
    case 0x58:
        event.a = m[3];
        event.b = (int16_t)(1 << m[4]);
        list = &out->metres;
        break;
    case 0x59:
        event.a = (int16_t)(m[3] < 128 ? m[3] : m[3] - 256);
        event.b = m[4];
        list = &out->keys;
        break;
    case 0x03:
    case 0x01:
    case 0x05:
    case 0x06:
        if (!(event.text = ct_midi_text(m + 3, m[2], r->arena))) return CT_ENOMEM;
        if (m[1] == 0x03) {
            if (!*out->tracks[track].name) out->tracks[track].name = event.text;
            return CT_OK;
        }
        list = m[1] == 0x06 ? &out->markers : &out->lyrics;
        break;
    default:
        return CT_OK;
    }
    list->at[list->count++] = event;
    return CT_OK;
}

static ct_status read_track(reader *r, smf_track_t *track, size_t number) {
    size_t  first = r->out->note_count;
    int64_t end = 0;
    r->out->tracks[number].name = "";
    for (size_t i = 0; i < CT_COUNT(r->open_first); i++) r->open_first[i] = -1;
    for (int i = 1; i <= track->number_of_events; i++) {
        const smf_event_t *e = smf_track_get_event_by_number(track, i);
        const uint8_t     *m = e->midi_buffer;
        uint8_t            kind = m[0] & 0xf0;
        if (m[0] == 0xff)
            CT_TRY(read_meta(r, e, number));
        else if (kind == 0x90 && m[2] > 0)
            note_on(r, e, number);
        else if (kind == 0x80 || kind == 0x90)
            note_off(r, e);
        else if (kind == 0xc0) {
            r->programs[r->program_count] = (program){e->time_pulses, r->program_count, m[0] & 15, m[1]};
            r->program_count++;
        }
        end = e->time_pulses;
    }
    end_hanging_notes(r, first, end);
    return CT_OK;
}

static int by_tick(const void *pa, const void *pb) {
    const program *a = pa, *b = pb;
    if (a->tick != b->tick) return a->tick < b->tick ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static int by_start(const void *pa, const void *pb) {
    const ct_midi_note *a = pa, *b = pb;
    if (a->start != b->start) return a->start < b->start ? -1 : 1;
    if (a->pitch != b->pitch) return a->pitch < b->pitch ? -1 : 1;
    if (a->track != b->track) return a->track < b->track ? -1 : 1;
    if (a->channel != b->channel) return a->channel < b->channel ? -1 : 1;
    if (a->end != b->end) return a->end < b->end ? -1 : 1;
    return a->velocity < b->velocity ? -1 : a->velocity > b->velocity;
}

static int events_by_tick(const void *pa, const void *pb) {
    const ct_midi_event *a = pa, *b = pb;
    if (a->tick != b->tick) return a->tick < b->tick ? -1 : 1;
    return a->track < b->track ? -1 : a->track > b->track;
}

/* Programs belong to channels, across tracks: one sweep through both in time. */
static void set_programs(reader *r) {
    uint8_t now[16] = {0};
    size_t  p = 0;
    qsort(r->programs, r->program_count, sizeof *r->programs, by_tick);
    for (size_t i = 0; i < r->out->note_count; i++) {
        ct_midi_note *note = &r->out->notes[i];
        for (; p < r->program_count && r->programs[p].tick <= note->start; p++)
            now[r->programs[p].channel] = r->programs[p].program;
        note->program = now[note->channel];
    }
}

ct_status ct_midi_read(const uint8_t *bytes, size_t count, ct_arena *arena, ct_midi *out) {
    ct_midi_repaired clean;
    *out = (ct_midi){.repairs = ""};
    CT_TRY(ct_midi_repair(bytes, count, arena, &clean));
    reader *r = CT_NEW(arena, reader, 1);
    if (!r) return CT_ENOMEM;
    smf_t *smf = smf_load_from_memory(clean.bytes, (int)clean.count);
    if (!smf) return ct_fail(CT_EFAIL, "libsmf does not take the repaired file (%zu bytes)", clean.count);
    out->ppq = smf->ppqn;
    out->repairs = clean.report;
    r->arena = arena;
    r->out = out;
    ct_status status;
    CT_CATCH(make_room(r, smf), done);
    for (int t = 1; t <= smf->number_of_tracks; t++)
        CT_CATCH(read_track(r, smf_get_track_by_number(smf, t), (size_t)t - 1), done);
    qsort(out->notes, out->note_count, sizeof *out->notes, by_start);
    set_programs(r);
    qsort(out->keys.at, out->keys.count, sizeof *out->keys.at, events_by_tick);
    qsort(out->markers.at, out->markers.count, sizeof *out->markers.at, events_by_tick);
    qsort(out->lyrics.at, out->lyrics.count, sizeof *out->lyrics.at, events_by_tick);
done:
    forget(smf);
    return status;
}

/* ---- writing */
enum { RANK_NAME, RANK_META, RANK_OFF, RANK_PROGRAM, RANK_LYRIC, RANK_ON }; /* order of events at one tick */

typedef struct out_event {
    int64_t     tick;
    size_t      order;
    const char *text; /* of a meta text, else NULL */
    uint16_t    track;
    uint8_t     rank, size, data[7];
} out_event;

typedef struct writer {
    out_event *events;
    size_t     count;
} writer;

static void put(writer *w, int64_t tick, size_t track, int rank, const uint8_t *data, size_t size, const char *text) {
    out_event *e = &w->events[w->count];
    *e = (out_event){.tick = tick, .order = w->count, .text = text, .track = (uint16_t)track, .rank = (uint8_t)rank};
    e->size = (uint8_t)size;
    memcpy(e->data, data, size);
    w->count++;
}

static void put_list(writer *w, const ct_midi_list *list, int type) {
    for (size_t i = 0; i < list->count; i++) {
        const ct_midi_event *e = &list->at[i];
        if (type == 0x51) {
            double us = e->value > 0 ? round(60e6 / e->value) : 0;
            long   t = us < 1 ? 1 : us > 0xffffff ? 0xffffff : (long)us;
            put(w, e->tick, 0, RANK_META, (uint8_t[]){0xff, 0x51, 3, (uint8_t)(t >> 16), (uint8_t)(t >> 8), (uint8_t)t},
                6, NULL);
        } else if (type == 0x58) {
            int power = 0;
            while (power < 6 && 1 << power < e->b) power++;
            put(w, e->tick, 0, RANK_META, (uint8_t[]){0xff, 0x58, 4, (uint8_t)e->a, (uint8_t)power, 24, 8}, 7, NULL);
        } else if (type == 0x59)
            put(w, e->tick, 0, RANK_META, (uint8_t[]){0xff, 0x59, 2, (uint8_t)e->a, (uint8_t)e->b}, 5, NULL);
        else
            put(w, e->tick, type == 0x05 ? e->track : 0, type == 0x05 ? RANK_LYRIC : RANK_META,
                (uint8_t[]){0xff, (uint8_t)type}, 2, e->text);
    }
}

static void put_notes(writer *w, const ct_midi *midi) {
    int program_now[16];
    for (int c = 0; c < 16; c++) program_now[c] = -1;
    for (size_t i = 0; i < midi->note_count; i++) {
        const ct_midi_note *n = &midi->notes[i];
        CT_ASSERT(n->end > n->start && n->channel < 16 && n->pitch < 128 && n->velocity > 0 && n->velocity < 128);
        if (program_now[n->channel] != n->program) {
            program_now[n->channel] = n->program;
            put(w, n->start, n->track, RANK_PROGRAM, (uint8_t[]){0xc0 | n->channel, n->program}, 2, NULL);
        }
        put(w, n->start, n->track, RANK_ON, (uint8_t[]){0x90 | n->channel, n->pitch, n->velocity}, 3, NULL);
        put(w, n->end, n->track, RANK_OFF, (uint8_t[]){0x80 | n->channel, n->pitch, 64}, 3, NULL);
    }
}

static int by_track(const void *pa, const void *pb) {
    const out_event *a = pa, *b = pb;
    if (a->track != b->track) return a->track < b->track ? -1 : 1;
    if (a->tick != b->tick) return a->tick < b->tick ? -1 : 1;
    if (a->rank != b->rank) return a->rank < b->rank ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

/* libsmf's event for one of ours. */
static smf_event_t *event_new(const out_event *e) {
    uint8_t data[3 + CT_MIDI_TEXT_MAX];
    size_t  size = e->size;
    memcpy(data, e->data, size);
    if (e->text) {
        size_t length = ct_text_whole(e->text, CT_MIDI_TEXT_MAX);
        data[size++] = (uint8_t)length;
        memcpy(data + size, e->text, length);
        size += length;
    }
    return smf_event_new_from_pointer(data, (int)size);
}

static ct_status fill(smf_t *smf, const writer *w, size_t tracks) {
    const out_event *e = w->events, *last = e + w->count;
    for (size_t t = 0; t < tracks; t++) {
        smf_track_t *track = smf_track_new();
        if (!track) return ct_fail(CT_ENOMEM, "out of memory: a MIDI track");
        smf_add_track(smf, track);
        for (; e < last && e->track == t; e++) {
            smf_event_t *event = event_new(e);
            if (!event) return ct_fail(CT_ENOMEM, "out of memory: a MIDI event");
            smf_track_add_event_pulses(track, event, (int)e->tick);
        }
    }
    return CT_OK;
}

/* Let libsmf save to memory and copy that into the arena. */
static ct_status save(smf_t *smf, ct_arena *arena, uint8_t **bytes, size_t *count) {
    char path[64];
    int  fd = memfd_create("midi", MFD_CLOEXEC);
    if (fd < 0) return ct_fail(CT_EFAIL, "no memory file for a MIDI file");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ct_status status = CT_OK;
    off_t     size = smf_save(smf, path) == 0 ? lseek(fd, 0, SEEK_END) : -1;
    if (size < 0)
        status = ct_fail(CT_EFAIL, "libsmf could not save to %s", path);
    else if (!(*bytes = ct_arena_alloc(arena, (size_t)size, 1)))
        status = CT_ENOMEM;
    else if (pread(fd, *bytes, (size_t)size, 0) != size)
        status = ct_fail(CT_EFAIL, "%s: short read", path);
    else
        *count = (size_t)size;
    close(fd);
    return status;
}

ct_status ct_midi_write(const ct_midi *midi, ct_arena *arena, uint8_t **bytes, size_t *count) {
    size_t tracks = midi->track_count ? midi->track_count : 1;
    size_t most = tracks + 3 * midi->note_count + midi->tempos.count + midi->metres.count + midi->keys.count +
                  midi->markers.count + midi->lyrics.count;
    writer w = {.events = CT_NEW(arena, out_event, most)};
    if (!w.events) return CT_ENOMEM;
    for (size_t t = 0; t < midi->track_count; t++)
        if (*midi->tracks[t].name) put(&w, 0, t, RANK_NAME, (uint8_t[]){0xff, 0x03}, 2, midi->tracks[t].name);
    put_list(&w, &midi->tempos, 0x51);
    put_list(&w, &midi->metres, 0x58);
    put_list(&w, &midi->keys, 0x59);
    put_list(&w, &midi->markers, 0x06);
    put_list(&w, &midi->lyrics, 0x05);
    put_notes(&w, midi);
    qsort(w.events, w.count, sizeof *w.events, by_track);
    for (size_t i = 0; i < w.count; i++)
        if (w.events[i].tick < 0 || w.events[i].tick > CT_MIDI_TICK_MAX || w.events[i].track >= tracks)
            return ct_fail(CT_EFAIL, "event at tick %lld of track %d: at most tick %d, %zu tracks",
                           (long long)w.events[i].tick, w.events[i].track, CT_MIDI_TICK_MAX, tracks);
    smf_t    *smf = smf_new();
    ct_status status;
    if (!smf || smf_set_ppqn(smf, midi->ppq) || smf_set_format(smf, 1)) {
        if (smf) smf_delete(smf);
        return ct_fail(CT_EFAIL, "libsmf does not take %d ticks a quarter", midi->ppq);
    }
    CT_CATCH(fill(smf, &w, tracks), done);
    CT_CATCH(save(smf, arena, bytes, count), done);
done:
    forget(smf);
    return status;
}

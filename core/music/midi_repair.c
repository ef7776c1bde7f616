/* midi_repair.c -- chunks, then events, then a clean file; see midi_repair.h. */
#include "core/music/midi_repair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What was repaired: a count for each kind, and its words. */
#define FIXES(X)                                                                                                       \
    X(RIFF, "RIFF wrapper removed")                                                                                    \
    X(JUNK, "bytes before MThd skipped")                                                                               \
    X(HEADER_LENGTH, "MThd length wrong")                                                                              \
    X(FORMAT, "format unknown, read as format 1")                                                                      \
    X(FORMAT_2, "format 2 read as format 1")                                                                           \
    X(DIVISION, "division 0 read as 480 ticks a quarter")                                                              \
    X(SMPTE, "SMPTE division read at 120 quarters a minute")                                                           \
    X(SMPTE_ODD, "SMPTE division with a rate or resolution that does not exist")                                       \
    X(TRACK_COUNT, "number of tracks differs from the header's")                                                       \
    X(TRACKS, "tracks after the 256th left out")                                                                       \
    X(SECOND_FILE, "second file after the first left out")                                                             \
    X(CHUNK, "unknown chunks skipped")                                                                                 \
    X(GAP, "bytes between chunks skipped")                                                                             \
    X(TAIL, "bytes after the last track skipped")                                                                      \
    X(TRACK_LENGTH, "track length wrong")                                                                              \
    X(END, "end of track added")                                                                                       \
    X(AFTER_END, "bytes after an end of track skipped")                                                                \
    X(CUT, "track cut off inside an event")                                                                            \
    X(VLQ, "number longer than four bytes")                                                                            \
    X(RUNNING, "running status after sysex or meta")                                                                   \
    X(NO_STATUS, "bytes without a status skipped")                                                                     \
    X(DATA, "data bytes above 127")                                                                                    \
    X(SYSTEM, "system messages skipped")                                                                               \
    X(SYSEX, "sysex of wrong length")                                                                                  \
    X(META, "meta events of wrong length")                                                                             \
    X(TEMPO, "impossible tempos left out")                                                                             \
    X(METRE, "impossible time signatures left out")                                                                    \
    X(KEY, "impossible key signatures left out")                                                                       \
    X(TEXT, "texts cut to 127 bytes")                                                                                  \
    X(LATE, "events after tick 268435455 left out")                                                                    \
    X(EVENTS, "events after the 1048576th left out")
#define FIX_ENUM(id, words) FIX_##id,
#define FIX_WORDS(id, words) words,
enum { FIXES(FIX_ENUM) FIX_COUNT };
static const char *const FIX_SAYS[FIX_COUNT] = {FIXES(FIX_WORDS)};

typedef struct event {
    int64_t  tick;
    size_t   text; /* offset of a text in the file; its size is data[2] */
    uint32_t order;
    uint16_t track;
    uint8_t  size; /* bytes of data, a text's head only */
    uint8_t  data[7];
} event;

typedef struct repairer {
    const uint8_t *bytes;
    size_t         count, pos, limit; /* limit: where the current track must end */
    ct_arena      *arena;
    event         *events;
    size_t         event_count, event_capacity;
    int64_t        ends[CT_MIDI_TRACKS_MAX]; /* tick of each track's end */
    size_t         tracks;
    bool           smpte;
    unsigned       ppq;
    size_t         fixed[FIX_COUNT];
} repairer;

/* ---- bytes */
static uint32_t big_endian(const uint8_t *b, int n) {
    uint32_t value = 0;
    for (int i = 0; i < n; i++) value = value << 8 | b[i];
    return value;
}

static bool is_chunk(const repairer *r, size_t pos, const char *id) {
    return pos + 4 <= r->count && memcmp(r->bytes + pos, id, 4) == 0;
}

static bool has_chunk_name(const repairer *r, size_t pos) {
    if (pos + 8 > r->count) return false;
    for (size_t i = pos; i < pos + 4; i++)
        if (r->bytes[i] < 0x20 || r->bytes[i] > 0x7e) return false;
    return true;
}

/* Where `id` next stands at or after pos; count when it does not. */
static size_t find_chunk(const repairer *r, size_t pos, const char *id) {
    const uint8_t *hit = pos < r->count ? memmem(r->bytes + pos, r->count - pos, id, 4) : NULL;
    return hit ? (size_t)(hit - r->bytes) : r->count;
}

/* A variable-length number; false when the track ends inside it. Longer ones than the four bytes allowed are read as
 * far as they go and held at the largest value. */
static bool read_number(repairer *r, uint32_t *out) {
    uint64_t value = 0;
    for (int n = 1; r->pos < r->limit && n <= 9; n++) {
        uint8_t byte = r->bytes[r->pos++];
        value = value << 7 | (byte & 0x7f);
        if (byte < 0x80) {
            if (n > 4) r->fixed[FIX_VLQ]++;
            *out = value > 0x0fffffff ? 0x0fffffff : (uint32_t)value;
            return true;
        }
    }
    return false;
}

/* ---- events */
static ct_status keep(repairer *r, int64_t tick, const uint8_t *data, int size, size_t text) {
    bool begins = (data[0] & 0xf0) == 0x90 && data[2]; /* a note, which needs one more tick to end in */
    if (tick > CT_MIDI_TICK_MAX - begins) {
        r->fixed[FIX_LATE]++;
        return CT_OK;
    }
    if (r->event_count == CT_MIDI_EVENTS_MAX) {
        r->fixed[FIX_EVENTS]++;
        return CT_OK;
    }
    if (!CT_PUSH(r->arena, r->events, r->event_count, r->event_capacity)) return CT_ENOMEM;
    event e = {.tick = tick, .text = text, .order = (uint32_t)r->event_count, .size = (uint8_t)size};
    bool  conducts = data[0] == 0xff && (data[1] == 0x51 || data[1] == 0x58);
    e.track = conducts ? 0 : (uint16_t)r->tracks;
    memcpy(e.data, data, (size_t)size);
    r->events[r->event_count++] = e;
    return CT_OK;
}

/* A channel message whose data bytes start at pos; false when the track ends inside it. */
static ct_status read_channel(repairer *r, int64_t tick, uint8_t status, bool *whole) {
    uint8_t kind = status & 0xf0;
    size_t  need = kind == 0xc0 || kind == 0xd0 ? 1 : 2;
    *whole = r->limit - r->pos >= need;
    if (!*whole) return CT_OK;
    uint8_t a = r->bytes[r->pos], b = need == 2 ? r->bytes[r->pos + 1] : 0;
    r->pos += need;
    bool note = kind == 0x80 || kind == 0x90;
    if (!note && kind != 0xc0) return CT_OK;
    if (a > 127 || b > 127) r->fixed[FIX_DATA]++;
    if (a > 127) return CT_OK;
    if (b > 127) b = 127;
    return keep(r, tick, (uint8_t[]){status, a, b}, (int)need + 1, 0);
}

/* A meta event behind its FF. */
static ct_status read_meta(repairer *r, int64_t tick, bool *whole, bool *end) {
    uint32_t length;
    *whole = r->pos < r->limit;
    if (!*whole) return CT_OK;
    uint8_t type = r->bytes[r->pos++];
    *end = type == 0x2f;
    *whole = read_number(r, &length) && length <= r->limit - r->pos;
    if (*end) {
        if (*whole && length) {
            r->fixed[FIX_META]++;
            r->pos += length;
        }
        *whole = true;
        return CT_OK;
    }
    if (!*whole) return CT_OK;
    size_t         at = r->pos;
    const uint8_t *d = r->bytes + at;
    r->pos += length;
    switch (type) {
    case 0x51: {
        if (length != 3) r->fixed[FIX_META]++;
        if (r->smpte || length < 3) return CT_OK;
        if (big_endian(d, 3) == 0) {
            r->fixed[FIX_TEMPO]++;
            return CT_OK;
        }
        return keep(r, tick, (uint8_t[]){0xff, 0x51, 3, d[0], d[1], d[2]}, 6, 0);
    }
    case 0x58:
        if (length != 4) r->fixed[FIX_META]++;
        if (length < 2) return CT_OK;
        if (d[0] == 0 || d[1] > 6) {
            r->fixed[FIX_METRE]++;
            return CT_OK;
        }
        return keep(r, tick, (uint8_t[]){0xff, 0x58, 4, d[0], d[1], 24, 8}, 7, 0);
    case 0x59:
        if (length != 2) r->fixed[FIX_META]++;
        if (length < 2) return CT_OK;
        if ((int8_t)d[0] < -7 || (int8_t)d[0] > 7 || d[1] > 1) {
            r->fixed[FIX_KEY]++;
            return CT_OK;
        }
        return keep(r, tick, (uint8_t[]){0xff, 0x59, 2, d[0], d[1]}, 5, 0);
    case 0x01:
    case 0x03:
    case 0x05:
    case 0x06:
        if (length > CT_MIDI_TEXT_MAX) {
            r->fixed[FIX_TEXT]++;
            length = CT_MIDI_TEXT_MAX;
        }
        return keep(r, tick, (uint8_t[]){0xff, type, (uint8_t)length}, 3, at);
    default:
        return CT_OK;
    }
}

/* Skip sysex or an escape behind its F0 or F7. One that runs past the track ends at the next F7. */
static bool skip_sysex(repairer *r) {
    uint32_t length;
    size_t   begin = r->pos;
    if (read_number(r, &length) && length <= r->limit - r->pos) {
        r->pos += length;
        return true;
    }
    r->fixed[FIX_SYSEX]++;
    const uint8_t *end = memchr(r->bytes + begin, 0xf7, r->limit - begin);
    if (end) r->pos = (size_t)(end - r->bytes) + 1;
    return end != NULL;
}

/* ---- tracks */
/* Read the events of the track that starts at pos; false in *ended when no end of track was met. */
static ct_status read_events(repairer *r, bool trusted, bool *ended) {
    int64_t tick = 0;
    uint8_t running = 0;
    bool    whole = true, fresh = true; /* fresh: nothing has cancelled the running status */
    *ended = false;
    while (whole && !*ended && r->pos < r->limit && (trusted || !is_chunk(r, r->pos, "MTrk"))) {
        uint32_t delta;
        if (!read_number(r, &delta) || r->pos >= r->limit) {
            whole = false;
            break;
        }
        tick += r->smpte ? 2 * (int64_t)delta : delta;
        while (!running && r->pos < r->limit && r->bytes[r->pos] < 0x80) {
            r->fixed[FIX_NO_STATUS]++;
            r->pos++;
        }
        if (r->pos >= r->limit) {
            whole = false;
            break;
        }
        uint8_t status = r->bytes[r->pos];
        if (status < 0x80) {
            status = running;
            if (!fresh) r->fixed[FIX_RUNNING]++;
            fresh = true;
        } else
            r->pos++;
        if (status < 0xf0) {
            running = status;
            fresh = true;
            CT_TRY(read_channel(r, tick, status, &whole));
        } else if (status == 0xff) {
            fresh = false;
            CT_TRY(read_meta(r, tick, &whole, ended));
        } else if (status == 0xf0 || status == 0xf7) {
            fresh = false;
            whole = skip_sysex(r);
        } else {
            size_t need = status == 0xf2 ? 2 : status == 0xf1 || status == 0xf3 ? 1 : 0;
            r->fixed[FIX_SYSTEM]++;
            whole = r->limit - r->pos >= need;
            if (whole) r->pos += need;
        }
    }
    if (!whole) {
        r->fixed[FIX_CUT]++;
        r->pos = r->limit;
    }
    if (!*ended) r->fixed[FIX_END]++;
    r->ends[r->tracks] = tick > CT_MIDI_TICK_MAX ? CT_MIDI_TICK_MAX : tick;
    return CT_OK;
}

/* The track chunk at pos. Its length is believed only when it leads to another chunk or to the end of the file. */
static ct_status read_track(repairer *r) {
    size_t length = big_endian(r->bytes + r->pos + 4, 4), begin = r->pos + 8, declared = begin + length;
    bool   trusted = declared == r->count || (declared < r->count && has_chunk_name(r, declared));
    bool   ended;
    r->limit = trusted ? declared : r->count;
    r->pos = begin;
    CT_TRY(read_events(r, trusted, &ended));
    bool tail = declared < r->count && ended && r->pos == declared; /* right, but junk follows it */
    bool wrong = trusted ? r->pos < declared && is_chunk(r, r->pos, "MTrk") : !tail;
    if (wrong)
        r->fixed[FIX_TRACK_LENGTH]++;
    else if (trusted) {
        r->fixed[FIX_AFTER_END] += declared - r->pos;
        r->pos = declared;
    }
    r->tracks++;
    return CT_OK;
}

static ct_status read_header(repairer *r, size_t *announced) {
    size_t at = find_chunk(r, 0, "MThd");
    if (at == r->count)
        return ct_fail(CT_EFAIL, "offset 0: no MThd in %zu bytes (hint: this is not a MIDI file)", r->count);
    if (r->count - at < 14)
        return ct_fail(CT_EFAIL, "offset %zu: MThd is cut off, %zu of its 14 bytes are there", at, r->count - at);
    if (at && is_chunk(r, 0, "RIFF"))
        r->fixed[FIX_RIFF]++;
    else
        r->fixed[FIX_JUNK] += at;
    const uint8_t *h = r->bytes + at;
    size_t         next = at + 8 + (size_t)big_endian(h + 4, 4);
    unsigned       format = big_endian(h + 8, 2), division = big_endian(h + 12, 2);
    if (next != at + 14) {
        r->fixed[FIX_HEADER_LENGTH]++;
        if (next < at + 14 || next >= r->count || !is_chunk(r, next, "MTrk")) next = at + 14;
    }
    if (format == 2)
        r->fixed[FIX_FORMAT_2]++;
    else if (format > 2)
        r->fixed[FIX_FORMAT]++;
    *announced = big_endian(h + 10, 2);
    r->ppq = division;
    if (division == 0) {
        r->fixed[FIX_DIVISION]++;
        r->ppq = 480;
    } else if (division & 0x8000) {
        unsigned rate = 256 - (division >> 8), resolution = division & 0xff;
        r->fixed[FIX_SMPTE]++;
        if ((rate != 24 && rate != 25 && rate != 29 && rate != 30) || resolution == 0) r->fixed[FIX_SMPTE_ODD]++;
        if (rate == 29) rate = 30; /* 29.97 drop-frame */
        if (resolution == 0) resolution = 40;
        r->smpte = true; /* a quarter is half a second; ticks count twice so that it is a whole number of them */
        r->ppq = rate * resolution;
    }
    r->pos = next;
    return CT_OK;
}

static ct_status read_chunks(repairer *r) {
    while (r->count - r->pos >= 8) {
        if (is_chunk(r, r->pos, "MTrk")) {
            if (r->tracks == CT_MIDI_TRACKS_MAX) {
                r->fixed[FIX_TRACKS] = 1;
                return CT_OK;
            }
            CT_TRY(read_track(r));
            continue;
        }
        if (is_chunk(r, r->pos, "MThd")) {
            r->fixed[FIX_SECOND_FILE] = 1;
            return CT_OK;
        }
        size_t next = r->pos + 8 + (size_t)big_endian(r->bytes + r->pos + 4, 4);
        if (has_chunk_name(r, r->pos) && (next == r->count || (next < r->count && has_chunk_name(r, next)))) {
            r->fixed[FIX_CHUNK]++;
            r->pos = next;
            continue;
        }
        next = find_chunk(r, r->pos + 1, "MTrk");
        r->fixed[next == r->count ? FIX_TAIL : FIX_GAP] += next - r->pos;
        r->pos = next;
    }
    r->fixed[FIX_TAIL] += r->count - r->pos;
    return CT_OK;
}

/* ---- the clean file */
static int by_track_and_time(const void *pa, const void *pb) {
    const event *a = pa, *b = pb;
    if (a->track != b->track) return a->track < b->track ? -1 : 1;
    if (a->tick != b->tick) return a->tick < b->tick ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static uint8_t *put_number(uint8_t *p, int64_t value) {
    for (int shift = 21; shift > 0; shift -= 7)
        if (value >> shift) *p++ = (uint8_t)(0x80 | (value >> shift & 0x7f));
    *p++ = (uint8_t)(value & 0x7f);
    return p;
}

static uint8_t *put_big_endian(uint8_t *p, size_t value, int n) {
    for (int i = n - 1; i >= 0; i--) *p++ = (uint8_t)(value >> (8 * i));
    return p;
}

static ct_status write_clean(repairer *r, ct_midi_repaired *out) {
    size_t room = 14 + r->tracks * 16;
    for (size_t i = 0; i < r->event_count; i++) {
        const event *e = &r->events[i];
        room += 4 + (size_t)e->size + (e->text ? e->data[2] : 0);
    }
    uint8_t *p = out->bytes = ct_arena_alloc(r->arena, room, 1);
    if (!p) return CT_ENOMEM;
    if (r->event_count) qsort(r->events, r->event_count, sizeof *r->events, by_track_and_time);
    memcpy(p, "MThd\0\0\0\6\0\1", 10);
    p = put_big_endian(p + 10, r->tracks, 2);
    p = put_big_endian(p, r->ppq, 2);
    const event *e = r->events, *last = r->event_count ? e + r->event_count : e;
    for (size_t t = 0; t < r->tracks; t++) {
        uint8_t *head = p;
        int64_t  tick = 0;
        p += 8;
        for (; e < last && e->track == t; e++) {
            p = put_number(p, e->tick - tick);
            tick = e->tick;
            memcpy(p, e->data, e->size);
            p += e->size;
            if (e->text) {
                memcpy(p, r->bytes + e->text, e->data[2]);
                p += e->data[2];
            }
        }
        p = put_number(p, r->ends[t] > tick ? r->ends[t] - tick : 0);
        memcpy(p, "\xff\x2f", 3);
        p += 3;
        memcpy(head, "MTrk", 4);
        put_big_endian(head + 4, (size_t)(p - head) - 8, 4);
    }
    out->count = (size_t)(p - out->bytes);
    CT_ASSERT(out->count <= room);
    return CT_OK;
}

static ct_status report(const repairer *r, ct_midi_repaired *out) {
    char   text[4096] = "";
    size_t used = 0;
    for (int i = 0; i < FIX_COUNT; i++) {
        if (!r->fixed[i]) continue;
        int n = snprintf(text + used, sizeof text - used, r->fixed[i] > 1 ? "%s%s (%zu)" : "%s%s", used ? "; " : "",
                         FIX_SAYS[i], r->fixed[i]);
        used += (size_t)n;
        CT_ASSERT(used < sizeof text);
    }
    out->report = ct_arena_copy(r->arena, text, used);
    return out->report ? CT_OK : CT_ENOMEM;
}

ct_status ct_midi_repair(const uint8_t *bytes, size_t count, ct_arena *arena, ct_midi_repaired *out) {
    *out = (ct_midi_repaired){0};
    if (count > CT_MIDI_BYTES_MAX)
        return ct_fail(CT_EFAIL, "%zu bytes, at most %d (hint: no song needs that many)", count, CT_MIDI_BYTES_MAX);
    repairer *r = CT_NEW(arena, repairer, 1);
    if (!r) return CT_ENOMEM;
    r->bytes = bytes;
    r->count = count;
    r->arena = arena;
    size_t announced = 0;
    CT_TRY(read_header(r, &announced));
    size_t first = r->pos;
    CT_TRY(read_chunks(r));
    if (!r->tracks) return ct_fail(CT_EFAIL, "offset %zu: no track (MTrk) after the header", first);
    if (announced != r->tracks) r->fixed[FIX_TRACK_COUNT]++;
    CT_TRY(write_clean(r, out));
    return report(r, out);
}

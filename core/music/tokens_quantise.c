/* What happens to pieces and rows as a whole: reduction to what the tokens can say, and transposition. */
#include "core/music/tokens.h"

/* At most one change at each beat and one inside it: of several inside, the last, which the next beat goes on from.
 * Changes that repeat what is in force disappear. */
static void quantise_changes(ct_piece *piece) {
    int32_t kept = 0;
    for (int32_t i = 0; i < piece->change_count; i++) {
        ct_change change = piece->changes[i];
        bool      inside = change.step % CT_STEPS_PER_BEAT != 0;
        if (inside && i + 1 < piece->change_count &&
            piece->changes[i + 1].step / CT_STEPS_PER_BEAT == change.step / CT_STEPS_PER_BEAT)
            continue;
        if (kept && ct_chord_same(piece->changes[kept - 1].chord, change.chord)) continue;
        piece->changes[kept++] = change;
    }
    piece->change_count = kept;
}

/* Notes end within the piece and last at most CT_DURATION_MAX; gaps of one or two steps to the next note close. */
static void quantise_melody(ct_piece *piece) {
    int32_t end = ct_piece_steps(piece), kept = 0;
    for (int32_t i = 0; i < piece->melody_count; i++) {
        ct_note note = piece->melody[i];
        int32_t next = i + 1 < piece->melody_count ? piece->melody[i + 1].start : INT32_MAX;
        int32_t most = note.start > INT32_MAX - CT_DURATION_MAX ? INT32_MAX : note.start + CT_DURATION_MAX;
        if (note.start >= end) continue;
        if (note.end > most) note.end = most;
        if (next > note.end && next - note.end <= 2 && next <= most) note.end = next;
        if (note.end > end) note.end = end;
        note.velocity = (uint8_t)(note.velocity / 8 * 8 + 4);
        piece->melody[kept++] = note;
    }
    piece->melody_count = kept;
}

ct_status ct_piece_quantise(ct_piece *piece, ct_arena *arena) {
    (void)arena; /* every reduction shrinks or stays in place */
    for (int32_t i = 0; i < piece->bar_count; i++)
        piece->bars[i].tempo = ct_tempo_of_bin(ct_tempo_bin(piece->bars[i].tempo));
    quantise_changes(piece);
    quantise_melody(piece);
    return CT_OK;
}

static uint16_t turn_within(uint16_t value, int first, int semitones) {
    return (uint16_t)(first + (value - first + semitones + 12) % 12);
}

static uint16_t turn_key(uint16_t key, int semitones) {
    return key < 12 ? turn_within(key, 0, semitones) : turn_within(key, 12, semitones);
}

static uint16_t turn_token(ct_stage stage, uint16_t token, int semitones) {
    if (stage == CT_BACKBONE) {
        if (token >= CT_B_KEY && token < CT_B_KEY + 24)
            return (uint16_t)(CT_B_KEY + turn_key((uint16_t)(token - CT_B_KEY), semitones));
        if (token >= CT_B_ROOT && token < CT_B_ROOT + 12) return turn_within(token, CT_B_ROOT, semitones);
        return token;
    }
    if (token < CT_M_PITCH || token >= CT_M_PITCH + 128) return token;
    int pitch = token - CT_M_PITCH + semitones;
    if (pitch < 0) pitch += 12;
    if (pitch > 127) pitch -= 12;
    return (uint16_t)(CT_M_PITCH + pitch);
}

void ct_rows_transpose(ct_stage stage, uint16_t *rows, int64_t count, int semitones) {
    int              width;
    const ct_column *columns = ct_columns(stage, &width);
    CT_ASSERT(semitones >= -11 && semitones <= 11);
    for (int64_t i = 0; i < count; i++, rows += width)
        for (int c = 0; c < width; c++) {
            if (columns[c].turn == CT_TURN_PITCH_CLASS && rows[c] < 12) rows[c] = turn_within(rows[c], 0, semitones);
            if (columns[c].turn == CT_TURN_KEY && rows[c] < 24) rows[c] = turn_key(rows[c], semitones);
            if (columns[c].turn == CT_TURN_TOKEN) rows[c] = turn_token(stage, rows[c], semitones);
        }
}

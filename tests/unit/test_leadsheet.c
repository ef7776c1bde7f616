/* chord_symbol.h and leadsheet.h: chords and charts as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/music/leadsheet.h"
#include "core/music/tokens.h"
#include "core/rng.h"

#define OK(expression)                                                                                                 \
    do {                                                                                                               \
        if ((expression) != CT_OK) fail_msg("%s", ct_message());                                                       \
    } while (0)

/* ---- chord symbols */

static ct_symbol read_symbol(const char *text) {
    ct_symbol symbol;
    if (ct_symbol_parse(text, strlen(text), &symbol, NULL) != CT_OK) fail_msg("%s: %s", text, ct_message());
    assert_string_equal(symbol.text, text);
    return symbol;
}

static void test_symbols(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int         root, quality, bass;
        const char *tones; /* semitones above the root; NULL: just the quality's */
    } cases[] = {
        {"C", 0, CT_MAJ, 0, NULL},
        {"Am7", 9, CT_MIN7, 0, NULL},
        {"Cmaj7", 0, CT_MAJ7, 0, NULL},
        {"CM7", 0, CT_MAJ7, 0, NULL},
        {"CΔ7", 0, CT_MAJ7, 0, NULL},
        {"CΔ", 0, CT_MAJ7, 0, NULL},
        {"Cma7", 0, CT_MAJ7, 0, NULL},
        {"F#m7b5", 6, CT_HDIM7, 0, NULL},
        {"Bø", 11, CT_HDIM7, 0, NULL},
        {"Bø7", 11, CT_HDIM7, 0, NULL},
        {"G/B", 7, CT_MAJ, 4, NULL},
        {"Dsus", 2, CT_SUS4, 0, NULL},
        {"E7sus4", 4, CT_SUS4B7, 0, NULL},
        {"Esus2", 4, CT_SUS2, 0, NULL},
        {"Caug", 0, CT_AUG, 0, NULL},
        {"C+", 0, CT_AUG, 0, NULL},
        {"Cdim", 0, CT_DIM, 0, NULL},
        {"Co7", 0, CT_DIM7, 0, NULL},
        {"C°7", 0, CT_DIM7, 0, NULL},
        {"Dm(maj7)", 2, CT_MINMAJ7, 0, NULL},
        {"DmMaj7", 2, CT_MINMAJ7, 0, NULL},
        {"D-7", 2, CT_MIN7, 0, NULL},
        {"Dmin7", 2, CT_MIN7, 0, NULL},
        {"Ebmi", 3, CT_MIN, 0, NULL},
        {"E♭", 3, CT_MAJ, 0, NULL},
        {"C5", 0, CT_POWER, 0, NULL},
        {"Bb5", 10, CT_POWER, 0, NULL},
        {"C6", 0, CT_MAJ6, 0, NULL},
        {"Cm6", 0, CT_MIN6, 0, NULL},
        {"F#/A#", 6, CT_MAJ, 4, NULL},
        {"Am/G", 9, CT_MIN, 10, NULL},
        {"C/D", 0, CT_MAJ, 2, NULL},
        {"G7/F", 7, CT_DOM7, 10, NULL},
        {"Bb13(#11)", 10, CT_DOM7, 0, "0 2 4 6 7 9 10"},
        {"C6/9", 0, CT_MAJ6, 0, "0 2 4 7 9"},
        {"C69", 0, CT_MAJ6, 0, "0 2 4 7 9"},
        {"C9", 0, CT_DOM7, 0, "0 2 4 7 10"},
        {"Cmaj9", 0, CT_MAJ7, 0, "0 2 4 7 11"},
        {"Cm9", 0, CT_MIN7, 0, "0 2 3 7 10"},
        {"Cadd9", 0, CT_MAJ, 0, "0 2 4 7"},
        {"Cmadd9", 0, CT_MIN, 0, "0 2 3 7"},
        {"C7b9", 0, CT_DOM7, 0, "0 1 4 7 10"},
        {"C7-9", 0, CT_DOM7, 0, "0 1 4 7 10"},
        {"C7#5", 0, CT_DOM7, 0, "0 4 8 10"},
        {"C+7", 0, CT_DOM7, 0, "0 4 8 10"},
        {"C7+5", 0, CT_DOM7, 0, "0 4 8 10"},
        {"C7b5", 0, CT_DOM7, 0, "0 4 6 10"},
        {"C7(b9,#11)", 0, CT_DOM7, 0, "0 1 4 6 7 10"},
        {"C7(b9 b13)", 0, CT_DOM7, 0, "0 1 4 7 8 10"},
        {"C7alt", 0, CT_DOM7, 0, "0 1 3 4 6 8 10"},
        {"C9sus4", 0, CT_SUS4B7, 0, "0 2 5 7 10"},
        {"Cm11/Eb", 0, CT_MIN7, 3, "0 2 3 5 7 10"},
        {"C7no3", 0, CT_DOM7, 0, "0 7 10"},
        {"C:maj7/5", 0, CT_MAJ7, 7, NULL},
        {"A:min", 9, CT_MIN, 0, NULL},
        {"F#:hdim7/b3", 6, CT_HDIM7, 3, NULL},
        {"G:sus4(b7)", 7, CT_SUS4B7, 0, NULL},
        {"C:5", 0, CT_POWER, 0, NULL},
        {"C:minmaj7", 0, CT_MINMAJ7, 0, NULL},
        {"A:min(9)", 9, CT_MIN, 0, "0 2 3 7"},
        {"C:(1,b3,5)", 0, CT_MIN, 0, NULL},
        {"C:maj(*5,#5)", 0, CT_AUG, 0, NULL},
        {"C:maj(b5)", 0, CT_MAJ, 0, "0 4 6 7"},
        {"D/3", 2, CT_MAJ, 4, NULL},
    };
    for (size_t i = 0; i < CT_COUNT(cases); i++) {
        ct_symbol symbol = read_symbol(cases[i].text);
        unsigned  tones = cases[i].tones ? 0 : ct_quality_mask(cases[i].quality);
        int       tone, used;
        /* NOLINTNEXTLINE(cert-err34-c): numbers typed above */
        for (const char *t = cases[i].tones; t && sscanf(t, "%d%n", &tone, &used) == 1; t += used) tones |= 1u << tone;
        if (symbol.chord.root != cases[i].root || symbol.chord.quality != cases[i].quality ||
            symbol.chord.bass != cases[i].bass || symbol.tones != tones)
            fail_msg("%s: root %d, quality %s, bass %d, tones %03x (expected %03x)", cases[i].text, symbol.chord.root,
                     ct_quality_name(symbol.chord.quality), symbol.chord.bass, symbol.tones, tones);
        assert_int_equal(symbol.reduced, cases[i].tones != NULL);
    }
    static const char *const none[] = {"NC", "N.C.", "N"};
    for (size_t i = 0; i < CT_COUNT(none); i++) {
        ct_symbol symbol = read_symbol(none[i]);
        assert_int_equal(symbol.chord.root, CT_NO_CHORD);
        assert_int_equal(symbol.tones, 0);
    }
}

static void test_bad_symbols(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t      column;
        const char *says;
    } cases[] = {
        {"", 1, "a root from A to G"},
        {"H", 1, "a root"},
        {"am7", 1, "a root"},
        {"Cfoo", 2, "found 'foo'"},
        {"C/", 3, "bass"},
        {"C/H", 3, "bass"},
        {"C/E7", 4, "after its bass"},
        {"C8", 2, "7, 9"},
        {"C7(b9", 6, "')'"},
        {"C)", 2, "a quality"},
        {"C7b", 4, "degree"},
        {"NCx", 3, "after N.C."},
        {"C7(b15)", 5, "degree"},
        {"C no", 2, "found ' no'"},
        {"C:(*1)", 6, "root"},
        {"C7(b9,b9,b9,b9,b9,b9,b9,b9,b9,b9)", 1, "at most 31"},
    };
    for (size_t i = 0; i < CT_COUNT(cases); i++) {
        ct_symbol symbol;
        size_t    column;
        assert_int_equal(ct_symbol_parse(cases[i].text, strlen(cases[i].text), &symbol, &column), CT_EFAIL);
        if (column != cases[i].column || !strstr(ct_message(), cases[i].says))
            fail_msg("%s: column %zu: %s", cases[i].text, column, ct_message());
    }
}

static void test_own_symbols_parse(void **state) {
    (void)state;
    for (int key = -1; key < 24; key++)
        for (int root = 0; root < 12; root++)
            for (int quality = 0; quality < CT_QUALITY_COUNT; quality++)
                for (int bass = 0; bass < 12; bass++) {
                    ct_chord  chord = {(uint8_t)root, (uint8_t)quality, (uint8_t)bass};
                    char      harte[32];
                    ct_symbol own = ct_symbol_of_chord(chord, key), back = read_symbol(own.text);
                    assert_memory_equal(&own, &back, sizeof own);
                    back = read_symbol(ct_chord_name(chord, key, harte, sizeof harte));
                    assert_true(ct_chord_same(back.chord, chord) && !back.reduced);
                }
    ct_chord  none = {CT_NO_CHORD, 0, 0};
    ct_symbol own = ct_symbol_of_chord(none, 0);
    assert_true(ct_chord_same(read_symbol(own.text).chord, none));
}

/* Any bytes are read or refused; what is read names a chord of ours. */
static void test_random_symbols(void **state) {
    (void)state;
    static const char *const bits[] = {"C", "F#", "Bb", "m", "maj", "7",   "9",   "13",  "6", "/",   "E",
                                       "(", ")",  "b",  "#", "5",   "sus", "4",   "+",   "-", "dim", "ø",
                                       "°", ":",  ",",  " ", "*",   "no",  "add", "alt", "N"};
    int                      read = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        char   text[64] = "";
        size_t n = 0, column;
        int    parts = 1 + (int)(i % 7);
        for (int j = 0; j < parts; j++) {
            uint32_t word = ct_philox_at(9, i, (uint64_t)j).word[0];
            if (word % 50 == 0)
                text[n++] = (char)(1 + ct_philox_below(word * 2654435761u, 255));
            else
                n += (size_t)sprintf(text + n, "%s", bits[ct_philox_below(word, CT_COUNT(bits))]);
        }
        ct_symbol symbol;
        if (ct_symbol_parse(text, n, &symbol, &column) != CT_OK) {
            assert_in_range(column, 1, n + 1);
            continue;
        }
        read++;
        assert_in_range(symbol.chord.root, 0, CT_NO_CHORD);
        assert_in_range(symbol.chord.quality, 0, CT_QUALITY_COUNT - 1);
        assert_in_range(symbol.chord.bass, 0, 11);
        assert_int_equal(symbol.tones & 1, symbol.chord.root != CT_NO_CHORD);
    }
    assert_true(read > 500);
}

/* ---- sheets */

static ct_sheet read_sheet(const char *text, ct_arena *arena) {
    ct_sheet sheet;
    OK(ct_sheet_parse("chart", text, strlen(text), arena, &sheet));
    return sheet;
}

static void same_sheet(const ct_sheet *a, const ct_sheet *b) {
    assert_string_equal(a->title, b->title);
    assert_int_equal(a->bar_count, b->bar_count);
    for (int i = 0; i < a->bar_count; i++) {
        assert_int_equal(a->bars[i].start, b->bars[i].start);
        assert_int_equal(a->bars[i].key, b->bars[i].key);
        assert_int_equal(a->bars[i].metre, b->bars[i].metre);
        assert_true(a->bars[i].tempo == b->bars[i].tempo);
    }
    assert_int_equal(a->section_count, b->section_count);
    for (int i = 0; i < a->section_count; i++) {
        assert_string_equal(a->sections[i].name, b->sections[i].name);
        assert_int_equal(a->sections[i].label, b->sections[i].label);
        assert_int_equal(a->sections[i].first, b->sections[i].first);
        assert_int_equal(a->sections[i].bars, b->sections[i].bars);
    }
    assert_int_equal(a->chord_count, b->chord_count);
    for (int i = 0; i < a->chord_count; i++) {
        assert_int_equal(a->chords[i].step, b->chords[i].step);
        assert_memory_equal(&a->chords[i].symbol, &b->chords[i].symbol, sizeof(ct_symbol));
    }
}

static void chord_is(const ct_sheet *s, int i, int step, const char *text) {
    assert_true(i < s->chord_count);
    assert_int_equal(s->chords[i].step, step);
    assert_string_equal(s->chords[i].symbol.text, text);
}

/* Text that print gives back unchanged. */
static const char *const canonical[] = {
    "| C | Am | F | G |\n",
    "title: Down by the River\nkey: F#m\ntempo: 96.5\nmeter: 3/4\n\n[Intro]\n| F#m | F#m | Bm . C#7 | F#m |\n| D |\n\n"
    "[Verse 1]\n| A | E/G# | N.C. | A |\n{key: A} {meter: 4/4}\n| A . . E7 | D E | A | A |\n\n[Verse 2]\n| A | A |\n\n"
    "[Big Ending]\n| A |\n",
    "meter: 6/8\n\n[Pickup]\n| N.C. |\n\n[A]\n| G D7 | G | Am . D7 | G |\n",
    "[Strophe é]\n| CΔ7 | Bb13(#11) | C7(b9 b13) | F |\n{tempo: 70.25}\n| C |\n",
};

static void test_canonical_sheets(void **state) {
    (void)state;
    for (size_t i = 0; i < CT_COUNT(canonical); i++) {
        ct_arena arena = {0};
        ct_sheet sheet = read_sheet(canonical[i], &arena);
        assert_string_equal(ct_sheet_print(&sheet, &arena), canonical[i]);
        ct_arena_free(&arena);
    }
}

static void test_as_people_write(void **state) {
    (void)state;
    ct_arena arena = {0};
    ct_sheet s =
        read_sheet("\xef\xbb\xbf# my chart\r\nTitle  A | B\r\nKEY: Bb major\r\ntempo 120 bpm\r\nTime: 4/4\r\n\r\n"
                   "[Verse 1] | Bb | % | | Eb F7 ||\r\nBb / - Gm | Cm F7 Bb |\r\n# end\r\n"
                   "[Chorus]\r\n{key: Gm}|Gm|D7 . . . |% |Gm\r\n",
                   &arena);
    assert_string_equal(s.title, "A | B");
    assert_int_equal(s.bar_count, 10);
    assert_int_equal(s.bars[0].key, 10);
    assert_true(s.bars[0].tempo == 120);
    assert_int_equal(s.bars[6].key, 12 + 7);
    assert_int_equal(s.section_count, 2);
    assert_int_equal(s.sections[1].first, 6);
    assert_int_equal(s.sections[1].label, 1);
    chord_is(&s, 0, 0, "Bb");
    chord_is(&s, 1, 144, "Eb");
    chord_is(&s, 2, 168, "F7");
    chord_is(&s, 3, 192, "Bb");
    chord_is(&s, 4, 228, "Gm");
    chord_is(&s, 5, 240, "Cm"); /* three in four beats: 2 1 1 */
    chord_is(&s, 6, 264, "F7");
    chord_is(&s, 7, 276, "Bb");
    chord_is(&s, 8, 288, "Gm");
    chord_is(&s, 9, 336, "D7");
    chord_is(&s, 10, 432, "Gm");
    assert_int_equal(s.chord_count, 11);
    ct_sheet again = read_sheet(ct_sheet_print(&s, &arena), &arena);
    same_sheet(&s, &again);
    ct_arena_free(&arena);
}

static void test_shares_and_repeats(void **state) {
    (void)state;
    ct_arena arena = {0};
    ct_sheet s = read_sheet("meter: 3/4\n| C G | % | . G | Am . . . F . |", &arena);
    chord_is(&s, 0, 0, "C"); /* two in three beats: 2 1 */
    chord_is(&s, 1, 24, "G");
    chord_is(&s, 2, 36, "C");
    chord_is(&s, 3, 60, "G"); /* held on over the bar line, restated by nobody */
    chord_is(&s, 4, 108, "Am");
    chord_is(&s, 5, 132, "F"); /* six in three beats: halves of a beat */
    assert_int_equal(s.chord_count, 6);
    s = read_sheet("| | C |", &arena);
    chord_is(&s, 0, 0, "N.C.");
    chord_is(&s, 1, 48, "C");
    s = read_sheet("|   |", &arena);
    assert_int_equal(s.bar_count, 1);
    chord_is(&s, 0, 0, "N.C.");
    ct_arena_free(&arena);
}

static void test_labels(void **state) {
    (void)state;
    static const struct {
        const char *text, *labels; /* letters, i intro, o outro, l interlude, p pickup */
    } cases[] = {
        {"| C |", "A"},
        {"[pickup]|C|\n[INTRO]|C|\n[Verse 1]|C|\n[Chorus]|C|\n[verse 2]|C|\n[Solo]|C|\n[Coda]|C|", "piABAlo"},
        {"[B]|C|\n[A]|C|\n[B]|C|", "ABA"},
        {"[A]|C|\n[Intro]|C|\n[Outro]|C|\n[A]|C|", "AllA"},
        {"[1]|C|\n[2]|C|\n[1]|C|", "ABA"},
        {"[a]|C|\n[b]|C|\n[c]|C|\n[d]|C|\n[e]|C|\n[f]|C|\n[g]|C|\n[h]|C|\n[k]|C|\n[a]|C|", "ABCDEFGHHA"},
    };
    for (size_t i = 0; i < CT_COUNT(cases); i++) {
        ct_arena arena = {0};
        ct_sheet s = read_sheet(cases[i].text, &arena);
        assert_int_equal(s.section_count, strlen(cases[i].labels));
        for (int j = 0; j < s.section_count; j++)
            assert_int_equal("ABCDEFGHiolp"[s.sections[j].label], cases[i].labels[j]);
        ct_arena_free(&arena);
    }
}

static void test_errors(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "chart:1:1: the sheet ends without a bar"},
        {"key: G\n\n", "chart:3:1: the sheet ends without a bar"},
        {"| C |\n| C | Xm | F |", "chart:2:7: chord \"Xm\": found 'Xm', expected a root"},
        {"| é |", "chart:1:3: chord"},
        {"é: 1\n", "chart:1:1: found"},
        {"# é\r\n| é C8 |", "chart:2:3: chord"},
        {"| C Cfoo |", "chart:1:6: chord \"Cfoo\": found 'foo'"},
        {"| Am7 C8 |", "chart:1:8: chord \"C8\""},
        {"C Am F G", "chart:1:1: found 'C Am F G', expected bars between '|'"},
        {"composer: me\n| C |", "chart:1:1: found"},
        {"key: H\n| C |", "chart:1:6: found key 'H'"},
        {"tempo: fast\n| C |", "chart:1:8: found tempo 'fast'"},
        {"tempo: 9\n| C |", "10 to 400"},
        {"tempo: 99.123\n| C |", "two decimals"},
        {"meter: 13/8\n| C |", "chart:1:8: found meter '13/8'"},
        {"| C |\nkey: G\n", "chart:2:1: found 'key: G' after the first bar"},
        {"| C {key: G} |", "chart:1:5: found '{' after a chord"},
        {"| {key G} {color: red} C |", "chart:1:12: found 'color: red'"},
        {"| {key: G C |", "chart:1:3: found '{', expected '}'"},
        {"| % |", "chart:1:3: found '%' in the first bar"},
        {"| C |\n| C % |", "chart:2:5: found '%' beside chords"},
        {"| C | {meter: 3/4} % |", "chart:1:20: found '%' where the meter changes"},
        {"| C D E F G |", "chart:1:3: found 5 chords in a bar of 4 beats"},
        {"[A\n| C |", "chart:1:1: found '[', expected ']'"},
        {"[]\n| C |", "chart:1:1: found '[]'"},
        {"[A]\n[B]\n| C |", "chart:1:1: section [A] has no bars"},
        {"| C |\n[B]", "chart:2:1: section [B] has no bars"},
        {"[A]\n| C |\n[Pickup] | C |", "chart:3:1: [Pickup]"},
        {"[Pickup]\n| C | D |\n[A] | C |", "chart:1:1: [Pickup] has 2 bars"},
        {"[Pickup]\n| C |", "chart:1:1: [Pickup]"},
        {"| C\x01 |", "chart:1:4: found byte 0x01"},
    };
    ct_arena arena = {0};
    ct_sheet sheet;
    for (size_t i = 0; i < CT_COUNT(cases); i++) {
        assert_int_equal(ct_sheet_parse("chart", cases[i].text, strlen(cases[i].text), &arena, &sheet), CT_EFAIL);
        if (!strstr(ct_message(), cases[i].says)) fail_msg("\"%s\" lacks \"%s\"", ct_message(), cases[i].says);
    }
    assert_int_equal(ct_sheet_parse("chart", "| C\0|", 5, &arena, &sheet), CT_EFAIL);
    assert_int_equal(ct_sheet_parse("chart", "", CT_SHEET_BYTES_MAX + 1, &arena, &sheet), CT_EFAIL);
    static char many[5 * CT_SHEET_BARS_MAX];
    memset(many, '|', sizeof many);
    for (size_t i = 1; i < sizeof many; i += 2) many[i] = ' ';
    assert_int_equal(ct_sheet_parse("chart", many, sizeof many, &arena, &sheet), CT_EFAIL);
    assert_non_null(strstr(ct_message(), "more than 4096 bars"));
    ct_arena_free(&arena);
}

/* Random sheets from pieces of text; the readable ones survive printing. */
static void test_random_sheets(void **state) {
    (void)state;
    static const char *const bits[] = {"| ",
                                       "|",
                                       "C ",
                                       "Am7 ",
                                       "F#m7b5/A ",
                                       "N.C. ",
                                       "Bb13(#11) ",
                                       ". ",
                                       "% ",
                                       "\n",
                                       "\r\n[Verse 1]\n",
                                       "\n[Intro]\n",
                                       "\n[Outro]\n",
                                       "\n[Pickup]\n",
                                       "{key: Eb} ",
                                       "{meter: 6/8} ",
                                       "{tempo: 71.5} ",
                                       "\ntitle: x y\n",
                                       "\nkey: Dm\n",
                                       "# c\n",
                                       "é",
                                       "G | "};
    int                      read = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        char     text[1024] = "";
        size_t   n = 0;
        ct_arena arena = {0};
        ct_sheet sheet;
        for (uint64_t j = 0; j < 3 + i % 30; j++) {
            uint32_t word = ct_philox_at(11, i, j).word[0];
            n += (size_t)sprintf(text + n, "%s", bits[ct_philox_below(word, word % 3 ? 10 : CT_COUNT(bits))]);
        }
        if (ct_sheet_parse("chart", text, n, &arena, &sheet) == CT_OK) {
            char    *printed = ct_sheet_print(&sheet, &arena);
            ct_sheet again = read_sheet(printed, &arena);
            same_sheet(&sheet, &again);
            assert_string_equal(ct_sheet_print(&again, &arena), printed);
            ct_piece piece;
            OK(ct_sheet_to_piece(&sheet, &arena, &piece, NULL));
            OK(ct_piece_check(&piece));
            read++;
        } else {
            assert_memory_equal(ct_message(), "chart:", 6);
        }
        ct_arena_free(&arena);
    }
    assert_true(read > 500);
}

/* ---- pieces */

static void test_to_piece(void **state) {
    (void)state;
    ct_arena      arena = {0};
    ct_sheet_open open;
    ct_piece      p;
    ct_sheet      s = read_sheet("| C | Am | Bb13(#11) | G7 Cmaj7 C |", &arena);
    OK(ct_sheet_to_piece(&s, &arena, &p, &open));
    OK(ct_piece_check(&p));
    assert_true(open.key && open.tempo && open.metre && open.sections);
    assert_int_equal(p.bars[0].key, 0);
    assert_int_equal(p.bars[0].metre, CT_4_4);
    assert_int_equal(p.change_count, 6);
    assert_int_equal(p.changes[2].chord.quality, CT_DOM7);
    assert_int_equal(p.beat_count, 16);
    assert_int_equal(p.melody_count, 0);
    s = read_sheet("| Dm | Gm | A7 | Dm |", &arena);
    OK(ct_sheet_to_piece(&s, &arena, &p, NULL));
    assert_int_equal(p.bars[0].key, 12 + 2);
    s = read_sheet(canonical[1], &arena);
    OK(ct_sheet_to_piece(&s, &arena, &p, &open));
    assert_false(open.key || open.tempo || open.metre || open.sections);
    assert_true(p.bars[0].tempo == 96.5);
    ct_sheet back;
    OK(ct_sheet_from_piece(&p, &arena, &back));
    assert_string_equal(back.sections[0].name, "Intro");
    assert_string_equal(back.sections[2].name, "A");
    assert_string_equal(back.title, "Down by the River");
    ct_piece again;
    OK(ct_sheet_to_piece(&back, &arena, &again, NULL));
    assert_int_equal(again.change_count, p.change_count);
    for (int i = 0; i < p.change_count; i++) assert_true(ct_chord_same(again.changes[i].chord, p.changes[i].chord));
    ct_arena_free(&arena);
}

/* A walk through the backbone's grammar, as a piece: any chords, metres, keys and sections. */
static ct_piece random_piece(uint64_t seed, ct_arena *arena) {
    enum { MOST = 20000 };
    ct_rows           rows = {.at = CT_NEW(arena, uint16_t, MOST), .columns = 1};
    ct_backbone_state s;
    ct_piece          piece;
    uint8_t           allowed[CT_B_COUNT];
    int               count;
    ct_backbone_begin(&s, 20);
    while ((count = ct_backbone_allowed(&s, allowed)) > 0 && rows.count < MOST) {
        int wanted = (int)ct_philox_below(ct_philox_at(seed, 7, (uint64_t)rows.count).word[0], (uint32_t)count),
            token = 0;
        while (!allowed[token] || wanted-- > 0) token++;
        OK(ct_backbone_push(&s, token));
        rows.at[rows.count++] = (uint16_t)token;
    }
    OK(ct_backbone_decode(&rows, arena, &piece));
    return piece;
}

static void test_pieces_come_back(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        ct_arena arena = {0};
        ct_piece p = random_piece(seed, &arena), back;
        ct_sheet sheet, again;
        OK(ct_sheet_from_piece(&p, &arena, &sheet));
        again = read_sheet(ct_sheet_print(&sheet, &arena), &arena);
        same_sheet(&sheet, &again);
        OK(ct_sheet_to_piece(&again, &arena, &back, NULL));
        assert_int_equal(back.bar_count, p.bar_count);
        for (int i = 0; i < p.bar_count; i++) {
            assert_int_equal(back.bars[i].start, p.bars[i].start);
            assert_int_equal(back.bars[i].metre, p.bars[i].metre);
            assert_int_equal(back.bars[i].key, p.bars[i].key);
            assert_int_equal(ct_tempo_bin(back.bars[i].tempo), ct_tempo_bin(p.bars[i].tempo));
        }
        assert_int_equal(back.section_count, p.section_count);
        for (int i = 0; i < p.section_count; i++) {
            assert_int_equal(back.sections[i].label, p.sections[i].label);
            assert_int_equal(back.sections[i].bars, p.sections[i].bars);
        }
        assert_int_equal(back.change_count, p.change_count);
        for (int i = 0; i < p.change_count; i++) {
            assert_int_equal(back.changes[i].step, p.changes[i].step);
            assert_true(ct_chord_same(back.changes[i].chord, p.changes[i].chord));
        }
        ct_arena_free(&arena);
    }
}

static void test_long_sections(void **state) {
    (void)state;
    char     text[2048] = "[Intro]\n";
    ct_arena arena = {0};
    ct_piece p;
    for (int i = 0; i < 70; i++) strcat(text, "| C ");
    strcat(text, "\n[Outro]\n");
    for (int i = 0; i < 40; i++) strcat(text, "| G ");
    ct_sheet s = read_sheet(text, &arena);
    OK(ct_sheet_to_piece(&s, &arena, &p, NULL));
    OK(ct_piece_check(&p));
    assert_int_equal(p.section_count, 5);
    assert_int_equal(p.sections[2].bars, 6);
    assert_int_equal(p.sections[4].label, CT_SECTION_OUTRO);
    assert_int_equal(p.sections[4].bars, 8);
    ct_arena_free(&arena);
}

static void test_reductions(void **state) {
    (void)state;
    ct_arena     arena = {0};
    const char **lines;
    size_t       count;
    ct_sheet     s = read_sheet("key: F\n| C | Am7 | Bb13(#11) | Bb13(#11) C9/E |", &arena);
    OK(ct_sheet_reductions(&s, &arena, &lines, &count));
    assert_int_equal(count, 2);
    assert_string_equal(lines[0], "bar 3: Bb13(#11) becomes Bb:7");
    assert_string_equal(lines[1], "bar 4: C9/E becomes C:7/3");
    s = read_sheet("meter: 2/4\n[pickup] | C9 |\n[A]\n| C Dm Em F G Am |", &arena);
    OK(ct_sheet_reductions(&s, &arena, &lines, &count));
    assert_int_equal(count, 3);
    assert_string_equal(lines[0], "bar 0: C9 becomes C:7");
    assert_string_equal(lines[1], "bar 1: Dm is left out, for Em follows in the same beat");
    ct_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_symbols),
        cmocka_unit_test(test_bad_symbols),
        cmocka_unit_test(test_own_symbols_parse),
        cmocka_unit_test(test_random_symbols),
        cmocka_unit_test(test_canonical_sheets),
        cmocka_unit_test(test_as_people_write),
        cmocka_unit_test(test_shares_and_repeats),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_random_sheets),
        cmocka_unit_test(test_to_piece),
        cmocka_unit_test(test_pieces_come_back),
        cmocka_unit_test(test_long_sections),
        cmocka_unit_test(test_reductions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Texts of MIDI files in the encodings that files have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/music/midi_text.h"

#include <iconv.h>
#include <stdlib.h>
#include <string.h>

static ct_arena arena;

static int forget(void **state) {
    (void)state;
    ct_arena_free(&arena);
    return 0;
}

/* From a block of just that size, so that a byte read beyond it is found. */
static void reads(const char *bytes, size_t count, const char *expected) {
    uint8_t *block = malloc(count ? count : 1);
    assert_non_null(block);
    memcpy(block, bytes, count);
    const char *text = ct_midi_text(block, count, &arena);
    free(block);
    assert_non_null(text);
    assert_string_equal(text, expected);
}
#define READS(literal, expected) reads((literal), sizeof(literal) - 1, (expected))

static void utf8_stays(void **state) {
    (void)state;
    READS("", "");
    READS("Melody", "Melody");
    READS("Pr\xc3\xa4ludium \xe2\x99\xad \xf0\x9d\x84\x9e", "Präludium ♭ 𝄞");
    READS("cut \xe2\x99", "cut ");
    READS("tab\tbell\a", "tab bell ");
    READS("until\0here", "until");
}

static void windows_and_latin(void **state) {
    (void)state;
    READS("Pr\xe4ludium", "Präludium");
    READS("\x93quoted\x94 \x80", "“quoted” €");
    READS("\xc0\xaf", "À¯");             /* no UTF-8: overlong */
    READS("\xed\xa0\x80", "í\xc2\xa0€"); /* nor is a surrogate */
    READS("\xf5\x80\x80\x80", "õ€€€");
}

static void utf16_with_a_mark(void **state) {
    (void)state;
    READS("\xff\xfe\x41\x00\x6d\x26\x34\xd8\x1e\xdd", "A♭𝄞");
    READS("\xfe\xff\x00\x41\x26\x6d\xd8\x34\xdd\x1e", "A♭𝄞");
    READS("\xff\xfe\x41\x00\x34\xd8", "A\xef\xbf\xbd"); /* half a pair */
    READS("\xff\xfe\x41\x00\x42", "A");
    READS("\xff\xfe", "");
}

static void shift_jis_with_kana(void **state) {
    (void)state;
    iconv_t there = iconv_open("UTF-8", "CP932");
    if (there == (iconv_t)-1) {
        print_message("skipped: this system converts no Shift-JIS\n");
        skip();
    }
    iconv_close(there);
    READS("\x82\xd0\x82\xbe\x82\xdc\x82\xe8\x82\xcc\x8e\x8d", "ひだまりの詩");
    READS("\x83\x81\x83\x8d\x83\x66\x83\x42", "メロディ");
    READS("\x82\xd0\x82\xbe\x82", "ひだ");       /* cut off */
    READS("\x82\xa0 caf\xe9", "‚\xc2\xa0 café"); /* one kana by chance is none */
}

static void cuts_between_characters(void **state) {
    (void)state;
    assert_int_equal(ct_text_whole("abc", 127), 3);
    assert_int_equal(ct_text_whole("abc", 2), 2);
    assert_int_equal(ct_text_whole("a♭b", 3), 1);
    assert_int_equal(ct_text_whole("a♭b", 4), 4);
    assert_int_equal(ct_text_whole("♭", 1), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_stays),
        cmocka_unit_test(windows_and_latin),
        cmocka_unit_test(utf16_with_a_mark),
        cmocka_unit_test(shift_jis_with_kana),
        cmocka_unit_test(cuts_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, forget);
}

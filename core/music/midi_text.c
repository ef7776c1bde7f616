/* midi_text.c -- see midi_text.h. */
#include "core/music/midi_text.h"

#include <iconv.h>
#include <string.h>

/* ---- UTF-8 */
static char *put(char *at, uint32_t c) {
    if (c < 0x20 || c == 0x7f) c = ' ';
    if (c < 0x80) {
        *at++ = (char)c;
    } else if (c < 0x800) {
        *at++ = (char)(0xc0 | c >> 6);
        *at++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *at++ = (char)(0xe0 | c >> 12);
        *at++ = (char)(0x80 | (c >> 6 & 0x3f));
        *at++ = (char)(0x80 | (c & 0x3f));
    } else {
        *at++ = (char)(0xf0 | c >> 18);
        *at++ = (char)(0x80 | (c >> 12 & 0x3f));
        *at++ = (char)(0x80 | (c >> 6 & 0x3f));
        *at++ = (char)(0x80 | (c & 0x3f));
    }
    return at;
}

/* Bytes of the character at `at`, its code in *c; 0: none; -1: the bytes end inside it. */
static int take(const uint8_t *at, size_t left, uint32_t *c) {
    static const uint32_t LEAST[] = {0, 0, 0x80, 0x800, 0x10000};
    int                   n = *at < 0x80 ? 1 : *at >> 5 == 6 ? 2 : *at >> 4 == 14 ? 3 : *at >> 3 == 30 ? 4 : 0;
    if (!n) return 0;
    *c = n == 1 ? *at : *at & (0x7fu >> n);
    for (int i = 1; i < n; i++) {
        if ((size_t)i == left) return -1;
        if (at[i] >> 6 != 2) return 0;
        *c = *c << 6 | (at[i] & 0x3f);
    }
    return *c < LEAST[n] || *c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000) ? 0 : n;
}

/* As it is, if it is UTF-8. */
static bool from_utf8(const uint8_t *bytes, size_t count, char *out) {
    uint32_t c;
    for (size_t i = 0; i < count;) {
        int n = take(bytes + i, count - i, &c);
        if (n < 0) break;
        if (n == 0) return false;
        out = put(out, c);
        i += (size_t)n;
    }
    *out = 0;
    return true;
}

size_t ct_text_whole(const char *text, size_t limit) {
    size_t n = strnlen(text, limit);
    while (n && ((unsigned char)text[n] & 0xc0) == 0x80) n--;
    return n;
}

/* ---- others */
static void from_utf16(const uint8_t *bytes, size_t count, char *out) {
    int high = bytes[0] == 0xfe ? 0 : 1;
    for (size_t i = 2; i + 1 < count; i += 2) {
        uint32_t c = (uint32_t)(bytes[i + (size_t)high] << 8 | bytes[i + 1 - (size_t)high]);
        if (c >= 0xd800 && c < 0xdc00 && i + 3 < count) {
            uint32_t low = (uint32_t)(bytes[i + 2 + (size_t)high] << 8 | bytes[i + 3 - (size_t)high]);
            if (low >= 0xdc00 && low < 0xe000) {
                c = 0x10000 + ((c & 0x3ff) << 10 | (low & 0x3ff));
                i += 2;
            }
        }
        if (c == 0) break;
        out = put(out, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
    }
    *out = 0;
}

/* Two kana, as Shift-JIS writes them. */
static bool has_kana(const uint8_t *bytes, size_t count) {
    int kana = 0;
    for (size_t i = 0; i + 1 < count; i++) {
        bool hiragana = bytes[i] == 0x82 && bytes[i + 1] >= 0x9f && bytes[i + 1] <= 0xf1;
        bool katakana = bytes[i] == 0x83 && bytes[i + 1] >= 0x40 && bytes[i + 1] <= 0x96;
        bool lead = (bytes[i] >= 0x81 && bytes[i] <= 0x9f) || (bytes[i] >= 0xe0 && bytes[i] <= 0xfc);
        kana += hiragana || katakana;
        i += lead;
    }
    return kana >= 2;
}

static bool from_shift_jis(const uint8_t *bytes, size_t count, char *out, size_t room) {
    iconv_t convert = has_kana(bytes, count) ? iconv_open("UTF-8", "CP932") : (iconv_t)-1;
    char   *in = (char *)(uintptr_t)bytes, *at = out;
    if (convert == (iconv_t)-1) return false;
    size_t left = count, space = room - 1;
    iconv(convert, &in, &left, &at, &space);
    iconv_close(convert);
    *at = 0;
    for (char *c = out; c < at; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = ' ';
    return left <= 1; /* a last character may be cut off */
}

static void from_windows(const uint8_t *bytes, size_t count, char *out) {
    static const uint16_t HIGH[32] = {0x20ac, 0xfffd, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
                                      0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0xfffd, 0x017d, 0xfffd,
                                      0xfffd, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                      0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0xfffd, 0x017e, 0x0178};
    for (size_t i = 0; i < count; i++)
        out = put(out, bytes[i] >= 0x80 && bytes[i] < 0xa0 ? HIGH[bytes[i] - 0x80] : bytes[i]);
    *out = 0;
}

const char *ct_midi_text(const uint8_t *bytes, size_t count, ct_arena *arena) {
    size_t room = 4 * count + 1;
    char  *out = CT_NEW(arena, char, room);
    if (!out) return NULL;
    if (count >= 2 && ((bytes[0] == 0xfe && bytes[1] == 0xff) || (bytes[0] == 0xff && bytes[1] == 0xfe))) {
        from_utf16(bytes, count, out);
        return out;
    }
    count = strnlen((const char *)bytes, count);
    if (!from_utf8(bytes, count, out) && !from_shift_jis(bytes, count, out, room)) from_windows(bytes, count, out);
    return out;
}

/* melody_name.c -- what the name of a track says of it; see ct_melody_name_says in melody.h. */
#include "core/music/melody.h"

#include <ctype.h>
#include <string.h>

/* How a word of a name speaks. `whole`: the word is this, else it begins so. */
typedef struct spoken {
    const char *word;
    bool        whole;
    int         says;
} spoken;

static const spoken WORDS[] = {
    {"melod", false, 3},   {"m\xc3\xa9lod", false, 3}, {"melo", true, 3},     {"cantus", true, 3},
    {"vocal", false, 2},   {"voice", false, 2},        {"vox", false, 2},     {"voc", true, 2},
    {"voz", true, 2},      {"voix", true, 2},          {"sing", true, 2},     {"singer", false, 2},
    {"singing", true, 2},  {"gesang", false, 2},       {"canto", true, 2},    {"chant", false, 2},
    {"stimme", false, 2},  {"lyric", false, 2},        {"karaoke", true, 2},  {"lead", false, 1},
    {"solo", false, 1},    {"sopran", false, 1},       {"tune", true, 1},     {"theme", true, 1},
    {"bass", false, -1},   {"ba\xc3\x9f", false, -1},  {"back", false, -1},   {"bg", true, -1},
    {"bgv", true, -1},     {"choir", false, -1},       {"chor", false, -1},   {"coro", true, -1},
    {"harm", false, -1},   {"accomp", false, -1},      {"acc", true, -1},     {"begleit", false, -1},
    {"comp", true, -1},    {"pad", false, -1},         {"drum", false, -1},   {"perc", false, -1},
    {"rhythm", false, -1}, {"counter", false, -1},     {"string", false, -1}, {"arp", false, -1},
    {"ooh", false, -1},    {"aah", false, -1},         {"leader", false, 0},
};

static int word_says(const char *word, size_t length) {
    int says = 0;
    for (size_t i = 0; i < CT_COUNT(WORDS); i++) {
        size_t n = strlen(WORDS[i].word);
        if (n > length || (WORDS[i].whole && n != length) || strncasecmp(word, WORDS[i].word, n) != 0) continue;
        if (!WORDS[i].says) return 0;
        if (says >= 0 && (WORDS[i].says < 0 || WORDS[i].says > says)) says = WORDS[i].says;
    }
    return says;
}

int ct_melody_name_says(const char *name) {
    int says = 0;
    while (*name) {
        size_t length = 0;
        while (isalpha((unsigned char)name[length]) || (unsigned char)name[length] >= 0x80) length++;
        int word = word_says(name, length);
        if (word < 0) return -1;
        if (word > says) says = word;
        name += length ? length : 1;
    }
    return says;
}

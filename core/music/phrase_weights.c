/* phrase_weights.c -- the weights of phrase.h, in the order of its cues.
 *
 * Fitted on 223 odd songs of POP909 by tests/tools/fit_phrase: make build/release/tools/fit_phrase &&
 * build/release/tools/fit_phrase ../shared/data/pop909 > core/music/phrase_weights.c
 */
#include "core/music/phrase.h"

/* clang-format off */
const float ct_phrase_bias = -2.3160f;
const float ct_phrase_weights[CT_PHRASE_CUES] = {
    0.3639f, 0.3468f, 0.4597f, -0.1679f, -0.0177f, 0.4431f, -0.1500f, 0.0805f, 0.1334f,
    -0.0243f, 0.3145f, 0.2224f, 0.2854f, 0.4232f, 0.2797f, 0.1705f, -0.1008f, 0.2883f,
};
const float ct_phrase_length[CT_PHRASE_LENGTHS] = {
    0.000f, -0.390f, -0.670f, -0.458f, 1.578f, -0.659f, -1.311f, -1.311f, 1.829f,
    -0.366f, -1.737f, -2.025f, -1.647f, -2.258f, -2.495f, -3.005f, -0.484f,
};
/* clang-format on */

/* phrase_weights.c -- the weights of phrase.h, in the order of its cues.
 *
 * Fitted on 223 odd songs of POP909 by tests/tools/fit_phrase: make fit-phrase
 */
#include "core/music/phrase.h"

/* clang-format off */
const float ct_phrase_bias = -2.3834f;
const float ct_phrase_weights[CT_PHRASE_CUES] = {
    0.3371f, 0.3996f, 0.4257f, -0.3026f, 0.0010f, 0.6031f, 0.0281f, 0.2812f, 0.2274f,
    -0.0696f, 0.2737f, 0.2148f, 0.2826f, 0.4414f, 0.3216f, 0.1850f, -0.1049f, 0.2481f,
};
const float ct_phrase_length[CT_PHRASE_LENGTHS] = {
    0.000f, -0.390f, -0.670f, -0.458f, 1.578f, -0.659f, -1.311f, -1.311f, 1.829f,
    -0.366f, -1.737f, -2.025f, -1.647f, -2.258f, -2.495f, -3.005f, -0.484f,
};
/* clang-format on */

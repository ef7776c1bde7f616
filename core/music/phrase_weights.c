/* phrase_weights.c -- the weights of phrase.h, in the order of its cues.
 *
 * Fitted on 223 odd songs of POP909 by tests/tools/fit_phrase: make fit-phrase
 */
#include "core/music/phrase.h"

/* clang-format off */
const float ct_phrase_bias = -2.3449f;
const float ct_phrase_weights[CT_PHRASE_CUES] = {
    0.2970f, 0.3842f, 0.4521f, -0.1598f, -0.0264f, 0.4176f, -0.1396f, 0.0823f, 0.1236f,
    -0.0247f, 0.3116f, 0.2179f, 0.3104f, 0.4927f, 0.3356f, 0.1794f, -0.1030f, 0.2773f,
};
const float ct_phrase_length[CT_PHRASE_LENGTHS] = {
    0.000f, -0.390f, -0.670f, -0.458f, 1.578f, -0.659f, -1.311f, -1.311f, 1.829f,
    -0.366f, -1.737f, -2.025f, -1.647f, -2.258f, -2.495f, -3.005f, -0.484f,
};
/* clang-format on */

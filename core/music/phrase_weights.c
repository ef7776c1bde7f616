/* phrase_weights.c -- the weights of phrase.h, in the order of its cues.
 *
 * Fitted on 223 odd songs of POP909 by tests/tools/fit_phrase: make fit-phrase
 */
#include "core/music/phrase.h"

/* clang-format off */
const float ct_phrase_bias = -2.3777f;
const float ct_phrase_weights[CT_PHRASE_CUES] = {
    0.3404f, 0.4021f, 0.4275f, -0.3052f, 0.0029f, 0.6102f, 0.0284f, 0.2856f, 0.2323f,
    -0.0677f, 0.2755f, 0.2160f, 0.2885f, 0.4281f, 0.3116f, 0.1714f, -0.1072f, 0.2476f,
};
const float ct_phrase_length[CT_PHRASE_LENGTHS] = {
    0.000f, -0.390f, -0.670f, -0.458f, 1.578f, -0.659f, -1.311f, -1.311f, 1.829f,
    -0.366f, -1.737f, -2.025f, -1.647f, -2.258f, -2.495f, -3.005f, -0.484f,
};
/* clang-format on */

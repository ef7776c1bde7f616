/* phrase_weights.c -- the weights of phrase.h, in the order of its cues.
 *
 * Fitted on 223 odd songs of POP909 by tests/tools/fit_phrase: make build/release/tools/fit_phrase &&
 * build/release/tools/fit_phrase ../shared/data/pop909 > core/music/phrase_weights.c
 */
#include "core/music/phrase.h"

/* clang-format off */
const float ct_phrase_bias = -2.3159f;
const float ct_phrase_weights[CT_PHRASE_CUES] = {
    0.3643f, 0.3459f, 0.4595f, -0.1677f, -0.0170f, 0.4433f, -0.1498f, 0.0804f, 0.1337f,
    -0.0243f, 0.3146f, 0.2222f, 0.2851f, 0.4233f, 0.2798f, 0.1704f, -0.1009f, 0.2885f,
};
const float ct_phrase_length[CT_PHRASE_LENGTHS] = {
    0.000f, -0.390f, -0.670f, -0.458f, 1.578f, -0.659f, -1.311f, -1.311f, 1.829f,
    -0.366f, -1.737f, -2.025f, -1.647f, -2.258f, -2.495f, -3.005f, -0.484f,
};
/* clang-format on */

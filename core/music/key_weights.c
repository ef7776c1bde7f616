/* key_weights.c -- what speaks for one of two relative keys, and how sure one is of the pair; see key.h.
 *
 * Fitted on 249 odd songs of POP909 by tests/tools/fit_key: make fit-key
 */
#include "core/music/key.h"

/* clang-format off */
const float ct_key_lean_weights[CT_KEY_LEANINGS] = {0.481f, -8.840f, 0.585f, 14.353f};
const float ct_key_sharpness = 21.0f;
/* clang-format on */

/* barline_weights.c -- the weights of barline.h, in the order of pulse.h's cues.
 *
 * Fitted on 284 odd songs of POP909 by tests/tools/fit_metre: make build/release/tools/fit_metre &&
 * build/release/tools/fit_metre ../shared/data/pop909 > core/music/barline_weights.c
 */
#include "core/music/barline.h"

/* clang-format off */
const float ct_barline_weights[4][CT_PULSE_CUES] = {
    {0.0349f, 0.0639f, 0.0591f, 0.0430f, 0.0105f, 0.0135f, -0.0003f, 0.0344f, 0.0268f, 0.0510f,
     0.0324f, 0.0380f, 0.0258f, 0.0246f, 0.0493f, 0.0003f, 0.0370f, 0.0526f, 0.1114f, 0.0279f},
    {-0.0693f, -0.0502f, -0.0298f, -0.0493f, -0.0153f, 0.0000f, -0.0176f, -0.0119f, 0.0145f, -0.0208f,
     -0.0428f, -0.0346f, -0.0344f, 0.0100f, -0.0135f, -0.0153f, -0.0197f, -0.0328f, -0.0475f, -0.0167f},
    {0.0316f, -0.0257f, -0.0136f, -0.0083f, 0.0424f, 0.0059f, 0.0343f, -0.0528f, -0.0099f, -0.0102f,
     0.0454f, -0.0039f, 0.0072f, -0.0199f, -0.0299f, 0.0215f, 0.0182f, -0.0337f, -0.0830f, -0.0310f},
    {0.0010f, -0.0031f, -0.0322f, 0.0096f, -0.0401f, -0.0185f, -0.0054f, 0.0231f, -0.0316f, -0.0353f,
     -0.0342f, 0.0004f, -0.0012f, -0.0173f, -0.0060f, -0.0065f, -0.0356f, 0.0138f, 0.0190f, 0.0198f},
};
/* clang-format on */

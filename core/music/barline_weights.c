/* barline_weights.c -- the weights of barline.h, in the order of pulse.h's cues.
 *
 * Fitted on 284 odd songs of POP909 by tests/tools/fit_metre: make build/release/tools/fit_metre &&
 * build/release/tools/fit_metre ../shared/data/pop909 > core/music/barline_weights.c
 */
#include "core/music/barline.h"

/* clang-format off */
const float ct_barline_weights[4][CT_PULSE_CUES] = {
    {0.0347f, 0.0639f, 0.0591f, 0.0429f, 0.0106f, 0.0135f, -0.0004f, 0.0344f, 0.0268f, 0.0512f,
     0.0325f, 0.0382f, 0.0259f, 0.0247f, 0.0491f, 0.0004f, 0.0367f, 0.0526f, 0.1114f, 0.0279f},
    {-0.0693f, -0.0501f, -0.0297f, -0.0493f, -0.0153f, 0.0001f, -0.0175f, -0.0119f, 0.0145f, -0.0208f,
     -0.0429f, -0.0345f, -0.0345f, 0.0099f, -0.0134f, -0.0153f, -0.0197f, -0.0329f, -0.0475f, -0.0166f},
    {0.0317f, -0.0259f, -0.0136f, -0.0082f, 0.0424f, 0.0057f, 0.0343f, -0.0528f, -0.0100f, -0.0103f,
     0.0455f, -0.0038f, 0.0072f, -0.0198f, -0.0298f, 0.0216f, 0.0185f, -0.0338f, -0.0829f, -0.0310f},
    {0.0011f, -0.0031f, -0.0322f, 0.0095f, -0.0401f, -0.0184f, -0.0054f, 0.0231f, -0.0316f, -0.0354f,
     -0.0342f, 0.0000f, -0.0012f, -0.0173f, -0.0060f, -0.0067f, -0.0355f, 0.0141f, 0.0190f, 0.0198f},
};
/* clang-format on */

/* attention_report.h -- tables on attention alone, for kernels/README.md: its instances, the mma it executes beside
 * those that its pairs need, its bytes beside the op's and FlashAttention-2's, what H-RPE costs. Counts and formulas,
 * no speeds.
 *
 * Owner: nothing. Fails: false, with what is missing on stderr: an account of ptxas, a run, a count that is not what
 * the tiles say.
 */
#ifndef CT_EMULATOR_ATTENTION_REPORT_H
#define CT_EMULATOR_ATTENTION_REPORT_H

#include <stdbool.h>

bool attention_report(const char *folder); /* cards.h */

#endif

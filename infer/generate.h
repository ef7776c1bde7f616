/* generate.h -- batches of pieces to files.
 *
 *   OUTPUT/piece-0001.mid   melody, chords, bass, tempo, metre, key, markers
 *   OUTPUT/piece-0001.txt   its lead sheet: edit it, and give it back with lead=
 *   OUTPUT/manifest.jsonl   a line a piece: seed, what was asked for, what it became, checkpoints' SHA-256, ISA
 *
 * Piece number i is written from seed + i - 1 and depends on nothing else of the
 * batch. Each file appears whole; after Ctrl-C the pieces named in the manifest
 * are all there. Several ranks write a batch each by turns, and the first one the
 * manifest: the files are those of one.
 *
 * Owner: everything is made and freed inside.
 * Fails: CT_EUSAGE for options that can't be, CT_EFAIL for files, CT_ESTOP after a signal.
 */
#ifndef CT_INFER_GENERATE_H
#define CT_INFER_GENERATE_H

#include "core/config.h"
#include "infer/compose.h"
#include "kernels/comm.h"

typedef struct ct_generate_config {
    const char      *backbone, *melody, *output, *key, *meter, *lead, *primer;
    int64_t          count, seed, bars, batch, primer_bars, least_chords, least_notes, attempts;
    double           tempo;
    ct_sampling      sampling[CT_STAGES];
    ct_device_choice on;
    ct_dist_choice   dist;
    bool             faults;
} ct_generate_config;

extern const ct_schema ct_generate_schema;

CT_NODISCARD ct_status ct_generate(const ct_generate_config *config);

#endif

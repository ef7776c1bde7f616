/* inspect_json.h -- what `cantus inspect --json` prints, as objects; infer/README.md has the fields.
 *
 * One function for each kind of thing: what it was read from is the caller's, the
 * object belongs to the caller (ct_json_free). Nothing here can fail.
 */
#ifndef CT_INFER_INSPECT_JSON_H
#define CT_INFER_INSPECT_JSON_H

#include "core/json.h"
#include "core/music/analyse.h"
#include "core/music/leadsheet.h"
#include "models/model.h"

ct_json *ct_sheet_json(const ct_sheet *sheet);
ct_json *ct_midi_json(const ct_midi *midi, size_t bytes);
/* What the analysis made of a file. */
ct_json *ct_analysis_json(const ct_analysis *info, const ct_piece *piece);
ct_json *ct_dataset_json(const ct_dataset *dataset);
ct_json *ct_model_json(const ct_model *model);

#endif

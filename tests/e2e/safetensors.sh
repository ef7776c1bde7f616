# safetensors.sh -- a run's files read by PyTorch's safetensors library: names, shapes, numbers, metadata; and written by it.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
py=build/test-venv/bin/python
if ! third_party/test-venv; then skip 'no safetensors from PyPI'; finish; exit; fi
make_models 4
T=$TMP
anew='import sys
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
save_file(load_file(sys.argv[1]), sys.argv[2], safe_open(sys.argv[1], "numpy").metadata())'
read_run() { $py tests/e2e/read_safetensors.py "$@"; }
for stage in backbone melody; do
    best=$(ls -d "$T/$stage/checkpoints"/best-* | tail -1) last=$(ls -d "$T/$stage/checkpoints"/last-* | tail -1)
    check "$stage: a model" read_run "$best"
    check "$stage: a state" read_run "$last"
    # the same model, as that library writes it
    check "$stage: written anew" $py -c "$anew" "$best/model.safetensors" "$T/$stage.safetensors"
    check "$stage: and read by us" diff <("$CANTUS" inspect "$best/model.safetensors" | tail -n +2) <("$CANTUS" inspect "$T/$stage.safetensors" | tail -n +2)
done
check 'format 1' read_run tests/data/checkpoints/format-1/last-0001234567
check 'format 2' read_run tests/data/checkpoints/format-2/last-0001234567
finish

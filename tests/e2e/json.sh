# json.sh -- what programs read: inspect, doctor, evaluate, plan and bench with --json, against golden files in tests/data/golden and
# against the fields that the folders' READMEs document. GOLDEN=write makes the golden files anew.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
command -v python3 > /dev/null || { skip 'no python3: JSON'; finish; exit; }
make_models 6
T=$TMP golden=tests/data/golden
shape() { python3 tests/e2e/json_shape.py "$@"; }
same() { # NAME FILE: equal to the golden file
    [ "${GOLDEN:-}" = write ] && cp "$2" "$golden/$1"
    diff "$golden/$1" "$2"
}
# json NAME README COMMAND...: valid JSON, of the golden shape, every field documented, nothing on stderr
json() {
    local name=$1 readme=$2; shift 2
    check "$name: exit 0" bash -c '"$@" > "$0" 2> "$0.err"' "$T/$name.json" "$@"
    check "$name: nothing on stderr" test ! -s "$T/$name.json.err"
    shape < "$T/$name.json" > "$T/$name.shape"
    check "$name: shape" same "$name.shape" "$T/$name.shape"
    check "$name: documented in $readme" shape --documented "$readme" < "$T/$name.json"
}
printf 'title: Down by the River\nkey: G\n\n[Verse 1]\n| G | Em7 | C . D7 | G |\n{key: A} {meter: 3/4}\n[Chorus]\n| A | A/C# |\n' > "$T/chart.txt"
printf 'MThd' > "$T/broken.mid"
generate output="$T/piece" count=1 bars=4 > /dev/null
json inspect-midi infer/README.md "$CANTUS" inspect --json "$T/midi/greensleeves.mid"
json inspect-written infer/README.md "$CANTUS" inspect --json "$T/piece/piece-0001.mid"
json inspect-sheet infer/README.md "$CANTUS" inspect --json "$T/chart.txt"
json inspect-dataset infer/README.md "$CANTUS" inspect --json "$T/data"
json inspect-model infer/README.md "$CANTUS" inspect --json "$T/melody"
json doctor infer/README.md env -u CANTUS_ISA -u CANTUS_GEMM -u OMP_NUM_THREADS "$CANTUS" doctor --json
json checkpoint train/README.md cat "$(ls -d "$T"/melody/checkpoints/last-* | tail -1)/manifest.json"
json plan train/README.md "$CANTUS" plan configs/demo-melody.yaml data.path="$T/data" --json --records
json plan-gpus train/README.md "$CANTUS" plan configs/demo-melody.yaml data.path="$T/data" --json gpu=H100 gpus=12
json bench train/README.md "$CANTUS" bench configs/demo-melody.yaml model.layers=1 model.tokens=32 model.memory=32 train.batch=2 --json
# of one rank, whose table is empty: fields of a row are those of two, where there is MPI
json bench-comm train/README.md "$CANTUS" bench comm --json
if command -v mpirun > /dev/null && [ -f "$(dirname "$(realpath "$CANTUS")")/libcantus_mpi.so" ]; then
    json bench-comm-two train/README.md tests/mpi.sh 2 "$CANTUS" bench comm 4K --json
else skip 'no MPI: JSON of bench comm'; fi
json evaluate models/README.md "$CANTUS" evaluate configs/evaluate.yaml data.path="$T/data" models.backbone="$T/backbone" \
    models.melody="$T/melody" interval.samples=20 --json
# files of our own, to the last value; the path apart
values() { sed "s#$T/##" "$T/$1.json" > "$T/$1.values"; }
values inspect-sheet; check 'a lead sheet, value by value' same inspect-sheet.json "$T/inspect-sheet.values"
values inspect-midi; check 'a MIDI file, value by value' same inspect-midi.json "$T/inspect-midi.values"
# what is said of a file that can't be used, and of none
printf 'MThd\0\0\0\6\0\0\0\1\0\140MTrk\0\0\0\4\0\377\57\0' > "$T/empty.mid"
json inspect-unusable infer/README.md "$CANTUS" inspect --json "$T/empty.mid"
refuses 'a broken file' 1 'broken.mid' "$CANTUS" inspect --json "$T/broken.mid"
refuses 'no file' 1 'nothing.mid' "$CANTUS" inspect --json "$T/nothing.mid"
check 'an error leaves stdout empty' bash -c '! "$CANTUS" inspect --json "$0" 2> /dev/null | grep -q .' "$T/nothing.mid"
held_out() { python3 -c 'import json,sys; r=json.load(open(sys.argv[1])); assert {x["name"] for x in r["rivals"]} >= {"model"}, r' "$1"; }
check 'a run leaves held-out.json' held_out "$T/melody/held-out.json"
finish

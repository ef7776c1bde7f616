#!/usr/bin/env bash
# The whole way once: ABC tunes -> MIDI -> dataset -> both stages trained briefly -> new pieces in out/demo.
# Usage: tests/demo.sh PROGRAM [FOLDER]     (make demo calls it)
set -euo pipefail
cantus=$(realpath "$1"); out=${2:-out/demo}
cd "$(dirname "$0")/.."
rm -rf "$out"; mkdir -p "$out/midi"
start=$SECONDS
echo "1. $(ls tests/data/tunes/*.abc | wc -l) public-domain tunes, from ABC to MIDI"
for abc in tests/data/tunes/*.abc; do
    abc2midi "$abc" -quiet -o "$out/midi/$(basename "$abc" .abc).mid" > "$out/abc2midi.log" 2>&1 || { cat "$out/abc2midi.log"; exit 1; }
done
rm -f "$out/abc2midi.log"
echo "2. MIDI to a dataset"
"$cantus" prepare configs/demo-prepare.yaml input="$out/midi" output="$out/data"
echo "3. stage 1, the backbone"
"$cantus" train configs/demo-backbone.yaml data.path="$out/data" train.out="$out/backbone"
echo "4. stage 2, the melody"
"$cantus" train configs/demo-melody.yaml data.path="$out/data" train.out="$out/melody"
echo "5. new pieces"
"$cantus" generate configs/demo-generate.yaml models.backbone="$out/backbone" models.melody="$out/melody" output="$out/pieces"
echo
cat "$out/pieces/piece-0001.txt"
echo "$(ls "$out"/pieces/*.mid | wc -l) pieces with lead sheets and manifest.jsonl in $out/pieces ($((SECONDS - start)) s)"

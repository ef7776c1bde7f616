#!/usr/bin/env bash
# Each tune in tests/data/tunes turns into a MIDI file without a warning: a melody track, an accompaniment track, and
# at least 16 bars. Needs abc2midi and midistats (package abcmidi).
set -u
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0 tunes=(tests/data/tunes/*.abc)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

if ! command -v abc2midi > /dev/null || ! command -v midistats > /dev/null; then
    echo "skipped: tunes (abc2midi or midistats is missing: package abcmidi)"
    echo "0 passed, 0 failed, ${#tunes[@]} skipped"
    exit 0
fi

fault() { # TUNE: prints what is wrong with it, nothing when it is fine
    local midi=$folder/$(basename "$1" .abc).mid said stats metre bars
    said=$(abc2midi "$1" -o "$midi" 2>&1)
    if grep -qiE 'warning|error' <<< "$said"; then grep -iE 'warning|error' <<< "$said" | head -3; return; fi
    [ -s "$midi" ] || { echo "no file written"; return; }
    stats=$(midistats "$midi")
    [ "$(grep -c '^trkinfo' <<< "$stats")" -eq 3 ] || echo "expected melody, bass and chords as channels"
    grep -q '^ntrks 3$' <<< "$stats" || echo "expected three tracks: head, melody, accompaniment"
    metre=$(sed -n 's/^M://p' "$1")
    bars=$(awk -v m="$metre" '$1 == "npulses" { split(m, f, "/"); printf "%d", $2 / (480 * 4 * f[1] / f[2]) }' <<< "$stats")
    [ "${bars:-0}" -ge 16 ] || echo "${bars:-0} bars, expected 16 or more"
}

for tune in "${tunes[@]}"; do
    wrong=$(fault "$tune")
    if [ -z "$wrong" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "$tune: $wrong"; fi
done
[ ${#tunes[@]} -ge 32 ] || { failed=$((failed + 1)); echo "${#tunes[@]} tunes, expected 32 or more"; }
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]

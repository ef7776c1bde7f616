# generate.sh -- fifty pieces read by an independent MIDI reader, sheets that come back, seeds, leads, primers, Ctrl-C.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
make_models 40
T=$TMP
python=
for p in python3 /usr/bin/python3; do [ -z "$python" ] && $p -c 'import mido' 2> /dev/null && python=$p; done
reader() { "$python" tests/e2e/read_midi.py "$@"; }

# ---- fifty pieces, as asked
P=$T/fifty
check 'fifty pieces' generate output="$P" count=50 bars=24 key=Am tempo=96 meter=4/4 accept.chords=4 accept.notes=20
check 'fifty MIDI files' test "$(ls "$P"/*.mid | wc -l)" = 50
check 'all different' test "$(sha256sum "$P"/*.mid | cut -d' ' -f1 | sort -u | wc -l)" = 50
if [ -n "$python" ]; then
    for f in "$P"/*.mid; do check "read by mido: $(basename "$f")" reader pieces --bars 24 --key Am --tempo 96 --meter 4/4 "$f"; done
else skip 'no mido (Debian: python3-mido): the pieces are not read by an independent reader'; fi
sheet_comes_back() { "$CANTUS" inspect "$1" | grep -v '^#' | diff - "${1%.mid}.txt"; }
all_sheets() { for f in "$P"/*.mid; do sheet_comes_back "$f" || { echo "$f"; return 1; }; done; }
check 'sheets come back from the MIDI files' all_sheets
manifest() { # FILE COUNT FIRST_SEED: lines of JSON, in order, each naming files that are there
    python3 - "$@" << 'END'
import json, os, sys
path, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
lines = [json.loads(line) for line in open(path)]
assert len(lines) == count, len(lines)
for i, line in enumerate(lines):
    assert line["piece"] == i + 1 and line["file"] == "piece-%04d.mid" % (i + 1), line
    assert line["seed"] == seed + i or line["attempt"] > 1, line
    assert all(len(line["models"][m]["sha256"]) == 64 for m in ("backbone", "melody")), line
    name = os.path.join(os.path.dirname(path), line["file"])
    assert open(name, "rb").read(4) == b"MThd" and os.path.getsize(name[:-3] + "txt") > 20, name
END
}
if command -v python3 > /dev/null; then check 'the manifest' manifest "$P/manifest.jsonl" 50 1; else skip 'no python3: the manifest'; fi

# ---- a piece depends on its seed alone
same_pieces() { for f in "$1"/piece-*; do cmp "$f" "$2/$(basename "$f")" || return 1; done; }
generate output="$T/b1" count=9 bars=12 batch=1 > /dev/null; generate output="$T/b16" count=9 bars=12 batch=16 > /dev/null
check 'batch=1 and batch=16 write the same' same_pieces "$T/b1" "$T/b16"
generate output="$T/later" count=3 seed=4 bars=12 > /dev/null
same_music() { for i in 1 2 3; do cmp <(tail -n +2 "$T/later/piece-000$i.txt") <(tail -n +2 "$T/b1/piece-000$((i + 3)).txt") || return 1; done; }
check 'seed 4 is the fourth piece of seed 1' same_music
check 'other seeds, other pieces' bash -c '! cmp -s "$0/piece-0001.mid" "$0/piece-0002.mid"' "$T/b1"
generate output="$T/threads" count=9 bars=12 > /dev/null; OMP_NUM_THREADS=1 generate output="$T/thread" count=9 bars=12 > /dev/null
check 'whatever the number of threads' same_pieces "$T/thread" "$T/threads"

# ---- lead sheets
bars_of() { grep '^|' "$1" | tr -d '\n ' | sed 's/||*/|/g'; }
lead() { # NAME: the chords of $T/NAME.txt are those of each piece, and of its MIDI file
    generate lead="$T/$1.txt" output="$T/$1" count=3 > /dev/null || return 1
    for i in 1 2 3; do
        diff <(bars_of "$T/$1.txt"; echo) <(bars_of "$T/$1/piece-000$i.txt"; echo) && sheet_comes_back "$T/$1/piece-000$i.mid" || return 1
    done
}
printf '| C | Am | F | G7 |\n| C | Dm G | Em7 | C |\n' > "$T/chords.txt"
printf 'title: Odd\nkey: Bb\ntempo: 101\nmeter: 4/4\n\n[Verse 1]\n| Bb13(#11) | Eb6/9 . F7sus4 Cm7/F | Bbmaj7/D | N.C. |\n[Verse 2]\n| Bb13(#11) | Eb6/9 | F7 | Bb |\n' > "$T/odd.txt"
printf 'meter: 3/4\n| G | D7 | Em | C |\n| G | D7 | G | G |\n' > "$T/waltz.txt"
check 'a sheet with nothing but chords' lead chords
check 'in the key that fits them' bash -c 'for i in 1 2 3; do grep -qx "key: C" "$0/piece-000$i.txt" || exit 1; done' "$T/chords"
check 'whose first bar is no pickup' bash -c '! grep -qi pickup "$0"/piece-000?.txt' "$T/chords"
check 'a sheet with odd symbols' lead odd
check 'odd symbols as they were written' grep -qF 'Bb13(#11)' "$T/odd/piece-0002.txt"
check 'its sections too' grep -qF '[Verse 2]' "$T/odd/piece-0003.txt"
check 'its tempo' grep -qx 'tempo: 101' "$T/odd/piece-0001.txt"
check 'a sheet in three' lead waltz
check 'one sheet, different melodies' bash -c '! cmp -s "$0/piece-0001.mid" "$0/piece-0002.mid"' "$T/odd"
check 'a printed sheet is a lead again' cp "$P/piece-0007.txt" "$T/again.txt"
check 'with the same chords' lead again

# ---- stage 2 alone
alone() { # NAME [key=value ...]: over $T/NAME.txt without a backbone model; chords as written, sheets that come back
    local name=$1 i; shift
    generate models.backbone= lead="$T/$name.txt" output="$T/alone-$name" count=3 "$@" > /dev/null || return 1
    for i in 1 2 3; do
        diff <(bars_of "$T/$name.txt"; echo) <(bars_of "$T/alone-$name/piece-000$i.txt"; echo) && sheet_comes_back "$T/alone-$name/piece-000$i.mid" || return 1
    done
    ! cmp -s "$T/alone-$name/piece-0001.mid" "$T/alone-$name/piece-0002.mid"
}
check 'stage 2 alone over chords' alone chords tempo=88
check 'in the tempo asked for' grep -qx 'tempo: 88' "$T/alone-chords/piece-0001.txt"
check 'stage 2 alone over odd symbols' alone odd
check 'and its sections' grep -qF '[Verse 2]' "$T/alone-odd/piece-0001.txt"
check 'no backbone in the manifest' bash -c '! grep -q "\"backbone\": {\"file\"" "$0"' "$T/alone-odd/manifest.jsonl"
refuses 'no backbone and no sheet' 2 'no lead sheet to sing over' generate models.backbone= output="$T/no"
refuses 'another key than the sheet has' 2 'is in Bb:maj' generate models.backbone= lead="$T/odd.txt" key=C output="$T/no"

# ---- primers
primed() {
    generate primer="$P/piece-0003.mid" primer_bars=4 bars=12 count=3 output="$T/primed" > /dev/null || return 1
    reader melody --bars 4 "$P/piece-0003.mid" > "$T/primer.notes"
    [ "$(wc -l < "$T/primer.notes")" -gt 3 ] || return 1
    for i in 1 2 3; do reader melody --bars 4 "$T/primed/piece-000$i.mid" | diff "$T/primer.notes" - || return 1; done
    ! cmp -s "$T/primed/piece-0001.mid" "$T/primed/piece-0002.mid"
}
if [ -n "$python" ]; then check 'the first bars of a primer are kept' primed; else skip 'no mido: primers'; fi
refuses 'a primer as long as the piece' 2 'leave nothing' generate primer="$P/piece-0003.mid" primer_bars=4 bars=4 output="$T/no"

# ---- a length left open
check 'bars=0: the model decides' generate bars=0 count=5 output="$T/open"
check 'and the pieces are whole' bash -c 'for f in "$0"/*.mid; do "$CANTUS" inspect "$f" | grep -v "^#" | diff - "${f%.mid}.txt" || exit 1; done' "$T/open"

# ---- Ctrl-C: what the manifest names is whole
"$CANTUS" generate configs/demo-generate.yaml models.backbone="$T/backbone" models.melody="$T/melody" output="$T/cut" count=9999 batch=4 > /dev/null 2> "$T/cut.log" &
job=$!
for _ in $(seq 200); do [ "$(cat "$T/cut/manifest.jsonl" 2> /dev/null | wc -l)" -ge 8 ] && break; sleep 0.05; done
kill -INT $job; wait $job; code=$?
check 'Ctrl-C exits 130' test $code = 130
check 'and says so' grep -q 'stopped on request' "$T/cut.log"
n=$(wc -l < "$T/cut/manifest.jsonl")
check 'some pieces were written, not all' test "$n" -ge 8 -a "$n" -lt 9999
if command -v python3 > /dev/null; then check 'the manifest is whole' manifest "$T/cut/manifest.jsonl" "$n" 1; else skip 'no python3: the manifest after Ctrl-C'; fi
check 'no temporary files' bash -c '! ls "$0"/*.tmp 2> /dev/null' "$T/cut"
finish

# robustness.sh -- odd, broken and hostile MIDI files: prepare names each of them, inspect says something of each; never a
# signal, never a hang. With the sanitizer build where there is one.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
T=$TMP
odd=../shared/data/midi-robustness styles=../shared/data/styles
if [ ! -d $odd ]; then skip "no $odd"; finish; exit; fi
program=$CANTUS
if [ -x build/asan/cantus ]; then program=build/asan/cantus; fi
echo "with $program"
files=$(find $odd -iregex '.*\.\(mid\|midi\|kar\|rmi\|smf\)' | wc -l)

check 'prepare takes them all' timeout 300 "$program" prepare configs/demo-prepare.yaml input=$odd output="$T/odd" workers=2
check 'and names them all' test "$(tail -n +2 "$T/odd/outcomes.tsv" | cut -f1 | sort -u | wc -l)" = "$files"
check 'none crashed a worker' bash -c '! cut -f3 "$0" | grep -iE "signal|crash"' "$T/odd/outcomes.tsv"
check 'what was used can be inspected' "$program" inspect "$T/odd"
inspected() { # exit 0, or 1 with a message that names the file
    timeout 60 "$program" inspect "$1" > "$T/said" 2> "$T/err"; local code=$?
    iconv -f UTF-8 "$T/said" > /dev/null || return 1
    [ $code -eq 0 ] || { [ $code -eq 1 ] && grep -qF "$1" "$T/err" && ! grep -qE 'Sanitizer|runtime error' "$T/err"; } || { echo "$1: exit $code"; tail -3 "$T/err"; return 1; }
}
while read -r f; do check "inspect $(basename "$f")" inspected "$f"; done < <(find $odd -iregex '.*\.\(mid\|midi\|kar\|rmi\|smf\)' | sort)

# ---- ten million events, thirty hours: an outcome soon, in bounded memory
huge() {
    python3 - "$T/huge" << 'END'
import os, struct, sys
def write(name, body):
    head = b"MThd" + struct.pack(">IHHH", 6, 1, 1, 480)
    open(f"{sys.argv[1]}/{name}", "wb").write(head + b"MTrk" + struct.pack(">I", len(body) + 4) + body + b"\0\xff\x2f\0")
os.mkdir(sys.argv[1])
pair = lambda k, gap: gap + bytes([60 + k % 12, 80]) + b"\x3c" + bytes([60 + k % 12, 0])
write("ten_million.mid", b"\0\x90\x3c\0" + b"".join(pair(k, b"\0") for k in range(12)) * 417000)
write("thirty_hours.mid", b"\0\x90\x3c\0" + b"".join(pair(k, b"\x83\x24") for k in range(216000)))
write("ten_million_controllers.mid", b"".join(b"\0\x90" + bytes([60 + k % 12, 80]) + b"\x83\x60" + bytes([60 + k % 12, 0]) +
                                              b"\0\xb0\x07\x40" + b"\0\x07\x41" * 100000 for k in range(100)))
END
}
if command -v python3 > /dev/null; then
    check 'huge files' huge
    cp "$(find $styles -name '*.mid' | sort | head -1)" "$T/huge/z.mid" # one that can be used
    check 'are read in bounded time and memory' timeout 60 "$CANTUS" prepare configs/demo-prepare.yaml input="$T/huge" output="$T/huge.out" workers=1 limit.megabytes=400
    check 'too many notes' grep -qP '^ten_million.mid\tleft out\ttoo long: ' "$T/huge.out/outcomes.tsv"
    check 'too many bars' grep -qP '^thirty_hours.mid\tleft out\ttoo long: ' "$T/huge.out/outcomes.tsv"
    check 'controllers harm nobody' grep -qP '^ten_million_controllers.mid\tused' "$T/huge.out/outcomes.tsv"
else skip 'no python3: huge files'; fi

# ---- music of many styles: each file has an outcome, and a reason where it is left out
check 'many styles' timeout 300 "$program" prepare configs/demo-prepare.yaml input=$styles output="$T/styles" workers=2
check 'all named' test "$(tail -n +2 "$T/styles/outcomes.tsv" | cut -f1 | sort -u | wc -l)" = "$(find $styles -iregex '.*\.\(mid\|midi\|kar\|rmi\|smf\)' | wc -l)"
check 'with a reason' bash -c '! awk -F"\t" "NR > 1 && \$2 == \"left out\" && \$3 == \"\"" "$0" | grep .' "$T/styles/outcomes.tsv"
check '85 of 100 are used, or more' bash -c 'awk -F"\t" "NR > 1 {n++; u += \$2 != \"left out\"} END {exit !(u >= 0.85 * n)}" "$0"' "$T/styles/outcomes.tsv"
check 'none crashed a worker' bash -c '! cut -f3 "$0" | grep -iE "signal|crash"' "$T/styles/outcomes.tsv"
finish

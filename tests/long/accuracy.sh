# accuracy.sh -- analysis against annotations that it never sees: POP909 songs 001-100, MIDI files only.
. "$(dirname "$0")/../e2e/library.sh"
data=../shared/data/pop909
if [ ! -d $data ]; then skip "no ../shared/data"; finish; exit; fi
build/release/tools/score_pop909 $data 1 100 | tee "$TMP/scores" || failed=$((failed + 1))
# at_least METRIC FLOOR: the metric's value in the scorer's table
at_least() {
    local value; value=$(awk -v m="$1" '$1 == m {print $2}' "$TMP/scores")
    check "$1 $value, at least $2" awk -v a="${value:-0}" -v b="$2" 'BEGIN {exit !(a >= b)}'
}
at_least grid 0.98
at_least majmin 0.80
at_least key 0.85
at_least track 0.95
at_least melody_f1 0.60
finish

# library.sh -- what the end-to-end scripts share; sourced, prints nothing of its own.
# Counts checks: check NAME COMMAND... passes when the command exits 0; finish prints the closing line.
passed=0 failed=0 skipped=0
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
export CANTUS=${CANTUS:-build/cantus} TMP=${TMP:-$(mktemp -d)}
check() {
    local name=$1; shift
    if "$@" > "$TMP/check.log" 2>&1; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name: $*"; tail -5 "$TMP/check.log"; fi
}
# refuses NAME EXIT_CODE "text in the message" COMMAND...: a clear error with that exit code
refuses() {
    local name=$1 code=$2 text=$3 got; shift 3
    "$@" > "$TMP/out.log" 2> "$TMP/err.log"; got=$?
    if [ $got -eq "$code" ] && grep -qF -- "$text" "$TMP/err.log"; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED: $name: exit $got (expected $code), message:"; cat "$TMP/err.log"; echo "  expected in it: $text"; fi
}
skip() { skipped=$((skipped + 1)); echo "skipped: $1"; }
finish() {
    if [ $skipped -gt 0 ]; then echo "$passed passed, $failed failed, $skipped skipped"; else echo "$passed passed, $failed failed"; fi
    [ $failed -eq 0 ]
}
# small models and a dataset made from the tunes, once for each script that asks
make_midi() {
    mkdir -p "$TMP/midi"
    for abc in tests/data/tunes/*.abc; do abc2midi "$abc" -quiet -o "$TMP/midi/$(basename "$abc" .abc).mid" > /dev/null; done
}
make_models() {
    make_midi
    "$CANTUS" prepare configs/demo-prepare.yaml input="$TMP/midi" output="$TMP/data" > /dev/null
    local quick="train.steps=${1:-40} model.layers=1 model.width=32 model.heads=2 model.feed_forward=64 train.count_model=0 data.path=$TMP/data"
    "$CANTUS" train configs/demo-backbone.yaml $quick train.out="$TMP/backbone" > /dev/null 2>&1
    "$CANTUS" train configs/demo-melody.yaml $quick train.out="$TMP/melody" > /dev/null 2>&1
}
generate() { "$CANTUS" generate configs/demo-generate.yaml models.backbone="$TMP/backbone" models.melody="$TMP/melody" "$@"; }

# training.sh -- both stages on POP909, shortened: held-out loss on open tokens against Kneser-Ney of order 5 on the same
# songs and keys; then 50 pieces. About 15 minutes on two cores.
. "$(dirname "$0")/../e2e/library.sh"
data=../shared/data/pop909
if [ ! -d $data ]; then skip "no ../shared/data"; finish; exit; fi
check 'prepare' "$CANTUS" prepare configs/prepare.yaml input=$data output="$TMP/data"
check 'prepare with one worker' "$CANTUS" prepare configs/prepare.yaml input=$data output="$TMP/data1" workers=1
check 'the same bytes' diff -r "$TMP/data" "$TMP/data1"
check 'all 600 songs are named' test "$(wc -l < "$TMP/data/outcomes.tsv")" = 601
# below NAME PERCENT: the last line that compares with the count model
below() {
    local percent; percent=$(sed -n "s/.*open loss is \([0-9.]*\) % below.*/\1/p" "$TMP/$1.log")
    echo "$1: $(grep 'held out, nats' "$TMP/$1.log"); $percent % below Kneser-Ney"
    check "$1: ${percent:-not} below by $2 %" awk -v a="${percent:-0}" -v b="$2" 'BEGIN {exit !(a >= b)}'
}
"$CANTUS" train configs/backbone.yaml data.path="$TMP/data" train.out="$TMP/backbone" train.steps=600 > "$TMP/backbone.log" 2> "$TMP/err.log" || cat "$TMP/err.log"
below backbone 15
"$CANTUS" train configs/melody.yaml data.path="$TMP/data" train.out="$TMP/melody" train.steps=1000 > "$TMP/melody.log" 2> "$TMP/err.log" || cat "$TMP/err.log"
below melody 0.1
finish

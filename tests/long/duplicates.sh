# duplicates.sh -- near-duplicates on POP909 001-600: the two pairs that are there and no other; among 100,000 songs.
. "$(dirname "$0")/../e2e/library.sh"
check 'among 100,000 songs' timeout 120 build/release/tools/similar_songs 100000
data=../shared/data/pop909
if [ ! -d $data ]; then skip "no ../shared/data"; finish; exit; fi
"$CANTUS" prepare configs/prepare.yaml input=$data output="$TMP/data" > "$TMP/said"
printf '017/017.mid\n018/018.mid\n101/101.mid\n103/103.mid\n' > "$TMP/expected"
check 'exactly 017 = 018 and 101 ~ 103' diff "$TMP/expected" <(tail -n +2 "$TMP/data/groups.tsv" | cut -f3)
check 'said so' grep -q '^near-duplicates: 4 songs in 2 groups' "$TMP/said"
# the threshold stands well clear of both: the weaker pair shares 0.417, the next two songs 0.087
prepared() { "$CANTUS" prepare configs/prepare.yaml input=$data output="$TMP/$1" duplicates.share=$2 > /dev/null; }
prepared high 0.4; prepared low 0.1
check 'the same at 0.4' diff "$TMP/expected" <(tail -n +2 "$TMP/high/groups.tsv" | cut -f3)
check 'the same at 0.1' diff "$TMP/expected" <(tail -n +2 "$TMP/low/groups.tsv" | cut -f3)
one_split() { awk -F'\t' 'NR > 1 && ($1 in s) && s[$1] != $2 {exit 1} {s[$1] = $2}' "$1/groups.tsv"; }
for seed in 1 2 3 4 5; do
    "$CANTUS" prepare configs/prepare.yaml input=$data output="$TMP/s$seed" seed=$seed split.valid=0.3 > /dev/null
    check "each in one split, seed $seed" one_split "$TMP/s$seed"
done
finish

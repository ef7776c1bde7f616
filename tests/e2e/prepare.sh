# prepare.sh -- the same bytes whatever the number of workers, every file accounted for, Ctrl-C, splits by song.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
T=$TMP
make_midi
M=$T/midi
cp "$M/amazing_grace.mid" "$M/zz-twin.mid"; mkdir -p "$M/below/deeper"; mv "$M/ach_du_lieber_augustin.mid" "$M/below/deeper/Augustin.MID"
head -c 200 "$M/amazing_grace.mid" > "$M/cut.mid"; echo 'no music' > "$M/junk.midi"; : > "$M/empty.kar"; echo 'not asked for' > "$M/readme.txt"
files=$(find "$M" -iname '*.mid' -o -iname '*.midi' -o -iname '*.kar' | wc -l)
prepare() { "$CANTUS" prepare configs/demo-prepare.yaml input="$M" split.valid=0.2 split.test=0.1 "$@"; }

for w in 1 2 3; do check "with $w workers" prepare output="$T/w$w" workers=$w; done
check 'two workers, the same bytes' diff -r "$T/w1" "$T/w2"
check 'three workers, the same bytes' diff -r "$T/w1" "$T/w3"
check 'twice' prepare output="$T/again" workers=2
check 'the same bytes again' diff -r "$T/w1" "$T/again"
check 'nothing else beside it' bash -c '! ls -d "$0"/*.tmp 2> /dev/null' "$T"

# ---- every file is named once, in order of its name, with what became of it
D=$T/w1
named_once() {
    tail -n +2 "$D/outcomes.tsv" | cut -f1 > "$T/named"
    [ "$(wc -l < "$T/named")" = "$files" ] && LC_ALL=C sort -cu "$T/named" || return 1
    while read -r f; do [ -f "$M/$f" ] || return 1; done < "$T/named"
}
outcome() { [ "$(awk -F'\t' -v f="$1" '$1 == f { print $2 }' "$D/outcomes.tsv")" = "$2" ]; }
reason() { awk -F'\t' -v f="$1" '$1 == f { print $3 }' "$D/outcomes.tsv" | grep -qF "$2"; }
check 'every file has its outcome' named_once
check 'a file with the same bytes is left out' outcome zz-twin.mid 'left out'
check 'and says of which' reason zz-twin.mid 'the same bytes as another file (amazing_grace.mid)'
check 'no MIDI file is left out' outcome junk.midi 'left out'
check 'nor an empty one' outcome empty.kar 'left out'
check 'every one left out has a reason' bash -c '! awk -F"\t" "\$2 != \"used\" && \$3 == \"\"" "$0" | grep .' "$D/outcomes.tsv"
check 'files below and in capitals are read' bash -c 'grep -q "^below/deeper/Augustin.MID	used" "$0"' "$D/outcomes.tsv"

# ---- the table of songs
check 'songs are the files used' diff <(awk -F'\t' '$2 ~ /^used/ { print $1 }' "$D/outcomes.tsv") <(tail -n +2 "$D/songs.tsv" | cut -f1)
check 'each song is there once' bash -c '[ -z "$(tail -n +2 "$0" | cut -f2 | sort | uniq -d)" ]' "$D/songs.tsv"
check 'rows follow each other' awk -F'\t' 'NR > 1 { if ($4 != b || $6 != m || $5 < 10 || $7 < 10) exit 1; b += $5; m += $7 }' "$D/songs.tsv"
shares() {
    awk -F'\t' 'NR > 1 { n[$3]++; all++ } END { exit !(n["valid"] == int(all * 0.2 + 0.5) && n["test"] == int(all * 0.1 + 0.5) && n["train"] == all - n["valid"] - n["test"]) }' "$D/songs.tsv"
}
check 'splits have their shares' shares
mkdir "$T/renamed"; i=100
for f in $(tail -n +2 "$D/songs.tsv" | cut -f1 | sort -r); do i=$((i + 1)); cp "$M/$f" "$T/renamed/$i.mid"; done
check 'prepared under other names' "$CANTUS" prepare configs/demo-prepare.yaml input="$T/renamed" output="$T/r" split.valid=0.2 split.test=0.1
check 'a song falls alike whatever its name' diff <(tail -n +2 "$D/songs.tsv" | cut -f2,3 | sort) <(tail -n +2 "$T/r/songs.tsv" | cut -f2,3 | sort)
check 'another seed' prepare output="$T/seed" seed=7
check 'splits otherwise' bash -c '! cmp -s <(cut -f3 "$0/w1/songs.tsv") <(cut -f3 "$0/seed/songs.tsv")' "$T"
check 'the dataset can be inspected' "$CANTUS" inspect "$D"

# ---- near-duplicates: a tune in another key, one cut short and played slower, and the bytes of a third
N=$T/near; mkdir -p "$N/z"
for f in amazing_grace battle_hymn can_can camptown_races auld_lang_syne aura_lee au_clair_de_la_lune brahms_lullaby; do abc2midi tests/data/tunes/$f.abc -quiet -o "$N/$f.mid" > /dev/null; done
near() { abc2midi "$T/near.abc" -quiet -o "$N/$1" > /dev/null; }
sed '/^K:/a %%MIDI transpose 5' tests/data/tunes/amazing_grace.abc > "$T/near.abc"; near z/up.mid
sed -e 's/^Q:.*/Q:1\/4=66/' -e '$d' tests/data/tunes/battle_hymn.abc > "$T/near.abc"; near z/cut.mid
cp "$N/can_can.mid" "$N/z/same.mid"
near() { "$CANTUS" prepare configs/demo-prepare.yaml input="$N" split.valid=0.4 "$@"; }
check 'with near-duplicates' near output="$T/n1" workers=1
check 'with three workers' near output="$T/n3" workers=3
check 'the same bytes' diff -r "$T/n1" "$T/n3"
printf '%s\n' amazing_grace.mid z/up.mid battle_hymn.mid z/cut.mid > "$T/expected"
check 'both are listed, nothing else' diff "$T/expected" <(tail -n +2 "$T/n1/groups.tsv" | cut -f3)
check 'the same in another key shares all' awk -F'\t' '$3 == "z/up.mid" && $4 == "1.000" && $5 == "amazing_grace.mid" {found = 1} END {exit !found}' "$T/n1/groups.tsv"
near output="$T/n4" > "$T/said"
check 'said so' grep -q '^near-duplicates: 4 songs in 2 groups, each in one split' "$T/said"
check 'and named' grep -qx '  amazing_grace.mid, z/up.mid' "$T/said"
together() { awk -F'\t' '{s[$1] = $3} END {exit !(s["amazing_grace.mid"] == s["z/up.mid"] && s["battle_hymn.mid"] == s["z/cut.mid"])}' "$T/$1/songs.tsv"; }
apart=0
for seed in 2 3 4 5 6 7; do
    near output="$T/with$seed" seed=$seed > /dev/null; near output="$T/without$seed" seed=$seed duplicates.share=0 > /dev/null
    check "seed $seed: each group in one split" together with$seed
    together without$seed || apart=$((apart + 1))
    check "seed $seed: validation is not empty" grep -q '	valid	' "$T/with$seed/songs.tsv"
done
check 'which chance would not do' test $apart -ge 2
near output="$T/first" duplicates.keep=first > "$T/said"
check 'the first of each is kept' diff <(printf '%s\n' z/cut.mid z/same.mid z/up.mid) <(awk -F'\t' '$2 == "left out" {print $1}' "$T/first/outcomes.tsv")
check 'and the others counted' grep -q 'left out     2: a near-duplicate of a song that is kept' "$T/said"
rm -r "$N/z"
check 'without them' near output="$T/alone" duplicates.keep=first
check 'the same rows' bash -c 'cmp "$0/first/backbone.npy" "$0/alone/backbone.npy" && cmp "$0/first/melody.npy" "$0/alone/melody.npy" && cmp "$0/first/songs.tsv" "$0/alone/songs.tsv"' "$T"
refuses 'first of what is not looked for' 2 'duplicates.share is 0' near output="$T/none" duplicates.share=0 duplicates.keep=first

# ---- filters: each names itself and what it found, and is counted
filtered() { near output="$T/filtered" overwrite=true "$@" > "$T/said"; }
filtered filter.least_bars=33 filter.metres=4/4
check 'a filter counts what it leaves out' grep -qE '^  left out +[1-9][0-9]*: too few bars \(filter.least_bars\)$' "$T/said"
check 'metres too' grep -qE '^  left out +[1-9][0-9]*: a metre not asked for \(filter.metres\)$' "$T/said"
check 'and says what it found' grep -qP '\tleft out\ttoo few bars: [0-9]+, filter.least_bars is 33$' "$T/filtered/outcomes.tsv"
check 'and which metre' grep -qP '\tleft out\ta metre not asked for: [2369]/[48], filter.metres is 4/4$' "$T/filtered/outcomes.tsv"
refuses 'no such metre' 2 'filter.metres: expected metres such as' near output="$T/none" 'filter.metres=4/4 4/3'
refuses 'no song can pass' 2 'filter.most_bars: 3, but filter.least_bars is 4' near output="$T/none" filter.most_bars=3

# ---- a file without a melody serves the backbone, and no other stage
mkdir "$T/pads"; cp "$N"/*.mid "$T/pads"
bars=$(for _ in 1 2 3 4; do printf '[C,EG]8|[A,CE]8|[F,A,C]8|[G,B,D]8|'; done)
printf 'X:1\nT:Pads\nM:4/4\nL:1/8\nQ:1/4=80\nK:C\n%s\n' "$bars" > "$T/pads.abc"
abc2midi "$T/pads.abc" -quiet -o "$T/pads/pads.mid" > /dev/null
check 'with pads among the songs' "$CANTUS" prepare configs/demo-prepare.yaml input="$T/pads" output="$T/nomelody" split.valid=0.2
check 'they are used, and it is said why not for all' grep -qP '^pads.mid\tused with warnings\t.*no melody found' "$T/nomelody/outcomes.tsv"
check 'with rows of the backbone alone' awk -F'\t' '$1 == "pads.mid" { found = $5 > 50 && $7 == 0 } END { exit !found }' "$T/nomelody/songs.tsv"
refuses 'pads alone make no melody dataset to train on' 1 'no song with melody rows' bash -c '
    mkdir "$1/only"; cp "$1/pads/pads.mid" "$1/only"; "$0" prepare configs/demo-prepare.yaml input="$1/only" output="$1/padsonly" split.valid=0 > /dev/null &&
    "$0" train configs/demo-melody.yaml data.path="$1/padsonly" train.out="$1/run0" train.steps=2' "$CANTUS" "$T"
for stage in backbone melody; do
    check "the $stage is trained on them" "$CANTUS" train configs/demo-$stage.yaml data.path="$T/nomelody" train.out="$T/run-$stage" train.steps=4 train.valid_every=4 train.save_every=4
done
check 'asked for a melody they are left out' "$CANTUS" prepare configs/demo-prepare.yaml input="$T/pads" output="$T/sung" filter.least_pitches=1
check 'and it is said' grep -qP '^pads.mid\tleft out\ttoo few different pitches in the melody: 0' "$T/sung/outcomes.tsv"

# ---- Ctrl-C leaves nothing: no folder, no process
mkdir "$T/many"
for i in $(seq 40); do for f in "$M"/*.mid; do ln "$f" "$T/many/$i-$(basename "$f")"; done; done
"$CANTUS" prepare configs/demo-prepare.yaml input="$T/many" output="$T/stopped" workers=2 > /dev/null 2> "$T/stop.log" &
job=$!
for _ in $(seq 200); do
    children=$(awk -v parent=$job '$4 == parent {print $1}' /proc/[0-9]*/stat 2> /dev/null)
    [ -n "$children" ] && ls -d "$T"/stopped*.tmp > /dev/null 2>&1 && break
    sleep 0.02
done
kill -INT $job; wait $job; code=$?
check 'Ctrl-C exits 130' test $code = 130
check 'and says so' grep -q 'stopped on request' "$T/stop.log"
check 'nothing is left' bash -c '! ls -d "$0"/stopped* 2> /dev/null' "$T"
check 'there were workers' test -n "$children"
check 'they are gone' bash -c 'for p in $0; do [ ! -d "/proc/$p" ] || exit 1; done' "$children"

# ---- annotations instead of what is heard
refuses 'annotations that are not there' 1 'beat_midi.txt: can' near output="$T/none" source.annotations=pop909
refuses 'no such annotations' 2 'source.annotations' near output="$T/none" source.annotations=rwc

# ---- real songs, where they are at hand
songs=../shared/data/pop909
if [ -d $songs ]; then
    mkdir "$T/pop"
    for f in $(ls $songs/*/*.mid | head -40); do cp "$f" "$T/pop/"; done
    check '40 songs of POP909' "$CANTUS" prepare configs/prepare.yaml input="$T/pop" output="$T/p2" workers=2
    check 'with three workers' "$CANTUS" prepare configs/prepare.yaml input="$T/pop" output="$T/p3" workers=3
    check 'the same bytes' diff -r "$T/p2" "$T/p3"
    check 'all of them used' test "$(tail -n +2 "$T/p2/songs.tsv" | wc -l)" = 40
    check 'as many rows as such songs have' awk -F'\t' 'NR > 1 { b += $5; m += $7 } END { exit !(b / 40 > 400 && b / 40 < 1700 && m / 40 > 600 && m / 40 < 2600) }' "$T/p2/songs.tsv"
    mkdir "$T/noted"; cp -r $songs/00[1-9] "$T/noted"
    check 'annotated songs' "$CANTUS" prepare configs/prepare.yaml input="$T/noted" output="$T/p4" source.annotations=pop909
    check 'all of them used' test "$(tail -n +2 "$T/p4/songs.tsv" | wc -l)" = 9
    check 'dataset.json says so' grep -q '"annotations": "pop909"' "$T/p4/dataset.json"
    check 'and their key' awk -F'\t' '$1 == "001/001.mid" {k = $8} END {exit k != "F#:maj"}' "$T/p4/songs.tsv"
else skip 'no ../shared/data/pop909: real songs'; fi
finish

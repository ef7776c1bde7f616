# faults.sh -- failures made to order (core/fault.h) at every place where a command asks for memory, writes, syncs or
# renames: a clear error, nothing lost, and a run that goes on ends with the bytes of the undisturbed one.
# Every place with ALL=1 (make test-faults; of the sizes of a full disk every 7 KB), else some. Cases run side by side.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
export T=$TMP OMP_NUM_THREADS=1 # the bytes are the same for any number
make_midi
rm "$T"/midi/[d-z]*.mid # few are enough here
"$CANTUS" prepare configs/demo-prepare.yaml input="$T/midi" output="$T/data" split.valid=0.3 workers=1 > /dev/null || exit 1
export STAGE=melody MEMORY=32
start() { # RUN WORDS...: becomes the program
    local run=$1; shift
    exec "$CANTUS" train configs/demo-$STAGE.yaml data.path="$T/data" train.out="$run" train.resume=auto model.layers=1 model.width=8 model.heads=1 model.feed_forward=8 \
        model.tokens=32 model.memory=$MEMORY train.batch=2 train.log_every=2 train.valid_every=2 train.valid_songs=1 train.save_every=2 train.count_model=0 debug.faults=true \
        train.steps=4 optimizer.final_share=1 "$@"
}
train() { (start "$@" > /dev/null 2> "$1.log"); }
same_runs() { # all that a run leaves, but for provenance and names
    local f
    for f in metrics.jsonl metrics.csv held-out.json checkpoints; do diff -r "$1/$f" "$2/$f" || return 1; done
}
prepare() { "$CANTUS" prepare configs/demo-prepare.yaml input="$T/midi" split.valid=0.3 workers=1 debug.faults=true "$@"; }
write_pieces() {
    "$CANTUS" generate configs/demo-generate.yaml models.backbone="$T/backbone" models.melody="$T/melody" count=2 bars=2 batch=1 accept.notes=0 accept.chords=0 debug.faults=true "$@"
}
happened() { grep -q '^on purpose: ' "$1"; }
told() { tail -1 "$1" | grep -q '^cantus: .*\(ut of memory\|nput/output error\|o space left\)'; }

# Each case prints what is wrong, and ends with 0: fine, 3: fine, and the fault was never reached.
train_case() { # FAULT BASE: from nothing, or from a run that was stopped
    local r=$T/case-${1//[:\/]/-}-$2 there code
    rm -rf "$r"; [ "$2" = new ] || cp -r "$T/$2-$STAGE" "$r"
    CANTUS_FAULT=$1 train "$r"; code=$?
    cp "$r.log" "$r.fault.log"
    if [ $code = 0 ] && [ "${1%%:*}" != bitflip ]; then same_runs "$T/whole-$STAGE" "$r" || return 1; fi
    if ! happened "$r.log"; then rm -rf "$r" "$r".*; [ $code = 0 ] && return 3; echo "exit $code without a fault"; return 1; fi
    case $1 in
        *:kill | kill:*) [ $code = 137 ] || { echo "not killed but exit $code"; return 1; } ;;
        bitflip:*) [ $code = 0 ] || { echo "exit $code"; return 1; } ;;
        *) [ $code = 0 ] || { [ $code = 1 ] && told "$r.log"; } || { echo "exit $code: $(tail -1 "$r.log")"; return 1; } ;;
    esac
    there=$(cd "$r/checkpoints" 2> /dev/null && ls -d last-* 2> /dev/null | grep -v '[.]')
    case $1 in *:kill | kill:*) ;; *) ! find "$r" -name '*.tmp' 2> /dev/null | grep . || { echo 'left half written'; return 1; } ;; esac
    train "$r" || { echo "can't go on: $(tail -1 "$r.log")"; return 1; }
    [ -z "$there" ] || grep -q '^resuming from ' "$r.log" || { echo 'from nothing, though there was a checkpoint'; return 1; }
    same_runs "$T/whole-$STAGE" "$r" || return 1
    rm -rf "$r" "$r".*
}
prepare_case() { # FAULT: over a dataset that is there
    local r=$T/dataset-${1//[:\/]/-} code
    rm -rf "$r"*; cp -r "$T/data1" "$r" # of another seed
    CANTUS_FAULT=$1 prepare output="$r" overwrite=true > /dev/null 2> "$r.log"; code=$?
    if ! happened "$r.log"; then
        [ $code = 0 ] || { echo "exit $code without a fault"; return 1; }
        diff -r "$T/data" "$r" || return 1
        rm -rf "$r" "$r".*; return 3
    fi
    case $code in
        0) grep -q 'left out.*memory' "$r/outcomes.tsv" || { echo 'exit 0, and nobody was told'; return 1; } ;;
        1) told "$r.log" || { echo "not told: $(tail -1 "$r.log")"; return 1; }
            diff -r "$T/data1" "$r" || diff -r "$T/data" "$r" || return 1
            ! find "$T" -path "$r.*.tmp" | grep . || { echo 'left half written'; return 1; } ;;
        137) [ -e "$r/dataset.json" ] || [ -e "$(echo "$r".*.before)/dataset.json" ] || { echo 'the old dataset is lost'; return 1; } ;;
        *) echo "exit $code"; return 1 ;;
    esac
    rm -rf "$r" "$r".*
}
generate_case() { # FAULT
    local r=$T/pieces-${1//[:\/]/-} code f
    rm -rf "$r"*
    CANTUS_FAULT=$1 write_pieces output="$r" > /dev/null 2> "$r.log"; code=$?
    if ! happened "$r.log"; then
        [ $code = 0 ] || { echo "exit $code without a fault"; return 1; }
        diff -r "$T/pieces" "$r" || return 1
        rm -rf "$r" "$r".*; return 3
    fi
    case $code in
        1) told "$r.log" || { echo "not told: $(tail -1 "$r.log")"; return 1; } ;;
        137) ;;
        *) echo "exit $code, $(tail -1 "$r.log")"; return 1 ;;
    esac
    for f in "$r"/piece-*.mid "$r"/piece-*.txt; do # what has its name is whole
        [ -e "$f" ] || continue
        cmp "$f" "$T/pieces/${f##*/}" || return 1
    done
    [ $code = 137 ] || ! ls "$r"/*.tmp 2> /dev/null || { echo 'left half written'; return 1; }
    [ ! -e "$r/manifest.jsonl" ] || diff <(head -n "$(wc -l < "$r/manifest.jsonl")" "$T/pieces/manifest.jsonl") "$r/manifest.jsonl" || return 1
    rm -rf "$r" "$r".*
}
try() { # CASE WORDS...: one line
    local said code
    said=$("$@" 2>&1); code=$?
    echo "$code $*: $(echo "$said" | tail -3 | tr '\n' ' ')"
}
export -f start train same_runs prepare write_pieces happened told train_case prepare_case generate_case try
# loop NAME STRIDES CASE KIND [SUFFIX [WORDS...]]: N = 1, 1 + stride, ... until one is not reached; STRIDES: ALL/else
loop() {
    local name=$1 stride=$([ -n "${ALL:-}" ] && echo "${2%/*}" || echo "${2#*/}") case=$3 kind=$4 suffix=${5:-} n=1 tried=0 bad=0 lines past=0 jobs; shift 4; [ $# = 0 ] || shift
    jobs=$(nproc)
    while [ $past = 0 ]; do
        lines=$(for i in $(seq 0 $((2 * jobs - 1))); do echo "$kind:$((n + i * stride))$suffix"; done | xargs -P "$jobs" -I{} bash -c 'try "$@"' - "$case" {} "$@")
        n=$((n + 2 * jobs * stride)); tried=$((tried + $(echo "$lines" | grep -c '^0 ')))
        past=$(echo "$lines" | grep -c '^3 ')
        if echo "$lines" | grep -v '^[03] ' | head -3 | grep .; then bad=1; break; fi
    done
    if [ $bad = 0 ] && [ $tried -gt 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name"; fi
    echo "  $name: $tried places"
}
once() { # NAME CASE WORDS...
    local name=$1 line; shift
    line=$(try "$@")
    case $line in 0\ *) passed=$((passed + 1)) ;; *) failed=$((failed + 1)); echo "FAILED: $name: $line" ;; esac
}

# ---- training
begin() { # an undisturbed run of the stage, and half of one
    check "$STAGE: an undisturbed run" train "$T/whole-$STAGE"
    { CANTUS_FAULT=kill:3 train "$T/half-$STAGE"; } 2> /dev/null # the shell would tell of it
    rm -rf "$T/half-$STAGE"/checkpoints/*.tmp                      # what it was just writing, not what a fault leaves
    check "$STAGE: half of one" test -d "$T/half-$STAGE/checkpoints/last-0000000002" -a ! -e "$T/half-$STAGE/held-out.json"
}
disk() { # what the disk refuses, and deaths there
    for base in new half; do
        for kind in write/41 fsync/13 rename/7; do
            loop "$STAGE: ${kind%/*} fails, $base run" 1/${kind#*/} train_case "${kind%/*}" '' $base
            loop "$STAGE: killed at ${kind%/*}, $base run" 1/${kind#*/} train_case "${kind%/*}" :kill $base
        done
    done
}
begin
disk
for base in new half; do
    loop "disk full after N KB, $base run" 7/90 train_case diskfull 000 $base
    loop "no memory, $base run" 1/501 train_case alloc '' $base
done
loop 'killed at step N' 1/1 train_case kill '' new
once 'a bit of the newest model flips' train_case bitflip:last-0000000004.tmp/model new
once 'a bit of the newest state flips' train_case bitflip:last-0000000004.tmp/state new
once 'a bit of a manifest flips' train_case bitflip:last-0000000004.tmp/manifest new
not_a_number() { # a gradient: the step is left out; too many: the run ends, and goes on from before
    CANTUS_FAULT=nan:3 train "$T/nan" && grep -q '"skipped": 1' "$T/nan/metrics.jsonl" && ! same_runs "$T/whole-melody" "$T/nan" > /dev/null || return 1
    rm -rf "$T/nan"
    ! CANTUS_FAULT=nan:3 train "$T/nan" train.most_skipped=1 && grep -q 'step 3: loss or gradient not finite' "$T/nan.log" && train "$T/nan" && same_runs "$T/whole-melody" "$T/nan"
}
check 'a gradient that is not a number' not_a_number

# ---- the other stage, with ALL
if [ -n "${ALL:-}" ]; then
    STAGE=backbone MEMORY=0
    begin
    disk
    STAGE=melody MEMORY=32
fi

# ---- inert, unless both ask for it; a spelling mistake is told
inert() { (CANTUS_FAULT=write:1 start "$T/inert" debug.faults=false > /dev/null 2> "$T/inert.log") && grep -q 'nothing will fail on purpose' "$T/inert.log" && same_runs "$T/whole-melody" "$T/inert"; }
check 'without debug.faults nothing happens' inert
for word in writ:1 write write: write:0 write:x write:1:x nan:1:kill write:1,,; do
    refuses "$word is no fault" 2 'CANTUS_FAULT: ' env CANTUS_FAULT="$word" bash -c "$(declare -f start); start '$T/none'"
done

# ---- prepare and generate
check 'another dataset' prepare output="$T/data1" seed=2
for s in backbone melody; do
    (STAGE=$s MEMORY=$([ $s = melody ] && echo 32 || echo 0) start "$T/$s" train.steps=2) > "$T/$s.log" 2>&1
done
check 'pieces' write_pieces output="$T/pieces"
for kind in write/9 fsync/3 rename/1; do
    loop "prepare: ${kind%/*} fails" 1/${kind#*/} prepare_case "${kind%/*}"
    loop "prepare: killed at ${kind%/*}" 1/${kind#*/} prepare_case "${kind%/*}" :kill
    loop "generate: ${kind%/*} fails" 1/1 generate_case "${kind%/*}"
    loop "generate: killed at ${kind%/*}" 1/1 generate_case "${kind%/*}" :kill
done
loop 'prepare: disk full after N KB' 1/41 prepare_case diskfull 000
loop 'prepare: no memory' 1/81 prepare_case alloc
loop 'generate: disk full after N bytes' 97/997 generate_case diskfull
loop 'generate: no memory' 1/31 generate_case alloc
finish

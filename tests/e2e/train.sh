# train.sh -- runs stopped and killed in the middle go on as if undisturbed; exit codes; what a run folder holds.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
T=$TMP
make_midi
"$CANTUS" prepare configs/demo-prepare.yaml input="$T/midi" output="$T/data" > /dev/null
start() { # RUN WORDS...: becomes the program (so that `start run & kill $!` reaches it): small, but with memory, dropout, accumulation
    local run=$1; shift
    exec "$CANTUS" train configs/demo-melody.yaml data.path="$T/data" train.out="$T/$run" model.layers=1 model.width=32 model.heads=2 model.feed_forward=64 model.tokens=64 \
        model.memory=64 train.steps=360 train.batch=4 train.accumulate=2 train.log_every=10 train.valid_every=60 train.save_every=30 train.count_model=0 "$@"
}
train() { (start "$@"); }
wait_for_lines() { for _ in $(seq 400); do [ "$(cat "$T/$1/metrics.jsonl" 2> /dev/null | wc -l)" -ge "$2" ] && return 0; sleep 0.02; done; return 1; }
same_runs() {
    diff "$T/$1/metrics.jsonl" "$T/$2/metrics.jsonl" && diff "$T/$1/metrics.csv" "$T/$2/metrics.csv" && diff -r "$T/$1/checkpoints" "$T/$2/checkpoints"
}

check 'an undisturbed run' train whole
for f in config.resolved.yaml provenance.json metrics.jsonl metrics.csv checkpoints/last-0000000360/{manifest.json,model.safetensors,state.safetensors}; do
    check "leaves $f" test -s "$T/whole/$f"
done
check 'and a best checkpoint' bash -c 'ls "$0"/checkpoints/best-*/model.safetensors' "$T/whole"
check 'the two newest to go on from' test "$(ls "$T/whole/checkpoints" | grep -c last)" = 2
"$CANTUS" train "$T/whole/config.resolved.yaml" train.out="$T/twin" > /dev/null 2>&1
check 'the resolved config makes the same run' same_runs whole twin

# ---- asked to stop in the middle: exit code, then on from there
stop_and_go() { # RUN SIGNAL EXIT_CODE
    start "$1" train.resume=auto > /dev/null 2> "$T/$1.log" &
    wait_for_lines "$1" 5; kill -"$2" $!; wait $!; code=$?
    check "SIG$2 exits $3" test $code = "$3"
    check "SIG$2 saves first" grep -q 'saved at step' "$T/$1.log"
    check "SIG$2 came in the middle" bash -c '! grep -q "step 360/360" "$0"' "$T/$1.log"
    check "resuming after SIG$2" train "$1" train.resume=auto
    check "SIG$2 left no trace" same_runs whole "$1"
}
for s in 'TERM 75' 'USR1 75' 'INT 130'; do stop_and_go "stop-${s% *}" ${s}; done

# ---- killed, twice: on from the last checkpoint
start killed train.resume=auto > /dev/null 2>&1 & wait_for_lines killed 1; kill -KILL $!; wait $! 2> /dev/null
start killed train.resume=auto > /dev/null 2>&1 & wait_for_lines killed 9; kill -KILL $!; wait $! 2> /dev/null
check 'killed before the end' test ! -e "$T/killed/checkpoints/last-0000000360"
check 'resuming after SIGKILL' train killed train.resume=auto
check 'SIGKILL left no trace' same_runs whole killed

# ---- the other exit codes
cp -r "$T/whole" "$T/kept"
refuses 'never overwrite a run' 1 'is there already; nothing was changed' train whole
check 'resuming a finished run' train whole train.resume=auto
check 'changes nothing' same_runs whole kept
refuses 'resume with another shape' 1 'model.width: 64, but '"$T/whole"' was begun with 32' train whole train.resume=auto model.width=64
refuses 'resume with another learning rate' 1 "can't change on the way (hint: train.init=" train whole train.resume=auto optimizer.learning_rate=0.1
check 'both left it alone' same_runs whole kept
check 'how often and how long may change' train kept train.resume=auto train.log_every=7 train.steps=363 train.save_every=9 train.keep=1 train.background=false
refuses 'no split to learn from' 1 'no dataset here' train none data.path="$T/none"
refuses 'a window too small' 2 'model.tokens: 4 is outside' train none model.tokens=4
check 'fine-tuning' train tuned train.init="$T/whole" train.steps=5
refuses 'not finite' 1 'not finite 3 times in a row' train wild \
    optimizer.learning_rate=10 optimizer.warmup=0 optimizer.clip=0 optimizer.epsilon=0 optimizer.final_share=1 train.most_skipped=3 train.save_every=1 train.steps=100000 train.patience=0
check 'its last checkpoint can be read' "$CANTUS" inspect "$T/wild/checkpoints/$(ls "$T/wild/checkpoints" | grep last | tail -1)/model.safetensors"

# ---- a step that never ends: the first Ctrl-C waits for it, the second does not
start endless train.accumulate=65536 > /dev/null 2> "$T/endless.log" &
for _ in $(seq 400); do [ -e "$T/endless/metrics.jsonl" ] && break; sleep 0.02; done
sleep 0.3; kill -INT $!; sleep 0.3
check 'Ctrl-C waits for the step' kill -0 $!
kill -INT $!; begun=$(date +%s%N); wait $!; code=$?
check 'a second Ctrl-C exits 130' test $code = 130
check 'at once' test $((($(date +%s%N) - begun) / 1000000)) -lt 1000
check 'and saves nothing' test ! -e "$T/endless/checkpoints"
finish

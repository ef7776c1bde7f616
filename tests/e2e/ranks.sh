# ranks.sh -- training by several processes under mpirun: the losses of one process, one world one run, stopped and on
# again, on with another number of ranks; a signal to one of them, one that dies, and what can't be shared. Of the backbone all
# of it with ALL=1 (tests/long/ranks.sh).
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
export CANTUS_MPI_LIBRARY; CANTUS_MPI_LIBRARY=$(dirname "$(realpath "$CANTUS")")/libcantus_mpi.so
if ! command -v mpirun > /dev/null || [ ! -f "$CANTUS_MPI_LIBRARY" ]; then skip "no MPI (package libopenmpi-dev, openmpi-bin, then make)"; finish; exit; fi
T=$TMP
make_midi
"$CANTUS" prepare configs/demo-prepare.yaml input="$T/midi" output="$T/data" > /dev/null
# train RANKS STAGE RUN [key=value ...]
train() {
    local ranks=$1 stage=$2 run=$3; shift 3
    tests/mpi.sh "$ranks" "$CANTUS" train "configs/demo-$stage.yaml" data.path="$T/data" train.out="$T/$stage-$run" train.count_model=0 \
        model.layers=2 model.width=32 model.heads=2 model.feed_forward=64 dist.bucket=8 dist.timeout=20 \
        train.steps=12 train.batch=8 train.accumulate=2 train.log_every=2 train.valid_every=6 train.save_every=6 train.keep=10 "$@"
}
same_runs() { # what a run leaves, but for provenance, and for speed
    local f
    for f in metrics.jsonl checkpoints/last-0000000012/model.safetensors checkpoints/last-0000000012/state.safetensors; do
        cmp "$T/$1/$f" "$T/$2/$f" || return 1
    done
}
near() { # RUN RUN: each loss and norm of the metrics within a thousandth
    python3 - "$T/$1/metrics.jsonl" "$T/$2/metrics.jsonl" << 'END'
import json, sys
a, b = ([json.loads(line) for line in open(path)] for path in sys.argv[1:])
assert len(a) == len(b) == 6, (len(a), len(b))
for x, y in zip(a, b):
    assert x.keys() == y.keys() and x["step"] == y["step"] and x["epoch"] == y["epoch"], (x, y)
    for key in ("loss", "open_loss", "valid_loss", "valid_open_loss", "gradient_norm"):
        if key in x: assert abs(x[key] - y[key]) <= 1e-3 * abs(x[key]), (x["step"], key, x[key], y[key])
END
}
for n in 1 2 4; do check "steps and checkpoints, $n ranks" tests/mpi.sh $n "$BUILD_FOLDER/mpi/test_ranks"; done
# what cantus plan says that they send, and what they do
for n in 1 2 4 8; do check "bytes sent, $n ranks" tests/mpi.sh $n "$BUILD_FOLDER/mpi/test_volume"; done
for stage in backbone melody; do
    check "$stage, 1 rank" train 1 $stage one
    check "$stage, 2 ranks" train 2 $stage two
    check "$stage, 4 ranks" train 4 $stage four
    check "$stage: 2 ranks as 1" near $stage-one $stage-two
    check "$stage: 4 ranks as 1" near $stage-one $stage-four
    check "$stage, one rank reads what 4 left" "$CANTUS" evaluate configs/evaluate.yaml data.path="$T/data" models.$stage="$T/$stage-four" \
        models.$([ $stage = melody ] && echo backbone || echo melody)= data.songs=2 unknown=false counts.order=0 interval.samples=0
    [ $stage = melody ] || [ -n "${ALL:-}" ] || continue
    check "$stage, 8 ranks" train 8 $stage eight
    check "$stage: 8 ranks as 1" near $stage-one $stage-eight
    check "$stage, 2 ranks again" train 2 $stage again
    check "$stage: one world, one run" same_runs $stage-two $stage-again
    check "$stage, half" train 2 $stage half train.steps=6 optimizer.warmup=0 optimizer.final_share=1
    cp -r "$T/$stage-half" "$T/$stage-other"
    check "$stage, whole" train 2 $stage whole optimizer.warmup=0 optimizer.final_share=1
    check "$stage, half and half" train 2 $stage half optimizer.warmup=0 optimizer.final_share=1 train.resume=auto
    check "$stage: stopped and on again" same_runs $stage-whole $stage-half
    check "$stage, on with 4 ranks" train 4 $stage other optimizer.warmup=0 optimizer.final_share=1 train.resume=auto
    check "$stage: 2 ranks, then 4, as 2" near $stage-whole $stage-other
done

# ---- pieces
write() { # RANKS FOLDER [key=value ...]
    local ranks=$1 folder=$2; shift 2
    tests/mpi.sh "$ranks" "$CANTUS" generate configs/demo-generate.yaml models.backbone="$T/backbone-two" models.melody="$T/melody-two" \
        output="$T/$folder" dist.timeout=20 bars=4 count=7 batch=2 "$@"
}
check '7 pieces, 1 rank' write 1 pieces-one
check '7 pieces, 4 ranks' write 4 pieces-four
check 'the same files' diff -r "$T/pieces-one" "$T/pieces-four"
check '3 pieces, 4 ranks' write 4 pieces-few count=3
check '3 of the same' cmp <(head -3 "$T/pieces-one/manifest.jsonl") "$T/pieces-few/manifest.jsonl"
refuses 'a folder that is there' 1 'is there already' write 2 pieces-one
check 'which stays as it was' diff -r "$T/pieces-one" "$T/pieces-four"

# ---- one of them is told to stop, or dies
begin() { # RUN: 2 ranks with no end; $pid: of what waits for mpirun
    train 2 melody "$1" train.steps=100000 train.save_every=5 train.valid_every=100000 train.log_every=5 train.resume=auto > "$T/$1.log" 2>&1 &
    pid=$!
    for _ in $(seq 300); do
        grep -q '^step ' "$T/$1.log" && ls "$T/melody-$1"/checkpoints/last-*/manifest.json > /dev/null 2>&1 && return
        sleep 0.1
    done
    return 1
}
of_rank() { pgrep -P "$(pgrep -P "$pid" -x mpirun)" -x cantus | sed -n "$1p"; }
ended() { # CODE within 30 seconds, nothing left
    local code
    for _ in $(seq 300); do kill -0 "$pid" 2> /dev/null || break; sleep 0.1; done
    kill -0 "$pid" 2> /dev/null && { kill -9 "$pid"; return 1; }
    wait "$pid"; code=$?
    pgrep -f "$T/[a-z]*-*$1" && return 1
    if [ "$2" = any ]; then [ $code -ne 0 ]; else [ $code -eq "$2" ]; fi
}
check 'trains' begin signal
kill -USR1 "$(of_rank 2)"
check 'a signal to one rank stops all' ended signal 75
check 'and is saved' grep -q 'saved at step' "$T/signal.log"
check 'trains' begin dead
kill -KILL "$(of_rank 2)"
check 'a rank that dies ends all' ended dead any
check 'goes on from what is there' begin dead
check 'said so' grep -q 'resuming from' "$T/dead.log"
kill -USR1 "$(of_rank 1)"
check 'and stops' ended dead 75
write 2 pieces-stopped count=100000 > "$T/pieces.log" 2>&1 &
pid=$!
check 'writes' bash -c 'for _ in $(seq 300); do [ -s "$0/manifest.jsonl" ] && exit; sleep 0.1; done; exit 1' "$T/pieces-stopped"
kill -USR1 "$(of_rank 2)"
check 'a signal to one rank stops all' ended "pieces-stopped" 75
check 'what the manifest names is there' python3 -c '
import json, os, sys
lines = [json.loads(line) for line in open(sys.argv[1] + "/manifest.jsonl")]
assert lines and all(os.path.getsize(sys.argv[1] + "/" + line["file"]) > 100 for line in lines)' "$T/pieces-stopped"

refuses 'windows that cannot be shared' 1 "7 windows can't be shared evenly by 2 ranks" train 2 melody odd train.batch=7
finish

# nccl.sh -- GPUs of several ranks under mpirun, on the double of NCCL (tests/standin): right sums and gathers, an end with a
# message when a rank is killed, stopped, or calls something else; what a doctor says. test_nccl_fast alone does it by TCP.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
export CANTUS_MPI_LIBRARY; CANTUS_MPI_LIBRARY=$(dirname "$(realpath "$CANTUS")")/libcantus_mpi.so
GPU=$BUILD_FOLDER/cantus_standin T=$TMP/nccl-$$
if [ ! -x "$BUILD_FOLDER/tests/test_nccl_fast" ]; then skip 'no CUDA toolkit, or no nccl.h: the double of NCCL is not built'; finish; exit; fi
check 'a doctor names it' bash -c '"$0" doctor | grep -q "^ranks  *NCCL 2\.[0-9.]*$"' "$GPU"
check 'in JSON too' bash -c '"$0" doctor --json | grep -q "\"nccl\": \"NCCL 2\.[0-9.]*\""' "$GPU"
check 'or says what is missing' bash -c 'CANTUS_NCCL_LIBRARY=/nowhere "$0" doctor | grep -q "^ranks  *NCCL, .*: /nowhere.*(hint: package libnccl2"' "$GPU"
if ! command -v mpirun > /dev/null || [ ! -f "$CANTUS_MPI_LIBRARY" ]; then skip "no MPI (package libopenmpi-dev, openmpi-bin, then make)"; finish; exit; fi
mkdir "$T"; cp "$BUILD_FOLDER/tests/test_nccl_fast" "$T/ranks" # a name that pgrep finds
export CANTUS_STANDIN_DEVICES=4
ranks() { timeout 60 tests/mpi.sh "$1" "$T/ranks" "$2" "${3:-20}"; }
for n in 1 2 3 4; do check "right, $n ranks" ranks $n right; done
check 'in any order of queues' ranks 4 order
check 'in graphs' ranks 4 graph
check 'each names its GPU' bash -c 'tests/mpi.sh 2 "$0" opens 2>&1 | grep -q "rank 1: .*; GPU 1 at 0000:01:00.0"' "$T/ranks"
# ends WHAT SECONDS "a pattern of the messages": not with 0, in time, told, and no process is left
ends() {
    local begun=$SECONDS left
    ranks 4 "$1" 2 > "$TMP/ends.log" 2>&1 && { echo "it ended well"; cat "$TMP/ends.log"; return 1; }
    [ $((SECONDS - begun)) -le "$2" ] || { echo "it took $((SECONDS - begun)) s"; return 1; }
    for _ in 1 2 3 4 5 6 7 8 9 10; do left=$(pgrep -f "^$T/ranks") || break; sleep 0.3; done
    [ -z "$left" ] || { echo "left: $left"; kill -9 $left; return 1; }
    grep -q -- "$3" "$TMP/ends.log" || { cat "$TMP/ends.log"; return 1; }
}
gone='remote process exited\|exited on signal 9'
check 'one is killed' ends killed 9 "$gone"
check 'in a graph' ends killed_in_graph 9 "$gone"
check 'one is stopped' ends stopped 12 'nothing from other ranks for 2.0 s (dist.timeout'
check 'in a graph' ends stopped_in_graph 12 'nothing from other ranks for 2.0 s (dist.timeout'
check 'one calls something else' ends other 12 'nothing from other ranks for 2.0 s (dist.timeout'
CANTUS_STANDIN_DEVICES=1 check 'two on one GPU' ends opens 9 'ranks 0 and 1 have the same GPU, 0000:00:00.0'
check 'training steps of the melody, 2 ranks' tests/mpi.sh 2 "$BUILD_FOLDER/tests/test_nccl_training_fast" '*melody*' # all of it: tests/long
# the whole program: GPUs share a batch and the optimizer, and CPUs go on from what they left
TINY="data.path=$T/data model.layers=1 model.width=32 model.heads=2 model.feed_forward=32 model.tokens=32 train.batch=4 train.valid_every=100 train.count_model=0"
make_midi
check 'a dataset' "$CANTUS" prepare configs/demo-prepare.yaml input="$TMP/midi" output="$T/data"
check 'two GPUs train' tests/mpi.sh 2 "$GPU" train configs/demo-melody.yaml $TINY train.out="$T/run" train.steps=3 train.save_every=3 device=cuda optimizer.shard=true
check 'each has written its part' test -s "$T/run/checkpoints/last-0000000003/state-00001.safetensors"
check 'a step is traced' tests/mpi.sh 2 "$GPU" train configs/demo-melody.yaml $TINY train.out="$T/traced" train.steps=3 train.trace=2 device=cuda optimizer.shard=true dist.bucket=16
check 'sums and gathers of both GPUs, in it, begin when what they need is there' python3 - "$T/traced/trace.json" << 'EOF'
import json, sys
trace = json.load(open(sys.argv[1]))
events = [e for e in trace["traceEvents"] if e["ph"] == "X"]
rows = {(e["pid"], e["tid"]): e["args"]["name"] for e in trace["traceEvents"] if e["ph"] == "M" and e["name"] == "thread_name"}
assert trace["otherData"]["dropped"] == 0
for rank in 0, 1:
    own = [e for e in events if e["pid"] == rank]
    links = [e for e in own if rows[rank, e["tid"]] == "GPUs' communicator"]
    assert {e["name"] for e in links} == {"reduce_scatter", "all_reduce", "all_gather"}, links
    first = lambda name: min(e["ts"] for e in own if e["name"] == name)
    assert first("all_gather") > max(e["ts"] for e in own if e["args"].get("op") == "adamw")
    assert first("all_reduce") > max(e["ts"] for e in own if e["args"].get("op") == "grad_squares")
    assert max(e["ts"] for e in links if e["name"] == "reduce_scatter") < first("all_reduce")
EOF
check 'two CPUs go on' tests/mpi.sh 2 "$CANTUS" train configs/demo-melody.yaml $TINY train.out="$T/run" train.steps=5 train.resume=auto
check 'from there' bash -c 'grep -q "\"step\": *5" "$0"' "$T/run/metrics.jsonl"
check 'no file is left' bash -c '! ls /dev/shm | grep -i "nccl"'
finish

# trace.sh -- train.trace: a step as JSON for chrome://tracing: every op of the plan once, with times that fit together; sums
# of gradients under the backward pass of two ranks; a run that leaves the bytes of one that was not traced; a GPU by doubles.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
command -v python3 > /dev/null || { skip 'no python3: what is in a trace'; finish; exit; }
export CANTUS_MPI_LIBRARY; CANTUS_MPI_LIBRARY=$(dirname "$(realpath "$CANTUS")")/libcantus_mpi.so
T=$TMP GPU=$BUILD_FOLDER/cantus_standin LAST=checkpoints/last-0000000006
make_midi
"$CANTUS" prepare configs/demo-prepare.yaml input="$T/midi" output="$T/data" > /dev/null
KEYS="data.path=$T/data model.layers=2 train.count_model=0 train.steps=6 train.batch=8 train.save_every=3 train.valid_every=3 dist.bucket=64 dist.timeout=20"
QUICK="model.width=32 model.heads=2 model.feed_forward=64 model.tokens=40 model.memory=56"
train() { local run=$1; shift; "$@" train configs/demo-melody.yaml $KEYS train.out="$T/$run" $more; }
# holds RUN EXPRESSION: of the ops (by rank, in time), events and names of a trace, and the plan's records
holds() {
    "$CANTUS" plan configs/demo-melody.yaml $KEYS $more --json --records > "$T/plan.json" 2> /dev/null || return 1
    python3 - "$T/$1/trace.json" "$T/plan.json" "$2" << 'EOF'
import collections, json, sys
trace, plan = (json.load(open(path)) for path in sys.argv[1:3])
about = trace["otherData"]
events = [e for e in trace["traceEvents"] if e["ph"] == "X"]
names = {(e["name"], e["pid"], e["tid"]): e["args"]["name"] for e in trace["traceEvents"] if e["ph"] == "M"}
row = lambda e: names["thread_name", e["pid"], e["tid"]]
ranks = sorted({e["pid"] for e in events})
on = lambda rank, which: sorted((e for e in events if e["pid"] == rank and row(e) == which), key=lambda e: e["ts"])
ends = lambda e: e["ts"] + e["dur"]
ops = {rank: on(rank, "ops") for rank in ranks}
talk = {rank: on(rank, "communicator") for rank in ranks}
count = collections.Counter
planned = count((r["label"], r["op"], r["layer"]) for r in plan["records"])
update = [("squares of gradients", "grad_squares", -1), ("norm of gradients", "grad_norm", -1), ("update", "adamw", -1)]
flops = lambda rank: sum(e["args"].get("flops", 0) for e in ops[rank] if e["args"]["op"] not in [op for _, op, _ in update])
seen = lambda rank: count((e["name"], e["args"]["op"], e["args"].get("layer", -1)) for e in ops[rank])
planned_labels = lambda: count(l for (l, *_), n in times(1).items() for _ in range(n))
labels = lambda rank: count(l for e in ops[rank] for l in (e["name"], e["args"].get("with")) if l)
times = lambda n: count({k: v * n for k, v in planned.items()}) + count(update)
apart = lambda some, slack=0.01: all(ends(a) <= b["ts"] + slack for a, b in zip(some, some[1:]))
last_back = lambda rank: max(ends(e) for e in ops[rank] if e["args"]["op"].endswith("_backward"))
sums = lambda rank: [e for e in talk[rank] if e["name"] == "all_reduce"]
have = lambda rank, which: count(e["name"] for e in on(rank, which))
if not eval(sys.argv[3]): sys.exit(f"{sys.argv[3]}: {about}, {count(e['name'] for e in events)}")
EOF
}

# ---- one process
more=$QUICK; check 'not traced' train plain "$CANTUS"
check 'leaves no trace' test ! -e "$T/plain/trace.json"
more="$QUICK train.trace=3"; check 'traced' train traced "$CANTUS"
check 'the same weights' cmp "$T/plain/$LAST/model.safetensors" "$T/traced/$LAST/model.safetensors"
check 'the same state' cmp "$T/plain/$LAST/state.safetensors" "$T/traced/$LAST/state.safetensors"
check 'the same metrics' cmp "$T/plain/metrics.jsonl" "$T/traced/metrics.jsonl"
check 'of that step' holds traced 'about == {"step": 3, "ranks": 1, "device": "cpu", "dropped": 0}'
check 'every op of the plan once, and the update' holds traced 'ranks == [0] and seen(0) == times(1)'
check 'one after the other' holds traced 'apart(ops[0])'
check 'with flops' holds traced 'abs(flops(0) / (plan["flops_forward"] + plan["flops_backward"]) - 1) < 1e-6'
check 'and bytes' holds traced 'all(e["args"]["bytes"] > 0 for e in ops[0])'
check 'batch, filling and what follows' holds traced 'all(have(0, "training thread")[w] == 1 for w in ("step", "batch", "fill", "copy for a checkpoint", "wait for the checkpoint"))'
check 'the checkpoint, after its copy' holds traced 'have(0, "checkpoint writer") == {"write checkpoint": 1} and max(map(ends, ops[0])) < on(0, "checkpoint writer")[0]["ts"]'
check 'inside of the step' holds traced 'all(s["ts"] <= e["ts"] and ends(e) <= ends(s) for s in on(0, "training thread") if s["name"] == "step" for e in ops[0])'
check 'no sums of one rank' holds traced 'not talk[0]'
more="$QUICK train.accumulate=2 train.trace=2 train.background=false"; check 'two batches an update' train two "$CANTUS"
check 'every op twice' holds two 'seen(0) == times(2) and have(0, "training thread")["batch"] == 2'
more="$QUICK train.steps=8 train.trace=7 train.resume=auto"; check 'on, and traced then' train plain "$CANTUS"
check 'of a step after that' holds plain 'about["step"] == 7 and seen(0) == times(1)'
more="$QUICK train.trace=7"; refuses 'a step that will not be' 2 'train.trace: step 7 will not be made (hint: train.steps is 6)' train never "$CANTUS"
more="$QUICK train.trace=-1"; refuses 'no step' 2 'train.trace: -1 is outside 0' train never "$CANTUS"
check 'nothing was made' test ! -e "$T/never"

# ---- two
if command -v mpirun > /dev/null && [ -f "$CANTUS_MPI_LIBRARY" ]; then
    more=; check 'two ranks, not traced' train plain-two tests/mpi.sh 2 "$CANTUS"
    more='train.trace=3'; check 'two ranks, traced' train two-ranks tests/mpi.sh 2 "$CANTUS"
    check 'the same weights' cmp "$T/plain-two/$LAST/model.safetensors" "$T/two-ranks/$LAST/model.safetensors"
    check 'the same state' cmp "$T/plain-two/$LAST/state.safetensors" "$T/two-ranks/$LAST/state.safetensors"
    check 'a process each' holds two-ranks 'ranks == [0, 1] and about["ranks"] == 2 and names["process_name", 1, 0].startswith("rank 1 on ")'
    check 'every op once on each' holds two-ranks 'all(seen(r) == times(1) for r in ranks)'
    check 'sums of all gradients' holds two-ranks 'all(sum(e["args"]["bytes"] for e in sums(r)) == 4 * plan["parameters"] and len(sums(r)) > 3 for r in ranks)'
    check 'one after the other, on a row' holds two-ranks 'all(apart(talk[r]) for r in ranks)'
    check 'sums begin under the backward pass' holds two-ranks 'any(sums(r)[0]["ts"] < last_back(r) for r in ranks)'
    check 'the update waits for them' holds two-ranks 'all(max(map(ends, sums(r))) <= e["ts"] for r in ranks for e in ops[r] if e["name"] == "norm of gradients")'
    check 'a rank that waits says so' holds two-ranks 'all(have(r, "training thread")["wait for sums of gradients"] == 1 for r in ranks)'
    check 'each writes what it has' holds two-ranks 'all(have(r, "checkpoint writer")["write checkpoint"] == 1 for r in ranks)'
else skip "two ranks: no MPI (package libopenmpi-dev, openmpi-bin, then make)"; fi

# ---- a GPU that is none
if [ ! -x "$GPU" ]; then skip 'on the doubles: no CUDA toolkit'; finish; exit; fi
export CANTUS_STANDIN_CHECK=1
KEYS="$KEYS train.batch=2 train.valid_songs=1"
more="$QUICK device=cuda"; check 'on the GPU, not traced' train gpu "$GPU"
more="$QUICK device=cuda train.trace=3"; check 'on the GPU, traced' train gpu-traced "$GPU"
check 'the same weights, though the others are graphs' cmp "$T/gpu/$LAST/model.safetensors" "$T/gpu-traced/$LAST/model.safetensors"
check 'the same state' cmp "$T/gpu/$LAST/state.safetensors" "$T/gpu-traced/$LAST/state.safetensors"
check 'every op once, alone or with another' holds gpu-traced 'about["step"] == 3 and labels(0) == planned_labels()'
check 'some with another' holds gpu-traced 'any("with" in e["args"] for e in ops[0])'
check 'one after the other, as the queue came to them' holds gpu-traced 'apart(ops[0]) and ops[0][0]["name"] == "embedding" and ops[0][-1]["name"] == "update"'
finish

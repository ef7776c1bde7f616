# bench.sh -- cantus bench: every op of the step, sums that agree, what is refused, Ctrl-C; on the CPU, and on a GPU by the
# doubles of NVIDIA's libraries (tests/standin). How long anything takes is not asked.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
T=$TMP GPU=$BUILD_FOLDER/cantus_standin
TINY="model.layers=2 model.width=32 model.heads=2 model.feed_forward=64 model.tokens=40 model.memory=56 train.batch=2"
bench() { "$CANTUS" bench configs/demo-melody.yaml $TINY "$@"; }
says() { local text=$1; shift; "$@" 2> /dev/null | grep -qE -- "$text"; }

# ---- on the CPU
check 'a bench' bash -c '"$@" > "$0/out" 2> "$0/err"' "$T" "$CANTUS" bench configs/demo-melody.yaml $TINY
check 'nothing on stderr' test ! -s "$T/err"
for op in rows_embed rotary_rows layernorm linear harmony attention gelu cross_entropy linear_backward layernorm_backward gelu_backward \
    attention_backward harmony_backward rows_embed_backward memory_update grad_squares grad_norm adamw; do
    check "$op: in both tables" test "$(grep -c "^  $op  " "$T/out")" -ge 2
done
check 'with its sizes' grep -q 'attention\.qkv .*rows 80, in 32, out 96$' "$T/out"
check 'and calls' grep -q 'attention\.qkv  *2 ' "$T/out"
check 'the step' grep -q '^the whole step: .* ms .* tokens/s' "$T/out"
check 'no share of a bound that nobody has measured' bash -c '! grep -q bound "$0"' "$T/out"
check 'nothing was made' bash -c '! ls -d out/demo/none "$0"/out/* 2> /dev/null' "$T"
check 'one op, with its gradient' says '^  attention_backward ' bench attention
check 'and no other' bash -c '! "$@" | grep -q "linear"' - "$CANTUS" bench configs/demo-melody.yaml $TINY attention
check 'nor the step' bash -c '! "$@" | grep -q "whole step"' - "$CANTUS" bench configs/demo-melody.yaml $TINY attention
check 'the step alone' bash -c '"$@" | grep -q "^the whole step" && ! "$@" | grep -q linear' - "$CANTUS" bench configs/demo-melody.yaml $TINY step
check 'words in any order' says '^  gelu_backward ' "$CANTUS" bench gelu $TINY configs/demo-melody.yaml
check 'without a config the backbone' says '^backbone: 1 layers of 128, 4 heads' "$CANTUS" bench gelu model.layers=1 model.tokens=64
check 'of the published form of H-RPE' says '^  harmony_mlp_backward ' bench harmony_mlp model.harmony.form=mlp
check 'the run of a matrix that is chosen' says '^  gelu_backward ' "$CANTUS" bench configs/experiment-hrpe.yaml model.layers=1 model.tokens=64 train.batch=2 gelu --index 1
refuses 'none that was chosen' 2 'none was chosen' "$CANTUS" bench configs/experiment-hrpe.yaml gelu
if command -v python3 > /dev/null; then
    bench --json train.accumulate=3 > "$T/bench.json"
    facts() { python3 -c "import json, sys; b = json.load(open(sys.argv[1])); r = b['records']; o = b['ops']; near = lambda x, y: abs(x - y) <= 1e-6 * abs(y); sys.exit(not ($1))" "$2"; }
    sums() { facts "all(near(sum(x['$1'] * $2 for x in r if x['op'] == k), s['$1']) for k, s in o.items())" "$T/bench.json"; }
    check 'sums by kind: seconds' sums seconds "x['calls']"
    check 'flops' sums flops "x['calls']"
    check 'bytes' sums bytes "x['calls']"
    check 'calls' sums calls 1
    check 'they are the step' facts "near(sum(s['flops'] for s in o.values()), b['flops_a_step'])" "$T/bench.json"
    check 'rates are quotients' facts "all(near(x['flops'] / x['seconds'], x['flops_per_second']) and near(x['bytes'] / x['seconds'], x['bytes_per_second']) for x in r if x['flops'])" "$T/bench.json"
    check 'medians lie between' facts "all(0 < x['fastest_seconds'] <= x['seconds'] <= x['slowest_seconds'] for x in r + list(b['step'].values()))" "$T/bench.json"
    check 'three batches an update' facts "o['adamw']['calls'] == 1 and o['rows_embed']['calls'] == 3 and b['tokens_a_step'] == 3 * 80" "$T/bench.json"
    check 'tokens a second' facts "near(240 / b['step']['eager']['seconds'], b['step']['eager']['tokens_per_second'])" "$T/bench.json"
    # the plan without a dataset has the same ops, as often, and nearly the same work
    "$CANTUS" plan configs/demo-melody.yaml $TINY data.path="$T/none" --json > "$T/plan.json"
    check 'the ops are those of the plan' python3 -c "
import json, sys
b, p = (json.load(open(f))['ops'] for f in sys.argv[1:])
assert set(b) - {'grad_squares', 'grad_norm', 'adamw'} == set(p), (set(b), set(p))
for k, s in p.items(): assert b[k]['calls'] == 3 * s['calls'] and abs(b[k]['bytes'] - 3 * s['bytes']) <= 0.2 * b[k]['bytes'], k" "$T/bench.json" "$T/plan.json"
    on_a_terminal() { python3 -c '
import os, pty, sys
child, terminal = pty.fork()
if child == 0: os.execv(sys.argv[1], sys.argv[1:])
said = b""
while True:
    try: more = os.read(terminal, 65536)
    except OSError: break
    said += more
    if not more: break
os.waitpid(child, 0)
sys.exit(b"timing [" not in said)' "$@"; }
    check 'progress on a terminal' on_a_terminal "$CANTUS" bench attention
else skip 'no python3: sums in JSON'; fi

# ---- what is refused
refuses 'an op that is none' 2 '"atention" is neither a config file nor an op (hint: did you mean attention?)' bench atention
refuses 'a word like none' 2 '(hint: cantus bench --help)' bench everything
refuses 'an op of generation' 2 'attention_decode is no op of this config'"'"'s training step (hint: it has rows_embed' bench attention_decode
refuses 'a file that is not there' 2 'nope.yaml: can'"'"'t open' "$CANTUS" bench "$T/nope.yaml"
refuses 'two configs' 2 'neither a config file nor an op' "$CANTUS" bench configs/melody.yaml configs/backbone.yaml
refuses 'a key that is none' 2 'unknown key paer (did you mean peer?)' bench paer=cudnn
refuses 'a peer that is none' 2 'peer: expected one of none|cudnn, found "torch"' bench peer=torch
refuses 'a peer on the CPU' 2 "peer: cuDNN is a GPU's (hint: device=cuda precision=bf16, or peer=none)" bench peer=cudnn
refuses 'bf16 on the CPU' 2 'the CPU computes in fp32' bench precision=bf16
refuses 'an option that is none' 2 'unknown option --fast' bench --fast
refuses 'heads that do not divide' 2 'does not divide' bench model.heads=5
refuses 'no memory' 1 'out of memory' "$CANTUS" bench model.layers=256 model.width=65536 model.heads=1024 model.feed_forward=1048576 train.batch=65536
check 'what a key takes' says 'of cantus bench, on a GPU' "$CANTUS" bench attention --explain peer
stopped() { # SIGNAL EXIT: while it runs
    timeout --foreground --preserve-status -s "$1" 2 "$CANTUS" bench > "$T/stopped" 2> "$T/stopped.err"
    [ $? = "$2" ] && grep -q 'stopped on request' "$T/stopped.err" && [ ! -s "$T/stopped" ]
}
check 'Ctrl-C ends it' stopped INT 130
check 'and so does SIGTERM' stopped TERM 75

# ---- on a GPU that is none
if [ ! -x "$GPU" ]; then skip 'on the doubles: no CUDA toolkit'; finish; exit; fi
export CANTUS_STANDIN_CHECK=1
TINY="model.layers=1 model.width=16 model.heads=2 model.feed_forward=32 model.tokens=16 model.memory=24 train.batch=2"
on_gpu() { "$GPU" bench configs/demo-melody.yaml $TINY device=cuda "$@"; }
for precision in fp32 bf16; do
    check "on the GPU, $precision" bash -c '"$@" > "$0/out" 2> "$0/err"' "$T" "$GPU" bench configs/demo-melody.yaml $TINY device=cuda precision=$precision
    check "$precision: nothing on stderr" test ! -s "$T/err"
    check "$precision: two ops that are one there" grep -q '^  linear + gelu  ' "$T/out"
    check "$precision: forward and back" grep -q '^  linear_backward + gelu_backward  ' "$T/out"
    check "$precision: op by op" grep -q '^the whole step, op by op: ' "$T/out"
    check "$precision: as a graph" grep -q '^the whole step, as a graph: ' "$T/out"
    check "$precision: a card of no data sheet" grep -q 'no data sheet of this card is known' "$T/out"
done
check 'shares by the data sheet that is named' says 'of what the data sheet of H100 SXM' on_gpu gpu=H100 gelu
check 'in a column' says 'of bound' on_gpu gpu=H100 gelu
check 'no graph where none is wanted' bash -c '! "$@" | grep -q "as a graph"' - "$GPU" bench configs/demo-melody.yaml $TINY device=cuda step cuda.graph=off
check 'nor where each op is waited for' bash -c '! CANTUS_CUDA_SYNC=1 "$@" | grep -q "as a graph"' - "$GPU" bench configs/demo-melody.yaml $TINY device=cuda step
refuses 'no GPU' 1 'the driver shows no GPU' env CANTUS_STANDIN_DEVICES=0 "$GPU" bench attention peer=cudnn
refuses 'a peer beside float' 2 '(hint: precision=bf16)' on_gpu peer=cudnn
refuses 'a peer of another op' 2 'only attention has one' on_gpu precision=bf16 gelu peer=cudnn
# ---- between GPUs that are none; between CPUs: comm.sh
between() { CANTUS_STANDIN_DEVICES=2 OMP_NUM_THREADS=1 timeout 60 tests/mpi.sh 2 "$GPU" bench comm 4K 64K device=cuda dist.timeout=20 > "$T/between" 2>&1; }
if ! command -v mpirun > /dev/null || [ ! -f "$(dirname "$(realpath "$CANTUS")")/libcantus_mpi.so" ]; then skip 'comm on GPUs: no MPI'
elif [ ! -x "$BUILD_FOLDER/tests/test_nccl_fast" ]; then skip 'comm on GPUs: no NCCL: its double is not built'
else
    check 'sums and gathers by GPUs' between
    check 'say by what' grep -q '  sent by NCCL [0-9.]*; rank 0: Emulated GPU' "$T/between"
    check 'and how long' test "$(grep -cE '^  (all_reduce|reduce_scatter|all_gather) +(4096|65536) ' "$T/between")" = 6
fi
if [ -x "$BUILD_FOLDER/tests/test_cudnn_fast" ]; then
    refuses 'a cuDNN that can not' 1 'it has no graphs, which attention is made of' on_gpu precision=bf16 peer=cudnn
    refuses 'as the issue has it, without a config' 1 'it has no graphs' "$GPU" bench attention peer=cudnn
    refuses 'no cuDNN' 1 "cuDNN can't be loaded" env CANTUS_CUDNN_LIBRARY=/nowhere "$GPU" bench attention peer=cudnn
else skip 'no cuDNN: its double is not built'; fi
finish

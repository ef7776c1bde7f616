# plan.sh -- plans and dry runs: for this machine, for one that is not here, and of what can't be.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
make_models 4
T=$TMP
small="model.layers=1 model.width=32 model.heads=2 model.feed_forward=64 train.count_model=0 data.path=$T/data"
plan() { "$CANTUS" plan configs/demo-melody.yaml $small "$@"; }
dry() { "$CANTUS" train configs/demo-melody.yaml $small train.steps=4 --dry-run "$@"; }
value() { plan --json "$@" | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["memory_bytes"]["together"] if sys.argv[1] == "bytes" else d[sys.argv[1]])' "$what"; }
says() { local text=$1; shift; "$@" | grep -qF -- "$text"; }

check 'a plan' says 'together' plan
check 'its records' says 'attention_backward' plan --records
check 'a plan makes nothing' bash -c '! ls -d "$0"/out* 2> /dev/null' "$T"
check 'a plan without the dataset says so' says 'is not there' plan data.path="$T/none"
check 'of 100 layers of 8,192 on this machine' says 'parameters' plan model.layers=100 model.width=8192 model.heads=64 model.feed_forward=32768 train.batch=64
refuses 'heads that do not divide' 2 'does not divide' plan model.heads=5
refuses 'an unknown option' 2 'unknown option --fast' plan --fast
refuses 'a dataset that is none' 1 'dataset.json is missing' plan data.path="$T/midi"
refuses 'larger than any address' 1 'out of memory' plan model.layers=256 model.width=65536 model.heads=1024 model.feed_forward=1048576 train.batch=65536
if command -v python3 > /dev/null; then
    what=bytes; one=$(value train.batch=4) two=$(value train.batch=8)
    check "twice the batch, nearly twice the memory: $one, $two" test "$two" -gt $((one + one / 2)) -a "$two" -le $((2 * one))
    what=flops_forward; one=$(value train.batch=4) two=$(value train.batch=8)
    check "and twice the work: $one, $two" awk -v a="$one" -v b="$two" 'BEGIN { exit !(b > 1.99 * a && b < 2.01 * a) }'
else skip 'no python3: the numbers of a plan'; fi

# ---- dry runs
check 'a dry run' says 'would be made' dry train.out="$T/new"
check 'makes nothing' test ! -e "$T/new"
check 'of a run that is there already' says 'would go on from' dry train.out="$T/melody" train.resume=auto
check 'and from the weights of another' says 'with the weights of' dry train.out="$T/new" train.init="$T/melody"
refuses 'a folder that is there' 1 'is there already' dry train.out="$T/melody"
refuses 'weights of another shape' 1 'the two models differ' dry train.out="$T/new" train.init="$T/melody" model.width=64
refuses 'weights that are not there' 1 'train.init' dry train.out="$T/new" train.init="$T/nothing"
refuses 'no dataset' 1 'no dataset here' dry train.out="$T/new" data.path="$T/none"
before=$(cd "$T/melody" && find . -type f -newer "$T/data/dataset.json" | xargs cksum | sort)
dry train.out="$T/melody" train.resume=auto > /dev/null 2>&1
check 'a dry run changes nothing' test "$before" = "$(cd "$T/melody" && find . -type f -newer "$T/data/dataset.json" | xargs cksum | sort)"

# ---- for a GPU that is not here
"$CANTUS" plan configs/melody.yaml data.path="$TMP/none" gpu=H100 device=cuda precision=bf16 --json > "$TMP/gpu.json" 2> "$TMP/gpu.log"
gpu() { python3 -c "import json, sys; p = json.load(open(sys.argv[1])); g = p['gpu']; m = g['memory_bytes']; sys.exit(not ($1))" "$TMP/gpu.json"; }
check 'plans for a card' gpu "g['name'].startswith('H100') and g['largest_batch'] >= 8 and 0 < g['least_seconds_a_step'] < 1"
check 'whose parts add up' gpu "sum(v for k, v in m.items() if k not in ('together', 'pinned')) == m['together']"
check 'with parameters in float and bf16' gpu "m['parameters on the GPU'] >= 6 * p['parameters']"
check 'the CPU has them once' gpu "p['memory_bytes']['parameters'] >= 4 * p['parameters'] and p['memory_bytes']['parameters on the GPU'] == 0"
check 'a person is told what is unknown' bash -c '"$0" plan configs/melody.yaml data.path=/nowhere gpu=B200 device=cuda | grep -q "CUDA and its libraries *unknown"' "$CANTUS"
check 'and what is assumed' bash -c '"$0" plan configs/melody.yaml data.path=/nowhere gpu=B200 device=cuda | grep -q "assumed to be"' "$CANTUS"
refuses 'no such card' 2 'gpu' "$CANTUS" plan configs/melody.yaml gpu=V100

# ---- for many of them
many() { "$CANTUS" plan configs/melody.yaml data.path=/nowhere "$@"; }
check 'on many GPUs' bash -c '"$0" plan configs/melody.yaml data.path=/nowhere precision=bf16 gpu=H100 gpus=256 net=200G > "$1"' "$CANTUS" "$T/many"
check 'an estimate, and called so' grep -q '^on up to 256 of them: an estimate' "$T/many"
check 'what is assumed' grep -q 'nodes of 8 GPUs joined by NVLink, 450 GB/s .* net=200G for each GPU' "$T/many"
for n in 8 16 32 64 128 256; do check "$n: each with as many windows" grep -qE "^ +$n +$((16 * n)) +16 +[0-9.]+ .*%$" "$T/many"; done
check 'a batch that is shared' grep -qE '^ +16 +16 +1 +[0-9.]+ .*%$' "$T/many"
check 'and one that can not be' grep -qE "^ +256 +16 +can't be shared evenly$" "$T/many"
check 'of one GPU nothing of it' bash -c '! "$0" plan configs/melody.yaml data.path=/nowhere gpu=H100 | grep -q "on up to"' "$CANTUS"
check 'more windows than fit' says 'does not fit' many gpu=RTX4090 gpus=8 train.batch=65536
check 'without NVLink' says 'joined by PCI Express, 32 GB/s' many gpu=RTX4090 gpus=8
refuses 'many of no card' 2 'gpus: of which? (hint: gpu=H100)' many gpus=8
refuses 'no such network' 2 'net: expected one of 25G|50G|100G|200G|400G|800G, found "1T"' many gpu=H100 gpus=8 net=1T
refuses 'fewer than none' 2 'gpus: -8 is outside 0 to 65536' many gpu=H100 gpus=-8
finish

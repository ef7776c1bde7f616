# cuda.sh -- device: cuda from the command line, with the doubles of NVIDIA's libraries in their place (tests/standin): both
# stages train, stop, go on and write a piece through the GPU's host code; what a machine without a GPU is told.
# Of the backbone all of it with ALL=1 (tests/long/cuda.sh).
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
T=$TMP
GPU=$BUILD_FOLDER/cantus_standin LAST=checkpoints/last-0000000006
QUICK="data.path=$T/data model.layers=2 model.width=32 model.heads=2 model.feed_forward=64 model.tokens=40 train.batch=2
    train.accumulate=2 train.count_model=0 train.log_every=1 train.valid_songs=1 train.valid_every=4 train.save_every=2 train.steps=6"
make_midi
"$CANTUS" prepare configs/demo-prepare.yaml input="$T/midi" output="$T/data" > /dev/null
backbone() { "$@" train configs/demo-backbone.yaml $QUICK train.out="$T/$run" $more; }
melody() { "$@" train configs/demo-melody.yaml $QUICK model.memory=56 train.out="$T/$run" $more; }
losses() { sed 's/.*"step": *\([0-9]*\).*"loss": *\([0-9.]*\).*/\1 \2/' "$T/$1/metrics.jsonl"; }

# ---- without a GPU
NONE="train configs/demo-backbone.yaml $QUICK train.out=$T/none device=cuda"
refuses 'no library beside the program' 1 "device cuda: its library can't be loaded" env CANTUS_CUDA_LIBRARY="$T/none.so" "$CANTUS" $NONE
other=$(ldconfig -p | sed -n 's/.*libm.so.6.*=> //p' | head -1)
refuses 'a library of something else' 1 "is not this program's library" env CANTUS_CUDA_LIBRARY="$other" "$CANTUS" $NONE
check 'nothing was made' test ! -e "$T/none"
refuses 'the CPU has no bf16' 2 'precision: the CPU computes in fp32' "$CANTUS" train configs/demo-backbone.yaml $QUICK train.out="$T/none" precision=bf16
if [ -e build/libcantus_cuda.so ] && [ ! -e /dev/nvidia0 ]; then
    refuses 'no driver: one sentence' 1 'hint: nvidia-smi' "$CANTUS" $NONE
else skip 'what is said where there is no driver: no CUDA library was built, or there is a driver'; fi
if [ ! -x "$GPU" ]; then
    skip 'training through the doubles: no CUDA toolkit'
    finish; exit
fi
export CANTUS_STANDIN_CHECK=1
refuses 'no GPU: one sentence' 1 'the driver shows no GPU (hint: nvidia-smi, CUDA_VISIBLE_DEVICES; device: cpu)' env CANTUS_STANDIN_DEVICES=0 "$GPU" $NONE
refuses 'an old driver: one sentence' 1 'no NVIDIA driver that CUDA' env CANTUS_STANDIN_DEVICES=-1 "$GPU" $NONE
refuses 'a GPU too small' 1 'MiB of GPU memory' env CANTUS_STANDIN_MEMORY=34000000 "$GPU" $NONE

# ---- both stages: on the CPU, on the GPU, as a graph and op by op, in bf16
# No loss of a step further apart: test_training derives 1.4e-6 of a loss in float and 5.9e-4 in bf16; losses are below 6.
same_losses() { # RUN RUN MOST
    paste <(losses "$1") <(losses "$2") | awk -v most="$3" '{ d = $2 - $4; if ($1 != $3 || d > most || -d > most) bad = 1 } END { exit bad || NR < 6 }'
}
for stage in backbone melody; do
    more='' run=$stage-cpu; check "$stage on the CPU" $stage "$CANTUS"
    more=device=cuda run=$stage-gpu; check "$stage on the GPU" $stage "$GPU"
    check "$stage: the same losses" same_losses $stage-cpu $stage-gpu 8.4e-6
    more='device=cuda precision=bf16' run=$stage-bf16; check "$stage in bf16" $stage "$GPU"
    check "$stage: losses near those in fp32" same_losses $stage-cpu $stage-bf16 3.6e-3
    check "$stage in bf16: other bytes" bash -c '! cmp -s "$0" "$1"' "$T/$stage-gpu/$LAST/model.safetensors" "$T/$stage-bf16/$LAST/model.safetensors"
    [ $stage = melody ] || [ -n "${ALL:-}" ] || continue

    more='device=cuda cuda.graph=off' run=$stage-eager; check "$stage, op by op" $stage env CANTUS_STANDIN_SEED=9 "$GPU"
    check "$stage: a graph and its ops leave the same bytes" diff -r "$T/$stage-gpu/$LAST/state.safetensors" "$T/$stage-eager/$LAST/state.safetensors"
    more='device=cuda' run=$stage-each; check "$stage, each op waited for" $stage env CANTUS_CUDA_SYNC=1 "$GPU"
    check "$stage: waiting changes nothing" cmp "$T/$stage-gpu/$LAST/model.safetensors" "$T/$stage-each/$LAST/model.safetensors"
    more='check.against=cpu check.share=0.2' run=$stage-cpu-checked; check "$stage on the CPU, a share of the calls by the reference too" $stage "$CANTUS"
    check "$stage: that changes nothing" cmp "$T/$stage-cpu/$LAST/state.safetensors" "$T/$stage-cpu-checked/$LAST/state.safetensors"
    more='device=cuda check.against=cpu check.share=0.2' run=$stage-checked; check "$stage, a share of the calls on the CPU too" $stage "$GPU"
    check "$stage: it changes nothing" cmp "$T/$stage-gpu/$LAST/state.safetensors" "$T/$stage-checked/$LAST/state.safetensors"

    # stopped half way, and on
    more='device=cuda train.steps=4' run=$stage-again; check "$stage, four steps" $stage "$GPU"
    more='device=cuda train.resume=auto'; check "$stage, on from there" $stage "$GPU"
    check "$stage: a resumed run's bytes" cmp "$T/$stage-gpu/$LAST/state.safetensors" "$T/$stage-again/$LAST/state.safetensors"
    more='train.resume=auto train.steps=8' run=$stage-again; check "$stage, further on the CPU" $stage "$CANTUS"
done

# ---- a piece
write() { # FOLDER PROGRAM WORDS...
    local to=$1 program=$2; shift 2
    "$program" generate configs/demo-generate.yaml models.backbone="$T/backbone-cpu" models.melody="$T/melody-cpu" output="$T/$to" bars=2 count=2 batch=2 "$@"
}
check 'a piece on the CPU' write pieces-cpu "$CANTUS"
check 'a piece on the GPU' write pieces-gpu "$GPU" device=cuda
check 'its notes are those of the CPU' cmp "$T/pieces-cpu/piece-0001.mid" "$T/pieces-gpu/piece-0001.mid"
check 'alone, the same bytes' write alone "$GPU" device=cuda count=1
check 'as in the batch' cmp "$T/alone/piece-0001.mid" "$T/pieces-gpu/piece-0001.mid"
check 'a piece, all calls on the CPU too' write pieces-checked "$GPU" device=cuda count=1 check.against=cpu check.share=1
check 'the same bytes' cmp "$T/pieces-checked/piece-0001.mid" "$T/pieces-gpu/piece-0001.mid"
check 'a piece in bf16, a share of the calls on the CPU too' write pieces-bf16 "$GPU" device=cuda precision=bf16 count=1 check.against=cpu check.share=0.1
check 'held-out songs on the GPU' "$GPU" evaluate configs/evaluate.yaml data.path="$T/data" models.backbone="$T/backbone-cpu" models.melody= data.songs=1 \
    unknown=false counts.order=0 interval.samples=0 device=cuda check.against=cpu check.share=0.1
held_out() { "$GPU" evaluate configs/evaluate.yaml data.path="$T/data" models.backbone="$T/backbone-cpu" models.melody= data.songs=1 \
    unknown=false counts.order=0 interval.samples=0 device=cuda "$@" 2>&1; }
if [ -x "$BUILD_FOLDER/tests/test_cudnn_fast" ]; then for precision in fp32 bf16; do
    held_out precision=$precision >"$T/second"
    check "log p by cuDNN ($precision)" grep -q '^log p by cuDNN [0-9.]*; losses by our own op differ by at most [0-9.]*e-0[5-9]$' "$T/second"
done
held_out --json >"$T/second"
check 'named in JSON' grep -q '"log_p": "cuDNN 9' "$T/second"
CANTUS_CUDNN_LIBRARY=/nowhere held_out >"$T/first"
check 'by our own op where it is missing' grep -q "without a second opinion: cuDNN can't be loaded: /nowhere" "$T/first"
check 'a doctor names it' bash -c '"$0" doctor | grep -q "^evaluation  cuDNN 9"' "$GPU"
else skip 'no cuDNN: its double is not built'; fi
check 'a doctor finds it' bash -c '"$0" doctor | grep -q "^GPU .*compute capability"' "$GPU"
check 'and says why there is none' bash -c 'CANTUS_STANDIN_DEVICES=0 "$0" doctor | grep -q "^GPU .*the driver shows no GPU"' "$GPU"
finish

# determinism.sh -- the shipped shapes: one seed, one run, whatever the number of threads, and wherever it is stopped.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
make_midi
T=$TMP
"$CANTUS" prepare configs/demo-prepare.yaml input="$T/midi" output="$T/data" > /dev/null
# train STAGE RUN THREADS [key=value ...]
train() {
    local stage=$1 run=$2 threads=$3; shift 3
    OMP_NUM_THREADS=$threads "$CANTUS" train "configs/$stage.yaml" data.path="$T/data" train.out="$T/$stage-$run" train.count_model=0 \
        train.steps=4 train.batch=3 train.accumulate=2 train.log_every=1 train.valid_every=2 train.valid_songs=2 "$@"
}
newest_best() { ls "$1"/checkpoints/best-*/model.safetensors | tail -1; }
same_runs() { # what a run leaves, but for provenance and the names in config.resolved.yaml
    local f
    for f in metrics.jsonl metrics.csv held-out.json checkpoints/last-0000000004/model.safetensors checkpoints/last-0000000004/state.safetensors; do
        cmp "$1/$f" "$2/$f" || return 1
    done
    cmp "$(newest_best "$1")" "$(newest_best "$2")"
}
for stage in backbone melody; do
    check "$stage, 2 threads" train $stage two 2
    check "$stage, 2 threads again" train $stage again 2
    check "$stage: one seed, one run" same_runs "$T/$stage-two" "$T/$stage-again"
    check "$stage, 1 thread" train $stage one 1
    check "$stage: 1 thread and 2, the same bytes" same_runs "$T/$stage-two" "$T/$stage-one"
    check "$stage, 3 threads" train $stage three 3
    check "$stage: 3 threads and 2, the same bytes" same_runs "$T/$stage-two" "$T/$stage-three"
    # two steps on one thread, the rest on two
    check "$stage, half" train $stage half 1 train.steps=2 optimizer.warmup=0 optimizer.final_share=1
    check "$stage, whole" train $stage whole 2 optimizer.warmup=0 optimizer.final_share=1
    check "$stage, half and half" train $stage half 2 optimizer.warmup=0 optimizer.final_share=1 train.resume=auto
    check "$stage: stopped, and on with other threads" same_runs "$T/$stage-whole" "$T/$stage-half"
    check "$stage, another seed" train $stage seed 2 train.seed=2
    check "$stage: another seed, another run" bash -c '! cmp -s "$0" "$1"' "$T/$stage-two/checkpoints/last-0000000004/model.safetensors" "$T/$stage-seed/checkpoints/last-0000000004/model.safetensors"
done
finish

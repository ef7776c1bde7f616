# kills.sh -- kill -9 at any moment of a run of each stage that saves at every step, in the background: no run goes back to
# nothing once there was a checkpoint, and all end with the bytes of the undisturbed run. KILLS=N: so many for each stage.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
KILLS=${KILLS:-6} T=$TMP
make_midi
"$CANTUS" prepare configs/demo-prepare.yaml input="$T/midi" output="$T/data" > /dev/null
start() { # STAGE RUN: becomes the program
    exec "$CANTUS" train configs/demo-$1.yaml data.path="$T/data" train.out="$T/$2" train.resume=auto model.layers=1 model.width=32 model.heads=2 model.feed_forward=64 \
        model.tokens=64 model.memory=$([ $1 = melody ] && echo 64 || echo 0) train.steps=60 train.batch=4 train.log_every=4 train.valid_every=20 train.valid_songs=3 train.save_every=1 \
        train.count_model=0 train.background=true
}
train() { (start "$@" 2> "$T/$2.log"); }
same_runs() { # all that a run leaves, but for provenance and names
    local f
    for f in metrics.jsonl metrics.csv held-out.json checkpoints; do diff -r "$T/$1/$f" "$T/$2/$f" || return 1; done
}
finished() { grep -q ' steps in ' "$T/out.log"; }
for stage in backbone melody; do
    check "$stage: an undisturbed run" train $stage $stage
    killed=0 saved=0 ended=0 wrong=
    run=$stage-killed
    while [ $killed -lt "$KILLS" ] && [ -z "$wrong" ]; do
        there=$(ls "$T/$run/checkpoints" 2> /dev/null | grep -c '^last-[0-9]*$')
        start $stage $run > "$T/out.log" 2> "$T/$run.log" & pid=$!
        sleep 0.$((10 + RANDOM % 80)); kill -KILL $pid 2> /dev/null
        wait $pid 2> /dev/null && finished && ended=$((ended + 1)) || killed=$((killed + 1))
        saved=$((saved + (there > 0)))
        [ "$there" -gt 0 ] && grep -q 'from the beginning' "$T/$run.log" && wrong='from nothing, though there was a checkpoint'
        grep -q '^cantus: ' "$T/$run.log" && wrong=$(tail -1 "$T/$run.log")
        if finished; then same_runs $stage $run > "$T/diff.log" 2>&1 || wrong="other bytes: $(head -3 "$T/diff.log")"; rm -rf "${T:?}/$run"; fi
    done
    echo "  $stage: killed $killed times, $saved of the starts with a checkpoint to go on from, $ended runs ended"
    check "$stage: killed $killed times: $wrong" test -z "$wrong"
    check "$stage: to the end" train $stage $run
    check "$stage: the same bytes" same_runs $stage $run
done
finish

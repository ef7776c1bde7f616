# rank_kills.sh -- kill -9 or SIGSTOP of any of 4 ranks at any moment, by MPI and by TCP: the job ends in time, with a message and a
# flight record, and nothing is left of it; started again it ends with the bytes of the undisturbed run. MOMENTS=N: so many that
# meet a job that runs; SEED: other ones.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
MOMENTS=${MOMENTS:-4} T=$TMP RANDOM=${SEED:-1}
export T OMP_NUM_THREADS=1 CANTUS_MPI_LIBRARY; CANTUS_MPI_LIBRARY=$(dirname "$(realpath "$CANTUS")")/libcantus_mpi.so
for v in $(compgen -e | grep -E '^(OMPI|PMI|PMIX|SLURM)_|^(RANK|WORLD_SIZE|MASTER_ADDR|MASTER_PORT)$'); do unset "$v"; done
links=(tcp mpi)
if ! command -v mpirun > /dev/null || [ ! -f "$CANTUS_MPI_LIBRARY" ]; then skip "ranks by MPI (package libopenmpi-dev, openmpi-bin, then make)"; links=(tcp tcp); fi
make_midi
"$CANTUS" prepare configs/demo-prepare.yaml input="$T/midi" output="$T/data" > /dev/null
start() { # STAGE RUN [key=value ...]: becomes the program
    local stage=$1 run=$2; shift 2
    exec "$CANTUS" train configs/demo-$stage.yaml data.path="$T/data" train.out="$T/$run" train.resume=auto model.layers=1 model.width=32 model.heads=2 model.feed_forward=64 \
        model.tokens=64 model.memory=$([ $stage = melody ] && echo 64 || echo 0) train.steps=48 train.batch=4 train.log_every=4 train.valid_every=12 train.valid_songs=3 \
        train.save_every=4 train.keep=2 train.count_model=0 train.background=true dist.bucket=16 dist.timeout=2 optimizer.shard=$([ $stage = melody ] && echo true || echo false) "$@"
}
export -f start
# begin LINK STAGE RUN ...: 4 ranks; $jobs are what was started, $T/RUN.log.* what they say
begin() {
    local link=$1 i; shift; jobs=()
    rm -f "$T/$2".log.*
    if [ "$link" = mpi ]; then
        CANTUS_JOB=$2 tests/mpi.sh 4 bash -c 'start "$@"' - "$@" > "$T/$2.log.0" 2>&1 & jobs=($!)
        return
    fi
    local port=$((21000 + RANDOM % 9000))
    for i in 0 1 2 3; do
        WORLD_SIZE=4 RANK=$i MASTER_ADDR=localhost MASTER_PORT=$port CANTUS_JOB=$2 bash -c 'start "$@"' - "$@" > "$T/$2.log.$i" 2>&1 & jobs+=($!)
    done
}
of_rank() { # RANK: its process, once it is there
    if [ ${#jobs[@]} -gt 1 ]; then echo "${jobs[$1]}"; else pgrep -P "${jobs[0]}" | sed -n "$(($1 + 1))p"; fi
}
# wait_for SECONDS PID...: their exit codes in $codes; 1: one is still there
wait_for() {
    local end=$((SECONDS + $1)) p; shift; codes=()
    for p in "$@"; do
        while kill -0 "$p" 2> /dev/null; do [ $SECONDS -le $end ] || return 1; sleep 0.02; done
        wait "$p" 2> /dev/null; codes+=($?)
    done
}
alive() { ps -o stat= --ppid "$1" | grep -qv '^Z'; } # MPIRUN: has ranks that run; mpirun may leave those that have ended unburied
left_over() { pgrep -f "train.out=$T/$1 "; } # RUN
all_went_well() { [[ " ${codes[*]} " =~ ^( 0)+\ $ ]]; }
train() { begin "$@" && wait_for 60 "${jobs[@]}" && all_went_well || { cat "$T/$3".log.*; return 1; }; }
same_runs() { # all that a run leaves, but for provenance and names
    local f
    for f in metrics.jsonl metrics.csv held-out.json checkpoints; do diff -r "$T/$1/$f" "$T/$2/$f" || return 1; done
    ! ls "$T/$2" | grep '^flight'
}
# strike STAGE RUN LINK SIGNAL RANK MILLISECONDS: $wrong says what is not as it should be, $struck 1: it met a job that ran
strike() {
    local run=$2 signal=$4 rank=$5 pid others=() i
    wrong= struck=0
    begin "$3" "$1" "$run"
    sleep "$(printf '%d.%03d' $(($6 / 1000)) $(($6 % 1000)))"
    pid=$(of_rank "$rank"); [ -n "$pid" ] && ! grep -q '^State:.Z' "/proc/$pid/status" 2> /dev/null && kill -$signal "$pid" 2> /dev/null && struck=1
    for i in "${jobs[@]}"; do [ "$i" = "$pid" ] && [ $signal = STOP ] || others+=("$i"); done
    if [ "$3" = mpi ] && [ $signal = STOP ] && ! wait_for 8 "${jobs[@]}" && [ "$(pgrep -P "${jobs[0]}")" = "$pid" ]; then
        kill -CONT "$pid" # mpirun waits for it alone: the others had done all, and have ended
    fi
    if [ "$3" = mpi ] && ! wait_for 12 "${jobs[@]}" && ! alive "${jobs[0]}"; then # all ranks have ended, mpirun has not seen it
        hung=$((hung + 1)); kill -KILL "${jobs[0]}"
    fi
    wait_for 12 "${others[@]}" || { wrong="still there: $(ps -o pid,ppid,stat,etime,args -p "${others[0]}" --ppid "${others[0]}")"; return; }
    if ! all_went_well && ! [ $struck = 1 ]; then wrong="exit ${codes[*]}, and nobody was hurt"; return; fi
    if [ ${#others[@]} -lt ${#jobs[@]} ]; then # by TCP, one that was stopped goes on when the others are no more
        local ends=("${codes[@]}")
        sleep 0.1
        kill -CONT "$pid"
        wait_for 8 "$pid" || { wrong='goes on for ever, alone'; return; }
        all_went_well || grep -q '^cantus: ' "$T/$run.log.$rank" || { wrong="ended without a word: exit ${codes[*]}"; return; }
        codes+=("${ends[@]}")
    fi
    for i in $(seq 50); do left_over "$run" > /dev/null || break; sleep 0.1; done
    left_over "$run" > /dev/null && { wrong="left: $(left_over "$run")"; return; }
    if ! grep -qs ' steps in ' "$T/$run".log.0; then
        grep -qs '^cantus: \|exited on signal\|non-zero exit code' "$T/$run".log.* || wrong='no message'
    fi
}
# what four flight records say of a failed job, by TCP: all but the dead one's, the same call, and the message
records() {
    python3 - "$T/$1" "$2" << 'EOP'
import glob, json, sys
folder, dead = sys.argv[1:]
records = [json.load(open(path)) for path in sorted(glob.glob(folder + "/flight-*.json"))]
assert [r["rank"] for r in records] == [r for r in range(4) if r != int(dead)], records
for r in records:
    last, calls = r["collectives"][-1], r["collectives"]
    assert r["ranks"] == 4 and r["doing"] == "training" and r["step"] > 0, r
    assert "dist.timeout" in r["message"] or "has ended" in r["message"], r["message"]
    assert [c["number"] for c in calls] == list(range(calls[0]["number"], last["number"] + 1)) and len(calls) <= 64
    failed = [c for c in calls if c["state"] != "done"]
    assert failed and failed[0]["state"] == "failed" and -12 < failed[0]["begun"] < 0 and failed[0]["asked"] <= failed[0]["begun"]
    assert len(r["ops"]) == 32 and all(op["op"] and op["label"] for op in r["ops"]), r["ops"]
first = [next(c["number"] for c in r["collectives"] if c["state"] == "failed") for r in records]
assert max(first) - min(first) <= 2, first
EOP
}
named() { # RUN RANK: the message names the record
    grep -q "^cantus: .*; flight record: $T/$1/flight-$2.json\$" "$T/$1.log.$2" || { cat "$T/$1.log.$2"; return 1; }
}

# ---- flight records
begin tcp melody flight train.steps=100000 train.save_every=100000 train.valid_every=100000
for _ in $(seq 200); do grep -q '^step 4/' "$T/flight.log.0" && break; sleep 0.05; done
kill -STOP "${jobs[1]}"
check 'the others end' wait_for 12 "${jobs[0]}" "${jobs[2]}" "${jobs[3]}"
check 'not well' test "${codes[*]}" = '1 1 1'
for i in 0 2 3; do check "rank $i names its record" named flight $i; done
check 'what the records say' records flight 1
kill -CONT "${jobs[1]}"
check 'the one that was stopped ends too' wait_for 8 "${jobs[1]}"
check 'and has a record' test "${codes[*]}" = 1 -a -s "$T/flight/flight-1.json"
begin tcp melody flight train.steps=100000 train.save_every=100000 train.valid_every=100000
check 'on again' bash -c 'for _ in $(seq 200); do grep -q "^step " "$0" && exit; sleep 0.05; done; exit 1' "$T/flight.log.0"
check 'no record is left' bash -c '! ls "$0" | grep "^flight"' "$T/flight"
kill -USR1 "${jobs[2]}"
check 'stopped' wait_for 12 "${jobs[@]}"
check 'and saved' test "${codes[*]}" = '75 75 75 75'
check 'without a record' bash -c '! ls "$0" | grep "^flight"' "$T/flight"
diverges() { # rank 2 has another seed of weights and data, or another shape
    local port=$((21000 + RANDOM % 9000)) i pids=()
    for i in 0 1 2 3; do
        WORLD_SIZE=4 RANK=$i MASTER_ADDR=localhost MASTER_PORT=$port CANTUS_JOB=diverges bash -c 'start "$@"' - melody other \
            $([ $i = 2 ] && echo "$1") > "$T/other.log.$i" 2>&1 & pids+=($!)
    done
    wait_for 12 "${pids[@]}" && [[ ! " ${codes[*]} " =~ " 0 " ]] && grep -q "^cantus: .*$2" "$T"/other.log.* && ! left_over other && rm -rf "$T/other"
}
check 'a rank with another model' diverges model.feed_forward=32 'makes another call.*same config and data'
check 'a rank with another number of steps between reports' diverges train.valid_every=7 'makes another call.*same config and data'

# ---- any moment
count=0 hung=0 met=0 ended=0 saved=0 stages=(backbone melody)
begun=$(date +%s%N)
for stage in "${stages[@]}"; do check "$stage: an undisturbed run" train "${links[1]}" $stage $stage; done
long=$((($(date +%s%N) - begun) / 2000000)) # milliseconds of one
while [ $met -lt "$MOMENTS" ] && [ $count -lt $((4 * MOMENTS)) ]; do # those that met a job that ran count
    stage=${stages[count % 2]} run=killed-$stage link=${links[count / 2 % 2]}
    signal=$([ $((RANDOM % 2)) = 0 ] && echo KILL || echo STOP) rank=$((RANDOM % 4)) after=$((50 + RANDOM % (long * 2 / 3)))
    strike $stage $run $link $signal $rank $after
    count=$((count + 1)) met=$((met + struck)) saved=$((saved + $(cat "$T/$run".log.* | grep -c '^resuming from ')))
    if [ -z "$wrong" ] && grep -qs ' steps in ' "$T/$run.log.0" && all_went_well; then
        ended=$((ended + 1))
        same_runs $stage $run > "$T/diff.log" 2>&1 || wrong="other bytes: $(head -3 "$T/diff.log")"
        rm -rf "${T:?}/$run"
    fi
    [ -z "$wrong" ] && continue
    echo "moment $count ($stage, $link, $signal of rank $rank after $after ms): $wrong"; tail -4 "$T/$run".log.*
    kill -KILL "${jobs[@]}" $(left_over "$run") 2> /dev/null
    break
done
echo "  $met of $count moments met a job that ran ($long ms when nobody is hurt); $saved jobs had a checkpoint to go on from, $ended ended, $hung times mpirun alone did not"
check "$met moments: $wrong" test -z "$wrong" -a $met -ge "$MOMENTS"
for stage in "${stages[@]}"; do
    check "$stage: to the end" train tcp $stage killed-$stage
    check "$stage: the same bytes" same_runs $stage killed-$stage
done
finish

# slurm.sh -- configs/slurm.sbatch on a Slurm of one node (tests/slurm/cluster.sh), and on a stand-in for it: a job that is told to stop
# saves, goes back into the queue and ends with the bytes of the undisturbed one; one that fails stays as it is.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
T=$TMP
for v in $(compgen -e | grep -E '^(OMPI|PMI|PMIX|SLURM)_|^(RANK|WORLD_SIZE|MASTER_ADDR|MASTER_PORT)$'); do unset "$v"; done
export CANTUS_MPI_LIBRARY OMPI_MCA_btl=self,vader OMP_NUM_THREADS=1; CANTUS_MPI_LIBRARY=$(dirname "$(realpath "$CANTUS")")/libcantus_mpi.so
CANTUS=$(realpath "$CANTUS")
make_midi
"$CANTUS" prepare configs/demo-prepare.yaml input="$T/midi" output="$T/data" > /dev/null
submit() { # RUN [key=value ...]: the job's number in $id
    local run=$1 said; shift
    said=$(sbatch --ntasks-per-node=4 --cpus-per-task=1 --time=10 --output="$T/$kind-$run.log" configs/slurm.sbatch configs/demo-melody.yaml data.path="$T/data" \
        train.out="$T/$kind-$run" model.layers=1 model.width=32 model.heads=2 model.feed_forward=64 model.tokens=64 model.memory=64 train.steps=240 train.batch=4 \
        train.log_every=8 train.valid_every=80 train.valid_songs=3 train.save_every=40 train.count_model=0 dist.timeout=5 "$@") && id=${said##* }
}
wait_for() { for _ in $(seq 400); do "$@" && return; sleep 0.1; done; return 1; }
is_over() { [ -z "$(squeue -h --job="$id" -o %T 2> /dev/null)" ] || [[ $(scontrol show job "$id") =~ JobState=(COMPLETED|FAILED|CANCELLED) ]]; }
says() { grep -q -- "$2" "$T/$kind-$1.log" 2> /dev/null; }
ended() { # RUN STATE CODE
    wait_for is_over && [[ $(scontrol show job "$id") =~ JobState=$2 ]] && [[ $(scontrol show job "$id") =~ ExitCode=$3: ]] && return
    scontrol show job "$id"; tail -n 5 "$T/$kind-$1.log"; return 1
}
starts() { [ "$(grep -c '^job [0-9]*, start ' "$T/$kind-$1.log")" = "$2" ]; } # RUN NUMBER
same_runs() { # all that a run leaves, but for provenance and names
    local f
    for f in metrics.jsonl metrics.csv held-out.json checkpoints; do diff -r "$T/$kind-$1/$f" "$T/$kind-$2/$f" || return 1; done
}
signalled() { # RUN LINK: told to stop at some step, once
    check "$kind: a job by $2" submit "$1"
    check "$kind: it trains" wait_for says "$1" '^step 24/'
    check "$kind: told to stop" scancel --signal=USR1 "$id"
    check "$kind: it ends" ended "$1" COMPLETED 0
    check "$kind: it stopped, saved" says "$1" '^saved at step'
    check "$kind: and went on" says "$1" '^resuming from '
    check "$kind: started twice" starts "$1" 2
    check "$kind: by $2" says "$1" "^4 ranks by $2:"
    check "$kind: the bytes of the undisturbed job" same_runs whole "$1"
}
task() { pgrep -f "^$CANTUS train .*train.out=$T/$kind-$1 " | sed -n "$2p"; } # RUN NUMBER
jobs_of() { # what any Slurm has to do
    kind=$1
    check "$kind: a job" submit whole
    check "$kind: undisturbed" ended whole COMPLETED 0
    check "$kind: started once" starts whole 1
    signalled told tcp
    check "$kind: a job that can't be" submit wrong train.batch=5
    check "$kind: fails" ended wrong FAILED 2
    check "$kind: started once" starts wrong 1
    check "$kind: another job" submit hurt
    check "$kind: it trains" wait_for says hurt '^step 8/'
    kill -KILL "$(task hurt 3)"
    check "$kind: ends with the task that died" ended hurt FAILED 137
    check "$kind: not started again" starts hurt 1
    check "$kind: each task says why" says hurt '^cantus: .*has ended.*flight record: '
    check "$kind: begun again" submit hurt
    check "$kind: goes on" ended hurt COMPLETED 0
    check "$kind: the bytes of the undisturbed job" same_runs whole hurt
}

# ---- the stand-in
path=$PATH
mkdir "$T/bin" "$T/jobs"
for name in sbatch srun scontrol scancel squeue; do ln -s "$PWD/tests/slurm/standin" "$T/bin/$name"; done
export PATH=$T/bin:$path SLURM_STANDIN=$T/jobs CANTUS
jobs_of stand-in
refuses 'no config' 2 'usage: sbatch configs/slurm.sbatch CONFIG' bash configs/slurm.sbatch

# ---- the real one
PATH=$path
if ! why=$(tests/slurm/cluster.sh begin "$T/slurm"); then skip "Slurm itself, the stand-in had its turn: $why"; finish; exit; fi
trap 'tests/slurm/cluster.sh end "$T/slurm"' EXIT
export SLURM_CONF=$T/slurm/slurm.conf
jobs_of slurm
if [ -f "$CANTUS_MPI_LIBRARY" ] && srun --mpi=list 2>&1 | grep -q 'pmix'; then
    export CANTUS_SRUN=--mpi=pmix
    signalled met mpi
    unset CANTUS_SRUN
else skip 'Slurm: tasks by MPI (no plugin pmix, or no MPI)'; fi
check 'one more' submit cancelled
check 'it trains' wait_for says cancelled '^step 8/'
check 'cancelled' scancel "$id"
check 'that is an end' ended cancelled CANCELLED 0
check 'started once' starts cancelled 1
finish

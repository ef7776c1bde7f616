# comm.sh -- the communicator (kernels/comm.h) between real processes: right results for 1 to 8 of them, by MPI and by TCP, and
# an end with a message when one of them is killed, stopped, leaves early, fails, or calls something else than the others.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
BUILD_FOLDER=${BUILD_FOLDER:-build/release}
export CANTUS_MPI_LIBRARY; CANTUS_MPI_LIBRARY=$(dirname "$(realpath "$CANTUS")")/libcantus_mpi.so
export OMP_NUM_THREADS=1
T=$TMP/comm-$$; mkdir "$T"; cp "$BUILD_FOLDER/mpi/test_comm" "$T/ranks" || { skip "no test program"; finish; exit; } # a name that pgrep finds
for v in $(compgen -e | grep -E '^(OMPI|PMI|PMIX|SLURM)_|^(RANK|WORLD_SIZE|MASTER_ADDR|MASTER_PORT)$'); do unset "$v"; done

by_mpi() { local n=$1; shift; timeout 60 tests/mpi.sh "$n" "$T/ranks" "$@"; }
# the last process's exit code that isn't 0
by_tcp() {
    local n=$1 i code=0 pids=(); shift
    export WORLD_SIZE=$n MASTER_ADDR=localhost MASTER_PORT=$((21000 + RANDOM % 9000)) CANTUS_JOB=$$
    for ((i = 0; i < n; i++)); do RANK=$i timeout 60 "$T/ranks" "$@" & pids+=($!); done
    for i in "${pids[@]}"; do wait "$i" || code=$?; done
    unset WORLD_SIZE MASTER_ADDR MASTER_PORT
    return $code
}
right() { "$@" right dist.timeout=20 > "$TMP/right.log" 2>&1; local code=$?; cat "$TMP/right.log"; [ $code = 0 ] && grep -q '^[0-9]\{3,\} passed, 0 failed' "$TMP/right.log"; }
# ends HOW WHAT SECONDS "a pattern of the messages": not with 0, in time, told, and no process is left
ends() {
    local begun=$SECONDS left
    "$1" 4 "$2" dist.timeout=2 > "$TMP/ends.log" 2>&1 && { echo "it ended well"; cat "$TMP/ends.log"; return 1; }
    [ $((SECONDS - begun)) -le "$3" ] || { echo "it took $((SECONDS - begun)) s"; return 1; }
    for _ in 1 2 3 4 5 6 7 8 9 10; do left=$(pgrep -f "^$T/ranks") || break; sleep 0.3; done
    [ -z "$left" ] || { echo "left: $left"; kill -9 $left; return 1; }
    grep -q -- "$4" "$TMP/ends.log" || { cat "$TMP/ends.log"; return 1; }
}
first_is() { grep -v '^$' "$TMP/ends.log" | head -1 | grep -q -- "$1"; }

# ---- one alone
check "alone" right "$T/ranks"
check "a shell inside of salloc is alone" env SLURM_NTASKS=4 "$T/ranks" right
check "the script of sbatch is alone" env SLURM_NTASKS=4 SLURM_PROCID=0 SLURM_STEP_ID=4294967291 "$T/ranks" right
refuses "not a number of processes" 2 'OMPI_COMM_WORLD_SIZE is "four", expected a number' env OMPI_COMM_WORLD_SIZE=four OMPI_COMM_WORLD_RANK=0 "$T/ranks" right
refuses "not one of its ranks" 2 'RANK is "2", expected a number from 0 to 1' env WORLD_SIZE=2 RANK=2 "$T/ranks" right
refuses "nowhere to meet" 2 'WORLD_SIZE is set, but MASTER_ADDR is not' env WORLD_SIZE=2 RANK=1 "$T/ranks" right
refuses "no such way to meet" 2 'dist.bootstrap: expected one of auto|mpi|tcp' "$T/ranks" right dist.bootstrap=pvm
refuses "no time to meet" 2 'dist.timeout: 0 is outside 0.1' "$T/ranks" right dist.timeout=0
refuses "no library for MPI" 1 'this is one of 4 processes (OMPI_COMM_WORLD_SIZE), which meet by MPI: its library can'\''t be loaded: /none/lib.so' \
    env CANTUS_MPI_LIBRARY=/none/lib.so OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_RANK=0 "$T/ranks" right
refuses "... says what to install" 1 'install libopenmpi-dev and openmpi-bin' \
    env CANTUS_MPI_LIBRARY=/none/lib.so PMI_SIZE=4 PMI_RANK=0 "$T/ranks" right

for command in prepare evaluate bench; do
    refuses "several processes that $command" 2 "is the work of one process, this is one of 4 (OMPI_COMM_WORLD_SIZE; hint: without mpirun, or srun -n 1)" \
        env OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_RANK=2 "$CANTUS" $command $([ $command = bench ] || echo configs/$command.yaml)
done

doctor_says() { CANTUS_MPI_LIBRARY=$1 "$CANTUS" doctor | grep -q "^MPI  *$2"; }
check "doctor says what to install" doctor_says /none/lib.so 'its library can.t be loaded: /none/lib.so.*libopenmpi-dev'

# ---- cantus bench comm
# bench HOW RANKS ...: a table of three collectives of two sizes, and nothing on stderr
bench() {
    local how=$1 n=$2; shift 2
    "$how" "$n" "$CANTUS" bench comm 4K 1MiB dist.timeout=20 "$@" > "$TMP/bench.out" 2> "$TMP/bench.err" || return 1
    [ ! -s "$TMP/bench.err" ] && [ "$(grep -cE '^  (all_reduce|reduce_scatter|all_gather) +(4096|1048576) +[0-9.]+ +[0-9.]+ +[0-9.]+$' "$TMP/bench.out")" = 6 ]
}
processes_by_tcp() { # like by_tcp, of any program
    local n=$1 i code=0 pids=(); shift
    export WORLD_SIZE=$n MASTER_ADDR=localhost MASTER_PORT=$((21000 + RANDOM % 9000)) CANTUS_JOB=$$
    for ((i = 0; i < n; i++)); do RANK=$i timeout 60 "$@" & pids+=($!); done
    for i in "${pids[@]}"; do wait "$i" || code=$?; done
    unset WORLD_SIZE MASTER_ADDR MASTER_PORT
    return $code
}
alone() { "$CANTUS" bench comm "$@" > "$TMP/alone" && grep -q 'There is one rank ("self", .*mpirun -n 4 cantus bench comm' "$TMP/alone"; }
check "bench comm, alone" alone
check "... with sizes and keys" alone 4096 64K dist.timeout=5
check "bench comm by TCP" bench processes_by_tcp 3
check "... says who" grep -q '^3 ranks by tcp' "$TMP/bench.out"
check "... and where" grep -q "^  ranks 0-2: $(hostname)$" "$TMP/bench.out"
refuses "no size" 2 'bench comm: size of 4098 bytes: expected a multiple of 4 up to 64 GiB' "$CANTUS" bench comm 4096 4098
refuses "no size at all" 2 '"4KB" is neither a config file nor a size (hint: 4096, 64K or 1MiB)' "$CANTUS" bench comm 4KB
refuses "a size of nothing" 2 'neither a config file nor an op' "$CANTUS" bench 4096
refuses "ops too" 2 'comm times no ops, found attention' "$CANTUS" bench comm attention
refuses "nearly the word" 2 'did you mean comm?' "$CANTUS" bench com
refuses "a rank that does not come" 1 'rank 0 at localhost port 30098' env WORLD_SIZE=3 RANK=1 MASTER_ADDR=localhost MASTER_PORT=30098 "$CANTUS" bench comm dist.timeout=0.5

# ---- by TCP
for n in 2 3 4 8; do check "$n ranks by TCP" right by_tcp "$n"; done
refuses "nobody else comes" 1 'waiting for rank 1-2 to connect' env WORLD_SIZE=3 RANK=0 MASTER_ADDR=localhost MASTER_PORT=$((30100 + RANDOM % 900)) "$T/ranks" right dist.timeout=0.5
refuses "rank 0 does not come" 1 'rank 0 at localhost port 30099' env WORLD_SIZE=3 RANK=1 MASTER_ADDR=localhost MASTER_PORT=30099 "$T/ranks" right dist.timeout=0.5
check "by TCP, one hangs" ends by_tcp late 8 'rank 0 of 4 on .*: all_reduce number 4 (280000 bytes): nothing from rank 3 (.*) for 2.0 s'
check "by TCP, one is killed" ends by_tcp kill 5 'all_reduce number 4 (280000 bytes): rank 3 (.*) has ended'
check "by TCP, one leaves" ends by_tcp exit 5 'all_reduce number 4 (280000 bytes): rank 3 (.*) has ended'
check "by TCP, one fails" ends by_tcp abort 5 "rank 3 of 4 on .*: this rank's disk is on fire"
check "by TCP, one closes" ends by_tcp close 5 'rank [0-9] (.*) makes another call'
check "by TCP, one calls something else" ends by_tcp other 5 'rank [0-9] (.*) makes another call'
strangers() { # two jobs at one place: the second one's rank 1 is sent away, and that is all
    local port=$((31100 + RANDOM % 900)) one two
    export WORLD_SIZE=2 MASTER_ADDR=localhost MASTER_PORT=$port
    RANK=1 CANTUS_JOB=b "$T/ranks" right dist.timeout=3 > "$TMP/stranger.log" 2>&1 & one=$!
    RANK=0 CANTUS_JOB=a "$T/ranks" right dist.timeout=9 & two=$!
    sleep 0.5; RANK=1 CANTUS_JOB=a "$T/ranks" right dist.timeout=9 || return 1
    wait $two || return 1
    ! wait $one && grep -q 'of the same job' "$TMP/stranger.log"
}
check "by TCP, a rank of another job" strangers
unset WORLD_SIZE MASTER_ADDR MASTER_PORT
by_srun() { # as srun without a plugin for MPI would start them; the first host of that list is localhost
    local i code=0 pids=()
    for i in 0 1 2; do
        env SLURM_JOB_ID=$$ SLURM_STEP_ID=0 SLURM_NTASKS=3 SLURM_PROCID=$i SLURM_STEP_NODELIST='localhos[t-u,v],other' timeout 60 "$T/ranks" "$@" & pids+=($!)
    done
    for i in "${pids[@]}"; do wait "$i" || code=$?; done
    return $code
}
check "tasks of srun" right by_srun

# ---- by MPI
if ! command -v mpirun > /dev/null; then skip "ranks by MPI: no mpirun (package openmpi-bin)"
elif [ ! -f "$CANTUS_MPI_LIBRARY" ]; then skip "ranks by MPI: no ${CANTUS_MPI_LIBRARY##*/} (package libopenmpi-dev, then make)"
else
    for n in 1 2 3 4 8; do check "$n ranks by MPI" right by_mpi "$n"; done
    processes_by_mpi() { local n=$1; shift; timeout 60 tests/mpi.sh "$n" "$@"; }
    check "bench comm by MPI" bench processes_by_mpi 2
    check "... says who" grep -q '^2 ranks by mpi' "$TMP/bench.out"
    check "doctor names it" doctor_says '' '[A-Z].*[0-9]'
    check "a world of one that MPI was asked for" "$T/ranks" right dist.bootstrap=mpi
    refuses "a world of one that should be four" 1 'OMPI_COMM_WORLD_SIZE says 4 processes, MPI sees 1' \
        env OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_RANK=0 "$T/ranks" right
    never() { [ "$OMPI_COMM_WORLD_RANK" = 3 ] && exec sleep 30; exec "$T/ranks" right dist.timeout=1; }
    export -f never; export T
    refuses "by MPI, one never starts" 1 'the library has not come back for 3' timeout 20 tests/mpi.sh 4 bash -c never
    check "by MPI, one is stopped" ends by_mpi stop 9 'rank [0-2] of 4 on .*: all_reduce number 4 (280000 bytes): nothing from rank 3 (.*) for 2.0 s'
    check "by MPI, one hangs" ends by_mpi late 9 'all_reduce number 4 (280000 bytes): nothing from rank 3'
    check "by MPI, one is killed" ends by_mpi kill 7 'exited on signal 9'
    check "by MPI, one leaves" ends by_mpi exit 7 'exiting improperly'
    check "by MPI, one fails" ends by_mpi abort 7 "rank 3 of 4 on .*: this rank's disk is on fire"
    check "... which is told first" first_is "this rank's disk is on fire"
    check "by MPI, one closes" ends by_mpi close 7 'makes another call'
    check "by MPI, one calls something else" ends by_mpi other 7 'rank 3 (.*) makes another call: 0 bytes instead of 70000'
fi
finish

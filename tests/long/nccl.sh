# nccl.sh -- training by more ranks than e2e/nccl.sh has time for, each with a GPU of its own on the doubles; and by eight on CPUs.
. "$(dirname "$0")/../e2e/library.sh"
export CANTUS_MPI_LIBRARY; CANTUS_MPI_LIBRARY=$(dirname "$(realpath "$CANTUS")")/libcantus_mpi.so
if ! command -v mpirun > /dev/null || [ ! -f "$CANTUS_MPI_LIBRARY" ]; then skip "no MPI (package libopenmpi-dev, openmpi-bin, then make)"; finish; exit; fi
check 'steps and checkpoints, 8 ranks' tests/mpi.sh 8 "$BUILD_FOLDER/mpi/test_ranks"
if [ ! -x "$BUILD_FOLDER/tests/test_nccl_training_fast" ]; then skip 'no CUDA toolkit, or no nccl.h: the double of NCCL is not built'; finish; exit; fi
for n in 2 4 8; do check "training steps, $n ranks with GPUs" tests/mpi.sh $n "$BUILD_FOLDER/tests/test_nccl_training_fast"; done
finish

#!/usr/bin/env bash
# Starts N processes of a program under MPI, as the tests want them: also for root, also on fewer cores than processes, none
# tied to a core, one thread each. Nothing else in the tests calls mpirun. Usage: tests/mpi.sh N PROGRAM ARGS...
n=$1; shift
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
beside=$(dirname "$(realpath "${CANTUS:-build/cantus}")")/libcantus_mpi.so
[ -n "${CANTUS_MPI_LIBRARY:-}" ] || [ ! -f "$beside" ] || export CANTUS_MPI_LIBRARY=$beside # for programs elsewhere
# no other hosts: without these lines Open MPI looks for ssh, and for networks
export OMPI_MCA_plm_rsh_agent=sh OMPI_MCA_btl=self,vader OMPI_MCA_orte_tmpdir_base=${TMPDIR:-/tmp}
exec mpirun --allow-run-as-root --oversubscribe --bind-to none -n "$n" "$@"

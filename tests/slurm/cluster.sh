#!/usr/bin/env bash
# A Slurm of one node, in a folder: its own key, configuration and daemons, for root. Nothing of the system's is read or changed.
# Usage: tests/slurm/cluster.sh begin FOLDER (then SLURM_CONF=FOLDER/slurm.conf srun ...), and end FOLDER. 1: it can't be
# started, with the reason on stdout.
what=$1 folder=$2 host=$(hostname -s)
cant() { echo "$*"; "$0" end "$folder"; exit 1; }
gone() { for _ in $(seq 100); do kill -0 "$1" 2> /dev/null || return 0; sleep 0.1; done; return 1; }
if [ "$what" = end ]; then
    for name in slurmd slurmctld munged; do
        [ -s "$folder/$name.process" ] || continue
        pid=$(cat "$folder/$name.process")
        kill "$pid" 2> /dev/null; gone "$pid" || kill -9 "$pid"
        rm "$folder/$name.process"
    done
    exit
fi
[ "$(id -u)" = 0 ] || { echo "only root can start one here"; exit 1; }
for name in munged slurmctld slurmd srun sbatch; do command -v $name > /dev/null || { echo "no $name (packages slurm-wlm, munge)"; exit 1; }; done
port=$((30000 + RANDOM % 2000))
mkdir -p "$folder"/{state,spool,log}; mkdir -m 700 "$folder/munge"; mkdir -m 755 "$folder/socket"
(umask 077; head -c 1024 /dev/urandom > "$folder/munge/key")
cat > "$folder/slurm.conf" << END
ClusterName=cantus
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/socket/munge,cred_expire=6
CredType=cred/munge
SlurmctldPort=$port
SlurmdPort=$((port + 1))
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
PlugStackConfig=$folder/plugstack.conf
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
KillWait=3
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 RealMemory=1000 State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=60 State=UP
END
printf 'CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n' > "$folder/cgroup.conf" # named, so that none is looked for; it is not used
: > "$folder/plugstack.conf"
export SLURM_CONF=$folder/slurm.conf
daemon() { local name=$1; setsid "$@" > "$folder/log/$name" 2>&1 < /dev/null & echo $! > "$folder/$name.process"; }
daemon munged --foreground --force --key-file="$folder/munge/key" --socket="$folder/socket/munge" --pid-file="$folder/munge/pid" \
    --log-file="$folder/munge/log" --seed-file="$folder/munge/seed"
for _ in $(seq 50); do [ -S "$folder/socket/munge" ] && break; sleep 0.1; done
[ -S "$folder/socket/munge" ] || cant "munged: $(tail -n 1 "$folder/log/munged")"
daemon slurmctld -D -f "$SLURM_CONF"
daemon slurmd -D -f "$SLURM_CONF"
for _ in $(seq 100); do timeout 5 sinfo -h -o %T 2> /dev/null | grep -q '^idle$' && exit; sleep 0.1; done
cant "slurmctld: $(tail -n 1 "$folder/log/slurmctld"), slurmd: $(tail -n 1 "$folder/log/slurmd")"

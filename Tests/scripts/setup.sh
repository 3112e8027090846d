#!/usr/bin/env bash
# Installs what the build (and, with "test", the tests; with "cluster", a cluster on this machine) need and this machine lacks.
# Does nothing when all is there.
set -euo pipefail
want=${1:-build}

if ! command -v swift >/dev/null; then
    echo "Swift 6.3 or newer is needed and not on PATH: see https://www.swift.org/install/linux/" >&2
    exit 1
fi

packages=()
command -v pkg-config >/dev/null || packages+=(pkg-config)
pkg-config --exists liblz4 2>/dev/null || packages+=(liblz4-dev)
pkg-config --exists libxxhash 2>/dev/null || packages+=(libxxhash-dev)
pkg-config --exists libargon2 2>/dev/null || packages+=(libargon2-dev)
# Loaded at run time by `nexadb shell` at a terminal, for arrow keys and history.
ldconfig -p | grep -q libedit.so.2 || packages+=(libedit2)
if [ "$want" = test ]; then
    python3 -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3-venv)
    command -v strace >/dev/null || packages+=(strace)
    command -v openssl >/dev/null || packages+=(openssl)
fi
if [ "$want" = cluster ]; then
    command -v haproxy >/dev/null || [ -x /usr/sbin/haproxy ] || packages+=(haproxy)
fi
[ ${#packages[@]} -eq 0 ] && exit 0

sudo=""
[ "$(id -u)" -eq 0 ] || sudo=sudo
echo "installing: ${packages[*]}"
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq "${packages[@]}" >/dev/null

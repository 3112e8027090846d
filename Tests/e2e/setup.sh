#!/usr/bin/env bash
# Makes the virtual environment of the end-to-end tests at .venv-e2e in the repository's root, and sees to strace and HAProxy.
# Running it again is cheap: nothing is installed while requirements.txt stays the same.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
venv="$root/.venv-e2e"
stamp="$venv/.requirements"

apt_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "setup.sh: please install $1 (apt-get install $1)" >&2; return 1; }
    apt-get install -y -qq "$1" >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq "$1" >/dev/null; }
}

command -v strace >/dev/null || apt_install strace || echo "setup.sh: without strace the fsync lint is skipped" >&2
command -v openssl >/dev/null || apt_install openssl
command -v haproxy >/dev/null || [ -x /usr/sbin/haproxy ] || apt_install haproxy \
    || echo "setup.sh: without haproxy the tests of its configuration are skipped" >&2

if ! cmp -s "$here/requirements.txt" "$stamp" || ! [ -d "$venv/published" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv" 2>/dev/null || { rm -rf "$venv"; apt_install python3-venv; python3 -m venv "$venv"; }
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    # The published MessagePack vectors lie in the source package alone.
    mkdir -p "$venv/published"
    "$venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary u-msgpack-python -d "$venv/published" u-msgpack-python==2.8.0
    tar -xzf "$venv"/published/u[-_]msgpack[-_]python-2.8.0.tar.gz -C "$venv/published"
    cp "$here/requirements.txt" "$stamp"
fi
echo "$venv/bin/python"

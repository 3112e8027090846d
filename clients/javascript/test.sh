#!/usr/bin/env bash
# Tests the JavaScript client: units, the shared conformance cases, a real node, types, and the package as a user installs it.
# Installs what is missing (tsc from Debian, deno and Python's msgpack into .venv-clients-javascript). Ends with `N passed, M failed`.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
venv="$root/.venv-clients-javascript"
requirements="$here/test/requirements.txt"
export NEXADB_BIN="${NEXADB_BIN:-$root/.build/release/nexadb}"

command -v node >/dev/null || { echo "test.sh: node 18 or newer is needed and not on PATH: see https://nodejs.org" >&2; echo "0 passed, 1 failed"; exit 1; }
[ -x "$NEXADB_BIN" ] || { echo "test.sh: $NEXADB_BIN is missing: make build, or name another by NEXADB_BIN" >&2; echo "0 passed, 1 failed"; exit 1; }

if ! cmp -s "$requirements" "$venv/.requirements"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
    cp "$requirements" "$venv/.requirements"
fi
if ! command -v tsc >/dev/null; then
    sudo=""
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    $sudo apt-get install -y -qq node-typescript >/dev/null 2>&1 || { $sudo apt-get update -qq && $sudo apt-get install -y -qq node-typescript >/dev/null; }
fi

passed=0
failed=0
clean="$(mktemp -d)"
trap 'rm -rf "$clean"' EXIT

# One step: counted, its output shown where it fails.
step() {
    local name=$1
    shift
    if "$@" >"$clean/output" 2>&1; then
        passed=$((passed + 1))
        echo "ok   $name"
    else
        failed=$((failed + 1))
        echo "FAIL $name"
        tail -n 60 "$clean/output"
    fi
}

cd "$here"
status=0
node --test --test-reporter=spec test/*.test.js >"$clean/tests" 2>&1 || status=$?
passed=$(sed -n 's/^ℹ pass //p' "$clean/tests")
failed=$(sed -n 's/^ℹ fail //p' "$clean/tests")
passed=${passed:-0} failed=${failed:-1}
[ "$status" -eq 0 ] || { [ "$failed" -gt 0 ] || failed=1; tail -n 200 "$clean/tests"; }
echo "node --test: $passed passed, $failed failed"

step "format" "$venv/bin/deno" fmt --check --quiet --line-width=132 --single-quote src test/*.js test/support ../bench/javascript_bench.js

# From here on as a user has it: packed, installed without a network, in a directory of its own.
mkdir "$clean/app"
cp -r test/types/. "$clean/app"
step "npm pack" npm pack --silent --pack-destination "$clean"
cd "$clean/app"
echo '{"name": "app", "private": true, "type": "module"}' >package.json
step "npm install, offline" npm install --offline --no-audit --no-fund --silent "$clean"/nexaclient-*.tgz
step "types, by tsc" tsc -p tsconfig.json
step "types, by deno" "$venv/bin/deno" check --quiet --no-remote --node-modules-dir=manual good.ts bad.ts good-commonjs.cts
step "the examples of the README" node "$here/test/readme.mjs" "$clean/app"

echo
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

#!/usr/bin/env bash
# `make bench-clients`: each client's own measurement against .build/release/nexadb, one after the other. It wants a machine at rest.
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
cd "$root"
clients/python/setup.sh
.venv-clients-python/bin/python clients/bench/python_bench.py
if [ -f clients/bench/javascript_bench.js ] && command -v node >/dev/null; then
    node clients/bench/javascript_bench.js
fi
if [ -x .build/release/client-bench ]; then
    clients/bench/swift_bench.py
fi

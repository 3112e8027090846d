#!/usr/bin/env bash
# The one configuration in which the node is built and tested: release, and no run-time checks of exclusive access in any module.
# Those checks cost 2,000 of 14,500 instructions of a READ, nearly all of them in libraries, which a package cannot set flags for;
# `make asan` and `make tsan` keep them.
#
# usage: release.sh build|test [arguments of `swift build` or `swift test`]
set -euo pipefail
cd "$(dirname "$0")/../.."
command=$1
shift
exec "${SWIFT:-swift}" "$command" -c release -Xswiftc -enforce-exclusivity=unchecked "$@"

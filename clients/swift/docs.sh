#!/usr/bin/env bash
# Builds the API reference of the Swift client with DocC, from the release build that is there: .build/docs/swift. A link in the
# documentation that leads nowhere is an error.
set -euo pipefail
cd "$(dirname "$0")/../.."
symbols=.build/docs/symbols
mkdir -p "$symbols"
# What the module imports lies beside it; modules in C are found by their maps and headers.
arguments=(-I .build/release/Modules -I CSupport/include)
for system in CSupport/system/*; do arguments+=(-I "$system"); done
while read -r folder; do arguments+=(-I "$folder"); done < <(
    find .build/checkouts \( -path '*Sources/C*' -o -path '*Sources/_*' \) -type d -name include)
while read -r map; do arguments+=(-Xcc "-fmodule-map-file=$map"); done < <(
    find -L .build/release/ -name module.modulemap -exec grep -L -- -Swift.h {} +)
swift-symbolgraph-extract -module-name NexaClient "${arguments[@]}" -target "$(uname -m)-unknown-linux-gnu" \
    -minimum-access-level public -output-dir "$symbols"
docc convert Sources/NexaClient/NexaClient.docc --additional-symbol-graph-dir "$symbols" --output-path .build/docs/swift \
    --fallback-display-name NexaClient --fallback-bundle-identifier nexadb.NexaClient --warnings-as-errors
echo "written to .build/docs/swift"

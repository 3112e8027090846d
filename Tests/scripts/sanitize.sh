#!/usr/bin/env bash
# sanitize.sh asan|tsan|ubsan: builds everything in debug under a sanitizer and runs the Swift tests, module by module, with the long ones
# short (NEXA_TEST_SCALE=full for all of them). Ends with how long each module took; the exit status is 1 if one failed.
#
#   asan    AddressSanitizer for Swift and C, and UndefinedBehaviorSanitizer for the C core, which traps
#   tsan    ThreadSanitizer for Swift and C
#   ubsan   UndefinedBehaviorSanitizer for the C core alone, which traps: the quick one
set -euo pipefail
cd "$(dirname "$0")/../.."

undefined=(-Xcc -fsanitize=undefined -Xcc -fsanitize-trap=undefined)
case "${1:-}" in
asan) flags=(--sanitize=address "${undefined[@]}") ;;
tsan) flags=(--sanitize=thread) ;;
ubsan) flags=("${undefined[@]}") ;;
*) echo "usage: sanitize.sh asan|tsan|ubsan" >&2; exit 64 ;;
esac
flags+=(--scratch-path ".build-$1")
# Swift's own allocations at exit are no leaks.
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=0}"
# ThreadSanitizer's finder of deadlocks ends the process where a thread holds more than 64 locks, as a large batch does with its latches.
export TSAN_OPTIONS="${TSAN_OPTIONS:-detect_deadlocks=0}"
export NEXA_TEST_SCALE="${NEXA_TEST_SCALE:-small}"

swift=${SWIFT:-swift}
started=$SECONDS
"$swift" build --build-tests "${flags[@]}"
table=("build $((SECONDS - started)) s")
failed=0
for module in $(ls Tests | grep -E '^[A-Za-z]+Tests$'); do
    started=$SECONDS
    outcome=passed
    timeout --kill-after=10 "${NEXA_STAGE_SECONDS:-1800}" "$swift" test --skip-build --no-parallel "${flags[@]}" --filter "^$module\\." || { outcome=FAILED; failed=1; }
    table+=("$module $outcome $((SECONDS - started)) s")
done
echo
printf '%s\n' "$1:" "${table[@]/#/  }"
exit $failed

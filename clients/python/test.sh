#!/usr/bin/env bash
# The stage of the Python client: builds it, installs it as its users do, checks style and types, and runs its tests against a real node.
# Uses .build/release/nexadb, or NEXADB_BIN. Its last line is `N passed, M failed`.
set -uo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
venv="$root/.venv-clients-python"
cd "$here"

if ! ./setup.sh; then
    echo "0 passed, 1 failed"
    exit 1
fi
export PATH="$venv/bin:$PATH" PYTHONDONTWRITEBYTECODE=1

passed=0 failed=0
check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        passed=$((passed + 1)); echo "ok    $name"
    else
        failed=$((failed + 1)); echo "FAIL  $name"; echo "$output" | tail -40
    fi
}

sdist_and_wheel() {
    ls "$venv"/dist/*.tar.gz "$venv"/dist/*.whl && ! tar -tzf "$venv"/dist/*.tar.gz | grep -E "__pycache__|\.venv"
}

clean_install() {
    rm -rf "$venv/clean"
    python3 -m venv "$venv/clean" && "$venv/clean/bin/pip" install --quiet --disable-pip-version-check "$venv"/dist/*.whl \
        && (cd / && "$venv/clean/bin/python" -c "import nexadb; from nexadb._core import codec; assert not codec.IS_FAST, 'optional parts came along'")
}

check "sdist and wheel" sdist_and_wheel
check "the wheel in a clean environment" clean_install
check "ruff" ruff check src tests tools examples
check "format" ruff format --check src tests tools examples
check "the blocking client is made from the other one" tools/make_sync.py --check
check "mypy --strict" mypy --cache-dir "$venv/mypy"
check "basedpyright" basedpyright --warnings

# Two runs side by side: the first mostly waits for nodes that die and for others that never answer.
python -m pytest -p no:cacheprovider tests/test_chaos.py tests/test_hostile.py tests/test_watch.py tests/test_shaky.py >"$venv/patient.log" 2>&1 &
python -m pytest -p no:cacheprovider --ignore tests/test_chaos.py --ignore tests/test_hostile.py --ignore tests/test_watch.py --ignore tests/test_shaky.py >"$venv/quick.log" 2>&1
quick=$?
wait $!
patient=$?
for run in patient quick; do
    log="$venv/$run.log"
    # The closing lines are counted here and must not be counted twice.
    sed -E "s/^(=+ )?([0-9]+ (passed|failed|skipped|error))/pytest: \\2/" "$log"
    count() { local n; n=$(grep -E "^(=+ )?[0-9]+ (passed|failed|skipped|error)" "$log" | tail -1 | grep -Eo "[0-9]+ $1" | grep -Eo "[0-9]+" | head -1); echo "${n:-0}"; }
    bad=$(($(count failed) + $(count error)))
    [ "${!run}" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
    passed=$((passed + $(count passed))) failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

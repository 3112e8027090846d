#!/usr/bin/env bash
# The stage of the Python client: builds it, installs it as its users do, checks style and types, and runs its tests against a real node.
# Uses .build/release/nexadb, or NEXADB_BIN. Its last line is `N passed, M failed`.
set -uo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
venv="$root/.venv-clients-python"
stamp="$venv/.requirements"
cd "$here"

if ! cmp -s requirements-dev.txt "$stamp"; then
    rm -rf "$venv"
    python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check -r requirements-dev.txt \
        && cp requirements-dev.txt "$stamp" || { echo "0 passed, 1 failed"; exit 1; }
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

build_and_install() {
    rm -rf "$venv/dist"
    python -m build --no-isolation --outdir "$venv/dist" . && pip install --quiet --no-deps --force-reinstall "$venv"/dist/*.whl
}

clean_install() {
    rm -rf "$venv/clean"
    python3 -m venv "$venv/clean" && "$venv/clean/bin/pip" install --quiet --disable-pip-version-check "$venv"/dist/*.whl \
        && (cd / && "$venv/clean/bin/python" -c "import nexadb; from nexadb._core import codec; assert not codec.IS_FAST, 'optional parts came along'")
}

check "sdist and wheel" build_and_install
check "the wheel in a clean environment" clean_install
check "ruff" ruff check src tests tools examples
check "format" ruff format --check src tests tools examples
check "the blocking client is made from the other one" tools/make_sync.py --check
check "mypy --strict" mypy --cache-dir "$venv/mypy"
check "basedpyright" basedpyright --warnings

log="$venv/pytest.log"
# Its closing line is counted below and must not be counted twice.
python -m pytest -p no:cacheprovider 2>&1 | tee "$log" | sed -E 's/^(=+ )?([0-9]+ (passed|failed|skipped|error))/pytest: \2/'
status=${PIPESTATUS[0]}
count() { tail -3 "$log" | grep -Eo "[0-9]+ $1" | grep -Eo '[0-9]+' | head -1; }
passed=$((passed + $(count passed || echo 0)))
bad=$(($(count failed || echo 0) + $(count error || echo 0)))
[ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
failed=$((failed + bad))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

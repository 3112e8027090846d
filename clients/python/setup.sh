#!/usr/bin/env bash
# Makes the virtual environment of the Python client at .venv-clients-python in the repository's root, with the client as it lies here.
# Running it again is cheap: packages are installed only when requirements-dev.txt has changed.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
venv="$(cd "$here/../.." && pwd)/.venv-clients-python"
stamp="$venv/.requirements"

if ! cmp -s "$here/requirements-dev.txt" "$stamp"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements-dev.txt"
    cp "$here/requirements-dev.txt" "$stamp"
fi
cd "$here"
rm -rf "$venv/dist"
PATH="$venv/bin:$PATH" python -m build --no-isolation --outdir "$venv/dist" . >/dev/null
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --force-reinstall "$venv"/dist/*.whl

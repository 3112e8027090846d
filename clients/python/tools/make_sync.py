#!/usr/bin/env python3
"""Writes the files of `NexaClient` that differ from those of `AsyncNexaClient` only by their awaiting. With --check: says whether they are as
they would be written.

What really differs (connection, pool and runner) is written by hand on both sides.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
HERE = ROOT / "src" / "nexadb"
FILES = ["client.py", "collection.py", "cursor.py", "bulk.py", "watch.py"]
REPLACED = [
    (r"\basync def\b", "def"),
    (r"\basync (with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAsync(NexaClient|Collection|Cursor|BulkWriter|ChangeStream|ExitStack)\b", r"\1"),
    (r"\benter_async_context\b", "enter_context"),
    (r"\b(resources|_resources)\.aclose\b", r"\1.close"),
    (r"\basyncio\.sleep\b", "time.sleep"),
    (r"\bimport asyncio\b", "import time"),
    (r"__a(iter|next|enter|exit)__", r"__\1__"),
    (r"\bStopAsyncIteration\b", "StopIteration"),
    (r"The client for asyncio", "The client for threads"),
    (r"the client for asyncio", "the client for threads"),
    (r"only what awaits", "only what waits"),
    (
        r"A client for asyncio, used by any number of tasks of one event loop at once\.",
        "A client for any number of threads at once.",
    ),
]
HEADER = "# Written by tools/make_sync.py from _async/{name}: change that file.\n"


def made(name: str) -> str:
    text = (HERE / "_async" / name).read_text()
    for pattern, replacement in REPLACED:
        text = re.sub(pattern, replacement, text)
    text = HEADER.format(name=name) + text
    for step in (["check", "--select=I", "--fix", "-q", "-"], ["format", "-q", "-"]):
        command = ["ruff", step[0], "--config", str(ROOT / "pyproject.toml"), *step[1:]]
        text = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    return text


def main() -> int:
    stale = [name for name in FILES if not (HERE / "_sync" / name).exists() or (HERE / "_sync" / name).read_text() != made(name)]
    if "--check" in sys.argv:
        print(f"not as they would be written: {', '.join(stale)}" if stale else "up to date")
        return 1 if stale else 0
    for name in stale:
        (HERE / "_sync" / name).write_text(made(name))
        print("written", name)
    return 0


if __name__ == "__main__":
    sys.exit(main())

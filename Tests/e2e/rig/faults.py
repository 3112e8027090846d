"""Faults from below a running node: system calls that fail, by strace; file systems that are small; bytes that rot on the disk."""
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

MIB = 1 << 20


def strace_works() -> str | None:
    """None, or why not."""
    if not shutil.which("strace"):
        return "strace is not installed (Tests/e2e/setup.sh installs it)"
    tried = subprocess.run(["strace", "-f", "-o", "/dev/null", "true"], capture_output=True, text=True)
    return None if tried.returncode == 0 else f"strace cannot run here: {tried.stderr.strip()[:200]}"


WHY_NOT = strace_works()
needs_strace = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))


class Fault:
    """strace attached to a running node, letting the first matching call of each thread fail."""

    def __init__(self, node, tmp_path, expression: str, trace: str):
        self.log = tmp_path / "fault.log"
        self.process = subprocess.Popen(["strace", "-f", "-y", "-p", str(node.pid), "-e", f"trace={trace}", "-e", f"inject={expression}",
                                         "-o", str(self.log)], stderr=subprocess.PIPE, text=True)
        assert "attached" in self.process.stderr.readline()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate(timeout=10)

    @property
    def was_met(self) -> bool:
        return "INJECTED" in self.log.read_text(errors="replace")


def fill_up(filler: Path, leaving: int):
    """Takes what is free, in pieces, because a node may take some of it meanwhile."""
    with open(filler, "wb") as f:
        size = 0
        while (free := os.statvfs(filler).f_bavail * os.statvfs(filler).f_bsize) > leaving:
            try:
                os.posix_fallocate(f.fileno(), size, min(free - leaving, 4 * MIB))
                size += min(free - leaving, 4 * MIB)
            except OSError:
                return


def written(path: Path) -> int:
    """The length of a file up to its last byte that is not zero (log segments are allocated ahead)."""
    return len(path.read_bytes().rstrip(b"\0"))


def rot(path: Path, rng: random.Random, first: float, last: float) -> int:
    """Flips one bit somewhere between two shares of what is written of a file; gives the offset."""
    end = written(path)
    offset = rng.randrange(int(end * first), max(int(end * last), int(end * first) + 1))
    with open(path, "r+b") as f:
        f.seek(offset)
        byte = f.read(1)[0]
        f.seek(offset)
        f.write(bytes([byte ^ 1 << rng.randrange(8)]))
    return offset

"""`nexadb shell` on a pseudo-terminal."""
import ctypes.util
import os
import re
import signal
import time
from pathlib import Path

import pexpect
import pytest

from .node import BINARY, environment

UP, LEFT, HOME, TAB = "\x1b[A", "\x1b[D", "\x01", "\t"
INTERRUPT, END, SEARCH = "\x03", "\x04", "\x12"
needs_libedit = pytest.mark.skipif(not ctypes.util.find_library("edit"), reason="libedit2 is not installed")
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """What the shell prints is in `raw` as it came, and in `text` without the escape sequences by which libedit moves the cursor.
    Nothing goes to the history of whoever runs the tests."""

    def __init__(self, port: int, *options: str, **settings):
        where = [] if any("://" in option for option in options) else ["--host", "127.0.0.1", "--port", str(port)]
        self.start(["shell", *where, *options], **settings)

    @classmethod
    def of(cls, *arguments: str, **settings) -> "Terminal":
        """Another command that has a prompt."""
        terminal = cls.__new__(cls)
        terminal.start([*arguments], **settings)
        return terminal

    def start(self, arguments: list[str], term: str = "xterm", columns: int = 100, **env: str):
        # Who starts tests in the background may have them ignore Ctrl-C or a hang-up, and what is ignored is inherited; at a terminal
        # neither is.
        def at_a_terminal():
            for number in (signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)

        self.child = pexpect.spawn(
            str(BINARY), arguments, env=environment({"TERM": term, "NEXADB_HISTORY": "", "LANG": "C.UTF-8", **env}),
            dimensions=(40, columns), encoding="utf-8", codec_errors="replace",
            preexec_fn=at_a_terminal)
        self.child.delaybeforesend = None
        self.raw = self.text = ""

    def type(self, keys: str):
        self.child.send(keys)

    def read(self, within: float) -> bool:
        """Takes what comes; False at the end."""
        try:
            came = self.child.read_nonblocking(65536, within)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += came
        self.text += ESCAPES.sub("", came)
        return True

    def read_until(self, pattern: str, within: float = 10) -> str:
        """Everything printed up to the first match, which is taken."""
        deadline = time.monotonic() + within
        while not (found := re.search(pattern, self.text)):
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern!r} did not come: {self.text[-2000:]!r}"
            assert self.read(left), f"the shell ended before {pattern!r}: {self.text[-2000:]!r}"
        before, self.text = self.text[:found.end()], self.text[found.end():]
        return before

    def reads(self, pattern: str, within: float) -> bool:
        """Whether it comes in time; nothing is taken."""
        deadline = time.monotonic() + within
        while not re.search(pattern, self.text) and time.monotonic() < deadline:
            if not self.read(max(0.01, deadline - time.monotonic())):
                break
        return bool(re.search(pattern, self.text))

    def run(self, statement: str, prompt: str = "default> ", within: float = 10) -> str:
        """A statement at the prompt, and what was printed until the next one."""
        self.type(statement + "\r")
        self.read_until(r"\r?\n", within)
        return self.read_until(prompt, within)

    def close(self, within: float = 10) -> int:
        """The end of the input, and the exit code."""
        self.type(END)
        deadline = time.monotonic() + within
        while self.read(max(0.01, deadline - time.monotonic())):
            if time.monotonic() > deadline:
                self.child.close(force=True)
                raise AssertionError(f"the shell did not end: {self.text[-2000:]!r}")
        self.child.wait()
        assert self.child.exitstatus is not None, f"ended by signal {self.child.signalstatus}"
        return self.child.exitstatus


def stop(pid: int):
    """Returns when the process stands still."""
    os.kill(pid, signal.SIGSTOP)
    within(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")


def within(condition, seconds: float = 20):
    """Until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)

"""The shell at a terminal: a prompt, arrow keys and a history where libedit is there, plain lines where it is not."""
import ctypes.util
import os
import pty
import re
import select
import signal
import time

import pytest

from rig.node import BINARY, environment

UP, LEFT, HOME = b"\x1b[A", b"\x1b[D", b"\x01"


class Terminal:
    """The shell on a pseudo-terminal; what it prints has its escape sequences taken out."""

    def __init__(self, port: int, term: str = "xterm"):
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.execve(BINARY, [str(BINARY), "shell", "--host", "127.0.0.1", "--port", str(port)], environment({"TERM": term}))
        self.text = ""

    def type(self, keys: bytes):
        os.write(self.descriptor, keys)

    def read_until(self, pattern: str, within: float = 10) -> str:
        """Everything printed up to the first match, which is taken."""
        deadline = time.monotonic() + within
        while not (found := re.search(pattern, self.text)):
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern!r} did not come: {self.text!r}"
            if select.select([self.descriptor], [], [], left)[0]:
                try:
                    data = os.read(self.descriptor, 65536)
                except OSError:
                    data = b""
                assert data, f"the shell ended before {pattern!r}: {self.text!r}"
                self.text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data.decode(errors="replace"))
        before, self.text = self.text[:found.end()], self.text[found.end():]
        return before

    def close(self, within: float = 10) -> int:
        """The end of the input, and the exit code. What it still prints is read: a full terminal would hold it up."""
        self.type(b"\x04")
        deadline = time.monotonic() + within
        while not (ended := os.waitpid(self.pid, os.WNOHANG))[0]:
            if select.select([self.descriptor], [], [], 0.02)[0]:
                try:
                    self.text += os.read(self.descriptor, 65536).decode(errors="replace")
                except OSError:
                    pass
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise AssertionError(f"the shell did not end: {self.text!r}")
        os.close(self.descriptor)
        return os.waitstatus_to_exitcode(ended[1])


needs_libedit = pytest.mark.skipif(not ctypes.util.find_library("edit"), reason="libedit2 is not installed")


@needs_libedit
def test_arrow_keys_edit_the_line_and_bring_back_the_last_one(node, name):
    shell = Terminal(node.port)
    shell.read_until("default> ")
    # The closing parenthesis is typed last, the digit in front of it afterwards.
    shell.type(f'db.{name}.insert({{_id: "a", n: 4}})'.encode() + LEFT * 2 + b"2\r")
    shell.read_until(r'"_id": "a"(.|\n)*?default> ')
    shell.type(f'db.{name}.count()\r'.encode())
    shell.read_until(r"\n1\r?\n(.|\n)*?default> ")
    shell.type(UP + UP + HOME + b"\r")
    shell.read_until("(?i)duplicate|already exists")
    shell.read_until("default> ")
    shell.type(f'db.{name}.get("a")\r'.encode())
    assert re.search(r'"n": 42\b', shell.read_until(r"\}(.|\n)*?default> "))
    assert shell.close() == 0


@needs_libedit
def test_the_end_of_the_input_is_taken_as_soon_as_a_prompt_is_there(node, name):
    for _ in range(20):
        shell = Terminal(node.port)
        shell.read_until("default> ")
        shell.type(f"db.{name}.count()\r".encode())
        shell.read_until(r"\n0\r?\n(.|\n)*?default> ")
        assert shell.close() == 0


def test_a_terminal_that_cannot_be_edited_gets_plain_lines(node, name):
    shell = Terminal(node.port, term="dumb")
    shell.read_until("default> ")
    shell.type(f"db.{name}.find({{\r".encode())
    shell.read_until(r"\.\.\.\. *")
    shell.type(b"n: 1})\r")
    shell.read_until("default> ")
    assert shell.close() == 0

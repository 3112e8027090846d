"""`nexadb demo`: a node of its own with sample data behind a prompt; nothing is left of it, however it ends."""
import os
import re
import signal
import time
from pathlib import Path

import pexpect
import pytest

from rig.node import BINARY
from rig.terminal import INTERRUPT, Terminal, needs_libedit, stop, within


@pytest.mark.parametrize("sample", ["users", "products", "vectors"])
def test_a_demonstration_has_a_node_of_its_own(tmp_path, sample):
    # Settings of a shell and of another node, which the demonstration's own must not hear of.
    demo = Terminal.of("demo", sample, "--mode", "jsonl", term="dumb", TMPDIR=str(tmp_path), NEXADB_PORT="1", NEXADB_DATA_DIR="/nowhere")
    tried = re.findall(r"^  (db\.\S.*?)\r?$", demo.read_until("default> ", within=60), re.M)
    assert "\n1000\r\n" in "\n" + demo.run(f"db.{sample}.count()")
    assert len(tried) >= 2
    for statement in tried:
        assert re.search('^(\\[?{"|[1-9])', demo.run(statement), re.M), statement
    assert len(list(tmp_path.iterdir())) == 1
    assert demo.close(within=30) == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_a_demonstration_whose_terminal_goes_away_leaves_nothing(tmp_path, term):
    demo = Terminal.of("demo", term=term, TMPDIR=str(tmp_path))
    demo.read_until("default> ", within=60)
    os.close(demo.child.child_fd)
    deadline = time.monotonic() + 20
    while os.waitpid(demo.child.pid, os.WNOHANG) == (0, 0):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not list(tmp_path.iterdir())


def test_the_node_of_a_demonstration_does_not_outlive_it(tmp_path):
    demo = Terminal.of("demo", term="dumb", TMPDIR=str(tmp_path))
    demo.read_until("default> ", within=60)
    children = children_of(demo)
    assert len(children) == 1, children
    os.kill(demo.child.pid, signal.SIGKILL)
    demo.child.close()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{children[0]}/exe").exists() and os.readlink(f"/proc/{children[0]}/exe") == str(BINARY.resolve()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def demonstration(tmp_path):
    """One that starts, and its node, which stands still before it says where it listens."""
    for _ in range(20):
        demo = Terminal.of("demo", term="dumb", TMPDIR=str(tmp_path))
        within(lambda: list(tmp_path.glob("*/log")) and children_of(demo))
        node = children_of(demo)[0]
        stop(node)
        if "listening" not in next(tmp_path.glob("*/log")).read_text():
            return demo, node
        # It was quicker.
        os.kill(node, signal.SIGCONT)
        demo.read_until("default> ", within=60)
        assert demo.close(within=30) == 0
    pytest.fail("the node always starts before it can be stopped")


def children_of(one) -> list[int]:
    return [int(pid) for task in Path(f"/proc/{one.child.pid}/task").iterdir() for pid in (task / "children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demonstration_that_is_ended_while_it_starts_leaves_nothing(tmp_path, number):
    demo, node = demonstration(tmp_path)
    if number == signal.SIGINT:
        demo.type(INTERRUPT)
    else:
        demo.child.kill(number)
    demo.child.expect(pexpect.EOF, timeout=30)
    demo.child.close()
    assert demo.child.signalstatus == number
    # Not even a node that does not listen to a friendly word.
    assert not list(tmp_path.iterdir()) and not Path(f"/proc/{node}").exists()


@pytest.mark.parametrize("term", ["dumb", pytest.param("xterm", marks=needs_libedit)])
def test_a_demonstration_that_is_ended_at_its_prompt_leaves_nothing(tmp_path, term):
    demo = Terminal.of("demo", term=term, TMPDIR=str(tmp_path))
    demo.read_until("default> ", within=60)
    node = children_of(demo)[0]
    demo.child.kill(signal.SIGTERM)
    demo.child.expect(pexpect.EOF, timeout=30)
    assert demo.child.getecho()
    demo.child.close()
    assert demo.child.signalstatus == signal.SIGTERM
    assert not list(tmp_path.iterdir()) and not Path(f"/proc/{node}").exists()

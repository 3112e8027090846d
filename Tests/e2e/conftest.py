"""Fixtures of the end-to-end tests: nodes with directories of their own, a seed that is printed, and a report at the end of the run."""
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from rig import cluster as rig_cluster  # noqa: E402
from rig import node as rig_node  # noqa: E402
from rig import proxy as rig_proxy  # noqa: E402

REPORT: list[str] = []
SEED = int(os.environ.get("NEXA_TEST_SEED") or time.time_ns() % 1_000_000_007)


def pytest_addoption(parser):
    parser.addoption("--kill-rounds", type=int, default=int(os.environ.get("NEXA_KILL_ROUNDS", "12")),
                     help="rounds of the random SIGKILL loop (default 12; a soak takes hundreds)")


def pytest_report_header():
    return f"node: {rig_node.BINARY}   seed: NEXA_TEST_SEED={SEED}"


def pytest_sessionstart():
    if not rig_node.BINARY.exists():
        pytest.exit(f"no node to test at {rig_node.BINARY}: build it (make build) or set NEXADB_BIN", returncode=2)


def pytest_terminal_summary(terminalreporter, exitstatus):
    if exitstatus:
        terminalreporter.write_line(f"random tests play the same again with NEXA_TEST_SEED={SEED}")
    if REPORT:
        terminalreporter.section("what was measured")
        for line in REPORT:
            terminalreporter.write_line(line)


@pytest.fixture
def report():
    """Takes lines that the run prints at its end, whatever pytest captures."""
    return REPORT.append


@pytest.fixture
def rng(request):
    """Random numbers that depend on the run's seed and the test's name, so that one test can be run again alone."""
    return random.Random(f"{SEED}/{request.node.name}")


@pytest.fixture
def make_node(tmp_path):
    """Makes nodes that are surely gone when the test ends; `make_node("a", "--memory", "64MiB")` is not started yet."""
    made = []

    def make(name="node", *options, **settings):
        made.append(rig_node.Node(tmp_path / name, *options, **settings))
        return made[-1]

    yield make
    for each in made:
        each.kill()


@pytest.fixture
def cluster(tmp_path):
    """Starts a leader and followers; `cluster(3, "--memory", "16MiB")` with two followers. Surely gone when the test ends."""
    made = []

    def make(count=3, *options, **settings):
        made.append(rig_cluster.Cluster(tmp_path, count, options, **settings))
        return made[-1].start()

    yield make
    for each in made:
        each.kill()


@pytest.fixture
def proxied(tmp_path, rng):
    """As `cluster`, with a proxy in front of every node: `proxied(3).proxy.hold(...)`."""
    made = []

    def make(count=3, *options, **settings):
        made.append(rig_cluster.Cluster(tmp_path, count, options, proxy=rig_proxy.Proxy(rng), **settings))
        return made[-1].start()

    yield make
    for each in made:
        each.kill()
        each.proxy.close()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 MiB of its own, or a skip that says why not."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", str(place)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small file system to fill: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture(scope="session")
def chaos_rounds():
    """How often the tests of clusters in trouble do their worst: 1 is what continuous integration takes, a soak takes more."""
    return float(os.environ.get("NEXA_CHAOS_ROUNDS", "1"))


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """One running node for the tests of a module, which use collections of their own; a crash of it fails the module."""
    one = rig_node.Node(tmp_path_factory.mktemp("module") / "node")
    one.start()
    yield one
    assert one.alive, f"the node died:\n{one.output()[-3000:]}"
    assert one.stop() == 0


@pytest.fixture
def name(request):
    """A collection name of the test's own."""
    return "".join(c if c.isalnum() else "_" for c in request.node.name)[:100]

"""Fixtures: nodes and clusters of the project's own test rig, and both clients behind one face."""

import os
import random
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "Tests" / "e2e"), str(Path(__file__).parent)]
from rig import cluster as rig_cluster  # noqa: E402
from rig import node as rig_node  # noqa: E402

SEED = int(os.environ.get("NEXA_TEST_SEED") or time.time_ns() % 1_000_000_007)


def pytest_report_header():
    return f"node: {rig_node.BINARY}   seed: NEXA_TEST_SEED={SEED}"


def pytest_sessionstart():
    if not rig_node.BINARY.exists():
        pytest.exit(f"no node to test with at {rig_node.BINARY}: build it (make build) or set NEXADB_BIN", returncode=2)


@pytest.fixture
def rng(request):
    return random.Random(f"{SEED}/{request.node.name}")


@pytest.fixture
def make_node(tmp_path):
    """Makes nodes that are surely gone when the test ends; they are not started yet."""
    made = []

    def make(name="node", *options, **settings):
        made.append(rig_node.Node(tmp_path / name, "--memory", "64MiB", "--threads", "1", *options, **settings))
        return made[-1]

    yield make
    for each in made:
        each.kill()


@pytest.fixture
def make_cluster(tmp_path):
    made = []

    def make(count=3, *options):
        made.append(rig_cluster.Cluster(tmp_path, count, options))
        return made[-1].start()

    yield make
    for each in made:
        each.kill()


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    """One node for all tests that use collections of their own."""
    one = rig_node.Node(tmp_path_factory.mktemp("shared") / "node", "--memory", "64MiB", "--threads", "1")
    one.start()
    yield one
    assert one.alive, f"the node died:\n{one.output()[-3000:]}"
    one.kill()


@pytest.fixture
def name(request):
    """A collection name of the test's own."""
    return "c_" + "".join(c if c.isalnum() else "_" for c in request.node.name)[:100]

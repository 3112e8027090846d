"""Bad inputs, case by case, each with the answer that it must get; after each one a fresh connection must get PONG within a second, and at the
end the node's memory must not have grown by more than 64 MiB.

The rule: a broken frame closes its connection (the stream is lost), a broken payload does not. The cases stand in `bad_inputs/`; the whole
table is printed at the end of the run.
"""
import re

import pytest

from bad_inputs import frames, payloads, requests  # noqa: F401  (they register their cases, in this order)
from rig.bad_inputs import CASES
from rig.plain import PlainClient

GROWTH_LIMIT = 64 << 20
TABLE = []


@pytest.fixture(scope="module")
def baseline(node):
    """Memory of the node after ordinary traffic, before the first bad input."""
    with PlainClient(node.port) as c:
        for n in range(2000):
            c.create("bad", {"_id": f"warm-{n}", "text": "w" * 200})
        c.query("bad")
    return node.resident_bytes()


@pytest.mark.parametrize("row, name, expected, body", CASES)
def test_bad_input(node, baseline, row, name, expected, body):
    try:
        got = body(node)
    except BaseException as error:
        TABLE.append((row, name, expected, f"{type(error).__name__}: {error}".splitlines()[0]))
        raise
    TABLE.append((row, name, expected, got))
    assert node.alive, f"the node died:\n{node.output()[-3000:]}"
    assert node.answers_ping(within=1.0), "a fresh connection gets PONG within a second"
    assert re.fullmatch(expected, got), f"expected {expected}, got {got}"


def test_memory_has_not_grown_with_bad_inputs(node, baseline, report):
    grown = node.resident_bytes() - baseline
    report("bad inputs: row, case | expected | got")
    for row, name, expected, got in TABLE:
        report(f"  {row:>2} {name} | {expected} | {got[:160]}")
    report(f"bad inputs: {len(TABLE)} cases, memory {grown / 2**20:+.1f} MiB from {baseline / 2**20:.1f} MiB")
    assert grown < GROWTH_LIMIT

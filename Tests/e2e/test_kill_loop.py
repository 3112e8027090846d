"""SIGKILL at seeded moments, over and over on one data directory, with a prefix oracle (rig/oracle.py).

`--kill-rounds N` (or NEXA_KILL_ROUNDS) sets the number of rounds: a dozen in `make test`, hundreds in a soak.
"""
import pytest

from rig import oracle
from rig.kill_loop import Loop


@pytest.mark.parametrize("durability, memory", [("disk", "16MiB"), ("os", "1GiB")])
def test_every_crash_leaves_a_prefix_with_everything_acknowledged(make_node, rng, report, request, durability, memory):
    """With little memory the node is also killed in flushes, compactions and edits of the manifest."""
    node = make_node("node", "--durability", durability, "--memory", memory)
    node.start()
    loop = Loop(node, rng)
    rounds = request.config.getoption("--kill-rounds")
    for _ in range(rounds if durability == "disk" else max(2, rounds // 3)):
        loop.run_round()
    assert loop.acknowledged > 20 * loop.rounds, "too little traffic for the run to say anything"
    report(f"kill loop ({durability}, {memory}): {loop.rounds} SIGKILLs, {loop.acknowledged} acknowledged operations, 0 lost; "
           f"{loop.in_flight} in flight, {loop.survived} of them survived")
    assert node.stop() == 0


# The oracle itself: each planted fault must be seen.


OPERATIONS = [("create", "a", {"n": 1}), ("create", "b", {"n": 1}), ("update", "a", {"m": 2}), ("delete", "b"),
              ("batch", [("x", {"n": 1}), ("y", {"n": 2})]), ("update", "x", {"n": 5})]
STATES = [{}, {"a": {"n": 1}}, {"a": {"n": 1}, "b": {"n": 1}}, {"a": {"n": 1, "m": 2}, "b": {"n": 1}}, {"a": {"n": 1, "m": 2}},
          {"a": {"n": 1, "m": 2}, "x": {"n": 1}, "y": {"n": 2}}, {"a": {"n": 1, "m": 2}, "x": {"n": 5}, "y": {"n": 2}}]


@pytest.mark.parametrize("count", range(7))
def test_oracle_accepts_every_prefix(count):
    for acknowledged in range(count + 1):
        assert oracle.surviving_prefix({}, OPERATIONS, acknowledged, STATES[count]) == count


@pytest.mark.parametrize("fault, acknowledged, found", [
    ("acknowledged create lost", 2, STATES[1]),
    ("hole: a later operation without an earlier one", 2, {"a": {"n": 1, "m": 2}}),
    ("half a batch", 4, {"a": {"n": 1, "m": 2}, "x": {"n": 1}}),
    ("invented document", 6, {**STATES[6], "z": {}}),
    ("wrong value", 6, {**STATES[6], "y": {"n": 3}}),
    ("deleted document is back", 6, {**STATES[6], "b": {"n": 1}}),
])
def test_oracle_rejects_planted_faults(fault, acknowledged, found):
    if fault.startswith("hole"):
        found = {"a": {"n": 1}, "x": {"n": 1}, "y": {"n": 2}}
    with pytest.raises(AssertionError):
        oracle.surviving_prefix({}, OPERATIONS, acknowledged, found)


def test_oracle_sees_half_batches():
    assert oracle.batches_in_part([["a", "b"], ["c", "d"], ["e", "f"]], {"a", "b", "e"}) == [["e", "f"]]

"""The checker of client histories, judged by histories: right ones pass, and each planted violation is found by the check that is there for it."""
import random

import pytest

from rig.history import ACKNOWLEDGED, INFINITY, REFUSED, UNKNOWN, History, Operation


def write(client, value, start, end, position=None, key="k", **more):
    return Operation(client, "write", key, value, start, end, position=position, **more)


def read(client, value, start, end, position=None, key="k", **more):
    return Operation(client, "read", key, value, start, end, position=position, **more)


def strict(client, value, start, end, **more):
    return read(client, value, start, end, is_strict=True, **more)


RIGHT = [
    write(1, "a", 0, 1, (2, 10)), strict(2, "a", 1.5, 2), write(1, "b", 3, 6, (2, 11)),
    strict(2, "b", 4, 5), strict(3, "b", 5.5, 7),
    read(1, "b", 7, 8, (2, 12), after=(2, 11), node="n2"),
    write(2, "c", 8, INFINITY, outcome=UNKNOWN), write(3, "d", 9, 10, outcome=REFUSED, key="other"),
    strict(3, "c", 11, 12), write(3, "e", 13, 14, (3, 15)), read(3, "e", 15, 16, (3, 15), after=(3, 15), node="n3"),
    # A follower that is behind, asked without a token, may show what is old.
    read(2, "a", 17, 18, (2, 10), node="n2"),
]


def test_a_right_history_passes():
    assert History(RIGHT).check({"n1": {"k": "e"}, "n2": {"k": "e"}}) == []


def test_what_was_acknowledged_by_the_leader_alone_may_be_lost_and_may_stay():
    history = History([write(1, "a", 0, 1, (2, 1)), write(1, "b", 2, 3, (2, 2), is_majority=False)])
    assert history.check({"n1": {"k": "a"}}) == [] and history.check({"n1": {"k": "b"}}) == []


def test_a_write_without_an_answer_may_be_there_or_not_and_late():
    history = [write(1, "a", 0, 1, (2, 1)), write(2, "b", 2, INFINITY, outcome=UNKNOWN), write(1, "c", 3, 4, (2, 3))]
    for found in "bc":
        assert History(history).check({"n1": {"k": found}}) == []
    assert History(history + [strict(3, "c", 5, 6), strict(3, "b", 7, 8)]).check({"n1": {"k": "b"}}) == []


def test_concurrent_writes_may_stand_in_either_order():
    for found in "ab":
        assert History([write(1, "a", 0, 5), write(2, "b", 1, 4), strict(3, found, 6, 7)]).check({"n": {"k": found}}) == []


PLANTED = {
    "a majority write that is gone": (
        [write(1, "a", 0, 1, (2, 1)), write(1, "b", 2, 3, (2, 2))], {"n1": {"k": "a"}}, "lost"),
    "a majority write that is gone, and nothing else there": ([write(1, "a", 0, 1, (2, 1))], {"n1": {}}, "lost"),
    "a majority write lost on one node": (
        [write(1, "a", 0, 1, (2, 1)), write(1, "b", 2, 3, (2, 2))], {"n1": {"k": "b"}, "n2": {"k": "a"}}, "lost"),
    "a concurrent write that came earlier by its position": (
        [write(1, "a", 0, 4, (2, 1)), write(2, "b", 1, 3, (2, 2))], {"n1": {"k": "a"}}, "lost"),
    "a value that nobody wrote": ([write(1, "a", 0, 1)], {"n1": {"k": "z"}}, "phantom"),
    "a document that nobody wrote": ([write(1, "a", 0, 1)], {"n1": {"k": "a", "extra": "z"}}, "phantom"),
    "a value that was refused": ([write(1, "a", 0, 1, outcome=REFUSED)], {"n1": {"k": "a"}}, "phantom"),
    "a value read before it was written": ([read(1, "a", 0, 1), write(2, "a", 2, 3)], {"n1": {"k": "a"}}, "phantom"),
    "an own write that is not read": (
        [write(1, "a", 0, 1, (2, 1)), write(1, "b", 2, 3, (2, 2)), read(1, "a", 4, 5, (2, 2), after=(2, 2), node="n2")], None, "session"),
    "an own first write that is not read": (
        [write(1, "a", 0, 1, (2, 1)), read(1, None, 4, 5, after=(2, 1), node="n2")], None, "session"),
    "a read behind an earlier read on another node": (
        [write(1, "a", 0, 1, (2, 1)), write(1, "b", 2, 3, (2, 2)), read(2, "b", 4, 5, (2, 2), node="n1"),
         read(2, "a", 6, 7, (2, 1), after=(2, 2), node="n2")], None, "session"),
    "an answer that shows less than its position": (
        [write(1, "a", 0, 1, (2, 1)), write(1, "b", 2, 3, (2, 2)), read(2, "a", 4, 5, (2, 3), node="n2")], None, "position"),
    "a strict read of what is old": (
        [write(1, "a", 0, 1, (2, 1)), write(1, "b", 2, 3, (2, 2)), strict(2, "a", 4, 5)], None, "not linearizable"),
    "strict reads that go back": (
        [write(1, "a", 0, 1), write(1, "b", 2, 9), strict(2, "b", 3, 4), strict(3, "a", 5, 6)], None, "not linearizable"),
    "a write without an answer that happens twice": (
        [write(1, "a", 0, 1), write(2, "b", 2, INFINITY, outcome=UNKNOWN), strict(3, "b", 3, 4), write(1, "c", 5, 6),
         strict(3, "c", 7, 8), strict(3, "b", 9, 10), write(1, "d", 11, 12), strict(3, "b", 13, 14)], None, "not linearizable"),
    "a lost write of a split brain": (
        [write(1, "a", 0, 1), write(1, "b", 2, 3), write(2, "c", 2.5, 4), strict(1, "b", 5, 6), strict(2, "c", 5, 6), strict(3, "b", 7, 8)],
        None, "not linearizable"),
    "unequal nodes": ([write(1, "a", 0, 1, is_majority=False), write(1, "b", 2, 3, is_majority=False)],
                      {"n1": {"k": "a"}, "n2": {"k": "b"}}, "unequal"),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_violation_is_found(planted):
    operations, final, kind = PLANTED[planted]
    faults = History(operations).check(final)
    assert any(fault.startswith(kind) for fault in faults), faults


def simulated(rng: random.Random, count: int, clients: int = 5):
    """Clients on one register, played in the order in which it takes the operations; times around that are random."""
    operations, register, position = [], None, 0
    free_at = [0.0] * clients
    now = 0.0
    for number in range(count):
        client = rng.randrange(clients)
        now = max(now, free_at[client]) + rng.random()
        start, end = max(free_at[client], now - rng.random()), now + rng.random() * 3
        free_at[client] = end
        if rng.random() < 0.5:
            position += 1
            register = f"v{number}"
            lost_answer = rng.random() < 0.1
            operations.append(write(client, register, start, INFINITY if lost_answer else end, None if lost_answer else (1, position),
                                    outcome=UNKNOWN if lost_answer else ACKNOWLEDGED))
        else:
            operations.append(strict(client, register, start, end, after=(1, position)))
    return operations, register


def test_simulated_registers_pass_and_a_moved_read_is_found(rng, report):
    found = tried = 0
    for _ in range(40):
        operations, register = simulated(rng, 250)
        assert History(operations).check({"n1": {"k": register}}) == []
        # A read that answers what was overwritten before it began, by a write that had returned.
        reads = [o for o in operations if o.kind == "read"]
        victim = rng.choice(reads)
        over = [w for w in operations if w.kind == "write" and w.end < victim.start]
        old = [w for w in over if any(w.end < later.start for later in over)]
        if old:
            tried += 1
            victim.value = rng.choice(old).value
            found += any("not linearizable" in fault for fault in History(operations).linearizability())
    assert found == tried > 10
    report(f"history checker: 40 simulated histories of 250 operations pass, {found} of {tried} moved reads found")

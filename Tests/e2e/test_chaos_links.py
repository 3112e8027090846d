"""Clusters whose links fail: partitions in both and in one direction, bits flipped on the way, lines that go silent."""
import time

import pytest

from rig.sessions import Crew


def cut_off(cluster, crew, rng, leader, direction):
    """The leader is cut off, another node is promoted and written to, the cut is healed; gives the new leader."""
    rng.choice([cluster.proxy.hold, cluster.proxy.cut])(*cluster.ways(leader, direction))
    time.sleep(rng.random())
    heirs = [node for node in cluster.nodes if node is not leader]
    rng.shuffle(heirs)
    heir = cluster.promote(*heirs)
    crew.wait(20)
    cluster.proxy.free()
    cluster.settle(heir)
    return heir


@pytest.mark.parametrize("direction", ["both", "out", "in"])
def test_a_leader_that_is_cut_off_is_replaced_and_nothing_is_lost(proxied, rng, report, chaos_rounds, direction):
    c = proxied()
    begin, leader, rounds = time.monotonic(), c[0], max(1, round(chaos_rounds))
    with Crew(c, rng) as crew:
        for _ in range(rounds):
            crew.wait(40)
            leader = cut_off(c, crew, rng, leader, direction)
        crew.wait(20)
    c.settle(leader)
    done = crew.judge()
    report(f"partition ({direction}): {rounds} leaders cut off in {time.monotonic() - begin:.0f} s, {done}, 0 lost")


def test_writes_that_a_cut_off_leader_takes_alone_are_noticed(proxied, rng):
    """The test of the tests here: clients that take `w: 1` for a majority must be told that they lost something."""
    c = proxied()
    with Crew(c, rng, is_lying=True) as crew:
        crew.wait(40)
        c.proxy.hold(*c.ways(c[0]))
        crew.wait(20)
        heir = c.promote(*c.nodes[1:])
        crew.wait(20)
        c.proxy.free()
        c.settle(heir)
    kinds = {fault.split(":")[0] for fault in crew.faults()}
    assert {"lost", "not linearizable"} & kinds, "nothing was noticed"

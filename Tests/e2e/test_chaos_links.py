"""Clusters whose links fail: partitions in both and in one direction, bits flipped on the way, lines that go silent."""
import time

import pytest

from rig.proxy import WAL_BATCH
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


def disturb(cluster, rng, leader):
    """One thing goes wrong; gives (what, whether the leader can be expected to go on, how it is healed)."""
    victim = rng.choice(cluster.nodes)
    direction = rng.choice(["both", "out", "in"])
    ways, what = cluster.ways(victim, direction), rng.choice(["hold", "cut", "kill", "stop", "delay", "flip"])
    if what in ("hold", "cut"):
        (cluster.proxy.hold if what == "hold" else cluster.proxy.cut)(*ways)
        return f"{what} {direction} {victim.name}", victim is not leader, cluster.proxy.free
    if what == "kill":
        victim.kill()
        return f"kill {victim.name}", victim is not leader, victim.start
    if what == "stop":
        victim.freeze()
        return f"stop {victim.name}", victim is not leader, victim.thaw
    for way in ways:
        if what == "delay":
            way.delay_seconds = 0.05 + 0.3 * rng.random()
        else:
            way.flip(rng.randrange(1, 4), rng.choice([None, WAL_BATCH]), anywhere=True)

    def mend():
        for way in ways:
            way.delay_seconds, way.flips_wanted = 0, 0
    return f"{what} {direction} {victim.name}", True, mend


def test_whatever_goes_wrong_one_thing_after_the_other_nothing_is_lost(proxied, rng, report, chaos_rounds):
    c = proxied()
    begin, leader, rounds, story = time.monotonic(), c[0], max(3, round(3 * chaos_rounds)), []
    with Crew(c, rng) as crew:
        for _ in range(rounds):
            crew.wait(10, within=40)
            what, goes_on, mend = disturb(c, rng, leader)
            story.append(what)
            time.sleep(2 * rng.random())
            if not goes_on or rng.random() < 0.2:
                heirs = [node for node in c.nodes if node is not leader and node.alive and f"stop {node.name}" != what]
                rng.shuffle(heirs)
                try:
                    leader = c.promote(*heirs)
                except AssertionError:
                    # Nobody could: what went wrong stands in the way. It is mended first.
                    assert goes_on, story
            mend()
            leader = c.wait_leader()
            c.settle(leader, within=40)
    c.settle(leader)
    report(f"one thing after the other: {rounds} in {time.monotonic() - begin:.0f} s ({', '.join(story[:6])}...), {crew.judge()}, 0 lost")

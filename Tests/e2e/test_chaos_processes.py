"""Clusters whose nodes die, stand still, are restarted one after the other, run out of disk, or come back with a log that has rotted: sessions
read and write all the time, and what they saw is judged by `rig/history.py`."""
import shutil
import time

import pytest

from rig import wire
from rig.cluster import admin, ids
from rig.faults import Fault, fill_up, needs_strace, rot, written
from rig.node import StartFailed, tool
from rig.sessions import Crew, Flood

MIB = 1 << 20


def others(cluster, *these):
    return [node for node in cluster.nodes if node not in these]


def take_over(cluster, rng, old):
    """Another node is promoted; the old leader is gone or does not know."""
    heirs = others(cluster, old)
    rng.shuffle(heirs)
    return cluster.promote(*heirs)


@pytest.mark.parametrize("how", ["kill", "stop"])
@pytest.mark.parametrize("who", ["leader", "follower"])
def test_nothing_is_lost_when_nodes_die_or_stand_still(cluster, rng, report, chaos_rounds, who, how):
    c = cluster()
    begin, leader, rounds = time.monotonic(), c[0], max(2, round(2 * chaos_rounds))
    with Crew(c, rng) as crew:
        for _ in range(rounds):
            crew.wait(40)
            victim = leader if who == "leader" else rng.choice(others(c, leader))
            victim.kill() if how == "kill" else victim.freeze()
            if who == "leader":
                # Sometimes the old one is back before anybody else leads.
                if how == "kill" and rng.random() < 0.3:
                    victim.start()
                    leader = c.wait_leader()
                else:
                    leader = take_over(c, rng, leader)
            else:
                time.sleep(rng.random())
            crew.wait(20)
            if how == "stop":
                victim.thaw()
            elif not victim.alive:
                victim.start()
            c.settle(leader)
            crew.wait(10)
    c.settle(leader)
    done = crew.judge()
    report(f"{who} {'killed' if how == 'kill' else 'stopped'}: {rounds} rounds in {time.monotonic() - begin:.0f} s, {done}, 0 lost")


def test_a_cluster_is_restarted_node_by_node_again_and_again(cluster, rng, report, chaos_rounds):
    """As docs/operations.md says it: the followers one after the other, then a switchover, then the old leader."""
    c = cluster()
    begin, leader, rounds = time.monotonic(), c[0], max(4, round(4 * chaos_rounds))
    snapshots = 0
    with Crew(c, rng) as crew:
        for _ in range(rounds):
            crew.wait(20)
            for follower in others(c, leader):
                assert follower.stop() == 0
                follower.start()
                c.settle(leader)
            heir = rng.choice(others(c, leader))
            answer = tool("switchover", leader.address, "--to", heir.name, timeout=40)
            assert answer.returncode == 0, answer.stdout + answer.stderr
            assert leader.stop() == 0
            leader.start()
            leader = heir
            c.settle(leader)
            snapshots += sum("taking a snapshot" in node.output() for node in c.nodes)
    c.settle(leader)
    done = crew.judge()
    assert snapshots == 0, "a restart is no reason for a full copy"
    report(f"rolling restarts: {rounds} of three nodes in {time.monotonic() - begin:.0f} s, {done}, 0 lost, 0 snapshots")


# Disks


def test_a_follower_whose_disk_is_full_drops_out_by_name_and_comes_back(cluster, rng, report, small_disk):
    c = cluster()
    follower = c[2]
    assert follower.stop() == 0
    shutil.move(follower.data, small_disk / "data")
    follower.data = small_disk / "data"
    follower.start()
    c.settle(c[0])
    filler = small_disk / "filler"
    with Crew(c, rng, pause=0.02) as crew, Flood(c[0], rng, size=4096, batch=32, pause=0.01, w="majority") as flood:
        crew.wait(20)
        fill_up(filler, leaving=2 * MIB)
        c.wait(lambda: follower.replication().get("role") == "failed", "the follower's word that its log failed", 30)
        status, text = follower.http("/health")
        assert status == 503 and "space" in text.lower(), text
        before = len(flood.acknowledged)
        c.wait(lambda: len(flood.acknowledged) > before + 500, "writes that go on by a majority")
        with follower.wire() as link:
            assert link.ask(wire.COUNT, {"collection": "registers"}).type == wire.SUCCESS, "reads go on"
        assert follower.stop(30) == 0
        filler.unlink()
        follower.start()
        crew.wait(10)
    c.settle(c[0])
    done = crew.judge()
    assert ids(follower, "flood") == ids(c[0], "flood") and set(flood.acknowledged) <= set(ids(c[0], "flood"))
    report(f"a follower's disk is full: {done}, {flood.byte_count >> 20} MiB of other writes, 0 lost; it streams on after making room")


@needs_strace
@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
@pytest.mark.parametrize("who", ["leader", "follower"])
def test_an_input_output_error_takes_a_node_out_and_loses_nothing(cluster, rng, report, tmp_path, who, call):
    c = cluster()
    leader, victim = c[0], c[0] if who == "leader" else c[2]
    with Crew(c, rng) as crew:
        crew.wait(30)
        with Fault(victim, tmp_path, f"{call}:error=EIO:when=1", call) as fault:
            c.wait(lambda: victim.replication().get("role") == "failed", "the node's word that its log failed", 30)
            if who == "leader":
                leader = take_over(c, rng, victim)
            crew.wait(20)
        assert fault.was_met
        assert victim.http("/health")[0] == 503
        assert victim.stop(30) == 0
        victim.start()
        c.settle(leader)
        crew.wait(10)
    c.settle(leader)
    report(f"{call} fails on the {who}: {crew.judge()}, 0 lost")


@pytest.mark.parametrize("where", ["middle", "end"])
def test_a_leader_whose_log_rots_does_not_lead_and_nothing_is_lost(cluster, rng, report, where):
    c = cluster()
    victim = c[0]
    with Crew(c, rng) as crew:
        crew.wait(150)
        victim.kill()
        segment = max((victim.data / "wal").glob("*"), key=written)
        rot(segment, rng, *((0.3, 0.7) if where == "middle" else (0.985, 1)))
        refused = False
        try:
            victim.start()
        except StartFailed as failure:
            refused = True
            assert segment.name in failure.output and failure.code > 0, failure
        assert refused or where == "end", "the middle of a log has rotted, and nobody said so"
        leader = take_over(c, rng, victim)
        crew.wait(20)
        if refused:
            # As docs/operations.md has it: with other data, as a new follower.
            victim.kill()
            shutil.rmtree(victim.data)
            victim.follows = leader.advertised
            victim.start()
        c.settle(leader)
        crew.wait(10)
    c.settle(leader)
    report(f"the leader's log rots ({where}): {'refused by name' if refused else 'its end was cut'}, {crew.judge()}, 0 lost")

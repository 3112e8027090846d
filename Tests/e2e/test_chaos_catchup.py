"""Followers that come late, come back, or follow a follower, while the leader is written to as fast as it goes; how many bytes that takes, and
which of them went twice, is counted on the way (`rig/proxy.py`), not by the node."""
import time

from rig import wire
from rig.cluster import ids
from rig.proxy import SNAPSHOT_CHUNK
from rig.sessions import Crew, Flood

MIB = 1 << 20


def same_flood(cluster, flood):
    """Every node holds what was acknowledged, and the same."""
    held = [ids(node, "flood") for node in cluster.nodes]
    assert all(keys == held[0] for keys in held) and set(flood.acknowledged) <= set(held[0])


def test_a_follower_that_was_away_at_full_load_takes_what_it_missed_and_no_snapshot(proxied, rng, report, chaos_rounds):
    c = proxied()
    away, ways = 10 if chaos_rounds >= 1 else 10 * chaos_rounds, c.proxy.between("n1", "n3")
    way = c.proxy.way("n1", "n3")
    with Flood(c[0], rng, size=4096, batch=64) as flood:
        c.wait(lambda: flood.byte_count > 4 * MIB, "some load")
        c.proxy.cut(*ways)
        before, sent = flood.byte_count, way.record_bytes
        time.sleep(away)
        missed = flood.byte_count - before
        c.proxy.free()
        begin = time.monotonic()
        c.wait(lambda: way.record_bytes > sent + 16 * MIB, "the follower in the stream again, under load", 20)
    c.settle(c[0], within=40)
    took = time.monotonic() - begin
    same_flood(c, flood)
    assert way.frames[SNAPSHOT_CHUNK] == 0 and c[0].metric('nexadb_repl_resync_total{kind="snapshot"}') == 0
    # What was in the window when the line was cut.
    assert way.record_bytes_again <= 5 * MIB
    report(f"away for {away:.0f} s at full load: {missed / MIB:.0f} MiB missed, caught up in {took:.1f} s with {(way.record_bytes - sent) / MIB:.0f} MiB, "
           f"{way.record_bytes_again / MIB:.2f} MiB of records sent twice, no snapshot")


def test_a_follower_of_a_follower_counts_reads_its_writes_and_finds_another_way(proxied, rng, report):
    c = proxied()
    leader, middle, last = c.nodes
    last.kill()
    last.follows = middle.advertised
    last.start()
    direct = c.proxy.way(leader.name, last.name)
    c.settle(leader)
    c.wait(lambda: [peer["name"] for peer in middle.replication()["followers"]] == [last.name], "a chain")
    direct_before = direct.record_bytes
    with Crew(c, rng) as crew:
        crew.wait(100)
        with leader.wire() as link:
            answer = link.ask(wire.UPDATE, {"collection": "registers", "key": "k0", "updates": {"other": 1}, "w": 3, "wtimeout_ms": 5000})
            assert answer.type == wire.SUCCESS, "the last of a chain counts"
        assert direct.record_bytes == direct_before, "the last gets its records from the one in the middle"
        middle.kill()
        crew.wait(50)
        c.wait(lambda: last.replication().get("staleness_seconds") is not None and any(
            peer["name"] == last.name for peer in leader.replication()["followers"]), "the last at the leader", 20)
        middle.start()
        c.settle(leader)
        crew.wait(20)
    c.settle(leader)
    report(f"a chain of three whose middle dies: {crew.judge()}, 0 lost")


def test_bits_that_flip_on_the_way_are_noticed_and_never_stored(proxied, rng, report, chaos_rounds):
    c = proxied()
    way, wanted = c.proxy.way("n1", "n3"), max(4, round(4 * chaos_rounds))
    with Crew(c, rng, pause=0.01) as crew, Flood(c[0], rng, size=2048, batch=32) as flood:
        crew.wait(10)
        while way.flipped < wanted:
            seen, handshakes = way.flipped, c[2].output().count("handshake")
            way.flip()
            c.wait(lambda: way.flipped > seen, "a flipped bit", 20)
            c.wait(lambda: c[2].output().count("handshake") > handshakes, "a new stream", 20)
    c.settle(c[0], within=40)
    done = crew.judge()
    same_flood(c, flood)
    alarms = c[2].metric("nexadb_repl_alarms_total")
    assert alarms >= wanted and "damagedRecord" in c[2].output()
    assert way.frames[SNAPSHOT_CHUNK] == 0, "a flipped bit is no reason for a full copy"
    report(f"bit flips in the stream: {way.flipped} of {way.flipped} noticed, {way.record_bytes_again / MIB:.2f} MiB sent again, {done}")

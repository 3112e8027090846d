"""Followers that come late, come back, or follow a follower, while the leader is written to as fast as it goes; how many bytes that takes, and
which of them went twice, is counted on the way (`rig/proxy.py`), not by the node."""
import shutil
import time

import pytest

from rig import wire
from rig.cluster import ids
from rig.node import tool
from rig.proxy import ACK, SNAPSHOT_CHUNK
from rig.sessions import Crew, Flood

MIB = 1 << 20


def same_flood(cluster, flood):
    """Every node holds what was acknowledged, and the same."""
    held = [ids(node, "flood") for node in cluster.nodes]
    assert all(keys == held[0] for keys in held) and set(flood.acknowledged) <= set(held[0])


def forget(cluster, follower, *, but_data=False):
    """The follower goes, its slot and its data with it: when it comes back it is new, and the log may be gone by then."""
    follower.kill()
    leader = cluster[0]
    cluster.wait(lambda: all(peer["name"] != follower.name for peer in leader.replication()["followers"]), "its end")
    assert tool("cluster", "slots", leader.address, "--drop", follower.name).returncode == 0
    if not but_data:
        shutil.rmtree(follower.data)


def test_a_follower_joins_under_load_after_the_log_was_recycled(proxied, rng, report):
    c = proxied(3, "--memory", "16MiB", "--change-log-bytes", "0")
    with Crew(c, rng, pause=0.02) as crew, Flood(c[0], rng, size=32 << 10, batch=16) as flood:
        crew.wait(10)
        forget(c, c[2])
        c.wait(lambda: flood.byte_count > 48 * MIB and c[0].replication()["oldest_lsn"] > 10, "a log that has been given up in part", 40)
        begin, way = time.monotonic(), c.proxy.way("n1", "n3")
        before = flood.byte_count
        c[2].start()
        c.wait(lambda: c[2].replication().get("staleness_seconds") is not None, "the new follower in the stream", 40)
        took, meanwhile = time.monotonic() - begin, flood.byte_count - before
        crew.wait(10)
    assert way.frames[SNAPSHOT_CHUNK] > 0
    c.settle(c[0])
    done = crew.judge()
    same_flood(c, flood)
    report(f"joining under load: a snapshot of {way.chunk_bytes / MIB:.0f} MiB in {took:.1f} s while {meanwhile / MIB:.0f} MiB were written, "
           f"{way.chunk_bytes_again} bytes of it twice, {done}")


def begin_slow_snapshot(c, rng):
    """A third node that needs a snapshot and is in the middle of it, over a line of 6 MB/s; the way and the bytes that it has."""
    with Flood(c[0], rng, size=64 << 10, batch=16) as flood:
        forget(c, c[2])
        c.wait(lambda: flood.byte_count > 48 * MIB and c[0].replication()["oldest_lsn"] > 10, "a log that has been given up in part", 40)
    way = c.proxy.way("n1", "n3")
    way.bytes_per_second = 6e6
    c[2].start()
    c.wait(lambda: way.chunk_bytes > 12 * MIB, "some of a snapshot", 30)
    return way, flood


def test_a_follower_that_dies_in_the_middle_of_a_snapshot_goes_on_with_it(proxied, rng, report):
    c = proxied(3, "--memory", "16MiB", "--change-log-bytes", "0")
    way, flood = begin_slow_snapshot(c, rng)
    c[2].kill()
    before = way.chunk_bytes
    way.bytes_per_second = None
    c[2].start()
    c.settle(c[0], within=40)
    same_flood(c, flood)
    # What was on its way when it died, and what it had not written down: eight pieces of 1 MiB are asked for at a time.
    assert way.chunk_bytes_again <= 16.5 * MIB, "the snapshot began anew"
    report(f"a follower dies in the middle of a snapshot: {before / MIB:.1f} of {(way.chunk_bytes - way.chunk_bytes_again) / MIB:.1f} MiB were "
           f"sent, {way.chunk_bytes_again / MIB:.1f} MiB of them again")


def test_a_line_that_goes_silent_in_the_middle_of_a_snapshot_is_left(proxied, rng, report):
    c = proxied(3, "--memory", "16MiB", "--change-log-bytes", "0")
    way, flood = begin_slow_snapshot(c, rng)
    held = c.proxy.between("n1", "n3")
    c.proxy.hold(*held)
    before, begin = way.chunk_bytes, time.monotonic()
    way.bytes_per_second = None
    connections = c[2].output().count("upstream lost")
    c.wait(lambda: c[2].output().count("upstream lost") > connections, "the follower's word that its line is dead", 20)
    noticed = time.monotonic() - begin
    c.proxy.free()
    c.settle(c[0], within=40)
    same_flood(c, flood)
    assert way.chunk_bytes_again <= 16.5 * MIB, "the snapshot began anew"
    report(f"a line goes silent in the middle of a snapshot: noticed after {noticed:.1f} s, {way.chunk_bytes_again / MIB:.1f} of "
           f"{before / MIB:.1f} MiB sent again")


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
    assert way.frames[SNAPSHOT_CHUNK] == 0 and c[0].resyncs("snapshot") == 0
    # What was in the window when the line was cut.
    assert way.record_bytes_again <= 5 * MIB
    report(f"away for {away:.0f} s at full load: {missed / MIB:.0f} MiB missed, caught up in {took:.1f} s with {(way.record_bytes - sent) / MIB:.0f} MiB, "
           f"{way.record_bytes_again / MIB:.2f} MiB of records sent twice, no snapshot")


def test_a_line_that_breaks_again_and_again_under_load_is_taken_up_again(proxied, rng, report, chaos_rounds):
    """A reset finds a follower while it reads and acknowledges at the same time."""
    c = proxied()
    way, cuts = c.proxy.way("n1", "n3"), max(15, round(15 * chaos_rounds))
    with Flood(c[0], rng, size=4096, batch=32) as flood:
        for _ in range(cuts):
            before, streams = flood.byte_count, c[2].output().count("decision=stream")
            c.wait(lambda: flood.byte_count > before + MIB // 2, "some load")
            c.proxy.cut(*c.proxy.between("n1", "n3"))
            c.proxy.free()
            c.wait(lambda: c[2].output().count("decision=stream") > streams, "a new stream")
    c.settle(c[0], within=40)
    same_flood(c, flood)
    assert way.frames[SNAPSHOT_CHUNK] == 0
    report(f"a line that breaks {cuts} times under load: {flood.byte_count / MIB:.0f} MiB written, {way.record_bytes_again / MIB:.1f} MiB sent again")


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
    assert c[2].metric("nexadb_repl_alarms_total") >= wanted and "damaged on its way" in c[2].output()
    assert way.frames[SNAPSHOT_CHUNK] == 0, "a flipped bit is no reason for a full copy"
    report(f"bit flips in the stream: {way.flipped} of {way.flipped} noticed, {way.record_bytes_again / MIB:.2f} MiB sent again, {done}")


@pytest.mark.parametrize("compression", ["off", "on"])
def test_bits_that_flip_in_any_frame_in_any_direction_do_no_harm(proxied, rng, report, chaos_rounds, compression):
    """Also in acknowledgements, commit points, promises and the heads of frames: what is damaged is never taken for something else."""
    c = proxied(3, "--replication-compression", compression)
    ways, wanted = c.ways(c[0]), max(12, round(12 * chaos_rounds))
    with Crew(c, rng, pause=0.01) as crew:
        crew.wait(10)
        while (flipped := sum(way.flipped for way in ways)) < wanted:
            rng.choice(ways).flip(1, None, anywhere=True)
            c.wait(lambda: sum(way.flipped for way in ways) > flipped, "a flipped bit", 20)
            crew.wait(5)
    c.settle(c[0], within=40)
    done = crew.judge()
    noticed = sum(node.output().count("damaged on its way") + node.output().count("PROTOCOL_ERROR") for node in c.nodes)
    assert noticed >= flipped / 2
    report(f"bit flips anywhere between the nodes, compression {compression}: {flipped}, {done}, 0 lost")


def test_bits_that_flip_in_a_snapshot_are_noticed_and_never_stored(proxied, rng, report):
    c = proxied(3, "--memory", "16MiB", "--change-log-bytes", "0")
    way, flood = begin_slow_snapshot(c, rng)
    way.flip(3, SNAPSHOT_CHUNK)
    way.bytes_per_second = None
    c.settle(c[0], within=40)
    same_flood(c, flood)
    # A flipped bit ends the connection, perhaps before the next one that was to flip has passed.
    assert way.flipped > 0
    report(f"bit flips in a snapshot: {way.flipped}, none stored, {way.chunk_bytes_again / MIB:.1f} MiB of {way.chunk_bytes / MIB:.0f} sent again")

"""What a client may rely on: its own writes by token, staleness bounds, write concerns, and what survives a change of the leader."""
import threading
import time

from rig import wire
from rig.cluster import admin, create, ids
from rig.node import tool


def test_a_token_makes_a_follower_wait_for_the_write(cluster):
    c = cluster(2)
    with c[0].wire() as leader, c[1].wire() as follower:
        for number in range(100):
            key = f"k{number}"
            leader.send(wire.CREATE, {"collection": "t", "data": {"_id": key}}, flags=wire.TOKEN)
            written = leader.recv()
            assert written.position is not None
            read = {"collection": "t", "key": key, "after": list(written.position), "wait_ms": 5000}
            follower.send(wire.READ, read, flags=wire.TOKEN)
            answer = follower.recv()
            assert answer.type == wire.SUCCESS and answer.position >= written.position
            counted = follower.ask(wire.COUNT, {"collection": "t", "after": list(written.position), "wait_ms": 5000})
            assert counted.value["count"] == number + 1


def test_a_position_that_does_not_come_is_a_stale_read_in_time(cluster):
    c = cluster(2)
    with c[0].wire() as link:
        link.send(wire.CREATE, {"collection": "t", "data": {"_id": "first"}}, flags=wire.TOKEN)
        epoch, end = link.recv().position
    c.wait_caught_up(c[1])
    with c[1].wire() as link:
        begin = time.monotonic()
        answer = link.ask(wire.READ, {"collection": "t", "key": "k", "after": [epoch, end + 1000], "wait_ms": 300})
        assert answer.code == "STALE_READ" and answer.value["lsn"] >= end
        assert 0.25 < time.monotonic() - begin < 3
        assert link.ask(wire.READ, {"collection": "t", "key": "k", "after": [epoch, end + 1000], "wait_ms": 0}).code == "STALE_READ"
        # Others are served while one waits.
        link.send(wire.READ, {"collection": "t", "key": "k", "after": [epoch, end + 1000], "wait_ms": 2000}, request_id=1)
        link.send(wire.PING, {}, request_id=2)
        assert link.recv().request_id == 2


def test_staleness_is_bounded_by_the_followers_own_clock(cluster):
    c = cluster(2)
    with c[0].wire() as leader:
        create(leader, "t", "k")
    c.wait_caught_up(c[1])
    c.wait(lambda: (c[1].replication()["staleness_seconds"] or 9) < 2, "a bound")
    with c[1].wire() as link:
        assert link.ask(wire.READ, {"collection": "t", "key": "k", "max_staleness_ms": 4000}).type == wire.SUCCESS
        c[0].freeze()
        try:
            time.sleep(1.5)
            assert link.ask(wire.READ, {"collection": "t", "key": "k", "max_staleness_ms": 1000}).code == "STALE_READ"
            assert link.ask(wire.READ, {"collection": "t", "key": "k"}).type == wire.SUCCESS
        finally:
            c[0].thaw()


def test_linearizable_and_committed_reads_see_what_was_acknowledged(cluster):
    c = cluster()
    with c[0].wire() as leader, c[1].wire() as follower:
        for number in range(20):
            create(leader, "t", f"k{number}", options={"w": "majority"})
            for link in (leader, follower):
                answer = link.ask(wire.READ, {"collection": "t", "key": f"k{number}", "read_concern": "linearizable", "wait_ms": 5000})
                assert answer.type == wire.SUCCESS, answer
            answer = leader.ask(wire.READ, {"collection": "t", "key": f"k{number}", "read_concern": "committed"})
            assert answer.type == wire.SUCCESS, answer


def test_a_linearizable_read_shows_nothing_that_a_later_leader_may_lack(proxied):
    """The leader is confirmed by followers that do not get what it writes from then on: a reader must not be shown that."""
    c = proxied()
    with c[0].wire() as reader, c[0].wire() as writer:
        create(writer, "t", "k", v="kept", options={"w": "majority"})
        for way in c.ways(c[0], "in"):
            way.delay_seconds = 1
        reader.send(wire.READ, {"collection": "t", "key": "k", "read_concern": "linearizable", "wait_ms": 3000})
        # The followers have the leader's question by now; their answers are on the way for a second.
        time.sleep(0.3)
        c.proxy.hold(*c.ways(c[0], "out"))
        written = writer.ask(wire.UPDATE, {"collection": "t", "key": "k", "updates": {"v": "lost"}})
        assert written.type == wire.SUCCESS
        answer = reader.recv()
        assert answer.code == "STALE_READ" and "not known to be committed" in answer.value["error"], (answer, answer.value)


def test_a_stream_of_what_does_not_get_committed_is_one_error(cluster):
    c = cluster()
    with c[0].wire() as link:
        documents = [{"_id": f"k{number}", "text": "x" * 10_000} for number in range(300)]
        assert link.ask(wire.BATCH_WRITE, {"collection": "t", "documents": documents, "w": "majority"}).type == wire.SUCCESS
        whole = {"collection": "t", "stream": True, "read_concern": "committed", "wait_ms": 300}
        for node in c.nodes[1:]:
            node.freeze()
        create(link, "t", "alone")
        link.send(wire.QUERY, whole, request_id=1)
        refused = link.recv()
        assert (refused.request_id, refused.code) == (1, "STALE_READ"), refused
        # Nothing of the stream comes behind it.
        for turn in range(2, 5):
            link.send(wire.PING, {}, request_id=turn)
            assert link.recv().request_id == turn
        for node in c.nodes[1:]:
            node.thaw()
        c.wait_caught_up(*c.nodes[1:])
        link.send(wire.QUERY, {**whole, "wait_ms": 5000}, request_id=9)
        count, start = 0, link.recv()
        assert start.type == wire.STREAM_START, start
        while (answer := link.recv()).type == wire.STREAM_CHUNK:
            assert answer.request_id == 9
            count += len(answer.value["documents"])
            link.send(wire.CURSOR_CREDIT, {"stream": start.value["stream"], "credit": 1})
        assert answer.type == wire.STREAM_END and count == 301, answer


def test_write_concerns_wait_for_followers_and_say_when_nobody_knows(cluster):
    c = cluster()
    with c[0].wire() as link:
        create(link, "t", "a", options={"w": "majority"})
        create(link, "t", "b", options={"w": 3})
        c[2].freeze()
        create(link, "t", "c", options={"w": "majority", "wtimeout_ms": 5000})
        create(link, "t", "d", options={"w": 2, "wtimeout_ms": 5000})
        answer = link.ask(wire.CREATE, {"collection": "t", "data": {"_id": "e"}, "w": 3, "wtimeout_ms": 300})
        assert answer.code == "WRITE_CONCERN_TIMEOUT"
        assert answer.value["outcome"] == "unknown" and answer.value["applied"] is True
        c[1].freeze()
        # Answers keep their order on a connection without ids, however long the first one waits.
        link.send(wire.CREATE, {"collection": "t", "data": {"_id": "f"}, "w": "majority", "wtimeout_ms": 400})
        link.send(wire.CREATE, {"collection": "t", "data": {"_id": "g"}})
        link.send(wire.PING, {})
        assert link.recv().code == "WRITE_CONCERN_TIMEOUT"
        assert link.recv().value["_id"] == "g"
        assert link.recv().type == wire.PONG
        committed = link.ask(wire.READ, {"collection": "t", "key": "g", "read_concern": "committed", "wait_ms": 300})
        assert committed.code == "STALE_READ"
        for node in c.nodes[1:]:
            node.thaw()
    assert c[0].metric("nexadb_write_concern_timeouts_total") == 2
    c.wait_followers(*c.nodes[1:])
    c.wait_caught_up(*c.nodes[1:])
    assert ids(c[1], "t") == list("abcdefg")


def test_a_promoted_follower_leads_and_the_old_leader_comes_back_as_its_follower(cluster):
    c = cluster()
    with c[0].wire() as link:
        for number in range(50):
            create(link, "t", f"k{number}", options={"w": "majority"})
    c.wait_caught_up(*c.nodes[1:])
    c[0].kill()
    promoted = admin(c[1], "promote")
    assert promoted.returncode == 0, promoted.stderr
    c.wait(c[1].takes_writes, "the new leader")
    c.wait_followers(c[2], leader=c[1])
    with c[1].wire() as link:
        create(link, "t", "new", options={"w": "majority"})
    with c[2].wire() as link:
        refused = link.ask(wire.CREATE, {"collection": "t", "data": {}})
        assert refused.code == "NOT_LEADER" and refused.value["leader"] == c[1].address
    c[0].start()
    c.wait(lambda: c[0].replication().get("leader") == c[1].address, "the old leader as a follower")
    c.wait_followers(c[0], leader=c[1])
    c.wait_caught_up(c[0], c[2], leader=c[1])
    for node in c.nodes:
        assert ids(node, "t") == sorted([f"k{n}" for n in range(50)] + ["new"])
    answer = admin(c[1], "cluster", "lag")
    assert answer.returncode == 0 and "n1" in answer.stdout and "n3" in answer.stdout


def test_what_a_deposed_leader_wrote_alone_is_cut_and_kept(cluster):
    c = cluster()
    with c[0].wire() as link:
        create(link, "t", "kept", options={"w": 3})
        for follower in c.nodes[1:]:
            follower.kill()
        lost = []
        for number in range(5):
            link.send(wire.CREATE, {"collection": "t", "data": {"_id": f"lost{number}"}}, flags=wire.TOKEN)
            lost.append(link.recv().position)
    c[0].kill()
    for follower in c.nodes[1:]:
        follower.start()
    assert admin(c[1], "promote").returncode == 0
    with c[1].wire() as link:
        create(link, "t", "after", options={"w": "majority"})
        answer = link.ask(wire.READ, {"collection": "t", "key": "lost4", "after": list(lost[-1])})
        assert answer.code == "TOKEN_LOST", answer
    c[0].start()
    c.wait_followers(c[0], leader=c[1])
    c.wait_caught_up(c[0], leader=c[1])
    assert ids(c[0], "t") == ["after", "kept"]
    assert list(c[0].data.glob("rollback/*")), "what was cut is kept"


def test_a_deposed_leader_whose_tables_hold_what_is_to_be_cut_takes_a_copy_and_keeps_the_rest(cluster, rng):
    c = cluster(3, "--memory", "16MiB", "--change-log-bytes", "0")
    with c[0].wire() as link:
        create(link, "t", "kept", options={"w": 3})
        for follower in c.nodes[1:]:
            follower.kill()
        for number in range(40):
            documents = [{"_id": f"lost{number}-{i}", "bytes": rng.randbytes(64 << 10)} for i in range(8)]
            assert link.ask(wire.BATCH_WRITE, {"collection": "t", "documents": documents}).type == wire.SUCCESS
    assert c[0].status()["engine"]["flushes"] > 0
    c[0].kill()
    for follower in c.nodes[1:]:
        follower.start()
    assert admin(c[1], "promote").returncode == 0
    with c[1].wire() as link:
        create(link, "t", "after", options={"w": "majority"})
    c[0].start()
    c.wait_followers(c[0], leader=c[1])
    c.wait_caught_up(c[0], leader=c[1])
    assert ids(c[0], "t") == ["after", "kept"]
    assert c[1].resyncs("snapshot") == 1
    assert len(list(c[0].data.glob("rollback/*.nxr"))) == 1
    exported = tool("rollback", "export", str(c[0].data))
    assert exported.returncode == 0 and all(f'"lost{number}-0"' in exported.stdout for number in range(40)), exported.stderr


def test_switchover_hands_over_without_losing_a_write(cluster):
    c = cluster()
    done, acknowledged, errors = threading.Event(), [], []

    def load():
        leader, count = c[0], 0
        while not done.is_set():
            try:
                with leader.wire(timeout=10) as link:
                    while not done.is_set():
                        count += 1
                        key = f"k{count}"
                        answer = link.ask(wire.CREATE, {"collection": "t", "data": {"_id": key}, "w": "majority"})
                        if answer.type == wire.SUCCESS:
                            acknowledged.append(key)
                        elif answer.code == "NOT_LEADER":
                            leader = next((n for n in c.nodes if n.address == answer.value["leader"]), c[1])
                            time.sleep(0.02)
                            break
                        elif answer.code != "WRITE_CONCERN_TIMEOUT":
                            errors.append(answer)
            except (OSError, wire.Closed):
                time.sleep(0.02)

    writer = threading.Thread(target=load, daemon=True)
    writer.start()
    try:
        c.wait(lambda: len(acknowledged) > 100, "some load")
        answer = admin(c[0], "switchover", timeout=30)
        assert answer.returncode != 0, "without --to there is nobody to hand over to"
        answer = tool("switchover", c[0].address, "--to", "n2", timeout=30)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        before = len(acknowledged)
        c.wait(lambda: len(acknowledged) > before + 100, "load on the new leader")
    finally:
        done.set()
        writer.join()
    assert not errors, errors[:3]
    c.wait(c[1].takes_writes, "n2 as leader")
    c.wait_followers(c[0], c[2], leader=c[1])
    c.wait_caught_up(c[0], c[2], leader=c[1])
    for node in c.nodes:
        found = set(ids(node, "t"))
        assert not [key for key in acknowledged if key not in found]

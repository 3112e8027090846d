"""Writes with an `op_id` are done once, however often they are sent: through crashes, failovers and lost connections."""
import os
import re
import threading
import time

from rig import wire
from rig.cluster import admin
from rig.node import tool
from rig.repeater import Repeater


def run(crew, events):
    """Lets the crew write while each event happens in turn, after some progress, and then finish."""
    [one.start() for one in crew]
    try:
        for event in events:
            marks = [len(one.answered) + 20 for one in crew]
            deadline = time.monotonic() + 30
            while any(len(one.answered) < mark for one, mark in zip(crew, marks)):
                assert not any(one.failure for one in crew), [one.failure for one in crew]
                assert time.monotonic() < deadline, "no progress"
                time.sleep(0.005)
            event()
    finally:
        for one in crew:
            one.stop.set()
        for one in crew:
            one.join(30)


def test_every_write_is_done_once_through_kills(make_node, rng, report):
    node = make_node("node", "--memory", "16MiB")
    node.start()

    def connect():
        return wire.Wire(node.port, timeout=10)

    def kill():
        time.sleep(rng.random() * 0.05)
        node.kill()
        node.start()
    crew = [Repeater(connect, f"w{n}", rng, depth) for n, depth in enumerate([1, 8, 64])]
    run(crew, [kill] * 10)
    with node.wire() as link:
        for one in crew:
            one.check(link)
    report(f"op_id: {sum(len(one.answered) for one in crew)} writes, 10 SIGKILLs, {sum(one.repeats for one in crew)} repeats, "
           "each write done once")


def test_every_write_is_done_once_through_failover_and_switchover(cluster, rng, report):
    c = cluster(3)

    def connect():
        leader = c.leader()
        if leader is None:
            raise OSError("no leader")
        return leader.wire(timeout=10)

    def failover():
        old = c.wait_leader()
        others = [node for node in c.nodes if node is not old]
        old.kill()
        new = c.promote(*others)
        old.start()
        c.wait_followers(*[node for node in c.nodes if node is not new], leader=new)

    def switchover():
        leader = c.wait_leader()
        heir = next(node for node in c.nodes if node is not leader)
        answer = admin(leader, "switchover", "--to", heir.name)
        assert answer.returncode == 0, answer.stderr
        c.wait_followers(*[node for node in c.nodes if node is not heir], leader=heir)
    crew = [Repeater(connect, f"w{n}", rng, depth, w="majority", wtimeout_ms=3000) for n, depth in enumerate([1, 16])]
    run(crew, [failover, switchover, failover])
    leader = c.wait_leader()
    c.settle(leader)
    for node in c.nodes:
        with node.wire() as link:
            for one in crew:
                one.check(link)
    verdict = tool("cluster", "verify", *[node.address for node in c.nodes], timeout=60)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    report(f"op_id: {sum(len(one.answered) for one in crew)} writes for a majority, two failovers and a switchover, "
           f"{sum(one.repeats for one in crew)} repeats, each write done once")


def test_copies_on_many_connections_at_once_are_one_write(make_node):
    node = make_node("node")
    node.start()
    answers: list = []

    def writer(barrier):
        with node.wire() as link:
            link.connect(dialect="plain")
            for number in range(100):
                barrier.wait(10)
                answers.append((number, link.ask(wire.CREATE, {"collection": "t", "data": {"n": number},
                                                               "op_id": client + number.to_bytes(8, "big")}).value["_id"]))
    client, barrier = os.urandom(16), threading.Barrier(4)
    crew = [threading.Thread(target=writer, args=(barrier,), daemon=True) for _ in range(4)]
    [one.start() for one in crew]
    [one.join(30) for one in crew]
    assert len(answers) == 400 and len(set(answers)) == 100
    with node.wire() as link:
        assert link.ask(wire.COUNT, {"collection": "t"}).value["count"] == 100


def test_a_repeat_waits_for_the_nodes_that_it_asks_for_itself(cluster):
    c = cluster(3)
    write = {"collection": "t", "data": {"n": 1}, "op_id": bytes(24)}
    with c[0].wire() as link:
        link.ask(wire.CREATE, {"collection": "t", "data": {"n": 0}, "w": 3})
        c[1].freeze()
        c[2].freeze()
        link.send(wire.CREATE, write, flags=wire.TOKEN)
        first = link.recv()
        assert first.type == wire.SUCCESS
        unknown = link.ask(wire.CREATE, {**write, "w": "majority", "wtimeout_ms": 200})
        assert unknown.code == "WRITE_CONCERN_TIMEOUT" and unknown.value["lsn"] == first.position[1]
        c[1].thaw()
        c[2].thaw()
        link.send(wire.CREATE, {**write, "w": "majority", "wtimeout_ms": 10_000}, flags=wire.TOKEN)
        again = link.recv()
        assert (again.value, again.position) == (first.value, first.position)
        assert link.ask(wire.COUNT, {"collection": "t"}).value["count"] == 2


def test_the_feature_and_its_window_are_told(make_node):
    node = make_node("node", "--op-id-window", "90s")
    node.start()
    with node.wire() as link:
        hello = link.connect(features=["op_id"])
        assert hello["features"] == ["op_id"] and hello["op_id_window_s"] == 90
        assert "op_id_window_s" not in link.connect()
        for bad in ("x" * 24, b"short", b"x" * 25, 7):
            answer = link.ask(wire.CREATE, {"collection": "t", "data": {}, "op_id": bad})
            assert answer.code == "BAD_REQUEST" and answer.value["field"] == "op_id"
        assert link.ask(wire.CREATE, {"collection": "t", "data": {}, "op_id": None}).type == wire.SUCCESS


def test_the_load_generator_names_its_writes_and_the_node_tells_what_it_remembers(make_node):
    node = make_node("node")
    node.start()
    for mix in ("create", "batch"):
        before = remembered_bytes(node)
        ran = tool("bench", "--port", str(node.port), "--mix", mix, "--op-id", "--requests", "200", "--batch-size", "20", "--warm-up", "0")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert remembered_bytes(node) - before >= 200 * 67
    assert "nexadb_op_id_repeats_total 0" in node.http("/metrics")[1]


def remembered_bytes(node) -> int:
    return int(re.search(r"^nexadb_op_id_newest_bytes (\d+)", node.http("/metrics")[1], re.MULTILINE)[1])

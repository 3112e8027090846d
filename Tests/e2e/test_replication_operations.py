"""What people do to a cluster: compare its nodes, hand leadership over, look after slots."""
import json
import shutil
import threading
import time

import airportsdata
import pytest

from rig import wire
from rig.cluster import ClusterNode, admin, create, free_ports, ids
from rig.node import BINARY, tool


class Load:
    """A thread that writes one document after the other to whoever leads; what was answered, and how long the longest answer took."""

    def __init__(self, cluster, prefix: str = "k", **options):
        self.cluster, self.prefix, self.options, self.done = cluster, prefix, options, threading.Event()
        self.acknowledged: list[str] = []
        self.refused: list[wire.Answer] = []
        self.slowest = 0.0
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join(20)
        assert not self.thread.is_alive(), "the load does not end"

    def run(self):
        leader, count = self.cluster[0], 0
        while not self.done.is_set():
            with leader.wire(timeout=15) as link:
                while not self.done.is_set():
                    count += 1
                    key, begin = f"{self.prefix}{count}", time.monotonic()
                    answer = link.ask(wire.CREATE, {"collection": "load", "data": {"_id": key, "text": "abc " * 50}, **self.options})
                    self.slowest = max(self.slowest, time.monotonic() - begin)
                    if answer.type == wire.SUCCESS:
                        self.acknowledged.append(key)
                        continue
                    self.refused.append(answer)
                    leader = next((n for n in self.cluster.nodes if n.address == answer.value.get("leader")), None)
                    if answer.code != "NOT_LEADER" or leader is None:
                        return
                    break


def verify(*nodes, timeout: float = 60):
    return tool("cluster", "verify", *[node.address for node in nodes], timeout=timeout)


def start_alone(node):
    """Starts a node that founds, or leads, a cluster of its own."""
    node.start()
    deadline = time.monotonic() + 20
    while node.replication().get("role") != "leader" or node.http("/leader")[0] != 200:
        assert time.monotonic() < deadline, f"{node.name} does not lead"
        time.sleep(0.02)


def test_verify_finds_nodes_equal_while_they_are_written_to(cluster):
    c = cluster(3, "--memory", "16MiB", "--change-log-bytes", "0")
    with c[0].wire() as link:
        assert link.ask(wire.CREATE_COLLECTION, {"database": "other", "collection": "empty", "w": 3}).type == wire.SUCCESS
        for number in range(5):
            documents = [{"_id": f"{number}-{i}", "text": "x" * 2000} for i in range(500)]
            assert link.ask(wire.BATCH_WRITE, {"collection": f"c{number}", "documents": documents}).type == wire.SUCCESS
        assert link.ask(wire.DROP_COLLECTION, {"collection": "c4"}).type == wire.SUCCESS
    with Load(c) as load:
        c.wait(lambda: len(load.acknowledged) > 20, "some load")
        for _ in range(3):
            answer = verify(*c.nodes)
            assert answer.returncode == 0, answer.stdout + answer.stderr
            assert "equal: n1, n2, n3 at LSN" in answer.stdout
        # Whoever is named first: the leader says where.
        answer = tool("cluster", "verify", c[2].address, c[0].address, "--json", timeout=60)
        assert answer.returncode == 0, answer.stderr
        found = json.loads(answer.stdout)
        assert found["equal"] is True and found["nodes"] == ["n1", "n3"]
        names = {(row["database"], row["name"]): row["entries"] for row in found["collections"]}
        assert names["default", "c3"] == [500, 500] and ("default", "c4") not in names
    assert not load.refused, load.refused


def test_verify_names_the_collection_that_differs(tmp_path, make_node):
    first, second = free_ports(2)
    left = ClusterNode(tmp_path / "left", "left", first, "--memory", "64MiB", "--threads", "1")
    right = ClusterNode(tmp_path / "right", "right", second, "--memory", "64MiB", "--threads", "1")
    try:
        start_alone(left)
        with left.wire() as link:
            for collection in ("same", "changed", "more"):
                for number in range(20):
                    create(link, collection, f"k{number}", n=number)
        assert left.stop() == 0
        # A copy that goes its own way, as many steps: one document of the same key with other contents, and one that the other lacks.
        shutil.copytree(left.data, right.data)
        for node, value, collection in ((left, 1, "same"), (right, 2, "more")):
            start_alone(node)
            with node.wire() as link:
                update = {"collection": "changed", "key": "k7", "updates": {"n": value}}
                assert link.ask(wire.UPDATE, update).type == wire.SUCCESS
                create(link, collection, "one more")
        answer = verify(left, right)
        assert answer.returncode == 1, answer.stdout + answer.stderr
        last = answer.stdout.strip().splitlines()[-1]
        assert last.startswith("NOT EQUAL") and "default.changed" in last and "default.more" in last and "default.same" in last
        assert "DIFFERS (21)" in answer.stdout and "(catalog)" not in last
        # A node alone, and one that is not there.
        assert verify(left, left).returncode == 0
        right.kill()
        assert verify(left, right).returncode == 5
    finally:
        left.kill()
        right.kill()


def test_verify_says_when_a_node_does_not_come_to_the_position(cluster):
    c = cluster(2)
    with c[0].wire() as link:
        create(link, "a", "k")
    c[1].freeze()
    try:
        begin = time.monotonic()
        answer = tool("cluster", "verify", c[0].address, c[1].address, "--wait", "1", "--timeout", "2", timeout=40)
        assert answer.returncode in (1, 5) and time.monotonic() - begin < 20, answer.stdout + answer.stderr
    finally:
        c[1].thaw()
    c.wait_followers(c[1])
    assert verify(*c.nodes).returncode == 0


def test_who_was_told_that_a_node_leads_finds_it_leading(cluster):
    c = cluster(3)
    for turn in range(8):
        heir = c[(turn + 1) % 3]
        assert c.promote(heir) is heir
        state = heir.replication()
        assert state["role"] == "leader"
        epoch = state["epoch"]
        promises = sorted(node.replication()["promised_epoch"] for node in c.nodes)
        assert promises[1:] == [epoch, epoch], "a majority promised before anybody could lead"
        c.settle(heir)


def test_a_switchover_makes_writes_wait_and_then_sends_them_to_the_new_leader(cluster, report):
    c = cluster()
    with Load(c, "one") as one, Load(c, "majority", w="majority") as majority:
        c.wait(lambda: min(len(one.acknowledged), len(majority.acknowledged)) > 50 or one.refused or majority.refused, "some load")
        answer = tool("switchover", c[0].address, "--to", "n2", timeout=30)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        counts = [len(load.acknowledged) for load in (one, majority)]
        c.wait(lambda: all(len(load.acknowledged) > n + 50 for load, n in zip((one, majority), counts)), "load on the new leader")
    for load in (one, majority):
        assert [(answer.code, answer.value.get("leader")) for answer in load.refused] == [("NOT_LEADER", c[1].address)]
    report(f"replication: the longest write during a switchover took {max(one.slowest, majority.slowest) * 1000:.0f} ms")
    c.wait_followers(c[0], c[2], leader=c[1])
    answer = verify(*c.nodes)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_a_switchover_that_comes_to_nothing_only_delays_writes(cluster):
    c = cluster()
    with Load(c) as load:
        c.wait(lambda: len(load.acknowledged) > 20, "some load")
        c[1].freeze()
        try:
            answer = tool("switchover", c[0].address, "--to", "n2", "--timeout", "1", timeout=30)
            assert answer.returncode == 1, answer.stdout + answer.stderr
            before = len(load.acknowledged)
            c.wait(lambda: len(load.acknowledged) > before + 20, "load after it")
        finally:
            c[1].thaw()
    assert not load.refused, load.refused


def test_a_slot_survives_its_node_and_keeps_the_log_for_who_comes_back(cluster):
    c = cluster(2, "--memory", "16MiB", "--change-log-bytes", "0", with_members=False)
    with c[0].wire() as link:
        create(link, "a", "k")
    c.wait_caught_up(c[1])
    c[1].kill()
    c.wait(lambda: "no" in admin(c[0], "cluster", "slots").stdout, "a slot of somebody who is away")
    c[0].kill()
    c[0].start()
    c.wait(c[0].takes_writes, "the leader again")
    listed = admin(c[0], "cluster", "slots").stdout
    assert "n2" in listed and "reserved" in listed, listed
    assert c[0].metric('nexadb_slot_state{slot="n2",state="reserved"}') == 1
    c[1].start()
    c.wait_followers(c[1])
    assert c[0].resyncs("snapshot") == 0
    c[1].stop()
    c.wait(lambda: not c[0].replication()["followers"], "end of the follower")
    assert tool("cluster", "slots", c[0].address, "--drop", "n2").returncode == 0
    c[0].kill()
    c[0].start()
    c.wait(c[0].takes_writes, "the leader again")
    assert "n2" not in admin(c[0], "cluster", "slots").stdout


def test_a_slot_is_given_up_after_its_time(cluster):
    c = cluster(2, "--slot-time", "500ms", with_members=False)
    c[1].kill()
    c.wait(lambda: "lost" in admin(c[0], "cluster", "slots").stdout, "a slot that is given up")
    assert c[0].metric("nexadb_repl_alarms_total") >= 1
    c[1].start()
    c.wait_followers(c[1])
    assert "reserved" in admin(c[0], "cluster", "slots").stdout


def test_catalog_changes_take_a_write_concern_and_time_out_when_asked_to(cluster):
    c = cluster()
    with c[0].wire() as link:
        assert link.ask(wire.CREATE_COLLECTION, {"collection": "a", "w": 3}).type == wire.SUCCESS
        for follower in c.nodes[1:]:
            with follower.wire() as reader:
                assert reader.ask(wire.LIST_COLLECTIONS, {}).value["collections"] == ["a"], "w: 3 means that all have it"
        took = []
        for follower in c.nodes[1:]:
            follower.freeze()
        try:
            for kind, payload in [(wire.CREATE_COLLECTION, {"collection": "b"}), (wire.DROP_COLLECTION, {"collection": "a"}),
                                  (wire.CREATE_DATABASE, {"database": "d"}), (wire.DROP_DATABASE, {"database": "d"})]:
                begin = time.monotonic()
                answer = link.ask(kind, {**payload, "w": "majority", "wtimeout_ms": 60})
                took.append(time.monotonic() - begin)
                assert answer.code == "WRITE_CONCERN_TIMEOUT" and answer.value["applied"] is True, answer
        finally:
            for follower in c.nodes[1:]:
                follower.thaw()
    # Finer than the loops' timer, which looks four times a second; on a busy machine not each of them.
    assert min(took) > 0.055 and min(took) < 0.2, took
    c.wait_followers(*c.nodes[1:])
    c.wait_caught_up(*c.nodes[1:])
    assert verify(*c.nodes).returncode == 0


def test_add_follower_makes_room_says_how_and_waits(cluster, tmp_path):
    c = cluster(2)
    with c[0].wire() as link:
        for number in range(50):
            create(link, "a", f"k{number}")
    port = free_ports(1)[0]
    add = ("cluster", "add-follower", c[0].address, "--name", "n3", "--address", f"127.0.0.1:{port}")
    assert tool("cluster", "add-follower", c[0].address, "--name", "n1", "--address", f"127.0.0.1:{port}").returncode == 1
    answer = tool(*add, "--write", str(tmp_path / "n3.conf"))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "n3" in admin(c[0], "cluster", "slots").stdout
    assert tool(*add, "--wait", "1").returncode == 5, "nobody started it"
    third = ClusterNode(tmp_path / "n3", "n3", port, "--config", str(tmp_path / "n3.conf"))
    # All but the directory and the admin port comes from the file.
    third.command = lambda: [str(BINARY), "serve", "--config", str(tmp_path / "n3.conf"), "--data-dir", str(third.data),
                             "--admin-port", "0", "--memory", "64MiB"]
    try:
        third.start()
        answer = tool(*add, "--wait", "30")
        assert answer.returncode == 0 and "has everything" in answer.stdout, answer.stdout + answer.stderr
        assert verify(*c.nodes, third).returncode == 0
    finally:
        third.kill()


@pytest.mark.parametrize("mode", ["on", "auto"])
def test_records_travel_compressed_where_it_was_asked_for(cluster, report, mode):
    """Real airports, one in a request and in batches of 100: what they take on the wire, by the counters of both sides."""
    c = cluster(2, "--replication-compression", mode)
    airports = [{"_id": code, **airport} for code, airport in airportsdata.load("ICAO").items()]

    def arrived() -> dict:
        """The leader's counters when its follower has everything; what STATUS tells is a moment old."""
        c.wait_caught_up(c[1])
        c.wait(lambda: c[0].replication()["end_lsn"] == c[0].status()["engine"]["durable_lsn"], "a fresh status")
        c.wait(lambda: c[1].replication()["received_bytes"] == c[0].replication()["sent_bytes"], "all that was sent")
        return c[0].replication()

    before = arrived()
    with c[0].wire() as link:
        for airport in airports[:500]:
            link.send(wire.CREATE, {"collection": "airports", "data": airport, "return": "id"})
        for _ in range(500):
            assert link.recv().type == wire.SUCCESS
        one_by_one = arrived()
        for start in range(500, 10_000, 100):
            answer = link.ask(wire.BATCH_WRITE, {"collection": "airports", "documents": airports[start:start + 100]})
            assert answer.type == wire.SUCCESS
    leader, follower = arrived(), c[1].replication()
    assert follower["received_wire_bytes"] == leader["sent_wire_bytes"]
    raw, sent = leader["sent_bytes"] - before["sent_bytes"], leader["sent_wire_bytes"] - before["sent_wire_bytes"]
    assert raw > 500_000
    # The log compresses large records by itself; what is left are the small ones.
    assert sent < 0.95 * raw if mode == "on" else sent > raw
    singly = [one_by_one[field] - before[field] for field in ("sent_bytes", "sent_wire_bytes")]
    assert singly[1] < 0.6 * singly[0] if mode == "on" else singly[1] > singly[0]
    report(f"replication-compression {mode}: {raw} bytes of records in {sent} bytes of frames ({100 * sent / raw:.0f} %), "
           f"500 single documents {singly[0]} in {singly[1]}")
    assert ids(c[1], "airports") == sorted(airport["_id"] for airport in airports[:10_000])
    assert c[0].metric("nexadb_repl_sent_wire_bytes_total") >= sent

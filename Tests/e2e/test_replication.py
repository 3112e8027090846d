"""A leader and followers: what followers serve, how they come back, who takes writes."""
import threading
import time

import pytest

from rig import wire
from rig.cluster import create, ids


def test_documents_written_on_the_leader_are_read_on_followers(cluster):
    c = cluster()
    with c[0].wire() as link:
        for number in range(300):
            create(link, "cities", f"c{number}", n=number)
        assert link.ask(wire.UPDATE, {"collection": "cities", "key": "c7", "updates": {"n": -7}}).type == wire.SUCCESS
        assert link.ask(wire.DELETE, {"collection": "cities", "key": "c8"}).type == wire.SUCCESS
        vectors = [{"_id": f"v{i}", "vector": [1.0, float(i)]} for i in range(8)]
        assert link.ask(wire.BATCH_WRITE, {"collection": "points", "documents": vectors}).type == wire.SUCCESS
    c.wait_caught_up(*c.nodes[1:])
    for follower in c.nodes[1:]:
        with follower.wire() as link:
            assert link.ask(wire.READ, {"collection": "cities", "key": "c7"}).value["n"] == -7
            assert link.ask(wire.READ, {"collection": "cities", "key": "c8"}).type == wire.NOT_FOUND
            assert link.ask(wire.COUNT, {"collection": "cities"}).value["count"] == 299
            found = link.ask(wire.VECTOR_SEARCH, {"collection": "points", "vector": [1.0, 0.0], "limit": 1}).value
            assert found[0]["id"] == "v0"
            assert link.ask(wire.LIST_COLLECTIONS, {}).value["collections"] == ["cities", "points"]


def test_a_write_on_a_follower_names_the_leader(cluster):
    c = cluster(2)
    with c[1].wire() as link:
        for kind, payload in [(wire.CREATE, {"collection": "x", "data": {"a": 1}}),
                              (wire.UPDATE, {"collection": "x", "key": "k", "updates": {"a": 1}}),
                              (wire.DELETE, {"collection": "x", "key": "k"}),
                              (wire.BATCH_WRITE, {"collection": "x", "documents": [{"a": 1}]}),
                              (wire.CREATE_COLLECTION, {"collection": "x"}), (wire.DROP_COLLECTION, {"collection": "x"})]:
            answer = link.ask(kind, payload)
            assert answer.code == "NOT_LEADER", (kind, answer)
            assert answer.value["leader"] == c[0].address and answer.value["epoch"] == c[0].replication()["epoch"]
        assert link.ask(wire.PING, {}).type == wire.PONG
        hello = link.connect(dialect="plain")
        assert hello["role_in_cluster"] == "follower" and hello["leader"] == c[0].address


def test_status_and_metrics_tell_role_positions_and_lag(cluster):
    c = cluster()
    with c[0].wire() as link:
        for number in range(20):
            create(link, "a", f"k{number}")
    c.wait_caught_up(*c.nodes[1:])
    # What STATUS tells of replication is a moment old.
    end = c[0].status()["engine"]["durable_lsn"]
    c.wait(lambda: all(peer["durable_lsn"] == end for peer in c[0].replication()["followers"]), "followers without lag")
    leader, follower = c[0].replication(), c[1].replication()
    assert (leader["role"], follower["role"]) == ("leader", "follower")
    assert {peer["name"] for peer in leader["followers"]} == {"n2", "n3"}
    assert all(peer["lag_bytes"] == 0 and peer["durable_lsn"] == leader["end_lsn"] for peer in leader["followers"])
    assert follower["leader"] == c[0].address and follower["epoch"] == leader["epoch"]
    c.wait(lambda: (c[1].replication()["staleness_seconds"] or 9) < 2, "a bound of the staleness")
    c.wait(lambda: c[1].replication()["committed_lsn"] == leader["end_lsn"], "the commit point on the follower")
    assert c[0].metric('nexadb_role{role="leader"}') == 1
    assert c[0].metric('nexadb_repl_peer_durable_lsn{peer="n2"}') == leader["end_lsn"]
    assert c[1].metric("nexadb_repl_staleness_seconds") < 2


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_follower_that_was_away_under_load_resumes_without_a_snapshot(cluster, how):
    c = cluster(2)
    done, written = threading.Event(), []

    def load():
        with c[0].wire() as link:
            while not done.is_set():
                batch = [{"_id": f"d{len(written) + i}"} for i in range(50)]
                assert link.ask(wire.BATCH_WRITE, {"collection": "load", "documents": batch}).type == wire.SUCCESS
                written.extend(document["_id"] for document in batch)

    writer = threading.Thread(target=load, daemon=True)
    writer.start()
    try:
        c.wait(lambda: len(written) > 500, "some load")
        if how == "kill":
            c[1].kill()
            before = len(written)
            c.wait(lambda: len(written) > before + 1000, "load while the follower is away")
            c[1].start()
        else:
            c[1].freeze()
            before = len(written)
            c.wait(lambda: len(written) > before + 1000, "load while the follower is away")
            c[1].thaw()
        c.wait_followers(c[1])
    finally:
        done.set()
        writer.join()
    c.wait_caught_up(c[1])
    assert ids(c[1], "load") == sorted(written)
    assert c[0].resyncs("snapshot") == 0


def test_a_leader_that_is_killed_leads_again_and_followers_come_back(cluster):
    c = cluster()
    with c[0].wire() as link:
        for number in range(50):
            create(link, "a", f"k{number}")
    epoch = c[0].replication()["epoch"]
    c[0].kill()
    with c[1].wire() as link:
        assert link.ask(wire.CREATE, {"collection": "a", "data": {}}).code == "NOT_LEADER"
    c[0].start()
    c.wait(c[0].takes_writes, "the leader again")
    assert c[0].replication()["epoch"] > epoch
    c.wait_followers(*c.nodes[1:])
    with c[0].wire() as link:
        create(link, "a", "after")
    c.wait_caught_up(*c.nodes[1:])
    for node in c.nodes:
        assert ids(node, "a") == sorted([f"k{n}" for n in range(50)] + ["after"])


def test_a_standalone_node_takes_no_followers(make_node):
    node = make_node("single").start()
    with node.wire() as link:
        answer = link.ask(wire.CONNECT, {"client": "test", "purpose": "replication"})
        assert answer.code == "UNSUPPORTED" and "--node-name" in answer.value["error"]
        assert "replication" not in link.ask(wire.STATUS, {}).value

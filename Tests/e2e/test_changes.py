"""Change streams of one node: what is told, in which order, from where, and what becomes of those who do not listen."""
import base64
import json
import random
import threading
import time

import pytest

from rig import wire
from rig.changes import CHANGE_EVENT, Replica, Watcher, stored, wait_until
from rig.node import tool

ALTER_USER = 0x12


def write_at_random(link: wire.Wire, rng: random.Random, collection: str, count: int, keys: int = 60):
    """Creates, updates, deletes and batches on few keys, so that most of them meet what others did."""
    for number in range(count):
        key = f"k{rng.randrange(keys)}"
        roll = rng.random()
        if roll < 0.35:
            link.ask(wire.CREATE, {"collection": collection, "data": {"_id": key, "n": number, "text": "x" * rng.randrange(900)}})
        elif roll < 0.65:
            updates = {rng.choice("abcdefghijkl"): number for _ in range(rng.randrange(1, 4))}
            link.ask(wire.UPDATE, {"collection": collection, "key": key, "updates": updates, "upsert": rng.random() < 0.3})
        elif roll < 0.8:
            link.ask(wire.DELETE, {"collection": collection, "key": key})
        else:
            operations = [random_operation(rng, number, keys) for _ in range(rng.randrange(1, 12))]
            link.ask(wire.BATCH_WRITE, {"collection": collection, "operations": operations, "atomic": rng.random() < 0.5,
                                        "ordered": rng.random() < 0.5})


def random_operation(rng: random.Random, number: int, keys: int) -> dict:
    key, kind = f"k{rng.randrange(keys)}", rng.choice(["create", "put", "update", "delete"])
    if kind in ("create", "put"):
        return {"op": kind, "data": {"_id": key, "batch": number}}
    return {"op": kind, "key": key, **({"updates": {"u": number}} if kind == "update" else {})}


def finish(link: wire.Wire, collection: str):
    """A last write that a watcher can wait for."""
    assert link.ask(wire.CREATE, {"collection": collection, "data": {"_id": "the end"}}).type == wire.SUCCESS


def ended(events: list[dict]) -> bool:
    return bool(events) and events[-1].get("documentKey") == {"_id": "the end"}


def replay(events: list[dict]) -> Replica:
    replica = Replica()
    for event in events:
        replica.apply(event)
    return replica


def test_a_replica_of_events_alone_equals_the_collection(node, rng):
    with node.wire() as link, Watcher(node, collection="replayed") as watcher, Watcher(node) as all_of_it:
        write_at_random(link, rng, "replayed", 800)
        write_at_random(link, rng, "elsewhere", 50)
        finish(link, "replayed")
        events = watcher.wait(ended, "the end")
        assert {event["ns"]["coll"] for event in events} == {"replayed"}
        assert replay(events).of("replayed") == stored(node, "replayed")
        everything = replay(all_of_it.wait(ended, "the end"))
        assert everything.of("elsewhere") == stored(node, "elsewhere")
        assert everything.of("replayed") == stored(node, "replayed")


def test_several_writers_are_told_in_one_order(node, rng):
    with Watcher(node, collection="raced") as watcher:
        seeds = [rng.random() for _ in range(4)]

        def run(seed):
            with node.wire() as link:
                write_at_random(link, random.Random(seed), "raced", 250)
        writers = [threading.Thread(target=run, args=(seed,)) for seed in seeds]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(60)
        with node.wire() as link:
            finish(link, "raced")
        assert replay(watcher.wait(ended, "the end")).of("raced") == stored(node, "raced")


def test_the_events_of_a_batch_stand_together(node):
    with node.wire() as link, Watcher(node, collection="batched") as watcher:
        link.ask(wire.BATCH_WRITE, {"collection": "batched", "documents": [{"_id": f"d{n}"} for n in range(100)]})
        events = watcher.count(100)
        assert [event["documentKey"]["_id"] for event in events] == [f"d{n}" for n in range(100)]
        assert len({event["lsn"] for event in events}) == 1
    # A token from within goes on within.
    with Watcher(node, collection="batched", resume_after=events[41]["resume_token"]) as watcher:
        assert [event["documentKey"]["_id"] for event in watcher.count(58)] == [f"d{n}" for n in range(42, 100)]


def test_update_descriptions_name_the_fields_of_the_update(node):
    with node.wire() as link, Watcher(node, collection="described") as watcher:
        link.ask(wire.CREATE, {"collection": "described", "data": {"_id": "k", **{f"f{n}": n for n in range(20)}}})
        link.ask(wire.UPDATE, {"collection": "described", "key": "k", "updates": {"f3": 0, "f17": None, "new": [1], "other": {}}})
        link.ask(wire.UPDATE, {"collection": "described", "key": "k", "updates": {"f0": "only"}})
        link.ask(wire.BATCH_WRITE, {"collection": "described", "operations": [{"op": "put", "data": {"_id": "k", "whole": 1}}]})
        _, first, second, replaced = watcher.count(4)
        assert first["updateDescription"] == {"updatedFields": {"f3": 0, "f17": None, "new": [1], "other": {}}}
        assert second["updateDescription"] == {"updatedFields": {"f0": "only"}}
        assert replaced["operationType"] == "update" and "updateDescription" not in replaced
        assert all(abs(event["timestamp"] - time.time()) < 60 for event in (first, second, replaced))


def test_operations_database_and_collection_select(node):
    with node.wire() as link, \
            Watcher(node, collection="picked", operations=["insert", "delete"]) as some, \
            Watcher(node, database="second") as database:
        for place in ("default", "second"):
            link.ask(wire.CREATE, {"collection": "picked", "database": place, "data": {"_id": "k"}})
            link.ask(wire.UPDATE, {"collection": "picked", "database": place, "key": "k", "updates": {"a": 1}})
            link.ask(wire.DELETE, {"collection": "picked", "database": place, "key": "k"})
        assert [event["operationType"] for event in some.count(2)] == ["insert", "delete"]
        assert [event["operationType"] for event in database.count(3)] == ["insert", "update", "delete"]
        assert {event["ns"]["db"] for event in database.events} == {"second"}
        link.ask(wire.CREATE, {"collection": "picked", "data": {"_id": "last"}})
        assert some.count(3)[2]["documentKey"] == {"_id": "last"}


def test_drops_are_told_and_dropped_collections_still_have_their_names(make_node):
    node = make_node("drops").start()
    with node.wire() as link:
        with Watcher(node) as watcher:
            before = watcher.token
            for name in ("one", "two"):
                link.ask(wire.CREATE, {"collection": name, "database": "doomed", "data": {"_id": "k"}})
            link.ask(wire.CREATE, {"collection": "three", "data": {"_id": "k"}})
            link.ask(wire.DROP_COLLECTION, {"collection": "three"})
            link.ask(wire.DROP_DATABASE, {"database": "doomed"})
            link.ask(wire.CREATE, {"collection": "three", "data": {"_id": "again"}})
            live = watcher.count(8)
    told = [(event["operationType"], event["ns"]["db"], event["ns"].get("coll")) for event in live]
    assert told[:4] == [("insert", "doomed", "one"), ("insert", "doomed", "two"), ("insert", "default", "three"),
                        ("dropCollection", "default", "three")]
    assert sorted(told[4:6]) == [("dropCollection", "doomed", "one"), ("dropCollection", "doomed", "two")]
    assert told[6:] == [("dropDatabase", "doomed", None), ("insert", "default", "three")]
    # After a restart no memory has the names: the log has.
    node.kill()
    node.start()
    with Watcher(node, resume_after=before) as watcher:
        assert watcher.count(8) == live
    with Watcher(node, resume_after=before, collection="one", database="doomed", operations=["delete"]) as watcher:
        assert [event["operationType"] for event in watcher.count(1)] == ["dropCollection"]


def test_resuming_after_a_crash_loses_nothing_and_repeats_nothing(make_node, rng):
    node = make_node("crashes", "--memory", "64MiB").start()
    events: list[dict] = []
    token = None
    for round in range(4):
        with Watcher(node, collection="resumed", **({"resume_after": token} if token else {})) as watcher, node.wire() as link:
            write_at_random(link, rng, "resumed", 150)
            # Whatever came by now: the node dies in the middle.
            node.kill()
            watcher.wait_end()
            events += watcher.events
            token = watcher.token
        node.start()
    with Watcher(node, collection="resumed", resume_after=token) as watcher, node.wire() as link:
        finish(link, "resumed")
        events += watcher.wait(ended, "the end")
    assert replay(events).of("resumed") == stored(node, "resumed")


def test_a_flush_does_not_end_the_history(make_node):
    node = make_node("flushed", "--memory", "16MiB").start()
    with Watcher(node) as watcher, node.wire() as link:
        token = watcher.token
        for number in range(60):
            link.ask(wire.BATCH_WRITE, {"collection": "big", "documents": [{"text": random.randbytes(100_000)} for _ in range(5)]})
        watcher.count(300, within=40)
        assert link.ask(wire.STATUS, {}).value["engine"]["flushes"] > 0
    with Watcher(node, resume_after=token) as watcher:
        assert len(watcher.count(300, within=40)) == 300


def test_a_position_that_is_gone_is_named(make_node):
    node = make_node("short", "--memory", "16MiB", "--change-log-bytes", "0").start()
    with Watcher(node) as watcher, node.wire(timeout=60) as link:
        token, answer = watcher.token, None
        for _ in range(100):
            link.ask(wire.BATCH_WRITE, {"collection": "big", "documents": [{"text": random.randbytes(4 << 20)}]})
            with node.wire() as probe:
                answer = probe.ask(wire.SUBSCRIBE_CHANGES, {"resume_after": token, "collection": "other"})
            if answer.code:
                break
        assert answer.code == "HISTORY_LOST" and answer.value["oldest_lsn"] > 1
        # The oldest place there is.
        oldest = link.ask(wire.SUBSCRIBE_CHANGES, {"resume_after": answer.value["resume_token"]})
        assert oldest.type == wire.SUCCESS


def test_a_silent_subscriber_costs_a_place_in_the_log(make_node, report):
    node = make_node("silent", "--memory", "64MiB", "--change-log-bytes", "512MiB", "--write-timeout", "off").start()
    text = "v" * 10_000
    with node.wire(receive_buffer=16 << 10) as silent, node.wire(timeout=60) as link:
        assert silent.ask(wire.SUBSCRIBE_CHANGES, {"collection": "flood"}).type == wire.SUCCESS
        resident = []
        for number in range(120):
            link.ask(wire.BATCH_WRITE, {"collection": "flood", "return": "id",
                                        "documents": [{"_id": f"{number}-{n}", "text": text} for n in range(100)]})
            if number in (20, 119):
                resident.append(node.resident_bytes())
        report(f"a subscriber that takes nothing of 120 MB: resident {resident[0] >> 20} MiB, then {resident[1] >> 20} MiB")
        assert resident[1] - resident[0] < 100 << 20
        assert link.ask(wire.PING, {}).type == wire.PONG
        # It wakes up, and goes on where it was.
        keys = []
        while len(keys) < 12_000:
            answer = silent.recv()
            assert answer.type == CHANGE_EVENT, answer
            keys.append(answer.value["documentKey"]["_id"])
        assert keys == [f"{number}-{n}" for number in range(120) for n in range(100)]


def test_who_falls_out_of_the_log_is_cut_off_and_told_why(make_node):
    node = make_node("fallen", "--memory", "16MiB", "--change-log-bytes", "0", "--write-timeout", "off").start()
    with node.wire(receive_buffer=16 << 10) as silent, node.wire(timeout=60) as link:
        silent.ask(wire.SUBSCRIBE_CHANGES, {})
        for _ in range(40):
            for _ in range(5):
                link.ask(wire.BATCH_WRITE, {"collection": "big", "documents": [{"text": random.randbytes(1 << 20)}]})
            lost = metric(node, 'nexadb_subscriptions_lost_total{reason="slow"}')
            if lost:
                break
        assert lost == 1
        while (answer := silent.recv()).type == CHANGE_EVENT:
            pass
        assert answer.code == "SUBSCRIPTION_LOST" and answer.value["reason"] == "slow"
        again = silent.ask(wire.SUBSCRIBE_CHANGES, {"resume_after": answer.value["resume_token"]})
        assert again.code == "HISTORY_LOST"
        assert silent.ask(wire.PING, {}).type == wire.PONG, "the connection goes on"


def metric(node, line: str) -> float:
    for row in node.http("/metrics")[1].splitlines():
        if row.startswith(line):
            return float(row.rsplit(" ", 1)[1])
    raise AssertionError(f"no sample {line}")


def test_several_subscriptions_of_one_connection(node):
    with node.wire() as link, node.wire() as writer:
        link.ask(wire.CONNECT, {"dialect": "plain", "features": ["request_id"]})
        for number, name in ((11, "left"), (12, "right")):
            answer = link.ask(wire.SUBSCRIBE_CHANGES, {"collection": name}, request_id=number)
            assert answer.type == wire.SUCCESS and answer.request_id == number
        writer.ask(wire.CREATE, {"collection": "right", "data": {"_id": "r"}})
        writer.ask(wire.CREATE, {"collection": "left", "data": {"_id": "l"}})
        events = [link.recv(), link.recv()]
        assert sorted((event.request_id, event.value["documentKey"]["_id"]) for event in events) == [(11, "l"), (12, "r")]
        link.send(wire.CANCEL, {"request_id": 11}, request_id=13)
        answers = [link.recv(), link.recv()]
        assert [(answer.request_id, answer.code) for answer in answers] == [(11, "CANCELLED"), (13, None)]
        assert answers[1].value == {"cancelled": True}
        writer.ask(wire.CREATE, {"collection": "left", "data": {"_id": "unheard"}})
        link.ask(wire.UNSUBSCRIBE_CHANGES, {"subscription": events[0].value["subscription"]}, request_id=14)
        for number in range(20, 20 + 16):
            assert link.ask(wire.SUBSCRIBE_CHANGES, {}, request_id=number).type == wire.SUCCESS or number > 34
        assert link.ask(wire.SUBSCRIBE_CHANGES, {}, request_id=99).code == "OVERLOADED"


def test_without_ids_a_new_subscription_replaces_the_old_one(node):
    with node.wire() as link, node.wire() as writer:
        link.ask(wire.SUBSCRIBE_CHANGES, {"collection": "first"})
        link.ask(wire.SUBSCRIBE_CHANGES, {"collection": "second"})
        writer.ask(wire.CREATE, {"collection": "first", "data": {"_id": "unheard"}})
        writer.ask(wire.CREATE, {"collection": "second", "data": {"_id": "heard"}})
        assert link.recv().value["documentKey"] == {"_id": "heard"}
        answer = link.ask(wire.UNSUBSCRIBE_CHANGES, {})
        assert answer.value == {"unsubscribed": True, "message": "Unsubscribed from change stream"}
        writer.ask(wire.CREATE, {"collection": "second", "data": {"_id": "unheard"}})
        assert link.ask(wire.PING, {}).type == wire.PONG


def test_heartbeats_tell_how_far_a_quiet_subscription_is(node):
    with node.wire() as writer, Watcher(node, collection="quiet", heartbeat_ms=300) as watcher:
        answer = writer.ask(wire.CREATE, {"collection": "loud", "data": {"_id": "k1"}}, flags=wire.TOKEN)
        events = watcher.wait(lambda events: events and events[-1]["lsn"] >= answer.position[1], "a heartbeat behind the write")
        assert {event["operationType"] for event in events} == {"heartbeat"}
        token = events[-1]["resume_token"]
    with node.wire() as writer, Watcher(node, collection="quiet", resume_after=token) as watcher:
        writer.ask(wire.CREATE, {"collection": "quiet", "data": {"_id": "k"}})
        assert watcher.count(1)[0]["documentKey"] == {"_id": "k"}


def test_a_quiet_subscriber_is_not_idle(make_node):
    node = make_node("patient", "--idle-timeout", "1s").start()
    with node.wire() as idle, Watcher(node, collection="rare") as watcher:
        idle.ask(wire.PING, {})
        with pytest.raises(wire.Closed):
            idle.recv()
        with node.wire() as writer:
            writer.ask(wire.CREATE, {"collection": "rare", "data": {"_id": "k"}})
        watcher.count(1)


def test_a_stopping_node_says_so(make_node):
    node = make_node("stopping").start()
    with Watcher(node, collection="c") as watcher:
        assert node.stop() == 0
        answer = watcher.wait_end()
        assert answer.code == "SUBSCRIPTION_LOST" and answer.value["reason"] == "shutting down"
        token = answer.value["resume_token"]
    node.start()
    with Watcher(node, collection="c", resume_after=token) as watcher, node.wire() as link:
        link.ask(wire.CREATE, {"collection": "c", "data": {"_id": "k"}})
        watcher.count(1)


def test_malformed_requests_are_refused_by_field(node):
    with node.wire() as link:
        token = link.ask(wire.SUBSCRIBE_CHANGES, {}).value["resume_token"]
        link.ask(wire.UNSUBSCRIBE_CHANGES, {})
        broken = [bytes([token[0], *token[1:9], *[byte ^ 1 for byte in token[9:17]], *token[17:]]), token[:-1], token + b"\0", b"", "x", 7,
                  b"\2" + token[1:], [1, 2]]
        cases = [("resume_after", value) for value in broken]
        cases += [("operations", value) for value in (["insert", "explode"], "insert", [1], [], {})]
        cases += [("after", value) for value in ("x", [1], [1, -1], [1, 2, 3], {})]
        cases += [("collection", value) for value in ("a/b", 7, "x" * 200)] + [("database", "-"), ("heartbeat_ms", -1)]
        for field, value in cases:
            answer = link.ask(wire.SUBSCRIBE_CHANGES, {field: value})
            assert answer.code == "BAD_REQUEST" and answer.value["field"] == field, (field, value, answer.value)
        both = link.ask(wire.SUBSCRIBE_CHANGES, {"after": [1, 1], "resume_after": token})
        assert both.code == "BAD_REQUEST"
        for future in ([1, 1 << 60], [7, 1], [9, (1 << 64) - 2]):
            assert link.ask(wire.SUBSCRIBE_CHANGES, {"after": future}).code == "TOKEN_LOST", future
        assert link.ask(wire.UNSUBSCRIBE_CHANGES, {"subscription": 77}).value["unsubscribed"] is False
        assert link.ask(wire.PING, {}).type == wire.PONG


def test_a_token_of_another_store_is_not_taken_for_one_of_this(make_node):
    tokens = []
    nodes = [make_node(name).start() for name in ("here", "there")]
    for number, node in enumerate(nodes):
        with node.wire() as link, Watcher(node) as watcher:
            for key in range(5):
                link.ask(wire.CREATE, {"collection": "c", "data": {"_id": f"{number}-{key}"}})
            tokens.append(watcher.count(5)[2]["resume_token"])
    with Watcher(nodes[0], resume_after=tokens[1]) as watcher:
        answer = watcher.wait_end()
        assert answer.code == "SUBSCRIPTION_LOST" and answer.value["reason"] == "history changed" and not watcher.events


def test_a_user_hears_of_the_databases_that_are_his_as_long_as_they_are(make_node, tmp_path):
    node, secret, password = make_node("guarded"), tmp_path / "secret", "s3cret pass"
    secret.write_text(password + "\n")
    made = tool("user", "add", "root", "--role", "admin", "--new-password-file", str(secret), "--data-dir", str(node.data))
    assert made.returncode == 0, made.stderr
    node.start()
    with node.wire() as root, node.wire() as reader:
        root.connect(username="root", password=password)
        assert root.ask(wire.CREATE_USER, {"username": "ann", "password": password, "role": "read"}).type == wire.SUCCESS
        assert root.ask(ALTER_USER, {"username": "ann", "databases": {"mine": "read"}}).type == wire.SUCCESS
        assert reader.ask(wire.SUBSCRIBE_CHANGES, {}).code == "UNAUTHENTICATED"
        reader.connect(username="ann", password=password, database="mine")
        assert reader.ask(wire.SUBSCRIBE_CHANGES, {"database": "other"}).code == "FORBIDDEN"
        assert reader.ask(wire.SUBSCRIBE_CHANGES, {}).value["database"] == "mine"
        for database in ("other", "mine"):
            root.ask(wire.CREATE, {"collection": "c", "database": database, "data": {"_id": database}})
        assert reader.recv().value["documentKey"] == {"_id": "mine"}
        assert root.ask(ALTER_USER, {"username": "ann", "databases": {"other": "read"}}).type == wire.SUCCESS
        answer = reader.recv()
        assert answer.code == "SUBSCRIPTION_LOST" and answer.value["reason"] == "forbidden"


def test_watch_prints_what_happens_and_goes_on(make_node):
    node = make_node("printed").start()
    with node.wire() as link, Watcher(node) as watcher:
        start = watcher.token
        for key in "abc":
            link.ask(wire.CREATE, {"collection": "c", "data": {"_id": key}})
    def watch(token):
        done = tool("watch", "c", "--port", str(node.port), "--count", "1", "--resume", token)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    first = watch(base64.b64encode(start).decode())
    second = watch(first["resume_token"])
    assert (first["documentKey"]["_id"], second["documentKey"]["_id"], second["operationType"]) == ("a", "b", "insert")
    assert tool("watch", "--port", str(node.port), "--resume", "no base64!").returncode == 64
    assert tool("watch", "--port", str(node.port), "--resume", "nonsense").returncode == 2, "base64, and no token"


def test_five_hundred_subscribers_hear_the_same(make_node, report):
    node = make_node("crowd").start()
    links = []
    try:
        for number in range(500):
            link = node.wire(timeout=30)
            link.send(wire.SUBSCRIBE_CHANGES, {"collection": "crowded"})
            links.append(link)
        for link in links:
            assert link.recv().type == wire.SUCCESS
        with node.wire() as writer:
            begin = time.monotonic()
            for number in range(100):
                writer.ask(wire.CREATE, {"collection": "crowded", "data": {"_id": f"k{number}", "n": number}})
            for link in links:
                assert [link.recv().value["documentKey"]["_id"] for _ in range(100)] == [f"k{number}" for number in range(100)]
            report(f"100 writes told to 500 subscribers within {time.monotonic() - begin:.2f} s")
            assert writer.ask(wire.STATUS, {}).value["subscriptions"] == 500
    finally:
        for link in links:
            link.close()
    wait_until(lambda: metric(node, "nexadb_subscriptions ") == 0, "no subscription is left")

"""The plain dialect: what the original plan promises its users, and what our own clients negotiate on top of it."""
import math
import struct
import threading
import time

import msgpack
import pytest

from rig import lz4block, wire
from rig.plain import PlainClient, Refused

ALL_FEATURES = ["request_id", "token", "lz4", "stream", "compact", "duplicate"]


@pytest.fixture
def db(node):
    with PlainClient(node.port) as client:
        yield client


@pytest.fixture
def full(node):
    """A connection in the plain dialect with every feature."""
    with PlainClient(node.port, features=ALL_FEATURES) as client:
        yield client


def own(document):
    return {k: v for k, v in document.items() if k not in ("_id", "id", "_created_at", "_updated_at")}


# The plan's promises


def test_first_session_of_the_original_plan(db):
    user = db.create("users", {"name": "John", "email": "john@example.com"})
    assert user["name"] == "John" and user["id"] == user["_id"]
    found = db.get("users", user["id"])
    assert found == user
    changed = db.update("users", user["id"], {"age": 30})
    assert changed["age"] == 30 and changed["name"] == "John" and changed["id"] == user["id"]
    assert [d["id"] for d in db.query("users", {"age": {"$gte": 18}})] == [user["id"]]
    assert db.delete("users", user["id"]) == {"id": user["id"], "deleted": True}
    assert db.get("users", user["id"]) is None


def test_id_or_underscore_id_is_the_key(db, name):
    assert db.create(name, {"id": "first", "n": 1})["_id"] == "first"
    assert db.create(name, {"_id": "second", "n": 2})["id"] == "second"
    assert db.get(name, "first")["n"] == 1 and db.get(name, "second")["n"] == 2
    for same in ({"id": "first"}, {"_id": "second"}):
        with pytest.raises(Refused) as refused:
            db.create(name, same)
        answer = refused.value.answer
        assert answer.type == wire.DUPLICATE and answer.value["id"] in ("first", "second") and answer.value["error"]


def test_missing_is_not_found_for_every_verb(db, name):
    db.create(name, {"n": 1})
    assert db.get(name, "nobody") is None and db.update(name, "nobody", {"a": 1}) is None and db.delete(name, "nobody") is None
    assert db.wire.ask(wire.READ, {"collection": name, "key": "nobody"}).value["error"] == "Not found"


def test_identity_cannot_be_changed(db, name):
    db.create(name, {"_id": "fixed", "n": 1})
    try:
        db.update(name, "fixed", {"_id": "other", "n": 2})
    except Refused as refused:
        assert refused.code in ("BAD_UPDATE", "BAD_REQUEST")
    assert db.get(name, "fixed")["_id"] == "fixed" and db.get(name, "other") is None


def test_query_sorts_skips_limits_and_projects(db, name):
    db.batch(name, documents=[{"_id": f"k{n:02}", "n": (n * 7) % 30, "text": "t" * n} for n in range(30)])
    ordered = db.query(name, {}, sort={"n": -1}, skip=3, limit=4, projection={"n": 1})
    assert [d["n"] for d in ordered] == [26, 25, 24, 23]
    assert all(set(d) <= {"_id", "id", "n"} for d in ordered)
    assert [d["n"] for d in db.query(name, {"n": {"$gte": 28}}, sort={"n": 1})] == [28, 29]
    assert len(db.query(name)) == 30, "no silent limit"


def test_no_silent_limit(db, name):
    for start in range(0, 3000, 1000):
        db.batch(name, documents=[{"_id": f"{n:05}"} for n in range(start, start + 1000)])
    assert [d["id"] for d in db.query(name)] == [f"{n:05}" for n in range(3000)]


def test_result_above_the_frame_limit_names_the_ways_out(db, name):
    for n in range(5):
        db.create(name, {"text": "x" * 4_000_000})
    with pytest.raises(Refused) as refused:
        db.query(name)
    assert refused.value.code == "RESULT_TOO_LARGE"
    assert "limit" in str(refused.value) or "stream" in str(refused.value)
    assert len(db.query(name, projection={"_id": 1})) == 5


def test_update_makes_missing_document_only_with_upsert(db, name):
    assert db.update(name, "new", {"n": 1}) is None
    assert own(db.update(name, "new", {"n": 1}, upsert=True)) == {"n": 1}
    assert own(db.get(name, "new")) == {"n": 1}


def test_stale_if_match_is_a_conflict(db, name):
    db.create(name, {"_id": "k", "n": 0})
    first = db.get(name, "k", rev=True)["_rev"]
    db.update(name, "k", {"n": 1}, if_match=first)
    for call in (lambda: db.update(name, "k", {"n": 2}, if_match=first), lambda: db.delete(name, "k", if_match=first)):
        with pytest.raises(Refused) as refused:
            call()
        assert refused.value.code == "CONFLICT"
    assert db.get(name, "k")["n"] == 1
    assert db.delete(name, "k", if_match=db.get(name, "k", rev=True)["_rev"])["deleted"] is True


def test_vector_search_lists_scores(db, name):
    db.batch(name, documents=[{"_id": f"v{n}", "vector": [math.cos(n / 5), math.sin(n / 5)], "even": n % 2 == 0} for n in range(8)])
    hits = db.call(wire.VECTOR_SEARCH, {"collection": name, "vector": [1.0, 0.0], "limit": 3})
    assert [h["id"] for h in hits] == ["v0", "v1", "v2"]
    assert hits[1]["score"] == pytest.approx(math.cos(0.2), abs=1e-5) and hits[1]["document"]["even"] is False
    packed = struct.pack("<2f", 1.0, 0.0)
    assert [h["id"] for h in db.call(wire.VECTOR_SEARCH, {"collection": name, "vector": packed, "k": 2, "filters": {"even": True}})] \
        == ["v0", "v2"]


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_vector_metrics_rank_as_defined(db, name, rng, metric):
    vectors = {f"v{n:03}": [rng.uniform(-2, 2) for _ in range(24)] for n in range(200)}
    db.batch(name, documents=[{"_id": k, "vector": v} for k, v in vectors.items()])
    probe = [rng.uniform(-2, 2) for _ in range(24)]

    def rank(key):
        v = vectors[key]
        dot = sum(a * b for a, b in zip(v, probe))
        return {"cosine": -dot / math.hypot(*v), "dot": -dot, "l2": math.dist(v, probe)}[metric]

    hits = db.call(wire.VECTOR_SEARCH, {"collection": name, "vector": probe, "limit": 20, "metric": metric})
    assert [h["id"] for h in hits] == sorted(vectors, key=rank)[:20]


# Batches


def test_mixed_batch_is_applied_in_order(db, name):
    db.create(name, {"_id": "old", "n": 0})
    answer = db.batch(name, operations=[
        {"op": "create", "data": {"_id": "a", "n": 1}}, {"op": "update", "key": "a", "updates": {"n": 2}},
        {"op": "delete", "key": "old"}, {"op": "put", "data": {"_id": "b", "n": 3}}, {"op": "put", "data": {"_id": "b", "n": 4}}])
    assert answer["count"] == 5 and "errors" not in answer
    assert {d["id"]: d["n"] for d in db.query(name)} == {"a": 2, "b": 4}


def test_atomic_batch_is_all_or_nothing(db, name):
    db.create(name, {"_id": "there"})
    with pytest.raises(Refused):
        db.batch(name, operations=[{"op": "create", "data": {"_id": "x"}}, {"op": "create", "data": {"_id": "there"}}])
    assert [d["id"] for d in db.query(name)] == ["there"]


@pytest.mark.parametrize("ordered, kept", [(True, ["a", "there"]), (False, ["a", "b", "there"])])
def test_loose_batch_reports_each_failure(db, name, ordered, kept):
    db.create(name, {"_id": "there"})
    answer = db.batch(name, atomic=False, ordered=ordered, documents=[{"_id": "a"}, {"_id": "there"}, {"_id": "b"}])
    assert [d["id"] for d in db.query(name)] == kept
    assert answer["count"] == len(kept) - 1
    assert answer["errors"][0]["index"] == 1 and answer["errors"][0]["code"] == "DUPLICATE"


# Counting and looking


def test_count_multi_read_and_status(db, name):
    db.batch(name, documents=[{"_id": f"k{n}", "n": n} for n in range(25)])
    assert db.call(wire.COUNT, {"collection": name})["count"] == 25
    assert db.call(wire.COUNT, {"collection": name, "filters": {"n": {"$lt": 10}}})["count"] == 10
    found = db.call(wire.MULTI_READ, {"collection": name, "keys": ["k3", "nobody", "k1"]})
    documents = found["documents"] if isinstance(found, dict) else found
    assert [d and d["n"] for d in documents] == [3, None, 1]
    status = db.call(wire.STATUS, {})
    assert isinstance(status, dict) and status


def test_collections_are_told_in_the_plain_dialect(db, name):
    db.call(wire.CREATE_COLLECTION, {"collection": name})
    assert name in db.call(wire.LIST_COLLECTIONS, {})["collections"]
    db.call(wire.DROP_COLLECTION, {"collection": name})
    assert name not in db.call(wire.LIST_COLLECTIONS, {})["collections"]


# Order and identity of answers


def test_pipelined_requests_are_answered_in_order_without_ids(db, name):
    db.wire.raw(b"".join(wire.request(wire.CREATE, {"collection": name, "data": {"_id": f"k{n:04}", "n": n}})
                         + wire.request(wire.READ, {"collection": name, "key": f"k{n:04}"}) for n in range(1000)))
    for n in range(1000):
        assert db.wire.recv().value["n"] == n
        assert db.wire.recv().value["n"] == n, "a request sees all earlier ones of its connection"


def test_request_ids_come_back(full, name):
    ids = [7, 0, 0xFFFFFFFF, 7_000_000]
    for request_id in ids:
        full.wire.send(wire.CREATE, {"collection": name, "data": {"_id": str(request_id)}}, request_id=request_id)
    answers = [full.wire.recv() for _ in ids]
    assert sorted(a.request_id for a in answers) == sorted(ids)
    assert all(a.value["_id"] == str(a.request_id) for a in answers)


def test_two_creates_of_one_key_in_flight_give_one_success(node, name):
    rounds, outcomes = 200, []

    def race():
        with PlainClient(node.port) as c:
            c.wire.raw(b"".join(wire.request(wire.CREATE, {"collection": name, "data": {"_id": str(n)}}) for n in range(rounds)))
            outcomes.append([c.wire.recv().type for _ in range(rounds)])

    threads = [threading.Thread(target=race, daemon=True) for _ in range(4)]
    [t.start() for t in threads]
    [t.join(30) for t in threads]
    assert len(outcomes) == 4
    for n in range(rounds):
        assert sorted(o[n] for o in outcomes) == [wire.SUCCESS] + [wire.DUPLICATE] * 3, f"key {n}"


def test_positions_grow_with_writes(full, name):
    positions = [full.wire.ask(wire.CREATE, {"collection": name, "data": {}}, flags=wire.TOKEN).position for _ in range(20)]
    assert None not in positions
    assert positions == sorted(set(positions)), "one position a record, growing"
    read = full.wire.ask(wire.COUNT, {"collection": name}, flags=wire.TOKEN).position
    assert read >= positions[-1]


def test_features_that_were_not_negotiated_are_not_used(node, name):
    with PlainClient(node.port) as c:
        answer = c.wire.ask(wire.CREATE, {"collection": name, "data": {"_id": "k", "text": "a" * 10000}})
        assert answer.flags & (wire.COMPRESSED | wire.TOKEN | wire.MORE) == 0
        assert c.wire.ask(wire.READ, {"collection": name, "key": "k"}).flags == 0


# Compression


def test_compressed_requests_and_answers(full, name):
    data = {"_id": "k", "text": "abc" * 20000}
    payload = wire.pack({"collection": name, "data": data})
    body = struct.pack(">I", len(payload)) + lz4block.literals(payload)
    full.wire.raw(wire.frame(wire.CREATE, body, flags=wire.COMPRESSED))
    assert full.wire.recv().type == wire.SUCCESS
    answer = full.wire.ask(wire.READ, {"collection": name, "key": "k"}, flags=0)
    assert own(answer.value) == {"text": "abc" * 20000}
    assert answer.flags & wire.COMPRESSED and answer.byte_count < 10000, "a large answer is compressed when lz4 is negotiated"


# Compact form


def test_compact_form_means_the_same(full, name):
    handle = full.call(wire.BIND, {"database": "default", "collection": name})
    handle = handle["handle"] if isinstance(handle, dict) else handle
    assert isinstance(handle, int)
    made = full.call(wire.CREATE, [handle, {"_id": "k", "n": 1}])
    assert made["_id"] == "k"
    assert full.call(wire.CREATE, [handle, {"_id": "only-id"}, {"return": "id"}]) in ("only-id", {"id": "only-id"})
    assert own(full.call(wire.READ, [handle, "k"])) == {"n": 1}
    assert own(full.call(wire.READ, [name, "k"])) == {"n": 1}, "a name in place of the handle"
    assert own(full.call(wire.UPDATE, [handle, "k", {"n": 2}])) == {"n": 2}
    assert [d["id"] for d in full.call(wire.QUERY, [handle, {"n": 2}])] == ["k"]
    assert full.call(wire.BATCH_WRITE, [handle, [{"_id": "b1"}, {"_id": "b2"}]])["count"] == 2
    full.call(wire.CREATE, [handle, {"_id": "v", "vector": [1.0, 0.0]}])
    assert full.call(wire.VECTOR_SEARCH, [handle, [1.0, 0.0], 1])[0]["id"] == "v"
    assert full.call(wire.DELETE, [handle, "k"])["deleted"] is True
    assert full.call(wire.READ, [handle, "k"]) is None
    with pytest.raises(Refused) as refused:
        full.call(wire.READ, [handle + 1000, "k"])
    assert refused.value.code == "BAD_REQUEST"


def test_compact_form_is_small(full, name):
    handle = full.call(wire.BIND, {"database": "default", "collection": name})
    handle = handle["handle"] if isinstance(handle, dict) else handle
    document = {"_id": "user:000017", "name": "Ada", "age": 36, "ok": True}
    message = wire.request(wire.CREATE, [handle, document, {"return": "id"}])
    full.wire.raw(message)
    answer = full.wire.recv()
    assert answer.type == wire.SUCCESS
    assert len(message) + answer.byte_count - len(msgpack.packb(document)) < 65


# Streams


@pytest.fixture(scope="module")
def many(node):
    """A collection of 5,000 documents."""
    with PlainClient(node.port) as c:
        for start in range(0, 5000, 1000):
            c.batch("many", documents=[{"_id": f"{n:05}", "n": n, "pad": "p" * 100} for n in range(start, start + 1000)])
    return "many"


def credit(stream, chunks):
    return {"stream": stream, "credit": chunks}


def read_stream(c: wire.Wire, stop_after=None, **options):
    """The documents of a stream whose STREAM_START is next, giving credit for each chunk; also the closing answer."""
    start = c.recv()
    assert start.type == wire.STREAM_START, start
    stream, documents, chunks = start.value["stream"], [], 0
    while (answer := c.recv()).type == wire.STREAM_CHUNK:
        assert answer.value["stream"] == stream
        documents += answer.value["documents"]
        chunks += 1
        c.send(wire.CURSOR_CREDIT, credit(stream, 1), **options)
    return stream, documents, chunks, answer


def test_stream_brings_everything_in_order(full, many):
    full.wire.send(wire.QUERY, {"collection": many, "filters": {"n": {"$gte": 100}}, "stream": True, "batch_size": 300})
    stream, documents, chunks, end = read_stream(full.wire)
    assert end.type == wire.STREAM_END and end.value["count"] == 4900 and end.value["stream"] == stream
    assert [d["n"] for d in documents] == [*range(100, 5000)]
    assert chunks >= 16
    assert full.call(wire.PING, {})["status"] == "ok"


def test_stream_stops_without_credit_and_goes_on_with_it(full, many):
    full.wire.send(wire.QUERY, {"collection": many, "stream": True, "batch_size": 100}, request_id=1)
    start = full.wire.recv()
    stream, got = start.value["stream"], []
    full.wire.send(wire.PING, {}, request_id=2)
    while (answer := full.wire.recv()).type != wire.PONG:
        got.append(answer)
    if not got:
        got.append(full.wire.recv())
    full.wire.send(wire.PING, {}, request_id=3)
    while (answer := full.wire.recv()).type != wire.PONG:
        got.append(answer)
    assert 1 <= len(got) <= 2, "two chunks ahead, then the stream waits while other requests go on"
    full.wire.send(wire.CURSOR_CREDIT, credit(stream, 3), request_id=4)
    # A chunk of the first two may come only now: chunks are made beside the loop that answers PING.
    for _ in range(2 + 3 - len(got)):
        assert full.wire.recv().type == wire.STREAM_CHUNK
    full.wire.send(wire.PING, {}, request_id=5)
    assert full.wire.recv().type == wire.PONG
    full.wire.send(wire.CANCEL, {"stream": stream}, request_id=6)
    last = {}
    while 6 not in last or last.get(1, got[0]).type == wire.STREAM_CHUNK:
        answer = full.wire.recv()
        last[answer.request_id] = answer
    assert last[6].type == wire.SUCCESS and last[1].code == "CANCELLED"
    assert full.call(wire.PING, {})["status"] == "ok"


def test_slow_reader_with_much_credit_gets_the_whole_stream(node, name):
    """More than the socket and the node's output limit hold, so that the stream has to wait for the client and go on by itself."""
    with PlainClient(node.port) as writer:
        for start in range(0, 600, 100):
            writer.batch(name, documents=[{"_id": f"{n:04}", "pad": "p" * 20_000} for n in range(start, start + 100)])
    with PlainClient(node.port, features=["stream"]) as c:
        c.wire.send(wire.QUERY, {"collection": name, "stream": True, "batch_size": 10})
        stream, count = c.wire.recv().value["stream"], 0
        c.wire.send(wire.CURSOR_CREDIT, credit(stream, 1000))
        with PlainClient(node.port) as other:
            for _ in range(300):
                other.call(wire.PING, {})
        while (answer := c.wire.recv()).type == wire.STREAM_CHUNK:
            count += len(answer.value["documents"])
        assert answer.type == wire.STREAM_END and count == 600


def test_stream_reads_one_snapshot(node, full, name):
    with PlainClient(node.port) as writer:
        writer.batch(name, documents=[{"_id": f"{n:04}", "v": 0} for n in range(1000)])
        full.wire.send(wire.QUERY, {"collection": name, "stream": True, "batch_size": 50})
        start = full.wire.recv()
        writer.batch(name, operations=[{"op": "update", "key": f"{n:04}", "updates": {"v": 1}} for n in range(1000)])
        writer.create(name, {"_id": "9999", "v": 1})
        values = []
        while (answer := full.wire.recv()).type == wire.STREAM_CHUNK:
            values += [d["v"] for d in answer.value["documents"]]
            full.wire.send(wire.CURSOR_CREDIT, credit(start.value["stream"], 1))
    assert answer.type == wire.STREAM_END
    assert values == [0] * 1000


def test_large_result_becomes_a_stream_when_negotiated(full, many):
    full.wire.send(wire.QUERY, {"collection": many})
    _, documents, _, end = read_stream(full.wire)
    assert end.type == wire.STREAM_END and len(documents) == 5000


def test_abandoned_streams_leave_nothing_behind(node, many):
    before = node.descriptors()
    for n in range(50):
        with PlainClient(node.port, features=ALL_FEATURES) as c:
            c.wire.send(wire.QUERY, {"collection": many, "stream": True, "batch_size": 50})
            assert c.wire.recv().type == wire.STREAM_START
    with PlainClient(node.port) as c:
        deadline = time.monotonic() + 5
        while (c.call(wire.STATUS, {})["streams"] or node.descriptors() > before + 2) and time.monotonic() < deadline:
            pass
        status = c.call(wire.STATUS, {})
    assert status["streams"] == 0 and status["engine"]["snapshots"] == 0 and status["connections"] <= 2
    assert node.descriptors() <= before + 2

"""The clients that people have already: PyPI `nexaclient` 3.0.0 (called Three here) and `nexadb` 1.1.0 (One), unmodified, every method.

`@covers` notes which methods a test exercises; the last test reads the classes and fails for any method that no test has covered.
"""
import datetime
import math
import socket
import time

import msgpack
import pytest
from nexaclient import NexaClient as Three
from nexadb import NexaClient as One

from rig import wire

COVERED = set()
BOTH = pytest.mark.parametrize("db", [Three, One], indirect=True, ids=["nexaclient-3.0.0", "nexadb-1.1.0"])


def covers(*methods):
    def mark(test):
        COVERED.update(methods)
        return test
    return mark


@pytest.fixture
def db(node, request):
    with getattr(request, "param", Three)(host="127.0.0.1", port=node.port, timeout=15) as client:
        yield client


@pytest.fixture
def things(db, name):
    """A collection's name; the same test with the other client gets another one."""
    return f"{name}_{type(db).__module__.split('.')[0]}"


def stored(document: dict) -> dict:
    """A document without what the node adds."""
    return {k: v for k, v in document.items() if k not in ("_created_at", "_updated_at", "_id")}


def moment(text: str) -> datetime.datetime:
    assert isinstance(text, str) and "." in text, f"not a time with microseconds: {text!r}"
    time = datetime.datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=datetime.timezone.utc)


# Connections


@covers(Three.__init__, One.__init__, Three.connect, One.connect, Three.disconnect, One.disconnect, Three.__repr__, One.__repr__)
@pytest.mark.parametrize("client", [Three, One])
def test_connects_and_disconnects_by_hand(node, client):
    db = client(host="127.0.0.1", port=node.port)
    assert "disconnected" in repr(db)
    with pytest.raises(ConnectionError):
        db.ping()
    db.connect()
    db.connect()
    assert "'connected'" in repr(db)
    assert db.ping()["status"] == "ok"
    db.disconnect()
    db.disconnect()
    with pytest.raises(ConnectionError):
        db.ping()
    db.connect()
    assert db.ping()["status"] == "ok"
    db.disconnect()


@covers(Three.__enter__, One.__enter__, Three.__exit__, One.__exit__)
@pytest.mark.parametrize("client", [Three, One])
def test_context_manager_opens_and_closes(node, client):
    with client(host="127.0.0.1", port=node.port) as db:
        assert db.connected
    assert not db.connected and db.socket is None


@pytest.mark.parametrize("client", [Three, One])
def test_refused_connection_is_a_connection_error(client):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionError):
            client(host="127.0.0.1", port=unused.getsockname()[1], timeout=2).connect()


@pytest.mark.parametrize("client", [Three, One])
def test_reconnects_to_a_restarted_node_and_finds_its_document(make_node, client):
    node = make_node().start()
    db = client(host="127.0.0.1", port=node.port, timeout=10)
    db.connect()
    key = db.create("things", {"kept": True})["document_id"]
    assert node.stop() == 0
    with pytest.raises((ConnectionError, OSError)):
        db.ping()
    db.disconnect()
    node.start()
    db.port = node.port
    db.connect()
    assert db.get("things", key)["kept"] is True
    db.disconnect()


@covers(Three.ping, One.ping)
@BOTH
def test_ping_tells_the_time(db):
    pong = db.ping()
    assert pong["status"] == "ok"
    assert abs(pong["timestamp"] - time.time()) < 60


# Documents


@covers(Three.create, One.create, Three.get, One.get)
@BOTH
def test_created_document_comes_back_equal(db, things):
    data = {"name": "Zoë 🛫", "age": 36, "tags": ["a", "b"], "nested": {"deep": {"list": [1, [2, None]]}}, "pi": math.pi,
            "big": 2**63 + 5, "small": -2**63, "yes": True, "nothing": None, "empty": {}}
    made = db.create(things, data)
    assert made["collection"] == things and made["database"] == "default"
    assert made["message"] == "Document inserted"
    document = db.get(things, made["document_id"])
    assert stored(document) == data
    assert [*document][:3] == ["_id", "_created_at", "_updated_at"], "the node's fields come first"
    assert [*stored(document)] == [*data], "the order of the fields is kept"
    assert document["_id"] == made["document_id"]
    assert abs((moment(document["_created_at"]) - datetime.datetime.now(datetime.timezone.utc)).total_seconds()) < 60


@BOTH
def test_binary_and_extension_values_are_opaque(db, things):
    data = {"bytes": bytes(range(256)), "ext": msgpack.ExtType(13, b"\xcb" + bytes(8)), "time": msgpack.Timestamp(1700000000, 5)}
    document = db.get(things, db.create(things, data)["document_id"])
    assert stored(document) == data


@BOTH
def test_floats_keep_their_bits(db, things):
    data = {"inf": math.inf, "tiny": 5e-324, "minus_zero": -0.0, "nan": math.nan}
    document = db.get(things, db.create(things, data)["document_id"])
    assert document["inf"] == math.inf and document["tiny"] == 5e-324
    assert math.copysign(1, document["minus_zero"]) == -1 and math.isnan(document["nan"])


@BOTH
def test_callers_id_is_the_key(db, things):
    for key in ("plain", "ключ 🔑 キー", "with/slash and space", "k" * 1024):
        assert db.create(things, {"_id": key, "n": 1})["document_id"] == key
        assert stored(db.get(things, key)) == {"n": 1}


@BOTH
def test_field_named_id_is_an_ordinary_field_of_the_envelope(db, things):
    made = db.create(things, {"_id": "k", "id": 77})
    assert made["document_id"] == "k"
    assert stored(db.get(things, "k")) == {"id": 77}


@BOTH
def test_same_id_twice_is_refused_and_changes_nothing(db, things):
    db.create(things, {"_id": "once", "n": 1})
    with pytest.raises(Exception, match="already exists") as refused:
        db.create(things, {"_id": "once", "n": 2})
    assert "Not found" not in str(refused.value)
    assert db.get(things, "once")["n"] == 1


@BOTH
def test_empty_document_is_a_document(db, things):
    assert stored(db.get(things, db.create(things, {})["document_id"])) == {}


@BOTH
def test_made_ids_are_distinct_and_ascending_in_time(db, things):
    ids = [db.create(things, {"n": n})["document_id"] for n in range(50)]
    assert len(set(ids)) == 50 and ids == sorted(ids)


@BOTH
def test_missing_document_is_none(db, things):
    db.create(things, {"n": 1})
    assert db.get(things, "nobody") is None
    assert db.get(f"{things}_never_written", "nobody") is None


@covers(Three.update, One.update)
@BOTH
def test_update_merges_top_level_fields(db, things):
    key = db.create(things, {"a": 1, "nested": {"x": 1, "y": 2}, "gone": "no"})["document_id"]
    before = db.get(things, key)
    answer = db.update(things, key, {"a": 2, "nested": {"x": 9}, "gone": None, "new": [1]})
    assert answer["document_id"] == key and answer["message"] == "Document updated"
    after = db.get(things, key)
    assert stored(after) == {"a": 2, "nested": {"x": 9}, "gone": None, "new": [1]}
    assert after["_created_at"] == before["_created_at"]
    assert moment(after["_updated_at"]) >= moment(before["_updated_at"])
    assert after["_id"] == key


@covers(Three.delete, One.delete)
@BOTH
def test_delete_removes_once(db, things):
    key = db.create(things, {"a": 1})["document_id"]
    answer = db.delete(things, key)
    assert answer["document_id"] == key and answer["message"] == "Document deleted"
    assert db.get(things, key) is None
    with pytest.raises(Exception, match="Not found"):
        db.delete(things, key)
    with pytest.raises(Exception, match="Not found"):
        db.update(things, key, {"a": 2})


@covers(Three.insert)
def test_insert_returns_the_id(db, things):
    key = db.insert(things, {"n": 1})
    assert isinstance(key, str) and db.get(things, key)["n"] == 1


@BOTH
@pytest.mark.parametrize("bad", ["", "a/b", "../../etc", ".", "with space", "9lives", "ünï", "x" * 121, "nul\0"])
def test_bad_collection_names_are_refused_clearly(db, bad):
    with pytest.raises(Exception) as refused:
        db.create(bad, {"n": 1})
    assert not isinstance(refused.value, (ConnectionError, ValueError)), refused.value
    assert len(str(refused.value)) > 10 and "Not found" not in str(refused.value)
    assert db.ping()["status"] == "ok", "the connection stays usable"


@BOTH
def test_wrongly_typed_requests_are_refused_clearly(db, things):
    for call in (lambda: db.create(things, [1, 2]), lambda: db.create(things, None), lambda: db.update(things, "k", "text"),
                 lambda: db.batch_write(things, {"not": "a list"}), lambda: db.batch_write(things, [1]), lambda: db.get(things, "")):
        with pytest.raises(Exception) as refused:
            call()
        assert not isinstance(refused.value, (ConnectionError, OSError)), refused.value
        assert "Not found" not in str(refused.value)
    assert db.ping()["status"] == "ok"


@BOTH
def test_ten_megabyte_document_survives(db, things):
    data = {"text": "é" * 5_000_000}
    assert stored(db.get(things, db.create(things, data)["document_id"])) == data


# Queries


PEOPLE = [{"_id": f"p{n:02}", "n": n, "half": n / 2, "even": n % 2 == 0, "name": f"name-{n % 5}", "deep": {"mod": n % 3},
           "tags": [f"t{n % 4}", "all"]} for n in range(40)]
FILTERS = {
    "everything": ({}, lambda d: True),
    "literal": ({"name": "name-3"}, lambda d: d["name"] == "name-3"),
    "number line": ({"half": 4}, lambda d: d["half"] == 4.0),
    "truth is no number": ({"even": 1}, lambda d: False),
    "array member": ({"tags": "t2"}, lambda d: "t2" in d["tags"]),
    "whole array": ({"tags": ["t1", "all"]}, lambda d: d["tags"] == ["t1", "all"]),
    "range": ({"n": {"$gte": 10, "$lt": 20}}, lambda d: 10 <= d["n"] < 20),
    "gt and lte": ({"half": {"$gt": 3, "$lte": 7.5}}, lambda d: 3 < d["half"] <= 7.5),
    "ne": ({"name": {"$ne": "name-1"}}, lambda d: d["name"] != "name-1"),
    "in": ({"n": {"$in": [1, 5.0, "x"]}}, lambda d: d["n"] in (1, 5)),
    "nin": ({"n": {"$nin": [*range(35)]}}, lambda d: d["n"] >= 35),
    "exists": ({"missing": {"$exists": False}, "n": {"$exists": True}}, lambda d: True),
    "dotted": ({"deep.mod": 2}, lambda d: d["deep"]["mod"] == 2),
    "sub-document": ({"deep": {"mod": 1}}, lambda d: d["deep"] == {"mod": 1}),
    "several fields": ({"even": True, "name": "name-0"}, lambda d: d["even"] and d["name"] == "name-0"),
    "or": ({"$or": [{"n": 3}, {"name": "name-4"}]}, lambda d: d["n"] == 3 or d["name"] == "name-4"),
    "and not nor": ({"$and": [{"n": {"$not": {"$gt": 30}}}, {"$nor": [{"even": True}, {"n": 7}]}]},
                    lambda d: d["n"] <= 30 and not d["even"] and d["n"] != 7),
    "key range": ({"_id": {"$gte": "p05", "$lt": "p09"}}, lambda d: "p05" <= d["_id"] < "p09"),
    "type mismatch matches nothing": ({"name": {"$gt": 5}}, lambda d: False),
    "missing is null": ({"missing": None}, lambda d: True),
}


@pytest.fixture(scope="module")
def people(node):
    with Three(host="127.0.0.1", port=node.port) as db:
        db.batch_write("people", PEOPLE)
    return "people"


@covers(Three.query, One.query)
@BOTH
@pytest.mark.parametrize("case", FILTERS)
def test_query_finds_what_the_filter_says_in_key_order(db, people, case):
    filters, expected = FILTERS[case]
    found = db.query(people, filters)
    assert [{"_id": d["_id"], **stored(d)} for d in found] == [p for p in PEOPLE if expected(p)]


@BOTH
def test_query_limits(db, people):
    assert [d["n"] for d in db.query(people, {}, limit=7)] == [*range(7)]
    assert db.query(people, {}, limit=0) == []
    assert len(db.query(people, None)) == 40


@BOTH
@pytest.mark.parametrize("bad", [{"$where": "1"}, {"n": {"$unknown": 1}}, {"$and": {"n": 1}}, {"n": {"$in": 5}}, {"$or": []}])
def test_bad_filters_are_refused_by_name(db, people, bad):
    with pytest.raises(Exception) as refused:
        db.query(people, bad)
    operator = next(o for o in ("$where", "$unknown", "$and", "$in", "$or") if o in str(bad))
    assert operator in str(refused.value), "the error names the operator"
    assert db.ping()["status"] == "ok"


def test_projection_keeps_the_id(db, people):
    found = db.query(people, {"n": {"$lt": 3}}, projection={"n": 1, "name": 1})
    assert found == [{"n": n, "name": f"name-{n}", "_id": f"p{n:02}"} for n in range(3)]


def test_query_of_an_unknown_collection_says_so(db, things):
    with pytest.raises(ValueError, match="does not exist"):
        db.query(f"{things}_unknown")


@pytest.mark.parametrize("db", [One], indirect=True)
def test_unknown_collection_is_empty_for_the_older_client(db, things):
    assert db.query(f"{things}_unknown") == []


@BOTH
def test_documents_with_large_results_come_whole(db, things):
    text = "x" * 1000
    for start in range(0, 6000, 2000):
        db.batch_write(things, [{"_id": f"{n:05}", "text": text} for n in range(start, start + 2000)])
    assert [d["_id"] for d in db.query(things, {}, limit=100000)] == [f"{n:05}" for n in range(6000)]


# Batches


@covers(Three.batch_write, One.batch_write)
@BOTH
def test_batch_answers_ids_in_request_order(db, things):
    documents = [{"n": n} if n % 2 else {"_id": f"own-{n}", "n": n} for n in range(200)]
    answer = db.batch_write(things, documents)
    assert answer["count"] == 200 and answer["message"] == "Inserted 200 documents"
    assert len(set(answer["document_ids"])) == 200
    for n, key in enumerate(answer["document_ids"]):
        assert db.get(things, key)["n"] == n


@BOTH
def test_batch_with_a_duplicate_stores_nothing(db, things):
    db.create(things, {"_id": "old", "n": 0})
    for documents in ([{"_id": "a"}, {"_id": "old", "n": 1}, {"_id": "b"}], [{"_id": "c"}, {"_id": "d"}, {"_id": "c"}]):
        with pytest.raises(Exception, match="already exists|[Dd]uplicate"):
            db.batch_write(things, documents)
    assert [d["_id"] for d in db.query(things)] == ["old"]
    assert db.get(things, "old")["n"] == 0


@BOTH
def test_empty_batch_is_refused_or_empty(db, things):
    try:
        assert db.batch_write(things, [])["count"] == 0
    except Exception as refused:
        assert "documents" in str(refused)
    assert db.ping()["status"] == "ok"


# Vectors


VECTORS = {"x": [1.0, 0, 0, 0], "xy": [1.0, 1, 0, 0], "y": [0, 2.0, 0, 0], "minus_x": [-3.0, 0, 0, 0], "z": [0, 0, 1, 0.5]}


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.hypot(*a) / math.hypot(*b)


@covers(Three.vector_search, One.vector_search)
@BOTH
def test_vector_search_ranks_by_cosine(db, things):
    db.batch_write(things, [{"_id": key, "vector": vector, "kind": key[0]} for key, vector in VECTORS.items()])
    probe = [0.9, 0.3, 0.1, 0]
    found = db.vector_search(things, probe, limit=4)
    expected = sorted(VECTORS, key=lambda key: -cosine(VECTORS[key], probe))[:4]
    assert [hit["document_id"] for hit in found] == expected
    for hit in found:
        assert hit["similarity"] == pytest.approx(cosine(VECTORS[hit["document_id"]], probe), abs=1e-5)
        assert stored(hit["document"]) == {"kind": hit["document_id"][0]}, "the vector itself stays behind"
    assert len(db.vector_search(things, probe)) == 5


@BOTH
def test_vector_documents_read_like_any_other(db, things):
    key = db.create(things, {"vector": [1.0, 2.0, 3.0], "t": "A"})["document_id"]
    assert stored(db.get(things, key)) == {"t": "A"}
    assert [stored(d) for d in db.query(things)] == [{"t": "A"}]
    db.update(things, key, {"vector": [3.0, 2.0, 1.0]})
    assert db.vector_search(things, [3.0, 2.0, 1.0])[0]["similarity"] == pytest.approx(1, abs=1e-6)
    db.delete(things, key)
    assert db.vector_search(things, [3.0, 2.0, 1.0]) == []


def test_vector_search_filters_before_it_cuts(db, things):
    db.batch_write(things, [{"vector": [1.0, n / 1000], "kind": "wanted" if n % 10 == 0 else "other"} for n in range(1, 101)])
    found = db.vector_search(things, [1.0, 0.0], limit=10, filters={"kind": "wanted"})
    assert len(found) == 10 and all(hit["document"]["kind"] == "wanted" for hit in found)


@BOTH
def test_vector_search_of_an_unknown_collection_is_empty(db, things):
    assert db.vector_search(f"{things}_unknown", [1.0, 2.0]) == []


@BOTH
def test_vector_of_the_wrong_dimension_is_refused(db, things):
    db.create(things, {"vector": [1.0, 2.0, 3.0, 4.0]})
    for call in (lambda: db.create(things, {"vector": [1.0, 2.0]}), lambda: db.vector_search(things, [1.0, 2.0, 3.0])):
        with pytest.raises(Exception, match="[Dd]imension"):
            call()
    with pytest.raises(Exception):
        db.batch_write(things, [{"vector": [0.0, 0, 0, 1]}, {"vector": [1.0]}])
    assert len(db.query(things)) == 1, "nothing of a refused batch is stored"


@covers(Three.build_hnsw_index)
def test_hnsw_index_request_is_answered(db, things):
    db.create(things, {"vector": [1.0, 2.0]})
    answer = db.build_hnsw_index(things, M=16, ef_construction=100)
    assert answer["status"] == "success" and answer["num_vectors"] == 1
    db.create(f"{things}_flat", {"n": 1})
    with pytest.raises(Exception, match="No vectors"):
        db.build_hnsw_index(f"{things}_flat")


# TOON


def toon(collection: str, documents: list[dict]) -> str:
    """The text for flat documents with the same fields."""
    def cell(value):
        return {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else str(value)
    rows = [f"  {','.join(cell(v) for v in d.values())}" for d in documents]
    return "\n".join([f"collection: {collection}", f"documents[{len(rows)}]{{{','.join(documents[0])}}}:", *rows,
                      f"count: {len(rows)}"])


@covers(Three.query_toon, One.query_toon)
@BOTH
def test_toon_of_a_query(db, things):
    db.batch_write(things, [{"_id": f"k{n}", "name": f"name {n}", "n": n, "half": n + 0.5, "ok": n == 2, "none": None}
                            for n in range(4)])
    answer = db.query_toon(things, {"n": {"$gte": 1}}, 10)
    assert answer["format"] == "TOON" and answer["count"] == 3 and answer["collection"] == things
    assert answer["data"] == toon(things, db.query(things, {"n": {"$gte": 1}}))
    sizes = answer["token_stats"]
    assert sizes["toon_size"] == len(answer["data"]) < sizes["json_size"]
    assert sizes["reduction_percent"] == pytest.approx(100 * (1 - sizes["toon_size"] / sizes["json_size"]), abs=0.06)


def test_toon_by_the_query_method(db, people):
    assert db.query(people, {"n": {"$lt": 0}}, format="toon").startswith(f"collection: {people}\ndocuments[0]:")


@covers(Three.export_toon, One.export_toon)
@BOTH
def test_toon_export_has_every_document(db, things):
    db.batch_write(things, [{"_id": f"k{n:03}", "text": f"say \"{n}\", friend"} for n in range(250)])
    answer = db.export_toon(things)
    assert answer["count"] == 250 and answer["format"] == "TOON"
    assert '"say \\"7\\", friend"' in answer["data"], "text with commas and quotes is quoted"
    assert len([line for line in answer["data"].splitlines() if line.startswith("  k")]) == 250


# Collections and databases


@covers(Three.create_collection, Three.list_collections, Three.drop_collection)
def test_collections_are_made_listed_and_dropped(db, things):
    made = db.create_collection(things, vector_dimensions=3)
    assert made["status"] == "success"
    assert things in db.list_collections() == sorted(db.list_collections())
    assert db.query(things) == [], "the marker document is not a document"
    with pytest.raises(Exception, match="[Dd]imension"):
        db.create(things, {"vector": [1.0, 2.0]})
    key = db.create(things, {"vector": [1.0, 2.0, 3.0]})["document_id"]
    db.delete(things, key)
    assert things in db.list_collections(), "an emptied collection stays listed"
    assert db.drop_collection(things) == {"database": "default", "collection": things, "message": "Collection dropped",
                                          "status": "success"}
    assert things not in db.list_collections()
    with pytest.raises(Exception, match="not found"):
        db.drop_collection(things)


def test_dropped_collection_starts_empty_when_it_comes_back(db, things):
    db.batch_write(things, [{"_id": str(n)} for n in range(100)])
    db.drop_collection(things)
    db.create(things, {"_id": "5", "new": True})
    assert [stored(d) for d in db.query(things)] == [{"new": True}]


@covers(Three.create_database, Three.list_databases, Three.drop_database, Three.get_database_stats)
def test_databases_are_made_listed_counted_and_dropped(db, things):
    base = "base_one"
    assert db.create_database(base)["database"] == base
    with pytest.raises(Exception, match="already exists"):
        db.create_database(base)
    assert {base, "default"} <= set(db.list_databases()) and db.list_databases() == sorted(db.list_databases())
    db.create(things, {"_id": "k", "where": "base"}, database=base)
    db.create(things, {"_id": "k", "where": "default"})
    assert db.get(things, "k", database=base)["where"] == "base"
    assert db.get(things, "k")["where"] == "default"
    db.update(things, "k", {"more": 1}, database=base)
    db.batch_write(things, [{"n": 1}, {"n": 2}], database=base)
    assert db.list_collections(database=base) == [things]
    assert db.get_database_stats(base) == {"database": base, "collections_count": 1, "documents_count": 3}
    assert len(db.query(things, database=base)) == 3
    db.delete(things, "k", database=base)
    assert db.get(things, "k", database=base) is None
    db.insert(f"{things}_v", {"vector": [1.0, 0.0]}, database=base)
    assert len(db.vector_search(f"{things}_v", [1.0, 0.0], database=base)) == 1
    dropped = db.drop_database(base)
    assert dropped["status"] == "success" and "dropped successfully" in dropped["message"]
    assert base not in db.list_databases()
    assert db.get(things, "k")["where"] == "default"


def test_databases_that_cannot_be_dropped(db):
    with pytest.raises(Exception, match="Cannot drop 'default'"):
        db.drop_database("default")
    with pytest.raises(Exception, match="not found"):
        db.drop_database("never_made")


# What this version leaves to later ones


@covers(Three.watch)
def test_watching_changes_gets_a_clear_refusal(db, things):
    with pytest.raises(Exception, match="(?i)subscribe.*no change streams") as refused:
        next(db.watch(things))
    assert "Not found" not in str(refused.value)
    assert db.ping()["status"] == "ok", "the connection stays usable"


@pytest.mark.parametrize("kind", [wire.CREATE_USER, wire.DELETE_USER, wire.LIST_USERS, wire.CHANGE_PASSWORD, 0x50, 0x51])
def test_users_and_imports_get_a_clear_refusal(node, kind):
    with node.wire() as c:
        c.connect(username="root", password="nexadb123")
        answer = c.ask(kind, {"username": "bob", "password": "pw", "new_password": "pw2"})
        assert answer.type == wire.ERROR and answer.code in ("UNSUPPORTED", "UNKNOWN_TYPE")
        assert isinstance(answer.value["error"], str) and "Not found" not in answer.value["error"]
        assert c.ask(wire.PING, {}).type == wire.PONG


# What the other clients in the field send (the repository's own client, YCSB's, the Rust shell)


def test_handshake_tells_what_the_strictest_client_needs(node):
    with node.wire() as c:
        told = c.connect(username="root", password="nexadb123")
        assert told["status"] == "connected" and told["authenticated"] is True
        assert told["max_frame"] == 16 << 20 and isinstance(told["lsn"], int)
        for field in ("server", "version", "username", "role", "node_id", "role_in_cluster", "epoch", "dialect", "features"):
            assert field in told, field
        assert c.ask(wire.DISCONNECT, {}).type == wire.SUCCESS
        assert c.at_end()


def test_field_names_of_other_clients_are_understood(node, name):
    with node.wire() as c:
        c.connect(username="root", password="x")
        key = c.ask(wire.CREATE, {"collection": name, "data": {"a": 1}, "database": None}).value["document_id"]
        assert c.ask(wire.UPDATE, {"collection": name, "document_id": key, "data": {"a": 2}}).type == wire.SUCCESS
        assert c.ask(wire.READ, {"collection": name, "document_id": key}).value["document"]["a"] == 2
        assert c.ask(wire.QUERY, {"collection": name, "query": {"a": 2}, "limit": 5}).value["count"] == 1
        assert c.ask(wire.QUERY, {"collection": name, "filter": {"a": 1}, "limit": 5}).value["count"] == 0
        assert c.ask(wire.DELETE, {"collection": name, "document_id": key}).type == wire.SUCCESS
        missing = c.ask(wire.READ, {"collection": name, "key": key})
        assert missing.type == wire.NOT_FOUND and missing.value["error"] == "Not found"


def test_databases_by_the_older_messages(node, name):
    with node.wire() as c:
        c.connect(username="root", password="x")
        assert "default" in c.ask(wire.LIST_COLLECTIONS, {"database": True}).value["databases"]
        assert c.ask(wire.CREATE, {"create_database": True, "database": "older"}).value["database"] == "older"
        c.ask(wire.CREATE, {"collection": name, "data": {"a": 1}, "database": "older"})
        told = c.ask(wire.COLLECTION_STATS, {"database": "older", "get_database_stats": True}).value
        assert told["collections_count"] == 1 and told["documents_count"] == 1 and "storage_bytes" in told
        assert c.ask(wire.DROP_COLLECTION, {"database": "older", "drop_database": True}).value["success"] is True
        assert "older" not in c.ask(wire.LIST_DATABASES, {}).value["databases"]


def test_limit_zero_counts(node, name):
    with node.wire() as c:
        c.connect(username="root", password="x")
        c.ask(wire.BATCH_WRITE, {"collection": name, "documents": [{"n": n} for n in range(12)]})
        assert c.ask(wire.QUERY, {"collection": name, "filters": {"n": {"$lt": 9}}, "limit": 0}).value["count"] == 9


# Nothing forgotten


@pytest.mark.parametrize("client", [Three, One])
def test_every_method_of_the_client_has_a_test(client):
    offered = {member for n, member in vars(client).items()
               if callable(member) and (not n.startswith("_") or n in ("__init__", "__enter__", "__exit__", "__repr__"))}
    assert len(offered) > 12
    assert {m.__qualname__ for m in offered - COVERED} == set()

"""Existing clients: TOON, collections, databases, and what this version refuses."""
import itertools
import threading
import time

import pytest

from rig import wire
from rig.existing_clients import BOTH, One, Three, covers, db, people, stored, things  # noqa: F401


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


@covers(Three.watch)
def test_watching_changes_hears_them(db, things, node):
    heard = []
    with node.wire() as writer:
        writer.connect()
        changes = db.watch(things)
        taker = threading.Thread(target=lambda: heard.extend(itertools.islice(changes, 3)), daemon=True)
        taker.start()
        deadline = time.monotonic() + 20
        while writer.ask(wire.STATUS, {}).value["subscriptions"] == 0:
            assert time.monotonic() < deadline, "no subscription"
            time.sleep(0.02)
        writer.ask(wire.CREATE, {"collection": things, "data": {"_id": "k", "evt": 1}})
        writer.ask(wire.UPDATE, {"collection": things, "key": "k", "updates": {"evt": 2}})
        writer.ask(wire.DELETE, {"collection": things, "key": "k"})
        taker.join(20)
    assert [change["operationType"] for change in heard] == ["insert", "update", "delete"]
    assert all(change["ns"] == {"db": "default", "coll": things} and change["documentKey"] == {"_id": "k"} for change in heard)
    assert heard[0]["fullDocument"]["evt"] == 1 and heard[1]["fullDocument"]["evt"] == 2 and "fullDocument" not in heard[2]
    assert heard[1]["updateDescription"] == {"updatedFields": {"evt": 2}}
    assert all(isinstance(change["timestamp"], float) for change in heard)


# What this version leaves to later ones


@pytest.mark.parametrize("kind", [0x50, 0x51])
def test_imports_get_a_clear_refusal(node, kind):
    with node.wire() as c:
        c.connect(username="root", password="nexadb123")
        answer = c.ask(kind, {"username": "bob", "password": "pw", "new_password": "pw2"})
        assert answer.type == wire.ERROR and answer.code in ("UNSUPPORTED", "UNKNOWN_TYPE")
        assert isinstance(answer.value["error"], str) and "Not found" not in answer.value["error"]
        assert c.ask(wire.PING, {}).type == wire.PONG

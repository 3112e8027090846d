"""Existing clients: queries, batches and vector searches, by every method of both."""
import math

import pytest

from rig.existing_clients import BOTH, PEOPLE, One, Three, covers, db, people, stored, things  # noqa: F401


# Queries


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

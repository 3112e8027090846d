"""Random documents and random filters: QUERY and COUNT against a plain walk in Python (rig/filter_model.py), before and after a restart."""
import random

import pytest

from rig import filter_model, wire
from rig.plain import PlainClient

FILTERS = 1500


def run(node, documents, filters) -> list[str]:
    """What differs, for all filters pipelined over one connection."""
    wrong = []
    with PlainClient(node.port) as c:
        for start in range(0, len(filters), 100):
            part = filters[start:start + 100]
            c.wire.raw(b"".join(wire.request(wire.QUERY, {"collection": "random", "filters": f, "projection": {"_id": 1}})
                                + wire.request(wire.COUNT, {"collection": "random", "filters": f}) for f in part))
            for f in part:
                found, counted = c.wire.recv(), c.wire.recv()
                expected = [key for key, document in documents.items() if filter_model.matches(document, f)]
                if found.type != wire.SUCCESS:
                    wrong.append(f"{f}: {found}: {found.value}")
                elif (got := [d["_id"] for d in found.value]) != expected:
                    differing = sorted(set(got) ^ set(expected))
                    wrong.append(f"{f}: {len(got)} instead of {len(expected)}; e.g. {differing[0] if differing else 'order'}: "
                                 f"{documents.get(differing[0]) if differing else ''}")
                elif counted.type != wire.SUCCESS or counted.value["count"] != len(expected):
                    wrong.append(f"COUNT {f}: {counted.value} instead of {len(expected)}")
    return wrong


def test_queries_find_what_a_plain_walk_finds(make_node, rng, report):
    node = make_node("node", "--memory", "16MiB").start()
    documents = {f"{n:04}": filter_model.random_document(rng) for n in range(400)}
    with PlainClient(node.port) as c:
        c.batch("random", documents=[{"_id": key, **d} for key, d in documents.items()])
    filters = [filter_model.random_filter(rng) for _ in range(FILTERS)]
    wrong = run(node, documents, filters)
    report(f"query oracle: {FILTERS} random filters over {len(documents)} random documents, {len(wrong)} differ from the plain walk")
    assert wrong == [], "\n".join(wrong[:10])
    assert node.stop() == 0
    node.start()
    assert run(node, documents, filters[:300]) == []


@pytest.mark.parametrize("document, filters, expected", [
    ({"a": [1, {"b": 1}]}, {"a.b": 1}, True), ({"a": [1, 2]}, {"a.b": None}, False), ({"a": 1}, {"a.b": None}, True),
    ({"a": [[1, 2], [3]]}, {"a.1": {"$gt": 1}}, False), ({"a": [1, 10]}, {"a": {"$gt": 5, "$lt": 4}}, True),
    ({"a": [True, 1]}, {"a.1.b": None}, False), ({"a": {"b": 1, "c": 2}}, {"a": {"c": 2, "b": 1}}, False), ({"a": True}, {"a": 1}, False), ({}, {"a": {"$nin": [1]}}, True)])
def test_model_knows_the_corners(document, filters, expected):
    assert filter_model.matches(document, filters) is expected


def test_random_filters_are_neither_empty_nor_trivial():
    rng = random.Random(5)
    documents = [filter_model.random_document(rng) for _ in range(200)]
    hits = [sum(filter_model.matches(d, f) for d in documents) for f in (filter_model.random_filter(rng) for _ in range(300))]
    assert sum(0 < h < 200 for h in hits) > 120

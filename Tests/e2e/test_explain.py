"""EXPLAIN: what a query looks at, which is what it costs."""
from rig import wire


def explain(link, collection, **fields):
    answer = link.ask(wire.EXPLAIN, {"collection": collection, **fields})
    assert answer.type == wire.SUCCESS, answer
    value = answer.value
    assert value["collection"] == collection and value["milliseconds"] >= 0
    return value["plan"], (value["documents_examined"], value["documents_matched"], value["documents_returned"])


def test_explain_tells_what_a_query_looks_at(node, name):
    with node.wire() as link:
        documents = [{"_id": f"k{number:04}", "n": number, "text": "x" * 500} for number in range(3000)]
        assert link.ask(wire.BATCH_WRITE, {"collection": name, "documents": documents}).type == wire.SUCCESS
        whole = {"access": "collection", "filter": True, "sort": "none"}
        assert explain(link, name, filters={"n": {"$lt": 30}}) == (whole, (3000, 30, 30))
        assert explain(link, name, filters={"n": {"$lt": 30}}, limit=10) == (whole, (10, 10, 10))
        assert explain(link, name, filters={"n": {"$lt": 30}}, limit=10, sort={"n": -1}) == ({**whole, "sort": "memory"}, (3000, 30, 10))
        assert explain(link, name) == ({**whole, "filter": False}, (3000, 3000, 3000))
        plan, counts = explain(link, name, filters={"_id": {"$gte": "k0100", "$lt": "k0200"}})
        assert plan == {"access": "key range", "from": "k0100", "below": "k0200", "filter": True, "sort": "none"}
        assert counts == (100, 100, 100)
        plan, (examined, matched, _) = explain(link, name, filters={"_id": {"$in": ["k2999", "k0000", "nobody", "k1500"]}})
        assert plan["access"] == "keys" and plan["keys"] == 4 and matched == 3 and examined <= 8


def test_explain_refuses_what_a_query_refuses(node, name):
    with node.wire() as link:
        assert link.ask(wire.EXPLAIN, {"collection": name}).code == "NO_SUCH_COLLECTION"
        assert link.ask(wire.CREATE, {"collection": name, "data": {"_id": "k"}}).type == wire.SUCCESS
        assert link.ask(wire.EXPLAIN, {"collection": name, "filters": {"n": {"$frob": 1}}}).code == "BAD_FILTER"
        assert link.ask(wire.EXPLAIN, {"collection": name, "limit": -1}).code == "BAD_REQUEST"
        assert link.ask(wire.EXPLAIN, {}).code == "BAD_REQUEST"

"""Queries over HTTP: what they cost, pages that end, and numbers that stay what they are."""
import threading
import time

import pytest

from rig import wire
from rig.node import Node
from test_http import Http


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with Node(tmp_path_factory.mktemp("queries") / "node", "--http-port", "0", "--memory", "64MiB", "--durability", "os") as one:
        yield one
        assert one.alive, one.output()[-3000:]


@pytest.fixture
def api(node):
    return Http(node)


def test_explain_tells_what_a_page_costs(api, name):
    assert api("POST", f"/collections/{name}/bulk", [{"_id": f"k{n:03}", "n": n} for n in range(300)])[0] == 201

    def explained(path=f"/collections/{name}/explain", **body):
        status, answer = api("POST", path, body)
        assert status == 200 and answer["status"] == "success" and answer["collection"] == name and answer["milliseconds"] >= 0, answer
        return answer["plan"], (answer["documents_examined"], answer["documents_matched"], answer["documents_returned"])

    whole = {"access": "collection", "filter": True, "sort": "none"}
    assert explained(filter={"n": {"$lt": 30}}) == (whole, (300, 30, 30))
    assert explained(filter={"n": {"$gte": 0}}) == (whole, (100, 100, 100)), "a page has 100 documents unless it says otherwise"
    assert explained(filter={"n": {"$lt": 30}}, limit=10, sort={"n": -1}) == ({**whole, "sort": "memory"}, (300, 30, 10))
    assert explained(f"/databases/default/collections/{name}/explain", filter={"_id": {"$in": ["k001", "nobody"]}})[0]["access"] == "keys"
    # The second page of a query begins behind a key.
    cursor = api("POST", f"/collections/{name}/query", {"limit": 200})[1]["next_cursor"]
    plan, counts = explained(limit=200, cursor=cursor)
    assert plan["access"] == "key range" and plan["from"] >= "k199" and counts[2] == 100
    for status, collection, body in ((404, name + "_none", {}), (400, name, {"filter": {"n": {"$frob": 1}}}), (400, name, {"limit": -1})):
        assert api("POST", f"/collections/{collection}/explain", body)[0] == status
    assert api("GET", f"/collections/{name}/explain")[0] == 404, "a document may be called so"


def test_no_cursor_stands_still(api, name):
    api("POST", f"/collections/{name}/bulk", [{"n": n} for n in range(5)])
    for method, path, body in (("GET", "?limit=0", None), ("GET", "?limit=0&sort=n", None), ("POST", "/query", {"limit": 0})):
        status, problem = api(method, f"/collections/{name}{path}", body)
        assert (status, problem["code"], problem.get("parameter")) == (400, "BAD_REQUEST", "limit"), problem
    for options in ("", "&sort=n", "&skip=1", "&fields=%7B%22_id%22%3A0%7D"):
        seen, cursor = [], ""
        while cursor is not None and len(seen) < 10:
            page = api("GET", f"/collections/{name}?limit=2{options}" + (f"&cursor={cursor}" if cursor else ""))[1]
            assert page["documents"]
            seen += [document["n"] for document in page["documents"]]
            cursor = page["next_cursor"]
        assert len(set(seen)) == len(seen) == (4 if "skip" in options else 5), options


@pytest.mark.parametrize("number", ["18446744073709551616", "-9223372036854775809", "123456789012345678901234567890"])
def test_integers_that_would_become_others_are_refused(api, name, number):
    for method, path, body in (("POST", "", f'{{"n": {number}}}'), ("POST", "/bulk", f'[{{"n": [{number}]}}]'), ("PUT", "/a", f'{{"n": {number}}}'),
                               ("POST", "/query", f'{{"filter": {{"n": {number}}}}}')):
        status, problem = api(method, f"/collections/{name}{path}", body)
        assert (status, problem["code"]) == (400, "BAD_PAYLOAD") and "64 bits" in problem["detail"], problem
    lines = f'{{"_id": "a"}}\n{{"n": {number}}}\n{{"_id": "b"}}\n'
    loaded = api("POST", f"/collections/{name}/bulk", lines, Content_Type="application/x-ndjson")[1]
    assert loaded["count"] == 2 and [(e["index"], e["code"]) for e in loaded["errors"]] == [(1, "BAD_PAYLOAD")]


def test_numbers_as_javascript_writes_them_come_back(api, name):
    for text, number in (("18446744073709551615", 2**64 - 1), ("-9223372036854775808", -2**63), ("100000000000000000000", 1e20),
                         ("-73786976294838210000", -2.0**66), ("1e300", 1e300)):
        assert api("PUT", f"/collections/{name}/a", f'{{"n": {text}}}')[0] in (200, 201)
        assert api("GET", f"/collections/{name}/a?bare=true")[1]["n"] == number


def test_the_time_of_a_request_covers_its_wait_and_its_scan(node, name):
    """A scan that takes S, with 4 S for all, whose position is reached when S / 4 is left."""
    slow = {"$or": [{f"nothing.n{n}": n} for n in range(100)]}
    with node.wire() as reader, node.wire() as writer:
        reader.connect(features=["token"])
        writer.connect(features=["token"])
        for start in range(0, 20_000, 2_000):
            documents = [{"_id": f"{n:06}", "text": "x" * 200} for n in range(start, start + 2_000)]
            assert writer.ask(wire.BATCH_WRITE, {"collection": name, "documents": documents}).type == wire.SUCCESS
        count = {"collection": name, "filters": slow}
        scans = []
        for _ in range(3):
            started = time.monotonic()
            assert reader.ask(wire.COUNT, count).value["count"] == 0
            scans.append(time.monotonic() - started)
        scan = min(scans)
        whole = max(4 * scan, 0.2)
        here = writer.ask(wire.CREATE, {"collection": name, "data": {}}, flags=wire.TOKEN).position
        timer = threading.Timer(whole - scan / 4, lambda: writer.ask(wire.CREATE, {"collection": name, "data": {}}))
        timer.start()
        answer = reader.ask(wire.COUNT, {**count, "after": [here[0], here[1] + 1], "wait_ms": 60_000, "timeout_ms": int(whole * 1000)})
        timer.join()
        assert answer.type == wire.ERROR and answer.code in ("TIMEOUT", "STALE_READ"), (answer, scan, whole)

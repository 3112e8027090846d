"""The HTTP gateway as a client without a library meets it: http.client and bytes. Breadth is in the other test_http_*.py files."""
import base64
import http.client
import json
import re
import socket
import subprocess
import threading
import time

import pytest

from rig.node import ROOT, Node, environment

JSON = {"Content-Type": "application/json"}


class Http:
    """One kept connection."""

    def __init__(self, node, **headers):
        self.port, self.headers = node.http_port, headers
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def __call__(self, method, path, body=None, **headers):
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in {**self.headers, **headers}.items()}
        if body is not None and "Content-Type" not in named:
            named.update(JSON)
        self.connection.request(method, path, body, named)
        self.last = self.connection.getresponse()
        data = self.last.read()
        if "json" in (self.last.headers["Content-Type"] or "") and "ndjson" not in self.last.headers["Content-Type"] and data:
            return self.last.status, json.loads(data)
        return self.last.status, data


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with Node(tmp_path_factory.mktemp("http") / "node", "--http-port", "0", "--memory", "64MiB") as one:
        yield one
        assert one.alive, one.output()[-3000:]
        assert one.stop() == 0


@pytest.fixture
def api(node):
    return Http(node)


def raw(node, data: bytes, until_close=True) -> bytes:
    with socket.create_connection(("127.0.0.1", node.http_port), timeout=10) as s:
        s.sendall(data)
        answer = b""
        while chunk := s.recv(65536):
            answer += chunk
        return answer


def test_document_lives_and_dies(api, name):
    status, made = api("POST", f"/collections/{name}", {"_id": "anna", "n": 1})
    assert (status, made["document_id"], api.last.headers["Location"]) == (201, "anna", f"/collections/{name}/anna")
    tag = api.last.headers["ETag"]
    status, read = api("GET", f"/collections/{name}/anna")
    assert status == 200 and read["document"]["n"] == 1 and "_rev" not in read["document"] and api.last.headers["ETag"] == tag
    assert api("GET", f"/collections/{name}/anna", If_None_Match=tag) == (304, b"")
    assert api("POST", f"/collections/{name}", {"_id": "anna"})[0] == 409
    assert api("PATCH", f"/collections/{name}/anna", {"m": 2}, If_Match='"1"')[0] == 412
    assert api("PATCH", f"/collections/{name}/anna", {"m": 2}, If_Match=tag)[0] == 200
    assert api("PUT", f"/collections/{name}/anna", {"k": 3})[0] == 200
    document = api("GET", f"/collections/{name}/anna?bare=true")[1]
    assert document["k"] == 3 and "n" not in document and "m" not in document
    assert api("PUT", f"/collections/{name}/bob", {"k": 4})[0] == 201
    assert api("PUT", f"/collections/{name}/bob", {"k": 4}, If_None_Match="*")[0] == 412
    assert api("PUT", f"/collections/{name}/carl?merge=true", {"k": 4})[0] == 404
    assert api("DELETE", f"/collections/{name}/anna")[0] == 200
    assert api("DELETE", f"/collections/{name}/anna")[0] == 404
    status, problem = api("GET", f"/collections/{name}/anna")
    assert status == 404 and problem["status"] == 404 and problem["code"] == "NOT_FOUND" and problem["error"] == "Document not found"


def test_integers_binary_and_dates_come_back_exactly(api, name):
    document = {"_id": "x", "big": 2**63 - 1, "huge": 2**64 - 1, "small": -(2**63), "odd": 2**53 + 1, "real": 1.0, "text": "\u0000\"\\é😀",
                "binary": {"$binary": base64.b64encode(bytes(range(256))).decode()}, "date": {"$date": "2026-11-22T14:22:46.595872Z"}}
    assert api("POST", f"/collections/{name}", document)[0] == 201
    read = api("GET", f"/collections/{name}/x?bare=true")[1]
    assert {key: read[key] for key in document} == document and isinstance(read["real"], float)
    strings = api("GET", f"/collections/{name}/x?bare=true&bigints=string")[1]
    assert (strings["big"], strings["odd"], strings["real"]) == (str(2**63 - 1), str(2**53 + 1), 1.0)


@pytest.mark.parametrize("key", ["a/b", "a b", "100%", "ü", "query", "?x=1", "#", "..", "+", "a" * 1024])
def test_any_key_can_stand_in_a_path(api, name, key):
    path = f"/collections/{name}/" + "".join(f"%{byte:02x}" for byte in key.encode())
    assert api("PUT", path, {"n": 1})[0] == 201
    assert api("GET", path)[1]["document"]["_id"] == key
    assert api("DELETE", path)[0] == 200


def test_pages_follow_their_cursor(api, name):
    assert api("POST", f"/collections/{name}/bulk", {"documents": [{"_id": f"{i:03}", "n": i % 7} for i in range(25)]})[1]["count"] == 25
    for query in ("limit=10", "limit=10&sort=-n", "limit=5&filter=" + "%7B%22n%22%3A%7B%22%24lt%22%3A6%7D%7D"):
        path, seen = f"/collections/{name}?{query}", []
        for _ in range(10):
            status, page = api("GET", path)
            assert status == 200
            seen += [document["_id"] for document in page["documents"]]
            if page["next_cursor"] is None:
                break
            path = re.match(r"<(.*)>; rel=\"next\"", api.last.headers["Link"])[1]
        expected = [f"{i:03}" for i in range(25) if "filter" not in query or i % 7 < 6]
        assert sorted(seen) == expected, query
    status, lines = api("GET", f"/collections/{name}", Accept="application/x-ndjson")
    assert [json.loads(line)["_id"] for line in lines.splitlines()] == [f"{i:03}" for i in range(25)]
    assert api("POST", f"/collections/{name}/count", {"filter": {"n": 3}})[1]["count"] == 4


def test_large_result_streams_while_it_is_taken(api, node, name):
    text = "x" * 1000
    for start in range(0, 40_000, 10_000):
        documents = [{"_id": f"{i:06}", "text": text} for i in range(start, start + 10_000)]
        assert api("POST", f"/collections/{name}/bulk", documents)[0] == 201
    before = node.resident_bytes()
    connection = http.client.HTTPConnection("127.0.0.1", node.http_port, timeout=30)
    connection.request("GET", f"/collections/{name}", headers={"Accept": "application/x-ndjson"})
    answer = connection.getresponse()
    first = answer.readline()
    time.sleep(0.5)
    assert node.resident_bytes() - before < 60 << 20, "a reader that stops is waited for"
    count = 1 + sum(1 for _ in iter(answer.readline, b""))
    assert json.loads(first)["_id"] == "000000" and count == 40_000


def test_lines_are_stored_as_they_come(api, name):
    lines = [json.dumps({"_id": f"{i:05}", "n": i}) for i in range(3_000)]
    lines[7], lines[1_500] = "{broken", json.dumps({"_id": "00001"})
    body = "\r\n".join(lines[:100]) + "\n\n" + "\n".join(lines[100:])
    ndjson = {"Content-Type": "application/x-ndjson"}
    status, summary = api("POST", f"/collections/{name}/bulk", body, **ndjson)
    assert (status, summary["status"], summary["count"], summary["error_count"]) == (200, "partial", 2_998, 2)
    assert [(each["index"], each["code"]) for each in summary["errors"]] == [(7, "BAD_PAYLOAD"), (1_500, "DUPLICATE")]
    assert api("POST", f"/collections/{name}/count", {})[1]["count"] == 2_998
    status, told = api("POST", f"/collections/{name}/bulk", body, Accept="application/x-ndjson", **ndjson)
    told = [json.loads(line) for line in told.splitlines()]
    assert status == 200 and [each["index"] for each in told] == list(range(3_000))
    assert {each["status"] for each in told} == {409, 400} and told[3]["error"]["code"] == "DUPLICATE"
    status, told = api("POST", f"/collections/{name}/bulk", '{"a": 1}\n{"a": 2}', Accept="application/x-ndjson", **ndjson)
    assert all(json.loads(line)["status"] == 201 and json.loads(line)["id"] for line in told.splitlines())


def test_endless_body_of_lines_takes_bounded_memory(api, node, name):
    def lines():
        for start in range(0, 200_000, 1_000):
            yield "".join(f'{{"n": {i}, "text": "{"x" * 200}"}}\n' for i in range(start, start + 1_000)).encode()

    before = node.resident_bytes()
    api.connection.request("POST", f"/collections/{name}/bulk", lines(), {"Content-Type": "application/x-ndjson"}, encode_chunked=True)
    answer = json.loads(api.connection.getresponse().read())
    assert answer["count"] == 200_000 and node.resident_bytes() - before < 150 << 20


def test_merge_patch_takes_fields_away(api, name):
    api("POST", f"/collections/{name}", {"_id": "x", "a": 1, "b": {"c": 2, "d": 3}, "e": [1]})
    created = api("GET", f"/collections/{name}/x?bare=true")[1]["_created_at"]
    patch = {"a": None, "b": {"c": None, "f": 4}, "e": {"g": 5}, "_id": "y"}
    assert api("PATCH", f"/collections/{name}/x", patch, Content_Type="application/merge-patch+json")[0] == 200
    document = api("GET", f"/collections/{name}/x?bare=true")[1]
    assert {key: document.get(key) for key in ("a", "b", "e", "_id")} == {"a": None, "b": {"d": 3, "f": 4}, "e": {"g": 5}, "_id": "x"}
    assert "a" not in document and document["_created_at"] == created
    assert api("PATCH", f"/collections/{name}/no", patch, Content_Type="application/merge-patch+json")[0] == 404
    assert api("PATCH", f"/collections/{name}/x", patch, Content_Type="application/merge-patch+json", If_Match='"1"')[0] == 412


def test_merge_patch_with_upsert_makes_what_is_not_there(api, name):
    patch = {"a": 1, "b": {"c": None, "d": 2}, "e": None, "_id": "y"}
    merge = {"Content_Type": "application/merge-patch+json"}
    status, answer = api("PATCH", f"/collections/{name}/x?upsert=true", patch, **merge)[:2]
    assert (status, answer["message"]) == (201, "Document inserted")
    document = api("GET", f"/collections/{name}/x?bare=true")[1]
    assert {key: document.get(key) for key in ("_id", "a", "b")} == {"_id": "x", "a": 1, "b": {"d": 2}} and "e" not in document
    assert api("PATCH", f"/collections/{name}/x?upsert=true", {"a": 3}, **merge)[0] == 200
    assert api("GET", f"/collections/{name}/x?bare=true")[1]["a"] == 3
    assert api("PATCH", f"/collections/{name}/no?upsert=true", patch, If_Match="*", **merge)[0] == 412


def test_put_in_place_of_what_is_there_never_creates(node, name):
    """Only one thread creates, and only after its own delete: nobody else's PUT with If-Match: * may have been faster."""
    path = f"/collections/{name}/x"
    stop = threading.Event()
    answers = []

    def replace():
        api = Http(node)
        while not stop.is_set():
            answers.append(api("PUT", path, {"by": "replace"}, If_Match="*")[0])

    threads = [threading.Thread(target=replace) for _ in range(3)]
    [each.start() for each in threads]
    try:
        api = Http(node)
        for _ in range(300):
            assert api("PUT", path, {"by": "create"}, If_None_Match="*")[0] == 201
            assert api("DELETE", path)[0] == 200
    finally:
        stop.set()
        [each.join(30) for each in threads]
    assert set(answers) <= {200, 412}


def test_patches_at_the_same_time_all_count(node, name):
    Http(node)("PUT", f"/collections/{name}/x", {})

    def patch(number):
        api = Http(node)
        for index in range(20):
            while api("PATCH", f"/collections/{name}/x", {f"f{number}_{index}": index}, Content_Type="application/merge-patch+json")[0] == 429:
                pass

    threads = [threading.Thread(target=patch, args=(number,)) for number in range(4)]
    [each.start() for each in threads]
    [each.join(30) for each in threads]
    assert len(Http(node)("GET", f"/collections/{name}/x?bare=true")[1]) == 3 + 80


def test_slow_bodies_and_heads_are_not_waited_for(make_node, name):
    node = make_node("node", "--http-port", "0", "--frame-timeout", "1s", "--http-idle-timeout", "3s").start()
    start = time.monotonic()
    answer = raw(node, b"POST /collections/c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408") and b"REQUEST_TIMEOUT" in answer and time.monotonic() - start < 8
    assert raw(node, b"POST /coll") == b"" and time.monotonic() - start < 12
    assert Http(node)("GET", "/status")[0] == 200


def test_query_ends_with_its_client(api, node, name):
    documents = [{"n": i, "text": "x" * 100} for i in range(50_000)]
    for start in range(0, 50_000, 10_000):
        assert api("POST", f"/collections/{name}/bulk", documents[start:start + 10_000])[0] == 201
    with socket.create_connection(("127.0.0.1", node.http_port), timeout=10) as s:
        s.sendall(f"GET /collections/{name} HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n".encode())
        s.recv(1000)

    def streams():
        return api("GET", "/stats")[1]["stats"]["streams"]

    deadline = time.monotonic() + 10
    while streams() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert streams() == 0


def test_idempotency_key_makes_a_repeat_harmless(api, name):
    first = api("POST", f"/collections/{name}", {"n": 1}, Idempotency_Key="one")
    token = api.last.headers["X-Nexa-Token"]
    assert api("POST", f"/collections/{name}", {"n": 1}, Idempotency_Key="one") == first and api.last.headers["X-Nexa-Token"] == token
    assert api("POST", f"/collections/{name}/count", {})[1]["count"] == 1
    assert api("GET", f"/collections/{name}", X_Nexa_After=token)[0] == 200


def test_wrong_requests_are_problems(api, name):
    for method, path, body, headers, expected in [
        ("GET", "/nothing", None, {}, 404), ("GET", "/", None, {}, 404), ("GET", "//", None, {}, 404),
        ("PUT", "/health", None, {}, 405), ("POST", f"/collections/{name}", b"{\"a\":", {}, 400),
        ("POST", f"/collections/{name}", b"", {}, 400), ("POST", f"/collections/{name}", b"[1]", {}, 400),
        ("POST", f"/collections/{name}", b'{"a":1,"a":2}', {}, 400), ("POST", f"/collections/{name}", b'{"a":"\\ud800"}', {}, 400),
        ("POST", f"/collections/{name}", b'{"a":1e999}', {}, 400), ("POST", f"/collections/{name}", b"[" * 5000, {}, 400),
        ("POST", f"/collections/{name}", b'{"a":"\xff"}', {}, 400), ("POST", f"/collections/{name}", b"a=1", {"Content-Type": "text/plain"}, 415),
        ("POST", f"/collections/{name}", {"_id": ""}, {}, 422), ("POST", f"/collections/{name}", {"_id": "x" * 2000}, {}, 422),
        ("GET", f"/collections/{name}?limit=-1", None, {}, 400), ("GET", f"/collections/{name}?limit=x", None, {}, 400),
        ("GET", f"/collections/{name}?limit=99999999999999999999", None, {}, 400),
        ("GET", f"/collections/{name}?filter=%7B", None, {}, 400), ("GET", f"/collections/{name}?filter=1", None, {}, 400),
        ("GET", f"/collections/{name}?cursor=!!", None, {}, 400), ("GET", f"/collections/{name}?limit=1&limit=2", None, {}, 400),
        ("GET", f"/collections/{name}/%ff", None, {}, 400), ("GET", f"/collections/{name}/%2", None, {}, 400),
        ("GET", "/collections/1bad/x", None, {}, 400), ("GET", f"/collections/{name}?bigints=maybe", None, {}, 400),
        ("GET", f"/collections/{name}", None, {"X-Nexa-After": "soon"}, 400), ("GET", f"/collections/{name}", None, {"Accept": "image/png"}, 406),
        ("GET", f"/collections/{name}", None, {"Authorization": "Digest x"}, 401), ("POST", f"/collections/{name}/aggregate", {}, {}, 501),
        ("POST", f"/collections/{name}/query", {"filter": {"a": {"$foo": 1}}}, {}, 400), ("DELETE", f"/collections/{name}_none", None, {}, 404),
        ("GET", "/status", None, {"Host": "evil.example"}, 421), ("PATCH", f"/collections/{name}/x", {"$set": {}}, {}, 400),
    ]:
        status, problem = api(method, path, body, **headers)
        assert status == expected, (method, path, body, status, problem)
        assert problem["status"] == expected and problem["code"] and problem["detail"] == problem["error"], problem
        assert api.last.headers["Content-Type"] == "application/problem+json" and problem["request_id"] == api.last.headers["X-Request-Id"]
    assert api("GET", "/status")[0] == 200


def test_limits_of_size_are_seen_before_the_body(api, node, name):
    status, problem = api("POST", f"/collections/{name}", b"x" * 100, Content_Length=str(1 << 30))
    assert status == 413 and problem["code"] == "TOO_LARGE"
    head = f"POST /collections/{name} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", node.http_port), timeout=10) as s:
        s.sendall(head + b"5\r\nab")
        s.shutdown(socket.SHUT_WR)
        assert s.recv(65536).startswith(b"HTTP/1.1 400")
    answer = raw(node, b"GET /status HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 4")


def test_pipelined_requests_are_answered_in_order(node):
    asked = b"".join(f"GET /status HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: r{i}\r\n\r\n".encode() for i in range(20))
    answer = raw(node, asked + b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert re.findall(rb"X-Request-Id: r(\d+)", answer) == [str(i).encode() for i in range(20)]


def test_node_asks_for_a_log_in(make_node, tmp_path):
    node = make_node("node", "--http-port", "0", "--auth", "auto").start()
    anonymous = Http(node)
    status, made = anonymous("POST", "/users/create", {"username": "root", "password": "secret-secret", "role": "admin"})
    assert status == 201 and made["api_key"]
    assert anonymous("GET", "/collections")[0] == 401 and anonymous.last.headers["WWW-Authenticate"].startswith("Basic")
    assert anonymous("GET", "/health/live")[0] == 200 and anonymous("GET", "/metrics")[0] == 401
    root = Http(node, Authorization="Basic " + base64.b64encode(b"root:secret-secret").decode())
    assert root("GET", "/collections")[0] == 200 and "root" in root("GET", "/users")[1]["users"]
    assert Http(node, X_API_Key=made["api_key"])("GET", "/metrics")[0] == 200
    assert anonymous("POST", "/auth/login", {"username": "root", "password": "secret-secret"})[1]["role"] == "admin"
    assert anonymous("POST", "/auth/login", {"username": "root", "password": "wrong-wrong"})[0] == 401
    assert root("POST", "/users/create", {"username": "ann", "password": "secret-ann-x"})[0] == 201
    ann = Http(node, Authorization="Basic " + base64.b64encode(b"ann:secret-ann-x").decode())
    assert ann("GET", "/collections/c")[0] == 200 and ann("POST", "/collections/c", {})[0] == 403
    assert root("DELETE", "/users/ann")[0] == 200 and ann("GET", "/collections/c")[0] == 401


def test_requests_under_way_are_answered_when_the_node_stops(make_node):
    node = make_node("node", "--http-port", "0").start()
    answered, failed = [], []

    def write(number):
        api = Http(node)
        try:
            for index in range(100_000):
                if api("POST", "/collections/c", {"_id": f"{number}-{index}"})[0] == 201:
                    answered.append(f"{number}-{index}")
        except (OSError, http.client.HTTPException):
            failed.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    [each.start() for each in threads]
    time.sleep(1)
    assert node.stop() == 0
    [each.join(20) for each in threads]
    assert len(failed) == 4 and len(answered) > 100
    api = Http(node.start())
    assert api("POST", "/collections/c/count", {})[1]["count"] >= len(answered)
    for key in answered[-20:]:
        assert api("GET", f"/collections/c/{key}")[0] == 200


def test_ports_by_default(make_node):
    plain = make_node("plain").start()
    assert "HTTP on" not in plain.output(), "a node on another port than the usual one has no gateway"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        node = make_node("node", "--http-port", str(port))
        with pytest.raises(Exception, match="--no-http"):
            node.start()


def test_examples_of_the_docs_work(node, tmp_path):
    block = re.search(r"```sh\n(.*?)```", (ROOT / "docs/http.md").read_text(), re.S)[1].replace("6969", str(node.http_port))
    ran = subprocess.run(["bash", "-euo", "pipefail", "-c", block], capture_output=True, text=True, timeout=60, cwd=tmp_path,
                         env=environment())
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    assert "Anna" in ran.stdout and "next_cursor" in ran.stdout

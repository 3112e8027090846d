"""Connections of the HTTP gateway: when they go on, when they end, and what becomes of what is under way on them."""
import json
import os
import re
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from rig import wire
from rig.certificates import Authority
from rig.cluster import Cluster
from rig.node import Node
from test_http import Http

STATUS = b"GET /status HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with Node(tmp_path_factory.mktemp("connections") / "node", "--http-port", "0", "--memory", "64MiB", "--durability", "os",
              "--http-idle-timeout", "20s", "--frame-timeout", "2s", "--write-timeout", "2s") as one:
        yield one
        assert one.alive, one.output()[-3000:]
        assert one.stop() == 0


@pytest.fixture
def api(node):
    return Http(node)


def opened(node, timeout=10):
    return socket.create_connection(("127.0.0.1", node.http_port), timeout=timeout)


def until_end(peer) -> bytes:
    data = b""
    while more := peer.recv(1 << 16):
        data += more
    return data


@pytest.mark.parametrize("head", [
    b"GET /status HTTP/1.0\r\nHost: localhost\r\n\r\n", STATUS + b"Connection: close\r\n\r\n", STATUS + b"Connection: TE, Close\r\n\r\n"])
def test_the_last_answer_ends_the_connection_at_once(node, head):
    with opened(node, timeout=3) as peer:
        peer.sendall(head)
        answer = until_end(peer)
    assert answer.count(b"HTTP/1.") == 1 and re.search(rb"(?i)\r\nconnection: close\r\n", answer), answer


def test_clients_of_old_are_served_in_their_way(api, node, name):
    api("POST", f"/collections/{name}/bulk", [{"_id": str(n)} for n in range(50)])
    with opened(node, timeout=3) as peer:
        for _ in range(2):
            peer.sendall(b"GET /status HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
            assert re.search(rb"(?i)\r\nconnection: keep-alive\r\n", peer.recv(1 << 16))
        # No chunks: the end of the connection is the end of the lines.
        peer.sendall(f"GET /collections/{name} HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n"
                     f"Accept: application/x-ndjson\r\n\r\n".encode())
        head, lines = until_end(peer).split(b"\r\n\r\n", 1)
    assert b"chunked" not in head.lower() and len([json.loads(line) for line in lines.splitlines()]) == 50


def test_clients_of_old_are_taken_to_expect_nothing(node, name):
    for version, first in (("1.0", b"HTTP/1.0 201 "), ("1.1", b"HTTP/1.1 100 ")):
        with opened(node) as peer:
            peer.sendall(f"POST /collections/{name} HTTP/{version}\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"
                         "Connection: close\r\n\r\n{}".encode())
            assert until_end(peer).startswith(first)


def test_a_body_that_nobody_reads_is_taken_up_to_a_point(node):
    head = b"POST /nothing HTTP/1.1\r\nHost: localhost\r\n"
    with opened(node) as peer:
        peer.sendall(head + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000 + STATUS + b"Connection: close\r\n\r\n")
        assert re.findall(rb"HTTP/1.1 (\d+)", until_end(peer)) == [b"404", b"200"]
    with opened(node) as peer:
        peer.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        sent, started = 0, time.monotonic()
        with pytest.raises(ConnectionError):
            while time.monotonic() - started < 10:
                peer.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                sent += 65536
        assert sent < 64 << 20
    with opened(node) as peer:
        peer.sendall(head + b"Content-Length: 1000\r\n\r\nx")
        started = time.monotonic()
        assert b" 404 " in until_end(peer).splitlines()[0] and time.monotonic() - started < 6, "frame-timeout"


def test_a_reader_that_never_reads_is_left(api, node, name):
    for start in range(0, 20_000, 5_000):
        assert api("POST", f"/collections/{name}/bulk", [{"text": "x" * 1_000} for _ in range(5_000)])[0] == 201

    def connections():
        return int(re.search(r"(?m)^nexadb_http_connections (\d+)", api("GET", "/metrics")[1].decode())[1])

    before = connections()
    with opened(node) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.sendall(f"GET /collections/{name} HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n".encode())
        deadline = time.monotonic() + 15
        while connections() <= before and time.monotonic() < deadline:
            time.sleep(0.05)
        while connections() > before and time.monotonic() < deadline:
            time.sleep(0.1)
        assert connections() == before, "closed by write-timeout"


def test_a_query_that_finds_nothing_ends_with_its_client(api, node, name):
    documents = [{f"a{n}": n for n in range(60)}] * 10_000
    for _ in range(5):
        assert api("POST", f"/collections/{name}/bulk", documents)[0] == 201
    # Slow, and nothing is written before the end: no write fails when the client has gone.
    body = json.dumps({"filter": {"$or": [{f"b{n}": n} for n in range(400)]}})
    assert api("POST", f"/collections/{name}/query", body, X_Nexa_Timeout_Ms="1000")[0] == 504, "the scan takes too little time"

    def seconds() -> float:
        fields = Path(f"/proc/{node.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    with opened(node) as peer:
        peer.sendall(f"POST /collections/{name}/query HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n"
                     f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        deadline, before = time.monotonic() + 10, seconds()
        while seconds() - before < 0.2:
            assert time.monotonic() < deadline, "it has not begun"
            time.sleep(0.01)
    deadline = time.monotonic() + 8
    while True:
        before = seconds()
        time.sleep(0.5)
        if seconds() - before < 0.1:
            break
        assert time.monotonic() < deadline, "the node works on for nobody"


def test_pages_of_other_origins_change_nothing(api, node, name):
    body = json.dumps({"_id": "x"}).encode()
    own = f"http://127.0.0.1:{node.http_port}"
    for origin, expected in [("https://evil.example", 403), ("null", 403), (own + ".evil.example", 403), (own, 201)]:
        # As a page sends a Blob without a type: nobody asks before.
        with opened(node) as peer:
            peer.sendall(f"POST /collections/{name} HTTP/1.1\r\nHost: 127.0.0.1:{node.http_port}\r\nOrigin: {origin}\r\n"
                         f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
            assert int(until_end(peer).split()[1]) == expected, origin
    assert api("DELETE", f"/collections/{name}/x", Origin="https://evil.example")[0] == 403
    assert api("GET", f"/collections/{name}/x", Origin="https://evil.example")[0] == 200, "browsers keep the answer from the page"


def test_time_for_a_request_bounds_its_wait_for_a_position(api, name):
    api("POST", f"/collections/{name}", {"_id": "x"})
    epoch, lsn = api.last.headers["X-Nexa-Token"].split(":")
    started = time.monotonic()
    status, problem = api("GET", f"/collections/{name}/x", X_Nexa_After=f"{epoch}:{int(lsn) + 1000}", X_Nexa_Wait_Ms="15000",
                          X_Nexa_Timeout_Ms="200")
    assert (status, problem["code"]) == (503, "STALE_READ") and api.last.headers["Retry-After"] == "1"
    assert 0.15 < time.monotonic() - started < 5


def test_keys_for_repeats_are_each_one_s_own(api, name):
    first = api("POST", f"/collections/{name}", {"n": 1}, Idempotency_Key="1")[1]["document_id"]
    assert api("POST", f"/collections/{name}", {"n": 1}, Idempotency_Key="1")[1]["document_id"] == first
    other = api("POST", f"/collections/{name}_other", {"n": 2}, Idempotency_Key="1")
    assert other[0] == 201 and other[1]["document_id"] != first
    assert api("POST", f"/collections/{name}_other/count", {})[1]["count"] == 1
    assert api("POST", f"/collections/{name}/count", {})[1]["count"] == 1


def test_requests_and_bytes_are_counted(api, name):
    def figures():
        return dict(re.findall(r"(?m)^(nexadb_http_[^ ]+) (\d+)$", api("GET", "/metrics")[1].decode()))

    before = figures()
    api("POST", f"/collections/{name}", {"_id": "x", "text": "y" * 1000})
    for _ in range(3):
        api("GET", f"/collections/{name}/x")
    api("GET", f"/databases/default/collections/{name}/documents/no")
    api("GET", "/nothing/at/all")
    after = figures()

    def grown(name):
        return int(after.get(name, 0)) - int(before.get(name, 0))

    label = 'nexadb_http_requests_total{route="%s",method="%s",status="%d"}'
    assert grown(label % ("/collections/{collection}", "POST", 201)) == 1
    assert grown(label % ("/collections/{collection}/{id}", "GET", 200)) == 3
    assert grown(label % ("/collections/{collection}/{id}", "GET", 404)) == 1
    assert grown(label % ("other", "GET", 404)) == 1
    assert grown("nexadb_http_bytes_received_total") > 1_000 and grown("nexadb_http_bytes_sent_total") > 3_000


def test_conditions_are_compared_as_http_compares_them(api, name):
    path = f"/collections/{name}/x"
    api("PUT", path, {"n": 1})
    tag = api.last.headers["ETag"]
    assert api("GET", path)[0] == 200 and api.last.headers["ETag"] == tag
    for condition, expected in [(tag, 304), ("W/" + tag, 304), (f'"1", {tag}', 304), ("*", 304), ('"1"', 200), ('"other"', 200)]:
        assert api("GET", path, If_None_Match=condition)[0] == expected, condition
    for condition, expected in [(tag, 200), (f'"1", {tag}', 200), ("*", 200), ("W/" + tag, 412), ('"1", "2"', 412), ('"other"', 412)]:
        assert api("GET", path, If_Match=condition)[0] == expected, condition
    for method, body in [("PATCH", {"m": 1}), ("PUT", {"n": 2}), ("DELETE", None)]:
        for condition in ["W/" + tag, '"1", "2"', '"other"']:
            assert api(method, path, body, If_Match=condition)[0] == 412, (method, condition)
        assert api(method, path, body, If_Match="7")[0] == 400
        assert api(method, path, body, If_None_Match='"1"')[0] == 400, method
    assert api("PATCH", path, {"m": 1}, If_Match=f'"1", {tag}')[0] == 200
    tag = api.last.headers["ETag"]
    assert api("PUT", path, {"n": 2}, If_Match=f'{tag}, "1"')[0] == 200
    assert api("PATCH", path, {"m": 2}, If_Match=tag)[0] == 412, "an old tag"
    assert api("PATCH", path + "y?upsert=true", {"m": 2}, If_Match="*")[0] == 412 and api("GET", path + "y")[0] == 404
    assert api("DELETE", path, If_Match="*")[0] == 200 and api("DELETE", path, If_Match="*")[0] == 412


def test_answers_come_in_the_type_that_is_liked_best(api, name):
    api("POST", f"/collections/{name}", {"_id": "x"})
    for accept, expected in [
            ("application/x-ndjson", "application/x-ndjson"), ("application/x-ndjson, application/json;q=0.5", "application/x-ndjson"),
            ("application/json, application/x-ndjson;q=0.5", "application/json"), ("*/*", "application/json"),
            ("application/json;q=0, */*", "application/problem+json"), ("text/html", "application/problem+json")]:
        api("GET", f"/collections/{name}", Accept=accept)
        assert api.last.headers["Content-Type"] == expected, accept


def test_bodies_over_tls_have_their_time_and_hold_up_no_stop(make_node, tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.sign("node")
    node = make_node("node", "--http-port", "0", "--tls-cert", str(certificate), "--tls-key", str(key), "--frame-timeout", "1s",
                     "--write-timeout", "2s").start()
    begun = b"POST /collections/c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"

    def secured():
        return authority.context().wrap_socket(opened(node), server_hostname="localhost")

    with secured() as peer:
        peer.sendall(STATUS + b"Connection: close\r\n\r\n")
        assert until_end(peer).startswith(b"HTTP/1.1 200 ")
    with secured() as peer:
        started = time.monotonic()
        peer.sendall(begun)
        assert until_end(peer).startswith(b"HTTP/1.1 408 ") and time.monotonic() - started < 6
    with secured() as peer:
        peer.sendall(begun)
        assert node.stop() == 0


def test_a_body_that_does_not_come_takes_no_time_from_others_when_the_node_stops(make_node):
    node = make_node("node", "--http-port", "0", "--shutdown-timeout", "6s").start()
    with opened(node) as peer, node.wire() as client:
        peer.sendall(b"POST /collections/c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        end = time.monotonic() + 10
        while "nexadb_http_connections 1\n" not in node.http("/metrics")[1]:
            assert time.monotonic() < end, "the connection is not seen"
        assert client.ask(wire.PING, {}).type == wire.PONG
        started = time.monotonic()
        os.kill(node.pid, signal.SIGTERM)
        assert client.at_end() and time.monotonic() - started < 4, "what had nothing under way is closed at once"
        assert node.wait(20) == 0


def test_large_bodies_hold_up_no_other_connection(make_node, name, report):
    # One loop: all connections share it.
    node = make_node("node", "--http-port", "0", "--threads", "1", "--max-frame", "64MiB").start()
    body = b'{"ignored": [' + b",".join(b'{"n": %d, "text": "%s"}' % (n, b"x" * 40) for n in range(600_000)) + b"]}"
    large, other = Http(node), Http(node)
    other("GET", "/health/live")

    def share():
        """How much of the time that the body takes another waits in one piece."""
        took = []

        def load():
            started = time.monotonic()
            assert large("POST", f"/collections/{name}/count", body)[0] == 200
            took.append(time.monotonic() - started)

        thread = threading.Thread(target=load)
        thread.start()
        longest = 0.0
        while thread.is_alive():
            started = time.monotonic()
            assert other("GET", "/health/live")[0] == 200
            longest = max(longest, time.monotonic() - started)
        report(f"HTTP: a body of {len(body) >> 20} MiB took {took[0]:.2f} s, and others at most {longest * 1000:.0f} ms meanwhile")
        return longest / took[0]

    # A loop that is held is held each time; a machine that was busy elsewhere for a moment is not.
    assert any(share() < 0.5 for _ in range(3))


def test_a_client_hears_of_each_batch_before_it_sends_the_next(node, name):
    answered = b""
    with opened(node) as peer:
        peer.sendall(f"POST /collections/{name}/bulk HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
                     "Accept: application/x-ndjson\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode())
        for batch in range(3):
            lines = b"".join(b'{"_id": "%d-%d"}\n' % (batch, n) for n in range(1_000))
            peer.sendall(b"%x\r\n" % len(lines) + lines + b"\r\n")
            while answered.count(b'"status":201') < (batch + 1) * 1_000:
                more = peer.recv(1 << 16)
                assert more, answered[-500:]
                answered += more
        peer.sendall(b"0\r\n\r\n")
        answered += until_end(peer)
    assert answered.endswith(b"0\r\n\r\n") and b"error" not in answered


def test_lines_are_stored_once_under_a_key_however_they_arrive(node, name):
    body = "".join(json.dumps({"n": n, "text": "x" * (n % 700)}) + "\n" for n in range(3_000)).encode()

    def sent(pieces) -> bytes:
        with opened(node, timeout=20) as peer:
            peer.sendall(f"POST /collections/{name}/bulk HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
                         "Accept: application/x-ndjson\r\nIdempotency-Key: lines\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode())
            # All is sent first: 3,000 lines of answer fit into the buffers between.
            for piece in pieces:
                peer.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")
            peer.sendall(b"0\r\n\r\n")
            return until_end(peer)

    def ids(answer: bytes) -> list:
        return re.findall(rb'"id":"([^"]+)"', answer)

    first = ids(sent([body]))
    second = ids(sent([body[at:at + 9_973] for at in range(0, len(body), 9_973)]))
    assert len(first) == len(set(first)) == 3_000 and second == first
    assert Http(node)("POST", f"/collections/{name}/count", {})[1]["count"] == 3_000


def test_the_node_s_wish_for_slower_writes_is_passed_on(tmp_path):
    cluster = Cluster(tmp_path, 3, options=("--http-port", "0", "--lag-slow-time", "300ms", "--lag-refuse-time", "off"))
    try:
        cluster.start()
        leader, followers = cluster[0], cluster.nodes[1:]
        api = Http(leader)
        assert api("POST", "/collections/c", {"n": 1})[0] == 201 and api.last.headers["X-Nexa-Slow-Down"] is None
        for follower in followers:
            os.kill(follower.pid, signal.SIGSTOP)
        deadline, told = time.monotonic() + 15, None
        while told is None and time.monotonic() < deadline:
            assert api("POST", "/collections/c", {"n": 1})[0] == 201
            told = api.last.headers["X-Nexa-Slow-Down"]
        assert told == "1"
        for follower in followers:
            os.kill(follower.pid, signal.SIGCONT)
    finally:
        cluster.kill()


def test_bodies_share_what_the_node_may_buffer(make_node, name):
    node = make_node("node", "--http-port", "0", "--max-buffers", "8MiB", "--frame-timeout", "20s").start()
    head = f"POST /collections/{name} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16000000\r\n\r\n".encode()
    peers = [opened(node) for _ in range(3)]
    try:
        for peer in peers:
            try:
                peer.sendall(head + b" " * 5_000_000)
            except ConnectionError:
                pass
        refused = []
        for peer in peers:
            peer.settimeout(0.5)
            try:
                refused.append(peer.recv(1 << 16).split(b" ", 2)[1])
            except TimeoutError:
                pass
        assert b"429" in refused and set(refused) == {b"429"}
    finally:
        [peer.close() for peer in peers]
    api = Http(node)

    def buffered():
        return int(re.search(r"(?m)^nexadb_buffered_bytes (-?\d+)", api("GET", "/metrics")[1].decode())[1])

    deadline = time.monotonic() + 10
    while buffered() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert buffered() == 0
    assert api("POST", f"/collections/{name}", {"text": "x" * 1_000_000})[0] == 201


def test_answers_that_nobody_takes_share_what_the_node_may_buffer(make_node, name):
    node = make_node("node", "--http-port", "0", "--max-buffers", "8MiB", "--write-timeout", "20s", "--durability", "os").start()
    api = Http(node)
    for number in range(12):
        assert api("POST", f"/collections/{name}", {"_id": str(number), "text": "x" * 1_000_000})[0] == 201

    def buffered():
        return int(re.search(r"(?m)^nexadb_buffered_bytes (-?\d+)", api("GET", "/metrics")[1].decode())[1])

    peers = [opened(node) for _ in range(2)]
    try:
        for peer in peers:
            peer.sendall(f"GET /collections/{name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert peer.recv(15) == b"HTTP/1.1 200 OK", "and takes no more of it"
            if buffered() > 8 << 20:
                break
        assert buffered() > 8 << 20
        status, problem = api("GET", f"/collections/{name}")
        assert (status, problem["code"], api.last.headers["Retry-After"]) == (429, "OVERLOADED", "1")
        assert api("GET", f"/collections/{name}/1")[0] == 429 and api("GET", f"/collections/{name}?fields=_id")[0] == 200
        assert api("POST", f"/collections/{name}/count", {})[1]["count"] == 12
    finally:
        [peer.close() for peer in peers]
    deadline = time.monotonic() + 10
    while buffered() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert buffered() == 0 and api("GET", f"/collections/{name}")[1]["count"] == 12


def test_lines_that_max_frame_has_no_room_for_hold_up_no_others(make_node, name):
    api = Http(make_node("narrow", "--http-port", "0", "--max-frame", "4KiB", "--durability", "os").start())
    # Many that fit one by one, and grow when they become MessagePack; then large ones among small ones.
    lines = ['{"n": [%s]}' % ",".join(["-0"] * 120)] * 300 + ['{"n": 1}'] * 3 + ['{"text": "%s"}' % ("x" * 3_500)] + ['{"n": 1}', '{"text": "%s"}' % ("x" * 2_500)]
    status, loaded = api("POST", f"/collections/{name}/bulk", "\n".join(lines), Content_Type="application/x-ndjson")
    assert (status, loaded["count"], loaded["error_count"]) == (200, 305, 1), loaded
    assert [(error["index"], error["code"]) for error in loaded["errors"]] == [(303, "TOO_LARGE")]
    assert api("POST", f"/collections/{name}/count", {})[1]["count"] == 305

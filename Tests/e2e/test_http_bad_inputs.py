"""Bad input at the HTTP gateway, as bytes: each gets a refusal that names it, or its connection is closed, in bounded time; afterwards the
gateway answers others within a second, and has not grown."""
import random
import re
import socket
import ssl
import time

import pytest

from rig.node import Node
from rig.wire import CONNECT, request

GROWTH_LIMIT = 64 << 20
#: The node's limits of time in this file.
LIMITS = ("--frame-timeout", "700ms", "--http-idle-timeout", "1s")
GET = b"GET /status HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /collections/bad HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CLOSED = "closed"


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with Node(tmp_path_factory.mktemp("bad") / "node", "--http-port", "0", "--memory", "64MiB", *LIMITS) as one:
        yield one
        assert one.alive, one.output()[-3000:]
        assert one.stop() == 0


def exchange(node, *pieces: bytes, pause=0.0, ends=True, within=6.0) -> str:
    """The statuses that come back for these bytes, and `closed` where the other side closes; `open` where it does not."""
    with socket.create_connection(("127.0.0.1", node.http_port), timeout=within) as peer:
        answer, deadline = b"", time.monotonic() + within
        try:
            for piece in pieces:
                peer.sendall(piece)
                if pause:
                    time.sleep(pause)
            if ends:
                peer.shutdown(socket.SHUT_WR)
            while time.monotonic() < deadline:
                data = peer.recv(1 << 16)
                if not data:
                    break
                answer += data
            end = CLOSED
        except TimeoutError:
            end = "open"
        except OSError:
            end = CLOSED
    found = re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)
    return " ".join([*(each.decode() for each in found), end])


def hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    stream = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        stream.do_handshake()
    return outgoing.read()


CASES = {
    "nothing": (b"", CLOSED),
    "a line that is no request": (b"hello\r\n\r\n", "400 closed|closed"),
    "another protocol: NEXA": (request(CONNECT, {"dialect": "plain"}), "400 closed|closed"),
    "another protocol: TLS": (hello(), "400 closed|closed"),
    "another protocol: HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "(400|505) closed|closed"),
    "random bytes": (random.Random(7).randbytes(4096), "400 closed|closed"),
    "a method that nobody knows": (b"BREW /status HTTP/1.1\r\nHost: localhost\r\n\r\n", "(400|405|501) closed|closed"),
    "CONNECT": (b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", "(400|404|405|421) closed|closed"),
    "TRACE": (b"TRACE /status HTTP/1.1\r\nHost: localhost\r\n\r\n", "405 closed"),
    "OPTIONS *": (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", "(200|204|400|404|405) closed"),
    "a version that nobody knows": (b"GET /status HTTP/9.9\r\nHost: localhost\r\n\r\n", "(400|505) closed|closed"),
    "no Host": (b"GET /status HTTP/1.1\r\n\r\n", "400 closed"),
    "no Host, of old": (b"GET /status HTTP/1.0\r\n\r\n", "421 closed"),
    "a Host of somebody else": (b"GET /status HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421 closed"),
    "a Host that looks like loopback": (b"GET /status HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n", "421 closed"),
    "a Host behind a user": (b"GET /status HTTP/1.1\r\nHost: localhost@evil.example\r\n\r\n", "421 closed"),
    "a Host behind a user and a port": (b"GET /status HTTP/1.1\r\nHost: localhost:80@evil.example\r\n\r\n", "421 closed"),
    "two Hosts": (GET + b"Host: evil.example\r\n\r\n", "400 closed"),
    "one Host twice": (GET + b"host: localhost\r\n\r\n", "400 closed"),
    "another Host in the request's line": (b"GET http://evil.example/status HTTP/1.1\r\nHost: localhost\r\n\r\n", "421 closed"),
    "a user in the request's line": (b"GET http://localhost:1@evil.example/status HTTP/1.1\r\nHost: localhost\r\n\r\n", "(400|421) closed"),
    "NUL in the path": (b"GET /collections/a\0b HTTP/1.1\r\nHost: localhost\r\n\r\n", "400 closed|closed"),
    "NUL in a header": (GET + b"X: a\0b\r\n\r\n", "400 closed|closed"),
    "a header without a colon": (GET + b"nonsense\r\n\r\n", "400 closed|closed"),
    "a space before the colon": (GET + b"X : 1\r\n\r\n", "(200|400) closed|closed"),
    "a head of 200 KB": (GET + b"X: " + b"a" * 200_000 + b"\r\n\r\n", "(400|413|431) closed|closed"),
    "ten thousand headers": (GET + b"".join(b"X-%d: 1\r\n" % n for n in range(10_000)) + b"\r\n", "(400|413|431) closed|closed"),
    "a path of 200 KB": (b"GET /collections/" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", "(400|404|413|414|431) closed|closed"),
    "a body that ends early": (POST + b'Content-Length: 100\r\n\r\n{"a":', "400 closed|closed"),
    "a length that is no number": (POST + b"Content-Length: x\r\n\r\n{}", "400 closed|closed"),
    "a negative length": (POST + b"Content-Length: -1\r\n\r\n{}", "(400|413) closed|closed"),
    "a length beyond 64 bits": (POST + b"Content-Length: 99999999999999999999\r\n\r\n{}", "(400|413) closed|closed"),
    "a length of a terabyte": (POST + b"Content-Length: 1099511627776\r\n\r\n{}", "413 closed"),
    "two lengths": (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", "400 closed|closed"),
    "a length and chunks": (POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400 closed|closed"),
    "chunks and something else": (POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", "(400|501) closed|closed"),
    "a chunk's size that is no number": (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", "400 closed|closed"),
    "a chunk beyond 64 bits": (POST + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n{}", "(400|413) closed|closed"),
    "a chunk that is longer than it says": (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n", "400 closed|closed"),
    "chunks that never end": (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", "400 closed|closed"),
    "a body in another coding": (POST + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\0", "415 closed"),
    "an expectation that nobody knows": (GET + b"Expect: wonders\r\n\r\n", "(200|417) closed"),
    "a good request and a bad one behind it": (GET + b"\r\n" + b"nonsense\r\n\r\n", "200( 400)? closed"),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input(node, name):
    data, expected = CASES[name]
    got = exchange(node, data)
    assert re.fullmatch(expected, got), f"expected {expected}, got {got}"
    assert exchange(node, GET + b"Connection: close\r\n\r\n") == "200 closed"


def test_good_input_in_unusual_form(node):
    body = b'{"n": 1}'
    close = b"Connection: close\r\n\r\n"
    chunked = POST + b"Transfer-Encoding: chunked\r\n" + close + b"3;x=y\r\n" + body[:3] + b"\r\n5\r\n" + body[3:] + b"\r\n0\r\nTrailer: t\r\n\r\n"
    assert exchange(node, chunked, ends=False) == "201 closed"
    whole = POST + b"Content-Length: 8\r\n" + close + body
    assert exchange(node, *(whole[at:at + 1] for at in range(len(whole))), ends=False) == "201 closed"
    for target in (b"http://localhost/status", b"HTTP://LOCALHOST:80/status?x=1", b"/status?"):
        assert exchange(node, b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n" + close, ends=False) == "200 closed", target
    assert exchange(node, b"GET http://localhost HTTP/1.1\r\nHost: evil.example\r\n" + close, ends=False) == "404 closed", "the target rules"
    assert exchange(node, GET + close + b"what follows is nobody's", ends=False) == "200 closed"


def test_a_client_that_asks_first_is_told_to_go_on_or_refused_at_once(node):
    with socket.create_connection(("127.0.0.1", node.http_port), timeout=5) as peer:
        peer.sendall(POST + b"Content-Length: 8\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        assert peer.recv(1 << 16).startswith(b"HTTP/1.1 100 ")
        peer.sendall(b'{"n": 1}')
        assert peer.recv(1 << 16).startswith(b"HTTP/1.1 201 ")
    for refused, status in [
            (POST + b"Content-Length: 1099511627776\r\n", "413"), (POST.replace(b"localhost", b"evil.example") + b"Content-Length: 8\r\n", "421"),
            (POST.replace(b"/collections/bad", b"/nothing") + b"Content-Length: 8\r\n", "404")]:
        assert exchange(node, refused + b"Expect: 100-continue\r\nConnection: close\r\n\r\n", ends=False) == f"{status} {CLOSED}"


@pytest.mark.parametrize("case", ["head", "body", "chunks", "nothing"])
def test_a_slow_client_holds_nothing_for_long(node, case):
    begun = {"head": GET + b"X: ", "body": POST + b"Content-Length: 1000\r\n\r\n", "chunks": POST + b"Transfer-Encoding: chunked\r\n\r\n",
             "nothing": b""}[case]
    drip = {"head": b"a", "body": b" ", "chunks": b"1\r\n \r\n", "nothing": b""}[case]
    with socket.create_connection(("127.0.0.1", node.http_port), timeout=0.2) as peer:
        peer.sendall(begun)
        answer, started = b"", time.monotonic()
        while time.monotonic() - started < 8:
            try:
                peer.sendall(drip)
                data = peer.recv(1 << 16)
                if not data:
                    break
                answer += data
            except TimeoutError:
                continue
            except OSError:
                break
        took = time.monotonic() - started
    assert took < 7, f"still served after {took:.1f} s"
    assert not answer or answer.startswith(b"HTTP/1.1 408 ") or answer.startswith(b"HTTP/1.1 400 "), answer[:200]


def test_a_client_that_goes_away_in_the_middle_leaves_nothing(node):
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", node.http_port), timeout=5) as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            peer.sendall(POST + b'Content-Length: 100\r\n\r\n{"a":')
    assert exchange(node, GET + b"Connection: close\r\n\r\n") == "200 closed"


def test_memory_has_not_grown_with_bad_input(node, report):
    before = node.resident_bytes()
    for _ in range(5):
        for data, _ in CASES.values():
            exchange(node, data)
    grown = node.resident_bytes() - before
    report(f"bad HTTP: {len(CASES)} cases, memory {grown / 2**20:+.1f} MiB by five rounds of them")
    assert grown < GROWTH_LIMIT

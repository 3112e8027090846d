"""A blocking read by a thread that is alone takes a short way. Whatever comes instead of a plain answer, it ends as on the long one."""

import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from nexadb import ConnectionError, NexaClient, ServerError, TimeoutError
from nexadb._core.codec import encode
from nexadb._core.frames import ERROR, FLAG_SLOW_DOWN, HEADER, NOT_FOUND, SUCCESS, Request
from nexadb._sync import runner

GREETING = {"features": ["request_id", "compact"], "max_frame": 1 << 20, "role_in_cluster": "single"}


def answer(request_id, value, kind=SUCCESS, flags=0):
    body = struct.pack(">I", request_id) + encode(value)
    return HEADER.pack(b"NEXA", 1, kind, 1 | flags, len(body)) + body


class Scripted:
    """A node that answers the first READ of a connection properly and leaves the others to `script(send, ids)`, called with each new id.

    What is neither a greeting nor a BIND nor a READ goes to `others(send, kind, id)`.
    """

    def __init__(self, script, others=lambda send, kind, request_id: None):
        self.script, self.others, self.reads, self.ids = script, others, 0, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        # A client may end the connection with something unread, which resets it.
        with suppress(OSError), connection, connection.makefile("rb") as stream:
            is_first = True
            while len(header := stream.read(HEADER.size)) == HEADER.size:
                kind, flags, length = HEADER.unpack(header)[2:]
                body = stream.read(length)
                request_id = struct.unpack_from(">I", body)[0] if flags & 1 else 0
                if kind == Request.CONNECT:
                    body = encode(GREETING)
                    connection.sendall(HEADER.pack(b"NEXA", 1, SUCCESS, 0, len(body)) + body)
                elif kind == Request.BIND:
                    connection.sendall(answer(request_id, 1))
                elif kind == Request.READ and is_first:
                    is_first = False
                    connection.sendall(answer(request_id, {"_id": "first"}))
                elif kind == Request.READ:
                    self.reads += 1
                    self.ids.append(request_id)
                    if self.script(connection.sendall, self.ids) == "close":
                        return
                else:
                    self.others(connection.sendall, kind, request_id)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


@pytest.fixture
def asked(monkeypatch):
    """How often the short way was gone to its end or into trouble, so that a test knows that it tests it."""
    gone = []

    def counting(*arguments):
        known = arguments[0].link.next_id
        try:
            return runner_read_alone(*arguments)
        finally:
            gone.append(arguments[0].link.next_id != known)

    runner_read_alone = runner.read_alone
    monkeypatch.setattr(runner, "read_alone", counting)
    return gone


def client(node, **options):
    db = NexaClient(host="127.0.0.1", port=node.port, **options)
    assert db.get("c", "k") == {"_id": "first"}
    return db


def in_pieces(send, ids):
    data = answer(ids[-1], {"_id": "k"})
    send(data[:20])
    time.sleep(0.02)
    send(data[20:])


def behind_another(send, ids):
    send(answer(4_000_000, {"_id": "nobody"}) + answer(ids[-1], {"_id": "k"}))


def slowed(send, ids):
    send(answer(ids[-1], {"_id": "k"}, flags=FLAG_SLOW_DOWN))


def with_one_more(send, ids):
    send(answer(ids[-1], {"_id": "k"}) + answer(4_000_000, {"_id": "nobody"})[:14])


def before_last_words(send, ids):
    body = encode({"code": "SHUTTING_DOWN", "error": "the node is stopping"})
    send(answer(ids[-1], {"_id": "k"}) + HEADER.pack(b"NEXA", 1, ERROR, 0, len(body)) + body)


@pytest.mark.parametrize("script", [in_pieces, behind_another, slowed, with_one_more, before_last_words])
def test_an_answer_that_is_not_simply_there_is_found_all_the_same(script, asked):
    with Scripted(script) as node, client(node) as db:
        assert db.get("c", "k") == {"_id": "k"}
        assert asked == [True]
        assert node.reads == 1


def test_nothing_found_is_none_and_an_error_is_raised(asked):
    def script(send, ids):
        send(answer(ids[-1], {}, NOT_FOUND) if len(ids) == 1 else answer(ids[-1], {"code": "FORBIDDEN", "error": "no"}, ERROR))

    with Scripted(script) as node, client(node) as db:
        assert db.get("c", "k") is None
        with pytest.raises(ServerError, match="no"):
            db.get("c", "k")
        assert asked == [True, True]


def test_a_lost_connection_costs_one_more_attempt_and_not_two(asked):
    with Scripted(lambda send, ids: "close") as node, client(node) as db:
        assert db.get("c", "k") == {"_id": "first"}, "the first read of a new connection is answered"
        assert (asked, node.reads) == ([True], 1)
    with Scripted(lambda send, ids: "close") as node, client(node, retry_reads=False) as db:
        with pytest.raises(ConnectionError):
            db.get("c", "k")
        assert node.reads == 1


def test_a_read_that_is_over_shifts_no_answer(asked):
    def script(send, ids):
        if len(ids) == 2:
            send(answer(ids[0], {"_id": "late"}) + answer(ids[1], {"_id": "k"}))

    with Scripted(script) as node, client(node, timeout_ms=2000) as db:
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            db.get("c", "k")
        assert 1.9 < time.monotonic() - started < 15
        assert db.get("c", "k") == {"_id": "k"}
        assert asked[0]


def test_a_second_thread_may_be_answered_first():
    def script(send, ids):
        if len(ids) == 2:
            send(answer(ids[1], {"_id": "second"}))
            send(answer(ids[0], {"_id": "first"}))

    with Scripted(script) as node, client(node) as db, ThreadPoolExecutor(2) as threads:
        first = threads.submit(db.get, "c", "k")
        deadline = time.monotonic() + 10
        while node.reads < 1 and time.monotonic() < deadline:
            time.sleep(0.001)
        second = threads.submit(db.get, "c", "k")
        assert [first.result(10)["_id"], second.result(10)["_id"]] == ["first", "second"]

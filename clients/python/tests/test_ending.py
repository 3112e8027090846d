"""What ends what: a closed client, stream or writer leaves nobody waiting, and no thread, task or connection behind."""

import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager

import pytest
from faces import FLAVOURS, client
from test_alone import GREETING, Scripted

from nexadb import AsyncNexaClient, ClientOptions, ClosedError, NexaClient, ServerSelectionError, TimeoutError, UnknownOutcomeError
from nexadb._core.calls import Call
from nexadb._core.codec import encode
from nexadb._core.engine import Engine, clock
from nexadb._core.frames import HEADER, SUCCESS, Request
from nexadb._core.stream import StreamState
from nexadb._core.topology import Server
from nexadb._sync import connection as blocking
from nexadb.events import ConnectionEvent

each_flavour = pytest.mark.parametrize("flavour", FLAVOURS)
#: What never comes in these tests would come then.
LATE_SECONDS = 50


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.002)


async def coming_true(condition):
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("it did not come to that")


# Clients


@each_flavour
def test_a_closed_client_ends_its_change_streams(node, flavour):
    async def go():
        db = client(flavour, host="127.0.0.1", port=node.port)
        changes = db.watch()
        await changes.open()
        await db.disconnect()
        with pytest.raises(ClosedError):
            await changes.next(LATE_SECONDS * 1000)

    asyncio.run(go())


@each_flavour
def test_a_write_that_was_under_way_when_its_client_was_closed_has_an_unknown_outcome(flavour):
    async def go():
        with Scripted(None) as node:
            db = client(flavour, host="127.0.0.1", port=node.port)
            await db.connect()
            inner = getattr(db, "inner", db)
            if flavour == "sync":
                with ThreadPoolExecutor(1) as threads:
                    write = threads.submit(inner.create, "c", {})
                    until(lambda: inner._engine.in_flight)
                    until(inner._runner.pool.current.link.waiters)
                    inner.disconnect()
                    with pytest.raises(UnknownOutcomeError, match="closed"):
                        write.result(LATE_SECONDS)
                return
            write = asyncio.ensure_future(inner.create("c", {}))
            await coming_true(lambda: inner._engine.in_flight and inner._runner.pool.current.link.waiters())
            await inner.disconnect()
            with pytest.raises(UnknownOutcomeError, match="closed"):
                await asyncio.wait_for(write, LATE_SECONDS)

    asyncio.run(go())


@each_flavour
def test_a_name_that_is_none_is_tried_now_and_then_and_named_in_the_end(flavour):
    async def go():
        db = client(flavour, host="a" * 70, server_selection_timeout_ms=1000)
        events = []
        db.add_listener(events.append)
        with pytest.raises(ServerSelectionError):
            await db.ping()
        await db.disconnect()
        assert 1 <= len([each for each in events if isinstance(each, ConnectionEvent)]) < 30

    asyncio.run(go())


@each_flavour
def test_a_listener_that_fails_harms_no_operation_and_no_connection(node, flavour, caplog):
    def listener(event):
        raise ZeroDivisionError

    async def go():
        db = client(flavour, host="127.0.0.1", port=node.port)
        db.add_listener(listener)
        for _ in range(3):
            await db.ping()
        await db.disconnect()

    asyncio.run(go())
    # One connection, three operations.
    assert caplog.text.count("a listener failed") == 4


# Change streams


@each_flavour
def test_a_change_stream_that_finds_no_node_to_begin_with_says_so(flavour):
    async def go():
        db = client(flavour, "nexadb://127.0.0.1:1/?serverSelectionTimeoutMS=200")
        with pytest.raises(ServerSelectionError):
            await db.watch().open()
        await db.disconnect()

    asyncio.run(go())


def test_a_change_stream_that_is_closed_while_it_subscribes_leaves_no_connection():
    async def go():
        asked, granted, left = asyncio.Event(), asyncio.Event(), asyncio.Event()

        @asynccontextmanager
        async def subscription(call):
            asked.set()
            await granted.wait()
            try:
                yield None, (SUCCESS, 0, encode({"resume_token": b"t"}), None)
            finally:
                left.set()

        async with AsyncNexaClient() as db:
            changes = db.watch()
            changes._runner.subscription = subscription
            opening = asyncio.ensure_future(changes.open())
            await asked.wait()
            await changes.close()
            granted.set()
            with pytest.raises(ClosedError):
                await opening
            assert left.is_set()

    asyncio.run(asyncio.wait_for(go(), LATE_SECONDS))


def test_a_change_stream_that_another_thread_closes_while_it_subscribes_leaves_no_connection():
    asked, granted, left = threading.Event(), threading.Event(), threading.Event()

    @contextmanager
    def subscription(call):
        asked.set()
        assert granted.wait(LATE_SECONDS)
        try:
            yield None, (SUCCESS, 0, encode({"resume_token": b"t"}), None)
        finally:
            left.set()

    with NexaClient() as db, ThreadPoolExecutor(1) as threads:
        changes = db.watch()
        changes._runner.subscription = subscription
        opening = threads.submit(changes.open)
        assert asked.wait(LATE_SECONDS)
        changes.close()
        granted.set()
        with pytest.raises(ClosedError):
            opening.result(LATE_SECONDS)
        assert left.is_set()


# Bulk writers


def refusing(flavour, error=None):
    """A client whose operations end with this error, and how many there were."""
    db = client(flavour)
    runner, asked = getattr(db, "inner", db)._runner, []

    def run(call, timeout_ms=None):
        asked.append(call)
        raise error or AssertionError("something was sent")

    async def run_async(call, timeout_ms=None):
        run(call)

    runner.run = run_async if flavour == "async" else run
    return db, asked


@each_flavour
def test_a_batch_that_fails_as_a_whole_ends_the_writer_before_its_numbers_mean_other_items(flavour):
    async def go():
        db, asked = refusing(flavour, TimeoutError("no answer"))
        writer = db.collection("c").bulk_writer(ordered=False, batch_size=2)
        await writer.insert({"n": 0})
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await writer.insert({"n": 1})
        with pytest.raises(TimeoutError):
            await writer.flush()
        assert (writer.acknowledged, len(asked)) == (0, 1)

    asyncio.run(go())


@each_flavour
def test_a_writer_that_is_left_by_an_error_sends_nothing_more_and_leaves_nobody_behind(flavour):
    def is_watched():
        return any(each.name == "nexadb-bulk" for each in threading.enumerate()) or len(asyncio.all_tasks()) > 1

    async def go():
        db, asked = refusing(flavour)
        with pytest.raises(ZeroDivisionError):
            async with db.collection("c").bulk_writer(batch_ms=LATE_SECONDS * 1000) as writer:
                await writer.insert({})
                assert is_watched()
                raise ZeroDivisionError
        await coming_true(lambda: not is_watched())
        assert not asked

    asyncio.run(go())


# Threads that share a connection


def connected(node):
    return blocking.Connection.open(Engine(ClientOptions()), Server(("127.0.0.1", node.port)), None)


def test_a_thread_that_waits_for_more_of_a_stream_hears_that_it_was_closed():
    with Scripted(None) as node, ThreadPoolExecutor(2) as threads:
        connection = connected(node)
        sinks = [connection.open_stream(Call(Request.QUERY, None, "c", (encode({}),)), clock(), StreamState()) for _ in range(2)]
        waiting = [threads.submit(sink.next, clock() + LATE_SECONDS) for sink in sinks]
        until(lambda: connection._is_reading and connection._sleepers)
        for sink, each in zip(sinks, waiting, strict=True):
            sink.close()
            with pytest.raises(ClosedError):
                each.result(20)
        connection.close()


def test_nonsense_that_is_read_while_a_cancel_waits_to_leave_ends_the_connection():
    with Scripted(None) as node:
        connection = connected(node)
        sink = connection.open_stream(Call(Request.QUERY, None, "c", (encode({}),)), clock(), StreamState())
        waiter = blocking.Waiter()
        connection._submit(Call(Request.READ, None, "c", (encode("k"),)), waiter, clock())
        connection._hand_over()
        connection._channel = Full(connection._channel)
        sink.close()
        assert not connection.is_usable
        assert waiter.error is not None


def test_what_waits_to_leave_a_connection_with_tls_waits_encrypted():
    class Tls:
        def encrypted(self, data):
            return bytes(len(data))

    with Scripted(None) as node:
        connection = connected(node)
        channel, connection._channel, connection._tls = connection._channel, Full(connection._channel), Tls()
        call = Call(Request.READ, None, "c", (encode("k"),))
        call.deadline = clock()
        with pytest.raises(blocking.Expired):
            connection.exchange(call, clock())
        assert connection._unsent == bytes(len(connection._unsent))
        connection._channel = channel
        connection.close()


class Full:
    """A channel that takes nothing and brings nonsense."""

    def __init__(self, channel):
        self.shut, self.close = channel.shut, channel.close

    def send(self, data):
        return 0

    def wait(self, for_input, for_output, seconds):
        return True

    def receive(self, seconds):
        return b"HTTP/1.1 400 Bad Request"


def test_a_thread_that_is_interrupted_as_its_turn_to_read_comes_lets_another_one_read(monkeypatch):
    class Interrupted:
        """A lock at which the reader hands over, and then a signal arrives."""

        def __init__(self):
            self.is_held = False

        def acquire(self, timeout=None):
            if timeout is None:
                self.is_held = True
                return
            connection._hand_over()
            assert connection._is_reading, "this thread is to read now"
            raise KeyboardInterrupt

        def release(self):
            self.is_held = False

    with Scripted(None) as node:
        connection = connected(node)
        waiter = blocking.Waiter()
        connection.link.pending[1] = waiter
        connection._is_reading = True
        monkeypatch.setattr(blocking.threading, "Lock", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            connection.wait(waiter, clock() + LATE_SECONDS)
        monkeypatch.undo()
        assert not connection._is_reading
        assert not connection._sleepers
        connection.close()


def test_a_client_is_closed_though_a_thread_waits_for_its_node_to_take_more():
    listener = socket.create_server(("127.0.0.1", 0))
    is_over = threading.Event()

    def deaf():
        with listener, listener.accept()[0] as one:
            one.recv(1 << 16)
            body = encode(GREETING)
            one.sendall(HEADER.pack(b"NEXA", 1, SUCCESS, 0, len(body)) + body)
            is_over.wait(LATE_SECONDS)

    threading.Thread(target=deaf, daemon=True).start()
    with ThreadPoolExecutor(1) as threads:
        db = NexaClient(host="127.0.0.1", port=listener.getsockname()[1], timeout_ms=LATE_SECONDS * 1000)
        db.connect()
        connection = db._runner.pool.current
        waits = threading.Event()
        wait_to_write = connection._wait_to_write

        def waiting(deadline):
            waits.set()
            wait_to_write(deadline)

        connection._wait_to_write = waiting
        write = threads.submit(db.create, "c", {"text": "x" * (32 << 20)})
        assert waits.wait(LATE_SECONDS)
        started = time.monotonic()
        db.disconnect()
        with pytest.raises(UnknownOutcomeError):
            write.result(LATE_SECONDS)
        assert time.monotonic() - started < LATE_SECONDS / 2
    is_over.set()

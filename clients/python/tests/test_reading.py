"""A connection of the event loop, without its socket: when it reads, whom it tells what, and when it gives its node up.

A node that ignores its credit stops the reading, and only as long as somebody takes from the stream.
"""

import asyncio
from unittest.mock import patch

import pytest
from test_link import FEATURES, frame, sent

from nexadb import ClientOptions, ClosedError
from nexadb._async import connection
from nexadb._async.connection import LOST_SECONDS, PROBE_SECONDS, Connection
from nexadb._core.calls import Call
from nexadb._core.codec import encode
from nexadb._core.engine import Engine, clock
from nexadb._core.frames import ERROR, PONG, STREAM_CHUNK, STREAM_END, STREAM_START, SUCCESS, Request
from nexadb._core.retry import Sent
from nexadb._core.stream import INITIAL_CREDIT, StreamState
from nexadb._core.topology import Server

#: More than a node may be ahead.
FLOOD = 2 * INITIAL_CREDIT + 1


class Line(asyncio.Transport):
    """The node's end of the connection, in memory."""

    def __init__(self):
        super().__init__()
        self.is_reading = True
        self.written = b""

    def write(self, data):
        self.written += data

    def is_closing(self):
        return False

    def abort(self):
        pass

    def pause_reading(self):
        self.is_reading = False

    def resume_reading(self):
        self.is_reading = True


def read():
    call = Call(Request.READ, None, "c", (encode("k"),))
    call.deadline = clock() + 5
    return call


class Scene:
    """A connection with one stream whose node has sent `FLOOD` chunks at once."""

    def __init__(self):
        engine = Engine(ClientOptions())
        loop = asyncio.get_running_loop()
        self.connection = Connection(engine, Server(("127.0.0.1", 6970)), loop)
        self.connection._greeting = loop.create_future()
        self.line = Line()
        self.connection.connection_made(self.line)
        self.connection.data_received(frame(SUCCESS, {"features": FEATURES, "max_frame": 1 << 20, "role_in_cluster": "leader"}))
        self.line.written = b""
        self.call = Call(Request.QUERY, None, "c", (encode({}),))
        self.sink = self.connection.open_stream(self.call, clock(), StreamState())
        self.id = self.sink.request_id
        self.now = clock()
        self.receive(STREAM_START, {"stream": 1}, *[(STREAM_CHUNK, {"stream": 1, "documents": [{"_id": "k"}]})] * FLOOD)

    def receive(self, kind, value, *more):
        frames = [(kind, value), *more]
        self.connection.data_received(b"".join(frame(kind, value, self.id) for kind, value in frames))

    def pass_time(self, seconds):
        """As if so much time had passed, and the connection's timer had come."""
        self.now += seconds
        with patch.object(connection, "clock", lambda: self.now):
            self.connection._tick()


def scene(test):
    """The test as a coroutine with a Scene."""

    def run():
        async def go():
            await test(Scene())

        asyncio.run(asyncio.wait_for(go(), 10))

    run.__name__ = test.__name__
    return run


@scene
async def test_a_node_that_ignores_its_credit_is_read_as_its_reader_takes(scene):
    sink = scene.sink
    assert not scene.line.is_reading
    await sink.next(clock() + 1)
    assert scene.line.is_reading


@scene
async def test_a_stream_that_is_closed_with_a_backlog_lets_the_connection_read_on(scene):
    assert not scene.line.is_reading
    scene.sink.close()
    assert scene.line.is_reading


@scene
async def test_a_stream_that_is_dropped_with_a_backlog_lets_the_connection_read_on_with_the_next_request(scene):
    scene.sink.orphan()
    assert not scene.line.is_reading
    answer, _ = scene.connection.submit(read(), clock())
    assert scene.line.is_reading
    await asyncio.sleep(0)
    assert (Request.CANCEL, {"request_id": scene.id}) in [(kind, value) for kind, _, value in sent(scene.line.written)]
    answer.cancel()


@scene
async def test_a_stream_that_has_ended_stops_no_reading(scene):
    assert not scene.line.is_reading
    scene.receive(STREAM_END, {"stream": 1})
    assert scene.line.is_reading


@scene
async def test_reading_stops_for_one_stream_as_long_as_for_any(scene):
    other = scene.connection.open_stream(scene.call, clock(), StreamState())
    first, scene.id = scene.sink, other.request_id
    scene.receive(STREAM_START, {"stream": 2}, *[(STREAM_CHUNK, {"stream": 2, "documents": []})] * FLOOD)
    first.close()
    assert not scene.line.is_reading
    other.close()
    assert scene.line.is_reading


@scene
async def test_an_answer_in_one_piece_with_the_last_words_of_a_node_is_given_and_everyone_else_hears_of_the_end(scene):
    (answered, request_id), (other, _) = scene.connection.submit(read(), clock()), scene.connection.submit(read(), clock())
    last_words = frame(ERROR, {"code": "SHUTTING_DOWN", "error": "the node is stopping"})
    scene.connection.data_received(frame(SUCCESS, {"_id": "k"}, request_id) + last_words)
    assert (await answered)[0] == SUCCESS
    assert isinstance(other.exception(), Sent)


@scene
async def test_an_answer_in_one_piece_with_a_stream_that_makes_no_sense_reaches_its_request(scene):
    answered, request_id = scene.connection.submit(read(), clock())
    nonsense = frame(STREAM_START, {"stream": "none"}, scene.id)
    scene.connection.data_received(nonsense + frame(SUCCESS, {"_id": "k"}, request_id))
    assert isinstance(answered.exception(), Sent)


@scene
async def test_whoever_waits_for_more_of_a_stream_hears_that_it_was_closed(scene):
    other = scene.connection.open_stream(scene.call, clock(), StreamState())
    waiting = asyncio.ensure_future(other.next(clock() + 60))
    await asyncio.sleep(0)
    other.close()
    with pytest.raises(ClosedError):
        await waiting


@scene
async def test_a_node_that_answered_a_probe_is_not_given_up_at_the_next_slow_answer(scene):
    scene.sink.close()
    for _ in range(3):
        answered, request_id = scene.connection.submit(read(), scene.now)
        scene.connection.link.pending[request_id] = (answered, scene.now + 600)
        scene.line.written = b""
        scene.pass_time(PROBE_SECONDS + 0.1)
        await asyncio.sleep(0)
        (probe,) = [probe for kind, probe, _ in sent(scene.line.written) if kind == Request.PING]
        with patch.object(connection, "clock", lambda: scene.now):
            scene.connection.data_received(frame(PONG, {}, probe) + frame(SUCCESS, {"_id": "k"}, request_id))
        assert (await answered)[0] == SUCCESS
        scene.pass_time(100 * LOST_SECONDS)
    assert scene.connection.is_usable


@scene
async def test_a_silent_node_is_given_up_though_nobody_waits_for_it_long(scene):
    scene.sink.close()
    for _ in range(2 * int(LOST_SECONDS)):
        if scene.connection.is_usable:
            answered, request_id = scene.connection.submit(read(), scene.now)
            scene.connection.link.pending[request_id] = (answered, scene.now + 0.5)
            scene.pass_time(1)
            assert answered.exception() is not None
    assert not scene.connection.is_usable


@scene
async def test_a_node_that_takes_nothing_is_given_up_though_nothing_is_left_to_be_answered(scene):
    scene.sink.close()
    scene.connection._tick()
    assert scene.connection._timer is None
    scene.connection.pause_writing()
    waiting = asyncio.ensure_future(scene.connection.drained(float("inf")))
    await asyncio.sleep(0)
    assert scene.connection._timer is not None
    scene.pass_time(PROBE_SECONDS + 0.1)
    assert scene.connection.is_usable
    scene.pass_time(LOST_SECONDS)
    assert not scene.connection.is_usable
    await waiting

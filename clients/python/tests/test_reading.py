"""When a connection of the event loop reads: a node that ignores its credit stops it, and only as long as somebody takes from the stream."""

import asyncio

from test_link import FEATURES, frame, sent

from nexadb import ClientOptions
from nexadb._async.connection import Connection
from nexadb._core.calls import Call
from nexadb._core.codec import encode
from nexadb._core.engine import Engine, clock
from nexadb._core.frames import STREAM_CHUNK, STREAM_END, STREAM_START, SUCCESS, Request
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

    def pause_reading(self):
        self.is_reading = False

    def resume_reading(self):
        self.is_reading = True


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
        self.receive(STREAM_START, {"stream": 1}, *[(STREAM_CHUNK, {"stream": 1, "documents": [{"_id": "k"}]})] * FLOOD)

    def receive(self, kind, value, *more):
        frames = [(kind, value), *more]
        self.connection.data_received(b"".join(frame(kind, value, self.id) for kind, value in frames))


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
    read = Call(Request.READ, None, "c", (encode("k"),))
    read.deadline = clock() + 5
    answer, _ = scene.connection.submit(read, clock())
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

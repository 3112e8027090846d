"""Runs calls: chooses a connection, waits for the answer, tries again where `_core.retry` says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from .._core.calls import Call
from .._core.codec import decode
from .._core.engine import Engine, clock, documents_of
from .._core.frames import ERROR, SUCCESS, Request
from .._core.link import FLOOD_CHUNK_COUNT, Reply
from .._core.retry import NotSent, Sent, closed
from .._core.stream import StreamState
from .._core.topology import Server
from ..errors import ClosedError, NexaError
from ..types import Document
from .connection import Connection, Expired, Sink
from .pool import Pool


class Runner:
    def __init__(self, engine: Engine):
        self.engine = engine
        self._pool: Pool | None = None
        self._is_closed = False
        engine.on_fork = self._forget

    def _forget(self) -> None:
        """In a child process: connections belong to the parent."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.forget()

    @property
    def pool(self) -> Pool:
        """Made with the first operation, inside the event loop that runs it."""
        if self._is_closed:
            raise ClosedError("this client was closed")
        if self._pool is None:
            self._pool = Pool(self.engine)
        return self._pool

    async def connect(self) -> None:
        call = self.engine.call(Request.PING, None)
        now = clock()
        call.deadline = self.engine.deadline(None, now)
        await self.pool.select(call, now)

    async def close(self) -> None:
        self._is_closed = True
        if self._pool is not None:
            await self._pool.close()

    def read(
        self,
        collection: str,
        key: bytes,
        options: Mapping[str, Any] | None,
        database: str | None,
        preference: str | None,
        timeout_ms: int | None,
    ) -> Awaitable[Reply]:
        """The answer to READ for a packed key."""
        call = self.engine.call(Request.READ, collection, (key,), options, database=database, preference=preference)
        return self.run(call, timeout_ms)

    async def run(self, call: Call, timeout_ms: int | None = None) -> Reply:
        """The answer to a call. ERROR answers are raised."""
        engine = self.engine
        started = engine.begin(call, timeout_ms)
        server: Server | None = None
        failure: BaseException | None = None
        try:
            while True:
                pool = self._pool
                connection = None
                if pool is not None and call.preference == "primary" and not engine.pace.pause:
                    connection = pool.current
                if connection is None or not connection.is_usable:
                    connection = await self._connection(call, started)
                server = connection.server
                future, request_id = connection.submit(call, clock())
                server.in_flight += 1
                try:
                    reply = await future
                    if call.wants_position:
                        engine.answered(call, reply, connection.link.is_slowed)
                    if reply[0] != ERROR:
                        return reply
                    raise engine.refusal(reply)
                except asyncio.CancelledError:
                    connection.abandon(request_id)
                    raise
                except Expired:
                    raise engine.timed_out(call) from None
                except NexaError as error:
                    pause = self._after(call, connection, error)
                finally:
                    server.in_flight -= 1
                if pause:
                    await asyncio.sleep(pause)
        except BaseException as error:
            failure = error
            raise
        finally:
            engine.end(call, server, started, failure)

    async def open_stream(self, call: Call, timeout_ms: int | None, excess_max: int = FLOOD_CHUNK_COUNT) -> tuple[Sink, Reply]:
        """Starts a call whose result may come in pieces, and waits for the first of them. `excess_max`: see StreamState."""
        engine = self.engine
        started = engine.begin(call, timeout_ms)
        server: Server | None = None
        failure: BaseException | None = None
        try:
            while True:
                connection = await self._connection(call, started)
                server = connection.server
                try:
                    sink = connection.open_stream(call, clock(), StreamState(excess_max))
                    try:
                        reply = await sink.next(call.deadline)
                        engine.answered(call, reply)
                        if reply[0] == ERROR:
                            raise engine.refusal(reply)
                        return sink, reply
                    except BaseException:
                        sink.close()
                        raise
                except Expired:
                    raise engine.timed_out(call) from None
                except NexaError as error:
                    pause = self._after(call, connection, error)
                if pause:
                    await asyncio.sleep(pause)
        except BaseException as error:
            failure = error
            raise
        finally:
            engine.end(call, server, started, failure)

    def _after(self, call: Call, connection: Connection, error: NexaError) -> float:
        """Seconds until the next attempt. Raises when there is none."""
        if self._is_closed and isinstance(error, (Sent, NotSent)):
            raise closed(call) from error
        return self.pool.changed(lambda: self.engine.failed(call, connection.server, error, connection.link.has_op_ids, clock()))

    async def _connection(self, call: Call, started: float) -> Connection:
        if self._is_closed:
            raise closed(call)
        pool = self.pool
        if call.is_write and self.engine.pace.pause:
            await asyncio.sleep(self.engine.pace.pause)
        if call.preference == "primary" and (connection := pool.ready("primary")) is not None:
            return connection
        try:
            return await pool.select(call, started)
        except Expired:
            raise self.engine.timed_out(call) from None

    async def documents(self, call: Call, timeout_ms: int | None) -> list[Document]:
        """A whole result as a list, whether it comes in one piece or in many."""
        while True:
            sink, reply = await self.open_stream(call, timeout_ms, excess_max=0)
            if reply[0] == SUCCESS:
                return documents_of(decode(reply[2]))
            try:
                return await self._gathered(call, sink, reply)
            except Expired:
                raise self.engine.timed_out(call) from None
            except Sent as error:
                pause = self._after(call, sink.connection, error)
            finally:
                sink.close()
            await asyncio.sleep(pause)

    async def _gathered(self, call: Call, sink: Sink, reply: Reply) -> list[Document]:
        found: list[Document] = []
        while True:
            if reply[0] == ERROR:
                raise self.engine.refusal(reply)
            documents = sink.state.documents(reply)
            if documents is None:
                return found
            found += documents
            reply = await sink.next(call.deadline)

    @asynccontextmanager
    async def subscription(self, call: Call) -> AsyncGenerator[tuple[Sink, Reply], None]:
        """A connection of its own for a change stream, and the answer to the subscription."""
        started = clock()
        call.deadline = self.engine.deadline(None, started)
        chosen = await self.pool.select(call, started)
        connection = await self.pool.open(chosen.server)
        try:
            sink = connection.open_stream(call, clock(), StreamState())
            yield sink, await sink.next(call.deadline)
        finally:
            connection.close()

"""One connection on an event loop. What is sent within one turn of the loop leaves with one write.

Confined to its event loop. A request that waits has an entry in the link: a future, or a stream's sink, and the moment at which it is
given up. One timer serves all of them.
"""

from __future__ import annotations

import asyncio
import builtins
import ssl
from collections.abc import Callable

from .._core.calls import Call
from .._core.engine import Engine, clock
from .._core.link import Link, Reply
from .._core.retry import Sent
from .._core.stream import StreamState
from .._core.topology import Server
from ..errors import ClosedError, ConnectionError, NexaError, TimeoutError
from ..options import text_of

#: Silence, with requests waiting, after which a PING is sent, and after which the connection counts as lost.
PROBE_SECONDS, LOST_SECONDS = 2.0, 8.0
#: Change events that wait for their reader before reading stops.
_BACKLOG_MAX = 256
_NEVER = float("inf")


class Expired(TimeoutError):
    """The time of one waiting request is over. It never reaches the caller."""


class Sink:
    """Where the frames of a stream arrive."""

    __slots__ = ("_wake", "connection", "error", "request_id", "state")

    def __init__(self, connection: Connection, state: StreamState):
        self.connection, self.state = connection, state
        self.request_id = 0
        self.error: NexaError | None = None
        self._wake: asyncio.Future[None] | None = None

    def deliver(self, reply: Reply) -> None:
        self.state.deliver(reply)
        self._signal()
        if self.state.is_complete:
            self.connection.release(self)
        elif self.state.is_ahead or self.state.backlog > _BACKLOG_MAX:
            self.connection.pause(self)

    def fail(self, error: NexaError) -> None:
        self.error = error
        self._signal()

    def _signal(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def next(self, deadline: float) -> Reply:
        """The next frame, in order. Raises what ended the stream, or Expired."""
        if clock() >= deadline:
            raise Expired("a stream did not end in time")
        while not self.state:
            if self.error is not None:
                raise self.error
            self._wake = self.connection.loop.create_future()
            seconds = None if deadline == _NEVER else max(0.0, deadline - clock())
            done, _ = await asyncio.wait({self._wake}, timeout=seconds)
            if not done:
                raise Expired("a stream brought nothing in time")
        reply, is_credit_due = self.state.take()
        if is_credit_due:
            self.connection.credit(self.state)
        self.connection.resume(self)
        return reply

    def orphan(self) -> None:
        """As `close`, from a destructor: the connection's next turn carries it out."""
        if not self.state.is_complete and self.error is None:
            self.connection.link.orphans.append(self.request_id)

    def close(self) -> None:
        """Gives up what is still to come, and what is there."""
        self.connection.release(self)
        if not self.state.is_complete and self.error is None:
            self.connection.abandon(self.request_id)
            self.fail(ClosedError("this stream was closed"))


Entry = tuple["asyncio.Future[Reply] | Sink", float]


class Connection(asyncio.Protocol):
    def __init__(self, engine: Engine, server: Server, loop: asyncio.AbstractEventLoop):
        self.engine, self.server, self.loop = engine, server, loop
        self.link: Link[Entry] = Link(engine.options)
        #: Set by the pool that owns the connection.
        self.on_lost: Callable[[Connection, NexaError], None] = lambda connection, error: None
        self.on_full: Callable[[], None] = lambda: None
        self.is_usable = False
        self.is_retiring = False
        #: The node does not take what is sent, for now.
        self.is_full = False
        self._greeting: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._output: list[bytes] = []
        self._is_flush_due = False
        self._drained: asyncio.Future[None] | None = None
        self._paused_by: set[Sink] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = _NEVER
        self._heard_at = 0.0
        self._probed_at = 0.0
        self._closed = loop.create_future()

    # Life

    @staticmethod
    async def open(engine: Engine, server: Server, tls: ssl.SSLContext | None) -> Connection:
        """Connects and greets within `connectTimeoutMS`."""
        loop = asyncio.get_running_loop()
        connection = Connection(engine, server, loop)
        seconds = engine.options.connect_timeout_ms / 1000 or None
        try:
            await asyncio.wait_for(connection._open(tls), seconds)
        except (asyncio.TimeoutError, builtins.TimeoutError):
            connection.close()
            raise ConnectionError(f"{text_of(server.address)} did not answer within {seconds} s") from None
        except NexaError:
            connection.close()
            raise
        except (OSError, ssl.SSLError, UnicodeError) as error:
            connection.close()
            raise ConnectionError(f"cannot connect to {text_of(server.address)}: {error}") from error
        except BaseException:
            connection.close()
            raise
        return connection

    async def _open(self, tls: ssl.SSLContext | None) -> None:
        host, port = self.server.address
        self._greeting = self.loop.create_future()
        await self.loop.create_connection(lambda: self, host, port, ssl=tls, server_hostname=host if tls else None)
        await self._greeting

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._greeting is None or self._greeting.done():
            transport.abort()
            return
        transport.write(self.link.greeting())

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(ConnectionError(f"{text_of(self.server.address)} ended the connection" + (f": {exc}" if exc else "")))
        if not self._closed.done():
            self._closed.set_result(None)

    def _end(self, error: NexaError) -> None:
        """Nothing more will come: everyone who waits hears why."""
        was_usable, self.is_usable = self.is_usable, False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._greeting is not None and not self._greeting.done():
            self._greeting.set_exception(error)
            # Whoever waits for it hears of it; there may be nobody.
            self._greeting.exception()
        waiting = self.link.waiters()
        self.link.pending.clear()
        self._output.clear()
        for waiter, _ in waiting:
            lost = Sent(str(error))
            lost.__cause__ = error
            if isinstance(waiter, Sink):
                waiter.fail(lost)
            elif not waiter.done():
                waiter.set_exception(lost)
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if was_usable:
            self.on_lost(self, error)

    def close(self, error: NexaError | None = None) -> None:
        self._flush()
        if self._transport is not None:
            if error is None:
                self._transport.close()
            else:
                self._transport.abort()
        self._end(error or ConnectionError("this client closed the connection"))

    async def wait_closed(self) -> None:
        if self._transport is not None:
            await asyncio.wait({self._closed}, timeout=1)
            if not self._closed.done():
                self._transport.abort()

    def retire(self) -> None:
        """Closes once nothing waits any more."""
        self.is_retiring = True
        if not self.link.waiters():
            self.close()

    # Requests

    def submit(self, call: Call, now: float) -> tuple[asyncio.Future[Reply], int]:
        future: asyncio.Future[Reply] = self.loop.create_future()
        frame, request_id = self.engine.submit(self.link, call, (future, call.deadline), now)
        if self.link.orphans:
            frame += self._abandon_orphans()
        if self._is_flush_due:
            self._output.append(frame)
        else:
            self._send(frame)
        if call.deadline < self._timer_at or self._timer is None:
            self._arm(min(call.deadline, now + PROBE_SECONDS), now)
        return future, request_id

    def open_stream(self, call: Call, now: float, state: StreamState) -> Sink:
        sink = Sink(self, state)
        frame, sink.request_id = self.engine.submit(self.link, call, (sink, _NEVER), now)
        self._send(frame)
        if self._timer is None:
            self._arm(now + PROBE_SECONDS, now)
        return sink

    def abandon(self, request_id: int) -> None:
        self._send(self.link.abandon(request_id))

    def credit(self, state: StreamState) -> None:
        if state.stream is not None:
            self._send(self.link.credit(state.stream, 1))

    def _send(self, frame: bytes) -> None:
        if not frame or self._transport is None:
            return
        self._output.append(frame)
        if not self._is_flush_due:
            if len(self.link.pending) == 1:
                self._flush()
                return
            self._is_flush_due = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        if self._output and self._transport is not None:
            data = self._output[0] if len(self._output) == 1 else b"".join(self._output)
            self._output.clear()
            self._transport.write(data)

    def pause_writing(self) -> None:
        self.is_full = True
        self.on_full()
        self._drained = self.loop.create_future()
        if self._timer is None:
            now = clock()
            self._arm(now + PROBE_SECONDS, now)

    def resume_writing(self) -> None:
        self.is_full = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    async def drained(self, deadline: float) -> None:
        """Waits while the node does not take what is sent."""
        while self._drained is not None and self.is_usable:
            seconds = None if deadline == _NEVER else max(0.0, deadline - clock())
            done, _ = await asyncio.wait({self._drained}, timeout=seconds)
            if not done:
                raise Expired("the node takes nothing")

    # Answers

    def data_received(self, data: bytes) -> None:
        try:
            if not self.is_usable:
                self._greeted(data)
                return
            self._heard_at = clock()
            for (waiter, _), reply in self.link.receive(data):
                if isinstance(waiter, Sink):
                    waiter.deliver(reply)
                elif not waiter.done():
                    waiter.set_result(reply)
        except NexaError as error:
            self.close(error)
        if self.is_retiring and not self.link.waiters():
            self.close()

    def _greeted(self, data: bytes) -> None:
        if self._greeting is None or self._greeting.done():
            return
        if self.link.greeted(data) is not None:
            self.is_usable = True
            self._heard_at = clock()
            self._greeting.set_result(None)

    def pause(self, sink: Sink) -> None:
        """Stops reading for a stream whose reader is behind a node that ignores its credit."""
        if self._transport is not None and not self._paused_by:
            self._transport.pause_reading()
        self._paused_by.add(sink)

    def resume(self, sink: Sink) -> None:
        """Reads on for a stream whose reader has caught up."""
        if not (sink.state.is_ahead and sink.state):
            self.release(sink)

    def release(self, sink: Sink) -> None:
        """Reads on, as far as this stream goes: nobody takes what waits in it, or nothing more will come."""
        if sink in self._paused_by:
            self._paused_by.discard(sink)
            if not self._paused_by and self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    def _abandon_orphans(self) -> bytes:
        for sink in [each for each in self._paused_by if each.request_id in self.link.orphans]:
            self.release(sink)
        return self.link.abandon_orphans()

    # Time

    def _arm(self, at: float, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self.loop.call_later(max(0.0, at - now), self._tick)

    def _tick(self) -> None:
        self._timer, self._timer_at = None, _NEVER
        if self.link.orphans:
            self._send(self._abandon_orphans())
        now, earliest = clock(), _NEVER
        is_waiting, has_waited = self.is_full, False
        for request_id, entry in list(self.link.pending.items()):
            if not isinstance(entry, tuple):
                continue
            waiter, deadline = entry
            if deadline <= now:
                has_waited = True
                self.abandon(request_id)
                if not isinstance(waiter, Sink) and not waiter.done():
                    waiter.set_exception(Expired("no answer in time"))
            else:
                is_waiting = True
                earliest = min(earliest, deadline)
        if (is_waiting or has_waited) and self.is_usable:
            self._probe(now)
        if is_waiting and self.is_usable:
            self._arm(min(earliest, now + PROBE_SECONDS), now)

    def _probe(self, now: float) -> None:
        silence = now - self._heard_at
        if self._paused_by or silence < PROBE_SECONDS:
            return
        if self._probed_at <= self._heard_at:
            self._probed_at = now
            self._send(self.link.ping())
        elif now - self._probed_at > LOST_SECONDS - PROBE_SECONDS:
            self.close(ConnectionError(f"{text_of(self.server.address)} has been silent for {silence:.0f} s"))

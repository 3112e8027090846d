"""One connection for any number of threads. Nobody reads in the background: of the threads that wait, one reads for all, and hands that on
when its own answer is there. A single thread that asks and waits so pays for no switch of threads.

Locks, in the order of taking: `_send_lock` orders what leaves; `_lock` guards the link and who reads. No lock is held while waiting for input,
and `_lock` never while writing.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable

from .._core.calls import Call
from .._core.engine import Engine, clock
from .._core.link import Link, Reply
from .._core.retry import NotSent, Sent
from .._core.stream import StreamState
from .._core.tls import TlsStream
from .._core.topology import Server
from ..errors import ClosedError, ConnectionError, NexaError, TimeoutError
from ..options import text_of
from .channel import TICK_SECONDS, Channel

PROBE_SECONDS, LOST_SECONDS = 2.0, 8.0
#: A connection that was idle for so long is looked at before it is used, since its node may be gone.
IDLE_SECONDS = 0.2
_NEVER = float("inf")


class Expired(TimeoutError):
    """The time of one waiting request is over. It never reaches the caller."""


class Waiter:
    """Who waits for one answer. `wake` is held while its thread sleeps."""

    # Class attributes, since most waiters change few of them.
    reply: Reply | None = None
    error: NexaError | None = None
    is_ready = is_promoted = False
    wake: threading.Lock | None = None

    def deliver(self, reply: Reply) -> None:
        self.reply, self.is_ready = reply, True

    def fail(self, error: NexaError) -> None:
        self.error, self.is_ready = error, True


class Sink(Waiter):
    """Where the frames of a stream arrive."""

    def __init__(self, connection: Connection, state: StreamState):
        self.connection, self.state = connection, state
        self.request_id = 0

    def deliver(self, reply: Reply) -> None:
        self.state.deliver(reply)
        self.is_ready = bool(self.state)

    def next(self, deadline: float) -> Reply:
        """The next frame, in order. Raises what ended the stream, or Expired."""
        return self.connection.next(self, deadline)

    def close(self) -> None:
        """Gives up what is still to come."""
        if not self.state.is_complete and self.error is None:
            self.connection.give_up(self)

    def orphan(self) -> None:
        """As `close`, from a destructor, which may run anywhere: the next request that leaves carries it out."""
        if not self.state.is_complete and self.error is None:
            self.connection.link.orphans.append(self.request_id)


class Connection:
    def __init__(self, engine: Engine, server: Server, channel: Channel, tls: TlsStream | None):
        self.engine, self.server = engine, server
        self.link: Link[Waiter] = Link(engine.options)
        #: Set by the pool that owns the connection.
        self.on_lost: Callable[[Connection, NexaError], None] = lambda connection, error: None
        self.is_usable = True
        self._channel, self._tls = channel, tls
        self._unsent = b""
        self._send_lock, self._lock = threading.Lock(), threading.Lock()
        self._is_reading = False
        self._sleepers: dict[Waiter, None] = {}
        self._heard_at = clock()
        self._probed_at = 0.0

    # Life

    @staticmethod
    def open(engine: Engine, server: Server, context: ssl.SSLContext | None) -> Connection:
        """Connects and greets within `connectTimeoutMS`."""
        seconds = engine.options.connect_timeout_ms / 1000 or None
        deadline = clock() + seconds if seconds else _NEVER
        try:
            channel = Channel(socket.create_connection(server.address, seconds))
        except (OSError, UnicodeError) as error:
            raise ConnectionError(f"cannot connect to {text_of(server.address)}: {error}") from error
        try:
            tls = TlsStream(context, server.address[0]) if context is not None else None
            connection = Connection(engine, server, channel, tls)
            if tls is not None:
                connection._shake_hands(tls, deadline)
            connection._greet(deadline)
        except Expired:
            channel.close()
            raise ConnectionError(f"{text_of(server.address)} did not answer within {seconds} s") from None
        except NexaError:
            channel.close()
            raise
        except OSError as error:
            channel.close()
            raise ConnectionError(f"cannot connect to {text_of(server.address)}: {error}") from error
        except BaseException:
            channel.close()
            raise
        return connection

    def _shake_hands(self, tls: TlsStream, deadline: float) -> None:
        is_over, output = tls.shake_hands(b"")
        while True:
            self._write(output, deadline)
            if is_over:
                return
            is_over, output = tls.shake_hands(self._read_raw(deadline))

    def _greet(self, deadline: float) -> None:
        self._send(self.link.greeting(), deadline)
        while True:
            data = self._read_raw(deadline)
            if self._tls is not None:
                data = self._tls.decrypted(data)
            if data and self.link.greeted(data) is not None:
                return

    def _read_raw(self, deadline: float) -> bytes:
        """At least one byte, before anybody else uses this connection."""
        while True:
            data = self._channel.receive(deadline - clock())
            if data:
                return data
            if data is not None:
                raise ConnectionError(f"{text_of(self.server.address)} ended the connection")
            if clock() >= deadline:
                raise Expired("no answer in time")

    def close(self, error: NexaError | None = None) -> None:
        self._end(error or ConnectionError("this client closed the connection"))

    def forget(self) -> None:
        """In a child process: gives up the descriptor; the connection is the parent's."""
        self.is_usable = False
        self._channel.socket.close()

    def retire(self) -> None:
        """Closes when nothing waits any more; until then it serves those that wait."""
        with self._lock:
            is_busy = bool(self.link.waiters())
        if not is_busy:
            self.close()

    def _end(self, error: NexaError) -> None:
        """Nothing more will come: everyone who waits hears why."""
        with self._lock:
            was_usable, self.is_usable = self.is_usable, False
            if not was_usable:
                return
            for waiter in self.link.waiters():
                lost = Sent(str(error))
                lost.__cause__ = error
                waiter.fail(lost)
            self.link.pending.clear()
            for waiter in self._sleepers:
                if waiter.wake is not None:
                    waiter.wake.release()
            self._sleepers.clear()
        self._channel.shut()
        with self._send_lock:
            self._channel.close()
        self.on_lost(self, error)

    # Requests

    def exchange(self, call: Call, now: float) -> Reply:
        """Sends a call and waits for its answer."""
        waiter = Waiter()
        request_id, reads = self._submit(call, waiter, now)
        return self._answer(waiter, request_id, reads, call.deadline)

    def _answer(self, waiter: Waiter, request_id: int, reads: bool, deadline: float, data: bytes = b"") -> Reply:
        """Waits for the answer to what was sent. `reads`: this thread is the one that reads, and has read `data`."""
        try:
            if reads:
                self._read_for(waiter, deadline, data)
            elif not waiter.is_ready:
                self.wait(waiter, deadline)
        except BaseException:
            self.abandon(request_id)
            raise
        if waiter.reply is not None:
            return waiter.reply
        assert waiter.error is not None
        raise waiter.error

    def open_stream(self, call: Call, now: float, state: StreamState) -> Sink:
        sink = Sink(self, state)
        sink.request_id, reads = self._submit(call, sink, now)
        if reads:
            self._hand_over()
        return sink

    def next(self, sink: Sink, deadline: float) -> Reply:
        if clock() >= deadline:
            raise Expired("a stream did not end in time")
        self.wait(sink, deadline)
        with self._lock:
            if not sink.state:
                assert sink.error is not None
                raise sink.error
            reply, is_credit_due = sink.state.take()
            sink.is_ready = bool(sink.state) or sink.error is not None
            frame = self.link.credit(sink.state.stream, 1) if is_credit_due and sink.state.stream is not None else b""
        if frame:
            self._send_quietly(frame)
        return reply

    def abandon(self, request_id: int) -> None:
        with self._lock:
            frame = self.link.abandon(request_id)
        if frame:
            self._send_quietly(frame)

    def give_up(self, sink: Sink) -> None:
        """Abandons a stream. A thread that waits for more of it hears of that."""
        with self._lock:
            frame = self.link.abandon(sink.request_id)
            sink.fail(ClosedError("this stream was closed"))
            self._wake(sink)
        if frame:
            self._send_quietly(frame)

    def _submit(self, call: Call, waiter: Waiter, now: float) -> tuple[int, bool]:
        """Sends a call. Its id, and whether this thread has become the one that reads."""
        if now - self._heard_at > IDLE_SECONDS:
            self._look_after_idling()
        problem: NexaError
        link = self.link
        with self._send_lock:
            with self._lock:
                if not self.is_usable:
                    raise NotSent("the connection was lost before the request left")
                frame, request_id = self.engine.submit(link, call, waiter, now)
                if link.orphans:
                    frame += link.abandon_orphans()
                reads = not self._is_reading
                self._is_reading = True
            try:
                if self._tls is not None:
                    frame = self._tls.encrypted(frame)
                count = 0 if self._unsent else self._channel.send(frame)
                if count < len(frame):
                    if reads:
                        reads = False
                        self._hand_over()
                    self._write_rest(frame, count, call.deadline)
                return request_id, reads
            except Expired:
                with self._lock:
                    cancel = self.link.abandon(request_id)
                self._unsent += self._tls.encrypted(cancel) if cancel and self._tls is not None else cancel
                raise
            except OSError as error:
                problem = ConnectionError(f"{text_of(self.server.address)}: {error}")
            except BaseException:
                if reads:
                    self._hand_over()
                raise
        # The waiter hears of it as everybody else does.
        self._end(problem)
        return request_id, reads

    def _look_after_idling(self) -> None:
        """Notices that the node has closed this connection, unless somebody reads anyway."""
        with self._lock:
            if self._is_reading or not self.is_usable:
                return
            self._is_reading = True
        try:
            self._receive(0.0)
        except NexaError as error:
            self._end(error)
        finally:
            self._hand_over()

    # Output

    def _send_quietly(self, frame: bytes) -> None:
        """Sends what has no waiter. A failure shows itself to those that wait."""
        try:
            self._send(frame, clock() + PROBE_SECONDS)
        except Expired:
            pass
        except ConnectionError as error:
            # It was read meanwhile, and is not there to be read again.
            self._end(error)
        except OSError:
            pass

    def _send(self, frame: bytes, deadline: float) -> None:
        with self._send_lock:
            self._send_locked(frame, deadline)

    def _send_locked(self, frame: bytes, deadline: float) -> None:
        self._write(frame if self._tls is None else self._tls.encrypted(frame), deadline)

    def _write(self, data: bytes, deadline: float) -> None:
        self._write_rest(data, 0, deadline)

    def _write_rest(self, data: bytes, count: int, deadline: float) -> None:
        """Writes what follows the first `count` bytes, or keeps what is left for the next one who writes.

        So half a frame is never followed by another.
        """
        if self._unsent:
            data, count = self._unsent + data[count:], 0
        try:
            count += self._channel.send(memoryview(data)[count:])
            while count < len(data):
                self._wait_to_write(deadline)
                count += self._channel.send(memoryview(data)[count:])
        finally:
            self._unsent = data[count:]

    def _wait_to_write(self, deadline: float) -> None:
        """Waits until the node takes more. Meanwhile this thread reads, if nobody does: the node may wait for that."""
        remaining = deadline - clock()
        if remaining <= 0:
            raise Expired("the node takes nothing")
        with self._lock:
            reads = not self._is_reading and self.link.info is not None
            self._is_reading = self._is_reading or reads
        try:
            if self._channel.wait(reads, True, min(remaining, TICK_SECONDS)):
                self._receive(0.0)
        finally:
            if reads:
                self._hand_over()

    # Input

    def wait(self, waiter: Waiter, deadline: float) -> None:
        """Returns once the waiter is ready. Raises Expired."""
        wake: threading.Lock | None = None
        with self._lock:
            if waiter.is_ready:
                return
            if not self.is_usable:
                raise NotSent("the connection was lost")
            if self._is_reading:
                wake = waiter.wake = threading.Lock()
                wake.acquire()
                self._sleepers[waiter] = None
            else:
                self._is_reading = True
        if wake is not None:
            seconds = -1 if deadline == _NEVER else max(0.0, deadline - clock())
            try:
                wake.acquire(timeout=seconds)
            except BaseException:
                if self._is_promoted(waiter):
                    self._hand_over()
                raise
            if not self._is_promoted(waiter):
                if waiter.is_ready:
                    return
                raise Expired("no answer in time")
        self._read_for(waiter, deadline)

    def _is_promoted(self, waiter: Waiter) -> bool:
        """Whether a waiter that sleeps no more is now the one that reads."""
        with self._lock:
            self._sleepers.pop(waiter, None)
            is_reader, waiter.is_promoted = waiter.is_promoted, False
            return is_reader

    def _read_for(self, waiter: Waiter, deadline: float, data: bytes = b"") -> None:
        """Reads for all until this waiter is ready. `data` was read already."""
        try:
            if data:
                try:
                    with self._lock:
                        self._deliver(data)
                except NexaError as error:
                    self._end(error)
            while not waiter.is_ready:
                remaining = deadline - clock()
                if remaining <= 0:
                    raise Expired("no answer in time")
                try:
                    self._receive(remaining)
                except NexaError as error:
                    self._end(error)
        finally:
            self._hand_over()

    def _hand_over(self) -> None:
        """This thread reads no more: the one that has slept longest does."""
        with self._lock:
            self._read_no_more()

    def _read_no_more(self) -> None:
        """`_hand_over` for who has the lock."""
        self._is_reading = False
        for waiter in self._sleepers:
            if not waiter.is_ready and waiter.wake is not None:
                self._is_reading = waiter.is_promoted = True
                del self._sleepers[waiter]
                waiter.wake.release()
                return

    def _receive(self, seconds: float) -> None:
        """Reads what is there, waiting for it at most so long, and gives it to those that wait for it."""
        try:
            data = self._channel.receive(seconds)
        except (OSError, ValueError) as error:
            raise ConnectionError(f"{text_of(self.server.address)} ended the connection: {error}") from error
        if data is None:
            self._probe()
            return
        if not data:
            raise ConnectionError(f"{text_of(self.server.address)} ended the connection")
        self._heard_at, self._probed_at = clock(), 0.0
        if self._tls is not None:
            try:
                data = self._tls.decrypted(data)
            except ssl.SSLError as error:
                raise ConnectionError(f"TLS failed: {error}") from error
        with self._lock:
            self._deliver(data)

    def _deliver(self, data: bytes) -> None:
        """Gives what came to those that wait for it. The caller has the lock."""
        for waiter, reply in self.link.receive(data):
            waiter.deliver(reply)
            if waiter.is_ready:
                self._wake(waiter)

    def _wake(self, waiter: Waiter) -> None:
        """Wakes a waiter that is ready, if it sleeps. The caller has the lock."""
        if waiter.wake is not None and waiter in self._sleepers:
            del self._sleepers[waiter]
            waiter.wake.release()

    def _probe(self) -> None:
        """Nothing came for a while: asks the node whether it is there, and gives it up when it is not."""
        now = clock()
        silence = now - self._heard_at
        if silence < PROBE_SECONDS or not self.link.pending or not self.is_usable:
            return
        if self._probed_at == 0.0:
            self._probed_at = now
            with self._lock:
                frame = self.link.ping()
            if not self._unsent and self._send_lock.acquire(blocking=False):
                try:
                    self._send_locked(frame, now + 0.1)
                except (OSError, NexaError):
                    pass
                finally:
                    self._send_lock.release()
        elif now - self._probed_at > LOST_SECONDS - PROBE_SECONDS:
            raise ConnectionError(f"{text_of(self.server.address)} has been silent for {silence:.0f} s")

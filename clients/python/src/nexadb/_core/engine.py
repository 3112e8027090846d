"""What a client decides without its sockets, shared by `NexaClient` and `AsyncNexaClient`: calls, positions, retries, pace, and the reading of
answers. Safe to use from several threads: what is more than one step is done under `lock`.
"""

from __future__ import annotations

import itertools
import logging
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any

from ..errors import (
    ConfigurationError,
    NexaError,
    ProtocolError,
    QueueFullError,
    ServerError,
    TimeoutError,
    UnknownOutcomeError,
    invalid,
    server_error,
)
from ..events import CommandEvent, ConnectionEvent, Listener
from ..options import DEFAULT_PORT, ClientOptions
from ..telemetry import OpenTelemetryListener
from ..uri import parse_address, parse_uri
from . import retry
from .calls import ACCOUNT_CHANGES, READS, WRITES, Call, Position, timeout_field
from .codec import decode, encode
from .frames import DUPLICATE, ERROR, NOT_FOUND, PONG, SUCCESS, Request
from .link import Link, Reply
from .pace import Pace
from .topology import Server, Topology

log = logging.getLogger("nexadb")
clock = time.monotonic
_FOREVER = float("inf")
#: With less time left than this, another attempt would only blur what the last one said.
_ATTEMPT_SECONDS = 0.02

#: A shorter budget than this is watched more closely than the short way of a read does.
_PLAIN_MS_MIN = 1000

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


def _after_fork() -> None:
    for engine in list(_engines):
        engine.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Engine:
    def __init__(self, options: ClientOptions):
        self.options = options
        self.pace = Pace()
        #: Lets go of what a child process must not share with its parent.
        self.on_fork: Callable[[], None] = lambda: None
        self.listeners: list[Listener] = [OpenTelemetryListener()] if options.telemetry else []
        #: The newest position that an answer gave; reads see at least that.
        self.position: Position | None = None
        self._begin_anew()
        _engines.add(self)
        self._write_options = self._concern()
        self._read_options: dict[str, Any] = {}
        if options.read_concern != "local":
            self._read_options["read_concern"] = options.read_concern
        if options.max_staleness_seconds:
            self._read_options["max_staleness_ms"] = options.max_staleness_seconds * 1000
        #: The budget of a read that asks for nothing in particular, and the same packed: empty where this client's options ask for more.
        self.plain_seconds = options.timeout_ms / 1000
        is_plain = options.read_preference == "primary" and not self._read_options
        self.plain_budget = timeout_field(options.timeout_ms) if is_plain and options.timeout_ms > _PLAIN_MS_MIN else b""

    def _begin_anew(self) -> None:
        """What belongs to one process: above all the name under which its writes are known."""
        self._client_id = os.urandom(16)
        self._counter = itertools.count(1)
        self.rng = random.Random()
        self.topology = Topology(self.options, self.rng)
        self.lock = threading.Lock()
        self.in_flight = 0

    def after_fork(self) -> None:
        self._begin_anew()
        self.on_fork()

    def _concern(self) -> dict[str, Any]:
        concern = {
            "durability": self.options.durability,
            "w": self.options.w,
            "wtimeout_ms": self.options.wtimeout_ms or None,
        }
        return {name: value for name, value in concern.items() if value is not None}

    # Calls

    def call(
        self,
        kind: Request,
        collection: str | None,
        values: tuple[bytes, ...] = (),
        options: Mapping[str, Any] | None = None,
        *,
        database: str | None = None,
        preference: str | None = None,
        names: tuple[str, ...] | None = None,
    ) -> Call:
        call = Call(kind, None if database is None or database == self.options.database else database, collection, values)
        if kind in WRITES:
            call.is_write = call.wants_position = True
            defaults = self._write_options
            if self.options.retry_writes:
                call.op_id = self._client_id + next(self._counter).to_bytes(8, "big")
        elif kind in ACCOUNT_CHANGES:
            call.is_write = True
            defaults = {}
        else:
            defaults = self._read_options
            chosen = preference or self.options.read_preference
            if chosen != "primary":
                call.preference, call.wants_position = chosen, True
            elif collection is not None and call.database is None and not options and not defaults and names is None:
                call.is_plain = True
                return call
        if options:
            given = {name: value for name, value in options.items() if value is not None}
            call.set_options({**defaults, **given})
        elif defaults:
            call.set_options(defaults)
        if names is not None:
            call.names = names
        return call

    def deadline(self, timeout_ms: int | None, now: float) -> float:
        budget = self.options.timeout_ms if timeout_ms is None else timeout_ms
        return now + budget / 1000 if budget else _FOREVER

    def begin(self, call: Call, timeout_ms: int | None) -> float:
        """Counts a call in and starts its time. Whoever calls this calls `end` in any case, once it has returned."""
        if self.in_flight >= self.options.max_queue:
            raise QueueFullError(f"{self.in_flight} operations wait already (maxQueue)")
        self.in_flight += 1
        now = clock()
        if call.attempts == 0:
            budget = self.options.timeout_ms if timeout_ms is None else timeout_ms
            call.deadline = now + budget / 1000 if budget else _FOREVER
        return now

    def submit(self, link: Link[Any], call: Call, waiter: Any, now: float) -> tuple[bytes, int]:
        """The bytes of the next attempt of a call."""
        if call.is_in_doubt:
            retry.check_repetition(call, link.has_op_ids, link.info.op_id_window_seconds if link.info is not None else 0.0, now)
        call.attempts += 1
        if call.first_sent_at == 0.0:
            call.first_sent_at = now
        remaining = 0
        if call.deadline != _FOREVER:
            remaining = int((call.deadline - now) * 1000 + 0.5)
            if remaining < 1:
                remaining = 1
        after = self.position
        if after is not None and (link.is_alone or call.type not in READS):
            after = None
        return link.submit(call, waiter, remaining, call.op_id, after)

    # Answers

    def answered(self, call: Call, reply: Reply, is_slowed: bool = False) -> None:
        """Takes note of what an answer says beside its result."""
        position = reply[3]
        if position is not None:
            with self.lock:
                if self.position is None or position > self.position:
                    self.position = position
        if call.is_write and (is_slowed or self.pace.pause):
            self.pace.observe(is_slowed, clock())

    def result(self, reply: Reply) -> Any:
        """The payload of SUCCESS (None for NOT_FOUND); anything else is raised."""
        kind = reply[0]
        if kind in (SUCCESS, PONG):
            return decode(reply[2])
        if kind == NOT_FOUND:
            return None
        raise self.refusal(reply)

    def refusal(self, reply: Reply) -> NexaError:
        kind, _, body, _ = reply
        if kind == ERROR:
            error = server_error(decode(body))
        elif kind == DUPLICATE:
            error = server_error(decode(body), "DUPLICATE")
        elif kind == NOT_FOUND:
            error = server_error(decode(body), "NOT_FOUND")
        else:
            return ProtocolError(f"the node answered with type 0x{kind:02x}, which fits no request of this kind")
        if isinstance(error, ServerError) and error.code == "TIMEOUT":
            return TimeoutError(f"the node gave up: {error}")
        if isinstance(error, ServerError) and error.code == "TOKEN_LOST":
            # Said once: what is lost stays lost, and later reads are to work.
            self.position = None
        return error

    def failed(self, call: Call, server: Server | None, error: NexaError, has_op_id: bool, now: float) -> float:
        """Seconds until the next attempt of a call that failed. Raises when there is none."""
        window = server.info.op_id_window_seconds if server is not None and server.info is not None else 0.0
        if isinstance(error, retry.Sent) and call.is_write:
            call.is_in_doubt = True
        if isinstance(error, ServerError) and error.is_retryable and not call.is_in_doubt:
            # Nothing was done, so the outcome is known.
            call.first_sent_at = 0.0
        if isinstance(error, ServerError) and server is not None:
            if error.code == "NOT_LEADER":
                leader = error.details.get("leader")
                self.topology.refused(server, parse_address(leader) if isinstance(leader, str) else None, now)
            elif error.code in ("SHUTTING_DOWN", "STALE_READ"):
                if error.code == "STALE_READ":
                    call.preference = "primary"
                else:
                    self.topology.refused(server, None, now)
        pause = retry.after_failure(call, error, self.options, has_op_id, window, now, self.rng)
        if now + pause + _ATTEMPT_SECONDS >= call.deadline:
            raise self.timed_out(call) if isinstance(error, (retry.Sent, retry.NotSent)) else retry.refused(call, error)
        return pause

    def timed_out(self, call: Call) -> NexaError:
        name = Request(call.type).name
        if call.is_write and call.first_sent_at:
            return UnknownOutcomeError(f"{name} was sent and not answered in time: it may have been done", timeout=True)
        return TimeoutError(f"{name} was not answered in time")

    # Telemetry

    def end(self, call: Call, server: Server | None, started: float, error: BaseException | None) -> None:
        """A call is over, with this error or an answer."""
        self.in_flight -= 1
        if self.listeners:
            event = CommandEvent(
                operation=Request(call.type).name.lower(),
                database=call.database or "default",
                collection=call.collection,
                address=server.address if server is not None else None,
                seconds=clock() - started,
                attempts=call.attempts,
                error=error,
            )
            self.tell(event)

    def tell(self, event: CommandEvent | ConnectionEvent) -> None:
        """Tells the listeners. What goes wrong with one is its own affair, and no operation's or connection's."""
        for listener in self.listeners:
            try:
                listener(event)
            except Exception:
                log.exception("a listener failed")


# Values that a call carries

_EMPTY_MAP = encode({})


def packed_document(data: object) -> bytes:
    packed = encode(data)
    if not (0x80 <= packed[0] <= 0x8F or packed[0] in (0xDE, 0xDF)):
        raise invalid(f"a document is a map, not a {type(data).__name__}", "data")
    return packed


def packed_filter(filters: Mapping[str, Any] | None) -> bytes:
    return encode(filters) if filters else _EMPTY_MAP


def documents_of(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise ProtocolError("the node answered with something that is no list of documents")
    return value  # pyright: ignore[reportUnknownVariableType]


def document_of(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise ProtocolError("the node answered with something that is no document")
    return value  # pyright: ignore[reportUnknownVariableType]


def client_options(uri: str | None, host: str | None, port: int | None, more: dict[str, Any]) -> ClientOptions:
    """The options of a client from what its constructor was given."""
    known = {each.name for each in fields(ClientOptions)}
    for name in more:
        if name not in known:
            raise ConfigurationError(f"the option {name!r} is not known")
    if host is not None or port is not None:
        if uri is not None or "hosts" in more:
            raise ConfigurationError("either an address or host and port, not both")
        more = {**more, "hosts": ((host or "localhost", port or DEFAULT_PORT),)}
    if uri is None:
        return ClientOptions(**more)
    parsed = parse_uri(uri)
    for warning in parsed.warnings:
        log.warning("%s", warning)
    return parsed.to_options(**more)


def batch_call(
    engine: Engine,
    collection: str,
    documents: Iterable[object] | None,
    operations: Iterable[Mapping[str, Any]] | None,
    options: Mapping[str, Any],
    database: str | None,
) -> Call:
    if (documents is None) == (operations is None):
        raise invalid("either documents or operations", "documents")
    if documents is not None:
        return engine.call(Request.BATCH_WRITE, collection, (encode(list(documents)),), options, database=database)
    packed = encode(list(operations or ()))
    return engine.call(Request.BATCH_WRITE, collection, (packed,), options, database=database, names=("operations",))

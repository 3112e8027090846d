"""One connection without its socket: what is negotiated, which requests wait for which answers, what is sent for a call.

Invariants: an id that waits is never given to another request; an answer goes to the request with its id and to no other; a request that
was given up keeps its id (a tombstone) until its last answer has come and been dropped. So a cancelled request never shifts an answer and
never costs the connection. The owner serialises all calls.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from ..errors import ConnectionError, ProtocolError, server_error
from ..options import ClientOptions
from . import lz4
from .calls import COMPACT_HEADS, Call, Position, payload, timeouts
from .codec import decode, encode
from .frames import (
    CHANGE_EVENT,
    ERROR,
    FLAG_COMPRESSED,
    FLAG_REQUEST_ID,
    FLAG_SLOW_DOWN,
    FLAG_TOKEN,
    HEADER,
    MAGIC,
    REQUEST_HEADER,
    STREAM_CHUNK,
    STREAM_START,
    SUCCESS,
    VERSION,
    Framer,
    Request,
)

Reply = tuple[int, int, bytes | memoryview, Position | None]
"""Message type, flags, payload (still packed) and the position that a write reached."""

Name = str | tuple[str, str]
"""A collection: of the connection's database, or of another one."""

W = TypeVar("W")

_ID = struct.Struct(">I")
_PREFIX = {
    FLAG_REQUEST_ID: _ID,
    FLAG_TOKEN: struct.Struct(">QQ"),
    FLAG_REQUEST_ID | FLAG_TOKEN: struct.Struct(">IQQ"),
}
_CONTINUES = frozenset({STREAM_START, STREAM_CHUNK, CHANGE_EVENT})
_SUBSCRIBE = Request.SUBSCRIBE_CHANGES
_pack = REQUEST_HEADER.pack
#: How far a node may go on with a stream that was cancelled before the connection counts as flooded.
FLOOD_CHUNK_COUNT = 64
#: Collections whose handle a connection remembers.
_HANDLE_COUNT_MAX = 512
ID_MAX = 0xFFFF_FFFF


@dataclass(frozen=True)
class ServerInfo:
    """What a node says about itself in the answer to CONNECT."""

    version: str
    node_id: str
    role: str
    leader: str | None
    epoch: int
    features: frozenset[str]
    max_frame: int
    op_id_window_seconds: float

    @staticmethod
    def of(answer: object) -> ServerInfo:
        if not isinstance(answer, dict):
            raise ProtocolError("the node greets with something that is no map")
        fields = cast("dict[str, Any]", answer)
        names = fields.get("features")

        def text(name: str) -> str:
            return value if isinstance(value := fields.get(name), str) else ""

        def number(name: str, default: int) -> int:
            return value if isinstance(value := fields.get(name), int) else default

        return ServerInfo(
            version=text("version"),
            node_id=text("node_id"),
            role=text("role_in_cluster") or "single",
            leader=text("leader") or None,
            epoch=number("epoch", 0),
            features=frozenset(map(str, cast("list[object]", names))) if isinstance(names, list) else frozenset(),
            max_frame=number("max_frame", 16 << 20),
            op_id_window_seconds=number("op_id_window_s", 0),
        )


class Tombstone:
    """Where the waiter of a request stood that was given up."""

    __slots__ = ("frames",)

    def __init__(self) -> None:
        self.frames = 0


class Bind:
    """Waits for the handle of a collection."""

    __slots__ = ("key",)

    def __init__(self, key: Name):
        self.key = key


_OWN = frozenset({Tombstone, Bind})


class Link(Generic[W]):
    def __init__(self, options: ClientOptions):
        self.options = options
        self.framer = Framer(min(options.max_frame_bytes, 16 << 20))
        self.pending: dict[int, W | Tombstone | Bind] = {}
        self.info: ServerInfo | None = None
        self.has_ids = self.has_compact = self.has_lz4 = self.has_tokens = self.has_op_ids = self.has_streams = False
        #: Its node belongs to no cluster: it always has what it said it has.
        self.is_alone = True
        self.is_slowed = False
        self._subscriptions: set[int] = set()
        self.next_id = 1
        self.prefixes: dict[Name | None, bytes] = {}
        #: Requests that were given up where nothing could be sent, such as by a destructor.
        self.orphans: deque[int] = deque()

    # Greeting

    def greeting(self) -> bytes:
        options = self.options
        features = ["request_id", "token", "stream", "compact", "duplicate", "op_id"]
        if options.compress == "lz4" and lz4.IS_AVAILABLE:
            features.append("lz4")
        fields: dict[str, Any] = {
            "client": options.app_name or "nexadb-python",
            "version": "2",
            "dialect": "plain",
            "features": features,
            "database": options.database,
            "username": options.username,
            "password": options.password,
            "api_key": options.api_key,
        }
        body = encode({name: value for name, value in fields.items() if value is not None})
        return HEADER.pack(MAGIC, VERSION, Request.CONNECT, 0, len(body)) + body

    def greeted(self, data: bytes) -> ServerInfo | None:
        """Takes what came before the greeting's answer was complete; the answer's meaning once it is."""
        frames = self.framer.feed(data)
        if not frames:
            return None
        kind, flags, body = frames[0]
        if len(frames) > 1 or flags & ~FLAG_SLOW_DOWN:
            raise ProtocolError("the node answered the greeting with more than was asked for")
        if kind == ERROR:
            raise server_error(decode(body))
        if kind != SUCCESS:
            raise ProtocolError(f"the node answered the greeting with type 0x{kind:02x}")
        info = ServerInfo.of(decode(body))
        granted = info.features
        self.told(info)
        self.has_ids, self.has_compact = "request_id" in granted, "compact" in granted
        self.has_tokens, self.has_streams = "token" in granted, "stream" in granted
        self.has_lz4 = "lz4" in granted and lz4.IS_AVAILABLE and self.options.compress == "lz4"
        self.has_op_ids = "op_id" in granted
        self.framer.limit = min(self.options.max_frame_bytes, info.max_frame)
        return info

    def told(self, info: ServerInfo) -> None:
        """Takes what a node says about itself, in a greeting of this connection or a later one."""
        self.info = info
        self.is_alone = info.role == "single"

    # Requests

    def submit(self, call: Call, waiter: W, remaining_ms: int, op_id: bytes | None, after: Position | None) -> tuple[bytes, int]:
        """The frame of a call, whose answer goes to `waiter`, and the id to give it up by."""
        request_id = self.next_id
        if op_id is None and after is None and call.is_plain and request_id not in self.pending and request_id <= ID_MAX:
            # What nearly every read is: its payload is made of parts that are there.
            prefix, timeout = self.prefixes.get(call.collection), timeouts.get(remaining_ms)
            if prefix is not None and timeout is not None and self.has_ids:
                self.next_id = request_id + 1
                self.pending[request_id] = waiter
                body = b"".join((COMPACT_HEADS[len(call.values) + 2], prefix, *call.values, b"\x81", timeout))
                return _pack(MAGIC, VERSION, call.type, FLAG_REQUEST_ID, len(body) + 4, request_id) + body, request_id
        return self._submit(call, waiter, remaining_ms, op_id, after)

    def _submit(self, call: Call, waiter: W, remaining_ms: int, op_id: bytes | None, after: Position | None) -> tuple[bytes, int]:
        prefix: bytes | None = None
        bind = b""
        collection = call.collection
        if collection is not None and self.has_compact and call.names is None:
            key = collection if call.database is None else (call.database, collection)
            prefix = self.prefixes.get(key)
            if prefix is None:
                prefix, bind = self._bind(key)
        body = payload(call, prefix, remaining_ms, op_id if self.has_op_ids else None, after)
        flags = FLAG_TOKEN if call.wants_position and self.has_tokens else 0
        if self.has_lz4 and len(body) >= lz4.WORTHWHILE_BYTE_COUNT and (smaller := lz4.compressed(body)) is not None:
            body, flags = smaller, flags | FLAG_COMPRESSED
        request_id = self._take_id()
        self.pending[request_id] = waiter
        if call.type is _SUBSCRIBE:
            self._subscriptions.add(request_id)
        return bind + self._frame(call.type, flags, request_id, body), request_id

    def _frame(self, kind: int, flags: int, request_id: int, body: bytes) -> bytes:
        if self.has_ids:
            return REQUEST_HEADER.pack(MAGIC, VERSION, kind, flags | FLAG_REQUEST_ID, len(body) + 4, request_id) + body
        return HEADER.pack(MAGIC, VERSION, kind, flags, len(body)) + body

    def _free_id(self) -> int:
        request_id = self.next_id
        while request_id in self.pending or request_id > ID_MAX:
            request_id = request_id % ID_MAX + 1
        return request_id

    def _take_id(self) -> int:
        request_id = self._free_id()
        self.next_id = request_id + 1
        return request_id

    def _bind(self, key: Name) -> tuple[bytes | None, bytes]:
        """What stands for a collection until its handle is known, and the frame that asks for the handle.

        The name goes with requests to the connection's own database; those to another travel as maps until then.
        """
        database, collection = (None, key) if isinstance(key, str) else key
        name = encode(collection) if database is None else None
        if len(self.prefixes) >= _HANDLE_COUNT_MAX:
            return name, b""
        if name is not None:
            self.prefixes[key] = name
        elif any(isinstance(each, Bind) and each.key == key for each in self.pending.values()):
            return None, b""
        fields = {"collection": collection} if database is None else {"collection": collection, "database": database}
        request_id = self._take_id()
        self.pending[request_id] = Bind(key)
        return name, self._frame(Request.BIND, 0, request_id, encode(fields))

    def abandon(self, request_id: int) -> bytes:
        """Gives a request up: its answer will be dropped. The frame that tells the node, which may be empty."""
        waiting = self.pending.get(request_id)
        if waiting is None or isinstance(waiting, (Tombstone, Bind)):
            return b""
        self.pending[request_id] = Tombstone()
        self._subscriptions.discard(request_id)
        if not self.has_ids:
            return b""
        cancel_id = self._take_id()
        self.pending[cancel_id] = Tombstone()
        return self._frame(Request.CANCEL, 0, cancel_id, encode({"request_id": request_id}))

    def abandon_orphans(self) -> bytes:
        frames = b""
        while self.orphans:
            frames += self.abandon(self.orphans.popleft())
        return frames

    def credit(self, stream: int, count: int) -> bytes:
        """Allows `count` more chunks. It has no answer, and so needs no id that waits."""
        body = encode({"stream": stream, "credit": count})
        return self._frame(Request.CURSOR_CREDIT, 0, self._take_id(), body)

    def ping(self) -> bytes:
        """A sign of life is asked for; nobody waits for the answer itself."""
        request_id = self._take_id()
        self.pending[request_id] = Tombstone()
        return self._frame(Request.PING, 0, request_id, encode({}))

    # Answers

    def receive(self, data: bytes) -> Iterator[tuple[W, Reply]]:
        """Whose answers came, one by one: those before a frame that makes no sense are given before that is raised.

        An answer to nobody, such as a second one, is dropped.
        """
        pending, subscriptions = self.pending, self._subscriptions
        for kind, flags, body in self.framer.feed(data):
            if flags == FLAG_REQUEST_ID and kind < STREAM_START and len(body) >= 4:
                # What nearly every answer is.
                (request_id,) = _ID.unpack_from(body)
                waiter = pending.get(request_id)
                if waiter is not None and type(waiter) not in _OWN and request_id not in subscriptions:
                    del pending[request_id]
                    self.is_slowed = False
                    yield cast(W, waiter), (kind, flags, body[4:], None)
                    continue
            answered = self._take(kind, flags, body)
            if answered is not None:
                yield answered

    def _take(self, kind: int, flags: int, body: bytes | memoryview) -> tuple[W, Reply] | None:
        """Any frame at all: whose answer it is, if somebody waits for it."""
        request_id, position, body = self._unwrapped(kind, flags, body)
        self.is_slowed = flags & FLAG_SLOW_DOWN != 0
        if kind in _CONTINUES or (kind == SUCCESS and request_id in self._subscriptions):
            waiter = self.pending.get(request_id)
        else:
            waiter = self.pending.pop(request_id, None)
            self._subscriptions.discard(request_id)
        if isinstance(waiter, Tombstone):
            waiter.frames += 1
            if waiter.frames > FLOOD_CHUNK_COUNT and self.has_ids:
                raise ConnectionError("the node went on with a stream that was cancelled")
        elif isinstance(waiter, Bind):
            self._bound(waiter, kind, body)
        elif waiter is not None:
            return waiter, (kind, flags, body, position)
        return None

    def _unwrapped(self, kind: int, flags: int, body: bytes | memoryview) -> tuple[int, Position | None, bytes | memoryview]:
        """What the flags of a frame announce, and its payload."""
        position: Position | None = None
        request_id = 0 if self.has_ids else next(iter(self.pending), 0)
        prefix = _PREFIX.get(flags & (FLAG_REQUEST_ID | FLAG_TOKEN))
        if prefix is not None:
            if len(body) < prefix.size:
                raise ProtocolError("the node sent a frame that is shorter than what its flags announce")
            numbers = prefix.unpack_from(body)
            body = body[prefix.size :]
            if flags & FLAG_REQUEST_ID:
                request_id = numbers[0]
            if flags & FLAG_TOKEN:
                position = (numbers[-2], numbers[-1])
        if request_id == 0:
            if kind == ERROR:
                raise ConnectionError(f"the node ended the connection: {server_error(decode(body))}")
            raise ProtocolError("the node sent an answer without the id that was agreed on")
        if flags & FLAG_COMPRESSED:
            if not self.has_lz4:
                raise ProtocolError("the node sent a compressed payload, which was not agreed on")
            body = lz4.decompressed(memoryview(body), self.framer.limit)
        return request_id, position, body

    def _bound(self, bind: Bind, kind: int, body: bytes | memoryview) -> None:
        handle = decode(body)
        if kind == SUCCESS and isinstance(handle, int) and handle >= 0:
            self.prefixes[bind.key] = encode(handle)

    def waiters(self) -> list[W]:
        return [each for each in self.pending.values() if not isinstance(each, (Tombstone, Bind))]

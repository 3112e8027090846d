"""A raw client of the NEXA protocol, written from the protocol page alone, so that it shares no mistake with the product.

    offset  bytes  field                        then, announced by the flags, in the order of the bits:
    0       4      magic "NEXA"                 0x0001 REQUEST_ID  u32
    4       1      version 1                    0x0002 TOKEN       u64 epoch, u64 LSN (answers only)
    5       1      message type                 0x0004 COMPRESSED  u32 raw length, then an LZ4 block as payload
    6       2      flags
    8       4      length of what follows       all integers big-endian
"""
import socket
import struct
from typing import Any, NamedTuple

import msgpack

from . import lz4block

HEADER = struct.Struct(">4sBBHI")
CONNECT, CREATE, READ, UPDATE, DELETE, QUERY, VECTOR_SEARCH, BATCH_WRITE, PING, DISCONNECT = range(0x01, 0x0B)
QUERY_TOON, EXPORT_TOON, IMPORT_TOON, CREATE_USER, DELETE_USER, LIST_USERS, CHANGE_PASSWORD = range(0x0B, 0x12)
LIST_COLLECTIONS, DROP_COLLECTION, COLLECTION_STATS, GET_VECTORS = range(0x20, 0x24)
COUNT, AGGREGATE, EXPLAIN, MULTI_READ, CANCEL, STATUS, CURSOR_CREDIT, BIND = range(0x27, 0x2F)
SUBSCRIBE_CHANGES, UNSUBSCRIBE_CHANGES = 0x30, 0x31
LIST_DATABASES, CREATE_DATABASE, DROP_DATABASE, GET_DATABASE_STATS, CREATE_COLLECTION, BUILD_HNSW_INDEX = range(0x40, 0x46)
SUCCESS, ERROR, NOT_FOUND, DUPLICATE, STREAM_START, STREAM_CHUNK, STREAM_END, PONG = range(0x81, 0x89)
REQUEST_ID, TOKEN, COMPRESSED, MORE, SLOW_DOWN = 1, 2, 4, 8, 16
NAMES = {SUCCESS: "SUCCESS", ERROR: "ERROR", NOT_FOUND: "NOT_FOUND", DUPLICATE: "DUPLICATE", STREAM_START: "STREAM_START",
         STREAM_CHUNK: "STREAM_CHUNK", STREAM_END: "STREAM_END", PONG: "PONG"}


class Answer(NamedTuple):
    type: int
    value: Any
    flags: int
    request_id: int | None
    position: tuple[int, int] | None
    byte_count: int

    @property
    def code(self):
        return self.value.get("code") if isinstance(self.value, dict) else None

    def __str__(self):
        return f"{NAMES.get(self.type, hex(self.type))} {self.code or ''}".strip()


class Closed(Exception):
    """The node closed the connection."""


def pack(value) -> bytes:
    return msgpack.packb(value, use_bin_type=True)


def frame(message_type: int, payload: bytes, *, flags: int = 0, request_id: int | None = None) -> bytes:
    """One request frame around an encoded payload."""
    prefix = b""
    if request_id is not None:
        flags |= REQUEST_ID
        prefix = struct.pack(">I", request_id)
    return HEADER.pack(b"NEXA", 1, message_type, flags, len(prefix) + len(payload)) + prefix + payload


def request(message_type: int, value, **options) -> bytes:
    return frame(message_type, pack(value), **options)


class Wire:
    """One connection: `send` and `recv` apart, so that tests can pipeline, or `ask` for one of each."""

    def __init__(self, port: int, timeout: float = 15, receive_buffer: int | None = None, tls=None):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="127.0.0.1")
        self.input = self.socket.makefile("rb", buffering=1 << 16)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.input.close()
        self.socket.close()

    def raw(self, data: bytes):
        self.socket.sendall(data)

    def send(self, message_type: int, value, **options):
        self.raw(request(message_type, value, **options))

    def exactly(self, count: int) -> bytes:
        try:
            data = self.input.read(count)
        except ConnectionError as error:
            raise Closed(str(error)) from None
        if data is None or len(data) < count:
            raise Closed(f"{len(data or b'')} of {count} bytes, then the end")
        return data

    def recv(self) -> Answer:
        magic, version, message_type, flags, count = HEADER.unpack(self.exactly(HEADER.size))
        assert magic == b"NEXA" and version == 1, f"not an answer: {magic!r} version {version}"
        body = self.exactly(count)
        request_id = position = None
        if flags & REQUEST_ID:
            request_id, body = struct.unpack(">I", body[:4])[0], body[4:]
        if flags & TOKEN:
            position, body = struct.unpack(">QQ", body[:16]), body[16:]
        if flags & COMPRESSED:
            body = lz4block.decompress(body[4:], struct.unpack(">I", body[:4])[0])
        value = msgpack.unpackb(body, raw=False) if body else {}
        return Answer(message_type, value, flags, request_id, position, HEADER.size + count)

    def ask(self, message_type: int, value, **options) -> Answer:
        self.send(message_type, value, **options)
        return self.recv()

    def connect(self, **fields) -> dict:
        answer = self.ask(CONNECT, fields)
        assert answer.type == SUCCESS, answer
        return answer.value

    def at_end(self) -> bool:
        """Whether the node has closed this connection (waits as long as the socket's time limit)."""
        try:
            return self.input.read(1) == b""
        except ConnectionError:
            return True

"""Frames of the NEXA protocol: numbers, header and the cutting of a byte stream. No I/O.

    0   "NEXA"     magic            then, announced by the flags, in this order:
    4   u8         version 1        0x0001 REQUEST_ID  u32
    5   u8         message type     0x0002 TOKEN       u64 epoch, u64 LSN   (answers)
    6   u16        flags            0x0004 COMPRESSED  u32 raw length, LZ4 block
    8   u32        length of what follows

Invariant of `Framer`: it never holds more than one incomplete frame, whose announced length is within the limit, and allocates for
bytes that came, never for bytes that were announced.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from ..errors import ProtocolError

HEADER = struct.Struct(">4sBBHI")
HEADER_BYTE_COUNT = HEADER.size
REQUEST_HEADER = struct.Struct(">4sBBHII")
MAGIC, VERSION = b"NEXA", 1

FLAG_REQUEST_ID, FLAG_TOKEN, FLAG_COMPRESSED, FLAG_MORE, FLAG_SLOW_DOWN = 0x1, 0x2, 0x4, 0x8, 0x10
_FLAGS_MAX = FLAG_REQUEST_ID | FLAG_TOKEN | FLAG_COMPRESSED | FLAG_MORE | FLAG_SLOW_DOWN


class Request(IntEnum):
    CONNECT = 0x01
    CREATE = 0x02
    READ = 0x03
    UPDATE = 0x04
    DELETE = 0x05
    QUERY = 0x06
    VECTOR_SEARCH = 0x07
    BATCH_WRITE = 0x08
    PING = 0x09
    DISCONNECT = 0x0A
    CREATE_USER = 0x0E
    DELETE_USER = 0x0F
    LIST_USERS = 0x10
    CHANGE_PASSWORD = 0x11
    ALTER_USER = 0x12
    LIST_COLLECTIONS = 0x20
    DROP_COLLECTION = 0x21
    COLLECTION_STATS = 0x22
    COUNT = 0x27
    MULTI_READ = 0x2A
    CANCEL = 0x2B
    STATUS = 0x2C
    CURSOR_CREDIT = 0x2D
    BIND = 0x2E
    SUBSCRIBE_CHANGES = 0x30
    UNSUBSCRIBE_CHANGES = 0x31
    LIST_DATABASES = 0x40
    CREATE_DATABASE = 0x41
    DROP_DATABASE = 0x42
    GET_DATABASE_STATS = 0x43
    CREATE_COLLECTION = 0x44


SUCCESS, ERROR, NOT_FOUND, DUPLICATE = 0x81, 0x82, 0x83, 0x84
STREAM_START, STREAM_CHUNK, STREAM_END, PONG, CHANGE_EVENT = 0x85, 0x86, 0x87, 0x88, 0x90
_ANSWER_TYPES = frozenset({*range(0x81, 0x89), CHANGE_EVENT})

Frame = tuple[int, int, bytes | memoryview]
"""Message type, flags, and everything behind the header."""

#: Up to this many bytes a copy costs less than a view.
_COPY_BYTE_COUNT = 1024


class Framer:
    """Cuts what arrives into frames. `feed` gives the frames that are complete, in order."""

    __slots__ = ("_have", "_need", "_parts", "is_between_frames", "limit")

    def __init__(self, limit: int):
        self.limit = limit
        #: The next byte begins a frame.
        self.is_between_frames = True
        self._parts: list[bytes] = []
        self._have = 0
        self._need = HEADER_BYTE_COUNT

    def feed(self, data: bytes) -> list[Frame]:
        if self._parts:
            self._parts.append(data)
            self._have += len(data)
            if self._have < self._need:
                return []
            data = b"".join(self._parts)
            self._parts.clear()
        frames: list[Frame] = []
        start, end, limit, unpack = 0, len(data), self.limit, HEADER.unpack_from
        while end - start >= HEADER_BYTE_COUNT:
            magic, version, kind, flags, length = unpack(data, start)
            if magic != MAGIC or version != VERSION or length > limit or flags > _FLAGS_MAX or kind not in _ANSWER_TYPES:
                raise self._problem(magic, version, kind, flags, length)
            body = start + HEADER_BYTE_COUNT
            if end - body < length:
                self._need = HEADER_BYTE_COUNT + length
                break
            start = body + length
            frames.append((kind, flags, data[body:start] if length <= _COPY_BYTE_COUNT else memoryview(data)[body:start]))
        else:
            self._need = HEADER_BYTE_COUNT
        self.is_between_frames = start == end
        if start < end:
            self._parts.append(data[start:] if start else data)
            self._have = end - start
        return frames

    def _problem(self, magic: bytes, version: int, kind: int, flags: int, length: int) -> ProtocolError:
        if magic != MAGIC:
            return ProtocolError(f"the peer does not speak NEXA: it sent {magic!r} where a frame should begin")
        if version != VERSION:
            return ProtocolError(f"the peer speaks version {version} of NEXA, and this client version {VERSION}")
        if length > self.limit:
            return ProtocolError(f"the peer announced a frame of {length:,} bytes; the limit is {self.limit:,}")
        if kind not in _ANSWER_TYPES:
            return ProtocolError(f"the peer sent a frame of type 0x{kind:02x}, which is no answer")
        return ProtocolError(f"the peer sent flags 0x{flags:04x} that were not agreed on")

"""A call: one operation as it waits, is sent, and is perhaps sent again. And the making of its payload.

With the feature `compact` a payload is `[collection, value..., {options}]`, where the collection is a handle from BIND or its name; without it
the same is a map with names. A call keeps its values packed, so that sending it again costs no second encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from .codec import encode
from .frames import Request

#: How the values of a compact form are called in a map.
NAMES: dict[int, tuple[str, ...]] = {
    Request.CREATE: ("data",),
    Request.READ: ("key",),
    Request.UPDATE: ("key", "updates"),
    Request.DELETE: ("key",),
    Request.QUERY: ("filters",),
    Request.COUNT: ("filters",),
    Request.VECTOR_SEARCH: ("vector", "limit"),
    Request.BATCH_WRITE: ("documents",),
    Request.MULTI_READ: ("keys",),
}
WRITES = frozenset(
    {
        Request.CREATE,
        Request.UPDATE,
        Request.DELETE,
        Request.BATCH_WRITE,
        Request.DROP_COLLECTION,
        Request.CREATE_COLLECTION,
        Request.CREATE_DATABASE,
        Request.DROP_DATABASE,
    }
)
_COLLECTION, _DATABASE = encode("collection"), encode("database")
_TIMEOUT, _OP_ID, _AFTER = encode("timeout_ms"), encode("op_id") + b"\xc4\x18", encode("after")
_POSITION = struct.Struct(">BBQBQ")

Position = tuple[int, int]


class Call:
    """One operation. Confined to the thread or task that made it, but for what the link reads while it sends."""

    __slots__ = (
        "attempts",
        "collection",
        "database",
        "deadline",
        "first_sent_at",
        "is_write",
        "names",
        "op_id",
        "option_count",
        "options",
        "preference",
        "type",
        "values",
        "wants_position",
    )

    def __init__(
        self,
        kind: int,
        database: str | None,
        collection: str | None,
        values: tuple[bytes, ...],
        options: Mapping[str, Any] | None = None,
        *,
        is_write: bool = False,
        preference: str = "primary",
        names: tuple[str, ...] | None = None,
    ):
        """`names`: what the values are called, for a payload that has no compact form."""
        self.type = kind
        self.database = database
        self.collection = collection
        self.values = values
        packed = encode(options) if options else b"\x80"
        self.option_count = packed[0] & 0x0F
        self.options = packed[1:]
        self.is_write = is_write
        self.names = names
        self.preference = preference
        self.wants_position = is_write
        self.op_id: bytes | None = None
        self.attempts = 0
        self.first_sent_at = 0.0
        self.deadline = 0.0


def payload(call: Call, prefix: bytes | None, remaining_ms: int, op_id: bytes | None, after: Position | None) -> bytes:
    """The payload of a call. `prefix`: the packed handle or name of its collection in the compact form; None: as a map."""
    count, parts = call.option_count, [call.options]
    if remaining_ms:
        parts.append(_timeout(remaining_ms))
        count += 1
    if op_id is not None:
        parts.append(_OP_ID + op_id)
        count += 1
    if after is not None:
        parts.append(_AFTER + _POSITION.pack(0x92, 0xCF, after[0], 0xCF, after[1]))
        count += 1
    if prefix is not None:
        head = bytes((0x91 + len(call.values) + (count > 0),)) + prefix
        if count:
            return b"".join((head, *call.values, _map_header(count), *parts))
        return b"".join((head, *call.values))
    if call.collection is not None:
        parts += (_COLLECTION, encode(call.collection))
        count += 1
    if call.database is not None:
        parts += (_DATABASE, encode(call.database))
        count += 1
    for name, value in zip(call.names or NAMES.get(call.type, ()), call.values, strict=True):
        parts += (encode(name), value)
        count += 1
    return b"".join((_map_header(count), *parts))


def _map_header(count: int) -> bytes:
    return bytes((0x80 | count,)) if count < 16 else b"\xde" + count.to_bytes(2, "big")


_timeouts: dict[int, bytes] = {}


def _timeout(milliseconds: int) -> bytes:
    known = _timeouts.get(milliseconds)
    if known is None:
        known = _TIMEOUT + encode(milliseconds)
        if len(_timeouts) < 64:
            _timeouts[milliseconds] = known
    return known


def array_header(count: int) -> bytes:
    """In front of `count` values that are packed already."""
    return bytes((0x90 | count,)) if count < 16 else b"\xdd" + count.to_bytes(4, "big")

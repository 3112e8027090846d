"""A call: one operation as it waits, is sent, and is perhaps sent again. And the making of its payload.

With the feature `compact` a payload is `[collection, value..., {options}]`, where the collection is a handle from BIND or its name; without it
the same is a map with names. A call keeps its values packed, so that sending it again costs no second encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from ..errors import invalid
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
#: Reads that see at least a position.
READS = frozenset({Request.READ, Request.QUERY, Request.COUNT, Request.VECTOR_SEARCH, Request.MULTI_READ})
#: Writes that have no `op_id`: they are sent once.
ACCOUNT_CHANGES = frozenset({Request.CREATE_USER, Request.DELETE_USER, Request.ALTER_USER, Request.CHANGE_PASSWORD})

_COLLECTION, _DATABASE = encode("collection"), encode("database")
_TIMEOUT, _OP_ID, _AFTER = encode("timeout_ms"), encode("op_id") + b"\xc4\x18", encode("after")
_POSITION = struct.Struct(">BBQBQ")

Position = tuple[int, int]


class Call:
    """One operation. Confined to the thread or task that made it, but for what the link reads while it sends."""

    # What most calls never change costs nothing to make.
    names: tuple[str, ...] | None = None
    op_id: bytes | None = None
    option_count = 0
    options = b""
    attempts = 0
    first_sent_at = 0.0
    deadline = 0.0
    wants_position = False
    is_write = False
    #: An attempt of a write was lost after it left, so that a refusal of a later one does not say that nothing was done.
    is_in_doubt = False
    #: A read from the connection's database without options.
    is_plain = False
    preference = "primary"

    def __init__(self, kind: int, database: str | None, collection: str | None, values: tuple[bytes, ...] = ()):
        self.type = kind
        self.database = database
        self.collection = collection
        self.values = values

    def set_options(self, options: Mapping[str, Any]) -> None:
        packed = encode(options)
        if packed[0] > 0x8F:
            raise invalid("there are more options than any request has")
        self.option_count, self.options = packed[0] & 0x0F, packed[1:]


#: The first byte of a compact payload of so many elements.
COMPACT_HEADS = tuple(bytes((0x90 + count,)) for count in range(16))
_MAPS = tuple(bytes((0x80 + count,)) for count in range(16))


def payload(call: Call, prefix: bytes | None, remaining_ms: int, op_id: bytes | None, after: Position | None) -> bytes:
    """The payload of a call. `prefix`: the packed handle or name of its collection in the compact form; None: as a map."""
    count, values = call.option_count, call.values
    parts = [call.options]
    if remaining_ms:
        parts.append(timeouts.get(remaining_ms) or timeout_field(remaining_ms))
        count += 1
    if op_id is not None:
        parts.append(_OP_ID + op_id)
        count += 1
    if after is not None:
        parts.append(_AFTER + _POSITION.pack(0x92, 0xCF, after[0], 0xCF, after[1]))
        count += 1
    if prefix is not None:
        if count:
            return b"".join((COMPACT_HEADS[len(values) + 2], prefix, *values, _MAPS[count], *parts))
        return b"".join((COMPACT_HEADS[len(values) + 1], prefix, *values))
    if call.collection is not None:
        parts += (_COLLECTION, encode(call.collection))
        count += 1
    if call.database is not None:
        parts += (_DATABASE, encode(call.database))
        count += 1
    for name, value in zip(call.names or NAMES.get(call.type, ()), values, strict=True):
        parts += (encode(name), value)
        count += 1
    return b"".join((_MAPS[count] if count < 16 else b"\xde" + count.to_bytes(2, "big"), *parts))


#: The field of a budget, for those that are in use.
timeouts: dict[int, bytes] = {}


def timeout_field(milliseconds: int) -> bytes:
    known = _TIMEOUT + encode(milliseconds)
    if len(timeouts) < 64:
        timeouts[milliseconds] = known
    return known


def array_header(count: int) -> bytes:
    """In front of `count` values that are packed already."""
    return COMPACT_HEADS[count] if count < 16 else b"\xdd" + count.to_bytes(4, "big")

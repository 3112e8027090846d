"""LZ4 blocks, where the package `lz4` is installed."""

from __future__ import annotations

import struct
from typing import Any

from ..errors import ProtocolError

try:
    import lz4.block as block
except ImportError:
    block = None

_block: Any = block

IS_AVAILABLE = _block is not None
#: Smaller payloads are not worth it.
WORTHWHILE_BYTE_COUNT = 1024
_RAW_LENGTH = struct.Struct(">I")


def compressed(payload: bytes) -> bytes | None:
    """Raw length and block, or None where that would be no shorter."""
    block: bytes = _block.compress(payload, store_size=False)
    return _RAW_LENGTH.pack(len(payload)) + block if len(block) + 4 < len(payload) else None


def decompressed(body: memoryview, limit: int) -> bytes:
    if len(body) < 4:
        raise ProtocolError("the node sent a compressed payload without its length")
    (length,) = _RAW_LENGTH.unpack_from(body)
    if length > limit:
        raise ProtocolError(f"the node announced a payload of {length:,} bytes; the limit is {limit:,}")
    try:
        raw: bytes = _block.decompress(body[4:], uncompressed_size=length)
    except Exception as error:
        raise ProtocolError(f"the node sent a compressed payload that is not LZ4: {error}") from error
    if len(raw) != length:
        raise ProtocolError(f"the node announced {length} bytes and compressed {len(raw)}")
    return raw

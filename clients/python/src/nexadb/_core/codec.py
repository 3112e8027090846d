"""MessagePack, by `ormsgpack` where it is installed and by `msgpack` otherwise, with the same results for the same values.

A `datetime` with a time zone becomes a timestamp (ext type -1) and comes back as one in UTC; what `datetime` cannot hold comes back as
`msgpack.Timestamp`, other ext types as `msgpack.ExtType`. Vectors, `array.array` and numpy arrays become float32 bytes; dataclasses and
pydantic models become maps. Decoding accepts exactly one value and takes memory in proportion to the bytes that came.
"""

from __future__ import annotations

import array
import dataclasses
import os
import struct
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, cast

import msgpack

from ..errors import NexaError, ProtocolError, invalid
from ..vector import SupportsArray, Vector, float32_bytes

try:
    import ormsgpack
except ImportError:
    ormsgpack = None  # type: ignore[assignment]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_TIMESTAMP_96 = struct.Struct(">Iq")


def _timestamp(moment: datetime) -> msgpack.Timestamp:
    if moment.tzinfo is None:
        raise TypeError("a datetime needs a time zone, for example datetime.now(timezone.utc)")
    microseconds = (moment - _EPOCH) // timedelta(microseconds=1)
    seconds, rest = divmod(microseconds, 1_000_000)
    return msgpack.Timestamp(seconds, rest * 1000)


def _from_extension(code: int, data: bytes) -> object:
    if code != -1:
        return msgpack.ExtType(code, bytes(data))
    if len(data) == 12:
        nanoseconds, seconds = _TIMESTAMP_96.unpack(data)
    elif len(data) == 8:
        both = int.from_bytes(data, "big")
        nanoseconds, seconds = both >> 34, both & 0x3_FFFF_FFFF
    elif len(data) == 4:
        nanoseconds, seconds = 0, int.from_bytes(data, "big")
    else:
        raise ValueError("a timestamp has 4, 8 or 12 bytes")
    try:
        return _EPOCH + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)
    except OverflowError:
        return msgpack.Timestamp(seconds, nanoseconds)


def _plain(value: object) -> object:
    """A value in terms of what MessagePack has, or TypeError."""
    if isinstance(value, Vector):
        return value.data
    if isinstance(value, array.array):
        return float32_bytes(cast("array.array[float]", value))
    if isinstance(value, SupportsArray):
        return cast(Any, value).item() if value.ndim == 0 else float32_bytes(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        # A key that is not known yet is left to the node.
        return {name: each for name, each in fields.items() if each is not None or name not in ("id", "_id")}
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(exclude_none=True)
    raise TypeError(f"a document cannot hold a {type(value).__name__}")


def _for_msgpack(value: object) -> object:
    return _timestamp(value) if isinstance(value, datetime) else _plain(value)


_msgpack_packb: Callable[..., bytes] = getattr(msgpack, "packb")  # noqa: B009 - typed here, since its author does not
_msgpack_unpackb: Callable[..., Any] = getattr(msgpack, "unpackb")  # noqa: B009


def _msgpack_encode(value: object) -> bytes:
    try:
        return _msgpack_packb(value, default=_for_msgpack, use_bin_type=True)
    except NexaError:
        raise
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise invalid(f"this value cannot be stored: {error}") from error


_UNREADABLE = (TypeError, ValueError, OverflowError, RecursionError, MemoryError, msgpack.UnpackException)


def _unreadable(error: BaseException) -> ProtocolError:
    return ProtocolError(f"the node sent a payload that is not MessagePack: {error}")


def _msgpack_decode(data: bytes | memoryview) -> Any:
    try:
        try:
            return _msgpack_unpackb(data, raw=False, strict_map_key=True, ext_hook=_from_extension, timestamp=3)
        except OverflowError:
            return _moments(_msgpack_unpackb(data, raw=False, strict_map_key=True, ext_hook=_from_extension, timestamp=0))
    except _UNREADABLE as error:
        raise _unreadable(error) from error


def _moments(value: Any) -> Any:
    """The value with every timestamp a `datetime` that can be one."""
    if isinstance(value, dict):
        return {name: _moments(each) for name, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_moments(each) for each in cast("list[Any]", value)]
    return _from_extension(-1, value.to_bytes()) if isinstance(value, msgpack.Timestamp) else value


#: A value in MessagePack. Raises what `errors.invalid` makes for one that cannot be stored.
encode: Callable[[object], bytes] = _msgpack_encode
#: The one value in these bytes. Raises ProtocolError.
decode: Callable[[bytes | memoryview], Any] = _msgpack_decode

if ormsgpack is not None:
    _OPTIONS = ormsgpack.OPT_PASSTHROUGH_DATETIME | ormsgpack.OPT_PASSTHROUGH_DATACLASS | ormsgpack.OPT_PASSTHROUGH_UUID
    # Whoever sends bytes behind the value, or none, does not send this one: see `_ormsgpack_decode`.
    _MARK = os.urandom(12)
    _MARK_BYTES = b"\xc4\x0c" + _MARK
    _packb, _unpackb = ormsgpack.packb, ormsgpack.unpackb

    def _ormsgpack_encode(value: object) -> bytes:
        try:
            return _packb(value, _plain, _OPTIONS)
        except (TypeError, ValueError, OverflowError, RecursionError):
            # It has no ext types below 0, which timestamps are. What nobody can pack is refused there, too.
            return _msgpack_encode(value)

    def _ormsgpack_decode(data: bytes | memoryview) -> Any:
        # The library ignores bytes behind the value; in a pair with the mark they cannot hide.
        try:
            value, mark = _unpackb(b"".join((b"\x92", data, _MARK_BYTES)), ext_hook=_from_extension)
        except _UNREADABLE as error:
            raise _unreadable(error) from error
        if mark != _MARK:
            raise _unreadable(ValueError("bytes behind the value"))
        return value

    encode, decode = _ormsgpack_encode, _ormsgpack_decode

IS_FAST = ormsgpack is not None

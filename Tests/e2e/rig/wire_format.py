"""The few frames that the crowd sends and splits, encoded once or by hand so that the crowd's own cost stays small."""
import struct

import msgpack

HEADER = struct.Struct(">4sBBHI")
SUCCESS = 0x81


def frame(kind: int, value) -> bytes:
    body = msgpack.packb(value)
    return HEADER.pack(b"NEXA", 1, kind, 0, len(body)) + body


PING = frame(9, {})


def create(serial: int) -> bytes:
    return frame(2, {"collection": "storm", "data": {"_id": f"made-{serial}", "name": "storm", "n": serial}})


def read(n: int) -> bytes:
    return frame(3, {"collection": "storm", "key": f"key-{n}"})


def split(data: bytes) -> tuple[int, bytes] | None:
    """The type of the first whole frame and the bytes behind it."""
    if len(data) < HEADER.size:
        return None
    _, _, kind, _, count = HEADER.unpack_from(data)
    end = HEADER.size + count
    return (kind, data[end:]) if len(data) >= end else None

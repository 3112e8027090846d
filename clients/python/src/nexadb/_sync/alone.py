"""The short way of a read by a thread that is alone: one write, one read, and nothing made that only others would need.

It does what `Connection.exchange` does, for the usual case: nobody else waits, the node was heard of a moment ago, its answer comes in one
piece. Where that is not so, it steps aside before anything has left, or goes on as `exchange` does afterwards.
"""

from __future__ import annotations

import struct

from .._core.frames import FLAG_REQUEST_ID, HEADER_BYTE_COUNT, MAGIC, REQUEST_HEADER, SUCCESS, VERSION, Request
from .._core.link import ID_MAX, Reply
from .channel import TICK_SECONDS
from .connection import IDLE_SECONDS, Connection, Waiter

_READ = int(Request.READ)
_pack = REQUEST_HEADER.pack
#: Of an answer: magic, version, type and flags as one number; the length; the id.
_unpack = struct.Struct(">QII").unpack_from
_USUAL = int.from_bytes(MAGIC + bytes((VERSION, SUCCESS, 0, FLAG_REQUEST_ID)), "big")
_HEAD_BYTE_COUNT = REQUEST_HEADER.size
_RECEIVE_BYTE_COUNT = 1 << 16


def read_alone(connection: Connection, collection: str, key: bytes, budget: bytes, now: float, deadline: float) -> Reply | None:
    """The answer to READ for a packed key; None where the short way is not open. `budget` is the packed field that tells the deadline."""
    if connection._tls is not None:
        # What goes straight to the socket would go in plain.
        return None
    link, channel = connection.link, connection._channel
    prefix, request_id = link.prefixes.get(collection), link.next_id
    if prefix is None or request_id > ID_MAX or channel.limit != TICK_SECONDS or now - connection._heard_at > IDLE_SECONDS:
        return None
    payload = b"".join((b"\x93", prefix, key, b"\x81", budget))
    frame = _pack(MAGIC, VERSION, _READ, FLAG_REQUEST_ID, len(payload) + 4, request_id) + payload
    waiter, data = Waiter(), b""
    try:
        with connection._send_lock, connection._lock:
            if link.pending or link.next_id != request_id or connection._is_reading or connection._unsent or not connection.is_usable:
                return None
            link.next_id = request_id + 1
            link.pending[request_id] = waiter
            connection._is_reading = True
            connection._unsent = frame
            connection._unsent = frame[channel.send(frame) :]
        if not connection._unsent:
            data = channel.socket.recv(_RECEIVE_BYTE_COUNT)
        if len(data) > _HEAD_BYTE_COUNT:
            head, length, answered_id = _unpack(data)
            if head == _USUAL and answered_id == request_id and length == len(data) - HEADER_BYTE_COUNT and link.framer.is_between_frames:
                with connection._lock:
                    if request_id in link.pending:
                        del link.pending[request_id]
                        connection._heard_at = now
                        connection._read_no_more()
                        return SUCCESS, FLAG_REQUEST_ID, data[_HEAD_BYTE_COUNT:], None
    except OSError:
        # Nothing came yet; or something is wrong, and that shows itself again to the one who reads on.
        pass
    except BaseException:
        if link.pending.get(request_id) is waiter:
            connection._hand_over()
            connection.abandon(request_id)
        raise
    if connection._unsent:
        connection._hand_over()
        connection._send_quietly(b"")
        return connection._answer(waiter, request_id, False, deadline)
    return connection._answer(waiter, request_id, True, deadline, data)

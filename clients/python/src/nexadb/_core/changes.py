"""Change streams: what an event means, and which failures a stream outlives. Pure."""

from __future__ import annotations

import random
from typing import TypeVar

from ..errors import ConnectionError, NexaError, ProtocolError, ServerError, TimeoutError
from ..types import ChangeEvent
from .codec import decode
from .typed import Shape
from .values import map_of, text_of

T = TypeVar("T")

_RESUMABLE = frozenset({"SUBSCRIPTION_LOST", "SHUTTING_DOWN", "OVERLOADED", "STALE_READ", "NOT_LEADER"})
_BACKOFF_MIN, _BACKOFF_MAX = 0.02, 2.0


def event_of(body: bytes | memoryview, shape: Shape[T]) -> ChangeEvent[T]:
    fields = map_of(decode(body))
    namespace, key, document = map_of(fields.get("ns")), map_of(fields.get("documentKey")), fields.get("fullDocument")
    token, epoch, lsn = fields.get("resume_token"), fields.get("epoch"), fields.get("lsn")
    if not isinstance(token, bytes):
        raise ProtocolError("the node sent a change event without a resume token")
    return ChangeEvent(
        operation=str(fields.get("operationType", "")),
        database=str(namespace.get("db", "")),
        collection=str(namespace.get("coll", "")),
        key=text_of(key.get("_id")),
        document=None if document is None else shape.of(map_of(document)),
        updated_fields=map_of(fields.get("updateDescription")).get("updatedFields"),
        timestamp=float(fields.get("timestamp") or 0.0),
        resume_token=token,
        position=(epoch, lsn) if isinstance(epoch, int) and isinstance(lsn, int) else None,
    )


def subscription_token(answer: object) -> bytes | None:
    token = map_of(answer).get("resume_token")
    return token if isinstance(token, bytes) else None


def is_resumable(error: NexaError) -> bool:
    if isinstance(error, ServerError):
        return error.code in _RESUMABLE
    is_protocol = isinstance(error, ProtocolError) or isinstance(error.__cause__, ProtocolError)
    return isinstance(error, (ConnectionError, TimeoutError)) and not is_protocol


def backoff(failures: int, rng: random.Random) -> float:
    most: float = min(_BACKOFF_MAX, _BACKOFF_MIN * 2 ** min(failures - 1, 10))
    return rng.uniform(most / 2, most)

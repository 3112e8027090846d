"""A result that may come in pieces: what has arrived and not been taken, and how much the node may still send. Pure.

Invariant: the node may be at most two chunks ahead of what it was allowed; one more is allowed for each chunk that was taken. A node that
goes far beyond that is not given more memory: the stream ends with a ProtocolError.
"""

from __future__ import annotations

from collections import deque
from typing import Any, cast

from ..errors import ProtocolError
from .codec import decode
from .frames import CHANGE_EVENT, STREAM_CHUNK, STREAM_END, STREAM_START
from .link import FLOOD_CHUNK_COUNT, Reply

#: Chunks that a node sends before the first credit.
INITIAL_CREDIT = 2


class StreamState:
    __slots__ = ("_allowed", "_replies", "excess_max", "is_complete", "stream", "taken")

    def __init__(self, excess_max: int = FLOOD_CHUNK_COUNT):
        self._replies: deque[Reply] = deque()
        self._allowed = INITIAL_CREDIT
        self.excess_max = excess_max
        self.stream: int | None = None
        self.taken = 0
        #: The last frame has arrived (it may still wait to be taken).
        self.is_complete = False

    def __bool__(self) -> bool:
        """Whether `take` has something to give."""
        return bool(self._replies)

    def deliver(self, reply: Reply) -> None:
        kind = reply[0]
        if kind == STREAM_START:
            fields = decode(reply[2])
            stream = cast("dict[str, Any]", fields).get("stream") if isinstance(fields, dict) else None
            if not isinstance(stream, int):
                raise ProtocolError("the node began a stream without its number")
            self.stream = stream
            return
        if kind == STREAM_CHUNK:
            self._allowed -= 1
            if self._allowed < -self.excess_max:
                raise ProtocolError("the node sends more of a stream than it was allowed")
        elif kind != CHANGE_EVENT:
            self.is_complete = True
        self._replies.append(reply)

    @property
    def backlog(self) -> int:
        return len(self._replies)

    @property
    def is_ahead(self) -> bool:
        """Whether the node sent more than it was allowed, so that reading should pause."""
        return self._allowed < -INITIAL_CREDIT

    def take(self) -> tuple[Reply, bool]:
        """The next frame, and whether a credit is due for it."""
        reply = self._replies.popleft()
        if reply[0] == STREAM_CHUNK and self.stream is not None:
            self._allowed += 1
            return reply, not self.is_complete
        return reply, False

    def documents(self, reply: Reply) -> list[dict[str, Any]] | None:
        """What a taken frame brings: documents, None at the end. An error is raised by whoever knows its type."""
        kind, _, body, _ = reply
        if kind == STREAM_END:
            return None
        value = decode(body)
        if kind == STREAM_CHUNK and isinstance(value, dict):
            value = cast("dict[str, Any]", value).get("documents")
        if not isinstance(value, list):
            raise ProtocolError("the node answered with something that is no list of documents")
        return cast("list[dict[str, Any]]", value)

"""`AsyncCursor`: the documents of a query, piece by piece."""

from __future__ import annotations

from types import TracebackType
from typing import Generic, TypeVar

from .._core.calls import Call
from .._core.codec import decode
from .._core.engine import clock, document_of, documents_of
from .._core.frames import ERROR, SUCCESS
from .._core.link import Reply
from .._core.retry import Sent, midway
from .._core.typed import Shape
from ..errors import ClosedError
from ..types import Document
from .connection import Expired, Sink
from .runner import Runner

T = TypeVar("T")


class AsyncCursor(Generic[T]):
    """Iterate over it, or take a list. The node sends a few pieces ahead and waits until they are taken; all come from one snapshot.

    It ends by itself with the last document. When you stop earlier, close it (or use it in a `with` block): that frees the node at once.
    """

    def __init__(self, runner: Runner, call: Call, timeout_ms: int | None, shape: Shape[T]):
        self._runner, self._call, self._timeout_ms, self._shape = runner, call, timeout_ms, shape
        self._sink: Sink | None = None
        self._chunk: list[Document] = []
        self._place = 0
        self._is_started = self._is_over = self._is_closed = False

    def __aiter__(self) -> AsyncCursor[T]:
        return self

    async def __anext__(self) -> T:
        while self._place >= len(self._chunk):
            if self._is_closed:
                raise ClosedError("this cursor was closed")
            if self._is_over:
                raise StopAsyncIteration
            await self._advance()
        document = self._chunk[self._place]
        self._place += 1
        return self._shape.of(document_of(document))

    async def next(self) -> T | None:
        """The next document, or None at the end."""
        try:
            return await self.__anext__()
        except StopAsyncIteration:
            return None

    async def to_list(self, limit: int | None = None) -> list[T]:
        """The documents that are left, or the next `limit` of them."""
        found: list[T] = []
        while limit is None or len(found) < limit:
            try:
                found.append(await self.__anext__())
            except StopAsyncIteration:
                break
        return found

    async def close(self) -> None:
        """Gives up what is left. Closing twice does nothing."""
        self._is_closed = True
        self._chunk, self._place = [], 0
        if self._sink is not None:
            self._sink.close()
            self._sink = None

    async def __aenter__(self) -> AsyncCursor[T]:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def __del__(self) -> None:
        if self._sink is not None:
            self._sink.orphan()

    async def _advance(self) -> None:
        """Takes the next piece."""
        try:
            if not self._is_started:
                self._is_started = True
                sink, reply = await self._runner.open_stream(self._call, self._timeout_ms)
                self._sink = sink
                if self._is_closed:
                    raise ClosedError("this cursor was closed")
            elif self._sink is not None:
                reply = await self._sink.next(self._runner.engine.deadline(self._timeout_ms, clock()))
            else:
                raise ClosedError("this cursor failed before")
            self._take(reply)
        except Expired:
            await self.close()
            raise self._runner.engine.timed_out(self._call) from None
        except Sent as error:
            await self.close()
            raise midway(error) from error.__cause__
        except BaseException:
            await self.close()
            raise

    def _take(self, reply: Reply) -> None:
        self._place = 0
        if reply[0] == ERROR:
            raise self._runner.engine.refusal(reply)
        if reply[0] == SUCCESS or self._sink is None:
            self._chunk, self._is_over, self._sink = documents_of(decode(reply[2])), True, None
            return
        documents = self._sink.state.documents(reply)
        self._chunk = documents or []
        if documents is None:
            self._is_over, self._sink = True, None

"""`AsyncBulkWriter`: many writes in few requests."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, TypeVar

from .._core.batching import FRAME_OVERHEAD, Batcher, BulkResult
from .._core.calls import array_header
from .._core.codec import encode
from .._core.engine import clock, packed_document
from .._core.frames import Request
from ..errors import BulkWriteError, ClosedError
from .beside import Beside, Lock
from .runner import Runner

T = TypeVar("T")


class AsyncBulkWriter(Generic[T]):
    """Takes items one by one and sends them in batches: by number, by size, and when the first has waited long enough.

    Leaving its `with` block sends the rest. `result` tells what became of each item: `result.acknowledged` is the number of the first item
    that is not settled yet, from which an interrupted load goes on. Ordered, the first item that fails ends the writer with a BulkWriteError;
    otherwise the failures are gathered and raised by `flush`. A batch that fails as a whole ends the writer in any case. Every later call
    raises what ended it, which may have happened while nobody called.
    """

    def __init__(
        self,
        runner: Runner,
        collection: str,
        database: str | None,
        *,
        ordered: bool,
        batch_size: int,
        batch_bytes: int,
        batch_ms: int,
        options: Mapping[str, Any],
        timeout_ms: int | None,
    ):
        self.result = BulkResult()
        self._runner, self._collection, self._database = runner, collection, database
        self._options = {**options, "atomic": False, "ordered": ordered}
        self._is_ordered, self._timeout_ms = ordered, timeout_ms
        self._batcher = Batcher(batch_size, batch_bytes - FRAME_OVERHEAD, batch_ms / 1000)
        self._holds_documents = True
        self._told_errors = 0
        #: Held from the closing of a batch to its answer, so that batches are numbered in the order in which they are sent.
        self._lock = Lock()
        self._beside = Beside()
        self._is_watched = False
        self._failure: Exception | None = None

    @property
    def acknowledged(self) -> int:
        return self.result.acknowledged

    async def insert(self, document: T) -> None:
        await self._add(packed_document(document), is_document=True)

    async def put(self, key: str, document: T) -> None:
        """Stores a document whether or not its key exists."""
        await self._add(b"\x83" + encode("op") + encode("put") + _field("key", key) + encode("data") + packed_document(document))

    async def update(self, key: str, updates: Mapping[str, Any], *, upsert: bool = False) -> None:
        await self._add(encode({"op": "update", "key": key, "updates": updates, "upsert": upsert}))

    async def delete(self, key: str) -> None:
        await self._add(encode({"op": "delete", "key": key}))

    async def flush(self) -> BulkResult:
        """Sends what is waiting and returns what became of everything so far."""
        async with self._lock:
            self._raise_failure()
            if len(self._batcher):
                await self._send(self._batcher.close())
            if len(self.result.errors) > self._told_errors:
                self._told_errors = len(self.result.errors)
                self._raise()
            return self.result

    async def __aenter__(self) -> AsyncBulkWriter[T]:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if error is None:
                await self.flush()
        finally:
            self._beside.stop()

    async def _add(self, item: bytes, *, is_document: bool = False) -> None:
        async with self._lock:
            self._raise_failure()
            if is_document != self._holds_documents:
                if len(self._batcher):
                    await self._send(self._batcher.close())
                self._holds_documents = is_document
            batch = self._batcher.add(item, clock())
            if batch is not None:
                await self._send(batch)
            if not self._is_watched and len(self._batcher):
                self._is_watched = True
                self._beside.start(self._watch)

    async def _watch(self) -> None:
        """Sends each batch that has waited long enough, until nothing waits."""
        while True:
            async with self._lock:
                seconds = self._batcher.due_in(clock())
                if seconds is None or self._failure is not None:
                    self._is_watched = False
                    return
                if seconds <= 0:
                    # Whoever calls next hears of a failure.
                    with suppress(Exception):
                        await self._send(self._batcher.close())
                    continue
            if not await self._beside.pause(seconds):
                return

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _send(self, batch: list[bytes]) -> None:
        engine = self._runner.engine
        packed = array_header(len(batch)) + b"".join(batch)
        names = None if self._holds_documents else ("operations",)
        try:
            call = engine.call(Request.BATCH_WRITE, self._collection, (packed,), self._options, database=self._database, names=names)
            answer = engine.result(await self._runner.run(call, self._timeout_ms))
            self.result.take(len(batch), answer, self._is_ordered)
            if self._is_ordered and self.result.errors:
                self._told_errors = len(self.result.errors)
                self._raise()
        except BaseException as error:
            # What became of these items is not known, and so not which number the next ones have.
            self._failure = error if isinstance(error, Exception) else ClosedError("a batch of this bulk writer was given up")
            raise

    def _raise(self) -> None:
        errors = self.result.errors
        raise BulkWriteError(
            f"{len(errors)} of {self.result.acknowledged} items failed, the first (item {errors[0].index}) with {errors[0].code}: "
            f"{errors[0].message}",
            self.result,
        )


def _field(name: str, value: object) -> bytes:
    return encode(name) + encode(value)

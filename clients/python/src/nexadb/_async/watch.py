"""`AsyncChangeStream`: what happens to documents, as it is committed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Generic, TypeVar

from .._core.changes import backoff, event_of, is_resumable, subscription_token
from .._core.engine import clock
from .._core.frames import CHANGE_EVENT, ERROR, Request
from .._core.retry import Sent, midway
from .._core.typed import Shape
from .._core.values import text_of
from ..errors import ClosedError, NexaError, ServerError, ServerSelectionError
from ..options import ReadPreference
from ..types import ChangeEvent
from .connection import Expired, Sink
from .runner import Runner

T = TypeVar("T")


class AsyncChangeStream(Generic[T]):
    """Iterate over it for the changes from now on, or from `resume_after` on. It uses a connection of its own.

    When the connection or its node is lost, it goes on at another one where it stood, and no change is missed or seen twice. When nobody has
    that part of the history any more, it ends with HistoryLostError. Keep `resume_token` to go on after your own restart.
    """

    def __init__(self, runner: Runner, fields: Mapping[str, Any], heartbeat_ms: int, shape: Shape[T], preference: ReadPreference | None):
        self._runner, self._shape, self._preference = runner, shape, preference
        self._fields = {**fields, "heartbeat_ms": heartbeat_ms or None}
        self._silence_seconds = heartbeat_ms * 3 / 1000
        self._resources = AsyncExitStack()
        self._sink: Sink | None = None
        self._failures = 0
        self._has_begun = self._is_closed = False
        token = fields.get("resume_after")
        self.resume_token: bytes | None = token if isinstance(token, bytes) else None

    def __aiter__(self) -> AsyncChangeStream[T]:
        return self

    async def __anext__(self) -> ChangeEvent[T]:
        while True:
            event = await self._step(None)
            if event is not None:
                return event

    async def next(self, timeout_ms: int) -> ChangeEvent[T] | None:
        """The next change, or None when none came in this time."""
        until = clock() + timeout_ms / 1000
        while True:
            event = await self._step(until)
            if event is not None or clock() >= until:
                return event

    async def open(self) -> None:
        """Subscribes now instead of with the first step: changes from here on will be seen. Without a node: ServerSelectionError."""
        while self._sink is None:
            await self._step(clock())

    async def close(self) -> None:
        self._is_closed = True
        await self._drop()

    async def __aenter__(self) -> AsyncChangeStream[T]:
        await self.open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def _step(self, until: float | None) -> ChangeEvent[T] | None:
        """One event, or None where there was something else to do or nothing came."""
        if self._is_closed:
            raise ClosedError("this change stream was closed")
        try:
            if self._sink is None:
                await self._subscribe()
                return None
            return await self._take(self._sink, until)
        except NexaError as error:
            await self._drop()
            if not is_resumable(error) or (isinstance(error, ServerSelectionError) and not self._has_begun):
                self._is_closed = True
                raise midway(error) if isinstance(error, Sent) else error from error.__cause__
            self._failures += 1
            await asyncio.sleep(backoff(self._failures, self._runner.engine.rng))
            return None
        except BaseException:
            await self._drop()
            raise

    async def _subscribe(self) -> None:
        fields: dict[str, Any] = dict(self._fields)
        if self.resume_token is not None:
            fields["resume_after"] = self.resume_token
            fields.pop("after", None)
        database = text_of(fields.pop("database", None))
        call = self._runner.engine.call(Request.SUBSCRIBE_CHANGES, None, (), fields, database=database, preference=self._preference)
        resources = self._resources
        sink, reply = await resources.enter_async_context(self._runner.subscription(call))
        if self._is_closed:
            await resources.aclose()
            raise ClosedError("this change stream was closed")
        if reply[0] == ERROR:
            raise self._runner.engine.refusal(reply)
        token = subscription_token(self._runner.engine.result(reply))
        if token is not None:
            self.resume_token = token
        self._sink, self._has_begun = sink, True

    async def _take(self, sink: Sink, until: float | None) -> ChangeEvent[T] | None:
        now = clock()
        silent_at = now + self._silence_seconds if self._silence_seconds else float("inf")
        try:
            reply = await sink.next(silent_at if until is None else min(until, silent_at))
        except Expired:
            if until is not None and clock() < silent_at:
                return None
            raise
        if reply[0] == ERROR:
            error = self._runner.engine.refusal(reply)
            if isinstance(error, ServerError) and isinstance(token := error.details.get("resume_token"), bytes):
                self.resume_token = token
            raise error
        if reply[0] != CHANGE_EVENT:
            return None
        event = event_of(reply[2], self._shape)
        self._failures = 0
        self.resume_token = event.resume_token
        return None if event.operation == "heartbeat" else event

    async def _drop(self) -> None:
        self._sink = None
        await self._resources.aclose()
        self._resources = AsyncExitStack()

"""Work that goes on beside its owner: a task of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

Lock = asyncio.Lock


class Beside:
    """At most one piece of work at a time. It ends by itself, or at its next pause once it is stopped."""

    def __init__(self) -> None:
        self._task: asyncio.Future[None] | None = None

    def start(self, work: Callable[[], Awaitable[None]]) -> None:
        self._task = asyncio.ensure_future(work())

    async def pause(self, seconds: float) -> bool:
        """Whether to go on afterwards."""
        await asyncio.sleep(seconds)
        return True

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

"""What a client tells its listeners. `client.add_listener(print)` shows every operation; listeners are called in the thread of the operation
and must be quick; what they raise is logged and goes no further. Documents and filters are never part of an event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .options import Address


@dataclass(frozen=True)
class CommandEvent:
    """An operation has ended: with its answer, or with `error`."""

    operation: str
    database: str
    collection: str | None
    address: Address | None
    seconds: float
    attempts: int
    error: BaseException | None


@dataclass(frozen=True)
class ConnectionEvent:
    """A connection was made (`error` is None), or could not be made, or was lost."""

    address: Address
    is_open: bool
    error: BaseException | None


Listener = Callable[[CommandEvent | ConnectionEvent], None]

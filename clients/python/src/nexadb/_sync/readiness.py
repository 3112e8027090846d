"""Waiting for a socket: by `poll` where there is one, so that any number of descriptors will do, and by `select` elsewhere."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

_HAS_POLL = hasattr(select, "poll")


def reader(channel: socket.socket) -> Callable[[float], object]:
    """A function that waits so many milliseconds for input; what it returns is true when there is some."""
    if _HAS_POLL:
        poll = select.poll()
        poll.register(channel, select.POLLIN)
        return poll.poll
    return lambda milliseconds: select.select([channel], [], [], milliseconds / 1000)[0]


def wait_to_write(channel: socket.socket, reads: bool, seconds: float) -> bool:
    """Waits until the socket takes output or, with `reads`, has input. Whether it has input."""
    if _HAS_POLL:
        poll = select.poll()
        poll.register(channel, select.POLLOUT | (select.POLLIN if reads else 0))
        return any(events & select.POLLIN for _, events in poll.poll(seconds * 1000))
    return bool(select.select([channel] if reads else [], [channel], [], seconds)[0])

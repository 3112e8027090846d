"""A connected socket as the blocking client needs it: output never blocks, input waits for a bounded time.

On POSIX systems the wait is the kernel's own time limit (SO_RCVTIMEO), so an answer costs one system call to send for and one to receive.
Elsewhere the socket does not block and is waited for.
"""

from __future__ import annotations

import select
import socket
import struct
import sys

_HAS_TIMEOUT = sys.platform != "win32" and hasattr(socket, "SO_RCVTIMEO") and hasattr(socket, "MSG_DONTWAIT")
_HAS_POLL = hasattr(select, "poll")
_TIMEVAL = struct.Struct("ll")
_DONT_WAIT: int = getattr(socket, "MSG_DONTWAIT", 0)
#: How long one wait for input takes at most: what has to be looked at meanwhile is looked at then.
TICK_SECONDS = 0.5


class Channel:
    __slots__ = ("_buffer", "_view", "limit", "socket")

    def __init__(self, connected: socket.socket, byte_count: int = 1 << 18):
        self.socket = connected
        self._buffer = bytearray(byte_count)
        self._view = memoryview(self._buffer)
        #: How long a blocking wait of the socket takes at most.
        self.limit = 0.0
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setblocking(_HAS_TIMEOUT)

    def send(self, data: bytes | memoryview) -> int:
        """How many bytes could leave now."""
        try:
            return self.socket.send(data, _DONT_WAIT)
        except BlockingIOError:
            return 0

    def receive(self, seconds: float) -> bytes | None:
        """What has arrived, waiting for it at most so long; None when nothing came, no bytes at the end of the stream."""
        try:
            if seconds <= 0.0:
                count = self.socket.recv_into(self._buffer, 0, _DONT_WAIT)
            elif _HAS_TIMEOUT:
                if seconds > TICK_SECONDS:
                    seconds = TICK_SECONDS
                if seconds != self.limit:
                    self._set_limit(seconds)
                count = self.socket.recv_into(self._buffer)
            else:
                self.wait(True, False, min(seconds, TICK_SECONDS))
                count = self.socket.recv_into(self._buffer)
        except BlockingIOError:
            return None
        return bytes(self._view[:count])

    def _set_limit(self, seconds: float) -> None:
        microseconds = max(1000, int(seconds * 1_000_000))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL.pack(*divmod(microseconds, 1_000_000)))
        self.limit = seconds

    def wait(self, for_input: bool, for_output: bool, seconds: float) -> bool:
        """Waits until the socket has input or takes output. Whether it has input."""
        if _HAS_POLL:
            poll = select.poll()
            poll.register(self.socket, (select.POLLIN if for_input else 0) | (select.POLLOUT if for_output else 0))
            return any(events & select.POLLIN for _, events in poll.poll(seconds * 1000))
        readable, _, _ = select.select([self.socket] if for_input else [], [self.socket] if for_output else [], [], seconds)
        return bool(readable)

    def shut(self) -> None:
        """Ends both directions, which wakes the threads that wait for this socket; closing it does not."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        self.shut()
        self.socket.close()

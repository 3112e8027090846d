"""Work that goes on beside its owner: a thread, which keeps no process alive."""

from __future__ import annotations

import threading
from collections.abc import Callable

Lock = threading.Lock


class Beside:
    """At most one piece of work at a time. It ends by itself, or at its next pause once it is stopped."""

    def __init__(self) -> None:
        self._is_stopped = threading.Event()

    def start(self, work: Callable[[], None]) -> None:
        self._is_stopped.clear()
        threading.Thread(target=work, name="nexadb-bulk", daemon=True).start()

    def pause(self, seconds: float) -> bool:
        """Whether to go on afterwards."""
        return not self._is_stopped.wait(seconds)

    def stop(self) -> None:
        self._is_stopped.set()

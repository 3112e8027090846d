"""SLOW_DOWN honoured: how long a write waits before it leaves, while a node asks for slower writes. Pure.

The pause begins at a millisecond, doubles with each answer that still asks for it (once per pause), and halves with each that does not.
"""

from __future__ import annotations

_PAUSE_MIN, _PAUSE_MAX = 0.001, 0.25


class Pace:
    __slots__ = ("_changed_at", "pause")

    def __init__(self) -> None:
        self.pause = 0.0
        self._changed_at = 0.0

    def observe(self, is_slowed: bool, now: float) -> None:
        if now - self._changed_at < self.pause:
            return
        if is_slowed:
            self.pause = min(_PAUSE_MAX, max(_PAUSE_MIN, self.pause * 2))
        else:
            self.pause = self.pause / 2 if self.pause > _PAUSE_MIN else 0.0
        self._changed_at = now

"""The bulk writer's decisions: which items form a batch, what became of each. Pure.

A batch is closed by the number of its items, by their bytes, or by the age of its first item. Items are numbered in the order in which they
were given; `acknowledged` of the result says up to which number everything is settled, so an interrupted load can go on from there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import ProtocolError
from .values import list_of, map_of

#: Room in a frame for what stands around the items.
FRAME_OVERHEAD = 4096


@dataclass(frozen=True)
class BulkItemError:
    """An item that was not written: its number, and why."""

    index: int
    code: str
    message: str


@dataclass
class BulkResult:
    """`ids[n]` is the key of item n, or None where it failed or was not tried."""

    ids: list[str | None] = field(default_factory=list[str | None])
    errors: list[BulkItemError] = field(default_factory=list[BulkItemError])
    #: All items before this number are settled: written, or in `errors`.
    acknowledged: int = 0

    @property
    def count(self) -> int:
        """How many items were written."""
        return sum(each is not None for each in self.ids)

    def take(self, size: int, answer: object, is_ordered: bool) -> None:
        """Takes the answer to a batch of `size` items. An ordered one ends with the first that failed."""
        fields = map_of(answer)
        if not isinstance(fields.get("ids"), list):
            raise ProtocolError("the node answered a batch without the ids of its items")
        failed: dict[int, BulkItemError] = {}
        for each in map(map_of, list_of(fields.get("errors"))):
            index = each.get("index")
            if not isinstance(index, int) or not 0 <= index < size:
                raise ProtocolError("the node answered a batch with the error of an item that it has not")
            code, text = str(each.get("code", "INTERNAL")), str(each.get("error", ""))
            failed[index] = BulkItemError(self.acknowledged + index, code, text)
        if is_ordered and failed:
            size = min(failed) + 1
        written = iter(list_of(fields.get("ids")))
        for index in range(size):
            self.ids.append(None if index in failed else next(written, None))
        self.errors += [failed[index] for index in sorted(failed)]
        self.acknowledged += size


class Batcher:
    """Collects packed items until they make a batch."""

    __slots__ = ("_byte_count", "_items", "_opened_at", "byte_count_max", "count_max", "seconds_max")

    def __init__(self, count_max: int, byte_count_max: int, seconds_max: float):
        self.count_max, self.byte_count_max, self.seconds_max = count_max, byte_count_max, seconds_max
        self._items: list[bytes] = []
        self._byte_count = 0
        self._opened_at = 0.0

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: bytes, now: float) -> list[bytes] | None:
        """Adds an item. The batch that is to be sent before it or with it, if there is one."""
        full: list[bytes] | None = None
        if self._items and self._byte_count + len(item) > self.byte_count_max:
            full = self.close()
        if not self._items:
            self._opened_at = now
        self._items.append(item)
        self._byte_count += len(item)
        if full is None and (len(self._items) >= self.count_max or self._byte_count >= self.byte_count_max):
            return self.close()
        return full

    def due_in(self, now: float) -> float | None:
        """Seconds until the batch is to be sent for its age, none or less when it is; None while there is nothing to send."""
        return self._opened_at + self.seconds_max - now if self._items else None

    def close(self) -> list[bytes]:
        items, self._items, self._byte_count = self._items, [], 0
        return items

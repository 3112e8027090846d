"""What clients of a cluster did and saw, and what must be true of it. Knows nothing of the product: operations with times in, sentences out.

Every value is written once, to one key, so a value names its write. An operation is invoked and returns, and in between it happened, if it did:

    acknowledged  the write is there, for every later leader (`w: majority`) or on the leader alone (`w: 1`)
    refused       the write was answered with an error that says it was not done: nobody may ever see it
    unknown       no answer, or one that does not tell: it may have happened at any time after it was invoked, or never

| check | what it finds |
|---|---|
| `lost` | a write acknowledged by a majority that is not at the end, though nothing that can have come later took its place |
| `phantoms` | a value at the end, or in a read, that nobody wrote, that was refused, or that was written later only |
| `sessions` | a read with a token that does not show the session's own write, or less than the session saw before, on any node |
| `positions` | a read that answers at a position, and shows less than the writes up to that position |
| `linearizability` | strict reads and majority writes of a key that fit into no single order |
| `equality` | nodes with different content |

A token is a position, (epoch, LSN), and positions order the writes of a key.
"""
import bisect
import collections
import itertools
from dataclasses import dataclass

ACKNOWLEDGED, REFUSED, UNKNOWN = "acknowledged", "refused", "unknown"
INFINITY = float("inf")


@dataclass
class Operation:
    client: int
    kind: str                 # "write" or "read"
    key: str
    value: object             # written, or seen (None: no document)
    start: float
    end: float                # INFINITY while unknown
    outcome: str = ACKNOWLEDGED
    node: str = ""
    position: tuple | None = None   # the token of the answer
    after: tuple | None = None      # the token that the request carried
    is_majority: bool = True        # a write with `w: majority`
    is_strict: bool = False         # a linearizable read

    def __str__(self):
        at = f" at {self.position[0]}:{self.position[1]}" if self.position else ""
        after = f" after {self.after[0]}:{self.after[1]}" if self.after else ""
        end = "?" if self.end == INFINITY else f"{self.end:.3f}"
        return (f"[{self.start:.3f} {end}] client {self.client} {self.kind} {self.key}={self.value!r}{at}{after} "
                f"on {self.node or '-'} {self.outcome}")


class History:
    def __init__(self, operations: list[Operation], initial: dict | None = None):
        """`initial`: what each key held before the first operation; a key that is not in it was not there."""
        self.operations = sorted(operations, key=lambda operation: operation.start)
        self.initial = initial or {}
        self.by_key: dict[str, list[Operation]] = collections.defaultdict(list)
        self.writer: dict[tuple, Operation] = {}
        for operation in self.operations:
            self.by_key[operation.key].append(operation)
            if operation.kind == "write":
                assert (operation.key, operation.value) not in self.writer, f"{operation} is written twice: values name their writes"
                self.writer[operation.key, operation.value] = operation

    def check(self, final: dict[str, dict] | None = None) -> list[str]:
        """All of it; `final` is what each node holds at the end. Empty when all is well."""
        faults = self.phantoms(final or {}) + self.sessions() + self.positions() + self.linearizability()
        if final:
            faults += self.lost(final) + equality(final)
        return faults

    def writes(self, key: str, *outcomes: str) -> list[Operation]:
        return [o for o in self.by_key[key] if o.kind == "write" and o.outcome in outcomes]

    # Nothing lost, nothing invented

    def lost(self, final: dict[str, dict]) -> list[str]:
        faults = []
        for node, content in final.items():
            for key in self.by_key:
                kept = [o for o in self.writes(key, ACKNOWLEDGED) if o.is_majority]
                if not kept:
                    continue
                found = content.get(key)
                writer = self.writer.get((key, found))
                # What was found may stand there when it can have been written last: no kept write began after it had surely ended.
                until = writer.end if writer is not None and writer.outcome == ACKNOWLEDGED else INFINITY if writer is not None else -INFINITY
                over = [o for o in kept if o.start > until or self.is_before(writer, o)]
                if over:
                    faults.append(f"lost: {node} holds {key}={found!r}, without the acknowledged {max(over, key=lambda o: o.end)}")
        return faults

    @staticmethod
    def is_before(left: Operation | None, right: Operation) -> bool:
        return left is not None and left.position is not None and right.position is not None and left.position < right.position

    def phantoms(self, final: dict[str, dict]) -> list[str]:
        faults = []
        for operation in self.operations:
            if operation.kind == "read" and operation.outcome == ACKNOWLEDGED:
                if why := self.why_phantom(operation.key, operation.value, operation.end):
                    faults.append(f"phantom: {operation} saw {why}")
        for node, content in final.items():
            for key, value in content.items():
                if why := self.why_phantom(key, value, INFINITY):
                    faults.append(f"phantom: {node} holds at the end {key}={value!r}, {why}")
        return faults

    def why_phantom(self, key: str, value, seen: float) -> str | None:
        if value is None or value == self.initial.get(key):
            return None
        writer = self.writer.get((key, value))
        if writer is None:
            return "what nobody wrote"
        if writer.outcome == REFUSED:
            return f"what was refused: {writer}"
        return f"what was written later: {writer}" if writer.start > seen else None

    # What one client sees, wherever it asks

    def sessions(self) -> list[str]:
        """Reads that carry their session's token: own writes, and never back in time."""
        faults = []
        for _, session in itertools.groupby(sorted(self.operations, key=lambda o: (o.client, o.start)), key=lambda o: o.client):
            newest: dict[str, tuple] = {}       # key -> (position, the operation that showed it)
            for operation in session:
                if operation.outcome != ACKNOWLEDGED:
                    continue
                if operation.kind == "write":
                    seen = operation.position
                else:
                    seen = self.version(operation.key, operation.value)
                    before = newest.get(operation.key)
                    if before and operation.after and operation.after >= before[0] and seen is not None and seen < before[0]:
                        own = "its own write" if before[1].kind == "write" else "what it had seen"
                        faults.append(f"session: {operation} shows less than {own}: {before[1]}")
                        continue
                # Only what no later leader lacks: the rest may be lost, and then a session may go back behind it.
                if not self.is_kept(operation):
                    continue
                if seen is not None and seen > newest.get(operation.key, ((0, 0),))[0]:
                    newest[operation.key] = (seen, operation)
        return faults

    def is_kept(self, operation: Operation) -> bool:
        """Whether it is, or shows, a write that a majority acknowledged."""
        writer = operation if operation.kind == "write" else self.writer.get((operation.key, operation.value))
        return writer is not None and writer.outcome == ACKNOWLEDGED and writer.is_majority

    def version(self, key: str, value) -> tuple | None:
        """The position of what was seen; None when it is of a write whose answer was not heard."""
        if value is None or value == self.initial.get(key):
            return (0, 0)
        writer = self.writer.get((key, value))
        return writer.position if writer is not None else None

    def positions(self) -> list[str]:
        """A node that says where its answer stands shows everything up to there. Only writes that no later leader lacks are counted."""
        faults = []
        for key in self.by_key:
            kept = sorted(o.position for o in self.writes(key, ACKNOWLEDGED) if o.is_majority and o.position)
            for operation in self.by_key[key]:
                if operation.kind != "read" or operation.outcome != ACKNOWLEDGED or not operation.position:
                    continue
                seen = self.version(key, operation.value)
                due = bisect.bisect_right(kept, operation.position)
                if seen is not None and due and seen < kept[due - 1]:
                    faults.append(f"position: {operation} shows less than the write at {kept[due - 1]}")
        return faults

    # One order for everybody

    def linearizability(self, step_limit: int = 2_000_000) -> list[str]:
        faults = []
        for key in self.by_key:
            strict = [o for o in self.by_key[key]
                      if o.outcome != REFUSED and (o.kind == "write" or (o.is_strict and o.outcome == ACKNOWLEDGED))]
            if why := linearize(strict, self.initial.get(key), step_limit):
                faults.append(f"not linearizable: {key}: {why}")
        return faults


def equality(final: dict[str, dict]) -> list[str]:
    (first, expected), *others = final.items()
    faults = []
    for node, content in others:
        if differing := [key for key in expected.keys() | content.keys() if expected.get(key) != content.get(key)]:
            key = min(differing)
            faults.append(f"unequal: {first} and {node} differ in {len(differing)} keys, e.g. {key}: "
                          f"{expected.get(key)!r} and {content.get(key)!r}")
    return faults


def linearize(operations: list[Operation], initial, step_limit: int) -> str | None:
    """None when an order of one register explains these, else where every order ends.

    A search over which operations have happened: the next one must have been invoked before every other that is left has returned. Two
    ways to the same set of operations with the same value in the register go on alike, so each such state is looked at once.

    An unacknowledged write that nobody saw is left out: an order with it stays one without it. So does a write with `w: 1`: it may be
    lost, and then counts as never done; seen, it must stand in the order.
    """
    seen = {o.value for o in operations if o.kind == "read"}
    events = []
    for operation in operations:
        is_certain = operation.kind == "read" or (operation.outcome == ACKNOWLEDGED and operation.is_majority)
        if is_certain:
            events.append((operation.start, operation.end, operation))
        elif operation.value in seen:
            events.append((operation.start, INFINITY, operation))
    events.sort(key=lambda event: event[0])
    count = len(events)
    certain = sum(1 << index for index, event in enumerate(events) if event[1] != INFINITY)

    visited = set()
    stack = [(0, initial)]
    deepest, steps = 0, 0
    while stack:
        done, value = stack.pop()
        if done & certain == certain:
            return None
        if (done, value) in visited:
            continue
        visited.add((done, value))
        steps += 1
        if steps > step_limit:
            return f"undecided after {step_limit} states"
        if (done & certain).bit_count() > (deepest & certain).bit_count():
            deepest = done
        # The first return among those that are left bounds what may come next. All before the lowest open index are done.
        lowest = (~done & (done + 1)).bit_length() - 1
        earliest = INFINITY
        candidates = []
        for index in range(lowest, count):
            start, end, operation = events[index]
            if start > earliest:
                break
            if done >> index & 1:
                continue
            earliest = min(earliest, end)
            candidates.append((start, index, operation))
        for start, index, operation in reversed(candidates):
            if start > earliest:
                continue
            if operation.kind == "write":
                stack.append((done | 1 << index, operation.value))
            elif operation.value == value:
                stack.append((done | 1 << index, value))
    left = [event[2] for index, event in enumerate(events) if not deepest >> index & 1 and event[1] != INFINITY]
    return f"no order goes on past {min(left, key=lambda o: o.end)}"

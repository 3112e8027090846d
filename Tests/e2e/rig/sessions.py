"""Clients of a cluster whose nodes die, stall and are cut off: each is a session with a token, writes and reads a few keys on any node, and
notes what it did for `history.py`. They go to the nodes themselves, also to one that nobody else reaches any more: that is where a
deposed leader would answer wrongly.
"""
import itertools
import random
import threading
import time

from . import wire
from .cluster import Cluster, ClusterNode
from .history import ACKNOWLEDGED, INFINITY, REFUSED, UNKNOWN, History, Operation
from .node import tool

COLLECTION = "registers"
#: Errors that say that nothing was done. Whatever else a write is answered with leaves open what became of it.
NOT_DONE = {"NOT_LEADER", "OVERLOADED", "SHUTTING_DOWN", "READ_ONLY"}
EXPECTED = NOT_DONE | {"WRITE_CONCERN_TIMEOUT", "STALE_READ", "TOKEN_LOST", "STORAGE_FAILED", "TIMEOUT"}


class Crew:
    """`count` sessions on `keys` registers. `with Crew(...) as crew:` has them run; `judge` is for when they have stopped."""

    def __init__(self, cluster: Cluster, rng: random.Random, count: int = 5, keys: int = 8, pause: float = 0.004,
                 is_lying: bool = False):
        """`is_lying`: it writes with `w: 1` and says `majority`, which the judge must notice when a leader is lost."""
        self.cluster, self.pause, self.is_lying = cluster, pause, is_lying
        self.hint: ClusterNode = cluster[0]
        self.done = threading.Event()
        self.operations: list[Operation] = []
        self.unexpected: list[str] = []
        self.numbers = itertools.count(1)
        self.initial = {f"k{index}": "initial" for index in range(keys)}
        with self.hint.wire() as link:
            documents = [{"_id": key, "v": value} for key, value in self.initial.items()]
            answer = link.ask(wire.BATCH_WRITE, {"collection": COLLECTION, "documents": documents, "w": "majority"})
            assert answer.type == wire.SUCCESS, answer
        self.threads = [threading.Thread(target=self.run, args=(random.Random(rng.random()),), daemon=True) for _ in range(count)]

    def __enter__(self):
        [thread.start() for thread in self.threads]
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.done.set()
        [thread.join(20) for thread in self.threads]
        assert not any(thread.is_alive() for thread in self.threads), "a client hangs"

    def count(self, kind: str = "write", outcome: str = ACKNOWLEDGED) -> int:
        return sum(o.kind == kind and o.outcome == outcome for o in list(self.operations))

    def wait(self, more: int = 50, within: float = 30):
        """Until so many more writes are acknowledged."""
        target = self.count() + more
        self.cluster.wait(lambda: self.count() >= target, f"{more} acknowledged writes", within)

    # A session

    def run(self, rng: random.Random):
        links: dict[ClusterNode, wire.Wire] = {}
        client, token = next(self.numbers), None
        while not self.done.is_set():
            key = rng.choice(list(self.initial))
            kind = rng.choices(["majority", "alone", "strict", "read"], [45, 5, 20, 30])[0]
            node = self.hint if kind in ("majority", "alone") else rng.choice(self.cluster.nodes)
            operation = Operation(client, "read", key, None, 0, 0, UNKNOWN, node.name)
            if kind in ("majority", "alone"):
                operation.kind, operation.value, operation.is_majority = "write", f"{client}-{next(self.numbers)}", kind == "majority"
                message = wire.UPDATE
                body = {"collection": COLLECTION, "key": key, "updates": {"v": operation.value}}
                if operation.is_majority and not self.is_lying:
                    body |= {"w": "majority", "wtimeout_ms": 1000}
            else:
                message, body = wire.READ, {"collection": COLLECTION, "key": key, "wait_ms": 800}
                if kind == "strict":
                    body["read_concern"], operation.is_strict = "linearizable", True
                elif token:
                    body["after"], operation.after = list(token), token
            operation.start = time.monotonic()
            answer = self.ask(links, node, message, body)
            operation.end = time.monotonic()
            self.take(operation, answer)
            if answer is None:
                if self.hint is node:
                    self.hint = rng.choice(self.cluster.nodes)
                time.sleep(0.02)
                continue
            if answer.code == "TOKEN_LOST":
                # What this session knew of is gone: whoever goes on from here is somebody new.
                client, token = next(self.numbers), None
            elif answer.code == "NOT_LEADER":
                self.hint = next((n for n in self.cluster.nodes if n.advertised == answer.value["leader"]), rng.choice(self.cluster.nodes))
                time.sleep(0.02)
            elif operation.kind == "write" and operation.outcome != ACKNOWLEDGED:
                # Perhaps somebody else leads by now.
                self.hint = rng.choice(self.cluster.nodes)
            elif operation.outcome == ACKNOWLEDGED and answer.position:
                token = max(token or answer.position, answer.position)
            time.sleep(rng.random() * self.pause)
        [link.close() for link in links.values()]

    def ask(self, links: dict, node: ClusterNode, message: int, body: dict) -> wire.Answer | None:
        """None when no answer came."""
        try:
            if node not in links:
                links[node] = wire.Wire(node.fixed_port, timeout=2)
            links[node].send(message, body, flags=wire.TOKEN)
            return links[node].recv()
        except (OSError, wire.Closed):
            if link := links.pop(node, None):
                link.close()
            return None

    def take(self, operation: Operation, answer: wire.Answer | None):
        """Notes what became of an operation. Reads without an answer tell nothing and are left out."""
        if answer is not None and answer.type in (wire.SUCCESS, wire.NOT_FOUND):
            operation.outcome, operation.position = ACKNOWLEDGED, answer.position
            if operation.kind == "read":
                operation.value = answer.value.get("v") if answer.type == wire.SUCCESS else None
            elif answer.type == wire.NOT_FOUND:
                self.unexpected.append(f"{operation}: the document is gone")
        elif answer is not None:
            if answer.code not in EXPECTED:
                self.unexpected.append(f"{operation}: {answer} {answer.value}")
            operation.outcome = REFUSED if answer.code in NOT_DONE else UNKNOWN
        if operation.kind == "write":
            if operation.outcome == UNKNOWN:
                operation.end = INFINITY
            self.operations.append(operation)
        elif operation.outcome == ACKNOWLEDGED:
            self.operations.append(operation)

    # The end

    def content(self, node: ClusterNode) -> dict:
        with node.wire(timeout=10) as link:
            answer = link.ask(wire.QUERY, {"collection": COLLECTION})
            assert answer.type == wire.SUCCESS, answer
            return {document["_id"]: document["v"] for document in answer.value}

    def faults(self) -> list[str]:
        return History(self.operations, self.initial).check({node.name: self.content(node) for node in self.cluster.nodes})

    def judge(self) -> dict:
        """Asserts that nothing is wrong, with every node caught up with the leader, and that the nodes say so themselves; counts of what
        was done."""
        assert not self.unexpected, self.unexpected[:3]
        faults = self.faults()
        assert not faults, "\n".join([f"{len(faults)} faults", *faults[:10]])
        verdict = tool("cluster", "verify", *(node.address for node in self.cluster.nodes), timeout=90)
        assert verdict.returncode == 0, verdict.stdout + verdict.stderr
        return {"operations": len(self.operations), "acknowledged": self.count(), "unknown": self.count(outcome=UNKNOWN),
                "strict reads": sum(o.is_strict for o in self.operations)}


class Flood:
    """Writes batches as fast as one node takes them, with bytes that do not compress, and notes what was acknowledged."""

    def __init__(self, node: ClusterNode, rng: random.Random, size: int = 4096, batch: int = 64, pause: float = 0, **options):
        self.node, self.size, self.batch, self.pause, self.options = node, size, batch, pause, options
        self.rng = random.Random(rng.random())
        #: Documents are cut out of it at random places: too far from each other for a compressor to see that they overlap.
        self.pool = self.rng.randbytes(8 << 20)
        self.done = threading.Event()
        self.acknowledged: list[str] = []
        self.attempted = 0
        self.failure: str | None = None
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join(30)
        assert not self.thread.is_alive(), "the flood hangs"
        assert not self.failure, self.failure

    @property
    def byte_count(self) -> int:
        return len(self.acknowledged) * self.size

    def run(self):
        try:
            with self.node.wire(timeout=20) as link:
                while not self.done.is_set():
                    keys = [f"f{self.attempted + index:08}" for index in range(self.batch)]
                    self.attempted += self.batch
                    places = [self.rng.randrange(len(self.pool) - self.size) for _ in keys]
                    documents = [{"_id": key, "bytes": self.pool[at:at + self.size]} for key, at in zip(keys, places)]
                    answer = link.ask(wire.BATCH_WRITE, {"collection": "flood", "documents": documents, **self.options})
                    if answer.type == wire.SUCCESS:
                        self.acknowledged += keys
                        time.sleep(self.pause)
                    elif answer.code == "OVERLOADED":
                        time.sleep(0.02)
                    else:
                        self.failure = f"{answer} {answer.value}"
                        return
        except (OSError, wire.Closed) as error:
            self.failure = repr(error)

"""Writers that pipeline seeded operations into a node until it is killed under them, and the check of what it comes back with."""
import random
import threading

from . import oracle, wire
from .node import Node

MESSAGES = {"create": wire.CREATE, "update": wire.UPDATE, "delete": wire.DELETE, "batch": wire.BATCH_WRITE}


def message(collection: str, operation: oracle.Operation) -> bytes:
    kind, body = operation[0], {"collection": collection}
    if kind == "batch":
        body["documents"] = [{"_id": key, **fields} for key, fields in operation[1]]
    else:
        body["key"] = operation[1]
        if kind == "create":
            body["data"] = {"_id": body.pop("key"), **operation[2]}
        elif kind == "update":
            body["updates"] = operation[2]
    return wire.request(MESSAGES[kind], body)


class Writer(threading.Thread):
    """Sends operations with up to `depth` unanswered ones and counts the answers; ends when the node is gone or `stop` is set."""

    def __init__(self, node: Node, collection: str, operations, depth: int, after_answer=lambda: None, ends_with: frozenset = frozenset()):
        """`ends_with`: error codes that end the writer as the death of the node does, with their requests unacknowledged."""
        super().__init__(daemon=True)
        self.node, self.collection, self.operations, self.depth = node, collection, operations, depth
        self.after_answer, self.ends_with, self.stop = after_answer, ends_with, threading.Event()
        self.sent: list[oracle.Operation] = []
        self.acknowledged = 0
        self.failure: str | None = None

    def run(self):
        try:
            with self.node.wire(timeout=30) as c:
                while not self.stop.is_set():
                    while len(self.sent) - self.acknowledged < self.depth:
                        operation = next(self.operations)
                        self.sent.append(operation)
                        c.raw(message(self.collection, operation))
                    self.take(c)
                while self.acknowledged < len(self.sent):
                    self.take(c)
        except (wire.Closed, OSError):
            return
        except Exception as error:
            self.failure = repr(error)

    def take(self, c: wire.Wire):
        answer = c.recv()
        if answer.type == wire.ERROR and answer.code in self.ends_with:
            raise wire.Closed(answer.code)
        if answer.type == wire.ERROR and answer.code != "DUPLICATE":
            self.failure = f"{self.sent[self.acknowledged][:2]} was answered {answer}: {answer.value}"
            self.stop.set()
        self.acknowledged += 1
        self.after_answer()


class Loop:
    """Keeps the expected state of every writer's collection across rounds on one data directory."""

    def __init__(self, node: Node, rng: random.Random, writers: int = 4):
        self.node, self.rng, self.writers = node, rng, writers
        self.states: list[dict] = [{} for _ in range(writers)]
        self.rounds = self.acknowledged = self.in_flight = self.survived = 0

    def run_round(self):
        """One life of the node: killed by the writer that sees the n-th answer, n from the seed, the others in mid-flight."""
        self.rounds += 1
        lock, answers, kill_at = threading.Lock(), 0, self.rng.choice([1, 7, 50, 400, 1500]) + self.rng.randrange(60)

        def after_answer():
            nonlocal answers
            with lock:
                answers += 1
                now = answers == kill_at
            if now:
                self.node.kill()

        crew = [Writer(self.node, f"w{n}", oracle.workload(random.Random(self.rng.random()), self.rounds),
                       self.rng.choice([1, 4, 64]), after_answer) for n in range(self.writers)]
        [w.start() for w in crew]
        [w.join(60) for w in crew]
        assert not any(w.is_alive() for w in crew), "a writer hangs although the node is dead"
        assert not any(w.failure for w in crew), [w.failure for w in crew]
        self.node.kill()
        if self.rng.random() < 0.4:
            self.kill_while_starting()
        self.node.start()
        self.check(crew)

    def kill_while_starting(self):
        """A crash during recovery, at a moment that the seed chooses."""
        self.node.spawn()
        try:
            self.node.process.wait(self.rng.choice([0.001, 0.01, 0.03, 0.1]))
        except Exception:
            pass
        self.node.kill()

    def check(self, crew: list[Writer]):
        """Judges what the node holds now against what the crew sent and saw acknowledged."""
        with self.node.wire(timeout=30) as c:
            for n, writer in enumerate(crew):
                answer = c.ask(wire.QUERY, {"collection": f"w{n}"})
                assert answer.type == wire.SUCCESS, answer
                found = {d["_id"]: {k: v for k, v in d.items() if k not in ("_id", "id", "_created_at", "_updated_at")}
                         for d in answer.value}
                count = oracle.surviving_prefix(self.states[n], writer.sent, writer.acknowledged, found)
                self.states[n] = found
                self.acknowledged += writer.acknowledged
                self.in_flight += len(writer.sent) - writer.acknowledged
                self.survived += count - writer.acknowledged

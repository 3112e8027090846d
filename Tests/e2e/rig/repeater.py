"""A client that gives every write an `op_id` and sends it until it is answered, over whatever connections and nodes; it then says what must be
there. Server-made ids show a write that was done twice: nothing else would refuse it."""
import os
import random
import struct
import threading
import time

from . import wire

#: Answers after which the same write is sent again.
AGAIN = {"NOT_LEADER", "READ_ONLY", "OVERLOADED", "SHUTTING_DOWN", "WRITE_CONCERN_TIMEOUT", "TIMEOUT"}


class Repeater(threading.Thread):
    """Writes into `collection` until `stop` is set, with up to `depth` unanswered ones."""

    def __init__(self, connect, collection: str, rng: random.Random, depth: int, **options):
        """`connect` makes a connection to whoever takes writes now, or raises OSError."""
        super().__init__(daemon=True)
        self.connect, self.collection, self.rng, self.depth, self.options = connect, collection, rng, depth, options
        self.client, self.counter = os.urandom(16), 0
        self.stop = threading.Event()
        self.unanswered: list[tuple] = []
        self.answered: list[tuple] = []
        self.kept: list[str] = []
        self.connections = self.repeats = 0
        self.failure: str | None = None

    # What is written

    def next_write(self) -> tuple:
        """A number, a type and a payload; each number is written into documents once, and the kept keys are deleted again."""
        self.counter += 1
        number, kind = self.counter, self.rng.choice(["create"] * 4 + ["batch", "keep", "delete"])
        common = {"collection": self.collection, "op_id": self.client + struct.pack(">Q", number), **self.options}
        if kind == "batch":
            return number, wire.BATCH_WRITE, {**common, "documents": [{"n": number, "part": part} for part in range(3)]}
        if kind == "delete" and self.kept:
            return number, wire.DELETE, {**common, "key": self.kept.pop()}
        if kind == "create":
            return number, wire.CREATE, {**common, "data": {"n": number}}
        return number, wire.CREATE, {**common, "data": {"_id": f"k{number}", "n": number}}

    # The connection

    def run(self):
        try:
            while not (self.stop.is_set() and not self.unanswered):
                try:
                    link = self.connect()
                except (OSError, wire.Closed):
                    time.sleep(0.02)
                    continue
                with link:
                    self.connections += 1
                    self.serve(link)
        except Exception as error:
            self.failure = repr(error)

    def serve(self, link: wire.Wire):
        """Sends what is unanswered again, and some of what was answered; then goes on until the connection ends."""
        try:
            link.connect(dialect="plain")
            known = self.rng.sample(self.answered, min(len(self.answered), 10))
            self.repeats += len(known) + len(self.unanswered)
            for write, answer in known:
                again = link.ask(write[1], write[2])
                if again.code in AGAIN:
                    return
                assert (again.type, again.value) == answer, f"{write} was answered {answer}, and then {again.value}"
            for write in self.unanswered:
                link.send(write[1], write[2])
            while self.unanswered or not self.stop.is_set():
                while len(self.unanswered) < self.depth and not self.stop.is_set():
                    write = self.next_write()
                    self.unanswered.append(write)
                    link.send(write[1], write[2])
                if not self.unanswered or not self.take(link.recv()):
                    return
        except (OSError, wire.Closed):
            return

    def take(self, answer: wire.Answer) -> bool:
        if answer.code in AGAIN:
            return False
        write = self.unanswered.pop(0)
        assert answer.type == wire.SUCCESS, f"{write} was answered {answer}: {answer.value}"
        self.answered.append((write, (answer.type, answer.value)))
        if "_id" in write[2].get("data", {}):
            self.kept.append(write[2]["data"]["_id"])
        return True

    # What must be there

    def check(self, link: wire.Wire):
        """Every answered write is there once, with the id that the answer gave."""
        assert self.failure is None, self.failure
        assert not self.is_alive() and not self.unanswered
        expected: dict[str, tuple] = {}
        for (number, message_type, fields), (_, value) in self.answered:
            if message_type == wire.CREATE:
                expected[value["_id"]] = (number, None)
            elif message_type == wire.BATCH_WRITE:
                expected.update({key: (number, part) for part, key in enumerate(value["ids"])})
            else:
                del expected[fields["key"]]
        answer = link.ask(wire.QUERY, {"collection": self.collection})
        assert answer.type == wire.SUCCESS, answer
        found = {document["_id"]: (document["n"], document.get("part")) for document in answer.value}
        assert found == expected, f"too many: {sorted(found.items() - expected.items())}, missing: {sorted(expected.items() - found.items())}"

"""A subscriber on a thread of its own, and a replica that is nothing but what it was told."""
import socket
import threading
import time

from . import wire

CHANGE_EVENT = 0x90


class Watcher:
    """Takes events until it is closed or the subscription ends; `answer` is the answer to its request, `ended` the ERROR that ended it."""

    def __init__(self, node, *, request_id: int | None = None, **fields):
        self.link = node.wire(timeout=15)
        self.events: list[dict] = []
        self.token: bytes | None = None
        self.ended: wire.Answer | None = None
        self.news = threading.Condition()
        self.closing = False
        self.request_id = request_id
        self.answer = self.link.ask(wire.SUBSCRIBE_CHANGES, fields, request_id=request_id)
        assert self.answer.type == wire.SUCCESS, f"{self.answer}: {self.answer.value}"
        self.token = self.answer.value["resume_token"]
        self.link.socket.settimeout(None)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while True:
                answer = self.link.recv()
                with self.news:
                    if answer.type == CHANGE_EVENT:
                        assert answer.request_id == self.request_id
                        self.events.append(answer.value)
                        self.token = answer.value["resume_token"]
                    else:
                        self.ended = answer
                    self.news.notify_all()
        except (wire.Closed, OSError, ValueError):
            with self.news:
                self.closing = True
                self.news.notify_all()

    def wait(self, condition, what: str, within: float = 20):
        """Until `condition(events)` holds, or the connection is gone."""
        with self.news:
            assert self.news.wait_for(lambda: condition(self.events) or self.closing, within), \
                f"{what} did not come within {within} s: {len(self.events)} events, ended {self.ended}"
            assert condition(self.events), f"{what} did not come before the connection ended: {self.ended}"
            return list(self.events)

    def count(self, number: int, within: float = 20) -> list[dict]:
        return self.wait(lambda events: len(events) >= number, f"event {number}", within)

    def wait_end(self, within: float = 20) -> wire.Answer | None:
        """Until the subscription or the connection ended."""
        with self.news:
            assert self.news.wait_for(lambda: self.ended or self.closing, within), "the subscription goes on"
            return self.ended

    def close(self):
        try:
            self.link.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join(10)
        self.link.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Replica:
    """Documents by database, collection and key, made of events alone. Refuses what no order of commits can give."""

    def __init__(self):
        self.documents: dict[tuple[str, str], dict[str, dict]] = {}
        self.last = (0, 0, 0)

    def apply(self, event: dict):
        kind, names = event["operationType"], event["ns"]
        position = (event["epoch"], event["lsn"])
        assert position >= self.last[:2], f"{position} behind {self.last}"
        self.last = position
        if kind == "dropDatabase":
            for place in [place for place in self.documents if place[0] == names["db"]]:
                del self.documents[place]
            return
        place = (names["db"], names["coll"])
        if kind == "dropCollection":
            self.documents.pop(place, None)
            return
        documents, key = self.documents.setdefault(place, {}), event["documentKey"]["_id"]
        if kind == "delete":
            assert key in documents, f"delete of {key}, which is not there"
            del documents[key]
            return
        document = event["fullDocument"]
        assert document["_id"] == key
        if kind == "insert":
            assert key not in documents, f"insert of {key}, which is there"
        else:
            assert kind == "update" and key in documents, f"{kind} of {key}, which is not there"
            described = event.get("updateDescription")
            if described:
                changed = described["updatedFields"]
                assert changed.items() <= document.items()
                own = {"_updated_at"}
                before = {k: v for k, v in documents[key].items() if k not in changed and k not in own}
                assert before == {k: v for k, v in document.items() if k not in changed and k not in own}
        documents[key] = document

    def of(self, collection: str, database: str = "default") -> dict[str, dict]:
        return self.documents.get((database, collection), {})


def stored(node, collection: str, database: str = "default", within: float = 20) -> dict[str, dict]:
    """The collection as the node answers it."""
    with node.wire(timeout=within) as link:
        answer = link.ask(wire.QUERY, {"collection": collection, "database": database})
        assert answer.type == wire.SUCCESS, answer.value
        return {document["_id"]: document for document in answer.value}


def wait_until(condition, what: str, within: float = 20):
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"{what} within {within} s"
        time.sleep(0.02)

"""Prepared requests of both kinds for the same operations on the same users, and what is needed around them. A create is answered with the
new document's id by all of them."""
import json
import os
import pathlib
import struct
import sys

import lz4.block

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests" / "e2e"))
from rig import wire  # noqa: E402

#: What the table of bytes calls an operation.
OPERATION = {"create": "create", "get": "get", "query of 20": "query", "batch of 1,000": "batch of 1,000",
             "batch of 1,000, LZ4": "batch of 1,000", "create with a vector of 768": "vector"}
CITIES = ("Rome", "Lima", "Oslo", "Cairo", "Kyoto")
BATCH = 100
#: What one user in sixty is like.
FILTER = {"age": 30, "city": "Oslo"}


def user(number: int) -> dict:
    return {"name": f"User {number:05}", "email": f"user{number:05}@example.com", "age": 18 + number % 60, "city": CITIES[number % 5],
            "active": number % 3 != 0}


def vector(number: int) -> list[float]:
    return [((number * 7919 + at * 104729) % 20011) / 10005.5 - 1 for at in range(768)]


def cpu_seconds(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fill(port: int, users: int) -> None:
    """The users that are read, under the keys u0, u1, ..."""
    with wire.Wire(port) as link:
        link.send(wire.CONNECT, {"dialect": "plain"})
        assert link.recv().type == wire.SUCCESS
        for start in range(0, users, 1000):
            documents = [{"_id": f"u{number}", **user(number)} for number in range(start, min(users, start + 1000))]
            link.send(wire.BATCH_WRITE, {"collection": "users", "documents": documents})
            assert link.recv().type == wire.SUCCESS


class Side:
    """One way to ask. `greeting` opens a connection and has so many answers."""

    name = kind = ""
    greeting, greeting_answers = b"", 0

    def __init__(self, port: int, collection: str = "users"):
        self.port, self.collection = port, collection

    def requests(self, operation: str, users: int) -> list[bytes]:
        if operation == "create":
            return [self.create(user(number)) for number in range(1000)]
        if operation == "get":
            return [self.get(f"u{number * 7919 % users}") for number in range(min(users, 2000))]
        if operation == "query":
            return [self.query(FILTER, 20)]
        if operation == "vector":
            return [self.create(self.with_vector(number)) for number in range(20)]
        size = 1000 if operation == "batch of 1,000" else BATCH
        return [self.batch([user(number) for number in range(size)])]

    def with_vector(self, number: int) -> dict:
        return {**user(number), "vector": vector(number)}


class Http(Side):
    name = kind = "http"

    def _request(self, method: str, path: str, body: object = None) -> bytes:
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
        if body is None:
            return (head + "\r\n").encode()
        text = json.dumps(body, separators=(",", ":")).encode()
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text

    def create(self, document: dict) -> bytes:
        return self._request("POST", f"/collections/{self.made}", document)

    def get(self, key: str) -> bytes:
        return self._request("GET", f"/collections/{self.collection}/{key}")

    def query(self, filters: dict, limit: int) -> bytes:
        return self._request("POST", f"/collections/{self.collection}/query", {"filter": filters, "limit": limit})

    def batch(self, documents: list[dict]) -> bytes:
        return self._request("POST", f"/collections/{self.made}/bulk", documents)

    @property
    def made(self) -> str:
        """Where new documents go: beside the users that are read."""
        return self.collection if self.collection != "users" else "made_http"


class Binary(Side):
    """Payloads with names, as every client can send them."""

    name, kind = "binary", "nexa"

    def __init__(self, port: int, collection: str = "users"):
        super().__init__(port, collection)
        self.greeting, self.greeting_answers = wire.request(wire.CONNECT, {"dialect": "plain", "features": ["stream"]}), 1

    @property
    def made(self) -> str:
        return self.collection if self.collection != "users" else f"made_{self.name}"

    def create(self, document: dict) -> bytes:
        return wire.request(wire.CREATE, {"collection": self.made, "data": document, "return": "id"})

    def get(self, key: str) -> bytes:
        return wire.request(wire.READ, {"collection": self.collection, "key": key})

    def query(self, filters: dict, limit: int) -> bytes:
        return wire.request(wire.QUERY, {"collection": self.collection, "filters": filters, "limit": limit, "stream": False})

    def batch(self, documents: list[dict]) -> bytes:
        return wire.request(wire.BATCH_WRITE, {"collection": self.made, "documents": documents})

    def with_vector(self, number: int) -> dict:
        return {**user(number), "vector": struct.pack("<768f", *vector(number))}


class Compact(Binary):
    """The negotiated short form: collections by a number that BIND gave, fields by their place; with LZ4 where that is asked for."""

    name = "compact"

    def __init__(self, port: int, collection: str = "users", has_lz4: bool = False):
        super().__init__(port, collection)
        self.has_lz4 = has_lz4
        connect = wire.request(wire.CONNECT, {"dialect": "plain", "features": ["stream", "compact"] + ["lz4"] * has_lz4})
        bind = b"".join(wire.request(wire.BIND, {"collection": name}) for name in (self.collection, self.made))
        self.greeting, self.greeting_answers = connect + bind, 3
        with wire.Wire(port) as link:
            link.raw(self.greeting)
            answers = [link.recv() for _ in range(3)]
            assert "compact" in answers[0].value["features"], answers[0].value
            self._read, self._made = answers[1].value, answers[2].value

    def _request(self, kind: int, *values) -> bytes:
        payload = wire.pack(list(values))
        if self.has_lz4 and len(payload) >= 1024:
            packed = struct.pack(">I", len(payload)) + lz4.block.compress(payload, store_size=False)
            return wire.frame(kind, packed, flags=wire.COMPRESSED)
        return wire.frame(kind, payload)

    def create(self, document: dict) -> bytes:
        return self._request(wire.CREATE, self._made, document, {"return": "id"})

    def get(self, key: str) -> bytes:
        return self._request(wire.READ, self._read, key)

    def query(self, filters: dict, limit: int) -> bytes:
        return self._request(wire.QUERY, self._read, filters, {"limit": limit, "stream": False})

    def batch(self, documents: list[dict]) -> bytes:
        return self._request(wire.BATCH_WRITE, self._made, documents)

"""What the tables of bad inputs share: the register of cases, and outcomes as text.

An outcome is written as the answers that came, then `open` or `closed`.
"""
import pytest

from rig import wire
from rig.plain import PlainClient

CASES = []
PONG = "PONG, open"
BAD_PAYLOAD = "ERROR BAD_PAYLOAD, open"
BAD_REQUEST = "ERROR (BAD_REQUEST|BAD_PAYLOAD), open"
BROKEN = "(ERROR (BAD_FRAME|UNSUPPORTED), )?closed"


def case(row, name, expected):
    """Registers a case: a function of the node that returns its outcome, which must match `expected` whole."""
    def register(body):
        CASES.append(pytest.param(row, name, expected, body, id=f"{row}-{name}".replace(" ", "_")))
        return body
    return register


def outcome(c: wire.Wire, limit: int = 50) -> str:
    """Everything that comes until the connection ends or a PING, sent behind, is answered."""
    seen = []
    try:
        c.send(wire.PING, {"end": True})
    except OSError:
        pass
    try:
        while len(seen) < limit:
            answer = c.recv()
            if answer.type == wire.PONG:
                return ", ".join([*seen, "open"])
            seen.append(str(answer))
            if answer.type == wire.ERROR:
                text = answer.value["error"]
                assert isinstance(text, str) and text, "an error is a sentence for a person"
                assert "127.0.0.1" not in text, "no addresses in errors"
    except wire.Closed:
        return ", ".join([*seen, "closed"])
    return ", ".join([*seen, "..."])


def after(node, *frames: bytes) -> str:
    with node.wire(timeout=10) as c:
        c.raw(b"".join(frames))
        return outcome(c)


def payload(node, message_type: int, body: bytes) -> str:
    return after(node, wire.frame(message_type, body))


def each(outcomes) -> str:
    """One outcome for many sub-cases: the common one, or what differed."""
    found = set(outcomes)
    return found.pop() if len(found) == 1 else " / ".join(sorted(found))


def create(data, **more) -> bytes:
    return wire.pack({"collection": "bad", "data": data, **more})


def create_raw(document: bytes) -> bytes:
    """A CREATE payload around a document that msgpack would not make."""
    return b"\x82" + wire.pack("collection") + wire.pack("bad") + wire.pack("data") + document


def find(node, key):
    with PlainClient(node.port) as c:
        return c.get("bad", key)

"""The MessagePack vectors that u-msgpack-python publishes with its source (PyPI, u-msgpack-python 2.8.0, test_umsgpack.py): each good value
comes back with the same bytes and reads as the same value; each bad one is refused and the connection goes on.

The vectors are fetched by `setup.sh`, not kept here. Documents take string keys alone, so vectors with other keys belong to the refused.
"""
import base64
import datetime
import importlib.util
import json
import sys
from pathlib import Path

import pytest

from rig import wire
from rig.node import tool

SOURCE = Path(__file__).resolve().parents[2] / ".venv-e2e/published/u-msgpack-python-2.8.0"


def published():
    """The module of test vectors, imported from the unpacked source."""
    if not SOURCE.exists():
        pytest.fail(f"{SOURCE} is missing: run Tests/e2e/setup.sh")
    sys.path.insert(0, str(SOURCE))
    try:
        spec = importlib.util.spec_from_file_location("published_vectors", SOURCE / "test_umsgpack.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(SOURCE))


@pytest.fixture(scope="module")
def vectors():
    return published()


def has_other_keys(value):
    if isinstance(value, dict):
        return any(not isinstance(key, str) or has_other_keys(inner) for key, inner in value.items())
    return isinstance(value, (list, tuple)) and any(map(has_other_keys, value))


def good(vectors):
    """(name, value, bytes) of everything that a document can hold."""
    rows = [(name, value, data) for name, value, data in vectors.single_test_vectors + vectors.composite_test_vectors
            if not has_other_keys(value)]
    # What the compatibility mode of that library packs are valid strings, in headers longer than they need be.
    rows += [(name, value, data) for name, value, data in vectors.compatibility_test_vectors if isinstance(value, str)]
    return rows + list(vectors.float_precision_test_vectors)


def payload(collection, key, data):
    """A CREATE whose document ends with the bytes under test."""
    start = b"\x82" + wire.pack("collection") + wire.pack(collection) + wire.pack("data")
    return start + b"\x82" + wire.pack("_id") + wire.pack(key) + wire.pack("v") + data


def as_json(value, ext):
    """As the shell writes it."""
    if isinstance(value, ext):
        return {"$ext": {"type": value.type, "data": base64.b64encode(value.data).decode()}}
    if isinstance(value, bytes):
        return {"$binary": base64.b64encode(value).decode()}
    if isinstance(value, datetime.datetime):
        moment = value.isoformat().replace("+00:00", "Z")
        return {"$date": moment}
    if isinstance(value, dict):
        return {key: as_json(inner, ext) for key, inner in value.items()}
    return [as_json(inner, ext) for inner in value] if isinstance(value, (list, tuple)) else value


def test_good_vectors_come_back_bit_for_bit_and_read_the_same(node, vectors, name, report):
    rows = good(vectors)
    assert len(rows) > 80
    with node.wire() as c:
        c.connect(dialect="plain")
        for number, (what, _, data) in enumerate(rows):
            c.raw(wire.frame(wire.CREATE, payload(name, f"k{number}", data)))
            assert c.recv().type == wire.SUCCESS, what
        for number, (what, _, data) in enumerate(rows):
            c.send(wire.READ, {"collection": name, "key": f"k{number}"})
            _, _, message_type, _, count = wire.HEADER.unpack(c.exactly(wire.HEADER.size))
            body = c.exactly(count)
            assert message_type == wire.SUCCESS and wire.pack("v") + data in body, what
    commands = [part for number in range(len(rows)) for part in ("-e", f'db.{name}.get("k{number}")')]
    text = tool("shell", "--host", "127.0.0.1", "--port", str(node.port), *commands).stdout
    decoder = json.JSONDecoder()
    for what, value, _ in rows:
        document, end = decoder.raw_decode(text := text.lstrip())
        text = text[end:]
        assert document["v"] == as_json(value, vectors.umsgpack.Ext), what
    report(f"published MessagePack vectors: {len(rows)} values came back bit for bit and were read the same")


def test_bad_vectors_are_refused_and_the_connection_goes_on(node, vectors, name, report):
    bad = [(what, data) for what, data, _ in vectors.unpack_exception_test_vectors if isinstance(data, bytes)]
    bad += [(what, data) for what, value, data in vectors.composite_test_vectors if has_other_keys(value)]
    assert len(bad) > 40
    with node.wire() as c:
        c.connect(dialect="plain")
        for number, (what, data) in enumerate(bad):
            c.raw(wire.frame(wire.CREATE, payload(name, f"k{number}", data)))
            answer = c.recv()
            assert answer.type == wire.ERROR and answer.code in ("BAD_PAYLOAD", "BAD_REQUEST"), (what, answer, answer.value)
        for number in range(len(bad)):
            assert c.ask(wire.READ, {"collection": name, "key": f"k{number}"}).type == wire.NOT_FOUND
        assert c.ask(wire.PING, {}).type == wire.PONG
    report(f"published MessagePack vectors: {len(bad)} bad ones refused")

"""Bad inputs, case by case, each with the answer that it must get; after each one a fresh connection must get PONG within a second, and at the
end the node's memory must not have grown by more than 64 MiB.

The rule: a broken frame closes its connection (the stream is lost), a broken payload does not. An outcome is written as the answers
that came, then `open` or `closed`. The whole table is printed at the end of the run.
"""
import math
import os
import random
import re
import socket
import struct
import threading
import time

import msgpack
import pytest

from rig import lz4block, wire
from rig.plain import PlainClient

GROWTH_LIMIT = 64 << 20
CASES = []
TABLE = []
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


# Frames


@case(1, "an HTTP request", BROKEN)
def _(node):
    with node.wire() as c:
        c.raw(b"GET / HTTP/1.1\r\nHost: echo-me\r\n\r\n")
        everything = c.input.read(4096)
        assert b"echo-me" not in everything and b"GET" not in everything, "nothing is echoed"
    return after(node, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")


@case(1, "a TLS hello", BROKEN)
def _(node):
    return after(node, bytes.fromhex("16030100c8010000c40303") + bytes(190))


@case(2, "version 0 and 255", BROKEN)
def _(node):
    return each(after(node, b"NEXA" + bytes([version, 9, 0, 0]) + b"\0\0\0\x01\x80") for version in (0, 255))


@case(3, "types 00, 7F, 81, FF", "ERROR (UNKNOWN_TYPE|UNSUPPORTED|FORBIDDEN), open( / ERROR .*, open)*")
def _(node):
    return each(payload(node, kind, b"\x80") for kind in (0x00, 0x7F, 0x81, 0xFF))


@case(4, "reserved flags", "ERROR UNSUPPORTED, open")
def _(node):
    return each(after(node, wire.frame(wire.PING, b"\x80", flags=flags)) for flags in (0x8000, 0x0020, 0x4000))


@case(5, "length 16 MiB + 1, 2^31, 2^32 - 1, nothing behind", "(ERROR TOO_LARGE, closed)")
def _(node):
    before, found = node.resident_bytes(), []
    for length in ((16 << 20) + 1, 1 << 31, (1 << 32) - 1):
        with node.wire(timeout=2) as c:
            c.raw(wire.HEADER.pack(b"NEXA", 1, wire.CREATE, 0, length))
            answer = c.recv()
            found.append(f"{answer}, {'closed' if c.at_end() else 'open'}")
    assert node.resident_bytes() - before < 4 << 20, "nothing is allocated for an announced length"
    return each(found)


@case(6, "length 0 for CREATE", BAD_REQUEST)
def _(node):
    return payload(node, wire.CREATE, b"")


@case(6, "length 0 for PING", "PONG, open")
def _(node):
    with node.wire() as c:
        c.raw(wire.frame(wire.PING, b""))
        assert c.recv().type == wire.PONG
        return f"PONG, {outcome(c)}"


@case(7, "length shorter than what follows", "PONG, (ERROR BAD_FRAME, )?closed")
def _(node):
    with node.wire() as c:
        c.raw(wire.frame(wire.PING, b"\x80") + b"rest of a payload that was longer")
        return f"{c.recv()}, {outcome(c)}"


@case(8, "header cut after 5 bytes, then FIN", "closed")
def _(node):
    with node.wire() as c:
        c.raw(b"NEXA\x01")
        c.socket.shutdown(socket.SHUT_WR)
        return "closed" if c.at_end() else "open"


@case(8, "payload cut, then FIN", "closed, nothing stored")
def _(node):
    before = node.descriptors()
    for n in range(20):
        with node.wire() as c:
            c.raw(wire.request(wire.CREATE, {"collection": "bad", "data": {"_id": "cut", "n": n}})[:-1])
            c.socket.shutdown(socket.SHUT_WR)
            assert c.at_end()
    assert find(node, "cut") is None
    deadline = time.monotonic() + 2
    while node.descriptors() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert node.descriptors() <= before, "descriptors are freed"
    return "closed, nothing stored"


@case(9, "1,000 PINGs in one segment", "1000 PONG, open")
def _(node):
    with node.wire() as c:
        c.raw(wire.request(wire.PING, {}) * 1000)
        count = sum(c.recv().type == wire.PONG for _ in range(1000))
        return f"{count} PONG, {outcome(c)}"


@case(9, "a CREATE byte by byte", "SUCCESS, open")
def _(node):
    with node.wire() as c:
        for byte in wire.request(wire.CREATE, {"collection": "bad", "data": {"_id": "slow"}}):
            c.raw(bytes([byte]))
        return outcome(c)


@case(33, "a request after DISCONNECT", "SUCCESS, closed")
def _(node):
    return after(node, wire.request(wire.DISCONNECT, {}), wire.request(wire.CREATE, {"collection": "bad", "data": {}}))


@case(36, "RST in mid-frame", "nothing stored")
def _(node):
    for _ in range(20):
        with node.wire() as c:
            c.raw(wire.request(wire.CREATE, {"collection": "bad", "data": {"_id": "reset"}})[:-2])
            c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return "nothing stored" if find(node, "reset") is None else "stored"


@case(36, "half-close after a request", "SUCCESS, closed")
def _(node):
    with node.wire() as c:
        c.raw(wire.request(wire.CREATE, {"collection": "bad", "data": {"_id": "half"}}))
        c.socket.shutdown(socket.SHUT_WR)
        return f"{c.recv()}, {'closed' if c.at_end() else 'open'}"


@case(37, "256 KiB of random bytes as a payload", "ERROR BAD_PAYLOAD, open")
def _(node):
    return each(payload(node, kind, random.Random(37).randbytes(256 << 10)) for kind in (wire.CREATE, wire.QUERY, wire.BATCH_WRITE))


@case(37, "random bytes behind a good header", ".*closed")
def _(node):
    noise = random.Random(38).randbytes(256 << 10)
    with node.wire() as c:
        try:
            c.raw(wire.frame(wire.PING, b"\x80") + noise)
        except OSError:
            pass
        return outcome(c).replace("PONG, ", "") if c.recv().type == wire.PONG else "no PONG"


@case(38, "2,000 broken frames, one connection each", "others unharmed")
def _(node):
    worst, done = 0.0, threading.Event()

    def bystander():
        nonlocal worst
        with PlainClient(node.port) as c:
            while not done.is_set():
                start = time.monotonic()
                c.call(wire.PING, {})
                worst = max(worst, time.monotonic() - start)

    thread = threading.Thread(target=bystander)
    thread.start()
    for _ in range(2000):
        with node.wire() as c:
            c.raw(b"XXXX" + bytes(20))
            c.at_end()
    done.set()
    thread.join()
    return "others unharmed" if worst < 0.5 else f"a PING took {worst:.2f} s"


# MessagePack


@case(10, "C1, nil, integer, string on top of a CREATE", "ERROR (BAD_PAYLOAD|BAD_REQUEST), open( / ERROR (BAD_PAYLOAD|BAD_REQUEST), open)?")
def _(node):
    return each(payload(node, wire.CREATE, body) for body in (b"\xc1", b"\xc0", b"\x2a", b"\xa1x"))


@case(10, "array on top without the compact form", BAD_REQUEST)
def _(node):
    return payload(node, wire.CREATE, wire.pack(["bad", {}]))


@case(10, "empty map for each core request", BAD_REQUEST)
def _(node):
    return each(payload(node, kind, b"\x80") for kind in (wire.CREATE, wire.READ, wire.UPDATE, wire.DELETE, wire.QUERY,
                                                         wire.VECTOR_SEARCH, wire.BATCH_WRITE, wire.COUNT, wire.MULTI_READ))


@case(11, "bytes after the value", BAD_PAYLOAD)
def _(node):
    return payload(node, wire.CREATE, create({"_id": "trailing"}) + b"\xc0")


@case(12, "lengths of 2^32 - 1 in five bytes", BAD_PAYLOAD)
def _(node):
    before = node.resident_bytes()
    found = each(payload(node, wire.CREATE, create_raw(bytes([tag]) + b"\xff\xff\xff\xff"))
                 for tag in (0xDD, 0xDF, 0xC6, 0xDB, 0xC9))
    assert node.resident_bytes() - before < 4 << 20
    return found


@case(13, "100,000 arrays deep, maps likewise", BAD_PAYLOAD)
def _(node):
    return each(payload(node, wire.CREATE, create_raw(body)) for body in (b"\x91" * 100_000 + b"\xc0",
                                                                         b"\x81\xa1k" * 100_000 + b"\xc0"))


@case(13, "three levels that announce 65,535 each", BAD_PAYLOAD)
def _(node):
    return payload(node, wire.CREATE, create_raw(b"\xdc\xff\xff" * 3))


@case(13, "depth 90 is fine, 110 is not", "SUCCESS, open then ERROR BAD_PAYLOAD, open")
def _(node):
    return " then ".join(payload(node, wire.CREATE, create_raw(b"\x81\xa1k" * n + b"\xc0")) for n in (90, 110))


@case(14, "truncated fixext, D4 to D8", BAD_PAYLOAD)
def _(node):
    return each(payload(node, wire.CREATE, create_raw(b"\x81\xa1e" + bytes([tag, 5]) + bytes((1 << tag - 0xD4) - 1)))
                for tag in range(0xD4, 0xD9))


@case(14, "every prefix of a valid message", "(ERROR BAD_PAYLOAD, open)( / ERROR BAD_REQUEST, open)?")
def _(node):
    whole = create({"_id": "prefix", "list": [1, 2.5, b"bin", "text", {"k": None}], "ext": msgpack.ExtType(7, b"12345678")})
    return each(payload(node, wire.CREATE, whole[:n]) for n in range(len(whole)))


@case(15, "a time stamp with 2^30 - 1 ns", "(ERROR BAD_PAYLOAD|SUCCESS), open")
def _(node):
    return payload(node, wire.CREATE, create_raw(b"\x81\xa1t\xd7\xff" + struct.pack(">Q", ((1 << 30) - 1) << 34)))


@case(15, "unknown ext types, empty ones, a right time stamp", "stored bit for bit")
def _(node):
    raw = b"\x84\xa3_id\xa3ext\xa1a\xd4\x7f\x01\xa1t\xd7\xff" + struct.pack(">Q", 999_999_999 << 34 | 5) + b"\xa1z\xc7\x00\x05"
    assert payload(node, wire.CREATE, create_raw(raw)) == "SUCCESS, open"
    with node.wire() as c:
        c.send(wire.READ, {"collection": "bad", "key": "ext"})
        count = wire.HEADER.unpack(c.exactly(12))[4]
        body = c.exactly(count)
    return "stored bit for bit" if raw[raw.index(b"\xa1a"):] in body else "changed"


@case(16, "duplicate key, also nested", BAD_PAYLOAD)
def _(node):
    return each(payload(node, wire.CREATE, create_raw(body)) for body in (b"\x82\xa1k\x01\xa1k\x02", b"\x81\xa1n\x82\xa1k\x01\xa1k\x02"))


@case(16, "keys that are no strings: integer, nil, NaN, bin", BAD_PAYLOAD)
def _(node):
    return each(payload(node, wire.CREATE, create_raw(b"\x81" + key + b"\x01"))
                for key in (b"\x05", b"\xc0", b"\xcb\x7f\xf8" + bytes(6), b"\xc4\x01k"))


@case(17, "invalid UTF-8, overlong, lone surrogate, cut", BAD_PAYLOAD)
def _(node):
    bad = (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82")
    texts = [bytes([0xA0 + len(b)]) + b for b in bad]
    return each([payload(node, wire.CREATE, create_raw(b"\x81\xa1k" + t)) for t in texts]
                + [payload(node, wire.CREATE, create_raw(b"\x81" + t + b"\x01")) for t in texts])


@case(20, "2^64 - 1, -0.0, infinities, NaN with a message", "stored bit for bit")
def _(node):
    fields = (b"\xa1a\xcf" + b"\xff" * 8 + b"\xa1b\xcb\x80" + bytes(7) + b"\xa1c\xcb" + struct.pack(">d", -math.inf)
              + b"\xa1d\xcb\x7f\xf8\0\0\0\0\x12\x34" + b"\xa1e\xca\x7f\x80\0\0")
    assert payload(node, wire.CREATE, create_raw(b"\x86\xa3_id\xa4bits" + fields)) == "SUCCESS, open"
    with node.wire() as c:
        c.send(wire.READ, {"collection": "bad", "key": "bits"})
        body = c.exactly(wire.HEADER.unpack(c.exactly(12))[4])
    return "stored bit for bit" if fields in body else "changed"


# Names and keys


@case(18, "names: NUL, slash, dots, empty, 64 KiB, absolute, RTL, zero width", BAD_REQUEST)
def _(node):
    names = ["a\0b", "/", "..", ".", "", "x" * 65536, "/etc/passwd", "a/../../b", "\u202eabc", "a\u200bb", "9a", "-a", "a b"]
    before = {p for p in os.listdir(node.data.parent)}
    found = each([payload(node, wire.CREATE, wire.pack({"collection": n, "data": {}})) for n in names]
                 + [payload(node, wire.CREATE, wire.pack({"collection": "bad", "data": {}, "database": n})) for n in names if n])
    assert {p for p in os.listdir(node.data.parent)} == before, "nothing outside the data directory"
    return found


@case(18, "names that are no strings", BAD_REQUEST)
def _(node):
    return each(payload(node, wire.CREATE, wire.pack({"collection": n, "data": {}})) for n in (5, None, True, b"bin", ["a"], {"a": 1}))


@case(19, "NFC and NFD as keys", "two documents")
def _(node):
    with PlainClient(node.port) as c:
        c.create("bad", {"_id": "caf\u00e9", "form": "NFC"})
        c.create("bad", {"_id": "cafe\u0301", "form": "NFD"})
        forms = [c.get("bad", k)["form"] for k in ("caf\u00e9", "cafe\u0301")]
    return "two documents" if forms == ["NFC", "NFD"] else str(forms)


@case(21, "keys of 1,025 bytes and 1 MiB, empty, no string", "ERROR (BAD_REQUEST|TOO_LARGE), open( / ERROR TOO_LARGE, open)?")
def _(node):
    return each(payload(node, kind, wire.pack(body)) for key in ("k" * 1025, "k" * (1 << 20), "", 5, None)
                for kind, body in ((wire.READ, {"collection": "bad", "key": key}),
                                   *([(wire.CREATE, {"collection": "bad", "data": {"_id": key}})] if key is not None else [])))


# Filters and queries


@case(22, "$where, unknown operator, $and no array, $in no array", "ERROR BAD_FILTER, open")
def _(node):
    return each(payload(node, wire.QUERY, wire.pack({"collection": "bad", "filters": f}))
                for f in ({"$where": "1"}, {"a": {"$nope": 1}}, {"$and": {"a": 1}}, {"a": {"$in": 1}}, {"$or": [5]}, {"a": {"$gt": 1, "x": 2}}))


@case(23, "$or of 100,000, a path of 10,000 dots, $and 10,000 deep", "ERROR (BAD_FILTER|BAD_PAYLOAD), open( / ERROR BAD_PAYLOAD, open)?")
def _(node):
    deep = b"\x81\xa4$and\x91" * 10_000 + b"\x80"
    bodies = [wire.pack({"collection": "bad", "filters": {"$or": [{"a": n} for n in range(100_000)]}}),
              wire.pack({"collection": "bad", "filters": {"." * 10_000: 1}}),
              b"\x82" + wire.pack("collection") + wire.pack("bad") + wire.pack("filters") + deep]
    found = []
    for body in bodies:
        start = time.monotonic()
        found.append(payload(node, wire.QUERY, body))
        assert time.monotonic() - start < 1
    return each(found)


@case(24, "a regular expression that explodes", "(ERROR BAD_FILTER|SUCCESS), open")
def _(node):
    with PlainClient(node.port) as c:
        c.create("bad", {"_id": "aaa", "text": "a" * 30 + "!"})
    start = time.monotonic()
    found = payload(node, wire.QUERY, wire.pack({"collection": "bad", "filters": {"text": {"$regex": "(a+)+$"}}, "limit": 1}))
    assert time.monotonic() - start < 5
    return found


@case(25, "limit -1, 2^63 - 1, 2^64 - 1, skip + limit beyond, text", "((ERROR (BAD_REQUEST|BAD_FILTER)|SUCCESS), open( / )?)+")
def _(node):
    return each(payload(node, wire.QUERY, wire.pack({"collection": "bad", "filters": {"_id": "aaa"}, **more}))
                for more in ({"limit": -1}, {"limit": 2**63 - 1}, {"limit": 2**64 - 1}, {"skip": 2**63 - 1, "limit": 2**63 - 1},
                             {"skip": -5}, {"limit": "ten"}, {"limit": 1.5}, {"batch_size": 0}, {"batch_size": -1}, {"sort": 5},
                             {"sort": {"a": 7}}, {"projection": 5}, {"timeout_ms": -1}))


@case(26, "vectors: NaN, infinity, text, empty, 65,536 long, odd bin", "(ERROR (BAD_REQUEST|BAD_PAYLOAD|TOO_LARGE), open( / )?)+")
def _(node):
    with PlainClient(node.port) as c:
        c.create("vectors", {"_id": "v", "vector": [1.0, 2.0]})
    vectors = ([math.nan, 1], [math.inf, 1], ["a", "b"], [], [0.5] * 65_536, b"12345", [1.0], [1.0] * 3, {"a": 1}, 5)
    found = [payload(node, wire.VECTOR_SEARCH, wire.pack({"collection": "vectors", "vector": v})) for v in vectors]
    body = wire.pack({"collection": "vectors"})[1:]
    found.append(payload(node, wire.VECTOR_SEARCH, b"\x82" + body + wire.pack("vector") + b"\xdd\xff\xff\xff\xff"))
    return each(found)


@case(26, "k of 0, -1, 2^31, 2^63", "((ERROR BAD_REQUEST|SUCCESS), open( / )?)+")
def _(node):
    return each(payload(node, wire.VECTOR_SEARCH, wire.pack({"collection": "vectors", "vector": [1.0, 2.0], "limit": k}))
                for k in (0, -1, 2**31, 2**63))


# Batches


@case(27, "a batch whose third document is bad", "((ERROR|DUPLICATE) .*, open) none stored")
def _(node):
    found = []
    for bad in ({"_id": 5}, {"_id": "k" * 2000}, {"_id": "b1"}):
        found.append(payload(node, wire.BATCH_WRITE, wire.pack({"collection": "bad", "documents": [{"_id": "b1"}, {"_id": "b2"}, bad]})))
    assert find(node, "b1") is None and find(node, "b2") is None
    return f"{each(found)} none stored"


@case(28, "a batch of 2,000,000 empty maps in 2 MB", "ERROR (TOO_LARGE|BAD_REQUEST|OVERLOADED), open")
def _(node):
    body = wire.pack("collection") + wire.pack("bad") + wire.pack("documents") + b"\xdd" + struct.pack(">I", 2_000_000)
    return payload(node, wire.BATCH_WRITE, b"\x82" + body + b"\x80" * 2_000_000)


# Sessions


@case(30, "CONNECT twice, with a 1 MiB password", "SUCCESS, SUCCESS, open|SUCCESS, ERROR .*, (open|closed)")
def _(node):
    return after(node, wire.request(wire.CONNECT, {"username": "root", "password": "p"}),
                 wire.request(wire.CONNECT, {"username": "root", "password": "p" * (1 << 20)}))


@case(30, "a user name with NUL and newlines", "(SUCCESS|ERROR .*), (open|closed)")
def _(node):
    found = after(node, wire.request(wire.CONNECT, {"username": "eve\0\nINJECTED level=error", "password": "x"}))
    assert not re.search(r"^INJECTED", node.output(), re.M), "the log cannot be forged"
    return found


@case(32, "replication frames from an ordinary client", "ERROR (UNKNOWN_TYPE|UNSUPPORTED|FORBIDDEN), open")
def _(node):
    return each(payload(node, kind, wire.pack({"epoch": 1 << 62, "lsn": 5})) for kind in range(0x60, 0x80))


@case(39, "compressed without negotiation", "ERROR (UNSUPPORTED|BAD_FRAME), (open|closed)")
def _(node):
    body = create({"_id": "lz"})
    return after(node, wire.frame(wire.CREATE, struct.pack(">I", len(body)) + lz4block.literals(body), flags=wire.COMPRESSED))


@case(39, "compressed: declared length larger, smaller, 0, 2^32 - 1, a bomb, noise", "(ERROR (BAD_PAYLOAD|BAD_FRAME|TOO_LARGE), (open|closed)( / )?)+")
def _(node):
    before, found = node.resident_bytes(), []
    body = create({"_id": "lz"})
    good = lz4block.literals(body)
    for declared, block in ((len(body) + 50, good), (len(body) - 1, good), (0, good), (2**32 - 1, good), (2**31, lz4block.bomb(10**7)),
                            (15 << 20, lz4block.bomb(15 << 20)), (100, b"\xff" * 50), (100, b""), (100, b"\x0fA\x01\x00")):
        with PlainClient(node.port, features=["lz4"]) as c:
            c.wire.raw(wire.frame(wire.CREATE, struct.pack(">I", declared) + block, flags=wire.COMPRESSED))
            found.append(outcome(c.wire))
    with PlainClient(node.port, features=["lz4"]) as c:
        c.wire.raw(wire.frame(wire.CREATE, b"\0\0", flags=wire.COMPRESSED))
        found.append(outcome(c.wire))
    assert node.resident_bytes() - before < 40 << 20
    assert find(node, "lz") is None
    return each(found)


@case(40, "streams cancelled at each chunk and abandoned", "cancelled, open")
def _(node):
    with PlainClient(node.port, features=["stream", "request_id"]) as c:
        c.batch("bad_streams", documents=[{"n": n} for n in range(500)])
        for chunks in range(8):
            c.wire.send(wire.QUERY, {"collection": "bad_streams", "stream": True, "batch_size": 20}, request_id=chunks)
            stream = c.wire.recv().value["stream"]
            for _ in range(chunks):
                assert c.wire.recv().type == wire.STREAM_CHUNK
                c.wire.send(wire.CURSOR_CREDIT, {"stream": stream, "credit": 1}, request_id=900)
            c.wire.send(wire.CANCEL, {"stream": stream}, request_id=1000 + chunks)
            last = {}
            while 1000 + chunks not in last or chunks not in last or last[chunks].type == wire.STREAM_CHUNK:
                answer = c.wire.recv()
                last[answer.request_id] = answer
            assert last[chunks].code == "CANCELLED"
        return f"cancelled, {outcome(c.wire).split(', ')[-1]}"


@case(40, "CANCEL and credit for streams that do not exist", "((SUCCESS|NOT_FOUND|ERROR (BAD_REQUEST|NOT_FOUND|CANCELLED)), )?.*open")
def _(node):
    with PlainClient(node.port, features=["stream", "request_id"]) as c:
        c.wire.send(wire.CANCEL, {"stream": 12345}, request_id=1)
        c.wire.send(wire.CURSOR_CREDIT, {"stream": 2**63, "credit": -1}, request_id=2)
        c.wire.send(wire.CURSOR_CREDIT, {"stream": "x", "credit": 2**64 - 1}, request_id=3)
        return outcome(c.wire)


# The admin port


def admin(node, head: bytes, body: bytes = b"") -> str:
    with socket.create_connection(("127.0.0.1", node.admin_port), timeout=5) as s:
        try:
            s.sendall(head + body)
            answer = s.recv(65536)
        except OSError:
            return "closed"
    return f"HTTP {answer.split(b' ')[1].decode()}" if answer.startswith(b"HTTP/1.") else "closed" if not answer else "noise"


@case(42, "admin port: bad paths, methods, noise, huge headers and bodies", "((HTTP (400|403|404|405|411|413|414|431|501)|closed)( / )?)+")
def _(node):
    return each([admin(node, b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"),
                 admin(node, b"DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
                 admin(node, b"\x16\x03\x01noise\r\n\r\n"), admin(node, wire.request(wire.PING, {}) + b"\r\n\r\n"),
                 admin(node, b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n"),
                 admin(node, b"GET /nowhere HTTP/1.1\r\n" + b"X-Header: y\r\n" * 10_000 + b"\r\n"),
                 admin(node, b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n", b"z" * 100_000)])


# The runner


@pytest.fixture(scope="module")
def baseline(node):
    """Memory of the node after ordinary traffic, before the first bad input."""
    with PlainClient(node.port) as c:
        for n in range(2000):
            c.create("bad", {"_id": f"warm-{n}", "text": "w" * 200})
        c.query("bad")
    return node.resident_bytes()


@pytest.mark.parametrize("row, name, expected, body", CASES)
def test_bad_input(node, baseline, row, name, expected, body):
    try:
        got = body(node)
    except BaseException as error:
        TABLE.append((row, name, expected, f"{type(error).__name__}: {error}".splitlines()[0]))
        raise
    TABLE.append((row, name, expected, got))
    assert node.alive, f"the node died:\n{node.output()[-3000:]}"
    assert node.answers_ping(within=1.0), "a fresh connection gets PONG within a second"
    assert re.fullmatch(expected, got), f"expected {expected}, got {got}"


def test_memory_has_not_grown_with_bad_inputs(node, baseline, report):
    grown = node.resident_bytes() - baseline
    report("bad inputs: row, case | expected | got")
    for row, name, expected, got in TABLE:
        report(f"  {row:>2} {name} | {expected} | {got[:160]}")
    report(f"bad inputs: {len(TABLE)} cases, memory {grown / 2**20:+.1f} MiB from {baseline / 2**20:.1f} MiB")
    assert grown < GROWTH_LIMIT

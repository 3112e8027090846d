"""Bad requests in good MessagePack: names, keys, filters, batches, sessions, and the admin port."""
import math
import os
import re
import socket
import struct
import time

from rig import lz4block, wire
from rig.bad_inputs import BAD_PAYLOAD, BAD_REQUEST, after, case, create, each, find, outcome, payload
from rig.plain import PlainClient

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
        assert time.monotonic() - start < 5
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


SNAPSHOTS = (0x61, 0x62, 0x63)


@case(32, "replication frames from an ordinary client", "ERROR (UNKNOWN_TYPE|UNSUPPORTED|FORBIDDEN), open")
def _(node):
    return each(payload(node, kind, wire.pack({"epoch": 1 << 62, "lsn": 5})) for kind in range(0x60, 0x80) if kind not in SNAPSHOTS)


@case(32, "requests of a backup with fields that are missing, wrong or too large", "ERROR BAD_REQUEST, open")
def _(node):
    get = {"id": 1, "file": 0, "offset": 0, "length": 1}
    wrong = [{**get, "length": 0}, {**get, "length": 1 << 40}, {**get, "offset": 1 << 50}, {**get, "file": 1 << 30}, {**get, "id": "1"}]
    return each([*(payload(node, kind, wire.pack({"epoch": 1 << 62, "lsn": 5})) for kind in SNAPSHOTS),
                 *(payload(node, 0x62, wire.pack(fields)) for fields in wrong), payload(node, 0x61, wire.pack({"slot": "s" * 1000}))])


@case(38, "times beyond all bounds", "((SUCCESS|ERROR (BAD_REQUEST|STALE_READ|TOKEN_LOST)), open( / )?)+")
def _(node):
    asks = [{name: value} for name in ("timeout_ms", "max_staleness_ms") for value in (2**40, 121_645_100_408_832_000, 2**63 - 1, 2**64 - 1)]
    asks += [{"after": [1, 0], "wait_ms": value} for value in (2**40, 2**63 - 1, 2**64 - 1)]
    return each(payload(node, wire.READ, wire.pack({"collection": "bad", "key": "warm-1", **ask})) for ask in asks)


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

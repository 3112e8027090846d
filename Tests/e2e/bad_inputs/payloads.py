"""Bad payloads: MessagePack that is none, or that no document may hold."""
import math
import struct

import msgpack

from rig import wire
from rig.bad_inputs import BAD_PAYLOAD, BAD_REQUEST, after, case, create, create_raw, each, payload

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

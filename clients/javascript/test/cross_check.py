"""Random MessagePack for the codec's tests, by Python's msgpack, in its shortest form: one hexadecimal line a value.

    cross_check.py generate SEED COUNT     values that JavaScript can tell apart (no float64 that is a small whole number)
    cross_check.py repack                  reads such lines from standard input, unpacks and packs them again
    cross_check.py speed                   microseconds to pack and unpack, one JSON map
"""
import json
import random
import struct
import sys
import time

import msgpack

MARKS = [0, 1, 31, 32, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1]
TEXT = "abcdefgh_ 0123456789äßéñ€漢字\u0000\u2028😀\uffff\ufffd"


def number(source):
    value = source.choice(MARKS) + source.randint(-2, 2) if source.random() < 0.5 else source.getrandbits(source.randint(1, 64))
    value = min(max(value, 0), 2**64 - 1)
    return -min(value, 2**63) if source.random() < 0.4 else value


def fraction(source):
    if source.random() < 0.2:
        return source.choice([float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 1.7976931348623157e308, 2.0**60, -(2.0**53)])
    value = struct.unpack(">d", source.randbytes(8))[0]
    if value != value:
        return float("nan")
    return 0.5 if value.is_integer() and abs(value) < 2**53 else value


def text(source, longest):
    return "".join(source.choices(TEXT, k=source.randint(0, longest)))


def value(source, depth):
    kind = source.random()
    if depth > 0 and kind < 0.35:
        # Long ones hold short things.
        count = source.randint(0, 3)
        if source.random() < 0.1:
            count, depth = source.choice([15, 16, 17, 255, 256]), 1
        if kind < 0.18:
            return [value(source, depth - 1) for _ in range(count)]
        # Names of digits alone would come first in an object of JavaScript, whatever their place.
        return {source.choice(["", "a", "name", "__proto__", "constructor", "toString", "_" + text(source, 40)]): value(source, depth - 1) for _ in range(count)}
    if kind < 0.40:
        return source.choice([None, True, False])
    if kind < 0.60:
        return number(source)
    if kind < 0.70:
        return fraction(source)
    if kind < 0.88:
        return text(source, source.choice([5, 5, 5, 31, 33, 33, 255, 300]))
    if kind < 0.94:
        return source.randbytes(source.choice([0, 1, 5, 5, 5, 255, 256]))
    if kind < 0.97:
        return msgpack.Timestamp(source.choice([0, 1, 2**32 - 1, 2**32, 2**34 - 1, 2**34, -1, -(2**40), 10**11]), source.choice([0, 1, 5_000_000, 999_999_999]))
    return msgpack.ExtType(source.randint(0, 127), source.randbytes(source.choice([0, 1, 2, 3, 4, 8, 16, 17, 256])))


def unpacked(line):
    return msgpack.unpackb(bytes.fromhex(line), strict_map_key=False, timestamp=0)


def best(body):
    least = float("inf")
    for _ in range(5):
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < 0.05:
            for _ in range(20):
                body()
            count += 20
        least = min(least, (time.perf_counter() - started) / count * 1e6)
    return least


def speed():
    document = {"_id": "01hzx4q9abcdefgh", "_created_at": "2026-11-26T03:20:00.123456", "name": "John Smith", "email": "john@example.com", "age": 31,
                "active": True, "score": 12.5, "tags": ["a", "b", "c"], "address": {"city": "Rome", "zip": "00100"}}
    result = {}
    for name, one in (("one document", document), ("100 documents", [document] * 100), ("768 floats", [random.random() for _ in range(768)])):
        packed = msgpack.packb(one)
        result[name] = [best(lambda: msgpack.packb(one)), best(lambda: msgpack.unpackb(packed))]
    print(json.dumps(result))


if sys.argv[1] == "generate":
    source = random.Random(int(sys.argv[2]))
    for _ in range(int(sys.argv[3])):
        print(msgpack.packb(value(source, 4)).hex())
elif sys.argv[1] == "repack":
    for line in sys.stdin:
        print(msgpack.packb(unpacked(line)).hex())
else:
    speed()

#!/usr/bin/env python3
"""Python's msgpack as the other opinion on MessagePack; driven by Tests/NexaWireTests/CrossCheckTests.swift.

    cross_check.py generate COUNT SEED    prints COUNT random values, a line each: packed bytes in hexadecimal, a tab, their JSON
    cross_check.py repack                 reads hexadecimal lines, unpacks and packs each, prints the bytes in hexadecimal

JSON is written as NexaDB's shell writes it: {"$binary": base64}, {"$ext": {"type", "data"}}, {"$double": "NaN"}.
`generate 300 1` made Tests/Fixtures/msgpack-corpus.txt.
"""
import base64
import json
import math
import random
import sys

import msgpack

TEXTS = ["", "a", "name", "naïve", "漢字", "🍺", "line\nbreak", 'quote"', "back\\slash", "x" * 31, "y" * 32, "z" * 300]
INTEGERS = [2**bits + offset for bits in (5, 7, 8, 15, 16, 31, 32, 53, 63) for offset in (-1, 0, 1)]


def value(rng, depth):
    kind = rng.randrange(12 if depth else 9)
    if kind == 0:
        return None
    if kind == 1:
        return rng.random() < 0.5
    if kind == 2:
        number = rng.choice(INTEGERS)
        return -number if rng.random() < 0.4 and number <= 2**63 else number
    if kind == 3:
        return rng.randrange(-(2**63), 2**64) >> rng.randrange(64)
    if kind == 4:
        return rng.choice([0.0, -0.0, 0.1, 1.0, 2.5, 1e300, 5e-324, math.nan, math.inf, -math.inf, rng.random(), rng.uniform(-1e9, 1e9)])
    if kind in (5, 6):
        return rng.choice(TEXTS) + rng.choice(TEXTS)
    if kind == 7:
        return rng.randbytes(rng.choice([0, 1, 5, 255, 256]))
    if kind == 8:
        return msgpack.ExtType(rng.randrange(128), rng.randbytes(rng.choice([0, 1, 2, 3, 4, 8, 16, 17, 256])))
    if kind in (9, 10):
        return {f"k{i}": value(rng, depth - 1) for i in range(rng.choice([0, 1, 3, 15, 16, 17]))}
    return [value(rng, depth - 1) for _ in range(rng.choice([0, 1, 3, 15, 16, 17]))]


def as_json(v):
    if isinstance(v, msgpack.ExtType):
        return {"$ext": {"type": v.code, "data": base64.b64encode(v.data).decode()}}
    if isinstance(v, bytes):
        return {"$binary": base64.b64encode(v).decode()}
    if isinstance(v, float) and not math.isfinite(v):
        return {"$double": "NaN" if math.isnan(v) else "Infinity" if v > 0 else "-Infinity"}
    if isinstance(v, dict):
        return {k: as_json(x) for k, x in v.items()}
    if isinstance(v, list):
        return [as_json(x) for x in v]
    return v


def main():
    if sys.argv[1] == "generate":
        rng = random.Random(int(sys.argv[3]))
        for _ in range(int(sys.argv[2])):
            v = value(rng, 2)
            print(msgpack.packb(v).hex(), json.dumps(as_json(v), ensure_ascii=False), sep="\t")
    else:
        for line in sys.stdin:
            print(msgpack.packb(msgpack.unpackb(bytes.fromhex(line.strip()), strict_map_key=False)).hex())


if __name__ == "__main__":
    main()

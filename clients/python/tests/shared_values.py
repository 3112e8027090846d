"""Values and expectations of clients/conformance: JSON, and maps with one key that begins with `$`."""

import math
import struct

from nexadb import Vector


def value_of(written, saved):
    if isinstance(written, list):
        return [value_of(each, saved) for each in written]
    if not isinstance(written, dict):
        return written
    if len(written) == 1:
        ((sign, operand),) = written.items()
        if sign == "$int":
            return int(operand)
        if sign == "$float":
            return float(operand)
        if sign == "$bin":
            return bytes.fromhex(operand)
        if sign == "$vector":
            return Vector(operand)
        if sign == "$repeat":
            return operand[0] * operand[1]
        if sign == "$nest":
            value = 1
            for _ in range(operand):
                value = {"a": value}
            return value
        if sign == "$documents":
            return [{"n": index} for index in range(operand)]
        if sign == "$ref":
            return saved[operand]
    return {name: value_of(each, saved) for name, each in written.items()}


def holds(expected, value, saved) -> bool:
    """Whether a value is as expected."""
    if isinstance(expected, dict) and len(expected) == 1:
        ((sign, operand),) = expected.items()
        if sign == "$any":
            return value is not None
        if sign == "$like":
            return isinstance(value, dict) and all(
                name not in value if each == {"$absent": True} else name in value and holds(each, value[name], saved)
                for name, each in operand.items()
            )
        if sign == "$unordered":
            return len(operand) == len(value) and all(any(holds(each, one, saved) for one in value) for each in operand)
        if sign == "$near":
            return abs(value - operand) <= 1e-5
        if sign == "$count":
            return len(value) == operand
        if sign == "$contains":
            return all(value_of(each, saved) in value for each in operand)
        if sign == "$lacks":
            return all(value_of(each, saved) not in value for each in operand)
        if sign in ("$int", "$float", "$bin", "$repeat", "$nest", "$ref", "$vector", "$documents"):
            return is_same(value_of(expected, saved), value)
    if isinstance(expected, list):
        return isinstance(value, list) and len(expected) == len(value) and all(map(lambda e, v: holds(e, v, saved), expected, value))
    if isinstance(expected, dict):
        return isinstance(value, dict) and list(expected) == list(value) and all(holds(expected[n], value[n], saved) for n in expected)
    return is_same(expected, value)


def is_same(one, other) -> bool:
    """Equal in type and bits: 1 is not 1.0, -0.0 is not 0.0, NaN is itself."""
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack(">d", one) == struct.pack(">d", other) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(is_same(one[name], other[name]) for name in one)
    return type(one) is type(other) and one == other

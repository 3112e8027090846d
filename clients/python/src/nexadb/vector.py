"""Vectors as they travel: little-endian float32, four bytes a dimension instead of nine."""

from __future__ import annotations

import array
import math
import sys
from collections.abc import Iterable, Iterator
from typing import Protocol, Union, runtime_checkable


@runtime_checkable
class SupportsArray(Protocol):
    """A numpy array, as far as this module needs to know one."""

    @property
    def ndim(self) -> int: ...

    def astype(self, dtype: str) -> SupportsArray: ...

    def tobytes(self) -> bytes: ...


VectorLike = Union["Vector", "array.array[float]", SupportsArray, bytes, Iterable[float]]


class Vector:
    """A float32 vector. Made from numbers, an `array.array`, a numpy array or the bytes that a document came back with.

    >>> Vector([1, 0.5]).tolist()
    [1.0, 0.5]
    """

    __slots__ = ("data",)

    def __init__(self, values: VectorLike):
        self.data: bytes = float32_bytes(values)
        if len(self.data) % 4:
            raise ValueError(f"a float32 vector has a multiple of 4 bytes, not {len(self.data)}")

    def tolist(self) -> list[float]:
        numbers = array.array("f", self.data)
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers.tolist()

    def __len__(self) -> int:
        return len(self.data) // 4

    def __iter__(self) -> Iterator[float]:
        return iter(self.tolist())

    def __bytes__(self) -> bytes:
        return self.data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vector) and self.data == other.data

    def __hash__(self) -> int:
        return hash(self.data)

    def __repr__(self) -> str:
        return f"Vector({len(self)} dimensions)"


def float32_bytes(values: VectorLike) -> bytes:
    """The wire form of anything that is a vector."""
    if isinstance(values, Vector):
        return values.data
    if isinstance(values, bytes):
        return values
    if isinstance(values, SupportsArray):
        if values.ndim != 1:
            raise ValueError(f"a vector has one dimension, not {values.ndim}")
        return values.astype("<f4").tobytes()
    numbers = values if isinstance(values, array.array) and values.typecode == "f" else array.array("f", values)
    if any(map(math.isinf, numbers)):
        raise ValueError("a number of the vector does not fit float32")
    if sys.byteorder == "big":
        numbers = array.array("f", numbers)
        numbers.byteswap()
    return numbers.tobytes()

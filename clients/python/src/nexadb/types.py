"""Names for what goes in and comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, Union

T = TypeVar("T")

Document = dict[str, Any]
Filter = Mapping[str, Any]
Sort = Union[str, Mapping[str, int], Sequence[tuple[str, int]]]
Projection = Union[Mapping[str, int], Sequence[str]]


@dataclass(frozen=True)
class Hit(Generic[T]):
    """A document that a vector search found. A higher score is nearer."""

    id: str
    score: float
    document: T


@dataclass(frozen=True)
class ChangeEvent(Generic[T]):
    """A change that was committed. `operation` is `insert`, `update`, `delete`, `dropCollection`, ...

    `resume_token` stands behind this event: a stream that is opened with it begins with the next one.
    """

    operation: str
    database: str
    collection: str
    key: str | None
    document: T | None
    updated_fields: Document | None
    timestamp: float
    resume_token: bytes
    position: tuple[int, int] | None

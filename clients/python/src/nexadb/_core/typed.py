"""Documents with a type: how a class of the user's is made from a document. Writing needs no help, the codec knows these classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from ..errors import ConfigurationError

T = TypeVar("T")


class Shape(Generic[T]):
    def __init__(self, shape: type[T] | None):
        self._make = _maker(shape)

    def of(self, document: dict[str, Any]) -> T:
        return cast(T, document if self._make is None else self._make(document))


def _maker(shape: type[Any] | None) -> Callable[[dict[str, Any]], Any] | None:
    if shape is None or issubclass(shape, dict):
        return None
    validate = getattr(shape, "model_validate", None)
    if validate is not None:
        return cast("Callable[[dict[str, Any]], Any]", validate)
    if dataclasses.is_dataclass(shape):
        names = [each.name for each in dataclasses.fields(shape) if each.init]
        return lambda document: shape(**{name: document[name] for name in names if name in document})
    raise ConfigurationError(f"{shape.__name__} is neither a TypedDict nor a dataclass nor a pydantic model")

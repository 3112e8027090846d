"""Looking into decoded values whose shape nobody has promised."""

from __future__ import annotations

from typing import Any, cast


def map_of(value: object) -> dict[str, Any]:
    """The value where it is a map, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """The value where it is a list, else an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def text_of(value: object) -> str | None:
    return value if isinstance(value, str) else None

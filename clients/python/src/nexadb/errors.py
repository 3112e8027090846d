"""What can go wrong, as a tree: catch as coarsely or as finely as you need, decide on `code`, show the text.

    NexaError
        ConfigurationError             an address or option that makes no sense
        ConnectionError                no connection, or the end of one; the operation did nothing, or only read
            ProtocolError              the other side does not speak NEXA as it should
            ServerSelectionError       no node could be used in time; `hosts` tells each one's last error
            UnknownOutcomeError        a write was sent and not answered: it may or may not have happened
        TimeoutError                   the time budget of the operation is used up
        QueueFullError                 too many operations wait already
        ClosedError                    the client, cursor or stream was closed
        ServerError                    the node said no: `code`, `details`, `is_retryable`
            ValidationError            the request makes no sense (this client may find that before it sends)
            AuthenticationError, PermissionError, NotFoundError, DuplicateKeyError, ConflictError, TooLargeError,
            NotLeaderError, StaleReadError, OverloadedError, WriteConcernError, ReadOnlyError, CancelledError, HistoryLostError
        BulkWriteError                 items of a bulk write failed; `result` has each item's fate

`ConnectionError`, `TimeoutError` and `PermissionError` are also Python's own of that name.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from ._core.batching import BulkResult


class NexaError(Exception):
    """The root of everything that this package raises on purpose."""

    code: str = "CLIENT"

    def __init__(self, message: str):
        super().__init__(message)


class ConfigurationError(NexaError, ValueError):
    code = "BAD_CONFIGURATION"


class ConnectionError(NexaError, builtins.ConnectionError):
    code = "CONNECTION_LOST"


class ProtocolError(ConnectionError):
    code = "PROTOCOL"


class ServerSelectionError(ConnectionError):
    """No node could take the request in time. `hosts` maps each address to what was last known of it."""

    code = "SERVER_SELECTION"

    def __init__(self, message: str, hosts: Mapping[str, str]):
        super().__init__(message)
        self.hosts = dict(hosts)


class UnknownOutcomeError(ConnectionError):
    """A write left and was not answered: the connection was lost, or (`timeout`) the time was over."""

    code = "UNKNOWN_OUTCOME"

    def __init__(self, message: str, *, timeout: bool = False):
        super().__init__(message)
        self.timeout = timeout


class TimeoutError(NexaError, builtins.TimeoutError):
    code = "TIMEOUT"


class QueueFullError(NexaError):
    code = "QUEUE_FULL"


class ClosedError(NexaError):
    code = "CLOSED"


class ServerError(NexaError):
    """The node answered with an error. `details` holds the other fields of the answer."""

    code = "INTERNAL"

    def __init__(self, code: str, message: str, details: Mapping[str, Any] | None = None):
        super().__init__(message)
        self.code = code
        self.details: dict[str, Any] = dict(details or {})

    @property
    def is_retryable(self) -> bool:
        """Whether nothing was done and the same request may succeed later."""
        return self.code in _RETRYABLE or self.details.get("retryable") is True

    def _text(self, name: str) -> str | None:
        value = self.details.get(name)
        return value if isinstance(value, str) else None

    def _int(self, name: str) -> int | None:
        value = self.details.get(name)
        return value if isinstance(value, int) else None


class ValidationError(ServerError):
    """A field, value, filter or update that cannot be served as it is."""

    def __init__(self, code: str, message: str, details: Mapping[str, Any] | None = None):
        super().__init__(code, message, details)
        #: What is wrong, as far as it has a name.
        self.field, self.path, self.operator = self._text("field"), self._text("path"), self._text("operator")


class AuthenticationError(ServerError):
    """Wrong or missing credentials."""


class PermissionError(ServerError, builtins.PermissionError):
    """These credentials do not allow that."""


class NotFoundError(ServerError):
    """A document (where its absence is an error), collection, database or index does not exist."""


class DuplicateKeyError(ServerError):
    @property
    def key(self) -> str | None:
        return self._text("id")


class ConflictError(ServerError):
    """The document is not at the revision that was asked for."""

    @property
    def revision(self) -> int | None:
        return self._int("_rev")


class TooLargeError(ServerError):
    @property
    def limit(self) -> int | None:
        return self._int("limit")


class NotLeaderError(ServerError):
    """Writes reached followers only, and no leader was found in time."""

    @property
    def leader(self) -> str | None:
        return self._text("leader")


class StaleReadError(ServerError):
    """No node that was asked is as far as the read requires; with code `TOKEN_LOST`, a write seen before is lost."""


class OverloadedError(ServerError):
    """The node has too much to do, or refuses to look at log-ins for a while."""

    @property
    def retry_after_seconds(self) -> float:
        """After how long the node asks to be tried again; 0 where it does not say."""
        return max(0, self._int("retry_after_ms") or 0) / 1000


class WriteConcernError(ServerError):
    """The write is on the leader, but not in time on as many nodes as asked for. It has not failed, and may yet be lost."""


class ReadOnlyError(ServerError):
    """The node refuses writes, or its disk failed."""


class CancelledError(ServerError):
    """The request was cancelled on the node."""


class HistoryLostError(ServerError):
    """A change stream cannot go on where it stood: no node has that part of the history any more."""


class BulkWriteError(NexaError):
    """Items of a bulk write failed. What succeeded stays written."""

    code = "BULK_WRITE"

    def __init__(self, message: str, result: BulkResult):
        super().__init__(message)
        self.result = result


_BY_CODE: dict[str, type[ServerError]] = {
    "BAD_PAYLOAD": ValidationError,
    "BAD_REQUEST": ValidationError,
    "BAD_FILTER": ValidationError,
    "BAD_UPDATE": ValidationError,
    "TOO_LARGE": TooLargeError,
    "RESULT_TOO_LARGE": TooLargeError,
    "NOT_FOUND": NotFoundError,
    "NO_SUCH_COLLECTION": NotFoundError,
    "NO_SUCH_DATABASE": NotFoundError,
    "NO_SUCH_INDEX": NotFoundError,
    "NO_SUCH_USER": NotFoundError,
    "DUPLICATE": DuplicateKeyError,
    "CONFLICT": ConflictError,
    "UNAUTHENTICATED": AuthenticationError,
    "FORBIDDEN": PermissionError,
    "OVERLOADED": OverloadedError,
    "CANCELLED": CancelledError,
    "READ_ONLY": ReadOnlyError,
    "STORAGE_FAILED": ReadOnlyError,
    "NOT_LEADER": NotLeaderError,
    "STALE_READ": StaleReadError,
    "TOKEN_LOST": StaleReadError,
    "WRITE_CONCERN_TIMEOUT": WriteConcernError,
    "HISTORY_LOST": HistoryLostError,
}
_RETRYABLE = frozenset({"OVERLOADED", "NOT_LEADER", "SHUTTING_DOWN", "STALE_READ"})


def server_error(payload: object, default_code: str = "INTERNAL") -> NexaError:
    """The exception for the payload of an ERROR, NOT_FOUND or DUPLICATE answer."""
    if not isinstance(payload, Mapping):
        return ProtocolError(f"the node sent an error that is no map: {payload!r:.100}")
    fields = dict(cast("Mapping[str, Any]", payload))
    code, text = fields.pop("code", None), fields.pop("error", None)
    code = code if isinstance(code, str) else default_code
    return _BY_CODE.get(code, ServerError)(code, text if isinstance(text, str) else code, fields)


def invalid(message: str, field: str | None = None) -> ValidationError:
    """What this client finds wrong before it sends."""
    return ValidationError("BAD_REQUEST", message, {"field": field} if field else None)

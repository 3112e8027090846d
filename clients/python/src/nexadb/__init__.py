"""The Python client of NexaDB: `NexaClient` for threads, `AsyncNexaClient` for asyncio, one core.

>>> from nexadb import NexaClient
>>> with NexaClient(host="localhost", port=6970) as db:
...     user = db.create("users", {"name": "Anna"})
...     db.get("users", user["id"])
"""

from ._async.bulk import AsyncBulkWriter
from ._async.client import AsyncNexaClient
from ._async.collection import AsyncCollection
from ._async.cursor import AsyncCursor
from ._async.watch import AsyncChangeStream
from ._core.batching import BulkItemError, BulkResult
from ._sync.bulk import BulkWriter
from ._sync.client import NexaClient
from ._sync.collection import Collection
from ._sync.cursor import Cursor
from ._sync.watch import ChangeStream
from .errors import (
    AuthenticationError,
    BulkWriteError,
    CancelledError,
    ClosedError,
    ConfigurationError,
    ConflictError,
    ConnectionError,
    DuplicateKeyError,
    HistoryLostError,
    NexaError,
    NotFoundError,
    NotLeaderError,
    OverloadedError,
    PermissionError,
    ProtocolError,
    QueueFullError,
    ReadOnlyError,
    ServerError,
    ServerSelectionError,
    StaleReadError,
    TimeoutError,
    TooLargeError,
    UnknownOutcomeError,
    ValidationError,
    WriteConcernError,
)
from .events import CommandEvent, ConnectionEvent, Listener
from .options import ClientOptions
from .types import ChangeEvent, Document, Hit
from .uri import ConnectionString, parse_uri
from .vector import Vector

__version__ = "2.0.0"

__all__ = [
    "AsyncBulkWriter",
    "AsyncChangeStream",
    "AsyncCollection",
    "AsyncCursor",
    "AsyncNexaClient",
    "AuthenticationError",
    "BulkItemError",
    "BulkResult",
    "BulkWriteError",
    "BulkWriter",
    "CancelledError",
    "ChangeEvent",
    "ChangeStream",
    "ClientOptions",
    "ClosedError",
    "Collection",
    "CommandEvent",
    "ConfigurationError",
    "ConflictError",
    "ConnectionError",
    "ConnectionEvent",
    "ConnectionString",
    "Cursor",
    "Document",
    "DuplicateKeyError",
    "HistoryLostError",
    "Hit",
    "Listener",
    "NexaClient",
    "NexaError",
    "NotFoundError",
    "NotLeaderError",
    "OverloadedError",
    "PermissionError",
    "ProtocolError",
    "QueueFullError",
    "ReadOnlyError",
    "ServerError",
    "ServerSelectionError",
    "StaleReadError",
    "TimeoutError",
    "TooLargeError",
    "UnknownOutcomeError",
    "ValidationError",
    "Vector",
    "WriteConcernError",
    "parse_uri",
]

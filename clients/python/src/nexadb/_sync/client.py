# Written by tools/make_sync.py from _async/client.py: change that file.
"""`NexaClient`: the client for threads. What it decides stands in `_core`; here is only what waits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, TypeVar, overload

from .._core.calls import Position
from .._core.codec import decode, encode
from .._core.engine import Engine, batch_call, client_options, document_of, documents_of, packed_document, packed_filter
from .._core.frames import NOT_FOUND, SUCCESS, Request
from .._core.typed import Shape
from ..events import Listener
from ..options import ClientOptions, Durability, ReadConcern, ReadPreference, WriteConcern
from ..types import Document, Filter, Projection, Sort
from ..vector import VectorLike, float32_bytes
from .collection import Collection
from .cursor import Cursor
from .runner import Runner
from .watch import ChangeStream

T = TypeVar("T")


class NexaClient:
    """A client for any number of threads at once.

    >>> with NexaClient("nexadb://localhost") as db:
    ...     user = db.create("users", {"name": "Anna"})
    """

    def __init__(self, uri: str | None = None, *, host: str | None = None, port: int | None = None, **options: Any):
        self.options: ClientOptions = client_options(uri, host, port, options)
        self._engine = Engine(self.options)
        self._runner = Runner(self._engine)

    def __repr__(self) -> str:
        return f"NexaClient({', '.join(f'{host}:{port}' for host, port in self.options.hosts)})"

    # Life

    def connect(self) -> None:
        """Connects now instead of with the first operation, and so says at once what is wrong."""
        self._runner.connect()

    def disconnect(self) -> None:
        """Closes all connections. What is still waiting fails. The client can be used no more."""
        self._runner.close()

    close = disconnect

    def __enter__(self) -> NexaClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.disconnect()

    def add_listener(self, listener: Listener) -> None:
        self._engine.listeners.append(listener)

    @property
    def position(self) -> Position | None:
        """The newest position that an answer gave. Setting it on another client makes its reads see what this one wrote."""
        return self._engine.position

    @position.setter
    def position(self, value: Position | None) -> None:
        self._engine.position = value

    # Documents

    def create(
        self,
        collection: str,
        data: object,
        *,
        database: str | None = None,
        w: WriteConcern | None = None,
        wtimeout_ms: int | None = None,
        durability: Durability | None = None,
        timeout_ms: int | None = None,
    ) -> Document:
        """Stores a document and returns it as stored. Its key is `_id` or `id`, where given; an existing one raises DuplicateKeyError."""
        options = {"w": w, "wtimeout_ms": wtimeout_ms, "durability": durability}
        call = self._engine.call(Request.CREATE, collection, (packed_document(data),), options, database=database)
        reply = self._runner.run(call, timeout_ms)
        return document_of(self._engine.result(reply))

    def get(
        self,
        collection: str,
        key: str,
        *,
        database: str | None = None,
        rev: bool | None = None,
        read_preference: ReadPreference | None = None,
        read_concern: ReadConcern | None = None,
        timeout_ms: int | None = None,
    ) -> Document | None:
        """The document with this key, or None. `rev` adds its revision as `_rev`."""
        options = {"rev": rev, "read_concern": read_concern} if rev or read_concern else None
        reply = self._runner.read(collection, encode(key), options, database, read_preference, timeout_ms)
        if reply[0] == SUCCESS:
            return document_of(decode(reply[2]))
        return None if reply[0] == NOT_FOUND else document_of(self._engine.result(reply))

    def get_many(
        self,
        collection: str,
        keys: Iterable[str],
        *,
        database: str | None = None,
        read_preference: ReadPreference | None = None,
        read_concern: ReadConcern | None = None,
        timeout_ms: int | None = None,
    ) -> list[Document | None]:
        """The documents with these keys in their order, None where there is none."""
        call = self._engine.call(
            Request.MULTI_READ,
            collection,
            (encode(list(keys)),),
            {"read_concern": read_concern},
            database=database,
            preference=read_preference,
        )
        found: list[Document | None] = list(documents_of(self._engine.result(self._runner.run(call, timeout_ms))))
        return found

    def update(
        self,
        collection: str,
        key: str,
        updates: Mapping[str, Any],
        *,
        upsert: bool = False,
        if_match: int | None = None,
        database: str | None = None,
        w: WriteConcern | None = None,
        wtimeout_ms: int | None = None,
        durability: Durability | None = None,
        timeout_ms: int | None = None,
    ) -> Document | None:
        """Replaces the given fields and returns the document after it; None where there is no such document (and no `upsert`)."""
        options = {
            "upsert": upsert or None,
            "if_match": if_match,
            "w": w,
            "wtimeout_ms": wtimeout_ms,
            "durability": durability,
        }
        values = (encode(key), packed_document(updates))
        call = self._engine.call(Request.UPDATE, collection, values, options, database=database)
        reply = self._runner.run(call, timeout_ms)
        return None if reply[0] == NOT_FOUND else document_of(self._engine.result(reply))

    def delete(
        self,
        collection: str,
        key: str,
        *,
        if_match: int | None = None,
        database: str | None = None,
        w: WriteConcern | None = None,
        wtimeout_ms: int | None = None,
        durability: Durability | None = None,
        timeout_ms: int | None = None,
    ) -> bool:
        """Deletes a document. Whether there was one."""
        options = {"if_match": if_match, "w": w, "wtimeout_ms": wtimeout_ms, "durability": durability}
        call = self._engine.call(Request.DELETE, collection, (encode(key),), options, database=database)
        return self._engine.result(self._runner.run(call, timeout_ms)) is not None

    # Queries

    def query(
        self,
        collection: str,
        filters: Filter | None = None,
        *,
        sort: Sort | None = None,
        limit: int | None = None,
        skip: int | None = None,
        projection: Projection | None = None,
        database: str | None = None,
        read_preference: ReadPreference | None = None,
        read_concern: ReadConcern | None = None,
        timeout_ms: int | None = None,
    ) -> list[Document]:
        """All documents that match, as a list. There is no limit unless you give one; `find` brings large results piece by piece."""
        options = {"sort": sort, "limit": limit, "skip": skip, "projection": projection, "read_concern": read_concern}
        call = self._engine.call(Request.QUERY, collection, (packed_filter(filters),), options, database=database, preference=read_preference)
        return self._runner.documents(call, timeout_ms)

    def find(
        self,
        collection: str,
        filters: Filter | None = None,
        *,
        sort: Sort | None = None,
        limit: int | None = None,
        skip: int | None = None,
        projection: Projection | None = None,
        batch_size: int | None = None,
        database: str | None = None,
        read_preference: ReadPreference | None = None,
        read_concern: ReadConcern | None = None,
        timeout_ms: int | None = None,
    ) -> Cursor[Document]:
        """A cursor over all documents that match: the node reads on only as they are taken. Its time budget is for each step."""
        options = {
            "sort": sort,
            "limit": limit,
            "skip": skip,
            "projection": projection,
            "batch_size": batch_size,
            "stream": True,
            "read_concern": read_concern,
        }
        call = self._engine.call(Request.QUERY, collection, (packed_filter(filters),), options, database=database, preference=read_preference)
        return Cursor(self._runner, call, timeout_ms, Shape[Document](None))

    def count(
        self,
        collection: str,
        filters: Filter | None = None,
        *,
        database: str | None = None,
        read_preference: ReadPreference | None = None,
        read_concern: ReadConcern | None = None,
        timeout_ms: int | None = None,
    ) -> int:
        call = self._engine.call(
            Request.COUNT,
            collection,
            (packed_filter(filters),),
            {"read_concern": read_concern},
            database=database,
            preference=read_preference,
        )
        return int(document_of(self._engine.result(self._runner.run(call, timeout_ms)))["count"])

    def vector_search(
        self,
        collection: str,
        vector: VectorLike,
        limit: int = 10,
        *,
        filters: Filter | None = None,
        metric: str | None = None,
        field: str | None = None,
        database: str | None = None,
        read_preference: ReadPreference | None = None,
        read_concern: ReadConcern | None = None,
        timeout_ms: int | None = None,
    ) -> list[Document]:
        """The nearest documents, best first: `{id, score, document}`. Filters apply before the best are chosen."""
        options = {"filters": filters, "metric": metric, "field": field, "read_concern": read_concern}
        values = (encode(float32_bytes(vector)), encode(limit))
        call = self._engine.call(Request.VECTOR_SEARCH, collection, values, options, database=database, preference=read_preference)
        return documents_of(self._engine.result(self._runner.run(call, timeout_ms)))

    def batch_write(
        self,
        collection: str,
        documents: Iterable[object] | None = None,
        *,
        operations: Iterable[Mapping[str, Any]] | None = None,
        atomic: bool = True,
        ordered: bool = True,
        database: str | None = None,
        w: WriteConcern | None = None,
        wtimeout_ms: int | None = None,
        durability: Durability | None = None,
        timeout_ms: int | None = None,
    ) -> Document:
        """Writes many documents, or `operations` of several kinds, at once: `{ids, count}`, and `errors` where not atomic."""
        options = {"atomic": atomic, "ordered": ordered, "w": w, "wtimeout_ms": wtimeout_ms, "durability": durability}
        call = batch_call(self._engine, collection, documents, operations, options, database)
        return document_of(self._engine.result(self._runner.run(call, timeout_ms)))

    # Catalog, users and the node

    def ping(self, *, timeout_ms: int | None = None) -> Document:
        return document_of(self._engine.result(self._runner.run(self._engine.call(Request.PING, None), timeout_ms)))

    def status(self) -> Document:
        """The node's figures."""
        return self._map(Request.STATUS)

    def list_databases(self) -> list[str]:
        return list((self._map(Request.LIST_DATABASES))["databases"])

    def create_database(self, name: str) -> None:
        self._map(Request.CREATE_DATABASE, database=name)

    def drop_database(self, name: str) -> None:
        self._map(Request.DROP_DATABASE, database=name)

    def database_stats(self, name: str | None = None) -> Document:
        return self._map(Request.GET_DATABASE_STATS, database=name)

    def list_collections(self, *, database: str | None = None) -> list[str]:
        return list((self._map(Request.LIST_COLLECTIONS, database=database))["collections"])

    def create_collection(self, name: str, *, database: str | None = None) -> None:
        self._map(Request.CREATE_COLLECTION, {"collection": name}, database=database)

    def drop_collection(self, name: str, *, database: str | None = None) -> None:
        self._map(Request.DROP_COLLECTION, {"collection": name}, database=database)

    def collection_stats(self, name: str, *, database: str | None = None) -> Document:
        return self._map(Request.COLLECTION_STATS, {"collection": name}, database=database)

    def create_user(self, username: str, password: str, role: str = "read", *, databases: Mapping[str, str] | None = None) -> Document:
        """Makes a user, confined to `databases` (names to `read` or `write`) where given. The answer holds the API key, this once."""
        fields = {"username": username, "password": password, "role": role, "databases": databases}
        return self._map(Request.CREATE_USER, fields)

    def alter_user(
        self,
        username: str,
        *,
        role: str | None = None,
        databases: Mapping[str, str] | None = None,
        new_password: str | None = None,
        new_api_key: bool = False,
    ) -> Document:
        """Changes all that is given in one write: what a user may do (`databases` empty: in all), its password, or its API key.

        A new key is in the answer, this once.
        """
        fields = {
            "username": username,
            "role": role,
            "databases": databases,
            "new_password": new_password,
            "new_api_key": new_api_key or None,
        }
        return self._map(Request.ALTER_USER, fields)

    def delete_user(self, username: str) -> None:
        self._map(Request.DELETE_USER, {"username": username})

    def list_users(self) -> Document:
        return dict((self._map(Request.LIST_USERS))["users"])

    def change_password(self, username: str, new_password: str) -> None:
        self._map(Request.CHANGE_PASSWORD, {"username": username, "new_password": new_password})

    def _map(self, kind: Request, fields: Mapping[str, Any] | None = None, *, database: str | None = None) -> Document:
        call = self._engine.call(kind, None, (), fields, database=database)
        return document_of(self._engine.result(self._runner.run(call)))

    # Collections

    @overload
    def collection(self, name: str, *, database: str | None = None) -> Collection[Document]: ...

    @overload
    def collection(self, name: str, shape: type[T], *, database: str | None = None) -> Collection[T]: ...

    def collection(self, name: str, shape: type[Any] | None = None, *, database: str | None = None) -> Collection[Any]:
        """A collection with the API of document databases. `shape` gives documents a type: a TypedDict, a dataclass or a pydantic model."""
        return Collection(self._runner, name, Shape(shape), database)

    def watch(
        self,
        operations: Iterable[str] | None = None,
        *,
        database: str | None = None,
        resume_after: bytes | None = None,
        after: tuple[int, int] | None = None,
        heartbeat_ms: int = 10_000,
        read_preference: ReadPreference | None = None,
    ) -> ChangeStream[Document]:
        """The changes of all collections of a database, as they are committed."""
        fields = {
            "database": database,
            "operations": None if operations is None else list(operations),
            "resume_after": resume_after,
            "after": None if after is None else list(after),
        }
        return ChangeStream(self._runner, fields, heartbeat_ms, Shape[Document](None), read_preference)

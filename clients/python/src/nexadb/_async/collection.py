"""`AsyncCollection`: the API of document databases on one collection, with documents of a type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from .._core.calls import Call
from .._core.codec import encode
from .._core.engine import batch_call, document_of, documents_of, packed_document, packed_filter
from .._core.frames import NOT_FOUND, Request
from .._core.typed import Shape
from ..options import Durability, ReadConcern, ReadPreference, WriteConcern
from ..types import Document, Filter, Hit, Projection, Sort
from ..vector import VectorLike, float32_bytes
from .bulk import AsyncBulkWriter
from .cursor import AsyncCursor
from .runner import Runner
from .watch import AsyncChangeStream

T = TypeVar("T")


class AsyncCollection(Generic[T]):
    """Made by `client.collection(name)`. Documents are dicts, or of the class that was given there."""

    def __init__(
        self,
        runner: Runner,
        name: str,
        shape: Shape[T],
        database: str | None = None,
        *,
        read: Mapping[str, Any] | None = None,
        write: Mapping[str, Any] | None = None,
        preference: ReadPreference | None = None,
        timeout_ms: int | None = None,
    ):
        self.name, self.database = name, database
        self._runner, self._shape = runner, shape
        self._read, self._write = dict(read or {}), dict(write or {})
        self._preference: ReadPreference | None = preference
        self._timeout_ms = timeout_ms

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def with_options(
        self,
        *,
        w: WriteConcern | None = None,
        wtimeout_ms: int | None = None,
        durability: Durability | None = None,
        read_preference: ReadPreference | None = None,
        read_concern: ReadConcern | None = None,
        timeout_ms: int | None = None,
    ) -> AsyncCollection[T]:
        """The same collection with other options for its reads and writes."""
        write = {"w": w, "wtimeout_ms": wtimeout_ms, "durability": durability}
        return AsyncCollection(
            self._runner,
            self.name,
            self._shape,
            self.database,
            read=self._read if read_concern is None else {**self._read, "read_concern": read_concern},
            write={**self._write, **{name: value for name, value in write.items() if value is not None}},
            preference=read_preference or self._preference,
            timeout_ms=self._timeout_ms if timeout_ms is None else timeout_ms,
        )

    # Writing

    async def insert_one(self, document: T) -> T:
        """Stores a document and returns it as stored, with its key."""
        call = self._call(Request.CREATE, (packed_document(document),))
        return self._shape.of(document_of(await self._result(call)))

    async def insert_many(self, documents: Iterable[T]) -> list[str]:
        """Stores all of the documents or none, in one request; their keys in order. For more than fits in a frame use `bulk_writer`."""
        call = batch_call(self._runner.engine, self.name, documents, None, self._write, self.database)
        return list(document_of(await self._result(call))["ids"])

    async def update(self, key: str, updates: Mapping[str, Any], *, upsert: bool = False, if_match: int | None = None) -> T | None:
        """Replaces the given fields; the document after it, or None where there is none (and no `upsert`)."""
        options = {"upsert": upsert or None, "if_match": if_match}
        reply = await self._runner.run(self._call(Request.UPDATE, (encode(key), packed_document(updates)), options), self._timeout_ms)
        return None if reply[0] == NOT_FOUND else self._shape.of(document_of(self._runner.engine.result(reply)))

    async def put(self, key: str, document: T) -> None:
        """Stores a document whether or not its key exists."""
        operation = {"op": "put", "key": key, "data": document}
        await self._result(batch_call(self._runner.engine, self.name, None, [operation], self._write, self.database))

    async def delete(self, key: str, *, if_match: int | None = None) -> bool:
        """Deletes a document. Whether there was one."""
        return await self._result(self._call(Request.DELETE, (encode(key),), {"if_match": if_match})) is not None

    def bulk_writer(
        self, *, ordered: bool = True, batch_size: int = 1000, batch_bytes: int = 1 << 20, batch_ms: int = 50
    ) -> AsyncBulkWriter[T]:
        """Writes any number of items in batches of at most so many, so many bytes, or so old."""
        return AsyncBulkWriter(
            self._runner,
            self.name,
            self.database,
            ordered=ordered,
            batch_size=batch_size,
            batch_bytes=batch_bytes,
            batch_ms=batch_ms,
            options=self._write,
            timeout_ms=self._timeout_ms,
        )

    # Reading

    async def get(self, key: str) -> T | None:
        """The document with this key, or None."""
        reply = await self._runner.run(self._call(Request.READ, (encode(key),)), self._timeout_ms)
        return None if reply[0] == NOT_FOUND else self._shape.of(document_of(self._runner.engine.result(reply)))

    async def get_many(self, keys: Sequence[str]) -> list[T | None]:
        """The documents with these keys in their order, None where there is none."""
        found = documents_of(await self._result(self._call(Request.MULTI_READ, (encode(list(keys)),))))
        return [None if each is None else self._shape.of(each) for each in found]  # pyright: ignore[reportUnnecessaryComparison]

    def find(
        self,
        filters: Filter | None = None,
        *,
        sort: Sort | None = None,
        limit: int | None = None,
        skip: int | None = None,
        projection: Projection | None = None,
        batch_size: int | None = None,
    ) -> AsyncCursor[T]:
        """A cursor over all documents that match: the node reads on only as they are taken."""
        options = {
            "sort": sort,
            "limit": limit,
            "skip": skip,
            "projection": projection,
            "batch_size": batch_size,
            "stream": True,
        }
        return AsyncCursor(self._runner, self._call(Request.QUERY, (packed_filter(filters),), options), self._timeout_ms, self._shape)

    async def find_one(self, filters: Filter | None = None, *, sort: Sort | None = None, projection: Projection | None = None) -> T | None:
        """The first document that matches, or None."""
        options = {"sort": sort, "limit": 1, "projection": projection}
        call = self._call(Request.QUERY, (packed_filter(filters),), options)
        found = await self._runner.documents(call, self._timeout_ms)
        return self._shape.of(document_of(found[0])) if found else None

    async def count(self, filters: Filter | None = None) -> int:
        return int(document_of(await self._result(self._call(Request.COUNT, (packed_filter(filters),))))["count"])

    async def vector_search(
        self,
        vector: VectorLike,
        limit: int = 10,
        *,
        filters: Filter | None = None,
        metric: str | None = None,
        field: str | None = None,
    ) -> list[Hit[T]]:
        """The nearest documents, best first. Filters apply before the best are chosen."""
        options = {"filters": filters, "metric": metric, "field": field}
        call = self._call(Request.VECTOR_SEARCH, (encode(float32_bytes(vector)), encode(limit)), options)
        found = documents_of(await self._result(call))
        return [Hit(each["id"], each["score"], self._shape.of(each["document"])) for each in found]

    def watch(
        self,
        operations: Iterable[str] | None = None,
        *,
        resume_after: bytes | None = None,
        after: tuple[int, int] | None = None,
        heartbeat_ms: int = 10_000,
    ) -> AsyncChangeStream[T]:
        """The changes of this collection, as they are committed."""
        fields = {
            "collection": self.name,
            "database": self.database,
            "operations": None if operations is None else list(operations),
            "resume_after": resume_after,
            "after": None if after is None else list(after),
        }
        return AsyncChangeStream(self._runner, fields, heartbeat_ms, self._shape, self._preference)

    # The collection itself

    async def stats(self) -> Document:
        call = self._runner.engine.call(Request.COLLECTION_STATS, None, (), {"collection": self.name}, database=self.database)
        return document_of(await self._result(call))

    async def drop(self) -> None:
        call = self._runner.engine.call(Request.DROP_COLLECTION, None, (), {"collection": self.name, **self._write}, database=self.database)
        await self._result(call)

    def _call(self, kind: Request, values: tuple[bytes, ...], options: Mapping[str, Any] | None = None) -> Call:
        engine = self._runner.engine
        defaults = self._write if kind in (Request.CREATE, Request.UPDATE, Request.DELETE) else self._read
        merged = {**defaults, **options} if options and defaults else options or defaults
        return engine.call(kind, self.name, values, merged, database=self.database, preference=self._preference)

    async def _result(self, call: Call) -> Any:
        return self._runner.engine.result(await self._runner.run(call, self._timeout_ms))

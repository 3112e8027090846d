"""What a program meets beside plain requests: threads, cancellation, full queues, types, compression, listeners, what is left behind."""

import array
import asyncio
import dataclasses
import gc
import os
import threading
import time
from typing import TypedDict

import numpy
import pydantic
import pytest
from faces import FLAVOURS, client
from rig import wire
from test_hostile import Hostile

from nexadb import (
    AsyncNexaClient,
    BulkWriteError,
    ClosedError,
    CommandEvent,
    ConnectionEvent,
    NexaClient,
    QueueFullError,
    ServerSelectionError,
    TimeoutError,
    ValidationError,
    Vector,
)


def at(node, flavour="sync", **options):
    return client(flavour, host="127.0.0.1", port=node.port, **options)


def streams_of(node) -> int:
    with node.wire() as link:
        return link.ask(wire.STATUS, {}).value["streams"]


def eventually(condition, within=20.0):
    until = time.monotonic() + within
    while not condition():
        assert time.monotonic() < until, "it did not come to that in time"
        time.sleep(0.01)


# Many at once


def test_threads_share_a_connection_and_each_gets_its_own_answer(node, name):
    made, wrong = [], []
    with NexaClient(host="127.0.0.1", port=node.port) as db:
        db.add_listener(lambda event: made.append(event) if isinstance(event, ConnectionEvent) else None)
        db.batch_write(name, [{"_id": str(n), "n": n} for n in range(100)])

        def work(start):
            for turn in range(150):
                number = (start * 37 + turn) % 100
                found = db.get(name, str(number))
                if found is None or found["n"] != number:
                    wrong.append((number, found))

        threads = [threading.Thread(target=work, args=(start,)) for start in range(8)]
        [thread.start() for thread in threads]
        [thread.join(30) for thread in threads]
    assert not wrong
    assert len(made) == 1


def test_tasks_share_a_connection_and_each_gets_its_own_answer(node, name):
    async def run():
        async with at(node, "async") as db:
            await db.batch_write(name, [{"_id": str(n), "n": n} for n in range(1000)])
            found = await asyncio.gather(*(db.get(name, str(n)) for n in range(1000)))
            assert [each["n"] for each in found] == list(range(1000))

    asyncio.run(run())


def test_a_cursor_and_other_requests_go_on_side_by_side(node, name):
    with NexaClient(host="127.0.0.1", port=node.port) as db:
        db.batch_write(name, [{"_id": f"{n:05}", "text": "x" * 500} for n in range(3000)])
        seen = 0
        for document in db.find(name, batch_size=50):
            if seen % 100 == 0:
                assert db.get(name, document["_id"]) == document
            seen += 1
        assert seen == 3000


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_pool_grows_as_it_is_needed_and_no_further(node, name, flavour):
    async def run():
        async with at(node, "async", pool_size=3) as db:
            opened = []
            db.add_listener(lambda event: opened.append(event) if isinstance(event, ConnectionEvent) else None)
            for _ in range(5):
                await asyncio.gather(*(db.create(name, {}) for _ in range(200)))
            assert 1 < len(opened) <= 3

    def run_threads():
        with NexaClient(host="127.0.0.1", port=node.port, pool_size=3) as db:
            threads = [threading.Thread(target=lambda: [db.create(name, {}) for _ in range(5)]) for _ in range(60)]
            [thread.start() for thread in threads]
            [thread.join(30) for thread in threads]
            assert db.count(name) == 300

    asyncio.run(run()) if flavour == "async" else run_threads()


# Giving up


def test_a_task_that_is_cancelled_shifts_no_answer_and_keeps_the_connection(node, name):
    async def run():
        async with at(node, "async") as db:
            events = []
            db.add_listener(lambda event: events.append(event) if isinstance(event, ConnectionEvent) else None)
            await db.batch_write(name, [{"_id": str(n), "n": n} for n in range(200)])
            for turn in range(50):
                tasks = [asyncio.ensure_future(db.get(name, str(n))) for n in range(40)]
                await asyncio.sleep(0)
                for n in range(turn % 7, 40, 3):
                    tasks[n].cancel()
                found = await asyncio.gather(*tasks, return_exceptions=True)
                for n, each in enumerate(found):
                    assert isinstance(each, asyncio.CancelledError) or each["n"] == n
            assert len(events) == 1

    asyncio.run(run())


def test_a_timeout_of_asyncio_works_as_one(node, name):
    async def run():
        with Hostile("silence") as hostile:
            async with AsyncNexaClient(host="127.0.0.1", port=hostile.port) as db:
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(db.get(name, "k"), 0.1)

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_one_operation_may_have_a_time_of_its_own(flavour):
    async def run():
        with Hostile("silence") as hostile:
            async with client(flavour, host="127.0.0.1", port=hostile.port) as db:
                started = time.monotonic()
                with pytest.raises(TimeoutError):
                    await db.get("c", "k", timeout_ms=120)
                assert 0.1 < time.monotonic() - started < db.options.timeout_ms / 2000

    asyncio.run(run())


def test_a_full_queue_says_so_at_once():
    async def run():
        with Hostile("silence") as hostile:
            async with AsyncNexaClient(host="127.0.0.1", port=hostile.port, max_queue=4, timeout_ms=500) as db:
                tasks = [asyncio.ensure_future(db.get("c", "k")) for _ in range(6)]
                await asyncio.sleep(0.05)
                refused = [task for task in tasks if task.done()]
                assert len(refused) == 2
                assert all(isinstance(task.exception(), QueueFullError) for task in refused)
                await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_when_nobody_is_there_the_error_names_every_host_and_why(flavour):
    async def run():
        async with client(flavour, "nexadb://127.0.0.1:1,127.0.0.1:2/?serverSelectionTimeoutMS=200") as db:
            with pytest.raises(ServerSelectionError) as raised:
                await db.ping()
            assert set(raised.value.hosts) == {"127.0.0.1:1", "127.0.0.1:2"}
            assert all("refused" in why or "failed" in why for why in raised.value.hosts.values())

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_closed_client_says_so(node, flavour):
    async def run():
        db = at(node, flavour)
        await db.ping()
        await db.disconnect()
        await db.disconnect()
        with pytest.raises(ClosedError):
            await db.ping()

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_forgotten_cursor_leaves_nothing_on_the_node(node, name, flavour):
    async def run():
        async with at(node, flavour) as db:
            await db.batch_write(name, [{"text": "x" * 1000} for _ in range(2000)])
            before = streams_of(node)
            cursor = db.find(name, batch_size=20)
            assert len(await cursor.to_list(5)) == 5
            assert streams_of(node) == before + 1
            del cursor
            gc.collect()
            await db.ping()
            await db.ping()
            eventually(lambda: streams_of(node) == before)

    asyncio.run(run())


# Values and types


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0
    id: str | None = None


class Person(pydantic.BaseModel):
    name: str
    age: int | None = None


class Row(TypedDict, total=False):
    n: int


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_documents_have_the_type_that_was_asked_for(node, name, flavour):
    async def run():
        async with at(node, flavour) as db:
            points = db.collection(name, Point)
            stored = await points.insert_one(Point(1, 2))
            assert isinstance(stored, Point)
            assert stored.id is not None
            assert await points.get(stored.id) == stored
            assert await points.find_one({"x": 1}) == stored
            assert await points.find({"x": 1}).to_list() == [stored]
            assert await points.get_many([stored.id, "none"]) == [stored, None]
            assert (await points.update(stored.id, {"y": 9})).y == 9
            people = db.collection(name + "p", Person)
            assert await people.insert_one(Person(name="Anna")) == Person(name="Anna")
            rows = db.collection(name + "r", Row)
            assert (await rows.insert_one({"n": 5}))["n"] == 5
            await points.put("k", Point(7))
            assert (await points.get("k")).x == 7
            await points.drop()

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_vectors_of_every_kind_are_one(node, name, flavour):
    async def run():
        async with at(node, flavour) as db:
            kinds = [Vector([1, 0.5]), array.array("f", [1, 0.5]), array.array("d", [1, 0.5]), numpy.array([1, 0.5]), [1, 0.5]]
            for number, kind in enumerate(kinds):
                await db.create(name, {"_id": str(number), "vector": kind})
                assert len(await db.vector_search(name, kind, limit=10)) == number + 1
            stored = await db.get(name, "3")
            assert Vector(stored["vector"]) == Vector([1, 0.5])
            hits = await db.collection(name).vector_search([1, 0.5], 2)
            assert [hit.score for hit in hits] == pytest.approx([1.0, 1.0])

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_cannot_be_stored_is_refused_before_it_is_sent(node, name, flavour):
    async def run():
        async with at(node, flavour) as db:
            for bad in [{"a": object()}, {"a": {1, 2}}, {"a": 1 << 64}, {"a": "\ud800"}, [1], "text", None, 7]:
                with pytest.raises(ValidationError):
                    await db.create(name, bad)
            assert await db.count(name) == 0

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_large_values_travel_compressed_and_come_back_whole(node, name, flavour):
    async def run():
        async with at(node, flavour, compress="lz4") as db:
            document = {"_id": "k", "text": "abc" * 100_000, "n": list(range(5000))}
            await db.create(name, document)
            found = await db.get(name, "k")
            assert {field: found[field] for field in document} == document
            await db.batch_write(name, [{"text": "y" * 2000} for _ in range(2000)])
            assert len(await db.query(name)) == 2001

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_databases_are_apart(node, name, flavour):
    async def run():
        async with at(node, flavour, database=name) as db:
            await db.create("c", {"_id": "k", "in": "own"})
            for _ in range(3):
                await db.create("c", {"in": "other"}, database=name + "2")
            assert (await db.count("c"), await db.count("c", database=name + "2")) == (1, 3)
            assert (await db.collection("c", database=name + "2").find_one())["in"] == "other"
            assert name in await db.list_databases()
            assert (await db.database_stats())["collections_count"] == 1
            await db.drop_database(name + "2")

    asyncio.run(run())


# Bulk


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_unordered_bulk_tells_each_failure_and_writes_the_rest(node, name, flavour):
    async def run():
        async with at(node, flavour) as db:
            target = db.collection(name)
            await target.insert_many([{"_id": "7"}, {"_id": "25"}])
            writer = target.bulk_writer(ordered=False, batch_size=10)
            for n in range(30):
                await writer.insert({"_id": str(n)})
            with pytest.raises(BulkWriteError) as raised:
                await writer.flush()
            result = raised.value.result
            assert [error.index for error in result.errors] == [7, 25]
            assert (result.count, result.acknowledged) == (28, 30)
            assert result.ids[7] is None
            assert result.ids[8] == "8"
            assert await db.count(name) == 30

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_ordered_bulk_ends_with_the_first_failure_and_goes_on_from_there(node, name, flavour):
    async def run():
        async with at(node, flavour) as db:
            target = db.collection(name)
            await target.insert_one({"_id": "17"})
            writer = target.bulk_writer(batch_size=10)
            with pytest.raises(BulkWriteError) as raised:
                async with writer:
                    for n in range(30):
                        await writer.insert({"_id": str(n)})
            assert raised.value.result.acknowledged == 18
            assert await db.count(name) == 18
            async with target.bulk_writer(batch_size=10) as rest:
                for n in range(18, 30):
                    await rest.insert({"_id": str(n)})
            assert await db.count(name) == 30

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_bulk_item_leaves_when_it_has_waited_long_enough_though_nobody_calls(node, name, flavour):
    async def run():
        async with at(node, flavour) as db, at(node, "async") as other:
            writer = db.collection(name).bulk_writer(ordered=False, batch_ms=20)
            for n in range(3):
                await writer.insert({"_id": str(n)})
                await counted(other, name, n + 1)
            assert (await writer.flush()).ids == ["0", "1", "2"]

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_went_wrong_with_such_an_item_is_raised_by_the_next_call_and_nothing_follows_it(node, name, flavour):
    async def run():
        async with at(node, flavour) as db, at(node, "async") as other:
            await other.create(name, {"_id": "1"})
            writer = db.collection(name).bulk_writer(batch_ms=20)
            await writer.insert({"_id": "0"})
            await counted(other, name, 2)
            await writer.insert({"_id": "1"})
            with pytest.raises(BulkWriteError) as raised:
                deadline = time.monotonic() + 10
                while time.monotonic() < deadline:
                    await asyncio.sleep(0.01)
                    await writer.insert({"_id": "2"})
            assert raised.value.result.errors[0].index == 1

    asyncio.run(run())


async def counted(db, name, count):
    """Returns once the collection has so many documents."""
    deadline = time.monotonic() + 10
    while (found := await db.count(name)) != count:
        assert time.monotonic() < deadline, f"{found} documents, not {count}"
        await asyncio.sleep(0.005)


# Listeners


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_listeners_hear_of_operations_and_connections_but_not_of_documents(node, name, flavour):
    async def run():
        events = []
        async with at(node, flavour) as db:
            db.add_listener(events.append)
            await db.create(name, {"secret": "s3cret"})
            with pytest.raises(ValidationError):
                await db.query(name, {"a": {"$frob": 1}})
        commands = [event for event in events if isinstance(event, CommandEvent)]
        assert [(event.operation, event.collection, event.attempts) for event in commands] == [("create", name, 1), ("query", name, 1)]
        assert isinstance(commands[1].error, ValidationError)
        assert all(event.address == ("127.0.0.1", node.port) for event in commands)
        assert "s3cret" not in repr(events)

    asyncio.run(run())


def test_opentelemetry_gets_a_span_and_a_duration_for_each_operation(node, name):
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from nexadb.telemetry import OpenTelemetryListener

    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracing = TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    with NexaClient(host="127.0.0.1", port=node.port) as db:
        db.add_listener(OpenTelemetryListener(tracing, MeterProvider(metric_readers=[reader])))
        db.create(name, {"n": 1})
    (span,) = spans.get_finished_spans()
    assert span.name == f"create {name}"
    assert span.attributes["db.system.name"] == "nexadb"
    assert span.attributes["server.port"] == node.port
    (metric,) = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    assert (metric.name, metric.data.data_points[0].count) == ("db.client.operation.duration", 1)


def test_telemetry_is_an_option():
    with NexaClient(telemetry=True) as db:
        assert len(db._engine.listeners) == 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_process_has_connections_and_op_ids_of_its_own(node, name):
    with NexaClient(host="127.0.0.1", port=node.port) as db:
        db.create(name, {"_id": "parent"})
        child = os.fork()
        if child == 0:
            try:
                db.create(name, {"_id": "child"})
            finally:
                os._exit(0)
        for _ in range(50):
            assert db.get(name, "parent") is not None
        db.create(name, {"_id": "parent again"})
        os.waitpid(child, 0)
        assert sorted(document["_id"] for document in db.query(name)) == ["child", "parent", "parent again"]

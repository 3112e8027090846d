"""Change streams: every change once and in order, through everything that a connection can suffer."""

import asyncio
import random

import pytest
from faces import FLAVOURS, client

from nexadb import ClosedError, HistoryLostError, StaleReadError


async def taken(stream, count, within_ms=10_000):
    events = []
    while len(events) < count:
        event = await stream.next(within_ms)
        assert event is not None, f"{len(events)} of {count} events came"
        events.append(event)
    return events


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_changes_come_once_and_in_order(node, name, flavour):
    async def run():
        async with client(flavour, host="127.0.0.1", port=node.port) as db:
            users = db.collection(name)
            async with users.watch() as stream:
                await users.insert_one({"_id": "a", "n": 1})
                await users.update("a", {"n": 2})
                await users.delete("a")
                await users.insert_many([{"_id": f"b{n}"} for n in range(200)])
                events = await taken(stream, 203)
        assert [event.operation for event in events[:3]] == ["insert", "update", "delete"]
        assert [event.key for event in events] == ["a"] * 3 + [f"b{n}" for n in range(200)]
        assert events[0].document["n"] == 1
        assert events[1].updated_fields["n"] == 2
        assert {event.collection for event in events} == {name}
        assert [event.position for event in events] == sorted(event.position for event in events)

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_stream_begins_behind_the_event_whose_token_it_is_given(node, name, flavour):
    async def run():
        async with client(flavour, host="127.0.0.1", port=node.port) as db:
            users = db.collection(name)
            async with users.watch() as stream:
                await users.insert_many([{"_id": str(n)} for n in range(10)])
                events = await taken(stream, 4)
            async with users.watch(resume_after=events[-1].resume_token) as stream:
                rest = await taken(stream, 6)
        assert [event.key for event in events + rest] == [str(n) for n in range(10)]

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_only_the_operations_that_were_asked_for_come(node, name, flavour):
    async def run():
        async with client(flavour, host="127.0.0.1", port=node.port) as db:
            users = db.collection(name)
            async with users.watch(["delete"]) as stream:
                await users.insert_one({"_id": "a"})
                await users.delete("a")
                (event,) = await taken(stream, 1)
                assert (event.operation, event.document) == ("delete", None)
                assert await stream.next(50) is None

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_stream_goes_on_where_it_stood_when_its_node_was_killed(make_node, flavour):
    node = make_node()
    node.start()
    port = node.port
    node.command = lambda original=node.command: [
        str(port) if part == "0" and before == "--port" else part for before, part in zip(["", *original()], original(), strict=False)
    ]

    async def run():
        async with client(flavour, host="127.0.0.1", port=port) as db:
            users = db.collection("users")
            async with users.watch(heartbeat_ms=500) as stream:
                seen = []
                for round_ in range(4):
                    await users.insert_many([{"_id": f"{round_}-{n}"} for n in range(20)])
                    seen += [event.key for event in await taken(stream, 10 if round_ < 3 else 50)]
                    if round_ < 3:
                        node.kill()
                        node.start()
                assert seen == [f"{round_}-{n}" for round_ in range(4) for n in range(20)]

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_token_of_another_history_is_refused_by_name(node, name, flavour):
    async def run():
        async with client(flavour, host="127.0.0.1", port=node.port) as db:
            stream = db.collection(name).watch(after=(1, 1 << 50))
            with pytest.raises((HistoryLostError, StaleReadError)):
                await stream.next(20_000)
            await stream.close()
            with pytest.raises(ClosedError):
                await stream.next(10)

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_stream_of_a_follower_that_dies_goes_on_at_another_node(make_cluster, flavour):
    cluster = make_cluster()
    hosts = ",".join(node.address for node in cluster.nodes)

    async def run():
        async with client(flavour, f"nexadb://{hosts}/?w=majority&readPreference=secondaryPreferred") as db:
            users = db.collection("users")
            async with users.watch(heartbeat_ms=500) as stream:
                await users.insert_many([{"_id": f"a{n}"} for n in range(20)])
                seen = [event.key for event in await taken(stream, 15)]
                follower = cluster[1 + random.randrange(2)]
                follower.kill()
                await users.insert_many([{"_id": f"b{n}"} for n in range(20)])
                seen += [event.key for event in await taken(stream, 25, 20_000)]
                assert seen == [f"{round_}{n}" for round_ in "ab" for n in range(20)]

    asyncio.run(run())

"""Both clients behind a line that delays, cuts and resets, with tasks that are cancelled: every call ends, by an answer or an error that
callers know, and leaves nothing behind."""

import asyncio
import gc
import threading
import time
from contextlib import suppress

import pytest
from faces import FLAVOURS, client

from nexadb import NexaClient, NexaError
from nexadb._core.link import Bind, Tombstone

SECONDS = 4
#: Far more than any call may take here, on whatever machine.
HANGS_AFTER_SECONDS = 45


class Line:
    """Carries bytes to a node and back, on an event loop of its own, and ends each connection sooner or later."""

    def __init__(self, port, rng):
        self.target, self.rng = port, rng
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        self.server = self.wait(asyncio.start_server(self.serve, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_):
        async def stop():
            self.server.close()
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            [task.cancel() for task in tasks]
            await asyncio.gather(*tasks, return_exceptions=True)

        self.wait(stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    def wait(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    async def serve(self, reader, writer):
        back, forth = await asyncio.open_connection("127.0.0.1", self.target)
        pumps = [asyncio.ensure_future(self.pump(reader, forth)), asyncio.ensure_future(self.pump(back, writer))]
        try:
            await asyncio.wait(pumps, timeout=self.rng.uniform(0.05, 2), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if self.rng.random() < 0.5:
                writer.transport.abort()
            for pump in pumps:
                pump.cancel()
            writer.close()
            forth.close()

    async def pump(self, source, sink):
        with suppress(OSError):
            while data := await source.read(self.rng.choice([1, 7, 100, 4096, 65536])):
                if self.rng.random() < 0.02:
                    await asyncio.sleep(self.rng.uniform(0, 0.2))
                if self.rng.random() < 0.001:
                    sink.write(data[: len(data) // 2])
                    return
                sink.write(data)
                await sink.drain()


class Caller:
    """Calls whatever there is, until the time is over."""

    def __init__(self, db, name, rng):
        self.db, self.name, self.rng = db, name, rng
        self.acknowledged, self.strange = [], []

    async def call(self):
        rng, db = self.rng, self.db
        match rng.randrange(7):
            case 0 | 1:
                await db.get(self.name, str(rng.randrange(50)))
            case 2:
                self.acknowledged.append((await db.create(f"{self.name}_w", {"number": rng.random()}))["number"])
            case 3:
                await db.create(f"{self.name}_w", {"number": rng.random(), "text": "x" * rng.randrange(400_000)})
            case 4:
                await db.query(self.name, limit=rng.randrange(1, 300))
            case 5:
                async with db.find(self.name, batch_size=5) as cursor:
                    await cursor.to_list(rng.randrange(1, 60))
            case 6:
                await db.find(self.name, batch_size=3).to_list(rng.randrange(1, 20))

    async def go(self, until, is_cancelled):
        while time.monotonic() < until:
            call = asyncio.ensure_future(self.call())
            if is_cancelled and self.rng.random() < 0.2:
                await asyncio.sleep(self.rng.uniform(0, 0.03))
                call.cancel()
            try:
                await asyncio.wait_for(call, HANGS_AFTER_SECONDS)
            except asyncio.CancelledError:
                pass
            except NexaError as error:
                if type(error).__module__ != "nexadb.errors":
                    self.strange.append(error)


async def call_all(flavour, db, callers, until):
    if flavour == "async":
        await asyncio.gather(*(caller.go(until, True) for caller in callers))
        return
    threads = [threading.Thread(target=asyncio.run, args=(caller.go(until, False),), daemon=True) for caller in callers]
    [thread.start() for thread in threads]
    [thread.join(SECONDS + HANGS_AFTER_SECONDS) for thread in threads]
    assert not any(thread.is_alive() for thread in threads), "a call hangs"


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_call_ends_and_leaves_nothing(node, name, rng, flavour):
    unheard = []

    async def run(port):
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
        db = client(flavour, host="127.0.0.1", port=port, timeout_ms=15_000, pool_size=rng.choice([1, 3]))
        callers = [Caller(db, name, rng) for _ in range(10)]
        await call_all(flavour, db, callers, time.monotonic() + SECONDS)
        gc.collect()
        inner = getattr(db, "inner", db)
        assert inner._engine.in_flight == 0
        assert all(server.in_flight == 0 for server in inner._engine.topology.servers.values())
        for connection in [each for group in inner._runner.pool._connections.values() for each in group]:
            # Cursors that were forgotten are given up with the next request.
            left = [each for number, each in connection.link.pending.items() if number not in connection.link.orphans]
            assert all(isinstance(each, (Tombstone, Bind)) for each in left), left
        await db.disconnect()
        assert flavour == "sync" or len(asyncio.all_tasks()) == 1
        assert not [error for caller in callers for error in caller.strange]
        return [number for caller in callers for number in caller.acknowledged]

    with NexaClient(host="127.0.0.1", port=node.port) as direct:
        direct.batch_write(name, [{"_id": str(n), "text": "y" * 500} for n in range(300)])
        with Line(node.port, rng) as line:
            acknowledged = asyncio.run(run(line.port))
        found = [document["number"] for document in direct.find(f"{name}_w")]
    assert not unheard
    assert set(acknowledged) <= set(found), "an acknowledged write is lost"
    assert len(found) == len(set(found)), "a write was done twice"

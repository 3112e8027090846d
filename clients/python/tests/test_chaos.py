"""What the clients promise while nodes come and go: an acknowledged write is there, and there once."""

import asyncio
import itertools
import os
import threading
import time

import pytest
from faces import FLAVOURS, client
from rig import cluster as rig_cluster
from rig.node import Node, tool

from nexadb import AsyncNexaClient, NexaClient, NexaError, ServerSelectionError, TimeoutError, UnknownOutcomeError

RESTARTS = int(os.environ.get("NEXA_CLIENT_RESTARTS", "20"))


class Load:
    """Workers of both clients that create documents without a key, each with a number of its own, as fast as they are answered."""

    def __init__(self, collection, *arguments, workers=3, **options):
        self.collection, self.arguments, self.options, self.workers = collection, arguments, options, workers
        self.numbers = itertools.count()
        self.acknowledged: dict[int, str] = {}
        self.acknowledged_at: list[float] = []
        self.unknown: set[int] = set()
        self.failures: list[NexaError] = []
        self.done = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(flavour,), daemon=True) for flavour in FLAVOURS]

    def __enter__(self):
        [thread.start() for thread in self.threads]
        return self

    def __exit__(self, *_):
        self.done.set()
        [thread.join(40) for thread in self.threads]
        assert not any(thread.is_alive() for thread in self.threads), "a client hangs"

    def run(self, flavour):
        if flavour == "async":
            asyncio.run(self.run_async())
            return
        with NexaClient(*self.arguments, **self.options) as db:
            threads = [threading.Thread(target=asyncio.run, args=(self.work(Shared(db)),), daemon=True) for _ in range(self.workers)]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]

    async def run_async(self):
        async with AsyncNexaClient(*self.arguments, **self.options) as db:
            await asyncio.gather(*(self.work(db) for _ in range(self.workers)))

    async def work(self, db):
        while not self.done.is_set():
            number = next(self.numbers)
            try:
                document = await db.create(self.collection, {"number": number})
            except NexaError as error:
                self.failures.append(error)
                self.unknown.add(number)
            else:
                self.acknowledged[number] = document["id"]
                self.acknowledged_at.append(time.monotonic())

    def wait(self, more, within=20.0):
        target, until = len(self.acknowledged) + more, time.monotonic() + within
        while len(self.acknowledged) < target:
            assert time.monotonic() < until, f"no {more} writes within {within} s: {self.failures[-3:]}"
            time.sleep(0.005)

    def judge(self, documents):
        """Every acknowledged write is there under the key that was answered; no write is there twice."""
        found: dict[int, list[str]] = {}
        for document in documents:
            found.setdefault(document["number"], []).append(document["id"])
        lost = [number for number, key in self.acknowledged.items() if found.get(number) != [key] and key not in found.get(number, [])]
        assert not lost, f"{len(lost)} acknowledged writes are lost, such as number {lost[0]}"
        twice = [number for number, keys in found.items() if len(keys) > 1]
        assert not twice, f"{len(twice)} writes were done twice, such as number {twice[0]}"


class Shared:
    """A blocking client, used by many threads."""

    def __init__(self, db):
        self.db = db

    async def create(self, *arguments):
        return self.db.create(*arguments)


class LoneNode(Node):
    """A node that keeps its port when it is started again."""

    def __init__(self, data):
        super().__init__(data, "--memory", "64MiB", "--threads", "1")
        self.fixed_port = rig_cluster.free_ports(1)[0]

    def command(self):
        command = super().command()
        command[command.index("--port") + 1] = str(self.fixed_port)
        return command


def test_a_node_that_is_killed_again_and_again_loses_no_write_and_does_none_twice(tmp_path):
    node = LoneNode(tmp_path / "node")
    node.start()
    recoveries = []
    try:
        with Load("made", host="127.0.0.1", port=node.fixed_port, timeout_ms=20_000, server_selection_timeout_ms=20_000) as load:
            for _ in range(RESTARTS):
                load.wait(20)
                node.kill()
                node.start()
                back = time.monotonic()
                load.wait(1)
                recoveries.append(next(at for at in reversed(load.acknowledged_at) if at >= back - 60) - back)
            load.wait(20)
        assert not load.failures, load.failures[:3]
        with NexaClient(host="127.0.0.1", port=node.fixed_port) as db:
            load.judge(db.find("made"))
        # A client waits half a second at most before it tries again; the rest is the machine's.
        assert sorted(recoveries)[len(recoveries) // 2] < 3.0, f"recovery took {recoveries}"
    finally:
        node.kill()


def test_switchovers_under_load_fail_no_write(make_cluster):
    cluster = make_cluster()
    hosts = ",".join(node.address for node in cluster.nodes)
    with Load("made", f"nexadb://{hosts}/?w=majority&timeoutMS=20000&serverSelectionTimeoutMS=15000") as load:
        load.wait(30)
        for heir in ("n2", "n3", "n1"):
            leader = cluster.wait_leader()
            # A majority does without one of them: the heir may not have found the leader yet.
            cluster.wait_followers(*[node for node in cluster.nodes if node is not leader], leader=leader)
            answer = tool("switchover", leader.address, "--to", heir, timeout=40)
            assert answer.returncode == 0, answer.stderr
            load.wait(30)
    assert not load.failures, load.failures[:3]
    with NexaClient(f"nexadb://{hosts}/") as db:
        load.judge(db.find("made"))


def test_a_lost_leader_loses_no_majority_write_and_does_none_twice(make_cluster):
    cluster = make_cluster()
    hosts = ",".join(node.address for node in cluster.nodes)
    with Load("made", f"nexadb://{hosts}/?w=majority&timeoutMS=20000&serverSelectionTimeoutMS=15000") as load:
        load.wait(50)
        old = cluster.wait_leader()
        old.kill()
        new = cluster.promote(*(node for node in cluster.nodes if node is not old))
        load.wait(50, within=30)
    reported = [error for error in load.failures if not isinstance(error, (UnknownOutcomeError, TimeoutError, ServerSelectionError))]
    assert not reported, reported[:3]
    with NexaClient(f"nexadb://{new.address}/") as db:
        load.judge(db.find("made"))


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_reads_on_followers_see_what_the_client_wrote(make_cluster, flavour):
    cluster = make_cluster()
    hosts = ",".join(node.address for node in cluster.nodes)

    async def run():
        async with client(flavour, f"nexadb://{hosts}/?readPreference=secondary&localThresholdMS=2000") as db:
            served = set()
            db.add_listener(lambda event: served.add(event.address) if getattr(event, "operation", "") == "read" else None)
            for number in range(60):
                written = await db.create("seen", {"n": number})
                assert (await db.get("seen", written["id"]))["n"] == number
            assert await db.count("seen") == 60
            leader = cluster.wait_leader()
            assert served
            assert ("127.0.0.1", leader.fixed_port) not in served, "a secondary read went to the leader"
            assert len(served) == 2, "reads are not spread"

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_follower_alone_in_the_address_leads_to_the_leader(make_cluster, flavour):
    cluster = make_cluster()

    async def run():
        async with client(flavour, f"nexadb://{cluster[1].address}/") as db:
            await db.create("found", {"n": 1})
            assert await db.count("found") == 1

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_client_that_was_given_only_the_leader_finds_the_next_one(make_cluster, flavour):
    cluster = make_cluster()

    async def run():
        old = cluster.wait_leader()
        async with client(flavour, f"nexadb://{old.address}/?w=majority&timeoutMS=20000&serverSelectionTimeoutMS=15000") as db:
            await db.create("found", {"n": 1})
            servers = (db.inner if flavour == "sync" else db)._engine.topology.servers
            deadline = time.monotonic() + 20
            while len(servers) < 3:
                assert time.monotonic() < deadline, f"only {list(servers)} are known"
                await asyncio.sleep(0.01)
            old.kill()
            cluster.promote(*(node for node in cluster.nodes if node is not old))
            await db.create("found", {"n": 2})
            assert await db.count("found") == 2

    asyncio.run(run())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_position_makes_another_client_see_what_was_written(make_cluster, flavour):
    cluster = make_cluster()
    hosts = ",".join(node.address for node in cluster.nodes)

    async def run():
        async with client(flavour, f"nexadb://{hosts}/") as one, client(flavour, f"nexadb://{hosts}/?readPreference=secondary") as other:
            for number in range(20):
                written = await one.create("seen", {"n": number})
                target = other.inner if flavour == "sync" else other
                target.position = one.position
                assert await other.get("seen", written["id"]) is not None

    asyncio.run(run())

"""Change streams of a cluster: the same on every node, and unbroken whoever leads."""
import random
import threading
import time

from rig import wire
from rig.changes import Replica, Watcher, stored
from rig.node import tool
from test_changes import ended, finish, replay, write_at_random


class Writers:
    """Threads that write at random to whoever leads, until they are told to stop."""

    def __init__(self, cluster, rng: random.Random, collection: str, count: int = 2):
        self.cluster, self.collection, self.done = cluster, collection, threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(random.Random(rng.random()),), daemon=True) for _ in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive(), "a writer does not end"

    def run(self, rng: random.Random):
        node = self.cluster[0]
        while not self.done.is_set():
            try:
                with node.wire(timeout=15) as link:
                    while not self.done.is_set():
                        if link.ask(wire.CREATE, {"collection": "probe", "data": {}}).code:
                            break
                        write_at_random(link, rng, self.collection, 5)
            except (OSError, wire.Closed):
                pass
            node = rng.choice([node for node in self.cluster.nodes if node.alive])
            time.sleep(0.02)


class Follower:
    """Follows a collection over all nodes: when one ends the stream it goes on with the token on another."""

    def __init__(self, cluster, rng: random.Random, collection: str):
        self.cluster, self.rng, self.collection, self.events = cluster, rng, collection, []
        self.token: bytes | None = None
        self.done, self.moves, self.fault = threading.Event(), 0, None
        self.began = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        assert self.began.wait(20)

    def run(self):
        try:
            while not self.done.is_set():
                node = self.rng.choice([node for node in self.cluster.nodes if node.alive])
                try:
                    self.follow(node)
                except (OSError, wire.Closed, AssertionError) as error:
                    if "LOST" in str(error):
                        raise
                time.sleep(0.02)
        except Exception as error:  # noqa: BLE001
            self.fault = error
        finally:
            self.began.set()

    def follow(self, node):
        with Watcher(node, collection=self.collection, **({"resume_after": self.token} if self.token else {})) as watcher:
            self.token = self.token or watcher.token
            self.began.set()
            until = time.monotonic() + self.rng.uniform(0.2, 1.5)
            while not self.done.is_set() and not watcher.closing and not watcher.ended and time.monotonic() < until \
                    and not ended(watcher.events):
                time.sleep(0.02)
            with watcher.news:
                self.events += watcher.events
                self.token = watcher.token
            self.moves += 1
            if watcher.ended is not None:
                assert watcher.ended.code == "SUBSCRIPTION_LOST" and watcher.ended.value["reason"] == "shutting down", watcher.ended

    def wait_end(self, within: float = 40) -> list[dict]:
        deadline = time.monotonic() + within
        while not ended(self.events):
            assert self.fault is None, self.fault
            assert time.monotonic() < deadline, f"{len(self.events)} events, the last {self.events[-1:]}"
            time.sleep(0.05)
        self.done.set()
        self.thread.join(20)
        return self.events


def hand_over(cluster, target):
    """On a busy machine the time for it may be up before the target has everything: then nothing has changed, and it is asked again."""
    for _ in range(4):
        if tool("switchover", cluster.wait_leader().address, "--to", target.name, timeout=40).returncode == 0:
            return
    raise AssertionError(f"{target.name} does not take over")


def test_every_node_tells_the_same(cluster, rng):
    three = cluster(3)
    watchers = [Watcher(node, collection="same") for node in three.nodes]
    try:
        with three[0].wire() as link:
            write_at_random(link, rng, "same", 300)
            finish(link, "same")
        told = [watcher.wait(ended, "the end") for watcher in watchers]
    finally:
        for watcher in watchers:
            watcher.close()
    for events in told:
        for event in events:
            event.pop("subscription")
    assert told[0] == told[1] == told[2], "events and tokens are the same on every node"
    # A token of one node is as good on any other.
    middle = told[1][len(told[1]) // 2]
    with Watcher(three[2], collection="same", resume_after=middle["resume_token"]) as watcher:
        rest = watcher.wait(ended, "the end")
    assert [event["resume_token"] for event in rest] == [event["resume_token"] for event in told[0][len(told[1]) // 2 + 1:]]


def test_nothing_is_told_before_it_is_committed(cluster):
    three = cluster(3)
    with Watcher(three[0], collection="held") as watcher, three[0].wire() as link:
        three[1].freeze()
        three[2].freeze()
        try:
            answer = link.ask(wire.CREATE, {"collection": "held", "data": {"_id": "k"}})
            assert answer.type == wire.SUCCESS
            time.sleep(0.7)
            assert watcher.events == []
        finally:
            three[1].thaw()
            three[2].thaw()
        assert watcher.count(1)[0]["documentKey"] == {"_id": "k"}


def test_switchovers_break_no_stream(cluster, rng):
    three = cluster(3)
    follower = Follower(three, random.Random(rng.random()), "moving")
    with Writers(three, rng, "moving"):
        for target in (three[1], three[2]):
            time.sleep(1)
            hand_over(three, target)
            three.settle(target)
    leader = three.wait_leader()
    with leader.wire() as link:
        finish(link, "moving")
    events = follower.wait_end()
    assert follower.moves > 2
    assert replay(events).of("moving") == stored(leader, "moving")
    three.assert_nobody_crashed()


def test_the_death_of_the_leader_breaks_no_stream(cluster, rng):
    three = cluster(3)
    follower = Follower(three, random.Random(rng.random()), "mortal")
    with Writers(three, rng, "mortal"):
        time.sleep(1.5)
        three[0].kill()
        leader = three.promote(three[1], three[2])
        time.sleep(1)
        three[0].follows = leader.advertised
        three[0].start()
        three.settle(leader)
    with leader.wire() as link:
        finish(link, "mortal")
    assert replay(follower.wait_end()).of("mortal") == stored(leader, "mortal")

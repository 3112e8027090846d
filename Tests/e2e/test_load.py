"""Many connections, slow readers, slow writers: memory per connection is bounded and printed, and the other clients notice little."""
import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rig import wire
from rig.plain import PlainClient

KiB, MiB = 1 << 10, 1 << 20
IDLE_CONNECTION_LIMIT = 24 * KiB
# --max-output is 1 MiB; a buffer that grew to it may have doubled on its way.
SLOW_READER_LIMIT = 3 * MiB


class Crowd:
    """The crowd process (rig/crowd.py) and its answers."""

    def __init__(self, port: int, count: int):
        self.process = subprocess.Popen([sys.executable, str(Path(__file__).parent / "rig/crowd.py"), str(port), str(count)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.opened = self.answer()

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        assert line, f"the crowd ended with {self.process.wait()}"
        return json.loads(line)

    def tell(self, line: str) -> dict:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Bystander(threading.Thread):
    """An ordinary client that reads and writes all the while and notes how long each request took."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.done, self.latencies, self.failure = node, threading.Event(), [], None

    def run(self):
        try:
            with PlainClient(self.node.port) as c:
                serial = 0
                while not self.done.wait(0.002):
                    serial += 1
                    start = time.monotonic()
                    if serial % 5 == 0:
                        c.create("bystander", {"n": serial})
                    else:
                        assert c.get("storm", "key-1") is not None
                    self.latencies.append(time.monotonic() - start)
        except Exception as error:
            self.failure = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.join(30)

    def figures(self) -> str:
        assert self.failure is None, self.failure
        assert self.latencies
        ordered = sorted(self.latencies)
        self.p99, self.worst = 1000 * ordered[int(len(ordered) * 0.99)], 1000 * ordered[-1]
        return f"another client's {len(ordered)} requests: p50 {1000 * ordered[len(ordered) // 2]:.2f} ms, " \
               f"p99 {self.p99:.1f} ms, max {self.worst:.0f} ms"


def warm(node):
    with PlainClient(node.port) as c:
        c.batch("storm", documents=[{"_id": f"key-{n}", "name": "storm", "n": n} for n in range(1000)])


def test_ten_thousand_idle_and_a_thousand_active_connections(make_node, report):
    node = make_node("node", "--max-connections", "12000").start()
    warm(node)
    before = node.resident_bytes()
    with Crowd(node.port, 10_000) as crowd:
        idle = node.resident_bytes()
        assert crowd.opened["opened"] == 10_000
        with Bystander(node) as other:
            again = crowd.tell("ask")
        each = (idle - before) / 10_000
        report(f"load: 10,000 connections opened in {crowd.opened['connect_seconds']:.1f} s, all answered in "
               f"{again['ask_seconds']:.1f} s, {each / KiB:.1f} KiB of node memory each "
               f"({before / MiB:.0f} -> {idle / MiB:.0f} MiB); {other.figures()}")
        with Bystander(node) as other:
            storm = crowd.tell("storm 1000 4")
        active = node.resident_bytes()
        report(f"load: 1,000 of them active: {storm['operations']} requests at {storm['rate']:.0f}/s (the crowd is one Python process), "
               f"p50 {storm['p50_ms']:.1f} ms, p99 {storm['p99_ms']:.1f} ms, max {storm['max_ms']:.0f} ms; memory {active / MiB:.0f} MiB; "
               f"{other.figures()}")
        assert storm["wrong"] == 0 and storm["unanswered"] == 0
        assert each <= IDLE_CONNECTION_LIMIT
        assert active - idle <= 1000 * 64 * KiB
        assert other.worst < 5000
    deadline = time.monotonic() + 10
    while node.descriptors() > 200 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert node.descriptors() <= 200, "closed connections free their descriptors"
    assert node.stop() == 0


def test_readers_that_never_read_are_held_and_then_closed(make_node, report):
    node = make_node("node", "--write-timeout", "3s").start()
    warm(node)
    count = 64
    with PlainClient(node.port) as c:
        c.create("storm", {"_id": "large", "text": "x" * 20_000})
    before = peak = node.resident_bytes()
    message = wire.request(wire.READ, {"collection": "storm", "key": "large"}) * 10_000
    with Bystander(node) as other:
        while not other.latencies:
            assert other.is_alive(), other.failure
            time.sleep(0.01)
        descriptors = node.descriptors()
        readers, sent = [wire.Wire(node.port, receive_buffer=4096) for _ in range(count)], [0] * count
        [r.socket.setblocking(False) for r in readers]
        end = time.monotonic() + 2
        while time.monotonic() < end:
            for n, reader in enumerate(readers):
                try:
                    sent[n] += reader.socket.send(message[sent[n]:sent[n] + 65536])
                except (BlockingIOError, ConnectionError):
                    pass
            peak = max(peak, node.resident_bytes())
        # Each connection has its turn. How long a round of turns takes, what else the machine does has a say in.
        assert node.answers_ping(within=3)
        closed, end = 0, time.monotonic() + 12
        while closed < count and time.monotonic() < end:
            closed = count - max(0, node.descriptors() - descriptors)
            peak = max(peak, node.resident_bytes())
            time.sleep(0.05)
    [r.close() for r in readers]
    each = (peak - before) / count
    report(f"load: {count} readers that never read, 10,000 READs of 20 KB each: node memory +{(peak - before) / MiB:.0f} MiB at its peak, "
           f"{each / KiB:.0f} KiB each; {closed} closed by the write limit; {other.figures()}")
    assert each <= SLOW_READER_LIMIT
    assert closed == count, "a client that leaves its answers untaken is closed after --write-timeout"
    assert other.p99 < 2000


def test_a_reader_that_asks_on_and_takes_nothing_is_closed(make_node):
    node = make_node("node", "--write-timeout", "2s").start()
    with PlainClient(node.port) as c:
        c.create("storm", {"_id": "large", "text": "x" * 60_000})

    def waiting() -> int:
        return int(re.search(r"^nexadb_buffered_bytes (\d+)", node.http("/metrics")[1], re.M)[1])

    reader, end = wire.Wire(node.port, receive_buffer=4096), time.monotonic() + 30
    while waiting() < 200 * KiB:
        assert time.monotonic() < end, "the sockets take whatever comes"
        reader.send(wire.READ, {"collection": "storm", "key": "large"})
    end = time.monotonic() + 12
    with pytest.raises(ConnectionError):
        while time.monotonic() < end:
            reader.send(wire.PING, {})
            time.sleep(0.1)
    reader.close()


def test_answers_that_nobody_takes_are_not_made(make_node, report):
    node = make_node("node", "--memory", "32MiB").start()
    with PlainClient(node.port) as c:
        for n in range(2):
            c.create("storm", {"_id": f"large-{n}", "text": "x" * MiB})
    count = 100
    reader = node.wire(receive_buffer=4096)
    before = peak = node.resident_bytes()
    reader.raw(b"".join(wire.request(wire.QUERY, {"collection": "storm"}, request_id=n) for n in range(count)))
    end = time.monotonic() + 4
    while time.monotonic() < end:
        peak = max(peak, node.resident_bytes())
        time.sleep(0.01)
    report(f"load: {count} QUERYs of 2 MiB each, none taken: node memory +{(peak - before) / MiB:.0f} MiB at its peak")
    assert peak - before < 100 * MiB
    answers = [reader.recv() for _ in range(count)]
    assert {a.request_id for a in answers} == set(range(count)) and all(a.byte_count > 2 * MiB for a in answers)
    reader.close()


def test_slow_writers_are_closed_by_the_frame_limit(make_node, report):
    node = make_node("node", "--frame-timeout", "1s").start()
    warm(node)
    before = node.resident_bytes()
    message = wire.request(wire.CREATE, {"collection": "storm", "data": {"_id": "never whole", "text": "x" * 500}})
    writers, at = [wire.Wire(node.port) for _ in range(500)], 0
    alive = list(writers)
    with Bystander(node) as other:
        end = time.monotonic() + 6
        while alive and time.monotonic() < end:
            for writer in list(alive):
                try:
                    writer.raw(message[at % 400:at % 400 + 1])
                except ConnectionError:
                    alive.remove(writer)
            at += 1
            time.sleep(0.1)
    grown = node.resident_bytes() - before
    [w.close() for w in writers]
    report(f"load: 500 writers with a byte each 100 ms: {500 - len(alive)} closed by the frame limit of 1 s after {at} bytes, "
           f"node memory {grown / 500 / KiB:+.1f} KiB each; {other.figures()}")
    assert not alive
    assert grown <= 500 * IDLE_CONNECTION_LIMIT + 4 * MiB
    assert other.p99 < 2000
    with PlainClient(node.port) as c:
        assert c.get("storm", "never whole") is None


def test_byte_by_byte_within_the_limit_is_served(make_node):
    node = make_node().start()
    with node.wire() as c:
        for n in range(3):
            for byte in wire.request(wire.CREATE, {"collection": "slow", "data": {"_id": str(n)}}):
                c.raw(bytes([byte]))
                time.sleep(0.002)
            assert c.recv().type == wire.SUCCESS


def test_connections_beyond_the_cap_are_refused_politely(make_node):
    node = make_node("node", "--max-connections", "20").start()
    held = [PlainClient(node.port) for _ in range(20)]
    [c.call(wire.PING, {}) for c in held]
    for _ in range(5):
        with node.wire() as extra:
            try:
                extra.send(wire.PING, {})
                answer = extra.recv()
                assert answer.type == wire.ERROR and answer.code == "OVERLOADED", answer
                assert extra.at_end()
            except (wire.Closed, ConnectionError):
                pass
    assert all(c.call(wire.PING, {})["status"] == "ok" for c in held)
    [c.wire.close() for c in held]
    deadline = time.monotonic() + 5
    while not node.answers_ping() and time.monotonic() < deadline:
        pass
    assert node.answers_ping(), "there is room again"


def test_running_out_of_descriptors_is_survived(make_node):
    node = make_node("node", descriptor_limit=80).start()
    flood = []
    for _ in range(120):
        try:
            flood.append(wire.Wire(node.port, timeout=2))
        except OSError:
            break
    first = flood[0]
    assert first.ask(wire.PING, {}).type == wire.PONG, "those who are in are served"
    assert first.ask(wire.CREATE, {"collection": "c", "data": {"n": 1}}).type in (wire.SUCCESS, wire.ERROR)
    [c.close() for c in flood]
    deadline = time.monotonic() + 5
    while not node.answers_ping() and time.monotonic() < deadline:
        pass
    assert node.answers_ping() and node.alive


@pytest.mark.parametrize("depth", [1, 16])
def test_more_in_flight_than_allowed_waits_and_loses_nothing(make_node, depth):
    node = make_node("node", "--max-in-flight", str(depth)).start()
    with node.wire(timeout=30) as c:
        c.connect(dialect="plain", features=["request_id"])
        sender = threading.Thread(target=c.raw, args=(b"".join(
            wire.request(wire.CREATE, {"collection": "c", "data": {"_id": str(n)}}, request_id=n) for n in range(3000)),), daemon=True)
        sender.start()
        answers = [c.recv() for _ in range(3000)]
        sender.join()
    assert sorted(a.request_id for a in answers) == [*range(3000)] and {a.type for a in answers} == {wire.SUCCESS}


@pytest.mark.parametrize("numbered", [False, True])
def test_more_answers_than_are_kept_for_a_client_all_come(make_node, numbered):
    """500 answers of 100 KB asked for in one write, to a client that reads: the node waits at its limit and goes on."""
    node = make_node("node").start()
    with node.wire(timeout=30) as c:
        c.connect(dialect="plain", features=["request_id"])
        c.ask(wire.CREATE, {"collection": "c", "data": {"_id": "k", "text": "x" * 100_000}})
        c.raw(b"".join(wire.request(wire.READ, {"collection": "c", "key": "k"}, request_id=n if numbered else None) for n in range(500)))
        answers = [c.recv() for _ in range(500)]
    assert {a.type for a in answers} == {wire.SUCCESS}
    assert not numbered or sorted(a.request_id for a in answers) == [*range(500)]

"""HTTP as people write it, with Python's `requests`, and this project's Python client: the same calls for the same users, timed one by one."""
import asyncio
import pathlib
import select
import socket
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "clients" / "python" / "src"))
import http_requests  # noqa: E402
from nexadb import AsyncNexaClient, NexaClient  # noqa: E402

BATCH = 1000
#: Bytes that TCP and IPv4 add to a segment: 20 IPv4, 20 TCP, 12 time stamps.
SEGMENT_HEADER = 52


def measure(driver: str, operation: str, at_once: int, users: int, http_port: int, port: int) -> dict:
    """Rate (of documents where they travel in batches) and latencies in milliseconds."""
    count = {"query": users // 20, "batch": max(2, users // BATCH)}.get(operation, users)
    if driver == "client" and at_once > 1:
        seconds, latencies = asyncio.run(tasks(operation, at_once, count, users, port))
    elif driver == "client":
        with NexaClient(host="127.0.0.1", port=port, durability="os") as db:
            seconds, latencies = loop(blocking_call(db, operation, users), count)
    elif at_once > 1:
        seconds, latencies = threads(driver, operation, at_once, count, users, http_port)
    else:
        with requests.Session() as session:
            seconds, latencies = loop(http_call(requests if driver == "requests" else session, operation, users, http_port), count)
    latencies.sort()
    units = count * BATCH if operation == "batch" else count
    return {"rate": units / seconds, "p50": latencies[len(latencies) // 2] * 1e3, "p99": latencies[int(len(latencies) * 0.99)] * 1e3, "count": count}


def loop(call, count: int, start: int = 0) -> tuple[float, list[float]]:
    latencies = []
    began = time.perf_counter()
    for number in range(start, start + count):
        before = time.perf_counter()
        call(number)
        latencies.append(time.perf_counter() - before)
    return time.perf_counter() - began, latencies


def http_call(web, operation: str, users: int, http_port: int):
    """`web`: the module `requests`, which opens a connection for each call, or a session, which keeps one."""
    address = f"http://127.0.0.1:{http_port}/collections"
    batch = [http_requests.user(number) for number in range(BATCH)]

    def create(number):
        answer = web.post(f"{address}/people", json=http_requests.user(number))
        assert answer.status_code == 201, answer.text
        return answer.json()

    def get(number):
        answer = web.get(f"{address}/users/u{number * 7919 % users}")
        assert answer.status_code == 200, answer.text
        return answer.json()["document"]

    def query(number):
        answer = web.post(f"{address}/users/query", json={"filter": http_requests.FILTER, "limit": 20})
        assert answer.status_code == 200, answer.text
        return answer.json()["documents"]

    def store_batch(number):
        answer = web.post(f"{address}/people/bulk", json={"documents": batch})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def store_vector(number):
        answer = web.post(f"{address}/people", json={**http_requests.user(number), "vector": http_requests.vector(number)})
        assert answer.status_code == 201, answer.text

    return {"create": create, "get": get, "query": query, "batch": store_batch, "batch of 1,000": store_batch, "vector": store_vector}[operation]


def blocking_call(db: NexaClient, operation: str, users: int):
    batch = [http_requests.user(number) for number in range(BATCH)]
    return {
        "create": lambda number: db.create("people", http_requests.user(number)),
        "get": lambda number: db.get("users", f"u{number * 7919 % users}"),
        "query": lambda number: db.query("users", http_requests.FILTER, limit=20),
        "batch": lambda number: db.batch_write("people", batch),
    }[operation]


async def tasks(operation: str, at_once: int, count: int, users: int, port: int) -> tuple[float, list[float]]:
    batch = [http_requests.user(number) for number in range(BATCH)]
    latencies: list[float] = []
    numbers = iter(range(count))
    async with AsyncNexaClient(host="127.0.0.1", port=port, durability="os") as db:
        await db.connect()
        call = {
            "create": lambda number: db.create("people", http_requests.user(number)),
            "get": lambda number: db.get("users", f"u{number * 7919 % users}"),
            "query": lambda number: db.query("users", http_requests.FILTER, limit=20),
            "batch": lambda number: db.batch_write("people", batch),
        }[operation]

        async def work():
            for number in numbers:
                before = time.perf_counter()
                await call(number)
                latencies.append(time.perf_counter() - before)

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(at_once)))
        return time.perf_counter() - began, latencies


def threads(driver: str, operation: str, at_once: int, count: int, users: int, http_port: int) -> tuple[float, list[float]]:
    share = max(1, count // at_once)

    def work(lane: int) -> list[float]:
        if driver == "requests":
            return loop(http_call(requests, operation, users, http_port), share, lane * share)[1]
        with requests.Session() as session:
            return loop(http_call(session, operation, users, http_port), share, lane * share)[1]

    with ThreadPoolExecutor(at_once) as pool:
        began = time.perf_counter()
        found = [each for lane in pool.map(work, range(min(at_once, count))) for each in lane]
        seconds = time.perf_counter() - began
    # As if exactly `count` had been done.
    return seconds * count / len(found), found


# Bytes

class Relay:
    """Passes connections on to a port of this machine and counts what passes: bytes, and segments of the connections to it."""

    def __init__(self, port: int):
        self.behind = port
        self.byte_count = self.segment_count = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.lanes: list[threading.Thread] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            lane = threading.Thread(target=self._carry, args=(near,), daemon=True)
            self.lanes.append(lane)
            lane.start()

    def _carry(self, near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", self.behind)) as far:
            for each in (near, far):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            is_open = True
            while is_open:
                for source in select.select([near, far], [], [], 30)[0]:
                    data = source.recv(1 << 20)
                    if not data:
                        is_open = False
                        break
                    self.byte_count += len(data)
                    (far if source is near else near).sendall(data)
            # tcpi_segs_out and tcpi_segs_in; FIN and its acknowledgement are still to come.
            segments = struct.unpack_from("II", near.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 136)
            self.segment_count += sum(segments) + 2

    def close(self) -> None:
        self.listener.close()
        for lane in self.lanes:
            lane.join(30)


def bytes_of(driver: str, operation: str, count: int, users: int, http_port: int) -> tuple[float, float]:
    """Bytes of a request with its answer, alone and with the headers of TCP and IPv4."""
    relay = Relay(http_port)
    with requests.Session() as session:
        loop(http_call(requests if driver == "requests" else session, operation, users, relay.port), count)
    relay.close()
    return relay.byte_count / count, (relay.byte_count + relay.segment_count * SEGMENT_HEADER) / count

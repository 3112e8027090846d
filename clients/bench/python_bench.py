#!/usr/bin/env python3
"""How fast the Python client is against one node on this machine: one process, one connection.

    python_bench.py [--seconds N] [--port PORT]     starts .build/release/nexadb (or NEXADB_BIN) itself unless a port is given

Rows: gets by asyncio with 64 in flight, creates and batches, sequential gets, and the same sequential gets with the PyPI client `nexaclient`
where it is installed (Tests/e2e/setup.sh does that; its interpreter is used for it). Best and median of ten windows, since a machine is rarely
alone.
"""
import argparse
import asyncio
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests" / "e2e"))
from rig import node as rig_node  # noqa: E402

from nexadb import AsyncNexaClient, NexaClient  # noqa: E402

DOCUMENT = {"name": "Anna Karenina", "email": "anna@example.com", "age": 31}
OTHER_CLIENT = """
import sys, time
from nexaclient import NexaClient
db = NexaClient(host="127.0.0.1", port=int(sys.argv[1]), username="", password="")
db.connect()
keys = [f"k{n}" for n in range(1000)]
found = []
for _ in range(10):
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < float(sys.argv[2]) / 10:
        for key in keys[:50]:
            db.get("bench", key)
        count += 50
    found.append(count / (time.perf_counter() - started))
print([max(found), sorted(found)[5]])
"""


WINDOWS = 10


def rate(seconds, work, step):
    """Units a second of `work`, which does `step` of them: (best, median) of the windows."""
    work()
    found = []
    for _ in range(WINDOWS):
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds / WINDOWS:
            work()
            count += step
        found.append(count / (time.perf_counter() - started))
    return max(found), statistics.median(found)


async def concurrent(port, seconds, in_flight, operation):
    async with AsyncNexaClient(host="127.0.0.1", port=port) as db:
        await db.connect()
        count, is_over = 0, False

        async def worker(turn):
            nonlocal count
            while not is_over:
                await operation(db, turn)
                turn += 1
                count += 1

        tasks = [asyncio.ensure_future(worker(n * 13)) for n in range(in_flight)]
        found = []
        for _ in range(WINDOWS):
            before, started = count, time.perf_counter()
            await asyncio.sleep(seconds / WINDOWS)
            found.append((count - before) / (time.perf_counter() - started))
        is_over = True
        await asyncio.gather(*tasks)
        return max(found), statistics.median(found)


def measure(port, seconds):
    keys = [f"k{n}" for n in range(1000)]
    with NexaClient(host="127.0.0.1", port=port) as db:
        db.batch_write("bench", [{"_id": key, **DOCUMENT} for key in keys])
        yield "get, asyncio, 64 in flight", asyncio.run(concurrent(port, seconds, 64, lambda d, n: d.get("bench", keys[n % 1000]))), "get/s"
        yield "create, asyncio, 64 in flight", asyncio.run(concurrent(port, seconds, 64, lambda d, n: d.create("made", DOCUMENT))), "create/s"
        batch = [DOCUMENT] * 1000
        yield "batches of 1,000", rate(seconds, lambda: db.batch_write("batched", batch, durability="os"), 1000), "documents/s"
        writer = db.collection("bulk").with_options(durability="os").bulk_writer(ordered=False)

        def bulk():
            for _ in range(1000):
                writer.insert(DOCUMENT)

        yield "bulk writer", rate(seconds, bulk, 1000), "documents/s"
        cursor_count = db.count("batched")
        started = time.perf_counter()
        found = sum(1 for _ in db.find("batched", batch_size=1000, limit=200_000))
        took = found / (time.perf_counter() - started)
        yield "cursor", (took, took), f"documents/s ({min(cursor_count, 200_000):,})"
        yield "get, one after the other", rate(seconds, lambda: [db.get("bench", key) for key in keys[:50]], 50), "get/s"
        yield "get, asyncio, one after the other", asyncio.run(concurrent(port, seconds, 1, lambda d, n: d.get("bench", keys[n % 1000]))), "get/s"
    other = ROOT / ".venv-e2e" / "bin" / "python"
    if other.exists():
        ran = subprocess.run([other, "-c", OTHER_CLIENT, str(port), str(seconds)], capture_output=True, text=True, timeout=60)
        if ran.returncode == 0:
            yield "get, one after the other, PyPI nexaclient 3.0.0", json.loads(ran.stdout), "get/s"
        else:
            print(ran.stderr, file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--port", type=int)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        one = None if options.port else rig_node.Node(pathlib.Path(place) / "node", "--memory", "256MiB", "--threads", "1")
        try:
            port = options.port or one.start().port
            rows = []
            if not options.json:
                print(f"{'':<50} {'best':>12} {'median':>12}   of {WINDOWS} windows")
            for name, (best, median), unit in measure(port, options.seconds):
                rows.append({"name": name, "best": round(best), "median": round(median), "unit": unit})
                if not options.json:
                    print(f"{name:<50} {best:>12,.0f} {median:>12,.0f} {unit}", flush=True)
            if options.json:
                print(json.dumps({"client": "python", "rows": rows}))
        finally:
            if one is not None:
                one.kill()


if __name__ == "__main__":
    main()

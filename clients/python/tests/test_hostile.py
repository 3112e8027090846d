"""What the clients do when the other side misbehaves, by the shared scenarios."""

import asyncio
import gc
import json
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from faces import FLAVOURS, client

from nexadb import NexaError
from nexadb.options import BY_URI_NAME

SHARED = Path(__file__).resolve().parents[2] / "conformance"
CASES = json.loads((SHARED / "hostile.json").read_text())
GROWTH_MAX = 64 << 20


class Hostile:
    """The other side, in a process of its own."""

    def __init__(self, scenario):
        self.process = subprocess.Popen(
            [sys.executable, "-I", str(SHARED / "hostile.py"), scenario], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.port = int(self.process.stdout.readline().split()[1])

    def stats(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def perform(db, step):
    if step["op"] == "get":
        return await db.get("c", "k")
    if step["op"] == "create":
        return await db.create("c", {"n": 1})
    if step["op"] == "query":
        return await db.query("c")
    async with db.find("c") as cursor:
        return await cursor.to_list(step["take"])


async def do(db, step):
    started = time.monotonic()
    try:
        result = await perform(db, step)
    except NexaError as error:
        kind = type(error).__name__.removesuffix("Error")
        assert kind in step.get("kinds", ()), f"{step['op']}: {error!r}"
    else:
        assert "kinds" not in step or step.get("answered"), f"{step['op']} succeeded with {result!r:.200}"
        if step.get("answered"):
            assert result["_id"] == "k"
    took = (time.monotonic() - started) * 1000
    assert took < step["within"], f"{step['op']} took {took:.0f} ms"


def options_of(case):
    return {BY_URI_NAME[name].name if name in BY_URI_NAME else name: value for name, value in case["options"].items()}


def play(case, flavour, unheard):
    """One case against another side of its own."""

    async def run(port):
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
        db = client(flavour, host="127.0.0.1", port=port, **options_of(case))
        try:
            for step in case["steps"]:
                await do(db, step)
        finally:
            await db.disconnect()

    with Hostile(case["scenario"]) as hostile:
        asyncio.run(run(hostile.port))
        until = time.monotonic() + 20
        while (stats := hostile.stats())["open"] and time.monotonic() < until:
            time.sleep(0.01)
        assert stats["open"] == 0, "a connection is held after the client was closed"
        assert stats["requests"] <= case.get("requestsAtMost", sys.maxsize)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_scenario(case):
    before, unheard = resident(), []
    with ThreadPoolExecutor() as threads:
        both = [threads.submit(play, case, flavour, unheard) for flavour in FLAVOURS]
        for each in both:
            each.result()
    gc.collect()
    assert not unheard, f"an error went to nobody: {unheard}"
    assert resident() - before < GROWTH_MAX

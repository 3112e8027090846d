#!/usr/bin/env python3
"""Compares a node's HTTP/JSON gateway with its binary protocol: the same node, the same documents, in one run.

Two views. `people`: Python's `requests`, as people write it, against this project's Python client. `equal`: one small C program that sends
prepared requests of either kind, so that no client library stands between. Bytes are counted at the sockets; what TCP and IPv4 add is
computed from the segments that the kernel counted, 52 bytes each. Results go to .bench/http.md and .bench/http.json.

usage: http_binary.py [--quick] [--users N] [--seconds S] [--only people,equal,bytes,airports] [--output DIR]
"""
import argparse
import json
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile

import http_people
import http_requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests" / "e2e"))
from rig import node as rig_node  # noqa: E402

PARTS = ("people", "equal", "bytes", "airports")
USERS = 10_000
#: What clients of existing servers were promised, as ratios or figures.
PROMISED = {"throughput": "3-10 times", "bytes": "80 % fewer", "latency": "1-2 ms against 5-10 ms"}


class Bench:
    def __init__(self, options, directory: pathlib.Path):
        self.options, self.directory = options, directory
        self.results: list[dict] = []
        self.users = 300 if options.quick else options.users
        self.program = directory / "replay"
        source = pathlib.Path(__file__).with_name("replay.c")
        compiler = shutil.which("cc") or shutil.which("clang") or "cc"
        subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-D_GNU_SOURCE", "-o", self.program, source], check=True)
        self.node: rig_node.Node | None = None

    def start(self, durability: str) -> None:
        self.stop()
        place = pathlib.Path(tempfile.mkdtemp(dir=self.directory))
        self.node = rig_node.Node(place / "node", "--http-port", "0", "--memory", "256MiB", "--durability", durability).start()
        self.http_port = self.node.http_port

    def stop(self) -> None:
        if self.node is not None:
            self.node.kill()

    def keep(self, part: str, **fields) -> dict:
        self.results.append({"part": part, **fields})
        return self.results[-1]

    def replay(self, side: http_requests.Side, requests: list[bytes], *, connections=1, in_flight=1, fresh=False, seconds=None,
               count=1 << 40) -> dict:
        """One load of prepared requests: the program's figures, a request's bytes each way, and the node's processor time."""
        path = self.directory / "requests"
        with open(path, "wb") as file:
            file.write(struct.pack(">II", side.greeting_answers, len(side.greeting)) + side.greeting)
            for each in requests:
                file.write(struct.pack(">I", len(each)) + each)
        before = http_requests.cpu_seconds(self.node.pid)
        ran = subprocess.run([self.program, str(side.port), side.kind, path, str(connections), str(in_flight),
                              str(seconds or self.options.seconds), str(count), "fresh" if fresh else "keep"],
                             capture_output=True, text=True, timeout=120)
        if ran.returncode != 0:
            sys.exit(f"replay failed: {ran.stderr}")
        figures = json.loads(ran.stdout)
        if figures["failed"]:
            sys.exit(f"{figures['failed']} of {figures['requests']} answers of {side.name} were errors")
        requests_done = figures["requests"]
        figures["rate"] = requests_done / figures["seconds"]
        figures["bytes"] = (figures["sent"] + figures["received"]) / requests_done
        figures["wire_bytes"] = figures["bytes"] + figures["headers"] / requests_done
        figures["server_cpu_us"] = (http_requests.cpu_seconds(self.node.pid) - before) / requests_done * 1e6
        return figures


# The equal generator

#: (name, connections, in flight on each, a connection for each request)
LOADS = (("new connection", 1, 1, True), ("1 x 1", 1, 1, False), ("64 x 1", 64, 1, False), ("1 x 64", 1, 64, False))


def equal(bench: Bench) -> list[str]:
    lines = ["### The same generator for both", "",
             "Connections x requests in flight on each; documents of 100 bytes; durability `os`, so that no disk evens things out. "
             "Node's processor time in microseconds for one request.", "",
             "| operation | load | HTTP /s | binary /s | compact /s | ratio | p50 us: HTTP, binary, compact | node CPU us: HTTP, binary, compact |",
             "|---|---|---|---|---|---|---|---|"]
    sides = [http_requests.Http(bench.http_port), http_requests.Binary(bench.node.port), http_requests.Compact(bench.node.port)]
    for operation in ("create", "get", "query", "batch"):
        for name, connections, in_flight, fresh in LOADS:
            if operation == "batch" and in_flight > 1:
                in_flight = 4
                name = "1 x 4"
            cells = {}
            for side in sides:
                count = 2_000 if fresh else 1 << 40
                cells[side.name] = bench.replay(side, side.requests(operation, bench.users), connections=connections, in_flight=in_flight,
                                                fresh=fresh, count=count)
                bench.keep("equal", operation=operation, load=name, side=side.name, **cells[side.name])
            http, binary, compact = (cells[side.name] for side in sides)
            ratio = max(binary["rate"], compact["rate"]) / http["rate"]
            lines.append(f"| {operation} | {name} | {http['rate']:,.0f} | {binary['rate']:,.0f} | {compact['rate']:,.0f} | **{ratio:.1f}** | "
                         f"{', '.join(format(cell['p50'], ',.0f') for cell in (http, binary, compact))} | "
                         f"{', '.join(format(cell['server_cpu_us'], ',.1f') for cell in (http, binary, compact))} |")
    return [*lines, "", "`batch` is 100 documents in one request; its rates are of requests.", ""]


# As people write it

def people(bench: Bench) -> list[str]:
    lines = ["### As people write it, in Python", "",
             f"{bench.users:,} users, one call each; 1,000 a batch; queries that find 20 users. Durability `os`. One at a time, then 64 at once "
             "(threads with a session each; tasks of the asynchronous client).", "",
             "| operation | at once | `requests` /s | session /s | client /s | client / `requests` | client / session | p50 ms: `requests`, session, client "
             "| p99 ms |", "|---|---|---|---|---|---|---|---|---|"]
    for at_once in (1, 64):
        for operation in ("create", "get", "query", "batch"):
            cells = {}
            for driver in ("requests", "session", "client"):
                cells[driver] = http_people.measure(driver, operation, at_once, bench.users, bench.http_port, bench.node.port)
                bench.keep("people", operation=operation, at_once=at_once, driver=driver, **cells[driver])
            plain, session, client = (cells[driver] for driver in ("requests", "session", "client"))
            lines.append(f"| {operation} | {at_once} | {plain['rate']:,.0f} | {session['rate']:,.0f} | {client['rate']:,.0f} | "
                         f"**{client['rate'] / plain['rate']:.1f}** | **{client['rate'] / session['rate']:.1f}** | "
                         f"{', '.join(format(cell['p50'], '.2f') for cell in cells.values())} | "
                         f"{', '.join(format(cell['p99'], '.2f') for cell in cells.values())} |")
    return [*lines, "", "Rates of `batch` are of documents.", ""]


# Bytes

def byte_counts(bench: Bench) -> list[str]:
    lines = ["### Bytes of a request and its answer", "",
             "In brackets with the headers of TCP and IPv4. A create is answered with the id. `lean HTTP` sends the least that HTTP asks for: Host, and "
             "the body's type and length.", "",
             "| what | `requests`, new connection | `requests`, session | lean HTTP, kept | binary | compact | fewer than `requests` | fewer than a session |",
             "|---|---|---|---|---|---|---|---|"]
    lean, binary, compact = http_requests.Http(bench.http_port), http_requests.Binary(bench.node.port), http_requests.Compact(bench.node.port)
    packed = http_requests.Compact(bench.node.port, has_lz4=True)
    cases = [("create", compact, 200), ("get", compact, 200), ("query of 20", compact, 50), ("batch of 1,000", compact, 5),
             ("batch of 1,000, LZ4", packed, 5), ("create with a vector of 768", compact, 50)]
    for what, best, count in cases:
        operation = http_requests.OPERATION[what]
        row = {}
        for driver in ("requests", "session"):
            row[driver] = http_people.bytes_of(driver, operation, count, bench.users, bench.http_port)
        for side in (lean, binary, best):
            figures = bench.replay(side, side.requests(operation, bench.users), count=count, seconds=30)
            row[side.name] = (figures["bytes"], figures["wire_bytes"])
        bench.keep("bytes", what=what, **{name: list(value) for name, value in row.items()})
        least = min(row[binary.name], row[best.name])
        cells = [f"{plain:,.0f} ({wire:,.0f})" for plain, wire in row.values()]
        lines.append(f"| {what} | {' | '.join(cells)} | **{saved(row['requests'][1], least[1])}** | **{saved(row['session'][1], least[1])}** |")
    return [*lines, ""]


def saved(before: float, after: float) -> str:
    return f"{(1 - after / before) * 100:.0f} %"


# Airports

def airports(bench: Bench) -> list[str]:
    import airportsdata
    documents = [{"_id": code, **airport} for code, airport in airportsdata.load("ICAO").items()]
    if bench.options.quick:
        documents = documents[:2000]
    codes = [each["_id"] for each in documents]
    random.Random(1).shuffle(codes)
    lines = [f"### {len(documents):,} real airports", "",
             "| what | HTTP /s | compact /s | ratio | HTTP bytes | compact bytes | fewer |", "|---|---|---|---|---|---|---|"]
    sides = http_requests.Http(bench.http_port, "airports_http"), http_requests.Compact(bench.node.port, "airports_binary")
    batches = [documents[start:start + 1000] for start in range(0, len(documents), 1000)]
    for what, make, connections, in_flight, per_request in (
            ("load, 1,000 a batch", lambda side: [side.batch(each) for each in batches], 1, 2, len(documents) / len(batches)),
            ("get, 1 x 1", lambda side: [side.get(code) for code in codes], 1, 1, 1),
            ("get, 64 x 1", lambda side: [side.get(code) for code in codes], 64, 1, 1),
            ("all of one country", lambda side: [side.query({"country": country}, 1000) for country in ("IT", "FR", "BR", "NZ")], 1, 1, 1)):
        cells = []
        for side in sides:
            requests = make(side)
            count = len(requests) if what.startswith("load") else 1 << 40
            cells.append(bench.replay(side, requests, connections=connections, in_flight=in_flight, count=count))
            bench.keep("airports", what=what, side=side.name, **cells[-1])
        http, binary = cells
        lines.append(f"| {what} | {http['rate'] * per_request:,.0f} | {binary['rate'] * per_request:,.0f} | **{binary['rate'] / http['rate']:.1f}** | "
                     f"{http['wire_bytes']:,.0f} | {binary['wire_bytes']:,.0f} | {saved(http['wire_bytes'], binary['wire_bytes'])} |")
    return [*lines, "", "Bytes of a request with its answer, headers of TCP and IPv4 included; the load counts documents, the others requests.", ""]


# What was promised

def promises(bench: Bench) -> list[str]:
    """One table: promised, and measured in the kindest and the least kind of the cases that the promise may mean."""
    def people_of(driver, operation, at_once=1):
        return next((r for r in bench.results if r["part"] == "people" and (r["driver"], r["operation"], r["at_once"]) == (driver, operation, at_once)), None)

    def equal_of(side, operation, load):
        return next((r for r in bench.results if r["part"] == "equal" and (r["side"], r["operation"], r["load"]) == (side, operation, load)), None)

    rows = []
    for operation in ("create", "get"):
        plain, session, client = (people_of(driver, operation) for driver in ("requests", "session", "client"))
        if client:
            rows.append((f"throughput, {operation}, one at a time, Python", PROMISED["throughput"],
                         f"{client['rate'] / plain['rate']:.1f} times `requests`, {client['rate'] / session['rate']:.1f} times a session"))
            rows.append((f"latency, {operation}, p50, Python", PROMISED["latency"],
                         f"{client['p50']:.2f} ms against {plain['p50']:.2f} ms (`requests`) and {session['p50']:.2f} ms (session)"))
    for operation, load in (("create", "1 x 1"), ("get", "1 x 1"), ("get", "64 x 1"), ("get", "1 x 64")):
        http, compact = equal_of("http", operation, load), equal_of("compact", operation, load)
        if compact:
            rows.append((f"throughput, {operation}, {load}, same generator", PROMISED["throughput"],
                         f"{compact['rate'] / http['rate']:.1f} times; p50 {compact['p50']:.0f} us against {http['p50']:.0f} us"))
    for r in bench.results:
        if r["part"] == "bytes":
            best = min(r["binary"][1], r["compact"][1])
            rows.append((f"bytes, {r['what']}", PROMISED["bytes"],
                         f"{saved(r['requests'][1], best)} fewer than `requests`, {saved(r['session'][1], best)} than a session, "
                         f"{saved(r['http'][1], best)} than lean HTTP"))
    return ["### Promised and measured", "", "| what | promised | measured |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows), ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shows that it works, measures nothing")
    parser.add_argument("--seconds", type=float, help="each load of the equal generator (1)")
    parser.add_argument("--users", type=int, default=USERS, help="how many there are, and are written (10000)")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / ".bench")
    options = parser.parse_args()
    options.seconds = options.seconds or (0.1 if options.quick else 1.0)
    chosen = options.only.split(",")
    if set(chosen) - set(PARTS):
        parser.error(f"the parts are {', '.join(PARTS)}")
    options.output.mkdir(parents=True, exist_ok=True)
    report = ["## HTTP against binary", ""]
    with tempfile.TemporaryDirectory(prefix="nexadb-http-") as directory:
        bench = Bench(options, pathlib.Path(directory))
        try:
            for part, run in (("people", people), ("equal", equal), ("bytes", byte_counts), ("airports", airports)):
                if part in chosen:
                    bench.start("os")
                    http_requests.fill(bench.node.port, bench.users)
                    print(f"{part} ...", file=sys.stderr, flush=True)
                    report += run(bench)
        finally:
            bench.stop()
        report += promises(bench)
    (options.output / "http.md").write_text("\n".join(report) + "\n")
    (options.output / "http.json").write_text(json.dumps({"results": bench.results}, indent=1))
    print("\n".join(report))


if __name__ == "__main__":
    main()

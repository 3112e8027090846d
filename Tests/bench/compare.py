#!/usr/bin/env python3
"""Compares a node with Redis, side by side in one run, and prints ratios of medians.

Both peers are driven by `nexadb bench`, the same loop with the same documents; every write of both is on disk before its answer.
Redis's own redis-benchmark checks the generator. Results go to .bench/compare.md and .bench/compare.json.

usage: compare.py [--quick] [--runs N] [--seconds S] [--only reads,creates,batch,scan,check,engine] [--output DIR]
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time

import peers

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARTS = ["reads", "creates", "batch", "scan", "check", "engine"]


class Bench:
    """Runs the generator and keeps every result."""

    def __init__(self, program: str, seconds: float, servers: list[peers.Peer], drivers: list[peers.Peer | peers.Compact]):
        self.program = program
        self.seconds = seconds
        self.servers = servers
        self.drivers = drivers
        self.results: list[dict] = []

    def run(self, peer: peers.Peer | peers.Compact, part: str, *arguments: str, seconds: float | None = None) -> dict:
        for server in self.servers:
            server.settle()
        command = [self.program, "bench", *peer.bench_arguments(), "--server-pid", str(peer.pid), "--json", "-",
                   "--duration", str(seconds or self.seconds), "--warm-up", str(min(0.5, self.seconds / 4)), *arguments]
        outcome = subprocess.run(command, capture_output=True, text=True)
        if outcome.returncode != 0:
            sys.exit(f"{' '.join(command)}\nfailed with {outcome.returncode}:\n{outcome.stdout}{outcome.stderr}")
        result = json.loads(outcome.stdout)
        result |= {"part": part, "peer": peer.name, "command": " ".join(command[1:])}
        self.results.append(result)
        return result

    def values(self, part: str, peer: str, field: str, **where) -> list[float]:
        return [r[field] for r in self.results
                if r["part"] == part and r["peer"] == peer and all(r[k] == v for k, v in where.items()) and r[field] is not None]

    def median(self, *arguments, **where) -> float | None:
        values = self.values(*arguments, **where)
        return statistics.median(values) if values else None


def thousands(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value / 1e3:.1f} k" if value >= 1e3 else f"{value:.0f}"


def spread(values: list[float]) -> str:
    if len(values) == 1:
        return thousands(values[0])
    return f"{thousands(statistics.median(values))} ({thousands(min(values))}-{thousands(max(values))})"


def grid(bench: Bench, part: str, mix: str, cells: list[tuple[int, int]], runs: int, records: int) -> None:
    """Every cell in every run, the peers in turn, and in the other order every other run."""
    for run in range(runs):
        order = bench.drivers if run % 2 == 0 else bench.drivers[::-1]
        for connections, depth in cells:
            for peer in order:
                result = bench.run(peer, part, "--mix", mix, "-c", str(connections), "-d", str(depth), "--records", str(records),
                                   *(["--no-load"] if run > 0 or (connections, depth) != cells[0] else []))
                print(f"  run {run + 1}  {part:8} {connections:4} x {depth:<3} {peer.name:8} "
                      f"{thousands(result['requests_per_second']):>9}/s", file=sys.stderr)


def grid_table(bench: Bench, part: str, title: str, cells: list[tuple[int, int]]) -> list[str]:
    """One line a cell: rates with ratios to Redis, then latencies, the server's processor time, and bytes on the wire."""
    names = ("nexadb", "compact", "redis")
    lines = [f"### {title}", "",
             "| connections x in flight | NexaDB /s | ratio | NexaDB, compact form /s | ratio | Redis /s "
             "| p50 / p99 us: NexaDB, compact, Redis | server CPU us/request: NexaDB, compact, Redis |", "|---|---|---|---|---|---|---|---|"]
    for connections, depth in cells:
        where = {"connections": connections, "in_flight": depth}
        rates = {name: bench.values(part, name, "requests_per_second", **where) for name in names}
        redis = statistics.median(rates["redis"])
        row = [f"{connections} x {depth}"]
        for name in names[:2]:
            row += [spread(rates[name]), f"**{statistics.median(rates[name]) / redis:.2f}**"]
        row.append(spread(rates["redis"]))
        latencies = []
        for name in names:
            runs = [next(iter(r["latency_us"].values())) for r in bench.results
                    if r["part"] == part and r["peer"] == name and all(r[k] == v for k, v in where.items())]
            latencies.append(" / ".join(f"{statistics.median(run[p] for run in runs):.0f}" for p in ("p50", "p99")))
        cpu = [bench.median(part, name, "server_cpu_us_per_request", **where) for name in names]
        row += [", ".join(latencies), ", ".join("-" if c is None else f"{c:.2f}" for c in cpu)]
        lines.append(f"| {' | '.join(row)} |")
    return lines + ["", *bytes_table(bench, part, names), ""]


def bytes_table(bench: Bench, part: str, names: tuple[str, ...]) -> list[str]:
    """Bytes of a request and of its answer, headers included."""
    lines = ["| bytes on the wire | request | answer | together |", "|---|---|---|---|"]
    for name in names:
        results = [r for r in bench.results if r["part"] == part and r["peer"] == name]
        requests = sum(r["requests"] for r in results)
        sent, received = (sum(r[field] for r in results) / requests for field in ("sent_bytes", "received_bytes"))
        lines.append(f"| {name} | {sent:.0f} | {received:.0f} | {sent + received:.0f} |")
    return lines


def single(bench: Bench, part: str, title: str, aim: str, note: str) -> list[str]:
    lines = [f"### {title}", "", "| server | documents/s, median (range) | server CPU us/document |", "|---|---|---|"]
    for name in ("nexadb", "redis"):
        rates = bench.values(part, name, "documents_per_second")
        if not rates:
            continue
        per_request = bench.median(part, name, "server_cpu_us_per_request")
        documents = next(r["documents_per_second"] / r["requests_per_second"] for r in bench.results
                         if r["part"] == part and r["peer"] == name)
        cpu = "-" if per_request is None else f"{per_request / documents:.3f}"
        lines.append(f"| {name} | {spread(rates)} | {cpu} |")
    return lines + ["", f"Aim: {aim}. {note}", ""]


def cross_check(bench: Bench, redis: peers.Redis, quick: bool) -> list[str]:
    """The same two cells by redis-benchmark: does our generator see what Redis's own sees?"""
    program = shutil.which("redis-benchmark")
    if program is None:
        return ["### Cross-check", "", "redis-benchmark is not installed.", ""]
    lines = ["### Cross-check of the generator on Redis (64 connections)", "",
             "| in flight | operation | nexadb bench /s | redis-benchmark /s |", "|---|---|---|---|"]
    for depth in (1, 16):
        for operation, mix in (("GET", "get"), ("SET", "create")):
            ours = bench.run(redis, "check", "--mix", mix, "-c", "64", "-d", str(depth), "--records", "100000")
            count = (10_000 if quick else 100_000) * (1 if depth == 1 else 4)
            redis.settle()
            outcome = subprocess.run(
                [program, "-p", str(redis.port), "-t", operation.lower(), "-c", "64", "-P", str(depth), "-n", str(count),
                 "-r", "100000", "-d", "58", "--csv"], capture_output=True, text=True)
            theirs = next((float(line.split(",")[1].strip('"')) for line in outcome.stdout.splitlines()
                           if line.startswith(f'"{operation}"')), None)
            lines.append(f"| {depth} | {operation} | {thousands(ours['requests_per_second'])} | {thousands(theirs)} |")
    return lines + [""]


def machine() -> list[str]:
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown processor")
    redis = subprocess.run(["redis-server", "--version"], capture_output=True, text=True).stdout.split("sha")[0].strip()
    return [f"{os.cpu_count()} cores of {model}, Linux {platform.release()}, {redis}; client and servers share the cores; "
            f"{time.strftime('%Y-%m-%d')}.", ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke run of a few seconds: shows that it works, measures nothing")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a cell")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--engine-keys", type=int, help="keys of the engine part (default: a million)")
    parser.add_argument("--nexadb", default=str(ROOT / ".build/release/nexadb"))
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / ".bench", help="for results and scratch data; on a real disk")
    options = parser.parse_args()
    output = options.output
    parts = options.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if options.quick:
        options.runs, options.seconds = 1, 0.3
    cells = [(c, d) for c in ([1, 16] if options.quick else [1, 16, 64, 256]) for d in (1, 16)]
    records = 10_000 if options.quick else 100_000
    scanned = 20_000 if options.quick else 1_000_000

    redis_server = peers.install("redis-server", "redis-server")
    if redis_server is None:
        sys.exit("redis-server is missing and could not be installed: apt-get install redis-server")
    if not pathlib.Path(options.nexadb).exists():
        sys.exit(f"{options.nexadb} is missing: make build")
    output.mkdir(parents=True, exist_ok=True)
    # On the disk of the checkout, not on a memory file system: the syncs must be real.
    data = output / f"data-{os.getpid()}"
    report = ["# NexaDB beside Redis", "", *machine()]
    servers: list[peers.Peer] = []
    try:
        nexa = peers.Nexa(options.nexadb, data / "nexadb")
        servers.append(nexa)
        redis = peers.Redis(redis_server, data / "redis")
        servers.append(redis)
        subprocess.run([options.nexadb, "ping", "--quiet", "--wait", "30", "--port", str(nexa.port)], check=True)
        bench = Bench(options.nexadb, options.seconds, servers, [nexa, peers.Compact(nexa), redis])
        if "reads" in parts:
            grid(bench, "reads", "get", cells, options.runs, records)
            report += grid_table(bench, "reads", "Key reads (READ and GET)", cells)
        if "creates" in parts:
            grid(bench, "creates", "create", cells, options.runs, records)
            report += grid_table(bench, "creates", "Durable creates (CREATE, and SET with appendfsync always)", cells)
        if "batch" in parts:
            for _ in range(options.runs):
                for peer in servers:
                    bench.run(peer, "batch", "--mix", "batch", "-c", "4", "-d", "2", "--batch-size", "1000")
            report += single(bench, "batch", "Durable batches of 1,000 small documents (BATCH_WRITE and MSET), 4 connections x 2",
                             "300 k documents/s", "A batch is one atomic record.")
        if "scan" in parts:
            for _ in range(options.runs):
                bench.run(nexa, "scan", "--mix", "scan", "-c", "1", "--collection", "scanned", "--records", str(scanned),
                          "--requests", "3" if options.quick else "8", seconds=300)
            report += single(bench, "scan", f"Full scan with a filter that matches nothing, {scanned:,} documents, one connection",
                             "1.5 M documents/s per core", "Redis has no such operation.")
        if "check" in parts:
            report += cross_check(bench, redis, options.quick)
        report += [f"Resident memory afterwards: NexaDB {nexa.resident_bytes() >> 20} MiB, Redis {redis.resident_bytes() >> 20} MiB.", ""]
        (output / "compare.json").write_text(json.dumps({"options": vars(options), "results": bench.results}, indent=1, default=str))
    finally:
        for server in servers:
            server.stop()
        for log in data.glob("*.log"):
            shutil.copy(log, output / f"compare-{log.name}")
        shutil.rmtree(data, ignore_errors=True)
    if "engine" in parts:
        import engine

        report += engine.compare(options.nexadb, output, options.runs, options.quick, options.engine_keys)
    text = "\n".join(report)
    (output / "compare.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

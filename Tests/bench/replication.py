#!/usr/bin/env python3
"""Compares replication with Redis and PostgreSQL, side by side in one run. Results go to .bench/replication.md and .bench/replication.json.

    lag    from a write's answer on the leader until a follower shows it, while other writes come at a fixed rate
    sync   durable creates that are answered when two nodes have them (w: 2; SET + WAIT 1; a synchronous standby)
    cost   processor time of leader and follower for one write
    reads  reads of one, two and three nodes, each held to the same part of a core
    copy   a full copy to a new follower, and what the leader's clients see of it

usage: replication.py [--quick] [--only lag,sync,cost,reads,copy] [--peers nexadb,redis,postgres] [--runs N] [--seconds S] [--output DIR]
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time

import compare
import peers
import probes
import replicated
from compare import thousands

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARTS = ["lag", "sync", "cost", "reads", "copy"]
NAMES = {"nexadb": "NexaDB", "redis": "Redis", "postgres": "PostgreSQL"}
# Of a core, so that three nodes and the generators fit on two.
SHARE = 0.2


class Run:
    """What all parts share: options, how to start clusters, results."""

    def __init__(self, options: argparse.Namespace, data: pathlib.Path):
        self.options, self.data, self.quick, self.seconds = options, data, options.quick, options.seconds
        self.results: list[dict] = []
        self.redis_program = peers.install("redis-server", "redis-server") if "redis" in options.peers else None
        self.postgres_programs = replicated.postgres_programs(not options.quick) if "postgres" in options.peers else None
        self.notes = [f"{NAMES[name]} is missing and could not be installed." for name, there in
                      (("redis", self.redis_program), ("postgres", self.postgres_programs)) if name in options.peers and not there]
        self.started = 0

    def cluster(self, name: str, count: int, **more) -> replicated.Cluster | None:
        """A new cluster; None where the peer is not there."""
        self.started += 1
        directory = self.data / f"{name}-{self.started}"
        if name == "nexadb" and name in self.options.peers:
            return replicated.Nexa(self.options.nexadb, directory, count, **more)
        if name == "redis" and self.redis_program:
            return replicated.Redis(self.redis_program, directory, count)
        if name == "postgres" and self.postgres_programs:
            try:
                return replicated.Postgres(self.postgres_programs, directory)
            except (OSError, TimeoutError) as error:
                self.notes.append(f"PostgreSQL did not start: {error}")
        return None

    def clusters(self, names: list[str], count: int) -> list[replicated.Cluster]:
        return [cluster for cluster in (self.cluster(name, count) for name in names) if cluster]

    def settle(self, cluster: replicated.Cluster) -> None:
        cluster.settle(0 if self.quick else 10)

    def keep(self, part: str, peer: str, **values) -> dict:
        self.results.append({"part": part, "peer": peer, **values})
        shown = ", ".join(f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in values.items()
                          if not isinstance(value, list))
        print(f"  {part:6} {peer:9} {shown}", file=sys.stderr)
        return self.results[-1]

    def of(self, part: str, peer: str, field: str, **where) -> list:
        return [r[field] for r in self.results if r["part"] == part and r["peer"] == peer and all(r[k] == v for k, v in where.items())]

    def median(self, *arguments, **where) -> float | None:
        values = self.of(*arguments, **where)
        return statistics.median(values) if values else None

    def generate(self, cluster: replicated.Cluster, node: int, *arguments: str, seconds: float | None = None) -> "Generator":
        command = [self.options.nexadb, "bench", *cluster.bench_arguments(node), "--json", "-", "--duration", str(seconds or self.seconds),
                   "--warm-up", str(min(0.5, self.seconds / 4)), *arguments]
        return Generator(command)


class Generator:
    """A running `nexadb bench`."""

    def __init__(self, command: list[str]):
        self.command = command
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)

    def result(self, within: float = 120) -> dict:
        try:
            output, errors = self.process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        if self.process.returncode != 0:
            sys.exit(f"{' '.join(self.command)}\nfailed with {self.process.returncode}:\n{output[-2000:]}{errors[-2000:]}")
        return json.loads(output)


def turns(run: Run, clusters: list[replicated.Cluster]):
    """(number of the run, cluster): peers in turn, and in the other order every other run."""
    for number in range(run.options.runs):
        for cluster in clusters if number % 2 == 0 else clusters[::-1]:
            yield number, cluster


# Parts

def lag(run: Run) -> list[str]:
    rates = [0, 2000] if run.quick else [0, 5000, 20000, 60000]
    clusters = run.clusters(["nexadb", "redis"], 2)
    try:
        for number, cluster in turns(run, clusters):
            leader, follower = cluster.nodes[0].port, cluster.nodes[1].port
            floor = probes.lags(cluster.name, leader, leader, min(1, run.seconds / 2), f"floor-{number}")
            run.keep("floor", cluster.name, p50=percentile_us(floor, 0.5))
            for rate in rates:
                run.settle(cluster)
                load = run.generate(cluster, 0, "--mix", "create", "-c", "16", "-d", "16", "--rate", str(rate), "--warm-up", "0",
                                    seconds=run.seconds + 0.6) if rate else None
                time.sleep(0.3)
                found = probes.lags(cluster.name, leader, follower, run.seconds, f"lag-{number}-{rate}")
                wrote = load.result()["requests_per_second"] if load else 0
                run.keep("lag", cluster.name, rate=rate, wrote=wrote, p50=percentile_us(found, 0.5), p99=percentile_us(found, 0.99),
                         samples=len(found))
    finally:
        for cluster in clusters:
            cluster.stop()
    lines = ["### Lag: from the answer on the leader until a follower shows the write", "",
             "| other writes/s: asked, NexaDB, Redis | p50 us: NexaDB, Redis | ratio | p99 us: NexaDB, Redis |", "|---|---|---|---|"]
    for rate in rates:
        wrote, p50, p99 = ([run.median("lag", peer, field, rate=rate) for peer in ("nexadb", "redis")] for field in ("wrote", "p50", "p99"))
        ratio = f"**{p50[0] / p50[1]:.2f}**" if None not in p50 else "-"
        lines.append(f"| {rate:,}, {', '.join(map(thousands, wrote))} | {both(p50)} | {ratio} | {both(p99)} |")
    floor = [run.median("floor", peer, "p50") for peer in ("nexadb", "redis")]
    return lines + ["", f"One look is one round trip: the same question to the leader itself takes {both(floor)} us. Aims: the median below "
                    "Redis's, p99 below 5,000 us.", ""]


def percentile_us(values: list[float], share: float) -> float:
    return probes.percentile(values, share) * 1e6


def both(values: list[float | None], form: str = ",.0f") -> str:
    return ", ".join("-" if value is None else format(value, form) for value in values)


def sync(run: Run) -> list[str]:
    counts = [1, 8] if run.quick else [1, 16, 64]
    clusters = run.clusters(["nexadb", "redis", "postgres"], 2)
    try:
        for number, cluster in turns(run, clusters):
            for count in counts:
                run.settle(cluster)
                if isinstance(cluster, replicated.Postgres):
                    rate = cluster.creates(count, run.seconds)
                    run.keep("sync", cluster.name, connections=count, rate=rate, p50=count / rate * 1e6, p99=None)
                    continue
                result = run.generate(cluster, 0, "--mix", "create", "-c", str(count), "-d", "1", "--write-concern", "2").result()
                times = next(iter(result["latency_us"].values()))
                run.keep("sync", cluster.name, connections=count, rate=result["requests_per_second"], p50=times["p50"], p99=times["p99"])
    finally:
        for cluster in clusters:
            cluster.stop()
    lines = ["### Creates that two nodes have on disk before the answer", "",
             "| connections | NexaDB w: 2 /s | Redis SET + WAIT 1 /s | ratio | PostgreSQL synchronous /s | ratio | p50 us: NexaDB, Redis "
             "| p99 us: NexaDB, Redis |", "|---|---|---|---|---|---|---|---|"]
    for count in counts:
        rates = {peer: run.of("sync", peer, "rate", connections=count) for peer in NAMES}
        row = [f"{count}", compare.spread(rates["nexadb"]) if rates["nexadb"] else "-"]
        for peer in ("redis", "postgres"):
            row += [compare.spread(rates[peer]), f"**{statistics.median(rates['nexadb']) / statistics.median(rates[peer]):.2f}**"] \
                if rates[peer] and rates["nexadb"] else ["-", "-"]
        row += [both([run.median("sync", peer, field, connections=count) for peer in ("nexadb", "redis")]) for field in ("p50", "p99")]
        lines.append(f"| {' | '.join(row)} |")
    return lines + ["", "Aims: 1.5 times Redis, 5 times PostgreSQL. Redis's replica acknowledges what it has taken in, before its own sync.", ""]


def cost(run: Run) -> list[str]:
    loads = {"20,000/s": ("-c", "16", "-d", "16", "--rate", "2000" if run.quick else "20000"), "as fast as it goes": ("-c", "64", "-d", "16")}
    clusters = run.clusters(["nexadb", "redis"], 2)
    try:
        for _, cluster in turns(run, clusters):
            for load, arguments in loads.items():
                run.settle(cluster)
                before = [node.cpu_seconds() for node in cluster.nodes]
                result = run.generate(cluster, 0, "--mix", "create", "--warm-up", "0", *arguments).result()
                run.settle(cluster)
                leader, follower = ((node.cpu_seconds() - start) / result["requests"] * 1e6 for node, start in zip(cluster.nodes, before))
                run.keep("cost", cluster.name, load=load, writes=result["requests_per_second"], leader=leader, follower=follower,
                         fraction=follower / leader if leader else 0.0)
    finally:
        for cluster in clusters:
            cluster.stop()
    lines = ["### Processor time of a write, flushes and compactions included", "",
             "| creates, 16 or 64 connections x 16 | server | creates/s | leader us | follower us | follower / leader |", "|---|---|---|---|---|---|"]
    for load in loads:
        for peer in ("nexadb", "redis"):
            if run.of("cost", peer, "leader", load=load):
                writes, leader, follower, fraction = (
                    run.median("cost", peer, field, load=load) for field in ("writes", "leader", "follower", "fraction"))
                lines.append(f"| {load} | {NAMES[peer]} | {thousands(writes)} | {leader:.2f} | {follower:.2f} | **{fraction:.2f}** |")
    return lines + ["", "Aim: at most 0.5.", ""]


def reads(run: Run) -> list[str]:
    records = 2_000 if run.quick else 100_000
    depths = [16] if run.quick else [1, 16]
    how = "-"
    for name in ("nexadb", "redis"):
        cluster = run.cluster(name, 3)
        if cluster is None:
            continue
        try:
            run.generate(cluster, 0, "--mix", "get", "--records", str(records), "--requests", "1").result()
            run.settle(cluster)
            with probes.Share([node.pid for node in cluster.nodes], SHARE) as share:
                how = share.how
                for _ in range(run.options.runs):
                    for depth in depths:
                        for count in (1, 2, 3):
                            started = [run.generate(cluster, node, "--mix", "get", "-c", "16", "-d", str(depth), "--records", str(records),
                                                    "--no-load") for node in range(count)]
                            rate = sum(generator.result()["requests_per_second"] for generator in started)
                            run.keep("reads", name, nodes=count, depth=depth, rate=rate)
        finally:
            cluster.stop()
    lines = [f"### Reads of several nodes, each held to {SHARE:.0%} of a core ({how}), 16 connections to each", "",
             "| in flight | nodes | NexaDB /s | of linear | Redis /s | of linear |", "|---|---|---|---|---|---|"]
    for depth in depths:
        for count in (1, 2, 3):
            row = [f"{depth}", f"{count}"]
            for name in ("nexadb", "redis"):
                rate, one = (run.median("reads", name, "rate", nodes=nodes, depth=depth) for nodes in (count, 1))
                row += [thousands(rate), "-" if rate is None else f"**{rate / one / count:.2f}**"]
            lines.append(f"| {' | '.join(row)} |")
    return lines + ["", "Aim: 0.9 of linear or more.", ""]


def copy(run: Run) -> list[str]:
    """The leader stands alone until it has given up the beginning of its log: who comes then needs a full copy."""
    megabytes = run.options.copy_mib or (80 if run.quick else 1024)
    rate = "500" if run.quick else "5000"
    for name in ("nexadb", "redis"):
        # The quick form has too few documents for the tables of a node with more memory.
        more = ("--memory", "16MiB") if run.quick else ()
        cluster = run.cluster(name, 2, with_members=False, more=more) if name == "nexadb" else run.cluster(name, 1)
        if cluster is None:
            continue
        try:
            if isinstance(cluster, replicated.Nexa):
                # Until a first follower was there the log is kept from its beginning.
                cluster.forget_last()
            fill(cluster, megabytes)
            run.generate(cluster, 0, "--mix", "get", "--records", "2000", "--requests", "1").result()
            run.settle(cluster)
            if isinstance(cluster, replicated.Nexa):
                cluster.wait_log_given_up()
            plain = megabytes / probes.plain_copy(run.data, megabytes << 20)
            load = ("--mix", "ycsb-b", "-c", "8", "-d", "4", "--records", "2000", "--no-load", "--rate", rate)
            before = run.generate(cluster, 0, *load).result()
            follower = cluster.add()
            arrival = Arrival(cluster)
            during = []
            while not during or arrival.is_alive():
                during.append(run.generate(cluster, 0, *load, "--warm-up", "0", seconds=min(2, run.seconds)).result())
            run.keep("copy", name, mib=megabytes, seconds=arrival.seconds(), transfer=transfer(cluster, follower), plain=plain,
                     p99_before=worst(before, "p99"), p99_during=statistics.median(worst(piece, "p99") for piece in during),
                     slowest_during=max(worst(piece, "max") for piece in during))
        finally:
            cluster.stop()
    lines = [f"### A full copy of {megabytes} MiB to a new follower", "",
             "| server | MiB/s of the transfer | MiB/s from the start of the follower until it has caught up | plain copy MiB/s | leader's p99 us: before, "
             "during | slowest us |", "|---|---|---|---|---|---|"]
    for name in ("nexadb", "redis"):
        for r in (r for r in run.results if r["part"] == "copy" and r["peer"] == name):
            lines.append(f"| {NAMES[name]} | {both([r['transfer']])} | {r['mib'] / r['seconds']:,.0f} | {r['plain']:,.0f} | "
                         f"{both([r['p99_before'], r['p99_during']])} | {r['slowest_during']:,.0f} |")
    return lines + ["", f"The plain copy sends a file of that size from the page cache over loopback and syncs it. The leader's clients ask {rate} times a "
                    "second, 95 % reads and 5 % updates, latencies from the scheduled time; during the copy the median of pieces of two seconds.", ""]


class Arrival(threading.Thread):
    """Waits aside until the followers have everything."""

    def __init__(self, cluster: replicated.Cluster):
        super().__init__(daemon=True)
        self.cluster, self.begin, self.end = cluster, time.monotonic(), None
        self.start()

    def run(self) -> None:
        self.cluster.wait_caught_up(300)
        self.end = time.monotonic()

    def seconds(self) -> float:
        if self.end is None:
            sys.exit("the follower did not catch up within 300 s")
        return self.end - self.begin


def fill(cluster: replicated.Cluster, megabytes: int) -> None:
    """Values of 4 KiB that do not compress."""
    link = probes.LINKS[cluster.name](cluster.nodes[0].port)
    for number in range(megabytes // 2):
        block = os.urandom(2 << 20)
        link.write_many([(f"{number:06}-{i:03}", block[i << 12:(i + 1) << 12]) for i in range(512)])
    link.close()


def transfer(cluster: replicated.Cluster, follower: peers.Peer) -> float | None:
    """How fast the copy travelled, in MiB/s, by the follower's own log."""
    if not isinstance(cluster, replicated.Nexa):
        return None
    times, byte_count = {}, 0
    for line in follower.printed():
        for mark in ("taking a snapshot", "the snapshot is here"):
            if mark in line:
                stamp = re.search(r"T(\d+):(\d+):([\d.]+)Z", line)
                times.setdefault(mark, int(stamp[1]) * 3600 + int(stamp[2]) * 60 + float(stamp[3]))
        if found := re.search(r"bytes=(\d+)", line):
            byte_count = int(found[1])
    if len(times) < 2:
        sys.exit("the follower took no snapshot: its log shows " + "\n".join(follower.printed()[-20:]))
    return byte_count / (1 << 20) / max(times["the snapshot is here"] - times["taking a snapshot"], 0.001)


def worst(result: dict, field: str) -> float:
    return max(times[field] for times in result["latency_us"].values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke run: shows that it works, measures nothing, installs no PostgreSQL")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a cell")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--peers", default=",".join(NAMES))
    parser.add_argument("--copy-mib", type=int, help="size of the full copy (1024)")
    parser.add_argument("--nexadb", default=str(ROOT / ".build/release/nexadb"))
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / ".bench", help="for results and scratch data; on a real disk")
    options = parser.parse_args()
    parts, options.peers = options.only.split(","), options.peers.split(",")
    if unknown := (set(parts) - set(PARTS)) | (set(options.peers) - set(NAMES)):
        parser.error(f"no such part or peer: {', '.join(sorted(unknown))}")
    if options.quick:
        options.runs, options.seconds = 1, 0.4
    if not pathlib.Path(options.nexadb).exists():
        sys.exit(f"{options.nexadb} is missing: make build")
    # Servers are stopped on the way out, also when this run is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("interrupted"))
    output = options.output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    data = output / f"data-{os.getpid()}"
    data.mkdir()
    report = ["# Replication beside Redis and PostgreSQL", "", *compare.machine()]
    run = Run(options, data)
    try:
        for part in parts:
            report += globals()[part](run)
        report += run.notes
        (output / "replication.json").write_text(json.dumps({"options": vars(options), "results": run.results}, indent=1, default=str))
    finally:
        for log in data.glob("*/*.log"):
            shutil.copy(log, output / f"replication-{log.parent.name}-{log.name}")
        shutil.rmtree(data, ignore_errors=True)
    text = "\n".join(report) + "\n"
    (output / "replication.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

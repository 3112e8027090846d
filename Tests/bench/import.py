#!/usr/bin/env python3
"""How fast a file gets into a node, durably, and out again, beside Redis (`redis-cli --pipe`, appendfsync always) and PostgreSQL (COPY
into a jsonb column with a key, one transaction), from the same documents in one run. All servers are on this machine and share its cores
with the tools that feed them. Results go to .bench/import.md and .bench/import.json.

usage: import.py [--documents N] [--runs N] [--peers redis,postgres] [--program NEXADB] [--output DIR]
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import peers
import replicated

ROOT = pathlib.Path(__file__).resolve().parents[2]
CITIES = ["Rome", "Oslo", "Lima", "Paris", "Kyoto"]


def document(n: int) -> str:
    """About 100 bytes of JSON."""
    return (f'{{"name":"User {n:07}","email":"user{n:07}@example.com","age":{18 + n * 7 % 73},"score":{n % 1000 * 0.37:.2f},'
            f'"city":"{CITIES[n % 5]}"}}')


def generate(directory: pathlib.Path, count: int, with_redis: bool) -> None:
    with open(directory / "documents.jsonl", "w") as lines:
        for start in range(0, count, 10_000):
            lines.write("".join(document(n) + "\n" for n in range(start, min(count, start + 10_000))))
    if not with_redis:
        return
    with open(directory / "documents.resp", "w") as commands:
        for n in range(count):
            key, value = f"user:{n:09}", document(n)
            commands.write(f"*3\r\n$3\r\nSET\r\n${len(key)}\r\n{key}\r\n${len(value)}\r\n{value}\r\n")


def timed(command: list[str], **more) -> tuple[float, subprocess.CompletedProcess]:
    began = time.monotonic()
    ran = subprocess.run(command, capture_output=True, text=True, **more)
    elapsed = time.monotonic() - began
    if ran.returncode != 0:
        sys.exit(f"{' '.join(command)}\nfailed with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
    return elapsed, ran


class Results:
    def __init__(self):
        self.rates: dict[str, list[float]] = {}

    def add(self, name: str, count: int, seconds: float) -> None:
        self.rates.setdefault(name, []).append(count / seconds)
        print(f"  {name:44} {count / seconds:>12,.0f} documents/s", file=sys.stderr)

    def table(self) -> str:
        rows = [f"| {name} | {statistics.median(v):,.0f} | {min(v):,.0f} | {max(v):,.0f} |" for name, v in self.rates.items()]
        return "\n".join(["| | documents/s, median | least | most |", "|---|---|---|---|", *rows])


def measure_nexadb(results: Results, directory: pathlib.Path, count: int, run: int, program: str) -> None:
    source, node = directory / "documents.jsonl", peers.Nexa(program, directory / f"nexadb{run}")
    at = ["--port", str(node.port)]
    try:
        timed([program, "ping", *at, "--wait", "30"])
        seconds, _ = timed([program, "import", "documents", str(source), "--dry-run"])
        results.add("nexadb import --dry-run: parsing alone", count, seconds)
        seconds, _ = timed([program, "import", *at, "documents", str(source), "--no-state"])
        results.add("nexadb import, JSONL", count, seconds)
        for format in ("jsonl", "msgpack"):
            file = directory / f"out.{format}"
            node.settle()
            seconds, ran = timed([program, "export", *at, "documents", str(file), "--json"])
            assert json.loads(ran.stdout)["documents"] == count, ran.stdout
            results.add(f"nexadb export, {format}", count, seconds)
            if format == "msgpack":
                seconds, _ = timed([program, "import", *at, "copy", str(file)])
                results.add("nexadb import, MessagePack", count, seconds)
            file.unlink()
    finally:
        node.stop()


def measure_redis(results: Results, directory: pathlib.Path, count: int, run: int, program: str) -> None:
    server = peers.Redis(program, directory / f"redis{run}")
    try:
        replicated.wait(lambda: subprocess.run(["redis-cli", "-p", str(server.port), "ping"], capture_output=True).returncode == 0, "redis")
        with open(directory / "documents.resp") as commands:
            seconds, ran = timed(["redis-cli", "-p", str(server.port), "--pipe"], stdin=commands)
        assert f"replies: {count}" in ran.stdout, ran.stdout
        results.add("redis-cli --pipe (SET, appendfsync always)", count, seconds)
    finally:
        server.stop()


def measure_postgres(results: Results, directory: pathlib.Path, count: int, run: int, programs: pathlib.Path) -> None:
    server = replicated.PostgresNode(programs, directory / f"postgres{run}")
    try:
        server.sql("create table documents(id bigserial primary key, document jsonb not null)")
        # Neither character is in the file: a line is one field.
        copy = "copy documents(document) from stdin with (format csv, quote e'\\x01', delimiter e'\\x02')"
        with open(directory / "documents.jsonl") as lines:
            seconds, _ = timed([str(programs / "psql"), "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-qc", copy],
                               stdin=lines)
        assert server.sql("select count(*) from documents") == str(count)
        results.add("psql COPY (jsonb, one transaction)", count, seconds)
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", default="redis,postgres")
    parser.add_argument("--program", default=str(ROOT / ".build/release/nexadb"))
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / ".bench")
    options = parser.parse_args()
    wanted = options.peers.split(",")
    redis = peers.install("redis-server", "redis-server") if "redis" in wanted else None
    postgres = replicated.postgres_programs(True) if "postgres" in wanted else None
    # The server is set up to wait for a standby; here its own disk is what counts, as for the others.
    os.environ["PGOPTIONS"] = "-c synchronous_commit=local"
    results = Results()
    with tempfile.TemporaryDirectory(prefix="nexadb-import-") as place:
        directory = pathlib.Path(place)
        # PostgreSQL's own user must reach its directory.
        directory.chmod(0o755)
        generate(directory, options.documents, redis is not None)
        for run in range(options.runs):
            measure_nexadb(results, directory, options.documents, run, options.program)
            if redis:
                measure_redis(results, directory, options.documents, run, redis)
            if postgres:
                measure_postgres(results, directory, options.documents, run, postgres)
    text = f"{options.documents:,} documents of about 100 bytes, {options.runs} runs, {os.cpu_count()} cores\n\n{results.table()}\n"
    options.output.mkdir(exist_ok=True)
    (options.output / "import.md").write_text(text)
    (options.output / "import.json").write_text(json.dumps(results.rates, indent=2))
    print(text)


if __name__ == "__main__":
    main()

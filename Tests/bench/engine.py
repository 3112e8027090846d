"""The storage engine alone beside RocksDB's db_bench: same key and value shapes, memory, block size, filter, compression and durability."""

import pathlib
import re
import shutil
import statistics
import subprocess
import sys

import peers

WORKLOADS = ["fillseq", "fillrandom", "overwrite", "readrandom", "readseq", "seekrandom"]
LINE = re.compile(r"^(\w+)\s*:\s*([\d.]+) micros/op\s+(\d+) ops/s", re.MULTILINE)
MEMTABLE, CACHE, BLOCK = 64, 256, 16384


def nexa_command(program: str, directory: pathlib.Path, count: int) -> list[str]:
    return [program, "bench", "engine", ",".join(WORKLOADS), "--directory", str(directory), "--num", str(count), "--value-size", "100",
            "--memory", str(CACHE + 4 * MEMTABLE), "--memtable", str(MEMTABLE), "--cache", str(CACHE), "--block-size", str(BLOCK)]


def rocks_command(program: str, directory: pathlib.Path, count: int) -> list[str]:
    return [program, f"--benchmarks={','.join(WORKLOADS)}", f"--db={directory}", f"--num={count}", "--key_size=16", "--value_size=100",
            "--compression_type=lz4", "--compression_ratio=0.5", "--bloom_bits=10", f"--block_size={BLOCK}", "--checksum_type=4",
            "--format_version=5", f"--write_buffer_size={MEMTABLE << 20}", f"--cache_size={CACHE << 20}",
            "--max_background_jobs=2", "--open_files=-1", "--sync=false", "--seed=42"]


def rates(command: list[str], directory: pathlib.Path) -> dict[str, float]:
    """Operations a second of each workload."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    try:
        outcome = subprocess.run(command, capture_output=True, text=True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    found = {name: float(rate) for name, _, rate in LINE.findall(outcome.stdout)}
    if outcome.returncode != 0 or set(WORKLOADS) - set(found):
        sys.exit(f"{' '.join(command)}\nfailed with {outcome.returncode}:\n{outcome.stdout}{outcome.stderr[-2000:]}")
    return found


def compare(program: str, output: pathlib.Path, runs: int, quick: bool) -> list[str]:
    db_bench = peers.install("rocksdb-tools", "db_bench")
    if db_bench is None:
        return ["### Engine", "", "db_bench is missing and could not be installed: apt-get install rocksdb-tools", ""]
    count = 20_000 if quick else 1_000_000
    directory = output / "engine-data"
    commands = {"nexadb": nexa_command(program, directory, count), "rocksdb": rocks_command(db_bench, directory, count)}
    results: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for run in range(runs):
        for name in list(commands) if run % 2 == 0 else list(commands)[::-1]:
            results[name].append(rates(commands[name], directory))
            print(f"  run {run + 1}  engine   {name}", file=sys.stderr)
    lines = [f"### Engine alone beside RocksDB's db_bench, {count:,} keys of 16 bytes, values of 100 bytes, one thread", "",
             "| workload | NexaDB ops/s | RocksDB ops/s | ratio |", "|---|---|---|---|"]
    for workload in WORKLOADS:
        ours, theirs = (statistics.median(run[workload] for run in results[name]) for name in ("nexadb", "rocksdb"))
        lines.append(f"| {workload} | {ours:,.0f} | {theirs:,.0f} | **{ours / theirs:.2f}** |")
    return lines + ["", f"`{' '.join(commands['nexadb'][1:])}`", "", f"`db_bench {' '.join(commands['rocksdb'][1:])}`", "",
                    "Debian's db_bench is built with assertions, which costs it some 20 % of its writes.", ""]

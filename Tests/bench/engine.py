"""The storage engine alone beside RocksDB's db_bench: the same keys and values, memory, block size, filter, compression and durability, and
the same state before each workload. An engine runs in processes of its own, one after the other:

    fill sequential     an empty directory
    fill random         an empty directory; then flush and compactions to their end, which are not measured
    read                that store opened anew: nothing in the block cache, everything in the system's page cache; the second readrandom,
                        readseq and seekrandom find the blocks cached
    overwrite           that store opened anew
"""

import pathlib
import re
import shutil
import statistics
import subprocess
import sys

import peers

LINE = re.compile(r"^(\w+)\s*:\s*([\d.]+) micros/op\s+(\d+) ops/s", re.MULTILINE)
MEMTABLE, CACHE, BLOCK = 64, 256, 16384
# (name in the report, name of the benchmark, which of its lines)
WORKLOADS = [("fillseq", "fillseq", 0), ("fillrandom", "fillrandom", 0), ("readrandom, block cache cold", "readrandom", 0),
             ("readrandom, cached", "readrandom", 1), ("readseq", "readseq", 0), ("seekrandom", "seekrandom", 0),
             ("overwrite", "overwrite", 0)]
READS = "readrandom,readrandom,readseq,seekrandom"


def nexa_command(program: str, directory: pathlib.Path, count: int, workloads: str) -> list[str]:
    return [program, "bench", "engine", workloads, "--directory", str(directory), "--num", str(count), "--value-size", "100",
            "--memory", str(CACHE + 4 * MEMTABLE), "--memtable", str(MEMTABLE), "--cache", str(CACHE), "--block-size", str(BLOCK)]


def rocks_command(program: str, directory: pathlib.Path, count: int, workloads: str, *more: str) -> list[str]:
    return [program, f"--benchmarks={workloads}", f"--db={directory}", f"--num={count}", "--key_size=16", "--value_size=100",
            "--compression_type=lz4", "--compression_ratio=0.5", "--bloom_bits=10", f"--block_size={BLOCK}", "--checksum_type=4",
            "--format_version=5", f"--write_buffer_size={MEMTABLE << 20}", f"--cache_size={CACHE << 20}",
            "--max_background_jobs=2", "--open_files=-1", "--sync=false", "--seed=42", *more]


def nexa_steps(program: str, directory: pathlib.Path, count: int) -> list[tuple[list[str], bool]]:
    """(command, whether it begins with an empty directory)."""
    return [(nexa_command(program, directory, count, "fillseq"), True), (nexa_command(program, directory, count, "fillrandom,settle"), True),
            (nexa_command(program, directory, count, READS), False), (nexa_command(program, directory, count, "overwrite"), False)]


def rocks_steps(program: str, directory: pathlib.Path, count: int) -> list[tuple[list[str], bool]]:
    there = "--use_existing_db=1"
    return [(rocks_command(program, directory, count, "fillseq"), True),
            (rocks_command(program, directory, count, "fillrandom,flush,waitforcompaction"), True),
            (rocks_command(program, directory, count, READS, there), False),
            (rocks_command(program, directory, count, "overwrite", there), False)]


def byte_count(directory: pathlib.Path) -> int:
    return sum(file.stat().st_size for file in directory.rglob("*.sst"))


def rates(steps: list[tuple[list[str], bool]], directory: pathlib.Path) -> dict[str, float]:
    """Operations a second of each workload, and `bytes`, the size of the tables that were read."""
    lines: dict[str, list[float]] = {}
    sizes = []
    try:
        for command, is_fresh in steps:
            if is_fresh:
                shutil.rmtree(directory, ignore_errors=True)
                directory.mkdir(parents=True)
            outcome = subprocess.run(command, capture_output=True, text=True)
            found = LINE.findall(outcome.stdout)
            if outcome.returncode != 0 or not found:
                sys.exit(f"{' '.join(command)}\nfailed with {outcome.returncode}:\n{outcome.stdout}{outcome.stderr[-2000:]}")
            for name, _, rate in found:
                lines.setdefault(name, []).append(float(rate))
            sizes.append(byte_count(directory))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return {title: lines[name][index] for title, name, index in WORKLOADS} | {"bytes": sizes[1]}


def compare(program: str, output: pathlib.Path, runs: int, quick: bool, count: int | None = None) -> list[str]:
    db_bench = peers.install("rocksdb-tools", "db_bench")
    if db_bench is None:
        return ["### Engine", "", "db_bench is missing and could not be installed: apt-get install rocksdb-tools", ""]
    count = count or (20_000 if quick else 1_000_000)
    directory = output / "engine-data"
    steps = {"nexadb": nexa_steps(program, directory, count), "rocksdb": rocks_steps(db_bench, directory, count)}
    results: dict[str, list[dict[str, float]]] = {name: [] for name in steps}
    for run in range(runs):
        for name in list(steps) if run % 2 == 0 else list(steps)[::-1]:
            results[name].append(rates(steps[name], directory))
            print(f"  run {run + 1}  engine   {name}", file=sys.stderr)
    lines = [f"### Engine alone beside RocksDB's db_bench, {count:,} keys of 16 bytes, values of 100 bytes, one thread", "",
             "| workload | NexaDB ops/s | RocksDB ops/s | ratio |", "|---|---|---|---|"]
    for title, _, _ in WORKLOADS:
        ours, theirs = (statistics.median(run[title] for run in results[name]) for name in ("nexadb", "rocksdb"))
        lines.append(f"| {title} | {ours:,.0f} | {theirs:,.0f} | **{ours / theirs:.2f}** |")
    ours, theirs = (statistics.median(run["bytes"] for run in results[name]) for name in ("nexadb", "rocksdb"))
    lines.append(f"| MB in tables after fillrandom | {ours / 1e6:.1f} | {theirs / 1e6:.1f} | {ours / theirs:.2f} |")
    lines += ["", "Fills begin with an empty directory. The reads open the store of fillrandom anew, after its flush and its compactions: block "
              f"cache {CACHE} MiB and empty, files in the page cache; from the second readrandom on the blocks are cached. overwrite opens "
              "it once more. Writes go to the log without a sync.", ""]
    lines += [f"`{' '.join(command[1:])}`  " for command, _ in steps["nexadb"]] + [""]
    lines += [f"`db_bench {' '.join(command[1:])}`  " for command, _ in steps["rocksdb"]]
    return lines + ["", "Debian's db_bench is built with assertions, which costs it some 20 % of its writes.", ""]

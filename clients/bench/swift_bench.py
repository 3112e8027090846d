#!/usr/bin/env python3
"""How fast the Swift client is: .build/release/client-bench over one connection against one fresh node on this machine.

usage: swift_bench.py [SECONDS]      how long each row is measured (default 2)

The program prints one line of JSON a row: {"client", "name", "value", "unit"}.
"""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
NODE = pathlib.Path(os.environ.get("NEXADB_BIN", ROOT / ".build" / "release" / "nexadb"))
# Several times what the program takes.
PROGRAM_SECONDS = 300


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Node:
    """A node on a temporary directory."""

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="nexa-bench-")
        self.port = free_port()
        self.process = subprocess.Popen(
            [NODE, "serve", "--data-dir", self.directory, "--port", str(self.port), "--admin-port", "off"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise SystemExit("the node did not start")
                time.sleep(0.05)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.directory, ignore_errors=True)


def main():
    seconds = sys.argv[1] if len(sys.argv) > 1 else "2"
    with Node() as node:
        program = [str(ROOT / ".build" / "release" / "client-bench"), str(node.port), seconds]
        result = subprocess.run(program, stdout=subprocess.PIPE, text=True, timeout=PROGRAM_SECONDS, check=True)
    for row in map(json.loads, result.stdout.splitlines()):
        print(f"{row['name']:<50} {row['value']:>12,.0f} {row['unit']}")


if __name__ == "__main__":
    main()

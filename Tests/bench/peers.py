"""The servers of a comparison: started on their own directories and free ports of the loopback, stopped by their process ids."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def install(package: str, program: str) -> str | None:
    """The path of `program`, installed with apt when it is missing; None when that is not possible."""
    found = shutil.which(program)
    if found:
        return found
    apt = ["apt-get", "install", "-y", "-q", "--no-install-recommends", package]
    subprocess.run(apt if os.geteuid() == 0 else ["sudo", "-n", *apt], stdout=subprocess.DEVNULL, check=False)
    return shutil.which(program)


class Peer:
    """A running server."""

    name: str
    port: int

    def __init__(self, command: list[str], directory: pathlib.Path):
        directory.mkdir(parents=True)
        self.log = open(directory.with_suffix(".log"), "w")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()

    def cpu_seconds(self) -> float:
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        return int(pathlib.Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def settle(self, limit: float = 10) -> None:
        """Waits until the server has finished what it does behind the answers (flushes, compactions)."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            before = self.cpu_seconds()
            time.sleep(0.25)
            if self.cpu_seconds() - before < 0.03:
                return

    def bench_arguments(self) -> list[str]:
        raise NotImplementedError


class Redis(Peer):
    """Redis as a durable store: every write is in the append-only file, and synced, before its answer."""

    name = "redis"

    def __init__(self, program: str, directory: pathlib.Path):
        self.port = free_port()
        super().__init__(
            [program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(directory), "--daemonize", "no",
             "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--auto-aof-rewrite-percentage", "0"],
            directory)

    def bench_arguments(self) -> list[str]:
        return ["--target", "redis", "--port", str(self.port)]


class Nexa(Peer):
    """A node with its default durability: every write is synced before its answer."""

    name = "nexadb"

    def __init__(self, program: str, directory: pathlib.Path):
        self.port = free_port()
        super().__init__(
            [program, "serve", "--data-dir", str(directory), "--host", "127.0.0.1", "--port", str(self.port),
             "--admin-port", str(free_port())],
            directory)

    def bench_arguments(self) -> list[str]:
        return ["--target", "nexa", "--port", str(self.port)]


class Compact:
    """The same node, driven in the compact form: bound handles and field numbers instead of names."""

    name = "compact"

    def __init__(self, node: Nexa):
        self.node = node

    @property
    def pid(self) -> int:
        return self.node.pid

    def bench_arguments(self) -> list[str]:
        return [*self.node.bench_arguments(), "--compact"]

"""One `nexadb serve` as a child process: started on a free port, watched, stopped by its own process id and never by name.

The binary comes from NEXADB_BIN (default: .build/release/nexadb of this repository). Output goes to a file, so that a node is
never held up by a full pipe and its last words are there when a test fails.
"""
import os
import re
import resource
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

from . import wire

ROOT = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("NEXADB_BIN", ROOT / ".build/release/nexadb"))
# Whatever proxy the environment names is not for loopback.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
STARTS_WITHIN = float(os.environ.get("NEXA_E2E_START_SECONDS", "30"))


class StartFailed(Exception):
    """The node ended, or stayed silent, instead of taking its ports."""

    def __init__(self, code, output):
        super().__init__(f"exit code {code}:\n{output[-3000:]}")
        self.code, self.output = code, output


def environment(more: dict | None = None) -> dict:
    """This process's variables less the node's own settings, which a test names itself."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NEXADB_")}
    return {**kept, "SWIFT_BACKTRACE": "enable=no", **(more or {})}


def ports_of(line: str) -> tuple[int, int] | None:
    """The wire port and the admin port that a start-up line names, or None for any other line."""
    named = re.search(r"\bport[=: ]+(\d+).*\badmin[_-]port[=: ]+(\d+)", line)
    if named:
        return int(named[1]), int(named[2])
    spoken = re.findall(r"127\.0\.0\.1:(\d+)", line)
    return (int(spoken[0]), int(spoken[1])) if len(spoken) >= 2 and spoken[0] != spoken[1] else None


class Node:
    def __init__(self, data: Path, *options: str, env: dict | None = None, wrapper: list[str] | None = None,
                 output: Path | None = None, file_size_limit: int | None = None, descriptor_limit: int | None = None):
        self.data, self.options, self.wrapper = Path(data), list(options), wrapper or []
        self.env, self.file_size_limit, self.descriptor_limit = env or {}, file_size_limit, descriptor_limit
        self.output_path = output or self.data.parent / f"{self.data.name}.log"
        self.process: subprocess.Popen | None = None
        self.port = self.admin_port = 0

    # Life

    def command(self) -> list[str]:
        return [*self.wrapper, str(BINARY), "serve", "--data-dir", str(self.data), "--host", "127.0.0.1", "--port", "0",
                "--admin-port", "0", *self.options]

    def start(self) -> "Node":
        self.spawn()
        deadline = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < deadline:
            for line in self.output().splitlines():
                if found := ports_of(line):
                    self.port, self.admin_port = found
                    return self
            if self.process.poll() is not None:
                raise StartFailed(self.process.returncode, self.output())
            time.sleep(0.01)
        self.kill()
        raise StartFailed("none, silent", self.output())

    def spawn(self):
        """Starts the process without waiting for its ports."""
        descriptors = self.descriptor_limit or resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        # By a program and not in the forked child: threads of the test run may be anywhere at that moment.
        limits = ["prlimit", f"--nofile={descriptors}:{descriptors}"]
        if self.file_size_limit:
            limits.append(f"--fsize={self.file_size_limit}:{self.file_size_limit}")
        self.output_path.parent.mkdir(parents=True, exist_ok=True)
        self.log_start = self.output_path.stat().st_size if self.output_path.exists() else 0
        with open(self.output_path, "ab") as log:
            self.process = subprocess.Popen([*limits, *self.command()], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment(self.env))

    @property
    def pid(self) -> int:
        """The node's own process id, also under a wrapper such as strace."""
        if not self.wrapper:
            return self.process.pid
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0]) if children else self.process.pid

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self, within: float = 20) -> int:
        """SIGTERM and the exit code."""
        if self.alive:
            os.kill(self.pid, signal.SIGTERM)
        return self.wait(within)

    def kill(self):
        """SIGKILL: what a crash of the process is."""
        if self.alive:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.process is not None:
            self.wait(20)

    def freeze(self):
        """SIGSTOP, and waits until every thread stands still: on a busy machine that takes a while."""
        os.kill(self.pid, signal.SIGSTOP)
        deadline = time.monotonic() + 10
        while any(stat.read_text().rsplit(")", 1)[1].split()[0] != "T" for stat in Path(f"/proc/{self.pid}/task").glob("*/stat")):
            assert time.monotonic() < deadline, f"{self.data.name} does not stop"
            time.sleep(0.005)

    def thaw(self):
        os.kill(self.pid, signal.SIGCONT)

    def wait(self, within: float) -> int:
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError(f"the node did not end within {within} s:\n{self.output()[-2000:]}") from None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()

    # Views from outside

    def output(self) -> str:
        """What this run of the node has printed so far."""
        with open(self.output_path, "rb") as log:
            log.seek(self.log_start)
            return log.read().decode(errors="replace")

    def wire(self, **options) -> wire.Wire:
        return wire.Wire(self.port, **options)

    @property
    def http_port(self) -> int:
        """Where the gateway listens."""
        return int(re.search(r"HTTP on https?://[^ ,]*:(\d+)", self.output())[1])

    def http(self, path: str, timeout: float = 5) -> tuple[int, str]:
        try:
            with DIRECT.open(f"http://127.0.0.1:{self.admin_port}{path}", timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def takes_writes(self) -> bool:
        """It leads, and the first record of its leadership is on disk: its role is told before that."""
        return self.http("/leader")[0] == 200

    def resident_bytes(self) -> int:
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())[1]) * 1024

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def answers_ping(self, within: float = 1.0) -> bool:
        """Whether a fresh connection gets PONG in time."""
        try:
            with self.wire(timeout=within) as fresh:
                return fresh.ask(wire.PING, {}).type == wire.PONG
        except (OSError, wire.Closed):
            return False


def tool(*arguments: str, timeout: float = 60, env: dict | None = None) -> subprocess.CompletedProcess:
    """Runs another subcommand of the binary to its end."""
    return subprocess.run([str(BINARY), *arguments], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
                          env=environment(env))

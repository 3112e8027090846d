"""What looks at replicated servers from outside: clients for single requests, the lag of a follower, a limit on processor time, and the
plain copy that a full copy is compared with."""

import multiprocessing
import os
import pathlib
import signal
import socket
import struct
import threading
import time


def percentile(values: list[float], share: float) -> float:
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


# Clients

def pack(value) -> bytes:
    """MessagePack of strings, small numbers, bytes, lists and maps."""
    if isinstance(value, str):
        text = value.encode()
        return (bytes([0xA0 | len(text)]) if len(text) < 32 else struct.pack(">BB", 0xD9, len(text))) + text
    if isinstance(value, int):
        return struct.pack(">BI", 0xCE, value)
    if isinstance(value, bytes):
        return struct.pack(">BI", 0xC6, len(value)) + value
    if isinstance(value, list):
        return struct.pack(">BI", 0xDD, len(value)) + b"".join(map(pack, value))
    return struct.pack(">BH", 0xDE, len(value)) + b"".join(pack(k) + pack(v) for k, v in value.items())


class Link:
    """One request, one answer."""

    def __init__(self, port: int):
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb", 65536)

    def close(self) -> None:
        self.stream.close()
        self.socket.close()


class NexaLink(Link):
    CREATE, READ, BATCH_WRITE, SUCCESS, NOT_FOUND = 0x02, 0x03, 0x08, 0x81, 0x83

    def ask(self, kind: int, payload: dict) -> int:
        """The type of the answer."""
        body = pack(payload)
        self.socket.sendall(struct.pack(">4sBBHI", b"NEXA", 1, kind, 0, len(body)) + body)
        answer, length = struct.unpack(">5xB2xI", self.stream.read(12))
        content = self.stream.read(length)
        if answer not in (self.SUCCESS, self.NOT_FOUND):
            raise OSError(f"request {kind:#x} was answered {answer:#x}: {content[:200]!r}")
        return answer

    def write(self, key: str) -> None:
        self.ask(self.CREATE, {"collection": "probes", "data": {"_id": key, "n": 1}})

    def has(self, key: str) -> bool:
        try:
            return self.ask(self.READ, {"collection": "probes", "key": key}) == self.SUCCESS
        except OSError as error:
            # Before the first write arrived the collection does not exist there.
            if "NO_SUCH_COLLECTION" in str(error):
                return False
            raise

    def write_many(self, items: list[tuple[str, bytes]]) -> None:
        self.ask(self.BATCH_WRITE, {"collection": "large", "documents": [{"_id": key, "bytes": value} for key, value in items]})


class RedisLink(Link):
    def ask(self, *words: bytes) -> bytes | None:
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        line = self.stream.readline()
        if line[:1] == b"-" or not line:
            raise OSError(line.decode())
        if line[:1] != b"$":
            return line
        length = int(line[1:])
        return None if length < 0 else self.stream.read(length + 2)

    def write(self, key: str) -> None:
        self.ask(b"SET", key.encode(), b"1")

    def has(self, key: str) -> bool:
        return self.ask(b"GET", key.encode()) is not None

    def write_many(self, items: list[tuple[str, bytes]]) -> None:
        self.ask(b"MSET", *(word for key, value in items for word in (key.encode(), value)))


LINKS = {"nexadb": NexaLink, "redis": RedisLink}


# Lag

def lags(kind: str, leader: int, follower: int, seconds: float, tag: str) -> list[float]:
    """Seconds from the answer to a write on the leader until a read on the follower finds it, again and again. One look costs a round
    trip, so what a follower shows at once takes one."""
    write, read = LINKS[kind](leader), LINKS[kind](follower)
    found, deadline = [], time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            key = f"{tag}-{len(found)}"
            write.write(key)
            begin = time.perf_counter()
            while not read.has(key):
                if time.perf_counter() - begin > 20:
                    raise TimeoutError(f"{key} did not arrive on the follower within 20 s")
            found.append(time.perf_counter() - begin)
            time.sleep(0.002)
    finally:
        write.close()
        read.close()
    return found


# Processor time

class Share:
    """Holds processes to a part of one core while it is entered: by a control group where that may be made, else by stopping and
    continuing them (`how` says which)."""

    PERIOD_US = 20_000

    def __init__(self, pids: list[int], share: float):
        self.pids, self.share, self.groups, self.done = pids, share, [], threading.Event()
        self.how = self.controlled_by_group("/sys/fs/cgroup", "cgroup cpu.max") if pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists() \
            else self.controlled_by_group("/sys/fs/cgroup/cpu", "cgroup cpu.cfs_quota_us")

    def controlled_by_group(self, root: str, how: str) -> str:
        quota = round(self.PERIOD_US * self.share)
        try:
            for pid in self.pids:
                group = pathlib.Path(root) / f"nexadb-bench-{pid}"
                group.mkdir()
                self.groups.append(group)
                if (group / "cpu.max").exists():
                    (group / "cpu.max").write_text(f"{quota} {self.PERIOD_US}")
                else:
                    (group / "cpu.cfs_period_us").write_text(f"{self.PERIOD_US}")
                    (group / "cpu.cfs_quota_us").write_text(f"{quota}")
                (group / "cgroup.procs").write_text(f"{pid}")
            return how
        except OSError:
            self.leave_groups(root)
            return "SIGSTOP and SIGCONT"

    def leave_groups(self, root: str) -> None:
        for group in self.groups:
            try:
                for pid in (group / "cgroup.procs").read_text().split():
                    pathlib.Path(root, "cgroup.procs").write_text(pid)
                group.rmdir()
            except OSError:
                pass
        self.groups = []

    def __enter__(self) -> "Share":
        if not self.groups:
            self.threads = [threading.Thread(target=self.pulse, args=(pid,), daemon=True) for pid in self.pids]
            for thread in self.threads:
                thread.start()
        return self

    def pulse(self, pid: int) -> None:
        try:
            while not self.done.is_set():
                os.kill(pid, signal.SIGCONT)
                time.sleep(self.PERIOD_US * self.share / 1e6)
                os.kill(pid, signal.SIGSTOP)
                time.sleep(self.PERIOD_US * (1 - self.share) / 1e6)
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

    def __exit__(self, *_) -> None:
        self.done.set()
        if self.groups:
            self.leave_groups(str(self.groups[0].parent))
        else:
            for thread in self.threads:
                thread.join()


# The plain copy

def plain_copy(directory: pathlib.Path, byte_count: int) -> float:
    """Seconds to send a file that is in the page cache over loopback and have it on disk on the other side: what a full copy could take."""
    source, target = directory / "copy-source", directory / "copy-target"
    block = os.urandom(1 << 20)
    with open(source, "wb") as file:
        for _ in range(max(1, byte_count >> 20)):
            file.write(block)
        os.fsync(file.fileno())
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = multiprocessing.get_context("fork").Process(target=send_file, args=(server.getsockname()[1], source), daemon=True)
        begin = time.monotonic()
        sender.start()
        server.settimeout(60)
        link, _ = server.accept()
        link.settimeout(60)
        buffer = bytearray(1 << 20)
        with link, open(target, "wb", buffering=0) as file:
            while count := link.recv_into(buffer):
                file.write(memoryview(buffer)[:count])
            os.fsync(file.fileno())
        seconds = time.monotonic() - begin
        sender.join(60)
    source.unlink()
    target.unlink()
    return seconds


def send_file(port: int, path: pathlib.Path) -> None:
    with socket.create_connection(("127.0.0.1", port)) as link, open(path, "rb") as file:
        link.sendfile(file)

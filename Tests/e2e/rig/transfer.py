"""`nexadb import` and `nexadb export` as a test runs them, and what is in a collection afterwards."""
import json
import os
import subprocess
import time

import msgpack

from .node import BINARY, environment, tool
from .plain import PlainClient

META = ("_created_at", "_updated_at")


def load(node, *arguments, code=0, **more):
    ran = tool("import", "--port", str(node.port), *map(str, arguments), **more)
    assert ran.returncode == code, ran
    return ran


def summary(node, *arguments, **more):
    return json.loads(load(node, *arguments, "--json", **more).stdout)


def documents(node, collection, *arguments):
    """The documents of a collection as the MessagePack export has them, one by one."""
    with subprocess.Popen([str(BINARY), "export", "--port", str(node.port), collection, "-", "--format", "msgpack", *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment()) as running:
        yield from msgpack.Unpacker(running.stdout, raw=False, timestamp=0, max_buffer_size=0, strict_map_key=False)
        assert running.wait(60) == 0, running.stderr.read()


def dump(node, collection, *arguments):
    """All of them, without the times that the node keeps."""
    return [{k: v for k, v in document.items() if k not in META} for document in documents(node, collection, *arguments)]


def write_lines(file, count):
    """Every third record brings its own id."""
    with open(file, "w") as out:
        for n in range(count):
            own, more = (f'"_id": "own{n}", ', "") if n % 3 == 0 else ("", ', "city": "Rome"')
            out.write(f'{{{own}"n": {n}, "name": "User {n:07}", "email": "user{n:07}@example.com", "age": {n % 90}{more}}}\n')


class Running:
    """An import in the background."""

    def __init__(self, node, *arguments):
        self.process = subprocess.Popen(
            [str(BINARY), "import", "--port", str(node.port), *map(str, arguments), "--json"], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=environment())

    def wait(self, timeout=600):
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, err

    def kill_after(self, seconds):
        """SIGKILL; False when it had ended before."""
        try:
            self.process.wait(seconds)
            return False
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return True
        finally:
            self.process.stdout.close()
            self.process.stderr.close()

    def reaches(self, state, offset, within=120):
        """Waits until the state file keeps a position behind `offset`; False when the import ended first."""
        deadline = time.monotonic() + within
        while position(state) <= offset:
            if self.process.poll() is not None:
                return False
            assert time.monotonic() < deadline, f"the position stays at {offset}"
            time.sleep(0.002)
        return True


def position(state):
    """0 before the import has begun: then there is no file, or an empty one."""
    text = state.read_text() if state.exists() else ""
    return json.loads(text)["position"]["offset"] if text else 0


def forget(node):
    """Has a node with `--op-id-window 1s` forget the names of batches: two turns of its memory, each by the first write behind a window."""
    with PlainClient(node.port) as client:
        for _ in range(2):
            time.sleep(1.1)
            client.create("turn", {}, op_id=os.urandom(24))


def numbers(node, collection, count):
    """Asserts that each number stands there exactly once."""
    seen, total = bytearray(count), 0
    for document in documents(node, collection, "--fields", "n"):
        seen[document["n"]] = 1
        total += 1
    assert total == count and sum(seen) == count, (total, sum(seen), count)

"""Counts allocations of a node per READ and per CREATE on the steady path, and fails when a READ costs any.

    python3 Tests/scripts/allocations.py .build/release/nexadb

A preloaded library counts malloc, calloc and realloc of the whole process; the node has one event loop; the client is this script
with frames made by hand. What is left over a few thousand requests belongs to timers and to the connection itself.
"""

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

COUNTER = r"""
#include <signal.h>
#include <stdio.h>
#include <stddef.h>
#include <unistd.h>
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
static unsigned long count;
#define COUNT __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED)
void *malloc(size_t n) { COUNT; return __libc_malloc(n); }
void *calloc(size_t n, size_t m) { COUNT; return __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { COUNT; return __libc_realloc(p, n); }
static void tell(int s) { char text[64]; (void)!write(2, text, snprintf(text, sizeof text, "allocations=%lu\n", count)); }
__attribute__((constructor)) static void begin(void) { signal(SIGUSR2, tell); }
"""


def text(value):
    return bytes([0xA0 | len(value)]) + value.encode()


def frame(kind, payload):
    return b"NEXA" + struct.pack(">BBHI", 1, kind, 0, len(payload)) + payload


READ = frame(3, b"\x82" + text("collection") + text("c") + text("key") + text("k"))
CREATE = frame(2, b"\x82" + text("collection") + text("c") + text("data") + b"\x82" + text("name") + text("user") + text("n") + b"\x01")
FIRST = frame(2, b"\x82" + text("collection") + text("c") + text("data") + b"\x81" + text("_id") + text("k"))


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.input = b""

    def exchange(self, request, count):
        self.socket.sendall(request * count)
        while count:
            while len(self.input) >= 12 and len(self.input) >= 12 + struct.unpack_from(">I", self.input, 8)[0]:
                assert self.input[5] == 0x81, self.input[:200]
                self.input = self.input[12 + struct.unpack_from(">I", self.input, 8)[0] :]
                count -= 1
            if count:
                self.input += self.socket.recv(1 << 16)


def main(binary):
    with tempfile.TemporaryDirectory() as directory:
        library = os.path.join(directory, "counter.so")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=COUNTER.encode(), check=True)
        log = open(os.path.join(directory, "log"), "w+b")
        node = subprocess.Popen(
            [binary, "serve", "--data-dir", os.path.join(directory, "data"), "--port", "0", "--admin-port", "off", "--threads", "1"],
            env={**os.environ, "LD_PRELOAD": library}, stdout=subprocess.PIPE, stderr=log)
        try:
            port = int(re.search(rb"listening on 127\.0\.0\.1:(\d+)", node.stdout.readline()).group(1))
            return measure(node, log, Client(port))
        finally:
            node.terminate()
            node.wait()


def counted(node, log):
    """The count so far; the node writes it to its log when asked."""
    before = len(re.findall(rb"allocations=", open(log.name, "rb").read()))
    node.send_signal(signal.SIGUSR2)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        counts = re.findall(rb"allocations=(\d+)", open(log.name, "rb").read())
        if len(counts) > before:
            return int(counts[-1])
        time.sleep(0.01)
    raise SystemExit("the node did not tell its count")


def measure(node, log, client):
    client.exchange(FIRST, 1)
    client.exchange(CREATE, 500)
    failed = False
    print(f"{'request':8} {'depth':>5} {'requests':>9} {'allocations':>12} {'each':>8}")
    for name, request, limit in (("READ", READ, 0.05), ("CREATE", CREATE, 1.0)):
        for depth in (1, 16):
            client.exchange(request, depth)
            before = counted(node, log)
            for _ in range(8_000 // depth):
                client.exchange(request, depth)
            each = (counted(node, log) - before) / 8_000
            print(f"{name:8} {depth:5} {8_000:9} {round(each * 8_000):12} {each:8.4f}")
            failed |= each > limit
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

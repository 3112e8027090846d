"""Thousands of connections in a process of their own (each process has its own limit of descriptors), led by lines on standard input.

    python crowd.py PORT COUNT      opens COUNT connections, has a PING answered on each, prints {"opened": ...}
    ask                             a PING on every connection; prints how long until all were answered
    storm ACTIVE SECONDS            the first ACTIVE connections read and write as fast as they are answered; prints rates and latencies
    end                             closes everything
"""
import json
import random
import resource
import select
import socket
import sys
import time

import wire_format


class Crowd:
    def __init__(self, port: int, count: int):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.poll, self.members, self.input = select.epoll(), {}, {}
        for _ in range(count):
            s = socket.socket()
            s.settimeout(20)
            s.connect(("127.0.0.1", port))
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.setblocking(False)
            self.members[s.fileno()], self.input[s.fileno()] = s, b""
            self.poll.register(s.fileno(), select.EPOLLIN)

    def exchange(self, first: dict[int, bytes], answered, until: float):
        """Sends `first`, then whatever `answered(descriptor, type)` returns, until nothing is outstanding or the time is over."""
        outstanding = set(first)
        for fd, data in first.items():
            self.members[fd].send(data)
        while outstanding and time.monotonic() < until:
            for fd, _ in self.poll.poll(0.2):
                data = self.members[fd].recv(65536)
                if not data:
                    raise ConnectionError("the node closed a connection")
                self.input[fd] += data
                while (found := wire_format.split(self.input[fd])) is not None:
                    kind, self.input[fd] = found
                    following = answered(fd, kind)
                    if following is None:
                        outstanding.discard(fd)
                    else:
                        self.members[fd].send(following)
        return len(outstanding)

    def ask(self) -> float:
        start = time.monotonic()
        left = self.exchange({fd: wire_format.PING for fd in self.members}, lambda fd, kind: None, start + 60)
        if left:
            raise TimeoutError(f"{left} connections were not answered")
        return time.monotonic() - start

    def storm(self, active: int, seconds: float) -> dict:
        chosen, rng, serial = list(self.members)[:active], random.Random(1), 0
        sent_at, latencies, wrong = {}, [], 0
        end = time.monotonic() + seconds

        def message(fd):
            nonlocal serial
            serial += 1
            sent_at[fd] = time.monotonic()
            return wire_format.create(serial) if serial % 4 == 0 else wire_format.read(rng.randrange(1000))

        def answered(fd, kind):
            nonlocal wrong
            now = time.monotonic()
            latencies.append(now - sent_at[fd])
            wrong += kind != wire_format.SUCCESS
            return message(fd) if now < end else None

        start = time.monotonic()
        left = self.exchange({fd: message(fd) for fd in chosen}, answered, end + 20)
        took = time.monotonic() - start
        latencies.sort()
        return {"operations": len(latencies), "rate": len(latencies) / took, "wrong": wrong, "unanswered": left,
                "p50_ms": 1000 * latencies[len(latencies) // 2], "p99_ms": 1000 * latencies[int(len(latencies) * 0.99)],
                "max_ms": 1000 * latencies[-1]}


def main():
    start = time.monotonic()
    crowd = Crowd(int(sys.argv[1]), int(sys.argv[2]))
    connected = time.monotonic() - start
    print(json.dumps({"opened": len(crowd.members), "connect_seconds": connected, "ask_seconds": crowd.ask()}), flush=True)
    for line in sys.stdin:
        words = line.split()
        if words[0] == "ask":
            print(json.dumps({"ask_seconds": crowd.ask()}), flush=True)
        elif words[0] == "storm":
            print(json.dumps(crowd.storm(int(words[1]), float(words[2]))), flush=True)
        else:
            return


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A node that misbehaves on purpose, one way per run, to test clients against.

    hostile.py SCENARIO        listens on 127.0.0.1, prints `port N`, then answers each line on its standard input with one line of JSON:
                               {"accepted": connections so far, "open": connections now, "requests": requests so far}

It greets properly (CONNECT, BIND and STATUS, by which a client learns of members, are answered as a node answers, and not counted) unless
the scenario is about the greeting, and then does to the first other request what its name in SCENARIOS says. It ends when its standard
input does. Only Python's own library is used.
"""
import json
import os
import random
import socket
import struct
import sys
import threading
import time

HEADER = struct.Struct(">4sBBHI")
CONNECT, CREATE, READ, QUERY, PING, BIND, CANCEL, STATUS, CURSOR_CREDIT = 0x01, 0x02, 0x03, 0x06, 0x09, 0x2E, 0x2B, 0x2C, 0x2D
SUCCESS, ERROR, STREAM_START, STREAM_CHUNK, PONG = 0x81, 0x82, 0x85, 0x86, 0x88
REQUEST_ID, TOKEN, COMPRESSED = 1, 2, 4
MAX_FRAME = 16 << 20
FEATURES = ["request_id", "token", "stream", "compact", "duplicate"]


def pack(value) -> bytes:
    """MessagePack of what this file sends: short texts, small lists and maps, integers, booleans, nil."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return struct.pack(">Bq", 0xD3, value)
    if isinstance(value, str):
        raw = value.encode()
        return struct.pack(">BH", 0xDA, len(raw)) + raw
    if isinstance(value, list):
        return struct.pack(">BH", 0xDC, len(value)) + b"".join(map(pack, value))
    return struct.pack(">BH", 0xDE, len(value)) + b"".join(pack(k) + pack(v) for k, v in value.items())


class Request:
    """One frame of a client; `id` is None where it asked for none."""

    def __init__(self, message_type, flags, body):
        self.type = message_type
        self.flags = flags
        self.id = struct.unpack_from(">I", body)[0] if flags & REQUEST_ID else None

    def prefix(self):
        """(flags, bytes in front of the payload) of a proper answer."""
        flags, prefix = 0, b""
        if self.id is not None:
            flags, prefix = REQUEST_ID, struct.pack(">I", self.id)
        if self.flags & TOKEN:
            flags, prefix = flags | TOKEN, prefix + struct.pack(">QQ", 1, 7)
        return flags, prefix

    def answer(self, payload, message_type=SUCCESS, flags=0):
        """A proper frame around `payload`: bytes as they are, anything else packed."""
        payload = payload if isinstance(payload, bytes) else pack(payload)
        own, prefix = self.prefix()
        return HEADER.pack(b"NEXA", 1, message_type, own | flags, len(prefix) + len(payload)) + prefix + payload


class Line:
    """One connection of a client."""

    def __init__(self, peer, server):
        self.peer, self.server, self.count = peer, server, 0
        self.held = []

    def read(self, count):
        data = bytearray()
        while len(data) < count:
            part = self.peer.recv(count - len(data))
            if not part:
                raise ConnectionError
            data += part
        return bytes(data)

    def request(self):
        magic, version, message_type, flags, length = HEADER.unpack(self.read(HEADER.size))
        if magic != b"NEXA" or version != 1 or length > MAX_FRAME:
            raise ConnectionError
        return Request(message_type, flags, self.read(length))

    def send(self, data):
        self.peer.sendall(data)

    def reset(self):
        """Ends the connection by RST."""
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionError

    def greet(self, request):
        if request.type == CONNECT:
            me = "127.0.0.1:%d" % self.server.port
            self.send(request.answer({
                "status": "connected", "server": "NexaDB", "version": "0.1.0", "authenticated": True, "username": "anonymous", "role": "admin",
                "node_id": "hostile", "role_in_cluster": "leader", "leader": me, "epoch": 1, "lsn": 7, "dialect": "plain",
                "features": FEATURES, "max_frame": MAX_FRAME, "durability": "disk"}))
        elif request.type == STATUS:
            self.send(request.answer({"node_id": "hostile", "role": "leader", "replication": {"members": []}}))
        else:
            self.send(request.answer(pack(0)))

    def proper(self, request):
        """What a good node would say to a request about a document that has the fields of `DOCUMENT`."""
        if request.type == PING:
            self.send(request.answer({"status": "ok"}, PONG))
        elif request.type not in (CANCEL, CURSOR_CREDIT):
            self.send(request.answer(document(request)))


def document(request):
    """A document that tells which request it answers, so that a client that shifts answers is found out."""
    return {"_id": "k", "id": "k", "answers": request.id if request.id is not None else -1}


def hold(line, request):
    """Says nothing more, until the client is gone."""
    while line.peer.recv(1 << 16):
        pass
    raise ConnectionError


def half(data, count):
    """Sends the first `count` bytes of what `data` makes, then falls silent."""
    def act(line, request):
        line.send(data(request)[:count])
        hold(line, request)
    return act


def raw(data):
    """Sends what `data` makes, then falls silent."""
    def act(line, request):
        line.send(data(request))
        hold(line, request)
    return act


def header(message_type=SUCCESS, magic=b"NEXA", version=1, length=0, flags=None):
    def make(request):
        own, prefix = request.prefix()
        return HEADER.pack(magic, version, message_type, own if flags is None else flags, length) + prefix
    return make


def payload(data, message_type=SUCCESS, flags=0):
    return raw(lambda request: request.answer(data, message_type, flags))


def close_in_answer(line, request):
    line.send(request.answer(document(request))[:20])
    raise ConnectionError


def reset_in_answer(line, request):
    line.send(request.answer(document(request))[:20])
    time.sleep(0.05)
    line.reset()


def close(line, request):
    raise ConnectionError


def noise(line, request):
    source = random.Random(int(os.environ.get("NEXA_TEST_SEED", "1")))
    for _ in range(64):
        line.send(source.randbytes(1024))
    hold(line, request)


def first_is_forgotten(line, request):
    """The first request is never answered, all others properly."""
    if line.count > 1:
        line.proper(request)


def first_is_late(line, request):
    """The first request is answered after the answer to the second."""
    if line.count == 1:
        line.held.append(request)
        return
    line.proper(request)
    while line.held:
        line.proper(line.held.pop())


def twice(line, request):
    """Every answer comes twice."""
    line.proper(request)
    line.proper(request)


def stranger(line, request):
    """First an answer to a request that nobody sent, then the proper one."""
    other = Request(request.type, request.flags, struct.pack(">I", (request.id or 0) + 1_000_000))
    line.send(other.answer(document(other)))
    line.proper(request)


def last_words(line, request):
    """A proper answer and, in one piece with it, that the connection ends."""
    words = pack({"code": "SHUTTING_DOWN", "error": "The node is stopping"})
    line.send(request.answer(document(request)) + HEADER.pack(b"NEXA", 1, ERROR, 0, len(words)) + words)
    raise ConnectionError


def drip(line, request):
    """A proper answer, a byte at a time."""
    for byte in request.answer(document(request)):
        line.send(bytes([byte]))
        time.sleep(0.002)


def endless(line, request):
    """A stream that never ends and cares for no credit."""
    if request.type != QUERY:
        return
    line.send(request.answer({"stream": 1, "database": "default", "collection": "c"}, STREAM_START))
    documents = [{"_id": "k", "text": "x" * 1000}] * 64
    chunk = request.answer({"stream": 1, "documents": documents}, STREAM_CHUNK)
    while True:
        line.send(chunk)


def refuse(code, text, **details):
    """The same error to every request."""
    def act(line, request):
        if request.type not in (CANCEL, CURSOR_CREDIT):
            line.send(request.answer({"code": code, "error": text, **{k: v(line) for k, v in details.items()}}, ERROR))
    return act


def refuse_greeting(line, request):
    line.send(request.answer({"code": "UNAUTHENTICATED", "error": "Invalid username or password"}, ERROR))
    raise ConnectionError


# What is done to each request; where the name begins with "greeting:", to CONNECT as well.
SCENARIOS = {
    "good": Line.proper,
    "wrong magic": raw(header(magic=b"HTTP")),
    "wrong version": raw(header(version=9)),
    "length of 4 GiB": raw(header(length=0xFFFFFFFF)),
    "length above max_frame": raw(header(length=MAX_FRAME + 1)),
    "length below its prefixes": raw(lambda request: HEADER.pack(b"NEXA", 1, SUCCESS, REQUEST_ID | TOKEN, 3) + b"\0\0\0"),
    "flags that were not negotiated": payload(pack({}), flags=COMPRESSED),
    "flags that nobody knows": payload(pack({}), flags=0x8000),
    "type of a request": payload(pack({}), message_type=READ),
    "type that nobody knows": payload(pack({}), message_type=0xDF),
    "half a header": half(header(length=100), 5),
    "half a payload": half(lambda request: request.answer(document(request)), 25),
    "half a payload, then close": close_in_answer,
    "half a payload, then reset": reset_in_answer,
    "close": close,
    "silence": hold,
    "first is forgotten": first_is_forgotten,
    "first is late": first_is_late,
    "every answer twice": twice,
    "answer to a stranger": stranger,
    "last words behind the answer": last_words,
    "a byte at a time": drip,
    "noise": noise,
    "payload that is none": payload(b"\xc1"),
    "payload that is cut": payload(b"\x82\xa1a"),
    "payload with bytes behind it": payload(pack({"_id": "k"}) + b"\x01"),
    "payload of nothing": payload(b""),
    "list of 4,294,967,295": payload(b"\xdd\xff\xff\xff\xff"),
    "text of 4,294,967,295": payload(b"\xdb\xff\xff\xff\xff"),
    "map of 4,294,967,295": payload(b"\xdf\xff\xff\xff\xff"),
    "nesting of 100,000": payload(b"\x91" * 100_000 + b"\xc0"),
    "text that is not UTF-8": payload(b"\x81\xa1a\xa2\xff\xfe"),
    "key that is no text": payload(b"\x81\x01\x02"),
    "endless stream": endless,
    "not leader, for ever": refuse("NOT_LEADER", "This node is not the leader", leader=lambda line: "127.0.0.1:%d" % line.server.port),
    "not leader, nobody is": refuse("NOT_LEADER", "This node is not the leader", leader=lambda line: None),
    "overloaded, for ever": refuse("OVERLOADED", "Too much at once"),
    "error without a code": payload({"error": "something"}, message_type=ERROR),
    "error of no map": payload(pack(5), message_type=ERROR),
    "greeting: close": close,
    "greeting: silence": hold,
    "greeting: noise": noise,
    "greeting: wrong magic": raw(header(magic=b"HTTP")),
    "greeting: no map": payload(pack("hello")),
    "greeting: log-in refused": refuse_greeting,
}


class Server:
    def __init__(self, scenario):
        self.act = SCENARIOS[scenario]
        self.greets = not scenario.startswith("greeting:")
        self.lock = threading.Lock()
        self.accepted = self.open = self.requests = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]

    def accept(self):
        while True:
            peer, _ = self.listener.accept()
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.accepted += 1
                self.open += 1
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        line = Line(peer, self)
        try:
            while True:
                request = line.request()
                if self.greets and request.type in (CONNECT, BIND, STATUS):
                    line.greet(request)
                    continue
                line.count += 1
                with self.lock:
                    self.requests += 1
                self.act(line, request)
        except OSError:
            pass
        finally:
            peer.close()
            with self.lock:
                self.open -= 1

    def stats(self):
        with self.lock:
            return {"accepted": self.accepted, "open": self.open, "requests": self.requests}


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in SCENARIOS:
        sys.exit("usage: hostile.py SCENARIO, one of: " + "; ".join(SCENARIOS))
    server = Server(sys.argv[1])
    threading.Thread(target=server.accept, daemon=True).start()
    print("port", server.port, flush=True)
    for _ in sys.stdin:
        print(json.dumps(server.stats()), flush=True)


if __name__ == "__main__":
    main()

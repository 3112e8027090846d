"""Bad frames: what does not even begin like a request, or ends too early."""
import random
import socket
import struct
import threading
import time

from rig import wire
from rig.bad_inputs import BAD_PAYLOAD, BAD_REQUEST, BROKEN, PONG, after, case, each, find, outcome, payload
from rig.plain import PlainClient

# Frames


@case(1, "an HTTP request", BROKEN)
def _(node):
    with node.wire() as c:
        c.raw(b"GET / HTTP/1.1\r\nHost: echo-me\r\n\r\n")
        everything = c.input.read(4096)
        assert b"echo-me" not in everything and b"GET" not in everything, "nothing is echoed"
    return after(node, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")


@case(1, "a TLS hello", BROKEN)
def _(node):
    return after(node, bytes.fromhex("16030100c8010000c40303") + bytes(190))


@case(2, "version 0 and 255", BROKEN)
def _(node):
    return each(after(node, b"NEXA" + bytes([version, 9, 0, 0]) + b"\0\0\0\x01\x80") for version in (0, 255))


@case(3, "types 00, 7F, 81, FF", "ERROR (UNKNOWN_TYPE|UNSUPPORTED|FORBIDDEN), open( / ERROR .*, open)*")
def _(node):
    return each(payload(node, kind, b"\x80") for kind in (0x00, 0x7F, 0x81, 0xFF))


@case(4, "reserved flags", "ERROR UNSUPPORTED, open")
def _(node):
    return each(after(node, wire.frame(wire.PING, b"\x80", flags=flags)) for flags in (0x8000, 0x0020, 0x4000))


@case(5, "length 16 MiB + 1, 2^31, 2^32 - 1, nothing behind", "(ERROR TOO_LARGE, closed)")
def _(node):
    before, found = node.resident_bytes(), []
    for length in ((16 << 20) + 1, 1 << 31, (1 << 32) - 1):
        with node.wire(timeout=2) as c:
            c.raw(wire.HEADER.pack(b"NEXA", 1, wire.CREATE, 0, length))
            answer = c.recv()
            found.append(f"{answer}, {'closed' if c.at_end() else 'open'}")
    assert node.resident_bytes() - before < 4 << 20, "nothing is allocated for an announced length"
    return each(found)


@case(6, "length 0 for CREATE", BAD_REQUEST)
def _(node):
    return payload(node, wire.CREATE, b"")


@case(6, "length 0 for PING", "PONG, open")
def _(node):
    with node.wire() as c:
        c.raw(wire.frame(wire.PING, b""))
        assert c.recv().type == wire.PONG
        return f"PONG, {outcome(c)}"


@case(7, "length shorter than what follows", "PONG, (ERROR BAD_FRAME, )?closed")
def _(node):
    with node.wire() as c:
        c.raw(wire.frame(wire.PING, b"\x80") + b"rest of a payload that was longer")
        return f"{c.recv()}, {outcome(c)}"


@case(8, "header cut after 5 bytes, then FIN", "closed")
def _(node):
    with node.wire() as c:
        c.raw(b"NEXA\x01")
        c.socket.shutdown(socket.SHUT_WR)
        return "closed" if c.at_end() else "open"


@case(8, "payload cut, then FIN", "closed, nothing stored")
def _(node):
    before = node.descriptors()
    for n in range(20):
        with node.wire() as c:
            c.raw(wire.request(wire.CREATE, {"collection": "bad", "data": {"_id": "cut", "n": n}})[:-1])
            c.socket.shutdown(socket.SHUT_WR)
            assert c.at_end()
    assert find(node, "cut") is None
    deadline = time.monotonic() + 2
    while node.descriptors() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert node.descriptors() <= before, "descriptors are freed"
    return "closed, nothing stored"


@case(9, "1,000 PINGs in one segment", "1000 PONG, open")
def _(node):
    with node.wire() as c:
        c.raw(wire.request(wire.PING, {}) * 1000)
        count = sum(c.recv().type == wire.PONG for _ in range(1000))
        return f"{count} PONG, {outcome(c)}"


@case(9, "a CREATE byte by byte", "SUCCESS, open")
def _(node):
    with node.wire() as c:
        for byte in wire.request(wire.CREATE, {"collection": "bad", "data": {"_id": "slow"}}):
            c.raw(bytes([byte]))
        return outcome(c)


@case(33, "a request after DISCONNECT", "SUCCESS, closed")
def _(node):
    return after(node, wire.request(wire.DISCONNECT, {}), wire.request(wire.CREATE, {"collection": "bad", "data": {}}))


@case(36, "RST in mid-frame", "nothing stored")
def _(node):
    for _ in range(20):
        with node.wire() as c:
            c.raw(wire.request(wire.CREATE, {"collection": "bad", "data": {"_id": "reset"}})[:-2])
            c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return "nothing stored" if find(node, "reset") is None else "stored"


@case(36, "half-close after a request", "SUCCESS, closed")
def _(node):
    with node.wire() as c:
        c.raw(wire.request(wire.CREATE, {"collection": "bad", "data": {"_id": "half"}}))
        c.socket.shutdown(socket.SHUT_WR)
        return f"{c.recv()}, {'closed' if c.at_end() else 'open'}"


@case(37, "256 KiB of random bytes as a payload", "ERROR BAD_PAYLOAD, open")
def _(node):
    return each(payload(node, kind, random.Random(37).randbytes(256 << 10)) for kind in (wire.CREATE, wire.QUERY, wire.BATCH_WRITE))


@case(37, "random bytes behind a good header", ".*closed")
def _(node):
    noise = random.Random(38).randbytes(256 << 10)
    with node.wire() as c:
        try:
            c.raw(wire.frame(wire.PING, b"\x80") + noise)
        except OSError:
            pass
        return outcome(c).replace("PONG, ", "") if c.recv().type == wire.PONG else "no PONG"


@case(38, "2,000 broken frames, one connection each", "others unharmed")
def _(node):
    worst, done = 0.0, threading.Event()

    def bystander():
        nonlocal worst
        with PlainClient(node.port) as c:
            while not done.is_set():
                start = time.monotonic()
                c.call(wire.PING, {})
                worst = max(worst, time.monotonic() - start)

    thread = threading.Thread(target=bystander, daemon=True)
    thread.start()
    for _ in range(2000):
        with node.wire() as c:
            c.raw(b"XXXX" + bytes(20))
            c.at_end()
    done.set()
    thread.join()
    return "others unharmed" if worst < 0.5 else f"a PING took {worst:.2f} s"

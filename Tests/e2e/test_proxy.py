"""The proxy between nodes, between ends that are none: what passes, what waits, what is another when it arrives."""
import itertools
import socket
import threading
import time

import msgpack
import pytest

from rig import wire
from rig.cluster import free_ports
from rig.proxy import SNAPSHOT_CHUNK, WAL_BATCH, Proxy


@pytest.fixture
def line(rng):
    """A connection of `a` to `b` through a proxy, with both ends."""
    port, front = free_ports(2)
    listener = socket.create_server(("127.0.0.1", port))
    listener.settimeout(10)
    proxy = Proxy(rng)
    proxy.front("b", front, port)
    ends = []

    def connect():
        near = socket.create_connection(("127.0.0.1", front), timeout=10)
        ends.append(near)
        near.sendall(wire.request(wire.CONNECT, {"purpose": "replication", "name": "a"}))
        return near

    def accept():
        far = listener.accept()[0]
        far.settimeout(10)
        ends.append(far)
        return far, take(far, len(wire.request(wire.CONNECT, {"purpose": "replication", "name": "a"})))

    yield proxy, connect, accept
    [end.close() for end in [*ends, listener]]
    proxy.close()


def take(end: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        piece = end.recv(count - len(got))
        if not piece:
            raise wire.Closed(f"{len(got)} of {count} bytes")
        got += piece
    return got


def is_silent(end: socket.socket, seconds: float = 0.15) -> bool:
    end.settimeout(seconds)
    try:
        end.recv(1)
        return False
    except TimeoutError:
        return True
    finally:
        end.settimeout(10)


def test_bytes_pass_both_ways(line):
    _, connect, accept = line
    near = connect()
    far, _ = accept()
    for size in (1, 12, 300, 70_000, 3_000_000):
        data = wire.frame(0x70, bytes(index % 251 for index in range(size)))
        threading.Thread(target=near.sendall, args=(data,), daemon=True).start()
        assert take(far, len(data)) == data
        far.sendall(data[::-1])
        assert take(near, len(data)) == data[::-1]


def test_a_held_way_is_silent_in_one_direction_and_goes_on(line):
    proxy, connect, accept = line
    near = connect()
    far, _ = accept()
    proxy.hold(proxy.way("a", "b"))
    near.sendall(wire.frame(0x70, b"one"))
    far.sendall(wire.frame(0x70, b"two"))
    assert take(near, 15).endswith(b"two")
    assert is_silent(far)
    late = connect()
    proxy.free()
    assert take(far, 15).endswith(b"one")
    assert accept()[1], "what dialled meanwhile is there"
    # The end of a connection is held as bytes are.
    proxy.hold(proxy.way("a", "b"))
    near.close()
    assert is_silent(far)
    proxy.free()
    with pytest.raises(wire.Closed):
        take(far, 1)
    late.close()


def test_a_cut_resets_what_is_there_and_what_comes(line):
    proxy, connect, accept = line
    near = connect()
    accept()
    proxy.cut(proxy.way("b", "a"))
    with pytest.raises((ConnectionError, wire.Closed)):
        take(near, 1)
    with pytest.raises((ConnectionError, wire.Closed)):
        take(connect(), 1)
    proxy.free()
    connect()
    assert accept()[1]


def test_a_long_line_delays_and_a_thin_one_slows(line):
    proxy, connect, accept = line
    near = connect()
    far, _ = accept()
    way = proxy.way("a", "b")
    way.delay_seconds = 0.2
    begin = time.monotonic()
    for number in range(20):
        near.sendall(wire.frame(0x70, bytes([number])))
    got = take(far, 20 * 13)
    assert 0.2 <= time.monotonic() - begin < 1.5, "side by side, not one after the other"
    assert list(got[12::13]) == list(range(20))
    way.delay_seconds, way.bytes_per_second = 0, 200_000
    begin = time.monotonic()
    threading.Thread(target=near.sendall, args=(wire.frame(0x70, bytes(100_000)),), daemon=True).start()
    take(far, 100_012)
    assert 0.3 < time.monotonic() - begin < 5


def batch(first: int, last: int, records: bytes) -> bytes:
    return wire.request(WAL_BATCH, [3, 1, 2, 0, 4, 5, 3, first, last, 1 << 63, records])


def test_one_bit_of_the_records_is_flipped_and_no_more(line):
    proxy, connect, accept = line
    near = connect()
    far, _ = accept()
    way = proxy.way("a", "b")
    way.flip(2)
    for number in range(4):
        data = batch(number, number, bytes(5000))
        near.sendall(data)
        got = take(far, len(data))
        flipped = sum((left ^ right).bit_count() for left, right in zip(data, got))
        assert flipped == (1 if number < 2 else 0)
        assert got[:100] == data[:100]
    assert way.flipped == 2


def test_what_goes_twice_is_counted(line):
    proxy, connect, accept = line
    near = connect()
    far, _ = accept()
    way = proxy.way("a", "b")
    frames = [batch(1, 10, bytes(1000)), batch(11, 20, bytes(1000)), batch(6, 25, bytes(4000)),
              *(wire.request(SNAPSHOT_CHUNK, [9, 1, offset, False, 7, bytes(2000)]) for offset in (0, 2000, 0))]
    for data, cut in zip(frames, itertools.cycle([3, 40, 500])):
        near.sendall(data[:cut])
        time.sleep(0.01)
        near.sendall(data[cut:])
        assert take(far, len(data)) == data
    assert way.frames[WAL_BATCH] == 3 and 3000 <= way.record_bytes_again <= 3100
    assert way.frames[SNAPSHOT_CHUNK] == 3 and 2000 < way.chunk_bytes_again < 2100
    assert msgpack.unpackb(frames[0][12:])[7] == 1

"""A TCP proxy in front of every node of a cluster, that knows which node a connection comes from: partitions are real, and have a direction.

    n2 ──► proxy of n1 ──► n1      members and `advertise` name the proxies, so nodes know no other way to each other;
    n1 ──► proxy of n2 ──► n2      clients and administrators of a test go to the nodes themselves

Who dials says so in the first frame, CONNECT. A `Way` is what one node sends to another, on whatever connection and whoever dialled it;
a fault is set on ways, so cutting `n1 -> n2` stops n1's records as well as n1's acknowledgements to n2, and nothing of n2's.

| fault | what the ends see |
|---|---|
| `hold` | nothing, not even an error: bytes wait, new connections open and stay silent; after `free` what waited goes on |
| `cut` | a reset, and one more at each new try |
| `delay`, `rate` | a long line, a thin one |
| `flip` | one bit of each of the next frames of a type is another |

One thread of its own runs all of it; a test only sets fields. Frames are followed as they pass, so a way also tells what went over it:
bytes, and which bytes of snapshots and which records went twice.
"""
import asyncio
import collections
import random
import socket
import struct
import threading
import time

import msgpack

FRAME = struct.Struct(">4sBBHI")
CONNECT, WAL_BATCH, SNAPSHOT_CHUNK, ACK = 0x01, 0xE4, 0xE2, 0x65
CLIENT = "client"
#: How much of a payload is kept to be read: all that stands in front of the bulk bytes of a batch or a chunk.
HEAD = 160
CHUNK = 256 << 10


class Way:
    """What `source` sends to `target`. Fields may be set at any time from any thread."""

    def __init__(self, source: str, target: str):
        self.source, self.target = source, target
        self.is_held = self.is_cut = False
        self.delay_seconds = 0.0
        self.bytes_per_second: float | None = None
        self.flips_wanted, self.flip_type, self.flip_anywhere, self.flipped = 0, WAL_BATCH, False, 0
        self.byte_count = 0
        self.frames: collections.Counter = collections.Counter()
        #: Bulk bytes of batches, and of those the ones that were sent before.
        self.record_bytes = self.record_bytes_again = 0
        self.last_lsn_sent = 0
        self.chunk_bytes = self.chunk_bytes_again = 0
        self.chunks_seen: set[tuple] = set()

    def __repr__(self):
        return f"{self.source}->{self.target}"

    async def passable(self):
        while self.is_held:
            await asyncio.sleep(0.01)

    def flip(self, count: int = 1, frame_type: int | None = WAL_BATCH, anywhere: bool = False):
        """One bit of each of the next `count` frames of a type, or of any: in the bulk bytes at their end, or anywhere."""
        self.flip_type, self.flip_anywhere, self.flips_wanted = frame_type, anywhere, count

    def saw(self, frame_type: int, head: bytes, length: int):
        """A frame has begun to pass; `head` is the beginning of its payload."""
        self.frames[frame_type] += 1
        if frame_type == WAL_BATCH:
            if fields := array_head(head, 10):
                first, last = fields[7], fields[8]
                self.record_bytes += length
                if last <= self.last_lsn_sent:
                    self.record_bytes_again += length
                elif first <= self.last_lsn_sent:
                    self.record_bytes_again += length * (self.last_lsn_sent - first + 1) // (last - first + 1)
                self.last_lsn_sent = max(self.last_lsn_sent, last)
        elif frame_type == SNAPSHOT_CHUNK:
            if fields := array_head(head, 5):
                piece = tuple(fields[:3])
                self.chunk_bytes += length
                if piece in self.chunks_seen:
                    self.chunk_bytes_again += length
                self.chunks_seen.add(piece)


def array_head(head: bytes, count: int) -> list | None:
    """The first `count` elements of an array of which only the beginning is here."""
    reader = msgpack.Unpacker(strict_map_key=False)
    reader.feed(head)
    try:
        if reader.read_array_header() < count:
            return None
        return [reader.unpack() for _ in range(count)]
    except Exception:
        return None


class Frames:
    """Follows one direction of one connection: tells its way what passes, and changes the bytes that are to be changed."""

    def __init__(self, rng: random.Random, way: Way):
        self.rng, self.way = rng, way
        self.pending = bytearray()
        self.left = 0
        self.victim: int | None = None
        self.is_lost = False

    def pass_on(self, data: bytes) -> bytes:
        """What is to be sent for `data`: the same, or with bits flipped; may keep the beginning of a frame back until it can be read."""
        if self.is_lost:
            return data
        out = []
        self.pending += data
        while self.pending:
            if self.left:
                piece = self.pending[:self.left]
                if self.victim is not None and self.victim < len(piece):
                    piece[self.victim] ^= 1 << self.rng.randrange(8)
                    self.way.flipped += 1
                    self.victim = None
                elif self.victim is not None:
                    self.victim -= len(piece)
                out.append(bytes(piece))
                self.left -= len(piece)
                del self.pending[:len(piece)]
                continue
            if len(self.pending) < FRAME.size:
                break
            magic, _, frame_type, flags, length = FRAME.unpack_from(self.pending)
            if magic != b"NEXA":
                self.is_lost = True
                out.append(bytes(self.pending))
                self.pending.clear()
                break
            if len(self.pending) < FRAME.size + min(length, HEAD):
                break
            head = bytes(self.pending[FRAME.size:FRAME.size + min(length, HEAD)])
            self.way.saw(frame_type, b"" if flags & 4 else head, length)
            self.left = FRAME.size + length
            if self.way.flips_wanted and self.way.flip_type in (None, frame_type) and (self.way.flip_anywhere or length > HEAD):
                self.way.flips_wanted -= 1
                self.victim = self.rng.randrange(0 if self.way.flip_anywhere else FRAME.size + HEAD, self.left)
        return b"".join(out)


class Proxy:
    """All the proxies of one cluster. `front` makes one, `way` and `between` find what faults are set on."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        self.ways: dict[tuple[str, str], Way] = {}
        self.servers: list = []
        self.pumps: dict[Way, set] = collections.defaultdict(set)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    # What a test calls

    def front(self, name: str, port: int, target_port: int):
        """Listens on `port` for the node `name`, which listens on `target_port`."""
        async def listen():
            self.servers.append(await asyncio.start_server(
                lambda reader, writer: self.serve(name, target_port, reader, writer), "127.0.0.1", port, limit=CHUNK))
        asyncio.run_coroutine_threadsafe(listen(), self.loop).result(10)

    def way(self, source: str, target: str) -> Way:
        return self.ways.setdefault((source, target), Way(source, target))

    def between(self, left: str, right: str) -> list[Way]:
        return [self.way(left, right), self.way(right, left)]

    def hold(self, *ways: Way):
        for way in ways:
            way.is_held = True

    def cut(self, *ways: Way):
        for way in ways:
            way.is_cut = True
        self.loop.call_soon_threadsafe(self.reset_all, ways)

    def free(self, *ways: Way):
        """Ends holds and cuts of these, or of all."""
        for way in ways or list(self.ways.values()):
            way.is_held = way.is_cut = False

    def close(self):
        """Ends every connection and the thread."""
        async def end():
            for server in self.servers:
                server.close()
            for _ in range(3):
                tasks = asyncio.all_tasks() - {asyncio.current_task()}
                [task.cancel() for task in tasks]
                await asyncio.gather(*tasks, return_exceptions=True)
            self.loop.stop()
        self.free()
        asyncio.run_coroutine_threadsafe(end(), self.loop)
        self.thread.join(10)
        if not self.thread.is_alive():
            self.loop.close()

    # On the loop

    def reset_all(self, ways):
        for way in ways:
            for writer in list(self.pumps[way]):
                reset(writer)

    async def serve(self, name: str, target_port: int, reader, writer):
        onward = None
        try:
            first = await reader.readexactly(FRAME.size)
            magic, _, frame_type, _, length = FRAME.unpack(first)
            if magic != b"NEXA" or frame_type != CONNECT or length > 1 << 16:
                return
            payload = await reader.readexactly(length)
            hello = msgpack.unpackb(payload, raw=False, strict_map_key=False)
            source = hello.get("name", CLIENT) if hello.get("purpose") == "replication" else CLIENT
            there, back = self.way(source, name), self.way(name, source)
            await there.passable()
            if there.is_cut or back.is_cut:
                return reset(writer)
            back_reader, onward = await asyncio.open_connection("127.0.0.1", target_port, limit=CHUNK)
            for each in (writer, onward):
                each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for way in (there, back):
                self.pumps[way] |= {writer, onward}
            try:
                await asyncio.gather(self.pump(reader, onward, there, back, first + payload),
                                     self.pump(back_reader, writer, back, there, b""))
            finally:
                for way in (there, back):
                    self.pumps[way] -= {writer, onward}
        except (ConnectionError, OSError, asyncio.IncompleteReadError, ValueError):
            reset(writer)
        finally:
            for each in (writer, onward):
                if each is not None:
                    each.close()

    async def pump(self, reader, writer, way: Way, opposite: Way, first: bytes):
        """Carries one direction of a connection until an end has gone. That an end has gone travels as bytes do: what is held holds it, too."""
        line = Line(way)
        if first:
            line.add(first)
        delivery = self.loop.create_task(self.deliver(line, writer, Frames(self.rng, way)))
        try:
            while True:
                await line.has_room()
                data = await reader.read(CHUNK)
                if not data:
                    break
                if not line.is_over:
                    line.add(data)
            line.add(b"")
            await delivery
        finally:
            delivery.cancel()
            await opposite.passable()
            writer.close()

    async def deliver(self, line: "Line", writer, frames: "Frames"):
        """Bytes leave in order, each a delay after it came. Ends behind the last, or when nobody takes them."""
        way = line.way
        try:
            while data := await line.next():
                data = frames.pass_on(data)
                while data:
                    await way.passable()
                    if way.is_cut:
                        return reset(writer)
                    rate = way.bytes_per_second
                    piece = data[:max(1, int(rate / 20))] if rate else data
                    data = data[len(piece):]
                    if rate:
                        await asyncio.sleep(len(piece) / rate)
                    way.byte_count += len(piece)
                    writer.write(piece)
                    await writer.drain()
            await way.passable()
            writer.close()
        except (ConnectionError, OSError):
            pass
        finally:
            line.is_over = True
            line.moved.set()


class Line:
    """What is on its way in one direction of one connection, with the time at which it arrives."""
    ROOM = 8 << 20

    def __init__(self, way: Way):
        self.way = way
        self.pieces: collections.deque = collections.deque()
        self.byte_count = 0
        self.is_over = False
        self.moved = asyncio.Event()

    def add(self, data: bytes):
        self.pieces.append((time.monotonic() + self.way.delay_seconds, data))
        self.byte_count += len(data)
        self.moved.set()

    async def has_room(self):
        """Without a delay there is room for one piece only: who writes is to feel it when nobody reads."""
        while not self.is_over and self.byte_count > (self.ROOM if self.way.delay_seconds else CHUNK):
            self.moved.clear()
            await self.moved.wait()

    async def next(self) -> bytes:
        while not self.pieces:
            self.moved.clear()
            await self.moved.wait()
        due, data = self.pieces[0]
        if (wait := due - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        self.pieces.popleft()
        self.byte_count -= len(data)
        self.moved.set()
        return data


def reset(writer):
    """Ends a connection as a machine that knows nothing of it would."""
    end = writer.get_extra_info("socket")
    if end is not None and not writer.is_closing():
        try:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
    writer.transport.abort()
